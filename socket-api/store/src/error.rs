//! Errors of a store: how one fails.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

/// What a store's operations return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong with a store.
///
/// The text names the store and the step; [`source`](StdError::source) holds the cause where there
/// is one. Neither carries a key or a value.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: Cow<'static, str>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// What sort of thing went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Somebody else has the store open: another process, or another tab.
    InUse,
    /// What is stored was damaged, or is something else.
    Corrupt,
    /// What is stored has a format that this version doesn't know; or this platform has no such
    /// store.
    Unsupported,
    /// The system's rights or the browser's settings forbid it.
    Denied,
    /// There is no room: on the disk, in the browser's quota, or within the store's own capacity.
    Full,
    /// A key, a value or a batch is longer than it may be.
    TooLarge,
    /// The store failed before, or is closed.
    Closed,
    /// Anything else: mostly a disk's failure.
    Other,
}

impl Error {
    /// An error of this kind; `message` says what was being done and what was wrong with it, in
    /// lower case, without a full stop. For those who write a store of their own.
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            source: None,
        }))
    }

    /// The same error with its cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// What sort of thing went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Error");
        debug.field("kind", &self.0.kind);
        debug.field("message", &self.0.message);
        if let Some(source) = &self.0.source {
            debug.field("source", source);
        }
        debug.finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}
