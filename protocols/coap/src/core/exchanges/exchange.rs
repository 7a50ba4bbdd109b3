//! An exchange, and what is known of it.

use std::time::Duration;

use jackfield_socket::driver::Peer;
use jackfield_socket::time::Instant;

use crate::codec::Message;
use crate::core::Reliability;
use crate::core::observe::NotificationOrder;
use crate::oscore;

#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) to: Peer,
    /// The request as it is sent, the token included once it was sent.
    pub(super) message: Message,
    pub(super) reliability: Reliability,
    pub(super) phase: Phase,
    /// How long each response may take.
    pub(super) timeout: Duration,
    pub(super) deadline: Instant,
    /// Whether it was sent again with an Echo.
    pub(super) echoed: bool,
    /// Whether it was sent on this connection.
    pub(super) sent: bool,
    /// To verify its responses, where they are protected.
    pub(super) bindings: Bindings,
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
    pub(super) renewal: Renewal,
    /// How often it was asked for again in vain.
    pub(super) retries: u32,
    /// Whether it waits for a connection, however long that takes.
    pub(super) is_offline: bool,
}

/// Whether an observation was asked for again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Renewal {
    /// It was not, or that was answered.
    #[default]
    None,
    /// It was, and nothing has come since.
    Waiting,
    /// It was, and nothing newer has come since.
    Heard,
}

impl Exchange {
    pub(super) fn deadline(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Observing(observation) if observation.is_offline && !self.sent => None,
            _ => Some(self.deadline),
        }
    }
}

/// What responses are bound to (RFC 8613, section 7.1): the request as it was sent last, and, until
/// a response to that shows that it arrived, as it was sent when one did. Those to an observation's
/// older registration go on where the newer one was lost.
#[derive(Debug, Default)]
pub(super) struct Bindings {
    answered: Option<oscore::ClientExchange>,
    newest: Option<oscore::ClientExchange>,
}

impl Bindings {
    /// The request was protected once more.
    pub(super) fn add(&mut self, binding: oscore::ClientExchange) {
        let before = self.newest.replace(binding);
        if before
            .as_ref()
            .is_some_and(oscore::ClientExchange::is_answered)
        {
            self.answered = before;
        }
    }

    /// Verifies a response to any of them.
    pub(super) fn unprotect(
        &mut self,
        context: &mut oscore::Context,
        response: &Message,
    ) -> Result<Message, oscore::Error> {
        let mut result = None;
        if let Some(newest) = &mut self.newest {
            let verified = context.unprotect_response(newest, response);
            if verified.is_ok() {
                self.answered = None;
                return verified;
            }
            result = Some(verified);
        }
        if let Some(answered) = &mut self.answered {
            let verified = context.unprotect_response(answered, response);
            if verified.is_ok() {
                return verified;
            }
        }
        result.unwrap_or_else(|| Err(oscore::Error::unasked()))
    }
}
