//! Outcomes of requests.

use crate::codec::{Mailbox, Reply};

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Response {
    /// The message was taken.
    Sent(Outcome),
    /// The server's reply to another request.
    Reply(Reply),
}

/// What became of a message, recipient by recipient, in the envelope's order.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome {
    /// Each recipient, and what became of the message for it.
    pub recipients: Vec<(Mailbox, Delivery)>,
}

/// What became of a message for one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Delivery {
    /// The server has taken it; what it said to the message.
    Accepted(Reply),
    /// The server has refused it; what it said to the recipient or to the message.
    Refused(Reply),
    /// The server was told everything and did not answer: it may have taken it.
    Unknown,
    /// The server was not asked: the message had failed already.
    NotAsked,
}

impl Outcome {
    /// Those for whom the server has taken it.
    pub fn accepted(&self) -> impl Iterator<Item = &Mailbox> {
        let mut all = self.recipients.iter();
        std::iter::from_fn(move || {
            all.find(|(_, it)| matches!(it, Delivery::Accepted(_)))
                .map(|(mailbox, _)| mailbox)
        })
    }

    /// Those for whom it has not, and what it said.
    pub fn refused(&self) -> impl Iterator<Item = (&Mailbox, &Reply)> {
        self.recipients.iter().filter_map(|(mailbox, it)| match it {
            Delivery::Refused(reply) => Some((mailbox, reply)),
            _ => None,
        })
    }

    /// Whether it was taken for all.
    pub fn is_complete(&self) -> bool {
        let mut all = self.recipients.iter();
        all.all(|(_, it)| matches!(it, Delivery::Accepted(_)))
    }
}
