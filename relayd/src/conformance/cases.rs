//! The suite's cases, by the specification's sections.

mod connection;
mod datagrams;
mod frames;
mod handshake;
mod identifiers;
mod opening;
mod streams;
mod tokens;

use super::Case;

/// One case: a function of this module, its section, and the rule that it checks.
macro_rules! case {
    ($function:ident, $section:literal, $rule:literal) => {
        $crate::conformance::Case {
            name: stringify!($function),
            section: $section,
            rule: $rule,
            run: |suite| Box::pin($function(suite)),
        }
    };
}
use case;

pub(super) fn all() -> impl Iterator<Item = &'static Case> {
    [
        handshake::CASES,
        frames::CASES,
        connection::CASES,
        tokens::CASES,
        identifiers::CASES,
        opening::CASES,
        streams::CASES,
        datagrams::CASES,
        // These cost a client its good name, or all that it may open in a second.
        opening::LAST,
        handshake::LAST,
    ]
    .into_iter()
    .flatten()
}
