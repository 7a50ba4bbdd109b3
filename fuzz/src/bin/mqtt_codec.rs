#![no_main]
//! Reading and writing MQTT packets.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| jackfield_mqtt::oracle::codec(data));
