//! Bindings of IndexedDB and Web Locks, as much as is needed, in windows and workers alike.

use js_sys::{Array, Function, Object, Promise};
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    /// The window, or the worker.
    pub(super) type Scope;
    #[wasm_bindgen(method, getter, catch, js_name = indexedDB)]
    pub(super) fn indexed_db(this: &Scope) -> Result<Option<Factory>, JsValue>;
    #[wasm_bindgen(method, getter)]
    pub(super) fn navigator(this: &Scope) -> Navigator;

    pub(super) type Factory;
    #[wasm_bindgen(method, catch)]
    pub(super) fn open(this: &Factory, name: &str, version: u32) -> Result<Request, JsValue>;

    #[derive(Clone)]
    pub(super) type Request;
    #[wasm_bindgen(method, getter)]
    pub(super) fn result(this: &Request) -> JsValue;
    #[wasm_bindgen(method, getter)]
    pub(super) fn error(this: &Request) -> JsValue;
    #[wasm_bindgen(method, setter, js_name = onsuccess)]
    pub(super) fn set_onsuccess(this: &Request, handler: &Function);
    #[wasm_bindgen(method, setter, js_name = onerror)]
    pub(super) fn set_onerror(this: &Request, handler: &Function);
    #[wasm_bindgen(method, getter, js_name = readyState)]
    pub(super) fn ready_state(this: &Request) -> String;
    #[wasm_bindgen(method, setter, js_name = onupgradeneeded)]
    pub(super) fn set_onupgradeneeded(this: &Request, handler: &Function);

    #[derive(Clone)]
    pub(super) type Database;
    #[wasm_bindgen(method, catch, js_name = createObjectStore)]
    pub(super) fn create_object_store(this: &Database, name: &str) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, catch)]
    pub(super) fn transaction(
        this: &Database,
        store: &str,
        mode: &str,
        options: &Object,
    ) -> Result<Transaction, JsValue>;
    #[wasm_bindgen(method)]
    pub(super) fn close(this: &Database);

    pub(super) type Transaction;
    #[wasm_bindgen(method, catch, js_name = objectStore)]
    pub(super) fn object_store(this: &Transaction, name: &str) -> Result<ObjectStore, JsValue>;
    #[wasm_bindgen(method, getter)]
    pub(super) fn error(this: &Transaction) -> JsValue;
    #[wasm_bindgen(method)]
    pub(super) fn abort(this: &Transaction);
    #[wasm_bindgen(method, setter, js_name = oncomplete)]
    pub(super) fn set_oncomplete(this: &Transaction, handler: &Function);
    #[wasm_bindgen(method, setter, js_name = onabort)]
    pub(super) fn set_onabort(this: &Transaction, handler: &Function);

    pub(super) type ObjectStore;
    #[wasm_bindgen(method, catch)]
    pub(super) fn put(
        this: &ObjectStore,
        value: &JsValue,
        key: &JsValue,
    ) -> Result<Request, JsValue>;
    #[wasm_bindgen(method, catch)]
    pub(super) fn delete(this: &ObjectStore, key: &JsValue) -> Result<Request, JsValue>;
    #[wasm_bindgen(method, catch, js_name = getAll)]
    pub(super) fn get_all(this: &ObjectStore) -> Result<Request, JsValue>;
    #[wasm_bindgen(method, catch, js_name = getAllKeys)]
    pub(super) fn get_all_keys(this: &ObjectStore) -> Result<Request, JsValue>;

    pub(super) type AbortSignal;
    /// One that aborts after so many milliseconds.
    #[wasm_bindgen(static_method_of = AbortSignal)]
    pub(super) fn timeout(after: u32) -> AbortSignal;

    pub(super) type Navigator;
    /// Only where the page came over HTTPS, or from this machine.
    #[wasm_bindgen(method, getter)]
    pub(super) fn locks(this: &Navigator) -> Option<Locks>;

    pub(super) type Locks;
    #[wasm_bindgen(method)]
    pub(super) fn request(this: &Locks, name: &str, options: &Object, callback: &Function)
    -> Asked;

    pub(super) type Asked;
    #[wasm_bindgen(method, js_name = catch)]
    pub(super) fn or_else(this: &Asked, handler: &Function) -> Promise;
}

/// The items of an array that a request resulted in.
pub(super) fn items(request: &Request) -> Option<Array> {
    request.result().dyn_into().ok()
}
