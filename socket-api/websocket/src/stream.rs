//! A byte stream in a WebSocket's messages.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
#[cfg(wasm_browser)]
use bytes::BytesMut;
use jackfield_socket::{ByteStream, Error, ErrorKind, Result, StreamInfo};
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
/// What was written is sent when it is flushed. In a page, what is written in quick succession is
/// gathered until the browser's next turn, and `poll_flush` is ready when the browser has taken it; of
/// that it holds 256 KiB before a writer waits. A reader that stalls can't stall the server there: see
/// [`WebSocketOptions::max_waiting`](crate::WebSocketOptions::max_waiting).
pub struct WebSocketStream {
    socket: WebSocket,
    /// What was written, until the WebSocket takes a message.
    #[cfg(wasm_browser)]
    gathered: BytesMut,
    /// What of a message was not read yet.
    unread: Bytes,
    ended: bool,
    shut: bool,
}

impl WebSocketStream {
    pub(crate) fn new(socket: WebSocket) -> Self {
        Self {
            socket,
            #[cfg(wasm_browser)]
            gathered: BytesMut::new(),
            unread: Bytes::new(),
            ended: false,
            shut: false,
        }
    }
}

impl WebSocketStream {
    /// Gives what was not read yet of a message, as far as there is room.
    fn give(&mut self, buf: &mut ReadBuf<'_>) {
        let count = self.unread.len().min(buf.remaining());
        buf.put_slice(&self.unread.split_to(count));
    }

    /// Ready when some data can be taken.
    #[cfg(not(wasm_browser))]
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.socket.poll_ready(cx)
    }

    #[cfg(wasm_browser)]
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let ready = self.socket.poll_ready(cx)?;
        if self.gathered.len() < MESSAGE {
            return Poll::Ready(Ok(()));
        }
        ready!(ready);
        Poll::Ready(self.send_gathered())
    }

    /// Takes some of the data, where there is room.
    #[cfg(not(wasm_browser))]
    fn take(&mut self, data: &[u8]) -> Result<usize> {
        let message = &data[..data.len().min(MESSAGE)];
        self.socket.send(message.into())?;
        Ok(message.len())
    }

    #[cfg(wasm_browser)]
    #[expect(clippy::unnecessary_wraps, reason = "natively it is sent")]
    fn take(&mut self, data: &[u8]) -> Result<usize> {
        let room = MESSAGE - self.gathered.len();
        let message = &data[..data.len().min(room)];
        self.gathered.extend_from_slice(message);
        Ok(message.len())
    }

    #[cfg(wasm_browser)]
    fn send_gathered(&mut self) -> Result<()> {
        let message = self.gathered.split();
        self.socket.send(message)
    }
}

/// What was written goes out, as far as the browser lets it.
#[cfg(wasm_browser)]
impl Drop for WebSocketStream {
    fn drop(&mut self) {
        if !self.shut && !self.gathered.is_empty() {
            let _ = self.send_gathered();
        }
    }
}

impl fmt::Debug for WebSocketStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocketStream").finish_non_exhaustive()
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
        this.give(buf);
        // What came in one of the browser's turns is read in one go: servers that send a message for each of
        // their packets make very many short ones.
        #[cfg(wasm_browser)]
        while buf.remaining() > 0
            && let Some(message) = this.socket.waiting()
        {
            this.unread = message;
            this.give(buf);
        }
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
        ready!(self.poll_room(cx))?;
        Poll::Ready(self.take(data).map_err(Into::into))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        #[cfg(wasm_browser)]
        if !self.gathered.is_empty() {
            ready!(self.socket.poll_ready(cx))?;
            self.send_gathered()?;
        }
        self.socket.poll_flush(cx).map_err(Into::into)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        #[cfg(wasm_browser)]
        if !self.shut && !self.gathered.is_empty() {
            // Where nothing can be sent any more, closing says so.
            let _ = self.send_gathered();
        }
        self.shut = true;
        self.socket.poll_close(cx).map_err(Into::into)
    }
}
