//! Bindings of Direct Sockets, and as much of the streams' interface as is needed.
//!
//! `web_sys::TcpSocket` is another interface, long dead.

use js_sys::{Object, Promise, Reflect, Uint8Array};
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = TCPSocket)]
    pub(crate) type TcpSocket;
    #[wasm_bindgen(constructor, catch, js_class = "TCPSocket")]
    pub(crate) fn new(address: &str, port: u16, options: &Object) -> Result<TcpSocket, JsValue>;

    #[wasm_bindgen(js_name = TCPServerSocket)]
    pub(crate) type TcpServerSocket;
    #[wasm_bindgen(constructor, catch, js_class = "TCPServerSocket")]
    pub(crate) fn new(address: &str, options: &Object) -> Result<TcpServerSocket, JsValue>;

    #[wasm_bindgen(js_name = UDPSocket)]
    pub(crate) type UdpSocket;
    #[wasm_bindgen(constructor, catch, js_class = "UDPSocket")]
    pub(crate) fn new(options: &Object) -> Result<UdpSocket, JsValue>;

    /// What the three have in common.
    #[derive(Clone)]
    pub(crate) type Socket;
    #[wasm_bindgen(method, getter)]
    pub(crate) fn opened(this: &Socket) -> Promise;
    #[wasm_bindgen(method, getter)]
    pub(crate) fn closed(this: &Socket) -> Promise;
    #[wasm_bindgen(method)]
    pub(crate) fn close(this: &Socket) -> Promise;

    /// What `opened` resolves to.
    pub(crate) type Opened;
    #[wasm_bindgen(method, getter)]
    pub(crate) fn readable(this: &Opened) -> Readable;
    #[wasm_bindgen(method, getter)]
    pub(crate) fn writable(this: &Opened) -> Writable;
    #[wasm_bindgen(method, getter, js_name = localAddress)]
    pub(crate) fn local_address(this: &Opened) -> Option<String>;
    #[wasm_bindgen(method, getter, js_name = localPort)]
    pub(crate) fn local_port(this: &Opened) -> Option<u16>;
    #[wasm_bindgen(method, getter, js_name = remoteAddress)]
    pub(crate) fn remote_address(this: &Opened) -> Option<String>;
    #[wasm_bindgen(method, getter, js_name = remotePort)]
    pub(crate) fn remote_port(this: &Opened) -> Option<u16>;
    #[wasm_bindgen(method, getter, js_name = multicastController)]
    pub(crate) fn multicast_controller(this: &Opened) -> Option<MulticastController>;

    pub(crate) type MulticastController;
    #[wasm_bindgen(method, js_name = joinGroup)]
    pub(crate) fn join_group(this: &MulticastController, group: &str, options: &Object) -> Promise;

    pub(crate) type Readable;
    #[wasm_bindgen(method, js_name = getReader)]
    pub(crate) fn get_reader(this: &Readable) -> Reader;

    #[derive(Clone, Debug)]
    pub(crate) type Reader;
    #[wasm_bindgen(method)]
    pub(crate) fn read(this: &Reader) -> Promise;
    #[wasm_bindgen(method)]
    pub(crate) fn cancel(this: &Reader) -> Promise;
    #[wasm_bindgen(method, js_name = releaseLock)]
    pub(crate) fn release_lock(this: &Reader);

    /// What a read resolves to.
    pub(crate) type ReadResult;
    #[wasm_bindgen(method, getter)]
    pub(crate) fn done(this: &ReadResult) -> bool;
    #[wasm_bindgen(method, getter)]
    pub(crate) fn value(this: &ReadResult) -> JsValue;

    pub(crate) type Writable;
    #[wasm_bindgen(method, js_name = getWriter)]
    pub(crate) fn get_writer(this: &Writable) -> Writer;

    #[derive(Clone, Debug)]
    pub(crate) type Writer;
    #[wasm_bindgen(method)]
    pub(crate) fn write(this: &Writer, chunk: &JsValue) -> Promise;
    #[wasm_bindgen(method)]
    pub(crate) fn close(this: &Writer) -> Promise;
    #[wasm_bindgen(method)]
    pub(crate) fn abort(this: &Writer) -> Promise;
    #[wasm_bindgen(method, js_name = releaseLock)]
    pub(crate) fn release_lock(this: &Writer);

    /// `UDPMessage`.
    pub(crate) type Message;
    #[wasm_bindgen(method, getter)]
    pub(crate) fn data(this: &Message) -> Uint8Array;
    #[wasm_bindgen(method, getter, js_name = remoteAddress)]
    pub(crate) fn remote_address(this: &Message) -> Option<String>;
    #[wasm_bindgen(method, getter, js_name = remotePort)]
    pub(crate) fn remote_port(this: &Message) -> Option<u16>;

    /// A promise, to be chained without a callback.
    pub(crate) type Chain;
    /// Settles as the promise does, a microtask later.
    #[wasm_bindgen(method)]
    pub(crate) fn then(this: &Chain) -> Promise;

    pub(crate) type DomException;
    #[wasm_bindgen(method, getter)]
    pub(crate) fn name(this: &DomException) -> Option<String>;
    #[wasm_bindgen(method, getter)]
    pub(crate) fn message(this: &DomException) -> Option<String>;
}

/// A dictionary of options, of which only those that are given exist.
#[derive(Default)]
pub(crate) struct Options(pub(crate) Object);

impl Options {
    pub(crate) fn set(self, name: &str, value: Option<impl Into<JsValue>>) -> Self {
        if let Some(value) = value {
            // Setting a property of a plain object can't fail.
            let _ = Reflect::set(&self.0, &name.into(), &value.into());
        }
        self
    }
}
