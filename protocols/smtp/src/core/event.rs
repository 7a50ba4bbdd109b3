//! Events of a session.

use super::{RequestId, Response};
use crate::codec::{Capabilities, Reply};
use crate::error::RequestError;

/// What a [`Session`](super::Session) tells.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum SessionEvent {
    /// The session stands: messages are sent now.
    Ready(Box<Server>),
    /// Something happened that nobody had asked for.
    Event(Event),
    /// A message's content is to go on: [`Session::body`](super::Session::body) takes the next piece.
    WantsBody(RequestId),
    /// A request has its outcome.
    Completed(RequestId, Result<Response, RequestError>),
    /// Leave was taken.
    Closed,
}

/// Something that nobody had asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The server is about to leave (421), and why.
    Leaving(Reply),
    /// A login that was bound to its TLS connection has failed, and the next is not bound: whoever stands
    /// in the middle of TLS is no longer noticed by it. Programs that keep a log note it. A client tells
    /// this, not a core.
    LoginNotBound,
}

/// What is known of a server when the session stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Server {
    /// What it greeted with; `None` after STARTTLS, where that was said in plaintext.
    pub greeting: Option<Reply>,
    /// What it can do.
    pub capabilities: Capabilities,
    /// With which mechanism one has logged in.
    pub login: Option<&'static str>,
}
