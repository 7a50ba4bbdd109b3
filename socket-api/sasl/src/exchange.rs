//! One authentication, from the client's first message to the server's word that it succeeded.

use std::fmt;

use zeroize::Zeroizing;

use crate::credentials::Secret;
use crate::error::Refusal;
use crate::scram::{self, Scram};
use crate::{Channel, ChannelBinding, Choice, Credentials, Error, Mechanism, bearer};

/// What a server may ask of this side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The longest challenge, in bytes. Default: 4096.
    pub max_challenge: usize,
    /// How many rounds of its hash SCRAM may take; they are computed at once, and a page stands still
    /// meanwhile. Default: 1,000,000, which are some seconds at most.
    pub max_iterations: u32,
    /// How few rounds SCRAM may take: with fewer, who has made a client log in could guess the password
    /// from what it sent. Default: 4096, the least that RFC 7677, section 4, allows.
    pub min_iterations: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_challenge: 4096,
            max_iterations: 1_000_000,
            min_iterations: 4096,
        }
    }
}

/// One authentication. It takes and gives bytes; how a protocol carries them (as base64, in pieces,
/// beside a command) is the protocol's.
///
/// 1. [`initial_response`](Self::initial_response), where the protocol can send it with the
///    mechanism's name. Where it isn't asked for, it is the answer to the server's first challenge.
/// 2. [`step`](Self::step) for each challenge; its answer is sent, be it empty.
/// 3. [`finish`](Self::finish) when the server reports success: only what that accepts is one. When
///    the server reports failure, [`refusal`](Self::refusal) may say why.
///
/// After an error it is over: the protocol cancels it (`*`), or closes.
pub struct Exchange {
    mechanism: Mechanism,
    limits: Limits,
    /// The first message, until it was sent.
    initial: Option<Zeroizing<Vec<u8>>>,
    next: Next,
    refusal: Option<Refusal>,
}

/// What comes after the first message.
enum Next {
    /// Only the outcome.
    Outcome,
    /// LOGIN: this, to whatever the server asks.
    Password(Zeroizing<String>),
    /// Bearer tokens: the outcome, or an error that must be answered with this.
    Error(&'static [u8]),
    Scram(Box<Scram>),
    Failed,
}

impl Exchange {
    /// Begins an exchange: with what [`choose`](crate::choose) has chosen, or a [`Mechanism`].
    ///
    /// # Errors
    /// [`Error::Unsuited`] where the credentials are of another kind; [`Error::Plaintext`] and
    /// [`Error::NoBinding`] where the channel isn't good for it; [`Error::InvalidCredentials`] where
    /// SCRAM can't take a name or password; [`Error::NoRandomness`].
    pub fn start(
        choice: impl Into<Choice>,
        credentials: &Credentials,
        channel: &Channel,
        limits: Limits,
    ) -> Result<Self, Error> {
        Self::start_with(choice.into(), credentials, channel, limits, scram::nonce)
    }

    /// The same with this nonce, so that transcripts and fuzzers' inputs can be replayed.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    #[cfg(any(test, feature = "oracle"))]
    pub fn start_with_nonce(
        choice: impl Into<Choice>,
        credentials: &Credentials,
        channel: &Channel,
        limits: Limits,
        nonce: &str,
    ) -> Result<Self, Error> {
        let nonce = || Ok(nonce.to_owned());
        Self::start_with(choice.into(), credentials, channel, limits, nonce)
    }

    fn start_with(
        choice: Choice,
        credentials: &Credentials,
        channel: &Channel,
        limits: Limits,
        nonce: impl FnOnce() -> Result<String, Error>,
    ) -> Result<Self, Error> {
        let mechanism = choice.mechanism();
        if !credentials.suit(mechanism) {
            return Err(Error::Unsuited(mechanism));
        }
        if mechanism.is_plaintext() && !channel.encrypted {
            return Err(Error::Plaintext(mechanism));
        }
        let authzid = credentials.authzid.as_str();
        let (initial, next) = match &credentials.secret {
            Secret::External => (authzid.as_bytes().to_vec().into(), Next::Outcome),
            Secret::Token {
                username,
                token,
                server,
            } => {
                if mechanism == Mechanism::XOAuth2 {
                    (bearer::xoauth2(username, token), Next::Error(b""))
                } else {
                    let name = if authzid.is_empty() {
                        username
                    } else {
                        authzid
                    };
                    let message = bearer::oauthbearer(name, token, server.as_ref());
                    (message, Next::Error(b"\x01"))
                }
            }
            Secret::Password { username, password } => match mechanism {
                Mechanism::Login => {
                    let name = username.as_bytes().to_vec();
                    (name.into(), Next::Password(password.clone()))
                }
                Mechanism::Plain => {
                    let message = [authzid, "\0", username, "\0", password].concat();
                    (message.into_bytes().into(), Next::Outcome)
                }
                _ => {
                    let bound = channel.binding.as_ref().map(ChannelBinding::data);
                    let parts = [authzid, username, password];
                    let (scram, first) =
                        Scram::start(mechanism, choice.flag, bound, parts, nonce()?)?;
                    (first.into(), Next::Scram(Box::new(scram)))
                }
            },
        };
        Ok(Self {
            mechanism,
            limits,
            initial: Some(initial),
            next,
            refusal: None,
        })
    }

    /// The mechanism.
    pub fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// The initial response, for a protocol that sends it with the mechanism's name; from then on it
    /// counts as sent. `None` where it was already, and where the mechanism has none: LOGIN waits to
    /// be asked. It may be empty.
    pub fn initial_response(&mut self) -> Option<Vec<u8>> {
        if self.mechanism == Mechanism::Login {
            return None;
        }
        self.take_initial()
    }

    fn take_initial(&mut self) -> Option<Vec<u8>> {
        self.initial
            .take()
            .map(|mut initial| std::mem::take(&mut *initial))
    }

    /// The answer to a challenge, to be sent even where it is empty.
    ///
    /// SCRAM computes its rounds in here, which may take a second where there are a million.
    ///
    /// # Errors
    /// Where the exchange has failed; it must not go on.
    pub fn step(&mut self, challenge: &[u8]) -> Result<Vec<u8>, Error> {
        let answer = self.answer(challenge);
        if let Err(error) = &answer {
            self.fail(error);
        }
        answer
    }

    fn answer(&mut self, challenge: &[u8]) -> Result<Vec<u8>, Error> {
        let max = self.limits.max_challenge;
        if challenge.len() > max {
            return Err(Error::TooLong { max });
        }
        if matches!(self.next, Next::Failed) {
            return Err(Error::Failed);
        }
        // It should be empty, and some servers have a word to say in it.
        if let Some(initial) = self.take_initial() {
            return Ok(initial);
        }
        match &mut self.next {
            Next::Password(password) => {
                let password = std::mem::take(&mut **password).into_bytes();
                self.next = Next::Outcome;
                Ok(password)
            }
            Next::Error(answer) => {
                let answer = answer.to_vec();
                self.refusal = Some(bearer::refusal(challenge));
                self.next = Next::Failed;
                Ok(answer)
            }
            Next::Scram(scram) => scram.step(challenge, &self.limits),
            Next::Outcome => Err(Error::UnexpectedChallenge),
            Next::Failed => Err(Error::Failed),
        }
    }

    /// The server reports success, in some protocols with more data. Only where this agrees has the
    /// exchange succeeded.
    ///
    /// # Errors
    /// [`Error::TooEarly`] where the server can't know yet; [`Error::NotVerified`] and
    /// [`Error::WrongSignature`] where a SCRAM server has not proven that it knows the password: it may
    /// be anyone, and the connection must be closed; [`Error::Refused`] where it had refused.
    pub fn finish(&mut self, data: Option<&[u8]>) -> Result<(), Error> {
        let outcome = self.outcome(data.unwrap_or_default());
        if let Err(error) = &outcome {
            self.fail(error);
        }
        outcome
    }

    fn outcome(&mut self, data: &[u8]) -> Result<(), Error> {
        let max = self.limits.max_challenge;
        if data.len() > max {
            return Err(Error::TooLong { max });
        }
        if let Some(refusal) = &self.refusal {
            return Err(Error::Refused(refusal.clone()));
        }
        match &mut self.next {
            Next::Scram(scram) => scram.finish(data),
            Next::Failed => Err(Error::Failed),
            _ if self.initial.is_some() => Err(Error::TooEarly),
            Next::Outcome | Next::Error(_) => Ok(()),
            Next::Password(_) => Err(Error::TooEarly),
        }
    }

    fn fail(&mut self, error: &Error) {
        self.next = Next::Failed;
        self.initial = None;
        if let Error::Refused(refusal) = error {
            self.refusal = Some(refusal.clone());
        }
    }

    /// Why the server refuses, where it has said so in a challenge: a bearer token's error comes
    /// before the protocol's own failure, and has to be answered in between.
    pub fn refusal(&self) -> Option<&Refusal> {
        self.refusal.as_ref()
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange")
            .field("mechanism", &self.mechanism)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod differential;
#[cfg(test)]
mod tests;
