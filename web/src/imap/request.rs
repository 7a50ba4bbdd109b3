//! What can be asked of an IMAP client, by name; imap.js passes an object with what each needs.

use std::str::FromStr;

use jackfield_imap::client::{Append, Client};
use jackfield_imap::codec::{
    DateTime, Flag, FlagChange, InvalidValue, Item, ListQuery, Listed, MailboxName, Messages,
    Notify, NotifyEvent, NotifyMailboxes, Section, SequenceSet, StatusItem, special_mailboxes,
};
use jackfield_imap::core::SyncState;
use jackfield_socket::Result as Checked;
use js_sys::{Array, Function};
use wasm_bindgen::{JsCast as _, JsValue};

use super::reading::{ImapReading, Source};
use super::{Failure, Imap, query, value};
use crate::convert::{Options, invalid};
use crate::mail::{PageReader, encoding};

type Answer = Result<JsValue, Failure>;

impl Imap {
    /// Does what is asked for.
    pub(super) async fn answer(&self, what: &str, with: &Options<'_>) -> Answer {
        let client = &self.client;
        match what {
            "list" => list(client, with).await,
            "status" => {
                let state = client.mailbox_status(mailbox(with)?, states("items", with)?);
                Ok(value::status(&state.await?).into())
            }
            "namespaces" => Ok(value::namespaces(&client.namespaces().await?).into()),
            "create" => done(client.create(mailbox(with)?).await),
            "delete" => done(client.delete(mailbox(with)?).await),
            "rename" => done(client.rename(mailbox(with)?, named("to", with)?).await),
            "subscribe" => done(client.subscribe(mailbox(with)?).await),
            "unsubscribe" => done(client.unsubscribe(mailbox(with)?).await),
            "quotas" => {
                let quotas = client.quotas(mailbox(with)?).await?;
                let quotas = quotas.iter().flat_map(value::quota);
                Ok(quotas.collect::<Array>().into())
            }
            "notify" => done(client.notify(notify(with)?).await),
            "noop" => done(client.noop().await),
            "select" => {
                let mailbox = mailbox(with)?;
                let selected = if with.flag("readOnly")?.unwrap_or(false) {
                    client.examine(mailbox).await?
                } else {
                    client.select(mailbox).await?
                };
                Ok(value::selected(&selected).into())
            }
            "unselect" => done(client.unselect().await),
            "search" => {
                let found = client.search(query::query(with.value("query")?.as_ref())?);
                Ok(numbers(found.await?))
            }
            "sort" => {
                let query = query::query(with.value("query")?.as_ref())?;
                let found = client.sort(query::order(with)?, query);
                Ok(numbers(found.await?))
            }
            "threads" => {
                let query = query::query(with.value("query")?.as_ref())?;
                let found = client.threads(query::threading(with)?, query).await?;
                Ok(found.iter().map(value::thread).collect::<Array>().into())
            }
            "fetch" => {
                let (uids, items) = (uids(with)?, items("items", with)?);
                let fetches = match query::modseq("changedSince", with)? {
                    Some(modseq) => client.fetch_changed(uids, items, modseq).await?,
                    None => client.fetch(uids, items).await?,
                };
                let source = Source::Messages(fetches, self.reading.clone());
                Ok(ImapReading::new(source).into())
            }
            "read" => {
                let (section, encoding) = (section(with)?, encoding(with)?);
                let body = client.read(uid("uid", with)?, section).await?;
                Ok(ImapReading::text(body, encoding).into())
            }
            "sync" => {
                let state = match with.bytes("state")? {
                    Some(bytes) => SyncState::from_bytes(&bytes).map_err(|error| {
                        invalid("state", format_args!("can't be read: {error}"))
                    })?,
                    None => SyncState::new(),
                };
                let changes = client.sync(mailbox(with)?, state, items("items", with)?);
                let source = Source::Changes(Box::new(changes), self.reading.clone());
                Ok(ImapReading::new(source).into())
            }
            "store" => store(client, with).await,
            "copy" => {
                let copied = client.copy(uids(with)?, named("to", with)?).await?;
                Ok(value::copied(&copied).into())
            }
            "move" => {
                let moved = client.move_to(uids(with)?, named("to", with)?).await?;
                Ok(value::copied(&moved).into())
            }
            "expunge" => match query::set("uids", with)? {
                Some(uids) => done(client.expunge_uids(uids).await),
                None => done(client.expunge().await),
            },
            "append" => {
                let append = client.append_from(append(with)?, size(with)?, pull(with)?);
                Ok(value::appended(&append.await?).into())
            }
            "replace" => {
                let (uid, append) = (uid("uid", with)?, append(with)?);
                let replaced = client.replace_from(uid, append, size(with)?, pull(with)?);
                Ok(value::replaced(&replaced.await?).into())
            }
            _ => Err(invalid("what", "is nothing that can be asked for").into()),
        }
    }
}

fn done(outcome: Result<(), jackfield_imap::RequestError>) -> Answer {
    outcome?;
    Ok(JsValue::UNDEFINED)
}

fn numbers(numbers: Vec<u32>) -> JsValue {
    numbers
        .into_iter()
        .map(JsValue::from)
        .collect::<Array>()
        .into()
}

async fn list(client: &Client, with: &Options<'_>) -> Answer {
    let mut query = ListQuery::matching(with.text("pattern")?.unwrap_or_else(|| "*".to_owned()));
    query.subscribed = with.flag("subscribed")?.unwrap_or(false);
    query.returns.special_use = true;
    query.returns.subscribed = true;
    query.returns.status = states("status", with)?;
    let (mailboxes, states) = client.list(query).await?;
    let special = special_mailboxes(&mailboxes);
    let made = mailboxes.iter().map(|listed: &Listed| {
        let special = special.iter().find(|it| it.mailbox.name == listed.name);
        let state = states.iter().find(|it| it.name == listed.name);
        JsValue::from(value::listed(listed, special, state))
    });
    Ok(made.collect::<Array>().into())
}

async fn store(client: &Client, with: &Options<'_>) -> Answer {
    let (uids, flags) = (uids(with)?, flags("flags", with)?);
    let change = match with.text("how")?.as_deref() {
        Some("add") => FlagChange::Add(flags),
        Some("remove") => FlagChange::Remove(flags),
        Some("replace") => FlagChange::Replace(flags),
        _ => return Err(invalid("how", "is not one of add, remove and replace").into()),
    };
    let Some(modseq) = query::modseq("unchangedSince", with)? else {
        client.store(uids, change).await?;
        return Ok(value::uids(&[]));
    };
    let stored = client.store_unchanged(uids, change, modseq).await?;
    Ok(value::uids(&stored.modified))
}

/// `watch`, a list of mailboxes, or `personal` or `subscribed`: what happens there is told of, beside what
/// happens in the one that is open.
fn notify(with: &Options<'_>) -> Result<Notify, Failure> {
    let events = || {
        [
            NotifyEvent::MessageNew(Vec::new()),
            NotifyEvent::MessageExpunge,
            NotifyEvent::FlagChange,
        ]
    };
    let watched = match with.value("watch")? {
        None => return Ok(Notify::new()),
        Some(watch) => match watch.as_string().as_deref() {
            Some("personal") => NotifyMailboxes::Personal,
            Some("subscribed") => NotifyMailboxes::Subscribed,
            Some(_) => return Err(invalid("watch", "is neither personal nor subscribed").into()),
            None => {
                let names = with.texts("watch")?;
                let names: Result<Vec<_>, _> =
                    names.iter().map(|name| parsed("watch", name)).collect();
                NotifyMailboxes::Mailboxes(names?)
            }
        },
    };
    let mut elsewhere = events().to_vec();
    if matches!(
        watched,
        NotifyMailboxes::Personal | NotifyMailboxes::Subscribed
    ) {
        elsewhere.push(NotifyEvent::MailboxName);
    }
    let notify = Notify::new().watch(NotifyMailboxes::SelectedDelayed, events());
    Ok(notify.watch(watched, elsewhere))
}

/// The mailbox that is named.
fn mailbox(with: &Options<'_>) -> Checked<MailboxName> {
    named("mailbox", with)
}

fn named(name: &str, with: &Options<'_>) -> Checked<MailboxName> {
    parsed(name, &with.required(name)?)
}

fn parsed<T: FromStr<Err = InvalidValue>>(name: &str, text: &str) -> Checked<T> {
    text.parse()
        .map_err(|error| invalid(name, format_args!("is not one: {error}")))
}

/// Flags, by their names.
pub(super) fn flags(name: &str, with: &Options<'_>) -> Checked<Vec<Flag>> {
    let flags = with.texts(name)?;
    flags.iter().map(|flag| parsed(name, flag)).collect()
}

/// The messages that are named: never none, and never all by mistake.
fn uids(with: &Options<'_>) -> Checked<Messages> {
    let set = query::set("uids", with)?;
    set.map(Messages::Uids)
        .ok_or_else(|| invalid("uids", "is missing"))
}

fn uid(name: &str, with: &Options<'_>) -> Checked<u32> {
    let uid = with.number(name)?;
    let uid = uid.ok_or_else(|| invalid(name, "is missing"))?;
    match query::whole(name, uid)? {
        0 => Err(invalid(name, "is 0, which no message has")),
        uid => Ok(uid),
    }
}

fn size(with: &Options<'_>) -> Checked<u64> {
    #[expect(
        clippy::cast_sign_loss,
        reason = "the size of what a script has counted"
    )]
    let size = with.number("size")?.unwrap_or_default() as u64;
    Ok(size)
}

/// What gives a message, piece by piece.
fn pull(with: &Options<'_>) -> Checked<PageReader> {
    let pull = with.value("pull")?.unwrap_or_default();
    let pull = pull
        .dyn_into::<Function>()
        .map_err(|_| invalid("pull", "is no function"))?;
    Ok(PageReader::new(pull))
}

fn append(with: &Options<'_>) -> Checked<Append> {
    let mut append = Append::to(mailbox(with)?);
    append.flags = flags("flags", with)?;
    if let Some(date) = with.number("date")? {
        let date = DateTime::from_unix_seconds((date / 1000.0).floor() as i64);
        let date = date.map_err(|_| invalid("date", "is beyond the years that mail has"))?;
        append.date = Some(date);
    }
    Ok(append)
}

/// `part` and `of`: which part of a message, and what of it.
fn section(with: &Options<'_>) -> Checked<Section> {
    let path = with.text("part")?.unwrap_or_default();
    let wrong = || invalid("part", "is no part's number, such as 1 or 2.1");
    let number = |text: &str| text.parse().map_err(|_| wrong());
    let numbers: Checked<Vec<u32>> = match &*path {
        "" => Ok(Vec::new()),
        path => path.split('.').map(number).collect(),
    };
    let numbers = numbers?;
    match (numbers.is_empty(), with.text("of")?.as_deref()) {
        (true, None) => Ok(Section::all()),
        (true, Some("header")) => Ok(Section::header()),
        (true, Some("text")) => Ok(Section::text()),
        (false, None) => Section::part(numbers).map_err(|_| wrong()),
        (false, Some("header")) => Section::part(numbers)
            .map(Section::mime)
            .map_err(|_| wrong()),
        _ => Err(invalid("of", "is nothing that there is of it")),
    }
}

const ITEMS: [(&str, Item); 11] = [
    ("flags", Item::Flags),
    ("date", Item::InternalDate),
    ("size", Item::Size),
    ("envelope", Item::Envelope),
    ("parts", Item::Structure),
    ("modseq", Item::ModSeq),
    ("emailId", Item::EmailId),
    ("threadId", Item::ThreadId),
    ("preview", Item::Preview),
    ("saveDate", Item::SaveDate),
    ("gmail", Item::Gmail),
];

/// What is told of messages.
fn items(name: &str, with: &Options<'_>) -> Checked<Vec<Item>> {
    let item = |asked: String| {
        let found = ITEMS.iter().find(|(known, _)| *known == asked);
        let unknown = || invalid(name, format_args!("has {asked}, which is nothing to fetch"));
        found.map(|(_, item)| item.clone()).ok_or_else(unknown)
    };
    with.texts(name)?.into_iter().map(item).collect()
}

const STATES: [(&str, StatusItem); 10] = [
    ("messages", StatusItem::Messages),
    ("recent", StatusItem::Recent),
    ("uidNext", StatusItem::UidNext),
    ("uidValidity", StatusItem::UidValidity),
    ("unseen", StatusItem::Unseen),
    ("deleted", StatusItem::Deleted),
    ("size", StatusItem::Size),
    ("highestModSeq", StatusItem::HighestModSeq),
    ("mailboxId", StatusItem::MailboxId),
    ("appendLimit", StatusItem::AppendLimit),
];

/// What is told of a mailbox.
fn states(name: &str, with: &Options<'_>) -> Checked<Vec<StatusItem>> {
    let item = |asked: String| {
        let found = STATES.iter().find(|(known, _)| *known == asked);
        let unknown = || {
            invalid(
                name,
                format_args!("has {asked}, which is no state of a mailbox"),
            )
        };
        found.map(|(_, item)| *item).ok_or_else(unknown)
    };
    with.texts(name)?.into_iter().map(item).collect()
}

/// How many UIDs are told one by one; a set may hold billions in a few bytes.
pub(super) const MAX_UIDS: u64 = 1 << 20;

/// The UIDs of a set that is not too large.
pub(super) fn listed(set: &SequenceSet) -> Option<JsValue> {
    let is_small = set.count() <= MAX_UIDS;
    is_small.then(|| set.iter().map(JsValue::from).collect::<Array>().into())
}
