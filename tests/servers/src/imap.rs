//! What every IMAP server is asked to do: the same for all, and where one can't, the denial.

use std::net::SocketAddr;

use jackfield_imap::client::{Append, Client, ClientConfig, ClientEvent, Events, Status, connect};
use jackfield_imap::codec::{
    Attribute, Data, Flag, FlagChange, Item, ListQuery, MailboxName, Messages, Query, Section,
    SequenceSet, StatusItem,
};
use jackfield_imap::core::{Credentials, Event, Server};
use jackfield_imap::{RequestError, starttls};
use jackfield_native::Native;
use jackfield_socket::opening::Lines;
use jackfield_socket::{TcpConnect, time};
use jackfield_testing::certs::Authority;
use jackfield_tls::{StartTls, TlsConfig};
use tokio::io::AsyncReadExt;

use crate::{LONG, connector};

/// The password of every user of every server.
pub const PASSWORD: &str = "correct-horse";

/// A message with two parts, one of them encoded, and a subject that is not ASCII.
pub const MESSAGE: &str = "From: Ada <ada@example.org>\r\nTo: grace@example.org\r\n\
    Subject: =?UTF-8?Q?gr=C3=BC=C3=9Fe?= to all\r\nMessage-ID: <1@example.org>\r\n\
    MIME-Version: 1.0\r\nDate: Sun, 29 Nov 2026 00:00:00 +0000\r\n\
    Content-Type: multipart/mixed; boundary=q\r\n\r\n\
    --q\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nhello\r\n\
    --q\r\nContent-Type: application/octet-stream; name=a.bin\r\n\
    Content-Transfer-Encoding: base64\r\n\r\naGVsbG8=\r\n--q--\r\n";

/// A client of ada, with this password.
pub fn config(password: &str) -> ClientConfig {
    ClientConfig::new(Credentials::password("ada", password).expect("credentials"))
}

/// The native network with TLS after STARTTLS, which trusts this authority alone.
pub fn starttls(authority: &Authority) -> StartTls<Native, Lines<starttls::StartTls>> {
    let tls = connector(TlsConfig::new(), authority);
    StartTls::new(Native, tls, starttls::opening())
}

/// A client that is logged in, and what it tells.
#[derive(Debug)]
pub struct Mail {
    /// The handle.
    pub client: Client,
    /// What happens.
    pub events: Events,
}

impl Mail {
    /// Connects, and waits until the user is logged in.
    pub async fn open(
        network: impl TcpConnect,
        server: SocketAddr,
        config: impl Into<ClientConfig>,
    ) -> Self {
        let (client, mut events, connection) = connect(network, server.into(), config);
        tokio::spawn(connection);
        let ready = async {
            loop {
                match events.next().await.expect("it goes on") {
                    ClientEvent::Status(Status::Ready(_)) => break,
                    ClientEvent::Status(Status::Disconnected {
                        error,
                        retry_in: None,
                    }) => panic!("{error}"),
                    _ => {}
                }
            }
        };
        let in_time = time::timeout(LONG, ready).await;
        in_time.expect("it is ready in time");
        Self { client, events }
    }

    /// Waits for an event.
    pub async fn waits_for(&mut self, what: &str, is_it: impl Fn(&Event) -> bool) -> Event {
        let search = async {
            loop {
                match self.events.next().await.expect("it goes on") {
                    ClientEvent::Event(event) if is_it(&event) => return event,
                    _ => {}
                }
            }
        };
        let in_time = time::timeout(LONG, search).await;
        in_time.unwrap_or_else(|_| panic!("{what}: it comes in time"))
    }

    /// Takes leave in order.
    pub async fn close(mut self) {
        let closing = async {
            self.client.close().await;
            while self.events.next().await.is_some() {}
        };
        time::timeout(LONG, closing).await.expect("in time");
    }
}

/// What a server is like.
#[derive(Clone, Copy, Debug)]
pub struct Traits {
    /// What the names of the user's mailboxes begin with.
    pub prefix: &'static str,
    /// What separates the levels of a name.
    pub separator: char,
    /// Whether it says what it is, where it has ID.
    pub has_name: bool,
    /// What it can do, by names in capitals: each is used, and all others of [`ASKED`] are denied.
    pub has: &'static [&'static str],
}

/// What the scenario uses of what not every server has.
pub const ASKED: [&str; 14] = [
    "BINARY",
    "CONDSTORE",
    "ESEARCH",
    "ID",
    "IDLE",
    "LIST-EXTENDED",
    "LIST-STATUS",
    "MOVE",
    "NAMESPACE",
    "OBJECTID",
    "SPECIAL-USE",
    "STATUS=SIZE",
    "UIDPLUS",
    "UNSELECT",
];

impl Traits {
    fn has(&self, name: &str) -> bool {
        self.has.contains(&name)
    }

    fn mailbox(&self, text: &str) -> MailboxName {
        name(&format!("{}{text}", self.prefix))
    }
}

/// A mailbox's name.
pub fn name(text: &str) -> MailboxName {
    text.parse().expect("a name")
}

/// One message.
pub fn one(uid: u32) -> Messages {
    Messages::Uids(SequenceSet::of([uid]).expect("a set"))
}

/// All messages.
pub fn all() -> Messages {
    Messages::Uids(SequenceSet::everything())
}

/// Everything that a mailbox is good for: two sessions of one user, whose inbox is empty.
///
/// # Panics
/// Where the server is not like that.
pub async fn play(mut ada: Mail, mut other: Mail, traits: Traits) {
    let client = ada.client.clone();
    let server = client.server().expect("it is ready");
    is_as_told(&server, traits);
    let drafts = names(&client, traits).await;
    let uids = append(&client, &mut other, traits).await;
    texts(&client, uids, traits).await;
    search(&client, uids).await;
    flags(&mut ada, uids[0]).await;
    travel(&mut ada, uids[0], &drafts, traits).await;
    remove(&mut ada, drafts, traits).await;
    other.close().await;
    ada.close().await;
}

/// It can do what it is known for, and nothing else of what is asked here.
fn is_as_told(server: &Server, traits: Traits) {
    let can: Vec<&str> = ASKED.into_iter().filter(|it| server.can(it)).collect();
    assert_eq!(can, traits.has, "{:?}", server.capabilities);
    assert_eq!(!server.id.is_empty(), traits.has_name, "{:?}", server.id);
}

/// Names of mailboxes: made, listed, subscribed to. Leaves one.
async fn names(client: &Client, traits: Traits) -> MailboxName {
    let drafts = traits.mailbox("Entwürfe & mehr");
    client.create(drafts.clone()).await.expect("made");
    client.subscribe(drafts.clone()).await.expect("subscribed");
    let again = client.create(drafts.clone()).await;
    let again = again.expect_err("it is there");
    assert!(matches!(again, RequestError::Refused(_)), "{again}");

    // What a server can't tell of is left out, and the rest is asked for.
    let mut query = ListQuery::all();
    query.returns.special_use = true;
    query.returns.status = vec![StatusItem::Messages, StatusItem::UidNext];
    let (mailboxes, states) = client.list(query).await.expect("a list");
    let named = |wanted: &MailboxName| mailboxes.iter().find(|it| it.name == *wanted);
    let listed = named(&drafts).unwrap_or_else(|| panic!("{mailboxes:?}"));
    assert_eq!(listed.separator, Some(traits.separator));
    if traits.has("SPECIAL-USE") {
        let sent = named(&traits.mailbox("Sent")).expect("it is there");
        assert!(sent.is(&Attribute::Sent), "{sent:?}");
    }
    if traits.has("LIST-STATUS") {
        let state = states.iter().find(|it| it.name == drafts);
        assert_eq!(state.expect("its state").messages, Some(0));
    } else {
        assert_eq!(states, []);
    }
    let mut subscribed = ListQuery::all();
    subscribed.subscribed = true;
    let (subscribed, _) = client.list(subscribed).await.expect("a list");
    assert!(subscribed.iter().any(|it| it.name == drafts));

    let namespaces = client.namespaces().await;
    if traits.has("NAMESPACE") {
        let personal = &namespaces.expect("some").personal[0];
        assert_eq!(personal.separator, Some(traits.separator));
        assert_eq!(personal.prefix, traits.prefix);
    } else {
        assert_eq!(namespaces, Err(RequestError::Unsupported("NAMESPACE")));
    }
    drafts
}

/// Messages come in, whole and in pieces, and somebody else hears of them. Their UIDs.
async fn append(client: &Client, other: &mut Mail, traits: Traits) -> [u32; 2] {
    let inbox = client.select(MailboxName::inbox()).await.expect("open");
    assert_eq!((inbox.exists, inbox.read_only), (0, false));
    let validity = inbox.uid_validity.expect("UIDs last");
    if traits.has("OBJECTID") {
        assert!(inbox.mailbox_id.is_some());
    }
    let there = other.client.select(MailboxName::inbox()).await;
    there.expect("open");
    let idle = other.client.idle();
    let whole = Append::to(MailboxName::inbox()).flag(Flag::Flagged);
    let whole = client.append(whole, MESSAGE).await.expect("appended");
    other
        .waits_for("the first", |event| matches!(event, Event::Exists(1)))
        .await;
    let large = format!(
        "Subject: large\r\n\r\n{}",
        "0123456789abcd\r\n".repeat(60_000)
    );
    let pieces = Append::to(MailboxName::inbox());
    let size = large.len() as u64;
    let pieces = client.append_from(pieces, size, large.as_bytes()).await;
    let pieces = pieces.expect("appended");
    other
        .waits_for("the second", |event| matches!(event, Event::Exists(2)))
        .await;
    drop(idle);
    // Some find only what they have told this session of.
    client.noop().await.expect("a sign of life");
    let uids = client.search(Query::new()).await.expect("found");
    let [first, second] = uids[..] else {
        panic!("{uids:?}");
    };
    for (appended, uid) in [(whole, first), (pieces, second)] {
        let expected = (validity, SequenceSet::of([uid]).expect("a set"));
        assert_eq!(appended.uid, traits.has("UIDPLUS").then_some(expected));
    }
    // Where it goes does not exist.
    let nowhere = Append::to(traits.mailbox("nowhere"));
    let nowhere = client.append(nowhere, MESSAGE).await.expect_err("nowhere");
    assert!(matches!(nowhere, RequestError::Refused(_)), "{nowhere}");
    [first, second]
}

/// Messages are looked at: in short, in parts, in pieces, and as a stream.
async fn texts(client: &Client, [first, second]: [u32; 2], traits: Traits) {
    let fields = Section::fields(["Subject"]).expect("a field");
    let part = |number| Section::part([number]).expect("a part");
    let mut items = vec![
        Item::Flags,
        Item::Envelope,
        Item::Structure,
        Item::Size,
        Item::InternalDate,
        Item::body(part(1)),
        Item::body(fields.clone()),
        Item::Body {
            section: Section::all(),
            partial: Some((6, 3)),
            is_binary: false,
            marks_seen: false,
        },
    ];
    if traits.has("BINARY") {
        items.push(Item::Body {
            section: part(2),
            partial: None,
            is_binary: true,
            marks_seen: false,
        });
    }
    if traits.has("OBJECTID") {
        items.push(Item::EmailId);
    }
    let messages = client.fetch(one(first), items).await.expect("it runs");
    let message = messages.all().await.expect("all").remove(0);
    assert_eq!(message.uid, Some(first));
    assert!(message.flags.expect("flags").contains(&Flag::Flagged));
    assert_eq!(message.size, Some(MESSAGE.len() as u64));
    assert!(message.internal_date.is_some());
    assert_eq!(message.email_id.is_some(), traits.has("OBJECTID"));
    assert_eq!(message.unknown, [""; 0]);
    let envelope = message.envelope.expect("an envelope");
    assert_eq!(envelope.from[0].name, Some("Ada".into()));
    assert_eq!(envelope.message_id, Some("<1@example.org>".into()));
    let structure = message.structure.expect("a structure");
    assert_eq!(structure.parts.len(), 2);
    assert_eq!(structure.parts[1].parameter("NAME"), Some(&"a.bin".into()));
    // In any order.
    let text = |section: &Section| {
        let body = message
            .sections
            .iter()
            .find(|it| it.section.matches(section));
        let body = body.unwrap_or_else(|| panic!("{:?}", message.sections));
        let data = body.data.as_ref().and_then(Data::text);
        (data.expect("a text").to_str().into_owned(), body.origin)
    };
    let whole = |text: &str| (text.to_owned(), None);
    // The line's end before a boundary is the boundary's; pymap counts it to the part.
    let (first_part, _) = text(&part(1));
    assert_eq!(first_part.trim_end(), "hello");
    let subject = "Subject: =?UTF-8?Q?gr=C3=BC=C3=9Fe?= to all\r\n\r\n";
    assert_eq!(text(&fields), whole(subject));
    assert_eq!(text(&Section::all()), ("Ada".to_owned(), Some(6)));
    if traits.has("BINARY") {
        assert_eq!(text(&part(2)).0, "hello");
    }

    let mut read = String::new();
    let mut body = client.read(first, Section::all()).await.expect("a text");
    body.read_to_string(&mut read).await.expect("whole");
    assert_eq!(read, MESSAGE);
    let mut large = client.read(second, Section::text()).await.expect("a text");
    assert_eq!(large.size(), 960_000);
    let count = tokio::io::copy(&mut large, &mut tokio::io::sink()).await;
    assert_eq!(count.expect("whole"), 960_000);
    let missing = client.read(second + 99, Section::all()).await;
    assert_eq!(
        missing.expect_err("no message"),
        RequestError::NoSuchMessage
    );
}

/// Messages are found: by what is ASCII and what is not, and none at all.
async fn search(client: &Client, [first, second]: [u32; 2]) {
    let found = |query: Query| async move { client.search(query).await };
    assert_eq!(found(Query::new()).await, Ok(vec![first, second]));
    assert_eq!(
        found(Query::new().subject("all").flagged()).await,
        Ok(vec![first])
    );
    let umlaut = found(Query::new().subject("grüße")).await;
    assert_eq!(umlaut, Ok(vec![first]), "what is not ASCII");
    assert_eq!(found(Query::new().subject("other")).await, Ok(vec![]));
}

/// Flags come and go.
async fn flags(ada: &mut Mail, uid: u32) {
    let client = ada.client.clone();
    let keyword = "$junk".parse().expect("a flag");
    let seen = FlagChange::Add(vec![Flag::Seen, keyword]);
    client.store(one(uid), seen).await.expect("stored");
    let is_seen = |event: &Event| matches!(event, Event::Fetch(it) if it.flags.iter().flatten().any(|it| *it == Flag::Seen));
    ada.waits_for("a flag", is_seen).await;
    let plain = FlagChange::Remove(vec![Flag::Flagged]);
    client.store(one(uid), plain).await.expect("stored");
    let messages = client
        .fetch(one(uid), [Item::Flags])
        .await
        .expect("it runs");
    let flags = messages.all().await.expect("all").remove(0).flags;
    let flags = flags.expect("flags");
    assert!(flags.contains(&Flag::Seen) && !flags.contains(&Flag::Flagged));
    // What changes nothing is not sent.
    let nothing = FlagChange::Add(Vec::new());
    client.store(one(uid), nothing).await.expect("done");
}

/// A message is copied, and one moved, or copied and removed where there is no MOVE.
async fn travel(ada: &mut Mail, uid: u32, drafts: &MailboxName, traits: Traits) {
    let client = ada.client.clone();
    let copied = client.copy(one(uid), drafts.clone()).await.expect("copied");
    assert_eq!(copied.uids.len(), usize::from(traits.has("UIDPLUS")));
    let moved = client
        .move_to(one(uid), drafts.clone())
        .await
        .expect("moved");
    let from: Vec<&SequenceSet> = moved.uids.iter().map(|(_, from, _)| from).collect();
    let expected = SequenceSet::of([uid]).expect("a set");
    assert_eq!(from.contains(&&expected), traits.has("UIDPLUS"));
    assert_eq!(
        moved.is_left_behind,
        !traits.has("MOVE") && !traits.has("UIDPLUS")
    );
    if !moved.is_left_behind {
        ada.waits_for("a message is gone", |event| {
            matches!(event, Event::Expunged(1))
        })
        .await;
    }
    let mut items = vec![StatusItem::Messages, StatusItem::Unseen];
    if traits.has("STATUS=SIZE") {
        items.push(StatusItem::Size);
    }
    if traits.has("OBJECTID") {
        items.push(StatusItem::MailboxId);
    }
    let state = client.mailbox_status(drafts.clone(), items).await;
    let state = state.expect("a state");
    assert_eq!((state.messages, state.unseen), (Some(2), Some(0)));
    assert_eq!(state.size.is_some(), traits.has("STATUS=SIZE"));
    // Cyrus says bytes that are no identity here: what can't be read is unknown, and the rest stays.
    let has_id = state.mailbox_id.is_some() || !state.unknown.is_empty();
    assert_eq!(has_id, traits.has("OBJECTID"));
}

/// Messages are removed, one by its UID; so is the mailbox, under another name.
async fn remove(ada: &mut Mail, drafts: MailboxName, traits: Traits) {
    let client = ada.client.clone();
    let opened = client.select(drafts.clone()).await.expect("open");
    assert_eq!(opened.exists, 2);
    let deleted = FlagChange::Add(vec![Flag::Deleted]);
    client.store(all(), deleted).await.expect("stored");
    let uids = client.search(Query::new()).await.expect("found");
    let first = SequenceSet::of([uids[0]]).expect("a set");
    if traits.has("UIDPLUS") {
        client.expunge_uids(first).await.expect("expunged");
        let left = client.search(Query::new()).await;
        assert_eq!(
            left,
            Ok(vec![uids[1]]),
            "the other has the flag, too, and stays"
        );
    } else {
        let denied = client.expunge_uids(first).await;
        assert_eq!(denied, Err(RequestError::Unsupported("UIDPLUS")));
    }
    client.expunge().await.expect("expunged");
    assert_eq!(client.search(Query::new()).await, Ok(vec![]));

    let left = client.unselect().await;
    if traits.has("UNSELECT") {
        left.expect("left");
        assert_eq!(client.expunge().await, Err(RequestError::NotSelected));
    } else {
        assert_eq!(left, Err(RequestError::Unsupported("UNSELECT")));
    }
    let gone = client.select(traits.mailbox("nowhere")).await;
    let gone = gone.expect_err("it is not there");
    assert!(matches!(gone, RequestError::Refused(_)), "{gone}");
    // Nothing is open any more, and what means messages is not sent.
    assert_eq!(client.expunge().await, Err(RequestError::NotSelected));
    let new = traits.mailbox("neu");
    client.rename(drafts, new.clone()).await.expect("renamed");
    client.delete(new).await.expect("deleted");
}
