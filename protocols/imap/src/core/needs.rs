//! What a command needs of a server: one that is not announced is not asked for it.

use super::event::Server;
use crate::codec::{Command, Messages, SearchReturn};

/// What the server has not, and would need for a command. Of commands that have a substitute, the
/// client knows.
pub(super) fn missing(command: &Command, server: &Server) -> Option<&'static str> {
    let needs = |name: &'static str| (!server.can(name)).then_some(name);
    match command {
        Command::Search { query, returns, .. } => {
            let is_partial = |it: &SearchReturn| matches!(it, SearchReturn::Partial(_));
            if query.has_saved() || returns.contains(&SearchReturn::Save) {
                needs("SEARCHRES")
            } else if returns.iter().any(is_partial) {
                needs("PARTIAL").filter(|_| !server.can("CONTEXT=SEARCH"))
            } else if returns.iter().any(|it| *it != SearchReturn::All) {
                needs("ESEARCH")
            } else {
                None
            }
        }
        Command::Sort {
            by, query, returns, ..
        } => {
            let is_partial = |it: &SearchReturn| matches!(it, SearchReturn::Partial(_));
            let missing = needs("SORT")
                .or_else(|| needs("SORT=DISPLAY").filter(|_| by.has_display()))
                .or_else(|| needs("ESORT").filter(|_| !returns.is_empty()))
                .or_else(|| needs("SEARCHRES").filter(|_| query.has_saved()));
            let is_partial = returns.iter().any(is_partial);
            missing
                .or_else(|| needs("PARTIAL").filter(|_| is_partial && !server.can("CONTEXT=SORT")))
        }
        Command::Thread { by, query, .. } => {
            needs(by.capability()).or_else(|| needs("SEARCHRES").filter(|_| query.has_saved()))
        }
        Command::Fetch { messages, .. }
        | Command::Store { messages, .. }
        | Command::Copy(messages, _)
        | Command::Move(messages, _)
            if *messages == Messages::Saved =>
        {
            needs("SEARCHRES")
        }
        _ => None,
    }
}
