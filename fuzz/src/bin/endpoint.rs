//! An endpoint that is accepted reads back as it prints.

#![no_main]

use jackfield_socket::Endpoint;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(endpoint) = text.parse::<Endpoint>() {
        assert_eq!(
            endpoint.to_string().parse::<Endpoint>().ok(),
            Some(endpoint)
        );
    }
});
