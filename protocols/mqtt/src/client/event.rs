//! Events of a client: what whoever reads them learns of its connection and of messages.

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use super::action::Receipt;
use crate::core::{Delivery, Event, Server};
use crate::error::SessionError;

/// Why there is no connection.
pub type ConnectionError = jackfield_client::ConnectionError<SessionError>;

/// What happened. Messages that come to a [`Subscription`](super::Subscription) are told there, all
/// others here.
pub type ClientEvent = jackfield_client::ClientEvent<Event, Box<Server>, SessionError>;

/// Where the connection stands: it is [`Ready`](Self::Ready) when the server has let the client in.
/// What is in flight when it is lost waits for the next one.
pub type Status = jackfield_client::Status<Box<Server>, SessionError>;

/// Each [`Status`] as it comes, apart from the events; see [`Client::statuses`](super::Client::statuses).
pub type Statuses = jackfield_client::Statuses<Box<Server>, SessionError>;

/// A client's work. It ends when the client is closed, or when it has lost its connection for good.
///
/// Dropping it closes the connection, and the server publishes the will; the handle's requests then
/// fail with [`RequestError::Closed`](crate::RequestError::Closed), and the events end.
pub type Connection = jackfield_client::Connection<SessionError>;

/// A client's events, in order. After the last one comes the end.
///
/// They wait here until they are read, up to
/// [`Options::event_capacity`](super::Options::event_capacity). Then the client reads nothing more
/// from the server, and does all else: publishing, acknowledging and sending go on, the connection
/// is kept alive, and made again when it is lost. Who awaits a completion and should be reading gets
/// [`RequestError::TimedOut`](crate::RequestError::TimedOut) within a minute. Dropping this discards
/// all further events, and acknowledges the messages among them; the client goes on.
#[derive(Debug)]
pub struct Events(pub(super) jackfield_client::Events<Told, Box<Server>, SessionError>);

impl Events {
    /// The next event or status; `None` when the client has ended.
    ///
    /// ```no_run
    /// # use jackfield_mqtt::client::{ClientEvent, Events, Status};
    /// # use jackfield_mqtt::core::Event;
    /// # async fn example(mut events: Events) {
    /// while let Some(event) = events.next().await {
    ///     match event {
    ///         ClientEvent::Event(Event::Message(delivery)) => {
    ///             let message = delivery.message;
    ///             println!("{}: {} bytes", message.topic, message.payload.len());
    ///         }
    ///         ClientEvent::Status(Status::Disconnected { error, retry_in }) => {
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
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }

    /// [`next`](Self::next), polled.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<ClientEvent>> {
        let told = ready!(self.0.poll_next(cx));
        Poll::Ready(told.map(|told| match told {
            jackfield_client::ClientEvent::Status(status) => ClientEvent::Status(status),
            jackfield_client::ClientEvent::Event(told) => ClientEvent::Event(told.event),
        }))
    }
}

/// An event on its way, and what is to be acknowledged when it was taken.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) event: Event,
    pub(super) _receipt: Option<Arc<Receipt>>,
}

impl From<Event> for Told {
    fn from(event: Event) -> Self {
        Self {
            event,
            _receipt: None,
        }
    }
}

/// A message on its way to a subscription.
#[derive(Debug)]
pub(super) struct Routed {
    pub(super) delivery: Delivery,
    pub(super) _receipt: Option<Arc<Receipt>>,
}
