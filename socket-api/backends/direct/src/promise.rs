//! Promises: those that nobody looks at, and when they settled.

use std::future::{Future as _, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use js_sys::Promise;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::{JsFuture, spawn_local};

use crate::bindings::Chain;

/// A promise that was settled when it was made calls back within three microtasks; one that settles
/// in a later task, after all of them.
const MICROTASKS: usize = 8;

/// Waits for a promise that was made just now, and says whether it had settled by then: whether no
/// task came between.
pub(crate) async fn settle(promise: Promise) -> (Result<JsValue, JsValue>, bool) {
    let mut promise = JsFuture::from(promise);
    let mut later = Promise::resolve(&JsValue::UNDEFINED);
    for _ in 0..MICROTASKS {
        later = later.unchecked_ref::<Chain>().then();
    }
    let mut later = JsFuture::from(later);
    let at_once = poll_fn(|cx| match Pin::new(&mut promise).poll(cx) {
        Poll::Ready(result) => Poll::Ready(Some(result)),
        Poll::Pending => Pin::new(&mut later).poll(cx).map(|_| None),
    })
    .await;
    match at_once {
        Some(result) => (result, true),
        None => (promise.await, false),
    }
}

/// Lets a promise settle as it may: without this, a failure would be reported as unhandled.
pub(crate) fn ignore(promise: Promise) {
    spawn_local(async move {
        let _ = JsFuture::from(promise).await;
    });
}
