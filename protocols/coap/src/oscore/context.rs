//! Security contexts: what two endpoints share, and what each keeps count of.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll, ready};

use jackfield_store::{Batch, BoxStore, Store};
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
    keeper: Keeper,
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

/// Makes reservations durable.
enum Keeper {
    /// There is no need: nothing is left to reserve.
    None,
    Idle(BoxStore),
    Busy(u64, Pin<Box<dyn Future<Output = Committed> + Send>>),
    Failed(String),
}

type Committed = (BoxStore, jackfield_store::Result<()>);

impl Context {
    /// Opens a security context whose sequence numbers are kept in a store: it goes on where the
    /// last one with the same parameters left off, in whichever process that was.
    ///
    /// The store must be the same each time. One that has lost its records is as good as new keys
    /// that are old: never use the keys again then.
    ///
    /// # Errors
    /// [`Store`](ErrorKind::Store), where the store fails, or holds what this version can't read.
    ///
    /// # Cancel safety
    /// Dropping the future loses some sequence numbers, of which there are plenty.
    ///
    /// ```
    /// use jackfield_coap::oscore::{Context, Parameters};
    /// use jackfield_store::MemoryStore;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// // In a program, a `FileStore`; in a page, an `IndexedDbStore`.
    /// let store = MemoryStore::new();
    /// let parameters = Parameters::new(&[0x5a; 16], b"c", b"s")?;
    /// let context = Context::open(&parameters, store).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn open(parameters: &Parameters, store: impl Store) -> Result<Self, Error> {
        let mut store = BoxStore::new(store);
        let records = store.load().await.map_err(|error| {
            Error::new(ErrorKind::Store, "can't load the sequence number").with_source(error)
        })?;
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
        context.keeper = Keeper::Idle(store);
        poll_fn(|cx| context.poll_reserve(cx)).await;
        match &context.keeper {
            Keeper::Failed(text) => Err(Error::new(
                ErrorKind::Store,
                "can't reserve sequence numbers",
            )
            .with_source(text.clone())),
            _ => Ok(context),
        }
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
            keeper: Keeper::None,
        }
    }

    /// Reserves sequence numbers, when it is time: pending while the store is busy with that, and
    /// ready when there is nothing to do. Whoever drives the context calls this along with the rest;
    /// what is protected meanwhile uses up what was reserved before.
    ///
    /// Where the store has failed, this is ready, and once the numbers run out,
    /// [`protect_request`](Self::protect_request) and its kin fail with
    /// [`Store`](ErrorKind::Store).
    pub fn poll_reserve(&mut self, cx: &mut TaskContext<'_>) -> Poll<()> {
        loop {
            match &mut self.keeper {
                Keeper::None | Keeper::Failed(_) => return Poll::Ready(()),
                Keeper::Idle(_) => {
                    let Some(end) = self.sender.sequence.wanted() else {
                        return Poll::Ready(());
                    };
                    let Keeper::Idle(mut store) = std::mem::replace(&mut self.keeper, Keeper::None)
                    else {
                        return Poll::Ready(());
                    };
                    let mut batch = Batch::new();
                    batch.put(self.record.clone(), encode_record(end));
                    let commit = async move {
                        let result = store.commit(batch).await;
                        (store, result)
                    };
                    self.keeper = Keeper::Busy(end, Box::pin(commit));
                }
                Keeper::Busy(end, commit) => {
                    let end = *end;
                    let (store, result) = ready!(commit.as_mut().poll(cx));
                    self.keeper = match result {
                        Ok(()) => {
                            self.sender.sequence.reserve(end);
                            Keeper::Idle(store)
                        }
                        Err(error) => Keeper::Failed(error.to_string()),
                    };
                }
            }
        }
    }

    /// The next sequence number.
    pub(super) fn next_partial_iv(&mut self) -> Result<super::sequence::PartialIv, Error> {
        self.sender
            .sequence
            .take()
            .map_err(|error| match &self.keeper {
                Keeper::Failed(text) if error.kind() == ErrorKind::Unreserved => {
                    Error::new(ErrorKind::Store, "can't reserve sequence numbers")
                        .with_source(text.clone())
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
