//! Options of a WebSocket: how it is opened.

use std::fmt;

use jackfield_socket::{Error, ErrorKind, Result};

/// How a WebSocket is opened, and its limits.
///
/// ```
/// use jackfield_websocket::WebSocketOptions;
///
/// let mut mqtt = WebSocketOptions::new().with_path("/mqtt").with_subprotocol("mqtt");
/// mqtt.max_message = 1024 * 1024;
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct WebSocketOptions {
    /// The path, and perhaps a query, that [`WebSocketNetwork`](crate::WebSocketNetwork) asks for;
    /// a [`WebSocket`](crate::WebSocket) is told a whole address instead. Default: `/`.
    pub path: String,
    /// The subprotocol that is offered, and which the server must choose. Default: `None`.
    pub subprotocol: Option<String>,
    /// What else is offered in the subprotocol's place, which the server reads but doesn't choose:
    /// the only way in which a page can send a token in the handshake. Never shown. Default: empty.
    pub offered_beside: Vec<String>,
    /// The longest message that is taken, in bytes. Default: 16 MiB.
    pub max_message: usize,
    /// In a page: how many bytes of messages may wait to be read before the WebSocket is given up
    /// with [`LimitExceeded`](ErrorKind::LimitExceeded). A page's WebSocket can't be told to wait,
    /// so a protocol over it must have a bound of its own below this (MQTT's receive maximum).
    /// Natively, a reader that stalls makes the server wait instead. Default: 64 MiB.
    pub max_waiting: usize,
}

impl WebSocketOptions {
    /// The path `/`, no subprotocol.
    pub fn new() -> Self {
        Self {
            path: "/".into(),
            subprotocol: None,
            offered_beside: Vec::new(),
            max_message: 16 * 1024 * 1024,
            max_waiting: 64 * 1024 * 1024,
        }
    }

    /// The same, with this [`path`](Self::path).
    #[must_use]
    pub fn with_path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// The same, with this [`subprotocol`](Self::subprotocol).
    #[must_use]
    pub fn with_subprotocol(mut self, name: impl Into<String>) -> Self {
        self.subprotocol = Some(name.into());
        self
    }

    /// Everything that is offered in the subprotocol's place.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput), where one is no token (RFC 9110, section 5.6.2).
    pub(crate) fn offered(&self) -> Result<Vec<&str>> {
        let all = self.subprotocol.iter().chain(&self.offered_beside);
        let offered: Vec<&str> = all.map(String::as_str).collect();
        if offered.iter().all(|name| is_token(name)) {
            return Ok(offered);
        }
        // Which one is not said: it may be secret.
        Err(Error::new(
            ErrorKind::InvalidInput,
            "a subprotocol's name consists of letters, digits and a few signs",
        ))
    }

    /// Whether the server chose what it should.
    pub(crate) fn check_chosen(&self, host: &impl fmt::Display, chosen: &str) -> Result<()> {
        match &self.subprotocol {
            Some(name) if name != chosen => Err(Error::new(
                ErrorKind::Protocol,
                format!("what answers at {host} does not speak {name}"),
            )),
            _ => Ok(()),
        }
    }
}

impl Default for WebSocketOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for WebSocketOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocketOptions")
            .field("path", &self.path)
            .field("subprotocol", &self.subprotocol)
            .field("max_message", &self.max_message)
            .field("max_waiting", &self.max_waiting)
            .finish_non_exhaustive()
    }
}

fn is_token(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_become_another_header_is_refused() {
        for name in ["", "a,b", "a b", "a\r\nX: y", "ä"] {
            let error = WebSocketOptions::new().with_subprotocol(name);
            assert_eq!(error.offered().unwrap_err().kind(), ErrorKind::InvalidInput);
        }
    }

    #[test]
    fn what_is_offered_beside_is_not_shown() {
        let mut options = WebSocketOptions::new().with_subprotocol("wire");
        options.offered_beside.push("token.s3cret".into());
        assert!(!format!("{options:?}").contains("s3cret"));
        assert_eq!(options.offered().expect("tokens"), ["wire", "token.s3cret"]);
    }
}
