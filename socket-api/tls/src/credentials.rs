//! Certificates and keys, as the caller gives them.

use std::fmt;
use std::sync::Arc;

use jackfield_socket::{Error, ErrorKind, Result};
use rustls::RootCertStore;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// Certificates: the roots to trust, or a chain.
///
/// ```
/// use jackfield_tls::Certificates;
///
/// let error = Certificates::from_pem(b"not PEM").expect_err("no certificate");
/// assert_eq!(error.to_string(), "no certificate in the PEM text");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Certificates(Vec<CertificateDer<'static>>);

impl Certificates {
    /// Every certificate in a PEM text (RFC 7468); what else stands in it is passed over.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput), where there is none, or the text is broken.
    pub fn from_pem(pem: &[u8]) -> Result<Self> {
        let certificates = CertificateDer::pem_slice_iter(pem)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| invalid("the PEM text can't be read").with_source(error))?;
        Self::from_certificates(certificates, "no certificate in the PEM text")
    }

    /// These certificates, each in DER.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput), where there is none.
    pub fn from_der<I>(certificates: I) -> Result<Self>
    where
        I: IntoIterator,
        I::Item: Into<Vec<u8>>,
    {
        let certificates = certificates
            .into_iter()
            .map(|der| CertificateDer::from(der.into()))
            .collect();
        Self::from_certificates(certificates, "no certificate given")
    }

    fn from_certificates(
        certificates: Vec<CertificateDer<'static>>,
        none: &'static str,
    ) -> Result<Self> {
        if certificates.is_empty() {
            return Err(invalid(none));
        }
        Ok(Self(certificates))
    }

    /// These, as the roots to trust.
    pub(crate) fn to_roots(&self) -> Result<Arc<RootCertStore>> {
        let mut roots = RootCertStore::empty();
        for (index, certificate) in self.0.iter().enumerate() {
            roots.add(certificate.clone()).map_err(|error| {
                let message = format!(
                    "root certificate {} of {} is not a certificate",
                    index + 1,
                    self.0.len()
                );
                Error::new(ErrorKind::InvalidInput, message).with_source(error.to_string())
            })?;
        }
        Ok(Arc::new(roots))
    }
}

/// Who we are: a certificate with its chain, and the private key.
///
/// Its `Debug` output doesn't show the key.
#[derive(Clone)]
pub struct Identity(Arc<CertifiedKey>);

impl Identity {
    /// The chain (our certificate first, then those that lead to the root) and the private key
    /// (PKCS #8, PKCS #1 or SEC 1), as PEM. Both may stand in one text, given twice.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput), where the chain or the key is missing or broken,
    /// the key is of a sort that is not supported, or the two don't belong together.
    ///
    /// ```
    /// use jackfield_tls::Identity;
    ///
    /// # let authority = jackfield_testing::certs::Authority::new();
    /// # let made = authority.server(&["localhost"]);
    /// # let other = authority.server(&["localhost"]);
    /// # let (chain, key, other_key) = (made.pem(), made.key_pem(), other.key_pem());
    /// let identity = Identity::from_pem(chain.as_bytes(), key.as_bytes())?;
    ///
    /// let error = Identity::from_pem(chain.as_bytes(), other_key.as_bytes()).expect_err("no match");
    /// assert_eq!(error.to_string(), "the private key does not belong to the certificate");
    /// # Ok::<(), jackfield_socket::Error>(())
    /// ```
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self> {
        let chain = Certificates::from_pem(chain)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| match error {
            pem::Error::NoItemsFound => invalid("no private key in the PEM text"),
            // The text of the others may quote the input, which holds a key.
            _ => invalid("the PEM text of the private key can't be read"),
        })?;
        let certified =
            CertifiedKey::from_der(chain.0, key, &rustls::crypto::ring::default_provider())
                .map_err(|error| match error {
                    rustls::Error::InconsistentKeys(_) => {
                        invalid("the private key does not belong to the certificate")
                    }
                    error => invalid("the certificate or its private key can't be used")
                        .with_source(error.to_string()),
                })?;
        Ok(Self(Arc::new(certified)))
    }

    pub(crate) fn certified_key(&self) -> &Arc<CertifiedKey> {
        &self.0
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificates({})", self.0.len())
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("certificates", &self.0.cert.len())
            .finish_non_exhaustive()
    }
}

fn invalid(message: &'static str) -> Error {
    Error::new(ErrorKind::InvalidInput, message)
}
