//! What a client tells of its connection.

use std::time::Duration;

use jackfield_client::Progress;

use crate::error::SessionError;

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
