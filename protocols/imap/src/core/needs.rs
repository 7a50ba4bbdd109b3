//! What a command needs of a server: one that is not announced is not asked for it.

use super::event::Server;
use crate::codec::{AppendData, AppendMessage, Command, Item, Messages, SearchReturn, StatusItem};
use crate::error::RequestError;

/// Why a command is not sent to this server.
pub(super) fn denied(command: &Command, server: &Server) -> Option<RequestError> {
    let sizes: Vec<u64> = match command {
        Command::Append { size, .. } => vec![*size],
        Command::AppendAll { messages, .. } => messages.iter().map(AppendMessage::size).collect(),
        Command::Replace { message, .. } => vec![message.size()],
        _ => Vec::new(),
    };
    if let Some(size) = sizes.into_iter().max() {
        // Where a mailbox has a limit of its own, it is not among them (RFC 7889).
        let limits = server.capabilities.values("APPENDLIMIT");
        let limit = limits.filter_map(|limit| limit.parse().ok()).min();
        if let Some(limit) = limit.filter(|limit| size > *limit) {
            return Some(RequestError::MessageTooLarge { limit });
        }
    }
    missing(command, server).map(RequestError::Unsupported)
}

/// What the server has not, and would need for a command. Of commands that have a substitute, the
/// client knows.
fn missing(command: &Command, server: &Server) -> Option<&'static str> {
    let needs = |name: &'static str| (!server.can(name)).then_some(name);
    if let Command::Search { query, .. }
    | Command::Sort { query, .. }
    | Command::Thread { query, .. } = command
    {
        let changes = needs("CONDSTORE").filter(|_| query.has_changes());
        let missing = changes.or_else(|| needs("X-GM-EXT-1").filter(|_| query.has_gmail()));
        if missing.is_some() {
            return missing;
        }
    }
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
        Command::Fetch {
            items,
            changed_since,
            ..
        } => {
            let changes = needs("CONDSTORE").filter(|_| changed_since.is_some());
            let item = || items.iter().find_map(|item| missing_item(item, server));
            changes.or_else(item)
        }
        Command::Store {
            unchanged_since: Some(_),
            ..
        } => needs("CONDSTORE"),
        Command::Status(_, items) => items.iter().find_map(|it| missing_state(*it, server)),
        Command::AppendAll { messages, .. } => {
            let is_catenated = |it: &AppendMessage| matches!(it.data, AppendData::Catenate(_));
            let is_many = messages.len() > 1;
            let is_put_together = messages.iter().any(is_catenated);
            let many = needs("MULTIAPPEND").filter(|_| is_many);
            many.or_else(|| needs("CATENATE").filter(|_| is_put_together))
        }
        Command::Replace { .. } => needs("REPLACE"),
        Command::Notify(_) => needs("NOTIFY"),
        Command::GetQuota(_) | Command::GetQuotaRoot(_) | Command::SetQuota(..) => needs("QUOTA"),
        Command::GetAcl(_)
        | Command::SetAcl(..)
        | Command::DeleteAcl(..)
        | Command::ListRights(..)
        | Command::MyRights(_) => needs("ACL"),
        Command::GetMetadata { mailbox, .. } | Command::SetMetadata { mailbox, .. } => {
            let has_server = mailbox.is_none() && server.can("METADATA-SERVER");
            needs("METADATA").filter(|_| !has_server)
        }
        _ => None,
    }
}

/// What the server has not, and would need to tell this of a message.
fn missing_item(item: &Item, server: &Server) -> Option<&'static str> {
    let name = match item {
        Item::ModSeq => "CONDSTORE",
        Item::EmailId | Item::ThreadId => "OBJECTID",
        Item::Preview => "PREVIEW",
        Item::SaveDate => "SAVEDATE",
        Item::Gmail => "X-GM-EXT-1",
        Item::Body {
            is_binary: true, ..
        } => "BINARY",
        _ => return None,
    };
    (!server.can(name)).then_some(name)
}

/// What the server has not, and would need to tell this of a mailbox.
pub(super) fn missing_state(item: StatusItem, server: &Server) -> Option<&'static str> {
    let name = match item {
        StatusItem::Size => "STATUS=SIZE",
        StatusItem::HighestModSeq => "CONDSTORE",
        StatusItem::MailboxId => "OBJECTID",
        StatusItem::AppendLimit if server.capabilities.values("APPENDLIMIT").next().is_none() => {
            "APPENDLIMIT"
        }
        // RFC 9051, section 6.3.11, and RFC 9208, section 4.1.4.
        StatusItem::Deleted if !server.can("QUOTA=RES-MESSAGE") => "IMAP4REV2",
        _ => return None,
    };
    (!server.can(name)).then_some(name)
}
