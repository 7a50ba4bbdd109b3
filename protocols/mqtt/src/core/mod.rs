//! The client's side of MQTT as a state machine, without clock and socket.
//!
//! A [`Session`] outlives connections: it is connected, disconnected and connected again, and keeps
//! what the specification calls session state (MQTT 5, section 4.1) and the messages that wait to be
//! sent.

mod config;
mod event;
mod request;
mod session;

pub use config::{Config, Limits, QueuePolicy};
pub use event::{Challenge, Delivery, Event, Server, SessionEvent};
pub use request::{
    Acknowledged, Connect, Message, Reply, RequestId, Subscribe, Subscribed, Unsubscribe,
    Unsubscribed,
};
pub use session::{Batch, Change, Session, StoreId};
