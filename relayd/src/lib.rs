//! The relay server: TCP and UDP for pages, which have neither.
//!
//! A client opens one WebSocket and asks in it for connections, listeners and datagram sockets
//! (`docs/relay-protocol.md` is the wire). The relay moves bytes and nothing else: TLS runs from
//! the client to the far server, through the relay, which has no key to it.
//!
//! The binary `jackfield-relayd` runs it from a [configuration file](Config::load). As a library it
//! is embedded in tests and in programs:
//!
//! ```
//! use jackfield_relayd::{Config, Relayd};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! let mut config = Config::default();
//! config.listen = vec!["127.0.0.1:0".parse().expect("an address")];
//! let relay = Relayd::bind(config).await?;
//! println!("relay at ws://{}/", relay.local_addrs()[0]);
//! // Runs until the future that it is given is ready.
//! relay.run(std::future::ready(())).await;
//! # Ok(())
//! # }
//! ```
//!
//! What is where, in the order in which a client meets it:
//!
//! | module | |
//! |---|---|
//! | [`config`] | what is allowed, and to whom |
//! | `passed` | what listens already when it starts |
//! | `server` | accepts connections, TLS |
//! | `acme` | how a certificate is had from its authority (feature `acme`) |
//! | `admission` | whose handshake may begin, and how many at a time |
//! | [`proxy`] | for whom a proxy speaks, and whether that is believed |
//! | `handshake` | `Origin`, `Host` and token: who comes in |
//! | `session` | drives the multiplexer of one WebSocket, and what hangs on it |
//! | [`token`], `identity` | whose token that is, and what it may do |
//! | `fleet` | what it shares with other relays, in Redis |
//! | `certificate` | what a certificate says |
//! | `jwks` | keys that are at a URL |
//! | `calendar` | the date of a day |
//! | `files` | how a file that the configuration names is read |
//! | `http_client` | one request to a server that the configuration names |
//! | [`policy`], [`address`] | which addresses may be reached, pure |
//! | [`ask`] | what is asked besides, of whom the configuration names |
//! | `machine` | which addresses are the relay's own |
//! | [`resolve`] | which addresses a name has |
//! | [`limits`] | how much of it |
//! | [`record`] | what was decided, and what came of it |
//! | `registry` | which sessions there are, and what they have carried |
//! | `metrics` | what is counted, for Prometheus |
//! | `admin` | what an administrator asks, at a Unix socket |
//! | `mint` | tokens that the relay itself signs, for an application's back end |
//! | `ending` | how a relay ends: its phases, and who hears of them |
//!
//! [`conformance`] asks any relay at any address whether it keeps to the specification, and [`doctor`]
//! tries one from outside, with what is between.

#[cfg(feature = "acme")]
mod acme;
#[cfg(unix)]
mod admin;
mod admission;
pub mod ask;
mod bearer;
mod budget;
mod calendar;
mod certificate;
pub mod config;
pub mod conformance;
mod crl;
pub mod doctor;
mod ending;
pub mod explain;
mod files;
#[cfg(feature = "redis")]
mod fleet;
#[cfg(not(feature = "redis"))]
#[path = "fleet/absent.rs"]
mod fleet;
mod handshake;
mod health;
mod http_client;
mod identity;
mod jwks;
mod lane;
pub mod limits;
pub mod log;
mod machine;
mod metrics;
#[cfg_attr(not(unix), expect(dead_code, reason = "it is asked at a Unix socket"))]
mod mint;
mod passed;
pub mod proxy;
pub mod record;
mod registry;
mod reload;
mod repeats;
pub mod resolve;
mod revoking;
mod server;
mod session;
mod sink;
mod source;
mod tls;
pub mod token;

#[cfg(feature = "acme")]
pub use acme::AcmeConfig;
pub use config::{
    AdmissionConfig, Config, ConfigError, LogConfig, LogFormat, LogLevel, Origin, Resolver, Tls,
    TlsFiles, Token,
};
pub use ending::{DrainConfig, Stopper};
pub use jackfield_policy::{self as policy, address};
pub use reload::{Reloader, Reloading};
pub use server::Relayd;
