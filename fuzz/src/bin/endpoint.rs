//! An endpoint that is accepted is written back with its meaning.

#![no_main]

use jackfield_socket::oracle;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| oracle::endpoint(data));
