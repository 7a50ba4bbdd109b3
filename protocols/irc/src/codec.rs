//! Bytes ↔ types: IRC messages (RFC 1459, section 2.3; RFC 2812, section 2.3) with IRCv3's tags.
//!
//! Reading is tolerant and borrows: [`LineBuffer`] cuts bytes into lines, [`decode`] makes text of
//! them, [`MessageRef::parse`] finds a message's parts without allocating, and its parts are taken
//! apart only when asked for. Writing is strict: a [`Message`] is built of checked parts
//! ([`Word`], [`Text`], [`Nickname`], [`ChannelName`], …), so that CR, LF and NUL can't enter it,
//! nor a space where a space would begin another parameter.
//!
//! ```
//! use jackfield_irc::codec::{Command, Message, MessageRef, Text, Word};
//!
//! let line = "@time=2026-01-02T03:04:05.678Z :ada!a@example.org PRIVMSG #rust :good morning";
//! let message = MessageRef::parse(line)?;
//! assert_eq!(message.command(), Command::Privmsg);
//! assert_eq!(message.source().map(|source| source.name), Some("ada"));
//! assert_eq!(message.params().nth(1), Some("good morning"));
//! assert_eq!(message.tags().get("time").as_deref(), Some("2026-01-02T03:04:05.678Z"));
//!
//! let answer = Message::builder(Command::Privmsg)
//!     .word(&Word::new("#rust")?)
//!     .text(&Text::new("good morning, Ada")?);
//! assert_eq!(answer.as_str(), "PRIVMSG #rust :good morning, Ada");
//! assert!(Text::new("hello\r\nQUIT").is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod builder;
mod casemapping;
mod command;
mod ctcp;
pub mod formatting;
mod line;
mod message;
mod mode;
mod numeric;
mod source;
mod tags;
mod timestamp;
mod values;

pub use builder::MessageBuilder;
pub use casemapping::CaseMapping;
pub use command::{Command, Verb};
pub use ctcp::Ctcp;
pub use line::{LineBuffer, LineTooLong, MAX_LINE, MAX_MESSAGE, MAX_TAGS, decode};
pub use message::{Message, MessageRef, Params, ParseError};
pub use mode::{ModeChange, ModeKind, ModeTypes};
pub use numeric::Numeric;
pub use source::{Source, SourceRef};
pub use tags::{Tag, TagsRef};
pub use timestamp::Timestamp;
pub use values::{ChannelName, InvalidValue, Nickname, TagKey, TagValue, Target, Text, Word};
