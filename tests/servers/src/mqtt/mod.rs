//! What the tests of the MQTT client share.

pub mod second;
