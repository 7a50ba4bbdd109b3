//! The admin socket of the program itself, asked by `ctl` and by hand.

#![cfg(unix)]

mod common;

use std::fs::Permissions;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use common::program::{Program, command, configuration, run};
use common::{Client, ORIGIN, SECRET, keep, send_and_end, stalling, within};
use jackfield_relay_wire::{Code, Frame, UdpTarget};
use jackfield_relayd::token::{Claims, Secret, SigningKey};
use jackfield_socket::UdpOptions;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, UnixStream};

const KEY: &str = "the-signing-key-of-all-these-tests";
/// The reason that a killed session is told.
const KILLED: &str = "the relay's administrator has ended it";

/// A configuration with an admin socket, and two tokens: the tests' own, and one with bearers.
fn text() -> String {
    let before = "[admin]\nsocket = 'admin.sock'\n[records]\nfile = 'records.jsonl'\n\
                  [limits]\nstreams = 4000\ndials_per_second = 100_000\n";
    let after = format!(
        "[[token]]\nname = 'app'\nsigning_key = '{KEY}'\nallow = ['127.0.0.0/8:1024-65535']\n"
    );
    configuration(before, &after)
}

async fn start() -> Program {
    Program::start(&text()).await
}

/// A token of somebody with this name.
fn token(subject: &str) -> String {
    let mut claims = Claims::new(SystemTime::now() + Duration::from_secs(1000));
    claims.subject = Some(subject.into());
    let key = SigningKey::hs256(&Secret::new(KEY).expect("long enough"));
    let key = key.expect("long enough").with_id("app");
    key.mint(&claims).expect("short")
}

async fn client(program: &Program, token: &str) -> Client {
    let client = Client::open(program.address, ORIGIN, Some(token)).await;
    client.expect("let in")
}

/// A command that asks at this socket.
fn ctl(socket: &Path, arguments: &[&str]) -> Command {
    let mut command = command();
    command.arg("ctl").arg("--socket").arg(socket);
    command.args(arguments);
    command
}

/// What the program answers to `ctl` in JSON: the lines before the last, and that.
async fn listed(program: &Program, arguments: &[&str]) -> (Vec<Value>, Value) {
    let out = program.ctl(&[arguments, &["--json"]].concat()).await;
    let lines = out.lines().map(serde_json::from_str);
    let mut lines: Vec<Value> = lines.collect::<Result<_, _>>().expect("JSON");
    let last = lines.pop().expect("a last line");
    assert_eq!(last["done"], true, "{last}");
    (lines, last)
}

/// Asks by hand, and returns everything that comes.
async fn raw(program: &Program, request: &[u8]) -> String {
    let mut stream = connect(program).await;
    // It may have closed the connection before it was all sent.
    let _ = stream.write_all(request).await;
    let mut answer = String::new();
    let _ = within(stream.read_to_string(&mut answer)).await;
    answer
}

async fn connect(program: &Program) -> UnixStream {
    let path = program.path("admin.sock");
    let connecting = async {
        loop {
            match UnixStream::connect(&path).await {
                // The system's queue is full; the relay empties it.
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    tokio::task::yield_now().await;
                }
                connected => return connected.expect("it listens"),
            }
        }
    };
    within(connecting).await
}

/// A target that takes connections and keeps them.
async fn target() -> String {
    keep(TcpListener::bind("127.0.0.1:0").await.expect("a free port"))
}

#[tokio::test]
async fn sessions_and_streams_are_listed_as_they_are() {
    let program = start().await;
    let to = target().await;
    let mut tests = client(&program, SECRET).await;
    let mut ada = client(&program, &token("ada")).await;
    let (id, _) = tests.connect(&to, 1024).await;
    let data = b"hello".as_slice().into();
    tests.send(&Frame::Data { id, data }).await;
    ada.connect(&to, 1024).await;
    ada.connect(&to, 1024).await;

    // A session shows its numbers after its turn.
    let sessions = within(async {
        loop {
            let (sessions, last) = listed(&program, &["list"]).await;
            assert_eq!(last["sessions"], 2);
            if sessions[0]["bytes_up"] == 5 && sessions[1]["streams"] == 2 {
                break sessions;
            }
        }
    })
    .await;
    assert_eq!(sessions[0]["token"], "tests");
    assert_eq!(sessions[0]["bearer"], Value::Null);
    assert_eq!(sessions[0]["origin"], ORIGIN);
    assert_eq!(
        (&sessions[1]["token"], &sessions[1]["bearer"]),
        (&json!("app"), &json!("ada"))
    );
    let number = sessions[0]["session"].to_string();
    let (streams, _) = listed(&program, &["streams", &number]).await;
    let [stream] = &streams[..] else {
        panic!("{streams:?}");
    };
    assert_eq!(
        (&stream["asked"], &stream["address"]),
        (&json!(to), &json!(to))
    );
    assert_eq!(
        (&stream["action"], &stream["transport"]),
        (&json!("connect"), &json!("tcp"))
    );
    assert_eq!(
        (&stream["id"], &stream["bytes_up"]),
        (&json!(id.get()), &json!(5))
    );
    assert!(stream["open_ms"].is_u64(), "{stream}");

    let (_, status) = listed(&program, &["status"]).await;
    assert_eq!(
        (&status["sessions"], &status["streams"]),
        (&json!(2), &json!(3))
    );
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(status["listen"], json!([program.address]));
    assert_eq!(status["draining"], false);
    let table = program.ctl(&["list"]).await;
    assert!(
        table.starts_with("SESSION  TOKEN  BEARER  ORIGIN"),
        "{table}"
    );
    assert_eq!(table.lines().count(), 3, "{table}");
    let table = program.ctl(&["streams", &number]).await;
    assert!(
        table.contains("connect tcp") && table.contains(&to),
        "{table}"
    );
    assert!(program.ctl(&["status"]).await.contains("running"));
    let (good, _, err) = run(ctl(&program.path("admin.sock"), &["streams", "77"])).await;
    assert!(!good && err.contains("there is no session 77"), "{err}");
}

#[tokio::test]
async fn who_is_killed_is_told_and_recorded_and_nobody_else() {
    let program = start().await;
    let to = target().await;
    let mut tests = client(&program, SECRET).await;
    let mut ada = client(&program, &token("ada")).await;
    let mut more_of_ada = client(&program, &token("ada")).await;
    let mut bob = client(&program, &token("bob")).await;
    for client in [&mut tests, &mut ada, &mut more_of_ada, &mut bob] {
        client.connect(&to, 1024).await;
    }
    let killed = async |client: &mut Client| {
        let reason = client.last_word().await.expect("a reason");
        assert_eq!((reason.code(), reason.text()), (Code::GOING_AWAY, KILLED));
    };
    let (_, last) = listed(&program, &["kill", "--token", "tests", "--bearer", "ada"]).await;
    assert_eq!(last["sessions"], 0, "nobody is both");
    let (_, last) = listed(&program, &["kill", "--bearer", "ada"]).await;
    assert_eq!(last["sessions"], 2);
    killed(&mut ada).await;
    killed(&mut more_of_ada).await;
    // The other two go on.
    tests.connect(&to, 1024).await;
    bob.connect(&to, 1024).await;
    assert_eq!(program.ctl(&["kill", "--session", "1"]).await, "ended: 1\n");
    killed(&mut tests).await;
    bob.connect(&to, 1024).await;
    program.ctl(&["kill", "--token", "app"]).await;
    killed(&mut bob).await;
    // Who may come in may come again.
    client(&program, &token("ada")).await;
    for wrong in [&["kill"][..], &["kill", "--session", "1", "--token", "app"]] {
        let (good, _, _) = run(ctl(&program.path("admin.sock"), wrong)).await;
        assert!(!good, "{wrong:?}");
    }
    let (good, _, err) = run(ctl(
        &program.path("admin.sock"),
        &["kill", "--session", "1"],
    ))
    .await;
    assert!(!good && err.contains("there is no session 1"), "{err}");

    // Each stream's last record says why. Records are written beside what is going on.
    let records = within(async {
        loop {
            let text = std::fs::read_to_string(program.path("records.jsonl")).expect("written");
            let records = text.lines().map(serde_json::from_str::<Value>);
            let records: Vec<Value> = records.filter_map(Result::ok).collect();
            if records.iter().filter(|one| one["event"] == "close").count() == 7 {
                break records;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    let of = |event: &'static str| records.iter().filter(move |one| one["event"] == event);
    // The one that came again has left by itself.
    let killed = of("leave").filter(|one| one["session"].as_u64() <= Some(4));
    for over in of("close").chain(killed) {
        assert_eq!(
            (&over["outcome"], &over["why"]),
            (&json!("going away"), &json!(KILLED))
        );
    }
    let commands = of("command").map(|one| {
        let said = ["command", "session", "token", "bearer", "outcome"];
        said.map(|key| one[key].clone())
    });
    assert_eq!(
        json!(commands.collect::<Vec<_>>()),
        json!([
            ["kill", null, "tests", "ada", "done"],
            ["kill", null, null, "ada", "done"],
            ["kill", 1, null, null, "done"],
            ["kill", null, "app", null, "done"],
        ])
    );
}

/// What a session still delivers whose client is gone is listed, and cut by killing it.
#[tokio::test]
async fn what_a_client_has_left_is_killed_too() {
    let program = start().await;
    let (to, go, arriving) = stalling().await;
    let mut client = client(&program, SECRET).await;
    send_and_end(&mut client, &to).await;
    drop(client);
    within(async { while listed(&program, &["list"]).await.0[0]["draining"] != true {} }).await;
    assert!(program.ctl(&["list"]).await.contains("(left)"));
    let (streams, _) = listed(&program, &["streams", "1"]).await;
    assert_eq!(streams.len(), 1, "{streams:?}");
    program.ctl(&["kill", "--session", "1"]).await;
    within(async { while listed(&program, &["list"]).await.1["sessions"] != 0 {} }).await;
    go.send(()).expect("it waits");
    let error = within(arriving)
        .await
        .expect("no panic")
        .expect_err("no end in order");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

/// To be killed is to deliver nothing more, also of what was promised: nobody has to ask twice.
#[tokio::test]
async fn what_a_killed_client_had_ended_is_not_delivered() {
    let program = start().await;
    let (to, go, arriving) = stalling().await;
    let mut client = client(&program, SECRET).await;
    send_and_end(&mut client, &to).await;
    program.ctl(&["kill", "--session", "1"]).await;
    let reason = client.last_word().await.expect("a reason");
    assert_eq!((reason.code(), reason.text()), (Code::GOING_AWAY, KILLED));
    within(async { while listed(&program, &["list"]).await.1["sessions"] != 0 {} }).await;
    go.send(()).expect("it waits");
    let error = within(arriving)
        .await
        .expect("no panic")
        .expect_err("no end in order");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_reload_takes_a_rule_or_says_what_is_wrong_and_where() {
    let program = start().await;
    let mut client = client(&program, SECRET).await;
    let reason = client.refused("127.0.0.1:7").await;
    assert_eq!(reason.code(), Code::DENIED);
    let better = text().replace("'*:*'", "'*:*', '127.0.0.1:7'");
    program.rewrite(&better);
    assert_eq!(program.ctl(&["reload"]).await, "reloaded\n");
    // It is allowed now, and nobody listens there; the session hears of it when it has its turn.
    within(async { while client.refused("127.0.0.1:7").await.code() == Code::DENIED {} }).await;

    let wrong = better.replace("'*:*'", "'*:*', 'nowhere'");
    program.rewrite(&wrong);
    let (good, _, err) = run(ctl(&program.path("admin.sock"), &["reload"])).await;
    let line = wrong
        .lines()
        .position(|line| line.contains("nowhere"))
        .expect("there")
        + 1;
    let place = format!("relayd.toml:{line}:");
    assert!(
        !good && err.contains(&place) && err.contains("token[0].allow["),
        "{err}"
    );
    let answer = raw(&program, b"{\"ask\":\"reload\"}\n").await;
    let answer: Value = serde_json::from_str(answer.trim_end()).expect("one line");
    assert_eq!(answer["line"], line);
    assert_eq!(client.refused("127.0.0.1:7").await.code(), Code::REFUSED);
    program.rewrite(&better.replace("'127.0.0.1:0'", "'127.0.0.1:0', '127.0.0.1:0'"));
    let out = program.ctl(&["reload"]).await;
    assert!(
        out.contains("listen takes effect when the relay is started"),
        "{out}"
    );
}

/// What the command line says of the log is no change of the file's.
#[tokio::test]
async fn a_format_on_the_command_line_is_no_change() {
    let directory = tempfile::tempdir().expect("a directory");
    let text = text().replace("format = 'json'", "format = 'text'");
    let how = |mut command: Command| {
        command.args(["--log-format", "json"]);
        command
    };
    let program = Program::start_by(how, directory, &text).await;
    assert_eq!(program.ctl(&["reload"]).await, "reloaded\n");
}

#[tokio::test]
async fn a_drain_ends_the_relay_in_order_and_takes_the_socket_away() {
    let program = start().await;
    let mut client = client(&program, SECRET).await;
    assert_eq!(program.ctl(&["drain"]).await, "it ends\n");
    let reason = client.last_word().await.expect("a reason");
    assert_eq!(reason.code(), Code::GOING_AWAY);
    within(async {
        while !program.process.has_ended() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(!program.path("admin.sock").exists());
}

#[tokio::test]
async fn a_dead_relays_socket_is_replaced_and_a_living_ones_is_not() {
    let program = start().await;
    let socket = program.path("admin.sock");
    let file = socket.metadata().expect("it is there");
    assert!(file.file_type().is_socket());
    assert_eq!(file.permissions().mode() & 0o777, 0o600);
    let mut second = command();
    second.arg("--config").arg(program.path("relayd.toml"));
    let (good, _, err) = run(second).await;
    assert!(
        !good && err.contains("is the relay running already?"),
        "{err}"
    );
    assert!(err.contains("admin.sock"), "{err}");
    program.ctl(&["status"]).await;

    let directory = program.kill().await;
    assert!(socket.exists(), "it had no time to take it away");
    let program = Program::start_in(directory, &text()).await;
    program.ctl(&["status"]).await;

    // What is no socket is somebody's.
    let other = text().replace("admin.sock", "a-file");
    std::fs::write(program.path("a-file"), "precious").expect("written");
    std::fs::write(program.path("other.toml"), other).expect("written");
    let mut third = command();
    third.arg("--config").arg(program.path("other.toml"));
    let (good, _, err) = run(third).await;
    assert!(
        !good && err.contains("a file is there that is no socket"),
        "{err}"
    );
    let kept = std::fs::read_to_string(program.path("a-file"));
    assert_eq!(kept.expect("it is there"), "precious");
}

/// By the file's mode; and where somebody has changed that, by who it is.
#[tokio::test]
async fn another_user_may_not_ask() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let program = start().await;
    let socket = program.path("admin.sock");
    let as_nobody = || {
        let mut command = program.as_nobody();
        command.args(["ctl", "--socket"]).arg(&socket).arg("drain");
        command
    };
    let (good, _, err) = run(as_nobody()).await;
    assert!(!good && err.contains("Permission denied"), "{err}");
    std::fs::set_permissions(&socket, Permissions::from_mode(0o666)).expect("ours");
    let (good, _, err) = run(as_nobody()).await;
    assert!(
        !good && err.contains("user 0 and root may ask here"),
        "{err}"
    );
    program.says("turned away who is no administrator").await;
    let (_, status) = listed(&program, &["status"]).await;
    assert_eq!(status["draining"], false);
}

#[tokio::test]
async fn garbage_is_answered_with_an_error() {
    let program = start().await;
    let long = vec![b'a'; 1_000_000];
    for (request, expected) in [
        (&b"\n"[..], "that is no request"),
        (b"GET / HTTP/1.1\r\n\r\n", "that is no request"),
        (b"\x16\x03\x01\x02\n", "that is no request"),
        (b"{\"ask\":\"everything\"}\n", "unknown variant"),
        (b"{\"ask\":\"list\",\"session\":1}\n", "unknown field"),
        (b"{\"ask\":\"streams\"}\n", "missing field"),
        (b"{\"ask\":\"streams\",\"session\":-1}\n", "invalid"),
        (b"{\"ask\":\"kill\"}\n", "takes a session"),
        (b"[[[[[[[[[[[[[[[[[[[[[[\n", "that is no request"),
    ] {
        let answer = raw(&program, request).await;
        let answer: Value = serde_json::from_str(answer.trim_end()).expect("one line");
        let error = answer["error"].as_str().expect("an error");
        assert!(error.contains(expected), "{expected}: {error}");
    }
    // Its answer may be lost with what was not read.
    raw(&program, &long).await;
    drop(connect(&program).await);
    program.ctl(&["status"]).await;
}

/// Those who ask much and read nothing take a bounded number of places, and nothing from the sessions.
#[tokio::test]
async fn a_reader_that_never_reads_holds_nothing_up() {
    let program = start().await;
    let mut client = client(&program, SECRET).await;
    for _ in 0..3000 {
        let id = client.new_id();
        let target = UdpTarget::Connected("127.0.0.1:9".parse().expect("an endpoint"));
        let options = UdpOptions::default();
        let credit = 1;
        client
            .send(&Frame::Udp {
                id,
                credit,
                target,
                options,
            })
            .await;
        let opened = client.frame().await;
        assert!(matches!(opened, Frame::Opened { .. }), "{opened:?}");
    }
    let before = program.process.resident_bytes().expect("it runs");
    let mut stuck = Vec::new();
    for _ in 0..16 {
        let mut stream = connect(&program).await;
        let ask = b"{\"ask\":\"streams\",\"session\":1}\n";
        stream.write_all(ask).await.expect("it takes it");
        // It has begun to answer, and has far more to say than the system keeps.
        let mut one = [0];
        within(stream.read_exact(&mut one))
            .await
            .expect("an answer");
        stuck.push(stream);
    }
    assert_eq!(
        raw(&program, b"{\"ask\":\"status\"}\n").await,
        "",
        "no place is left"
    );
    client.connect(&target().await, 1024).await;
    let more = program.process.resident_bytes().expect("it runs") - before;
    assert!(more < 16 * 1024 * 1024, "{more} bytes");
    let (good, _, err) = run(ctl(&program.path("admin.sock"), &["status"])).await;
    assert!(!good && err.contains("without an answer"), "{err}");
    // One who reads goes on to the end, and leaves his place to the next, as soon as it is noticed.
    let mut reader = stuck.pop().expect("16");
    let mut rest = String::new();
    within(reader.read_to_string(&mut rest))
        .await
        .expect("text");
    assert!(
        rest.ends_with("{\"done\":true,\"streams\":3001}\n"),
        "{rest}"
    );
    answers(&program).await;
}

/// Asks until somebody has a place.
async fn answers(program: &Program) {
    within(async { while raw(program, b"{\"ask\":\"status\"}\n").await.is_empty() {} }).await;
}

#[tokio::test]
async fn a_thousand_connections_are_bounded() {
    let program = start().await;
    let (ended, mut ends) = tokio::sync::mpsc::unbounded_channel();
    let mut reading = tokio::task::JoinSet::new();
    for _ in 0..1000 {
        let mut stream = connect(&program).await;
        let ended = ended.clone();
        reading.spawn(async move {
            let _ = stream.read(&mut [0]).await;
            let _ = ended.send(());
        });
    }
    for _ in 0..1000 - 16 {
        within(ends.recv()).await.expect("it is closed");
    }
    let mut client = client(&program, SECRET).await;
    client.connect(&target().await, 1024).await;
    reading.shutdown().await;
    answers(&program).await;
}
