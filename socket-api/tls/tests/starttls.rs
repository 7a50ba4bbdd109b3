//! Streams that begin in plaintext: nothing of it outlives the go-ahead, and none stays that way.

mod common;

use std::sync::Mutex;
use std::time::Duration;

use common::{Pipe, World, pipe};
use jackfield_socket::opening::{Dialogue, Lines, Turn, not_offered, refused};
use jackfield_socket::{Endpoint, Error, ErrorKind, Result, TcpConnect, TcpOptions, opening, time};
use jackfield_tls::{StartTls, TlsAcceptor, TlsConnector, TlsStream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// IMAP, in short.
#[derive(Clone, Debug, Default)]
struct Imap {
    greeted: bool,
}

impl Dialogue for Imap {
    fn line(&mut self, line: &str) -> Result<Turn> {
        match line {
            "* OK" if !self.greeted => {
                self.greeted = true;
                Ok(Turn::Ask("a STARTTLS\r\n".into()))
            }
            "a OK" => Ok(Turn::GoAhead),
            "a BAD" => Err(not_offered("STARTTLS")),
            line if line.starts_with('*') => Ok(Turn::Listen),
            line => Err(refused("said", line)),
        }
    }
}

/// A network of one connection.
#[derive(Debug)]
struct One(Mutex<Option<Pipe>>);

impl TcpConnect for One {
    type Stream = Pipe;

    async fn connect(&self, _to: &Endpoint, _options: &TcpOptions) -> Result<Pipe> {
        let pipe = self.0.lock().expect("no panic").take();
        pipe.ok_or_else(|| Error::new(ErrorKind::Refused, "one connection only"))
    }
}

/// Connects to a server that says these lines, each after one of the client's (the first at once),
/// and then speaks TLS; returns what the client has, and what it said in plaintext.
async fn connect(world: &World, to: &str, script: &[&str]) -> (Result<TlsStream<Pipe>>, String) {
    let (client, mut server) = pipe(4096);
    let connector = TlsConnector::new(world.client.clone()).expect("a connector");
    let network = StartTls::new(
        One(Mutex::new(Some(client))),
        connector,
        Lines::new(Imap::default()),
    );
    let acceptor = TlsAcceptor::new(world.server.clone()).expect("an acceptor");
    let serve = async {
        let mut heard = Vec::new();
        for (index, lines) in script.iter().enumerate() {
            if index > 0 {
                while let Ok(byte) = server.read_u8().await {
                    heard.push(byte);
                    if byte == b'\n' {
                        break;
                    }
                }
            }
            if server.write_all(lines.as_bytes()).await.is_err() {
                break;
            }
        }
        if let Ok(mut secured) = acceptor.accept(server).await {
            // The client may be gone.
            let _ = secured.write_all(b"a CAPABILITY").await;
            let _ = secured.shutdown().await;
        }
        String::from_utf8(heard).expect("text")
    };
    let to = to.parse().expect("an endpoint");
    let options = TcpOptions::default();
    let (heard, connected) = tokio::join!(biased; serve, network.connect(&to, &options));
    (connected, heard)
}

#[tokio::test]
async fn a_stream_is_secured_at_the_go_ahead() {
    let script = ["* OK\r\n", "* CAPABILITY STARTTLS\r\na OK\r\n"];
    let (stream, heard) = connect(&World::new(), "server.test:143", &script).await;
    assert_eq!(heard, "a STARTTLS\r\n");
    let mut stream = stream.expect("secured");
    let mut text = String::new();
    stream.read_to_string(&mut text).await.expect("an end");
    assert_eq!(text, "a CAPABILITY", "nothing of the plaintext");
}

#[tokio::test]
async fn words_that_someone_has_put_in() {
    for (script, what) in [
        (
            &["* OK\r\n", "a OK\r\n* PREAUTH injected\r\n"][..],
            "asking server.test for TLS: the server sent 20 bytes of plaintext after its go-ahead \
             for TLS",
        ),
        (
            &["* OK\r\na OK\r\n", ""],
            "asking server.test for TLS: the server said \"a OK\" before it was asked",
        ),
        (
            &["a OK\r\n", ""],
            "asking server.test for TLS: the server gave its go-ahead for TLS, \"a OK\", before it \
             was asked",
        ),
    ] {
        let (stream, _) = connect(&World::new(), "server.test:143", script).await;
        let error = stream.expect_err(what);
        assert_eq!(error.kind(), ErrorKind::Protocol);
        assert_eq!(error.to_string(), what);
    }
}

#[tokio::test]
async fn a_server_without_tls_is_an_error_of_its_own() {
    for (answer, what) in [
        ("a BAD\r\n", "the server does not offer STARTTLS"),
        ("a NO later\r\n", "the server said \"a NO later\""),
    ] {
        let (stream, _) = connect(&World::new(), "server.test:143", &["* OK\r\n", answer]).await;
        let error = stream.expect_err(what);
        assert_eq!(error.kind(), ErrorKind::TlsRefused);
        assert_eq!(
            error.to_string(),
            format!("asking server.test for TLS: {what}")
        );
    }
}

#[tokio::test]
async fn the_certificate_is_verified() {
    let script = ["* OK\r\n", "a OK\r\n"];
    let (stream, _) = connect(&World::new(), "other.test:143", &script).await;
    let error = stream.expect_err("another name");
    assert_eq!(error.kind(), ErrorKind::Certificate, "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_is_given_up_when_the_caller_does() {
    let world = World::new();
    let (client, mut server) = pipe(4096);
    let network = StartTls::new(
        One(Mutex::new(Some(client))),
        TlsConnector::new(world.client).expect("a connector"),
        Lines::new(Imap::default()),
    );
    server.write_all(b"* OK\r\n").await.expect("written");
    let to = "server.test:143".parse().expect("an endpoint");
    let options = TcpOptions::default();
    let connect = network.connect(&to, &options);
    let result = time::timeout(Duration::from_secs(5), connect).await;
    result.expect_err("no answer");
    // The stream is closed.
    let mut heard = Vec::new();
    server.read_to_end(&mut heard).await.expect("an end");
    assert_eq!(heard, b"a STARTTLS\r\n");
}

#[tokio::test]
async fn the_limit_of_an_opening() {
    let chatter = "* note\r\n".repeat(opening::MAX_OPENING / 8 + 1);
    let (stream, _) = connect(&World::new(), "server.test:143", &["* OK\r\n", &chatter]).await;
    let error = stream.expect_err("too much");
    assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{error}");
}
