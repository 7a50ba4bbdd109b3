//! Tokens: who may use the relay, until when.
//!
//! A token is either a shared secret, or signed with a key that the relay knows and so good for a
//! few minutes without anybody writing it down. A signed one has the form
//!
//! ```text
//! NAME.EXPIRY.MAC
//! ```
//!
//! where `NAME` is the token's name in the configuration, `EXPIRY` the end of its life in seconds
//! since 1970 (UTC), and `MAC` the HMAC-SHA256 (RFC 2104) over `jackfield.v1 NAME EXPIRY` under the
//! key, in base64url without padding. Any server with the key can make one for its pages; so does
//! `jackfield-relayd token`.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use httpdate::HttpDate;
use jackfield_relay_wire::Code;
use ring::hmac;

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
    /// The token is signed with this key.
    Key(Secret),
}

/// What a token that is good says by itself; the configuration says more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Proven {
    /// When it ends.
    pub(crate) expires: Option<SystemTime>,
    /// What tells its bearer from the others that this credential makes tokens for. `None` where there are
    /// no others: whoever has a shared secret is the same to the relay.
    pub(crate) bearer: Option<String>,
}

/// Why a token was not accepted, as the client may know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenError {
    /// No token came.
    Missing,
    /// The relay knows no such token.
    Unknown,
    /// Its time was over then. Only whoever has the token learns that.
    Expired(SystemTime),
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
    /// What `presented` says, where it is this credential's token of that name. `None` where it is
    /// another's.
    pub(crate) fn verify(&self, name: &str, presented: &str) -> Option<Proven> {
        match self {
            Self::Secret(secret) => {
                // Comparing the MACs of both hides the length too.
                let tag = hmac::sign(&secret.key(), secret.0.as_bytes());
                hmac::verify(&secret.key(), presented.as_bytes(), tag.as_ref())
                    .is_ok()
                    .then(Proven::default)
            }
            Self::Key(key) => {
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
                    bearer: Some(end.to_string()),
                })
            }
        }
    }
}

impl TokenError {
    /// What a client is told, for programs.
    pub(crate) fn code(self) -> Code {
        match self {
            Self::Missing => Code::TOKEN_MISSING,
            Self::Unknown => Code::TOKEN_UNKNOWN,
            Self::Expired(_) => Code::TOKEN_EXPIRED,
        }
    }
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
        match *self {
            Self::Missing => f.write_str("the relay asks for a token"),
            Self::Unknown => f.write_str("the token is not accepted"),
            Self::Expired(when) => {
                let when = HttpDate::from(when.max(UNIX_EPOCH));
                write!(f, "the token has expired at {when}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn a_shared_secret_is_itself_and_nothing_else() {
        let secret = Credential::Secret(Secret::new("0123456789abcdef").expect("long enough"));
        assert_eq!(
            secret.verify("a", "0123456789abcdef"),
            Some(Proven::default())
        );
        for wrong in [
            "",
            "0123456789abcde",
            "0123456789abcdef0",
            "0123456789abcdeF",
        ] {
            assert_eq!(secret.verify("a", wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_signed_token_holds_for_its_name_key_and_time_only() {
        let key = Secret::new("a-key-of-some-length").expect("long enough");
        let token = key.sign("web.mail", at(1_800_000_000));
        let credential = Credential::Key(key.clone());
        let proven = credential.verify("web.mail", &token).expect("good");
        assert_eq!(proven.expires, Some(at(1_800_000_000)));
        // Another token is another bearer's.
        let other = key.sign("web.mail", at(1_800_000_001));
        let other = credential.verify("web.mail", &other).expect("good");
        assert!(proven.bearer.is_some() && proven.bearer != other.bearer);
        assert_eq!(credential.verify("other", &token), None);
        let other = Credential::Key(Secret::new("another-key-of-some-length").expect("long"));
        assert_eq!(other.verify("web.mail", &token), None);
        let mac = token.rsplit('.').next().expect("three parts");
        for forged in [
            format!("web.mail.1800000001.{mac}"),
            format!("web.mail.01800000000.{mac}"),
            format!("web.mail.+1800000000.{mac}"),
            format!("web.mail.1800000000.{}", &mac[1..]),
            format!("web.mail.1800000000.{mac}="),
            "web.mail.1800000000.".into(),
            "web.mail.99999999999999999999999.AAAA".into(),
            "..".into(),
            String::new(),
            // The key itself is no token.
            "a-key-of-some-length".into(),
        ] {
            assert_eq!(credential.verify("web.mail", &forged), None, "{forged}");
        }
    }

    #[test]
    fn a_signed_token_is_what_the_documentation_says() {
        // Made with: printf 'jackfield.v1 demo 1800000000' | openssl dgst -sha256
        //   -hmac 0123456789abcdef -binary | basenc --base64url | tr -d =
        let key = Secret::new("0123456789abcdef").expect("long enough");
        assert_eq!(
            key.sign("demo", at(1_800_000_000)),
            "demo.1800000000.v27nudCYNyb0V_r79o9K8dAR9Ifdt9eOGrlZSMIoEQ0"
        );
    }

    #[test]
    fn secrets_are_checked_and_never_shown() {
        for wrong in [
            "",
            "short",
            "with a blank inside it",
            "with a\ttab inside of it",
            "\u{fc}ber0123456789abc",
        ] {
            let error = Secret::new(wrong).expect_err(wrong);
            assert!(wrong.is_empty() || !error.contains(wrong), "{error}");
        }
        let secret = Secret::new(" 0123456789abcdef\n").expect("blanks around it are cut");
        assert_eq!(format!("{secret:?}"), "(secret)");
        let credential = Credential::Secret(secret);
        assert!(!format!("{credential:?}").contains("0123456789"));
    }
}
