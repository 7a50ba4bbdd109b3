//! Configuration of the request layer: how requests are made.

use std::time::Duration;

/// How requests are made, and how much is kept of them.
///
/// ```
/// use std::time::Duration;
///
/// let mut config = jackfield_coap::core::Config::default();
/// config.response_timeout = Duration::from_secs(20);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// How long a request waits for its response, from when it was asked for. A message that is
    /// not acknowledged ends earlier (RFC 7252, section 4.8.2: after 93 s at the latest). Default:
    /// 93 s.
    pub response_timeout: Duration,
    /// How many requests and observations may be under way. A further one fails with
    /// [`RequestError::TooManyPending`](crate::RequestError::TooManyPending). Default: 256.
    pub max_exchanges: usize,
    /// Of how many servers one multicast request takes answers; those of further ones are dropped.
    /// Default: 1024.
    pub max_answers: usize,
    /// The first delay before an observation is tried again whose server was silent; it doubles
    /// each time, up to [`longest_retry`](Self::longest_retry). Default: 2 s.
    pub first_retry: Duration,
    /// The longest of those delays. Default: 5 min.
    pub longest_retry: Duration,
    /// What randomness begins with: the same seed gives the same tokens, which can then be guessed.
    /// For tests only. Default: `None`, for the system's randomness.
    pub seed: Option<u64>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            response_timeout: Duration::from_secs(93),
            max_exchanges: 256,
            max_answers: 1024,
            first_retry: Duration::from_secs(2),
            longest_retry: Duration::from_mins(5),
            seed: None,
        }
    }
}
