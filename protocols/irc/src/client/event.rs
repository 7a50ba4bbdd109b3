//! What a client tells.

use std::time::Duration;

use jackfield_client::Progress;

use crate::codec::ChannelName;
use crate::core::Event;
use crate::error::{RequestError, SessionError};

/// What happened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ClientEvent {
    /// An attempt to connect begins.
    Connecting {
        /// Which one in a row, from 1.
        attempt: u32,
    },
    /// The stream is open; the registration begins, and ends with [`Event::Registered`].
    Connected,
    /// Something happened in the session.
    Irc(Event),
    /// A channel that was to be entered after registering was not.
    JoinFailed {
        /// Which.
        channel: ChannelName,
        /// Why. A channel that refused is not tried again.
        error: RequestError,
    },
    /// The connection was lost, or could not be made.
    Disconnected {
        /// Why.
        error: ConnectionError,
        /// When the next attempt begins; none for never: it would fail in the same way, or the
        /// configuration forbids it.
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
/// [`event_capacity`](super::ClientConfig::event_capacity). Then the client reads nothing more from
/// the server, and requests stay unanswered: read on while a request is awaited. Dropping this
/// discards all further events; the client goes on.
///
/// ```no_run
/// # use jackfield_irc::client::{ClientEvent, Events};
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
