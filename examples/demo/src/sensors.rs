//! Sensors that publish to the broker: a greenhouse that is always there, and a garage that is gone
//! now and then without a word, so that the broker publishes its last will. Jackfield's own client,
//! natively. And the weather in the hall, for the CoAP device.

use std::f64::consts::TAU;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use jackfield_mqtt::client::{self, Client, ClientConfig, Connection, Events};
use jackfield_mqtt::codec::{QoS, SubscribeOptions, Will};
use jackfield_mqtt::core::{ConnectOptions, Message};
use jackfield_native::Native;
use jackfield_socket::Endpoint;
use jackfield_testing::coap_device::Device;
use jackfield_tls::{Certificates, Tls, TlsConfig, TlsConnector};
use serde_json::json;
use tokio::time::{Instant, interval, timeout_at};

/// How often something is measured.
const EVERY: Duration = Duration::from_secs(1);
/// For how long the garage is there, and for how long it is gone.
const THERE: Duration = Duration::from_secs(90);
const GONE: Duration = Duration::from_secs(30);

/// Where the broker is, and whom it has to prove to be.
#[derive(Clone, Debug)]
pub(crate) struct Broker {
    pub(crate) server: Endpoint,
    pub(crate) roots: String,
}

/// Runs until the connection is lost for good.
pub(crate) async fn greenhouse(broker: Broker) -> Result<()> {
    let (client, events, connection) = broker.connect("greenhouse")?;
    let connection = tokio::spawn(connection);
    tokio::spawn(drain(events));
    let switch = tokio::spawn(light(client.clone()));
    let notice = Message::new(
        "greenhouse/notice".parse()?,
        "The vents open by themselves at 26 °C.",
    );
    client
        .publish(notice.qos(QoS::AtLeastOnce).retained())
        .await?;
    let mut ticks = interval(EVERY);
    while !connection.is_finished() && !switch.is_finished() {
        ticks.tick().await;
        client
            .publish(wave("greenhouse/temperature", "°C", 22.0, 2.5, 110.0)?)
            .await?;
        client
            .publish(wave("greenhouse/humidity", "%", 61.0, 7.0, 170.0)?)
            .await?;
    }
    switch.await??;
    connection.await?.context("the greenhouse lost its broker")
}

/// Comes, and goes without a word, until this is dropped.
pub(crate) async fn garage(broker: Broker) -> Result<()> {
    loop {
        let (client, events, connection) = broker.connect("garage")?;
        let connection = tokio::spawn(connection);
        tokio::spawn(drain(events));
        let until = Instant::now() + THERE;
        let mut ticks = interval(EVERY * 2);
        client.publish(state("garage/door", "closed")?).await?;
        while timeout_at(until, ticks.tick()).await.is_ok() {
            let charge = wave("garage/charging", "W", 7400.0, 350.0, 45.0)?;
            client.publish(charge.retained()).await?;
        }
        // Not told to the broker, which therefore tells all others.
        connection.abort();
        tokio::time::sleep(GONE).await;
    }
}

/// Measures the temperature of the hall, until this is dropped.
pub(crate) async fn hall(device: Arc<Device>) {
    let mut ticks = interval(EVERY);
    let begin = Instant::now();
    loop {
        let phase = (ticks.tick().await - begin).as_secs_f64() / 80.0 * TAU;
        device.measure(19.5 + 1.2 * (phase.sin() + 0.1 * (phase * 6.1).sin()));
    }
}

/// A light that does what it is told, and says so.
async fn light(client: Client) -> Result<()> {
    let options = SubscribeOptions::qos(QoS::AtLeastOnce);
    let mut orders = client
        .messages("greenhouse/light/set".parse()?, options)
        .await?;
    client.publish(state("greenhouse/light", "off")?).await?;
    while let Some(order) = orders.next().await {
        if let Ok(word @ ("on" | "off")) = std::str::from_utf8(&order.message.payload) {
            client.publish(state("greenhouse/light", word)?).await?;
        }
    }
    Ok(())
}

impl Broker {
    /// As this node, whose status the broker knows.
    fn connect(&self, node: &str) -> Result<(Client, Events, Connection)> {
        let tls = TlsConfig::new().with_roots(Certificates::from_pem(self.roots.as_bytes())?);
        let network = Tls::new(Native, TlsConnector::new(tls)?);
        let mut connect = ConnectOptions::new(node.parse()?);
        let mut will = Will::new(format!("{node}/status").parse()?, "offline");
        will.qos = QoS::AtLeastOnce;
        will.retain = true;
        connect.will = Some(will);
        connect.keep_alive = 5;
        let config = ClientConfig::new(connect);
        let (client, events, connection) = client::connect(network, self.server.clone(), config);
        let online = state(&format!("{node}/status"), "online")?;
        let told = client.clone();
        tokio::spawn(async move { told.publish(online).await });
        Ok((client, events, connection))
    }
}

/// Reads events, as somebody must.
async fn drain(mut events: Events) {
    while events.next().await.is_some() {}
}

/// Something that is known until it changes.
fn state(topic: &str, word: &str) -> Result<Message> {
    let message = Message::new(topic.parse()?, word.to_owned());
    Ok(message.qos(QoS::AtLeastOnce).retained())
}

/// A measurement that goes up and down over so many seconds.
fn wave(topic: &str, unit: &str, middle: f64, width: f64, period: f64) -> Result<Message> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let phase = now.as_secs_f64() / period * TAU;
    let value = middle + width * (phase.sin() + 0.12 * (phase * 7.3).sin());
    let payload = json!({
        "value": (value * 10.0).round() / 10.0,
        "unit": unit,
        "time": u64::try_from(now.as_millis())?,
    });
    let message = Message::new(topic.parse()?, payload.to_string());
    Ok(message.qos(QoS::AtLeastOnce))
}
