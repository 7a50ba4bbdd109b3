//! The codec against those of others: rumqttc's, mqttbytes', from which that was made, and
//! mqtt-protocol-core's; on generated packets, and on what mutation makes of them.
//!
//! What one writes the other must read, field by field, and write back with the same meaning.
//! Wherever two disagree, [`KNOWN`] must say why; what it doesn't know fails the test, and so does
//! what it knows and nobody has seen.

#[path = "../common/mod.rs"]
mod common;
mod fields;
mod generate;
mod known;
mod protocol_core;
mod rumqtt;
#[path = "../common/packets.rs"]
mod vectors;

use std::collections::BTreeSet;
use std::panic::catch_unwind;

use bytes::BytesMut;
use fields::Fields;
use jackfield_mqtt::codec::{DecodeError, Decoder, Encoder, Packet, Version};
use known::{KNOWN, Known};

/// The largest packet, in bytes.
pub(crate) const MAX: u32 = 1 << 20;

/// What another library makes of a packet: what it reads, and what it writes of that; or why it
/// refuses it.
pub(crate) type Reading = Result<(Fields, Result<Vec<u8>, String>), String>;

/// Another library.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Peer {
    Rumqttc,
    Mqttbytes,
    /// mqtt-protocol-core.
    Core,
}

/// In what two libraries disagree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Disagreement {
    /// Only we read this packet.
    OnlyWeRead(&'static str),
    /// Only they read it; we say this.
    OnlyTheyRead(&'static str),
    /// Both read this packet, but not the same in these fields, or some of them.
    ReadOtherwise(&'static str, &'static [&'static str]),
    /// What they write of it means something else in these fields, or some of them.
    WrittenOtherwise(&'static str, &'static [&'static str]),
    /// We refuse what they write of it, and say this.
    WrittenWrong(&'static str),
}

const PEERS: [(Peer, Version, fn(&[u8]) -> Reading); 6] = [
    (Peer::Rumqttc, Version::V311, rumqtt::rumqttc_v4::read),
    (Peer::Rumqttc, Version::V5, rumqtt::rumqttc_v5::read),
    (Peer::Mqttbytes, Version::V311, rumqtt::mqttbytes_v4::read),
    (Peer::Mqttbytes, Version::V5, rumqtt::mqttbytes_v5::read),
    (Peer::Core, Version::V311, protocol_core::read_v4),
    (Peer::Core, Version::V5, protocol_core::read_v5),
];

#[test]
fn each_disagreement_is_known_and_each_that_is_known_occurs() {
    let vectors = vectors::packets();
    let mut seen = Seen::new();
    for (peer, version, read) in PEERS {
        for vector in vectors.iter().filter(|vector| vector.version == version) {
            let is_read = decode(version, &vector.bytes).is_ok();
            assert_eq!(is_read, vector.refused.is_none(), "{}", vector.at);
            check(peer, version, read, &vector.bytes, &mut seen);
        }
        let mut random = fastrand::Rng::with_seed(1);
        let mut same = [0, 0];
        for number in 0..25_000 {
            let mutated = number >= 5_000;
            let packet = generate::packet(&mut random, version);
            let mut bytes = Vec::new();
            Encoder::new(version)
                .encode(&packet, &mut bytes)
                .expect("a packet that can be written");
            if mutated {
                generate::mutate(&mut random, &mut bytes);
            } else {
                assert_eq!(decode(version, &bytes), Ok(Some(packet)), "{bytes:02X?}");
            }
            if check(peer, version, read, &bytes, &mut seen) {
                same[usize::from(mutated)] += 1;
            }
        }
        let [plain, mutated] = same;
        assert!(plain > 3_500 && mutated > 12_000, "{peer:?}: {same:?}");
    }
    for (row, known) in KNOWN.iter().enumerate() {
        for peer in known.who {
            let Known { what, why, .. } = known;
            let seen = seen.contains(&(row, *peer));
            assert!(seen, "{peer:?} never did: {what:?} ({why})");
        }
    }
}

/// Which of [`KNOWN`] were seen, and of whom.
type Seen = BTreeSet<(usize, Peer)>;

/// Whether both make the same of these bytes.
fn check(
    peer: Peer,
    version: Version,
    read: fn(&[u8]) -> Reading,
    bytes: &[u8],
    seen: &mut Seen,
) -> bool {
    let ours = decode(version, bytes);
    let theirs = catch_unwind(|| read(bytes));
    let theirs = theirs.unwrap_or_else(|_| panic!("{peer:?} panics at {bytes:02X?}"));
    let Some((found, fields)) = compare(version, &ours, &theirs) else {
        return true;
    };
    let row = KNOWN.iter().position(|known| {
        known.who.contains(&peer) && covers(&known.what, &found) && (known.holds)(bytes, &fields)
    });
    let Some(row) = row else {
        panic!("{peer:?}, MQTT {version}: {found:?} of {bytes:02X?}: {ours:?}, {theirs:?}");
    };
    seen.insert((row, peer));
    false
}

fn decode(version: Version, bytes: &[u8]) -> Result<Option<Packet>, DecodeError> {
    let mut buffer = BytesMut::from(bytes);
    let packet = Decoder::new(version).with_limit(MAX).decode(&mut buffer)?;
    // What is more than a packet is none here: the others are asked for one, too.
    Ok(packet.filter(|_| buffer.is_empty()))
}

/// In what they disagree, if they do, and what was read.
fn compare(
    version: Version,
    ours: &Result<Option<Packet>, DecodeError>,
    theirs: &Reading,
) -> Option<(Disagreement, Fields)> {
    let (packet, their_fields, written) = match (ours, theirs) {
        (Ok(Some(packet)), Ok((fields, written))) => (packet, fields, written),
        (Ok(Some(packet)), Err(_)) => {
            let fields = fields::ours(packet, version);
            return Some((Disagreement::OnlyWeRead(kind(&fields)), fields));
        }
        (Err(error), Ok((fields, _))) => {
            return Some((Disagreement::OnlyTheyRead(error.text()), fields.clone()));
        }
        (Ok(None), Ok((fields, _))) => panic!("they read less, or more, than a packet: {fields:?}"),
        (Ok(None) | Err(_), Err(_)) => return None,
    };
    let own = fields::ours(packet, version);
    let differ = own.difference(their_fields);
    if !differ.is_empty() {
        let differ = Disagreement::ReadOtherwise(kind(&own), differ.leak());
        return Some((differ, their_fields.clone()));
    }
    let written = written
        .as_ref()
        .unwrap_or_else(|error| panic!("they can't write what they have read: {error}: {own:?}"));
    match decode(version, written) {
        Ok(Some(again)) if again == *packet => None,
        Ok(Some(again)) => {
            let differ = own.difference(&fields::ours(&again, version));
            let differ = Disagreement::WrittenOtherwise(kind(&own), differ.leak());
            Some((differ, own))
        }
        Ok(None) => panic!("they write less, or more, than a packet: {written:02X?}"),
        Err(error) => Some((Disagreement::WrittenWrong(error.text()), own)),
    }
}

/// The packet's name.
fn kind(fields: &Fields) -> &'static str {
    let kinds = KNOWN.iter().filter_map(|known| match known.what {
        Disagreement::OnlyWeRead(kind)
        | Disagreement::ReadOtherwise(kind, _)
        | Disagreement::WrittenOtherwise(kind, _) => Some(kind),
        Disagreement::OnlyTheyRead(_) | Disagreement::WrittenWrong(_) => None,
    });
    kinds
        .into_iter()
        .find(|kind| *kind == fields.kind())
        .unwrap_or("another packet")
}

/// Whether what is known is what was found.
fn covers(known: &Disagreement, found: &Disagreement) -> bool {
    use Disagreement::{ReadOtherwise, WrittenOtherwise};
    match (known, found) {
        (ReadOtherwise(kind, all), ReadOtherwise(of, some))
        | (WrittenOtherwise(kind, all), WrittenOtherwise(of, some)) => {
            kind == of && some.iter().all(|name| all.contains(name))
        }
        _ => known == found,
    }
}
