//! What not every server has, played where it is there.

use jackfield_imap::RequestError;
use jackfield_imap::client::{Append, Client, Former};
use jackfield_imap::codec::{
    AppendMessage, CatenatePart, Code, Data, Depth, EntryName, Flag, FlagChange, Item, MailboxName,
    MessageUrl, Messages, Notify, NotifyEvent, NotifyMailboxes, Query, Resource, Rights,
    RightsChange, SearchReturn, Section, SequenceSet, SortBy, SortOrder, Thread, Threading, Window,
};
use jackfield_imap::core::Event;
use tokio::io::AsyncReadExt;

use super::{Kind, Mail, all, one};

/// All of it, in a mailbox of its own, with two sessions.
///
/// # Panics
/// Where the server is not like that.
pub(super) async fn play(ada: &mut Mail, other: &Client, kind: Kind) {
    let client = ada.client.clone();
    let notes = kind.mailbox("Notes");
    client.create(notes.clone()).await.expect("made");
    several(&client, &notes, kind).await;
    let opened = client.select(notes.clone()).await.expect("open");
    let uids = client.search(Query::new()).await.expect("found");
    let uids: [u32; 3] = uids.try_into().expect("three");
    sorted(&client, uids, kind).await;
    found(&client, uids, kind).await;
    previews(&client, uids, kind).await;
    changes(&client, other, &notes, uids, kind).await;
    put_together(&client, &notes, opened.uid_validity, uids, kind).await;
    replaced(&client, &notes, uids, kind).await;
    quotas(&client, &notes, kind).await;
    rights(&client, &notes, kind).await;
    metadata(&client, &notes, kind).await;
    notified(ada, other, kind).await;
    client.select(MailboxName::inbox()).await.expect("open");
    client.delete(notes).await.expect("deleted");
}

/// Three messages come: two at once where that can be, and one.
async fn several(client: &Client, to: &MailboxName, kind: Kind) {
    let text = |number: u32, subject: &str| {
        let answers = if number == 3 {
            "References: <2@x>\r\n"
        } else {
            ""
        };
        format!(
            "Message-ID: <{number}@x>\r\n{answers}From: Ada <ada@x>\r\n\
             Date: Sun, 01 Nov 2026 10:00:{:02} +0000\r\nSubject: {subject}\r\n\
             MIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\nhello {number}\r\n",
            59 - number,
        )
    };
    let (one, two) = (text(1, "pears"), text(2, "apples"));
    let three = text(3, "Re: apples");
    if kind.has("MULTIAPPEND") {
        let both = [&one, &two].map(|it| (AppendMessage::new(it.len() as u64), it.as_bytes()));
        let both = client.append_all(to.clone(), both).await.expect("appended");
        let (_, uids) = both.uid.expect("UIDs");
        assert_eq!(uids.count(), 2);
    } else {
        for text in [one, two] {
            let append = Append::to(to.clone());
            client.append(append, text).await.expect("appended");
        }
    }
    let append = Append::to(to.clone());
    client.append(append, three).await.expect("appended");
}

/// SORT and THREAD.
async fn sorted(client: &Client, [one, two, three]: [u32; 3], kind: Kind) {
    if kind.has("SORT") {
        let by_subject = SortOrder::by(SortBy::Subject).then(SortBy::Date);
        let sorted = client.sort(by_subject, Query::new()).await;
        assert_eq!(sorted, Ok(vec![three, two, one]));
        let newest_first = SortOrder::by(SortBy::Date).reversed();
        let sorted = client.sort(newest_first, Query::new().subject("ж")).await;
        assert_eq!(sorted, Ok(vec![]));
    }
    if kind.has("SORT=DISPLAY") {
        let by_name = SortOrder::by(SortBy::DisplayFrom).then(SortBy::Date);
        let sorted = client.sort(by_name, Query::new()).await;
        assert_eq!(sorted, Ok(vec![three, two, one]));
    }
    if kind.has("ESORT") {
        let returns = [SearchReturn::Count, SearchReturn::Min];
        let told = client.sort_for(SortBy::Date, Query::new(), returns).await;
        let told = told.expect("told");
        // Cyrus tells the lowest, and not the first.
        let min = if kind == Kind::Cyrus { one } else { three };
        assert_eq!((told.count, told.min), (Some(3), Some(min)));
    }
    for by in [Threading::References, Threading::OrderedSubject] {
        let name = match by {
            Threading::OrderedSubject => "THREAD=ORDEREDSUBJECT",
            _ => "THREAD=REFERENCES",
        };
        if kind.has(name) {
            let threads = client.threads(by, Query::new()).await.expect(name);
            let mut threads: Vec<_> = threads.iter().map(Thread::messages).collect();
            for thread in &mut threads {
                thread.sort_unstable();
            }
            assert!(threads.contains(&vec![two, three]), "{name}: {threads:?}");
        }
    }
}

/// ESEARCH, PARTIAL and SEARCHRES.
async fn found(client: &Client, [one, two, three]: [u32; 3], kind: Kind) {
    if kind.has("ESEARCH") {
        let returns = [SearchReturn::Count, SearchReturn::Max];
        let found = client.search_for(Query::new().subject("a"), returns).await;
        let found = found.expect("found");
        assert_eq!(
            (found.count, found.max, found.all),
            (Some(3), Some(three), None)
        );
    }
    if kind.has("PARTIAL") || kind.has("CONTEXT=SEARCH") {
        let window = Window::of(2, 3).expect("places");
        let found = client.search_for(Query::new(), [SearchReturn::Partial(window)]);
        let page = found.await.expect("found").partial.expect("a page").numbers;
        let expected = SequenceSet::of([two, three]).expect("a set");
        assert_eq!(page, Some(expected));
    }
    if kind.has("SEARCHRES") {
        let apples = Query::new().subject("apples");
        let saved = client.search_for(apples, [SearchReturn::Save]).await;
        saved.expect("kept");
        let messages = client.fetch(Messages::Saved, [Item::Flags]).await;
        let messages = messages.expect("it runs").all().await.expect("all");
        let uids: Vec<u32> = messages.iter().filter_map(|it| it.uid).collect();
        assert_eq!(uids, [two, three]);
        let others = Query::new().except(Query::new().among(Messages::Saved));
        assert_eq!(client.search(others).await, Ok(vec![one]));
    }
}

/// PREVIEW and SAVEDATE.
async fn previews(client: &Client, [uid, ..]: [u32; 3], kind: Kind) {
    let asked = [("PREVIEW", Item::Preview), ("SAVEDATE", Item::SaveDate)];
    let items = asked.into_iter().filter(|(name, _)| kind.has(name));
    let items: Vec<Item> = items.map(|(_, item)| item).collect();
    let messages = client.fetch(one(uid), items).await.expect("it runs");
    let message = messages.all().await.expect("all").remove(0);
    assert_eq!(message.save_date.is_some(), kind.has("SAVEDATE"));
    let preview = message.preview.map(|it| it.to_str().trim().to_owned());
    // Cyrus says NIL: it has made none.
    let has_preview = kind.has("PREVIEW") && kind != Kind::Cyrus;
    assert_eq!(preview.as_deref(), has_preview.then_some("hello 1"));
    assert_eq!(message.unknown, [""; 0]);
}

/// What somebody else has changed in the meantime is not changed back (CONDSTORE).
async fn changes(client: &Client, other: &Client, at: &MailboxName, uids: [u32; 3], kind: Kind) {
    if !kind.has("CONDSTORE") {
        return;
    }
    let [first, second, third] = uids;
    let modseq = async |uid| {
        let messages = client.fetch(one(uid), [Item::ModSeq]).await;
        let message = messages
            .expect("it runs")
            .all()
            .await
            .expect("all")
            .remove(0);
        message.modseq.expect("changes are counted")
    };
    let before = modseq(first).await.max(modseq(second).await);
    let before = before.max(modseq(third).await);
    other.select(at.clone()).await.expect("open");
    let flagged = FlagChange::Add(vec![Flag::Flagged]);
    other.store(one(first), flagged).await.expect("stored");

    let both = Messages::Uids(SequenceSet::of([first, second]).expect("a set"));
    let answered = || FlagChange::Add(vec![Flag::Answered]);
    let stored = client
        .store_unchanged(both.clone(), answered(), before)
        .await;
    let modified = stored.expect("it runs").modified;
    assert_eq!(modified, [SequenceSet::of([first]).expect("a set")]);
    let messages = client.fetch(both.clone(), [Item::Flags]).await;
    let messages = messages.expect("it runs").all().await.expect("all");
    let is_answered = |uid| {
        let message = messages
            .iter()
            .find(|it| it.uid == Some(uid))
            .expect("it is there");
        message
            .flags
            .as_ref()
            .expect("flags")
            .contains(&Flag::Answered)
    };
    assert!(!is_answered(first) && is_answered(second), "{messages:?}");

    let changed = client.fetch_changed(all(), [Item::Flags], before).await;
    let changed = changed.expect("it runs").all().await.expect("all");
    let mut changed: Vec<_> = changed.iter().filter_map(|it| it.uid).collect();
    changed.sort_unstable();
    assert_eq!(changed, [first, second]);
    let since = Query::new().changed_since(before + 1);
    assert_eq!(client.search(since).await, Ok(vec![first, second]));
    let now = modseq(first).await;
    let stored = client.store_unchanged(one(first), answered(), now).await;
    assert!(stored.expect("it runs").is_whole());
}

/// A message of a new header and a text that the server has already (CATENATE).
async fn put_together(
    client: &Client,
    at: &MailboxName,
    validity: Option<u32>,
    [uid, ..]: [u32; 3],
    kind: Kind,
) {
    if !kind.has("CATENATE") {
        return;
    }
    let header = "Subject: together\r\n\r\n";
    let url = MessageUrl::new(at, validity.expect("UIDs last"), uid);
    let parts = [
        CatenatePart::Text(header.len() as u64),
        CatenatePart::Url(url.section(&Section::text())),
    ];
    let message = (AppendMessage::catenate(parts), header.as_bytes());
    let appended = client.append_all(at.clone(), [message]).await;
    appended.expect("appended");
    client.noop().await.expect("a sign of life");
    let found = client.search(Query::new().subject("together")).await;
    let found = found.expect("found")[0];
    let mut text = String::new();
    let mut body = client.read(found, Section::all()).await.expect("a text");
    body.read_to_string(&mut text).await.expect("whole");
    assert_eq!(text, format!("{header}hello 1\r\n"));
    let deleted = FlagChange::Add(vec![Flag::Deleted]);
    client.store(one(found), deleted).await.expect("stored");
    client.expunge().await.expect("expunged");

    // What is not there is named.
    let url = MessageUrl::new(at, validity.expect("UIDs last"), found + 99);
    let message = AppendMessage::catenate([CatenatePart::Url(url)]);
    let refused = client.append_all(at.clone(), [(message, &b""[..])]).await;
    let Err(RequestError::Refused(refusal)) = refused else {
        panic!("{refused:?}");
    };
    assert!(matches!(refusal.code, Some(Code::BadUrl(_))), "{refusal:?}");
}

/// A draft takes the place of the one before: at once, or, without REPLACE, step by step.
async fn replaced(client: &Client, at: &MailboxName, [.., last]: [u32; 3], kind: Kind) {
    let append = Append::to(at.clone()).flag(Flag::Draft);
    let text = "Subject: a draft\r\n\r\nhello\r\n";
    let replaced = client.replace(last, append.clone(), text).await;
    let replaced = replaced.expect("replaced");
    assert_eq!(
        replaced.former,
        Former::Gone,
        "REPLACE: {}",
        kind.has("REPLACE")
    );
    client.noop().await.expect("a sign of life");
    let drafts = client.search(Query::new().subject("a draft")).await;
    let drafts = drafts.expect("found");
    assert_eq!(drafts.len(), 1);
    assert_ne!(drafts[0], last);
    let (_, uids) = replaced.appended.uid.expect("a UID");
    assert_eq!(uids, SequenceSet::of([drafts[0]]).expect("a set"));
    let left = client.search(Query::new().subject("Re: apples")).await;
    assert_eq!(left, Ok(vec![]));
    // What is not there can't be replaced; then nothing, or a second one, is there.
    let piecewise = client.replace_from(drafts[0], append, text.len() as u64, text.as_bytes());
    let replaced = piecewise.await.expect("replaced");
    assert_eq!(replaced.former, Former::Gone);
}

/// QUOTA: what is kept is told; only an administrator may limit it.
async fn quotas(client: &Client, at: &MailboxName, kind: Kind) {
    if !kind.has("QUOTA") {
        return;
    }
    let quotas = client.quotas(at.clone()).await.expect("quotas");
    if matches!(kind, Kind::Dovecot | Kind::Dovecot24) {
        let storage = quotas[0].of(&Resource::Storage).expect("it is limited");
        assert!(storage.limit > storage.used, "{storage:?}");
    }
    let limit = [(Resource::Storage, 1 << 20)];
    let refused = client.set_quota("User quota", limit).await;
    let refused = refused.expect_err("for administrators");
    assert!(matches!(refused, RequestError::Refused(_)), "{refused}");
}

/// ACL: somebody else gets rights and loses them.
async fn rights(client: &Client, at: &MailboxName, kind: Kind) {
    if !kind.has("ACL") {
        return;
    }
    let mine = client.my_rights(at.clone()).await.expect("rights");
    assert!(mine.contains(Rights::ADMINISTER | Rights::INSERT), "{mine}");
    let some = Rights::LOOKUP | Rights::READ;
    let change = RightsChange::Replace(some);
    let set = client.set_acl(at.clone(), "grace", change).await;
    set.expect("set");
    let acl = client.acl(at.clone()).await.expect("an ACL");
    assert!(acl.entries.contains(&("grace".into(), some)), "{acl:?}");
    let can = client.list_rights(at.clone(), "grace").await;
    assert_eq!(can.expect("rights").identifier, "grace");
    let gone = client.delete_acl(at.clone(), "grace").await;
    gone.expect("gone");
    let acl = client.acl(at.clone()).await.expect("an ACL");
    assert!(
        acl.entries.iter().all(|(who, _)| *who != "grace"),
        "{acl:?}"
    );
}

/// METADATA: a comment is kept, told, and taken away.
async fn metadata(client: &Client, at: &MailboxName, kind: Kind) {
    if !kind.has("METADATA") {
        return;
    }
    let comment: EntryName = "/private/comment".parse().expect("an entry");
    let told = async || {
        let asked = client.metadata(Some(at.clone()), [comment.clone()], Depth::Zero);
        let entries = asked.await.expect("told").entries;
        let value = entries.into_iter().find_map(|(_, value)| value);
        value
            .as_ref()
            .and_then(Data::text)
            .map(|it| it.to_str().into_owned())
    };
    for value in [Some("two\r\nlines {3}"), None] {
        let entry = (comment.clone(), value.map(Into::into));
        let set = client.set_metadata(Some(at.clone()), [entry]).await;
        set.expect("set");
        assert_eq!(told().await.as_deref(), value);
    }
}

/// NOTIFY: what happens in a mailbox that is not open is told.
async fn notified(ada: &mut Mail, other: &Client, kind: Kind) {
    if !kind.has("NOTIFY") {
        return;
    }
    let (client, news) = (ada.client.clone(), kind.mailbox("News"));
    client.create(news.clone()).await.expect("made");
    let messages = [
        NotifyEvent::MessageNew(Vec::new()),
        NotifyEvent::MessageExpunge,
    ];
    let others = NotifyMailboxes::Mailboxes(vec![news.clone()]);
    let notify = Notify::new()
        .watch(NotifyMailboxes::SelectedDelayed, messages.clone())
        .watch(others, messages);
    client.notify(notify).await.expect("it will tell");
    let append = Append::to(news.clone());
    let appended = other.append(append, "Subject: x\r\n\r\n").await;
    appended.expect("appended");
    let is_told = |event: &Event| matches!(event, Event::MailboxStatus(it) if it.name == news && it.messages == Some(1));
    // Cyrus takes it, and tells nothing without a daemon of its own, which does not run here.
    if kind != Kind::Cyrus {
        ada.waits_for("news", is_told).await;
    }
    client
        .notify(Notify::new())
        .await
        .expect("it tells no more");
    client.delete(news).await.expect("deleted");
}
