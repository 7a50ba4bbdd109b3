//! `device FOLDER BROKER COUNT`: a process that publishes numbers with QoS 2, and writes down those
//! that it gets; it is made to be killed at any moment, and started again with the same folder.
//!
//! It keeps its session in the file `session`, and what it got in the file `received`, a line each:
//! the message's serial and its payload. When it has subscribed, it makes the file `ready`.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use jackfield_mqtt::client::{Acknowledge, Client, ClientEvent, Events, Publication, connect};
use jackfield_mqtt::codec::{PublishReason, QoS, SubscribeOptions, Version};
use jackfield_mqtt::core::{Delivery, Event, Message, SubscribeRequest};
use jackfield_native::Native;
use jackfield_server_tests::mqtt::{FROM, TO, UNDER_WAY, at, config};
use jackfield_store::FileStore;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut argument = || arguments.next().context("an argument is missing");
    let folder = PathBuf::from(argument()?);
    let broker = argument()?.parse()?;
    let count = argument()?.parse()?;

    let mut config = config("device", Version::V5);
    config.acknowledge = Acknowledge::ByHand;
    let config = config.with_store(FileStore::open(folder.join("session")).await?);
    let (client, events, connection) = connect(Native, at(broker), config);
    tokio::select! {
        ended = connection => Ok(ended?),
        failed = receive(&client, events, &folder) => failed,
        failed = publish(&client, &folder, count) => failed,
    }
}

/// Publishes what the session has not been given yet.
async fn publish(client: &Client, folder: &Path, count: u64) -> Result<()> {
    let subscribe = SubscribeRequest::new(TO.parse()?, SubscribeOptions::default());
    client.subscribe(subscribe).await?;
    fs::write(folder.join("ready"), "")?;
    let mut under_way: VecDeque<Publication> = VecDeque::new();
    for number in client.published().await?..count {
        if under_way.len() == UNDER_WAY
            && let Some(oldest) = under_way.pop_front()
        {
            oldest.await?;
        }
        let message = Message::new(FROM.parse()?, number.to_string());
        under_way.push_back(client.enqueue(message.qos(QoS::ExactlyOnce)).await?);
    }
    for publication in under_way {
        publication.await?;
    }
    std::future::pending().await
}

/// Writes down what comes, unless it is there already, and only then acknowledges it.
async fn receive(client: &Client, mut events: Events, folder: &Path) -> Result<()> {
    let path = folder.join("received");
    let mut last = None;
    if let Ok(file) = File::open(&path) {
        for line in BufReader::new(file).lines() {
            let line = line?;
            let (serial, _) = line.split_once(' ').context("a line is torn")?;
            last = Some(serial.parse()?);
        }
    }
    let mut received = OpenOptions::new().create(true).append(true).open(&path)?;
    while let Some(event) = events.next().await {
        let ClientEvent::Event(Event::Message(delivery)) = event else {
            continue;
        };
        let Delivery {
            serial: Some(serial),
            message,
            ..
        } = delivery
        else {
            bail!("a message of QoS 0");
        };
        if last < Some(serial) {
            let payload = std::str::from_utf8(&message.payload)?;
            // One call, so that a line is there or not: only the process is killed, not the system.
            received.write_all(format!("{serial} {payload}\n").as_bytes())?;
            last = Some(serial);
        }
        // In order, but without waiting until each is durable.
        client.acknowledge(serial, PublishReason::Success).await?;
    }
    bail!("the client has ended")
}
