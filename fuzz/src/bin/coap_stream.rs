//! CoAP's message layer over streams keeps its promises, whatever its peer sends.

#![no_main]

use jackfield_coap::oracle;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| oracle::stream(data));
