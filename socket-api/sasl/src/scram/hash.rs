//! The primitives, from RustCrypto: SHA-1 or SHA-256, HMAC, and PBKDF2 with it.

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::Mechanism;

/// The hash function of a SCRAM mechanism. As a part of HMAC, SHA-1 has no known weakness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hash {
    Sha1,
    Sha256,
}

impl Hash {
    pub(crate) fn of(mechanism: Mechanism) -> Self {
        match mechanism {
            Mechanism::ScramSha1 | Mechanism::ScramSha1Plus => Self::Sha1,
            _ => Self::Sha256,
        }
    }

    /// `H` (RFC 5802, section 2.2).
    pub(crate) fn digest(self, data: &[u8]) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(match self {
            Self::Sha1 => Sha1::digest(data).to_vec(),
            Self::Sha256 => Sha256::digest(data).to_vec(),
        })
    }

    /// `HMAC`.
    pub(crate) fn hmac(self, key: &[u8], data: &[u8]) -> Zeroizing<Vec<u8>> {
        match self {
            Self::Sha1 => hmac(&keyed::<Hmac<Sha1>>(key), data),
            Self::Sha256 => hmac(&keyed::<Hmac<Sha256>>(key), data),
        }
    }

    /// `Hi`: PBKDF2 (RFC 8018) with one block of output.
    pub(crate) fn hi(self, password: &[u8], salt: &[u8], rounds: u32) -> Zeroizing<Vec<u8>> {
        match self {
            Self::Sha1 => hi(&keyed::<Hmac<Sha1>>(password), salt, rounds),
            Self::Sha256 => hi(&keyed::<Hmac<Sha256>>(password), salt, rounds),
        }
    }
}

fn keyed<M: Mac + KeyInit>(key: &[u8]) -> M {
    <M as KeyInit>::new_from_slice(key).expect("HMAC takes keys of any length")
}

fn hmac<M: Mac + Clone>(keyed: &M, data: &[u8]) -> Zeroizing<Vec<u8>> {
    let tag = keyed.clone().chain_update(data).finalize();
    Zeroizing::new(tag.into_bytes().to_vec())
}

/// The key is taken in once; each round begins with what that has left.
fn hi<M: Mac + Clone>(keyed: &M, salt: &[u8], rounds: u32) -> Zeroizing<Vec<u8>> {
    let first = keyed.clone().chain_update(salt).chain_update([0, 0, 0, 1]);
    let mut last = first.finalize().into_bytes();
    let mut all = Zeroizing::new(last.to_vec());
    for _ in 1..rounds {
        last = keyed.clone().chain_update(&last).finalize().into_bytes();
        for (byte, other) in all.iter_mut().zip(&last) {
            *byte ^= other;
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base64::encode as base64;

    #[test]
    fn pbkdf2_is_that_of_others() {
        // RFC 6070, and the same with SHA-256 (RFC 7914, section 11, cut to one block).
        let sha1 = Hash::Sha1.hi(b"password", b"salt", 4096);
        assert_eq!(base64(&sha1), "SwB5AbdlSJq+rUnZJvch0GWkKcE=");
        let sha256 = Hash::Sha256.hi(b"passwd", b"salt", 1);
        assert_eq!(
            base64(&sha256),
            "VawEblbjCJ/sFpHCJUS2BflBhSFt3gRl5oudV8INrLw="
        );
    }
}
