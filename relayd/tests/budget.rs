//! The relay's budget: descriptors and memory of all sessions together.

mod common;

use std::process::{Command, Stdio};
use std::time::Duration;

use common::{Client, ORIGIN, SECRET, TestRelay, config, keep, names, token, within};
use jackfield_relay_wire::{Code, Frame, Id, MAX_DATA, Reason};
use tokio::net::TcpSocket;
use tokio::time::{sleep, timeout};

/// Something that takes connections, keeps them, and reads nothing.
fn keeper() -> String {
    let socket = TcpSocket::new_v4().expect("a socket");
    // The system's least.
    socket.set_recv_buffer_size(1).expect("an option");
    socket
        .bind("127.0.0.1:0".parse().expect("an address"))
        .expect("a free port");
    let listener = socket.listen(64).expect("it listens");
    keep(listener)
}

#[tokio::test]
async fn streams_sockets_and_listeners_are_limited_over_all_tokens() {
    let mut config = config(token());
    let mut other = token();
    other.name = "other".into();
    let secret = jackfield_relayd::token::Secret::new("another-secret-of-the-tests");
    other.credential = jackfield_relayd::token::Credential::Secret(secret.expect("long enough"));
    config.tokens.push(other);
    config.max_streams = Some(2);
    let relay = TestRelay::start(config).await;
    let address = keeper();
    let mut one = relay.client().await;
    let other = Some("another-secret-of-the-tests");
    let mut two = Client::open(relay.address, ORIGIN, other).await;
    let two = two.as_mut().expect("let in");
    let (first, _) = one.connect(&address, 1024).await;
    two.connect(&address, 1024).await;
    let limit = "the relay's limit max_streams (2)";
    names(&one.refused(&address).await, limit);
    let id = two.ask_to_listen("127.0.0.1:0", 1).await;
    names(&two.refusal(id).await, limit);
    let reason = Reason::new(Code::CANCELLED, "");
    one.send(&Frame::Reset { id: first, reason }).await;
    one.connect(&address, 1024).await;
}

/// Sends until nobody takes more; how many bytes that were.
async fn fill(client: &mut Client, id: Id, mut credit: u32) -> usize {
    let mut sent = 0;
    loop {
        while credit > 0 {
            let length = MAX_DATA.min(credit as usize);
            let data = vec![7; length].into();
            client.send(&Frame::Data { id, data }).await;
            credit -= length as u32;
            sent += length;
        }
        // That no more will come can only be told by time.
        let Ok(frame) = timeout(Duration::from_millis(500), client.frame()).await else {
            return sent;
        };
        match frame {
            Frame::Credit { id: to, more } if to == id => credit += more,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn where_too_much_waits_nothing_new_is_taken() {
    let mut config = config(token());
    config.max_buffer_bytes = 200_000;
    let relay = TestRelay::start(config).await;
    let address = keeper();
    let (mut client, mut bystander) = (relay.client().await, relay.client().await);
    let (id, credit) = client.connect(&address, 1024).await;
    fill(&mut client, id, credit).await;
    // It is counted now and then.
    let limit = "the relay's limit max_buffer_bytes (200000)";
    within(async {
        loop {
            let asked = bystander.ask(&address, 1024).await;
            match bystander.frame().await {
                Frame::Opened { .. } => sleep(Duration::from_millis(20)).await,
                Frame::Refused { id, reason } if id == asked => break names(&reason, limit),
                other => panic!("{other:?}"),
            }
        }
    })
    .await;
    let late = Client::upgrade(relay.address, ORIGIN, Some(SECRET)).await;
    let reason = late.expect("a WebSocket").last_word().await;
    let reason = reason.expect("a reason");
    assert_eq!(reason.code(), Code::RELAY_FULL, "{reason}");
    assert!(reason.text().contains(limit), "{reason}");

    // It takes again as soon as that is gone.
    drop(client);
    within(async {
        loop {
            bystander.ask(&address, 1024).await;
            match bystander.frame().await {
                Frame::Opened { .. } => break,
                Frame::Refused { .. } => sleep(Duration::from_millis(20)).await,
                other => panic!("{other:?}"),
            }
        }
    })
    .await;
}

/// Targets that take nothing cost the client nothing that sends to them: it doesn't keep others out so.
#[tokio::test]
async fn who_holds_more_than_its_part_gives_it_up() {
    let mut config = config(token());
    config.max_buffer_bytes = 200_000;
    let relay = TestRelay::start(config).await;
    let address = keeper();
    let (mut client, mut bystander) = (relay.client().await, relay.client().await);
    let (theirs, _) = bystander.connect(&address, 1024).await;
    let data = vec![7; 1000].into();
    bystander.send(&Frame::Data { id: theirs, data }).await;
    let (id, credit) = client.connect(&address, 1024).await;
    fill(&mut client, id, credit).await;
    let reason = match within(client.frame()).await {
        Frame::Reset { id: cut, reason } if cut == id => reason,
        other => panic!("{other:?}"),
    };
    names(&reason, "the relay's limit max_buffer_bytes (200000)");
    // The session itself goes on, and so does what others have open.
    client.connect(&address, 1024).await;
    let data = vec![7; 1000].into();
    bystander.send(&Frame::Data { id: theirs, data }).await;
    bystander.connect(&address, 1024).await;
}

/// What a target doesn't take waits in the relay's window, and a little of it in the system.
#[tokio::test]
async fn the_system_keeps_little_for_a_target_that_takes_nothing() {
    let relay = TestRelay::start(config(token())).await;
    let address = keeper();
    let mut client = relay.client().await;
    let (id, credit) = client.connect(&address, 1024).await;
    let sent = fill(&mut client, id, credit).await;
    // Twice what is asked for, as Linux has it, and what the target's own end takes.
    let bound = credit as usize + 2 * 256 * 1024 + 128 * 1024;
    assert!(sent <= bound, "{sent} bytes of {bound}");
}

#[cfg(unix)]
#[test]
fn a_relay_whose_limits_do_not_fit_is_refused_at_start() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("relayd.toml");
    let run = |limits: &str, text: &str, check: &str| {
        std::fs::write(&path, format!("listen = ['127.0.0.1:0']\n{text}\n")).expect("written");
        let line = format!("{limits}; exec \"$0\" --config \"$1\" {check}");
        let mut command = Command::new("sh");
        command
            .args(["-c", &line, env!("CARGO_BIN_EXE_jackfield-relayd")])
            .arg(&path)
            .stdin(Stdio::null());
        command
    };
    for check in ["--check", ""] {
        let fits_not = "max_sessions = 50\nmax_streams = 5000";
        let mut command = run("ulimit -n 4096", fits_not, check);
        let output = command.output().expect("it runs");
        let error = String::from_utf8(output.stderr).expect("text");
        assert!(!output.status.success(), "{error}");
        assert!(error.contains("max_streams (5000)"), "{error}");
        assert!(error.contains("the process may have 4096"), "{error}");
    }
    // The soft limit is for programs that can't do with more.
    let fits = "max_sessions = 50\nmax_streams = 2000";
    let mut command = run("ulimit -Sn 256; ulimit -Hn 4096", fits, "--check");
    let output = command.output().expect("it runs");
    assert!(output.status.success(), "{output:?}");
}
