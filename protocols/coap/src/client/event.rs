//! Events of a client: what it tells of its connection.

use crate::error::SessionError;

/// What happened besides the connection: nothing yet, since what is asked for is answered where it
/// was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {}

/// What happened.
pub type ClientEvent = jackfield_client::ClientEvent<Event, (), SessionError>;

/// Where the connection stands. Over UDP it is [`Ready`](Self::Ready) when the socket is open, which
/// says nothing of the server; over streams, when the server has said what it can do.
pub type Status = jackfield_client::Status<(), SessionError>;

/// Each [`Status`] as it comes, apart from the events; see [`Client::statuses`](super::Client::statuses).
pub type Statuses = jackfield_client::Statuses<(), SessionError>;

/// What a client tells. Nobody has to read it: only the newest status is kept. After the last comes
/// the end.
///
/// ```no_run
/// # use jackfield_coap::client::{ClientEvent, Events, Status};
/// # async fn example(mut events: Events) {
/// while let Some(event) = events.next().await {
///     if let ClientEvent::Status(Status::Disconnected { error, retry_in }) = event {
///         println!("{error}; next attempt in {retry_in:?}");
///     }
/// }
/// # }
/// ```
pub type Events = jackfield_client::Events<Event, (), SessionError>;

/// Why there is no connection.
pub type ConnectionError = jackfield_client::ConnectionError<SessionError>;

/// A client's work. It ends when the client is closed, or when it has lost its connection for good.
///
/// Dropping it closes the connection; the handle's requests then fail with
/// [`RequestError::Closed`](crate::RequestError::Closed), and the events end.
pub type Connection = jackfield_client::Connection<SessionError>;
