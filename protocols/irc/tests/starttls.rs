//! The opening, on a network in memory: what it says, and what it lets through.

use jackfield_irc::starttls;
use jackfield_sim::Network;
use jackfield_socket::{
    ErrorKind, ListenOptions, Result, TcpConnect, TcpListen, TcpListener, TcpOptions, opening,
};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

/// Speaks the opening with a server that says this before the question and this after it; the
/// outcome, and what the client said.
async fn speak(before: &str, after: &str) -> (Result<()>, String) {
    let network = Network::new(1);
    let page = network.host("page.example", ["192.0.2.1".parse().expect("an address")]);
    let server = network.host("irc.example", ["192.0.2.2".parse().expect("an address")]);
    let at = "192.0.2.2:6667".parse().expect("an address");
    let listener = server.listen(at, &ListenOptions::default()).await;
    let mut listener = listener.expect("the port is free");
    let serve = async {
        let mut stream = listener.accept().await.expect("a client");
        stream.write_all(before.as_bytes()).await.expect("sent");
        let mut stream = BufReader::new(stream);
        let mut heard = String::new();
        if stream.read_line(&mut heard).await.is_ok() && !heard.is_empty() {
            let _ = stream.get_mut().write_all(after.as_bytes()).await;
        }
        let _ = stream.read_to_string(&mut heard).await;
        heard
    };
    let ask = async {
        let to = "irc.example:6667".parse().expect("an endpoint");
        let stream = page.connect(&to, &TcpOptions::default()).await;
        let mut stream = stream.expect("the server listens");
        // Until what was said before has arrived.
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        let outcome = opening::speak(&mut stream, &mut starttls::opening()).await;
        let _ = stream.shutdown().await;
        outcome
    };
    let (heard, outcome) = tokio::join!(serve, ask);
    (outcome, heard)
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_ready_is_told_nothing_more_in_plaintext() {
    let notice = ":irc.example NOTICE * :*** Looking up your hostname...\r\n";
    let go = ":irc.example 670 * :STARTTLS successful, go ahead with TLS handshake\r\n";
    let (outcome, heard) = speak(notice, go).await;
    outcome.expect("the go-ahead");
    assert_eq!(heard, "STARTTLS\r\n");
}

#[tokio::test(start_paused = true)]
async fn what_stands_beside_the_go_ahead_is_refused() {
    let go = ":irc.example 670 * :go ahead\r\n";
    let behind = format!("{go}:irc.example 001 ada :Welcome, and not by the server\r\n");
    for (before, after) in [("", &*behind), (go, "")] {
        let (outcome, heard) = speak(before, after).await;
        let error = outcome.expect_err("not in order");
        assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
        assert!(matches!(&*heard, "" | "STARTTLS\r\n"), "{heard:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_will_not_is_named_in_the_error() {
    let no = ":irc.example 691 * :STARTTLS failed (no certificate)\r\n";
    let (outcome, _) = speak("", no).await;
    let error = outcome.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::TlsRefused);
    assert!(error.to_string().contains("691"), "{error}");
}
