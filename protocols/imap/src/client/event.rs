//! Events of a client: what whoever reads them learns of its connection and of the mailbox.

use std::sync::Arc;

use crate::core::{Event, Server};
use crate::error::SessionError;

/// What happened.
pub type ClientEvent = jackfield_client::ClientEvent<Event, Arc<Server>, SessionError>;

/// Where the connection stands: it is [`Ready`](Self::Ready) when the user is logged in.
pub type Status = jackfield_client::Status<Arc<Server>, SessionError>;

/// Each [`Status`] as it comes, apart from the events; see [`Client::statuses`](super::Client::statuses).
pub type Statuses = jackfield_client::Statuses<Arc<Server>, SessionError>;

/// A client's events, in order. After the last one comes the end.
///
/// They wait here until they are read, up to
/// [`Options::event_capacity`](super::Options::event_capacity). Then the client reads nothing more
/// from the server; whoever waits for an answer that may stand behind them gets
/// [`RequestError::TimedOut`](crate::RequestError::TimedOut) within a minute. Dropping this discards
/// all further events, and the client goes on.
pub type Events = jackfield_client::Events<Event, Arc<Server>, SessionError>;

/// Why there is no connection.
pub type ConnectionError = jackfield_client::ConnectionError<SessionError>;

/// A client's work. It ends when the client is closed, or when it has lost its connection for good.
pub type Connection = jackfield_client::Connection<SessionError>;
