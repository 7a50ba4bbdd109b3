//! A CoAP client and a small server: codec, sans-IO core, and an async client over Jackfield's socket
//! API.
//!
//! | module | what it is |
//! |---|---|
//! | [`client`] | the client: asks, observes, transfers bodies of any size, comes back when cut |
//! | [`core`] | messages, requests and bodies as state machines: bytes and time in, bytes and events out |
//! | [`codec`] | messages, and what they are made of |
//! | [`oscore`] | requests and responses that nobody on the way can read (RFC 8613) |
//! | `server` | with the feature of that name: a small server, for demos, tests and simulated devices |
//!
//! It runs on anything that is a [`UdpOpen`](jackfield_socket::UdpOpen) or a
//! [`TcpConnect`](jackfield_socket::TcpConnect), DTLS and TLS over them included, natively and in a
//! browser. It spawns nothing and names no backend.
//!
//! | what | where |
//! |---|---|
//! | messages, requests, caching, proxies (RFC 7252) | [`client`], [`core`] |
//! | observation (RFC 7641) | [`client::Client::observe`] |
//! | bodies in blocks (RFC 7959) | every request; [`client::Client::upload`], [`client::Client::download`] |
//! | TCP, TLS and WebSockets (RFC 8323) | [`client::connect_tcp`] |
//! | FETCH, PATCH, iPATCH (RFC 8132) | [`client::Client::fetch`] and its kin |
//! | No-Response (RFC 7967) | [`client::Client::tell`], [`core::Request::with_no_response`] |
//! | Echo, Request-Tag (RFC 9175) | by themselves |
//! | discovery (RFC 6690) | [`client::Client::discover`] |
//! | Hop-Limit (RFC 8768) | [`core::Request::with_hop_limit`] |
//! | groups (RFC 7252, section 8) | [`client::multicast`] |

/// By this name, what tests share calls it as the tests beside the crate do.
#[cfg(test)]
extern crate self as jackfield_coap;

pub mod client;
pub mod codec;
pub mod core;
mod error;
#[cfg(any(test, feature = "oracle"))]
pub mod oracle;
pub mod oscore;
#[cfg(feature = "server")]
pub mod server;

pub use error::{Refusal, RequestError, SessionError};
