//! The mail servers that need more than an installed program start, let somebody in, and leave nothing behind.

use std::net::SocketAddr;

use jackfield_server_tests::{LONG, NAMES};
use jackfield_testing::certs::Authority;
use jackfield_testing::courier::{self, Courier};
use jackfield_testing::cyrus::{self, Cyrus};
use jackfield_testing::dovecot24::{self, Dovecot24};
use jackfield_testing::pymap::Pymap;
use jackfield_testing::unpacked;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Connects, and expects a first line that starts like this.
async fn greets(at: SocketAddr, how: &str) -> BufReader<TcpStream> {
    let mut stream = BufReader::new(TcpStream::connect(at).await.expect("a connection"));
    let mut line = String::new();
    let reading = timeout(LONG, stream.read_line(&mut line)).await;
    reading.expect("in time").expect("a greeting");
    assert!(line.starts_with(how), "{line}");
    stream
}

/// The same for IMAP, and logs in.
async fn lets_in(at: SocketAddr) {
    let mut stream = greets(at, "* OK ").await;
    let login = b"a LOGIN ada correct-horse\r\n";
    stream.get_mut().write_all(login).await.expect("sent");
    let mut line = String::new();
    while !line.starts_with("a ") {
        line.clear();
        let reading = timeout(LONG, stream.read_line(&mut line)).await;
        let count = reading.expect("in time").expect("an answer");
        assert_ne!(count, 0, "it has ended the connection");
    }
    assert!(line.starts_with("a OK"), "{line}");
}

#[tokio::test]
async fn cyrus_runs_twice() {
    if unpacked::is_skipped(cyrus::NAME) {
        return;
    }
    let certificate = Authority::new().server(&NAMES);
    let one = Cyrus::start(&certificate).await.expect("Cyrus");
    let two = Cyrus::start(&certificate).await.expect("another");
    for server in [one, two] {
        lets_in(server.plain()).await;
        greets(server.lmtp(), "220 ").await;
    }
}

#[tokio::test]
async fn dovecot_24_runs_twice() {
    if unpacked::is_skipped(dovecot24::NAME) {
        return;
    }
    let certificate = Authority::new().server(&NAMES);
    let one = Dovecot24::start(&certificate, "plain").await;
    let two = Dovecot24::start(&certificate, "plain").await;
    for server in [one, two] {
        lets_in(server.expect("Dovecot").plain()).await;
    }
}

#[tokio::test]
async fn courier_runs_when_the_one_before_has_gone() {
    if unpacked::is_skipped(courier::NAME) {
        return;
    }
    let certificate = Authority::new().server(&NAMES);
    for _ in 0..2 {
        let server = Courier::start(&certificate).await.expect("Courier");
        lets_in(server.plain()).await;
        greets(server.preauth(), "* PREAUTH ").await;
    }
}

#[tokio::test]
async fn pymap_runs() {
    let certificate = Authority::new().server(&NAMES);
    let server = Pymap::start(&certificate).await.expect("pymap");
    // It lets nobody in without TLS.
    greets(server.plain(), "* OK ").await;
}
