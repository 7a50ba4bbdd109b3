//! TLS of the relay itself, for `wss`. The TLS inside of a stream is none of the relay's business.

mod clients;
#[cfg(feature = "acme")]
mod issued;

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, SystemTime};

use httpdate::HttpDate;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpStream;
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tracing::error;

use self::clients::Clients;
#[cfg(feature = "acme")]
use self::issued::Issued;
use crate::certificate::Certificate;
use crate::config::{Config, Places, Tls, TlsFiles};
use crate::files::{self, MAX_FILE, MAX_SECRET_FILE};
use crate::token::{ClientCa, Credential};

/// What a WebSocket begins in; a client that was offered HTTP/2 would speak it.
const HTTP: &[u8] = b"http/1.1";
/// How long it takes at most to notice that a certificate has ended: the clock may be set, and another one come.
const NAP: Duration = Duration::from_mins(1);

/// The certificate in use, which can be read anew.
#[derive(Debug)]
pub(crate) struct Certificates {
    from: Tls,
    in_use: RwLock<InUse>,
    #[cfg(feature = "acme")]
    issued: Issued,
}

/// What connections to come are accepted with.
#[derive(Debug)]
struct InUse {
    /// None before the first one is issued.
    current: Option<Current>,
    /// Whose certificates clients may show.
    clients: Vec<ClientCa>,
    /// Made of both.
    config: Option<Arc<ServerConfig>>,
}

/// A certificate with its key.
#[derive(Clone, Debug)]
pub(crate) struct Current {
    key: Arc<CertifiedKey>,
    /// From when until when it is good, where that can be read.
    validity: Option<(SystemTime, SystemTime)>,
}

impl Certificates {
    /// Whether there can be one, without leaving anything behind.
    ///
    /// # Errors
    /// As those of [`load`](Self::load).
    pub(crate) fn check(config: &Config) -> io::Result<()> {
        match &config.tls {
            #[cfg(feature = "acme")]
            Some(Tls::Acme(_)) => Ok(()),
            _ => Self::load(config).map(drop),
        }
    }

    /// Those of a configuration; `None` where it has none.
    ///
    /// # Errors
    /// Where a file can't be used; the text names it.
    pub(crate) fn load(config: &Config) -> io::Result<Option<Self>> {
        let Some(from) = config.tls.clone() else {
            return Ok(None);
        };
        let current = match &from {
            Tls::Files(files) => Some(read(files, &config.places)?),
            #[cfg(feature = "acme")]
            Tls::Acme(acme) => crate::acme::kept(acme)?,
        };
        let in_use = InUse::new(current, authorities(config)).map_err(io::Error::other)?;
        Ok(Some(Self {
            from,
            in_use: RwLock::new(in_use),
            #[cfg(feature = "acme")]
            issued: Issued::default(),
        }))
    }

    /// Reads the files again. If that fails, the certificate in use stays; so does one that was issued.
    pub(crate) fn reload(&self) -> io::Result<()> {
        let clients = self.in_use().clients.clone();
        self.renew(clients, &Places::default())
    }

    /// The same, and from now on clients may show certificates of this configuration's authorities.
    pub(crate) fn reload_with(&self, config: &Config) -> io::Result<()> {
        let elsewhere = Places::default();
        let places = if config.tls.as_ref() == Some(&self.from) {
            &config.places
        } else {
            &elsewhere
        };
        self.renew(authorities(config), places)
    }

    fn renew(&self, clients: Vec<ClientCa>, places: &Places) -> io::Result<()> {
        let new = match &self.from {
            Tls::Files(files) => Some(read(files, places)?),
            #[cfg(feature = "acme")]
            Tls::Acme(_) => None,
        };
        let mut in_use = self.change();
        let current = new.or_else(|| in_use.current.clone());
        *in_use = InUse::new(current, clients).map_err(io::Error::other)?;
        Ok(())
    }

    /// Speaks TLS with a client; `None` where it was none, but a certificate authority, which has seen what it
    /// wanted. The stream is large, and each future on the way to a session would have room for it, in
    /// sessions without TLS too: so it stands by itself.
    ///
    /// # Errors
    /// Where TLS fails, or there is no certificate yet.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection.
    pub(crate) async fn accept(
        &self,
        stream: TcpStream,
    ) -> io::Result<Option<Box<TlsStream<TcpStream>>>> {
        #[cfg(feature = "acme")]
        if let Tls::Acme(_) = &self.from {
            return self.accept_issued(stream).await;
        }
        let acceptor = TlsAcceptor::from(self.config()?);
        let stream = acceptor.accept(stream).await?;
        Ok(Some(Box::new(stream)))
    }

    /// Why there is none that clients take, where that is so.
    pub(crate) fn unready(&self) -> Option<&'static str> {
        match &self.in_use().current {
            None => Some("no certificate yet"),
            Some(current) if current.has_ended() => Some("the certificate has ended"),
            Some(_) => None,
        }
    }

    /// Says in the log when the certificate in use has ended. Never ready.
    pub(crate) async fn tell_of_end(self: Arc<Self>) {
        let mut told = None;
        loop {
            let end = self.not_after();
            let left = end.and_then(|end| end.duration_since(SystemTime::now()).ok());
            if let Some(ended) = end
                && left.is_none()
                && told != end
            {
                told = end;
                let ended = HttpDate::from(ended);
                error!(%ended, "the certificate has ended: clients refuse it, and /readyz says so");
            }
            let nap = left.filter(|left| !left.is_zero()).unwrap_or(NAP);
            sleep(nap.min(NAP)).await;
        }
    }

    /// Until when the certificate in use is valid, where that can be read.
    pub(crate) fn not_after(&self) -> Option<SystemTime> {
        let (_, not_after) = self.in_use().current.as_ref()?.validity?;
        Some(not_after)
    }

    /// What a client is shown, and asked for.
    fn config(&self) -> io::Result<Arc<ServerConfig>> {
        let config = self.in_use().config.clone();
        config.ok_or_else(|| io::Error::other("there is no certificate yet"))
    }

    fn in_use(&self) -> RwLockReadGuard<'_, InUse> {
        self.in_use.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self) -> RwLockWriteGuard<'_, InUse> {
        self.in_use.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl InUse {
    fn new(current: Option<Current>, clients: Vec<ClientCa>) -> Result<Self, rustls::Error> {
        let config = match &current {
            Some(current) => Some(server_config(&current.key, HTTP, &clients)?),
            None => None,
        };
        Ok(Self {
            current,
            clients,
            config,
        })
    }
}

impl Current {
    /// Whether its time is over.
    pub(crate) fn has_ended(&self) -> bool {
        self.validity.is_some_and(|(_, to)| to <= SystemTime::now())
    }

    fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, rustls::Error> {
        let read = chain.first().and_then(|first| Certificate::read(first));
        let key = CertifiedKey::from_der(chain, key, &ring::default_provider())?;
        Ok(Self {
            key: Arc::new(key),
            validity: read.map(|it| (it.not_before, it.not_after)),
        })
    }
}

fn authorities(config: &Config) -> Vec<ClientCa> {
    let all = config
        .tokens
        .iter()
        .filter_map(|token| match &token.credential {
            Credential::Certificates(authority) => Some(authority.clone()),
            _ => None,
        });
    all.collect()
}

fn read(files: &TlsFiles, places: &Places) -> io::Result<Current> {
    let wrong = |key, path: &Path, error: &dyn fmt::Display| {
        let text = format!("{}: {error}", path.display());
        places.wrong(key, &io::Error::new(io::ErrorKind::InvalidInput, text))
    };
    let of_certificate =
        |error: &dyn fmt::Display| wrong("tls.certificate_file", &files.certificate, error);
    let of_key = |error: &dyn fmt::Display| wrong("tls.key_file", &files.key, error);
    let text = files::read(&files.certificate, MAX_FILE).map_err(|error| of_certificate(&error))?;
    let chain = CertificateDer::pem_slice_iter(text.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| of_certificate(&error))?;
    if chain.is_empty() {
        return Err(of_certificate(&"no certificate in PEM is there"));
    }
    let text = files::read(&files.key, MAX_SECRET_FILE).map_err(|error| of_key(&error))?;
    let key = PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|error| of_key(&error))?;
    Current::new(chain, key).map_err(|error| of_certificate(&error))
}

/// Shows this certificate to whoever speaks this protocol (ALPN), who may show one of these authorities.
pub(crate) fn server_config(
    key: &Arc<CertifiedKey>,
    protocol: &[u8],
    clients: &[ClientCa],
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?;
    let config = match Clients::of(clients) {
        Some(clients) => config.with_client_cert_verifier(Arc::new(clients)),
        None => config.with_no_client_auth(),
    };
    let shown = SingleCertAndKey::from(Arc::clone(key));
    let mut config = config.with_cert_resolver(Arc::new(shown));
    config.alpn_protocols = vec![protocol.to_vec()];
    Ok(Arc::new(config))
}
