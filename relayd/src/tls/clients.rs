//! Certificates of clients, as TLS asks for them: whoever has one of an authority that is known may show it.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, UnixTime};

use crate::token::ClientCa;

/// Takes the certificates of each of these authorities, and whoever shows none. Whose one is, and what that
/// allows, is decided when the request is there.
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
        own: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let mut outcome = Err(Error::InvalidCertificate(CertificateError::UnknownIssuer));
        for verifier in &self.verifiers {
            match verifier.verify_client_cert(own, between, now) {
                Ok(verified) => return Ok(verified),
                // What its own authority says of it is worth more than that others don't know it.
                Err(error) => {
                    let unknown = Error::InvalidCertificate(CertificateError::UnknownIssuer);
                    if error != unknown {
                        outcome = Err(error);
                    }
                }
            }
        }
        outcome
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
