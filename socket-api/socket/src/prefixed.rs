//! A stream with bytes put back in front of what it still has to say.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

use crate::through::write_through;
use crate::{ByteStream, StreamInfo};

/// A stream whose reader first gets bytes that were read from it before.
///
/// So whoever had to read a little to know what a client speaks can hand on all of it: one port for
/// several protocols, or what a buffer still held when a protocol is changed in mid-stream. Writing
/// goes straight through.
///
/// ```
/// use jackfield_socket::{ByteStream, Prefixed};
///
/// /// Whether a client begins as HTTP does; the stream still has everything it said.
/// async fn is_http<S: ByteStream>(stream: S) -> std::io::Result<(bool, Prefixed<S>)> {
///     let mut stream = Prefixed::new(Vec::new(), stream);
///     let is_http = stream.peek(4).await?.starts_with(b"GET ");
///     Ok((is_http, stream))
/// }
/// # fn main() {}
/// ```
#[derive(Debug)]
pub struct Prefixed<S> {
    prefix: Prefix,
    stream: S,
}

/// What was put back, and how much of it is taken. It is a stranger's, and not printed.
struct Prefix {
    bytes: Vec<u8>,
    taken: usize,
}

impl<S> Prefixed<S> {
    /// This stream with these bytes in front. Where there are none, it is as it was.
    pub fn new(prefix: impl Into<Vec<u8>>, stream: S) -> Self {
        let bytes = prefix.into();
        let prefix = Prefix { bytes, taken: 0 };
        Self { prefix, stream }
    }

    /// The bytes in front that are not read yet.
    pub fn prefix(&self) -> &[u8] {
        &self.prefix.bytes[self.prefix.taken..]
    }

    /// The bytes in front that are not read yet, and the stream behind them.
    pub fn into_parts(mut self) -> (Vec<u8>, S) {
        self.prefix.bytes.drain(..self.prefix.taken);
        (self.prefix.bytes, self.stream)
    }
}

impl<S: AsyncRead + Unpin> Prefixed<S> {
    /// Waits until at least `count` bytes can be read, and shows them, without taking any; fewer only
    /// where the stream has ended. What it keeps meanwhile is `count` bytes and those put in front.
    ///
    /// # Errors
    /// The stream's own.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing: what came so far is in front.
    pub async fn peek(&mut self, count: usize) -> io::Result<&[u8]> {
        while self.prefix().len() < count {
            let missing = count - self.prefix().len();
            let mut more = (&mut self.stream).take(missing as u64);
            if more.read_buf(&mut self.prefix.bytes).await? == 0 {
                break;
            }
        }
        Ok(self.prefix())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Prefixed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let left = self.prefix();
        if left.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let count = left.len().min(buf.remaining());
        buf.put_slice(&left[..count]);
        self.prefix.taken += count;
        if self.prefix().is_empty() {
            self.prefix.bytes = Vec::new();
            self.prefix.taken = 0;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Prefixed<S> {
    write_through!(stream);
}

impl<S: ByteStream> ByteStream for Prefixed<S> {
    fn info(&self) -> StreamInfo {
        self.stream.info()
    }
}

impl std::fmt::Debug for Prefix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.bytes.len() - self.taken)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::AsyncWriteExt as _;

    use super::*;
    use crate::time;

    #[tokio::test]
    async fn what_was_put_back_comes_first() {
        let (mut theirs, ours) = tokio::io::duplex(64);
        let mut stream = Prefixed::new(*b"before", ours);
        theirs.write_all(b" and after").await.expect("sent");
        theirs.shutdown().await.expect("ended");
        let mut three = [0; 3];
        stream.read_exact(&mut three).await.expect("read");
        assert_eq!((&three, stream.prefix()), (b"bef", &b"ore"[..]));
        let mut rest = String::new();
        stream.read_to_string(&mut rest).await.expect("read");
        assert_eq!(rest, "ore and after");
        stream.write_all(b"back").await.expect("sent");
        let mut back = [0; 4];
        theirs.read_exact(&mut back).await.expect("read");
        assert_eq!(&back, b"back");
    }

    #[tokio::test(start_paused = true)]
    async fn peeking_takes_nothing_and_no_more_than_it_should() {
        let (mut theirs, ours) = tokio::io::duplex(64);
        let mut stream = Prefixed::new(Vec::new(), ours);
        theirs.write_all(b"GE").await.expect("sent");
        let soon = time::timeout(Duration::from_secs(1), stream.peek(4)).await;
        soon.expect_err("half of it is not enough");
        assert_eq!(stream.prefix(), b"GE");
        theirs.write_all(b"T / HTTP").await.expect("sent");
        assert_eq!(stream.peek(4).await.expect("read"), b"GET ");
        assert_eq!(stream.peek(2).await.expect("read"), b"GET ");
        theirs.shutdown().await.expect("ended");
        let all = stream.peek(64).await.expect("read").to_vec();
        assert_eq!(all, b"GET / HTTP", "the end came first");
        let (prefix, _) = stream.into_parts();
        assert_eq!(prefix, all);
    }

    #[tokio::test]
    async fn what_a_client_says_is_not_printed() {
        let (_, ours) = tokio::io::duplex(64);
        let shown = format!("{:?}", Prefixed::new(*b"s3cret", ours));
        assert!(
            !shown.contains("s3cret") && shown.contains("6 bytes"),
            "{shown}"
        );
    }
}
