//! An MQTT client over any [`TcpConnect`].
//!
//! [`connect`] gives three things: a [`Client`] to act with, [`Events`] to read, and a
//! [`Connection`], a future that does the work. It is the caller who runs it, with whatever spawns
//! futures there; nothing happens while nobody polls it. It connects, and connects again when the
//! connection is lost, until it is closed or finds that trying again can't help. The session
//! outlives its connections: what is published or subscribed meanwhile waits, what was in flight is
//! sent again, and subscriptions are made again where the server has lost them.
//!
//! TLS comes by wrapping the network: `jackfield_tls::Tls` is a `TcpConnect` too, and so is
//! `MqttWebSockets`, with the feature `websocket`. An [`Address`] is all of it in one string.
//!
//! ```no_run
//! use jackfield_mqtt::client;
//! use jackfield_mqtt::codec::{QoS, SubscribeOptions};
//! use jackfield_mqtt::core::{ConnectOptions, Message};
//! use jackfield_socket::TcpConnect;
//!
//! async fn lamp(network: impl TcpConnect) -> Result<(), Box<dyn std::error::Error>> {
//!     let server = "mqtt.example.org:8883".parse()?;
//!     let connect = ConnectOptions::new("lamp-17".parse()?);
//!     let (client, _, connection) = client::connect(network, server, connect);
//!     tokio::spawn(connection);
//!
//!     let on = Message::new("lamp/17/state".parse()?, "on").qos(QoS::AtLeastOnce).retained();
//!     client.publish(on).await?;
//!
//!     let options = SubscribeOptions::qos(QoS::ExactlyOnce);
//!     let mut orders = client.messages("lamp/17/set".parse()?, options).await?;
//!     while let Some(order) = orders.next().await {
//!         println!("{:?}", order.message.payload);
//!     }
//!     Ok(())
//! }
//! # fn main() {}
//! ```
//!
//! # Delivery
//! With QoS 1 and 2 a message is acknowledged when the application has taken it, or, with
//! [`Acknowledge::ByHand`], when it says so. With a [store](ClientConfig::with_store) that holds
//! beyond the end of the process, in both directions. A message that the application had taken but
//! not acknowledged comes again after a restart, with the same
//! [`serial`](crate::core::Delivery::serial).
//!
//! [`TcpConnect`]: jackfield_socket::TcpConnect

mod action;
mod address;
mod config;
mod connection;
mod event;
mod handle;
mod requester;
mod routes;
mod subscription;
#[cfg(feature = "websocket")]
mod websocket;

pub use address::{Address, Scheme};
pub use config::{Acknowledge, ClientConfig};
pub use connection::connect;
pub use event::{ClientEvent, Connection, ConnectionError, Events, Status, Statuses};
pub use handle::{Client, Publication};
pub use jackfield_client::{Options, Reconnect};
pub use requester::Requester;
pub use subscription::Subscription;
#[cfg(feature = "websocket")]
pub use websocket::MqttWebSockets;
