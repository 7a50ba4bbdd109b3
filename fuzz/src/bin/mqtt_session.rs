//! An MQTT session keeps its promises, whatever a server sends.

#![no_main]

use jackfield_mqtt::oracle;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| oracle::session(data));
