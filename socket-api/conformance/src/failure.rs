//! Failures of a case, and why.

use std::fmt;

use crate::Case;

/// A broken promise: which, and what was seen instead.
#[derive(Clone, Debug)]
pub struct Failure {
    case: Option<(&'static str, &'static str)>,
    text: String,
}

impl Failure {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self {
            case: None,
            text: text.into(),
        }
    }

    pub(crate) fn of(mut self, case: &Case) -> Self {
        self.case = Some((case.name(), case.promise()));
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.case {
            Some((name, promise)) => write!(f, "{name} ({promise}): {}", self.text),
            None => f.write_str(&self.text),
        }
    }
}

impl std::error::Error for Failure {}

/// Says at which step something failed.
pub(crate) trait Step<T> {
    fn step(self, what: &str) -> Result<T, Failure>;
}

impl<T, E: fmt::Debug + fmt::Display> Step<T> for Result<T, E> {
    fn step(self, what: &str) -> Result<T, Failure> {
        // Both: the text says what a user would read, the other one shows kind and cause.
        self.map_err(|error| Failure::new(format!("{what}: {error} [{error:?}]")))
    }
}

/// Fails the case unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($text:tt)+) => {
        if !$condition {
            return Err($crate::Failure::new(format!($($text)+)));
        }
    };
}

pub(crate) use ensure;
