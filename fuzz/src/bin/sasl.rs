//! A SASL exchange keeps its promises, whatever the server says.

#![no_main]

use jackfield_sasl::oracle;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|script: &[u8]| oracle::exchange(script));
