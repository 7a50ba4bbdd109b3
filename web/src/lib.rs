//! Jackfield for web pages: what the scripts in `web/js` stand on.
//!
//! Thin on purpose: it takes apart what a page passes, and puts together what a page gets. What the
//! page's author sees is described, for people who never see Rust, in the `.d.ts` files there.
//!
//! Each protocol is a feature, and so are the `sockets`: a page that wants MQTT over its own WebSocket
//! alone gets a small module of the same methods.
//!
//! | module | |
//! |---|---|
//! | `network` | Direct Sockets or relay; TLS, and what it negotiated |
//! | `policy` | what a page may reach, over any of these: it asks `rules` |
//! | `request` | what the rules are asked |
//! | `rules` | the rules themselves, in a module of their own |
//! | `irc` | the IRC client's methods |
//! | `imap`, `smtp` | the clients' of mail; what they share is in `mail` |
//! | `mqtt` | the MQTT client's |
//! | `coap` | the CoAP client's |
//! | `raw` | sockets that a page reads and writes itself |
//! | `running` | what all connections have in common |
//! | `promise` | what an `async` method gives a page |
//! | `convert` | options in, errors out |

#![cfg(wasm_browser)]
#![cfg_attr(
    not(all(feature = "coap", feature = "irc", feature = "mqtt")),
    allow(dead_code, reason = "what only the protocols use that are left out")
)]

#[cfg(feature = "coap")]
mod coap;
mod convert;
#[cfg(feature = "imap")]
mod imap;
#[cfg(feature = "irc")]
mod irc;
#[cfg(feature = "mail")]
mod mail;
#[cfg(feature = "mqtt")]
mod mqtt;
#[cfg(feature = "network")]
mod network;
#[cfg(feature = "network")]
mod policy;
mod promise;
#[cfg(feature = "raw")]
mod raw;
mod request;
#[cfg(feature = "policy")]
mod rules;
#[cfg(any(
    feature = "coap",
    feature = "imap",
    feature = "irc",
    feature = "mqtt",
    feature = "smtp"
))]
mod running;
#[cfg(feature = "smtp")]
mod smtp;

#[cfg(feature = "coap")]
pub use coap::{Coap, CoapAnswers, CoapGroup, CoapObservation};
pub use convert::set_errors;
#[cfg(feature = "imap")]
pub use imap::{Imap, ImapReading};
#[cfg(feature = "irc")]
pub use irc::Irc;
#[cfg(feature = "mqtt")]
pub use mqtt::{Mqtt, MqttSubscription};
#[cfg(feature = "network")]
pub use network::Network;
#[cfg(feature = "raw")]
pub use raw::{RawDatagrams, RawListener, RawStream, RawTls};
#[cfg(feature = "policy")]
pub use rules::Rules;
#[cfg(feature = "smtp")]
pub use smtp::Smtp;

/// Runs once, when the module is loaded.
#[cfg(debug_assertions)]
#[wasm_bindgen::prelude::wasm_bindgen(start)]
pub fn start() {
    // Nothing here panics on purpose; if it does all the same, say where.
    std::panic::set_hook(Box::new(|panic| {
        web_sys::console::error_1(&panic.to_string().into());
    }));
}
