//! A network of functions of the page, and futures that are polled from there.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use jackfield_socket::{ByteStream, Endpoint, Result, StreamInfo, TcpConnect, TcpOptions};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use wasm_bindgen::prelude::wasm_bindgen;

#[wasm_bindgen]
extern "C" {
    /// Reads what the server has said; 0 where there is nothing yet.
    fn receive(buffer: &mut [u8]) -> usize;
    /// Takes what is said to the server.
    fn transmit(bytes: &[u8]);
    /// Decides what comes next.
    pub(crate) fn choose() -> u32;
}

/// A network of one server, which is the page.
#[derive(Debug)]
pub(crate) struct Network;

impl TcpConnect for Network {
    type Stream = Stream;

    async fn connect(&self, _to: &Endpoint, _options: &TcpOptions) -> Result<Stream> {
        Ok(Stream)
    }
}

/// A stream from and to the page.
#[derive(Debug)]
pub(crate) struct Stream;

impl ByteStream for Stream {
    fn info(&self) -> StreamInfo {
        let mut info = StreamInfo::new(None, None);
        info.encrypted = true;
        info
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let count = receive(buf.initialize_unfilled());
        if count == 0 {
            return Poll::Pending;
        }
        buf.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        transmit(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// What goes on until the page drops it.
#[wasm_bindgen]
#[derive(Default)]
pub struct Running(Vec<Pin<Box<dyn Future<Output = ()>>>>);

impl Running {
    #[must_use]
    pub(crate) fn with(mut self, future: impl Future<Output = ()> + 'static) -> Self {
        self.0.push(Box::pin(future));
        self
    }
}

#[wasm_bindgen]
impl Running {
    /// Goes on as far as it can.
    pub fn poll(&mut self) {
        let mut cx = Context::from_waker(Waker::noop());
        self.0
            .retain_mut(|future| future.as_mut().poll(&mut cx).is_pending());
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Running")
    }
}
