//! Things that speak MQTT, for pages to watch and to switch: Jackfield's own client, natively.

use std::net::SocketAddr;

use jackfield_mqtt::client::{self, Client, ClientConfig, Connection, Events, Subscription};
use jackfield_mqtt::codec::{QoS, SubscribeOptions, Will};
use jackfield_mqtt::core::{ConnectOptions, Message};
use jackfield_native::Native;
use tokio::task::JoinHandle;

/// A thing, whose status the broker knows: `online` at `NAME/status`, and `offline` once it is gone
/// without a word.
#[derive(Debug)]
pub struct Thing {
    client: Client,
    running: JoinHandle<<Connection as Future>::Output>,
}

impl Thing {
    /// Connects to a broker, without TLS, and waits until its status is known there.
    ///
    /// # Panics
    /// Where the broker doesn't take it, as all methods.
    pub async fn start(broker: SocketAddr, name: &str) -> Self {
        let status = format!("{name}/status");
        let mut will = Will::new(status.parse().expect("a topic"), "offline");
        will.qos = QoS::AtLeastOnce;
        will.retain = true;
        let mut connect = ConnectOptions::new(name.parse().expect("a name"));
        connect.will = Some(will);
        let (client, events, connection) =
            client::connect(Native, broker.into(), ClientConfig::new(connect));
        let running = tokio::spawn(connection);
        tokio::spawn(drain(events));
        let thing = Self { client, running };
        thing.keep(&status, "online").await;
        thing
    }

    /// Publishes something, and waits until the broker has it.
    pub async fn publish(&self, topic: &str, payload: impl Into<Vec<u8>>) {
        let message = Message::new(topic.parse().expect("a topic"), payload.into());
        let taken = self.client.publish(message.qos(QoS::AtLeastOnce)).await;
        taken.expect("taken");
    }

    /// The same, to be kept for those who come later.
    pub async fn keep(&self, topic: &str, payload: &str) {
        let message = Message::new(topic.parse().expect("a topic"), payload.to_owned());
        let message = message.qos(QoS::AtLeastOnce).retained();
        self.client.publish(message).await.expect("taken");
    }

    /// What others publish to this topic.
    pub async fn orders(&self, topic: &str) -> Orders {
        let options = SubscribeOptions::qos(QoS::AtLeastOnce);
        let filter = topic.parse().expect("a filter");
        Orders(self.client.messages(filter, options).await.expect("agreed"))
    }

    /// Is gone without a word.
    pub fn die(self) {
        self.running.abort();
    }
}

/// What a thing is told.
#[derive(Debug)]
pub struct Orders(Subscription);

impl Orders {
    /// The next order, as text.
    ///
    /// # Panics
    /// Where none comes any more.
    pub async fn next(&mut self) -> String {
        let order = self.0.next().await.expect("an order");
        String::from_utf8(order.message.payload.to_vec()).expect("a text")
    }
}

async fn drain(mut events: Events) {
    while events.next().await.is_some() {}
}
