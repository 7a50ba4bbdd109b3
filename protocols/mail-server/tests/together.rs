//! The clients of this house and the server, on a network in memory.

use std::time::Duration;

use jackfield_imap::client::{self as imap, Append, ClientConfig, ClientEvent};
use jackfield_imap::codec::{
    Attribute, Flag, FlagChange, Item, ListQuery, MailboxName, Messages, Query, Section,
    SequenceSet, StatusItem,
};
use jackfield_imap::core::{Event, Security};
use jackfield_mail_server::{Config, Store, serve_imap, serve_submission};
use jackfield_sasl::Credentials;
use jackfield_sim::{Network, SimHost};
use jackfield_smtp::client as smtp;
use jackfield_smtp::core::Envelope;
use jackfield_socket::{ListenOptions, TcpListen};
use tokio::io::AsyncReadExt;

const IMAP: &str = "192.0.2.2:143";
const SUBMISSION: &str = "192.0.2.2:587";

const LETTER: &str = "From: Ada <ada@jackfield.example>\r\nTo: grace@jackfield.example\r\n\
    Subject: =?UTF-8?Q?gr=C3=BC=C3=9Fe?=\r\nDate: Sat, 28 Nov 2026 10:00:00 +0100\r\n\
    Content-Type: multipart/mixed; boundary=q\r\n\r\n\
    --q\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nhello, Grace\r\n\
    --q\r\nContent-Type: application/octet-stream; name=a.bin\r\n\
    Content-Transfer-Encoding: base64\r\n\r\naGVsbG8=\r\n--q--\r\n";

/// A server with Ada and Grace, and a host to reach it from.
async fn start(config: Config) -> (SimHost, Store) {
    let network = Network::new(7);
    let page = network.host("page.example", ["192.0.2.1".parse().expect("an address")]);
    let server = network.host("mail.example", ["192.0.2.2".parse().expect("an address")]);
    let store = Store::new(config);
    for (user, password) in [("ada", "lovelace"), ("grace", "hopper")] {
        store.add_user(user, password).expect("a user");
    }
    let options = ListenOptions::default();
    let at = IMAP.parse().expect("an address");
    let listener = server.listen(at, &options).await.expect("a free port");
    tokio::spawn(serve_imap(listener, store.clone()));
    let at = SUBMISSION.parse().expect("an address");
    let listener = server.listen(at, &options).await.expect("a free port");
    tokio::spawn(serve_submission(listener, store.clone()));
    (page, store)
}

fn open(page: &SimHost, user: &str, password: &str) -> (imap::Client, imap::Events) {
    let credentials = Credentials::password(user, password).expect("credentials");
    let mut config = ClientConfig::new(credentials);
    config.session.security = Security::Plaintext;
    config.session.password_in_the_clear = true;
    let server = IMAP.parse().expect("an endpoint");
    let (client, events, connection) = imap::connect(page.clone(), server, config);
    tokio::spawn(connection);
    (client, events)
}

fn sender(page: &SimHost, user: &str, password: &str) -> smtp::Client {
    let mut config = jackfield_smtp::core::Config::new("page.example".parse().expect("a name"));
    config.credentials = Some(Credentials::password(user, password).expect("credentials"));
    config.allow_plaintext_auth = true;
    let server = SUBMISSION.parse().expect("an endpoint");
    let (client, _, connection) = smtp::connect(page.clone(), server, config);
    tokio::spawn(connection);
    client
}

async fn until(events: &mut imap::Events, fits: impl Fn(&Event) -> bool) -> Event {
    let found = tokio::time::timeout(Duration::from_mins(1), async {
        loop {
            match events.next().await.expect("the client goes on") {
                ClientEvent::Event(event) if fits(&event) => return event,
                _ => {}
            }
        }
    });
    found.await.expect("it happens within the minute")
}

fn one(uid: u32) -> Messages {
    Messages::Uids(SequenceSet::of([uid]).expect("a set"))
}

fn letter_to(recipients: &[&str]) -> Envelope {
    let to = recipients.iter().map(|to| to.parse().expect("a mailbox"));
    Envelope::new("ada@jackfield.example".parse().expect("a path"), to)
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_arrives_while_one_waits() {
    let (page, _store) = start(Config::default()).await;
    let (grace, mut events) = open(&page, "grace", "hopper");
    grace.select(MailboxName::inbox()).await.expect("open");
    let _idle = grace.idle();

    let ada = sender(&page, "ada@jackfield.example", "lovelace");
    let envelope = letter_to(&["grace@jackfield.example", "nobody@elsewhere.example"]);
    let outcome = ada.send(envelope, LETTER).await.expect("it is sent");
    assert_eq!(outcome.accepted().count(), 1);
    let (_, refusal) = outcome.refused().next().expect("one is refused");
    assert_eq!(refusal.code(), 550);

    until(&mut events, |event| matches!(event, Event::Exists(1))).await;
    let found = grace.search(Query::new().unseen().subject("GRÜßE")).await;
    assert_eq!(found, Ok(vec![1]));
    let mut text = String::new();
    let mut message = grace.read(1, Section::all()).await.expect("it is there");
    message.read_to_string(&mut text).await.expect("it is text");
    assert!(
        text.starts_with("Return-Path: <ada@jackfield.example>\r\nReceived: from page.example")
    );
    assert!(text.ends_with(LETTER));
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_is_good_for_all_of_it() {
    let (page, store) = start(Config::default()).await;
    let seen = [Flag::Seen];
    store
        .add_message("ada", "INBOX", LETTER.replace("\r\n", "\n"), &seen)
        .expect("it is put in");
    let (ada, mut events) = open(&page, "ada", "lovelace");
    let name = |text: &str| text.parse::<MailboxName>().expect("a name");
    let drafts = name("Entwürfe/neu & alt");
    ada.create(drafts.clone()).await.expect("made");

    let mut query = ListQuery::all();
    query.returns.special_use = true;
    query.returns.status = vec![StatusItem::Messages, StatusItem::Size];
    let (mailboxes, states) = ada.list(query).await.expect("a list");
    let named = |name: &MailboxName| mailboxes.iter().find(|it| it.name == *name);
    assert!(named(&name("Sent")).is_some_and(|it| it.is(&Attribute::Sent)));
    assert!(named(&name("Entwürfe")).is_some_and(|it| it.is(&Attribute::HasChildren)));
    assert!(named(&drafts).is_some_and(|it| it.separator == Some('/')));
    let inbox = states.iter().find(|it| it.name == MailboxName::inbox());
    let inbox = inbox.expect("its state is told");
    assert_eq!(
        (inbox.messages, inbox.size),
        (Some(1), Some(LETTER.len() as u64))
    );

    let selected = ada.select(MailboxName::inbox()).await.expect("open");
    assert_eq!((selected.exists, selected.read_only), (1, false));
    let items = [
        Item::Flags,
        Item::Envelope,
        Item::Structure,
        Item::Size,
        Item::InternalDate,
        Item::ModSeq,
        Item::body(Section::part([1]).expect("a part")),
        Item::body(Section::fields(["subject"]).expect("a field")),
    ];
    let messages = ada.fetch(one(1), items).await.expect("it runs");
    let message = messages.all().await.expect("all").remove(0);
    assert!(message.unknown.is_empty(), "{:?}", message.unknown);
    assert_eq!(message.flags, Some(vec![Flag::Seen]));
    let envelope = message.envelope.expect("an envelope");
    assert_eq!(
        envelope.subject.expect("a subject"),
        "=?UTF-8?Q?gr=C3=BC=C3=9Fe?="
    );
    let structure = message.structure.expect("a structure");
    assert_eq!(structure.parts.len(), 2);
    assert_eq!(structure.parts[1].size, Some(8));
    let texts: Vec<_> = message.sections.iter().map(|it| it.data.clone()).collect();
    let text = |at: usize| texts[at].as_ref().and_then(|it| it.text()).expect("a text");
    assert_eq!(*text(0), "hello, Grace");
    assert!(text(1).is("Subject: =?UTF-8?Q?gr=C3=BC=C3=9Fe?=\r\n\r\n"));

    let append = Append::to(drafts.clone()).flag(Flag::Draft);
    let appended = ada.append(append, LETTER).await.expect("appended");
    assert_eq!(appended.uid.expect("UIDPLUS").1.to_string(), "1");
    let copied = ada.copy(one(1), drafts.clone()).await.expect("copied");
    assert_eq!(copied.uids[0].2.to_string(), "2");
    let moved = ada.move_to(one(1), name("Trash")).await.expect("moved");
    assert_eq!(moved.uids.len(), 1);
    until(&mut events, |event| matches!(event, Event::Expunged(1))).await;

    ada.select(drafts.clone()).await.expect("open");
    let deleted = FlagChange::Add(vec![Flag::Deleted, "$Junk".parse().expect("a flag")]);
    ada.store(one(2), deleted).await.expect("stored");
    let found = ada
        .search(Query::new().with_flag("$junk".parse().expect("a flag")))
        .await;
    assert_eq!(found, Ok(vec![2]));
    ada.expunge_uids(SequenceSet::of([1, 2]).expect("a set"))
        .await
        .expect("expunged");
    let found = ada.search(Query::new().body("hello").smaller(5000)).await;
    assert_eq!(found, Ok(vec![1]));

    ada.rename(name("Entwürfe"), name("Alt"))
        .await
        .expect("renamed");
    let found = ada.search(Query::new()).await;
    assert_eq!(found, Ok(vec![1]), "it is still open");
    ada.delete(name("Alt")).await.expect_err("it has one below");
    ada.delete(name("Alt/neu & alt")).await.expect("deleted");
    ada.delete(name("Alt")).await.expect("deleted");
    ada.close().await;
}

/// Three who look at one mailbox know the same of it.
#[tokio::test(start_paused = true)]
async fn each_session_is_told_what_others_do() {
    let (page, store) = start(Config::default()).await;
    for _ in 0..3 {
        let put = store.add_message("ada", "INBOX", LETTER, &[]);
        put.expect("it is put in");
    }
    let (one_client, _events) = open(&page, "ada", "lovelace");
    let (two, mut told) = open(&page, "ada", "lovelace");
    one_client.select(MailboxName::inbox()).await.expect("open");
    two.select(MailboxName::inbox()).await.expect("open");
    let _idle = two.idle();

    let flagged = FlagChange::Add(vec![Flag::Flagged, Flag::Deleted]);
    one_client.store(one(2), flagged).await.expect("stored");
    let event = until(&mut told, |event| matches!(event, Event::Fetch(_))).await;
    let Event::Fetch(fetch) = event else {
        unreachable!("it was looked at");
    };
    assert_eq!(
        (fetch.uid, fetch.flags.map(|flags| flags.len())),
        (Some(2), Some(2))
    );
    one_client.expunge().await.expect("expunged");
    until(&mut told, |event| matches!(event, Event::Expunged(2))).await;
    store
        .add_message("ada", "INBOX", LETTER, &[])
        .expect("it is put in");
    until(&mut told, |event| matches!(event, Event::Exists(3))).await;
}

#[tokio::test(start_paused = true)]
async fn who_is_not_known_does_not_come_in() {
    let (page, _store) = start(Config::default()).await;
    for (user, password) in [
        ("ada", "hopper"),
        ("eve", "lovelace"),
        ("ada@elsewhere.example", "lovelace"),
    ] {
        let (client, _events) = open(&page, user, password);
        let found = client.select(MailboxName::inbox()).await;
        found.expect_err("nobody is logged in");
        let client = sender(&page, user, password);
        let sent = client
            .send(letter_to(&["ada@jackfield.example"]), LETTER)
            .await;
        sent.expect_err("nobody is logged in");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_too_much_is_refused_and_the_session_goes_on() {
    let mut config = Config::default();
    config.limits.max_message = 2000;
    config.limits.max_bytes = 5000;
    config.limits.max_mailboxes = 7;
    let (page, _store) = start(config).await;
    let (ada, _events) = open(&page, "ada", "lovelace");
    ada.create("a".parse().expect("a name"))
        .await
        .expect("made");
    ada.create("b".parse().expect("a name"))
        .await
        .expect_err("there are enough");
    let large = format!("Subject: a\r\n\r\n{}\r\n", "x".repeat(1900));
    let inbox = || Append::to(MailboxName::inbox());
    let larger = format!("{large}{large}");
    ada.append(inbox(), larger.clone())
        .await
        .expect_err("it is too large");
    for _ in 0..2 {
        ada.append(inbox(), large.clone()).await.expect("it fits");
    }
    ada.append(inbox(), large.clone())
        .await
        .expect_err("it is full");
    let grace = sender(&page, "grace", "hopper");
    let sent = grace
        .send(letter_to(&["ada@jackfield.example"]), large)
        .await;
    sent.expect_err("it is full");
    let sent = grace
        .send(letter_to(&["ada@jackfield.example"]), larger)
        .await;
    sent.expect_err("it is too large");
    let short = "Subject: a\r\n\r\nb\r\n";
    let sent = grace
        .send(letter_to(&["ada@jackfield.example"]), short)
        .await;
    assert!(sent.expect("it is sent").is_complete());
    let selected = ada.select(MailboxName::inbox()).await.expect("open");
    assert_eq!(selected.exists, 3);
}

/// A client that reads a great deal slowly doesn't make the server keep it.
#[tokio::test(start_paused = true)]
async fn much_is_told_piece_by_piece() {
    let (page, store) = start(Config::default()).await;
    let large = format!("Subject: a\r\n\r\n{}\r\n", "x".repeat(200_000));
    for _ in 0..20 {
        let put = store.add_message("ada", "INBOX", &large, &[]);
        put.expect("it is put in");
    }
    let (ada, _events) = open(&page, "ada", "lovelace");
    ada.select(MailboxName::inbox()).await.expect("open");
    let all = Messages::Uids(SequenceSet::everything());
    let mut messages = ada
        .fetch(all, [Item::body(Section::all())])
        .await
        .expect("it runs");
    let mut count = 0;
    while let Some(message) = messages.next().await.expect("it goes on") {
        let data = message.sections[0].data.as_ref();
        let text = data.and_then(|data| data.text()).expect("a text");
        assert_eq!(text.as_bytes().len(), large.len());
        count += 1;
    }
    assert_eq!(count, 20);
}
