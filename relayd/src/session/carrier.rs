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
/// How many answers to WebSocket's own pings wait to be sent; beyond it, the client is not read.
const MAX_PINGS: u32 = 64;
/// How many bytes a client that isn't let in may send before it is cut.
const MAX_UNREAD: usize = 64 * 1024;

pub(super) struct Carrier<S> {
    socket: WebSocketStream<S>,
    /// Answers to pings that may not have left yet.
    pings: u32,
    /// Whether everything that was to be sent has left.
    flushed: bool,
    /// Of a client that broke WebSocket's own rules. The library takes nothing any more then, and has
    /// its close message in the queue, which the last message must precede.
    broken: bool,
    last: Option<BytesMut>,
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
            flushed: true,
            broken: false,
            last: None,
        }
    }

    pub(super) fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Incoming> {
        loop {
            if self.pings >= MAX_PINGS && ready!(self.poll_flush(cx)).is_err() {
                // Receiving tells why.
                self.pings = 0;
            }
            let message = match ready!(Pin::new(&mut self.socket).poll_next(cx)) {
                Some(Ok(message)) => message,
                Some(Err(Error::PayloadTooLong { .. })) => {
                    // If it is not flushed, a message may have left in part, and none can follow.
                    self.broken = self.flushed;
                    return Poll::Ready(Incoming::Breach("a message is longer than it may be"));
                }
                Some(Err(Error::Protocol(_))) => {
                    self.broken = self.flushed;
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
                self.flushed = false;
            } else if message.is_text() {
                return Poll::Ready(Incoming::Breach("a message is text instead of binary"));
            }
        }
    }

    /// Ready when a message can be sent, or the WebSocket is gone, which receiving tells.
    pub(super) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.broken {
            return Poll::Ready(());
        }
        Pin::new(&mut self.socket).poll_ready(cx).map(|_| ())
    }

    /// Queues a message.
    pub(super) fn send(&mut self, message: BytesMut) {
        if self.broken {
            self.last = Some(message);
            return;
        }
        self.flushed = false;
        // It fails only where the WebSocket is closed, which receiving tells.
        let _ = Pin::new(&mut self.socket).start_send(Message::binary(message));
    }

    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), String>> {
        if self.broken {
            return Poll::Ready(Ok(()));
        }
        let flushed = ready!(Pin::new(&mut self.socket).poll_flush(cx));
        self.pings = 0;
        self.flushed = true;
        Poll::Ready(flushed.map_err(|error: Error| error.to_string()))
    }

    /// Closes the WebSocket, and waits for the client to do the same.
    pub(super) async fn close(&mut self, reason: &Reason) {
        if self.broken {
            // It fails where the client has gone.
            let _ = self.close_broken().await;
            return;
        }
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
        self.hang_up().await
    }

    /// Sends the last message past the library, and then a close message with WebSocket's own code: the
    /// library's.
    async fn close_broken(&mut self) -> io::Result<()> {
        if let Some(last) = self.last.take() {
            // A whole binary message, not masked (RFC 6455, section 5.2); a GOAWAY is no longer.
            let length = u16::try_from(last.len()).map_err(io::Error::other)?;
            let mut frame = vec![0x82];
            if let Ok(short @ ..126) = u8::try_from(length) {
                frame.push(short);
            } else {
                frame.push(126);
                frame.extend(length.to_be_bytes());
            }
            frame.extend(last);
            self.socket.get_mut().write_all(&frame).await?;
        }
        // The library has none of its own for a message that is too long in the sum of its frames only; where it
        // has one, it takes no other.
        let too_long = Message::close(Some(CloseCode::MESSAGE_TOO_BIG), "");
        let _ = Pin::new(&mut self.socket).start_send(too_long);
        self.socket.flush().await.map_err(io::Error::other)?;
        self.hang_up().await
    }

    /// Ends this direction, and reads a while what still comes, unseen.
    async fn hang_up(&mut self) -> io::Result<()> {
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
