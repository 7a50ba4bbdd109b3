//! Leave-taking: what is said in the end, to the peer when a signal comes or nobody reads any more,
//! and to the shell.
#![cfg(unix)]

mod common;

use std::net::SocketAddr;

use common::{PATIENCE, Running, answering_signals, command, listener, run, start};
use jackfield_irc::server::{ServerConfig, serve};
use jackfield_native::Native;
use jackfield_socket::{TcpConnect, TcpListener as _, TcpOptions};
use jackfield_testing::certs::Authority;
use jackfield_testing::mosquitto::{Mosquitto, Settings};
use rustix::process::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::timeout;

async fn mosquitto() -> Mosquitto {
    let certificate = Authority::new().server(&["127.0.0.1"]);
    let broker = Mosquitto::start(&certificate, &Settings::default()).await;
    broker.expect("mosquitto, which is installed")
}

/// Subscribes, and returns when the broker has agreed.
async fn subscribed(at: SocketAddr, args: &[&str]) -> Running {
    let port = at.port().to_string();
    let sub = ["mqtt", "sub", "-d", "-h", "127.0.0.1", "-p", &port];
    let mut running = start(command(&[&sub[..], args].concat()));
    running.said("jackfield: subscribed").await;
    running
}

async fn publish(at: SocketAddr, topic: &str, message: &str) {
    let port = at.port().to_string();
    let publish = ["mqtt", "pub", "-h", "127.0.0.1", "-p", &port, "-q", "1"];
    let args = [&publish[..], &["-t", topic, "-m", message]].concat();
    let outcome = start(command(&args)).finish(b"").await;
    assert_eq!(outcome.code, Some(0), "{}", outcome.errors);
}

#[tokio::test]
async fn a_will_is_not_published_after_a_signal() {
    let broker = mosquitto().await;
    let at = broker.plain();
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let watching = subscribed(at, &["-t", "gone", "-C", "1"]).await;
        let will = ["--will-topic", "gone", "--will-payload", "ada", "-t", "x"];
        let leaving = subscribed(at, &will).await;
        leaving.signal(signal);
        let outcome = leaving.end().await;
        assert_eq!(outcome.code, Some(code), "{}", outcome.errors);
        publish(at, "gone", "after it").await;
        let outcome = watching.finish(b"").await;
        assert_eq!(outcome.output, b"after it\n", "{}", outcome.errors);
    }
}

#[tokio::test]
async fn a_will_is_not_published_when_nobody_reads() {
    let broker = mosquitto().await;
    let at = broker.plain();
    let watching = subscribed(at, &["-t", "gone", "-C", "1"]).await;
    let will = ["--will-topic", "gone", "--will-payload", "ada", "-t", "x"];
    let mut leaving = subscribed(at, &will).await;
    publish(at, "x", "read").await;
    leaving.prints("read").await;
    leaving.close_output();
    publish(at, "x", "not read").await;
    let outcome = leaving.end().await;
    assert_eq!(outcome.code, Some(141), "{}", outcome.errors);
    assert_eq!(outcome.errors.lines().last(), Some("jackfield: subscribed"));
    publish(at, "gone", "after it").await;
    let outcome = watching.finish(b"").await;
    assert_eq!(outcome.output, b"after it\n", "{}", outcome.errors);
}

/// A server that lets one client in, and what this client says after that.
async fn registered(args: &[&str]) -> (Running, impl AsyncReadExt + AsyncWriteExt + Unpin) {
    let (mut listener, at) = listener().await;
    let port = at.port().to_string();
    let args = [
        &["irc", "--plain", "--nick", "ada"],
        args,
        &["127.0.0.1", &port],
    ]
    .concat();
    let mut running = start(command(&args));
    let mut stream = listener.accept().await.expect("a client");
    stream
        .write_all(b":irc.test 001 ada :Welcome\r\n:irc.test 422 ada :No MOTD\r\n")
        .await
        .expect("it reads");
    running.prints("-- on the network as ada").await;
    (running, stream)
}

#[tokio::test]
async fn irc_is_left_with_a_word() {
    let (listener, at) = listener().await;
    tokio::spawn(serve(listener, ServerConfig::new()));
    let port = at.port().to_string();
    let enter = |nick| {
        let args = ["irc", "--plain", "--nick", nick, "--join", "#here"];
        start(command(&[&args[..], &["127.0.0.1", &port]].concat()))
    };
    let mut ada = enter("ada");
    ada.prints("[#here] -> ada").await;
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let mut bob = enter("bob");
        ada.prints("[#here] -> bob").await;
        bob.prints("[#here] -> bob").await;
        bob.signal(signal);
        let outcome = bob.end().await;
        assert_eq!(outcome.code, Some(code), "{}", outcome.errors);
        // Had the connection been cut, it would say so.
        ada.prints("<- bob left (Quit: ").await;
    }
}

#[tokio::test]
async fn irc_says_quit_when_nobody_reads() {
    let (mut running, mut stream) = registered(&[]).await;
    running.close_output();
    stream
        .write_all(b":eve!e@host PRIVMSG ada :hello\r\n")
        .await
        .expect("it reads");
    let mut said = Vec::new();
    while !said.ends_with(b"QUIT\r\n") {
        said.push(stream.read_u8().await.expect("it says QUIT"));
    }
    drop(stream);
    let outcome = running.end().await;
    assert_eq!(outcome.code, Some(141), "{}", outcome.errors);
    assert_eq!(outcome.errors, "");
}

/// A server that takes no leave keeps nobody: there is a bound, and a second signal does not wait
/// for it.
#[tokio::test]
async fn a_farewell_is_bounded() {
    for again in [false, true] {
        let (running, mut stream) = registered(&[]).await;
        running.signal(Signal::INT);
        let mut said = Vec::new();
        while !said.ends_with(b"QUIT\r\n") {
            said.push(stream.read_u8().await.expect("it says QUIT"));
        }
        if again {
            running.signal(Signal::TERM);
        }
        let outcome = running.end().await;
        let code = if again { 143 } else { 130 };
        assert_eq!(outcome.code, Some(code), "{}", outcome.errors);
    }
}

#[tokio::test]
async fn a_stream_is_ended_in_order() {
    for command_line in [["nc", "127.0.0.1"], ["listen", "127.0.0.1:0"]] {
        let (mut listener, at) = listener().await;
        let port = at.port().to_string();
        let (running, mut stream) = if command_line[0] == "nc" {
            let running = start(command(&[&command_line[..], &[&port]].concat()));
            (running, listener.accept().await.expect("a connection"))
        } else {
            let mut running = start(command(&[&command_line[..], &["--keep"]].concat()));
            let at = running.said("listening at ").await;
            let at = at.parse().expect("an endpoint");
            let stream = Native.connect(&at, &TcpOptions::default()).await;
            let stream = stream.expect("it listens");
            running.said("connection from ").await;
            (running, stream)
        };
        stream.write_all(b"?").await.expect("written");
        running.signal(Signal::TERM);
        assert_eq!(stream.read(&mut [0]).await.expect("an end in order"), 0);
        drop(stream);
        let outcome = running.end().await;
        assert_eq!(outcome.code, Some(143), "{}", outcome.errors);
    }
}

#[tokio::test]
async fn a_signal_while_it_connects() {
    // It accepts connections, and says nothing.
    let (listener, at) = listener().await;
    let port = at.port().to_string();
    for args in [
        &["nc", "-v", "--tls", "127.0.0.1", &port][..],
        &[
            "mqtt",
            "sub",
            "-d",
            "-h",
            "127.0.0.1",
            "-p",
            &port,
            "-t",
            "x",
        ],
    ] {
        let mut running = start(command(args));
        running
            .said(if args[0] == "nc" {
                "securing it"
            } else {
                "jackfield: connecting"
            })
            .await;
        running.signal(Signal::INT);
        let outcome = running.end().await;
        assert_eq!(outcome.code, Some(130), "{}", outcome.errors);
    }
    drop(listener);
}

/// As `nohup` has it.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_ignored_signal_stays_ignored() {
    let (mut listener, at) = listener().await;
    let mut shell = answering_signals("sh");
    let binary = env!("CARGO_BIN_EXE_jackfield");
    let script = r#"trap "" HUP; exec "$0" nc -v 127.0.0.1 "$1""#;
    let port = at.port().to_string();
    shell.args(["-c", script, binary, &port]);
    shell.stdin(std::process::Stdio::piped());
    shell.stdout(std::process::Stdio::piped());
    shell.stderr(std::process::Stdio::piped());
    let mut running = start(shell);
    let mut stream = listener.accept().await.expect("a connection");
    running.said("connected to").await;
    running.signal(Signal::HUP);
    stream.write_all(b"still there\n").await.expect("written");
    running.prints("still there").await;
    running.signal(Signal::INT);
    let outcome = running.end().await;
    assert_eq!(outcome.code, Some(130), "{}", outcome.errors);
}

/// RFC 7641, section 3.6: who is no longer interested says so, and gets no more notifications.
#[tokio::test]
async fn coap_ends_its_observation() {
    let server = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let at = server.local_addr().expect("an address");
    let (tell, mut told) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut buffer = [0; 1500];
        while let Ok((length, from)) = server.recv_from(&mut buffer).await {
            let (header, rest) = buffer[..length].split_at(4);
            let (token, options) = rest.split_at(usize::from(header[0] & 0xf));
            // A reset for what is a ping, and else 2.05 Content, acknowledged, with Observe: 5.
            let mut answer = vec![0x70, 0, header[2], header[3]];
            if header[1] != 0 {
                answer[0] = 0x60 | header[0] & 0xf;
                answer[1] = 0x45;
                answer.extend_from_slice(token);
                answer.extend_from_slice(b"\x61\x05\xffon");
                let _ = tell.send(options.to_vec());
            }
            server.send_to(&answer, from).await.expect("sent");
        }
    });
    // The first option is Observe: 0 to begin, and 1 to end it.
    let mut observed = async |value: &[u8]| {
        let options = timeout(PATIENCE, told.recv()).await;
        let options = options.expect("it says nothing").expect("a request");
        assert!(options.starts_with(value), "{options:?}");
    };
    let uri = format!("coap://{at}/light");
    let mut observing = start(command(&["coap", "observe", &uri]));
    observed(&[0x60]).await;
    observing.prints("on").await;
    observing.signal(Signal::INT);
    observed(&[0x61, 1]).await;
    let outcome = observing.end().await;
    assert_eq!(outcome.code, Some(130), "{}", outcome.errors);

    let outcome = run(&["coap", "observe", &uri, "-C", "1"], b"").await;
    assert_eq!(outcome.code, Some(0), "{}", outcome.errors);
    observed(&[0x60]).await;
    observed(&[0x61, 1]).await;
}
