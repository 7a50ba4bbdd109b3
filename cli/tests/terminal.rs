//! What a peer says does nothing to the terminal that shows it, and comes through a pipe byte for
//! byte.
#![cfg(unix)]

mod common;

use std::fs::File;
use std::io::Read;
use std::net::SocketAddr;
use std::process::Stdio;

use common::{PATIENCE, command, listener, run, start};
use jackfield_coap::codec::{Code, ContentFormat};
use jackfield_coap::server::{Reply, Resource, ServerConfig, Site, serve_udp};
use jackfield_native::Native;
use jackfield_socket::{ByteStream, DatagramSocket, UdpOpen, UdpOptions};
use jackfield_testing::mqtt_broker::Broker;
use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use tokio::time::timeout;

/// Renames the window, clears the screen in one character of eight bits, and turns text around.
const EVIL: &str = "\u{1b}]0;owned\u{7}\u{9b}2J\u{202e}";
const EVIL_SHOWN: &str = r"\u{1b}]0;owned\u{7}\u{9b}2J\u{202e}";

/// What a command writes to a terminal, where its input is too, and its exit code.
async fn at_a_terminal(mut command: Command) -> (String, Option<i32>) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&master).expect("granted");
    unlockpt(&master).expect("unlocked");
    let name = ptsname(&master, Vec::new()).expect("a name");
    let flags = OFlags::RDWR | OFlags::NOCTTY;
    let slave = rustix::fs::open(&*name, flags, Mode::empty()).expect("the terminal");
    let slave = File::from(slave);
    command.stdin(Stdio::from(slave.try_clone().expect("a descriptor")));
    command.stdout(Stdio::from(slave.try_clone().expect("a descriptor")));
    command.stderr(Stdio::from(slave));
    let mut child = command.spawn().expect("the binary runs");
    // It holds the descriptors too.
    drop(command);
    let read = tokio::task::spawn_blocking(move || {
        let mut master = File::from(master);
        let mut output = Vec::new();
        // When nobody has it open any more, Linux says so with an error.
        let _ = master.read_to_end(&mut output);
        output
    });
    let status = timeout(PATIENCE, child.wait()).await;
    let status = status.expect("it does not end").expect("an end");
    let output = String::from_utf8(read.await.expect("no panic")).expect("text");
    (output.replace("\r\n", "\n"), status.code())
}

/// Nothing that a terminal would act on.
fn is_harmless(output: &str) -> bool {
    let harmful = |char: char| char != '\n' && (char.is_control() || char == '\u{202e}');
    !output.contains(harmful)
}

/// Answers one client with these bytes, when it has said this; reads on to its end.
fn answering(
    mut listener: impl jackfield_socket::TcpListener<Stream: ByteStream> + 'static,
    after: &'static str,
    answer: Vec<u8>,
) {
    tokio::spawn(async move {
        let mut stream = listener.accept().await.expect("a client");
        let mut said = Vec::new();
        while !said.ends_with(after.as_bytes()) {
            said.push(stream.read_u8().await.expect("more"));
        }
        stream.write_all(&answer).await.expect("written");
        stream.shutdown().await.expect("ended");
        let _ = stream.read_to_end(&mut said).await;
    });
}

#[tokio::test]
async fn nc() {
    let bytes = b"text\r\n\xc3\xa9 \x1b[2J\xff over\rwritten".to_vec();
    for terminal in [true, false] {
        let (listener, at) = listener().await;
        answering(listener, "", bytes.clone());
        let port = at.port().to_string();
        let args = ["nc", "127.0.0.1", &port];
        if terminal {
            let (output, code) = at_a_terminal(command(&args)).await;
            assert_eq!(output, "text\n\u{e9} \\u{1b}[2J\\xff over\\rwritten");
            assert_eq!(code, Some(0));
        } else {
            assert_eq!(run(&args, b"").await.output, bytes);
        }
    }
}

#[tokio::test]
async fn irc_refusal() {
    let refusal = format!(":x 465 ada :\x02No\x0f \x0304,02you{EVIL}\r\nERROR :bye\r\n");
    for terminal in [true, false] {
        let (listener, at) = listener().await;
        answering(listener, "NICK ada\r\n", refusal.clone().into());
        let port = at.port().to_string();
        let command = command(&["irc", "--plain", "--nick", "ada", "127.0.0.1", &port]);
        let (errors, code) = if terminal {
            at_a_terminal(command).await
        } else {
            let outcome = start(command).finish(b"").await;
            (outcome.errors, outcome.code)
        };
        assert_eq!(code, Some(6), "{errors}");
        assert!(is_harmless(&errors), "{errors:?}");
        assert!(errors.contains(EVIL_SHOWN), "{errors:?}");
    }
}

#[tokio::test]
async fn irc_messages() {
    let welcome = ":x 001 ada :Welcome\r\n:x 422 ada :No MOTD\r\n";
    let message = format!(":eve!e@x PRIVMSG ada :\x02bold\x02 \x0304,02red\x03 {EVIL}\r\n");
    let ending = ":x 465 ada :Enough\r\n";
    for terminal in [true, false] {
        let (listener, at) = listener().await;
        let answer = [welcome, &message, ending].concat();
        answering(listener, "NICK ada\r\n", answer.into());
        let port = at.port().to_string();
        let command = command(&["irc", "--plain", "--nick", "ada", "127.0.0.1", &port]);
        let output = if terminal {
            at_a_terminal(command).await.0
        } else {
            let outcome = start(command).finish(b"").await;
            String::from_utf8(outcome.output).expect("text")
        };
        let expected = format!("[eve] <eve> bold red {EVIL_SHOWN}\n");
        assert!(output.contains(&expected), "{output:?}");
        assert!(is_harmless(&output), "{output:?}");
    }
}

async fn publish(at: SocketAddr, topic: &str, payload: &[u8]) {
    let port = at.port().to_string();
    let publish = [
        "mqtt",
        "pub",
        "-h",
        "127.0.0.1",
        "-p",
        &port,
        "-q",
        "1",
        "-r",
    ];
    let outcome = run(&[&publish[..], &["-t", topic, "-s"]].concat(), payload).await;
    assert_eq!(outcome.code, Some(0), "{}", outcome.errors);
}

#[tokio::test]
async fn mqtt_messages() {
    let broker = Broker::start().await.expect("a broker");
    let at = broker.tcp();
    let payload = [EVIL.as_bytes(), b"\n\xff\xfe\0"].concat();
    publish(at, "evil", &payload).await;
    let port = at.port().to_string();
    let sub = ["mqtt", "sub", "-h", "127.0.0.1", "-p", &port];
    let sub = [&sub[..], &["-t", "evil", "-v", "-C", "1"]].concat();
    let outcome = run(&sub, b"").await;
    let expected = [b"evil ", &payload[..], b"\n"].concat();
    assert_eq!(outcome.output, expected);
    let (output, code) = at_a_terminal(command(&sub)).await;
    assert_eq!(output, format!("evil {EVIL_SHOWN}\n\\xff\\xfe\\u{{0}}\n"));
    assert_eq!(code, Some(0));
}

#[tokio::test]
async fn coap_resources() {
    let site = Site::new(ServerConfig::default());
    let evil = Resource::new()
        .get(|_| Reply::content(EVIL.as_bytes().to_vec(), ContentFormat::TEXT_PLAIN));
    site.add("/evil", evil).expect("a path");
    let locked = Resource::new().get(|_| Reply::error(Code::FORBIDDEN, EVIL));
    site.add("/locked", locked).expect("a path");
    let at = "127.0.0.1:0".parse().expect("an address");
    let socket = Native.open_bound(at, &UdpOptions::default()).await;
    let socket = socket.expect("a socket");
    let at = socket.local_addr().expect("an address");
    tokio::spawn(serve_udp(socket, site));

    let base = format!("coap://{at}");
    let evil = format!("{base}/evil");
    for verb in [&["get"][..], &["observe", "-C", "1"]] {
        let args = [&["coap"], verb, &[&evil]].concat();
        let line = if verb.len() > 1 { "\n" } else { "" };
        let outcome = run(&args, b"").await;
        assert_eq!(outcome.output, format!("{EVIL}{line}").into_bytes());
        // A terminal gets a whole line.
        let (output, code) = at_a_terminal(command(&args)).await;
        assert_eq!(output, format!("{EVIL_SHOWN}\n"));
        assert_eq!(code, Some(0));
    }
    let (output, code) = at_a_terminal(command(&["coap", "get", &format!("{base}/locked")])).await;
    assert!(is_harmless(&output), "{output:?}");
    assert!(output.contains("4.03 Forbidden"), "{output:?}");
    assert_eq!(code, Some(6));
}

#[tokio::test]
async fn coap_links() {
    let server = tokio::net::UdpSocket::bind("127.0.0.1:0").await;
    let server = server.expect("a socket");
    let uri = format!("coap://{}", server.local_addr().expect("an address"));
    tokio::spawn(async move {
        let mut buffer = [0; 1500];
        while let Ok((_, from)) = server.recv_from(&mut buffer).await {
            let token = usize::from(buffer[0] & 0xf);
            // An acknowledgement with 2.05 Content, and link-format for its body.
            let mut answer = vec![0x60 | buffer[0] & 0xf, 0x45, buffer[2], buffer[3]];
            answer.extend_from_slice(&buffer[4..4 + token]);
            answer.extend_from_slice(b"\xc1\x28\xff");
            let links = "</evil>;title=\"a lamp's \u{202e}\"";
            answer.extend_from_slice(links.as_bytes());
            server.send_to(&answer, from).await.expect("sent");
        }
    });
    let discover = ["coap", "discover", &uri];
    let expected = "/evil title=a lamp's \\u{202e}\n";
    let (output, _) = at_a_terminal(command(&discover)).await;
    assert_eq!(output, expected);
    let outcome = run(&discover, b"").await;
    assert_eq!(outcome.output, expected.as_bytes());
}
