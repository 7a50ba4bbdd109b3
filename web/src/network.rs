//! The way to the network: Direct Sockets or a relay, and TLS over either; or the page's own
//! WebSocket.

use std::sync::{Arc, Mutex};

use jackfield_direct::Direct;
use jackfield_relay::{Relay, RelayConfig};
use jackfield_socket::{
    AnyNetwork, AnyStream, ByteStream as _, Endpoint, Error, ErrorKind, Result, TcpConnect,
    TcpOptions,
};
use jackfield_tls::{Certificates, TlsConfig, TlsConnector, TlsStream, TlsVersion};
use jackfield_websocket::{WebSocketNetwork, WebSocketOptions};
use js_sys::{Object, Uint8Array};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen_futures::spawn_local;

use crate::convert::{Options, object, set, socket_error};
use crate::{Coap, Irc, Mqtt};

/// A way to the network.
#[derive(Debug)]
#[wasm_bindgen]
pub struct Network {
    sockets: Option<(&'static str, AnyNetwork)>,
    tls: TlsConnector,
}

#[wasm_bindgen]
impl Network {
    /// Takes Direct Sockets where they exist, else the relay.
    ///
    /// # Errors
    /// A `JackfieldError`, for an option that can't be right.
    pub fn open(options: &JsValue) -> Result<Network, JsValue> {
        Self::try_open(&Options(options)).map_err(|error| socket_error(&error))
    }

    /// Which way was taken: `direct`, `relay`, or none.
    #[wasm_bindgen(getter)]
    pub fn kind(&self) -> Option<String> {
        self.sockets.as_ref().map(|(kind, _)| (*kind).into())
    }

    /// An IRC client over it.
    ///
    /// # Errors
    /// A `JackfieldError`, for an option that can't be right.
    pub fn irc(&self, options: &JsValue) -> Result<Irc, JsValue> {
        Irc::open(self, &Options(options)).map_err(|error| socket_error(&error))
    }

    /// An MQTT client over it, or over the page's own WebSocket.
    ///
    /// # Errors
    /// As [`irc`](Self::irc).
    pub async fn mqtt(&self, url: String, options: JsValue) -> Result<Mqtt, JsValue> {
        Mqtt::open(self, &url, &Options(&options)).await
    }

    /// A CoAP client over it, or over the page's own WebSocket.
    ///
    /// # Errors
    /// As [`irc`](Self::irc).
    pub async fn coap(&self, url: String, options: JsValue) -> Result<Coap, JsValue> {
        Coap::open(self, &url, &Options(&options)).await
    }
}

impl Network {
    fn try_open(options: &Options<'_>) -> Result<Self> {
        let mut config = TlsConfig::new();
        if let Some(roots) = options.text("roots")? {
            config = config.with_roots(Certificates::from_pem(roots.as_bytes())?);
        }
        let tls = TlsConnector::new(config)?;
        let sockets = if Direct::is_available() {
            Some(("direct", AnyNetwork::new(Direct)))
        } else if let Some(relay) = options.text("relay")? {
            let mut config = RelayConfig::new(&relay)?;
            if let Some(token) = options.text("token")? {
                config = config.with_token(token)?;
            }
            let (relay, connection) = Relay::new(config);
            spawn_local(connection);
            Some(("relay", AnyNetwork::new(relay)))
        } else {
            None
        };
        Ok(Self { sockets, tls })
    }

    /// The network with TLS over it, or without.
    pub(crate) fn secured(&self, tls: bool) -> Result<Secured> {
        let tls = tls.then(|| self.tls.clone());
        Ok(Secured::new(Way::Sockets(self.sockets()?, tls)))
    }

    /// The page's own WebSocket, with the browser's TLS or without.
    pub(crate) fn web_socket(tls: bool, options: WebSocketOptions) -> Secured {
        let network = if tls {
            WebSocketNetwork::wss(options)
        } else {
            WebSocketNetwork::ws(options)
        };
        Secured::new(Way::WebSocket(network, if tls { "wss" } else { "ws" }))
    }

    /// Direct Sockets or the relay.
    pub(crate) fn sockets(&self) -> Result<AnyNetwork> {
        match &self.sockets {
            Some((_, network)) => Ok(network.clone()),
            None => Err(Error::new(
                ErrorKind::Unsupported,
                "there are no Direct Sockets here, and no relay was given",
            )),
        }
    }
}

/// Opens streams, and remembers how well the last one was protected.
#[derive(Clone, Debug)]
pub(crate) struct Secured {
    way: Way,
    last: Arc<Mutex<Security>>,
}

#[derive(Clone, Debug)]
enum Way {
    Sockets(AnyNetwork, Option<TlsConnector>),
    WebSocket(WebSocketNetwork, &'static str),
}

/// What stands between the page and the server.
#[derive(Clone, Debug, Default)]
pub(crate) struct Security {
    peer: Option<String>,
    tls: Option<TlsFacts>,
    web_socket: Option<&'static str>,
}

#[derive(Clone, Debug)]
struct TlsFacts {
    version: &'static str,
    cipher_suite: &'static str,
    certificate: Vec<u8>,
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
        let last = self.last.lock().map(|last| last.clone());
        last.unwrap_or_default().to_object()
    }
}

impl TcpConnect for Secured {
    type Stream = AnyStream;

    async fn connect(&self, to: &Endpoint, options: &TcpOptions) -> Result<AnyStream> {
        let mut security = Security::default();
        let stream = match &self.way {
            Way::WebSocket(network, kind) => {
                security.web_socket = Some(kind);
                AnyStream::new(network.connect(to, options).await?)
            }
            Way::Sockets(network, tls) => {
                let stream = network.connect(to, options).await?;
                security.peer = stream.info().peer.map(|peer| peer.to_string());
                match tls {
                    None => stream,
                    Some(tls) => {
                        let stream = tls.connect(stream, to.host()).await?;
                        security.tls = Some(TlsFacts::of(&stream));
                        AnyStream::new(stream)
                    }
                }
            }
        };
        if let Ok(mut last) = self.last.lock() {
            *last = security;
        }
        Ok(stream)
    }
}

impl TlsFacts {
    fn of(stream: &TlsStream<AnyStream>) -> Self {
        Self {
            version: match stream.version() {
                TlsVersion::Tls12 => "TLS 1.2",
                _ => "TLS 1.3",
            },
            cipher_suite: stream.cipher_suite(),
            certificate: stream.peer_certificate().unwrap_or_default().to_vec(),
        }
    }
}

impl Security {
    fn to_object(&self) -> Object {
        let security = Object::new();
        if let Some(peer) = &self.peer {
            set(&security, "peer", peer.as_str());
        }
        if let Some(tls) = &self.tls {
            let facts = object([
                ("version", tls.version.into()),
                ("cipherSuite", tls.cipher_suite.into()),
                (
                    "certificate",
                    Uint8Array::from(tls.certificate.as_slice()).into(),
                ),
            ]);
            set(&security, "tls", facts);
        }
        if let Some(kind) = self.web_socket {
            set(&security, "webSocket", kind);
        }
        security
    }
}
