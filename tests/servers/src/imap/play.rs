//! The scenario: what every server can, and in the same steps what not every one has.

use jackfield_imap::RequestError;
use jackfield_imap::client::{Append, Client, ClientConfig};
use jackfield_imap::codec::{
    Attribute, Data, Flag, FlagChange, Item, ListQuery, MailboxName, Query, Section, SequenceSet,
    StatusItem,
};
use jackfield_imap::core::Event;
use tokio::io::AsyncReadExt;

use super::{Kind, MESSAGE, Mail, all, are_denied, extensions, one};

/// Everything that a mailbox is good for: two sessions of one user, whose inbox is empty; one of them is
/// compressed, where the server can.
///
/// # Panics
/// Where the server is not like that.
pub async fn play(
    open: impl AsyncFn(ClientConfig) -> Mail,
    config: impl Into<ClientConfig>,
    kind: Kind,
) {
    let config = config.into();
    let mut compressed = config.clone();
    compressed.session.compress = true;
    let (mut ada, mut other) = (open(config).await, open(compressed).await);
    let client = ada.client.clone();
    kind.is(&client.server().expect("it is ready"));
    let is_compressed = other.client.server().expect("it is ready").is_compressed;
    assert_eq!(is_compressed, kind.has("COMPRESS=DEFLATE"));
    let drafts = names(&client, kind).await;
    let uids = append(&client, &mut other, kind).await;
    are_denied(&client).await;
    texts(&client, uids, kind).await;
    search(&client, uids).await;
    flags(&mut ada, uids[0]).await;
    travel(&mut ada, uids[0], &drafts, kind).await;
    remove(&mut ada, drafts, kind).await;
    extensions::play(&mut ada, &other.client, kind).await;
    other.close().await;
    ada.close().await;
}

/// Names of mailboxes: made, listed, subscribed to. Leaves one.
async fn names(client: &Client, kind: Kind) -> MailboxName {
    let drafts = kind.mailbox("Entwürfe & mehr");
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
    assert_eq!(listed.separator, Some(kind.separator()));
    if kind.has("SPECIAL-USE") {
        let sent = named(&kind.mailbox("Sent")).expect("it is there");
        assert!(sent.is(&Attribute::Sent), "{sent:?}");
    }
    if kind.has("LIST-STATUS") {
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
    if kind.has("NAMESPACE") {
        let personal = &namespaces.expect("some").personal[0];
        assert_eq!(personal.separator, Some(kind.separator()));
        assert_eq!(personal.prefix, kind.prefix());
    } else {
        assert_eq!(namespaces, Err(RequestError::Unsupported("NAMESPACE")));
    }
    drafts
}

/// Messages come in, whole and in pieces, and somebody else hears of them. Their UIDs.
async fn append(client: &Client, other: &mut Mail, kind: Kind) -> [u32; 2] {
    let inbox = client.select(MailboxName::inbox()).await.expect("open");
    assert_eq!((inbox.exists, inbox.read_only), (0, false));
    let validity = inbox.uid_validity.expect("UIDs last");
    if kind.has("OBJECTID") {
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
        assert_eq!(appended.uid, kind.has("UIDPLUS").then_some(expected));
    }
    // Where it goes does not exist.
    let nowhere = Append::to(kind.mailbox("nowhere"));
    let nowhere = client.append(nowhere, MESSAGE).await.expect_err("nowhere");
    assert!(matches!(nowhere, RequestError::Refused(_)), "{nowhere}");
    [first, second]
}

/// Messages are looked at: in short, in parts, in pieces, and as a stream.
async fn texts(client: &Client, [first, second]: [u32; 2], kind: Kind) {
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
    if kind.has("BINARY") {
        items.push(Item::Body {
            section: part(2),
            partial: None,
            is_binary: true,
            marks_seen: false,
        });
    }
    if kind.has("OBJECTID") {
        items.push(Item::EmailId);
    }
    let messages = client.fetch(one(first), items).await.expect("it runs");
    let message = messages.all().await.expect("all").remove(0);
    assert_eq!(message.uid, Some(first));
    assert!(message.flags.expect("flags").contains(&Flag::Flagged));
    assert_eq!(message.size, Some(MESSAGE.len() as u64));
    assert!(message.internal_date.is_some());
    assert_eq!(message.email_id.is_some(), kind.has("OBJECTID"));
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
    if kind.has("BINARY") {
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
async fn travel(ada: &mut Mail, uid: u32, drafts: &MailboxName, kind: Kind) {
    let client = ada.client.clone();
    let copied = client.copy(one(uid), drafts.clone()).await.expect("copied");
    assert_eq!(copied.uids.len(), usize::from(kind.has("UIDPLUS")));
    let moved = client
        .move_to(one(uid), drafts.clone())
        .await
        .expect("moved");
    let from: Vec<&SequenceSet> = moved.uids.iter().map(|(_, from, _)| from).collect();
    let expected = SequenceSet::of([uid]).expect("a set");
    assert_eq!(from.contains(&&expected), kind.has("UIDPLUS"));
    assert_eq!(
        moved.is_left_behind,
        !kind.has("MOVE") && !kind.has("UIDPLUS")
    );
    if !moved.is_left_behind {
        ada.waits_for("a message is gone", |event| {
            matches!(event, Event::Expunged(1))
        })
        .await;
    }
    let mut items = vec![StatusItem::Messages, StatusItem::Unseen];
    if kind.has("STATUS=SIZE") {
        items.push(StatusItem::Size);
    }
    let state = client.mailbox_status(drafts.clone(), items).await;
    let state = state.expect("a state");
    assert_eq!((state.messages, state.unseen), (Some(2), Some(0)));
    assert_eq!(state.size.is_some(), kind.has("STATUS=SIZE"));
    if kind.has("OBJECTID") {
        // Cyrus may say bytes that are no identity here: what can't be read is unknown. They may be
        // any, and so this is asked for alone.
        let items = [StatusItem::MailboxId];
        let state = client.mailbox_status(drafts.clone(), items).await;
        let state = state.expect("a state");
        assert!(state.mailbox_id.is_some() || !state.unknown.is_empty());
    }
}

/// Messages are removed, one by its UID; so is the mailbox, under another name.
async fn remove(ada: &mut Mail, drafts: MailboxName, kind: Kind) {
    let client = ada.client.clone();
    let opened = client.select(drafts.clone()).await.expect("open");
    assert_eq!(opened.exists, 2);
    let deleted = FlagChange::Add(vec![Flag::Deleted]);
    client.store(all(), deleted).await.expect("stored");
    let uids = client.search(Query::new()).await.expect("found");
    let first = SequenceSet::of([uids[0]]).expect("a set");
    if kind.has("UIDPLUS") {
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
    if kind.has("UNSELECT") {
        left.expect("left");
        assert_eq!(client.expunge().await, Err(RequestError::NotSelected));
    } else {
        assert_eq!(left, Err(RequestError::Unsupported("UNSELECT")));
    }
    let gone = client.select(kind.mailbox("nowhere")).await;
    let gone = gone.expect_err("it is not there");
    assert!(matches!(gone, RequestError::Refused(_)), "{gone}");
    // Nothing is open any more, and what means messages is not sent.
    assert_eq!(client.expunge().await, Err(RequestError::NotSelected));
    let new = kind.mailbox("neu");
    client.rename(drafts, new.clone()).await.expect("renamed");
    client.delete(new).await.expect("deleted");
}
