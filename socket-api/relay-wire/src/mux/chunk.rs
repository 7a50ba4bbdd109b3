//! Chunks: bytes to be sent, behind room for their frame's header.

use std::fmt;

use bytes::BytesMut;

use crate::codec::put_data_header;
use crate::{HEADER, Id};

/// Bytes on their way into a stream, in a buffer that goes out as it is.
///
/// ```
/// use jackfield_relay_wire::Chunk;
///
/// let mut chunk = Chunk::with_capacity(64 * 1024);
/// // A socket reads to the end of the buffer: tokio's `try_read_buf(chunk.buffer())`.
/// chunk.buffer().extend_from_slice(b"read from somewhere");
/// assert_eq!(chunk.len(), 19);
/// ```
#[derive(Clone)]
pub struct Chunk(BytesMut);

impl Chunk {
    /// An empty chunk with room for so many bytes.
    pub fn with_capacity(capacity: usize) -> Self {
        let mut buffer = BytesMut::with_capacity(HEADER + capacity);
        buffer.extend_from_slice(&[0; HEADER]);
        Self(buffer)
    }

    /// The buffer, to append to. What stands in it already is the header's room and the bytes so
    /// far; whoever shortens it shortens the chunk.
    pub fn buffer(&mut self) -> &mut BytesMut {
        &mut self.0
    }

    /// How many bytes it holds.
    pub fn len(&self) -> usize {
        self.0.len().saturating_sub(HEADER)
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        self.0.get(HEADER..).unwrap_or_default()
    }

    /// How much memory it holds.
    #[cfg(any(test, feature = "oracle"))]
    pub(super) fn capacity(&self) -> usize {
        self.0.capacity()
    }

    /// The whole frame, for a stream.
    pub(super) fn into_message(mut self, id: Id) -> BytesMut {
        if let Some(room) = self.0.get_mut(..HEADER) {
            put_data_header(room, id);
        }
        self.0
    }
}

impl From<&[u8]> for Chunk {
    fn from(bytes: &[u8]) -> Self {
        let mut chunk = Self::with_capacity(bytes.len());
        chunk.0.extend_from_slice(bytes);
        chunk
    }
}

impl fmt::Debug for Chunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Chunk({} bytes)", self.len())
    }
}
