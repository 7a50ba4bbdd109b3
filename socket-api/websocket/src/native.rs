//! A native WebSocket, over any byte stream.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use bytes::{Bytes, BytesMut};
use futures_util::{Sink as _, Stream as _};
use http::{HeaderValue, StatusCode, header};
use jackfield_socket::{AnyStream, ByteStream, Error, ErrorKind, Host, Place, Result};
use tokio::io::AsyncWrite as _;
use tokio_websockets::upgrade::Error as UpgradeError;
use tokio_websockets::{ClientBuilder, CloseCode, Limits, Message, WebSocketStream};

use crate::socket::closed_with;
use crate::{WebSocketOptions, WebSocketUrl};

/// An open WebSocket.
pub(crate) struct Socket {
    stream: WebSocketStream<AnyStream>,
    /// For errors.
    host: Host,
    /// This side has sent its close.
    closed: bool,
    /// Nothing more comes.
    end: Option<End>,
    /// The code and the reason with which the server has closed.
    peer_close: Option<(u16, String)>,
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
    let (stream, response) = builder
        .connect_on(AnyStream::new(stream))
        .await
        .map_err(|error| match error {
            tokio_websockets::Error::Upgrade(UpgradeError::DidNotSwitchProtocols(status)) => {
                refused(host, status)
            }
            tokio_websockets::Error::Upgrade(error) => Error::new(
                ErrorKind::Protocol,
                format!("what answers at {host} opens no WebSockets: {error}"),
            ),
            error => failed(host, error),
        })?;
    let chosen = response.headers().get(header::SEC_WEBSOCKET_PROTOCOL);
    let chosen = chosen.and_then(|chosen| chosen.to_str().ok());
    options.check_chosen(host, chosen.unwrap_or_default())?;
    Ok(Socket::new(stream, host.clone()))
}

impl Socket {
    /// One whose handshake is done, with whoever is at this host.
    pub(crate) fn new(stream: WebSocketStream<AnyStream>, host: Host) -> Self {
        Self {
            stream,
            host,
            closed: false,
            end: None,
            peer_close: None,
        }
    }

    pub(crate) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream)
            .poll_ready(cx)
            .map_err(|error| failed(&self.host, error))
    }

    pub(crate) fn send(&mut self, message: BytesMut) -> Result<()> {
        Pin::new(&mut self.stream)
            .start_send(Message::binary(message))
            .map_err(|error| failed(&self.host, error))
    }

    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream)
            .poll_flush(cx)
            .map_err(|error| failed(&self.host, error))
    }

    pub(crate) fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>>> {
        loop {
            match &self.end {
                None => {}
                Some(End::InOrder) => return Poll::Ready(Ok(None)),
                Some(End::Failed(error)) => return Poll::Ready(Err(error.clone())),
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
                Some(Ok(message)) => match message.as_close() {
                    Some((code, reason)) => {
                        self.peer_close = Some((code.into(), reason.to_owned()));
                        self.closed_with(code, reason)
                    }
                    // A pong, or a ping, which is answered below this.
                    None => continue,
                },
                Some(Err(error)) => failed(&self.host, error).into(),
                None => lost(&self.host, "cut").into(),
            };
            self.end = Some(end);
            // What is to be answered to that; it needs nothing of us any more.
            let _ = Pin::new(&mut self.stream).poll_flush(cx);
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
        let mut stream = Pin::new(&mut self.stream);
        let failed = |error| failed(&self.host, error);
        if self.end.is_none() && !self.closed {
            let close = Message::close(Some(CloseCode::NORMAL_CLOSURE), "");
            stream.as_mut().start_send(close).map_err(failed)?;
            self.closed = true;
        }
        ready!(stream.as_mut().poll_flush(cx)).map_err(failed)?;
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
