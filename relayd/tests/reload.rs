//! Reloading: what a running relay takes, and which of its sessions that ends.

mod common;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use common::{Client, ORIGIN, Recorded, TestRelay, send_and_end, stalling, within};
use jackfield_relay_wire::{Code, Frame};
use jackfield_relayd::record::{Commanded, Event};
use jackfield_relayd::token::{Claims, Secret, SigningKey};
use jackfield_relayd::{Config, Reloader};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const KEY: &str = "the-signing-key-of-all-these-tests";

/// A relay with its configuration in a file.
struct Relay {
    running: TestRelay,
    reloader: Reloader,
    recorded: Recorded,
    directory: tempfile::TempDir,
}

impl Relay {
    async fn start(rest: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("relayd.toml");
        std::fs::write(&path, text(rest)).expect("written");
        let config = Config::load(&path).expect("valid");
        let (running, recorded) = TestRelay::start_recorded(config).await;
        let reloader = running.reloader.clone();
        Self {
            running,
            reloader,
            recorded,
            directory,
        }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("relayd.toml")
    }

    /// Reloads the file with this in it.
    async fn reload(&self, text: &str) {
        std::fs::write(self.path(), text).expect("written");
        self.reloader.reload_from(&self.path()).await;
    }

    async fn client(&self, token: &str) -> Client {
        let client = Client::open(self.running.address, ORIGIN, Some(token)).await;
        client.expect("let in")
    }

    async fn denied(&self, token: &str) -> Code {
        let client = Client::upgrade(self.running.address, ORIGIN, Some(token)).await;
        let reason = client.expect("a WebSocket").last_word().await;
        reason.expect("a reason").code()
    }
}

/// A configuration with one token, `a`, and what else it is to have.
fn text(rest: &str) -> String {
    format!(
        "listen = ['127.0.0.1:0']\norigins = ['{ORIGIN}']\n{rest}\n\
         [[token]]\nname = 'a'\nsigning_key = '{KEY}'\nallow = ['127.0.0.0/8:1024-65535']\n"
    )
}

fn token(subject: &str, id: &str) -> String {
    let mut claims = Claims::new(SystemTime::now() + Duration::from_secs(1000));
    claims.subject = Some(subject.into());
    claims.id = Some(id.into());
    claims.issued_at = Some(SystemTime::now());
    let key = SigningKey::hs256(&Secret::new(KEY).expect("long enough"));
    let key = key.expect("long enough").with_id("a");
    key.mint(&claims).expect("short")
}

async fn target() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    (listener, address)
}

/// Sessions that a revocation is of end at once, and nobody else's; who has it comes in no more.
#[tokio::test]
async fn a_revoked_token_ends_where_it_is_used() {
    let directory = tempfile::tempdir().expect("a directory");
    let list = directory.path().join("revoked.toml");
    std::fs::write(&list, "").expect("written");
    let with = format!("revoked_file = '{}'", list.display());
    let relay = Relay::start(&with).await;
    let (_listener, to) = target().await;
    let mut by_id = relay.client(&token("ada", "1")).await;
    let mut by_subject = relay.client(&token("eve", "2")).await;
    let mut other = relay.client(&token("bob", "3")).await;
    let (stream, _) = other.connect(&to, 1024).await;
    by_id.connect(&to, 1024).await;

    let mut entries = String::new();
    for entry in ["token = 'a'\njti = '1'", "sub = 'eve'"] {
        write!(entries, "[[revoked]]\n{entry}\n").expect("a string takes all");
    }
    std::fs::write(&list, &entries).expect("written");
    relay.reload(&text(&with)).await;
    for client in [&mut by_id, &mut by_subject] {
        let reason = client.last_word().await.expect("a reason");
        assert_eq!(reason.code(), Code::TOKEN_EXPIRED);
        assert_eq!(reason.text(), "the token was revoked");
    }
    assert_eq!(relay.denied(&token("ada", "1")).await, Code::TOKEN_EXPIRED);
    assert_eq!(relay.denied(&token("eve", "9")).await, Code::TOKEN_EXPIRED);
    relay.client(&token("ada", "4")).await;
    let data = b"still here"[..].into();
    other.send(&Frame::Data { id: stream, data }).await;
    other.connect(&to, 1024).await;

    // What is wrong with the list changes nothing.
    std::fs::write(&list, "[[revoked]]\nsub = 7\n").expect("written");
    relay.reload(&text(&with)).await;
    assert_eq!(relay.denied(&token("eve", "9")).await, Code::TOKEN_EXPIRED);
    // All that were made before.
    let all = "[[revoked]]\ntoken = 'a'\nissued_before = 9000-01-01T00:00:00Z\n";
    std::fs::write(&list, all).expect("written");
    relay.reload(&text(&with)).await;
    let reason = other.last_word().await.expect("a reason");
    assert_eq!(reason.code(), Code::TOKEN_EXPIRED);
}

/// Whether its client is gone already, or the revocation ends it: nothing more of it reaches a target.
#[tokio::test]
async fn what_drains_is_cut_by_a_revocation() {
    let directory = tempfile::tempdir().expect("a directory");
    let list = directory.path().join("revoked.toml");
    std::fs::write(&list, "").expect("written");
    let with = format!("revoked_file = '{}'", list.display());
    let mut relay = Relay::start(&with).await;
    let mut targets = Vec::new();
    let mut kept = Vec::new();
    for (subject, gone) in [("ada", true), ("eve", false), ("bob", true)] {
        let (address, go, arriving) = stalling().await;
        let mut client = relay.client(&token(subject, "1")).await;
        let (_, sent) = send_and_end(&mut client, &address).await;
        if gone {
            drop(client);
        } else {
            kept.push(client);
        }
        targets.push((go, arriving, sent));
    }
    let entries = "[[revoked]]\nsub = 'ada'\n[[revoked]]\nsub = 'eve'\n";
    std::fs::write(&list, entries).expect("written");
    relay.reload(&text(&with)).await;
    for client in &mut kept {
        let reason = client.last_word().await.expect("a reason");
        assert_eq!(reason.code(), Code::TOKEN_EXPIRED);
    }
    let mut cut = 0;
    while cut < 2 {
        let record = relay.recorded.next().await;
        if record.event == Event::Close {
            assert_ne!(record.who.bearer.as_deref(), Some("bob"));
            cut += 1;
        }
    }
    for (index, (go, arriving, sent)) in targets.into_iter().enumerate() {
        go.send(()).expect("it waits");
        let arrived = within(arriving).await.expect("it ends");
        if index == 2 {
            assert_eq!(arrived.expect("in order"), sent, "nobody revoked this one");
        } else {
            let error = arrived.expect_err("no end in order");
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}");
        }
    }
}

/// Each change, and what becomes of a session: it goes on, or ends for this reason.
#[tokio::test]
async fn sessions_end_that_the_new_rules_do_not_allow() {
    let old = text("");
    for (from, to, ends) in [
        ("", "", None),
        // More is allowed, or less of what nobody had.
        ("allow = [", "allow = ['*.example.org:443', ", None),
        ("[[token]]", "[limits]\nstreams = 7\n[[token]]", None),
        ("[[token]]", "# a line more\n\n[[token]]", None),
        // Something is taken away.
        (":1024-65535", ":1024-65534", Some(Code::GOING_AWAY)),
        ("allow", "deny = ['*:25']\nallow", Some(Code::GOING_AWAY)),
        ("'a'", "'b'", Some(Code::TOKEN_UNKNOWN)),
        (
            "signing_key = 'the",
            "signing_key = 'not-the",
            Some(Code::TOKEN_UNKNOWN),
        ),
        (
            "allow",
            "expires = 2020-01-01T00:00:00Z\nallow",
            Some(Code::TOKEN_EXPIRED),
        ),
        (ORIGIN, "https://other.example", Some(Code::ORIGIN_REFUSED)),
        (
            "[[token]]",
            "audience = 'x'\n[[token]]",
            Some(Code::TOKEN_UNKNOWN),
        ),
    ] {
        let relay = Relay::start("").await;
        let (_listener, address) = target().await;
        let mut client = relay.client(&token("ada", "1")).await;
        client.connect(&address, 1024).await;
        relay.reload(&old.replacen(from, to, 1)).await;
        match ends {
            None => {
                client.connect(&address, 1024).await;
            }
            Some(code) => {
                let reason = client.last_word().await.expect("a reason");
                assert_eq!(reason.code(), code, "{to}: {reason}");
            }
        }
    }
}

/// What is counted is counted on, and a lower limit holds for what is opened from now on.
#[tokio::test]
async fn limits_and_rules_change_for_sessions_that_go_on() {
    let relay = Relay::start("").await;
    let (_listener, to) = target().await;
    let mut client = relay.client(&token("ada", "1")).await;
    client.connect(&to, 1024).await;
    client.connect(&to, 1024).await;
    let other = "127.0.0.1:1000";
    assert_eq!(client.refused(other).await.code(), Code::DENIED);
    let more =
        text("[bearer_limits]\nstreams = 2").replace("allow = [", "allow = ['127.0.0.1:1000', ");
    relay.reload(&more).await;
    // The session hears of it when it has its turn.
    let reason = within(async {
        loop {
            let reason = client.refused(other).await;
            if reason.code() != Code::DENIED {
                break reason;
            }
        }
    })
    .await;
    assert_eq!(reason.text(), "the bearer's limit streams (2) is reached");
    relay
        .reload(&more.replace("streams = 2", "sessions = 1"))
        .await;
    assert_eq!(relay.denied(&token("ada", "2")).await, Code::TOKEN_FULL);
}

/// A file that is wrong is not taken, in no part.
#[tokio::test]
async fn a_wrong_file_changes_nothing() {
    let relay = Relay::start("").await;
    let mut client = relay.client(&token("ada", "1")).await;
    let (_listener, to) = target().await;
    let removed = text("").replace("'a'", "'b'");
    for wrong in [
        removed.replace("allow = ['", "allow = ['x', '"),
        removed.replace("signing_key", "public_key"),
        removed.clone() + "port = 7\n",
        removed.replace("[[token]]", "revoked_file = 'no-such-file.toml'\n[[token]]"),
        "[".into(),
        String::new(),
    ] {
        relay.reload(&wrong).await;
        client.connect(&to, 1024).await;
        relay.client(&token("ada", "2")).await;
    }
    std::fs::remove_file(relay.path()).expect("it is there");
    relay.reloader.reload_from(&relay.path()).await;
    relay.client(&token("ada", "2")).await;
    relay.reload(&removed).await;
    let reason = client.last_word().await.expect("a reason");
    assert_eq!(reason.code(), Code::TOKEN_UNKNOWN);
}

/// Whether it is taken is recorded, with what is wrong and where.
#[tokio::test]
async fn each_reload_is_recorded() {
    let mut relay = Relay::start("").await;
    relay.reload(&text("")).await;
    let record = relay.recorded.command().await;
    let (command, outcome) = (record.command, &*record.outcome);
    assert_eq!((command, outcome), (Commanded::Reload, "done"));
    relay.reload(&text("port = 7")).await;
    let record = relay.recorded.command().await;
    assert_eq!(record.outcome, "failed");
    let why = record.why.expect("a reason");
    assert!(why.contains("relayd.toml:3:1: "), "{why}");
}

/// How the relay is to end is what the last file said.
#[tokio::test]
async fn the_end_is_as_the_last_file_has_it() {
    let mut relay = Relay::start("[drain]\ncut_seconds = 3600").await;
    let (_listener, to) = target().await;
    let mut client = relay.client(&token("ada", "1")).await;
    client.connect(&to, 1024).await;
    let drain = "[drain]\ncome_back_seconds = 7\ncut_seconds = 1";
    relay.reload(&text(drain)).await;
    relay.running.stop();
    let after = Duration::from_secs(7);
    assert_eq!(client.frame().await, Frame::ComeBack { after });
    // An end that has begun goes on as it began.
    relay.reload(&text("[drain]\ncut_seconds = 3600")).await;
    let reason = client.last_word().await.expect("a reason");
    assert_eq!(reason.code(), Code::GOING_AWAY);
    relay.running.stopped().await;
}

/// Who may speak for others changes for those who come from then on.
#[tokio::test]
async fn proxies_are_believed_as_soon_as_they_are_listed() {
    let relay = Relay::start("").await;
    let mut before = relay.client(&token("ada", "1")).await;
    let (_listener, to) = target().await;
    let knock = async || {
        let mut stream = within(TcpStream::connect(relay.running.address)).await;
        let stream = stream.as_mut().expect("it listens");
        let header = b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n";
        stream.write_all(header).await.expect("it reads");
        let request = b"GET /readyz HTTP/1.0\r\n\r\n";
        // It may have closed the connection by now.
        let _ = stream.write_all(request).await;
        let mut answer = String::new();
        let _ = within(stream.read_to_string(&mut answer)).await;
        answer
    };
    assert!(knock().await.starts_with("HTTP/1.1 400 "));
    let proxies = "[proxies]\nheader = 'proxy'\ntrusted = ['127.0.0.0/8']";
    relay.reload(&text(proxies)).await;
    assert!(knock().await.starts_with("HTTP/1.1 200 "));
    before.connect(&to, 1024).await;
    relay.reload(&text("")).await;
    assert!(knock().await.starts_with("HTTP/1.1 400 "));
    relay.client(&token("ada", "2")).await;
}
