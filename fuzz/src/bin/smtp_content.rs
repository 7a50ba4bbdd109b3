//! A message's content is carried whole, and nothing of it ends it, whatever the bytes.

#![no_main]

use jackfield_smtp::oracle;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| oracle::content(data));
