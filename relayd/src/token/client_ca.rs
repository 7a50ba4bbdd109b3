//! Certificates in the place of tokens: those that an authority of the operator's own has signed.

use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rustls::crypto::ring;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{CertificateError, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};

use super::{Claims, Proven, TokenError};
use crate::certificate::Certificate;

/// An authority whose certificates let programs in over `wss`, without a token: whoever has one, and its
/// private key.
///
/// It is for programs alone. What sends an `Origin` needs a token, since a browser would show its user's
/// certificate for any page's WebSocket.
///
/// The certificate's name is its bearer's: the first URI of its alternative names; without one, the first DNS
/// name, or mail address, or its common name. A session ends with the certificate. It is revoked as a token
/// is, by that name as `sub` and its serial number (in hexadecimal digits) as `jti`, or by a list of the
/// authority's.
#[derive(Clone)]
pub struct ClientCa {
    roots: Arc<[CertificateDer<'static>]>,
    revoked: Arc<[CertificateRevocationListDer<'static>]>,
    verifier: Arc<dyn ClientCertVerifier>,
}

impl ClientCa {
    /// An authority by its certificate in PEM, or several; and its lists of revoked certificates (CRL), in PEM.
    /// Without lists nothing is looked up. With any, each certificate's issuer must have one there; how old it
    /// is isn't looked at.
    ///
    /// # Errors
    /// Where there is no certificate, or no list, or they can't be used.
    pub fn from_pem(authorities: &str, revoked: Option<&str>) -> Result<Self, String> {
        let pem = |error| format!("that is not PEM: {error}");
        let roots: Vec<_> = CertificateDer::pem_slice_iter(authorities.as_bytes())
            .collect::<Result<_, _>>()
            .map_err(pem)?;
        if roots.is_empty() {
            return Err("there is no CERTIFICATE in PEM".into());
        }
        let revoked: Vec<_> = match revoked {
            None => Vec::new(),
            Some(text) => {
                let lists = CertificateRevocationListDer::pem_slice_iter(text.as_bytes());
                let lists: Vec<_> = lists.collect::<Result<_, _>>().map_err(pem)?;
                if lists.is_empty() {
                    return Err("there is no X509 CRL in PEM".into());
                }
                lists
            }
        };
        let mut store = RootCertStore::empty();
        for root in &roots {
            let added = store.add(root.clone());
            added.map_err(|error| format!("a certificate can't be used: {error}"))?;
        }
        let provider = Arc::new(ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(store), provider)
            .with_crls(revoked.iter().cloned())
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self {
            roots: roots.into(),
            revoked: revoked.into(),
            verifier,
        })
    }

    pub(crate) fn verifier(&self) -> &Arc<dyn ClientCertVerifier> {
        &self.verifier
    }

    /// Whether another has an authority of this one: whose a certificate is could not be told.
    pub(crate) fn meets(&self, other: &Self) -> bool {
        self.roots.iter().any(|root| other.roots.contains(root))
    }

    /// What a certificate says, with those that lead to the authority; that its owner has the key was shown in
    /// the handshake.
    pub(super) fn verify(
        &self,
        chain: &[CertificateDer<'static>],
        now: SystemTime,
    ) -> Result<Proven, TokenError> {
        let (own, between) = chain.split_first().ok_or(TokenError::Missing)?;
        let now = UnixTime::since_unix_epoch(now.duration_since(UNIX_EPOCH).unwrap_or_default());
        match self.verifier.verify_client_cert(own, between, now) {
            Ok(_) => {}
            Err(rustls::Error::InvalidCertificate(CertificateError::Revoked)) => {
                return Err(TokenError::Revoked);
            }
            Err(_) => return Err(TokenError::Unknown),
        }
        let certificate = Certificate::read(own).ok_or(TokenError::Unknown)?;
        let mut claims = Claims::new(certificate.not_after);
        claims.issued_at = Some(certificate.not_before);
        claims.subject = certificate.name;
        let bearer = match &claims.subject {
            Some(name) => format!("sub {name}"),
            None => format!("jti {}", certificate.serial),
        };
        claims.id = Some(certificate.serial);
        Ok(Proven {
            expires: Some(claims.expires),
            bearer: Some(bearer),
            claims: Some(claims),
        })
    }
}

impl PartialEq for ClientCa {
    fn eq(&self, other: &Self) -> bool {
        self.roots == other.roots && self.revoked == other.revoked
    }
}

impl Eq for ClientCa {}

impl fmt::Debug for ClientCa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCa")
            .field("roots", &self.roots.len())
            .field("revoked", &self.revoked.len())
            .finish_non_exhaustive()
    }
}
