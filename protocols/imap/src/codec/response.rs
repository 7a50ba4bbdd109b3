//! Responses: what a server says (RFC 9051, section 7). Nothing that it says can't be read: what
//! makes no sense is [`Response::Unknown`].

use std::fmt;

use bytes::Bytes;
use nom::Parser;
use nom::bytes::complete::{tag, tag_no_case};
use nom::combinator::opt;

use super::acl::{Acl, MyRights, RightsList, acl, list_rights, my_rights};
use super::capability::Capabilities;
use super::code::{Code, set};
use super::data::{
    Esearch, Listed, MailboxStatus, Names, Namespaces, Thread, esearch, found, id, namespaces,
    threads,
};
use super::fetch::Fetch;
use super::flag::Flag;
use super::input::{Counted, Input, Parsed, WRONG};
use super::limits::{Limit, Limits};
use super::metadata::{Metadata, metadata};
use super::quota::{Quota, QuotaRoot, quota, quota_root};
use super::set::SequenceSet;
use super::text::Text;
use super::token::{atom, is_atom_char, keyword, list, number, space, spaces};

/// What a server says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Response {
    /// `+`: the client may go on.
    Continue(Text),
    /// A command is done.
    Tagged {
        /// Which.
        tag: Text,
        /// How it went.
        status: Status,
    },
    /// A status that belongs to no command, or to one that is not named.
    Status(Status),
    /// What the server can do.
    Capability(Capabilities),
    /// What was enabled.
    Enabled(Capabilities),
    /// What the server says of itself.
    Id(Vec<(Text, Option<Text>)>),
    /// A mailbox.
    List(Listed),
    /// A mailbox that is subscribed to.
    Lsub(Listed),
    /// The state of a mailbox.
    MailboxStatus(MailboxStatus),
    /// Where mailboxes are.
    Namespace(Namespaces),
    /// How much of what a user may keep is used.
    Quota(Quota),
    /// By which roots a mailbox is limited.
    QuotaRoot(QuotaRoot),
    /// Who may do what with a mailbox.
    Acl(Acl),
    /// What somebody can be allowed to do with a mailbox.
    ListRights(RightsList),
    /// What this user may do with a mailbox.
    MyRights(MyRights),
    /// What is kept about a mailbox or the server.
    Metadata(Metadata),
    /// The flags that are used in the mailbox.
    Flags(Vec<Flag>),
    /// What matches, in the server's order.
    Search {
        /// Numbers or UIDs, as was asked.
        numbers: Vec<u32>,
        /// The highest number of a change among them (CONDSTORE).
        modseq: Option<u64>,
    },
    /// What matches, sorted.
    Sort {
        /// Numbers or UIDs, as was asked.
        numbers: Vec<u32>,
        /// The highest number of a change among them (CONDSTORE).
        modseq: Option<u64>,
    },
    /// What matches, in other words.
    Esearch(Esearch),
    /// What matches, by conversations.
    Thread(Vec<Thread>),
    /// How many messages there are.
    Exists(u32),
    /// How many have `\Recent`.
    Recent(u32),
    /// The message of this number is gone; all behind it have one less.
    Expunge(u32),
    /// Messages are gone (QRESYNC, RFC 7162).
    Vanished {
        /// Whether they were gone before: no numbers change then.
        earlier: bool,
        /// Their UIDs.
        uids: SequenceSet,
    },
    /// What there is of a message.
    Fetch(Box<Fetch>),
    /// What this crate doesn't know, or can't read.
    Unknown {
        /// The response, without its end.
        raw: Text,
        /// The limit that it broke, if it did.
        limit: Option<Limit>,
    },
}

/// How something went, or stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// How.
    pub kind: StatusKind,
    /// What programs are told of it.
    pub code: Option<Code>,
    /// What people are told of it.
    pub text: Text,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

/// How something went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "they are the RFC's")]
pub enum StatusKind {
    /// Well.
    Ok,
    /// It was not done.
    No,
    /// It was not understood.
    Bad,
    /// The server will close the connection.
    Bye,
    /// The user is logged in already.
    PreAuth,
}

/// Reads responses.
///
/// ```
/// use jackfield_imap::codec::{Response, ResponseParser};
///
/// let parser = ResponseParser::default();
/// assert_eq!(parser.parse("* 23 EXISTS".into()), Response::Exists(23));
/// let unknown = parser.parse("* XYZZY (1 2)".into());
/// assert!(matches!(unknown, Response::Unknown { .. }));
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct ResponseParser {
    limits: Limits,
    names: Names,
}

impl ResponseParser {
    /// With these limits.
    pub fn new(limits: Limits) -> Self {
        let names = Names::default();
        Self { limits, names }
    }

    /// With mailboxes' names in UTF-8, as after `ENABLE UTF8=ACCEPT`.
    #[must_use]
    pub fn with_utf8(mut self, is_utf8: bool) -> Self {
        self.names.is_utf8 = is_utf8;
        self
    }

    /// Reads a response, as the [`Framer`](super::Framer) gives it. What comes of it shares its
    /// memory.
    pub fn parse(&self, response: Bytes) -> Response {
        let counted = Counted::new(&response, self.limits);
        let parsed = self.response(Input::new(&counted));
        let limit = counted.limit();
        match parsed {
            Ok((_, response)) => response,
            Err(_) => Response::Unknown {
                raw: Text::from(response),
                limit,
            },
        }
    }

    fn response<'a>(&self, i: Input<'a>) -> Parsed<'a, Response> {
        if i.first() == Some(b'+') {
            let (i, ()) = spaces(i.after(1))?;
            return Ok((i.after(usize::MAX), Response::Continue(i.text())));
        }
        if let Ok((i, _)) = tag::<_, _, ()>("* ").parse(i) {
            let (i, ()) = spaces(i)?;
            let (rest, response) = match i.first() {
                Some(b'0'..=b'9') => Self::numbered(i)?,
                _ => self.untagged(i)?,
            };
            let (rest, ()) = spaces(rest)?;
            return if rest.is_empty() {
                Ok((rest, response))
            } else {
                Err(WRONG)
            };
        }
        let (rest, (tag, ())) = (atom, space).parse(i)?;
        // Some servers leave the asterisk out.
        if let Some(status) = status(i) {
            return Ok((rest, Response::Status(status)));
        }
        let status = status(rest).ok_or(WRONG)?;
        let tag = tag.text();
        Ok((rest, Response::Tagged { tag, status }))
    }

    fn numbered(i: Input<'_>) -> Parsed<'_, Response> {
        let (i, (number, ())) = (number, space).parse(i)?;
        let (i, name) = keyword(i)?;
        Ok(match name.as_bytes() {
            b"EXISTS" => (i, Response::Exists(number)),
            b"RECENT" => (i, Response::Recent(number)),
            b"EXPUNGE" => (i, Response::Expunge(number)),
            b"FETCH" => {
                let (i, ((), mut fetch)) = (spaces, Fetch::parse).parse(i)?;
                fetch.number = Some(number);
                (i, Response::Fetch(Box::new(fetch)))
            }
            b"UIDFETCH" => {
                let (i, ((), mut fetch)) = (spaces, Fetch::parse).parse(i)?;
                fetch.uid = Some(number);
                (i, Response::Fetch(Box::new(fetch)))
            }
            _ => return Err(WRONG),
        })
    }

    fn untagged<'a>(&self, i: Input<'a>) -> Parsed<'a, Response> {
        if let Some(status) = status(i) {
            return Ok((i.after(usize::MAX), Response::Status(status)));
        }
        let (i, (name, ())) = (keyword, spaces).parse(i)?;
        Ok(match name.as_bytes() {
            b"CAPABILITY" => (i.after(usize::MAX), Response::Capability(names(i))),
            b"ENABLED" => (i.after(usize::MAX), Response::Enabled(names(i))),
            b"ID" => made(id(i)?, Response::Id),
            b"LIST" | b"XLIST" => made(self.names.listed(i)?, Response::List),
            b"LSUB" => made(self.names.listed(i)?, Response::Lsub),
            b"STATUS" => made(self.names.status(i)?, Response::MailboxStatus),
            b"NAMESPACE" => made(namespaces(i)?, Response::Namespace),
            b"QUOTA" => made(quota(i)?, Response::Quota),
            b"QUOTAROOT" => made(quota_root(self.names, i)?, Response::QuotaRoot),
            b"ACL" => made(acl(self.names, i)?, Response::Acl),
            b"LISTRIGHTS" => made(list_rights(self.names, i)?, Response::ListRights),
            b"MYRIGHTS" => made(my_rights(self.names, i)?, Response::MyRights),
            b"METADATA" => made(metadata(self.names, i)?, Response::Metadata),
            b"FLAGS" => made(list(i, Flag::parse)?, Response::Flags),
            b"SEARCH" => made(found(i)?, |(numbers, modseq)| Response::Search {
                numbers,
                modseq,
            }),
            b"SORT" => made(found(i)?, |(numbers, modseq)| Response::Sort {
                numbers,
                modseq,
            }),
            b"ESEARCH" => made(esearch(i)?, Response::Esearch),
            b"THREAD" => made(threads(i)?, Response::Thread),
            b"VANISHED" => {
                let (i, earlier) = opt(tag_no_case("(EARLIER)")).parse(i)?;
                let (i, ((), uids)) = (spaces, set).parse(i)?;
                let earlier = earlier.is_some();
                (i, Response::Vanished { earlier, uids })
            }
            _ => return Err(WRONG),
        })
    }
}

fn made<T>((i, value): (Input<'_>, T), make: impl FnOnce(T) -> Response) -> (Input<'_>, Response) {
    (i, make(value))
}

fn names(i: Input<'_>) -> Capabilities {
    let names = i.bytes().split(|byte| *byte == b' ');
    Capabilities::of(names.filter(|name| !name.is_empty()))
}

/// A status response: its words go up to the end.
fn status(i: Input<'_>) -> Option<Status> {
    let length = i
        .bytes()
        .iter()
        .take_while(|byte| is_atom_char(**byte))
        .count();
    let (name, rest) = i.split(length);
    let kind = match super::token::Keyword::new(name.bytes()).as_bytes() {
        b"OK" => StatusKind::Ok,
        b"NO" => StatusKind::No,
        b"BAD" => StatusKind::Bad,
        b"BYE" => StatusKind::Bye,
        b"PREAUTH" => StatusKind::PreAuth,
        _ => return None,
    };
    let (rest, ()) = spaces(rest).ok()?;
    let (rest, code) = match Code::parse(rest) {
        Ok((rest, code)) => (spaces(rest).ok()?.0, Some(code)),
        Err(_) => (rest, None),
    };
    Some(Status {
        kind,
        code,
        text: rest.text(),
    })
}
