//! What a client tells of its connection.

use std::fmt;
use std::time::Duration;

use jackfield_client::{Failure, Progress};

use crate::core::LayerError;

/// What happened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ClientEvent {
    /// An attempt begins: to open a stream, or a socket.
    Connecting {
        /// Which one in a row, from 1.
        attempt: u32,
    },
    /// It is open. Over UDP that says nothing of the server.
    Connected,
    /// The connection was lost, or could not be made.
    Disconnected {
        /// Why.
        error: ConnectionError,
        /// When the next attempt begins; none for never.
        retry_in: Option<Duration>,
    },
}

impl From<Progress<SessionError>> for ClientEvent {
    fn from(progress: Progress<SessionError>) -> Self {
        match progress {
            Progress::Connecting { attempt } => Self::Connecting { attempt },
            Progress::Connected => Self::Connected,
            Progress::Disconnected { error, retry_in } => Self::Disconnected { error, retry_in },
        }
    }
}

/// A client's events, in order. After the last one comes the end.
///
/// They wait here until they are read, up to
/// [`event_capacity`](super::ClientConfig::event_capacity). Then the client waits, and so do all
/// requests. Dropping this discards all further events; the client goes on.
///
/// ```no_run
/// # use jackfield_coap::client::{ClientEvent, Events};
/// # async fn example(mut events: Events) {
/// while let Some(event) = events.next().await {
///     if let ClientEvent::Disconnected { error, retry_in } = event {
///         println!("{error}; next attempt in {retry_in:?}");
///     }
/// }
/// # }
/// ```
pub type Events = jackfield_client::Events<ClientEvent>;

/// Why there is no connection.
pub type ConnectionError = jackfield_client::ConnectionError<SessionError>;

/// Why a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionError {
    /// The server broke the protocol, or gave up.
    Layer(LayerError),
    /// The stream ended without a word from the server.
    Ended,
    /// The server said that it closes the stream (RFC 8323, section 5.5).
    Released,
}

impl Failure for SessionError {
    fn ended() -> Self {
        Self::Ended
    }

    fn is_permanent(&self) -> bool {
        match self {
            // Our own settings are refused, and will be.
            Self::Layer(LayerError::Aborted { bad_option, .. }) => bad_option.is_some(),
            _ => false,
        }
    }
}

impl From<LayerError> for SessionError {
    fn from(error: LayerError) -> Self {
        Self::Layer(error)
    }
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Layer(error) => error.fmt(f),
            Self::Ended => f.write_str("the connection ended without a word from the server"),
            Self::Released => f.write_str("the server closed the connection"),
        }
    }
}

impl std::error::Error for SessionError {}
