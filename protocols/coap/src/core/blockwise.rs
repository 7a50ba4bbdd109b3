//! Bodies in blocks (RFC 7959): what is asked next, and whether what came may be believed.
//!
//! An [`Upload`] sends a request's body by Block1, a [`Download`] takes a response's body by
//! Block2; each is the client's side of one body. The server's side is [`Assembly`], which collects
//! what an upload sends, and [`cut`], which gives a download what it asks for. None of them keeps
//! more than it must: an upload and a download keep no byte of the body.
//!
//! They do no more than to look at messages and to set options. Who sends those, in which order,
//! and what waits for what is the client's and the server's affair.

#[cfg(any(test, feature = "server"))]
mod assembly;
mod download;
mod error;
mod upload;

#[cfg(any(test, feature = "server"))]
pub(crate) use assembly::{Assembly, Taken, cut};
pub(crate) use download::{Download, DownloadStep};
pub use error::BlockError;
pub(crate) use upload::{Upload, UploadStep};
