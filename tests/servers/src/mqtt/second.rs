//! A second MQTT client beside ours, of another hand: rumqttc, MQTT 3.1.1 and 5.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use rumqttc::{mqttbytes, v5};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

pub use rumqttc::v5::mqttbytes::QoS;
pub use rumqttc::v5::mqttbytes::v5::PublishProperties;

use crate::LONG;

/// How many requests may wait in it, and how many messages may be under way.
const REQUESTS: u16 = 100;
/// The largest packet, both ways.
const PACKET: u32 = 1 << 20;
const KEEP_ALIVE: Duration = Duration::from_mins(1);

/// A connected client, until it is dropped.
#[derive(Debug)]
pub struct Second {
    handle: Handle,
    events: mpsc::UnboundedReceiver<SecondEvent>,
    passed_over: VecDeque<SecondEvent>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
enum Handle {
    V3(rumqttc::AsyncClient),
    V5(v5::AsyncClient),
}

/// What happened to it.
#[derive(Clone, Debug, PartialEq)]
pub enum SecondEvent {
    /// The broker has let it in.
    Connected,
    /// A message came.
    Message(Box<Received>),
    /// A message of its own was taken: PUBACK, or PUBCOMP.
    Taken,
    /// The broker has answered SUBSCRIBE.
    Subscribed,
    /// The broker has answered UNSUBSCRIBE.
    Unsubscribed,
}

/// A message that came.
#[derive(Clone, Debug, PartialEq)]
pub struct Received {
    /// The topic.
    pub topic: String,
    /// The payload.
    pub payload: Bytes,
    /// The quality of service.
    pub qos: QoS,
    /// Whether it was kept for those who subscribe later.
    pub retain: bool,
    /// MQTT 5's properties.
    pub properties: PublishProperties,
}

impl Second {
    /// Connects with MQTT 3.1.1.
    pub async fn v3(broker: SocketAddr, id: &str) -> Self {
        let mut options = rumqttc::MqttOptions::new(id, broker.ip().to_string(), broker.port());
        options
            .set_keep_alive(KEEP_ALIVE)
            .set_max_packet_size(PACKET as usize, PACKET as usize)
            .set_inflight(REQUESTS);
        let (client, mut event_loop) = rumqttc::AsyncClient::new(options, REQUESTS.into());
        let (tell, events) = mpsc::unbounded_channel();
        let task = tokio::spawn(async move {
            use mqttbytes::v4::Packet;
            use rumqttc::Event;
            loop {
                let event = event_loop.poll().await.expect("the second client goes on");
                let event = match event {
                    Event::Incoming(Packet::ConnAck(_)) => SecondEvent::Connected,
                    Event::Incoming(Packet::SubAck(_)) => SecondEvent::Subscribed,
                    Event::Incoming(Packet::UnsubAck(_)) => SecondEvent::Unsubscribed,
                    Event::Incoming(Packet::PubAck(_) | Packet::PubComp(_)) => SecondEvent::Taken,
                    Event::Incoming(Packet::Publish(publish)) => {
                        SecondEvent::Message(Box::new(Received {
                            topic: publish.topic,
                            payload: publish.payload,
                            qos: match publish.qos {
                                mqttbytes::QoS::AtMostOnce => QoS::AtMostOnce,
                                mqttbytes::QoS::AtLeastOnce => QoS::AtLeastOnce,
                                mqttbytes::QoS::ExactlyOnce => QoS::ExactlyOnce,
                            },
                            retain: publish.retain,
                            properties: PublishProperties::default(),
                        }))
                    }
                    _ => continue,
                };
                if tell.send(event).is_err() {
                    return;
                }
            }
        });
        Self::connected(Handle::V3(client), events, task).await
    }

    /// Connects with MQTT 5.
    pub async fn v5(broker: SocketAddr, id: &str) -> Self {
        let mut options = v5::MqttOptions::new(id, broker.ip().to_string(), broker.port());
        options
            .set_keep_alive(KEEP_ALIVE)
            .set_max_packet_size(Some(PACKET))
            .set_outgoing_inflight_upper_limit(REQUESTS);
        let (client, mut event_loop) = v5::AsyncClient::new(options, REQUESTS.into());
        let (tell, events) = mpsc::unbounded_channel();
        let task = tokio::spawn(async move {
            use v5::Event;
            use v5::mqttbytes::v5::Packet;
            loop {
                let event = event_loop.poll().await.expect("the second client goes on");
                let event = match event {
                    Event::Incoming(Packet::ConnAck(_)) => SecondEvent::Connected,
                    Event::Incoming(Packet::SubAck(_)) => SecondEvent::Subscribed,
                    Event::Incoming(Packet::UnsubAck(_)) => SecondEvent::Unsubscribed,
                    Event::Incoming(Packet::PubAck(_) | Packet::PubComp(_)) => SecondEvent::Taken,
                    Event::Incoming(Packet::Publish(publish)) => {
                        SecondEvent::Message(Box::new(Received {
                            topic: String::from_utf8_lossy(&publish.topic).into_owned(),
                            payload: publish.payload,
                            qos: publish.qos,
                            retain: publish.retain,
                            properties: publish.properties.unwrap_or_default(),
                        }))
                    }
                    _ => continue,
                };
                if tell.send(event).is_err() {
                    return;
                }
            }
        });
        Self::connected(Handle::V5(client), events, task).await
    }

    async fn connected(
        handle: Handle,
        events: mpsc::UnboundedReceiver<SecondEvent>,
        task: JoinHandle<()>,
    ) -> Self {
        let mut second = Self {
            handle,
            events,
            passed_over: VecDeque::new(),
            task,
        };
        let connected = |event: &_| *event == SecondEvent::Connected;
        second.wait("to be let in", connected).await;
        second
    }

    /// Subscribes, and waits until that stands.
    pub async fn subscribe(&mut self, filter: &str, qos: QoS) {
        match &self.handle {
            Handle::V3(client) => client.subscribe(filter, older(qos)).await.expect("asked"),
            Handle::V5(client) => client.subscribe(filter, qos).await.expect("asked"),
        }
        let subscribed = |event: &_| *event == SecondEvent::Subscribed;
        self.wait("to be subscribed", subscribed).await;
    }

    /// Unsubscribes, and waits until that stands.
    pub async fn unsubscribe(&mut self, filter: &str) {
        match &self.handle {
            Handle::V3(client) => client.unsubscribe(filter).await.expect("asked"),
            Handle::V5(client) => client.unsubscribe(filter).await.expect("asked"),
        }
        let unsubscribed = |event: &_| *event == SecondEvent::Unsubscribed;
        self.wait("to be unsubscribed", unsubscribed).await;
    }

    /// Publishes, and waits until the broker has taken it (QoS 1 and 2).
    pub async fn publish(
        &mut self,
        topic: &str,
        qos: QoS,
        retain: bool,
        payload: impl Into<Bytes>,
    ) {
        self.send(topic, qos, retain, payload).await;
        if qos != QoS::AtMostOnce {
            self.taken().await;
        }
    }

    /// Publishes, without waiting for anything.
    pub async fn send(&self, topic: &str, qos: QoS, retain: bool, payload: impl Into<Bytes>) {
        let payload = payload.into();
        match &self.handle {
            Handle::V3(client) => {
                let sent = client.publish(topic, older(qos), retain, payload).await;
                sent.expect("asked");
            }
            Handle::V5(client) => {
                let sent = client.publish(topic, qos, retain, payload).await;
                sent.expect("asked");
            }
        }
    }

    /// Publishes with properties and QoS 1 or 2, and waits until it is taken; MQTT 5 only.
    pub async fn publish_with(
        &mut self,
        topic: &str,
        qos: QoS,
        payload: impl Into<Bytes>,
        properties: PublishProperties,
    ) {
        let Handle::V5(client) = &self.handle else {
            panic!("MQTT 3.1.1 has no properties");
        };
        let sent = client
            .publish_with_properties(topic, qos, false, payload.into(), properties)
            .await;
        sent.expect("asked");
        self.taken().await;
    }

    /// The next message.
    pub async fn message(&mut self) -> Received {
        let message = self.wait("for a message", |event| {
            matches!(event, SecondEvent::Message(_))
        });
        match message.await {
            SecondEvent::Message(message) => *message,
            other => panic!("{other:?}"),
        }
    }

    /// Waits until a message that it [sent](Self::send) with QoS 1 or 2 was taken.
    pub async fn taken(&mut self) {
        let taken = |event: &_| *event == SecondEvent::Taken;
        self.wait("for an acknowledgement", taken).await;
    }

    /// The first event of this kind that was not looked at yet; others wait.
    async fn wait(&mut self, what: &str, wanted: impl Fn(&SecondEvent) -> bool) -> SecondEvent {
        let found = self.passed_over.iter().position(&wanted);
        if let Some(event) = found.and_then(|place| self.passed_over.remove(place)) {
            return event;
        }
        let search = async {
            while let Some(event) = self.events.recv().await {
                if wanted(&event) {
                    return event;
                }
                self.passed_over.push_back(event);
            }
            panic!("the second client has ended");
        };
        let event = timeout(LONG, search).await;
        event.unwrap_or_else(|_| panic!("the second client waits in vain {what}"))
    }
}

impl Drop for Second {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn older(qos: QoS) -> mqttbytes::QoS {
    match qos {
        QoS::AtMostOnce => mqttbytes::QoS::AtMostOnce,
        QoS::AtLeastOnce => mqttbytes::QoS::AtLeastOnce,
        QoS::ExactlyOnce => mqttbytes::QoS::ExactlyOnce,
    }
}
