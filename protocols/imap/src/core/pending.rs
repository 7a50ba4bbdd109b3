//! Commands that wait and those in flight: which may be together, and whose answer a response is.

use bytes::Bytes;
use jackfield_socket::time::Instant;

use super::event::RequestId;
use crate::codec::{
    Command, Esearch, Fetch, Head, Item, MailboxName, Messages, Response, Section, Status, Text,
};

/// So many messages are kept of which a FETCH has told nothing but flags; what comes behind them is told at
/// once.
const MAX_PARTIAL: usize = 500;
/// So many ranges of messages are known to have been told; one behind them may be told twice.
const MAX_TOLD: usize = 10_000;

/// Why a command is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Somebody asked for it.
    Request(RequestId),
    /// The log-in needs it.
    Login,
    /// News are waited for.
    Idle,
    /// News are asked for.
    News,
    /// Whatever else comes of the FETCH with this tag is to come before its answer.
    Settle(u64),
    /// Leave is taken.
    Logout,
}

/// A command, and all that goes with it.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) purpose: Purpose,
    pub(super) command: Command,
    /// The section whose text is given piece by piece.
    pub(super) reads: Option<Section>,
    /// Whether that has begun.
    pub(super) has_begun: bool,
    /// Of an APPEND: the message, where it is known.
    pub(super) message: Vec<Bytes>,
    /// Those that were asked for together have the same, and others have none: they follow each
    /// other, and who asked for them tells their answers apart.
    pub(super) group: Option<RequestId>,
    /// The mailbox that it is meant for, and its UIDVALIDITY: where another is open, it is not sent.
    pub(super) within: Option<Box<(MailboxName, Option<u32>)>>,
    /// Of a SELECT: whether what comes is of the mailbox that it opens.
    pub(super) is_opening: bool,
    /// When it was asked for, or sent, or last heard of.
    pub(super) since: Instant,
    /// The number of its tag, once it was sent.
    pub(super) tag: u64,
    /// How many responses were parts of its answer.
    pub(super) answers: usize,
    /// How long they were together.
    pub(super) answer_bytes: usize,
    /// Nobody waits for it any more: what it brings is dropped.
    pub(super) is_abandoned: bool,
    /// Of a FETCH: what has nothing of what was asked for but flags.
    partial: Partial,
    /// Of a FETCH: that it is done, where more may come all the same.
    pub(super) settling: Option<Status>,
}

impl Pending {
    pub(super) fn new(purpose: Purpose, command: Command, now: Instant) -> Self {
        Self {
            purpose,
            command,
            reads: None,
            has_begun: false,
            message: Vec::new(),
            group: None,
            within: None,
            is_opening: false,
            since: now,
            tag: 0,
            answers: 0,
            answer_bytes: 0,
            is_abandoned: false,
            partial: Partial::default(),
            settling: None,
        }
    }

    pub(super) fn id(&self) -> Option<RequestId> {
        match self.purpose {
            Purpose::Request(id) => Some(id),
            _ => None,
        }
    }

    /// Whether it may be sent while this one is in flight (RFC 9051, section 5.5).
    pub(super) fn may_follow(&self, other: &Self) -> bool {
        if self.group.is_some() && self.group == other.group {
            return true;
        }
        let (next, first) = (&self.command, &other.command);
        if stands_alone(next) || stands_alone(first) {
            return false;
        }
        // A message's number holds only while no other message may be expunged.
        if next.has_numbers() && !(first.has_numbers() && keeps_numbers(first)) {
            return false;
        }
        match (first, next) {
            // What is told as ESEARCH has a tag.
            (Command::Search { returns: one, .. }, Command::Search { returns: two, .. })
            | (Command::Sort { returns: one, .. }, Command::Sort { returns: two, .. }) => {
                !one.is_empty() && !two.is_empty()
            }
            (Command::List(one), Command::Status(..)) => one.returns.status.is_empty(),
            (Command::Status(..), Command::List(two)) => two.returns.status.is_empty(),
            (Command::Status(one, _), Command::Status(two, _))
            | (Command::GetAcl(one), Command::GetAcl(two))
            | (Command::MyRights(one), Command::MyRights(two))
            | (Command::ListRights(one, _), Command::ListRights(two, _)) => one != two,
            (Command::Fetch { messages: one, .. }, Command::Fetch { messages: two, .. }) => {
                // Where a text goes must be certain before its end.
                let reads_one = self.reads.is_some() || other.reads.is_some();
                !reads_one && are_disjoint(one, two)
            }
            (Command::Thread { .. }, Command::Thread { .. })
            | (Command::List(_), Command::List(_))
            | (Command::Namespace, Command::Namespace)
            | (Command::Id(_), Command::Id(_))
            | (
                Command::GetQuota(_) | Command::GetQuotaRoot(_) | Command::SetQuota(..),
                Command::GetQuota(_) | Command::GetQuotaRoot(_) | Command::SetQuota(..),
            ) => false,
            (
                Command::GetMetadata { mailbox: one, .. },
                Command::GetMetadata { mailbox: two, .. },
            ) => one != two,
            // Both may tell of UIDs without a tag.
            (one, two) if tells_uids(one) && tells_uids(two) => false,
            _ => true,
        }
    }

    /// Whether a response is a part of its answer.
    pub(super) fn is_answered_by(&self, response: &Response) -> bool {
        match (&self.command, response) {
            (Command::Search { .. } | Command::Sort { .. }, Response::Esearch(found)) => {
                self.is_tagged(found)
            }
            (Command::Search { .. }, Response::Search { .. })
            | (Command::Sort { .. }, Response::Sort { .. })
            | (Command::Thread { .. }, Response::Thread(_))
            | (Command::List(_), Response::List(_) | Response::Lsub(_))
            | (Command::Namespace, Response::Namespace(_))
            | (Command::Id(_), Response::Id(_))
            | (Command::GetQuotaRoot(_), Response::QuotaRoot(_))
            | (
                Command::GetQuota(_) | Command::GetQuotaRoot(_) | Command::SetQuota(..),
                Response::Quota(_),
            ) => true,
            // More than is kept of it, which whoever asked has to know.
            (
                Command::Search { .. } | Command::Sort { .. } | Command::Thread { .. },
                Response::Unknown {
                    raw,
                    limit: Some(_),
                },
            ) => is_found(raw),
            // Nor may one be missed of several.
            (Command::Fetch { .. }, Response::Unknown { raw, .. }) => {
                self.group.is_some() && is_of_messages(raw)
            }
            (Command::GetAcl(name), Response::Acl(acl)) => acl.mailbox == *name,
            (Command::ListRights(name, _), Response::ListRights(list)) => list.mailbox == *name,
            (Command::MyRights(name), Response::MyRights(rights)) => rights.mailbox == *name,
            (Command::GetMetadata { mailbox, .. }, Response::Metadata(told)) => {
                told.mailbox == *mailbox && told.changed.is_empty()
            }
            (Command::List(query), Response::MailboxStatus(_)) => !query.returns.status.is_empty(),
            (Command::Status(name, _), Response::MailboxStatus(status)) => status.name == *name,
            (
                Command::Fetch {
                    messages, items, ..
                },
                Response::Fetch(fetch),
            ) => is_of(messages, fetch) && is_what_was_asked(items, fetch),
            (
                Command::Fetch {
                    changed_since: Some(since),
                    ..
                },
                Response::Vanished { earlier: true, .. },
            ) => since.vanished,
            // What has changed in a mailbox is told as it is opened; what comes before that is of
            // the one that was open.
            (
                Command::Select {
                    qresync: Some(_), ..
                },
                response,
            ) => match response {
                Response::Fetch(_) => self.is_opening,
                Response::Vanished { earlier, .. } => *earlier,
                Response::Unknown { raw, .. } => {
                    self.group.is_some() && self.is_opening && is_of_messages(raw)
                }
                Response::Status(status) => {
                    matches!(status.code, Some(crate::codec::Code::UidValidity(_)))
                }
                _ => false,
            },
            (
                Command::Fetch { .. }
                | Command::Store { .. }
                | Command::Search { .. }
                | Command::ExpungeUids(_),
                Response::Status(status),
            ) => is_limited(status),
            (command, Response::Status(status)) if tells_uids(command) => {
                use crate::codec::Code::{AppendUid, CopyUid};
                matches!(status.code, Some(AppendUid { .. } | CopyUid { .. })) || is_limited(status)
            }
            _ => false,
        }
    }

    /// Keeps what may turn out to be its answer; whether it has no room for that.
    pub(super) fn keep(&mut self, fetch: &Fetch) -> bool {
        let Command::Fetch { messages, .. } = &self.command else {
            return false;
        };
        // Of several that were asked for together, whoever asked knows; and a text has a beginning.
        let is_its = self.group.is_none() && self.reads.is_none() && !self.is_abandoned;
        if !is_its || *messages == Messages::Saved || !is_of(messages, fetch) {
            return false;
        }
        self.partial.keep(number_of(messages, fetch), fetch)
    }

    /// What was kept of this message was news, and so is what comes of it now.
    pub(super) fn is_told(&mut self, response: &Response) {
        if let (
            Response::Fetch(fetch),
            Command::Fetch {
                messages, items, ..
            },
        ) = (response, &self.command)
            && !are_flags(items)
        {
            self.partial.told(number_of(messages, fetch));
        }
    }

    /// What was its answer, since nothing else has come.
    pub(super) fn kept(&mut self) -> impl Iterator<Item = Fetch> + use<> {
        let kept = std::mem::take(&mut self.partial).kept;
        kept.into_iter().map(|(_, fetch)| fetch)
    }

    fn is_tagged(&self, found: &Esearch) -> bool {
        let Some(tag) = &found.tag else {
            return true;
        };
        tag_number(tag.as_bytes()) == Some(self.tag)
    }

    /// Whether the literal behind this is what it reads.
    pub(super) fn reads_at(&self, head: &Head) -> bool {
        let (Some(section), Command::Fetch { messages, .. }) = (&self.reads, &self.command) else {
            return false;
        };
        let is_of = match messages {
            // It is the only one in flight that reads, so that a UID that comes later is its own.
            Messages::Uids(uids) => head.uid.is_none_or(|uid| uids.contains(uid)),
            Messages::Numbers(numbers) => numbers.contains(head.number),
            Messages::Saved => true,
        };
        let wanted = format!("[{section}]");
        let told = head.section.split('<').next().unwrap_or_default();
        is_of && told.replace('"', "").eq_ignore_ascii_case(&wanted)
    }
}

/// What was told of messages that has nothing of what a FETCH has asked for but flags, and was taken for news.
/// Where nothing else comes of a message, it was the answer: the server can't tell more.
#[derive(Debug, Default)]
struct Partial {
    /// By their numbers, or UIDs.
    kept: Vec<(u32, Fetch)>,
    /// Those of which more was told, as ranges.
    told: Vec<(u32, u32)>,
}

impl Partial {
    /// Whether there is no room for it.
    fn keep(&mut self, number: u32, fetch: &Fetch) -> bool {
        if self.told.iter().any(|it| it.0 <= number && number <= it.1) {
            return false;
        }
        self.kept.retain(|it| it.0 != number);
        let is_full = self.kept.len() >= MAX_PARTIAL;
        if !is_full {
            self.kept.push((number, fetch.clone()));
        }
        is_full
    }

    fn told(&mut self, number: u32) {
        self.kept.retain(|it| it.0 != number);
        let is_full = self.told.len() >= MAX_TOLD;
        match self.told.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(number) => *last = number,
            Some((first, _)) if number.checked_add(1) == Some(*first) => *first = number,
            _ if !is_full => self.told.push((number, number)),
            _ => {}
        }
    }
}

/// Whether a server tells of a command where messages went (UIDPLUS).
fn tells_uids(command: &Command) -> bool {
    matches!(
        command,
        Command::Append { .. }
            | Command::AppendAll { .. }
            | Command::Replace { .. }
            | Command::Move(..)
            | Command::Copy(..)
    )
}

/// Whether something tells what was found.
fn is_found(raw: &Text) -> bool {
    let mut words = raw.as_bytes().split(|byte| *byte == b' ');
    let name = words.find(|word| !word.is_empty() && *word != b"*");
    let names = [&b"SEARCH"[..], b"ESEARCH", b"SORT", b"THREAD"];
    name.is_some_and(|name| names.iter().any(|known| name.eq_ignore_ascii_case(known)))
}

/// Whether something tells of messages, or which are gone.
fn is_of_messages(raw: &Text) -> bool {
    let mut words = raw.as_bytes().split(|byte| *byte == b' ').take(3);
    let names = [&b"FETCH"[..], b"UIDFETCH", b"VANISHED"];
    words.any(|word| names.iter().any(|known| word.eq_ignore_ascii_case(known)))
}

/// The number of one of our tags.
pub(super) fn tag_number(tag: &[u8]) -> Option<u64> {
    let digits = tag.strip_prefix(b"A")?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Whether a command changes what others mean, or has the line for itself.
fn stands_alone(command: &Command) -> bool {
    matches!(
        command,
        Command::Select { .. }
            | Command::Close
            | Command::Unselect
            | Command::Login { .. }
            | Command::Authenticate { .. }
            | Command::Enable(_)
            | Command::Capability
            | Command::Idle
            | Command::Notify(_)
    ) || changes_the_wire(command)
}

/// Whether nothing may be sent behind a command before it is answered, since it might have to be
/// sent in another way.
pub(super) fn changes_the_wire(command: &Command) -> bool {
    #[cfg(feature = "compress")]
    return matches!(command, Command::Compress);
    #[cfg(not(feature = "compress"))]
    {
        let _ = command;
        false
    }
}

/// Whether the server may expunge nothing while it answers (RFC 9051, section 7.5.1).
fn keeps_numbers(command: &Command) -> bool {
    matches!(
        command,
        Command::Fetch { .. } | Command::Store { .. } | Command::Search { .. }
    )
}

/// Whether it says that a part of the messages only was worked on. It stands alone where the tagged
/// response has another code.
fn is_limited(status: &Status) -> bool {
    matches!(status.code, Some(crate::codec::Code::MessageLimit { .. }))
}

fn are_disjoint(one: &Messages, two: &Messages) -> bool {
    match (one, two) {
        (Messages::Uids(one), Messages::Uids(two))
        | (Messages::Numbers(one), Messages::Numbers(two)) => one.is_disjoint(two),
        _ => false,
    }
}

/// The number, or the UID, that a message was asked for by.
fn number_of(messages: &Messages, fetch: &Fetch) -> u32 {
    let number = match messages {
        Messages::Numbers(_) => fetch.number,
        Messages::Uids(_) | Messages::Saved => fetch.uid,
    };
    number.unwrap_or_default()
}

fn is_of(messages: &Messages, fetch: &Fetch) -> bool {
    match messages {
        // The highest message is among those of `5:*`, even where it is lower.
        Messages::Uids(uids) => fetch.uid.is_some_and(|uid| uids.may_contain(uid)),
        Messages::Numbers(numbers) => fetch.number.is_some_and(|it| numbers.may_contain(it)),
        Messages::Saved => true,
    }
}

fn are_flags(items: &[Item]) -> bool {
    let is_flags = |item: &Item| matches!(item, Item::Uid | Item::Flags | Item::ModSeq);
    items.iter().all(is_flags)
}

/// Whether there is something in it that was asked for. A server may tell of new flags at any time.
pub(super) fn is_what_was_asked(items: &[Item], fetch: &Fetch) -> bool {
    if are_flags(items) {
        return true;
    }
    fetch.internal_date.is_some()
        || fetch.size.is_some()
        || fetch.envelope.is_some()
        || fetch.structure.is_some()
        || fetch.email_id.is_some()
        || fetch.thread_id.is_some()
        || fetch.preview.is_some()
        || fetch.save_date.is_some()
        || fetch.gmail.is_some()
        || !fetch.sections.is_empty()
        || !fetch.unknown.is_empty()
}
