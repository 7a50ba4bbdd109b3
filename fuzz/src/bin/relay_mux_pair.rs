//! Two honest ends of the multiplexer deliver everything, under any schedule.

#![no_main]

use jackfield_relay_wire::oracle;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|program: &[u8]| oracle::honest(program));
