//! A secured stream.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use jackfield_socket::waking::{both, remember, wake};
use jackfield_socket::{ByteStream, Error, ErrorKind, Result, StreamInfo};
use rustls::ProtocolVersion;
use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, ReadBuf};

use crate::TlsVersion;
use crate::error::in_stream;

/// How many bytes are taken from the writer and kept while the stream below takes none; beyond it,
/// the writer waits. What is kept for the reader is less: one record and what one read brought.
pub(crate) const WRITE_BUFFER: usize = 64 * 1024;

/// The longest label of keying material, in bytes: TLS 1.3 puts six of its own before it, and counts
/// both in one byte (RFC 8446, section 7.1).
const MAX_LABEL: usize = 249;
/// The longest context of keying material, in bytes (RFC 5705, section 4).
const MAX_CONTEXT: usize = 65_535;
/// How many bytes of keying material one label gives: 255 times those of SHA-256 (RFC 5869, section
/// 2.3).
const MAX_EXPORT: usize = 8_160;

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
    /// Whoever waits until more can be written, or all is.
    writer: Option<Waker>,
    write_shut: bool,
    /// The same, and whoever ended this side has heard that all of it has left.
    write_done: bool,
}

enum ReadSide {
    Open,
    /// The peer has ended; where we had ended before, the stream below is still to be.
    Ending,
    Ended,
    Failed(Error),
}

impl<S: ByteStream> TlsStream<S> {
    pub(crate) fn new(mut tls: tokio_rustls::TlsStream<Transport<S>>) -> Self {
        tls.get_mut().0.handshaking = false;
        Self {
            tls,
            read_side: ReadSide::Open,
            reader: None,
            writer: None,
            write_shut: false,
            write_done: false,
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

    /// The chain that the peer showed, each certificate in DER, its own first; it has been verified
    /// as [`peer_certificate`](Self::peer_certificate) has. What stands after the first is what the
    /// peer sent along, needed or not.
    pub fn peer_certificates(&self) -> impl Iterator<Item = &[u8]> {
        let chain = self.tls.get_ref().1.peer_certificates();
        chain.unwrap_or_default().iter().map(AsRef::as_ref)
    }

    /// Fills `output` with keying material of this connection, which both its ends can derive and
    /// nobody else (RFC 5705; RFC 8446, section 7.5). `label` says what for; with TLS 1.2, no
    /// context and an empty one are not the same.
    ///
    /// With TLS 1.2 this binds nothing to the connection's certificates, unless the extended master
    /// secret was agreed on (RFC 7627), which can't be known here.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput), where the label is empty or longer than 249 bytes,
    /// the context longer than 65,535, or the output empty or longer than 8,160 bytes.
    pub fn export_keying_material(
        &self,
        output: &mut [u8],
        label: &[u8],
        context: Option<&[u8]>,
    ) -> Result<()> {
        if label.is_empty()
            || label.len() > MAX_LABEL
            || output.is_empty()
            || output.len() > MAX_EXPORT
            || context.is_some_and(|context| context.len() > MAX_CONTEXT)
        {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!(
                    "keying material has 1 to {MAX_EXPORT} bytes, its label 1 to {MAX_LABEL}, its \
                     context up to {MAX_CONTEXT}"
                ),
            ));
        }
        let exported = match &self.tls {
            tokio_rustls::TlsStream::Client(tls) => tls
                .get_ref()
                .1
                .export_keying_material(output, label, context),
            tokio_rustls::TlsStream::Server(tls) => tls
                .get_ref()
                .1
                .export_keying_material(output, label, context),
        };
        exported.map(|_| ()).map_err(|error| {
            Error::new(ErrorKind::Other, "keying material can't be exported")
                .with_source(error.to_string())
        })
    }

    /// The channel binding `tls-exporter` (RFC 9266), for SCRAM-SHA-256-PLUS and its kin: what ties
    /// a login to this very connection, so that whoever stands between can't pass it on.
    ///
    /// `None` with TLS 1.2, where it is defined only with the extended master secret, which can't be
    /// known here; a client then logs in without binding.
    ///
    /// ```
    /// # use jackfield_socket::ByteStream;
    /// # use jackfield_tls::TlsStream;
    /// /// The header and the data of SCRAM's `c=` (RFC 5802, section 7), before its Base64.
    /// fn binding(stream: &TlsStream<impl ByteStream>) -> Vec<u8> {
    ///     match stream.tls_exporter() {
    ///         Some(data) => [b"p=tls-exporter,,", &data[..]].concat(),
    ///         None => b"n,,".to_vec(),
    ///     }
    /// }
    /// ```
    pub fn tls_exporter(&self) -> Option<[u8; 32]> {
        if self.version() < TlsVersion::Tls13 {
            return None;
        }
        let mut binding = [0; 32];
        self.export_keying_material(&mut binding, b"EXPORTER-Channel-Binding", Some(&[]))
            .ok()?;
        Some(binding)
    }

    /// The stream below, to look at; its bytes are TLS's.
    pub fn get_ref(&self) -> &S {
        &self.tls.get_ref().0.stream
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
        self.tls.get_mut().0.peer_ended = true;
        if self.write_shut {
            // Below, one waker waits to write, and a writer in another task waits there, too.
            let both = both(cx.waker(), self.writer.as_ref());
            let shut = Pin::new(&mut self.tls).poll_shutdown(&mut Context::from_waker(&both));
            if self.write_done {
                // Everything has been said and heard: how it goes matters no more.
                let _ = ready!(shut);
            }
            // Otherwise something waits to be sent, and whoever ends this side waits for that.
        }
        Poll::Ready(())
    }

    /// Writes, or waits until all is written.
    fn poll_writing<T>(
        &mut self,
        cx: &mut Context<'_>,
        write: impl FnOnce(
            Pin<&mut tokio_rustls::TlsStream<Transport<S>>>,
            &mut Context<'_>,
        ) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let tls = Pin::new(&mut self.tls);
        let written = match self.read_side {
            // A reader waits for the same.
            ReadSide::Ending => {
                let both = both(cx.waker(), self.reader.as_ref());
                write(tls, &mut Context::from_waker(&both))
            }
            _ => write(tls, cx),
        };
        if written.is_pending() {
            remember(&mut self.writer, cx.waker());
        }
        written.map_err(|error| in_stream(error).into())
    }

    /// Reading has failed, and perhaps written an alert: whoever waits to write asks again.
    fn fail(&mut self, error: Error) {
        self.read_side = ReadSide::Failed(error);
        wake(&mut self.writer);
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
            Poll::Ready(Err(error)) => self.fail(in_stream(error)),
        }
        wake(&mut self.reader);
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
                        remember(&mut self.reader, cx.waker());
                        return Poll::Pending;
                    };
                    match read {
                        Ok(()) if buf.filled().len() > before => return Poll::Ready(Ok(())),
                        Ok(()) => self.read_side = ReadSide::Ending,
                        Err(error) => {
                            let error = in_stream(error);
                            self.fail(error.clone());
                            return Poll::Ready(Err(error.into()));
                        }
                    }
                }
                ReadSide::Ending => {
                    let Poll::Ready(()) = self.poll_finish(cx) else {
                        remember(&mut self.reader, cx.waker());
                        return Poll::Pending;
                    };
                    self.read_side = ReadSide::Ended;
                }
                ReadSide::Ended => return Poll::Ready(Ok(())),
                ReadSide::Failed(error) => return Poll::Ready(Err(error.clone().into())),
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
        self.poll_writing(cx, |tls, cx| tls.poll_write(cx, data))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check_open()?;
        self.poll_writing(cx, |tls, cx| tls.poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_writing(cx, AsyncWrite::poll_flush)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.write_shut = true;
        ready!(self.poll_writing(cx, AsyncWrite::poll_shutdown))?;
        self.write_done = true;
        self.read_tickets();
        Poll::Ready(Ok(()))
    }
}

impl<S: ByteStream> ByteStream for TlsStream<S> {
    fn info(&self) -> StreamInfo {
        let mut info = self.tls.get_ref().0.stream.info();
        info.half_close = self.version() >= TlsVersion::Tls13;
        info.may_truncate = false;
        info.encrypted = true;
        info.tls_exporter = self.tls_exporter();
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
    write_failed: Option<Error>,
    peer_ended: bool,
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
            Some(error) => Err(error.clone().into()),
            None => ready!(write(Pin::new(&mut self.stream))),
        };
        match result {
            Err(error) if self.handshaking => {
                self.write_failed = Some(Error::from(error));
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
