//! One scenario against every IMAP server at hand, by each way to log in that it has.

use std::time::Duration;

use jackfield_imap::client::{ClientEvent, connect};
use jackfield_imap::codec::{Extension, MailboxName};
use jackfield_imap::core::{Event, Security};
use jackfield_native::Native;
use jackfield_server_tests::imap::{Kind, Mail, PASSWORD, are_denied, config, play, starttls};
use jackfield_server_tests::{LONG, NAMES, trusting};
use jackfield_testing::certs::Authority;
use jackfield_testing::courier::{self, Courier};
use jackfield_testing::cyrus::{self, Cyrus};
use jackfield_testing::dovecot::Dovecot;
use jackfield_testing::dovecot24::{self, Dovecot24};
use jackfield_testing::pymap::Pymap;
use jackfield_testing::unpacked;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::time::timeout;

#[tokio::test]
async fn dovecot_by_each_mechanism() {
    let authority = Authority::new();
    for mechanisms in ["plain", "login", "scram-sha-1", "plain scram-sha-256"] {
        let server = Dovecot::start(&authority.server(&NAMES), mechanisms).await;
        let server = server.expect("Dovecot");
        let open = async |config| Mail::open(trusting(&authority), server.tls(), config).await;
        play(open, config(PASSWORD), Kind::Dovecot).await;
    }
}

#[tokio::test]
async fn dovecot_after_starttls() {
    let authority = Authority::new();
    let server = Dovecot::start(&authority.server(&NAMES), "plain").await;
    let server = server.expect("Dovecot");
    let mut config = config(PASSWORD);
    config.session.security = Security::StartTls;
    config.session.extensions = vec![Extension::CondStore];
    let open = async |config| Mail::open(starttls(&authority), server.plain(), config).await;
    play(open, config, Kind::Dovecot).await;
}

/// The login that is bound to its TLS connection is the only one that this server takes.
#[tokio::test]
async fn dovecot_24_by_each_mechanism() {
    if unpacked::is_skipped(dovecot24::NAME) {
        return;
    }
    let authority = Authority::new();
    for mechanisms in ["plain", "scram-sha-256", "scram-sha-256-plus"] {
        let server = Dovecot24::start(&authority.server(&NAMES), mechanisms).await;
        let server = server.expect("Dovecot 2.4");
        let open = async |config| Mail::open(trusting(&authority), server.tls(), config).await;
        play(open, config(PASSWORD), Kind::Dovecot24).await;
    }
}

#[tokio::test]
async fn dovecot_24_in_utf_8() {
    if unpacked::is_skipped(dovecot24::NAME) {
        return;
    }
    let authority = Authority::new();
    let server = Dovecot24::start(&authority.server(&NAMES), "plain").await;
    let server = server.expect("Dovecot 2.4");
    let mut config = config(PASSWORD);
    config.session.extensions = vec![Extension::Utf8Accept];
    config.session.names_in_utf7 = true;
    let open = async |config| Mail::open(trusting(&authority), server.tls(), config).await;
    play(open, config, Kind::Dovecot24).await;
}

#[tokio::test]
async fn cyrus_in_either_revision() {
    if unpacked::is_skipped(cyrus::NAME) {
        return;
    }
    let authority = Authority::new();
    for extensions in [vec![], vec![Extension::Rev2]] {
        let server = Cyrus::start(&authority.server(&NAMES))
            .await
            .expect("Cyrus");
        let mut config = config(PASSWORD);
        config.session.extensions = extensions;
        let open = async |config| Mail::open(trusting(&authority), server.tls(), config).await;
        play(open, config, Kind::Cyrus).await;
    }
}

#[tokio::test]
async fn courier_the_poor_one() {
    if unpacked::is_skipped(courier::NAME) {
        return;
    }
    let authority = Authority::new();
    let server = Courier::start(&authority.server(&NAMES)).await;
    let server = server.expect("Courier");
    let mut config = config(PASSWORD);
    config.session.security = Security::StartTls;
    let open = async |config| Mail::open(starttls(&authority), server.plain(), config).await;
    play(open, config, Kind::Courier).await;
}

#[tokio::test]
async fn pymap_in_memory() {
    let authority = Authority::new();
    let server = Pymap::start(&authority.server(&NAMES))
        .await
        .expect("pymap");
    let mut config = config(PASSWORD);
    config.session.security = Security::StartTls;
    // What came before an IDLE is told when it ends.
    config.session.idle_renewal = Duration::from_secs(1);
    let open = async |config| Mail::open(starttls(&authority), server.plain(), config).await;
    play(open, config, Kind::Pymap).await;
}

/// Who is let in by the greeting is let in by anyone on the way: where TLS was required nothing goes on.
#[tokio::test]
async fn courier_that_lets_in_without_a_word() {
    if unpacked::is_skipped(courier::NAME) {
        return;
    }
    let authority = Authority::new();
    let server = Courier::start(&authority.server(&NAMES)).await;
    let server = server.expect("Courier");
    let mut config = config(PASSWORD);
    config.session.security = Security::StartTls;
    let (_client, _events, connection) = connect(
        starttls(&authority),
        server.preauth().into(),
        config.clone(),
    );
    let refused = timeout(LONG, connection).await.expect("in time");
    let refused = refused.expect_err("nothing vouches for it").to_string();
    assert!(refused.contains("PREAUTH"), "{refused}");

    config.session.security = Security::Plaintext;
    let open = async |config| Mail::open(Native, server.preauth(), config).await;
    play(open, config, Kind::Courier).await;
}

/// It announces a login that is bound to TLS, and can't do what every TLS has: the user is told, and
/// logs in without.
#[tokio::test]
async fn cyrus_binds_no_login() {
    if unpacked::is_skipped(cyrus::NAME) {
        return;
    }
    let authority = Authority::new();
    let server = Cyrus::start(&authority.server(&NAMES))
        .await
        .expect("Cyrus");
    let (_client, mut events, connection) =
        connect(trusting(&authority), server.tls().into(), config(PASSWORD));
    tokio::spawn(connection);
    let told = async {
        while let Some(event) = events.next().await {
            if matches!(event, ClientEvent::Event(Event::LoginNotBound)) {
                return;
            }
        }
        panic!("the client has ended");
    };
    timeout(LONG, told).await.expect("in time");
}

/// A server that has nothing: what needs an extension is denied, and nothing of it reaches the server.
#[tokio::test]
async fn a_server_without_extensions_is_asked_for_none() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("a client");
        let mut stream = BufReader::new(stream);
        let can = "[CAPABILITY IMAP4rev1]";
        let greeting = format!("* OK {can} hello\r\n");
        stream.write_all(greeting.as_bytes()).await.expect("room");
        let (mut heard, mut line) = (Vec::new(), String::new());
        while stream.read_line(&mut line).await.expect("a line") > 0 {
            let (tag, command) = line.trim_end().split_once(' ').expect("a command");
            let answer = match command {
                "SELECT INBOX" => format!("* 1 EXISTS\r\n{tag} OK done\r\n"),
                _ => format!("{tag} OK {can} done\r\n"),
            };
            heard.push(command.split(' ').next().unwrap_or_default().to_owned());
            stream.write_all(answer.as_bytes()).await.expect("room");
            line.clear();
        }
        heard
    });
    let mut config = config(PASSWORD);
    config.session.security = Security::Plaintext;
    config.session.password_in_the_clear = true;
    let mail = Mail::open(Native, address, config).await;
    let inbox = mail.client.select(MailboxName::inbox()).await;
    inbox.expect("open");
    assert_eq!(are_denied(&mail.client).await, 49);
    mail.client.noop().await.expect("a sign of life");
    mail.close().await;
    let heard = timeout(LONG, server).await.expect("in time");
    assert_eq!(
        heard.expect("no panic"),
        ["LOGIN", "SELECT", "NOOP", "LOGOUT"]
    );
}
