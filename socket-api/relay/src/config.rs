//! Where the relay is, and how it is used.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jackfield_relay_wire::auth;
use jackfield_socket::{Endpoint, Error, ErrorKind, Host, Result};

/// Where the relay is, and how it is used.
///
/// ```
/// use jackfield_relay::RelayConfig;
///
/// let config = RelayConfig::new("wss://relay.example.org/jackfield")?.with_token("s3cret")?;
/// // The token is never shown.
/// assert!(!format!("{config:?}").contains("s3cret"));
/// # Ok::<(), jackfield_socket::Error>(())
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct RelayConfig {
    pub(crate) url: RelayUrl,
    pub(crate) token: Option<String>,
    #[cfg(not(wasm_browser))]
    pub(crate) tls: Option<jackfield_tls::TlsConnector>,
    /// How many bytes a stream may receive that nobody has read; beyond it, the sender waits.
    /// Default: 1 MiB.
    pub window: u32,
    /// How many bytes of datagrams a UDP socket may receive that nobody has read, each counted with
    /// 64 bytes on top; beyond it, the relay drops datagrams. At least 128 KiB, so that datagrams of
    /// any length fit. Default: 256 KiB.
    pub datagram_window: u32,
    /// How many connections a listener may hold that nobody has accepted; beyond it, they wait in
    /// the relay's system. Default: 16.
    pub accept_window: u32,
    /// How many streams, listeners and sockets may be open at once; the relay has a limit of its
    /// own. Default: 256.
    pub max_open: u32,
    /// How long the WebSocket may take to open. Default: 10 s.
    pub handshake_timeout: Duration,
}

impl RelayConfig {
    /// A relay at this address: `ws://` or `wss://`, a host, and perhaps a port and a path.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput), where it is no such address.
    pub fn new(url: &str) -> Result<Self> {
        let limits = jackfield_relay_wire::Config::default();
        Ok(Self {
            url: url.parse()?,
            token: None,
            #[cfg(not(wasm_browser))]
            tls: None,
            window: limits.window,
            datagram_window: limits.datagram_window,
            accept_window: limits.accept_window,
            max_open: limits.settings.max_open,
            handshake_timeout: Duration::from_secs(10),
        })
    }

    /// The same, with a token that the relay asks for.
    ///
    /// It travels in the WebSocket's handshake, never in the URL.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput), where it is empty or longer than 4096 bytes.
    pub fn with_token(mut self, token: impl Into<String>) -> Result<Self> {
        let token = token.into();
        if token.is_empty() || token.len() > auth::MAX_TOKEN {
            return Err(invalid("a token has 1 to 4096 bytes"));
        }
        self.token = Some(token);
        Ok(self)
    }

    /// The same, with this TLS for `wss://`. Default: the platform's roots. (In a page, the browser
    /// brings the TLS.)
    #[cfg(not(wasm_browser))]
    #[must_use]
    pub fn with_tls(mut self, tls: jackfield_tls::TlsConnector) -> Self {
        self.tls = Some(tls);
        self
    }

    /// The subprotocols that the handshake offers.
    pub(crate) fn subprotocols(&self) -> Vec<String> {
        let token = self.token.as_deref().map(auth::token_subprotocol);
        [auth::SUBPROTOCOL.to_owned()]
            .into_iter()
            .chain(token)
            .collect()
    }

    pub(crate) fn mux(&self) -> jackfield_relay_wire::Config {
        let mut config = jackfield_relay_wire::Config::default();
        config.window = self.window.max(1);
        config.datagram_window = self.datagram_window.max(128 * 1024);
        config.accept_window = self.accept_window.max(1);
        config.settings.max_open = self.max_open;
        config
    }
}

impl fmt::Debug for RelayConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RelayConfig")
            .field("url", &self.url.text)
            .field("token", &self.token.as_ref().map(|_| "…"))
            .finish_non_exhaustive()
    }
}

/// A relay's address, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RelayUrl {
    pub(crate) text: String,
    pub(crate) secure: bool,
    pub(crate) endpoint: Endpoint,
}

impl FromStr for RelayUrl {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (secure, rest) = if let Some(rest) = text.strip_prefix("wss://") {
            (true, rest)
        } else if let Some(rest) = text.strip_prefix("ws://") {
            (false, rest)
        } else {
            return Err(invalid("a relay's address begins with wss:// or ws://"));
        };
        // What else a URL may hold is for the carrier to read; what could end the request's line,
        // or a password that would be written into logs, may not come this far.
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) || text.contains('#') {
            return Err(invalid(
                "only visible ASCII, and no '#', may stand in a relay's address",
            ));
        }
        let authority = rest.split(['/', '?']).next().unwrap_or(rest);
        if authority.contains('@') {
            return Err(invalid(
                "a relay's address holds no user or password: the token has a place of its own",
            ));
        }
        let has_port = match authority.rfind(']') {
            Some(bracket) => authority[bracket..].contains(':'),
            None => authority.contains(':'),
        };
        let endpoint = if has_port {
            authority.parse()?
        } else {
            let port = if secure { 443 } else { 80 };
            format!("{authority}:{port}").parse()?
        };
        Ok(Self {
            text: text.to_owned(),
            secure,
            endpoint,
        })
    }
}

impl RelayUrl {
    /// What names the relay in an error.
    pub(crate) fn host(&self) -> &Host {
        self.endpoint.host()
    }
}

fn invalid(what: &'static str) -> Error {
    Error::new(ErrorKind::InvalidInput, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart() {
        for (text, secure, endpoint) in [
            ("ws://localhost", false, "localhost:80"),
            ("wss://relay.example", true, "relay.example:443"),
            ("wss://relay.example:8443/a?b=c", true, "relay.example:8443"),
            ("ws://[::1]/x", false, "[::1]:80"),
            ("ws://[::1]:9000", false, "[::1]:9000"),
            ("ws://127.0.0.1:9000?q", false, "127.0.0.1:9000"),
        ] {
            let url: RelayUrl = text.parse().expect(text);
            assert_eq!(
                (url.secure, url.endpoint.to_string().as_str()),
                (secure, endpoint)
            );
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
            let error = text.parse::<RelayUrl>().expect_err(text);
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{text}");
        }
    }
}
