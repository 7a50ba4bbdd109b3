//! A PROXY header is read whole and no further, however it comes.

#![no_main]

use jackfield_relayd::proxy::oracle;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| oracle::header(bytes));
