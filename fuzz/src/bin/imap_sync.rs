//! IMAP: the oracle `sync` holds for any input.

#![no_main]

use jackfield_imap::oracle;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| oracle::sync(data));
