//! A WebSocket's address, taken apart.

use std::fmt;
use std::str::FromStr;

use jackfield_socket::{Endpoint, Error, ErrorKind, Result, Url};

/// The address of a WebSocket: `ws://` or `wss://`, a host, and perhaps a port, a path and a query
/// (RFC 6455, section 3).
///
/// ```
/// use jackfield_websocket::WebSocketUrl;
///
/// let url: WebSocketUrl = "wss://broker.example.org/mqtt".parse()?;
/// assert!(url.is_secure());
/// assert_eq!(url.endpoint(), &"broker.example.org:443".parse()?);
/// assert_eq!(url.path(), "/mqtt");
/// # Ok::<(), jackfield_socket::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WebSocketUrl {
    text: String,
    secure: bool,
    endpoint: Endpoint,
    path: String,
}

impl WebSocketUrl {
    /// The address of this path, which begins with `/` and may hold a query, at this endpoint.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput), where the path is not valid.
    pub fn new(secure: bool, endpoint: Endpoint, path: &str) -> Result<Self> {
        check_characters(path)?;
        if !path.starts_with('/') {
            return Err(invalid("a WebSocket's path begins with '/'"));
        }
        let scheme = if secure { "wss" } else { "ws" };
        let authority = endpoint.to_authority(default_port(secure));
        let text = format!("{scheme}://{authority}{path}");
        Ok(Self {
            text,
            secure,
            endpoint,
            path: path.to_owned(),
        })
    }

    /// The whole of it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it is a `wss://`, which needs TLS.
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// The host and the port; 443 or 80 where no port was given.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The path, and the query where there is one.
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl FromStr for WebSocketUrl {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let url: Url = text.parse()?;
        let secure = match url.scheme() {
            "wss" => true,
            "ws" => false,
            _ => return Err(invalid("a WebSocket's address begins with wss:// or ws://")),
        };
        let endpoint = url.endpoint(default_port(secure));
        match url.path() {
            path if path.starts_with('/') => Self::new(secure, endpoint, path),
            query => Self::new(secure, endpoint, &format!("/{query}")),
        }
    }
}

impl fmt::Display for WebSocketUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn default_port(secure: bool) -> u16 {
    if secure { 443 } else { 80 }
}

/// What could end the request's line may not come any further, and a fragment is never sent.
fn check_characters(text: &str) -> Result<()> {
    if text.bytes().all(|byte| byte.is_ascii_graphic()) && !text.contains('#') {
        return Ok(());
    }
    Err(invalid(
        "only visible ASCII, and no '#', may stand in a WebSocket's address",
    ))
}

fn invalid(what: &'static str) -> Error {
    Error::new(ErrorKind::InvalidInput, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart() {
        for (text, secure, endpoint, path) in [
            ("ws://localhost", false, "localhost:80", "/"),
            ("wss://relay.example", true, "relay.example:443", "/"),
            (
                "wss://a.example:8443/a?b=c",
                true,
                "a.example:8443",
                "/a?b=c",
            ),
            ("ws://[::1]/x", false, "[::1]:80", "/x"),
            ("ws://[::1]:9000", false, "[::1]:9000", "/"),
            ("ws://127.0.0.1:9000?q", false, "127.0.0.1:9000", "/?q"),
        ] {
            let url: WebSocketUrl = text.parse().expect(text);
            let found = (url.is_secure(), url.endpoint().to_string());
            assert_eq!(found, (secure, endpoint.to_owned()));
            assert_eq!(url.path(), path);
            let again: WebSocketUrl = url.to_string().parse().expect(text);
            assert_eq!(again, url);
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "http://relay.example",
            "relay.example",
            "wss://",
            "wss://user:password@relay.example",
            "wss://relay.example/a b",
            "wss://relay.example/\r\nX: y",
            "wss://relay.example/#part",
            "wss://relay.example:99999",
        ] {
            let error = text.parse::<WebSocketUrl>().expect_err(text);
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{text}");
        }
    }
}
