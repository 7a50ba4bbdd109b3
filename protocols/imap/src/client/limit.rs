//! Commands of which a server does a part only: it works on so many messages, from the highest
//! downwards, and says where it has stopped (MESSAGELIMIT, RFC 9738). The rest is asked for again.

use super::action::Answer;
use crate::codec::{Code, Messages, Response};
use crate::error::{Refusal, RequestError};

/// Only a part was done: down to this UID, where it is told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limited(pub(super) Option<u32>);

impl Limited {
    pub(super) fn of(code: Option<&Code>) -> Option<Self> {
        match code {
            Some(Code::MessageLimit { uid, .. }) => Some(Self(*uid)),
            _ => None,
        }
    }
}

/// What is left of messages that were worked on down to this one, where that is known.
pub(super) fn rest(
    messages: &Messages,
    lowest: Option<u32>,
) -> Result<Option<Messages>, RequestError> {
    let lowest = lowest.ok_or(RequestError::Incomplete)?;
    let set = messages.set().ok_or(RequestError::Incomplete)?;
    let left = set.below(lowest);
    if left.as_ref() == Some(set) {
        // It would never end.
        return Err(RequestError::Incomplete);
    }
    Ok(left.map(|left| messages.with(left)))
}

impl Answer {
    /// What is left of the messages that this is the answer for.
    pub(super) fn rest(&self, messages: &Messages) -> Result<Option<Messages>, RequestError> {
        let status = self.parts.iter().find_map(|part| match part {
            Response::Status(status) => Limited::of(status.code.as_ref()),
            _ => None,
        });
        match (Limited::of(self.outcome.code.as_ref()).or(status), messages) {
            (None, _) => Ok(None),
            (Some(Limited(uid)), Messages::Uids(_)) => rest(messages, uid),
            (Some(_), Messages::Numbers(_) | Messages::Saved) => Err(RequestError::Incomplete),
        }
    }
}

/// A command that a server does as a whole or not at all was refused since it means too many
/// messages: those that it would take, and the others.
pub(super) fn halves(messages: &Messages, refusal: &Refusal) -> Option<(Messages, Messages)> {
    let limited = Limited::of(refusal.code.as_ref())?;
    let (Some(uid), Messages::Uids(set)) = (limited.0, messages) else {
        return None;
    };
    let (taken, left) = (set.at_least(uid)?, set.below(uid)?);
    Some((Messages::Uids(taken), Messages::Uids(left)))
}
