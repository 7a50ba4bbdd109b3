//! Events of a client: what whoever reads them learns of its connection and of the chat.

use crate::core::{Event, Registered};
use crate::error::SessionError;

/// What happened.
///
/// ```no_run
/// # use jackfield_irc::client::{ClientEvent, Events, Status};
/// # async fn example(mut events: Events) {
/// while let Some(event) = events.next().await {
///     if let ClientEvent::Status(Status::Disconnected { error, retry_in }) = event {
///         println!("{error}; next attempt in {retry_in:?}");
///     }
/// }
/// # }
/// ```
pub type ClientEvent = jackfield_client::ClientEvent<Event, Registered, SessionError>;

/// Where the connection stands: requests are taken when it is [`Ready`](Self::Ready).
pub type Status = jackfield_client::Status<Registered, SessionError>;

/// Each [`Status`] as it comes, apart from the events; see [`Client::statuses`](super::Client::statuses).
pub type Statuses = jackfield_client::Statuses<Registered, SessionError>;

/// A client's events, in order: [what they do while nobody reads them](jackfield_client::Events).
pub type Events = jackfield_client::Events<Event, Registered, SessionError>;

/// Why there is no connection.
pub type ConnectionError = jackfield_client::ConnectionError<SessionError>;

/// A client's work. It ends when the client is closed, or when it has lost its connection for good.
///
/// Dropping it closes the connection; the handle's requests then fail with
/// [`RequestError::Closed`](crate::RequestError::Closed), and the events end.
pub type Connection = jackfield_client::Connection<SessionError>;
