//! CoAP's message layer over datagrams keeps its promises, whatever its peers send.

#![no_main]

use jackfield_coap::oracle;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| oracle::datagram(data));
