//! Pre-shared keys, and the identities that they go by.

use std::fmt;

use jackfield_socket::{Error, ErrorKind, Result};
use zeroize::Zeroizing;

/// The longest identity and the longest key, in bytes: what RFC 4279 (section 5.3) asks everyone to
/// support at the least.
const MAX_IDENTITY: usize = 128;
const MAX_KEY: usize = 64;

/// A pre-shared key and its identity (RFC 4279).
///
/// The identity is sent in the clear. The key is wiped from memory when this is dropped. `Debug`
/// shows neither.
#[derive(Clone, PartialEq, Eq)]
pub struct Psk {
    identity: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
}

impl Psk {
    /// This key, known to the server under this identity.
    ///
    /// A key should be as hard to guess as 128 random bits, not a word: whoever records a handshake
    /// can try words at leisure.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput), where the identity is longer than 128 bytes, or
    /// the key is empty or longer than 64 bytes.
    ///
    /// ```
    /// use jackfield_dtls::Psk;
    ///
    /// let psk = Psk::new("lamp-7", b"\x1f\x83\xd9\xab\xfb\x41\xbd\x6b\x5b\xe0\xcd\x19\x13\x7e\x21\x79")?;
    /// assert_eq!(format!("{psk:?}"), "Psk { .. }");
    /// # Ok::<(), jackfield_socket::Error>(())
    /// ```
    pub fn new(identity: impl AsRef<[u8]>, key: &[u8]) -> Result<Self> {
        let invalid = |what| Err(Error::new(ErrorKind::InvalidInput, what));
        let identity = identity.as_ref();
        if identity.len() > MAX_IDENTITY {
            return invalid("the identity of a pre-shared key is longer than 128 bytes");
        }
        if key.is_empty() {
            return invalid("a pre-shared key is empty");
        }
        if key.len() > MAX_KEY {
            return invalid("a pre-shared key is longer than 64 bytes");
        }
        Ok(Self {
            identity: identity.to_vec(),
            key: Zeroizing::new(key.to_vec()),
        })
    }

    #[cfg(not(wasm_browser))]
    pub(crate) fn identity(&self) -> &[u8] {
        &self.identity
    }

    #[cfg(not(wasm_browser))]
    pub(crate) fn key(&self) -> &[u8] {
        &self.key
    }
}

impl fmt::Debug for Psk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Psk").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_handshake_could_not_carry_is_refused() {
        assert!(Psk::new("", &[1; 64]).is_ok());
        assert!(Psk::new([1; 128], &[1]).is_ok());
        for (identity, key) in [(129, 16), (1, 0), (1, 65)] {
            let refused = Psk::new(vec![1; identity], &vec![1; key]).expect_err("too long or none");
            assert_eq!(refused.kind(), ErrorKind::InvalidInput);
        }
    }
}
