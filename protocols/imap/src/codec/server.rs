//! The server's side of the codec: a stream becomes [`Request`]s, and what a server tells becomes
//! bytes. It shares the grammar's tokens with the client's side.
//!
//! What a client sends may be anything: [`RequestFramer`] bounds it, and what [`Request::read`] can't
//! read is a [`BadRequest`], with the tag to answer it by.
//!
//! ```
//! use jackfield_imap::codec::Limits;
//! use jackfield_imap::codec::server::{Asked, Request, RequestFrame, RequestFramer};
//!
//! let mut framer = RequestFramer::new(1000);
//! let mut input: &[u8] = b"a1 LOGIN ada {7}\r\nsecret!\r\n";
//! let head = framer.next(&mut input).expect("it is short");
//! assert_eq!(head, Some(RequestFrame::Literal { size: 7, waits: true }));
//! framer.keep();
//! let Some(RequestFrame::Request(bytes)) = framer.next(&mut input).expect("it is short") else {
//!     panic!("it is complete");
//! };
//! let request = Request::read(&bytes, Limits::default()).expect("it can be read");
//! assert_eq!(request.tag, "a1");
//! assert!(matches!(request.asked, Asked::Login { user, .. } if user == "ada"));
//! ```

mod framer;
mod request;
mod search;
mod writer;

pub use framer::{RequestFrame, RequestFramer};
pub use request::{Asked, BadRequest, ListAsked, Request, Resync, Wanted};
pub use search::{Found, Search, SearchIn};
pub use writer::Writer;
