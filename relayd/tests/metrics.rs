//! Metrics of the program itself, as a scraper and as a client see them.

#![cfg(unix)]

mod common;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use common::program::{Program, configuration};
use common::{Client, ORIGIN, SECRET, headers, keep, request, target, within};
use jackfield_relay_wire::auth::Token;
use jackfield_relay_wire::{Code, Frame, Reason, UdpTarget};
use jackfield_relayd::token::{Claims, Secret, SigningKey};
use jackfield_socket::UdpOptions;
use jackfield_testing::certs::Authority;
use jackfield_testing::closed::Closed;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};

const KEY: &str = "the-signing-key-of-all-these-tests";

/// A program that answers with metrics, and where.
async fn start() -> (Program, SocketAddr) {
    let key = format!("[[token]]\nname = 'app'\nsigning_key = '{KEY}'\n");
    let text = configuration("metrics = '127.0.0.1:0'", &key);
    let program = Program::start(&text).await;
    let metrics = program.address_of("answering with metrics").await;
    (program, metrics)
}

async fn client(program: &Program, token: &str) -> Client {
    let client = Client::open(program.address, ORIGIN, Some(token)).await;
    client.expect("let in")
}

/// What a scraper reads: each sample by its name and labels, as they stand there.
#[derive(Debug)]
struct Scrape(BTreeMap<String, String>);

impl Scrape {
    async fn of(metrics: SocketAddr) -> Self {
        let (head, body) = get(metrics, "GET /metrics HTTP/1.1").await;
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert!(head.contains("\r\nContent-Type: application/openmetrics-text; version=1.0.0"));
        Self::parse(&body)
    }

    /// Reads OpenMetrics text, and holds it to what it has to be.
    fn parse(text: &str) -> Self {
        let mut families: BTreeMap<&str, &str> = BTreeMap::new();
        let mut samples = BTreeMap::new();
        let lines = text.strip_suffix("# EOF\n").expect("the end");
        for line in lines.lines() {
            if let Some(line) = line.strip_prefix("# ") {
                let mut words = line.splitn(3, ' ');
                let mut next = || words.next().expect(line);
                match (next(), next(), next()) {
                    ("TYPE", name, kind) => {
                        assert!(families.insert(name, kind).is_none(), "twice: {line}");
                    }
                    ("HELP" | "UNIT", ..) => {}
                    _ => panic!("{line}"),
                }
                continue;
            }
            let (name, value) = line.rsplit_once(' ').expect(line);
            let family = name.split('{').next().expect(line);
            let suffixes = ["_total", "_info", "_bucket", "_sum", "_count", ""];
            let mut bare = suffixes.iter().filter_map(|end| family.strip_suffix(end));
            assert!(bare.any(|name| families.contains_key(name)), "{line}");
            assert!(family.starts_with("jackfield_"), "{line}");
            assert!(value.parse::<f64>().is_ok(), "{line}");
            let before = samples.insert(name.to_owned(), value.to_owned());
            assert!(before.is_none(), "twice: {line}");
        }
        Self(samples)
    }

    /// A number as it stands there; nothing is there of what has not happened yet.
    fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("0", String::as_str)
    }
}

/// Asks until all of these samples are there; a session shows its numbers after its turn, not in it.
#[track_caller]
fn shows(metrics: SocketAddr, samples: &[(&str, u32)]) -> impl Future<Output = Scrape> {
    let caller = std::panic::Location::caller();
    let wanted: Vec<(String, String)> = (samples.iter())
        .map(|(name, value)| (format!("jackfield_{name}"), value.to_string()))
        .collect();
    async move {
        let mut last = None;
        let asking = async {
            loop {
                let scrape = Scrape::of(metrics).await;
                let good = |(name, value): &(String, String)| scrape.get(name) == value;
                if wanted.iter().all(good) {
                    return scrape;
                }
                last = Some(scrape);
            }
        };
        let found = tokio::time::timeout(common::PATIENCE, asking).await.ok();
        found.unwrap_or_else(|| panic!("{caller}: {wanted:#?} in {last:#?}"))
    }
}

/// One request, and its answer's head and body.
async fn get(at: SocketAddr, line: &str) -> (String, String) {
    let host = [("Host".to_owned(), "any".to_owned())];
    let (_, answer) = request(at, line, &host).await;
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    (format!("{head}\r\n"), body.to_owned())
}

#[tokio::test]
async fn the_numbers_are_those_of_what_was_done() {
    let (program, metrics) = start().await;
    let scrape = Scrape::of(metrics).await;
    let version = env!("CARGO_PKG_VERSION");
    let build = format!("jackfield_build_info{{version=\"{version}\"}}");
    assert_eq!(scrape.get(&build), "1", "{scrape:#?}");
    assert_eq!(
        scrape.get("jackfield_budget_limit{limit=\"sessions\"}"),
        "1024"
    );
    // What was never there is none, too.
    for name in ["tests", "app"] {
        let sessions = format!("jackfield_sessions{{token=\"{name}\"}}");
        assert!(scrape.0.contains_key(&sessions), "{scrape:#?}");
    }

    let (address, echo) = target(|mut stream| async move {
        let mut read = [0; 5];
        stream.read_exact(&mut read).await?;
        stream.write_all(b"an answer").await?;
        stream.read(&mut [0]).await
    })
    .await;
    let mut client = client(&program, SECRET).await;
    let (id, mut credit) = client.connect(&address, 1024).await;
    let data = b"hello".as_slice().into();
    client.send(&Frame::Data { id, data }).await;
    while !matches!(client.frame().await, Frame::Data { .. }) {}
    let open = [
        ("sessions{token=\"tests\"}", 1),
        ("streams{kind=\"stream\"}", 1),
        ("streams{kind=\"listener\"}", 0),
        ("payload_bytes_total{direction=\"up\"}", 5),
        ("payload_bytes_total{direction=\"down\"}", 9),
        (
            "openings_total{action=\"connect\",transport=\"tcp\",result=\"opened\"}",
            1,
        ),
        ("handshakes_total{result=\"admitted\"}", 1),
        ("budget_used{limit=\"sessions\"}", 1),
        ("budget_used{limit=\"streams\"}", 1),
        ("dial_seconds_count", 1),
    ];
    shows(metrics, &open).await;

    // A listener, a datagram each way, and what is refused.
    let listening = client.ask_to_listen("127.0.0.1:0", 1).await;
    assert!(matches!(client.frame().await, Frame::Opened { .. }));
    let peer = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
    let to = peer.local_addr().expect("bound");
    let socket = client.new_id();
    let ask = Frame::Udp {
        id: socket,
        credit: 100_000,
        target: UdpTarget::Connected(to.into()),
        options: UdpOptions::default(),
    };
    client.send(&ask).await;
    assert!(matches!(client.frame().await, Frame::Opened { .. }));
    let datagram = Frame::Datagram {
        id: socket,
        peer: None,
        truncated: false,
        data: b"ping".as_slice().into(),
    };
    client.send(&datagram).await;
    let mut buffer = [0; 16];
    let (_, from) = within(peer.recv_from(&mut buffer)).await.expect("it comes");
    peer.send_to(b"pong!", from).await.expect("sent");
    while !matches!(client.frame().await, Frame::Datagram { .. }) {}
    for _ in 0..3 {
        let reason = client.refused("10.0.0.1:80").await;
        assert_eq!(reason.code(), Code::DENIED);
    }
    let nobody = Closed::tcp();
    let reason = client.refused(&nobody.address().to_string()).await;
    assert_eq!(reason.code(), Code::REFUSED);
    let wrong = Client::upgrade(program.address, ORIGIN, Some("no-token-of-this-relay")).await;
    let reason = wrong.expect("a WebSocket").last_word().await;
    assert_eq!(reason.expect("a reason").code(), Code::TOKEN_UNKNOWN);
    get(program.address, "GET /healthz HTTP/1.1").await;
    get(program.address, "GET / HTTP/1.1").await;
    let more = [
        ("streams{kind=\"listener\"}", 1),
        ("streams{kind=\"datagrams\"}", 1),
        ("datagrams_total{direction=\"up\"}", 1),
        ("datagrams_total{direction=\"down\"}", 1),
        ("payload_bytes_total{direction=\"up\"}", 9),
        ("payload_bytes_total{direction=\"down\"}", 14),
        (
            "openings_total{action=\"listen\",transport=\"tcp\",result=\"opened\"}",
            1,
        ),
        (
            "openings_total{action=\"connect\",transport=\"udp\",result=\"opened\"}",
            1,
        ),
        (
            "openings_total{action=\"connect\",transport=\"tcp\",result=\"denied\"}",
            3,
        ),
        (
            "openings_total{action=\"connect\",transport=\"tcp\",result=\"refused\"}",
            1,
        ),
        ("handshakes_total{result=\"token_unknown\"}", 1),
        ("handshakes_total{result=\"probe\"}", 1),
        ("handshakes_total{result=\"refused\"}", 1),
        ("budget_used{limit=\"streams\"}", 3),
    ];
    shows(metrics, &more).await;

    // What was carried stays, what was open goes.
    let reason = Reason::new(Code::CANCELLED, "");
    for id in [listening, socket] {
        let reason = reason.clone();
        client.send(&Frame::Reset { id, reason }).await;
    }
    client.send(&Frame::Fin { id }).await;
    within(echo).await.expect("it ends").expect("in order");
    client.read_to_end(id, &mut credit).await;
    drop(client);
    let after = [
        ("sessions{token=\"tests\"}", 0),
        ("streams{kind=\"stream\"}", 0),
        ("streams{kind=\"listener\"}", 0),
        ("streams{kind=\"datagrams\"}", 0),
        ("payload_bytes_total{direction=\"up\"}", 9),
        ("payload_bytes_total{direction=\"down\"}", 14),
        ("budget_used{limit=\"streams\"}", 0),
    ];
    shows(metrics, &after).await;
}

/// Nothing that comes from outside becomes a label: neither who somebody says that he is, nor what he
/// asks for, nor a code that he has made up.
#[tokio::test]
async fn no_label_is_of_a_clients_making() {
    let (program, metrics) = start().await;
    let mut claims = Claims::new(SystemTime::now() + Duration::from_secs(1000));
    claims.subject = Some("ada-lovelace".into());
    let key = SigningKey::hs256(&Secret::new(KEY).expect("long enough"));
    let key = key.expect("long enough").with_id("app");
    let token = key.mint(&claims).expect("short");
    let mut ada = client(&program, &token).await;
    ada.refused("secret.example:443").await;
    let mut other = client(&program, SECRET).await;
    // A dial that hangs, and that the client takes back with a code of its own.
    let full = TcpSocket::new_v4().expect("a socket");
    full.bind("127.0.0.1:0".parse().expect("an address"))
        .expect("a free port");
    let full = full.listen(1).expect("it listens");
    let to = full.local_addr().expect("bound");
    let _queued = [(); 2].map(|()| std::net::TcpStream::connect(to).expect("there is room"));
    let id = other.ask(&to.to_string(), 1024).await;
    shows(metrics, &[("streams{kind=\"opening\"}", 1)]).await;
    let code = Code::from_close_code(4200).expect("a code");
    let reason = Reason::new(code, "a text of its own");
    other.send(&Frame::Reset { id, reason }).await;
    other.refused("10.0.0.1:80").await;
    let taken_back = "openings_total{action=\"connect\",transport=\"tcp\",result=\"other\"}";
    shows(
        metrics,
        &[(taken_back, 1), ("streams{kind=\"opening\"}", 0)],
    )
    .await;
    shows(metrics, &[("sessions{token=\"app\"}", 1)]).await;
    let (_, body) = get(metrics, "GET /metrics HTTP/1.1").await;
    for word in ["ada", "example", "10.0.0", "code_200", "app.", SECRET] {
        assert!(!body.contains(word), "{word}: {body}");
    }
}

/// Where a rule allows everything, metrics and their port are still none of a client's business.
#[tokio::test]
async fn a_client_never_reaches_the_metrics() {
    let (program, metrics) = start().await;
    let mut client = client(&program, SECRET).await;
    let reason = client.refused(&metrics.to_string()).await;
    assert_eq!(reason.code(), Code::DENIED);
    assert!(reason.text().contains("the relay itself"), "{reason}");
    let (head, _) = get(program.address, "GET /metrics HTTP/1.1").await;
    assert!(!head.starts_with("HTTP/1.1 200"), "{head}");
}

#[tokio::test]
async fn only_metrics_are_answered_with() {
    let (_program, metrics) = start().await;
    let (head, body) = get(metrics, "HEAD /metrics HTTP/1.0").await;
    assert!(
        head.starts_with("HTTP/1.1 200") && body.is_empty(),
        "{head}"
    );
    let (head, body) = get(metrics, "GET /metrics?name[]=x HTTP/1.1").await;
    assert!(
        head.starts_with("HTTP/1.1 200") && !body.is_empty(),
        "{head}"
    );
    for line in [
        "GET / HTTP/1.1",
        "POST /metrics HTTP/1.1",
        "GET /metrics/ HTTP/1.1",
    ] {
        let (head, _) = get(metrics, line).await;
        assert!(head.starts_with("HTTP/1.1 404"), "{line}: {head}");
    }
    let (head, _) = get(metrics, "\x16\x03\x01").await;
    assert!(head.starts_with("HTTP/1.1 400"), "{head}");
}

/// A thousand who connect and say nothing: a few are waited for, the others closed, and clients come in.
#[tokio::test]
async fn a_flood_of_scrapers_is_bounded() {
    let (program, metrics) = start().await;
    let mut silent = Vec::new();
    for _ in 0..1000 {
        silent.push(TcpStream::connect(metrics).await.expect("it listens"));
    }
    // All but those that are waited for end at once.
    let (ended, mut ends) = tokio::sync::mpsc::unbounded_channel();
    for mut stream in silent {
        let ended = ended.clone();
        tokio::spawn(async move {
            let _ = stream.read(&mut [0]).await;
            let _ = ended.send(());
        });
    }
    for _ in 0..1000 - 8 {
        within(ends.recv()).await.expect("it is closed");
    }
    let mut client = client(&program, SECRET).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    client.connect(&keep(listener), 1024).await;
}

/// What else there is to count: look-ups, those who are turned away, records that can't be written, and when
/// the certificate ends.
#[tokio::test]
async fn what_goes_wrong_is_counted() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut params = rcgen::CertificateParams::new(["localhost".into()]).expect("a name");
    params.not_after = rcgen::date_time_ymd(2041, 2, 3);
    let key = rcgen::KeyPair::generate().expect("a key");
    let certificate = params.self_signed(&key).expect("signed");
    let write = |name, text| std::fs::write(directory.path().join(name), text).expect("written");
    write("relay.crt", certificate.pem());
    write("relay.key", key.serialize_pem());
    let fleet = Authority::new();
    write("fleet.pem", fleet.pem().to_owned());
    write("fleet.crl", fleet.revoked_until(&[7], -1));
    let token = "[[token]]\nname = 'fleet'\nclient_ca_file = 'fleet.pem'\n\
                 client_crl_file = 'fleet.crl'\n";
    let tls = "[tls]\ncertificate_file = 'relay.crt'\nkey_file = 'relay.key'\n";
    let before = format!(
        "metrics = '127.0.0.1:0'\nallow_without_origin = true\n{tls}\
         [admission]\nhandshakes = '1:100:1'\nexempt = []\n"
    );
    let program = Program::start_in(directory, &configuration(&before, token)).await;
    let metrics = program.address_of("answering with metrics").await;
    let end = format!("{}", params.not_after.unix_timestamp());
    let scrape = Scrape::of(metrics).await;
    assert_eq!(scrape.get("jackfield_certificate_not_after_seconds"), end);
    let due = scrape.get("jackfield_crl_next_update_seconds{token=\"fleet\"}");
    let due: u64 = due.parse().expect("seconds");
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.expect("later than 1970").as_secs();
    assert!((now - 90_000..now).contains(&due), "{due}");

    // One is waited for, and the other is turned away.
    let (mut one, mut other) = (
        TcpStream::connect(program.address)
            .await
            .expect("it listens"),
        TcpStream::connect(program.address)
            .await
            .expect("it listens"),
    );
    let one_is_closed = within(async {
        let (mut first, mut second) = ([0], [0]);
        tokio::select! {
            _ = one.read(&mut first) => true,
            _ = other.read(&mut second) => false,
        }
    });
    let mut first = if one_is_closed.await { other } else { one };
    shows(metrics, &[("turned_away_total{reason=\"early\"}", 1)]).await;
    first.write_all(b"that is no TLS").await.expect("open");
    shows(metrics, &[("handshakes_total{result=\"tls_failed\"}", 1)]).await;

    // Whom a proxy speaks for is counted as who comes by himself.
    let before = "metrics = '127.0.0.1:0'\n[admission]\nrefuse_after_seconds = 0\n\
                  [proxies]\ntrusted = ['127.0.0.1']\nheader = 'x-forwarded-for'\n";
    let program = Program::start(&configuration(before, "")).await;
    let metrics = program.address_of("answering with metrics").await;
    let host = program.address.to_string();
    let mut told = headers(&host, Some(ORIGIN), Some("a-token-of-nobody"));
    told.push(("X-Forwarded-For".to_owned(), "192.0.2.7".to_owned()));
    let (_, answer) = request(program.address, "GET / HTTP/1.1", &told).await;
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    let (_, answer) = request(program.address, "GET / HTTP/1.1", &told).await;
    assert!(answer.starts_with("HTTP/1.1 429 "), "{answer}");
    let turned = "turned_away_total{reason=\"penalised\"}";
    shows(metrics, &[(turned, 1)]).await;

    // A disk that is full, to the relay.
    let before = "metrics = '127.0.0.1:0'\n[records]\nfile = '/dev/full'\n";
    let program = Program::start(&configuration(before, "")).await;
    let metrics = program.address_of("answering with metrics").await;
    let mut client = client(&program, SECRET).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    client.connect(&format!("localhost:{port}"), 1024).await;
    client.refused("10.0.0.1:80").await;
    // That it was let in, and what became of two openings.
    let counted = [
        ("lines_dropped_total{sink=\"records\"}", 3),
        ("lines_dropped_total{sink=\"log\"}", 0),
        ("look_ups_total{result=\"found\"}", 1),
        ("look_up_seconds_count", 1),
        ("budget_used{limit=\"look_ups\"}", 0),
    ];
    shows(metrics, &counted).await;
}

/// Whatever waits for a limit is seen, with the limit and whose it is.
#[tokio::test]
async fn what_is_held_back_is_counted() {
    let limits = "limits = { bytes_per_second = 1 }\n[source_limits]\npackets_per_second = 1";
    let text = configuration("metrics = '127.0.0.1:0'", limits);
    let program = Program::start(&text).await;
    let metrics = program.address_of("answering with metrics").await;
    let bytes = "held_back{limit=\"bytes_per_second\",whose=\"token\"}";
    let packets = "held_back{limit=\"packets_per_second\",whose=\"source\"}";
    let first = Scrape::of(metrics).await;
    assert!(
        first.0.contains_key(&format!("jackfield_{bytes}")),
        "{first:#?}"
    );
    let (to, sending) =
        target(|mut stream| async move { stream.write_all(&common::pattern(1024 * 1024)).await })
            .await;
    let mut client = client(&program, SECRET).await;
    let (id, _) = client.connect(&to, 1024 * 1024).await;
    shows(metrics, &[(bytes, 1), (packets, 0)]).await;
    let reason = Reason::new(Code::CANCELLED, "");
    client.send(&Frame::Reset { id, reason }).await;
    shows(metrics, &[(bytes, 0)]).await;
    // All of it may have been in the system's buffers.
    let _ = within(sending).await;
}

#[tokio::test]
async fn tokens_within_a_session_are_counted() {
    let (program, metrics) = start().await;
    let mut claims = Claims::new(SystemTime::now() + Duration::from_secs(1000));
    claims.subject = Some("ada".into());
    let key = Secret::new(KEY).and_then(|key| SigningKey::hs256(&key));
    let token = key.expect("long enough").mint(&claims).expect("short");
    let mut client = client(&program, &token).await;
    for shown in [&*token, &*token, "a guess"] {
        let shown = Token::new(shown).expect("short");
        client.send(&Frame::Token(shown)).await;
        client.frame().await;
    }
    let counted = [
        ("renewals_total{result=\"renewed\"}", 2),
        ("renewals_total{result=\"token_unknown\"}", 1),
    ];
    shows(metrics, &counted).await;
}
