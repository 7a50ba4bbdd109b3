//! The client's side of MQTT as a state machine, without clock and socket.
//!
//! A [`Session`] outlives connections: it is connected, disconnected and connected again, and keeps
//! what the specification calls session state (MQTT 5, section 4.1) and the messages that wait to be
//! sent.

mod aliases;
mod checks;
mod config;
mod durable;
mod event;
mod incoming;
mod outgoing;
mod packet_ids;
mod receiving;
pub mod records;
mod request;
mod router;
mod sending;
mod session;
mod stream;
mod subscriptions;

pub use config::{Config, Limits, QueuePolicy};
pub use durable::StoreId;
pub use event::{Challenge, Delivery, Event, Server, SessionEvent};
pub use request::{
    Acknowledged, CleanStart, ConnectOptions, Message, Reply, RequestId, SubscribeRequest,
    Subscribed, UnsubscribeRequest, Unsubscribed,
};
pub use router::{Router, RouterFull};
pub use session::Session;
