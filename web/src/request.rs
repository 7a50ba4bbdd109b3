//! What is asked of a policy, as functions of the page are told.

use jackfield_policy::{Request, Transport};
use js_sys::Array;

/// What is asked for: what is to be done, over what, and the host and the port.
pub(crate) fn told(request: &Request) -> Array {
    let (action, transport, host, port) = match request {
        Request::Reach(transport, to) => ("connect", transport, to.host().to_string(), to.port()),
        Request::Listen(transport, at) => {
            let action = if *transport == Transport::Udp {
                "bind"
            } else {
                "listen"
            };
            (action, transport, at.ip().to_string(), at.port())
        }
        // There are no others yet.
        _ => ("", &Transport::Tcp, String::new(), 0),
    };
    Array::of4(
        &action.into(),
        &named(*transport).into(),
        &host.into(),
        &port.into(),
    )
}

/// A transport, as pages call it.
pub(crate) fn named(transport: Transport) -> &'static str {
    match transport {
        Transport::Tcp => "tcp",
        Transport::Udp => "udp",
    }
}
