//! SEARCH, SORT and THREAD: what is told of the messages that match, and in which order (RFC 9051,
//! section 6.4.4; RFC 5256; RFC 9394).

use crate::codec::encode::Encoder;
use crate::codec::query::Query;

/// What a search tells of the messages that match (ESEARCH, RFC 4731).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SearchReturn {
    /// The lowest, or, of those that are sorted, the first.
    Min,
    /// The highest, or the last.
    Max,
    /// How many there are.
    Count,
    /// All of them.
    All,
    /// Those in these places (PARTIAL, RFC 9394), not together with [`All`](Self::All).
    Partial(Window),
    /// Nothing; but the server keeps them, for [`Messages::Saved`](crate::codec::Messages::Saved)
    /// (SEARCHRES, RFC 5182).
    Save,
}

/// Places among the messages that match: the first is 1 (RFC 9394, section 3.1).
///
/// ```
/// use jackfield_imap::codec::Window;
///
/// let second_page = Window::of(51, 100).expect("places");
/// let newest = Window::of(1, 50).expect("places").from_the_end();
/// assert_eq!(second_page.to_string(), "51:100");
/// assert_eq!(newest.to_string(), "-1:-50");
/// assert_eq!(Window::of(0, 50), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    from: u32,
    to: u32,
    is_from_the_end: bool,
}

impl Window {
    /// From one place to another, both included, in whichever order; `None` where one is 0.
    pub fn of(from: u32, to: u32) -> Option<Self> {
        (from != 0 && to != 0).then(|| Self {
            from: from.min(to),
            to: from.max(to),
            is_from_the_end: false,
        })
    }

    /// The same places, counted from the last.
    #[must_use]
    pub fn from_the_end(self) -> Self {
        Self {
            is_from_the_end: true,
            ..self
        }
    }

    /// How many places they are.
    pub fn count(self) -> u64 {
        u64::from(self.to - self.from) + 1
    }

    pub(in crate::codec) fn write(self, out: &mut Encoder<'_>) {
        let sign: &[u8] = if self.is_from_the_end { b"-" } else { b"" };
        out.raw(sign);
        out.number(self.from.into());
        out.raw(b":");
        out.raw(sign);
        out.number(self.to.into());
    }
}

impl std::fmt::Display for Window {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut bytes = Vec::new();
        self.write(&mut Encoder::plain(&mut bytes));
        f.pad(&String::from_utf8_lossy(&bytes))
    }
}

/// What messages are sorted by (RFC 5256, section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SortBy {
    /// When they arrived.
    Arrival,
    /// The first address of `Cc`.
    Cc,
    /// When they were sent.
    Date,
    /// The first address of `From`.
    From,
    /// The name in `From`, or its address where it has none (SORT=DISPLAY, RFC 5957).
    DisplayFrom,
    /// How large they are.
    Size,
    /// The subject, without what answers and forwards put before it.
    Subject,
    /// The first address of `To`.
    To,
    /// The name in `To`, or its address where it has none (SORT=DISPLAY).
    DisplayTo,
}

impl SortBy {
    fn name(self) -> &'static [u8] {
        match self {
            Self::Arrival => b"ARRIVAL",
            Self::Cc => b"CC",
            Self::Date => b"DATE",
            Self::From => b"FROM",
            Self::DisplayFrom => b"DISPLAYFROM",
            Self::Size => b"SIZE",
            Self::Subject => b"SUBJECT",
            Self::To => b"TO",
            Self::DisplayTo => b"DISPLAYTO",
        }
    }
}

/// In which order messages are told: there is always something that they are sorted by.
///
/// ```
/// use jackfield_imap::codec::{SortBy, SortOrder};
///
/// let newest_first = SortOrder::by(SortBy::Date).reversed();
/// let by_subject = SortOrder::by(SortBy::Subject).then(SortBy::Date).reversed();
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SortOrder(Vec<(SortBy, bool)>);

impl SortOrder {
    /// By this, the lowest first.
    pub fn by(key: SortBy) -> Self {
        Self(vec![(key, false)])
    }

    /// Those that are equal so far by this as well, the lowest first.
    #[must_use]
    pub fn then(mut self, key: SortBy) -> Self {
        self.0.push((key, false));
        self
    }

    /// What was said last, the highest first.
    #[must_use]
    pub fn reversed(mut self) -> Self {
        if let Some((_, is_reversed)) = self.0.last_mut() {
            *is_reversed = true;
        }
        self
    }

    /// Whether names are sorted by (SORT=DISPLAY).
    pub(crate) fn has_display(&self) -> bool {
        let is_display = |key: &SortBy| matches!(key, SortBy::DisplayFrom | SortBy::DisplayTo);
        self.0.iter().any(|(key, _)| is_display(key))
    }
}

impl From<SortBy> for SortOrder {
    fn from(key: SortBy) -> Self {
        Self::by(key)
    }
}

/// How messages become conversations (RFC 5256, section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Threading {
    /// By what answers what (`References`).
    References,
    /// By subject alone, and by date within it.
    OrderedSubject,
}

impl Threading {
    /// The capability of servers that can do it.
    pub(crate) fn capability(self) -> &'static str {
        match self {
            Self::References => "THREAD=REFERENCES",
            Self::OrderedSubject => "THREAD=ORDEREDSUBJECT",
        }
    }
}

pub(super) fn search(out: &mut Encoder<'_>, query: &Query, uids: bool, what: &[SearchReturn]) {
    out.raw(if uids { b"UID SEARCH " } else { b"SEARCH " });
    returns(out, what);
    let dialect = out.dialect();
    if !query.is_ascii() && (!dialect.is_utf8 || dialect.names_charset) {
        out.raw(b"CHARSET UTF-8 ");
    }
    query.encode(out);
}

pub(super) fn sort(
    out: &mut Encoder<'_>,
    by: &SortOrder,
    query: &Query,
    uids: bool,
    what: &[SearchReturn],
) {
    out.raw(if uids { b"UID SORT " } else { b"SORT " });
    returns(out, what);
    out.list(&by.0, |out, (key, is_reversed)| {
        out.raw(if *is_reversed { b"REVERSE " } else { b"" });
        out.raw(key.name());
    });
    matching(out, query);
}

pub(super) fn thread(out: &mut Encoder<'_>, by: Threading, query: &Query, uids: bool) {
    out.raw(if uids { b"UID THREAD " } else { b"THREAD " });
    out.raw(match by {
        Threading::References => b"REFERENCES",
        Threading::OrderedSubject => b"ORDEREDSUBJECT",
    });
    matching(out, query);
}

/// The character set, which SORT and THREAD always name, and the query.
fn matching(out: &mut Encoder<'_>, query: &Query) {
    out.raw(if query.is_ascii() && !out.dialect().is_utf8 {
        b" US-ASCII "
    } else {
        b" UTF-8 "
    });
    query.encode(out);
}

fn returns(out: &mut Encoder<'_>, returns: &[SearchReturn]) {
    if returns.is_empty() {
        return;
    }
    out.raw(b"RETURN ");
    out.list(returns, |out, what| match what {
        SearchReturn::Min => out.raw(b"MIN"),
        SearchReturn::Max => out.raw(b"MAX"),
        SearchReturn::Count => out.raw(b"COUNT"),
        SearchReturn::All => out.raw(b"ALL"),
        SearchReturn::Save => out.raw(b"SAVE"),
        SearchReturn::Partial(window) => {
            out.raw(b"PARTIAL ");
            window.write(out);
        }
    });
    out.raw(b" ");
}
