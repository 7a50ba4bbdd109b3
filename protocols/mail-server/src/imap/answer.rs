//! Answers: how a request ends.

use crate::store::StoreError;

/// How a request ends.
pub(super) struct Answer {
    kind: &'static str,
    text: String,
}

impl Answer {
    /// It is done.
    pub(super) fn ok(text: &str) -> Self {
        Self::new("OK", text)
    }

    /// It can't be done.
    pub(super) fn no(text: &str) -> Self {
        Self::new("NO", text)
    }

    /// It can't be asked for.
    pub(super) fn bad(text: &str) -> Self {
        Self::new("BAD", text)
    }

    fn new(kind: &'static str, text: &str) -> Self {
        let text = text.to_owned();
        Self { kind, text }
    }

    pub(super) fn kind(&self) -> &'static str {
        self.kind
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// What comes of the store's word; `missing` is the code where there is no such mailbox.
    pub(super) fn of(result: Result<(), StoreError>, done: &str, missing: &str) -> Self {
        match result {
            Ok(()) => Self::ok(done),
            Err(error) => Self::refusal(error, missing),
        }
    }

    /// Why the store refuses.
    pub(super) fn refusal(error: StoreError, missing: &str) -> Self {
        let code = match error {
            StoreError::AlreadyExists => "[ALREADYEXISTS]",
            StoreError::NoSuchMailbox | StoreError::NoSuchUser => missing,
            StoreError::InvalidName | StoreError::InvalidMessage | StoreError::InvalidUser => {
                "[CANNOT]"
            }
            StoreError::HasChildren => "[HASCHILDREN]",
            StoreError::TooLarge => "[TOOBIG]",
            StoreError::Full => "[OVERQUOTA]",
        };
        Self::no(&format!("{code} {error}"))
    }
}
