//! Certificates of clients, as TLS asks for them: whoever has one, and its key, may show it.
//!
//! In TLS nothing is said of whose it is, or whether it is good, and nothing is believed of it: that is judged with
//! the request, as of a token, so that the client is told why in its WebSocket. An alert would say little, and be lost
//! often: by then the client has sent its request, and what is closed with something unread is reset.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, UnixTime};

use crate::token::ClientCa;

/// Asks clients for certificates of these authorities. A client that shows none is taken, and so is one with any
/// certificate, as long as it has signed the handshake with the certificate's key.
#[derive(Debug)]
pub(super) struct Clients {
    verifiers: Vec<Arc<dyn ClientCertVerifier>>,
    hints: Vec<DistinguishedName>,
}

impl Clients {
    /// `None` where there are no authorities: then nothing is asked for.
    pub(super) fn of(authorities: &[ClientCa]) -> Option<Self> {
        let verifiers: Vec<_> = authorities
            .iter()
            .map(ClientCa::verifier)
            .cloned()
            .collect();
        let hints = verifiers.iter().flat_map(|one| one.root_hint_subjects());
        let hints = hints.cloned().collect();
        (!verifiers.is_empty()).then_some(Self { verifiers, hints })
    }

    /// All compute alike.
    fn first(&self) -> Result<&Arc<dyn ClientCertVerifier>, Error> {
        let none = Error::InvalidCertificate(CertificateError::UnknownIssuer);
        self.verifiers.first().ok_or(none)
    }
}

impl ClientCertVerifier for Clients {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        _own: &CertificateDer<'_>,
        _between: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        own: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.first()?.verify_tls12_signature(message, own, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        own: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.first()?.verify_tls13_signature(message, own, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.first()
            .map_or_else(|_| Vec::new(), |one| one.supported_verify_schemes())
    }
}
