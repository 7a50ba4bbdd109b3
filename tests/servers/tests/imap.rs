//! The IMAP client against Dovecot: who is refused, what is large, what comes at once, and what is lost.

use std::time::Duration;

use jackfield_imap::client::{self, Append, Client, ClientConfig, ClientEvent, Status};
use jackfield_imap::codec::{Data, Item, MailboxName, Query, Section};
use jackfield_imap::core::Credentials;
use jackfield_imap::{EndedBy, Refusal, RequestError, SessionError};
use jackfield_native::Native;
use jackfield_server_tests::imap::{Mail, PASSWORD, all, config, one};
use jackfield_server_tests::{LONG, NAMES, trusting};
use jackfield_socket::time;
use jackfield_testing::certs::Authority;
use jackfield_testing::dovecot::Dovecot;
use tokio::io::AsyncReadExt;

/// A server that lets in by PLAIN.
async fn dovecot(authority: &Authority) -> Dovecot {
    let server = Dovecot::start(&authority.server(&NAMES), "plain").await;
    server.expect("Dovecot")
}

#[tokio::test]
async fn who_may_not_come_in_learns_why() {
    let authority = Authority::new();
    let server = dovecot(&authority).await;
    let network = trusting(&authority);
    let (_client, _events, connection) =
        client::connect(network, server.tls().into(), config("wrong"));
    let error = time::timeout(LONG, connection).await.expect("in time");
    let error = error.expect_err("the password is wrong");
    assert!(error.is_permanent(), "{error}");
    let client::ConnectionError::Session(SessionError::LoginRefused(refusal)) = error else {
        panic!("{error}");
    };
    let reason = Refusal::reason(&refusal);
    assert_eq!(
        reason,
        Some(jackfield_imap::codec::Reason::AuthenticationFailed)
    );

    // Without TLS nothing is said.
    let (_client, _events, connection) =
        client::connect(Native, server.plain().into(), config(PASSWORD));
    let error = connection
        .await
        .expect_err("others can read it")
        .to_string();
    assert!(error.contains("others can read"), "{error}");
}

#[tokio::test]
async fn a_large_message_goes_both_ways_in_pieces() {
    let authority = Authority::new();
    let server = dovecot(&authority).await;
    for (user, compress) in [("ada", false), ("grace", true)] {
        let credentials = Credentials::password(user, PASSWORD).expect("credentials");
        let mut config = ClientConfig::new(credentials);
        config.session.compress = compress;
        let mail = Mail::open(trusting(&authority), server.tls(), config).await;
        let is_compressed = mail.client.server().expect("it is ready").is_compressed;
        assert_eq!(is_compressed, compress);
        a_large_message(&mail.client).await;
    }
}

async fn a_large_message(client: &Client) {
    let head = "Subject: large\r\n\r\n";
    let line = format!("{}\r\n", "x".repeat(70));
    let size = head.len() as u64 + line.len() as u64 * 200_000;
    let message = head.as_bytes().chain(Lines {
        line: line.into_bytes(),
        at: 0,
    });
    let append = Append::to(MailboxName::inbox());
    let appended = client.append_from(append, size, message.take(size)).await;
    appended.expect("it is appended");
    client.select(MailboxName::inbox()).await.expect("open");
    // Several at a time, while one is read.
    let mut body = client.read(1, Section::all()).await.expect("a text");
    assert_eq!(body.size(), size);
    let noops: Vec<_> = (0..20)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.noop().await })
        })
        .collect();
    let mut read = 0;
    let mut buffer = vec![0; 1 << 16];
    loop {
        match body.read(&mut buffer).await.expect("no error") {
            0 => break,
            count => read += count as u64,
        }
    }
    assert_eq!(read, size);
    for noop in noops {
        noop.await.expect("no panic").expect("answered");
    }
    // In a FETCH it is left out, since it is larger than what is kept.
    let items = [Item::body(Section::text())];
    let messages = client.fetch(all(), items).await.expect("it runs");
    let message = messages.all().await.expect("all").remove(0);
    assert!(matches!(message.sections[0].data, Some(Data::Absent(_))));
    client.close().await;
}

/// Lines without end.
struct Lines {
    line: Vec<u8>,
    at: usize,
}

impl tokio::io::AsyncRead for Lines {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        _cx: &mut std::task::Context<'_>,
        buf: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        while buf.remaining() > 0 {
            let count = (self.line.len() - self.at).min(buf.remaining());
            buf.put_slice(&self.line[self.at..self.at + count]);
            self.at = (self.at + count) % self.line.len();
        }
        std::task::Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn many_requests_at_once_get_their_own_answers() {
    let authority = Authority::new();
    let server = dovecot(&authority).await;
    let mail = Mail::open(trusting(&authority), server.tls(), config(PASSWORD)).await;
    let client = &mail.client;
    for number in 0..30 {
        let message = format!("Subject: {number}\r\n\r\ntext {number}\r\n");
        let append = Append::to(MailboxName::inbox());
        client.append(append, message).await.expect("appended");
    }
    client.select(MailboxName::inbox()).await.expect("open");
    let asked: Vec<_> = (0..30_u32)
        .map(|number| {
            let client = client.clone();
            tokio::spawn(async move {
                let uid = number + 1;
                match number % 3 {
                    0 => {
                        let found = client
                            .search(Query::new().subject(number.to_string()))
                            .await;
                        assert!(found.expect("found").contains(&uid));
                    }
                    1 => {
                        let messages = client.fetch(one(uid), [Item::Envelope]).await;
                        let messages = messages.expect("it runs").all().await.expect("all");
                        let envelope = messages[0].envelope.as_ref().expect("an envelope");
                        let subject = envelope.subject.as_ref().expect("a subject");
                        assert_eq!(subject.to_str(), number.to_string());
                    }
                    _ => {
                        let mut text = String::new();
                        let body = client.read(uid, Section::text()).await;
                        body.expect("a text")
                            .read_to_string(&mut text)
                            .await
                            .expect("whole");
                        assert_eq!(text, format!("text {number}\r\n"));
                    }
                }
            })
        })
        .collect();
    for asked in asked {
        time::timeout(LONG, asked)
            .await
            .expect("in time")
            .expect("no panic");
    }
    client.close().await;
}

#[tokio::test]
async fn a_server_that_goes_away_ends_what_waits() {
    let authority = Authority::new();
    let mut config = config(PASSWORD);
    config.connection.reconnect = None;
    let server = dovecot(&authority).await;
    let mut mail = Mail::open(trusting(&authority), server.tls(), config).await;
    mail.client
        .select(MailboxName::inbox())
        .await
        .expect("open");
    let _idle = mail.client.idle();
    time::sleep(Duration::from_millis(300)).await;
    drop(server);
    let gone = async {
        loop {
            match mail.events.next().await {
                Some(ClientEvent::Status(Status::Disconnected { error, retry_in })) => {
                    assert_eq!(retry_in, None, "{error}");
                }
                Some(_) => {}
                None => break,
            }
        }
    };
    time::timeout(LONG, gone)
        .await
        .expect("it is noticed in time");
    let late = mail.client.noop().await.expect_err("it is gone");
    let lost = |by| RequestError::ConnectionLost(by);
    let causes = [
        RequestError::Closed,
        lost(EndedBy::Network),
        lost(EndedBy::Server),
    ];
    assert!(causes.contains(&late), "{late}");
}
