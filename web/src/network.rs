//! The way to the network: Direct Sockets or a relay, and TLS over either; or the page's own
//! WebSocket.

#[cfg(feature = "sockets")]
mod sockets;
#[cfg(not(feature = "sockets"))]
#[path = "network/no_sockets.rs"]
mod sockets;
#[cfg(feature = "sockets")]
mod token;

use std::sync::{Arc, Mutex};

use jackfield_socket::{AnyNetwork, AnyStream, Endpoint, Error, Result, TcpConnect, TcpOptions};
#[cfg(feature = "raw")]
use jackfield_tls::{TlsConfig, TlsConnector};
use js_sys::Object;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use self::sockets::{Protection, Sockets, Streams};
use crate::convert::{Options, set, socket_error};
use crate::policy::Policies;

/// A way to the network. Each protocol adds the method that opens its client.
#[derive(Debug)]
#[wasm_bindgen]
pub struct Network {
    sockets: Sockets,
    policies: Policies,
}

#[wasm_bindgen]
impl Network {
    /// Takes Direct Sockets where they exist, else the relay.
    ///
    /// # Errors
    /// A `JackfieldError`, for an option that can't be right.
    pub fn open(options: &JsValue) -> Result<Network, JsValue> {
        let open = |options: &Options<'_>| {
            let policies = Policies::read(options)?;
            let sockets = Sockets::open(options, &policies)?;
            Ok(Self { sockets, policies })
        };
        open(&Options(options)).map_err(|error: Error| socket_error(&error))
    }

    /// Which way was taken: `direct` or `relay`; `None` where there is neither.
    #[wasm_bindgen(getter)]
    pub fn kind(&self) -> Option<String> {
        self.sockets.kind().map(Into::into)
    }

    /// Closes the way to the relay, and with it whatever is still open there.
    pub fn close(&self) {
        self.sockets.close();
    }
}

impl Network {
    /// The network with TLS over it, or without.
    pub(crate) fn secured(&self, tls: bool) -> Result<Secured> {
        Ok(Secured::new(Way::Sockets(self.sockets.streams(tls)?)))
    }

    /// The network with TLS over each of its streams, after an opening in plaintext.
    #[cfg(feature = "mail")]
    pub(crate) fn start_tls<O>(&self, opening: O) -> Result<Secured>
    where
        O: jackfield_socket::Opening + Clone + Sync + 'static,
    {
        let streams = self.sockets.start_tls(opening)?;
        Ok(Secured::new(Way::Sockets(streams)))
    }

    /// What opens the page's own WebSockets, with the browser's TLS or without.
    #[cfg(any(feature = "coap", feature = "mqtt"))]
    pub(crate) fn web_socket(&self, tls: bool, network: impl TcpConnect) -> Secured {
        let network = AnyNetwork::default().with_tcp(network);
        let network = self.policies.over_streams(network);
        Secured::new(Way::WebSocket(network, if tls { "wss" } else { "ws" }))
    }

    /// Direct Sockets or the relay.
    #[cfg(any(feature = "coap", feature = "raw"))]
    pub(crate) fn sockets(&self) -> Result<AnyNetwork> {
        self.sockets.network()
    }

    /// Whether there are rules that what goes over it is held to.
    #[cfg(feature = "raw")]
    pub(crate) fn is_held(&self) -> bool {
        !self.policies.is_empty()
    }

    /// What secures streams as the page has said when it opened the network.
    #[cfg(feature = "raw")]
    pub(crate) fn tls(&self) -> TlsConnector {
        self.sockets.tls()
    }

    /// Whom to trust: as these options say, else as those of the network.
    #[cfg(feature = "raw")]
    pub(crate) fn tls_config(&self, options: &Options<'_>) -> Result<TlsConfig> {
        self.sockets.tls_config(options)
    }
}

/// Opens streams, and remembers how well the last one was protected.
#[derive(Clone, Debug)]
pub(crate) struct Secured {
    way: Way,
    last: Arc<Mutex<Option<Security>>>,
}

#[derive(Clone, Debug)]
enum Way {
    Sockets(Streams),
    #[cfg_attr(
        not(any(feature = "coap", feature = "mqtt")),
        expect(dead_code, reason = "IRC has none")
    )]
    WebSocket(AnyNetwork, &'static str),
}

/// What stands between the page and the server.
#[derive(Clone, Debug)]
enum Security {
    Sockets(Protection),
    WebSocket(&'static str),
}

impl Secured {
    fn new(way: Way) -> Self {
        Self {
            way,
            last: Arc::default(),
        }
    }

    /// How well the stream is protected that was opened last.
    pub(crate) fn security(&self) -> Object {
        let security = Object::new();
        let last = self.last.lock().ok();
        match last.as_deref() {
            Some(Some(Security::Sockets(protection))) => protection.describe(&security),
            Some(Some(Security::WebSocket(kind))) => set(&security, "webSocket", *kind),
            Some(None) | None => {}
        }
        security
    }
}

impl TcpConnect for Secured {
    type Stream = AnyStream;

    async fn connect(&self, to: &Endpoint, options: &TcpOptions) -> Result<AnyStream> {
        let (stream, security) = match &self.way {
            Way::WebSocket(network, kind) => {
                let stream = network.connect(to, options).await?;
                (stream, Security::WebSocket(kind))
            }
            Way::Sockets(streams) => {
                let (stream, protection) = streams.connect(to, options).await?;
                (stream, Security::Sockets(protection))
            }
        };
        if let Ok(mut last) = self.last.lock() {
            *last = Some(security);
        }
        Ok(stream)
    }
}
