//! Errors of DTLS: what the engine says, in words that a person can act on.

use jackfield_socket::{Error, ErrorKind, Place};

/// An alert's description (RFC 5246, section 7.2; RFC 4279, section 6), as far as it tells more
/// than that something failed.
mod alert {
    pub(super) const BAD_RECORD_MAC: u8 = 20;
    pub(super) const HANDSHAKE_FAILURE: u8 = 40;
    pub(super) const DECRYPT_ERROR: u8 = 51;
    pub(super) const UNKNOWN_PSK_IDENTITY: u8 = 115;
}

/// The engine's error.
pub(crate) fn explain(error: &dimpl::Error) -> (ErrorKind, String) {
    match error {
        dimpl::Error::Timeout(_) => (
            ErrorKind::TimedOut,
            // OpenSSL, for one, drops in silence what a wrong key made.
            "the server did not complete it in time (another key, or no DTLS there?)".into(),
        ),
        dimpl::Error::ConnectionClosed => (ErrorKind::Closed, "the session is closed".into()),
        dimpl::Error::SecurityError(dimpl::SecurityError::FatalAlert { description }) => {
            received(*description)
        }
        error => (ErrorKind::Protocol, format!("DTLS failed: {error}")),
    }
}

/// The peer's alert.
fn received(description: u8) -> (ErrorKind, String) {
    match description {
        alert::UNKNOWN_PSK_IDENTITY => (
            ErrorKind::Denied,
            "the peer does not know the identity of our key".into(),
        ),
        // OpenSSL's and others' answers to a Finished that a wrong key made.
        alert::BAD_RECORD_MAC | alert::DECRYPT_ERROR => (
            ErrorKind::Denied,
            "the peer has another key for our identity".into(),
        ),
        alert::HANDSHAKE_FAILURE => (
            ErrorKind::Protocol,
            "the peer does not offer pre-shared keys with AES-128-CCM-8".into(),
        ),
        other => (
            ErrorKind::Protocol,
            format!("the peer ended the session with alert {other}"),
        ),
    }
}

/// An error that was reported, to be reported again.
#[derive(Clone, Debug)]
pub(crate) struct Failure(Error);

impl Failure {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Error::new(kind, message.into()))
    }

    pub(crate) fn error(&self) -> Error {
        self.0.clone()
    }
}

impl From<&dimpl::Error> for Failure {
    fn from(error: &dimpl::Error) -> Self {
        let (kind, message) = explain(error);
        let told = Error::new(kind, message);
        // A key is refused by the peer.
        Self(match kind {
            ErrorKind::Denied => told.at(Place::Server),
            _ => told,
        })
    }
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        Self(error.clone())
    }
}
