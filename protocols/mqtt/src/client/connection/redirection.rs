//! Servers that send the client to another one (MQTT 5, section 4.11).

use jackfield_socket::Endpoint;

use super::Mqtt;
use crate::client::event::ConnectionError;
use crate::codec::ReasonCode;
use crate::error::SessionError;

impl Mqtt {
    /// Where the server sends the client, if it may still be sent somewhere, and whether for good.
    pub(super) fn redirected(&mut self, error: &ConnectionError) -> Option<(Endpoint, bool)> {
        let ConnectionError::Session(error) = error else {
            return None;
        };
        let reference = error.server_reference()?;
        // Several may be named, the best first.
        let first = reference.split_ascii_whitespace().next()?;
        let port = self.target.port();
        let target = first.parse().or_else(|_| {
            let host: Result<jackfield_socket::Host, _> = first.parse();
            host.map(|host| Endpoint::new(host, port))
        });
        let target = target.ok()?;
        self.redirects_left = self.redirects_left.checked_sub(1)?;
        let moved = matches!(
            error,
            SessionError::Refused(refusal) | SessionError::DisconnectedByServer(refusal)
                if refusal.reason == ReasonCode::ServerMoved
        );
        Some((target, moved))
    }
}
