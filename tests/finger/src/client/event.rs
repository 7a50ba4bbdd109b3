//! Events of a client: what whoever reads them learns.

use crate::core::Line;
use crate::error::SessionError;

/// What happened.
pub type ClientEvent = jackfield_client::ClientEvent<Line, (), SessionError>;
/// Where the connection stands.
pub type Status = jackfield_client::Status<(), SessionError>;
/// Each [`Status`] as it comes, apart from the events; see [`Client::statuses`](super::Client::statuses).
pub type Statuses = jackfield_client::Statuses<(), SessionError>;
/// A client's events, in order.
pub type Events = jackfield_client::Events<Line, (), SessionError>;
/// Why there is no connection.
pub type ConnectionError = jackfield_client::ConnectionError<SessionError>;
/// A client's work.
pub type Connection = jackfield_client::Connection<SessionError>;
