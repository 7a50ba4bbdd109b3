//! Mail: the oracle `autoconfig` holds for any input.

#![no_main]

use jackfield_mail::oracle;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| oracle::autoconfig(data));
