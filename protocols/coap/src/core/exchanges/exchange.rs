//! What is known of one exchange.

use std::time::Duration;

use jackfield_socket::driver::Peer;
use jackfield_socket::time::Instant;

use crate::codec::Message;
use crate::core::Delivery;
use crate::core::observe::NotificationOrder;

#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) to: Peer,
    /// The request as it is sent, the token included once it was sent.
    pub(super) message: Message,
    pub(super) delivery: Delivery,
    pub(super) phase: Phase,
    /// How long each response may take.
    pub(super) timeout: Duration,
    pub(super) deadline: Instant,
    /// Whether it was sent again with an Echo.
    pub(super) echoed: bool,
    /// Whether it was sent on this connection.
    pub(super) sent: bool,
}

#[derive(Debug)]
pub(super) enum Phase {
    Single,
    Told,
    Observing(Observation),
    /// An observation that nobody wants any more; its server is being told.
    Leaving,
    /// Who has answered.
    Group(Vec<Peer>),
}

#[derive(Debug, Default)]
pub(super) struct Observation {
    pub(super) order: NotificationOrder,
    /// Whether there was a notification, ever.
    pub(super) is_established: bool,
    /// Whether it was asked for again, and not answered yet.
    pub(super) is_waiting: bool,
    /// How often it was asked for again in vain.
    pub(super) retries: u32,
    /// Whether it waits for a connection, however long that takes.
    pub(super) is_offline: bool,
}

impl Exchange {
    pub(super) fn deadline(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Observing(observation) if observation.is_offline && !self.sent => None,
            _ => Some(self.deadline),
        }
    }
}
