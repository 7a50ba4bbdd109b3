//! CoAP messages that are accepted are written back byte for byte.

#![no_main]

use jackfield_coap::oracle;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| oracle::codec(data));
