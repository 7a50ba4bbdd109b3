//! Parameters of transmission: how long and how often, and what follows from them.

use std::time::Duration;

/// The longest that a datagram is expected to take (RFC 7252, section 4.8.2).
const MAX_LATENCY: Duration = Duration::from_secs(100);
/// Beyond this, doubling says nothing any more.
const MOST_RETRANSMITS: u32 = 16;

/// The parameters of transmission (RFC 7252, section 4.8).
///
/// ```
/// use std::time::Duration;
///
/// let mut config = jackfield_coap::core::DatagramConfig::default();
/// config.transmission.ack_timeout = Duration::from_secs(5);
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TransmissionParameters {
    /// ACK_TIMEOUT: how long to wait for an acknowledgement before a message is sent again, at the
    /// least; it doubles each time. Default: 2 s.
    pub ack_timeout: Duration,
    /// ACK_RANDOM_FACTOR: how much longer the first wait may be, at the most; 1 or more. Default:
    /// 1.5.
    pub ack_random_factor: f64,
    /// MAX_RETRANSMIT: how often a message is sent again; 16 at the most. Default: 4.
    pub max_retransmit: u32,
    /// NSTART: how many interactions with one peer may be open at a time: confirmable messages
    /// that are not acknowledged, and non-confirmable requests without a response. What comes
    /// beyond it waits its turn. More than 1 asks more of the network than RFC 7252 allows a client
    /// that knows nothing about it (section 4.7). Default: 1.
    pub nstart: usize,
    /// PROBING_RATE: how many bytes a second go, in non-confirmable requests, to a peer that does
    /// not respond. Default: 1.
    pub probing_rate: u32,
}

impl Default for TransmissionParameters {
    fn default() -> Self {
        Self {
            ack_timeout: Duration::from_secs(2),
            ack_random_factor: 1.5,
            max_retransmit: 4,
            nstart: 1,
            probing_rate: 1,
        }
    }
}

impl TransmissionParameters {
    /// MAX_TRANSMIT_SPAN: the longest from a message's first transmission to its last.
    pub(crate) fn max_transmit_span(&self) -> Duration {
        self.first_waits(self.retransmits())
    }

    /// MAX_TRANSMIT_WAIT: the longest from a message's first transmission until it has failed.
    #[cfg(test)]
    pub(crate) fn max_transmit_wait(&self) -> Duration {
        self.first_waits(self.retransmits() + 1)
    }

    /// EXCHANGE_LIFETIME: how long a confirmable message's id means that message.
    pub(crate) fn exchange_lifetime(&self) -> Duration {
        // PROCESSING_DELAY is ACK_TIMEOUT.
        self.max_transmit_span() + 2 * MAX_LATENCY + self.timeout()
    }

    /// NON_LIFETIME: how long a non-confirmable message's id means that message.
    pub(crate) fn non_lifetime(&self) -> Duration {
        self.max_transmit_span() + MAX_LATENCY
    }

    /// The first wait, for a number from 0 to 1 that chance gave.
    pub(super) fn first_timeout(&self, chance: f64) -> Duration {
        self.timeout()
            .mul_f64(1.0 + (self.factor() - 1.0) * chance.clamp(0.0, 1.0))
    }

    /// MAX_RETRANSMIT, within what is allowed.
    pub(super) fn retransmits(&self) -> u32 {
        self.max_retransmit.min(MOST_RETRANSMITS)
    }

    /// How long a request that nobody answers keeps the next one waiting.
    pub(super) fn probing_pause(&self, bytes: usize) -> Duration {
        Duration::from_secs(bytes as u64) / self.probing_rate.max(1)
    }

    /// ACK_TIMEOUT: a wait of nothing would never end, one of a day serves nobody.
    fn timeout(&self) -> Duration {
        self.ack_timeout
            .clamp(Duration::from_millis(1), Duration::from_hours(24))
    }

    fn factor(&self) -> f64 {
        if self.ack_random_factor.is_finite() {
            self.ack_random_factor.clamp(1.0, 100.0)
        } else {
            1.0
        }
    }

    /// How long the first waits take, each twice the one before.
    fn first_waits(&self, count: u32) -> Duration {
        (self.timeout() * ((1 << count) - 1)).mul_f64(self.factor())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7252, section 4.8.2, table 3.
    #[test]
    fn the_times_that_follow_are_the_rfcs() {
        let defaults = TransmissionParameters::default();
        assert_eq!(defaults.max_transmit_span(), Duration::from_secs(45));
        assert_eq!(defaults.max_transmit_wait(), Duration::from_secs(93));
        assert_eq!(defaults.exchange_lifetime(), Duration::from_secs(247));
        assert_eq!(defaults.non_lifetime(), Duration::from_secs(145));
    }
}
