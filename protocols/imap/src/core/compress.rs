//! Compression of a connection (COMPRESS=DEFLATE, RFC 4978): what comes is inflated before it is
//! read, and what goes out is deflated.
//!
//! It begins after the log-in, so that no password is ever compressed together with what others have
//! chosen. The command has the connection for itself: what is sent behind it would have to be
//! compressed, or not, depending on its answer. What comes behind that answer, even in the same
//! read, is compressed.
//!
//! A few bytes may inflate to a thousand times as many. So they are inflated piece by piece: the next
//! piece only when all is told that was in the last one, and somebody reads.

use std::fmt;

use flate2::{Compress, Decompress, FlushCompress, FlushDecompress, Status};
use jackfield_socket::time::Instant;

use super::session::Session;
use crate::error::SessionError;

/// So many bytes are inflated at a time, at most.
pub(super) const PIECE: usize = 32 * 1024;
/// Deflated bytes have room in steps of this size.
const STEP: usize = 4 * 1024;

/// Both directions of a compressed connection.
pub(super) struct Compression {
    inflate: Decompress,
    deflate: Compress,
    /// What was to be sent before it began.
    plain: Vec<u8>,
    /// What came and is not inflated yet: `input[taken..]`. That is one read, at most, for whoever
    /// keeps to the deadlines.
    input: Vec<u8>,
    taken: usize,
    /// What was inflated last.
    piece: Box<[u8]>,
    /// Whether that is full, so that there may be more, though no input is left.
    is_full: bool,
    /// Whether the server has ended its stream.
    has_ended: bool,
    /// Since when the connection is compressed.
    since: Instant,
}

impl Compression {
    fn new(since: Instant, plain: Vec<u8>) -> Self {
        Self {
            inflate: Decompress::new(false),
            deflate: Compress::new(flate2::Compression::default(), false),
            plain,
            input: Vec::new(),
            taken: 0,
            piece: vec![0; PIECE].into(),
            is_full: false,
            has_ended: false,
            since,
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        self.input.drain(..self.taken);
        self.taken = 0;
        self.input.extend_from_slice(bytes);
    }

    fn has_more(&self) -> bool {
        self.is_full || self.taken < self.input.len()
    }

    /// The next piece; an empty one where more has to come first.
    fn piece(&mut self) -> Result<&[u8], SessionError> {
        let mut length = 0;
        if self.has_more() {
            if self.has_ended {
                return Err(SessionError::Corrupt);
            }
            let (read, written) = (self.inflate.total_in(), self.inflate.total_out());
            let input = &self.input[self.taken..];
            let status = self
                .inflate
                .decompress(input, &mut self.piece, FlushDecompress::None)
                .map_err(|_| SessionError::Corrupt)?;
            length = (self.inflate.total_out() - written) as usize;
            let read = (self.inflate.total_in() - read) as usize;
            if read == 0 && length == 0 && !input.is_empty() {
                return Err(SessionError::Corrupt);
            }
            self.taken += read;
            self.has_ended = status == Status::StreamEnd;
            self.is_full = length == self.piece.len() && !self.has_ended;
        }
        Ok(&self.piece[..length])
    }

    /// Deflates, so that the other side can inflate all of it at once.
    fn deflate(&mut self, plain: &[u8], out: &mut Vec<u8>) {
        let before = self.deflate.total_in();
        loop {
            out.reserve(STEP);
            let taken = (self.deflate.total_in() - before) as usize;
            // It fails only where it is told to finish, and then goes on.
            let _ = self
                .deflate
                .compress_vec(&plain[taken..], out, FlushCompress::Sync);
            let taken = (self.deflate.total_in() - before) as usize;
            if taken == plain.len() && out.len() < out.capacity() {
                return;
            }
        }
    }
}

impl fmt::Debug for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Compression")
    }
}

impl Session {
    /// The server has agreed to compress: everything behind its answer is.
    pub(super) fn compress(&mut self, now: Instant) {
        if self.compression.is_none() {
            self.server.is_compressed = true;
            let plain = std::mem::take(&mut self.out);
            self.compression = Some(Box::new(Compression::new(now, plain)));
        }
    }

    /// Takes what has come, and inflates until there is something to tell.
    pub(super) fn inflate(&mut self, now: Instant, bytes: &[u8]) -> Result<(), SessionError> {
        let Some(mut compression) = self.compression.take() else {
            return Ok(());
        };
        compression.push(bytes);
        let mut taken = Ok(());
        while taken.is_ok() && self.events.is_empty() && compression.has_more() {
            taken = compression
                .piece()
                .and_then(|mut piece| self.frames(now, &mut piece));
        }
        self.compression = Some(compression);
        taken
    }

    /// When the next piece is inflated: at once, where there is one and somebody reads.
    pub(super) fn inflate_at(&self) -> Option<Instant> {
        let is_read = self.events.is_empty() && self.unread_by.is_none();
        let compression = self.compression.as_ref().filter(|_| is_read)?;
        compression.has_more().then_some(compression.since)
    }

    pub(super) fn transmit_deflated(&mut self, now: Instant, out: &mut Vec<u8>) {
        let mut plain = std::mem::take(&mut self.out);
        self.send_message(now, &mut plain);
        let Some(compression) = &mut self.compression else {
            return;
        };
        out.append(&mut compression.plain);
        if !plain.is_empty() {
            compression.deflate(&plain, out);
        }
        // Its room is kept for what goes out next.
        plain.clear();
        if self.out.is_empty() {
            self.out = plain;
        }
    }
}
