//! TLS as the command line asks for it, and what to tell of it.

use std::path::Path;
use std::time::Duration;

use jackfield_socket::{ByteStream, Error, ErrorKind, Result, time};
use jackfield_tls::{Identity, Pin, TlsConfig, TlsConnector, TlsStream, TlsVersion};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::args::{ClientTlsArgs, IdentityArgs};
use crate::backend::{in_file, read, read_roots};

pub(crate) fn connector(args: &ClientTlsArgs) -> Result<TlsConnector> {
    let config = config(args.ca.as_deref(), &args.pin, &args.identity)?;
    TlsConnector::new(config.with_alpn(args.alpn.clone()))
}

/// TLS with these roots or these pins, or the system's roots; and with a certificate to show.
pub(crate) fn connector_with(
    ca: Option<&Path>,
    pins: &[Pin],
    identity: &IdentityArgs,
) -> Result<TlsConnector> {
    TlsConnector::new(config(ca, pins, identity)?)
}

fn config(ca: Option<&Path>, pins: &[Pin], shown: &IdentityArgs) -> Result<TlsConfig> {
    let mut config = TlsConfig::new();
    if let Some(path) = ca {
        config = config.with_roots(read_roots(path)?);
    }
    if let Some(identity) = identity(shown.cert.as_deref(), shown.key.as_deref())? {
        config = config.with_identity(identity);
    }
    Ok(pins.iter().copied().fold(config, TlsConfig::with_pin))
}

/// A certificate to show, with its key; none, where none is given.
pub(crate) fn identity(cert: Option<&Path>, key: Option<&Path>) -> Result<Option<Identity>> {
    let (Some(cert), Some(key)) = (cert, key) else {
        return Ok(None);
    };
    let identity = Identity::from_pem(&read(cert)?, &read(key)?);
    identity.map(Some).map_err(|error| in_file(cert, &error))
}

/// Lets a step take this long, and no longer.
pub(crate) async fn within<T>(limit: Duration, step: impl Future<Output = Result<T>>) -> Result<T> {
    time::timeout(limit, step).await.unwrap_or_else(|_| {
        Err(Error::new(
            ErrorKind::TimedOut,
            format!("not done after {} s", limit.as_secs_f32()),
        ))
    })
}

/// What was agreed, and whose certificate it is, a line each.
pub(crate) fn describe<S: ByteStream>(stream: &TlsStream<S>) -> Vec<String> {
    let version = match stream.version() {
        TlsVersion::Tls12 => "TLS 1.2",
        TlsVersion::Tls13 => "TLS 1.3",
        _ => "TLS",
    };
    let mut lines = vec![format!("secured by {version}, {}", stream.cipher_suite())];
    if let Some(protocol) = stream.alpn() {
        let protocol = protocol.escape_ascii();
        lines.push(format!("application protocol: {protocol}"));
    }
    if let Some(certificate) = stream.peer_certificate() {
        lines.extend(describe_certificate(certificate));
    }
    lines
}

fn describe_certificate(der: &[u8]) -> Vec<String> {
    let Ok((_, certificate)) = X509Certificate::from_der(der) else {
        return vec!["certificate: can't be read".into()];
    };
    let mut lines = vec![
        format!(
            "certificate of {}",
            visible(&certificate.subject().to_string())
        ),
        format!("  issued by {}", visible(&certificate.issuer().to_string())),
        format!("  valid until {}", certificate.validity().not_after),
        format!("  pinned by {}", Pin::of_certificate(der)),
    ];
    if let Ok(pin) = Pin::of_key(der) {
        lines.push(format!("  or, for its key, by {pin}"));
    }
    if let Ok(Some(names)) = certificate.subject_alternative_name() {
        let names: Vec<String> = names
            .value
            .general_names
            .iter()
            .filter_map(|name| match name {
                GeneralName::DNSName(name) => Some(visible(name)),
                GeneralName::IPAddress(bytes) => address(bytes),
                _ => None,
            })
            .collect();
        lines.push(format!("  for {}", names.join(", ")));
    }
    lines
}

fn address(bytes: &[u8]) -> Option<String> {
    if let Ok(octets) = <[u8; 4]>::try_from(bytes) {
        return Some(std::net::Ipv4Addr::from(octets).to_string());
    }
    let octets = <[u8; 16]>::try_from(bytes).ok()?;
    Some(std::net::Ipv6Addr::from(octets).to_string())
}

/// A certificate may hold anything; a terminal is not to act on it.
fn visible(text: &str) -> String {
    text.chars()
        .map(|char| if char.is_control() { '?' } else { char })
        .collect()
}
