//! The pattern: bytes that both sides know, so that each sees what the other's stream has lost.

use std::sync::LazyLock;

/// How long the pattern is before it repeats, in bytes: a prime, so that nothing of a round length
/// can be missing unnoticed.
const PERIOD: usize = 1_048_573;

static BLOCK: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let bytes = (0..PERIOD).map(|_| {
        // xorshift64
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 56) as u8
    });
    bytes.collect()
});

/// A stream of bytes, the same for everyone, at any place in it.
#[derive(Debug)]
pub struct Pattern {
    place: u64,
    wrong: Option<u64>,
}

impl Pattern {
    /// The pattern, from its start.
    pub fn new() -> Self {
        Self {
            place: 0,
            wrong: None,
        }
    }

    /// How much of it has passed.
    pub fn place(&self) -> u64 {
        self.place
    }

    /// The first place where something else was seen.
    pub fn wrong(&self) -> Option<u64> {
        self.wrong
    }

    /// The bytes that come next, at most `len` of them; without a copy, so it may be fewer.
    pub fn next(&self, len: usize) -> &'static [u8] {
        let at = (self.place % PERIOD as u64) as usize;
        &BLOCK[at..PERIOD.min(at + len)]
    }

    /// Passes over bytes that were sent.
    pub fn skip(&mut self, len: usize) {
        self.place += len as u64;
    }

    /// Compares what came, and passes over it.
    pub fn check(&mut self, mut data: &[u8]) {
        while !data.is_empty() {
            let expected = self.next(data.len());
            let len = expected.len();
            if self.wrong.is_none() && expected != &data[..len] {
                let offset = expected.iter().zip(data).position(|(a, b)| a != b);
                self.wrong = Some(self.place + offset.unwrap_or(0) as u64);
            }
            self.place += len as u64;
            data = &data[len..];
        }
    }

    /// The next `len` bytes, copied.
    pub fn take(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(len);
        while bytes.len() < len {
            let part = self.next(len - bytes.len());
            bytes.extend_from_slice(part);
            self.place += part.len() as u64;
        }
        bytes
    }
}

impl Default for Pattern {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_byte_is_found_where_it_is_missing() {
        let mut bytes = Pattern::new().take(3 * PERIOD);
        let mut whole = Pattern::new();
        for part in bytes.chunks(65_521) {
            whole.check(part);
        }
        assert_eq!(whole.wrong(), None);
        bytes.remove(2 * PERIOD);
        let mut cut = Pattern::new();
        cut.check(&bytes);
        let wrong = cut.wrong().expect("one is missing");
        // The next byte may be like the one that is missing.
        assert!(
            (2 * PERIOD as u64..2 * PERIOD as u64 + 8).contains(&wrong),
            "{wrong}"
        );
    }
}
