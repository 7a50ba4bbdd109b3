//! Events of a client: what whoever reads them learns of its connection.

use crate::core::{Event, Server};
use crate::error::SessionError;

/// Why there is no connection.
pub type ConnectionError = jackfield_client::ConnectionError<SessionError>;

/// What happened.
pub type ClientEvent = jackfield_client::ClientEvent<Event, Box<Server>, SessionError>;

/// Where the connection stands: it is [`Ready`](Self::Ready) when one is logged in. It is
/// [`Connecting`](Self::Connecting) from the beginning, and waits there for something to send.
pub type Status = jackfield_client::Status<Box<Server>, SessionError>;

/// Each [`Status`] as it comes, apart from the events; see [`Client::statuses`](super::Client::statuses).
pub type Statuses = jackfield_client::Statuses<Box<Server>, SessionError>;

/// A client's events, in order; most programs have no use for them, and drop this. What becomes of a
/// message, [`Client::send`](super::Client::send) tells.
pub type Events = jackfield_client::Events<Event, Box<Server>, SessionError>;

/// A client's work. It ends when the client is closed, or when it can't connect for good: where the
/// server refused the credentials, for one.
///
/// Dropping it closes the connection; the handle's requests then fail with
/// [`RequestError::Closed`](crate::RequestError::Closed), and the events end. What was being sent may
/// have been taken or not.
pub type Connection = jackfield_client::Connection<SessionError>;
