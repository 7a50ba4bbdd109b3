//! OSCORE (RFC 8613): requests and responses that are encrypted from one end to the other, whatever
//! carries them and whichever proxies they pass.
//!
//! [`Context`] is what two endpoints share: derived from a Master Secret that both were given, it
//! protects what one sends and verifies what it receives. It reads and writes
//! [messages](crate::codec::Message), and knows no network and no store.
//!
//! ```
//! use jackfield_coap::codec::{Code, Message, OptionNumber};
//! use jackfield_coap::oscore::{Context, Parameters};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let secret = [0x5a; 16];
//! let mut client = Context::ephemeral(&Parameters::new(&secret, b"c", b"s")?);
//! let mut server = Context::ephemeral(&Parameters::new(&secret, b"s", b"c")?);
//!
//! let mut request = Message::new(Code::GET);
//! request.options_mut().add_text(OptionNumber::URI_PATH, "door")?;
//! let (protected, mut sent) = client.protect_request(&request)?;
//! // Nobody on the way sees what was asked for.
//! assert_eq!(protected.code(), Code::POST);
//! assert!(!protected.options().contains(OptionNumber::URI_PATH));
//!
//! let (received, mut answering) = server.unprotect_request(&protected)?;
//! assert_eq!(received, request);
//!
//! let mut response = Message::new(Code::CONTENT);
//! response.payload = b"open".to_vec().into();
//! let protected = server.protect_response(&mut answering, &response)?;
//! assert_eq!(client.unprotect_response(&mut sent, &protected)?, response);
//! # Ok(())
//! # }
//! ```
//!
//! # What must not happen
//!
//! A sequence number that is used twice with one key gives both messages away, and lets others
//! forge more. So they are reserved in a [store](jackfield_store), in blocks and ahead of their use:
//! [`Context::restore`] goes on behind the last block, whatever became of it. What no store has lost
//! count of is only a context that was never used before, for which there is
//! [`Context::ephemeral`]. A context does not store anything itself: it says what is to be stored,
//! and clients and servers do it that are given a [`SecurityContext`](crate::client::SecurityContext).
//!
//! A server that starts again has forgotten which requests it has seen. It answers the first one
//! with a challenge (Echo, appendix B.1.2), so that nothing recorded earlier can be replayed to it.
//!
//! # What is left out
//!
//! Key establishment: the Master Secret comes from elsewhere. Group OSCORE, and appendix B.2's
//! renewal of contexts. OSCORE messages that a proxy has fragmented (Outer Block options, section
//! 4.1.3.4.2) are refused; fragment inside instead, as the client does.

mod cbor;
mod context;
mod crypto;
mod error;
mod option;
#[cfg(any(test, feature = "oracle"))]
pub mod oracle;
mod protect;
mod sequence;
mod server;
mod window;

pub use context::{Context, Parameters};
pub use crypto::Algorithm;
pub use error::{Error, ErrorKind, Refusal};
pub use protect::{ClientExchange, ServerExchange};
pub(crate) use server::ServerContexts;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;
