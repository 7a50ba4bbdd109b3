//! Challenges: what the certificate authority looks at, to see whose domains they are (RFC 8737).

use std::sync::{Arc, PoisonError, RwLock};

use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::server::ClientHello;
use rustls::sign::CertifiedKey;
use rustls_pki_types::PrivateKeyDer;

use crate::tls;

/// The protocol that only an authority speaks, and only to see a certificate.
const PROTOCOL: &[u8] = b"acme-tls/1";
/// The length of a SHA-256.
const DIGEST: usize = 32;

/// Those that wait for the authority; as many as the order has domains.
#[derive(Debug, Default)]
pub(crate) struct Challenges(RwLock<Vec<(String, Arc<ServerConfig>)>>);

impl Challenges {
    /// Shows for this domain a certificate that holds the digest of the key authorization (RFC 8737, section 3).
    pub(super) fn show(&self, domain: &str, digest: &[u8]) -> Result<(), String> {
        if digest.len() != DIGEST {
            return Err("the digest of the key authorization is no SHA-256".into());
        }
        let config = answer(domain, digest)?;
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.push((domain.to_owned(), config));
        Ok(())
    }

    /// Shows none any more.
    pub(super) fn clear(&self) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.clear();
    }

    /// What to answer this domain's challenge with.
    pub(crate) fn answer(&self, domain: Option<&str>) -> Option<Arc<ServerConfig>> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let (_, config) = all
            .iter()
            .find(|(name, _)| domain.is_some_and(|domain| name.eq_ignore_ascii_case(domain)))?;
        Some(Arc::clone(config))
    }
}

/// Whether an authority asks, and no client: it offers that protocol alone.
pub(crate) fn asks(hello: &ClientHello<'_>) -> bool {
    hello
        .alpn()
        .is_some_and(|mut protocols| protocols.all(|protocol| protocol == PROTOCOL))
}

fn answer(domain: &str, digest: &[u8]) -> Result<Arc<ServerConfig>, String> {
    let text = |error: rcgen::Error| error.to_string();
    let mut params = CertificateParams::new([domain.to_owned()]).map_err(text)?;
    params.distinguished_name = DistinguishedName::new();
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let key = KeyPair::generate().map_err(text)?;
    let certificate = params.self_signed(&key).map_err(text)?;
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let text = |error: rustls::Error| error.to_string();
    let key = ring::sign::any_supported_type(&key).map_err(text)?;
    // Nothing is checked of it: rustls takes no certificate for good that has this extension.
    let shown = CertifiedKey::new(vec![certificate.into()], key);
    tls::server_config(&Arc::new(shown), PROTOCOL, &[]).map_err(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_shown_for_its_domain_until_the_order_is_over() {
        let challenges = Challenges::default();
        assert!(challenges.show("relay.example", &[0; 31]).is_err());
        challenges
            .show("relay.example", &[7; DIGEST])
            .expect("shown");
        let shown = challenges.answer(Some("Relay.example")).expect("shown");
        assert_eq!(shown.alpn_protocols, [PROTOCOL]);
        assert!(challenges.answer(Some("other.example")).is_none());
        assert!(challenges.answer(None).is_none());
        challenges.clear();
        assert!(challenges.answer(Some("relay.example")).is_none());
    }
}
