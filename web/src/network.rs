//! The way to the network: Direct Sockets or a relay, and TLS over either.

use std::sync::{Arc, Mutex};

use jackfield_direct::Direct;
use jackfield_relay::{Relay, RelayConfig};
use jackfield_socket::{
    AnyNetwork, AnyStream, ByteStream as _, Endpoint, Error, ErrorKind, Result, TcpConnect,
    TcpOptions,
};
use jackfield_tls::{Certificates, TlsConfig, TlsConnector, TlsVersion};
use js_sys::{Object, Uint8Array};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen_futures::spawn_local;

use crate::Irc;
use crate::convert::{Options, object, set, socket_error};

/// A way to the network.
#[derive(Debug)]
#[wasm_bindgen]
pub struct Network {
    kind: &'static str,
    way: AnyNetwork,
    tls: TlsConnector,
}

#[wasm_bindgen]
impl Network {
    /// Takes Direct Sockets where they exist, else the relay.
    ///
    /// # Errors
    /// A `JackfieldError`, for an option that can't be right or where there is no way.
    pub fn open(options: &JsValue) -> Result<Network, JsValue> {
        Self::try_open(&Options(options)).map_err(|error| socket_error(&error))
    }

    /// Which way was taken: `direct` or `relay`.
    #[wasm_bindgen(getter)]
    pub fn kind(&self) -> String {
        self.kind.into()
    }

    /// An IRC client over it.
    ///
    /// # Errors
    /// A `JackfieldError`, for an option that can't be right.
    pub fn irc(&self, options: &JsValue) -> Result<Irc, JsValue> {
        Irc::open(self, &Options(options)).map_err(|error| socket_error(&error))
    }
}

impl Network {
    fn try_open(options: &Options<'_>) -> Result<Self> {
        let mut config = TlsConfig::new();
        if let Some(roots) = options.text("roots")? {
            config = config.with_roots(Certificates::from_pem(roots.as_bytes())?);
        }
        let tls = TlsConnector::new(config)?;
        let (kind, network) = if Direct::is_available() {
            ("direct", AnyNetwork::new(Direct))
        } else if let Some(relay) = options.text("relay")? {
            let mut config = RelayConfig::new(&relay)?;
            if let Some(token) = options.text("token")? {
                config = config.with_token(token)?;
            }
            let (relay, connection) = Relay::new(config);
            spawn_local(connection);
            ("relay", AnyNetwork::new(relay))
        } else {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "there are no Direct Sockets here, and no relay was given",
            ));
        };
        Ok(Self {
            kind,
            way: network,
            tls,
        })
    }

    /// The network with TLS over it, or without.
    pub(crate) fn secured(&self, tls: bool) -> Secured {
        Secured {
            way: self.way.clone(),
            tls: tls.then(|| self.tls.clone()),
            last: Arc::default(),
        }
    }
}

/// Opens streams, and remembers how well the last one was protected.
#[derive(Clone, Debug)]
pub(crate) struct Secured {
    way: AnyNetwork,
    tls: Option<TlsConnector>,
    last: Arc<Mutex<Security>>,
}

/// What stands between the page and the server.
#[derive(Clone, Debug, Default)]
pub(crate) struct Security {
    peer: Option<String>,
    tls: Option<TlsFacts>,
}

#[derive(Clone, Debug)]
struct TlsFacts {
    version: &'static str,
    cipher_suite: &'static str,
    certificate: Vec<u8>,
}

impl Secured {
    /// How well the stream is protected that was opened last.
    pub(crate) fn security(&self) -> Object {
        let last = self.last.lock().map(|last| last.clone());
        last.unwrap_or_default().to_object()
    }
}

impl TcpConnect for Secured {
    type Stream = AnyStream;

    async fn connect(&self, to: &Endpoint, options: &TcpOptions) -> Result<AnyStream> {
        let stream = self.way.connect(to, options).await?;
        let mut security = Security {
            peer: stream.info().peer.map(|peer| peer.to_string()),
            tls: None,
        };
        let stream = match &self.tls {
            Some(tls) => {
                let stream = tls.connect(stream, to.host()).await?;
                security.tls = Some(TlsFacts {
                    version: match stream.version() {
                        TlsVersion::Tls12 => "TLS 1.2",
                        _ => "TLS 1.3",
                    },
                    cipher_suite: stream.cipher_suite(),
                    certificate: stream.peer_certificate().unwrap_or_default().to_vec(),
                });
                AnyStream::new(stream)
            }
            None => stream,
        };
        if let Ok(mut last) = self.last.lock() {
            *last = security;
        }
        Ok(stream)
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
        security
    }
}
