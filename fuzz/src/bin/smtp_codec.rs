//! SMTP's replies are read, and its commands written, whatever the bytes.

#![no_main]

use jackfield_smtp::oracle;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| oracle::codec(data));
