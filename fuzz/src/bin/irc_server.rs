//! The embedded IRC server keeps its promises, whatever its clients send.

#![no_main]

use jackfield_irc::server::oracle;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|script: &[u8]| oracle::play(script));
