//! TLS of the relay itself, for `wss`. The TLS inside of a stream is none of the relay's business.

mod clients;

use std::io;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use self::clients::Clients;
use crate::certificate::Certificate;
use crate::config::{Config, TlsFiles};
use crate::token::{ClientCa, Credential};

/// The certificate in use, which can be read anew.
#[derive(Debug)]
pub(crate) struct Certificates {
    files: TlsFiles,
    current: RwLock<Current>,
}

#[derive(Debug)]
struct Current {
    config: Arc<ServerConfig>,
    /// Whose certificates clients may show.
    clients: Vec<ClientCa>,
    not_after: Option<SystemTime>,
}

impl Certificates {
    /// Those of a configuration; `None` where it has none.
    ///
    /// # Errors
    /// Where a file can't be used; the text names it.
    pub(crate) fn load(config: &Config) -> io::Result<Option<Self>> {
        let Some(files) = config.tls.clone() else {
            return Ok(None);
        };
        let current = RwLock::new(read(&files, authorities(config))?);
        Ok(Some(Self { files, current }))
    }

    /// Reads the files again. If that fails, the certificate in use stays.
    pub(crate) fn reload(&self) -> io::Result<()> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        let clients = current.clients.clone();
        drop(current);
        self.renew(clients)
    }

    /// The same, and from now on clients may show certificates of this configuration's authorities.
    pub(crate) fn reload_with(&self, config: &Config) -> io::Result<()> {
        self.renew(authorities(config))
    }

    fn renew(&self, clients: Vec<ClientCa>) -> io::Result<()> {
        let new = read(&self.files, clients)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(())
    }

    /// What new connections are accepted with.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&current.config).into()
    }

    /// Until when the certificate in use is valid, where that can be read.
    pub(crate) fn not_after(&self) -> Option<SystemTime> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.not_after
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

fn read(files: &TlsFiles, clients: Vec<ClientCa>) -> io::Result<Current> {
    let wrong = |path: &std::path::Path, error: &dyn std::fmt::Display| {
        let text = format!("{}: {error}", path.display());
        io::Error::new(io::ErrorKind::InvalidInput, text)
    };
    let chain = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| wrong(&files.certificate, &error))?;
    let Some(first) = chain.first() else {
        return Err(wrong(&files.certificate, &"no certificate in PEM is there"));
    };
    let not_after = Certificate::read(first).map(|it| it.not_after);
    let key =
        PrivateKeyDer::from_pem_file(&files.key).map_err(|error| wrong(&files.key, &error))?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?;
    let config = match Clients::of(&clients) {
        Some(clients) => config.with_client_cert_verifier(Arc::new(clients)),
        None => config.with_no_client_auth(),
    };
    let mut config = config
        .with_single_cert(chain, key)
        .map_err(|error| wrong(&files.certificate, &error))?;
    // A WebSocket begins in HTTP/1.1; a client that was offered HTTP/2 would speak it.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Current {
        config: Arc::new(config),
        clients,
        not_after,
    })
}
