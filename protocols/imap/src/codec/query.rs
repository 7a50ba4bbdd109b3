//! Queries: what messages are searched by (RFC 9051, section 6.4.4).

use super::date::Date;
use super::encode::Encoder;
use super::flag::Flag;
use super::set::{Messages, SequenceSet};

/// What messages are searched by: all that is said must be true of them. One that says nothing is
/// all messages.
///
/// ```
/// use jackfield_imap::codec::{Date, Query};
///
/// let new = Query::new().unseen().from("ada@example.org").since(Date::new(2026, 11, 1)?);
/// let both = Query::new().any([Query::new().subject("lunch"), Query::new().flagged()]);
/// # Ok::<(), jackfield_imap::codec::InvalidValue>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query(Vec<Key>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Key {
    /// A word alone.
    Word(&'static str),
    /// A word, and a string.
    Text(&'static str, String),
    Header(String, String),
    Keyword(&'static str, Flag),
    Date(&'static str, Date),
    Number(&'static str, u64),
    Messages(Messages),
    Not(Query),
    Or(Query, Query),
}

/// The keys that are words alone: with the flag, and without it.
fn flag_words(flag: &Flag) -> Option<(&'static str, &'static str)> {
    Some(match flag {
        Flag::Seen => ("SEEN", "UNSEEN"),
        Flag::Answered => ("ANSWERED", "UNANSWERED"),
        Flag::Flagged => ("FLAGGED", "UNFLAGGED"),
        Flag::Deleted => ("DELETED", "UNDELETED"),
        Flag::Draft => ("DRAFT", "UNDRAFT"),
        Flag::Recent => ("RECENT", "OLD"),
        Flag::Any | Flag::Other(_) => return None,
    })
}

macro_rules! texts {
    ($($(#[doc = $doc:literal])* $name:ident = $word:literal,)*) => {
        impl Query {
            $($(#[doc = $doc])*
            #[must_use]
            pub fn $name(self, text: impl Into<String>) -> Self {
                self.and(Key::Text($word, text.into()))
            })*
        }
    };
}

texts! {
    /// Whose `From` has this in it.
    from = "FROM",
    /// Whose `To` has this in it.
    to = "TO",
    /// Whose `Cc` has this in it.
    cc = "CC",
    /// Whose `Bcc` has this in it.
    bcc = "BCC",
    /// Whose `Subject` has this in it.
    subject = "SUBJECT",
    /// That have this in their text, the header left out.
    body = "BODY",
    /// That have this in their text or header.
    text = "TEXT",
    /// That Gmail's own search finds by this (X-GM-EXT-1).
    gmail = "X-GM-RAW",
}

impl Query {
    /// All messages.
    pub fn new() -> Self {
        Self::default()
    }

    /// That have this flag.
    #[must_use]
    pub fn with_flag(self, flag: Flag) -> Self {
        match flag_words(&flag) {
            Some((with, _)) => self.and(Key::Word(with)),
            None => self.and(Key::Keyword("KEYWORD", flag)),
        }
    }

    /// That don't have this flag.
    #[must_use]
    pub fn without_flag(self, flag: Flag) -> Self {
        match flag_words(&flag) {
            Some((_, without)) => self.and(Key::Word(without)),
            None => self.and(Key::Keyword("UNKEYWORD", flag)),
        }
    }

    /// That were not seen.
    #[must_use]
    pub fn unseen(self) -> Self {
        self.without_flag(Flag::Seen)
    }

    /// That are flagged.
    #[must_use]
    pub fn flagged(self) -> Self {
        self.with_flag(Flag::Flagged)
    }

    /// Whose header has a field of this name, with this in it. An empty text is in any.
    #[must_use]
    pub fn header(self, field: impl Into<String>, text: impl Into<String>) -> Self {
        self.and(Key::Header(field.into(), text.into()))
    }

    /// That arrived on this day, or later.
    #[must_use]
    pub fn since(self, day: Date) -> Self {
        self.and(Key::Date("SINCE", day))
    }

    /// That arrived before this day.
    #[must_use]
    pub fn before(self, day: Date) -> Self {
        self.and(Key::Date("BEFORE", day))
    }

    /// Whose `Date` is this day, or later.
    #[must_use]
    pub fn sent_since(self, day: Date) -> Self {
        self.and(Key::Date("SENTSINCE", day))
    }

    /// Whose `Date` is before this day.
    #[must_use]
    pub fn sent_before(self, day: Date) -> Self {
        self.and(Key::Date("SENTBEFORE", day))
    }

    /// Of more than so many bytes.
    #[must_use]
    pub fn larger(self, bytes: u32) -> Self {
        self.and(Key::Number("LARGER", bytes.into()))
    }

    /// Of less than so many bytes.
    #[must_use]
    pub fn smaller(self, bytes: u32) -> Self {
        self.and(Key::Number("SMALLER", bytes.into()))
    }

    /// That have changed since, this change included (CONDSTORE).
    #[must_use]
    pub fn changed_since(self, modseq: u64) -> Self {
        self.and(Key::Number("MODSEQ", modseq))
    }

    /// That are among these.
    #[must_use]
    pub fn among(self, messages: Messages) -> Self {
        self.and(Key::Messages(messages))
    }

    /// Of which this is not true.
    #[must_use]
    pub fn except(self, query: Self) -> Self {
        self.and(Key::Not(query))
    }

    /// Of which any of these is true; of none of which it is, where there are none.
    #[must_use]
    pub fn any(self, queries: impl IntoIterator<Item = Self>) -> Self {
        let mut queries = queries.into_iter();
        let Some(first) = queries.next() else {
            return self.except(Self::new());
        };
        let or = |one, other| Self(vec![Key::Or(one, other)]);
        let any = queries.fold(first, or);
        Self(self.0.into_iter().chain(any.0).collect())
    }

    fn and(mut self, key: Key) -> Self {
        self.0.push(key);
        self
    }

    /// Whether something in it is no ASCII, so that a character set has to be named.
    pub(super) fn is_ascii(&self) -> bool {
        !self.has(&|key| match key {
            Key::Text(_, text) => !text.is_ascii(),
            Key::Header(field, text) => !field.is_ascii() || !text.is_ascii(),
            _ => false,
        })
    }

    /// Whether it names messages by their numbers.
    pub(super) fn has_numbers(&self) -> bool {
        self.has(&|key| matches!(key, Key::Messages(Messages::Numbers(_))))
    }

    /// Whether it names messages that the server keeps.
    pub(crate) fn has_saved(&self) -> bool {
        self.has(&|key| matches!(key, Key::Messages(Messages::Saved)))
    }

    /// Whether it means what has changed.
    pub(crate) fn has_changes(&self) -> bool {
        self.has(&|key| matches!(key, Key::Number("MODSEQ", _)))
    }

    /// Whether it means what Gmail's own search finds.
    pub(crate) fn has_gmail(&self) -> bool {
        self.has(&|key| matches!(key, Key::Text("X-GM-RAW", _)))
    }

    /// Whether this is true of a key, however deep it stands.
    fn has(&self, is_it: &dyn Fn(&Key) -> bool) -> bool {
        self.0.iter().any(|key| match key {
            Key::Not(query) => query.has(is_it),
            Key::Or(one, other) => one.has(is_it) || other.has(is_it),
            key => is_it(key),
        })
    }

    /// Whether no set of messages in it is longer than so many bytes.
    pub(crate) fn fits(&self, bytes: usize) -> bool {
        self.0.iter().all(|key| match key {
            Key::Messages(messages) => messages.set().is_none_or(|set| set.fits(bytes)),
            Key::Not(query) => query.fits(bytes),
            Key::Or(one, other) => one.fits(bytes) && other.fits(bytes),
            _ => true,
        })
    }

    /// Several, each of which has no longer set of messages than so many bytes, and finds other messages;
    /// `None` where they can't do the same.
    pub(crate) fn split(self, bytes: usize) -> Option<Vec<Self>> {
        let is_long = |key: &Key| match key {
            Key::Messages(messages) => messages.set().is_some_and(|set| !set.fits(bytes)),
            _ => false,
        };
        let Some(at) = self.0.iter().position(is_long) else {
            return self.fits(bytes).then(|| vec![self]);
        };
        let Key::Messages(messages) = &self.0[at] else {
            return None;
        };
        let mut queries = Vec::new();
        for part in messages.set()?.split(bytes) {
            let mut query = self.clone();
            query.0[at] = Key::Messages(messages.with(part));
            queries.extend(query.split(bytes)?);
        }
        Some(queries)
    }

    pub(super) fn encode(&self, out: &mut Encoder<'_>) {
        if self.0.is_empty() {
            return out.raw(b"ALL");
        }
        for (index, key) in self.0.iter().enumerate() {
            if index > 0 {
                out.raw(b" ");
            }
            key.encode(out);
        }
    }

    /// As one key.
    fn encode_one(&self, out: &mut Encoder<'_>) {
        out.raw(b"(");
        self.encode(out);
        out.raw(b")");
    }
}

impl Key {
    fn encode(&self, out: &mut Encoder<'_>) {
        let set = |out: &mut Encoder<'_>, set: &SequenceSet| out.with(|bytes| set.encode(bytes));
        match self {
            Self::Word(word) => out.raw(word.as_bytes()),
            Self::Text(word, text) => {
                out.raw(word.as_bytes());
                out.raw(b" ");
                out.string(text.as_bytes());
            }
            Self::Header(field, text) => {
                out.raw(b"HEADER ");
                out.astring(field.as_bytes());
                out.raw(b" ");
                out.string(text.as_bytes());
            }
            Self::Keyword(word, flag) => {
                out.raw(word.as_bytes());
                out.raw(b" ");
                out.raw(flag.name());
            }
            Self::Date(word, day) => {
                out.raw(word.as_bytes());
                out.raw(b" ");
                out.with(|bytes| day.encode(bytes));
            }
            Self::Number(word, number) => {
                out.raw(word.as_bytes());
                out.raw(b" ");
                out.number(*number);
            }
            Self::Messages(Messages::Numbers(numbers)) => set(out, numbers),
            Self::Messages(Messages::Saved) => out.raw(b"$"),
            Self::Messages(Messages::Uids(uids)) => {
                out.raw(b"UID ");
                set(out, uids);
            }
            Self::Not(query) => {
                out.raw(b"NOT ");
                query.encode_one(out);
            }
            Self::Or(one, other) => {
                out.raw(b"OR ");
                one.encode_one(out);
                out.raw(b" ");
                other.encode_one(out);
            }
        }
    }
}
