//! An MQTT client, 3.1.1 and 5: codec, sans-IO core, and an async client over Jackfield's socket API.
//!
//! | module | what it is |
//! |---|---|
//! | [`client`] | the client: connects, keeps its session, comes back when cut |
//! | [`core`] | a session as a state machine that outlives connections: bytes and time in, bytes and events out |
//! | [`codec`] | packets, and what they are made of |
//!
//! # Example
//! On a simulated network; on a real one, only the network is another.
//!
//! ```
//! # use bytes::BytesMut;
//! # use jackfield_mqtt::codec::{ConnAck, ConnectReason, Decoder, Encoder, Packet, PubAck};
//! # use jackfield_mqtt::codec::{PublishReason, SubAck, SubscribeReason, Version};
//! # use jackfield_socket::{ListenOptions, TcpListen, TcpListener};
//! # use tokio::io::{AsyncReadExt, AsyncWriteExt};
//! use jackfield_mqtt::client;
//! use jackfield_mqtt::codec::{QoS, SubscribeOptions};
//! use jackfield_mqtt::core::{ConnectOptions, Message};
//!
//! # async fn serve(mut listener: jackfield_sim::SimListener) {
//! #     let mut stream = listener.accept().await.unwrap();
//! #     let (mut buffer, mut out) = (BytesMut::new(), Vec::new());
//! #     let (decoder, encoder) = (Decoder::new(Version::V5), Encoder::new(Version::V5));
//! #     while stream.read_buf(&mut buffer).await.is_ok_and(|count| count > 0) {
//! #         while let Some(packet) = decoder.decode(&mut buffer).unwrap() {
//! #             let (reason_string, user_properties) = (None, Vec::new());
//! #             let answers = match packet {
//! #                 Packet::Connect(_) => {
//! #                     let ack = ConnAck::new(false, ConnectReason::Success);
//! #                     vec![Packet::ConnAck(Box::new(ack))]
//! #                 }
//! #                 Packet::Subscribe(subscribe) => vec![Packet::SubAck(SubAck {
//! #                     packet_id: subscribe.packet_id,
//! #                     reasons: vec![SubscribeReason::GrantedQoS1],
//! #                     reason_string,
//! #                     user_properties,
//! #                 })],
//! #                 Packet::Publish(publish) => {
//! #                     let packet_id = publish.packet_id.unwrap();
//! #                     let reason = PublishReason::Success;
//! #                     let ack = PubAck { packet_id, reason, reason_string, user_properties };
//! #                     vec![Packet::Publish(publish), Packet::PubAck(ack)]
//! #                 }
//! #                 _ => Vec::new(),
//! #             };
//! #             for answer in &answers {
//! #                 encoder.encode(answer, &mut out).unwrap();
//! #             }
//! #             stream.write_all(&std::mem::take(&mut out)).await.unwrap();
//! #         }
//! #     }
//! # }
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let simulated = jackfield_sim::Network::new(7);
//! # let network = simulated.host("lamp.example", ["192.0.2.1".parse()?]);
//! # let there = simulated.host("broker.example", ["192.0.2.2".parse()?]);
//! # let listener = there.listen("192.0.2.2:1883".parse()?, &ListenOptions::default()).await?;
//! # tokio::spawn(serve(listener));
//! let server = "broker.example:1883".parse()?;
//! let connect = ConnectOptions::new("lamp-17".parse()?);
//! let (client, _, connection) = client::connect(network, server, connect);
//! tokio::spawn(connection);
//!
//! let options = SubscribeOptions::qos(QoS::AtLeastOnce);
//! let mut states = client.messages("lamp/+/state".parse()?, options).await?;
//!
//! let on = Message::new("lamp/17/state".parse()?, "on").qos(QoS::AtLeastOnce);
//! client.publish(on).await?;
//!
//! let state = states.next().await.expect("the client goes on");
//! assert_eq!(state.message.payload, "on");
//! client.close().await;
//! # Ok(())
//! # }
//! ```

pub mod client;
pub mod codec;
pub mod core;
mod error;
#[cfg(any(test, feature = "oracle"))]
pub mod oracle;

pub use error::{Refusal, RequestError, RestoreError, SessionError};
