//! Limits of what a server may make this side keep.

use std::fmt;

/// How much a server may make this side keep of one response, whatever it sends.
///
/// Nothing is allocated because it was merely announced: memory grows with the bytes that come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The longest response in bytes, its literals not counted: a SEARCH lists every match in one
    /// line. A longer one ends the session. Default: 4 MiB, which is some 500,000 matches.
    pub max_line: usize,
    /// The largest literal that is kept with its response, in bytes. A larger one is told as
    /// [`Data::Absent`](super::Data::Absent), unless somebody reads it as it comes. Default: 1 MiB.
    pub max_literal: usize,
    /// How many bytes of literals are kept with one response, all together; those that come when it
    /// is reached are told as [`Data::Absent`](super::Data::Absent). Default: 4 MiB.
    pub max_literals: usize,
    /// How deep parentheses may be nested: a BODYSTRUCTURE or a THREAD that is deeper becomes
    /// unknown. Default: 64.
    pub max_depth: u8,
    /// How many numbers one response may list; an address, a flag, a part or any other item counts for
    /// sixteen. One with more becomes unknown. Default: 1,000,000.
    pub max_items: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_line: 4 << 20,
            max_literal: 1 << 20,
            max_literals: 4 << 20,
            max_depth: 64,
            max_items: 1_000_000,
        }
    }
}

/// A limit that a server did not keep to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Limit {
    /// [`Limits::max_line`].
    Line,
    /// [`Limits::max_depth`].
    Depth,
    /// [`Limits::max_items`].
    Items,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Line => "a line is longer than max_line",
            Self::Depth => "parentheses are nested deeper than max_depth",
            Self::Items => "a response lists more than max_items",
        })
    }
}
