//! Records: what a session keeps in a store, and how it is written.
//!
//! A record's key begins with a letter; numbers are big-endian.
//!
//! | key | value |
//! |---|---|
//! | `m` | the format's version, 1 (u8); whether the server may have a session (0 or 1); a serial that is larger than any that was given (u64); the client identifier that the server assigned (the rest; empty for none) |
//! | `o`, number (u64) | an outgoing message, as a PUBLISH of MQTT 5 with the packet identifier 1 |
//! | `p`, number (u64) | its packet identifier (u16); 0 where it has not been released, otherwise the place among those that have (u64). The message is deleted when it is released. |
//! | `i`, packet identifier (u16) | an incoming message: its serial (u64); 1 or 2, its quality of service, or 3 where PUBREC has told that it has arrived (u8) |
//! | `q` | how many messages were ever taken to be sent with QoS 1 or 2 (u64) |
//! | `s`, number (u32) | a subscription: whether the server is known to have it (0 or 1); its options, as in SUBSCRIBE (u8); its identifier, 0 for none (u32); its filter (the rest) |

use std::num::NonZeroU16;

use bytes::BytesMut;
use jackfield_socket::sorted::{SortedMap, SortedSet};

use super::Message;
use super::incoming::{Held, Incoming};
use super::subscriptions::Subscription;
use crate::codec::{
    Decoder, Encoder, Packet, PacketId, PropertiesRef, PublishRef, QoS, RetainHandling,
    SubscribeOptions, SubscriptionId, Text, TopicFilter, Version,
};
use crate::error::RestoreError;

const FORMAT: u8 = 1;
/// Stored messages all have this packet identifier; their own is elsewhere.
const ANY_ID: PacketId = NonZeroU16::MIN;

pub(super) fn meta_key() -> Vec<u8> {
    vec![b'm']
}

pub(super) fn meta(resumable: bool, serials: u64, client_id: Option<&Text>) -> Vec<u8> {
    let mut value = vec![FORMAT, resumable.into()];
    value.extend_from_slice(&serials.to_be_bytes());
    value.extend_from_slice(client_id.map_or("", Text::as_str).as_bytes());
    value
}

pub(super) fn message_key(number: u64) -> Vec<u8> {
    key(b'o', &number.to_be_bytes())
}

pub(super) fn message(message: &Message) -> Vec<u8> {
    let mut value = Vec::new();
    // It was checked when it was taken in.
    let _ = Encoder::new(Version::V5).publish(message.publish(Some(ANY_ID), false), &mut value);
    value
}

pub(super) fn flight_key(number: u64) -> Vec<u8> {
    key(b'p', &number.to_be_bytes())
}

pub(super) fn flight(packet_id: PacketId, released: u64) -> Vec<u8> {
    let mut value = packet_id.get().to_be_bytes().to_vec();
    value.extend_from_slice(&released.to_be_bytes());
    value
}

pub(super) fn published_key() -> Vec<u8> {
    vec![b'q']
}

pub(super) fn published(count: u64) -> Vec<u8> {
    count.to_be_bytes().to_vec()
}

pub(super) fn incoming_key(packet_id: PacketId) -> Vec<u8> {
    key(b'i', &packet_id.get().to_be_bytes())
}

pub(super) fn incoming(incoming: &Incoming) -> Vec<u8> {
    let mut value = incoming.serial.to_be_bytes().to_vec();
    value.push(match incoming.held {
        Held::Received => incoming.qos as u8,
        Held::Recorded => 3,
    });
    value
}

pub(super) fn subscription_key(number: u32) -> Vec<u8> {
    key(b's', &number.to_be_bytes())
}

pub(super) fn subscription(filter: &TopicFilter, subscription: &Subscription) -> Vec<u8> {
    let id = subscription.id.map_or(0, SubscriptionId::get);
    let mut value = vec![
        subscription.confirmed.into(),
        subscription.options.to_byte(),
    ];
    value.extend_from_slice(&id.to_be_bytes());
    value.extend_from_slice(filter.as_bytes());
    value
}

fn key(kind: u8, number: &[u8]) -> Vec<u8> {
    let mut key = vec![kind];
    key.extend_from_slice(number);
    key
}

/// What the records say, checked.
#[derive(Default)]
pub(super) struct Restored {
    pub(super) serials: Option<u64>,
    pub(super) resumable: bool,
    pub(super) client_id: Option<Text>,
    pub(super) published: u64,
    pub(super) outgoing: SortedMap<u64, Stored>,
    pub(super) incoming: SortedMap<PacketId, (u64, QoS, Held)>,
    pub(super) subscriptions: SortedMap<u32, (TopicFilter, Subscription)>,
}

/// An outgoing message.
#[derive(Default)]
pub(super) struct Stored {
    pub(super) message: Option<Message>,
    /// Packet identifier, and when it was released.
    pub(super) flight: Option<(PacketId, u64)>,
}

impl Restored {
    pub(super) fn read(
        records: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>,
    ) -> Result<Self, RestoreError> {
        let mut restored = Self::default();
        for (key, value) in records {
            restored.record(&key, &value).ok_or_else(|| {
                RestoreError(format!(
                    "the record `{}` of an MQTT session is unknown or damaged",
                    key.escape_ascii()
                ))
            })?;
        }
        // It is written when the first connection stands. Before, there are only messages that wait.
        let never_connected = restored.outgoing.values().all(|kept| kept.flight.is_none())
            && restored.incoming.is_empty()
            && restored.subscriptions.is_empty();
        if restored.serials.is_none() && !never_connected {
            return Err(RestoreError(
                "the first record of an MQTT session is missing".into(),
            ));
        }
        restored.check()?;
        Ok(restored)
    }

    fn record(&mut self, key: &[u8], value: &[u8]) -> Option<()> {
        let (kind, number) = key.split_first()?;
        match kind {
            b'm' if number.is_empty() => {
                let ([format, resumable], value) = value.split_first_chunk()?;
                if *format != FORMAT {
                    return None;
                }
                self.resumable = *resumable == 1;
                let (serials, client_id) = value.split_first_chunk()?;
                self.serials = Some(u64::from_be_bytes(*serials));
                let client_id = Text::new(str::from_utf8(client_id).ok()?).ok()?;
                self.client_id = Some(client_id).filter(|id| !id.is_empty());
            }
            b'o' => {
                let number = u64::from_be_bytes(number.try_into().ok()?);
                let stored = self.outgoing.get_or_insert_with(&number, Stored::default);
                stored.message = Some(read_message(value)?);
            }
            b'p' => {
                let number = u64::from_be_bytes(number.try_into().ok()?);
                let (packet_id, released) = value.split_first_chunk()?;
                let packet_id = NonZeroU16::new(u16::from_be_bytes(*packet_id))?;
                let released = u64::from_be_bytes(released.try_into().ok()?);
                let stored = self.outgoing.get_or_insert_with(&number, Stored::default);
                stored.flight = Some((packet_id, released));
            }
            b'i' => {
                let packet_id = NonZeroU16::new(u16::from_be_bytes(number.try_into().ok()?))?;
                let (serial, state) = value.split_first_chunk()?;
                let (qos, held) = match state {
                    [1] => (QoS::AtLeastOnce, Held::Received),
                    [2] => (QoS::ExactlyOnce, Held::Received),
                    [3] => (QoS::ExactlyOnce, Held::Recorded),
                    _ => return None,
                };
                let serial = u64::from_be_bytes(*serial);
                self.incoming.insert(packet_id, (serial, qos, held));
            }
            b'q' if number.is_empty() => {
                self.published = u64::from_be_bytes(value.try_into().ok()?);
            }
            b's' => {
                let number = u32::from_be_bytes(number.try_into().ok()?);
                let ([confirmed, options], value) = value.split_first_chunk()?;
                let (id, filter) = value.split_first_chunk()?;
                let id = match u32::from_be_bytes(*id) {
                    0 => None,
                    id => Some(SubscriptionId::new(id).ok()?),
                };
                let filter = TopicFilter::new(str::from_utf8(filter).ok()?).ok()?;
                let subscription = Subscription {
                    number,
                    options: SubscribeOptions::from_byte(*options)?,
                    id,
                    confirmed: *confirmed == 1,
                };
                self.subscriptions.insert(number, (filter, subscription));
            }
            _ => return None,
        }
        Some(())
    }

    /// What belongs together is together.
    fn check(&self) -> Result<(), RestoreError> {
        let mut packet_ids = SortedSet::new();
        for stored in self.outgoing.values() {
            let sound = match (&stored.message, stored.flight) {
                (Some(_), Some((id, 0))) => packet_ids.insert(id),
                (None, Some((id, released))) => released > 0 && packet_ids.insert(id),
                (Some(_), None) => true,
                // Released, and not yet forgotten: a store that makes batches whole has none.
                _ => false,
            };
            if !sound {
                return Err(RestoreError(
                    "two records of an MQTT session contradict each other".into(),
                ));
            }
        }
        let serials = self.serials.unwrap_or_default();
        if self
            .incoming
            .values()
            .any(|(serial, ..)| *serial >= serials)
        {
            return Err(RestoreError(
                "a record of an MQTT session has a serial from the future".into(),
            ));
        }
        Ok(())
    }
}

fn read_message(value: &[u8]) -> Option<Message> {
    let mut bytes = BytesMut::from(value);
    let packet = Decoder::new(Version::V5)
        .decode_of_server(&mut bytes)
        .ok()??;
    let Packet::Publish(publish) = packet else {
        return None;
    };
    let plain = publish.packet_id == Some(ANY_ID)
        && publish.topic_alias.is_none()
        && publish.subscription_ids.is_empty();
    if !plain || !bytes.is_empty() {
        return None;
    }
    Some(Message {
        topic: publish.topic?,
        payload: publish.payload,
        qos: publish.qos,
        retain: publish.retain,
        properties: publish.properties.map(|of| *of).unwrap_or_default(),
    })
}

impl Message {
    /// As it is sent.
    pub(super) fn publish(&self, packet_id: Option<PacketId>, dup: bool) -> PublishRef<'_> {
        PublishRef {
            dup,
            qos: self.qos,
            retain: self.retain,
            topic: self.topic.as_bytes(),
            packet_id,
            properties: PropertiesRef {
                topic_alias: None,
                subscription_ids: &[],
                of_message: Some(&self.properties),
            },
            payload: &self.payload,
        }
    }

    /// What it counts in [`Limits::max_queued_bytes`](super::Limits::max_queued_bytes).
    pub(super) fn size(&self) -> usize {
        self.publish(None, false).encoded_length(Version::V5)
    }
}

impl SubscribeOptions {
    pub(super) fn from_byte(byte: u8) -> Option<Self> {
        Some(Self {
            qos: QoS::from_u8(byte & 3)?,
            no_local: byte & 4 != 0,
            retain_as_published: byte & 8 != 0,
            retain_handling: match byte >> 4 {
                0 => RetainHandling::Send,
                1 => RetainHandling::SendIfNew,
                2 => RetainHandling::DoNotSend,
                _ => return None,
            },
        })
    }
}
