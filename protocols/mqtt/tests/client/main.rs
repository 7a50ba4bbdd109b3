//! The client against a server in the test's hand, under a clock that stands still.

mod broker;
mod connecting;
mod publishing;
mod receiving;

use jackfield_mqtt::codec::{QoS, SubscribeOptions};
use jackfield_mqtt::core::Message;

fn message(payload: &str) -> Message {
    Message::new("a/b".parse().expect("a topic"), payload.to_owned()).qos(QoS::AtLeastOnce)
}

fn twice() -> SubscribeOptions {
    SubscribeOptions::qos(QoS::ExactlyOnce)
}
