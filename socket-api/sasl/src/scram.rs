//! SCRAM (RFC 5802, RFC 7677): both sides prove that they know the password, and neither tells it.

mod hash;

use std::fmt;

use zeroize::Zeroizing;

use crate::error::Refusal;
use crate::mechanism::BindingFlag;
use crate::prepare::saslprep;
use crate::{Error, Limits, Mechanism, base64};

pub(crate) use hash::Hash;

/// How random a nonce is, in bytes.
const NONCE: usize = 18;

/// What is computed of an exchange; everything else is in the messages.
pub(crate) struct Scram {
    hash: Hash,
    password: Zeroizing<String>,
    nonce: String,
    /// The client's first message, without what stands before `n=`.
    first_bare: String,
    /// What the `c=` of the last message stands for: the header and what is bound to.
    binding: Vec<u8>,
    stage: Stage,
}

enum Stage {
    /// The server's first message comes next: its nonce, salt and rounds.
    First,
    /// The server's last message comes next: this signature.
    Last(Zeroizing<Vec<u8>>),
    Verified,
}

impl Scram {
    /// Begins an exchange; its first message.
    pub(crate) fn start(
        mechanism: Mechanism,
        flag: BindingFlag,
        bound: Option<&[u8]>,
        [authzid, username, password]: [&str; 3],
        nonce: String,
    ) -> Result<(Self, Vec<u8>), Error> {
        let mut header = match flag {
            BindingFlag::Unable => "n,".to_owned(),
            BindingFlag::NotOffered => "y,".to_owned(),
            BindingFlag::Bound => "p=tls-exporter,".to_owned(),
        };
        if !authzid.is_empty() {
            header.push_str("a=");
            push_escaped(&mut header, &saslprep(authzid)?);
        }
        header.push(',');
        let mut first_bare = "n=".to_owned();
        push_escaped(&mut first_bare, &saslprep(username)?);
        first_bare.push_str(",r=");
        first_bare.push_str(&nonce);
        let first = [header.as_str(), &first_bare].concat().into_bytes();

        let mut binding = header.into_bytes();
        if flag == BindingFlag::Bound {
            binding.extend_from_slice(bound.ok_or(Error::NoBinding(mechanism))?);
        }
        let scram = Self {
            hash: Hash::of(mechanism),
            password: saslprep(password)?,
            nonce,
            first_bare,
            binding,
            stage: Stage::First,
        };
        Ok((scram, first))
    }

    /// The answer to the server's next message.
    pub(crate) fn step(&mut self, challenge: &[u8], limits: &Limits) -> Result<Vec<u8>, Error> {
        match self.stage {
            Stage::First => {
                let challenge = text(challenge)?;
                let (signature, response) = self.answer(challenge, limits)?;
                self.stage = Stage::Last(signature);
                Ok(response)
            }
            Stage::Last(_) => self.verify(challenge).map(|()| Vec::new()),
            Stage::Verified => Err(Error::UnexpectedChallenge),
        }
    }

    /// The server reports success, perhaps with its last message.
    pub(crate) fn finish(&mut self, message: &[u8]) -> Result<(), Error> {
        match self.stage {
            Stage::Verified => Ok(()),
            Stage::Last(_) if !message.is_empty() => self.verify(message),
            Stage::First | Stage::Last(_) => Err(Error::NotVerified),
        }
    }

    /// Of the server's first message: the signature that its last must have, and our last.
    fn answer(
        &self,
        challenge: &str,
        limits: &Limits,
    ) -> Result<(Zeroizing<Vec<u8>>, Vec<u8>), Error> {
        let first = ServerFirst::parse(challenge)?;
        let own = first.nonce.strip_prefix(self.nonce.as_str());
        if own.is_none_or(str::is_empty) {
            return Err(Error::ForeignNonce);
        }
        if first.iterations > limits.max_iterations {
            return Err(Error::TooManyIterations {
                max: limits.max_iterations,
            });
        }
        if first.iterations < limits.min_iterations {
            return Err(Error::TooFewIterations {
                min: limits.min_iterations,
            });
        }
        let bare = format!("c={},r={}", base64::encode(&self.binding), first.nonce);
        let auth = format!("{},{challenge},{bare}", self.first_bare);
        let password = self.password.as_bytes();
        let keys = Keys::new(self.hash, password, &first.salt, first.iterations);
        let proof = keys.proof(auth.as_bytes());
        let response = format!("{bare},p={}", base64::encode(&*proof));
        Ok((keys.signature(auth.as_bytes()), response.into_bytes()))
    }

    /// Looks at the server's last message.
    fn verify(&mut self, message: &[u8]) -> Result<(), Error> {
        let Stage::Last(signature) = &self.stage else {
            return Err(Error::UnexpectedChallenge);
        };
        let message = text(message)?;
        let value = message.split(',').next().unwrap_or_default();
        if let Some(error) = value.strip_prefix("e=") {
            return Err(Error::Refused(Refusal::new(error)));
        }
        let verifier = value.strip_prefix("v=").ok_or(Error::Malformed("no v"))?;
        let verifier = base64::decode(verifier).map_err(|_| Error::Malformed("v"))?;
        if !same(&verifier, signature) {
            return Err(Error::WrongSignature);
        }
        self.stage = Stage::Verified;
        Ok(())
    }
}

impl fmt::Debug for Scram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scram").finish_non_exhaustive()
    }
}

/// What both sides compute of a password (RFC 5802, section 3).
pub(crate) struct Keys {
    hash: Hash,
    client: Zeroizing<Vec<u8>>,
    stored: Zeroizing<Vec<u8>>,
    server: Zeroizing<Vec<u8>>,
}

impl Keys {
    pub(crate) fn new(hash: Hash, password: &[u8], salt: &[u8], iterations: u32) -> Self {
        let salted = hash.hi(password, salt, iterations);
        let client = hash.hmac(&salted, b"Client Key");
        Self {
            hash,
            stored: hash.digest(&client),
            client,
            server: hash.hmac(&salted, b"Server Key"),
        }
    }

    /// What a server keeps.
    #[cfg(test)]
    pub(crate) fn stored(&self) -> (&[u8], &[u8]) {
        (&self.stored, &self.server)
    }

    /// What the client sends.
    pub(crate) fn proof(&self, auth: &[u8]) -> Zeroizing<Vec<u8>> {
        let mut proof = self.hash.hmac(&self.stored, auth);
        for (byte, key) in proof.iter_mut().zip(self.client.iter()) {
            *byte ^= key;
        }
        proof
    }

    /// What the server sends.
    pub(crate) fn signature(&self, auth: &[u8]) -> Zeroizing<Vec<u8>> {
        self.hash.hmac(&self.server, auth)
    }
}

/// The server's first message (RFC 5802, section 7).
struct ServerFirst<'a> {
    nonce: &'a str,
    salt: Vec<u8>,
    iterations: u32,
}

impl<'a> ServerFirst<'a> {
    fn parse(message: &'a str) -> Result<Self, Error> {
        let mut parts = message.split(',');
        let mut next = |name: char, missing| {
            let part = parts.next().unwrap_or_default();
            if part.starts_with("m=") {
                return Err(Error::UnknownExtension);
            }
            if let Some(error) = part.strip_prefix("e=") {
                return Err(Error::Refused(Refusal::new(error)));
            }
            let value = part.strip_prefix(name).and_then(|it| it.strip_prefix('='));
            value.ok_or(Error::Malformed(missing))
        };
        let nonce = next('r', "no r")?;
        let salt = next('s', "no s")?;
        let rounds = next('i', "no i")?;
        // Others may follow; those that must not be passed over are the one thing they can't be.
        if parts.any(|part| part.starts_with("m=")) {
            return Err(Error::UnknownExtension);
        }
        let salt = base64::decode(salt).map_err(|_| Error::Malformed("s"))?;
        if salt.is_empty() {
            return Err(Error::Malformed("s"));
        }
        let digits = rounds.bytes().all(|byte| byte.is_ascii_digit());
        if !digits || rounds.is_empty() || rounds.starts_with('0') {
            return Err(Error::Malformed("i"));
        }
        Ok(Self {
            nonce,
            salt,
            // More than fits is more than any limit but the greatest, and too many for that.
            iterations: rounds.parse().unwrap_or(u32::MAX),
        })
    }
}

/// A nonce of the client's: printable, no comma.
pub(crate) fn nonce() -> Result<String, Error> {
    let mut random = [0; NONCE];
    getrandom::fill(&mut random).map_err(|_| Error::NoRandomness)?;
    Ok(base64::encode(random))
}

/// Adds a name as messages carry it (RFC 5802, section 5.1, `n`).
pub(crate) fn push_escaped(message: &mut String, name: &str) {
    for c in name.chars() {
        match c {
            '=' => message.push_str("=3D"),
            ',' => message.push_str("=2C"),
            c => message.push(c),
        }
    }
}

fn text(message: &[u8]) -> Result<&str, Error> {
    std::str::from_utf8(message).map_err(|_| Error::Malformed("not UTF-8"))
}

/// Whether two values are the same, in a time that doesn't tell where they differ.
fn same(one: &[u8], other: &[u8]) -> bool {
    let differ = one.iter().zip(other).fold(0, |all, (a, b)| all | (a ^ b));
    one.len() == other.len() && std::hint::black_box(differ) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonces_are_fresh_and_printable() {
        let one = nonce().expect("randomness");
        assert_ne!(one, nonce().expect("randomness"));
        assert_eq!(one.len(), 24);
        assert!(
            one.bytes()
                .all(|byte| byte.is_ascii_graphic() && byte != b',')
        );
    }

    #[test]
    fn values_are_compared_whole() {
        assert!(same(b"abc", b"abc"));
        for other in [&b"abd"[..], b"Abc", b"ab", b"abcd", b""] {
            assert!(!same(b"abc", other));
        }
    }

    #[test]
    fn a_first_message_is_read_strictly() {
        let error = |message| {
            ServerFirst::parse(message)
                .err()
                .map(|error| error.to_string())
        };
        assert_eq!(error("r=x,s=QQ==,i=4096"), None);
        assert_eq!(error("r=x,s=QQ==,i=4096,z=anything,"), None);
        for (message, expected) in [
            ("", Error::Malformed("no r")),
            ("r", Error::Malformed("no r")),
            ("s=QQ==,r=x,i=4096", Error::Malformed("no r")),
            ("r=x", Error::Malformed("no s")),
            ("r=x,s=QQ==", Error::Malformed("no i")),
            ("r=x,s=Q,i=1", Error::Malformed("s")),
            ("r=x,s=,i=1", Error::Malformed("s")),
            ("r=x,s=QQ==,i=", Error::Malformed("i")),
            ("r=x,s=QQ==,i=+1", Error::Malformed("i")),
            ("r=x,s=QQ==,i=0", Error::Malformed("i")),
            ("r=x,s=QQ==,i=0x1000", Error::Malformed("i")),
            ("m=x,r=x,s=QQ==,i=1", Error::UnknownExtension),
            ("r=x,s=QQ==,i=1,m=x", Error::UnknownExtension),
            ("e=other-error", Error::Refused(Refusal::new("other-error"))),
        ] {
            assert_eq!(error(message), Some(expected.to_string()), "{message}");
        }
        let many = ServerFirst::parse("r=x,s=QQ==,i=99999999999999999999").expect("a number");
        assert_eq!(many.iterations, u32::MAX);
    }
}
