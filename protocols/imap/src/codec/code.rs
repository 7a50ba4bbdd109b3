//! Response codes: what a status response says to programs (RFC 9051, section 7.1; RFC 5530).

use nom::Parser;
use nom::bytes::complete::{tag, take_till};
use nom::character::complete::char;
use nom::combinator::opt;

use super::capability::Capabilities;
use super::flag::Flag;
use super::input::{Input, Parsed, WRONG};
use super::metadata::MetadataCode;
use super::set::SequenceSet;
use super::text::Text;
use super::token::{Keyword, astring, list, number, number64, spaces};

/// What a status response says to programs, in brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Code {
    /// People must be shown the text.
    Alert,
    /// The character set can't be searched in; those that can.
    BadCharset(Vec<Text>),
    /// What the server can do.
    Capability(Capabilities),
    /// Flags that can be changed for good.
    PermanentFlags(Vec<Flag>),
    /// The mailbox can't be changed.
    ReadOnly,
    /// The mailbox can be changed.
    ReadWrite,
    /// The mailbox does not exist, but might be made.
    TryCreate,
    /// The UID that the next message will have, at the least.
    UidNext(u32),
    /// While this stays the same, so do the UIDs.
    UidValidity(u32),
    /// The number of the first message that was not seen.
    Unseen(u32),
    /// Messages were appended, with these UIDs (UIDPLUS, RFC 4315).
    AppendUid {
        /// The UIDVALIDITY of the mailbox that they are in.
        uid_validity: u32,
        /// Their UIDs.
        uids: SequenceSet,
    },
    /// Messages were copied or moved (UIDPLUS).
    CopyUid {
        /// The UIDVALIDITY of the mailbox that they went to.
        uid_validity: u32,
        /// Their UIDs where they were, in this order.
        from: SequenceSet,
        /// Their UIDs where they went, in the same order.
        to: SequenceSet,
    },
    /// The mailbox's UIDs don't last (UIDPLUS).
    UidNotSticky,
    /// The number of the mailbox's last change (CONDSTORE, RFC 7162).
    HighestModSeq(u64),
    /// The mailbox does not count its changes (CONDSTORE).
    NoModSeq,
    /// Messages that were changed in the meantime, and so not now (CONDSTORE).
    Modified(SequenceSet),
    /// The mailbox that was selected no longer is; what follows is of the next one.
    Closed,
    /// The mailbox's identity (OBJECTID, RFC 8474).
    MailboxId(Text),
    /// A command goes on (INPROGRESS, RFC 9585).
    InProgress {
        /// Which.
        tag: Option<Text>,
        /// How far it is.
        progress: Option<u64>,
        /// How far it has to go.
        goal: Option<u64>,
    },
    /// Not more than so many messages were worked on, from the highest downwards (MESSAGELIMIT,
    /// RFC 9738).
    MessageLimit {
        /// How many.
        limit: u32,
        /// The lowest UID that was.
        uid: Option<u32>,
    },
    /// Another server, which is told and not gone to (RFC 2221).
    Referral(Text),
    /// What stood in the way of metadata (RFC 5464).
    Metadata(MetadataCode),
    /// The server can't tell of some events that it was asked to tell of; those that it can (NOTIFY,
    /// RFC 5465).
    BadEvent(Vec<Text>),
    /// What a message was to be put together of, and is not there (CATENATE, RFC 4469).
    BadUrl(Text),
    /// A name alone, which says why something was not done: `AUTHENTICATIONFAILED`, `NOPERM`,
    /// `OVERQUOTA` and their like.
    Reason(Reason),
    /// One that this crate doesn't know, or can't read: what stood in the brackets.
    Unknown(Text),
}

macro_rules! reasons {
    ($($(#[doc = $doc:literal])* $name:ident = $text:literal,)*) => {
        /// Why something was not done (RFC 5530, and extensions).
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Reason {
            $($(#[doc = $doc])* $name,)*
        }

        const REASONS: &[(&str, Reason)] = &[$(($text, Reason::$name),)*];
    };
}

reasons! {
    /// It already exists.
    AlreadyExists = "ALREADYEXISTS",
    /// The credentials are wrong, or of no use here.
    AuthenticationFailed = "AUTHENTICATIONFAILED",
    /// The credentials are right, but not for that identity.
    AuthorizationFailed = "AUTHORIZATIONFAILED",
    /// It can't be done, now or later.
    Cannot = "CANNOT",
    /// The client did something that it should not have.
    ClientBug = "CLIENTBUG",
    /// Compression is on already.
    CompressionActive = "COMPRESSIONACTIVE",
    /// Whoever runs the server has to be asked.
    ContactAdmin = "CONTACTADMIN",
    /// The server has found its own data broken.
    Corruption = "CORRUPTION",
    /// The credentials no longer hold.
    Expired = "EXPIRED",
    /// Another client has expunged messages, of which this one was not told yet.
    ExpungeIssued = "EXPUNGEISSUED",
    /// The mailbox has mailboxes below it.
    HasChildren = "HASCHILDREN",
    /// It is in use.
    InUse = "INUSE",
    /// Some limit was reached.
    Limit = "LIMIT",
    /// There is no such thing.
    NonExistent = "NONEXISTENT",
    /// Not allowed.
    NoPerm = "NOPERM",
    /// The result of no search was saved.
    NotSaved = "NOTSAVED",
    /// More is watched than the server is willing to.
    NotificationOverflow = "NOTIFICATIONOVERFLOW",
    /// There is no more room for it.
    OverQuota = "OVERQUOTA",
    /// The server could not read it.
    Parse = "PARSE",
    /// Not without TLS.
    PrivacyRequired = "PRIVACYREQUIRED",
    /// The server has made a mistake.
    ServerBug = "SERVERBUG",
    /// It is too big.
    TooBig = "TOOBIG",
    /// Something that the server needs is not there at the moment.
    Unavailable = "UNAVAILABLE",
    /// Only UIDs may be used (UIDONLY).
    UidRequired = "UIDREQUIRED",
    /// The transfer encoding can't be undone.
    UnknownCte = "UNKNOWN-CTE",
}

impl Code {
    /// In brackets. Whatever goes wrong, the brackets are left behind.
    pub(super) fn parse(i: Input<'_>) -> Parsed<'_, Self> {
        let (i, _) = char('[').parse(i)?;
        if let Ok((rest, code)) = Self::known(i) {
            let (rest, ()) = spaces(rest)?;
            if let Ok((rest, _)) = tag::<_, _, ()>("]").parse(rest) {
                return Ok((rest, code));
            }
        }
        let (rest, text) = take_till(|byte| byte == b']').parse(i)?;
        let (rest, _) = char(']').parse(rest)?;
        Ok((rest, Self::Unknown(text.text())))
    }

    fn known(i: Input<'_>) -> Parsed<'_, Self> {
        let (i, name) = take_till(|byte| matches!(byte, b' ' | b']')).parse(i)?;
        let keyword = Keyword::new(name.bytes());
        let (i, ()) = spaces(i)?;
        Ok(match keyword.as_bytes() {
            b"ALERT" => (i, Self::Alert),
            b"BADCHARSET" if i.first() != Some(b'(') => (i, Self::BadCharset(Vec::new())),
            b"BADCHARSET" => both(list(i, astring)?, Self::BadCharset),
            b"CAPABILITY" => {
                let (i, names) = take_till(|byte| byte == b']').parse(i)?;
                let names = names.bytes().split(|byte| *byte == b' ');
                let names = names.filter(|name| !name.is_empty());
                (i, Self::Capability(Capabilities::of(names)))
            }
            b"PERMANENTFLAGS" => both(list(i, Flag::parse)?, Self::PermanentFlags),
            b"READ-ONLY" => (i, Self::ReadOnly),
            b"READ-WRITE" => (i, Self::ReadWrite),
            b"TRYCREATE" => (i, Self::TryCreate),
            b"UIDNEXT" => both(number(i)?, Self::UidNext),
            b"UIDVALIDITY" => both(number(i)?, Self::UidValidity),
            b"UNSEEN" => both(number(i)?, Self::Unseen),
            b"APPENDUID" => {
                let (i, (uid_validity, ())) = (number, spaces).parse(i)?;
                let (i, uids) = set(i)?;
                (i, Self::AppendUid { uid_validity, uids })
            }
            b"COPYUID" => {
                let (i, (uid_validity, ())) = (number, spaces).parse(i)?;
                let (i, (from, (), to)) = (set, spaces, set).parse(i)?;
                let code = Self::CopyUid {
                    uid_validity,
                    from,
                    to,
                };
                (i, code)
            }
            b"UIDNOTSTICKY" => (i, Self::UidNotSticky),
            b"HIGHESTMODSEQ" => both(number64(i)?, Self::HighestModSeq),
            b"NOMODSEQ" => (i, Self::NoModSeq),
            b"MODIFIED" => both(set(i)?, Self::Modified),
            b"CLOSED" => (i, Self::Closed),
            b"MAILBOXID" => {
                let (i, ids) = list(i, astring)?;
                (i, Self::MailboxId(ids.into_iter().next().ok_or(WRONG)?))
            }
            b"INPROGRESS" => Self::in_progress(i)?,
            b"MESSAGELIMIT" => {
                let (i, (limit, (), uid)) = (number, spaces, opt(number)).parse(i)?;
                (i, Self::MessageLimit { limit, uid })
            }
            b"METADATA" => {
                let (i, (name, ())) = (super::token::keyword, spaces).parse(i)?;
                let (i, code) = match name.as_bytes() {
                    b"LONGENTRIES" => {
                        let (i, size) = number64(i)?;
                        (i, MetadataCode::LongEntries(size))
                    }
                    b"MAXSIZE" => {
                        let (i, size) = number64(i)?;
                        (i, MetadataCode::MaxSize(size))
                    }
                    b"TOOMANY" => (i, MetadataCode::TooMany),
                    b"NOPRIVATE" => (i, MetadataCode::NoPrivate),
                    _ => return Err(WRONG),
                };
                (i, Self::Metadata(code))
            }
            b"BADEVENT" => both(list(i, astring)?, Self::BadEvent),
            b"BADURL" if matches!(i.first(), Some(b'"' | b'{')) => both(astring(i)?, Self::BadUrl),
            // Dovecot leaves out the quotes.
            b"BADURL" => {
                let (i, url) = take_till(|byte| byte == b']').parse(i)?;
                (i, Self::BadUrl(url.text()))
            }
            b"REFERRAL" => {
                let (i, url) = take_till(|byte| byte == b']').parse(i)?;
                (i, Self::Referral(url.text()))
            }
            other => {
                let is = |(name, _): &&(&str, Reason)| name.as_bytes() == other;
                let reason = REASONS.iter().find(is).ok_or(WRONG)?;
                (i, Self::Reason(reason.1))
            }
        })
    }

    fn in_progress(i: Input<'_>) -> Parsed<'_, Self> {
        if i.first() != Some(b'(') {
            let (tag, progress, goal) = (None, None, None);
            let code = Self::InProgress {
                tag,
                progress,
                goal,
            };
            return Ok((i, code));
        }
        let (i, items) = list(i, super::token::nstring)?;
        let mut items = items.into_iter();
        let tag = items.next().flatten();
        let mut number = || {
            let text = items.next().flatten()?;
            text.to_str().parse().ok()
        };
        let code = Self::InProgress {
            tag,
            progress: number(),
            goal: number(),
        };
        Ok((i, code))
    }
}

fn both<T>((i, value): (Input<'_>, T), make: impl FnOnce(T) -> Code) -> (Input<'_>, Code) {
    (i, make(value))
}

/// A set of numbers.
pub(super) fn set(i: Input<'_>) -> Parsed<'_, SequenceSet> {
    let (set, length) = SequenceSet::read(i.bytes()).ok_or(WRONG)?;
    Ok((i.after(length), set))
}
