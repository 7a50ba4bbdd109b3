//! What a client tells.

use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use jackfield_client::{Poster, Progress};

use super::handle::Action;
use crate::codec::PublishReason;
use crate::core::{Delivery, Event};
use crate::error::SessionError;

/// Why there is no connection.
pub type ConnectionError = jackfield_client::ConnectionError<SessionError>;

/// What happened.
#[derive(Clone, Debug)]
#[non_exhaustive]
#[allow(
    clippy::large_enum_variant,
    reason = "the large one is a message, which most events are; it is large where pointers are"
)]
pub enum ClientEvent {
    /// An attempt to connect begins.
    Connecting {
        /// Which one in a row, from 1.
        attempt: u32,
    },
    /// The stream is open; the server is asked to let the client in, and answers with
    /// [`Event::Connected`].
    Connected,
    /// Something happened in the session. Messages that come to a
    /// [`Subscription`](super::Subscription) are told there, all others here.
    Mqtt(Event),
    /// The connection was lost, or could not be made. What was in flight waits for the next one.
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
/// the server, and completions stay away: read on while one is awaited. Publishing, acknowledging
/// and sending go on, but nothing keeps the connection alive: who reads nothing for longer than the
/// keep-alive loses it, and messages of QoS 0 with it. Dropping this discards all further events,
/// and acknowledges the messages among them; the client goes on.
#[derive(Debug)]
pub struct Events(pub(super) jackfield_client::Events<Told>);

impl Events {
    /// The next event; none when the client has ended.
    ///
    /// ```no_run
    /// # use jackfield_mqtt::client::{ClientEvent, Events};
    /// # use jackfield_mqtt::core::Event;
    /// # async fn example(mut events: Events) {
    /// while let Some(event) = events.next().await {
    ///     match event {
    ///         ClientEvent::Mqtt(Event::Message(delivery)) => {
    ///             let message = delivery.message;
    ///             println!("{}: {} bytes", message.topic, message.payload.len());
    ///         }
    ///         ClientEvent::Disconnected { error, retry_in } => {
    ///             println!("{error}; next attempt in {retry_in:?}");
    ///         }
    ///         _ => {}
    ///     }
    /// }
    /// # }
    /// ```
    ///
    /// # Cancel safety
    /// Dropping the future loses no event.
    pub async fn next(&mut self) -> Option<ClientEvent> {
        self.0.next().await.map(|told| told.event)
    }

    /// [`next`](Self::next), polled.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<ClientEvent>> {
        let told = ready!(self.0.poll_next(cx));
        Poll::Ready(told.map(|told| told.event))
    }
}

/// An event on its way, and what is to be acknowledged when it was taken.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) event: ClientEvent,
    pub(super) _receipt: Option<Arc<Receipt>>,
}

impl From<ClientEvent> for Told {
    fn from(event: ClientEvent) -> Self {
        Self {
            event,
            _receipt: None,
        }
    }
}

impl From<Progress<SessionError>> for Told {
    fn from(progress: Progress<SessionError>) -> Self {
        Self::from(match progress {
            Progress::Connecting { attempt } => ClientEvent::Connecting { attempt },
            Progress::Connected => ClientEvent::Connected,
            Progress::Disconnected { error, retry_in } => {
                ClientEvent::Disconnected { error, retry_in }
            }
        })
    }
}

/// A message on its way to a subscription.
#[derive(Debug)]
pub(super) struct Routed {
    pub(super) delivery: Delivery,
    pub(super) _receipt: Option<Arc<Receipt>>,
}

/// Acknowledges a message when the last of those that it was given to has taken it.
///
/// What waits for acknowledgements is bounded by the Receive Maximum that the server was told.
#[derive(Debug)]
pub(super) struct Receipt {
    pub(super) serial: u64,
    pub(super) poster: Poster<Action>,
}

impl Drop for Receipt {
    fn drop(&mut self) {
        self.poster.post(Action::Acknowledge {
            serial: self.serial,
            reason: PublishReason::Success,
            done: None,
        });
    }
}
