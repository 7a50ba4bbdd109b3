//! A token that is presented is what its key signed, or unknown.

#![no_main]

use jackfield_relayd::token::oracle;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|token: &[u8]| oracle::token(token));
