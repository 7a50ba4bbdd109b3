//! OSCORE refuses what is not its own, and means the same by what is.

#![no_main]

use jackfield_coap::oscore::oracle;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| oracle::unprotect(data));
