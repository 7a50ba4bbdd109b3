//! Configuration of the backend: where the relay is, and how it is used.

use std::fmt;
use std::time::Duration;

use jackfield_relay_wire::{MAX_MESSAGE, auth};
use jackfield_socket::{Error, ErrorKind, Result};
use jackfield_websocket::{WebSocketOptions, WebSocketUrl};

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
    pub(crate) url: WebSocketUrl,
    pub(crate) token: Option<String>,
    #[cfg(not(wasm_browser))]
    pub(crate) tls: Option<jackfield_tls::TlsConnector>,
    /// How many bytes a stream may receive that nobody has read, at the most; beyond it, the sender
    /// waits. It begins with 256 KiB, and has more where it is busy and the relay is far: what
    /// 128 Mbit/s take over a round trip. Default: 2 MiB.
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
    /// brings the TLS.) One with an identity shows a certificate, which a relay may take in the place of a
    /// token.
    #[cfg(not(wasm_browser))]
    #[must_use]
    pub fn with_tls(mut self, tls: jackfield_tls::TlsConnector) -> Self {
        self.tls = Some(tls);
        self
    }

    /// How the WebSocket is opened.
    pub(crate) fn websocket(&self) -> WebSocketOptions {
        let mut options = WebSocketOptions::new().with_subprotocol(auth::SUBPROTOCOL);
        let token = self.token.as_deref().map(auth::token_subprotocol);
        options.offered_beside.extend(token);
        options.max_message = MAX_MESSAGE;
        options
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
            .field("url", &self.url.as_str())
            .field("token", &self.token.as_ref().map(|_| "…"))
            .finish_non_exhaustive()
    }
}

fn invalid(what: &'static str) -> Error {
    Error::new(ErrorKind::InvalidInput, what)
}
