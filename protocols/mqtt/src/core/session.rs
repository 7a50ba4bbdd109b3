//! The session itself.

use std::collections::VecDeque;

use bytes::Bytes;
use jackfield_socket::driver::StreamCore;
use jackfield_socket::time::Instant;

use super::{Config, Connect, Message, RequestId, Server, SessionEvent, Subscribe, Unsubscribe};
use crate::codec::{Disconnect, PublishReason};
use crate::error::{RequestError, RestoreError, SessionError};

/// Names a batch of changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StoreId(u64);

/// Changes that belong together.
pub type Batch = Vec<Change>;

/// A change of what is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Keep this value under this key, instead of what may be there.
    Put(Vec<u8>, Vec<u8>),
    /// Forget what is under this key.
    Delete(Vec<u8>),
}

/// A client's session.
#[derive(Debug)]
pub struct Session {
    config: Config,
    events: VecDeque<SessionEvent>,
}

impl Session {
    /// A new session, not connected.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            events: VecDeque::new(),
        }
    }

    /// A session of which these records are left: pairs of key and value, in any order.
    ///
    /// # Errors
    /// Where they are not what a session had stored.
    pub fn restore(
        config: Config,
        records: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>,
    ) -> Result<Self, RestoreError> {
        let _ = records.into_iter().count();
        Ok(Self::new(config))
    }

    /// What the session was made with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What the server said of itself; none while not connected.
    pub fn server(&self) -> Option<&Server> {
        None
    }

    /// Begins a connection: the next bytes to and from the session are those of a new stream.
    ///
    /// # Errors
    /// Where MQTT 3.1.1 has no room for something that is asked for.
    pub fn connect(&mut self, now: Instant, connect: Connect) -> Result<(), RequestError> {
        let _ = (now, connect);
        Ok(())
    }

    /// The stream is gone: what was in flight waits for the next one.
    pub fn disconnected(&mut self, now: Instant) {
        let _ = now;
    }

    /// Publishes a message: now, or, while not connected, when next connected.
    ///
    /// # Errors
    /// Where the queue is full, or where the server, if connected, would not take it.
    pub fn publish(&mut self, now: Instant, message: Message) -> Result<RequestId, RequestError> {
        let _ = (now, message);
        Err(RequestError::NotConnected)
    }

    /// Whether [`publish`](Self::publish) would have room for this message.
    pub fn has_room(&self, message: &Message) -> bool {
        let _ = message;
        true
    }

    /// Subscribes: now, or, while not connected, when next connected.
    ///
    /// # Errors
    /// Where too many requests wait, or where the server, if connected, would not take it.
    pub fn subscribe(&mut self, subscribe: Subscribe) -> Result<RequestId, RequestError> {
        let _ = subscribe;
        Err(RequestError::NotConnected)
    }

    /// Unsubscribes: now, or, while not connected, when next connected.
    ///
    /// # Errors
    /// Where too many requests wait.
    pub fn unsubscribe(&mut self, unsubscribe: Unsubscribe) -> Result<RequestId, RequestError> {
        let _ = unsubscribe;
        Err(RequestError::NotConnected)
    }

    /// Acknowledges a message of QoS 1 or 2 ([`Delivery::serial`](super::Delivery::serial)): from
    /// now on it is the application's. A reason that is a failure tells the server that it was not
    /// taken (MQTT 5).
    ///
    /// # Errors
    /// [`RequestError::UnknownSerial`] where no such message waits.
    pub fn acknowledge(&mut self, serial: u64, reason: PublishReason) -> Result<(), RequestError> {
        let _ = (serial, reason);
        Err(RequestError::UnknownSerial)
    }

    /// Answers an [`Event::Challenge`](super::Event::Challenge) with the method's data.
    ///
    /// # Errors
    /// Where no challenge waits.
    pub fn authenticate(&mut self, data: Option<Bytes>) -> Result<(), RequestError> {
        let _ = data;
        Err(RequestError::NotConnected)
    }

    /// Authenticates again on this connection, with the method that it began with (MQTT 5,
    /// section 4.12.1).
    ///
    /// # Errors
    /// Where not connected, or the connection was begun without a method.
    pub fn reauthenticate(&mut self, data: Option<Bytes>) -> Result<RequestId, RequestError> {
        let _ = data;
        Err(RequestError::NotConnected)
    }

    /// Ends the connection, with these words. Afterwards comes
    /// [`SessionEvent::DisconnectDone`].
    ///
    /// # Errors
    /// Where the server must not be told this.
    pub fn disconnect(&mut self, disconnect: Disconnect) -> Result<(), RequestError> {
        let _ = disconnect;
        Ok(())
    }

    /// The batch is durable: what waited for it goes on.
    pub fn stored(&mut self, id: StoreId) {
        let _ = id;
    }
}

impl StreamCore for Session {
    type Event = SessionEvent;
    type Error = SessionError;

    fn receive(&mut self, _now: Instant, _bytes: &[u8]) -> Result<(), SessionError> {
        Ok(())
    }

    fn receive_end(&mut self, _now: Instant) -> Result<(), SessionError> {
        Err(SessionError::Ended)
    }

    fn transmit(&mut self, _now: Instant, _out: &mut Vec<u8>) {}

    fn poll_event(&mut self) -> Option<SessionEvent> {
        self.events.pop_front()
    }
}
