//! The end of a relay, and its next beginning: who is told what, and when.

mod common;

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use common::{Client, ORIGIN, SECRET, TestRelay, config, keep, request, target, token, within};
use jackfield_relay_wire::{Code, Frame};
use jackfield_relayd::Config;
use jackfield_relayd::record::Event;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

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
    // Its listener is closed when somebody sees it.
    within(async {
        while let Ok(stream) = tokio::net::TcpStream::connect(relay.address).await {
            drop(stream);
        }
    })
    .await;
    let health_at = relay.health.expect("it has one");
    assert_eq!(health(health_at).await, [true, false]);
    client.connect(&to, 1024).await;
    relay.stopper.cut();
    let reason = client.last_word().await.expect("a reason");
    assert_eq!(reason.code(), Code::GOING_AWAY, "{reason}");
    relay.stopped().await;
}

#[tokio::test]
async fn what_does_not_end_in_time_is_cut_and_told_why() {
    let mut config = config(token());
    config.drain.cut = Duration::from_millis(300);
    let (mut relay, mut recorded) = TestRelay::start_recorded(config).await;
    let (to, arriving) = target(|mut stream| async move {
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await
    })
    .await;
    let mut client = relay.client().await;
    let (id, _) = client.connect(&to, 1024).await;
    relay.stop();
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

/// The program, which a test ends by signals.
#[cfg(unix)]
mod program {
    use std::path::Path;
    use std::process::Command;

    use jackfield_testing::process::Process;

    use super::*;

    /// A relay of its own process.
    struct Program {
        process: Process,
        address: SocketAddr,
        _directory: tempfile::TempDir,
    }

    impl Program {
        async fn start(rest: &str) -> Self {
            let directory = tempfile::tempdir().expect("a directory");
            let path = directory.path().join("relayd.toml");
            let text = format!(
                "listen = ['127.0.0.1:0']\norigins = ['{ORIGIN}']\n{rest}\n\
                 [[token]]\nname = 'tests'\nsecret = '{SECRET}'\nallow = ['127.0.0.1:*']\n"
            );
            std::fs::write(&path, text).expect("written");
            let process = Process::start(relayd(&path)).expect("it runs");
            let line = process
                .wait_for_line("\"listening\"", common::PATIENCE)
                .await;
            let line = line.expect("it listens");
            let address = line.split("\"address\":\"").nth(1).expect("its address");
            let address = address.split('"').next().expect("to its end");
            let address = address.parse().expect("an address");
            Self {
                process,
                address,
                _directory: directory,
            }
        }

        async fn client(&self) -> Client {
            let client = Client::open(self.address, ORIGIN, Some(SECRET)).await;
            client.expect("let in")
        }

        async fn logs(&self, text: &str) -> String {
            let line = self.process.wait_for_line(text, common::PATIENCE).await;
            line.expect(text)
        }
    }

    fn relayd(path: &Path) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_jackfield-relayd"));
        command.args(["--log-format", "json", "--config"]).arg(path);
        command
    }

    fn signal(process: &Process, name: &str) {
        let sent = Command::new("kill")
            .args([name, &process.id().to_string()])
            .status();
        assert!(sent.expect("kill runs").success());
    }

    #[tokio::test]
    async fn a_second_signal_cuts() {
        let rest = "[drain]\ndelay_seconds = 3600\ncut_seconds = 7200";
        let relay = Program::start(rest).await;
        let to = listener().await;
        let mut client = relay.client().await;
        client.connect(&to, 1024).await;
        signal(&relay.process, "-TERM");
        relay.logs("shutting down").await;
        assert_eq!(health(relay.address).await, [true, false]);
        client.connect(&to, 1024).await;
        relay.client().await;
        signal(&relay.process, "-INT");
        let reason = client.last_word().await.expect("a reason");
        assert_eq!(reason.code(), Code::GOING_AWAY, "{reason}");
    }
}
