//! A secured stream.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use jackfield_socket::{ByteStream, Error, ErrorKind, StreamInfo};
use rustls::ProtocolVersion;
use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, ReadBuf};

use crate::TlsVersion;
use crate::error::in_stream;

/// How many bytes are taken from the writer and kept while the stream below takes none; beyond it,
/// the writer waits. What is kept for the reader is less: one record and what one read brought.
pub(crate) const WRITE_BUFFER: usize = 64 * 1024;

/// A stream that is secured by TLS.
///
/// - **The end** is the peer's close_notify. A stream that ends without it was cut, by the peer, the
///   network or an attacker: reading fails with [`UnexpectedEof`](ErrorKind::UnexpectedEof), and
///   goes on failing. What was read until then is whole and in order.
/// - **`poll_shutdown`** sends close_notify, then ends this side's direction of the stream below
///   where that can be ended alone. Where it can't, the stream below is left open until the peer
///   has ended too, so that its answer still arrives.
/// - **[`half_close`](StreamInfo::half_close)** is true with TLS 1.3, whatever the stream below can
///   do. A peer that speaks TLS 1.2 answers our end with its own and drops what it had still to
///   say (RFC 5246, section 7.2.1), though many do not.
/// - **[`may_truncate`](StreamInfo::may_truncate)** is false: a stream below that loses bytes makes
///   this one fail.
/// - **Dropping it** without `poll_shutdown` looks to the peer like a stream that was cut. After
///   `poll_shutdown`, what was written still arrives, as far as the stream below keeps that promise;
///   but a TLS 1.3 server that has something to say first (a session ticket), and says it to a
///   stream that is gone, makes TCP cut what is still on its way. Where that matters, read to the
///   peer's end before dropping.
///
/// At most 64 KiB are taken from the writer ahead of the stream below, and on the reader's side no
/// more than one read's worth is kept.
pub struct TlsStream<S> {
    tls: tokio_rustls::TlsStream<Transport<S>>,
    read_side: ReadSide,
    /// Whoever waits for bytes.
    reader: Option<Waker>,
    write_shut: bool,
}

enum ReadSide {
    Open,
    /// The peer has ended; where we had ended before, the stream below is still to be.
    Ending,
    Ended,
    Failed(Failure),
}

impl<S: ByteStream> TlsStream<S> {
    pub(crate) fn new(mut tls: tokio_rustls::TlsStream<Transport<S>>) -> Self {
        tls.get_mut().0.handshaking = false;
        Self {
            tls,
            read_side: ReadSide::Open,
            reader: None,
            write_shut: false,
        }
    }

    /// The version that is spoken.
    pub fn version(&self) -> TlsVersion {
        // Only these two are ever offered.
        match self.tls.get_ref().1.protocol_version() {
            Some(ProtocolVersion::TLSv1_2) => TlsVersion::Tls12,
            _ => TlsVersion::Tls13,
        }
    }

    /// The cipher suite's name, such as `TLS13_AES_256_GCM_SHA384`.
    pub fn cipher_suite(&self) -> &'static str {
        let suite = self.tls.get_ref().1.negotiated_cipher_suite();
        suite
            .and_then(|suite| suite.suite().as_str())
            .unwrap_or("unknown")
    }

    /// The application protocol that was agreed on (ALPN), if any.
    pub fn alpn(&self) -> Option<&[u8]> {
        self.tls.get_ref().1.alpn_protocol()
    }

    /// The peer's own certificate, in DER. It has been verified; a client that showed none has
    /// none.
    pub fn peer_certificate(&self) -> Option<&[u8]> {
        let chain = self.tls.get_ref().1.peer_certificates()?;
        chain.first().map(AsRef::as_ref)
    }

    /// The stream below, as it stands, to reset it rather than to end it. The peer is told nothing
    /// by this; what was read ahead of the reader, or not yet written below, is lost.
    pub fn into_inner(self) -> S {
        match self.tls {
            tokio_rustls::TlsStream::Client(tls) => tls.into_inner().0.stream,
            tokio_rustls::TlsStream::Server(tls) => tls.into_inner().0.stream,
        }
    }

    /// Ends the stream below, where the peer ended after us and nothing else would.
    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let transport = self.tls.get_mut().0;
        transport.peer_ended = true;
        if self.write_shut {
            // Everything has been said and heard: how it goes matters no more.
            let _ = ready!(Pin::new(transport).poll_shutdown(cx));
        }
        Poll::Ready(())
    }

    /// Takes what of TLS's own the peer has sent and nobody has read, such as session tickets: a TCP
    /// stream that is dropped with bytes unread resets, and what was written last would be lost.
    fn read_tickets(&mut self) {
        if !matches!(self.read_side, ReadSide::Open) {
            return;
        }
        // The waker of whoever reads, which another's would replace.
        let waker = self.reader.clone();
        let mut cx = Context::from_waker(waker.as_ref().unwrap_or(Waker::noop()));
        match Pin::new(&mut self.tls).poll_fill_buf(&mut cx) {
            Poll::Pending => return,
            Poll::Ready(Ok(_)) => {}
            Poll::Ready(Err(error)) => {
                let error = in_stream(error);
                self.read_side = ReadSide::Failed(Failure::from(&error));
            }
        }
        if let Some(waker) = self.reader.take() {
            waker.wake();
        }
    }

    fn check_open(&self) -> io::Result<()> {
        if self.write_shut {
            return Err(Error::new(ErrorKind::Closed, "this side has ended the stream").into());
        }
        Ok(())
    }
}

impl<S: ByteStream> AsyncRead for TlsStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        loop {
            match &self.read_side {
                ReadSide::Open => {
                    let before = buf.filled().len();
                    let Poll::Ready(read) = Pin::new(&mut self.tls).poll_read(cx, buf) else {
                        self.reader = Some(cx.waker().clone());
                        return Poll::Pending;
                    };
                    match read {
                        Ok(()) if buf.filled().len() > before => return Poll::Ready(Ok(())),
                        Ok(()) => self.read_side = ReadSide::Ending,
                        Err(error) => {
                            let error = in_stream(error);
                            self.read_side = ReadSide::Failed(Failure::from(&error));
                            return Poll::Ready(Err(error.into()));
                        }
                    }
                }
                ReadSide::Ending => {
                    ready!(self.poll_finish(cx));
                    self.read_side = ReadSide::Ended;
                }
                ReadSide::Ended => return Poll::Ready(Ok(())),
                ReadSide::Failed(failure) => return Poll::Ready(Err(failure.again())),
            }
        }
    }
}

impl<S: ByteStream> AsyncWrite for TlsStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check_open()?;
        Pin::new(&mut self.tls)
            .poll_write(cx, data)
            .map_err(|error| in_stream(error).into())
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check_open()?;
        Pin::new(&mut self.tls)
            .poll_write_vectored(cx, slices)
            .map_err(|error| in_stream(error).into())
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tls)
            .poll_flush(cx)
            .map_err(|error| in_stream(error).into())
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.write_shut = true;
        ready!(Pin::new(&mut self.tls).poll_shutdown(cx)).map_err(in_stream)?;
        self.read_tickets();
        Poll::Ready(Ok(()))
    }
}

impl<S: ByteStream> ByteStream for TlsStream<S> {
    fn info(&self) -> StreamInfo {
        let mut info = self.tls.get_ref().0.stream.info();
        info.half_close = self.version() >= TlsVersion::Tls13;
        info.may_truncate = false;
        info
    }
}

impl<S: ByteStream> fmt::Debug for TlsStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsStream")
            .field("stream", &self.tls.get_ref().0.stream)
            .field("version", &self.version())
            .field("cipher_suite", &self.cipher_suite())
            .finish_non_exhaustive()
    }
}

/// The stream below, with two things amended that would lose what the peer has to say:
///
/// - A write that fails during the handshake is kept to itself, and reading goes on: a server that
///   refuses a client says why in an alert, and hangs up while the client is still writing.
/// - It is not shut down while that would end the peer's direction too.
#[derive(Debug)]
pub(crate) struct Transport<S> {
    stream: S,
    handshaking: bool,
    write_failed: Option<Failure>,
    peer_ended: bool,
}

/// An error that was reported, to be reported again.
#[derive(Debug)]
struct Failure {
    kind: ErrorKind,
    message: String,
}

impl<S: ByteStream> Transport<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self {
            stream,
            handshaking: true,
            write_failed: None,
            peer_ended: false,
        }
    }

    /// Ends what a failed handshake leaves behind, so that the alert which says why goes out before
    /// the stream is dropped. One attempt only: the error must not wait for the peer.
    pub(crate) async fn hang_up(mut self) {
        poll_fn(|cx| {
            let _ = Pin::new(&mut self.stream).poll_shutdown(cx);
            Poll::Ready(())
        })
        .await;
    }

    /// Writes, unless that has failed before; during the handshake, `in_void` is what a failure
    /// looks like.
    fn poll_writing<T>(
        &mut self,
        in_void: T,
        write: impl FnOnce(Pin<&mut S>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let result = match &self.write_failed {
            Some(failure) => Err(failure.again()),
            None => ready!(write(Pin::new(&mut self.stream))),
        };
        match result {
            Err(error) if self.handshaking => {
                self.write_failed = Some(Failure::from(&Error::from(error)));
                Poll::Ready(Ok(in_void))
            }
            result => Poll::Ready(result),
        }
    }
}

impl<S: ByteStream> AsyncRead for Transport<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: ByteStream> AsyncWrite for Transport<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_writing(data.len(), |stream| stream.poll_write(cx, data))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let all = slices.iter().map(|slice| slice.len()).sum();
        self.poll_writing(all, |mut stream| {
            if stream.is_write_vectored() {
                return stream.poll_write_vectored(cx, slices);
            }
            // Not the first slice alone, as such a stream would: an alert is the last of several
            // records, and the attempt to write it is made only once.
            let mut written = 0;
            for slice in slices {
                match stream.as_mut().poll_write(cx, slice) {
                    Poll::Ready(Ok(count)) => {
                        written += count;
                        if count < slice.len() {
                            break;
                        }
                    }
                    Poll::Ready(Err(_)) | Poll::Pending if written > 0 => break,
                    failed => return failed,
                }
            }
            Poll::Ready(Ok(written))
        })
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_writing((), |stream| stream.poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let whole = self.peer_ended || self.stream.info().half_close;
        self.poll_writing((), |stream| {
            if whole {
                stream.poll_shutdown(cx)
            } else {
                stream.poll_flush(cx)
            }
        })
    }
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        Self {
            kind: error.kind(),
            message: error.to_string(),
        }
    }
}

impl Failure {
    fn again(&self) -> io::Error {
        Error::new(self.kind, self.message.clone()).into()
    }
}
