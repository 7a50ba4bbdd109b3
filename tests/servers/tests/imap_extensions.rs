//! What not every IMAP server has, against Dovecot, which has most of it.

use jackfield_imap::RequestError;
use jackfield_imap::client::{
    self, Append, Client, ClientConfig, ClientEvent, Events, Former, Status,
};
use jackfield_imap::codec::{
    AppendMessage, CatenatePart, Code, Data, Depth, EntryName, Flag, Item, MailboxName, MessageUrl,
    Messages, Notify, NotifyEvent, NotifyMailboxes, Query, Resource, Rights, RightsChange,
    SearchReturn, Section, SequenceSet, SortBy, SortOrder, Thread, Threading, Window,
};
use jackfield_imap::core::{Credentials, Event};
use jackfield_server_tests::{LONG, NAMES, trusting};
use jackfield_socket::time;
use jackfield_testing::certs::Authority;
use jackfield_testing::dovecot::{Dovecot, PASSWORD};
use tokio::io::AsyncReadExt;

struct Mail {
    client: Client,
    events: Events,
    server: Dovecot,
    authority: Authority,
}

/// A user's mail, and a server of its own.
async fn mail() -> Mail {
    let authority = Authority::new();
    let server = Dovecot::start(&authority.server(&NAMES), "plain")
        .await
        .expect("Dovecot");
    let credentials = Credentials::password("ada", PASSWORD).expect("credentials");
    let config = ClientConfig::new(credentials);
    let (client, mut events, connection) =
        client::connect(trusting(&authority), server.tls().into(), config);
    tokio::spawn(connection);
    let ready = async {
        while !matches!(
            events.next().await.expect("it goes on"),
            ClientEvent::Status(Status::Ready(_))
        ) {}
    };
    time::timeout(LONG, ready).await.expect("in time");
    Mail {
        client,
        events,
        server,
        authority,
    }
}

impl Mail {
    /// Appends messages with these subjects; each answers the one before it where it says so.
    async fn fill(&self, subjects: &[&str]) {
        for (number, subject) in subjects.iter().enumerate() {
            let answers = if subject.starts_with("Re: ") {
                format!("References: <{}@x>\r\n", number - 1)
            } else {
                String::new()
            };
            let message = format!(
                "Message-ID: <{number}@x>\r\n{answers}From: Ada <ada@x>\r\n\
                 Date: Sun, 01 Nov 2026 10:00:{:02} +0000\r\nSubject: {subject}\r\n\r\nhello\r\n",
                59 - number,
            );
            let append = Append::to(MailboxName::inbox());
            self.client.append(append, message).await.expect("appended");
        }
    }
}

#[tokio::test]
async fn messages_are_sorted_paged_and_made_conversations() {
    let mut mail = mail().await;
    let client = mail.client.clone();
    mail.fill(&["pears", "apples", "Re: apples", "bananas"])
        .await;
    client.select(MailboxName::inbox()).await.expect("open");

    let by_subject = SortOrder::by(SortBy::Subject).then(SortBy::Date);
    let sorted = client.sort(by_subject, Query::new()).await;
    assert_eq!(sorted, Ok(vec![3, 2, 4, 1]));
    let newest_first = SortOrder::by(SortBy::Date).reversed();
    let sorted = client.sort(newest_first, Query::new().subject("é")).await;
    assert_eq!(sorted, Ok(vec![]));
    let by_name = client.sort(SortBy::DisplayFrom, Query::new()).await;
    assert_eq!(by_name, Ok(vec![1, 2, 3, 4]));

    let threads = client.threads(Threading::References, Query::new()).await;
    let threads = threads.expect("conversations");
    let threads: Vec<_> = threads.iter().map(Thread::messages).collect();
    assert!(threads.contains(&vec![2, 3]), "{threads:?}");
    let threads = client
        .threads(Threading::OrderedSubject, Query::new().subject("apples"))
        .await
        .expect("conversations");
    let messages: Vec<_> = threads.iter().flat_map(Thread::messages).collect();
    assert_eq!(messages, [3, 2]);

    let returns = [SearchReturn::Count, SearchReturn::Min];
    let found = client.search_for(Query::new().subject("a"), returns).await;
    let found = found.expect("found");
    assert_eq!(
        (found.count, found.min, found.all),
        (Some(4), Some(1), None)
    );
    let window = Window::of(2, 3).expect("places");
    let found = client.search_for(Query::new(), [SearchReturn::Partial(window)]);
    let partial = found.await.expect("found").partial.expect("a page");
    assert_eq!(partial.numbers.expect("some").to_string(), "2:3");

    // What was found is kept there.
    let saved = client.search_for(Query::new().subject("apples"), [SearchReturn::Save]);
    saved.await.expect("kept");
    let messages = client.fetch(Messages::Saved, [Item::Envelope]).await;
    let messages = messages.expect("it runs").all().await.expect("all");
    let uids = SequenceSet::of(messages.iter().filter_map(|message| message.uid));
    assert_eq!(uids.expect("some").to_string(), "2:3");
    let kept = Query::new().among(Messages::Saved).subject("re:");
    assert_eq!(client.search(kept).await, Ok(vec![3]));
    client.close().await;
    while mail.events.next().await.is_some() {}
}

#[tokio::test]
async fn quotas_rights_and_metadata_are_told_and_changed() {
    let mut mail = mail().await;
    let client = mail.client.clone();
    let (inbox, notes): (_, MailboxName) = (MailboxName::inbox(), "Notes".parse().expect("a name"));
    mail.fill(&["pears"]).await;
    let quotas = client.quotas(inbox.clone()).await.expect("quotas");
    let storage = quotas[0].of(&Resource::Storage).expect("it is limited");
    assert_eq!(storage.limit, 100 << 20);

    client.create(notes.clone()).await.expect("made");
    let mine = client.my_rights(notes.clone()).await.expect("rights");
    assert!(mine.contains(Rights::ADMINISTER | Rights::INSERT), "{mine}");
    let change = RightsChange::Replace(Rights::LOOKUP | Rights::READ);
    let set = client.set_acl(notes.clone(), "grace", change).await;
    set.expect("set");
    let acl = client.acl(notes.clone()).await.expect("an ACL");
    let lr = "lr".parse().expect("rights");
    assert!(acl.entries.contains(&("grace".into(), lr)), "{acl:?}");
    let rights = client.list_rights(notes.clone(), "grace").await;
    assert_eq!(rights.expect("rights").identifier, "grace");
    client
        .delete_acl(notes.clone(), "grace")
        .await
        .expect("gone");

    let entry = |name: &str| name.parse::<EntryName>().expect("an entry");
    let comment = entry("/private/comment");
    let value = "two\r\nlines {3}";
    let set = [(comment.clone(), Some(value.into()))];
    client
        .set_metadata(Some(notes.clone()), set)
        .await
        .expect("set");
    let entries = [comment.clone(), entry("/private/other")];
    let told = client
        .metadata(Some(notes.clone()), entries, Depth::Zero)
        .await;
    let told = told.expect("told").entries;
    let text = told[0].1.as_ref().and_then(Data::text);
    assert_eq!(*text.expect("a value"), value);
    assert!(
        told.iter().skip(1).all(|(_, value)| value.is_none()),
        "{told:?}"
    );
    let unset = [(comment.clone(), None)];
    client
        .set_metadata(Some(notes.clone()), unset)
        .await
        .expect("set");
    let told = client
        .metadata(Some(notes), [comment], Depth::Infinity)
        .await;
    let told = told.expect("told").entries;
    assert!(told.iter().all(|(_, value)| value.is_none()), "{told:?}");
    client.close().await;
    while mail.events.next().await.is_some() {}
}

#[tokio::test]
async fn several_messages_are_appended_and_one_is_put_together() {
    let mut mail = mail().await;
    let client = mail.client.clone();
    let texts = [
        "Subject: one\r\n\r\nfirst\r\n",
        "Subject: two\r\n\r\nsecond\r\n",
    ];
    let messages = texts.map(|text| {
        let message = AppendMessage::new(text.len() as u64).flag(Flag::Seen);
        (message, text.as_bytes())
    });
    let inbox = MailboxName::inbox();
    let both = client.append_all(inbox.clone(), messages).await;
    let (validity, uids) = both.expect("appended").uid.expect("UIDs");
    assert_eq!(uids.to_string(), "1:2");

    let header = "Subject: three\r\n\r\n";
    let url = MessageUrl::new(&inbox, validity, 2).section(&Section::text());
    let parts = [
        CatenatePart::Text(header.len() as u64),
        CatenatePart::Url(url),
    ];
    let message = (AppendMessage::catenate(parts), header.as_bytes());
    let third = client.append_all(inbox.clone(), [message]).await;
    assert_eq!(
        third.expect("appended").uid.expect("a UID").1.to_string(),
        "3"
    );
    client.select(inbox.clone()).await.expect("open");
    let mut text = String::new();
    let mut body = client.read(3, Section::all()).await.expect("a text");
    body.read_to_string(&mut text).await.expect("whole");
    assert_eq!(text, "Subject: three\r\n\r\nsecond\r\n");

    let url = MessageUrl::new(&inbox, validity, 99);
    let message = AppendMessage::catenate([CatenatePart::Url(url)]);
    let refused = client
        .append_all(inbox.clone(), [(message, &b""[..])])
        .await;
    let Err(RequestError::Refused(refusal)) = refused else {
        panic!("{refused:?}");
    };
    assert!(matches!(refusal.code, Some(Code::BadUrl(_))), "{refusal:?}");

    // It has no REPLACE.
    let append = Append::to(inbox.clone()).flag(Flag::Draft);
    let replaced = client.replace(3, append, "Subject: four\r\n\r\n").await;
    let replaced = replaced.expect("replaced");
    assert_eq!(replaced.former, Former::Gone);
    assert_eq!(replaced.appended.uid.expect("a UID").1.to_string(), "4");
    assert_eq!(client.search(Query::new()).await, Ok(vec![1, 2, 4]));
    client.close().await;
    while mail.events.next().await.is_some() {}
}

#[tokio::test]
async fn what_happens_elsewhere_is_told() {
    let mut mail = mail().await;
    let client = mail.client.clone();
    let notes: MailboxName = "Notes".parse().expect("a name");
    client.create(notes.clone()).await.expect("made");
    client.select(MailboxName::inbox()).await.expect("open");
    let messages = [
        NotifyEvent::MessageNew(Vec::new()),
        NotifyEvent::MessageExpunge,
    ];
    let others = NotifyMailboxes::Mailboxes(vec![notes.clone()]);
    let notify = Notify::new()
        .watch(NotifyMailboxes::SelectedDelayed, messages.clone())
        .watch(others, messages);
    client.notify(notify).await.expect("it will tell");

    // Somebody else puts a message there.
    let credentials = Credentials::password("ada", PASSWORD).expect("credentials");
    let network = trusting(&mail.authority);
    let config = ClientConfig::new(credentials);
    let (other, _events, connection) = client::connect(network, mail.server.tls().into(), config);
    tokio::spawn(connection);
    let append = Append::to(notes.clone());
    other
        .append(append, "Subject: x\r\n\r\n")
        .await
        .expect("appended");
    let told = async {
        loop {
            let event = mail.events.next().await.expect("it goes on");
            if let ClientEvent::Event(Event::MailboxStatus(status)) = event
                && status.name == notes
                && status.messages == Some(1)
            {
                break;
            }
        }
    };
    time::timeout(LONG, told).await.expect("it comes in time");
    client
        .notify(Notify::new())
        .await
        .expect("it tells no more");
    client.close().await;
    other.close().await;
}
