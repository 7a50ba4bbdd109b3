//! `jackfield nc` and `jackfield listen`, against each other and against listeners of this process.

mod common;

use std::path::{Path, PathBuf};

use common::{Outcome, command, listener, run, start};
use jackfield_socket::{ByteStream, TcpListener};
use jackfield_testing::certs::{Authority, Certificate};
use jackfield_testing::closed::Closed;
use jackfield_tls::{Identity, TlsAcceptor, TlsListener, TlsServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test]
async fn bytes_go_both_ways_until_both_have_ended() {
    let (mut listener, at) = listener().await;
    let serve = async {
        let mut stream = listener.accept().await.expect("a connection");
        let mut question = Vec::new();
        stream.read_to_end(&mut question).await.expect("an end");
        question.reverse();
        stream.write_all(&question).await.expect("written");
        stream.shutdown().await.expect("ended");
    };
    let question: Vec<u8> = (0..300_000_u32).map(|n| (n % 251) as u8).collect();
    let port = at.port().to_string();
    let args = ["nc", "-v", "127.0.0.1", &port];
    let (outcome, ()) = tokio::join!(run(&args, &question), serve);
    assert_eq!(outcome.code, Some(0), "{}", outcome.errors);
    assert!(outcome.output.iter().rev().eq(&question), "every byte");
    let errors = outcome.errors;
    assert!(
        errors.contains(&format!("connecting to {at}\n")),
        "{errors}"
    );
    assert!(
        errors.contains(&format!("connected to {at} from 127.0.0.1:")),
        "{errors}"
    );
    assert!(
        errors.contains("sent 300000 bytes, received 300000 bytes"),
        "{errors}"
    );
}

#[tokio::test]
async fn a_refused_connection() {
    let (listener, at) = listener().await;
    drop(listener);
    let outcome = run(&["nc", "127.0.0.1", &at.port().to_string()], b"").await;
    assert_eq!(outcome.code, Some(4));
    let expected = format!("jackfield: connecting to {at}: can't connect to {at}");
    assert!(outcome.errors.starts_with(&expected), "{}", outcome.errors);
    assert!(outcome.errors.contains("refused"), "{}", outcome.errors);
}

#[tokio::test]
async fn a_wrong_command_line() {
    for args in [
        &["nc", "127.1", "80"][..],
        &["nc", "localhost", "65536"],
        &["nc", "localhost", "80", "--tls", "--starttls", "imap"],
        &["nc", "localhost", "80", "--cert", "x"],
        &["nc", "localhost", "80", "--timeout", "-1"],
        &["listen", "localhost:80"],
        &["listen", "--tls"],
    ] {
        let outcome = run(args, b"").await;
        assert_eq!(outcome.code, Some(2), "{args:?}: {}", outcome.errors);
    }
}

#[tokio::test]
async fn a_cut_connection_is_no_end() {
    let (mut listener, at) = listener().await;
    let serve = async {
        let stream = listener.accept().await.expect("a connection");
        // What is unread when a socket is closed makes it a reset.
        let mut stream = stream;
        stream.write_all(b"half").await.expect("written");
        stream.read_u8().await.expect("a byte");
    };
    let port = at.port().to_string();
    let args = ["nc", "127.0.0.1", &port];
    let input = vec![0; 100_000];
    let (outcome, ()) = tokio::join!(run(&args, &input), serve);
    assert_eq!(outcome.code, Some(7), "{}", outcome.errors);
}

struct Server {
    authority: Authority,
    directory: tempfile::TempDir,
}

impl Server {
    fn new() -> Self {
        Self {
            authority: Authority::new(),
            directory: tempfile::tempdir().expect("a directory"),
        }
    }

    fn ca(&self) -> PathBuf {
        let path = self.directory.path().join("ca.pem");
        std::fs::write(&path, self.authority.pem()).expect("written");
        path
    }

    /// What `jackfield nc --tls` makes of a server with this certificate, if it trusts our authority.
    async fn greet(&self, certificate: &Certificate, args: &[&str]) -> Outcome {
        let ca = self.ca();
        greet(certificate, &[&["--ca", text(&ca)], args].concat()).await
    }
}

/// What `jackfield nc --tls` makes of a server with this certificate.
async fn greet(certificate: &Certificate, args: &[&str]) -> Outcome {
    let (listener, at) = listener().await;
    let mut listener = TlsListener::new(listener, acceptor(certificate));
    let serve = async move {
        if let Ok(mut stream) = listener.accept().await {
            let mut question = Vec::new();
            // The client may go on to refuse us.
            let _ = stream.read_to_end(&mut question).await;
            let _ = stream.write_all(b"welcome\n").await;
            let _ = stream.shutdown().await;
        }
    };
    let port = at.port().to_string();
    let all = [&["nc", "--tls", "127.0.0.1", &port], args].concat();
    tokio::join!(run(&all, b""), serve).0
}

fn acceptor(certificate: &Certificate) -> TlsAcceptor {
    let chain = certificate.pem().as_bytes();
    let identity = Identity::from_pem(chain, certificate.key_pem().as_bytes()).expect("a pair");
    TlsAcceptor::new(TlsServerConfig::new(identity)).expect("an acceptor")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("text")
}

#[tokio::test]
async fn tls_is_described() {
    let server = Server::new();
    let certificate = server.authority.server(&["127.0.0.1", "a.test"]);
    let outcome = server.greet(&certificate, &["-v"]).await;
    assert_eq!(outcome.code, Some(0), "{}", outcome.errors);
    assert_eq!(outcome.output, b"welcome\n");
    for part in [
        "secured by TLS 1.3, TLS13_",
        "issued by CN=Jackfield test authority",
        "for 127.0.0.1, a.test",
    ] {
        assert!(outcome.errors.contains(part), "{part}: {}", outcome.errors);
    }
    // The name to verify can be given.
    let outcome = server
        .greet(&certificate, &["--server-name", "a.test"])
        .await;
    assert_eq!(outcome.code, Some(0), "{}", outcome.errors);
    assert_eq!(outcome.errors, "", "nothing to say unless asked");
}

#[tokio::test]
async fn wrong_certificates_are_told_apart() {
    let server = Server::new();
    let other_name = server.authority.server(&["a.test", "b.test"]);
    let expired = server.authority.expired_server(&["127.0.0.1"]);
    let other_issuer = Authority::new().server(&["127.0.0.1"]);
    for (certificate, what) in [
        (
            other_name,
            "its certificate is for another name: a.test, b.test",
        ),
        (
            expired,
            "its certificate (or one in its chain) expired on 2020-02-01",
        ),
        (other_issuer, "its certificate has a wrong signature"),
    ] {
        let outcome = server.greet(&certificate, &[]).await;
        assert_eq!(outcome.code, Some(5), "{}", outcome.errors);
        assert!(
            outcome
                .errors
                .starts_with("jackfield: securing the stream to 127.0.0.1:"),
            "{}",
            outcome.errors
        );
        assert!(outcome.errors.contains(what), "{}", outcome.errors);
        assert_eq!(outcome.output, b"");
    }
}

#[tokio::test]
async fn a_certificate_that_was_refused_can_be_pinned() {
    // For another name, by an unknown authority, and long over.
    let certificate = Authority::new().expired_server(&["a.test"]);
    let server = Server::new();
    let refused = server.greet(&certificate, &[]).await;
    assert_eq!(refused.code, Some(5), "{}", refused.errors);
    let (_, shown) = refused
        .errors
        .split_once("because: it showed ")
        .expect("the certificate");
    let pins: Vec<&str> = shown.trim_end().split(" with ").collect();
    assert_eq!(pins.len(), 2, "{shown}");
    for pin in pins {
        let outcome = greet(&certificate, &["--pin", pin, "-v"]).await;
        assert_eq!(outcome.code, Some(0), "{pin}: {}", outcome.errors);
        assert_eq!(outcome.output, b"welcome\n");
        assert!(outcome.errors.contains(pin), "{}", outcome.errors);
        // Not another's.
        let other = server.authority.server(&["127.0.0.1"]);
        let outcome = greet(&other, &["--pin", pin]).await;
        assert_eq!(outcome.code, Some(5), "{pin}: {}", outcome.errors);
        let what = "its certificate is none of those pinned, nor is its key";
        assert!(outcome.errors.contains(what), "{}", outcome.errors);
    }
    let outcome = run(&["nc", "--tls", "--pin", "junk", "127.0.0.1", "1"], b"").await;
    assert_eq!(outcome.code, Some(2), "{}", outcome.errors);
}

#[tokio::test]
async fn a_file_that_is_missing_is_named() {
    let args = ["nc", "--tls", "--ca", "no-such-file.pem", "127.0.0.1", "1"];
    let outcome = run(&args, b"").await;
    assert_eq!(outcome.code, Some(2));
    let expected = "jackfield: setting up TLS: can't read no-such-file.pem\n  because: ";
    assert!(outcome.errors.starts_with(expected), "{}", outcome.errors);
}

/// A server that says these lines, each after one of the client's (the first at once), and then
/// speaks TLS.
async fn starttls(protocol: &str, script: &[&str]) -> Outcome {
    let server = Server::new();
    let certificate = server.authority.server(&["127.0.0.1"]);
    let (mut listener, at) = listener().await;
    let serve = async {
        let mut stream = listener.accept().await.expect("a connection");
        for (index, lines) in script.iter().enumerate() {
            if index > 0 {
                while stream.read_u8().await.unwrap_or(b'\n') != b'\n' {}
            }
            stream.write_all(lines.as_bytes()).await.expect("written");
        }
        if let Ok(mut stream) = acceptor(&certificate).accept(stream).await {
            stream.write_all(b"secure\n").await.expect("written");
            stream.shutdown().await.expect("ended");
        }
    };
    let (port, ca) = (at.port().to_string(), server.ca());
    let args = [
        "nc",
        "--starttls",
        protocol,
        "--ca",
        text(&ca),
        "127.0.0.1",
        &port,
    ];
    let (outcome, ()) = tokio::join!(run(&args, b""), serve);
    outcome
}

#[tokio::test]
async fn tls_is_asked_for_in_each_protocol() {
    for (protocol, script) in [
        (
            "imap",
            &["* OK hello\r\n", "* CAPABILITY IMAP4rev1\r\nA1 OK go\r\n"][..],
        ),
        (
            "smtp",
            &[
                "220-mail.test\r\n220 ESMTP\r\n",
                "250-mail.test\r\n250-STARTTLS\r\n250 SIZE 1\r\n",
                "220 go\r\n",
            ],
        ),
        ("pop3", &["+OK hello\r\n", "+OK go\r\n"]),
        (
            "irc",
            &[
                ":irc.test NOTICE * :looking you up\r\n",
                ":irc.test 670 * :go\r\n",
            ],
        ),
    ] {
        let outcome = starttls(protocol, script).await;
        assert_eq!(outcome.code, Some(0), "{protocol}: {}", outcome.errors);
        assert_eq!(outcome.output, b"secure\n", "{protocol}");
    }
}

#[tokio::test]
async fn what_a_server_says_instead_is_told() {
    for (protocol, script, what) in [
        (
            "imap",
            &["* BYE full\r\n"][..],
            "the server greeted with \"* BYE\"",
        ),
        (
            "smtp",
            &["220 hello\r\n", "250-mail.test\r\n250 SIZE 1\r\n"],
            "the server does not offer STARTTLS",
        ),
        (
            "pop3",
            &["+OK\r\n", "-ERR no\r\n"],
            "answered STLS with \"-ERR no\"",
        ),
        (
            "irc",
            &["", ":irc.test 691 * :no\r\n"],
            "answered STARTTLS with \":irc.test 691 * :no\"",
        ),
        // Someone has put words in before the server could be known (CVE-2011-0411).
        (
            "imap",
            &["* OK\r\n", "A1 OK go\r\n* PREAUTH injected\r\n"],
            "sent 20 bytes of plaintext after",
        ),
        // Or before the question, so that the real answer would be taken for what comes next.
        (
            "imap",
            &["* OK\r\nA1 OK go\r\n", ""],
            "the server said \"A1 OK go\" before it was asked",
        ),
        (
            "pop3",
            &["+OK\r\n+OK go\r\n", ""],
            "the server said \"+OK go\" before it was asked",
        ),
        (
            "smtp",
            &["220 hello\r\n", "250 STARTTLS\r\n220 go\r\n", ""],
            "the server said \"220 go\" before it was asked",
        ),
    ] {
        let outcome = starttls(protocol, script).await;
        assert_eq!(outcome.code, Some(5), "{protocol}: {}", outcome.errors);
        assert!(outcome.errors.contains(what), "{}", outcome.errors);
        assert_eq!(outcome.output, b"");
    }
}

#[tokio::test]
async fn listening_names_who_connects() {
    let mut listening = start(command(&["listen", "0"]));
    let at = listening.said("listening at ").await;
    let (host, port) = at.rsplit_once(':').expect("an address");
    assert_eq!(host, "127.0.0.1", "nobody else, unless asked");
    let calling = start(command(&["nc", "-v", host, port]));
    let from = listening.said("connection from ").await;
    let (called, calling) = tokio::join!(
        listening.finish(b"to the caller"),
        calling.finish(b"to the called")
    );
    assert_eq!(
        (called.code, calling.code),
        (Some(0), Some(0)),
        "{called:?} {calling:?}"
    );
    assert_eq!(called.output, b"to the called");
    assert_eq!(calling.output, b"to the caller");
    assert!(
        calling.errors.contains(&format!("from {from} ")),
        "{}",
        calling.errors
    );
}

#[tokio::test]
async fn listening_with_tls() {
    let server = Server::new();
    let certificate = server.authority.server(&["localhost"]);
    let files = certificate
        .write_to(server.directory.path(), "server")
        .expect("written");
    let args = [
        "listen",
        "--tls",
        "--alpn",
        "a,b",
        "--cert",
        text(&files.certificate),
        "--key",
        text(&files.key),
    ];
    let mut listening = start(command(&args));
    let at = listening.said("listening at ").await;
    let (host, port) = at.rsplit_once(':').expect("an address");
    let ca = server.ca();
    let args = [
        "nc",
        "-v",
        "--tls",
        "--ca",
        text(&ca),
        "--server-name",
        "localhost",
        "--alpn",
        "b",
        host,
        port,
    ];
    let (called, calling) = tokio::join!(listening.finish(b"one"), run(&args, b"two"));
    assert_eq!(
        (called.code, calling.code),
        (Some(0), Some(0)),
        "{called:?} {calling:?}"
    );
    assert_eq!(
        (&called.output[..], &calling.output[..]),
        (&b"two"[..], &b"one"[..])
    );
    assert!(
        calling.errors.contains("application protocol: b\n"),
        "{}",
        calling.errors
    );
}

#[tokio::test]
async fn one_connection_after_the_other() {
    let mut listening = start(command(&["listen", "--keep"]));
    let at = listening.said("listening at ").await;
    let (host, port) = at.rsplit_once(':').expect("an address");
    listening.end_input();
    for word in ["one", "two"] {
        let outcome = run(&["nc", host, port], word.as_bytes()).await;
        assert_eq!(outcome.code, Some(0), "{}", outcome.errors);
        listening.said("connection from ").await;
        assert_eq!(listening.output(word.len()).await, word.as_bytes());
    }
}

#[tokio::test]
async fn datagrams() {
    let mut listening = start(command(&["listen", "--udp"]));
    let at = listening.said("listening at ").await;
    let at = at.strip_suffix(" (UDP)").expect("UDP");
    let (host, port) = at.rsplit_once(':').expect("an address");
    let outcome = run(&["nc", "--udp", host, port], b"one\ntwo").await;
    assert_eq!(outcome.code, Some(0), "{}", outcome.errors);
    listening.said("datagrams from 127.0.0.1:").await;
    assert_eq!(listening.output(7).await, b"one\ntwo");
}

#[tokio::test]
async fn datagrams_to_a_closed_port_fail() {
    let closed = Closed::udp();
    let port = closed.address().port().to_string();
    let outcome = run(&["nc", "--udp", "127.0.0.1", &port], b"one\n").await;
    assert_eq!(outcome.code, Some(4), "{outcome:?}");
    let told = format!("receiving from 127.0.0.1:{port}: connection refused");
    assert!(outcome.errors.contains(&told), "{}", outcome.errors);
}

#[tokio::test]
async fn the_peer_of_a_stream_is_the_caller() {
    let (mut listener, at) = listener().await;
    let port = at.port().to_string();
    let calling = start(command(&["nc", "127.0.0.1", &port]));
    let mut stream = listener.accept().await.expect("a connection");
    assert!(stream.info().peer.is_some());
    stream.shutdown().await.expect("ended");
    // Input that is still to come is sent, though the peer has ended: none of it is lost.
    let read = async {
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await.expect("an end");
        all
    };
    let (outcome, all) = tokio::join!(calling.finish(b"late"), read);
    assert_eq!(outcome.code, Some(0), "{}", outcome.errors);
    assert_eq!(all, b"late");
}
