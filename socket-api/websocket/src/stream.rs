//! A byte stream in a WebSocket's messages.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use jackfield_socket::{ByteStream, Error, ErrorKind, StreamInfo};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::WebSocket;

/// How many bytes are sent in a message at the most. What receives it knows nothing of where one
/// ends.
const MESSAGE: usize = 64 * 1024;

/// A byte stream in a WebSocket's binary messages, whose bounds mean nothing.
///
/// It ends when the server closes the WebSocket with code 1000; every other end is an error. It
/// can't be half-closed: shutting it down closes both directions, and reading on gives what had
/// come by then and then the error [`Closed`](ErrorKind::Closed), unless the server had closed
/// before.
///
/// In a page, `poll_flush` is ready when the browser has taken what was written, of which it holds
/// 256 KiB before a writer waits. A reader that stalls can't stall the server there: see
/// [`WebSocketOptions::max_waiting`](crate::WebSocketOptions::max_waiting).
#[derive(Debug)]
pub struct WebSocketStream {
    socket: WebSocket,
    /// What of a message was not read yet.
    unread: Bytes,
    ended: bool,
    shut: bool,
}

impl WebSocketStream {
    pub(crate) fn new(socket: WebSocket) -> Self {
        Self {
            socket,
            unread: Bytes::new(),
            ended: false,
            shut: false,
        }
    }
}

impl ByteStream for WebSocketStream {
    fn info(&self) -> StreamInfo {
        self.socket.info()
    }
}

impl AsyncRead for WebSocketStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        // A message may be empty.
        while this.unread.is_empty() && !this.ended {
            match ready!(this.socket.poll_receive(cx))? {
                Some(message) => this.unread = message,
                None => this.ended = true,
            }
        }
        let count = this.unread.len().min(buf.remaining());
        buf.put_slice(&this.unread.split_to(count));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for WebSocketStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.shut {
            let error = Error::new(ErrorKind::Closed, "the stream was shut down");
            return Poll::Ready(Err(error.into()));
        }
        if data.is_empty() {
            return Poll::Ready(Ok(0));
        }
        ready!(self.socket.poll_ready(cx))?;
        let message = &data[..data.len().min(MESSAGE)];
        self.socket.send(message.into())?;
        Poll::Ready(Ok(message.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.poll_flush(cx).map_err(Into::into)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.shut = true;
        self.socket.poll_close(cx).map_err(Into::into)
    }
}
