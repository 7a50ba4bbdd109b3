//! The server's end of a compressed connection (COMPRESS=DEFLATE, RFC 4978), by flate2 alone.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};

/// So many bytes of room are made at a time.
const STEP: usize = 1024;

pub(super) struct Deflated {
    says: Compress,
    hears: Decompress,
}

impl Deflated {
    pub(super) fn new() -> Self {
        Self {
            says: Compress::new(Compression::fast(), false),
            hears: Decompress::new(false),
        }
    }

    /// What goes over the connection for these bytes; the stream ends with them, if it is to.
    pub(super) fn says(&mut self, plain: &[u8], ends: bool) -> Vec<u8> {
        let flush = if ends {
            FlushCompress::Finish
        } else {
            FlushCompress::Sync
        };
        let mut out = Vec::new();
        let before = self.says.total_in();
        loop {
            out.reserve(STEP);
            let taken = (self.says.total_in() - before) as usize;
            if self
                .says
                .compress_vec(&plain[taken..], &mut out, flush)
                .is_err()
                || out.len() < out.capacity()
            {
                // Nothing can be said behind the end.
                return out;
            }
        }
    }

    /// What the client has said.
    ///
    /// # Panics
    /// Where it can't be inflated, or not all of it.
    pub(super) fn hears(&mut self, deflated: &[u8]) -> Vec<u8> {
        let mut plain = Vec::new();
        let mut left = deflated;
        loop {
            plain.reserve(STEP);
            let (taken, length) = (self.hears.total_in(), plain.len());
            let heard = self
                .hears
                .decompress_vec(left, &mut plain, FlushDecompress::None);
            left = &left[(self.hears.total_in() - taken) as usize..];
            if left.is_empty() && plain.len() < plain.capacity() {
                return plain;
            }
            let is_more = self.hears.total_in() > taken || plain.len() > length;
            assert!(is_more, "not all can be inflated: {heard:?}");
        }
    }
}
