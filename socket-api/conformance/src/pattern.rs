//! The pattern: bytes that tell where in a stream they belong.

/// A sequence of bytes in which each place has its own value, so that what is lost, repeated or
/// out of order shows, and where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pattern(u64);

impl Pattern {
    /// One of many sequences.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// The bytes that begin at `offset`.
    pub(crate) fn fill(self, offset: u64, out: &mut [u8]) {
        for (byte, place) in out.iter_mut().zip(offset..) {
            *byte = self.at(place);
        }
    }

    /// The bytes that begin at `offset`, as many as asked for.
    pub(crate) fn bytes(self, offset: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.fill(offset, &mut bytes);
        bytes
    }

    /// The first place where these bytes, which should begin at `offset`, are other ones.
    pub(crate) fn first_wrong(self, offset: u64, bytes: &[u8]) -> Option<u64> {
        bytes
            .iter()
            .zip(offset..)
            .find(|(byte, place)| **byte != self.at(*place))
            .map(|(_, place)| place)
    }

    fn at(self, place: u64) -> u8 {
        // The last step of splitmix64, once for a byte: quick enough, and without a period that a
        // lost buffer of any size could hide in.
        let mut z = place.wrapping_add(self.0);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_shows_where_it_is() {
        let pattern = Pattern::new(7);
        let mut bytes = pattern.bytes(100, 70_000);
        assert_eq!(pattern.first_wrong(100, &bytes), None);
        bytes.drain(1000..1000 + 65_536);
        let wrong = pattern.first_wrong(100, &bytes).expect("bytes are missing");
        assert!((1100..1110).contains(&wrong), "{wrong}");
    }
}
