//! Configuration of a TLS connection.

use std::sync::Arc;

use jackfield_socket::{Error, ErrorKind, Result};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::{CryptoProvider, KeyProvider};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::{SigningKey, SingleCertAndKey};
use rustls::{
    CipherSuite, ClientConfig, RootCertStore, ServerConfig, SupportedCipherSuite,
    SupportedProtocolVersion,
};
use rustls_pki_types::PrivateKeyDer;

use crate::verify::Verifier;
use crate::{Certificates, Identity, Pin};

/// The longest name of an application protocol, in bytes (RFC 7301, section 3.1).
const MAX_ALPN_NAME: usize = 255;

static TLS12_ONLY: [&SupportedProtocolVersion; 1] = [&rustls::version::TLS12];
static TLS13_ONLY: [&SupportedProtocolVersion; 1] = [&rustls::version::TLS13];

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum TlsVersion {
    /// TLS 1.2 (RFC 5246).
    Tls12,
    /// TLS 1.3 (RFC 8446).
    Tls13,
}

/// Configuration of a client's side of TLS.
///
/// ```
/// use jackfield_tls::{TlsConfig, TlsVersion};
///
/// // The platform's roots, and nothing older than TLS 1.3.
/// let config = TlsConfig::new()
///     .with_alpn(["irc"])
///     .with_min_version(TlsVersion::Tls13);
/// ```
#[derive(Clone, Debug)]
pub struct TlsConfig {
    roots: Option<Certificates>,
    pins: Vec<Pin>,
    identity: Option<Identity>,
    common: Common,
}

/// Configuration of a server's side of TLS.
#[derive(Clone, Debug)]
pub struct TlsServerConfig {
    identity: Identity,
    client_roots: Option<Certificates>,
    common: Common,
}

/// What both ends are asked for.
#[derive(Clone, Debug)]
struct Common {
    alpn: Vec<Vec<u8>>,
    min_version: TlsVersion,
    max_version: TlsVersion,
}

impl TlsConfig {
    /// Servers are verified against the roots that the platform trusts; no client certificate, no
    /// application protocol, TLS 1.2 or newer.
    pub fn new() -> Self {
        Self {
            roots: None,
            pins: Vec::new(),
            identity: None,
            common: Common::default(),
        }
    }

    /// Servers are verified against these roots, and no others. Not together with
    /// [`with_pin`](Self::with_pin).
    #[must_use]
    pub fn with_roots(mut self, roots: Certificates) -> Self {
        self.roots = Some(roots);
        self
    }

    /// Servers are known by this pin, in place of roots and name: the way to a server with a
    /// certificate of its own making, such as a broker at home, a printer or a remote desktop.
    /// May be called several times; a server that matches one of the pins is accepted.
    ///
    /// It is the server's own certificate or key that is compared, not its issuer's. The server must
    /// prove in the handshake that it holds the key, as ever. Nothing else of the certificate
    /// counts: not its names and not its dates, for whoever compares a fingerprint has decided about
    /// this certificate, and such devices let theirs expire. To be rid of a pin, remove it.
    ///
    /// Keys are those that TLS signs with today: RSA of 2048 to 8192 bits, ECDSA on P-256 and P-384,
    /// Ed25519.
    ///
    /// ```
    /// use jackfield_tls::{Pin, TlsConfig, TlsConnector};
    ///
    /// let pin: Pin = "key:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=".parse()?;
    /// let connector = TlsConnector::new(TlsConfig::new().with_pin(pin))?;
    /// # Ok::<(), jackfield_socket::Error>(())
    /// ```
    #[must_use]
    pub fn with_pin(mut self, pin: Pin) -> Self {
        self.pins.push(pin);
        self
    }

    /// The certificate to show a server that asks for one.
    #[must_use]
    pub fn with_identity(mut self, identity: Identity) -> Self {
        self.identity = Some(identity);
        self
    }

    /// The application protocols to offer, the best first (ALPN, RFC 7301). Which one the server
    /// took, [`TlsStream::alpn`](crate::TlsStream::alpn) tells.
    #[must_use]
    pub fn with_alpn<I>(mut self, protocols: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<Vec<u8>>,
    {
        self.common.alpn = protocols.into_iter().map(Into::into).collect();
        self
    }

    /// The oldest version to speak. Default: TLS 1.2.
    #[must_use]
    pub fn with_min_version(mut self, version: TlsVersion) -> Self {
        self.common.min_version = version;
        self
    }

    /// The newest version to speak: for a peer that fails at a newer one. Default: TLS 1.3.
    #[must_use]
    pub fn with_max_version(mut self, version: TlsVersion) -> Self {
        self.common.max_version = version;
        self
    }

    /// Whom the servers' certificates have to be issued by, in words.
    pub(crate) fn trusted(&self) -> &'static str {
        match self.roots {
            Some(_) => "one of the given roots",
            None => "an authority that this system trusts",
        }
    }

    pub(crate) fn build(self) -> Result<ClientConfig> {
        let provider = provider();
        let verifier = self.verifier(&provider)?;
        // As rustls calls whatever is not its own verifier: this one is its own, or the platform's,
        // or stricter than a name.
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(self.common.versions()?)
            .map_err(unexpected)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match &self.identity {
            Some(identity) => builder.with_client_cert_resolver(resolver(identity)),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = self.common.alpn()?;
        Ok(config)
    }

    fn verifier(&self, provider: &Arc<CryptoProvider>) -> Result<Verifier> {
        if !self.pins.is_empty() {
            if self.roots.is_some() {
                return Err(Error::new(
                    ErrorKind::InvalidInput,
                    "both roots and pins were given: a pin stands in place of roots",
                ));
            }
            return Ok(Verifier::of_pins(self.pins.clone(), provider));
        }
        let verifier: Arc<dyn ServerCertVerifier> = match &self.roots {
            Some(roots) => of_roots(roots.to_roots()?, provider)?,
            None => of_system(provider)?,
        };
        Ok(Verifier::of_authorities(verifier, provider))
    }
}

impl Default for TlsConfig {
    fn default() -> Self {
        Self::new()
    }
}

impl TlsServerConfig {
    /// A server that shows this certificate, asks its clients for none, and speaks TLS 1.2 or
    /// newer.
    pub fn new(identity: Identity) -> Self {
        Self {
            identity,
            client_roots: None,
            common: Common::default(),
        }
    }

    /// Every client must show a certificate that one of these roots has issued.
    #[must_use]
    pub fn with_client_roots(mut self, roots: Certificates) -> Self {
        self.client_roots = Some(roots);
        self
    }

    /// The application protocols that are spoken here, the best first (ALPN, RFC 7301). A client
    /// that offers others only is refused; one that offers none is not.
    #[must_use]
    pub fn with_alpn<I>(mut self, protocols: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<Vec<u8>>,
    {
        self.common.alpn = protocols.into_iter().map(Into::into).collect();
        self
    }

    /// The oldest version to speak. Default: TLS 1.2.
    #[must_use]
    pub fn with_min_version(mut self, version: TlsVersion) -> Self {
        self.common.min_version = version;
        self
    }

    /// The newest version to speak: for a peer that fails at a newer one. Default: TLS 1.3.
    #[must_use]
    pub fn with_max_version(mut self, version: TlsVersion) -> Self {
        self.common.max_version = version;
        self
    }

    pub(crate) fn build(self) -> Result<ServerConfig> {
        let builder = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(self.common.versions()?)
            .map_err(unexpected)?;
        let builder = match &self.client_roots {
            Some(roots) => builder.with_client_cert_verifier(
                WebPkiClientVerifier::builder_with_provider(roots.to_roots()?, provider())
                    .build()
                    .map_err(unexpected)?,
            ),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_cert_resolver(resolver(&self.identity));
        config.alpn_protocols = self.common.alpn()?;
        Ok(config)
    }
}

impl Common {
    fn versions(&self) -> Result<&'static [&'static SupportedProtocolVersion]> {
        match (self.min_version, self.max_version) {
            (TlsVersion::Tls12, TlsVersion::Tls13) => Ok(rustls::ALL_VERSIONS),
            (TlsVersion::Tls12, TlsVersion::Tls12) => Ok(&TLS12_ONLY),
            (TlsVersion::Tls13, TlsVersion::Tls13) => Ok(&TLS13_ONLY),
            (TlsVersion::Tls13, TlsVersion::Tls12) => Err(Error::new(
                ErrorKind::InvalidInput,
                "the oldest version of TLS to speak is newer than the newest",
            )),
        }
    }

    /// The protocols' names, if they can be.
    fn alpn(self) -> Result<Vec<Vec<u8>>> {
        let wrong = |name: &&Vec<u8>| name.is_empty() || name.len() > MAX_ALPN_NAME;
        match self.alpn.iter().find(wrong) {
            None => Ok(self.alpn),
            Some(name) => Err(Error::new(
                ErrorKind::InvalidInput,
                format!(
                    "an application protocol's name has 1 to {MAX_ALPN_NAME} bytes, not {}",
                    name.len()
                ),
            )),
        }
    }
}

impl Default for Common {
    fn default() -> Self {
        Self {
            alpn: Vec::new(),
            min_version: TlsVersion::Tls12,
            max_version: TlsVersion::Tls13,
        }
    }
}

/// Trusts what these roots have issued.
fn of_roots(
    roots: Arc<RootCertStore>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>> {
    let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider.clone());
    Ok(verifier.build().map_err(unexpected)?)
}

/// Trusts what the machine trusts.
#[cfg(not(wasm_browser))]
fn of_system(provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>> {
    let verifier = rustls_platform_verifier::Verifier::new(provider.clone()).map_err(|error| {
        let message = "the roots that this system trusts can't be loaded";
        Error::new(ErrorKind::Certificate, message).with_source(error.to_string())
    })?;
    Ok(Arc::new(verifier))
}

/// Trusts what Mozilla trusts: a page can't ask the browser whom it does. Of each root there is its name
/// and key, and not the certificate, whose signature nobody needs.
#[cfg(wasm_browser)]
fn of_system(provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>> {
    let roots = webpki_roots::TLS_SERVER_ROOTS.to_vec();
    of_roots(Arc::new(RootCertStore { roots }), provider)
}

/// The one source of cryptography, on every target.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    let mut provider = CryptoProvider {
        key_provider: &NoKeys,
        ..rustls::crypto::ring::default_provider()
    };
    if cfg!(wasm_browser) {
        provider.cipher_suites = without_aes_hardware(&provider.cipher_suites);
    }
    Arc::new(provider)
}

/// Whoever has a key loads it by itself ([`Identity`]), so that nobody else has the code for it.
#[derive(Debug)]
struct NoKeys;

impl KeyProvider for NoKeys {
    fn load_private_key(
        &self,
        _: PrivateKeyDer<'static>,
    ) -> std::result::Result<Arc<dyn SigningKey>, rustls::Error> {
        Err(rustls::Error::General("keys are loaded elsewhere".into()))
    }
}

/// The same cipher suites in the order for a machine that has no instructions for AES, which
/// WebAssembly is: ChaCha20-Poly1305 first, with each version of TLS. AES remains for servers that
/// insist on it. In a page, ring does some 40 MiB/s of AES-256-GCM, and some 280 of
/// ChaCha20-Poly1305.
fn without_aes_hardware(suites: &[SupportedCipherSuite]) -> Vec<SupportedCipherSuite> {
    let rank = |suite: &SupportedCipherSuite| {
        let chacha20 = matches!(
            suite.suite(),
            CipherSuite::TLS13_CHACHA20_POLY1305_SHA256
                | CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
                | CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256
        );
        (suite.tls13().is_none(), !chacha20)
    };
    // The few of each rank by themselves: less code than sorting.
    [(false, false), (false, true), (true, false), (true, true)]
        .into_iter()
        .flat_map(|wanted| suites.iter().filter(move |suite| rank(suite) == wanted))
        .copied()
        .collect()
}

fn resolver(identity: &Identity) -> Arc<SingleCertAndKey> {
    Arc::new(SingleCertAndKey::from(identity.certified_key().clone()))
}

/// For what can fail by its type only.
fn unexpected(error: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Other, "TLS can't be set up").with_source(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The cipher suites that a ClientHello (RFC 8446, section 4.1.2) offers, in order.
    fn offered(provider: CryptoProvider) -> Vec<CipherSuite> {
        let config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        let name = "server.test".try_into().expect("a name");
        let mut session = rustls::ClientConnection::new(Arc::new(config), name).expect("a session");
        let mut hello = Vec::new();
        session.write_tls(&mut hello).expect("a hello");
        // The headers of record and message, the version, 32 random bytes; then the session's id.
        let rest = &hello[5 + 4 + 2 + 32..];
        let rest = &rest[1 + usize::from(rest[0])..];
        let length = usize::from(u16::from_be_bytes([rest[0], rest[1]]));
        let suites = rest[2..2 + length].chunks(2);
        suites
            .map(|code| CipherSuite::from(u16::from_be_bytes([code[0], code[1]])))
            .collect()
    }

    #[test]
    fn a_page_offers_chacha20_first() {
        let mut provider = rustls::crypto::ring::default_provider();
        let before = offered(provider.clone());
        provider.cipher_suites = without_aes_hardware(&provider.cipher_suites);
        let after = offered(provider);
        let position = |suite| after.iter().position(|it| *it == suite).expect("offered");
        assert_eq!(after[0], CipherSuite::TLS13_CHACHA20_POLY1305_SHA256);
        for (chacha20, aes) in [
            (
                CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
                CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
            ),
            (
                CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
                CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
            ),
        ] {
            assert!(position(chacha20) < position(aes), "{after:?}");
        }
        // None is lost, and none is new.
        let sorted = |mut suites: Vec<CipherSuite>| {
            suites.sort_by_key(|suite| u16::from(*suite));
            suites
        };
        assert_eq!(sorted(before), sorted(after));
    }
}
