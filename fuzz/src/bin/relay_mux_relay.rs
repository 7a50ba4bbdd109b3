//! The relay's end of the multiplexer keeps its promises to a peer that sends anything.

#![no_main]

use jackfield_relay_wire::oracle;
use libfuzzer_sys::fuzz_target;

// The program's first byte chooses the end.
fuzz_target!(|program: &[u8]| oracle::hostile(&[&[1], program].concat()));
