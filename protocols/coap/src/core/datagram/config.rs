//! Configuration of the layer over datagrams: how it works.

use std::time::Duration;

use super::TransmissionParameters;

/// How a [`DatagramLayer`](super::DatagramLayer) works. How much it keeps,
/// [`Limits`](crate::core::Limits) say.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct DatagramConfig {
    /// When messages are sent again, and how many at a time.
    pub transmission: TransmissionParameters,
    /// How many bytes a message may have that is sent. Default: 1152, which passes everywhere (RFC
    /// 7252, section 4.6).
    pub max_message_size: usize,
    /// How long a request may be worked on until it is acknowledged without a response. Default:
    /// 500 ms.
    pub acknowledgement_delay: Duration,
    /// How long responses to non-confirmable requests are held back, at the most: a server that
    /// belongs to a multicast group answers after a while that chance chooses, lest all members do
    /// at once (RFC 7252, section 8.2, names 5 s). Default: not at all.
    pub leisure: Option<Duration>,
    /// How many messages wait for their turn with one peer; more are refused. Default: 64.
    pub queue_capacity: usize,
}

impl Default for DatagramConfig {
    fn default() -> Self {
        Self {
            transmission: TransmissionParameters::default(),
            max_message_size: 1152,
            acknowledgement_delay: Duration::from_millis(500),
            leisure: None,
            queue_capacity: 64,
        }
    }
}
