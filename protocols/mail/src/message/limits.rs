//! Limits: how much of a message is looked at.

use crate::Charsets;

/// What a message may make us keep. What exceeds it is left out, and
/// [`is_truncated`](super::Plan::is_truncated) says so; a message is never refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// How deep multiparts stand in each other. Those that are deeper are left out. Default: 32.
    pub max_depth: usize,
    /// How many parts there are, multiparts among them. Default: 1,000.
    pub max_parts: usize,
    /// How many fields a header has. Default: 1,000.
    pub max_fields: usize,
    /// How many bytes of a field are read. Default: 64 kB, with which some thousand addresses fit.
    pub max_field: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_depth: 32,
            max_parts: 1000,
            max_fields: 1000,
            max_field: 64 * 1024,
        }
    }
}

/// How a message is read.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ReadOptions {
    /// How much of it is looked at.
    pub limits: Limits,
    /// Who reads texts that are not UTF-8.
    pub charsets: Charsets,
}
