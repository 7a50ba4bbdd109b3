//! The lock of a store: one owner at a time, by a Web Lock.

use std::cell::RefCell;
use std::rc::Rc;

use js_sys::{Function, Object, Promise, Reflect};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

use super::bindings::{AbortSignal, Scope};
use super::{error_name, failed};
use crate::{Error, ErrorKind, Result};

/// How long to wait for another owner to let go, in milliseconds: a page that is reloaded, or whose
/// client was closed a moment ago, is on its way out.
const PATIENCE: u32 = 2000;

/// A lock that is held until this is dropped, or the page is closed.
pub(super) struct Lock(Rc<RefCell<State>>);

#[derive(Default)]
enum State {
    #[default]
    Asked,
    /// Calling this lets go.
    Held(Function),
    /// Nobody wants it any more.
    Dropped,
}

impl Lock {
    /// Takes the lock of this store; `None` where the browser has no locks for this page.
    pub(super) async fn take(scope: &Scope, name: &str) -> Result<Option<Self>> {
        let Some(locks) = scope.navigator().locks() else {
            return Ok(None);
        };
        let lock = Self(Rc::default());
        let options = Object::new();
        Reflect::set(&options, &"signal".into(), &AbortSignal::timeout(PATIENCE))
            .map_err(|error| failed("lock", name, &error))?;
        let answer = Promise::new(&mut |resolve: Function, reject: Function| {
            let state = lock.0.clone();
            let granted = Closure::once_into_js(move |_: JsValue| {
                let _ = resolve.call0(&JsValue::NULL);
                hold(&state)
            });
            let request = locks.request(
                &format!("jackfield-store/{name}"),
                &options,
                granted.unchecked_ref(),
            );
            // It ends when the lock does; before it was granted, it can only fail.
            let _ = request.or_else(&reject);
        });
        match JsFuture::from(answer).await {
            Ok(_) => Ok(Some(lock)),
            Err(error) if error_name(&error) == "TimeoutError" => Err(Error::new(
                ErrorKind::InUse,
                format!("the store {name:?} is open already, perhaps in another tab"),
            )),
            Err(error) => Err(failed("lock", name, &error)),
        }
    }
}

/// What the browser waits for while the lock is held.
fn hold(state: &RefCell<State>) -> JsValue {
    let mut state = state.borrow_mut();
    if matches!(*state, State::Dropped) {
        return JsValue::UNDEFINED;
    }
    Promise::new(&mut |release, _| *state = State::Held(release)).into()
}

impl Drop for Lock {
    fn drop(&mut self) {
        if let State::Held(release) = self.0.replace(State::Dropped) {
            let _ = release.call0(&JsValue::NULL);
        }
    }
}
