//! Sockets of a page: Direct Sockets or a relay, and TLS over either.

use std::cell::{Cell, RefCell};
#[cfg(feature = "mail")]
use std::sync::Arc;

use jackfield_direct::Direct;
use jackfield_relay::{Relay, RelayConfig};
use jackfield_socket::{
    AnyNetwork, AnyStream, ByteStream as _, Endpoint, Error, ErrorKind, Result, TcpConnect as _,
    TcpOptions,
};
use jackfield_tls::{Certificates, TlsConfig, TlsConnector, TlsStream, TlsVersion};
use js_sys::{Object, Uint8Array};
use tokio::sync::oneshot;
use wasm_bindgen_futures::spawn_local;

use crate::convert::{Options, invalid, object, set};
use crate::policy::Policies;

/// How many streams, listeners and sockets of a relay a page may have open. How many its user may have is for the
/// relay to say; this is what a relay can make a page keep.
const MAX_OPEN: u32 = 4096;

/// Sockets of one kind, or none.
#[derive(Debug)]
pub(super) struct Sockets {
    network: Option<(&'static str, AnyNetwork)>,
    is_closed: Cell<bool>,
    /// Ends the connection to the relay.
    closing: RefCell<Option<oneshot::Sender<()>>>,
    tls: TlsConnector,
    /// What `tls` was made of, for streams that ask for something else in part.
    #[cfg(feature = "raw")]
    tls_config: TlsConfig,
}

impl Sockets {
    pub(super) fn open(options: &Options<'_>, policies: &Policies) -> Result<Self> {
        let config = tls_config(options)?.unwrap_or_default();
        let tls = TlsConnector::new(config.clone())?;
        let mut closing = None;
        let network = if Direct::is_available() {
            Some(("direct", AnyNetwork::new(Direct)))
        } else if let Some(relay) = options.text("relay")? {
            let mut config = RelayConfig::new(&relay)?;
            config.max_open = MAX_OPEN;
            config = super::token::given(options, config)?;
            let (relay, connection) = Relay::new(config);
            let (close, is_closed) = oneshot::channel();
            closing = Some(close);
            spawn_local(async move {
                tokio::select! {
                    () = connection => {}
                    // Where the network is only forgotten, its clients go on.
                    Ok(()) = is_closed => {}
                }
            });
            Some(("relay", AnyNetwork::new(relay)))
        } else {
            None
        };
        let network = network.map(|(kind, network)| (kind, policies.over(network)));
        Ok(Self {
            network,
            is_closed: Cell::new(false),
            closing: RefCell::new(closing),
            tls,
            #[cfg(feature = "raw")]
            tls_config: config,
        })
    }

    pub(super) fn close(&self) {
        self.is_closed.set(true);
        if let Some(closing) = self.closing.take() {
            let _ = closing.send(());
        }
    }

    pub(super) fn kind(&self) -> Option<&'static str> {
        self.network.as_ref().map(|(kind, _)| *kind)
    }

    pub(super) fn network(&self) -> Result<AnyNetwork> {
        match &self.network {
            _ if self.is_closed.get() => {
                Err(Error::new(ErrorKind::Closed, "the network is closed"))
            }
            Some((_, network)) => Ok(network.clone()),
            None => Err(Error::new(
                ErrorKind::Unsupported,
                "there are no Direct Sockets here, and no relay was given",
            )),
        }
    }

    #[cfg(feature = "raw")]
    pub(super) fn tls(&self) -> TlsConnector {
        self.tls.clone()
    }

    /// Whom to trust: as these options say, else as those of the network.
    #[cfg(feature = "raw")]
    pub(super) fn tls_config(&self, options: &Options<'_>) -> Result<TlsConfig> {
        Ok(tls_config(options)?.unwrap_or_else(|| self.tls_config.clone()))
    }

    /// Opens streams, with TLS or without.
    pub(super) fn streams(&self, tls: bool) -> Result<Streams> {
        Ok(Streams {
            network: self.network()?,
            tls: tls.then(|| self.tls.clone()),
            #[cfg(feature = "mail")]
            opening: None,
        })
    }

    /// Opens streams with TLS, after an opening in plaintext.
    #[cfg(feature = "mail")]
    pub(super) fn start_tls<O>(&self, opening: O) -> Result<Streams>
    where
        O: jackfield_socket::Opening + Clone + Sync + 'static,
    {
        let mut streams = self.streams(true)?;
        let opening = move || Box::new(opening.clone()) as Box<dyn jackfield_socket::Opening>;
        streams.opening = Some(Openings(Arc::new(opening)));
        Ok(streams)
    }
}

/// Whom these options say to trust, if they do.
fn tls_config(options: &Options<'_>) -> Result<Option<TlsConfig>> {
    let (roots, pins) = (options.text("roots")?, options.texts("pins")?);
    if roots.is_none() && pins.is_empty() {
        return Ok(None);
    }
    let mut config = TlsConfig::new();
    if let Some(roots) = roots {
        config = config.with_roots(Certificates::from_pem(roots.as_bytes())?);
    }
    for pin in pins {
        let pin = pin.parse();
        config = config.with_pin(pin.map_err(|error: Error| invalid("pins", error))?);
    }
    Ok(Some(config))
}

#[derive(Clone, Debug)]
pub(super) struct Streams {
    network: AnyNetwork,
    tls: Option<TlsConnector>,
    /// What is said in plaintext before TLS.
    #[cfg(feature = "mail")]
    opening: Option<Openings>,
}

/// Makes an opening for each stream.
#[cfg(feature = "mail")]
#[derive(Clone)]
struct Openings(Arc<dyn Fn() -> Box<dyn jackfield_socket::Opening> + Send + Sync>);

#[cfg(feature = "mail")]
impl std::fmt::Debug for Openings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Openings").finish_non_exhaustive()
    }
}

impl Streams {
    pub(super) async fn connect(
        &self,
        to: &Endpoint,
        options: &TcpOptions,
    ) -> Result<(AnyStream, Protection)> {
        let stream = self.network.connect(to, options).await?;
        let peer = stream.info().peer.map(|peer| peer.to_string());
        let Some(tls) = &self.tls else {
            return Ok((stream, Protection { peer, tls: None }));
        };
        #[cfg(feature = "mail")]
        let stream = match &self.opening {
            Some(opening) => tls.start(stream, &mut *opening.0(), to.host()).await?,
            None => tls.connect(stream, to.host()).await?,
        };
        #[cfg(not(feature = "mail"))]
        let stream = tls.connect(stream, to.host()).await?;
        let tls = Some(TlsFacts::of(&stream));
        Ok((AnyStream::new(stream), Protection { peer, tls }))
    }
}

/// How well a stream is protected.
#[derive(Clone, Debug)]
pub(super) struct Protection {
    peer: Option<String>,
    tls: Option<TlsFacts>,
}

#[derive(Clone, Debug)]
struct TlsFacts {
    version: &'static str,
    cipher_suite: &'static str,
    certificate: Vec<u8>,
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

impl Protection {
    /// Adds what it is to `Security`, as the package's .d.ts has it.
    pub(super) fn describe(&self, security: &Object) {
        if let Some(peer) = &self.peer {
            set(security, "peer", peer.as_str());
        }
        if let Some(tls) = &self.tls {
            let certificate = Uint8Array::from(tls.certificate.as_slice());
            let facts = object([
                ("version", tls.version.into()),
                ("cipherSuite", tls.cipher_suite.into()),
                ("certificate", certificate.into()),
            ]);
            set(security, "tls", facts);
        }
    }
}
