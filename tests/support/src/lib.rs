//! Parts that tests, benches and the demo share: real servers, certificates, a recording proxy, a
//! browser. Nothing here ships.
//!
//! Everything here listens on loopback only, takes free ports, keeps its files in a directory of
//! its own, and is gone when its value is dropped, also when a test panics or is killed.

pub mod aedes;
pub mod aiocoap;
pub mod aiosmtpd;
pub mod atheme;
pub mod certs;
pub mod chromium;
pub mod closed;
#[cfg(feature = "coap-device")]
pub mod coap_device;
pub mod command_line;
pub mod courier;
pub mod cyrus;
mod delivery;
pub mod dovecot;
pub mod dovecot24;
pub mod exim;
pub mod haproxy;
pub mod inspircd;
pub mod libcoap;
#[cfg(feature = "memory")]
pub mod memory;
pub mod mosquitto;
#[cfg(feature = "mqtt-broker")]
pub mod mqtt_broker;
pub mod namespace;
pub mod nginx;
pub mod ngircd;
pub mod node_coap;
pub mod opensmtpd;
pub mod pebble;
pub mod postfix;
pub mod postgresql;
pub mod process;
pub mod proxy;
pub mod pymap;
pub mod redis;
pub mod runtimes;
pub mod sendmail;
pub mod sink;
pub mod site;
pub mod systemd;
pub mod unpacked;
pub mod websocket;
pub mod workspace;
