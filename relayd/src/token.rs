//! Tokens: who may use the relay, what they may do, until when.
//!
//! A token is either a shared secret, or signed with a key that the relay knows, and so good for a few
//! minutes without anybody writing it down. A signed one is a JWT (RFC 7519) that a [`SigningKey`] makes,
//! or any library for JWTs; what it may say is in [`Claims`], and all that it can say is less than the
//! configuration does. The key decides the algorithm, never the token: HS256 for a [`Credential::Key`],
//! `EdDSA` over Ed25519 or ES256 for [`PublicKeys`]. The header's `kid`, where there is one, is the key's
//! own: that of a JWK, and the token's name in the configuration for all others.
//!
//! A signing key makes short tokens of an older form too,
//!
//! ```text
//! NAME.EXPIRY.MAC
//! ```
//!
//! where `NAME` is the token's name in the configuration, `EXPIRY` the end of its life in seconds
//! since 1970 (UTC), and `MAC` the HMAC-SHA256 (RFC 2104) over `jackfield.v1 NAME EXPIRY` under the
//! key, in base64url without padding. They name no bearer.

#[cfg(test)]
mod attacks;
mod claims;
mod client_ca;
mod crypto;
mod keys;
#[cfg(any(test, feature = "oracle"))]
pub mod oracle;
mod remote;
mod revoked;
#[cfg(test)]
mod tests;

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use httpdate::HttpDate;
use jackfield_relay_wire::Code;
use ring::rand::SystemRandom;
use ring::{digest, hmac, rand};
use rustls_pki_types::CertificateDer;

pub use self::claims::{Claims, LEEWAY};
pub(crate) use self::claims::{Payload, PayloadLimits};
use self::client_ca::Fault;
pub use self::client_ca::{ClientCa, WhenOutdated};
pub use self::keys::{MAX_KEYS, PublicKeys, SigningKey};
pub use self::remote::RemoteKeys;
pub(crate) use self::revoked::Revoked;
pub use self::revoked::{MAX_REVOCATIONS, Revocation};

/// The fewest bytes that a secret or a key may have: 128 bits where each is random.
pub const MIN_SECRET: usize = 16;
/// The most bytes that a secret or a key may have.
pub const MAX_SECRET: usize = 512;

/// A secret: it is compared in constant time, and never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<str>);

/// How a token is told from a forged one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Credential {
    /// The token is this very text.
    Secret(Secret),
    /// The token is signed with this key, by HMAC-SHA256.
    Key(Secret),
    /// The token is a JWT that is signed with the private key of one of these.
    PublicKeys(PublicKeys),
    /// The same, and the keys are at a URL.
    RemoteKeys(RemoteKeys),
    /// It is no token, but a certificate that a program shows in TLS, of one of these authorities.
    Certificates(ClientCa),
}

/// What a client shows of itself.
pub(crate) enum Shown {
    Token(String),
    /// A certificate, and those that lead to its authority.
    Certificate(Vec<CertificateDer<'static>>),
}

/// What a token that is good says by itself; the configuration says more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Proven {
    /// When it ends.
    pub(crate) expires: Option<SystemTime>,
    /// What tells its bearer from the others that this credential makes tokens for. `None` where there are
    /// no others: whoever has a shared secret is the same to the relay.
    pub(crate) bearer: Option<String>,
    /// What a JWT says.
    pub(crate) claims: Option<Claims>,
}

/// Why a token was not accepted, as the client may know it. Beyond [`Unknown`](Self::Unknown), only whoever
/// has a token that is signed as it should be learns why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenError {
    /// No token came.
    Missing,
    /// The relay knows no such token.
    Unknown,
    /// Its time was over then.
    Expired(SystemTime),
    /// Its time begins then.
    NotYet(SystemTime),
    /// This claim can't be read, or isn't there.
    Claim(&'static str),
    /// It is for another relay, or several.
    Audience,
    /// It is for pages of another origin.
    Origin,
    /// It was revoked.
    Revoked,
    /// It is a certificate, with this fault.
    Certificate(Fault),
}

impl Secret {
    /// A secret of this text, without the blanks and line ends around it.
    ///
    /// # Errors
    /// Where it is shorter than [`MIN_SECRET`] or longer than [`MAX_SECRET`], or holds anything but
    /// visible ASCII characters.
    pub fn new(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.len() < MIN_SECRET || text.len() > MAX_SECRET {
            return Err(format!(
                "a secret has {MIN_SECRET} to {MAX_SECRET} characters; this one has {}",
                text.len()
            ));
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("a secret consists of visible ASCII characters only".into());
        }
        Ok(Self(text.into()))
    }

    /// Signs a token of this name that ends at `expires`.
    ///
    /// ```
    /// # use jackfield_relayd::token::Secret;
    /// # use std::time::{Duration, UNIX_EPOCH};
    /// let key = Secret::new("an-example-of-a-key")?;
    /// let token = key.sign("webmail", UNIX_EPOCH + Duration::from_secs(1_800_000_000));
    /// assert!(token.starts_with("webmail.1800000000."));
    /// # Ok::<(), String>(())
    /// ```
    pub fn sign(&self, name: &str, expires: SystemTime) -> String {
        let expires = expires
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        let mac = hmac::sign(&self.key(), signed_text(name, expires).as_bytes());
        format!("{name}.{expires}.{}", BASE64.encode(mac))
    }

    fn key(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, self.0.as_bytes())
    }
}

impl Credential {
    /// Whether a token of that name in the configuration is this credential's, and can be read. Its time, and
    /// for which relay and origin it is, are not looked at. [`RemoteKeys`] accept none that aren't fetched.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn accepts(&self, name: &str, token: &str) -> Result<(), String> {
        let verified = self.verify(name, token);
        verified.map(drop).map_err(|error| error.to_string())
    }

    /// What `presented` says, where it is this credential's token of that name.
    ///
    /// # Errors
    /// [`TokenError::Unknown`] where it is another's, [`TokenError::Claim`] where it is its own and can't be
    /// read. The time is not looked at.
    pub(crate) fn verify(&self, name: &str, presented: &str) -> Result<Proven, TokenError> {
        match self {
            Self::Secret(secret) => {
                // Comparing the MACs of both hides the length too.
                let tag = hmac::sign(&secret.key(), secret.0.as_bytes());
                hmac::verify(&secret.key(), presented.as_bytes(), tag.as_ref())
                    .map(|()| Proven::default())
                    .map_err(|_| TokenError::Unknown)
            }
            Self::Key(key) => match verify_plain(key, name, presented) {
                Some(proven) => Ok(proven),
                None => keys::verify_secret(key, name, presented).map(|it| jwt(presented, it)),
            },
            Self::PublicKeys(keys) => keys.verify(name, presented).map(|it| jwt(presented, it)),
            Self::RemoteKeys(keys) => keys.verify(name, presented).map(|it| jwt(presented, it)),
            Self::Certificates(_) => Err(TokenError::Unknown),
        }
    }

    /// The same of what may be a certificate, at this time.
    ///
    /// # Errors
    /// As those of [`verify`](Self::verify), and [`TokenError::Certificate`] where it is this authority's, and not
    /// good.
    pub(crate) fn recognise(
        &self,
        name: &str,
        shown: &Shown,
        now: SystemTime,
    ) -> Result<Proven, TokenError> {
        match (self, shown) {
            (_, Shown::Token(presented)) => self.verify(name, presented),
            (Self::Certificates(authority), Shown::Certificate(chain)) => {
                authority.verify(chain, now)
            }
            (_, Shown::Certificate(_)) => Err(TokenError::Unknown),
        }
    }

    /// What another token has of this, so that whose bearer comes by it could not be told; `None` where it has
    /// nothing, or each of both tells by its name which it is of.
    pub(crate) fn met(&self, other: &Self) -> Option<&'static str> {
        let (met, what) = match (self, other) {
            (Self::Secret(own), Self::Secret(other)) => (own == other, "the same secret"),
            // Whoever may know the one could sign with the other.
            (Self::Secret(own), Self::Key(other)) | (Self::Key(own), Self::Secret(other)) => {
                (own == other, "it as a signing key or a secret")
            }
            (Self::PublicKeys(own), Self::PublicKeys(other)) => {
                (own.meets(other), "a key of it by the same kid")
            }
            (Self::RemoteKeys(own), Self::RemoteKeys(other)) => {
                (own.url() == other.url(), "the same URL")
            }
            (Self::Certificates(own), Self::Certificates(other)) => {
                (own.meets(other), "an authority of it")
            }
            _ => return None,
        };
        met.then_some(what)
    }

    /// When the first of an authority's lists of revoked certificates is to be replaced; `None` where it has none.
    pub(crate) fn list_due(&self) -> Option<SystemTime> {
        match self {
            Self::Certificates(authority) => authority.list_due(),
            _ => None,
        }
    }

    /// Hears that no credential knows `presented`.
    pub(crate) fn missed(&self, name: &str, presented: &str) {
        if let Self::RemoteKeys(keys) = self {
            keys.missed(name, presented);
        }
    }
}

/// A token of the form `NAME.EXPIRY.MAC`.
fn verify_plain(key: &Secret, name: &str, presented: &str) -> Option<Proven> {
    let (rest, mac) = presented.rsplit_once('.')?;
    let (claimed, expires) = rest.rsplit_once('.')?;
    let end: u32 = expires.parse().ok()?;
    let mac = BASE64.decode(mac).ok()?;
    // One token has one spelling: no sign, no leading zeros.
    if claimed != name || end.to_string() != expires {
        return None;
    }
    let expires = u64::from(end);
    hmac::verify(&key.key(), signed_text(name, expires).as_bytes(), &mac).ok()?;
    Some(Proven {
        expires: Some(UNIX_EPOCH + Duration::from_secs(expires)),
        bearer: Some(format!("until {end}")),
        claims: None,
    })
}

/// What a JWT proves that has these claims.
fn jwt(presented: &str, claims: Claims) -> Proven {
    let bearer = match (&claims.subject, &claims.id) {
        (Some(subject), _) => format!("sub {subject}"),
        (None, Some(id)) => format!("jti {id}"),
        (None, None) => {
            // Without the signature, of which one key can make several.
            let signed = presented.rsplit_once('.').map_or("", |(signed, _)| signed);
            let digest = digest::digest(&digest::SHA256, signed.as_bytes());
            format!("hash {}", BASE64.encode(digest))
        }
    };
    Proven {
        expires: Some(claims.expires),
        bearer: Some(bearer),
        claims: Some(claims),
    }
}

impl TokenError {
    /// The same of what was shown, which may have been a certificate.
    pub(crate) fn of(self, shown: &Shown) -> Self {
        match (self, shown) {
            (Self::Unknown, Shown::Certificate(_)) => Fault::Authority.into(),
            (Self::Revoked, Shown::Certificate(_)) => Fault::Revoked.into(),
            (Self::Expired(when), Shown::Certificate(_)) => Fault::Over(when).into(),
            _ => self,
        }
    }

    /// What a client is told, for programs.
    pub(crate) fn code(self) -> Code {
        match self {
            Self::Missing => Code::TOKEN_MISSING,
            Self::Unknown | Self::NotYet(_) | Self::Claim(_) | Self::Audience => {
                Code::TOKEN_UNKNOWN
            }
            Self::Expired(_) | Self::Revoked => Code::TOKEN_EXPIRED,
            Self::Origin => Code::ORIGIN_REFUSED,
            Self::Certificate(fault) => fault.code(),
        }
    }
}

/// What a token can be revoked by (`jti`) that no other has: 128 random bits.
///
/// # Errors
/// Where the system has no random numbers.
pub fn random_id() -> Result<String, String> {
    let bits = rand::generate::<[u8; 16]>(&SystemRandom::new());
    let bits = bits.map_err(|_| "the system has no random numbers".to_owned())?;
    Ok(BASE64.encode(bits.expose()))
}

fn signed_text(name: &str, expires: u64) -> String {
    format!("jackfield.v1 {name} {expires}")
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let date = |time: SystemTime| HttpDate::from(time.max(UNIX_EPOCH));
        match *self {
            Self::Missing => f.write_str("the relay asks for a token"),
            Self::Unknown => f.write_str("the token is not accepted"),
            Self::Expired(when) => write!(f, "the token has expired at {}", date(when)),
            Self::NotYet(when) => write!(f, "the token is not good before {}", date(when)),
            Self::Claim(name) => write!(f, "the token's claim {name} is missing or can't be read"),
            Self::Audience => f.write_str("the token is for another relay (aud)"),
            Self::Origin => f.write_str("the token is for pages of another origin"),
            Self::Revoked => f.write_str("the token was revoked"),
            Self::Certificate(fault) => fault.fmt(f),
        }
    }
}
