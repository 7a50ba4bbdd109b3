//! A certificate or a list of revoked ones that is anything is read within bounds, and is nobody's.

#![no_main]

use jackfield_relayd::token::oracle;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|der: &[u8]| oracle::certificate(der));
