//! Requests: what a client asks for, as a server reads it (RFC 9051, section 6).

mod mailboxes;
mod messages;

use std::fmt;

use bytes::Bytes;

use super::super::command::{FlagChange, Secret, StatusItem};
use super::super::data;
use super::super::date::DateTime;
use super::super::flag::Flag;
use super::super::input::{Counted, Input, Parsed, WRONG};
use super::super::limits::Limits;
use super::super::mailbox::MailboxName;
use super::super::section::Section;
use super::super::set::{Messages, SequenceSet};
use super::super::text::Text;
use super::super::token::{Keyword, astring, atom, nil, run, space};
use super::search::{Found, Search};
use mailboxes::{append, listing, select, status_items};
use messages::{copy, fetch, search, store};

/// A request, and the tag by which it is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Request {
    /// The tag.
    pub tag: Text,
    /// What is asked for.
    pub asked: Asked,
}

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Asked {
    /// CAPABILITY.
    Capability,
    /// NOOP, or CHECK.
    Noop,
    /// LOGOUT.
    Logout,
    /// ID, with what the client says of itself.
    Id(Vec<(Text, Option<Text>)>),
    /// ENABLE, with the extensions' names as they came.
    Enable(Vec<Text>),
    /// LOGIN.
    Login {
        /// The user.
        user: Text,
        /// The password.
        password: Secret,
    },
    /// AUTHENTICATE.
    Authenticate {
        /// The mechanism's name.
        mechanism: Text,
        /// The first answer in base64, where it came at once (RFC 4959); empty for `=`.
        initial: Option<Secret>,
    },
    /// SELECT or EXAMINE.
    Select {
        /// Which mailbox.
        mailbox: MailboxName,
        /// EXAMINE.
        read_only: bool,
        /// Whether changes are to be counted (CONDSTORE).
        condstore: bool,
        /// What the client knows already (QRESYNC).
        resync: Option<Resync>,
    },
    /// CREATE.
    Create(MailboxName),
    /// DELETE.
    Delete(MailboxName),
    /// RENAME.
    Rename(MailboxName, MailboxName),
    /// SUBSCRIBE.
    Subscribe(MailboxName),
    /// UNSUBSCRIBE.
    Unsubscribe(MailboxName),
    /// LIST or LSUB.
    List(ListAsked),
    /// STATUS; items that are not known are left out.
    Status(MailboxName, Vec<StatusItem>),
    /// NAMESPACE.
    Namespace,
    /// APPEND.
    Append {
        /// To which mailbox.
        mailbox: MailboxName,
        /// The flags that it gets.
        flags: Vec<Flag>,
        /// When it arrived, if not now.
        date: Option<DateTime>,
        /// The message.
        message: Bytes,
    },
    /// IDLE.
    Idle,
    /// CLOSE.
    Close,
    /// UNSELECT.
    Unselect,
    /// EXPUNGE, or UID EXPUNGE with its UIDs.
    Expunge(Option<SequenceSet>),
    /// SEARCH.
    Search {
        /// Whether UIDs are to be told.
        uids: bool,
        /// What is to be told in an ESEARCH; `None` for a SEARCH.
        returns: Option<Found>,
        /// The character set, where one is named.
        charset: Option<Text>,
        /// What by.
        search: Search,
    },
    /// FETCH.
    Fetch {
        /// Which messages.
        messages: Messages,
        /// What of them.
        items: Vec<Wanted>,
        /// Only what has changed since (CONDSTORE).
        changed_since: Option<u64>,
        /// Whether those that are gone are told as well (QRESYNC).
        vanished: bool,
    },
    /// STORE.
    Store {
        /// Of which messages.
        messages: Messages,
        /// How.
        change: FlagChange,
        /// Whether the new flags need not be told.
        silent: bool,
        /// Only if they have not changed since (CONDSTORE).
        unchanged_since: Option<u64>,
    },
    /// COPY.
    Copy(Messages, MailboxName),
    /// MOVE.
    Move(Messages, MailboxName),
}

/// What a client knows of the mailbox that it opens (RFC 7162, section 3.2.5).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Resync {
    /// The UIDVALIDITY that it knows.
    pub uid_validity: u32,
    /// The last change that it knows.
    pub modseq: u64,
    /// The UIDs that it knows; `None` for all.
    pub known: Option<SequenceSet>,
}

/// Which mailboxes are to be listed, and what of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
#[expect(clippy::struct_excessive_bools, reason = "the grammar's words")]
pub struct ListAsked {
    /// LSUB.
    pub is_lsub: bool,
    /// What the patterns begin below.
    pub reference: String,
    /// The names' patterns, in Unicode.
    pub patterns: Vec<String>,
    /// Only those that are subscribed to.
    pub subscribed: bool,
    /// Only those that are for something (SPECIAL-USE).
    pub special_use: bool,
    /// Whether the answer may have children's data and states: RETURN, or a selection, was there.
    pub is_extended: bool,
    /// The state that is told of each (LIST-STATUS).
    pub status: Vec<StatusItem>,
}

/// What FETCH is to tell of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wanted {
    /// UID.
    Uid,
    /// FLAGS.
    Flags,
    /// INTERNALDATE.
    InternalDate,
    /// RFC822.SIZE.
    Size,
    /// ENVELOPE.
    Envelope,
    /// BODYSTRUCTURE, or BODY, which has no extensions.
    Structure {
        /// BODYSTRUCTURE.
        extended: bool,
    },
    /// MODSEQ.
    ModSeq,
    /// A part of the text.
    Body {
        /// Under which of the old names, `RFC822.TEXT` and its like; `None` for `BODY[…]`.
        name: Option<&'static str>,
        /// Which part.
        section: Section,
        /// From which byte on, and how many at the most.
        partial: Option<(u32, u32)>,
        /// Whether the message counts as seen then.
        marks_seen: bool,
    },
}

/// A request that can't be read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BadRequest {
    /// Its tag, where it has one.
    pub tag: Option<Text>,
    /// Whether the command itself is not known.
    pub is_unknown: bool,
}

impl fmt::Display for BadRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self { tag: None, .. } => "a request begins with a tag",
            Self {
                is_unknown: true, ..
            } => "the command is not known",
            _ => "the arguments can't be read",
        })
    }
}

impl std::error::Error for BadRequest {}

impl Request {
    /// Reads a request, as a [`RequestFramer`](super::RequestFramer) gives it. Of the limits those of
    /// depth and items count.
    ///
    /// # Errors
    /// Where it can't be read.
    pub fn read(bytes: &Bytes, limits: Limits) -> Result<Self, BadRequest> {
        let bad = |tag, is_unknown| BadRequest { tag, is_unknown };
        let counted = Counted::new(bytes, limits);
        let input = Input::new(&counted);
        let is_tag = |byte: u8| {
            byte > b' '
                && byte < 0x7F
                && !matches!(byte, b'(' | b')' | b'{' | b'%' | b'*' | b'"' | b'\\' | b'+')
        };
        let (i, tag) = run(input, is_tag).map_err(|_| bad(None, false))?;
        let tag = tag.text();
        let named = space(i).and_then(|(i, ())| name(i));
        let (mut i, mut command) = named.map_err(|_| bad(Some(tag.clone()), true))?;
        let uids = command.as_bytes() == b"UID";
        if uids {
            let named = space(i).and_then(|(i, ())| name(i));
            (i, command) = named.map_err(|_| bad(Some(tag.clone()), true))?;
        }
        let asked = if uids {
            with_uids(i, command.as_bytes())
        } else {
            plain(i, command.as_bytes())
        };
        let asked = asked.ok_or_else(|| bad(Some(tag.clone()), true))?;
        match asked {
            Ok((rest, asked)) if rest.is_empty() => Ok(Self { tag, asked }),
            _ => Err(bad(Some(tag), false)),
        }
    }
}

/// A command's name.
fn name(i: Input<'_>) -> Parsed<'_, Keyword> {
    let (i, name) = run(i, |byte| byte.is_ascii_alphabetic())?;
    Ok((i, Keyword::new(name.bytes())))
}

/// What stands behind a command's name; `None` where there is no such command.
fn plain<'a>(i: Input<'a>, command: &[u8]) -> Option<Parsed<'a, Asked>> {
    let alone = |asked| Ok((i, asked));
    Some(match command {
        b"CAPABILITY" => alone(Asked::Capability),
        b"NOOP" | b"CHECK" => alone(Asked::Noop),
        b"LOGOUT" => alone(Asked::Logout),
        b"NAMESPACE" => alone(Asked::Namespace),
        b"IDLE" => alone(Asked::Idle),
        b"CLOSE" => alone(Asked::Close),
        b"UNSELECT" => alone(Asked::Unselect),
        b"EXPUNGE" => alone(Asked::Expunge(None)),
        b"ID" => space(i).and_then(|(i, ())| {
            if let Ok((i, ())) = nil(i) {
                return Ok((i, Asked::Id(Vec::new())));
            }
            into(data::id(i)?, Asked::Id)
        }),
        b"ENABLE" => enable(i),
        b"LOGIN" => login(i),
        b"AUTHENTICATE" => authenticate(i),
        b"SELECT" => select(i, false),
        b"EXAMINE" => select(i, true),
        b"CREATE" => mailbox(i).and_then(|it| into(it, Asked::Create)),
        b"DELETE" => mailbox(i).and_then(|it| into(it, Asked::Delete)),
        b"SUBSCRIBE" => mailbox(i).and_then(|it| into(it, Asked::Subscribe)),
        b"UNSUBSCRIBE" => mailbox(i).and_then(|it| into(it, Asked::Unsubscribe)),
        b"RENAME" => mailbox(i).and_then(|(i, from)| {
            let (i, to) = mailbox(i)?;
            Ok((i, Asked::Rename(from, to)))
        }),
        b"LIST" => listing(i, false),
        b"LSUB" => listing(i, true),
        b"STATUS" => mailbox(i).and_then(|(i, mailbox)| {
            let (i, items) = space(i).and_then(|(i, ())| status_items(i))?;
            Ok((i, Asked::Status(mailbox, items)))
        }),
        b"APPEND" => append(i),
        b"SEARCH" => search(i, false),
        b"FETCH" => fetch(i, Messages::Numbers),
        b"STORE" => store(i, Messages::Numbers),
        b"COPY" => copy(i, Messages::Numbers, Asked::Copy),
        b"MOVE" => copy(i, Messages::Numbers, Asked::Move),
        _ => return None,
    })
}

fn with_uids<'a>(i: Input<'a>, command: &[u8]) -> Option<Parsed<'a, Asked>> {
    Some(match command {
        b"SEARCH" => search(i, true),
        b"FETCH" => fetch(i, Messages::Uids),
        b"STORE" => store(i, Messages::Uids),
        b"COPY" => copy(i, Messages::Uids, Asked::Copy),
        b"MOVE" => copy(i, Messages::Uids, Asked::Move),
        b"EXPUNGE" => set(i).and_then(|it| into(it, |uids| Asked::Expunge(Some(uids)))),
        _ => return None,
    })
}

#[expect(clippy::unnecessary_wraps, reason = "a parser like the others")]
fn into<T, U>((i, found): (Input<'_>, T), make: impl FnOnce(T) -> U) -> Parsed<'_, U> {
    Ok((i, make(found)))
}

/// A space, and a mailbox's name.
fn mailbox(i: Input<'_>) -> Parsed<'_, MailboxName> {
    let (i, ()) = space(i)?;
    let (i, name) = astring(i)?;
    Ok((i, MailboxName::read(&name.into_bytes(), false)))
}

/// A space, and a set.
fn set(i: Input<'_>) -> Parsed<'_, SequenceSet> {
    let (i, ()) = space(i)?;
    bare_set(i)
}

pub(super) fn bare_set(i: Input<'_>) -> Parsed<'_, SequenceSet> {
    let (set, length) = SequenceSet::read(i.bytes()).ok_or(WRONG)?;
    for _ in 0..set.ranges() {
        i.count_number()?;
    }
    Ok((i.after(length), set))
}

fn secret(text: &Text) -> Result<Secret, nom::Err<()>> {
    let text = std::str::from_utf8(text.as_bytes()).map_err(|_| WRONG)?;
    Ok(Secret::from(text))
}

fn enable(i: Input<'_>) -> Parsed<'_, Asked> {
    let (mut i, mut names) = (i, Vec::new());
    while let Ok((rest, ())) = space(i) {
        i.count()?;
        let (rest, name) = atom(rest)?;
        names.push(name.text());
        i = rest;
    }
    if names.is_empty() {
        return Err(WRONG);
    }
    Ok((i, Asked::Enable(names)))
}

fn login(i: Input<'_>) -> Parsed<'_, Asked> {
    let (i, user) = space(i).and_then(|(i, ())| astring(i))?;
    let (i, password) = space(i).and_then(|(i, ())| astring(i))?;
    let password = secret(&password)?;
    Ok((i, Asked::Login { user, password }))
}

fn authenticate(i: Input<'_>) -> Parsed<'_, Asked> {
    let (i, mechanism) = space(i).and_then(|(i, ())| atom(i))?;
    let mechanism = mechanism.text();
    let Ok((i, ())) = space(i) else {
        let initial = None;
        return Ok((i, Asked::Authenticate { mechanism, initial }));
    };
    let (i, initial) = run(i, |byte| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=')
    })?;
    let initial = match initial.text() {
        text if text == "=" => Text::default(),
        text => text,
    };
    let initial = Some(secret(&initial)?);
    Ok((i, Asked::Authenticate { mechanism, initial }))
}

#[cfg(test)]
mod tests {
    use super::super::{SearchIn, Writer};
    use super::*;

    fn read(text: &str) -> Result<Request, BadRequest> {
        let limits = Limits {
            max_depth: 8,
            ..Limits::default()
        };
        Request::read(&Bytes::copy_from_slice(text.as_bytes()), limits)
    }

    fn asked(text: &str) -> Asked {
        let request = read(&format!("a.1 {text}")).expect(text);
        assert_eq!(request.tag, "a.1");
        request.asked
    }

    #[test]
    fn what_other_clients_say_is_read() {
        let all = [
            "UID FETCH 1:* (FLAGS)",
            "fetch 1,3:5 body.peek[header.fields (\"from\" to)]<0.100>",
            "FETCH 2 (UID RFC822.SIZE BODY.PEEK[1.2.MIME] BODY[TEXT]) (CHANGEDSINCE 5 VANISHED)",
            "FETCH 1 FULL",
            "FETCH 1 RFC822",
            "LIST \"\" *",
            "LIST (SUBSCRIBED) \"\" (\"INBOX\" \"a%\") RETURN (SPECIAL-USE STATUS (MESSAGES))",
            "LSUB \"\" \"*\"",
            "SELECT \"Sent Items\" (QRESYNC (7 20 1:5 (1,3 2,9)))",
            "SELECT INBOX (CONDSTORE)",
            "STORE 1:2 (UNCHANGEDSINCE 12) +FLAGS.SILENT (\\Seen $Junk)",
            "STORE 1 FLAGS \\Seen \\Answered",
            "SEARCH RETURN (MIN COUNT) CHARSET utf-8 OR (FROM a SINCE 1-Feb-2020) NOT 4:*",
            "UID SEARCH ALL",
            "SEARCH UID 3 NOT NOT KEYWORD $Junk MODSEQ \"/flags/\\\\Seen\" all 9",
            "APPEND INBOX (\\Seen) \" 1-Feb-2020 10:00:00 +0100\" {3}\r\nabc",
            "AUTHENTICATE PLAIN",
            "AUTHENTICATE PLAIN =",
            "LOGIN {3}\r\nada \"se\\\"cret\"",
            "ID NIL",
            "ID (\"name\" \"x\" \"version\" NIL)",
            "ENABLE CONDSTORE QRESYNC",
            "UID EXPUNGE 4",
            "UID MOVE 1:3 Trash",
            "RENAME a b",
        ];
        for text in all {
            asked(text);
        }
        let password = "AUTHENTICATE PLAIN AGFkYQBzZWNyZXQ=";
        assert!(!format!("{:?}", asked(password)).contains("AGFk"));
        assert_eq!(
            asked("SEARCH from x"),
            Asked::Search {
                uids: false,
                returns: None,
                charset: None,
                search: Search::All(vec![Search::Text(
                    SearchIn::Field(Text::from("From")),
                    Text::from("x")
                )]),
            }
        );
    }

    #[test]
    fn what_is_wrong_has_its_tag() {
        for (text, tag, is_unknown) in [
            ("", None, false),
            ("+ NOOP", None, false),
            ("a", Some("a"), true),
            ("a XYZZY", Some("a"), true),
            ("a UID NOOP", Some("a"), true),
            ("a NOOP x", Some("a"), false),
            ("a FETCH 0 FLAGS", Some("a"), false),
            ("a FETCH 1 ()", Some("a"), false),
            ("a LOGIN ada", Some("a"), false),
            ("a SEARCH", Some("a"), false),
            (
                "a SEARCH NOT NOT NOT NOT NOT NOT NOT NOT NOT ALL",
                Some("a"),
                false,
            ),
            ("a SEARCH SINCE 30-Feb-2020", Some("a"), false),
            ("a APPEND INBOX {9}\r\nabc", Some("a"), false),
        ] {
            let bad = read(text).expect_err(text);
            assert_eq!(bad.tag, tag.map(Text::from), "{text}");
            assert_eq!(bad.is_unknown, is_unknown, "{text}");
        }
    }

    #[test]
    fn strings_are_written_so_that_they_stay_strings() {
        let mut bytes = Vec::new();
        Writer::new(&mut bytes).string("a\0ü\r\n".as_bytes());
        assert_eq!(bytes, "{5}\r\naü\r\n".as_bytes());
    }
}
