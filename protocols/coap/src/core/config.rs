//! Configuration of the request layer: how requests are made.

use std::time::Duration;

/// How requests are made, and how much is kept of them and of what comes.
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
    /// The first delay before an observation is tried again whose server was silent; it doubles
    /// each time, up to [`longest_retry`](Self::longest_retry). Default: 2 s.
    pub first_retry: Duration,
    /// The longest of those delays. Default: 5 min.
    pub longest_retry: Duration,
    /// What randomness begins with: the same seed gives the same tokens, which can then be guessed.
    /// For tests only. Default: `None`, for the system's randomness.
    pub seed: Option<u64>,
    /// How much is kept.
    pub limits: Limits,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            response_timeout: Duration::from_secs(93),
            first_retry: Duration::from_secs(2),
            longest_retry: Duration::from_mins(5),
            seed: None,
            limits: Limits::default(),
        }
    }
}

/// How much is kept, whatever peers send and the user asks.
///
/// ```
/// let mut config = jackfield_coap::client::ClientConfig::default();
/// config.requests.limits.max_cache_bytes = 64 * 1024;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Requests and observations that are under way. A further one fails with
    /// [`RequestError::TooManyPending`](crate::RequestError::TooManyPending). Default: 256.
    pub max_exchanges: usize,
    /// Servers of which one multicast request takes answers; those of further ones are dropped.
    /// Default: 1024.
    pub max_answers: usize,
    /// Bytes of a body that is collected. Beyond it, a request fails with
    /// [`RequestError::Blocks`](crate::RequestError::Blocks); a server refuses the body with 4.13.
    /// Default: 16 MiB, and 4 MiB for a server.
    pub max_body: u64,
    /// Bytes of responses that are kept to be used again while they are fresh, or for as long as the
    /// server says that they hold. Default: 0: every request goes to the server.
    pub max_cache_bytes: usize,
    /// Peers that are spoken with at a time over one UDP socket; more are refused, unless one of them
    /// has nothing outstanding. Default: 1024.
    pub max_peers: usize,
    /// Received datagrams that are remembered, so that duplicates are known; beyond it, the oldest
    /// are forgotten. Default: 4096.
    pub max_remembered_messages: usize,
    /// Bytes of answers that are remembered, to be repeated to duplicates; beyond it, the oldest are
    /// forgotten. Default: 1 MiB.
    pub max_remembered_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_exchanges: 256,
            max_answers: 1024,
            max_body: 16 * 1024 * 1024,
            max_cache_bytes: 0,
            max_peers: 1024,
            max_remembered_messages: 4096,
            max_remembered_bytes: 1024 * 1024,
        }
    }
}
