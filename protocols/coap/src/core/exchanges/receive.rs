//! Receiving: which exchange a response is for, and what it means there.

use std::time::Duration;

use jackfield_socket::driver::Peer;
use jackfield_socket::time::Instant;

use super::exchange::{Phase, Renewal};
use super::{ExchangeId, Exchanges, LEAVING, Outgoing, Verdict};
use crate::codec::{Code, Message, OptionNumber};
use crate::core::blockwise::BlockError;
use crate::core::observe::{NotificationOrder, max_age};
use crate::error::RequestError;
use crate::oscore;

/// The options that a response may have to be understood (RFC 7252, section 5.4.1).
const KNOWN_IN_RESPONSES: [OptionNumber; 2] = [OptionNumber::BLOCK1, OptionNumber::BLOCK2];
/// How long after a notification's Max-Age a client waits before it asks again: so long at the
/// least, and up to twice that (RFC 7641, section 3.3.1, has 5 to 15 s).
const REFRESH_DELAY: Duration = Duration::from_secs(5);

impl Exchanges {
    /// Takes a response, and says whether it was waited for. One that is `piggybacked` came in the
    /// acknowledgement of the request that was sent last.
    pub(crate) fn received(
        &mut self,
        now: Instant,
        from: Peer,
        response: Message,
        piggybacked: bool,
    ) -> Verdict {
        let Some(&id) = self.by_token.get(&response.token()) else {
            return Verdict::Reject;
        };
        let Some(exchange) = self.under_way.get_mut(&id) else {
            return Verdict::Reject;
        };
        // A token is its server's alone, so that nobody else can answer (RFC 7252, section 5.3.2);
        // in a group, whoever knows it was asked.
        if exchange.to != from && !matches!(exchange.phase, Phase::Group(_)) {
            return Verdict::Reject;
        }
        let response = match &mut self.security {
            None => response,
            Some(context) => match exchange.bindings.unprotect(context, &response) {
                Ok(response) => response,
                Err(error) => {
                    self.untrusted(id, &error);
                    return Verdict::Accept;
                }
            },
        };
        let Some(exchange) = self.under_way.get_mut(&id) else {
            return Verdict::Reject;
        };
        let options = response.options();
        let knows = |number| KNOWN_IN_RESPONSES.contains(&number);
        let bad_option = options.first_unacceptable(knows);
        let is_reserved = !self.is_reliable && response.has_reserved_block();
        if let Some(echo) = options.get(OptionNumber::ECHO)
            && bad_option.is_none()
            && (self.echoes.len() < self.config.limits.max_exchanges
                || self.echoes.contains_key(&from))
        {
            self.echoes.insert(from, echo.to_vec());
        }
        match &mut exchange.phase {
            Phase::Leaving => {
                // A notification may have been on its way; the answer is without Observe.
                if response.observe().is_none() {
                    self.remove(id);
                }
                return Verdict::Accept;
            }
            Phase::Group(answered) => {
                let is_new = !answered.contains(&from);
                let is_bad = bad_option.is_some() || is_reserved;
                if is_bad || !is_new || answered.len() >= self.config.limits.max_answers {
                    return Verdict::Accept;
                }
                answered.push(from);
                self.tell_response(id, from, response, false);
                return Verdict::Accept;
            }
            Phase::Single | Phase::Told | Phase::Observing(_) => {}
        }
        if let Some(number) = bad_option {
            self.fail(id, RequestError::BadOption(number));
            return Verdict::Reject;
        }
        if is_reserved {
            self.fail(id, RequestError::Blocks(BlockError::ReservedSize));
            return Verdict::Reject;
        }
        if response.code() == Code::UNAUTHORIZED
            && response.options().contains(OptionNumber::ECHO)
            && !exchange.echoed
        {
            // It wants to know whether the request is fresh (RFC 9175, section 2.2.1).
            exchange.echoed = true;
            exchange.deadline = now + exchange.timeout;
            self.outgoing.push_back(Outgoing::Stop(id));
            self.resend(id);
            return Verdict::Accept;
        }
        if let Phase::Observing(_) = exchange.phase {
            self.notified(now, id, from, response, piggybacked);
        } else {
            self.remove(id);
            self.tell_response(id, from, response, true);
        }
        Verdict::Accept
    }

    /// A response could not be verified. Mostly the real one is still to come, for anyone may send
    /// us anything; but where a server says that it could not verify the request, which it can't say
    /// protected, waiting is in vain. It ends no observation (RFC 8613, section 8.4.2), and makes no
    /// Reset, which would.
    fn untrusted(&mut self, id: ExchangeId, error: &oscore::Error) {
        let Some(exchange) = self.under_way.get(&id) else {
            return;
        };
        let is_established = match &exchange.phase {
            Phase::Observing(observation) => observation.is_established,
            Phase::Leaving => true,
            Phase::Single | Phase::Told | Phase::Group(_) => false,
        };
        if error.kind() == oscore::ErrorKind::Unprotected && !is_established {
            self.fail(id, RequestError::Security(error.to_string().into()));
        }
    }

    fn notified(
        &mut self,
        now: Instant,
        id: ExchangeId,
        from: Peer,
        response: Message,
        piggybacked: bool,
    ) {
        let Some(exchange) = self.under_way.get_mut(&id) else {
            return;
        };
        let Phase::Observing(observation) = &mut exchange.phase else {
            return;
        };
        let Some(value) = response.observe().filter(|_| response.code().is_success()) else {
            // An error, or a response of a server that does not, or no longer, have it observed.
            self.remove(id);
            self.tell_response(id, from, response, true);
            return;
        };
        let delay = REFRESH_DELAY + self.random.below(2 * REFRESH_DELAY);
        let fresh_until = now.checked_add(max_age(&response) + delay);
        let fresh_until = fresh_until.unwrap_or(now + LEAVING);
        if piggybacked && observation.renewal != Renewal::None {
            // It is newer than all that came before it, whatever its number: there are servers that
            // begin to count again with each registration.
            observation.order = NotificationOrder::default();
        }
        if !self.is_reliable && !observation.order.accepts(value, now) {
            // Old news, but the server is there.
            if observation.renewal == Renewal::Waiting {
                observation.renewal = Renewal::Heard;
                observation.retries = 0;
                exchange.deadline = fresh_until;
            }
            return;
        }
        observation.is_established = true;
        observation.renewal = Renewal::None;
        observation.retries = 0;
        exchange.echoed = false;
        exchange.deadline = fresh_until;
        self.tell_response(id, from, response, false);
    }
}
