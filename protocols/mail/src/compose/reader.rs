//! A message as it is read: attachments are encoded on the way, so that none needs to be in memory.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::{AsyncRead, ReadBuf};

use super::write::{LINE, base64_lines};

/// How much of an attachment is read before it is encoded, in bytes: whole lines.
const CHUNK: usize = LINE * 128;

/// A piece of a message.
pub(super) enum Segment {
    /// As it is.
    Bytes(Bytes),
    /// What is still to be encoded.
    Encoded(Bytes),
    /// What is still to be read and encoded, and how much it is.
    Stream(Box<dyn AsyncRead + Send + Unpin>, u64),
}

/// Reads a message; made by [`Composed::into_reader`](super::Composed::into_reader).
///
/// It fails as an attachment's reader fails, and with `InvalidData` where one has more or fewer bytes than
/// it was said to have. It holds some 20 kB besides what was in memory before.
pub struct Reader {
    segments: std::vec::IntoIter<Segment>,
    now: Option<Segment>,
    /// What was read and is not encoded yet.
    chunk: Vec<u8>,
    /// What is given next, and how much of it was given.
    out: Vec<u8>,
    given: usize,
}

impl Reader {
    pub(super) fn new(segments: Vec<Segment>) -> Self {
        Self {
            segments: segments.into_iter(),
            now: None,
            chunk: Vec::new(),
            out: Vec::new(),
            given: 0,
        }
    }

    /// Makes more of `out`; false at the end.
    fn fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        self.out.clear();
        self.given = 0;
        let Some(segment) = self.now.as_mut() else {
            self.now = self.segments.next();
            return Poll::Ready(Ok(self.now.is_some()));
        };
        let is_done = match segment {
            Segment::Bytes(bytes) => {
                let piece = bytes.split_to(bytes.len().min(CHUNK));
                self.out.extend_from_slice(&piece);
                bytes.is_empty()
            }
            Segment::Encoded(bytes) => {
                let piece = bytes.split_to(bytes.len().min(CHUNK));
                base64_lines(&piece, &mut self.out);
                bytes.is_empty()
            }
            Segment::Stream(reader, left) => {
                let begin = self.chunk.len();
                self.chunk.resize(CHUNK, 0);
                let mut buffer = ReadBuf::new(&mut self.chunk[begin..]);
                let polled = Pin::new(reader).poll_read(cx, &mut buffer);
                let count = buffer.filled().len();
                self.chunk.truncate(begin + count);
                ready!(polled)?;
                let wrong =
                    |what| Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, what)));
                if count as u64 > *left {
                    return wrong("an attachment is longer than it was said to be");
                }
                *left -= count as u64;
                if count == 0 && *left > 0 {
                    return wrong("an attachment is shorter than it was said to be");
                }
                // The end is waited for, so that one that is too long is noticed.
                if count == 0 || self.chunk.len() == CHUNK {
                    base64_lines(&self.chunk, &mut self.out);
                    self.chunk.clear();
                }
                count == 0
            }
        };
        if is_done {
            self.now = None;
        }
        Poll::Ready(Ok(true))
    }
}

impl AsyncRead for Reader {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        while this.given == this.out.len() {
            if !ready!(this.fill(cx))? {
                return Poll::Ready(Ok(()));
            }
        }
        let ready = &this.out[this.given..];
        let count = ready.len().min(buffer.remaining());
        buffer.put_slice(&ready[..count]);
        this.given += count;
        Poll::Ready(Ok(()))
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").finish_non_exhaustive()
    }
}
