//! A frame of the relay's wire that is accepted is written back as it was.

#![no_main]

use jackfield_relay_wire::oracle;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|message: &[u8]| oracle::frame(message));
