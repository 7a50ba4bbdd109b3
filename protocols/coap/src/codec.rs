//! Bytes ↔ types: CoAP messages (RFC 7252, section 3), and their framing on streams (RFC 8323).
//!
//! A [`Message`] is what all carriers have in common: code, token, options, payload.
//! [`Datagram`] adds what UDP and DTLS need, a [`MessageType`] and a [`MessageId`]; a frame is
//! a message as TCP, TLS and WebSockets carry it.
//!
//! Reading is strict: what RFC 7252 calls a message format error is one, and [`DecodeError`] says
//! which. An option whose value does not fit its definition is no format error: it is treated as
//! one that is not recognised (section 5.4.3), so that [`Options::get`] passes it over.
//!
//! ```
//! use jackfield_coap::codec::{
//!     Code, ContentFormat, Datagram, Message, MessageId, MessageType, OptionNumber,
//! };
//!
//! let mut request = Message::new(Code::GET);
//! request.set_token("q".parse()?);
//! request.options_mut().add_text(OptionNumber::URI_PATH, "temperature")?;
//! request.set_accept(ContentFormat::JSON);
//!
//! let sent = Datagram::new(MessageType::Confirmable, MessageId(0x7d34), request).to_bytes();
//! assert_eq!(sent, b"\x41\x01\x7d\x34q\xbbtemperature\x61\x32");
//!
//! let received = Datagram::decode(&sent)?;
//! assert_eq!(received.message.accept(), Some(ContentFormat::JSON));
//! assert!(received.message.uri_path().eq(["temperature"]));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod block;
mod code;
mod content_format;
mod datagram;
mod error;
mod frame;
mod link_format;
mod message;
mod number;
mod options;
mod percent;
mod target;
mod token;
mod uri;

pub(crate) use block::Block;
pub use block::BlockSize;
pub use code::Code;
pub use content_format::ContentFormat;
pub use datagram::{Datagram, MessageId, MessageType};
pub(crate) use datagram::{encode as encode_datagram, header as datagram_header};
pub use error::{DecodeError, DecodeErrorKind, InvalidOption};
pub use frame::FrameHeader;
#[cfg(any(test, feature = "oracle", feature = "websocket"))]
pub(crate) use frame::{frame_to_websocket, websocket_to_frame};
pub use link_format::{InvalidLinks, Link, Links};
pub use message::Message;
pub use number::{OptionDefinition, OptionFormat, OptionNumber};
pub use options::{MAX_OPTIONS, Options, OptionsIter};
pub use target::{IntoTarget, Target};
pub use token::{InvalidToken, Token};
pub use uri::{InvalidUri, Scheme, Uri};
