//! The trait [`Protocol`]: what a protocol's client adds to the loop.

use std::future::{self, Future};
use std::time::Duration;

use jackfield_socket::StreamInfo;
use jackfield_socket::driver::Core;

use crate::{ConnectionError, Failure, Outbox, Poster};

/// The [`Outbox`] of a protocol.
pub type OutboxOf<P> =
    Outbox<<P as Protocol>::Event, <P as Protocol>::Ready, <P as Protocol>::Error>;

/// What a protocol's client adds to the loop that [`connect`](crate::connect) and
/// [`connect_datagrams`](crate::connect_datagrams) run.
///
/// The core is there all the time, with a connection or without. Where a protocol's sessions end
/// with their connections, [`opened`](Self::opened) puts a new core in the old one's place; where
/// they outlive them, it tells the core of the new connection, and [`ended`](Self::ended) tells it
/// of the end. While there is no connection, the core's events are taken as always, and its
/// deadlines are kept: it has only such as need none.
pub trait Protocol: Send + 'static {
    /// The protocol's state machine.
    type Core: Core<Event: Send, Error: Into<Self::Error> + Send> + Send + 'static;
    /// Where an attempt goes: an [`Endpoint`](jackfield_socket::Endpoint) over streams, a
    /// [`UdpTarget`](crate::UdpTarget) over datagrams.
    type Target: Send + 'static;
    /// What the handle asks for.
    type Action: Send + 'static;
    /// What the client tells of the session.
    type Event: Send + 'static;
    /// What is known when the session stands.
    type Ready: Clone + Send + Sync + 'static;
    /// How a session fails.
    type Error: Failure;
    /// What [`prepare`](Self::prepare) found out for [`opened`](Self::opened).
    type Prepared: Send + 'static;

    /// The core to begin with, from a store perhaps. Actions wait until it is there. With the
    /// poster, the protocol can ask itself for something later.
    ///
    /// # Errors
    /// Where there can be no core: the client ends with the error.
    fn begin(
        &mut self,
        poster: Poster<Self::Action>,
    ) -> impl Future<Output = Result<Self::Core, ConnectionError<Self::Error>>> + Send;

    /// Finds out where the next attempt goes, and whatever else it needs, such as credentials that
    /// are still good. It may take its time: meanwhile, actions are taken as they are without a
    /// connection, and closing drops the future.
    ///
    /// # Errors
    /// Where there can be no attempt now; [`ended`](Self::ended) is called with it, as with an
    /// attempt that failed.
    fn prepare(
        &mut self,
        attempt: u32,
    ) -> impl Future<Output = Result<(Self::Target, Self::Prepared), ConnectionError<Self::Error>>>
    + Send
    + 'static;

    /// A stream is open, of which this is known: whether others can read it, and what a login can be
    /// bound to. [`opened`](Self::opened) comes next. Datagrams don't tell.
    fn stream_info(&mut self, core: &mut Self::Core, info: &StreamInfo) {
        let _ = (core, info);
    }

    /// A stream or socket is open, and the core is about to be driven over it. A session that
    /// stands at once is told here ([`Outbox::ready`]), any other by [`take`](Self::take).
    ///
    /// # Errors
    /// Where the core can't begin with what was prepared.
    fn opened(
        &mut self,
        core: &mut Self::Core,
        prepared: Self::Prepared,
        outbox: &mut OutboxOf<Self>,
    ) -> Result<(), ConnectionError<Self::Error>>;

    /// Does what the handle asks for.
    fn act(&mut self, core: &mut Self::Core, action: Self::Action, link: Link) -> Flow;

    /// The last handle is gone: nobody can say any more, so it is time to go. With a connection,
    /// the core takes leave of its peer, as after an action that closes.
    fn abandoned(&mut self, core: &mut Self::Core, link: Link);

    /// Takes an event of the core. While it is at it, nothing is read, written or asked for: the
    /// place to make durable what must be so before anything else happens. It is not cancelled
    /// unless the connection future is dropped.
    ///
    /// # Errors
    /// Where the connection can't go on.
    fn take(
        &mut self,
        core: &mut Self::Core,
        event: <Self::Core as Core>::Event,
        outbox: &mut OutboxOf<Self>,
    ) -> impl Future<Output = Result<Flow, ConnectionError<Self::Error>>> + Send;

    /// Moves what was received to where it is read, where that is not the [`Outbox`]. As with the
    /// outbox, nothing more is read from the peer until it is done; actions and writing go on.
    ///
    /// # Cancel safety
    /// It is cancelled whenever something else happens, and must lose nothing by it.
    fn deliver(&mut self) -> impl Future<Output = ()> + Send {
        future::ready(())
    }

    /// An attempt has ended, whether or not it came to a connection: with this error, or because
    /// the client is closed. Says whether there is another.
    fn ended(
        &mut self,
        core: &mut Self::Core,
        error: Option<&ConnectionError<Self::Error>>,
    ) -> Again;
}

/// Whether there is a connection when an action is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// A stream is open, though the session may not have begun.
    Up,
    /// No stream is open.
    Down,
}

/// How it goes on after an action or an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// As before.
    Continue,
    /// The client is closed: the core takes leave of its peer, and no further action is taken. With
    /// a connection, that ends with [`Closed`](Self::Closed), with the stream, or after 10 s.
    Close,
    /// The core has taken leave; the stream gets 1 s to end in order.
    Closed,
}

/// Whether there is another attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// None: it would fail in the same way.
    No,
    /// After a delay, if [`Options::reconnect`](crate::Options::reconnect) has one.
    Later,
    /// The same, after this long at the least: the peer wants to be left alone.
    After(Duration),
    /// At once, and in any case: the peer has named another server.
    AtOnce,
}

impl Again {
    /// After a delay, unless the error is permanent, or there is none since the client is closed.
    pub fn unless_permanent<E: Failure>(error: Option<&ConnectionError<E>>) -> Self {
        match error {
            Some(error) if !error.is_permanent() => Self::Later,
            _ => Self::No,
        }
    }
}
