//! `WebSocketStream`: a WebSocket with backpressure both ways, where the browser has it.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use jackfield_socket::Result;
use js_sys::{Array, Object, Promise, Reflect};
use send_wrapper::SendWrapper;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

use super::{bad_address, check_protocol, closed, not_binary, not_opened, to_js};
use crate::carrier::Carrier;

#[wasm_bindgen]
extern "C" {
    /// <https://websockets.spec.whatwg.org/#the-websocketstream-interface>, as Chromium has it.
    type WebSocketStream;
    #[wasm_bindgen(constructor, catch)]
    fn new(url: &str, options: &Object) -> std::result::Result<WebSocketStream, JsValue>;
    #[wasm_bindgen(method, getter)]
    fn opened(this: &WebSocketStream) -> Promise;
    #[wasm_bindgen(method, getter)]
    fn closed(this: &WebSocketStream) -> Promise;
    #[wasm_bindgen(method, catch)]
    fn close(this: &WebSocketStream) -> std::result::Result<(), JsValue>;

    /// What `opened` brings.
    type Opened;
    #[wasm_bindgen(method, getter)]
    fn protocol(this: &Opened) -> String;
    #[wasm_bindgen(method, getter)]
    fn readable(this: &Opened) -> Readable;
    #[wasm_bindgen(method, getter)]
    fn writable(this: &Opened) -> Writable;

    type Readable;
    #[wasm_bindgen(method, js_name = getReader)]
    fn get_reader(this: &Readable) -> Reader;

    type Reader;
    #[wasm_bindgen(method)]
    fn read(this: &Reader) -> Promise;

    type Writable;
    #[wasm_bindgen(method, js_name = getWriter)]
    fn get_writer(this: &Writable) -> Writer;

    type Writer;
    #[wasm_bindgen(method)]
    fn write(this: &Writer, chunk: &JsValue) -> Promise;
    #[wasm_bindgen(method, js_name = close)]
    fn close_writer(this: &Writer) -> Promise;

    /// What `read` brings.
    type Chunk;
    #[wasm_bindgen(method, getter)]
    fn done(this: &Chunk) -> bool;
    #[wasm_bindgen(method, getter)]
    fn value(this: &Chunk) -> JsValue;
}

/// Whether the browser has it.
pub(super) fn exists() -> bool {
    Reflect::get(&js_sys::global(), &"WebSocketStream".into())
        .is_ok_and(|found| found.is_function())
}

/// Opens a WebSocket.
pub(super) async fn open(url: &str, protocols: &Array) -> Result<StreamCarrier> {
    let options = Object::new();
    Reflect::set(&options, &"protocols".into(), protocols).map_err(|error| bad_address(&error))?;
    let socket = Socket(WebSocketStream::new(url, &options).map_err(|error| bad_address(&error))?);
    // Its rejection says no more than those of the reads and writes, and would be reported as
    // unhandled.
    ignore(&socket.0.closed());
    let opened: Opened = JsFuture::from(socket.0.opened())
        .await
        .map_err(|_| not_opened())?
        .unchecked_into();
    check_protocol(&opened.protocol())?;
    Ok(StreamCarrier(SendWrapper::new(Inner {
        reader: opened.readable().get_reader(),
        writer: opened.writable().get_writer(),
        reading: None,
        writing: None,
        _socket: socket,
    })))
}

/// An open WebSocket. Dropping it closes it.
pub(super) struct StreamCarrier(SendWrapper<Inner>);

struct Inner {
    reader: Reader,
    writer: Writer,
    /// The promise stays here until it is settled: a read that is dropped would lose a message.
    reading: Option<JsFuture>,
    writing: Option<JsFuture>,
    _socket: Socket,
}

/// Closes it, also while it is still being opened.
struct Socket(WebSocketStream);

impl Inner {
    fn poll_written(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if let Some(writing) = &mut self.writing {
            let written = ready!(Pin::new(writing).poll(cx));
            self.writing = None;
            if written.is_err() {
                return Poll::Ready(Err(closed(1006)));
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl Carrier for StreamCarrier {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.0.poll_written(cx)
    }

    fn send(&mut self, message: BytesMut) -> Result<()> {
        let promise = self.0.writer.write(&to_js(&message));
        self.0.writing = Some(JsFuture::from(promise));
        Ok(())
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.0.poll_written(cx)
    }

    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes>> {
        let inner = &mut *self.0;
        let reader = &inner.reader;
        let reading = inner
            .reading
            .get_or_insert_with(|| JsFuture::from(reader.read()));
        let chunk = ready!(Pin::new(reading).poll(cx));
        inner.reading = None;
        let Ok(chunk) = chunk else {
            return Poll::Ready(Err(closed(1006)));
        };
        let chunk: Chunk = chunk.unchecked_into();
        if chunk.done() {
            return Poll::Ready(Err(closed(1000)));
        }
        // An ArrayBuffer or a Uint8Array, as the browser's version has it.
        let value = chunk.value();
        if value.is_string() {
            return Poll::Ready(Err(not_binary()));
        }
        Poll::Ready(Ok(js_sys::Uint8Array::new(&value).to_vec().into()))
    }

    fn poll_close(&mut self, _cx: &mut Context<'_>) -> Poll<()> {
        // Behind everything that was written; the browser goes on without us.
        ignore(&self.0.writer.close_writer());
        Poll::Ready(())
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = self.0.close();
    }
}

/// Takes a rejection nobody needs.
fn ignore(promise: &Promise) {
    let nothing = Closure::<dyn FnMut(JsValue)>::new(|_| {});
    let _ = promise.catch(&nothing);
    // Freed by JavaScript's collector, together with the promise.
    let _ = nothing.into_js_value();
}
