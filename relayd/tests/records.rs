//! Records: each opening has one of its decision, and one of its end.

mod common;

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, SystemTime};

use common::program::{Program, configuration};
use common::{
    Client, ORIGIN, SECRET, TestRelay, config, headers, request, sink, target, token, within,
};
use jackfield_relay_wire::{Code, Frame, Id, Reason, UdpTarget};
use jackfield_relayd::record::{Action, Decision, Event};
use jackfield_relayd::token::{Claims, Credential, Revocation, Secret, SigningKey};
use jackfield_socket::UdpOptions;
use jackfield_testing::closed::Closed;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Asks for a datagram socket.
async fn udp(client: &mut Client, target: UdpTarget) -> Id {
    let id = client.new_id();
    let udp = Frame::Udp {
        id,
        credit: 100_000,
        target,
        options: UdpOptions::default(),
    };
    client.send(&udp).await;
    id
}

/// Asks for one that is bound to this machine.
async fn bind(client: &mut Client) -> Id {
    let target = UdpTarget::Bound("127.0.0.1:0".parse().expect("an address"));
    udp(client, target).await
}

/// Has a bound one send a datagram there.
async fn send_to(client: &mut Client, id: Id, peer: SocketAddr) {
    let datagram = Frame::Datagram {
        id,
        peer: Some(peer),
        truncated: false,
        data: b"x".as_slice().into(),
    };
    client.send(&datagram).await;
}

#[tokio::test]
async fn an_opening_is_recorded_with_its_rule_and_its_end_with_its_bytes() {
    let (address, echo) = target(|mut stream| async move {
        let mut read = [0; 5];
        stream.read_exact(&mut read).await?;
        stream.write_all(b"an answer").await
    })
    .await;
    let (relay, mut recorded) = TestRelay::start_recorded(config(token())).await;
    let mut client = relay.client().await;
    let (id, mut credit) = client.connect(&address, 1024).await;
    let rule = Some("127.0.0.0/8:1024-65535");
    let record = recorded.decision(Decision::Allow, rule, "opened").await;
    assert_eq!(
        (&*record.asked, record.action),
        (&*address, Action::Connect)
    );
    assert_eq!(record.address, Some(address.parse().expect("an address")));
    assert_eq!(record.who.origin.as_deref(), Some(ORIGIN));
    assert_eq!((record.id, record.carried), (id.get(), None));

    let data = b"hello".as_slice().into();
    client.send(&Frame::Data { id, data }).await;
    client.send(&Frame::Fin { id }).await;
    client.read_to_end(id, &mut credit).await;
    within(echo).await.expect("it ends").expect("in order");
    let record = recorded.next().await;
    assert_eq!((record.event, &*record.outcome), (Event::Close, "closed"));
    let carried = record.carried.expect("it is over");
    assert_eq!((carried.bytes_up, carried.bytes_down), (5, 9));
    assert_eq!(record.basis.rule.as_deref(), rule);
    assert_eq!(record.id, id.get());
}

#[tokio::test]
async fn every_way_to_fail_has_its_record() {
    let mut token = token();
    let denied = "127.0.0.9:*";
    token.policy.deny = vec![denied.parse().expect("a rule")];
    let nobody = Closed::tcp();
    let refusing = nobody.address().to_string();
    token.limits.streams = 1;
    let (relay, mut recorded) = TestRelay::start_recorded(config(token)).await;
    let mut client = relay.client().await;
    for (to, decision, rule, outcome) in [
        ("127.0.0.9:2000", Decision::Deny, Some(denied), "denied"),
        ("8.8.8.8:53", Decision::Deny, None, "denied"),
        ("any.example:53", Decision::Deny, None, "denied"),
        (
            &*refusing,
            Decision::Allow,
            Some("127.0.0.0/8:1024-65535"),
            "refused",
        ),
    ] {
        client.refused(to).await;
        let record = recorded.decision(decision, rule, outcome).await;
        assert_eq!(record.asked, to);
        assert!(record.why.is_some(), "{record:?}");
    }
    let open = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let open = open.local_addr().map(|at| (open, at)).expect("bound");
    let (id, _) = client.connect(&open.1.to_string(), 1024).await;
    recorded.next().await;
    client.refused(&open.1.to_string()).await;
    let record = recorded
        .decision(Decision::Deny, None, "limit exceeded")
        .await;
    assert!(record.why.expect("a reason").contains("streams (1)"));

    // What the client cuts says so, and what ends with the session says that.
    let reason = Reason::new(Code::CANCELLED, "enough");
    client.send(&Frame::Reset { id, reason }).await;
    let record = recorded.next().await;
    assert_eq!(
        (record.event, &*record.outcome),
        (Event::Close, "cancelled")
    );
    client.connect(&open.1.to_string(), 1024).await;
    recorded.next().await;
    drop(client);
    let record = recorded.next().await;
    assert_eq!(record.event, Event::Close);
    assert_eq!(record.outcome, "carrier lost");
}

#[tokio::test]
async fn listeners_what_they_take_and_refused_datagrams_are_recorded() {
    let (relay, mut recorded) = TestRelay::start_recorded(config(token())).await;
    let mut client = relay.client().await;
    client.ask_to_listen("127.0.0.1:0", 1).await;
    let record = recorded
        .decision(Decision::Allow, Some("127.0.0.1:*"), "opened")
        .await;
    assert_eq!(record.action, Action::Listen);
    let at = record.address.expect("where it listens");
    let peer = TcpStream::connect(at).await.expect("it listens");
    let record = recorded
        .decision(Decision::Allow, Some("127.0.0.1:*"), "opened")
        .await;
    assert_eq!(record.action, Action::Accept);
    assert_eq!(record.asked, peer.local_addr().expect("bound").to_string());

    let id = bind(&mut client).await;
    let record = recorded
        .decision(Decision::Allow, Some("127.0.0.1:*/udp"), "opened")
        .await;
    assert_eq!(record.action, Action::Bind);
    for _ in 0..2 {
        send_to(&mut client, id, "10.0.0.1:7".parse().expect("an address")).await;
    }
    let denied = "10.0.0.1:7".parse().expect("an address");
    recorded.datagrams(denied, Decision::Deny, None).await;
    drop((peer, client));
    for _ in 0..3 {
        let record = recorded.next().await;
        assert_eq!(record.event, Event::Close, "of a peer there is one record");
        let is_socket = record.action == Action::Bind;
        assert_eq!(record.more_denied, is_socket.then_some(1), "{record:?}");
    }
}

#[tokio::test]
async fn a_token_that_only_reports_reaches_it_and_says_what_it_would_be() {
    let mut token = token();
    token.policy.allow.clear();
    token.policy.report = true;
    let (relay, mut recorded) = TestRelay::start_recorded(config(token)).await;
    let mut client = relay.client().await;
    // A datagram socket says nothing when it is opened; whether a way leads there is of no matter.
    let target = UdpTarget::Connected("8.8.8.8:53".parse().expect("an endpoint"));
    udp(&mut client, target).await;
    let record = recorded.next().await;
    assert_eq!(record.basis.decision, Decision::Allow, "{record:?}");
    let would_deny = record.basis.would_deny.as_deref();
    assert_eq!(would_deny, Some("no rule allows it"));
    client.frame().await;
    client.refused("127.0.0.1:2000").await;
    recorded.decision(Decision::Deny, None, "denied").await;

    // Nor does a bound one, and its peers are decisions of their own.
    let id = bind(&mut client).await;
    recorded.next().await;
    let to = "8.8.8.8:53".parse().expect("an address");
    send_to(&mut client, id, to).await;
    let record = recorded.datagrams(to, Decision::Allow, None).await;
    let would_deny = record.basis.would_deny.as_deref();
    assert_eq!(would_deny, Some("no rule allows it"));
}

/// Who is let in and who isn't, and how a session ends.
#[tokio::test]
async fn sessions_have_a_record_of_their_beginning_and_one_of_their_end() {
    let (address, arriving) = sink().await;
    let mut token = token();
    token.limits.sessions = 1;
    let (relay, mut recorded) = TestRelay::start_recorded(config(token)).await;
    let mut client = relay.client().await;
    let entered = recorded.session().await;
    let (event, decision) = (entered.event, entered.decision);
    assert_eq!((event, decision), (Event::Enter, Decision::Allow));
    assert_eq!(entered.outcome, "opened");
    assert_eq!(entered.token.as_deref(), Some("tests"));
    assert_eq!(entered.origin.as_deref(), Some(ORIGIN));
    assert!(entered.session.is_some() && entered.carried.is_none());

    let host = relay.address.to_string();
    let long = format!("https://{}.example", "x".repeat(1000));
    for (origin, secret, token, outcome) in [
        (ORIGIN, Some(SECRET), Some("tests"), "token full"),
        (ORIGIN, None, None, "token missing"),
        (
            ORIGIN,
            Some("not-this-secret-but-another"),
            None,
            "token unknown",
        ),
        ("https://evil.example", Some(SECRET), None, "origin refused"),
        (&*long, Some(SECRET), None, "origin refused"),
    ] {
        let headers = headers(&host, Some(origin), secret);
        let (stream, answer) = request(relay.address, "GET / HTTP/1.1", &headers).await;
        assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
        let reason = Client::over(stream).await.last_word().await;
        let denied = recorded.session().await;
        let (event, decision) = (denied.event, denied.decision);
        assert_eq!((event, decision), (Event::Enter, Decision::Deny));
        assert_eq!((denied.session, denied.token.as_deref()), (None, token));
        assert_eq!(denied.outcome, outcome);
        let why = reason.as_ref().map(Reason::text);
        assert_eq!(denied.why.as_deref(), why);
        let origin = &origin[..origin.len().min(256)];
        assert_eq!(denied.origin.as_deref(), Some(origin));
    }

    let (id, _) = client.connect(&address, 1024).await;
    let data = b"hello".as_slice().into();
    client.send(&Frame::Data { id, data }).await;
    client.send(&Frame::Fin { id }).await;
    let arrived = within(arriving).await.expect("it ends");
    assert_eq!(arrived.expect("in order"), b"hello");
    drop(client);
    let left = recorded.session().await;
    assert_eq!((left.event, &*left.outcome), (Event::Leave, "carrier lost"));
    assert_eq!(left.session, entered.session);
    let carried = left.carried.expect("it is over");
    assert_eq!((carried.bytes_up, carried.bytes_down), (5, 0));
}

/// A token that is signed as it should be says whose it is, also where it is good no longer; any other may say
/// what it likes.
#[tokio::test]
async fn whose_a_token_is_that_lets_in_no_longer_is_recorded_and_no_forgery_is() {
    let key = |text: &str| Secret::new(text).expect("long enough");
    let ours = key("the-signing-key-of-this-test-alone");
    let signed = |key: &Secret, id: &str, change: &dyn Fn(&mut Claims)| {
        let mut claims = Claims::new(SystemTime::now() + Duration::from_hours(1));
        claims.subject = Some("ada".into());
        claims.id = Some(id.into());
        change(&mut claims);
        let key = SigningKey::hs256(key).expect("long enough").with_id("app");
        key.mint(&claims).expect("short")
    };
    let mut app = token();
    app.name = "app".into();
    app.credential = Credential::Key(ours.clone());
    let mut config = config(app);
    let mut revoked = Revocation::default();
    revoked.id = Some("revoked".into());
    config.revoked = vec![revoked];
    let (relay, mut recorded) = TestRelay::start_recorded(config).await;
    let good = signed(&ours, "good", &|_| {});
    let _client = Client::open(relay.address, ORIGIN, Some(&good)).await;
    let entered = recorded.session().await;
    assert_eq!(entered.decision, Decision::Allow, "{entered:?}");
    assert_eq!(entered.jti.as_deref(), Some("good"));

    let past = |claims: &mut Claims| claims.expires = SystemTime::now() - Duration::from_secs(9);
    let ahead = |claims: &mut Claims| claims.audience = vec!["another".into()];
    let other = key("another-key-that-the-relay-has-not");
    for (id, token, code, known) in [
        (
            "expired",
            signed(&ours, "expired", &past),
            Code::TOKEN_EXPIRED,
            true,
        ),
        (
            "revoked",
            signed(&ours, "revoked", &|_| {}),
            Code::TOKEN_EXPIRED,
            true,
        ),
        (
            "elsewhere",
            signed(&ours, "elsewhere", &ahead),
            Code::TOKEN_UNKNOWN,
            true,
        ),
        (
            "expired",
            signed(&other, "expired", &past),
            Code::TOKEN_UNKNOWN,
            false,
        ),
        (
            "revoked",
            signed(&other, "revoked", &|_| {}),
            Code::TOKEN_UNKNOWN,
            false,
        ),
    ] {
        let client = Client::upgrade(relay.address, ORIGIN, Some(&token)).await;
        let reason = client.expect("a WebSocket").last_word().await;
        assert_eq!(reason.expect("a reason").code(), code, "{id}");
        let denied = recorded.session().await;
        assert_eq!(denied.decision, Decision::Deny);
        let told = (&denied.token, &denied.bearer, &denied.jti);
        let told = (told.0.as_deref(), told.1.as_deref(), told.2.as_deref());
        let expected = if known {
            (Some("app"), Some("ada"), Some(id))
        } else {
            (None, None, None)
        };
        assert_eq!(told, expected, "{denied:?}");
    }
}

/// Anybody may come as often as he likes.
#[tokio::test]
async fn who_is_denied_over_and_over_is_counted() {
    let (relay, mut recorded) = TestRelay::start_recorded(config(token())).await;
    let denied = async |origin: &str| {
        let client = Client::upgrade(relay.address, origin, None).await;
        let reason = client.expect("a WebSocket").last_word().await;
        reason.expect("a reason").code()
    };
    for _ in 0..25 {
        assert_eq!(denied(ORIGIN).await, Code::TOKEN_MISSING);
    }
    let evil = "https://evil.example";
    assert_eq!(denied(evil).await, Code::ORIGIN_REFUSED);
    for _ in 0..20 {
        let record = recorded.session().await;
        assert_eq!(
            (&*record.outcome, record.more_denied),
            ("token missing", None)
        );
    }
    let record = recorded.session().await;
    let (outcome, more) = (&*record.outcome, record.more_denied);
    assert_eq!((outcome, more), ("origin refused", Some(5)));
}

/// Of a socket that sends to whom it may not.
#[tokio::test]
async fn denied_peers_have_a_bound_and_the_others_are_counted() {
    const PEERS: u16 = 1000;
    let (relay, mut recorded) = TestRelay::start_recorded(config(token())).await;
    let mut client = relay.client().await;
    let id = bind(&mut client).await;
    recorded.next().await;
    let peer = |number: u16| SocketAddr::from(([10, 0, 0, 1], 1 + number));
    for number in 0..PEERS {
        send_to(&mut client, id, peer(number)).await;
    }
    for number in 0..16 {
        let record = recorded.datagrams(peer(number), Decision::Deny, None).await;
        assert_eq!(record.more_denied, None);
    }
    let all = u64::from(PEERS);
    while !matches!(client.frame().await, Frame::Dropped { total, .. } if total == all) {}
    drop(client);
    let close = recorded.next().await;
    assert_eq!(
        (close.event, close.more_denied),
        (Event::Close, Some(all - 16))
    );
}

#[tokio::test]
async fn records_are_lines_of_json_in_a_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("records.jsonl");
    let mut config = config(token());
    config.records = Some(file.clone());
    let mut relay = TestRelay::start(config).await;
    let mut client = relay.client().await;
    client.refused("10.0.0.1:80").await;
    relay.stopped().await;
    drop(client);
    let text = std::fs::read_to_string(&file).expect("written");
    let lines = text.lines().map(serde_json::from_str::<serde_json::Value>);
    let lines: Vec<_> = lines.collect::<Result<_, _>>().expect("JSON");
    let events: Vec<_> = lines.iter().map(|line| line["event"].clone()).collect();
    assert_eq!(events, ["enter", "open", "command", "leave"]);
    assert_eq!(lines[2]["command"], "drain");
    for line in [&lines[0], &lines[3]] {
        let who = (&line["session"], &line["token"], &line["decision"]);
        assert_eq!(who, (&1.into(), &"tests".into(), &"allow".into()), "{line}");
    }
    assert_eq!(lines[3]["bytes_up"], 0);
    assert!(lines[3]["open_ms"].is_u64() && lines[0].get("bytes_up").is_none());
    let line = &lines[1];
    assert_eq!(line["asked"], "10.0.0.1:80");
    assert_eq!(
        (&line["event"], &line["decision"]),
        (&"open".into(), &"deny".into())
    );
    assert_eq!(
        (&line["token"], &line["transport"]),
        (&"tests".into(), &"tcp".into())
    );
    assert!(
        line["time"]
            .as_str()
            .is_some_and(|time| time.ends_with('Z'))
    );
    assert!(!text.contains(SECRET));
}

/// A file that is moved away keeps what it has, and the next one begins with the next record.
#[cfg(unix)]
#[tokio::test]
async fn a_file_that_is_moved_away_is_made_anew_on_sighup() {
    let text = configuration("", "[records]\nfile = 'records.jsonl'");
    let program = Program::start(&text).await;
    let client = Client::open(program.address, ORIGIN, Some(SECRET)).await;
    let mut client = client.expect("let in");
    let (file, moved) = (
        program.path("records.jsonl"),
        program.path("records.jsonl.1"),
    );
    let asked = async |file: &Path| {
        let read = async {
            loop {
                let text = std::fs::read_to_string(file).unwrap_or_default();
                if text.ends_with('\n') {
                    return text;
                }
                tokio::task::yield_now().await;
            }
        };
        let text = within(read).await;
        let records = text.lines().filter_map(|line| {
            let record: serde_json::Value = serde_json::from_str(line).expect("JSON");
            Some(record["asked"].as_str()?.to_owned())
        });
        records.collect::<Vec<_>>()
    };
    client.refused("10.0.0.1:1").await;
    within(async { while asked(&file).await != ["10.0.0.1:1"] {} }).await;
    std::fs::rename(&file, &moved).expect("it is there");
    client.refused("10.0.0.1:2").await;
    within(async { while asked(&moved).await.len() < 2 {} }).await;
    let sent = std::process::Command::new("kill")
        .args(["-HUP", &program.process.id().to_string()])
        .status();
    assert!(sent.expect("kill runs").success());
    program.says("reloaded the configuration").await;
    client.refused("10.0.0.1:3").await;
    within(async { while asked(&file).await != ["10.0.0.1:3"] {} }).await;
    assert_eq!(asked(&moved).await, ["10.0.0.1:1", "10.0.0.1:2"]);
}
