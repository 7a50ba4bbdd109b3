//! Oracles: what must hold for any input. They are shared by the tests here and the fuzz targets,
//! which are a line over one of these functions.
//!
//! Each takes bytes as a program and panics where the promise is broken.

mod honest;
mod hostile;

use bytes::Bytes;

use crate::Frame;

pub use honest::honest;
pub use hostile::hostile;

/// Decoding never panics, and what it accepts is written back as it was.
pub fn frame(data: &[u8]) {
    let Ok(frame) = Frame::decode(Bytes::copy_from_slice(data)) else {
        return;
    };
    let encoded = frame.encode().freeze();
    // Settings that are unknown are not kept; everything else is, to the byte.
    if !matches!(frame, Frame::Hello(_)) {
        assert_eq!(encoded, data, "{frame:?} was written differently");
    }
    assert_eq!(Frame::decode(encoded).as_ref(), Ok(&frame));
}

/// Choices, taken from bytes; when they are used up, everything is 0.
#[derive(Debug)]
struct Program<'a>(&'a [u8]);

impl<'a> Program<'a> {
    fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    fn byte(&mut self) -> u8 {
        let Some((byte, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *byte
    }

    /// One of 0 to `count` - 1.
    fn pick(&mut self, count: usize) -> usize {
        usize::from(self.byte()) % count
    }

    /// A length: often small, sometimes as large as it gets.
    fn length(&mut self, limit: usize) -> usize {
        let byte = usize::from(self.byte());
        let length = match byte % 4 {
            0 => byte / 4,
            1 => byte * 64,
            2 => byte * 257,
            _ => limit.saturating_sub(byte / 64),
        };
        length.min(limit)
    }

    fn slice(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }
}

#[cfg(test)]
mod tests {
    use jackfield_corpora::hold;

    use super::*;

    /// Programs that are the same in every run.
    fn programs(count: u64, length: usize) -> impl Iterator<Item = Vec<u8>> {
        (1..=count).map(move |seed| {
            let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let mut next = || {
                // Xorshift64*: enough to choose with.
                state ^= state >> 12;
                state ^= state << 25;
                state ^= state >> 27;
                (state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 56) as u8
            };
            (0..length).map(|_| next()).collect()
        })
    }

    /// What the fuzz targets begin with, and what they have found.
    #[test]
    fn the_corpora_hold() {
        hold("relay_frame", frame);
        hold("relay_mux_client", |program| {
            hostile(&[&[0], program].concat());
        });
        hold("relay_mux_relay", |program| {
            hostile(&[&[1], program].concat());
        });
        hold("relay_mux_pair", honest);
    }

    #[test]
    fn any_bytes_decode_or_are_refused() {
        for mut program in programs(20_000, 48) {
            frame(&program);
            // Most types are unknown: these are not.
            let kinds = [
                1, 2, 3, 4, 16, 17, 18, 19, 20, 21, 32, 33, 34, 35, 36, 37, 128, 129, 130, 131, 132,
            ];
            program[0] = kinds[usize::from(program[0]) % kinds.len()];
            for length in 0..program.len() {
                frame(&program[..length]);
            }
        }
    }

    #[test]
    fn a_hostile_peer_breaks_nothing() {
        for program in programs(3000, 400) {
            hostile(&program);
        }
    }

    #[test]
    fn two_honest_ends_deliver_everything() {
        for program in programs(150, 600) {
            honest(&program);
        }
    }
}
