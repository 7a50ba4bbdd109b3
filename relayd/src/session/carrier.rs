//! The WebSocket that carries a session: binary messages in and out.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use futures_util::{Sink, SinkExt as _, Stream, StreamExt as _};
use jackfield_relay_wire::{Code, Frame, MAX_MESSAGE, Reason};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio_websockets::{CloseCode, Config, Error, Limits, Message, ServerBuilder, WebSocketStream};

/// How many bytes may wait to be written before the multiplexer is asked for more.
pub(super) const BACKLOG: usize = 128 * 1024;
/// How many of WebSocket's own pings a client may send while it doesn't read the answers.
const MAX_PINGS: u32 = 64;
/// How many bytes a client that isn't let in may send before it is cut.
const MAX_UNREAD: usize = 64 * 1024;

pub(super) struct Carrier<S> {
    socket: WebSocketStream<S>,
    pings: u32,
}

/// What came.
pub(super) enum Incoming {
    Message(Bytes),
    /// The client broke the rules.
    Breach(&'static str),
    /// The WebSocket is closed, or has failed.
    Gone(String),
}

impl<S: AsyncRead + AsyncWrite + Unpin> Carrier<S> {
    /// Takes over a stream on which the handshake is done.
    pub(super) fn new(stream: S) -> Self {
        let config = Config::default()
            .frame_size(MAX_MESSAGE)
            .flush_threshold(BACKLOG);
        let limits = Limits::default().max_payload_len(Some(MAX_MESSAGE));
        let mut builder = ServerBuilder::new();
        builder = builder.config(config).limits(limits);
        Self {
            socket: builder.serve(stream),
            pings: 0,
        }
    }

    pub(super) fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Incoming> {
        loop {
            let message = match ready!(Pin::new(&mut self.socket).poll_next(cx)) {
                Some(Ok(message)) => message,
                Some(Err(Error::PayloadTooLong { .. })) => {
                    return Poll::Ready(Incoming::Breach("a message is longer than it may be"));
                }
                Some(Err(Error::Protocol(_))) => {
                    return Poll::Ready(Incoming::Breach("that is not WebSocket"));
                }
                Some(Err(error)) => return Poll::Ready(Incoming::Gone(error.to_string())),
                None => return Poll::Ready(Incoming::Gone("the WebSocket is closed".into())),
            };
            if message.is_binary() {
                return Poll::Ready(Incoming::Message(message.into_payload().into()));
            }
            if message.is_ping() {
                // The library queues an answer to each.
                self.pings += 1;
                if self.pings > MAX_PINGS {
                    return Poll::Ready(Incoming::Breach("too many pings and nobody reads"));
                }
            } else if message.is_text() {
                return Poll::Ready(Incoming::Breach("a message is text instead of binary"));
            }
        }
    }

    /// Ready when a message can be sent, or the WebSocket is gone, which receiving tells.
    pub(super) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.socket).poll_ready(cx).map(|_| ())
    }

    /// Queues a message.
    pub(super) fn send(&mut self, message: BytesMut) {
        // It fails only where the WebSocket is closed, which receiving tells.
        let _ = Pin::new(&mut self.socket).start_send(Message::binary(message));
    }

    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), String>> {
        let flushed = ready!(Pin::new(&mut self.socket).poll_flush(cx));
        self.pings = 0;
        Poll::Ready(flushed.map_err(|error: Error| error.to_string()))
    }

    /// Closes the WebSocket, and waits for the client to do the same.
    pub(super) async fn close(&mut self, reason: &Reason) {
        if reason.code() == Code::CARRIER_LOST
            || self.socket.send(close_message(reason)).await.is_err()
        {
            return;
        }
        while let Some(Ok(_)) = self.socket.next().await {}
        let _ = self.socket.close().await;
    }

    /// Tells a client why it isn't let in, and closes. Nothing that it sends is taken for messages, nor
    /// kept; it is read all the same, since to close on what was not read would be to cut off what is
    /// told here.
    pub(super) async fn dismiss(mut self, reason: &Reason) -> io::Result<()> {
        self.send(Frame::GoAway(reason.clone()).encode());
        let told = self.socket.send(close_message(reason)).await;
        told.map_err(io::Error::other)?;
        let stream = self.socket.get_mut();
        stream.shutdown().await?;
        let (mut unread, mut left) = ([0; 512], MAX_UNREAD);
        while left > 0 {
            match stream.read(&mut unread).await? {
                0 => break,
                count => left = left.saturating_sub(count),
            }
        }
        Ok(())
    }
}

/// A close message; what doesn't fit of the text is left out (RFC 6455, section 5.5).
fn close_message(reason: &Reason) -> Message {
    let text = reason.to_string();
    // It fails for codes that are reserved only, which none of these is.
    let code = CloseCode::try_from(reason.code().close_code()).ok();
    Message::close(code, &text[..text.floor_char_boundary(123)])
}
