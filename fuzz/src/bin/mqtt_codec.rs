//! MQTT packets that are accepted are written back with their meaning.

#![no_main]

use jackfield_mqtt::oracle;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| oracle::codec(data));
