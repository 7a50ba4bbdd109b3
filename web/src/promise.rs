//! What wasm-bindgen makes of an `async` method: a promise, by one piece of code for all of them.
//!
//! `#[wasm_bindgen(wasm_bindgen_futures = crate::promise)]` takes it from here. By itself it would be there once
//! for each method.

use std::future::Future;
use std::pin::Pin;

use wasm_bindgen::JsValue;
use wasm_bindgen_futures::js_sys::Promise;

/// A promise of what the work comes to.
pub(crate) fn future_to_promise(
    work: impl Future<Output = Result<JsValue, JsValue>> + 'static,
) -> Promise {
    fn promise(work: Pin<Box<dyn Future<Output = Result<JsValue, JsValue>>>>) -> Promise {
        wasm_bindgen_futures::future_to_promise(work)
    }
    promise(Box::pin(work))
}
