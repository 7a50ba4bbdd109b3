//! The SMTP client's core keeps its promises, whatever the server says.

#![no_main]

use jackfield_smtp::oracle;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|script: &[u8]| oracle::session(script));
