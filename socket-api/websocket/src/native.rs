//! A native WebSocket, over any byte stream.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use bytes::{Bytes, BytesMut};
use futures_util::{Sink, Stream as _};
use http::{HeaderValue, StatusCode, header};
use jackfield_socket::waking::{both, remember};
use jackfield_socket::{AnyStream, ByteStream, Error, ErrorKind, Host, Place, Result};
use tokio::io::AsyncWrite as _;
use tokio_websockets::upgrade::Error as UpgradeError;
use tokio_websockets::{ClientBuilder, CloseCode, Limits, Message, WebSocketStream};

use crate::bounded::{Bounded, MAX_RESPONSE};
use crate::socket::closed_with;
use crate::{WebSocketOptions, WebSocketUrl};

/// How many answers to pings wait to be sent; beyond it, nothing is received. The library queues one for
/// each, whether the peer takes them or not.
const MAX_PINGS: u32 = 64;

/// An open WebSocket.
pub(crate) struct Socket {
    stream: WebSocketStream<Bounded>,
    /// For errors.
    host: Host,
    /// This side has sent its close.
    closed: bool,
    /// Nothing more comes.
    end: Option<End>,
    /// The code and the reason with which the server has closed.
    peer_close: Option<(u16, String)>,
    /// Answers to pings that may not have left yet.
    pings: u32,
    /// Whoever waits to write.
    writer: Option<Waker>,
    /// Whoever waits to read, until the answers to pings have left.
    answering: Option<Waker>,
}

/// Why nothing more comes.
enum End {
    InOrder,
    Failed(Error),
}

/// Shakes hands.
pub(crate) async fn open(
    stream: impl ByteStream,
    url: &WebSocketUrl,
    options: &WebSocketOptions,
) -> Result<Socket> {
    let host = url.endpoint().host();
    let limits = Limits::default().max_payload_len(Some(options.max_message));
    let mut builder = ClientBuilder::new()
        .uri(url.as_str())
        .map_err(|error| {
            Error::new(
                ErrorKind::InvalidInput,
                format!("a WebSocket's address is not a URL: {error}"),
            )
        })?
        .limits(limits);
    let offered = options.offered()?;
    if !offered.is_empty() {
        let mut offered = HeaderValue::try_from(offered.join(", "))
            .map_err(|error| Error::new(ErrorKind::InvalidInput, error.to_string()))?;
        offered.set_sensitive(true);
        builder = builder
            .add_header(header::SEC_WEBSOCKET_PROTOCOL, offered)
            .map_err(|error| failed(host, error))?;
    }
    let (mut stream, response) = builder
        .connect_on(Bounded::new(AnyStream::new(stream)))
        .await
        .map_err(|error| match error {
            tokio_websockets::Error::Upgrade(UpgradeError::DidNotSwitchProtocols(status)) => {
                refused(host, status)
            }
            tokio_websockets::Error::Upgrade(error) => Error::new(
                ErrorKind::Protocol,
                format!("what answers at {host} opens no WebSockets: {error}"),
            ),
            tokio_websockets::Error::Io(error) if error.kind() == io::ErrorKind::QuotaExceeded => {
                let text = format!(
                    "what answers at {host} opens no WebSockets: its answer is longer than \
                     {MAX_RESPONSE} bytes"
                );
                Error::new(ErrorKind::Protocol, text)
            }
            error => failed(host, error),
        })?;
    stream.get_mut().lift();
    let chosen = response.headers().get(header::SEC_WEBSOCKET_PROTOCOL);
    let chosen = chosen.and_then(|chosen| chosen.to_str().ok());
    options.check_chosen(host, chosen.unwrap_or_default())?;
    Ok(Socket::new(stream, host.clone()))
}

impl Socket {
    /// One whose handshake is done, with whoever is at this host.
    pub(crate) fn new(stream: WebSocketStream<Bounded>, host: Host) -> Self {
        Self {
            stream,
            host,
            closed: false,
            end: None,
            peer_close: None,
            pings: 0,
            writer: None,
            answering: None,
        }
    }

    pub(crate) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.poll_writing(cx, Sink::poll_ready)
    }

    pub(crate) fn send(&mut self, message: BytesMut) -> Result<()> {
        Pin::new(&mut self.stream)
            .start_send(Message::binary(message))
            .map_err(|error| failed(&self.host, error))
    }

    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.poll_writing(cx, Sink::poll_flush)
    }

    /// Writes, or waits until all is written. A reader may wait for the same.
    fn poll_writing(
        &mut self,
        cx: &mut Context<'_>,
        write: impl FnOnce(
            Pin<&mut WebSocketStream<Bounded>>,
            &mut Context<'_>,
        ) -> Poll<std::result::Result<(), tokio_websockets::Error>>,
    ) -> Poll<Result<()>> {
        let both = both(cx.waker(), self.answering.as_ref());
        let written = write(Pin::new(&mut self.stream), &mut Context::from_waker(&both));
        if written.is_pending() {
            remember(&mut self.writer, cx.waker());
        }
        written.map_err(|error| failed(&self.host, error))
    }

    /// Sends what reading has to say. Below, one waker waits to write, and a writer in another task
    /// waits there, too.
    fn poll_answers(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let both = both(cx.waker(), self.writer.as_ref());
        let stream = Pin::new(&mut self.stream);
        // Where it fails, receiving tells.
        let _ = ready!(stream.poll_flush(&mut Context::from_waker(&both)));
        self.pings = 0;
        self.answering = None;
        Poll::Ready(())
    }

    pub(crate) fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>>> {
        loop {
            match &self.end {
                None => {}
                Some(End::InOrder) => return Poll::Ready(Ok(None)),
                Some(End::Failed(error)) => return Poll::Ready(Err(error.clone())),
            }
            if self.pings >= MAX_PINGS && self.poll_answers(cx).is_pending() {
                remember(&mut self.answering, cx.waker());
                return Poll::Pending;
            }
            let end = match ready!(Pin::new(&mut self.stream).poll_next(cx)) {
                Some(Ok(message)) if message.is_binary() => {
                    return Poll::Ready(Ok(Some(message.into_payload().into())));
                }
                Some(Ok(message)) if message.is_text() => {
                    let close = Message::close(Some(CloseCode::UNSUPPORTED_DATA), "");
                    let _ = Pin::new(&mut self.stream).start_send(close);
                    let text = format!("{} sent a text message", self.host);
                    End::Failed(Error::new(ErrorKind::Protocol, text))
                }
                Some(Ok(message)) => {
                    // Otherwise a pong, or a ping, which is answered below this.
                    let Some((code, reason)) = message.as_close() else {
                        self.pings += u32::from(message.is_ping());
                        continue;
                    };
                    self.peer_close = Some((code.into(), reason.to_owned()));
                    self.closed_with(code, reason)
                }
                Some(Err(error)) => failed(&self.host, error).into(),
                None => lost(&self.host, "cut").into(),
            };
            self.end = Some(end);
            // What is to be answered to that; it needs nothing of us any more.
            let _ = self.poll_answers(cx);
        }
    }

    /// The server has closed.
    fn closed_with(&self, code: CloseCode, reason: &str) -> End {
        if self.closed {
            let text = format!("the WebSocket to {} was closed here", self.host);
            End::Failed(Error::new(ErrorKind::Closed, text))
        } else if code == CloseCode::NORMAL_CLOSURE {
            End::InOrder
        } else {
            lost(&self.host, &closed_with(code.into(), reason)).into()
        }
    }

    pub(crate) fn peer_close(&self) -> Option<(u16, String)> {
        self.peer_close.clone()
    }

    pub(crate) fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if self.end.is_none() && !self.closed {
            let close = Message::close(Some(CloseCode::NORMAL_CLOSURE), "");
            Pin::new(&mut self.stream)
                .start_send(close)
                .map_err(|error| failed(&self.host, error))?;
            self.closed = true;
        }
        ready!(self.poll_flush(cx))?;
        if self.end.is_some() {
            // Nothing comes any more: with TLS below, that ends in order, too.
            return Pin::new(self.stream.get_mut())
                .poll_shutdown(cx)
                .map_err(Error::from);
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for Socket {
    /// Nothing follows a close, sent or answered: so it is the end of the stream below, too, which
    /// would otherwise be cut, and the close with it.
    fn drop(&mut self) {
        if self.closed || self.peer_close.is_some() {
            let mut cx = Context::from_waker(Waker::noop());
            let _ = Pin::new(self.stream.get_mut()).poll_shutdown(&mut cx);
        }
    }
}

impl From<Error> for End {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

fn refused(host: &Host, status: u16) -> Error {
    let kind = match status {
        401 | 403 => ErrorKind::Denied,
        408 | 504 => ErrorKind::TimedOut,
        429 | 503 => ErrorKind::LimitExceeded,
        _ => ErrorKind::Protocol,
    };
    let name = StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason())
        .unwrap_or("no name");
    Error::new(
        kind,
        format!("{host} refused the WebSocket: {status} {name}"),
    )
    .at(Place::Server)
}

fn failed(host: &Host, error: tokio_websockets::Error) -> Error {
    match error {
        // Nothing is written here after this side's own end: it was the server that ended the stream.
        tokio_websockets::Error::Io(error) if error.kind() == io::ErrorKind::BrokenPipe => {
            lost(host, "cut")
        }
        tokio_websockets::Error::Io(error) => Error::from(error),
        tokio_websockets::Error::AlreadyClosed => lost(host, "closed already"),
        tokio_websockets::Error::PayloadTooLong { len, max_len } => Error::new(
            ErrorKind::LimitExceeded,
            format!("{host} sent a message of {len} bytes, where {max_len} are the most"),
        ),
        error => Error::new(
            ErrorKind::Protocol,
            format!("{host} broke the rules of WebSockets: {error}"),
        ),
    }
}

fn lost(host: &Host, how: &str) -> Error {
    Error::new(
        ErrorKind::Reset,
        format!("the WebSocket to {host} was {how}"),
    )
}
