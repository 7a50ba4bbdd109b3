//! As much of CBOR (RFC 8949) as goes into the key derivation and the additional data.

const UNSIGNED: u8 = 0 << 5;
const BYTES: u8 = 2 << 5;
const TEXT: u8 = 3 << 5;
const ARRAY: u8 = 4 << 5;
const NULL: u8 = 0xf6;

/// What a head says instead of an argument that follows it.
const ONE_BYTE: u8 = 0x18;
const TWO_BYTES: u8 = 0x19;
const EIGHT_BYTES: u8 = 0x1b;

pub(super) fn unsigned(out: &mut Vec<u8>, value: usize) {
    head(out, UNSIGNED, value);
}

pub(super) fn bytes(out: &mut Vec<u8>, value: &[u8]) {
    head(out, BYTES, value.len());
    out.extend_from_slice(value);
}

pub(super) fn text(out: &mut Vec<u8>, value: &str) {
    head(out, TEXT, value.len());
    out.extend_from_slice(value.as_bytes());
}

pub(super) fn array(out: &mut Vec<u8>, items: usize) {
    head(out, ARRAY, items);
}

pub(super) fn null(out: &mut Vec<u8>) {
    out.push(NULL);
}

/// The shortest form of an item's head, as the derivation demands: both ends must write the same.
fn head(out: &mut Vec<u8>, major: u8, argument: usize) {
    match argument {
        0..=23 => out.push(major | argument as u8),
        24..=0xff => out.extend_from_slice(&[major | ONE_BYTE, argument as u8]),
        0x100..=0xffff => {
            out.push(major | TWO_BYTES);
            out.extend_from_slice(&(argument as u16).to_be_bytes());
        }
        _ => {
            out.push(major | EIGHT_BYTES);
            out.extend_from_slice(&(argument as u64).to_be_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_as_short_as_can_be() {
        for (value, expected) in [
            (0, &[0x00][..]),
            (23, &[0x17]),
            (24, &[0x18, 24]),
            (255, &[0x18, 255]),
            (256, &[0x19, 1, 0]),
            (65_535, &[0x19, 255, 255]),
            (65_536, &[0x1b, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            let mut out = Vec::new();
            unsigned(&mut out, value);
            assert_eq!(out, expected, "{value}");
        }
    }
}
