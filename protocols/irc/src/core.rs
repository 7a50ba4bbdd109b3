//! The client's side of IRC as a state machine, without clock and socket.
//!
//! A [`Session`] is one connection, from its registration to its end. It takes bytes, time and
//! [`Request`]s, and gives bytes, [`Event`]s and the outcomes of the requests. It follows RFC 1459
//! and RFC 2812 as servers of today speak them (<https://modern.ircdocs.horse>), with IRCv3's
//! capabilities where the server has them.
//!
//! What a server sends may be anything. Whatever is unknown or malformed comes through as
//! [`Event::Other`] or [`Event::Malformed`] and changes nothing; what the session keeps is bounded
//! by its [`Limits`].
//!
//! ```
//! use jackfield_irc::core::{Config, Event, Session, SessionEvent};
//! use jackfield_socket::driver::{Core, StreamCore};
//! use jackfield_socket::time::Instant;
//!
//! let now = Instant::now();
//! let mut session = Session::new(Config::new("ada".parse()?));
//! let mut sent = Vec::new();
//! session.transmit(now, &mut sent);
//! assert!(sent.starts_with(b"CAP LS 302\r\nNICK ada\r\n"));
//!
//! session.receive(now, b":a.example 001 ada :Welcome\r\n:a.example 422 ada :No MOTD\r\n")?;
//! let event = session.poll_event();
//! assert!(matches!(event, Some(SessionEvent::Event(Event::Registered(_)))));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod batch;
mod capabilities;
mod channels;
mod config;
mod event;
mod incoming;
mod isupport;
mod login;
mod outgoing;
mod pending;
mod regain;
mod registration;
mod request;
mod send_queue;
mod session;
mod split;

pub use channels::{Channel, Member};
pub use config::{Config, Flood, Limits, Password};
pub use event::{ChatKind, ChatMessage, Event, Registered, SessionEvent, Severity};
pub use isupport::ISupport;
#[doc(no_inline)]
pub use jackfield_sasl::{
    Channel as SaslChannel, ChannelBinding, Credentials, Limits as SaslLimits, Mechanism,
};
pub use request::{Joined, ListEntry, ListFilter, Reply, Request, RequestId, WhoEntry, Whois};
pub use session::Session;
