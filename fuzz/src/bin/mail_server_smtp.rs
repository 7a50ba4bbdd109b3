//! The embedded mail server keeps its promises over SMTP, whatever its clients send.

#![no_main]

use jackfield_mail_server::oracle;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|script: &[u8]| oracle::smtp(script));
