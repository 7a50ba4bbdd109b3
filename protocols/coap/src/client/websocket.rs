//! CoAP over WebSockets (RFC 8323, section 4), for the client over streams: each message of CoAP is
//! one of the WebSocket's, and a frame of the stream.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use jackfield_socket::{ByteStream, Endpoint, Error, ErrorKind, Result, StreamInfo};
use jackfield_socket::{TcpConnect, TcpOptions};
use jackfield_websocket::{WebSocket, WebSocketNetwork, WebSocketOptions};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::codec::{FrameHeader, frame_to_websocket, websocket_to_frame};

/// Where a server takes WebSockets (RFC 8323, section 8.3).
const PATH: &str = "/.well-known/coap";
/// The subprotocol that both agree on (section 4.1).
const SUBPROTOCOL: &str = "coap";
/// How many bytes wait for the WebSocket before no more are taken.
const HIGH_WATER: usize = 64 * 1024;

/// A network whose streams are WebSockets that carry CoAP (`coap+ws`, `coaps+ws`): to be given to
/// [`connect_tcp`](super::connect_tcp). In a page they are the page's own, which needs no relay.
#[derive(Clone, Debug)]
pub struct CoapWebSockets(WebSocketNetwork);

impl CoapWebSockets {
    /// `coap+ws`: WebSockets without TLS, over this network.
    #[cfg(not(wasm_browser))]
    pub fn ws(network: impl TcpConnect) -> Self {
        Self(WebSocketNetwork::over(network, options()))
    }

    /// `coaps+ws`: WebSockets over a network that brings TLS, such as `jackfield_tls`'s.
    #[cfg(not(wasm_browser))]
    pub fn wss(network: impl TcpConnect) -> Self {
        Self(WebSocketNetwork::over(network, options()))
    }

    /// `coap+ws`: the page's own WebSockets, without TLS. A page that was itself loaded over HTTPS
    /// may open them to its own machine alone.
    #[cfg(wasm_browser)]
    pub fn ws() -> Self {
        Self(WebSocketNetwork::ws(options()))
    }

    /// `coaps+ws`: the page's own WebSockets, with TLS.
    #[cfg(wasm_browser)]
    pub fn wss() -> Self {
        Self(WebSocketNetwork::wss(options()))
    }
}

fn options() -> WebSocketOptions {
    WebSocketOptions::new()
        .with_path(PATH)
        .with_subprotocol(SUBPROTOCOL)
}

impl TcpConnect for CoapWebSockets {
    type Stream = CoapWebSocketStream;

    async fn connect(&self, to: &Endpoint, tcp: &TcpOptions) -> Result<CoapWebSocketStream> {
        let socket = self.0.open(to, tcp).await?;
        Ok(CoapWebSocketStream {
            socket,
            received: Vec::new(),
            read: 0,
            unsent: Vec::new(),
            broken: false,
        })
    }
}

/// A WebSocket that carries CoAP, as the stream that TCP would be.
#[derive(Debug)]
pub struct CoapWebSocketStream {
    socket: WebSocket,
    /// The message that was received last, as a frame: from `read` on, it was not read.
    received: Vec<u8>,
    read: usize,
    /// Frames, the last perhaps incomplete, that the WebSocket has not taken.
    unsent: Vec<u8>,
    /// What came was not CoAP: nothing more is read.
    broken: bool,
}

impl CoapWebSocketStream {
    /// Gives the WebSocket what it takes; ready when no whole frame is left.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let length = FrameHeader::decode(&self.unsent).map(|header| header.frame_len());
            let length = length.and_then(|length| usize::try_from(length).ok());
            let Some(frame) = length.and_then(|length| self.unsent.get(..length)) else {
                return Poll::Ready(Ok(()));
            };
            ready!(self.socket.poll_ready(cx))?;
            let length = frame.len();
            let mut message = Vec::with_capacity(length);
            frame_to_websocket(frame, &mut message).map_err(malformed)?;
            self.socket.send(BytesMut::from(&message[..]))?;
            self.unsent.drain(..length);
        }
    }
}

impl AsyncRead for CoapWebSocketStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.broken {
            let error = Error::new(ErrorKind::Closed, "the stream has failed before");
            return Poll::Ready(Err(error.into()));
        }
        if this.read == this.received.len() {
            let Some(message) = ready!(this.socket.poll_receive(cx))? else {
                return Poll::Ready(Ok(()));
            };
            this.received.clear();
            this.read = 0;
            if let Err(error) = websocket_to_frame(&message, &mut this.received) {
                this.broken = true;
                return Poll::Ready(Err(malformed(error)));
            }
        }
        let unread = this.received.get(this.read..).unwrap_or_default();
        let count = unread.len().min(buf.remaining());
        buf.put_slice(unread.get(..count).unwrap_or_default());
        this.read += count;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for CoapWebSocketStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let drained = this.poll_drain(cx)?;
        // A frame that is larger than that goes on until it is whole.
        if drained.is_pending() && this.unsent.len() >= HIGH_WATER {
            return Poll::Pending;
        }
        this.unsent.extend_from_slice(data);
        let _ = this.poll_drain(cx)?;
        Poll::Ready(Ok(data.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_drain(cx))?;
        this.socket.poll_flush(cx).map_err(io::Error::from)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_flush(cx))?;
        self.get_mut()
            .socket
            .poll_close(cx)
            .map_err(io::Error::from)
    }
}

impl ByteStream for CoapWebSocketStream {
    fn info(&self) -> StreamInfo {
        self.socket.info()
    }
}

fn malformed(error: crate::codec::DecodeError) -> io::Error {
    Error::new(
        ErrorKind::Protocol,
        "a WebSocket message is no message of CoAP",
    )
    .with_source(error)
    .into()
}
