//! Jackfield: any TCP or UDP protocol, in any web app.
//!
//! This crate gathers the others under one name: a feature a protocol, a feature a backend.
//!
//! | feature | module | what it is |
//! |---|---|---|
//! | always | [`socket`] | the socket API: traits, endpoints, options, errors, time |
//! | `native` | `native` | the operating system's sockets, on tokio |
//! | `direct` | `direct` | Chrome's Direct Sockets, in an Isolated Web App |
//! | `relay` | `relay` | any page, through a relay that its owner hosts |
//! | `sim` | `sim` | a seeded network in memory, for tests |
//! | `tls` | `tls` | TLS over any of them |
//! | `dtls` | `dtls` | DTLS over UDP |
//! | `websocket` | `websocket` | WebSockets as carriers |
//! | `policy` | `policy` | what an application may reach, over any of them |
//! | `store` | `store` | what must outlive a process or a tab |
//! | `irc` | `irc` | an IRC client |
//! | a protocol that logs in | `sasl` | the credentials, and the mechanisms that prove them |
//! | `irc-server` | `irc::server` | a small IRC server, for tests and demos |
//! | `mqtt` | `mqtt` | an MQTT client |
//! | `coap` | `coap` | a CoAP client |
//! | `imap` | `imap` | an IMAP client |
//! | `smtp` | `smtp` | an SMTP client |
//! | `mail` | `mail` | messages to show and to send, and the servers of an address |
//! | `mail-server` | `mail_server` | a small mail server, for tests and demos |
//! | `coap-server` | `coap::server` | a small CoAP server, for tests, demos and simulated devices |
//!
//! Each protocol, and the relay, has an example that runs: `cargo run --example irc`.

#[cfg(feature = "coap")]
#[doc(inline)]
pub use jackfield_coap as coap;
#[cfg(all(feature = "direct", target_family = "wasm"))]
#[doc(inline)]
pub use jackfield_direct as direct;
#[cfg(feature = "dtls")]
#[doc(inline)]
pub use jackfield_dtls as dtls;
#[cfg(feature = "imap")]
#[doc(inline)]
pub use jackfield_imap as imap;
#[cfg(feature = "irc")]
#[doc(inline)]
pub use jackfield_irc as irc;
#[cfg(feature = "mail")]
#[doc(inline)]
pub use jackfield_mail as mail;
#[cfg(feature = "mail-server")]
#[doc(inline)]
pub use jackfield_mail_server as mail_server;
#[cfg(feature = "mqtt")]
#[doc(inline)]
pub use jackfield_mqtt as mqtt;
#[cfg(all(feature = "native", not(target_family = "wasm")))]
#[doc(inline)]
pub use jackfield_native as native;
#[cfg(feature = "policy")]
#[doc(inline)]
pub use jackfield_policy as policy;
#[cfg(feature = "relay")]
#[doc(inline)]
pub use jackfield_relay as relay;
#[cfg(any(feature = "imap", feature = "irc", feature = "smtp"))]
#[doc(inline)]
pub use jackfield_sasl as sasl;
#[cfg(feature = "sim")]
#[doc(inline)]
pub use jackfield_sim as sim;
#[cfg(feature = "smtp")]
#[doc(inline)]
pub use jackfield_smtp as smtp;
#[doc(inline)]
pub use jackfield_socket as socket;
#[cfg(feature = "store")]
#[doc(inline)]
pub use jackfield_store as store;
#[cfg(feature = "tls")]
#[doc(inline)]
pub use jackfield_tls as tls;
#[cfg(feature = "websocket")]
#[doc(inline)]
pub use jackfield_websocket as websocket;

/// The examples of the README, so that they stay true.
#[cfg(all(doctest, feature = "irc", feature = "native", feature = "tls"))]
#[doc = include_str!("../README.md")]
struct Readme;

/// The examples of the guide, so that they compile.
#[cfg(all(
    doctest,
    feature = "coap",
    feature = "dtls",
    feature = "imap",
    feature = "irc",
    feature = "mail",
    feature = "mail-server",
    feature = "mqtt",
    feature = "native",
    feature = "relay",
    feature = "smtp",
    feature = "store",
    feature = "tls",
    feature = "websocket",
))]
#[doc = include_str!("../docs/guide.md")]
struct Guide;
