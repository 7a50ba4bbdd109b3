//! CoAP's request layer and transfers in blocks keep their promises, whatever servers answer.

#![no_main]

use jackfield_coap::oracle;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|script: &[u8]| oracle::session(script));
