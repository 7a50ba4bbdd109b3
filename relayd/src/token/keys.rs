//! Keys that sign tokens, and those that tell a signed token from a forged one.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use jackfield_relay_wire::auth::MAX_TOKEN;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use ring::signature::KeyPair as _;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer};
use serde::Deserialize;
use serde_json::Value;

use super::claims::{Claims, Payload};
use super::{Secret, TokenError, crypto};

/// The most keys that one token's JWTs may be signed with: each is tried on one that has no `kid`.
pub const MAX_KEYS: usize = 32;
/// The most characters of a `kid` that a message has.
const MAX_SHOWN: usize = 64;
/// What a key for HS256 has at least (RFC 7518, section 3.2).
const MIN_HS256: usize = 32;
/// What stands before an Ed25519 public key in a `SubjectPublicKeyInfo` (RFC 8410, section 10.1).
const ED25519_PREFIX: &[u8] = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";
/// What stands before a point of P-256 there, when it isn't compressed (RFC 5480, section 2.1).
const P256_PREFIX: &[u8] = b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\
    \x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00";

/// Public keys, any of which tokens may be signed with: Ed25519 (`EdDSA`), and P-256 (`ES256`).
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKeys {
    keys: Arc<[PublicKey]>,
    /// What is to be said of the keys of its set that can't be used.
    passed_over: Option<Arc<str>>,
}

#[derive(Clone, PartialEq, Eq)]
struct PublicKey {
    /// What a token's `kid` names it by; by the token's name in the configuration, where it has none.
    id: Option<String>,
    curve: Curve,
    /// Ed25519's 32 bytes, or a point that isn't compressed.
    bytes: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Curve {
    Ed25519,
    P256,
}

/// A key that makes tokens: what an application's back end hands to its users.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use jackfield_relayd::token::{Claims, Secret, SigningKey};
///
/// let secret = Secret::new("the-signing_key-of-the-configuration")?;
/// let key = SigningKey::hs256(&secret)?;
///
/// let mut claims = Claims::new(SystemTime::now() + Duration::from_secs(900));
/// claims.subject = Some("ada".into());
/// claims.origins = Some(vec!["https://app.example.org".parse()?]);
/// claims.allow = Some(vec!["imap.example.org:993".parse()?]);
/// let token = key.mint(&claims)?;
/// assert_eq!(token.split('.').count(), 3);
/// # Ok::<(), String>(())
/// ```
#[derive(Clone)]
pub struct SigningKey {
    id: Option<String>,
    algorithm: Algorithm,
    key: EncodingKey,
}

impl PublicKeys {
    /// The keys in a text: PEM (`PUBLIC KEY`, one or several), a JWK, or a set of JWKs (RFC 7517).
    ///
    /// In a set, what isn't a public key for signing on Ed25519 or P-256 is passed over (section 5).
    ///
    /// # Errors
    /// Where there is no such key, or more than [`MAX_KEYS`], or a private one.
    pub fn new(text: &str) -> Result<Self, String> {
        let (keys, passed_over) = if text.trim_start().starts_with('{') {
            from_json(text)?
        } else {
            (from_pem(text)?, None)
        };
        if keys.is_empty() {
            return Err("there is no public key on Ed25519 or P-256".into());
        }
        if keys.len() > MAX_KEYS {
            return Err(format!("there are more than {MAX_KEYS} keys"));
        }
        Ok(Self {
            keys: keys.into(),
            passed_over: passed_over.map(Into::into),
        })
    }

    /// The keys in a set of JWKs alone, as [`new`](Self::new) reads it.
    pub(crate) fn from_jwks(text: &str) -> Result<Self, String> {
        if !text.trim_start().starts_with('{') {
            return Err("that is not a set of JWKs".into());
        }
        Self::new(text)
    }

    /// How many keys of its set are passed over, and why the first one is; `None` where all are taken.
    pub(crate) fn passed_over(&self) -> Option<&str> {
        self.passed_over.as_deref()
    }

    /// A private key whose public one is among these; in its tokens it names itself as that does. `name` is the
    /// token's in the configuration.
    pub(crate) fn pair(&self, private: &SigningKey, name: &str) -> Option<SigningKey> {
        let (curve, bytes) = private.public()?;
        let mut keys = self.keys.iter();
        let own = keys.find(|key| key.curve == curve && key.bytes == bytes)?;
        let id = own.id.as_deref().unwrap_or(name);
        Some(private.clone().with_id(id))
    }

    /// Whether others have a key of these by the same `kid`. One without its own goes by its token's name.
    pub(super) fn meets(&self, others: &Self) -> bool {
        let mut keys = self.keys.iter().filter(|key| key.id.is_some());
        keys.any(|key| others.keys.contains(key))
    }

    /// Whether a token names a key that isn't among these. Of what it says nothing is proven.
    pub(super) fn lack(&self, name: &str, presented: &str) -> bool {
        let header = jsonwebtoken::decode_header(presented);
        let named = header.ok().and_then(|header| header.kid);
        let is = |kid: &str| {
            let mut ids = self
                .keys
                .iter()
                .map(|key| key.id.as_deref().unwrap_or(name));
            ids.any(|id| id == kid)
        };
        named.is_some_and(|kid| !is(&kid))
    }

    /// What a token says that one of these signed.
    pub(super) fn verify(&self, name: &str, presented: &str) -> Result<Claims, TokenError> {
        let mut outcome = Err(TokenError::Unknown);
        for key in &*self.keys {
            let id = key.id.as_deref().unwrap_or(name);
            let (algorithm, decoding) = match key.curve {
                Curve::Ed25519 => (Algorithm::EdDSA, DecodingKey::from_ed_der(&key.bytes)),
                Curve::P256 => (Algorithm::ES256, DecodingKey::from_ec_der(&key.bytes)),
            };
            let verified = verify(presented, id, algorithm, &decoding);
            if verified != Err(TokenError::Unknown) {
                outcome = verified;
            }
        }
        outcome
    }
}

/// What a token says that is signed with this secret.
pub(super) fn verify_secret(
    secret: &Secret,
    name: &str,
    presented: &str,
) -> Result<Claims, TokenError> {
    if secret.0.len() < MIN_HS256 {
        return Err(TokenError::Unknown);
    }
    let key = DecodingKey::from_secret(secret.0.as_bytes()).map_err(|_| TokenError::Unknown)?;
    verify(presented, name, Algorithm::HS256, &key)
}

/// What a token says that is signed with this key, by this algorithm, and names no other key.
fn verify(
    presented: &str,
    id: &str,
    algorithm: Algorithm,
    key: &DecodingKey,
) -> Result<Claims, TokenError> {
    crypto::install();
    let mut validation = Validation::new(algorithm);
    // The claims are checked where time and audience are known.
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    let header = jsonwebtoken::decode_header(presented).map_err(|_| TokenError::Unknown)?;
    if header.kid.is_some_and(|kid| kid != id) {
        return Err(TokenError::Unknown);
    }
    match jsonwebtoken::decode::<Payload>(presented, key, &validation) {
        Ok(token) => token.claims.try_into(),
        // The header was read before, and the signature is verified before the claims are read.
        Err(error) if matches!(error.kind(), ErrorKind::Json(_)) => Err(TokenError::Claim("set")),
        Err(_) => Err(TokenError::Unknown),
    }
}

fn from_pem(text: &str) -> Result<Vec<PublicKey>, String> {
    if text.contains("PRIVATE KEY-----") {
        return Err("that is a private key: the relay needs the public one only".into());
    }
    SubjectPublicKeyInfoDer::pem_slice_iter(text.as_bytes())
        .map(|key| {
            let key = key.map_err(|error| format!("that is not PEM: {error}"))?;
            let (curve, bytes) = match key.as_ref() {
                der if der.starts_with(ED25519_PREFIX) => {
                    (Curve::Ed25519, &der[ED25519_PREFIX.len()..])
                }
                der if der.starts_with(P256_PREFIX) => (Curve::P256, &der[P256_PREFIX.len()..]),
                _ => return Err("a public key is on Ed25519 or P-256".into()),
            };
            PublicKey::new(None, curve, bytes.to_vec())
        })
        .collect()
}

fn from_json(text: &str) -> Result<(Vec<PublicKey>, Option<String>), String> {
    #[derive(Deserialize)]
    struct Set {
        keys: Vec<Value>,
    }
    // The library's own complaint might show the value.
    let wrong = || "that is neither a JWK nor a set of JWKs".to_owned();
    let value: Value = serde_json::from_str(text).map_err(|_| wrong())?;
    if value.get("keys").is_none() {
        return from_jwk(value).map(|key| (vec![key], None));
    }
    let set: Set = serde_json::from_value(value).map_err(|_| wrong())?;
    let private = |key: &&Value| key.get("d").is_some();
    if let Some(key) = set.keys.iter().find(private) {
        let id = named(key);
        return Err(format!(
            "there is a private key, {id}: whoever has read it can make tokens; the relay needs public ones only"
        ));
    }
    let (mut keys, mut first, mut passed) = (Vec::new(), None, 0);
    for key in set.keys {
        let id = named(&key);
        match from_jwk(key) {
            Ok(key) => keys.push(key),
            Err(why) => {
                passed += 1;
                first.get_or_insert((id, why));
            }
        }
    }
    let told = first.map(|(id, why)| match passed {
        1 => format!("the key {id} is passed over: {why}"),
        _ => format!("{passed} keys are passed over, the first, {id}, since {why}"),
    });
    Ok((keys, told))
}

/// What a JWK is called in a message: it may be long, or hold anything.
fn named(key: &Value) -> String {
    let id = key.get("kid").and_then(Value::as_str);
    let Some(id) = id else {
        return "which has no kid".into();
    };
    let short: String = id.chars().take(MAX_SHOWN).collect();
    format!("{short:?}")
}

fn from_jwk(value: Value) -> Result<PublicKey, String> {
    if value.get("d").is_some() {
        return Err("that is a private key: the relay needs the public one only".into());
    }
    let jwk: Jwk = serde_json::from_value(value).map_err(|_| "that is not a JWK".to_owned())?;
    let signs = matches!(
        jwk.common.public_key_use,
        None | Some(PublicKeyUse::Signature)
    );
    let part = |text: &str| {
        BASE64
            .decode(text)
            .map_err(|_| "a coordinate of a JWK is base64url".to_owned())
    };
    let (curve, algorithm, bytes) = match &jwk.algorithm {
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
            (Curve::Ed25519, Algorithm::EdDSA, part(&key.x)?)
        }
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
            let (x, y) = (part(&key.x)?, part(&key.y)?);
            if x.len() != 32 {
                return Err("a coordinate on P-256 has 32 bytes".into());
            }
            (Curve::P256, Algorithm::ES256, [vec![4], x, y].concat())
        }
        _ => return Err("a public key is on Ed25519 or P-256".into()),
    };
    let meant = jwk.common.key_algorithm.map(Algorithm::try_from);
    // A key may say what it does in either way (RFC 7517, sections 4.2 and 4.3).
    let verifies = |all: &Vec<KeyOperations>| all.contains(&KeyOperations::Verify);
    let signs = signs && jwk.common.key_operations.as_ref().is_none_or(verifies);
    if !signs || meant.is_some_and(|meant| meant.ok() != Some(algorithm)) {
        return Err("the key is meant for something else than signing so".into());
    }
    PublicKey::new(jwk.common.key_id, curve, bytes)
}

impl PublicKey {
    fn new(id: Option<String>, curve: Curve, bytes: Vec<u8>) -> Result<Self, String> {
        let length = match curve {
            Curve::Ed25519 => 32,
            Curve::P256 => 65,
        };
        if bytes.len() != length || curve == Curve::P256 && bytes[0] != 4 {
            return Err("a public key is too long or too short".into());
        }
        Ok(Self { id, curve, bytes })
    }
}

impl SigningKey {
    /// A key for HS256: that of a token's `signing_key`.
    ///
    /// # Errors
    /// Where it has less than 32 bytes (RFC 7518, section 3.2).
    pub fn hs256(secret: &Secret) -> Result<Self, String> {
        if secret.0.len() < MIN_HS256 {
            return Err(format!(
                "a key for JWTs has at least {MIN_HS256} characters; this one has {}",
                secret.0.len()
            ));
        }
        let key = EncodingKey::from_secret(secret.0.as_bytes()).map_err(|e| e.to_string())?;
        Ok(Self::new(Algorithm::HS256, key))
    }

    /// A private key in PEM (`PRIVATE KEY`, PKCS #8), on Ed25519 or P-256; its public key is one of a token's
    /// [`PublicKeys`].
    ///
    /// # Errors
    /// Where it is none.
    pub fn from_pem(text: &str) -> Result<Self, String> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(text.as_bytes())
            .map_err(|_| "there is no PRIVATE KEY in PEM (PKCS #8)".to_owned())?;
        let der = der.secret_pkcs8_der();
        if crypto::ed25519(der).is_ok() {
            Ok(Self::new(Algorithm::EdDSA, EncodingKey::from_ed_der(der)))
        } else if crypto::p256(der).is_ok() {
            Ok(Self::new(Algorithm::ES256, EncodingKey::from_ec_der(der)))
        } else {
            Err("a private key is on Ed25519 or P-256".into())
        }
    }

    fn new(algorithm: Algorithm, key: EncodingKey) -> Self {
        Self {
            id: None,
            algorithm,
            key,
        }
    }

    /// Names itself so in its tokens (`kid`): as its JWK does, or, without one, as the token of the
    /// configuration that it is for.
    #[must_use]
    pub fn with_id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// A token that says this.
    ///
    /// # Errors
    /// Where it would have more than 4096 bytes, which is as much as a client can present.
    pub fn mint(&self, claims: &Claims) -> Result<String, String> {
        crypto::install();
        let mut header = Header::new(self.algorithm);
        header.kid.clone_from(&self.id);
        let token = jsonwebtoken::encode(&header, &Payload::from(claims), &self.key)
            .map_err(|error| format!("the token can't be signed: {error}"))?;
        if token.len() > MAX_TOKEN {
            return Err(format!(
                "a token has at most {MAX_TOKEN} bytes; this one would have {}",
                token.len()
            ));
        }
        Ok(token)
    }

    /// Its public key, as a JWK, for the relay; `None` for HS256, which has none.
    pub fn public_jwk(&self) -> Option<String> {
        let mut jwk = match self.public()? {
            (Curve::Ed25519, bytes) => {
                serde_json::json!({ "kty": "OKP", "crv": "Ed25519", "x": BASE64.encode(bytes) })
            }
            (Curve::P256, bytes) => {
                let (x, y) = bytes.get(1..)?.split_at_checked(32)?;
                let (x, y) = (BASE64.encode(x), BASE64.encode(y));
                serde_json::json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y })
            }
        };
        if let Some(id) = &self.id {
            jwk["kid"] = id.as_str().into();
        }
        Some(jwk.to_string())
    }

    /// Its public key, as [`PublicKey`] has it.
    fn public(&self) -> Option<(Curve, Vec<u8>)> {
        let private = self.key.as_bytes();
        match self.algorithm {
            Algorithm::EdDSA => {
                let pair = crypto::ed25519(private).ok()?;
                Some((Curve::Ed25519, pair.public_key().as_ref().to_vec()))
            }
            Algorithm::ES256 => {
                let pair = crypto::p256(private).ok()?;
                Some((Curve::P256, pair.public_key().as_ref().to_vec()))
            }
            _ => None,
        }
    }
}

impl fmt::Debug for PublicKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.keys.iter().map(|key| (key.id.as_deref(), key.curve));
        f.debug_list().entries(keys).finish()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(signing key)")
    }
}
