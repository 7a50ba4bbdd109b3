//! Packets (`tests/vectors/mqtt/packets`), read and written. The README beside them explains the
//! format.

mod common;

use bytes::BytesMut;
use jackfield_mqtt::codec::{Decoder, Encoder, Packet, Version};

#[test]
fn every_packet_is_read_as_it_should_be() {
    let mut count = 0;
    for (name, text) in common::files("packets") {
        let mut current: Option<(Version, Vec<u8>, String)> = None;
        let mut rewritten = true;
        for (number, line) in text.lines().enumerate() {
            let at = format!("{name}:{}", number + 1);
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            match word {
                "" | "#" => {}
                "bytes" => {
                    check_rewritten(current.as_ref(), rewritten);
                    let (version, rest) = rest.split_once(' ').expect("a version");
                    let version = match version {
                        "5" => Version::V5,
                        _ => Version::V311,
                    };
                    current = Some((version, common::bytes(rest), at));
                    rewritten = true;
                    count += 1;
                }
                "is" => {
                    let (version, bytes, _) = current.as_ref().expect("bytes");
                    let shown = format!("{:?}", read(*version, bytes).expect(&at));
                    assert!(shown.contains(rest), "{at}: {shown}");
                }
                "otherwise" => rewritten = false,
                "refused" => {
                    let (version, bytes, _) = current.take().expect("bytes");
                    let refused = read(version, &bytes).expect_err(&at);
                    let reason = u8::from_str_radix(rest, 16).expect("a reason");
                    assert_eq!(refused, reason, "{at}: {refused:02X}");
                }
                _ => panic!("{at}: what is {word}?"),
            }
        }
        check_rewritten(current.as_ref(), rewritten);
    }
    assert!(count > 40, "only {count} packets were found");
}

fn read(version: Version, bytes: &[u8]) -> Result<Packet, u8> {
    let mut buffer = BytesMut::from(bytes);
    let packet = Decoder::new(version).decode(&mut buffer);
    let packet = packet.map_err(|error| error.reason().code())?;
    assert!(buffer.is_empty(), "{bytes:02X?} is more than a packet");
    Ok(packet.unwrap_or_else(|| panic!("{bytes:02X?} is less than a packet")))
}

fn check_rewritten(current: Option<&(Version, Vec<u8>, String)>, same: bool) {
    let Some((version, bytes, at)) = current else {
        return;
    };
    let packet = read(*version, bytes).expect(at);
    let mut written = Vec::new();
    Encoder::new(*version)
        .encode(&packet, &mut written)
        .expect(at);
    assert_eq!(read(*version, &written).as_ref(), Ok(&packet), "{at}");
    assert_eq!(written == *bytes, same, "{at}: written as {written:02X?}");
}
