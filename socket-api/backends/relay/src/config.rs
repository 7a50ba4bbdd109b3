//! Configuration of the backend: where the relay is, and how it is used.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use jackfield_relay_wire::auth;
use jackfield_socket::{Error, ErrorKind, Result};
use jackfield_websocket::WebSocketUrl;

/// What a relay is shown, to be let in.
#[derive(Clone)]
pub(crate) enum Token {
    /// The same each time.
    Known(String),
    /// Asked for before each opening of the WebSocket.
    Asked(Arc<dyn Fn() -> Asked + Send + Sync>),
}

type Asked = Pin<Box<dyn Future<Output = Result<String>> + Send>>;

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
    pub(crate) token: Option<Token>,
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
        self.token = Some(Token::Known(fit(token.into())?));
        Ok(self)
    }

    /// The same, with a function that gives the token: for one that is good for some minutes, which an
    /// application's back end makes.
    ///
    /// It is called once before each opening of the WebSocket, whatever waits for that, and has no longer
    /// than [`handshake_timeout`](Self::handshake_timeout) together with it. Where the relay takes another token
    /// within a WebSocket, it is called again two minutes before the last one ends, or when half of that is over if
    /// that comes later, and what is open goes on; where it fails, or the relay refuses what it gives, every five
    /// seconds until the end, but for `Denied`. While nothing is open, it isn't called. When the relay ends a WebSocket
    /// because its token's time is over, what was open there fails with [`Reset`](ErrorKind::Reset), and
    /// what is opened next gets a fresh token; so a client that connects again by itself goes on. The same
    /// kind tells that the token was over before the relay saw it.
    ///
    /// Where it fails, so does what waits for the opening, with its error; at whose place is the error's to
    /// say. [`Denied`](ErrorKind::Denied) is for somebody who shall have no token any more: clients end
    /// then. After most others they ask again when they next connect.
    ///
    /// ```
    /// use jackfield_relay::RelayConfig;
    /// use jackfield_socket::{Error, ErrorKind};
    ///
    /// async fn from_the_back_end() -> jackfield_socket::Result<String> {
    ///     // …
    ///     # let status = 401;
    ///     match status {
    ///         200 => Ok("eyJhbGciOi…".into()),
    ///         401 => Err(Error::new(ErrorKind::Denied, "nobody is logged in")),
    ///         _ => Err(Error::new(ErrorKind::Other, "the back end is not well")),
    ///     }
    /// }
    ///
    /// let config = RelayConfig::new("wss://relay.example.org")?.with_token_from(from_the_back_end);
    /// # Ok::<(), Error>(())
    /// ```
    #[must_use]
    pub fn with_token_from<F, R>(mut self, ask: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = Result<String>> + Send + 'static,
    {
        self.token = Some(Token::Asked(Arc::new(move || Box::pin(ask()))));
        self
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

    /// The token for the next opening.
    pub(crate) async fn token(&self) -> Result<Option<String>> {
        Ok(match &self.token {
            None => None,
            Some(Token::Known(token)) => Some(token.clone()),
            Some(Token::Asked(ask)) => Some(fit(ask().await?)?),
        })
    }

    /// Whether there is a fresh token for each opening.
    pub(crate) fn is_renewed(&self) -> bool {
        matches!(self.token, Some(Token::Asked(_)))
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

/// A token that can be one.
fn fit(token: String) -> Result<String> {
    if token.is_empty() || token.len() > auth::MAX_TOKEN {
        let what = "a token has 1 to 4096 bytes";
        return Err(Error::new(ErrorKind::InvalidInput, what));
    }
    Ok(token)
}
