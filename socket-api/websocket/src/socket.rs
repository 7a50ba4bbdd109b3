//! A WebSocket that carries whole messages.

use std::fmt;
use std::future::poll_fn;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
#[cfg(not(wasm_browser))]
use jackfield_socket::ByteStream;
use jackfield_socket::{Result, StreamInfo};

#[cfg(wasm_browser)]
use crate::browser as platform;
#[cfg(not(wasm_browser))]
use crate::native as platform;
use crate::{WebSocketOptions, WebSocketStream, WebSocketUrl};

/// A WebSocket that is open, and carries whole binary messages.
///
/// It is polled: `poll_ready`, then [`send`](Self::send), then `poll_flush`, and beside them
/// `poll_receive`, which also answers pings. [`receive`](Self::receive) and
/// [`send_message`](Self::send_message) do the same for those who wait.
///
/// Dropping it closes the connection; whether what was sent arrives is then open.
pub struct WebSocket {
    socket: platform::Socket,
    info: StreamInfo,
}

impl WebSocket {
    /// Opens a WebSocket over a stream to its server on which nothing has been said yet: with TLS
    /// already, where the address asks for it.
    ///
    /// # Errors
    /// - [`InvalidInput`](jackfield_socket::ErrorKind::InvalidInput), where a subprotocol's name is
    ///   none;
    /// - [`Denied`](jackfield_socket::ErrorKind::Denied),
    ///   [`LimitExceeded`](jackfield_socket::ErrorKind::LimitExceeded),
    ///   [`TimedOut`](jackfield_socket::ErrorKind::TimedOut), as the status says with which the
    ///   server refuses;
    /// - [`Protocol`](jackfield_socket::ErrorKind::Protocol), where it refuses otherwise, is no
    ///   WebSocket's server, or does not choose the subprotocol; and the stream's own errors.
    ///
    /// # Cancel safety
    /// Dropping the future closes the stream. It sets no deadline of its own.
    #[cfg(not(wasm_browser))]
    pub async fn over(
        stream: impl ByteStream,
        url: &WebSocketUrl,
        options: &WebSocketOptions,
    ) -> Result<Self> {
        let mut info = stream.info();
        // The handshake's end is the last thing that only the stream can say.
        info.may_truncate = false;
        let socket = platform::open(stream, url, options).await?;
        Ok(Self::new(socket, info))
    }

    /// Opens a WebSocket of the page.
    ///
    /// # Errors
    /// - [`InvalidInput`](jackfield_socket::ErrorKind::InvalidInput), where the browser doesn't take
    ///   the address, or a subprotocol's name is not valid;
    /// - [`Unreachable`](jackfield_socket::ErrorKind::Unreachable), where it does not open and nothing
    ///   answers there;
    /// - [`Protocol`](jackfield_socket::ErrorKind::Protocol), where something answers that opens no
    ///   WebSocket for this page. A page is not told why a WebSocket does not open, so a request is made to
    ///   the same address, of whose answer only that it came can be seen.
    ///
    /// # Cancel safety
    /// Dropping the future closes what it was opening. It sets no deadline of its own.
    #[cfg(wasm_browser)]
    pub fn open(
        url: &WebSocketUrl,
        options: &WebSocketOptions,
    ) -> impl Future<Output = Result<Self>> + Send + 'static {
        let opening = platform::open(url.clone(), options.clone());
        let mut info = StreamInfo::new(None, None);
        info.encrypted = url.is_secure();
        async move {
            let socket = opening.await?;
            Ok(Self::new(socket, info))
        }
    }

    /// The same, carrying a byte stream: where a message ends then means nothing.
    pub fn into_stream(self) -> WebSocketStream {
        WebSocketStream::new(self)
    }

    pub(crate) fn new(socket: platform::Socket, mut info: StreamInfo) -> Self {
        // To close a WebSocket is to close both directions.
        info.half_close = false;
        Self { socket, info }
    }

    /// What is known of the connection below; in a page, nothing.
    pub fn info(&self) -> StreamInfo {
        self.info.clone()
    }

    /// Ready when the WebSocket can take a message: what it holds unsent is short.
    ///
    /// # Errors
    /// Where it has failed or is closed.
    pub fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.socket.poll_ready(cx)
    }

    /// Takes a binary message, after [`poll_ready`](Self::poll_ready) was ready.
    ///
    /// # Errors
    /// As there.
    pub fn send(&mut self, message: BytesMut) -> Result<()> {
        self.socket.send(message)
    }

    /// Moves along what was sent; ready when all of it was given to the system, or in a page to the
    /// browser.
    ///
    /// # Errors
    /// As [`poll_ready`](Self::poll_ready).
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.socket.poll_flush(cx)
    }

    /// The next message; `None` when the server has closed the WebSocket in order, with code 1000.
    ///
    /// # Errors
    /// - [`Reset`](jackfield_socket::ErrorKind::Reset), where it was closed with another code, or
    ///   cut;
    /// - [`Protocol`](jackfield_socket::ErrorKind::Protocol), where the server sent a text message
    ///   or broke the rules;
    /// - [`LimitExceeded`](jackfield_socket::ErrorKind::LimitExceeded), where a message is longer
    ///   than [`WebSocketOptions::max_message`], or, in a page, more waits than
    ///   [`WebSocketOptions::max_waiting`];
    /// - [`Closed`](jackfield_socket::ErrorKind::Closed), where this side has closed it before the
    ///   server did.
    pub fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>>> {
        self.socket.poll_receive(cx)
    }

    /// The next message, where it has come already.
    #[cfg(wasm_browser)]
    pub(crate) fn waiting(&mut self) -> Option<Bytes> {
        self.socket.waiting()
    }

    /// The code and the reason with which the server has closed it, where that was received; the reason is
    /// whatever the server wrote. In a page the code is 1006 where it was cut.
    pub fn peer_close(&self) -> Option<(u16, String)> {
        self.socket.peer_close()
    }

    /// Closes it in order, with code 1000, behind everything that was sent. Ready when that is on
    /// its way; the server's answer is not waited for.
    ///
    /// What the server sends afterwards is lost.
    ///
    /// # Errors
    /// As [`poll_ready`](Self::poll_ready).
    pub fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.socket.poll_close(cx)
    }

    /// The next message, as a future.
    ///
    /// # Errors
    /// As [`poll_receive`](Self::poll_receive).
    ///
    /// # Cancel safety
    /// Dropping the future loses no message.
    pub async fn receive(&mut self) -> Result<Option<Bytes>> {
        poll_fn(|cx| self.poll_receive(cx)).await
    }

    /// Sends a binary message, and flushes it.
    ///
    /// # Errors
    /// As [`poll_ready`](Self::poll_ready).
    ///
    /// # Cancel safety
    /// When the future is dropped, the message was sent whole, will be with the next one, or never
    /// is.
    pub async fn send_message(&mut self, message: &[u8]) -> Result<()> {
        poll_fn(|cx| self.poll_ready(cx)).await?;
        self.send(message.into())?;
        poll_fn(|cx| self.poll_flush(cx)).await
    }

    /// Closes it, as [`poll_close`](Self::poll_close) does.
    ///
    /// # Errors
    /// As there.
    ///
    /// # Cancel safety
    /// When the future is dropped, it may be closed or not.
    pub async fn close(&mut self) -> Result<()> {
        poll_fn(|cx| self.poll_close(cx)).await
    }
}

/// What a close says, after "the WebSocket was".
pub(crate) fn closed_with(code: u16, reason: &str) -> String {
    let mut text = format!("closed with code {code}");
    if !reason.is_empty() {
        // What a server says may be anything; a terminal is not to act on it.
        text.extend([": ", &reason.escape_debug().to_string()]);
    }
    text
}

impl fmt::Debug for WebSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocket")
            .field("info", &self.info)
            .finish_non_exhaustive()
    }
}
