//! Bindings of Direct Sockets, and as much of the streams' interface as is needed.
//!
//! `web_sys::TcpSocket` is another interface, long dead.

use js_sys::{Array, Function, Object, Promise, ReferenceError, Reflect, Symbol, Uint8Array};
use wasm_bindgen::prelude::*;

/// Where a class that a page has put in the place of the browser's own says which it has replaced: null where
/// there was none. The page's own stand on this backend, which must not stand on them.
const NATIVE: &str = "jackfield.native";

/// The browser's own class of this name.
pub(crate) fn native(name: &str) -> Option<Function> {
    let class = Reflect::get(&js_sys::global(), &name.into()).ok()?;
    let class = class.dyn_into::<Function>().ok()?;
    let replaced = Reflect::get(&class, &Symbol::for_(NATIVE)).ok()?;
    if replaced.is_undefined() {
        return Some(class);
    }
    replaced.dyn_into().ok()
}

/// A new socket of this class.
pub(crate) fn construct(class: &str, arguments: &Array) -> Result<Socket, JsValue> {
    let Some(native) = native(class) else {
        return Err(ReferenceError::new(&format!("{class} is not defined")).into());
    };
    Reflect::construct(&native, arguments).map(JsCast::unchecked_into)
}

#[wasm_bindgen]
extern "C" {
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

    #[derive(Clone)]
    pub(crate) type MulticastController;
    #[wasm_bindgen(method, js_name = joinGroup)]
    pub(crate) fn join_group(this: &MulticastController, group: &str, options: &Object) -> Promise;
    #[wasm_bindgen(method, js_name = leaveGroup)]
    pub(crate) fn leave_group(this: &MulticastController, group: &str, options: &Object)
    -> Promise;

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
