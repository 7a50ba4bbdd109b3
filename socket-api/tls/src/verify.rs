//! The verifier of servers: by authorities and name, or by pins.
//!
//! rustls' own errors say why a certificate was refused, but not which one it was, and rustls lets go
//! of the connection that knew. So the verifier notes what it refused, and [`noting`] takes that
//! note up: both run within one poll of the handshake's future, on one thread, so that a
//! thread-local is where they meet.

use std::cell::RefCell;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key,
};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, PeerMisbehaved,
    SignatureScheme,
};
use rustls_pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};

use crate::Pin;
use crate::pin::{public_key, public_key_info};

/// What a handshake that failed has noted of the server's certificate.
#[derive(Debug)]
pub(crate) enum Noted {
    /// This chain was refused, the server's own certificate first.
    Refused(Vec<Vec<u8>>),
    /// The certificate was accepted, but the server could not sign with its key.
    NotTheHolder,
}

thread_local! {
    /// What the handshake that is being polled has noted.
    static NOTED: RefCell<Option<Noted>> = const { RefCell::new(None) };
}

/// Runs a handshake, and tells what it noted.
pub(crate) async fn noting<F: Future>(handshake: F) -> (F::Output, Option<Noted>) {
    let mut handshake = pin!(handshake);
    let mut noted = None;
    let output = poll_fn(|cx| {
        // That of a handshake within whose poll this one is polled.
        let outer = NOTED.take();
        let poll = handshake.as_mut().poll(cx);
        if let Some(new) = NOTED.replace(outer) {
            noted = Some(new);
        }
        poll
    })
    .await;
    (output, noted)
}

/// The error of a certificate that is none of those pinned.
#[derive(Debug)]
pub(crate) struct NotPinned;

impl fmt::Display for NotPinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not pinned")
    }
}

impl std::error::Error for NotPinned {}

/// Verifies servers.
#[derive(Debug)]
pub(crate) struct Verifier {
    trust: Trust,
    algorithms: WebPkiSupportedAlgorithms,
}

#[derive(Debug)]
enum Trust {
    Authorities(Arc<dyn ServerCertVerifier>),
    Pins(Vec<Pin>),
}

impl Verifier {
    /// A certificate is accepted where this one accepts it: its issuer, its name, its time.
    pub(crate) fn of_authorities(
        verifier: Arc<dyn ServerCertVerifier>,
        provider: &CryptoProvider,
    ) -> Self {
        Self {
            trust: Trust::Authorities(verifier),
            algorithms: provider.signature_verification_algorithms,
        }
    }

    /// A certificate is accepted where it is one of these, or its key is.
    pub(crate) fn of_pins(pins: Vec<Pin>, provider: &CryptoProvider) -> Self {
        Self {
            trust: Trust::Pins(pins),
            algorithms: provider.signature_verification_algorithms,
        }
    }

    /// With TLS 1.2, a scheme stands for several algorithms: the one that is for this sort of key
    /// decides, as in webpki.
    fn verify_pinned_tls12(
        &self,
        message: &[u8],
        info: &[u8],
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let (algorithm, key) = public_key(info).ok_or(CertificateError::BadEncoding)?;
        let mapping = self.algorithms.mapping.iter();
        let (_, candidates) = mapping
            .clone()
            .find(|(scheme, _)| *scheme == dss.scheme)
            .ok_or(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme)?;
        let verified = candidates
            .iter()
            .filter(|it| it.public_key_alg_id().as_ref() == algorithm)
            .any(|it| it.verify_signature(key, message, dss.signature()).is_ok());
        if verified {
            Ok(HandshakeSignatureValid::assertion())
        } else {
            Err(CertificateError::BadSignature.into())
        }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let result = match &self.trust {
            Trust::Authorities(verifier) => verifier.verify_server_cert(
                end_entity,
                intermediates,
                server_name,
                ocsp_response,
                now,
            ),
            Trust::Pins(pins) => match public_key_info(end_entity) {
                Some(info) if pins.iter().any(|pin| pin.matches(end_entity, info)) => {
                    Ok(ServerCertVerified::assertion())
                }
                Some(_) => Err(CertificateError::Other(OtherError(Arc::new(NotPinned))).into()),
                None => Err(CertificateError::BadEncoding.into()),
            },
        };
        if result.is_err() {
            let chain = std::iter::once(end_entity).chain(intermediates);
            let chain = chain.map(|certificate| certificate.to_vec()).collect();
            NOTED.replace(Some(Noted::Refused(chain)));
        }
        result
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let result = match &self.trust {
            Trust::Authorities(verifier) => verifier.verify_tls12_signature(message, cert, dss),
            Trust::Pins(_) => {
                let info = public_key_info(cert).ok_or(CertificateError::BadEncoding)?;
                self.verify_pinned_tls12(message, info, dss)
            }
        };
        note_holder(&result);
        result
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let result = match &self.trust {
            Trust::Authorities(verifier) => verifier.verify_tls13_signature(message, cert, dss),
            Trust::Pins(_) => {
                let info = public_key_info(cert).ok_or(CertificateError::BadEncoding)?;
                let info = SubjectPublicKeyInfoDer::from(info);
                verify_tls13_signature_with_raw_key(message, &info, dss, &self.algorithms)
            }
        };
        note_holder(&result);
        result
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        match &self.trust {
            Trust::Authorities(verifier) => verifier.supported_verify_schemes(),
            Trust::Pins(_) => self.algorithms.supported_schemes(),
        }
    }

    fn root_hint_subjects(&self) -> Option<&[DistinguishedName]> {
        match &self.trust {
            Trust::Authorities(verifier) => verifier.root_hint_subjects(),
            Trust::Pins(_) => None,
        }
    }
}

fn note_holder(result: &Result<HandshakeSignatureValid, Error>) {
    if let Err(Error::InvalidCertificate(CertificateError::BadSignature)) = result {
        NOTED.replace(Some(Noted::NotTheHolder));
    }
}
