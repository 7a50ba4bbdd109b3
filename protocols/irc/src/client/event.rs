//! What a client tells.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use jackfield_socket::ErrorKind;
use tokio::sync::mpsc;

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

/// A client's events, in order. After the last one comes the end.
///
/// They wait here until they are read, up to
/// [`event_capacity`](super::ClientConfig::event_capacity). Then the client reads nothing more from
/// the server, and requests stay unanswered: read on while a request is awaited. Dropping this
/// discards all further events; the client goes on.
#[derive(Debug)]
pub struct Events(pub(super) mpsc::Receiver<ClientEvent>);

impl Events {
    /// The next event; none when the client has ended.
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
    ///
    /// # Cancel safety
    /// Dropping the future loses no event.
    pub async fn next(&mut self) -> Option<ClientEvent> {
        self.0.recv().await
    }

    /// [`next`](Self::next), polled.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<ClientEvent>> {
        self.0.poll_recv(cx)
    }
}

/// Why there is no connection.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ConnectionError {
    /// The stream could not be opened.
    Connect(Arc<jackfield_socket::Error>),
    /// Opening the stream took too long.
    ConnectTimedOut,
    /// The stream failed.
    Stream(Arc<jackfield_socket::Error>),
    /// The session ended.
    Session(SessionError),
}

impl ConnectionError {
    /// Whether another attempt would fail in the same way.
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Connect(error) => matches!(
                error.kind(),
                ErrorKind::InvalidInput
                    | ErrorKind::Unsupported
                    | ErrorKind::Denied
                    | ErrorKind::Certificate
            ),
            Self::Session(error) => error.is_permanent(),
            Self::ConnectTimedOut | Self::Stream(_) => false,
        }
    }
}

impl fmt::Display for ConnectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(error) => write!(f, "could not connect: {error}"),
            Self::ConnectTimedOut => f.write_str("could not connect in time"),
            Self::Stream(error) => write!(f, "the connection was lost: {error}"),
            Self::Session(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ConnectionError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        // The inner error's text is part of this one's, so its cause is this one's cause.
        match self {
            Self::Connect(error) | Self::Stream(error) => error.source(),
            Self::ConnectTimedOut | Self::Session(_) => None,
        }
    }
}
