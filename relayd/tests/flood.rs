//! Floods of refusals against the program: the log neither stops it nor fills a disk.

#![cfg(target_os = "linux")]

mod common;

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};

use common::{Client, ORIGIN, SECRET, program, within};
use jackfield_relay_wire::{Code, Frame};

/// How many times a client does what is refused.
const REFUSALS: usize = 2000;

/// Somebody else's.
const OTHER_SECRET: &str = "the-secret-of-somebody-else";

/// The program, which is killed when this is dropped.
struct Relayd {
    child: Child,
    address: SocketAddr,
    _directory: tempfile::TempDir,
}

impl Relayd {
    fn start(log: Stdio) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("relayd.toml");
        // The log can't be asked where the relay listens: it gets a socket that does so already.
        let socket = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = socket.local_addr().expect("bound");
        let text = format!(
            "listen = ['{address}']\norigins = ['{ORIGIN}']\n\
             [[token]]\nname = 'tests'\nsecret = '{SECRET}'\nallow = ['127.0.0.1:1024-65535']\n\
             limits = {{ dials_per_second = 1_000_000 }}\n\
             [[token]]\nname = 'other'\nsecret = '{OTHER_SECRET}'\nallow = ['127.0.0.1:1024-65535']\n"
        );
        std::fs::write(&path, text).expect("written");
        let mut command = program::command();
        command.arg("--config").arg(&path);
        let child = program::pass(&command, &socket).stderr(log).spawn();
        Self {
            child: child.expect("it runs"),
            address,
            _directory: directory,
        }
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args([name, &self.child.id().to_string()])
            .status();
        assert!(sent.expect("kill runs").success());
    }

    /// Asks to be let in, with a token that nobody knows.
    async fn knock(&self) {
        let client = Client::upgrade(self.address, ORIGIN, Some("not-this-secret-but-another"));
        let reason = client.await.expect("a WebSocket").last_word().await;
        assert_eq!(reason.expect("a reason").code(), Code::TOKEN_UNKNOWN);
    }
}

impl Drop for Relayd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks again and again for what the rules forbid. Whether the relay still listens is its own affair:
/// it may end the session.
async fn ask_in_vain(client: &mut Client) {
    for _ in 0..REFUSALS {
        client.ask("10.0.0.1:8080", 1024).await;
        match client.next_frame().await {
            Some(Frame::Refused { .. }) => {}
            _ => return,
        }
    }
}

#[tokio::test]
async fn a_log_that_nobody_reads_stops_nothing() {
    let mut relay = Relayd::start(Stdio::piped());
    // Held open, and never read.
    let _log = relay.child.stderr.take().expect("piped");
    let client = |secret| Client::open(relay.address, ORIGIN, Some(secret));
    for _ in 0..REFUSALS {
        relay.knock().await;
    }
    ask_in_vain(&mut client(SECRET).await.expect("let in")).await;
    // Another client is served as before.
    let (target, _) = common::target(|stream| async move { drop(stream) }).await;
    let mut client = client(OTHER_SECRET).await.expect("let in");
    client.connect(&target, 1024).await;
    // And it ends, though what it has to say at the end can't be written.
    relay.signal("-TERM");
    client.last_word().await.expect("a reason");
    let ended = tokio::task::spawn_blocking(move || relay.child.wait().expect("it ends"));
    assert!(within(ended).await.expect("no panic").success());
}

#[tokio::test]
async fn refusals_are_told_as_a_number() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("log");
    let log = File::create(&path).expect("created");
    let mut relay = Relayd::start(log.into());
    for _ in 0..REFUSALS {
        relay.knock().await;
    }
    let mut client = Client::open(relay.address, ORIGIN, Some(SECRET)).await;
    ask_in_vain(client.as_mut().expect("let in")).await;
    drop(client);
    relay.signal("-TERM");
    let ended = tokio::task::spawn_blocking(move || relay.child.wait().expect("it ends"));
    within(ended).await.expect("no panic");
    let log = std::fs::read_to_string(&path).expect("text");
    // Some 4,000 lines of 250 bytes before.
    assert!(log.len() < 32 * 1024, "{} bytes", log.len());
    let denied = log.matches("denied a client").count();
    assert!((2..=21).contains(&denied), "{denied}:\n{log}");
    // Some may stand in the minute before.
    assert!(log.contains("more of the same in the last minute"), "{log}");
    assert!(log.contains("127.0.0.1"), "{log}");
}
