//! What a page gives piece by piece, as something to read from.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use js_sys::{Function, Promise, Uint8Array};
use tokio::io::{AsyncRead, ReadBuf};
use wasm_bindgen::{JsCast as _, JsValue};
use wasm_bindgen_futures::JsFuture;

/// Reads what a page's function gives: a promise of bytes, or of null at the end.
#[derive(Debug)]
pub(crate) struct PageReader {
    pull: Function,
    asked: Option<JsFuture>,
    piece: Vec<u8>,
    at: usize,
    is_done: bool,
}

impl PageReader {
    pub(crate) fn new(pull: Function) -> Self {
        Self {
            pull,
            asked: None,
            piece: Vec::new(),
            at: 0,
            is_done: false,
        }
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let asked = match &mut self.asked {
            Some(asked) => asked,
            asked => {
                let promise = self.pull.call0(&JsValue::UNDEFINED).map_err(|_| failed())?;
                asked.insert(JsFuture::from(Promise::resolve(&promise)))
            }
        };
        let given = ready!(Pin::new(asked).poll(cx));
        self.asked = None;
        let given = given.map_err(|_| failed())?;
        match given.dyn_ref::<Uint8Array>() {
            Some(piece) => (self.piece, self.at) = (piece.to_vec(), 0),
            None => self.is_done = true,
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for PageReader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.at == self.piece.len() && !self.is_done {
            ready!(self.poll_piece(cx))?;
        }
        let rest = &self.piece[self.at..];
        let count = rest.len().min(buf.remaining());
        buf.put_slice(&rest[..count]);
        self.at += count;
        Poll::Ready(Ok(()))
    }
}

/// Whoever asked to send it knows why, and tells that.
fn failed() -> io::Error {
    io::Error::other("what the page gives could not be read")
}
