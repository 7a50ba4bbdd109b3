//! Bytes ↔ types: a query is one line, and an answer is lines up to the end of the stream.

mod answer;
mod query;

pub use answer::{Lines, MAX_LINE};
pub use query::{InvalidQuery, MAX_QUERY, Query};
