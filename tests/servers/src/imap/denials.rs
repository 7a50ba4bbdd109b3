//! What a server has not: each method that needs it says so, before anything is sent.

use std::pin::Pin;

use jackfield_imap::RequestError;
use jackfield_imap::client::{Append, Client};
use jackfield_imap::codec::{
    AppendMessage, CatenatePart, Depth, EntryName, Flag, FlagChange, Item, MailboxName, MessageUrl,
    Messages, Notify, Query, Resource, Rights, RightsChange, SearchReturn, Section, SequenceSet,
    SortBy, StatusItem, Threading, Window,
};

use super::all;

/// What is asked for, and what it needs: the first of these that the server has not is named. Where
/// one of several is enough, they stand behind one another.
type Row<'a> = (
    &'static [&'static [&'static str]],
    Pin<Box<dyn Future<Output = Result<(), RequestError>> + Send + 'a>>,
);

fn row<'a, T>(
    needs: &'static [&'static [&'static str]],
    asked: impl Future<Output = Result<T, RequestError>> + Send + 'a,
) -> Row<'a> {
    (needs, Box::pin(async move { asked.await.map(drop) }))
}

/// Asks for all that this server has not, while a mailbox is open: each time the denial names it. How
/// often that was so.
///
/// # Panics
/// Where it is not.
pub async fn are_denied(client: &Client) -> usize {
    let server = client.server().expect("it is ready");
    let rows = of_mailboxes(client)
        .into_iter()
        .chain(of_searches(client))
        .chain(of_messages(client));
    let mut count = 0;
    for (index, (needs, asked)) in rows.enumerate() {
        let lacks = |names: &&&[&str]| !names.iter().any(|name| server.can(name));
        if let Some(names) = needs.iter().find(lacks) {
            let denied = RequestError::Unsupported(names[0]);
            assert_eq!(asked.await, Err(denied), "row {index}, {needs:?}");
            count += 1;
        }
    }
    let limits = server.capabilities.values("APPENDLIMIT");
    if let Some(limit) = limits.filter_map(|limit| limit.parse().ok()).min() {
        let too_large = Append::to(MailboxName::inbox());
        let denied = client.append_from(too_large, limit + 1, &b""[..]).await;
        assert_eq!(denied, Err(RequestError::MessageTooLarge { limit }));
    }
    count
}

fn of_mailboxes(client: &Client) -> Vec<Row<'_>> {
    let inbox = MailboxName::inbox;
    let state = |item| client.mailbox_status(inbox(), [item]);
    let entry = || "/private/comment".parse::<EntryName>().expect("an entry");
    let rights = RightsChange::Replace(Rights::READ);
    let message = |text: &'static str| (AppendMessage::new(text.len() as u64), text.as_bytes());
    let url = CatenatePart::Url(MessageUrl::new(&inbox(), 1, 1));
    let catenated = (AppendMessage::catenate([url]), &b""[..]);
    vec![
        row(&[&["UNSELECT"]], client.unselect()),
        row(&[&["NAMESPACE"]], client.namespaces()),
        row(&[&["NOTIFY"]], client.notify(Notify::new())),
        row(&[&["QUOTA"]], client.quotas(inbox())),
        row(
            &[&["QUOTA"]],
            client.set_quota("", [(Resource::Storage, 1)]),
        ),
        row(&[&["ACL"]], client.acl(inbox())),
        row(&[&["ACL"]], client.set_acl(inbox(), "grace", rights)),
        row(&[&["ACL"]], client.delete_acl(inbox(), "grace")),
        row(&[&["ACL"]], client.list_rights(inbox(), "grace")),
        row(&[&["ACL"]], client.my_rights(inbox())),
        row(
            &[&["METADATA"]],
            client.metadata(Some(inbox()), [entry()], Depth::Zero),
        ),
        row(
            &[&["METADATA"]],
            client.set_metadata(Some(inbox()), [(entry(), None)]),
        ),
        row(
            &[&["METADATA", "METADATA-SERVER"]],
            client.metadata(None, [entry()], Depth::Zero),
        ),
        row(
            &[&["METADATA", "METADATA-SERVER"]],
            client.set_metadata(None, [(entry(), None)]),
        ),
        row(
            &[&["MULTIAPPEND"]],
            client.append_all(inbox(), [message("a"), message("b")]),
        ),
        row(&[&["CATENATE"]], client.append_all(inbox(), [catenated])),
        row(&[&["STATUS=SIZE"]], state(StatusItem::Size)),
        row(&[&["CONDSTORE"]], state(StatusItem::HighestModSeq)),
        row(&[&["OBJECTID"]], state(StatusItem::MailboxId)),
        row(
            &[&["IMAP4REV2", "QUOTA=RES-MESSAGE"]],
            state(StatusItem::Deleted),
        ),
    ]
}

fn of_searches(client: &Client) -> Vec<Row<'_>> {
    let any = Query::new;
    let kept = || any().except(any().among(Messages::Saved));
    let page = || [SearchReturn::Partial(Window::of(1, 2).expect("places"))];
    let (count, save) = ([SearchReturn::Count], [SearchReturn::Save]);
    let (by_date, by_name) = (SortBy::Date, SortBy::DisplayFrom);
    let changed = any().any([any().flagged(), any().changed_since(1)]);
    vec![
        row(&[&["ESEARCH"]], client.search_for(any(), count)),
        row(&[&["SEARCHRES"]], client.search_for(any(), save)),
        row(&[&["SEARCHRES"]], client.search(kept())),
        row(
            &[&["PARTIAL", "CONTEXT=SEARCH"]],
            client.search_for(any(), page()),
        ),
        row(&[&["CONDSTORE"]], client.search(changed)),
        row(&[&["X-GM-EXT-1"]], client.search(any().gmail("is:starred"))),
        row(&[&["SORT"]], client.sort(by_date, any())),
        row(&[&["SORT"], &["SORT=DISPLAY"]], client.sort(by_name, any())),
        row(&[&["SORT"], &["SEARCHRES"]], client.sort(by_date, kept())),
        row(
            &[&["SORT"], &["ESORT"]],
            client.sort_for(by_date, any(), count),
        ),
        row(
            &[&["SORT"], &["ESORT"], &["PARTIAL", "CONTEXT=SORT"]],
            client.sort_for(by_date, any(), page()),
        ),
        row(
            &[&["THREAD=REFERENCES"]],
            client.threads(Threading::References, any()),
        ),
        row(
            &[&["THREAD=ORDEREDSUBJECT"]],
            client.threads(Threading::OrderedSubject, any()),
        ),
        row(
            &[&["THREAD=REFERENCES"], &["SEARCHRES"]],
            client.threads(Threading::References, kept()),
        ),
    ]
}

fn of_messages(client: &Client) -> Vec<Row<'_>> {
    let fetch = |messages, item| async move {
        let told = client.fetch(messages, [item]).await?;
        told.all().await
    };
    let binary = Item::Body {
        section: Section::all(),
        partial: None,
        is_binary: true,
        marks_seen: false,
    };
    let flag = || FlagChange::Add(vec![Flag::Seen]);
    let saved = || Messages::Saved;
    let numbers = Messages::Numbers(SequenceSet::everything());
    vec![
        row(&[&["CONDSTORE"]], fetch(all(), Item::ModSeq)),
        row(&[&["OBJECTID"]], fetch(all(), Item::EmailId)),
        row(&[&["OBJECTID"]], fetch(all(), Item::ThreadId)),
        row(&[&["PREVIEW"]], fetch(all(), Item::Preview)),
        row(&[&["SAVEDATE"]], fetch(all(), Item::SaveDate)),
        row(&[&["X-GM-EXT-1"]], fetch(all(), Item::Gmail)),
        row(&[&["BINARY"]], fetch(all(), binary)),
        row(&[&["SEARCHRES"]], fetch(saved(), Item::Flags)),
        row(&[&["SEARCHRES"]], client.store(saved(), flag())),
        row(
            &[&["SEARCHRES"]],
            client.copy(saved(), MailboxName::inbox()),
        ),
        row(
            &[&["MOVE"], &["SEARCHRES"]],
            client.move_to(saved(), MailboxName::inbox()),
        ),
        row(&[&["MOVE"]], client.move_to(numbers, MailboxName::inbox())),
        row(
            &[&["CONDSTORE"]],
            client.fetch_changed(all(), [Item::Flags], 1),
        ),
        row(&[&["CONDSTORE"]], client.store_unchanged(all(), flag(), 1)),
        row(
            &[&["UIDPLUS"]],
            client.expunge_uids(SequenceSet::everything()),
        ),
    ]
}
