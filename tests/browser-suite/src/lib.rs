//! The suite that tests run inside a browser.
//!
//! Compiled to WebAssembly, it is the module of the page in `page/`, which works as an ordinary page and
//! as an Isolated Web App: a test hands it a [`Job`](job::Job) and gets an
//! [`Outcome`](job::Outcome). Compiled natively, it gives the tests those types, and the
//! [pattern](pattern::Pattern) that both sides know.

pub mod job;
pub mod mail;
pub mod pattern;

#[cfg(wasm_browser)]
pub mod page;
#[cfg(wasm_browser)]
pub mod store;
