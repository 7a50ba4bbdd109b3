//! Oracles: what must hold for any input. They are shared by the tests here and the fuzz targets,
//! which are a line over one of these functions.

#[cfg(test)]
mod broker;
#[cfg(test)]
mod lossy;
mod play;

use bytes::BytesMut;

use crate::codec::{DecodeError, Decoder, Encoder, Packet, Version};

pub use play::session;

/// Reading never panics, packets don't depend on the pieces that they arrive in, and a packet that
/// is accepted is written back with its meaning.
///
/// The first byte chooses the version.
///
/// # Panics
/// When one of these promises is broken.
pub fn codec(data: &[u8]) {
    let Some((first, data)) = data.split_first() else {
        return;
    };
    let version = if first & 1 == 0 {
        Version::V5
    } else {
        Version::V311
    };
    let whole = packets(version, data, data.len().max(1));
    assert_eq!(
        whole,
        packets(version, data, 1),
        "packets depend on their pieces"
    );
    for packet in &whole.0 {
        round_trip(version, packet);
    }
}

fn packets(version: Version, data: &[u8], piece: usize) -> (Vec<Packet>, Option<DecodeError>) {
    let decoder = Decoder::new(version).with_limit(10_000);
    let mut buffer = BytesMut::new();
    let mut found = Vec::new();
    for piece in data.chunks(piece) {
        buffer.extend_from_slice(piece);
        loop {
            match decoder.decode(&mut buffer) {
                Ok(Some(packet)) => found.push(packet),
                Ok(None) => break,
                Err(error) => {
                    assert!(error.reason().is_error());
                    return (found, Some(error));
                }
            }
        }
        assert!(buffer.len() < 10_005, "more is kept than a packet");
    }
    (found, None)
}

fn round_trip(version: Version, packet: &Packet) {
    let mut bytes = Vec::new();
    let encoder = Encoder::new(version);
    encoder
        .encode(packet, &mut bytes)
        .unwrap_or_else(|error| panic!("{packet:?} can't be written: {error}"));
    let (again, error) = packets(version, &bytes, bytes.len());
    assert_eq!(error, None, "{packet:?} can't be read back");
    assert_eq!(
        again.as_slice(),
        std::slice::from_ref(packet),
        "it means something else"
    );
    let limit = bytes.len() as u32;
    let mut out = vec![1];
    assert!(
        encoder
            .with_limit(limit - 1)
            .encode(packet, &mut out)
            .is_err()
    );
    assert_eq!(out, [1], "half a packet was written");
    assert!(encoder.with_limit(limit).encode(packet, &mut out).is_ok());
}

#[cfg(test)]
mod tests {
    use jackfield_corpora::hold;

    use super::lossy::lossy;
    use super::*;

    /// What the fuzz targets begin with, and what they have found.
    #[test]
    fn the_corpora_hold() {
        hold("mqtt_codec", codec);
        hold("mqtt_session", session);
    }

    #[test]
    fn any_bytes_are_read_or_refused() {
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..50_000 {
            let kind = random.u8(..16) << 4;
            let flags = [0, 0, 2, random.u8(..16)][random.usize(..4)];
            let body: Vec<u8> = (0..random.usize(..40))
                .map(|_| match random.u8(..4) {
                    0 => random.u8(..),
                    1 => random.u8(..0x2B),
                    _ => random.u8(..4),
                })
                .collect();
            let mut data = vec![random.u8(..2), kind | flags, body.len() as u8];
            data.extend_from_slice(&body);
            codec(&data);
        }
    }

    #[test]
    fn any_conversation_keeps_the_promises() {
        for seed in 0..3_000 {
            let mut random = fastrand::Rng::with_seed(seed);
            let script: Vec<u8> = (0..random.usize(..600))
                .map(|_| match random.u8(..3) {
                    0 => random.u8(..),
                    _ => random.u8(..24),
                })
                .collect();
            session(&script);
        }
    }

    /// Exactly once, in order, whatever is cut and whenever the process dies.
    #[test]
    fn messages_survive_lost_connections_and_restarts() {
        for seed in 0..300 {
            lossy(seed, 40);
        }
    }
}
