//! The IMAP client against Dovecot, over TLS from the start, and after STARTTLS.

use std::time::Duration;

use jackfield_imap::client::{self, Append, Client, ClientConfig, ClientEvent, Events, Status};
use jackfield_imap::codec::{
    Attribute, Data, Extension, Flag, FlagChange, Item, ListQuery, MailboxName, Messages, Query,
    Section, SequenceSet, StatusItem,
};
use jackfield_imap::core::{Credentials, Event, Security};
use jackfield_imap::{EndedBy, Refusal, RequestError, SessionError, starttls};
use jackfield_native::Native;
use jackfield_server_tests::{LONG, NAMES, connector, trusting};
use jackfield_socket::{TcpConnect, time};
use jackfield_testing::certs::Authority;
use jackfield_testing::dovecot::{Dovecot, PASSWORD};
use jackfield_tls::{StartTls, TlsConfig};
use tokio::io::AsyncReadExt;

const MESSAGE: &str = "From: Ada <ada@example.org>\r\nTo: grace@example.org\r\n\
    Subject: =?UTF-8?Q?gr=C3=BC=C3=9Fe?=\r\nMessage-ID: <1@example.org>\r\n\
    Content-Type: multipart/mixed; boundary=q\r\n\r\n\
    --q\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nhello\r\n\
    --q\r\nContent-Type: application/octet-stream; name=a.bin\r\n\
    Content-Transfer-Encoding: base64\r\n\r\naGVsbG8=\r\n--q--\r\n";

fn config(user: &str, password: &str) -> ClientConfig {
    ClientConfig::new(Credentials::password(user, password).expect("credentials"))
}

struct Mail {
    client: Client,
    events: Events,
}

async fn open<N: TcpConnect>(
    network: N,
    server: std::net::SocketAddr,
    config: ClientConfig,
) -> Mail {
    let (client, mut events, connection) = client::connect(network, server.into(), config);
    tokio::spawn(connection);
    let ready = async {
        loop {
            match events.next().await.expect("it goes on") {
                ClientEvent::Status(Status::Ready(_)) => break,
                ClientEvent::Status(Status::Disconnected { error, .. }) => panic!("{error}"),
                _ => {}
            }
        }
    };
    time::timeout(LONG, ready)
        .await
        .expect("it is ready in time");
    Mail { client, events }
}

impl Mail {
    /// Waits for an event.
    async fn waits_for(&mut self, is_it: impl Fn(&Event) -> bool) -> Event {
        let search = async {
            loop {
                match self.events.next().await.expect("it goes on") {
                    ClientEvent::Event(event) if is_it(&event) => return event,
                    _ => {}
                }
            }
        };
        time::timeout(LONG, search).await.expect("it comes in time")
    }
}

fn name(text: &str) -> MailboxName {
    text.parse().expect("a name")
}

fn one(uid: u32) -> Messages {
    Messages::Uids(SequenceSet::of([uid]).expect("a set"))
}

fn all() -> Messages {
    Messages::Uids(SequenceSet::everything())
}

/// Everything that a mailbox is good for.
async fn life(mut ada: Mail, mut other: Mail) {
    let client = ada.client.clone();
    let server = client.server().expect("it is ready");
    assert!(server.can("UIDPLUS") && server.can("MOVE") && server.can("IDLE"));

    let drafts = name("Entwürfe & mehr");
    client.create(drafts.clone()).await.expect("made");
    client.subscribe(drafts.clone()).await.expect("subscribed");
    let mut query = ListQuery::all();
    query.returns.special_use = true;
    query.returns.status = vec![StatusItem::Messages, StatusItem::UidNext];
    let (mailboxes, states) = client.list(query).await.expect("a list");
    let named = |wanted: &MailboxName| mailboxes.iter().find(|it| it.name == *wanted);
    assert!(
        named(&name("Sent"))
            .expect("it is there")
            .is(&Attribute::Sent)
    );
    assert_eq!(named(&drafts).expect("it is there").separator, Some('/'));
    assert_eq!(states.len(), mailboxes.len());
    let mut subscribed = ListQuery::all();
    subscribed.subscribed = true;
    let (subscribed, _) = client.list(subscribed).await.expect("a list");
    assert!(subscribed.iter().any(|it| it.name == drafts));
    let namespaces = client.namespaces().await.expect("some");
    assert_eq!(namespaces.personal[0].separator, Some('/'));

    let inbox = client.select(MailboxName::inbox()).await.expect("open");
    assert_eq!((inbox.exists, inbox.read_only), (0, false));
    let validity = inbox.uid_validity.expect("UIDs last");

    // Someone else listens, and hears of it.
    other
        .client
        .select(MailboxName::inbox())
        .await
        .expect("open");
    let idle = other.client.idle();
    let append = Append::to(MailboxName::inbox()).flag(Flag::Flagged);
    let appended = client.append(append, MESSAGE).await.expect("appended");
    let (its_validity, uids) = appended.uid.expect("UIDPLUS");
    assert_eq!((its_validity, uids.to_string().as_str()), (validity, "1"));
    other
        .waits_for(|event| matches!(event, Event::Exists(1)))
        .await;
    drop(idle);

    let found = client.search(Query::new().subject("grüße").flagged()).await;
    assert_eq!(found, Ok(vec![1]));
    let found = client.search(Query::new().subject("other")).await;
    assert_eq!(found, Ok(vec![]));

    let items = [
        Item::Flags,
        Item::Envelope,
        Item::Structure,
        Item::Size,
        Item::InternalDate,
        Item::body(Section::part([1]).expect("a part")),
        Item::body(Section::fields(["Subject"]).expect("a field")),
    ];
    let messages = client.fetch(all(), items).await.expect("it runs");
    let message = messages.all().await.expect("all").remove(0);
    assert_eq!(message.uid, Some(1));
    assert!(message.flags.expect("flags").contains(&Flag::Flagged));
    assert_eq!(message.size, Some(MESSAGE.len() as u64));
    let envelope = message.envelope.expect("an envelope");
    assert_eq!(envelope.from[0].name, Some("Ada".into()));
    assert_eq!(envelope.message_id, Some("<1@example.org>".into()));
    let structure = message.structure.expect("a structure");
    assert_eq!(structure.parts.len(), 2);
    assert_eq!(structure.parts[1].parameter("NAME"), Some(&"a.bin".into()));
    let text = |at: usize| message.sections[at].data.as_ref().and_then(Data::text);
    assert_eq!(*text(0).expect("a text"), "hello");
    assert_eq!(
        *text(1).expect("a text"),
        "Subject: =?UTF-8?Q?gr=C3=BC=C3=9Fe?=\r\n\r\n"
    );

    let mut read = String::new();
    let mut body = client.read(1, Section::all()).await.expect("a text");
    body.read_to_string(&mut read).await.expect("whole");
    assert_eq!(read, MESSAGE);
    let missing = client.read(99, Section::all()).await;
    assert_eq!(
        missing.expect_err("no message"),
        RequestError::NoSuchMessage
    );

    let seen = FlagChange::Add(vec![Flag::Seen, "$junk".parse().expect("a flag")]);
    client.store(one(1), seen).await.expect("stored");
    let seen = |event: &Event| matches!(event, Event::Fetch(it) if it.flags.iter().flatten().any(|it| *it == Flag::Seen));
    ada.waits_for(seen).await;

    let copied = client.copy(one(1), drafts.clone()).await.expect("copied");
    assert_eq!(copied.uids.len(), 1);
    let moved = client.move_to(one(1), name("Sent")).await.expect("moved");
    assert!(!moved.is_left_behind);
    assert_eq!(moved.uids[0].1.to_string(), "1");
    ada.waits_for(|event| matches!(event, Event::Expunged(1)))
        .await;
    let state = client.mailbox_status(name("Sent"), [StatusItem::Messages, StatusItem::Unseen]);
    let state = state.await.expect("a state");
    assert_eq!((state.messages, state.unseen), (Some(1), Some(0)));

    client.select(drafts.clone()).await.expect("open");
    client
        .store(one(1), FlagChange::Add(vec![Flag::Deleted]))
        .await
        .expect("stored");
    let set = SequenceSet::everything();
    client.expunge_uids(set).await.expect("expunged");
    let refused = client
        .select(name("nowhere"))
        .await
        .expect_err("it is not there");
    assert!(matches!(refused, RequestError::Refused(_)), "{refused}");
    // Nothing is open any more, and what means messages is not sent.
    assert_eq!(client.expunge().await, Err(RequestError::NotSelected));
    client.rename(drafts, name("new")).await.expect("renamed");
    client.delete(name("new")).await.expect("deleted");
    client.close().await;
    while ada.events.next().await.is_some() {}
}

#[tokio::test]
async fn a_life_over_tls_with_plain_and_with_scram() {
    for mechanisms in ["plain", "plain login scram-sha-256"] {
        let authority = Authority::new();
        let server = Dovecot::start(&authority.server(&NAMES), mechanisms)
            .await
            .expect("Dovecot");
        let ada = open(trusting(&authority), server.tls(), config("ada", PASSWORD)).await;
        let other = open(trusting(&authority), server.tls(), config("ada", PASSWORD)).await;
        life(ada, other).await;
    }
}

#[tokio::test]
async fn a_life_after_starttls() {
    let authority = Authority::new();
    let server = Dovecot::start(&authority.server(&NAMES), "plain")
        .await
        .expect("Dovecot");
    let mut mail = Vec::new();
    for _ in 0..2 {
        let tls = connector(TlsConfig::new(), &authority);
        let network = StartTls::new(Native, tls, starttls::opening());
        let mut config = config("ada", PASSWORD);
        config.session.security = Security::StartTls;
        config.session.extensions = vec![Extension::CondStore];
        mail.push(open(network, server.plain(), config).await);
    }
    let (other, ada) = (mail.pop().expect("two"), mail.pop().expect("two"));
    life(ada, other).await;
}

#[tokio::test]
async fn who_may_not_come_in_learns_why() {
    let authority = Authority::new();
    let server = Dovecot::start(&authority.server(&NAMES), "plain")
        .await
        .expect("Dovecot");
    let network = trusting(&authority);
    let (_client, _events, connection) =
        client::connect(network, server.tls().into(), config("ada", "wrong"));
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
        client::connect(Native, server.plain().into(), config("ada", PASSWORD));
    let error = connection
        .await
        .expect_err("others can read it")
        .to_string();
    assert!(error.contains("others can read"), "{error}");
}

#[tokio::test]
async fn a_large_message_goes_both_ways_in_pieces() {
    let authority = Authority::new();
    let server = Dovecot::start(&authority.server(&NAMES), "plain")
        .await
        .expect("Dovecot");
    for (user, compress) in [("ada", false), ("grace", true)] {
        let mut config = config(user, PASSWORD);
        config.session.compress = compress;
        let mail = open(trusting(&authority), server.tls(), config).await;
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
    let server = Dovecot::start(&authority.server(&NAMES), "plain")
        .await
        .expect("Dovecot");
    let mail = open(trusting(&authority), server.tls(), config("ada", PASSWORD)).await;
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
    let mut config = config("ada", PASSWORD);
    config.connection.reconnect = None;
    let server = Dovecot::start(&authority.server(&NAMES), "plain")
        .await
        .expect("Dovecot");
    let mut mail = open(trusting(&authority), server.tls(), config).await;
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
