//! SASL (RFC 4422), the client's side: how a protocol's client proves who it is.
//!
//! IRC, IMAP and SMTP all log in by the same mechanisms and differ only in how they carry the
//! messages. A protocol gives the names that the server offers to [`choose`], starts an
//! [`Exchange`], and passes bytes to and fro. There is no I/O here and no clock.
//!
//! | mechanism | source | proves | over plaintext |
//! |---|---|---|---|
//! | SCRAM-SHA-256-PLUS, SCRAM-SHA-1-PLUS | RFC 5802, RFC 7677, RFC 9266 | both sides, and that nobody is between them | – |
//! | SCRAM-SHA-256, SCRAM-SHA-1 | RFC 5802, RFC 7677 | both sides | allowed |
//! | OAUTHBEARER, XOAUTH2 | RFC 7628, Google and Microsoft | a token | refused |
//! | EXTERNAL | RFC 4422, appendix A | what TLS or the system has proven | allowed |
//! | PLAIN, LOGIN | RFC 4616, draft-murchison-sasl-login | a password | refused |
//!
//! ```
//! use jackfield_sasl::{Channel, Credentials, Exchange, Limits, Mechanism, base64, choose};
//!
//! let credentials = Credentials::password("ada", "correct horse")?;
//! let channel = Channel::encrypted();
//! let offered = "PLAIN LOGIN CRAM-MD5";
//! let choice = choose(offered.split(' '), &credentials, &channel)?;
//! assert_eq!(choice.mechanism(), Mechanism::Plain);
//!
//! let mut exchange = Exchange::start(choice, &credentials, &channel, Limits::default())?;
//! let first = exchange.initial_response().unwrap_or_default();
//! let command = format!("AUTH {} {}", exchange.mechanism(), base64::encode_initial(&first));
//! assert_eq!(command, "AUTH PLAIN AGFkYQBjb3JyZWN0IGhvcnNl");
//! // The server says that it is content.
//! exchange.finish(None)?;
//! # Ok::<(), jackfield_sasl::Error>(())
//! ```

pub mod base64;
mod bearer;
mod channel;
mod credentials;
mod error;
mod exchange;
mod mechanism;
#[cfg(any(test, feature = "oracle"))]
pub mod oracle;
mod prepare;
mod renewal;
mod scram;

pub use channel::{Channel, ChannelBinding};
pub use credentials::Credentials;
pub use error::{Error, Refusal};
pub use exchange::{Exchange, Limits};
pub use mechanism::{Choice, Mechanism, choose};
pub use renewal::Renewal;
