//! The client's side of Finger as a state machine: queries wait, one connection each.

mod session;

use std::time::Duration;

use crate::codec::Query;
use crate::error::RequestError;

pub use session::Session;

/// How a session behaves.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// How long a query may wait for the end of its answer, connecting included. Default: 60 s.
    pub answer_timeout: Duration,
    /// How many queries may wait; one more is refused. Default: 16.
    pub query_capacity: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            answer_timeout: Duration::from_mins(1),
            query_capacity: 16,
        }
    }
}

/// A line of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Line {
    /// What it answers.
    pub query: Query,
    /// What it says, without its end and without control characters.
    pub text: String,
}

/// What a [`Session`] tells.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionEvent {
    /// A line of an answer.
    Line(Line),
    /// The oldest query has its outcome.
    Completed(Result<(), RequestError>),
    /// Leave was taken.
    Closed,
}
