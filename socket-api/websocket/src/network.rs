//! Byte streams over WebSockets, as a network.

use std::fmt;

#[cfg(not(wasm_browser))]
use jackfield_socket::AnyNetwork;
#[cfg(wasm_browser)]
use jackfield_socket::{AddressFamily, Error, ErrorKind};
use jackfield_socket::{Endpoint, Result, TcpConnect, TcpOptions};

use crate::{WebSocket, WebSocketOptions, WebSocketStream, WebSocketUrl};

/// A network whose byte streams are carried in the binary messages of WebSockets, one each.
///
/// What connecting is told is the WebSocket's server; path and subprotocol are the options'.
#[derive(Clone)]
pub struct WebSocketNetwork {
    options: WebSocketOptions,
    #[cfg(not(wasm_browser))]
    network: AnyNetwork,
    #[cfg(wasm_browser)]
    secure: bool,
}

impl WebSocketNetwork {
    /// WebSockets over this network: `ws://`, or over a `Tls` one `wss://`.
    #[cfg(not(wasm_browser))]
    pub fn over(network: impl TcpConnect, options: WebSocketOptions) -> Self {
        Self {
            options,
            network: AnyNetwork::default().with_tcp(network),
        }
    }

    /// The page's own WebSockets, with TLS: `wss://`.
    #[cfg(wasm_browser)]
    pub fn wss(options: WebSocketOptions) -> Self {
        let secure = true;
        Self { options, secure }
    }

    /// The page's own WebSockets, without TLS: `ws://`. A page that was itself loaded over HTTPS
    /// may open them to its own machine alone.
    #[cfg(wasm_browser)]
    pub fn ws(options: WebSocketOptions) -> Self {
        let secure = false;
        Self { options, secure }
    }
}

impl WebSocketNetwork {
    /// Opens a WebSocket to this server that carries whole messages, for a protocol that gives
    /// them a meaning.
    ///
    /// # Errors
    /// As [`TcpConnect::connect`], and as `WebSocket::over` or `WebSocket::open`.
    ///
    /// # Cancel safety
    /// Dropping the future closes what it was opening. It sets no deadline of its own.
    pub async fn open(&self, to: &Endpoint, options: &TcpOptions) -> Result<WebSocket> {
        #[cfg(wasm_browser)]
        {
            check(options)?;
            let url = WebSocketUrl::new(self.secure, to.clone(), &self.options.path)?;
            WebSocket::open(&url, &self.options).await
        }
        #[cfg(not(wasm_browser))]
        {
            // The port's default is left out of the request, whose scheme nobody else sees.
            let secure = to.port() == 443;
            let url = WebSocketUrl::new(secure, to.clone(), &self.options.path)?;
            let stream = self.network.connect(to, options).await?;
            WebSocket::over(stream, &url, &self.options).await
        }
    }
}

impl TcpConnect for WebSocketNetwork {
    type Stream = WebSocketStream;

    async fn connect(&self, to: &Endpoint, options: &TcpOptions) -> Result<WebSocketStream> {
        Ok(WebSocketStream::new(self.open(to, options).await?))
    }
}

/// The browser lets nobody choose.
#[cfg(wasm_browser)]
fn check(options: &TcpOptions) -> Result<()> {
    options.validate()?;
    let chosen = !options.no_delay
        || options.keep_alive.is_some()
        || options.send_buffer.is_some()
        || options.receive_buffer.is_some()
        || options.family != AddressFamily::Any;
    if chosen {
        return Err(Error::new(
            ErrorKind::Unsupported,
            "a page's WebSocket has no options of TCP",
        ));
    }
    Ok(())
}

impl fmt::Debug for WebSocketNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocketNetwork")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
