//! Security contexts: what two endpoints share, and what each keeps count of.

use std::fmt;

use jackfield_store::{Batch, Records};
use zeroize::Zeroizing;

use super::crypto::{Cipher, Derivation, MAX_ID, NONCE};
use super::option::MAX_ID_CONTEXT;
use super::sequence::{Sequence, decode_record, encode_record};
use super::window::ReplayWindow;
use super::{Algorithm, Error, ErrorKind};

/// The shortest Master Secret, in bytes: the strength of the keys that are derived from it.
const MIN_SECRET: usize = 16;
/// The beginning of each record's key; the context's fingerprint follows.
const RECORD: &[u8] = b"oscore/";

/// What a security context is derived from (RFC 8613, section 3.2). Both endpoints have the same,
/// with Sender ID and Recipient ID the other way round.
///
/// The Master Secret is wiped from memory when this is dropped, and `Debug` doesn't show it.
///
/// ```
/// use jackfield_coap::oscore::{Algorithm, Parameters};
///
/// let parameters = Parameters::new(&[0x5a; 16], b"client", b"server")?
///     .with_master_salt(b"salt")
///     .with_id_context(b"building 7")?
///     .with_algorithm(Algorithm::AesCcm16_128_128);
/// assert!(Parameters::new(b"a short secret", b"client", b"server").is_err());
/// # Ok::<(), jackfield_coap::oscore::Error>(())
/// ```
#[derive(Clone)]
pub struct Parameters {
    master_secret: Zeroizing<Vec<u8>>,
    master_salt: Vec<u8>,
    id_context: Option<Vec<u8>>,
    sender_id: Vec<u8>,
    recipient_id: Vec<u8>,
    algorithm: Algorithm,
}

impl Parameters {
    /// A Master Secret of 16 or more bytes, hard to guess, and the two endpoints' names in it: ours,
    /// and the peer's. Keys are derived by HKDF with SHA-256.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput), where the secret is shorter, an ID is longer than
    /// 7 bytes, or both are the same.
    pub fn new(master_secret: &[u8], sender_id: &[u8], recipient_id: &[u8]) -> Result<Self, Error> {
        let invalid = |what| Err(Error::new(ErrorKind::InvalidInput, what));
        if master_secret.len() < MIN_SECRET {
            return invalid("the Master Secret has fewer than 16 bytes");
        }
        if sender_id.len() > MAX_ID || recipient_id.len() > MAX_ID {
            return invalid("a Sender or Recipient ID has more than 7 bytes");
        }
        // Both would encrypt with the same key, and count from the same number.
        if sender_id == recipient_id {
            return invalid("Sender ID and Recipient ID are the same");
        }
        Ok(Self {
            master_secret: Zeroizing::new(master_secret.to_vec()),
            master_salt: Vec::new(),
            id_context: None,
            sender_id: sender_id.to_vec(),
            recipient_id: recipient_id.to_vec(),
            algorithm: Algorithm::default(),
        })
    }

    /// With a Master Salt. Default: an empty one.
    #[must_use]
    pub fn with_master_salt(mut self, master_salt: &[u8]) -> Self {
        self.master_salt = master_salt.to_vec();
        self
    }

    /// With an ID Context, which is then sent with every request. Default: none.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput), where it does not fit into the option, which has
    /// room for 241 bytes.
    pub fn with_id_context(mut self, id_context: &[u8]) -> Result<Self, Error> {
        if id_context.len() > MAX_ID_CONTEXT {
            let text = format!("the ID Context has more than {MAX_ID_CONTEXT} bytes");
            return Err(Error::new(ErrorKind::InvalidInput, text));
        }
        self.id_context = Some(id_context.to_vec());
        Ok(self)
    }

    /// With this AEAD algorithm. Default: AES-CCM-16-64-128.
    #[must_use]
    pub fn with_algorithm(mut self, algorithm: Algorithm) -> Self {
        self.algorithm = algorithm;
        self
    }
}

impl fmt::Debug for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parameters")
            .field("sender_id", &self.sender_id)
            .field("recipient_id", &self.recipient_id)
            .field("id_context", &self.id_context)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

/// A security context (RFC 8613, section 3): keys, and which messages were sent and received with
/// them. Its keys are wiped from memory when it is dropped, and `Debug` doesn't show them.
///
/// It serves both roles: the one who sent a request may receive some as well.
#[expect(
    clippy::struct_field_names,
    reason = "ID Context is the RFC's name for it"
)]
pub struct Context {
    pub(super) algorithm: Algorithm,
    pub(super) common_iv: [u8; NONCE],
    pub(super) id_context: Option<Vec<u8>>,
    pub(super) sender: Sender,
    pub(super) recipient: Recipient,
    /// How many notifications were accepted, to tell their order by.
    pub(super) notifications: u32,
    record: Vec<u8>,
    /// Up to where numbers are reserved as soon as that is stored.
    storing: Option<u64>,
    /// Why none can be reserved any more.
    store_failed: Option<String>,
}

pub(super) struct Sender {
    pub(super) id: Vec<u8>,
    pub(super) cipher: Cipher,
    pub(super) sequence: Sequence,
}

pub(super) struct Recipient {
    pub(super) id: Vec<u8>,
    pub(super) cipher: Cipher,
    pub(super) replay: Replay,
}

/// What a server knows of the requests it has received.
pub(super) enum Replay {
    Known(ReplayWindow),
    /// Nothing, since it was started again. A request that brings this Echo value was made
    /// afterwards.
    Unknown([u8; 8]),
}

impl Context {
    /// A security context whose sequence numbers are kept in a store, of which these are the records:
    /// it goes on where the last one with the same parameters left off, in whichever process that
    /// was.
    ///
    /// No number is reserved yet: what [`poll_store`](Self::poll_store) gives is to be stored first.
    ///
    /// The store must be the same each time. One that has lost its records is as good as new keys
    /// that are old: never use the keys again then.
    ///
    /// # Errors
    /// [`Store`](ErrorKind::Store), where the records hold what this version can't read.
    ///
    /// ```
    /// use jackfield_coap::codec::{Code, Message};
    /// use jackfield_coap::oscore::{Context, ErrorKind, Parameters};
    /// use jackfield_store::Records;
    ///
    /// let parameters = Parameters::new(&[0x5a; 16], b"c", b"s")?;
    /// let mut context = Context::restore(&parameters, &Records::new())?;
    /// let request = Message::new(Code::GET);
    /// let early = context.protect_request(&request).expect_err("no number is reserved");
    /// assert_eq!(early.kind(), ErrorKind::Unreserved);
    ///
    /// let changes = context.poll_store().expect("it is time");
    /// // Here these are made durable; then:
    /// context.stored();
    /// context.protect_request(&request)?;
    /// # drop(changes);
    /// # Ok::<(), jackfield_coap::oscore::Error>(())
    /// ```
    pub fn restore(parameters: &Parameters, records: &Records) -> Result<Self, Error> {
        let mut context = Self::derive(parameters, Sequence::unbounded());
        let mut first = 0;
        if let Some(record) = records.get(&context.record) {
            first = decode_record(record).ok_or_else(|| {
                Error::new(
                    ErrorKind::Store,
                    "what is stored in the place of the sequence number is not one",
                )
            })?;
            context.recipient.replay = Replay::Unknown(challenge()?);
        }
        context.sender.sequence = Sequence::starting_at(first);
        Ok(context)
    }

    /// A security context of which nothing is kept: for keys that were never used before, and will
    /// not be used again once this is dropped.
    ///
    /// With the same parameters twice, the second context repeats the first one's nonces, which
    /// breaks all that was protected with either.
    pub fn ephemeral(parameters: &Parameters) -> Self {
        Self::derive(parameters, Sequence::unbounded())
    }

    fn derive(parameters: &Parameters, sequence: Sequence) -> Self {
        let algorithm = parameters.algorithm;
        let derivation = Derivation::new(
            &parameters.master_secret,
            &parameters.master_salt,
            parameters.id_context.as_deref(),
            algorithm,
        );
        let cipher = |id: &[u8]| Cipher::new(algorithm, &derivation.key(id));
        let record = [RECORD, &derivation.fingerprint(&parameters.sender_id)].concat();
        Self {
            algorithm,
            common_iv: derivation.common_iv(),
            sender: Sender {
                cipher: cipher(&parameters.sender_id),
                id: parameters.sender_id.clone(),
                sequence,
            },
            recipient: Recipient {
                cipher: cipher(&parameters.recipient_id),
                id: parameters.recipient_id.clone(),
                replay: Replay::Known(ReplayWindow::new()),
            },
            id_context: parameters.id_context.clone(),
            notifications: 0,
            record,
            storing: None,
            store_failed: None,
        }
    }

    /// What is to be made durable, when it is time to reserve sequence numbers: then
    /// [`stored`](Self::stored) is to be called, or [`not_stored`](Self::not_stored), and until then
    /// this gives `None`. What is protected meanwhile uses up what was reserved before.
    pub fn poll_store(&mut self) -> Option<Batch> {
        if self.storing.is_some() || self.store_failed.is_some() {
            return None;
        }
        let end = self.sender.sequence.wanted()?;
        self.storing = Some(end);
        let mut batch = Batch::new();
        batch.put(self.record.clone(), encode_record(end));
        Some(batch)
    }

    /// What [`poll_store`](Self::poll_store) gave last is durable.
    pub fn stored(&mut self) {
        if let Some(end) = self.storing.take() {
            self.sender.sequence.reserve(end);
        }
    }

    /// What [`poll_store`](Self::poll_store) gave last could not be stored, and nothing will be: once
    /// the numbers run out, [`protect_request`](Self::protect_request) and its kin fail with
    /// [`Store`](ErrorKind::Store), for this reason.
    pub fn not_stored(&mut self, why: &str) {
        if self.storing.take().is_some() {
            self.store_failed = Some(why.to_owned());
        }
    }

    /// Whether there is no sequence number now, and will be as soon as some are stored.
    pub(crate) fn is_waiting(&self) -> bool {
        self.store_failed.is_none() && self.sender.sequence.is_unreserved()
    }

    /// The next sequence number.
    pub(super) fn next_partial_iv(&mut self) -> Result<super::sequence::PartialIv, Error> {
        self.sender
            .sequence
            .take()
            .map_err(|error| match &self.store_failed {
                Some(why) if error.kind() == ErrorKind::Unreserved => {
                    Error::new(ErrorKind::Store, "can't reserve sequence numbers")
                        .with_source(why.clone())
                }
                _ => error,
            })
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("sender_id", &self.sender.id)
            .field("recipient_id", &self.recipient.id)
            .field("id_context", &self.id_context)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

/// An Echo value that nobody can know before it is sent.
fn challenge() -> Result<[u8; 8], Error> {
    let mut value = [0; 8];
    getrandom::fill(&mut value).map_err(|error| {
        Error::new(ErrorKind::Other, "the system has no randomness").with_source(error)
    })?;
    Ok(value)
}
