//! Queries: the one line that a client sends (RFC 1288, section 2.3).

use std::fmt;
use std::str::FromStr;

/// The longest query, in bytes.
pub const MAX_QUERY: usize = 512;

/// What is asked (RFC 1288, section 2.3): a user, one elsewhere (`ada@example.org`), or nothing, for
/// everyone who is there. It can't hold the end of its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query(String);

impl Query {
    /// Appends its line.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
}

impl FromStr for Query {
    type Err = InvalidQuery;

    fn from_str(text: &str) -> Result<Self, InvalidQuery> {
        let is_printable = |byte| (b' '..=b'~').contains(&byte);
        if text.len() <= MAX_QUERY && text.bytes().all(is_printable) {
            return Ok(Self(text.to_owned()));
        }
        Err(InvalidQuery(()))
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What was to be a query is too long, or is not printable ASCII.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidQuery(());

impl fmt::Display for InvalidQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a query is printable ASCII of up to {MAX_QUERY} bytes")
    }
}

impl std::error::Error for InvalidQuery {}
