//! The error of a server whose certificate was refused, with the certificate in it.

use std::error::Error as StdError;
use std::fmt;

use crate::Pin;

/// Why a server's certificate was refused, and which one it showed.
///
/// It is the source of an error of kind [`Certificate`](jackfield_socket::ErrorKind::Certificate)
/// from a client's handshake; [`find`](Self::find) digs it out, below whatever errors a client has
/// put above. So a program can show the certificate to its user, who compares the fingerprint with
/// what the device shows, and pin it for the next attempt: the usual dialogue of a first use.
///
/// **Nobody has vouched for what stands in it.** At the time of the refusal the server had not even
/// proven that it holds the certificate's key; with a [`Pin`], the next handshake asks for that
/// proof. The names in it may be anything: they are not for a terminal as they are.
///
/// ```
/// use jackfield_socket::{Endpoint, Result, TcpConnect, TcpOptions};
/// use jackfield_tls::{CertificateError, Pin, Tls, TlsConfig, TlsConnector};
///
/// /// Connects to a device, and to one that is met for the first time after a question.
/// async fn meet<N: TcpConnect + Clone>(
///     network: N,
///     device: &Endpoint,
///     known: Option<Pin>,
///     is_it: impl Fn(&Pin) -> bool,
/// ) -> Result<Pin> {
///     let config = match known {
///         Some(pin) => TlsConfig::new().with_pin(pin),
///         None => TlsConfig::new(),
///     };
///     let tls = Tls::new(network.clone(), TlsConnector::new(config)?);
///     let error = match tls.connect(device, &TcpOptions::default()).await {
///         Ok(stream) => return Ok(Pin::of_certificate(stream.peer_certificate().unwrap_or(&[]))),
///         Err(error) => error,
///     };
///     match CertificateError::find(&error).map(CertificateError::certificate_pin) {
///         Some(pin) if known.is_none() && is_it(&pin) => {
///             let pinned = TlsConnector::new(TlsConfig::new().with_pin(pin))?;
///             Tls::new(network, pinned)
///                 .connect(device, &TcpOptions::default())
///                 .await?;
///             Ok(pin)
///         }
///         _ => Err(error),
///     }
/// }
/// # fn main() {}
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct CertificateError {
    reason: CertificateProblem,
    /// At least one.
    chain: Vec<Vec<u8>>,
}

/// What is wrong with a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CertificateProblem {
    /// No authority that is trusted has issued it.
    UnknownIssuer,
    /// It is for another name.
    WrongName,
    /// It has expired, or one in its chain has.
    Expired,
    /// It is not valid yet, or one in its chain is not.
    NotYetValid,
    /// It has been revoked.
    Revoked,
    /// It is none of those that are pinned.
    NotPinned,
    /// It can't be read, or is not signed as it should be, or not meant for this use; the error
    /// above says it in words.
    Unusable,
}

impl CertificateError {
    pub(crate) fn new(reason: CertificateProblem, chain: Vec<Vec<u8>>) -> Self {
        Self { reason, chain }
    }

    /// The refusal that is this error or one of its sources.
    pub fn find<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(found) = error.downcast_ref() {
                return Some(found);
            }
            next = error.source();
        }
        None
    }

    /// What was wrong.
    pub fn reason(&self) -> CertificateProblem {
        self.reason
    }

    /// The certificates that the server showed, each in DER, its own first. What TLS carries in one
    /// message, so less than 64 KiB.
    pub fn chain(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.chain.iter().map(Vec::as_slice)
    }

    /// The server's own certificate, in DER.
    pub fn certificate(&self) -> &[u8] {
        self.chain.first().map_or(&[], Vec::as_slice)
    }

    /// What pins the server's certificate: its fingerprint.
    pub fn certificate_pin(&self) -> Pin {
        Pin::of_certificate(self.certificate())
    }

    /// What pins the certificate's key; `None` where it can't be read.
    pub fn key_pin(&self) -> Option<Pin> {
        Pin::of_key(self.certificate()).ok()
    }
}

impl fmt::Display for CertificateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it showed {}", self.certificate_pin())?;
        match self.key_pin() {
            Some(pin) => write!(f, " with {pin}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for CertificateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertificateError")
            .field("reason", &self.reason)
            .field("certificate", &self.certificate_pin())
            .field("certificates", &self.chain.len())
            .finish()
    }
}

impl StdError for CertificateError {}
