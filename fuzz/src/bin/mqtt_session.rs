#![no_main]
//! An MQTT session against whatever a server may send.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| jackfield_mqtt::oracle::session(data));
