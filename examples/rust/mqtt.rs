//! Subscribes to the lamps of a house, switches one on, and prints what was heard of it.
//!
//! ```console
//! cargo run --example mqtt                             # with a broker at 127.0.0.1:1883
//! cargo run --example mqtt -- broker.example.org:1883  # with another
//! ```
//!
//! On Debian, `apt-get install mosquitto` is such a broker.

#![expect(clippy::print_stdout, reason = "it is there to be watched")]

use std::error::Error;

use jackfield::mqtt::client::{self, ClientEvent, Status};
use jackfield::mqtt::codec::{QoS, SubscribeOptions};
use jackfield::mqtt::core::{ConnectOptions, Message};
use jackfield::native::Native;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let broker = std::env::args().nth(1);
    let broker = broker.as_deref().unwrap_or("127.0.0.1:1883").parse()?;

    // Nothing happens until somebody runs the connection: here, a task of its own.
    let (client, mut events, connection) =
        client::connect(Native, broker, ConnectOptions::new("lamp-17".parse()?));
    tokio::spawn(connection);
    // A client waits for a broker that is not there. This says why, and then tries on.
    tokio::spawn(async move {
        while let Some(event) = events.next().await {
            if let ClientEvent::Status(Status::Disconnected { error, .. }) = event {
                eprintln!("{error}");
            }
        }
    });

    let options = SubscribeOptions::qos(QoS::AtLeastOnce);
    let mut states = client.messages("lamp/+/state".parse()?, options).await?;

    // Done when the broker has it.
    let on = Message::new("lamp/17/state".parse()?, "on").qos(QoS::AtLeastOnce);
    client.publish(on).await?;

    if let Some(state) = states.next().await {
        let message = state.message;
        println!("{}: {}", message.topic, message.payload.escape_ascii());
    }
    client.close().await;
    Ok(())
}
