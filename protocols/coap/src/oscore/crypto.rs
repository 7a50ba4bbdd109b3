//! The primitives, from RustCrypto: HKDF-SHA-256 for keys, AES-CCM for messages.

use aes::{Aes128, Aes256};
use ccm::Ccm;
use ccm::aead::consts::{U8, U13, U16};
use ccm::aead::{AeadInOut, KeyInit};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::cbor;

/// The nonce of each algorithm here, in bytes.
pub(super) const NONCE: usize = 13;
/// The longest Sender or Recipient ID, in bytes: the nonce less 6 (section 3.3).
pub(super) const MAX_ID: usize = NONCE - 6;
/// The longest Partial IV, in bytes (section 5).
pub(super) const MAX_PARTIAL_IV: usize = 5;

/// The AEAD algorithm that a security context uses (RFC 8613, section 3.1): AES in CCM mode with a
/// nonce of 13 bytes. Both endpoints must use the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// AES-CCM-16-64-128: a key of 128 bits, a tag of 64. Everyone has this one.
    #[default]
    AesCcm16_64_128,
    /// AES-CCM-16-64-256: a key of 256 bits, a tag of 64.
    AesCcm16_64_256,
    /// AES-CCM-16-128-128: a key of 128 bits, a tag of 128.
    AesCcm16_128_128,
    /// AES-CCM-16-128-256: a key of 256 bits, a tag of 128.
    AesCcm16_128_256,
}

impl Algorithm {
    /// Its number in COSE's registry (RFC 9053, section 4.2).
    pub(super) fn number(self) -> u8 {
        match self {
            Self::AesCcm16_64_128 => 10,
            Self::AesCcm16_64_256 => 11,
            Self::AesCcm16_128_128 => 30,
            Self::AesCcm16_128_256 => 31,
        }
    }

    pub(super) fn key_length(self) -> usize {
        match self {
            Self::AesCcm16_64_128 | Self::AesCcm16_128_128 => 16,
            Self::AesCcm16_64_256 | Self::AesCcm16_128_256 => 32,
        }
    }

    pub(super) fn tag_length(self) -> usize {
        match self {
            Self::AesCcm16_64_128 | Self::AesCcm16_64_256 => 8,
            Self::AesCcm16_128_128 | Self::AesCcm16_128_256 => 16,
        }
    }
}

/// Derives what a security context consists of from its Master Secret (section 3.2.1).
pub(super) struct Derivation<'a> {
    hkdf: Hkdf<Sha256>,
    id_context: Option<&'a [u8]>,
    algorithm: Algorithm,
}

impl<'a> Derivation<'a> {
    pub(super) fn new(
        master_secret: &[u8],
        master_salt: &[u8],
        id_context: Option<&'a [u8]>,
        algorithm: Algorithm,
    ) -> Self {
        Self {
            hkdf: Hkdf::new(Some(master_salt), master_secret),
            id_context,
            algorithm,
        }
    }

    pub(super) fn key(&self, id: &[u8]) -> Zeroizing<Vec<u8>> {
        let mut key = Zeroizing::new(vec![0; self.algorithm.key_length()]);
        self.expand(id, "Key", &mut key);
        key
    }

    pub(super) fn common_iv(&self) -> [u8; NONCE] {
        let mut iv = [0; NONCE];
        self.expand(&[], "IV", &mut iv);
        iv
    }

    /// A name for a context that tells nothing of its secret, to keep its record in a store under.
    /// The type is not one of the RFC's, so that no key can come out of this.
    pub(super) fn fingerprint(&self, id: &[u8]) -> [u8; 16] {
        let mut fingerprint = [0; 16];
        self.expand(id, "Jackfield record", &mut fingerprint);
        fingerprint
    }

    fn expand(&self, id: &[u8], kind: &str, out: &mut [u8]) {
        let info = info(id, self.id_context, self.algorithm, kind, out.len());
        self.hkdf
            .expand(&info, out)
            .expect("HKDF-SHA-256 gives up to 8160 bytes, and at most 32 are asked for");
    }
}

/// What each output is bound to (section 3.2.1).
pub(super) fn info(
    id: &[u8],
    id_context: Option<&[u8]>,
    algorithm: Algorithm,
    kind: &str,
    length: usize,
) -> Vec<u8> {
    let mut info = Vec::with_capacity(32);
    cbor::array(&mut info, 5);
    cbor::bytes(&mut info, id);
    match id_context {
        Some(id_context) => cbor::bytes(&mut info, id_context),
        None => cbor::null(&mut info),
    }
    cbor::unsigned(&mut info, algorithm.number().into());
    cbor::text(&mut info, kind);
    cbor::unsigned(&mut info, length);
    info
}

/// The nonce that `partial_iv` gives, as the endpoint `id` counts (section 5.2).
///
/// Both are as long as may be at the most; longer ones are cut.
pub(super) fn nonce(common_iv: &[u8; NONCE], id: &[u8], partial_iv: &[u8]) -> [u8; NONCE] {
    let mut nonce = *common_iv;
    nonce[0] ^= id.len() as u8;
    let (id_field, partial_iv_field) = nonce[1..].split_at_mut(MAX_ID);
    for (field, value) in [(id_field, id), (partial_iv_field, partial_iv)] {
        for (byte, with) in field.iter_mut().rev().zip(value.iter().rev()) {
            *byte ^= with;
        }
    }
    nonce
}

/// What binds a message to its request, beyond the nonce (section 5.4).
pub(super) fn additional_data(algorithm: Algorithm, kid: &[u8], partial_iv: &[u8]) -> Vec<u8> {
    let mut external = Vec::with_capacity(32);
    cbor::array(&mut external, 5);
    cbor::unsigned(&mut external, 1);
    cbor::array(&mut external, 1);
    cbor::unsigned(&mut external, algorithm.number().into());
    cbor::bytes(&mut external, kid);
    cbor::bytes(&mut external, partial_iv);
    // No option is of class I (section 4.1.2).
    cbor::bytes(&mut external, &[]);

    let mut data = Vec::with_capacity(48);
    cbor::array(&mut data, 3);
    cbor::text(&mut data, "Encrypt0");
    cbor::bytes(&mut data, &[]);
    cbor::bytes(&mut data, &external);
    data
}

/// A key, ready for use. Its schedule is wiped when it is dropped.
pub(super) enum Cipher {
    AesCcm16_64_128(Ccm<Aes128, U8, U13>),
    AesCcm16_64_256(Ccm<Aes256, U8, U13>),
    AesCcm16_128_128(Ccm<Aes128, U16, U13>),
    AesCcm16_128_256(Ccm<Aes256, U16, U13>),
}

/// What was to be decrypted was made with another key, for another request, or changed since.
#[derive(Debug)]
pub(super) struct Forged;

impl Cipher {
    /// `key` must have the algorithm's length.
    pub(super) fn new(algorithm: Algorithm, key: &[u8]) -> Self {
        const LENGTH: &str = "keys are derived with the algorithm's length";
        match algorithm {
            Algorithm::AesCcm16_64_128 => {
                Self::AesCcm16_64_128(Ccm::new_from_slice(key).expect(LENGTH))
            }
            Algorithm::AesCcm16_64_256 => {
                Self::AesCcm16_64_256(Ccm::new_from_slice(key).expect(LENGTH))
            }
            Algorithm::AesCcm16_128_128 => {
                Self::AesCcm16_128_128(Ccm::new_from_slice(key).expect(LENGTH))
            }
            Algorithm::AesCcm16_128_256 => {
                Self::AesCcm16_128_256(Ccm::new_from_slice(key).expect(LENGTH))
            }
        }
    }

    /// Encrypts in place, and appends the tag. Fails only where the message is longer than CCM's
    /// 64 KiB.
    pub(super) fn seal(
        &self,
        nonce: &[u8; NONCE],
        additional_data: &[u8],
        message: &mut Vec<u8>,
    ) -> Result<(), TooLong> {
        let nonce = nonce.into();
        match self {
            Self::AesCcm16_64_128(ccm) => ccm.encrypt_in_place(nonce, additional_data, message),
            Self::AesCcm16_64_256(ccm) => ccm.encrypt_in_place(nonce, additional_data, message),
            Self::AesCcm16_128_128(ccm) => ccm.encrypt_in_place(nonce, additional_data, message),
            Self::AesCcm16_128_256(ccm) => ccm.encrypt_in_place(nonce, additional_data, message),
        }
        .map_err(|_| TooLong)
    }

    /// Verifies, decrypts in place, and takes the tag off. A message that fails is not decrypted.
    pub(super) fn open(
        &self,
        nonce: &[u8; NONCE],
        additional_data: &[u8],
        message: &mut Vec<u8>,
    ) -> Result<(), Forged> {
        let nonce = nonce.into();
        match self {
            Self::AesCcm16_64_128(ccm) => ccm.decrypt_in_place(nonce, additional_data, message),
            Self::AesCcm16_64_256(ccm) => ccm.decrypt_in_place(nonce, additional_data, message),
            Self::AesCcm16_128_128(ccm) => ccm.decrypt_in_place(nonce, additional_data, message),
            Self::AesCcm16_128_256(ccm) => ccm.decrypt_in_place(nonce, additional_data, message),
        }
        .map_err(|_| Forged)
    }
}

/// CCM's length field has two bytes beside a nonce of 13.
#[derive(Debug)]
pub(super) struct TooLong;
