//! Targets: what of a URI goes into a request, a path and a query (RFC 7252, section 6.4).

use std::fmt;
use std::str::FromStr;

use super::percent::{decode, encode, is_argument_byte, is_query_byte, is_segment_byte};
use super::uri::InvalidUri;

/// The longest path segment or query argument, in bytes, once decoded (RFC 7252, section 5.10).
const MAX_PART: usize = 255;
/// How many path segments and query arguments there may be together.
const MAX_PARTS: usize = 128;
/// The longest URI that is read, in bytes.
const MAX_URI: usize = 8 * 1024;

/// A resource on a server: a path and a query, decoded. The empty path and `/` are the same.
///
/// What it holds can be sent: each part fits into an option, and none is `.` or `..`.
///
/// ```
/// use jackfield_coap::codec::Target;
///
/// let target: Target = "/rooms/a%2Fb?unit=C".parse()?;
/// assert_eq!(target.path(), ["rooms", "a/b"]);
///
/// // Values of a program's own need no escapes.
/// let same = Target::default().with_segment("rooms")?.with_segment("a/b")?.with_query("unit=C")?;
/// assert_eq!(target, same);
/// # Ok::<(), jackfield_coap::codec::InvalidUri>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Target {
    pub(super) path: Vec<String>,
    query: Vec<String>,
}

impl Target {
    /// The segments of the path: the values of `Uri-Path`.
    pub fn path(&self) -> &[String] {
        &self.path
    }

    /// The arguments of the query: the values of `Uri-Query`.
    pub fn query(&self) -> &[String] {
        &self.query
    }

    /// The same, with one more segment of the path; it may hold any character.
    ///
    /// # Errors
    /// For `.` and `..`, and where it or the whole is too long.
    pub fn with_segment(mut self, segment: impl Into<String>) -> Result<Self, InvalidUri> {
        let segment = segment.into();
        if matches!(segment.as_str(), "." | "..") {
            return Err(InvalidUri::new("a segment of the path is a dot segment"));
        }
        self.check_room(&segment)?;
        self.path.push(segment);
        Ok(self)
    }

    /// The same, with one more argument of the query, such as `unit=C`; it may hold any character.
    ///
    /// # Errors
    /// Where it or the whole is too long.
    pub fn with_query(mut self, argument: impl Into<String>) -> Result<Self, InvalidUri> {
        let argument = argument.into();
        self.check_room(&argument)?;
        self.query.push(argument);
        Ok(self)
    }

    fn check_room(&self, part: &str) -> Result<(), InvalidUri> {
        if part.len() > MAX_PART {
            return Err(InvalidUri::new(
                "a part of the path or query is longer than 255 bytes",
            ));
        }
        if self.path.len() + self.query.len() == MAX_PARTS {
            return Err(InvalidUri::new(
                "the path and query have more than 128 parts",
            ));
        }
        Ok(())
    }

    pub(super) fn parse(path: &str, query: Option<&str>) -> Result<Self, InvalidUri> {
        let mut target = Self::default();
        let mut segments: Vec<&str> = Vec::new();
        let mut given = path.split('/');
        // What stands before the first slash is empty.
        given.next();
        let mut given = given.peekable();
        while let Some(segment) = given.next() {
            let last = given.peek().is_none();
            match segment {
                "." if last => segments.push(""),
                "." => {}
                ".." => {
                    segments.pop();
                    if last {
                        segments.push("");
                    }
                }
                _ => segments.push(segment),
            }
        }
        // A path of a single slash has no segments (RFC 7252, section 6.4, step 8).
        if segments != [""] {
            for segment in segments {
                target = target.with_segment(decode(segment, is_segment_byte)?)?;
            }
        }
        if let Some(query) = query {
            for argument in query.split('&') {
                target = target.with_query(decode(argument, is_query_byte)?)?;
            }
        }
        Ok(target)
    }
}

/// As it stands in a URI: `/rooms/1?unit=C`.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        for segment in &self.path {
            text.push('/');
            encode(&mut text, segment, is_segment_byte);
        }
        if self.path.is_empty() {
            text.push('/');
        }
        for (index, argument) in self.query.iter().enumerate() {
            text.push(if index == 0 { '?' } else { '&' });
            encode(&mut text, argument, is_argument_byte);
        }
        f.write_str(&text)
    }
}

impl FromStr for Target {
    type Err = InvalidUri;

    fn from_str(text: &str) -> Result<Self, InvalidUri> {
        check_length(text)?;
        if !text.starts_with('/') && !text.is_empty() {
            return Err(InvalidUri::new("the path doesn't begin with a slash"));
        }
        let (path, query) = split_query(text)?;
        Self::parse(path, query)
    }
}

/// What is given where a [`Target`] is asked for: one, or text such as `/rooms/1?unit=C`.
pub trait IntoTarget {
    /// The target.
    ///
    /// # Errors
    /// Where the text is not a target.
    fn into_target(self) -> Result<Target, InvalidUri>;
}

impl IntoTarget for Target {
    fn into_target(self) -> Result<Target, InvalidUri> {
        Ok(self)
    }
}

impl IntoTarget for &Target {
    fn into_target(self) -> Result<Target, InvalidUri> {
        Ok(self.clone())
    }
}

impl IntoTarget for &str {
    fn into_target(self) -> Result<Target, InvalidUri> {
        self.parse()
    }
}

impl IntoTarget for &String {
    fn into_target(self) -> Result<Target, InvalidUri> {
        self.parse()
    }
}

pub(super) fn check_length(text: &str) -> Result<(), InvalidUri> {
    if text.len() > MAX_URI {
        return Err(InvalidUri::new("it is longer than 8 KiB"));
    }
    Ok(())
}

pub(super) fn split_query(text: &str) -> Result<(&str, Option<&str>), InvalidUri> {
    if text.contains('#') {
        // RFC 7252, section 6.4, step 4.
        return Err(InvalidUri::new("it has a fragment"));
    }
    Ok(match text.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (text, None),
    })
}
