//! What a page gives and takes.

use wasm_bindgen::prelude::wasm_bindgen;

#[wasm_bindgen]
extern "C" {
    /// What somebody typed.
    pub(crate) fn text() -> String;
    /// Shows it.
    pub(crate) fn show(text: &str);
}

/// Shows what came of a request.
pub(crate) fn shown<T, E: std::error::Error>(outcome: Result<T, E>) -> Option<T> {
    match outcome {
        Ok(it) => Some(it),
        Err(error) => {
            show(&error.to_string());
            None
        }
    }
}
