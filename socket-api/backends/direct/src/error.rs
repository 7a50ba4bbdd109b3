//! Errors of Direct Sockets: what Chrome's exceptions mean.

use std::io;
use std::rc::Rc;

use jackfield_socket::{Error, ErrorKind};
use wasm_bindgen::{JsCast, JsValue};

use crate::bindings::DomException;

/// What was being done when it failed; the same exception means different things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doing {
    Connecting,
    Binding,
    Transferring,
}

/// A failure that is told again to everyone who asks.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    kind: ErrorKind,
    message: Rc<str>,
    cause: Option<Rc<str>>,
}

impl Failure {
    pub(crate) fn new(kind: ErrorKind, message: &str) -> Self {
        Self {
            kind,
            message: message.into(),
            cause: None,
        }
    }

    /// A stream that failed while bytes were going over it.
    pub(crate) fn of_stream(thrown: &JsValue) -> Self {
        let (name, text) = describe(thrown);
        let (kind, what) = interpret(Doing::Transferring, &name, &text);
        Self {
            kind,
            message: what.into(),
            cause: Some(format!("{name}: {text}").into()),
        }
    }

    pub(crate) fn error(&self) -> Error {
        let error = Error::new(self.kind, self.message.to_string());
        match &self.cause {
            Some(cause) => error.with_source(cause.to_string()),
            None => error,
        }
    }

    pub(crate) fn io(&self) -> io::Error {
        self.error().into()
    }
}

/// A socket that could not be opened; `what` says which, as "connecting to example.org:80".
pub(crate) fn opening(doing: Doing, what: &str, thrown: &JsValue) -> Error {
    let (name, text) = describe(thrown);
    let (kind, meaning) = interpret(doing, &name, &text);
    Error::new(kind, format!("{what}: {meaning}")).with_source(format!("{name}: {text}"))
}

fn describe(thrown: &JsValue) -> (String, String) {
    if !thrown.is_object() {
        return ("exception".into(), format!("{thrown:?}"));
    }
    let thrown = thrown.unchecked_ref::<DomException>();
    (
        thrown.name().unwrap_or_else(|| "exception".into()),
        thrown.message().unwrap_or_default(),
    )
}

/// Chromium tells the page little: the cause is in its text, if anywhere.
fn interpret(doing: Doing, name: &str, text: &str) -> (ErrorKind, &'static str) {
    match name {
        "NetworkError" if text.contains("Hostname") => {
            (ErrorKind::HostNotFound, "the host's name has no address")
        }
        "NetworkError" if text.contains("ERR_CONNECTION_RESET") => {
            (ErrorKind::Reset, "the peer has reset the connection")
        }
        "NetworkError" if text.contains("ERR_CONNECTION_ABORTED") => {
            (ErrorKind::Reset, "the connection was aborted")
        }
        "NetworkError" if text.contains("TIMED_OUT") => {
            (ErrorKind::TimedOut, "the peer no longer answers")
        }
        "NetworkError" if text.contains("ERR_MSG_TOO_BIG") => {
            (ErrorKind::InvalidInput, "the datagram is too large")
        }
        "NetworkError" => match doing {
            Doing::Connecting => (
                ErrorKind::Refused,
                "nothing listens there, or no way leads there: the browser doesn't say which",
            ),
            Doing::Binding => (
                ErrorKind::AddressInUse,
                "the address is taken, or can't be listened at: the browser doesn't say which",
            ),
            Doing::Transferring => (ErrorKind::Reset, "the connection was cut"),
        },
        "InvalidAccessError" if text.contains("local network") => (
            ErrorKind::Denied,
            "the browser does not let this app reach the local network: its manifest must ask for \
             it, and the user must allow it",
        ),
        "InvalidAccessError" => (
            ErrorKind::Denied,
            "the browser forbids it: by an administrator's policy, or since apps may not listen \
             below port 32768, bind UDP below port 1024, or send to a broadcast address",
        ),
        "NotAllowedError" => (
            ErrorKind::Denied,
            "the app's manifest gives no permission for it: it needs the policies \
             cross-origin-isolated and direct-sockets, and direct-sockets-multicast for multicast",
        ),
        "DataError" => (
            ErrorKind::AddressNotAvailable,
            "the address doesn't belong to this machine",
        ),
        "TypeError" => (ErrorKind::InvalidInput, "the browser refuses the options"),
        "ReferenceError" => (
            ErrorKind::Unsupported,
            "there are no Direct Sockets here: they exist in Isolated Web Apps only",
        ),
        "InvalidStateError" => (ErrorKind::Closed, "the socket is closed"),
        _ => (ErrorKind::Other, "the browser failed"),
    }
}
