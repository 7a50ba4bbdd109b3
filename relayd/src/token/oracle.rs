//! Oracle: what holds for any token or certificate that is presented, and for any claims that are signed.

use std::time::{Duration, UNIX_EPOCH};

use base64::Engine as _;
use ring::hmac;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use super::{
    BASE64, ClientCa, Credential, PublicKeys, Secret, Shown, SigningKey, TokenError, WhenOutdated,
};
use crate::certificate::Certificate;
use crate::crl::next_update;

/// The token's name in the configuration.
const NAME: &str = "fuzzed";
/// The key that signs; the corpus is signed with it too.
const KEY: &str = "a-signing-key-for-the-fuzz-target";
/// Public keys of which nobody has the private ones: RFC 8037, appendix A, and RFC 7517, appendix A.1.
const PUBLIC: &str = r#"{"keys":[
    {"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
    {"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
     "y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]}"#;

/// An authority whose key nobody has.
const AUTHORITY: &str = "-----BEGIN CERTIFICATE-----\n\
    MIIBkDCCATegAwIBAgIUOCf78xEDLbsHWDkaLS52Q//lUqAwCgYIKoZIzj0EAwIw\n\
    HTEbMBkGA1UEAwwSTm9ib2R5J3MgYXV0aG9yaXR5MCAXDTI2MTEzMDAzNTEyMVoY\n\
    DzIxMjYxMTA2MDM1MTIxWjAdMRswGQYDVQQDDBJOb2JvZHkncyBhdXRob3JpdHkw\n\
    WTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAQfqnuXBQ+R5HVplKsleRhbf4n9OSYn\n\
    RA2HOHqWmYVDu2Eg3zjx5uLnJyH79nHREkw6U2+i58HveB5izjItJGQuo1MwUTAd\n\
    BgNVHQ4EFgQUELA0u52u6UFlX6tnBQZ9jktqm+MwHwYDVR0jBBgwFoAUELA0u52u\n\
    6UFlX6tnBQZ9jktqm+MwDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNHADBE\n\
    AiAVQ5B0CveGek1nCV7iZbS7WZYOCYXNfU+A67T7ugBDkAIgUVSpHAJaFexIjwS/\n\
    4btlWrn8ZYAkgRhaekPSu8zgK0E=\n\
    -----END CERTIFICATE-----\n";

/// A certificate that is anything, or a list of revoked ones, is read without a panic, and nothing in it is longer
/// than it is. Of an authority whose key nobody has, none is let in, alone or behind its own; and a list which that
/// has not signed never lets one in either.
///
/// # Panics
/// Where that is not so.
pub fn certificate(data: &[u8]) {
    let now = UNIX_EPOCH + Duration::from_hours(500_000);
    if let Some(read) = Certificate::read(data) {
        assert!(read.serial.len() <= 2 * data.len());
        assert!(read.name.is_none_or(|name| name.len() < data.len()));
    }
    let pem = |label: &str| {
        let text = base64::prelude::BASE64_STANDARD.encode(data);
        format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
    };
    let der = |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).expect("PEM");
    let (own, authority) = (der(&pem("CERTIFICATE")), der(AUTHORITY));
    let list = pem("X509 CRL");
    let with_list = |when| ClientCa::from_pem_with(AUTHORITY, Some(&list), when);
    let known = [
        ClientCa::from_pem(AUTHORITY, None),
        with_list(WhenOutdated::Allow),
        with_list(WhenOutdated::Deny),
    ];
    assert!(known[0].is_ok());
    for known in known.into_iter().flatten() {
        // What is taken says when the next one is due.
        assert!(known.list_due() == next_update(data) || known.list_due().is_none());
        let known = Credential::Certificates(known);
        for chain in [vec![own.clone()], vec![own.clone(), authority.clone()]] {
            let refused = known.recognise(NAME, &Shown::Certificate(chain), now);
            assert!(refused.is_err(), "nobody has signed it");
        }
    }
    // As an authority's own it is taken or refused.
    let _ = ClientCa::from_pem(&pem("CERTIFICATE"), None);
}

/// Verifying never panics, whatever is presented. What nobody has signed is unknown. What the key has signed
/// is read, or its claim named; then a token that is made of what was read says the same again, and no
/// byte of it can be changed.
///
/// # Panics
/// Where that is not so.
pub fn token(data: &[u8]) {
    let secret = Secret::new(KEY).expect("long enough");
    let public = PublicKeys::new(PUBLIC).expect("two keys");
    let (key, public) = (
        Credential::Key(secret.clone()),
        Credential::PublicKeys(public),
    );
    let text = String::from_utf8_lossy(data);
    assert_eq!(public.verify(NAME, &text), Err(TokenError::Unknown));
    let presented = key.verify(NAME, &text);
    // The same bytes as claims.
    let header = BASE64.encode(r#"{"alg":"HS256","typ":"JWT"}"#);
    let signed = format!("{header}.{}", BASE64.encode(data));
    let mac = hmac::sign(&secret.key(), signed.as_bytes());
    let signed = key.verify(NAME, &format!("{signed}.{}", BASE64.encode(mac)));
    assert_ne!(signed, Err(TokenError::Unknown), "the key has signed it");

    let signing = SigningKey::hs256(&secret).expect("long enough");
    for proven in [presented, signed].into_iter().flatten() {
        let Some(claims) = proven.claims else {
            continue;
        };
        // What was written in fewer bytes than it takes here may be too long.
        let Ok(token) = signing.mint(&claims) else {
            continue;
        };
        let again = key.verify(NAME, &token).expect("the key has signed it");
        assert_eq!(again.claims, Some(claims));
        let at = data.first().map_or(0, |&byte| usize::from(byte)) % token.len();
        let mut changed = token.into_bytes();
        changed[at] ^= 1;
        let changed = String::from_utf8(changed).expect("ASCII");
        assert_eq!(key.verify(NAME, &changed), Err(TokenError::Unknown));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fuzzing_began_with_and_found() {
        jackfield_corpora::hold("relay_token", token);
        jackfield_corpora::hold("relay_certificate", certificate);
    }
}
