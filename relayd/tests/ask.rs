//! What is asked before something is opened: nothing leaves before the answer, and the answer counts.

mod common;

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener as StdListener, UdpSocket};
use std::time::{Duration, SystemTime};

use common::{
    Client, ORIGIN, PATIENCE, Recorded, SECRET, TestRelay, acceptor, config, names, token, within,
};
use jackfield_relay_wire::{Code, Frame, Id, Reason, UdpTarget};
use jackfield_relayd::Token;
use jackfield_relayd::ask::{Ask, Fails};
use jackfield_relayd::record::{Answered, Decision, Event};
use jackfield_relayd::resolve::{Resolve, Resolving};
use jackfield_relayd::token::{Claims, Credential, Secret, SigningKey};
use jackfield_socket::{HostName, MulticastGroup, MulticastOptions, UdpOptions};
use jackfield_testing::certs::Authority;
use jackfield_testing::closed::Closed;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

const ALLOWED: &str = "HTTP/1.1 204 No Content\r\n\r\n";
const DENIED: &str = "HTTP/1.1 403 Forbidden\r\nContent-Length: 15\r\n\r\nnot on\nSundays\0";
const TCP_RULE: &str = "127.0.0.0/8:1024-65535";

/// Whom the relay asks; the test answers.
struct Hook {
    url: String,
    questions: mpsc::UnboundedReceiver<Asked>,
}

/// A question that waits for its answer.
struct Asked {
    question: Value,
    stream: Box<dyn Stream>,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Hook {
    async fn start() -> Self {
        let plain = |stream| std::future::ready(Some(Box::new(stream) as _));
        Self::start_with("http://127.0.0.1", plain).await
    }

    /// Under the name `localhost`, by TLS; with the roots to verify it.
    async fn start_secure() -> (Self, String) {
        let (acceptor, roots) = acceptor();
        let hook = Self::start_with("https://localhost", move |stream| {
            let accepting = acceptor.accept(stream);
            async move { accepting.await.ok().map(|stream| Box::new(stream) as _) }
        });
        (hook.await, roots)
    }

    async fn start_with<F>(
        place: &str,
        accept: impl Fn(TcpStream) -> F + Clone + Send + 'static,
    ) -> Self
    where
        F: Future<Output = Option<Box<dyn Stream>>> + Send,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let (tell, questions) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (tell, accept) = (tell.clone(), accept.clone());
                tokio::spawn(async move {
                    if let Some(stream) = accept(stream).await {
                        let _ = tell.send(read_question(stream).await);
                    }
                });
            }
        });
        Self {
            url: format!("{place}:{port}/decide?for=tests"),
            questions,
        }
    }

    fn ask(&self, fails: Fails) -> Ask {
        Ask::new(&self.url, None, fails).expect("loopback")
    }

    /// A token that asks here.
    fn token(&self, fails: Fails) -> Token {
        asking(self.ask(fails))
    }

    async fn next(&mut self) -> Asked {
        within(self.questions.recv()).await.expect("it listens")
    }

    fn is_silent(&mut self) -> bool {
        self.questions.try_recv().is_err()
    }
}

impl Asked {
    /// Answers with this, and ends.
    async fn answer(mut self, answer: &str) {
        let _ = self.stream.write_all(answer.as_bytes()).await;
        let _ = self.stream.shutdown().await;
    }

    /// Waits until nobody wants to know any more.
    async fn taken_back(mut self) {
        let read = within(self.stream.read(&mut [0])).await;
        assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    }
}

async fn read_question(mut stream: Box<dyn Stream>) -> Asked {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("a head"));
    }
    let head = String::from_utf8(head).expect("text").to_lowercase();
    assert!(
        head.starts_with("post /decide?for=tests http/1.1\r\n"),
        "{head}"
    );
    assert!(
        head.contains("\r\ncontent-type: application/json\r\n"),
        "{head}"
    );
    let (_, length) = head.split_once("\r\ncontent-length: ").expect("a length");
    let (length, _) = length.split_once('\r').expect("a line");
    let mut body = vec![0; length.parse().expect("a number")];
    stream.read_exact(&mut body).await.expect("a body");
    Asked {
        question: serde_json::from_slice(&body).expect("JSON"),
        stream,
    }
}

fn asking(ask: Ask) -> Token {
    let mut token = token();
    token.ask = Some(ask);
    token
}

/// A listener that says at once whether somebody has come.
fn target() -> (StdListener, String) {
    let listener = StdListener::bind("127.0.0.1:0").expect("a free port");
    listener.set_nonblocking(true).expect("it can");
    let address = listener.local_addr().expect("bound").to_string();
    (listener, address)
}

#[track_caller]
fn nobody_came(target: &StdListener) {
    let error = target.accept().expect_err("nobody was to come");
    assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
}

async fn opened(client: &mut Client, asked: Id) -> Option<SocketAddr> {
    match client.frame().await {
        Frame::Opened { id, local, .. } if id == asked => local,
        other => panic!("{other:?}"),
    }
}

async fn decided(
    recorded: &mut Recorded,
    decision: Decision,
    outcome: &str,
    answer: Option<Answered>,
) {
    let allowed = decision == Decision::Allow;
    let rule = allowed.then_some(TCP_RULE);
    let record = recorded.decision(decision, rule, outcome).await;
    assert_eq!(record.basis.answer, answer, "{record:?}");
}

/// What was opened is over.
async fn closed(recorded: &mut Recorded) {
    assert_eq!(recorded.next().await.event, Event::Close);
}

#[tokio::test]
async fn nothing_leaves_before_the_answer() {
    let mut hook = Hook::start().await;
    let (relay, mut recorded) = TestRelay::start_recorded(config(hook.token(Fails::Closed))).await;
    let mut client = relay.client().await;
    for answer in [ALLOWED, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"] {
        let (target, to) = target();
        let id = client.ask(&to, 1024).await;
        let asked = hook.next().await;
        let port = target.local_addr().expect("bound").port();
        let peer = asked.question["peer"].clone();
        assert_eq!(
            asked.question,
            json!({
                "token": "tests", "bearer": null, "origin": ORIGIN, "peer": peer,
                "action": "connect", "transport": "tcp", "host": "127.0.0.1", "port": port,
            })
        );
        peer.as_str()
            .expect("text")
            .parse::<SocketAddr>()
            .expect("an address");
        nobody_came(&target);
        asked.answer(answer).await;
        opened(&mut client, id).await;
        target.accept().expect("it is connected");
        let allowed = Some(Answered::Allowed);
        decided(&mut recorded, Decision::Allow, "opened", allowed).await;
        let reason = Reason::new(Code::CLOSED, "");
        client.send(&Frame::Reset { id, reason }).await;
        closed(&mut recorded).await;
    }
}

#[tokio::test]
async fn an_answer_denies_and_says_why() {
    let mut hook = Hook::start().await;
    let (relay, mut recorded) = TestRelay::start_recorded(config(hook.token(Fails::Open))).await;
    let mut client = relay.client().await;
    let endless = "HTTP/1.1 403 Forbidden\r\nContent-Length: 1000000\r\n\r\n";
    for (answer, told) in [
        (DENIED.to_owned(), ": not on Sundays"),
        (
            "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n".into(),
            "",
        ),
        // What is missing of the text makes it no less a denial.
        (format!("{endless}cut"), ""),
        (
            format!("{endless}{}", "x".repeat(10_000)),
            &*format!(": {}", "x".repeat(200)),
        ),
    ] {
        let (target, to) = target();
        let id = client.ask(&to, 1024).await;
        hook.next().await.answer(&answer).await;
        let reason = client.refusal(id).await;
        assert_eq!(reason.code(), Code::DENIED, "{reason}");
        let expected = format!("whom the relay asks denies reaching {to}{told}");
        assert_eq!(reason.text(), expected);
        nobody_came(&target);
        let denied = Some(Answered::Denied);
        decided(&mut recorded, Decision::Deny, "denied", denied).await;
    }
}

/// A denial whose text never comes is one.
#[tokio::test]
async fn a_denial_does_not_wait_for_its_text() {
    let mut hook = Hook::start().await;
    let ask = hook
        .ask(Fails::Open)
        .with_deadline(Duration::from_millis(500));
    let (relay, mut recorded) = TestRelay::start_recorded(config(asking(ask))).await;
    let mut client = relay.client().await;
    let (target, to) = target();
    let id = client.ask(&to, 1024).await;
    let mut asked = hook.next().await;
    let head = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 7\r\n\r\nno";
    asked.stream.write_all(head).await.expect("it waits");
    assert_eq!(client.refusal(id).await.code(), Code::DENIED);
    nobody_came(&target);
    let denied = Some(Answered::Denied);
    decided(&mut recorded, Decision::Deny, "denied", denied).await;
}

#[tokio::test]
async fn what_is_no_answer_is_as_the_token_has_it() {
    let huge_head = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(1_000_000));
    for fails in [Fails::Closed, Fails::Open] {
        let mut hook = Hook::start().await;
        let (relay, mut recorded) = TestRelay::start_recorded(config(hook.token(fails))).await;
        let mut client = relay.client().await;
        for answer in [
            "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n",
            "SSH-2.0-what\r\n",
            &huge_head,
            "",
        ] {
            let (target, to) = target();
            let id = client.ask(&to, 1024).await;
            hook.next().await.answer(answer).await;
            failed(&mut client, &mut recorded, id, &target, fails).await;
        }
    }
}

async fn failed(
    client: &mut Client,
    recorded: &mut Recorded,
    id: Id,
    target: &StdListener,
    fails: Fails,
) {
    if fails == Fails::Open {
        opened(client, id).await;
        target.accept().expect("it is connected");
        let answer = Some(Answered::FailedOpen);
        decided(recorded, Decision::Allow, "opened", answer).await;
        let reason = Reason::new(Code::CLOSED, "");
        client.send(&Frame::Reset { id, reason }).await;
        closed(recorded).await;
    } else {
        let reason = client.refusal(id).await;
        assert_eq!(reason.code(), Code::FAILED, "{reason}");
        nobody_came(target);
        let answer = Some(Answered::FailedClosed);
        decided(recorded, Decision::Deny, "failed", answer).await;
    }
}

#[tokio::test]
async fn silence_and_nobody_there_are_no_answer() {
    for fails in [Fails::Closed, Fails::Open] {
        let mut hook = Hook::start().await;
        let ask = hook.ask(fails).with_deadline(Duration::from_millis(300));
        let (relay, mut recorded) = TestRelay::start_recorded(config(asking(ask))).await;
        let mut client = relay.client().await;
        let (listener, to) = target();
        let id = client.ask(&to, 1024).await;
        let asked = hook.next().await;
        failed(&mut client, &mut recorded, id, &listener, fails).await;
        asked.taken_back().await;

        let nobody = Closed::tcp();
        let url = format!("http://{}/", nobody.address());
        let ask = Ask::new(&url, None, fails).expect("loopback");
        let (relay, mut recorded) = TestRelay::start_recorded(config(asking(ask))).await;
        let mut client = relay.client().await;
        let id = client.ask(&to, 1024).await;
        failed(&mut client, &mut recorded, id, &listener, fails).await;
    }
}

/// Whoever answers must be who it is.
#[tokio::test]
async fn it_is_asked_by_tls_and_by_name() {
    let (mut hook, roots) = Hook::start_secure().await;
    let other = Authority::new().pem().to_owned();
    for (roots, is_right) in [(&roots, true), (&other, false)] {
        let ask = Ask::new(&hook.url, Some(roots), Fails::Closed).expect("valid");
        let (relay, mut recorded) = TestRelay::start_recorded(config(asking(ask))).await;
        let mut client = relay.client().await;
        let (target, to) = target();
        let id = client.ask(&to, 1024).await;
        if is_right {
            hook.next().await.answer(ALLOWED).await;
            opened(&mut client, id).await;
            let allowed = Some(Answered::Allowed);
            decided(&mut recorded, Decision::Allow, "opened", allowed).await;
        } else {
            failed(&mut client, &mut recorded, id, &target, Fails::Closed).await;
        }
    }
    assert!(hook.is_silent());
}

/// A resolver that says what it is asked for.
#[derive(Debug)]
struct Telling(mpsc::UnboundedSender<String>);

impl Resolve for Telling {
    fn resolve(&self, name: &HostName) -> Resolving {
        let _ = self.0.send(name.to_string());
        Box::pin(std::future::ready(Ok(vec![[127, 0, 0, 1].into()])))
    }
}

#[tokio::test]
async fn no_name_is_looked_up_before_the_answer() {
    let mut hook = Hook::start().await;
    let mut token = hook.token(Fails::Closed);
    let rule = "target.example:1024-65535";
    token.policy.allow.push(rule.parse().expect(rule));
    let (tell, mut names) = mpsc::unbounded_channel();
    let relay = TestRelay::start_with(config(token), Telling(tell)).await;
    let mut client = relay.client().await;
    let (target, address) = target();
    let to = address.replace("127.0.0.1", "target.example");
    let id = client.ask(&to, 1024).await;
    let asked = hook.next().await;
    assert_eq!(asked.question["host"], "target.example");
    names.try_recv().expect_err("nobody looks it up");
    asked.answer(DENIED).await;
    assert_eq!(client.refusal(id).await.code(), Code::DENIED);
    names.try_recv().expect_err("nobody looks it up");
    nobody_came(&target);

    let id = client.ask(&to, 1024).await;
    hook.next().await.answer(ALLOWED).await;
    opened(&mut client, id).await;
    assert_eq!(names.try_recv().expect("looked up"), "target.example");
}

/// The rules come first, and no answer opens what they deny.
#[tokio::test]
async fn what_the_rules_deny_is_not_asked() {
    let mut hook = Hook::start().await;
    let mut token = hook.token(Fails::Open);
    token.policy.deny = vec!["127.0.0.1:2000".parse().expect("a rule")];
    let (relay, mut recorded) = TestRelay::start_recorded(config(token)).await;
    let mut client = relay.client().await;
    for (to, rule) in [
        ("127.0.0.1:2000", Some("127.0.0.1:2000")),
        ("10.0.0.1:80", None),
    ] {
        assert_eq!(client.refused(to).await.code(), Code::DENIED);
        let record = recorded.decision(Decision::Deny, rule, "denied").await;
        assert_eq!(record.basis.answer, None);
    }
    let id = client.ask_to_listen("127.0.0.2:0", 1).await;
    assert_eq!(client.refusal(id).await.code(), Code::DENIED);
    assert!(hook.is_silent());
}

#[tokio::test]
async fn a_place_to_listen_is_asked_about() {
    let mut hook = Hook::start().await;
    let (relay, mut recorded) = TestRelay::start_recorded(config(hook.token(Fails::Closed))).await;
    let mut client = relay.client().await;
    let id = client.ask_to_listen("127.0.0.1:0", 1).await;
    let asked = hook.next().await;
    let told = ["action", "transport", "host", "port"].map(|key| asked.question[key].clone());
    assert_eq!(
        Value::from(told.to_vec()),
        json!(["listen", "tcp", "127.0.0.1", 0])
    );
    asked.answer(DENIED).await;
    let reason = client.refusal(id).await;
    assert!(reason.text().contains("denies listening at"), "{reason}");
    let record = recorded.decision(Decision::Deny, None, "denied").await;
    assert_eq!(record.basis.answer, Some(Answered::Denied));

    let id = client.ask_to_listen("127.0.0.1:0", 1).await;
    hook.next().await.answer(ALLOWED).await;
    opened(&mut client, id).await;
    let record = (recorded.decision(Decision::Allow, Some("127.0.0.1:*"), "opened")).await;
    assert_eq!(record.basis.answer, Some(Answered::Allowed));
}

#[tokio::test]
async fn each_group_is_asked_about() {
    let mut hook = Hook::start().await;
    let mut token = hook.token(Fails::Closed);
    token.udp_open = true;
    let rule = "239.0.0.0/8:1024-65535/udp";
    token.policy.allow.push(rule.parse().expect(rule));
    let (relay, mut recorded) = TestRelay::start_recorded(config(token)).await;
    let mut client = relay.client().await;
    let (free, at) = peer();
    drop(free);
    let mut options = UdpOptions::default();
    let mut multicast = MulticastOptions::default();
    let groups = ["239.1.2.3", "239.1.2.4"].map(|group| group.parse().expect(group));
    multicast.groups = groups.map(MulticastGroup::new).into();
    options.multicast = Some(multicast);
    let id = client.new_id();
    client
        .send(&Frame::Udp {
            id,
            credit: 1024,
            target: UdpTarget::Bound(at),
            options,
        })
        .await;
    for (action, host, answer) in [
        ("bind", "127.0.0.1", ALLOWED),
        ("join", "239.1.2.3", ALLOWED),
        ("join", "239.1.2.4", DENIED),
    ] {
        let asked = hook.next().await;
        let told = ["action", "host", "port"].map(|key| asked.question[key].clone());
        assert_eq!(Value::from(told.to_vec()), json!([action, host, at.port()]));
        asked.answer(answer).await;
    }
    let reason = client.refusal(id).await;
    let expected = format!("denies joining 239.1.2.4:{}: not on Sundays", at.port());
    assert!(reason.text().contains(&expected), "{reason}");
    let record = recorded.decision(Decision::Deny, None, "denied").await;
    assert_eq!(record.basis.answer, Some(Answered::Denied));
}

fn peer() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    socket.set_nonblocking(true).expect("it can");
    let address = socket.local_addr().expect("bound");
    (socket, address)
}

async fn send(client: &mut Client, id: Id, to: SocketAddr, data: &'static [u8]) {
    let datagram = Frame::Datagram {
        id,
        peer: Some(to),
        truncated: false,
        data: data.into(),
    };
    client.send(&datagram).await;
}

/// What has come to a socket, waited for.
async fn receive(socket: &UdpSocket) -> Vec<u8> {
    let socket = socket.try_clone().expect("it can");
    let received = tokio::task::spawn_blocking(move || {
        socket.set_nonblocking(false).expect("it can");
        socket.set_read_timeout(Some(PATIENCE)).expect("it can");
        let mut buffer = [0; 64];
        let length = socket.recv(&mut buffer).expect("a datagram");
        socket.set_nonblocking(true).expect("it can");
        buffer[..length].to_vec()
    });
    received.await.expect("no panic")
}

async fn bind(client: &mut Client, hook: &mut Hook) -> Id {
    let id = client.new_id();
    client
        .send(&Frame::Udp {
            id,
            credit: 1024 * 1024,
            target: UdpTarget::Bound("127.0.0.1:0".parse().expect("an address")),
            options: UdpOptions::default(),
        })
        .await;
    let asked = hook.next().await;
    assert_eq!(asked.question["action"], "bind");
    asked.answer(ALLOWED).await;
    opened(client, id).await;
    id
}

/// What is recorded of a peer that may be sent to.
async fn sends(recorded: &mut Recorded, to: SocketAddr, answer: Answered) {
    let rule = Some("127.0.0.0/8:1024-65535/udp");
    let record = recorded.datagrams(to, Decision::Allow, rule).await;
    assert_eq!(record.basis.answer, Some(answer), "{record:?}");
    assert_eq!(record.address, Some(to), "{record:?}");
}

/// Waits until the relay has dropped so many of the client's datagrams in all.
async fn dropped(client: &mut Client, expected: u64) {
    let mut dropped = 0;
    while dropped < expected {
        match client.frame().await {
            Frame::Dropped { total, .. } => dropped = total,
            Frame::Credit { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(dropped, expected);
}

#[tokio::test]
async fn each_new_peer_is_asked_about_and_the_others_go_on() {
    let mut hook = Hook::start().await;
    let (relay, mut recorded) = TestRelay::start_recorded(config(hook.token(Fails::Closed))).await;
    let mut client = relay.client().await;
    let id = bind(&mut client, &mut hook).await;
    let rule = Some("127.0.0.1:*/udp");
    let record = recorded.decision(Decision::Allow, rule, "opened").await;
    assert_eq!(record.basis.answer, Some(Answered::Allowed));

    let (known, known_at) = peer();
    send(&mut client, id, known_at, b"first").await;
    hook.next().await.answer(ALLOWED).await;
    assert_eq!(receive(&known).await, b"first");
    sends(&mut recorded, known_at, Answered::Allowed).await;

    let (new, new_at) = peer();
    send(&mut client, id, new_at, b"asks").await;
    send(&mut client, id, new_at, b"dropped").await;
    let asked = hook.next().await;
    let told = ["action", "transport", "host", "port"].map(|key| asked.question[key].clone());
    assert_eq!(
        Value::from(told.to_vec()),
        json!(["send", "udp", "127.0.0.1", new_at.port()])
    );
    send(&mut client, id, known_at, b"second").await;
    assert_eq!(receive(&known).await, b"second");
    let error = new.recv(&mut [0; 64]).expect_err("nothing was to come");
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    asked.answer(ALLOWED).await;
    assert_eq!(receive(&new).await, b"asks");
    sends(&mut recorded, new_at, Answered::Allowed).await;
    send(&mut client, id, new_at, b"later").await;
    assert_eq!(receive(&new).await, b"later");

    let (denied, denied_at) = peer();
    send(&mut client, id, denied_at, b"denied").await;
    hook.next().await.answer(DENIED).await;
    let record = recorded.datagrams(denied_at, Decision::Deny, None).await;
    assert_eq!(record.basis.answer, Some(Answered::Denied));
    assert_eq!(
        record.why.as_deref(),
        Some("the answer denies it: not on Sundays")
    );
    let error = denied.recv(&mut [0; 64]).expect_err("nothing was to come");
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    assert!(hook.is_silent());
    dropped(&mut client, 2).await;
}

/// Peers, too, are sent to or not as the token has it.
#[tokio::test]
async fn of_peers_without_an_answer_it_is_recorded_how_the_question_fails() {
    for fails in [Fails::Open, Fails::Closed] {
        let mut hook = Hook::start().await;
        let (relay, mut recorded) = TestRelay::start_recorded(config(hook.token(fails))).await;
        let mut client = relay.client().await;
        let id = bind(&mut client, &mut hook).await;
        recorded.next().await;
        let (peer, at) = peer();
        send(&mut client, id, at, b"hello").await;
        hook.next().await.answer("what").await;
        if fails == Fails::Open {
            assert_eq!(receive(&peer).await, b"hello");
            sends(&mut recorded, at, Answered::FailedOpen).await;
        } else {
            let record = recorded.datagrams(at, Decision::Deny, None).await;
            assert_eq!(record.basis.answer, Some(Answered::FailedClosed));
            dropped(&mut client, 1).await;
        }
    }
}

/// A peer beyond those that are being asked about is not asked about.
#[tokio::test]
async fn a_socket_asks_about_eight_peers_at_a_time() {
    let mut hook = Hook::start().await;
    let relay = TestRelay::start(config(hook.token(Fails::Closed))).await;
    let mut client = relay.client().await;
    let id = bind(&mut client, &mut hook).await;
    let peers: Vec<_> = std::iter::repeat_with(peer).take(9).collect();
    for (_, at) in &peers {
        send(&mut client, id, *at, b"hello").await;
    }
    let mut asked = Vec::new();
    for _ in 0..8 {
        asked.push(hook.next().await);
    }
    dropped(&mut client, 1).await;
    assert!(hook.is_silent());
    for asked in asked {
        asked.answer(ALLOWED).await;
    }
    for (peer, _) in &peers[..8] {
        assert_eq!(receive(peer).await, b"hello");
    }
}

/// One more question than there may be is refused, also by a token that fails open.
#[tokio::test]
async fn questions_have_a_bound_and_end_with_what_they_are_about() {
    let mut hook = Hook::start().await;
    let ask = hook.ask(Fails::Open).with_at_most(1);
    let (relay, mut recorded) = TestRelay::start_recorded(config(asking(ask))).await;
    let mut client = relay.client().await;
    let (target, to) = target();
    let first = client.ask(&to, 1024).await;
    let asked = hook.next().await;
    names(&client.refused(&to).await, "ask_at_most");
    decided(&mut recorded, Decision::Deny, "limit exceeded", None).await;

    let reason = Reason::new(Code::CANCELLED, "");
    client.send(&Frame::Reset { id: first, reason }).await;
    asked.taken_back().await;
    assert_eq!(recorded.next().await.basis.decision, Decision::None);
    let _second = client.ask(&to, 1024).await;
    let asked = hook.next().await;
    // The session ends.
    drop(client);
    asked.taken_back().await;
    assert_eq!(recorded.next().await.basis.decision, Decision::None);
    nobody_came(&target);
}

/// Who asks much takes the answers of nobody else.
#[tokio::test]
async fn each_bearer_has_a_share_of_the_questions() {
    const KEY: &str = "the-signing-key-of-all-these-tests";
    let mut hook = Hook::start().await;
    let mut token = asking(hook.ask(Fails::Open).with_at_most(8));
    token.credential = Credential::Key(Secret::new(KEY).expect("long enough"));
    let relay = TestRelay::start(config(token)).await;
    let client = async |subject: &str| {
        let mut claims = Claims::new(SystemTime::now() + Duration::from_secs(1000));
        claims.subject = Some(subject.into());
        let key = SigningKey::hs256(&Secret::new(KEY).expect("long enough"));
        let key = key.expect("long enough").with_id("tests");
        let jwt = key.mint(&claims).expect("short");
        let client = Client::open(relay.address, ORIGIN, Some(&jwt)).await;
        client.expect("let in")
    };
    let (_target, to) = target();
    let (mut greedy, mut again) = (client("eve").await, client("eve").await);
    let mut asked = Vec::new();
    for client in [&mut greedy, &mut again] {
        client.ask(&to, 1024).await;
        asked.push(hook.next().await);
    }
    let refused = greedy.refused(&to).await;
    assert_eq!(
        refused.text(),
        "the bearer's limit ask_at_most (2) is reached"
    );
    let mut other = client("ada").await;
    let id = other.ask(&to, 1024).await;
    hook.next().await.answer(ALLOWED).await;
    opened(&mut other, id).await;
    // What was answered makes room.
    asked.pop().expect("the second").answer(ALLOWED).await;
    assert!(matches!(again.frame().await, Frame::Opened { .. }));
    greedy.ask(&to, 1024).await;
    hook.next().await;
}

/// What was opened unasked, or by another's answer, ends; what the same would answer goes on.
#[tokio::test]
async fn a_reload_is_live() {
    let (mut hook, mut other) = (Hook::start().await, Hook::start().await);
    let (relay, reloader) = TestRelay::start_reloadable(config(token())).await;
    let (_target, to) = target();
    let mut unasked = relay.client().await;
    unasked.connect(&to, 1024).await;
    reloader
        .reload(&config(hook.token(Fails::Closed)))
        .await
        .expect("valid");
    assert!(unasked.last_word().await.is_some());

    let mut client = relay.client().await;
    let id = client.ask(&to, 1024).await;
    hook.next().await.answer(ALLOWED).await;
    opened(&mut client, id).await;
    let patient = hook
        .ask(Fails::Closed)
        .with_deadline(Duration::from_secs(9));
    reloader
        .reload(&config(asking(patient)))
        .await
        .expect("valid");
    client.send(&Frame::Ping([7; 8])).await;
    assert_eq!(client.frame().await, Frame::Pong([7; 8]));

    reloader
        .reload(&config(other.token(Fails::Closed)))
        .await
        .expect("valid");
    assert!(client.last_word().await.is_some());
    let mut client = Client::open(relay.address, ORIGIN, Some(SECRET))
        .await
        .expect("let in");
    client.ask(&to, 1024).await;
    other.next().await;
    assert!(hook.is_silent());
}
