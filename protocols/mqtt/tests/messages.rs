//! Packets (`tests/vectors/mqtt/packets`), read and written. The README beside them explains the
//! format.

mod common;
#[path = "common/packets.rs"]
mod vectors;

use bytes::BytesMut;
use jackfield_mqtt::codec::{Decoder, Encoder, Packet, Version};

#[test]
fn every_packet_is_read_as_it_should_be() {
    let vectors = vectors::packets();
    for vector in &vectors {
        let at = &vector.at;
        let read = read(vector.version, &vector.bytes);
        if let Some(reason) = vector.refused {
            let refused = read.expect_err(at);
            assert_eq!(refused, reason, "{at}: {refused:02X}");
            continue;
        }
        let packet = read.unwrap_or_else(|reason| panic!("{at}: refused with {reason:02X}"));
        let shown = format!("{packet:?}");
        assert!(!vector.is.is_empty(), "{at}: nothing is said of it");
        for part in &vector.is {
            assert!(shown.contains(part), "{at}: {shown}");
        }
        check_rewritten(vector, &packet);
    }
    assert!(vectors.len() > 90, "only {} packets", vectors.len());
}

fn read(version: Version, bytes: &[u8]) -> Result<Packet, u8> {
    let mut buffer = BytesMut::from(bytes);
    let packet = Decoder::new(version).decode(&mut buffer);
    let packet = packet.map_err(|error| error.reason().code())?;
    assert!(buffer.is_empty(), "{bytes:02X?} is more than a packet");
    Ok(packet.unwrap_or_else(|| panic!("{bytes:02X?} is less than a packet")))
}

fn check_rewritten(vector: &vectors::Vector, packet: &Packet) {
    let at = &vector.at;
    let mut written = Vec::new();
    Encoder::new(vector.version)
        .encode(packet, &mut written)
        .expect(at);
    assert_eq!(read(vector.version, &written).as_ref(), Ok(packet), "{at}");
    let same = written == vector.bytes;
    assert_eq!(same, !vector.otherwise, "{at}: written as {written:02X?}");
}
