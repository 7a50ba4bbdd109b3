//! The end of a relay, and its next beginning: who is told what, and when.

mod common;

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use common::{
    Client, ORIGIN, SECRET, TestRelay, config, headers, keep, request, target, token, within,
};
use jackfield_relay_wire::{Code, Frame};
use jackfield_relayd::Config;
use jackfield_relayd::record::Event;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Longer than any test.
const LONG: Duration = Duration::from_hours(1);

/// A relay that is never in a hurry.
fn patient() -> Config {
    let mut config = config(token());
    config.health = Some("127.0.0.1:0".parse().expect("an address"));
    config.drain.cut = 3 * LONG;
    config
}

async fn listener() -> String {
    keep(TcpListener::bind("127.0.0.1:0").await.expect("a free port"))
}

/// Whether health is good there, and readiness too.
async fn health(at: SocketAddr) -> [bool; 2] {
    let mut good = [false; 2];
    for (good, path) in good.iter_mut().zip(["/healthz", "/readyz"]) {
        let (_, answer) = request(at, &format!("GET {path} HTTP/1.0"), &[]).await;
        *good = answer.starts_with("HTTP/1.1 200 ");
        assert!(*good || answer.starts_with("HTTP/1.1 503 "), "{answer}");
    }
    good
}

/// Waits until nobody listens there.
async fn is_closed(at: SocketAddr) {
    within(async { while TcpStream::connect(at).await.is_ok() {} }).await;
}

#[tokio::test]
async fn readiness_fails_while_clients_still_come_in() {
    let mut config = patient();
    config.drain.delay = LONG;
    let mut relay = TestRelay::start(config).await;
    let at = [relay.address, relay.health.expect("it has one")];
    for at in at {
        assert_eq!(health(at).await, [true, true]);
    }
    let mut before = relay.client().await;
    relay.stopper.drain();
    for at in at {
        assert_eq!(health(at).await, [true, false]);
    }
    let mut after = relay.client().await;
    let to = listener().await;
    for client in [&mut before, &mut after] {
        client.connect(&to, 1024).await;
    }
    // Whoever has no more time says so.
    relay.stopper.cut();
    for client in [&mut before, &mut after] {
        let reason = client.last_word().await.expect("a reason");
        assert_eq!(reason.code(), Code::GOING_AWAY, "{reason}");
    }
    relay.stopped().await;
}

/// As long as a session isn't told, it is as it was; nobody else comes in.
#[tokio::test]
async fn sessions_go_on_until_they_are_told() {
    let mut config = patient();
    config.drain.spread = 1_000_000 * LONG;
    let mut relay = TestRelay::start(config).await;
    let to = listener().await;
    let mut client = relay.client().await;
    relay.stop();
    is_closed(relay.address).await;
    let health_at = relay.health.expect("it has one");
    assert_eq!(health(health_at).await, [true, false]);
    client.connect(&to, 1024).await;
    relay.stopper.cut();
    let reason = client.last_word().await.expect("a reason");
    assert_eq!(reason.code(), Code::GOING_AWAY, "{reason}");
    relay.stopped().await;
}

#[tokio::test]
async fn who_is_about_to_come_in_is_told() {
    let mut relay = TestRelay::start(patient()).await;
    let early = TcpStream::connect(relay.address).await.expect("it listens");
    // It is in before whoever comes after it.
    relay.client().await;
    relay.stop();
    is_closed(relay.address).await;
    let headers = headers(&relay.address.to_string(), Some(ORIGIN), Some(SECRET));
    let (stream, answer) = common::ask(early, "GET / HTTP/1.1", &headers).await;
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    match Client::over(stream).await.frame().await {
        Frame::GoAway(reason) => assert_eq!(reason.code(), Code::GOING_AWAY, "{reason}"),
        other => panic!("{other:?}"),
    }
    relay.stopped().await;
}

#[tokio::test]
async fn what_does_not_end_in_time_is_cut_and_told_why() {
    let mut config = config(token());
    config.drain.cut = Duration::from_millis(300);
    config.drain.come_back = Duration::from_secs(7);
    let (mut relay, mut recorded) = TestRelay::start_recorded(config).await;
    let (to, arriving) = target(|mut stream| async move {
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await
    })
    .await;
    let mut client = relay.client().await;
    let (id, _) = client.connect(&to, 1024).await;
    relay.stop();
    let after = Duration::from_secs(7);
    assert_eq!(client.frame().await, Frame::ComeBack { after });
    // To leave, and then the last word.
    for _ in 0..2 {
        match client.frame().await {
            Frame::GoAway(reason) => assert_eq!(reason.code(), Code::GOING_AWAY, "{reason}"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(client.next_frame().await, None);
    let error = within(arriving).await.expect("it ends");
    let error = error.expect_err("no end in order");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    relay.stopped().await;
    let opened = recorded.next().await;
    assert_eq!((opened.event, opened.id), (Event::Open, id.get()));
    let closed = recorded.next().await;
    assert_eq!(
        (closed.event, &*closed.outcome),
        (Event::Close, "going away")
    );
    let why = "the relay is shutting down";
    assert_eq!(closed.why.as_deref(), Some(why));
}

#[tokio::test]
async fn a_stream_that_ends_in_time_loses_nothing() {
    const LENGTH: usize = 512 * 1024;
    let mut relay = TestRelay::start(patient()).await;
    let (to, sending) = target(|mut stream| async move {
        // Once everybody knows.
        stream.read_u8().await?;
        stream.write_all(&common::pattern(LENGTH)).await
    })
    .await;
    let mut client = relay.client().await;
    let (id, mut credit) = client.connect(&to, LENGTH as u32 + 1).await;
    relay.stop();
    assert!(matches!(client.frame().await, Frame::GoAway(_)));
    let reason = client.refused(&to).await;
    assert_eq!(reason.code(), Code::GOING_AWAY, "{reason}");
    let data = vec![1].into();
    client.send(&Frame::Data { id, data }).await;
    client.send(&Frame::Fin { id }).await;
    let (all, reset) = client.read_to_end(id, &mut credit).await;
    assert!(reset.is_none() && all == common::pattern(LENGTH));
    within(sending).await.expect("it ends").expect("in order");
    let reason = client.last_word().await.expect("a reason");
    assert_eq!(reason.code(), Code::GOING_AWAY, "{reason}");
    relay.stopped().await;
}

#[tokio::test]
async fn a_token_ends_before_the_cut() {
    let mut config = patient();
    config.tokens[0].expires = Some(SystemTime::now() + Duration::from_secs(2));
    let mut relay = TestRelay::start(config).await;
    let mut client = Client::open(relay.address, ORIGIN, Some(SECRET)).await;
    let client = client.as_mut().expect("let in");
    client.connect(&listener().await, 1024).await;
    relay.stop();
    let reason = client.last_word().await.expect("a reason");
    assert_eq!(reason.code(), Code::TOKEN_EXPIRED, "{reason}");
    relay.stopped().await;
}

/// The program, which a test ends by signals, and for which it is the service manager.
#[cfg(target_os = "linux")]
mod process {
    use std::net::TcpListener as StdListener;
    use std::process::Command;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use common::echo;
    use common::program::{self, Program, pass};
    use jackfield_native::Native;
    use jackfield_relay::{Relay, RelayConfig};
    use jackfield_socket::{Endpoint, TcpConnect as _, TcpOptions};
    use tokio::net::UnixDatagram;
    use tokio::sync::watch;

    use super::*;

    /// What a relay has here that is its own process.
    fn configuration(rest: &str) -> String {
        let rest = format!("{rest}\n[limits]\ndials_per_second = 1_000_000\nsessions = 1000");
        program::configuration("allow_without_origin = true", &rest)
    }

    /// A relay with a socket that listens already.
    async fn start_on(socket: &StdListener, rest: &str) -> Program {
        let at = socket.local_addr().expect("bound").to_string();
        let text = configuration(rest).replacen("127.0.0.1:0", &at, 1);
        let directory = tempfile::tempdir().expect("a directory");
        Program::start_by(|command| pass(&command, socket), directory, &text).await
    }

    async fn client_of(relay: &Program) -> Client {
        let client = Client::open(relay.address, ORIGIN, Some(SECRET)).await;
        client.expect("let in")
    }

    fn signal(relay: &Program, name: &str) {
        let sent = Command::new("kill")
            .args([name, &relay.process.id().to_string()])
            .status();
        assert!(sent.expect("kill runs").success());
    }

    /// One opening after the other, over one network and over a new one each time, until it is told to
    /// stop; with how many there were.
    struct Visitor {
        opened: watch::Receiver<usize>,
        stop: Arc<AtomicUsize>,
        running: tokio::task::JoinHandle<()>,
    }

    impl Visitor {
        fn start(relay: SocketAddr, to: &str) -> Self {
            let to: Endpoint = to.parse().expect(to);
            let (count, opened) = watch::channel(0);
            let stop = Arc::new(AtomicUsize::new(0));
            let stopped = Arc::clone(&stop);
            let running = tokio::spawn(async move {
                let kept = network_of(relay);
                while stopped.load(Ordering::Relaxed) == 0 {
                    for network in [&kept, &network_of(relay)] {
                        visit(network, &to).await;
                        count.send_modify(|count| *count += 1);
                    }
                }
            });
            Self {
                opened,
                stop,
                running,
            }
        }

        /// Waits until there were some more.
        async fn comes_again(&mut self) {
            let before = *self.opened.borrow();
            let more = self.opened.wait_for(|opened| *opened >= before + 20);
            within(more).await.expect("nothing has failed");
        }

        async fn stop(self) {
            self.stop.store(1, Ordering::Relaxed);
            within(self.running).await.expect("nothing has failed");
        }
    }

    fn network_of(relay: SocketAddr) -> Relay {
        let config = RelayConfig::new(&format!("ws://{relay}/"));
        let config = config.and_then(|config| config.with_token(SECRET));
        let (network, connection) = Relay::over(Native, config.expect("valid"));
        tokio::spawn(connection);
        network
    }

    /// Opens a stream, and hears what it says.
    async fn visit(network: &Relay, to: &Endpoint) {
        let opened = within(network.connect(to, &TcpOptions::default())).await;
        let mut stream = opened.expect("opened");
        stream.write_all(b"hello").await.expect("open");
        stream.shutdown().await.expect("open");
        let mut echo = Vec::new();
        let read = within(stream.read_to_end(&mut echo)).await;
        assert_eq!((read.expect("in order"), &*echo), (5, &b"hello"[..]));
    }

    /// One relay takes over from the other on the socket that a service manager keeps.
    #[tokio::test]
    async fn a_restart_refuses_nobody() {
        const DRAIN: &str = "[drain]\ncut_seconds = 3600";
        let socket = StdListener::bind("127.0.0.1:0").expect("a free port");
        let to = echo().await;
        let mut old = start_on(&socket, DRAIN).await;
        let mut visitor = Visitor::start(old.address, &to);
        visitor.comes_again().await;
        // The next one is there before the old one goes.
        for _ in 0..5 {
            let new = start_on(&socket, DRAIN).await;
            visitor.comes_again().await;
            signal(&old, "-TERM");
            old.says("shutting down").await;
            visitor.comes_again().await;
            old = new;
        }
        visitor.stop().await;

        // Or after it has gone: whoever comes meanwhile waits.
        within(old.process.terminate(common::PATIENCE))
            .await
            .expect("it ends");
        let network = network_of(old.address);
        let at = to.parse().expect("an address");
        let visiting = tokio::spawn(async move { visit(&network, &at).await });
        let _new = start_on(&socket, DRAIN).await;
        within(visiting).await.expect("opened");
    }

    #[tokio::test]
    async fn a_socket_that_the_configuration_does_not_name_is_refused() {
        let socket = StdListener::bind("127.0.0.1:0").expect("a free port");
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("relayd.toml");
        std::fs::write(&path, "\nlisten = ['127.0.0.1:1']\n").expect("written");
        let mut command = program::command();
        command.arg("--config").arg(&path);
        let output = pass(&command, &socket).output().expect("it runs");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{error}");
        let expected = format!("{}:2: listen[0]: sockets were passed", path.display());
        assert!(error.contains(&expected), "{error}");
    }

    /// What a service manager hears, one message after the other; of the watchdog only if it is asked for.
    async fn heard(manager: &UnixDatagram, expected: &str) -> String {
        loop {
            let mut message = [0; 4096];
            let length = within(manager.recv(&mut message)).await.expect("bound");
            let message = str::from_utf8(&message[..length]).expect("text");
            if message.lines().any(|line| line.starts_with(expected)) {
                return message.into();
            }
            assert_eq!(message, "WATCHDOG=1\n", "instead of {expected}");
        }
    }

    #[tokio::test]
    async fn a_service_manager_hears_how_the_relay_is() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("notify");
        let manager = UnixDatagram::bind(&path).expect("a path");
        let text = configuration(
            "[admin]\nsocket = 'admin.sock'\n[drain]\ndelay_seconds = 200\ncut_seconds = 300",
        );
        let told = |mut command: Command| {
            command.env("NOTIFY_SOCKET", &path);
            command.env("WATCHDOG_USEC", "20000");
            command
        };
        let of_relay = tempfile::tempdir().expect("a directory");
        let relay = Program::start_by(told, of_relay, &text).await;
        let ready = heard(&manager, "READY=1").await;
        let status = format!("STATUS=listening at {}", relay.address);
        assert!(ready.contains(&status), "{ready}");
        heard(&manager, "WATCHDOG=1").await;
        let reloads = async || {
            let reloading = heard(&manager, "RELOADING=1").await;
            let at = reloading.split("MONOTONIC_USEC=").nth(1).expect("when");
            at.trim().parse::<u64>().expect("a number");
            heard(&manager, "READY=1").await;
        };
        signal(&relay, "-HUP");
        reloads().await;
        let mut command = program::command();
        command
            .args(["ctl", "--socket"])
            .arg(relay.path("admin.sock"));
        command.arg("reload");
        let (done, _, error) = program::run(command).await;
        assert!(done, "{error}");
        reloads().await;
        // What is wrong is not taken, and the relay as ready as it was.
        relay.rewrite("[");
        signal(&relay, "-HUP");
        reloads().await;
        signal(&relay, "-TERM");
        let stopping = heard(&manager, "STOPPING=1").await;
        assert!(
            stopping.contains("EXTEND_TIMEOUT_USEC=310000000"),
            "{stopping}"
        );
        // It lives to the end.
        heard(&manager, "WATCHDOG=1").await;
    }

    /// Keys that nobody serves hold up neither the relay's end nor its sessions.
    #[tokio::test]
    async fn a_reload_that_waits_holds_nothing_up() {
        let silent = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let at = silent.local_addr().expect("bound");
        let text = configuration("[drain]\ncut_seconds = 3600");
        let relay = Program::start(&text).await;
        let to = listener().await;
        let mut client = client_of(&relay).await;
        relay.rewrite(&format!(
            "{text}\n[[token]]\nname = 'b'\njwks_url = 'https://{at}/'"
        ));
        signal(&relay, "-HUP");
        let _asking = within(silent.accept()).await.expect("it asks for the keys");
        client.connect(&to, 1024).await;
        signal(&relay, "-TERM");
        relay.says("shutting down").await;
    }

    #[tokio::test]
    async fn a_second_signal_cuts() {
        let rest = "[drain]\ndelay_seconds = 3600\ncut_seconds = 7200";
        let relay = Program::start(&configuration(rest)).await;
        let to = listener().await;
        let mut client = client_of(&relay).await;
        client.connect(&to, 1024).await;
        signal(&relay, "-TERM");
        relay.says("shutting down").await;
        assert_eq!(health(relay.address).await, [true, false]);
        client.connect(&to, 1024).await;
        client_of(&relay).await;
        signal(&relay, "-INT");
        let reason = client.last_word().await.expect("a reason");
        assert_eq!(reason.code(), Code::GOING_AWAY, "{reason}");
    }
}
