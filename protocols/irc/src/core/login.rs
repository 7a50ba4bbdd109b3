//! Login within the registration (IRCv3 sasl): the choice of a mechanism, its exchange in pieces of
//! 400 bytes, and the next mechanism where the server takes none of this one.

use jackfield_sasl::{
    Channel as SaslChannel, Credentials, Error, Exchange, Mechanism, base64, choose,
};
use jackfield_socket::time::Instant;

use super::registration::refusal;
use super::session::Phase;
use super::{Event, Session};
use crate::codec::{Command, Message, MessageRef, Numeric, Word};
use crate::error::SessionError;

/// The longest piece of a SASL message, in bytes; a shorter one, or `+`, ends it.
const PIECE: usize = 400;
/// What is tried, of what suits, where a server doesn't tell its mechanisms before it is asked.
const GUESSES: &str = "SCRAM-SHA-256,EXTERNAL,PLAIN,OAUTHBEARER,XOAUTH2";

/// How far the login has come.
#[derive(Debug, Default)]
pub(super) struct Login {
    /// When it must be done, once it has begun.
    until: Option<Instant>,
    stage: Stage,
    /// What the server has told of its mechanisms when it refused one.
    listed: Option<String>,
    /// The mechanisms that the server has refused.
    refused: Vec<Mechanism>,
    /// It has refused one that is bound: the next is not.
    unbound: bool,
}

#[derive(Debug, Default)]
enum Stage {
    #[default]
    NotBegun,
    Underway(Box<Underway>),
    Done,
}

/// An attempt with one mechanism.
#[derive(Debug)]
struct Underway {
    exchange: Exchange,
    /// What has come of a challenge, in base64.
    heard: String,
    /// How many challenges were answered.
    answered: usize,
}

impl Login {
    pub(super) fn is_done(&self) -> bool {
        matches!(self.stage, Stage::Done)
    }

    /// When it must be done, while it is not.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.stage {
            Stage::Underway(_) => self.until,
            Stage::NotBegun | Stage::Done => None,
        }
    }

    /// Chooses a mechanism, of those that the server has told, and begins its exchange.
    fn next(
        &self,
        told: Option<&str>,
        credentials: &Credentials,
        channel: &SaslChannel,
        limits: jackfield_sasl::Limits,
        nonce: Option<&str>,
    ) -> Result<Exchange, Error> {
        let told = self.listed.as_deref().or(told);
        let told = told.filter(|list| !list.is_empty());
        let mut channel = channel.clone();
        if self.unbound || told.is_none() {
            channel = channel.without_binding();
        }
        let refused = |name: &&str| {
            let mechanism = Mechanism::from_name(name);
            mechanism.is_some_and(|it| self.refused.contains(&it))
        };
        let names = told.unwrap_or(GUESSES).split(',');
        let choice = choose(names.filter(|name| !refused(name)), credentials, &channel)?;
        #[cfg(feature = "oracle")]
        if let Some(nonce) = nonce {
            return Exchange::start_with_nonce(choice, credentials, &channel, limits, nonce);
        }
        let _ = nonce;
        Exchange::start(choice, credentials, &channel, limits)
    }
}

impl Session {
    /// Begins the login, unless it has begun.
    pub(super) fn begin_login(&mut self, now: Instant) -> Result<(), SessionError> {
        let Phase::Registering(registration) = &mut self.phase else {
            return Ok(());
        };
        if !matches!(registration.login.stage, Stage::NotBegun) {
            return Ok(());
        }
        registration.login.until = Some(now + self.config.sasl_timeout);
        if !self.capabilities.has("sasl") {
            return Err(self.give_up(SessionError::SaslUnavailable));
        }
        let begun = self.next_mechanism();
        begun.map_err(|error| self.give_up(SessionError::SaslFailed(error)))
    }

    /// Names the next mechanism to the server.
    fn next_mechanism(&mut self) -> Result<(), Error> {
        let (Phase::Registering(registration), Some(credentials)) =
            (&mut self.phase, &self.config.sasl)
        else {
            return Ok(());
        };
        let exchange = registration.login.next(
            self.capabilities.value("sasl"),
            credentials,
            &self.sasl_channel,
            self.config.sasl_limits,
            self.sasl_nonce.as_deref(),
        )?;
        let mechanism = exchange.mechanism();
        self.bound_login = Some(mechanism).filter(|it| it.is_bound());
        registration.login.stage = Stage::Underway(Box::new(Underway {
            exchange,
            heard: String::new(),
            answered: 0,
        }));
        let name = Word::from_checked(mechanism.name());
        self.queue.push_urgent(authenticate(name));
        Ok(())
    }

    pub(super) fn is_login_underway(&mut self) -> bool {
        self.underway().is_some()
    }

    fn underway(&mut self) -> Option<&mut Underway> {
        match &mut self.phase {
            Phase::Registering(registration) => match &mut registration.login.stage {
                Stage::Underway(underway) => Some(underway),
                Stage::NotBegun | Stage::Done => None,
            },
            _ => None,
        }
    }

    /// Handles `AUTHENTICATE`: a challenge, or a piece of one.
    pub(super) fn on_authenticate(&mut self, message: MessageRef<'_>) -> Result<(), SessionError> {
        let limits = self.config.sasl_limits;
        let Some(underway) = self.underway() else {
            return Ok(());
        };
        let piece = message.params().next().unwrap_or_default();
        if piece != "+" {
            underway.heard.push_str(piece);
        }
        let long = underway.heard.len() > limits.max_challenge.div_ceil(3) * 4;
        if piece.len() == PIECE && !long {
            return Ok(());
        }
        let challenge = std::mem::take(&mut underway.heard);
        let answer = if long {
            let max = limits.max_challenge;
            Err(Error::TooLong { max })
        } else {
            base64::decode(challenge).and_then(|it| underway.exchange.step(&it))
        };
        match answer {
            Ok(answer) => {
                underway.answered += 1;
                for piece in pieces(&answer) {
                    self.queue.push_urgent(authenticate(piece));
                }
                Ok(())
            }
            Err(error) => Err(self.login_failed(error)),
        }
    }

    /// Handles the numerics of the login; whether it was one.
    pub(super) fn on_login_numeric(
        &mut self,
        now: Instant,
        numeric: Numeric,
        message: MessageRef<'_>,
    ) -> Result<bool, SessionError> {
        match numeric {
            Numeric::RPL_SASLSUCCESS | Numeric::ERR_SASLALREADY => {
                let registering = matches!(self.phase, Phase::Registering(_));
                let Some(underway) = self.underway() else {
                    return Ok(registering);
                };
                if let Err(error) = underway.exchange.finish(None) {
                    return Err(self.login_failed(error));
                }
                self.bound_login = None;
                if let Phase::Registering(registration) = &mut self.phase {
                    registration.login.stage = Stage::Done;
                }
                self.go_on(now)?;
            }
            Numeric::RPL_SASLMECHS => {
                let Phase::Registering(registration) = &mut self.phase else {
                    return Ok(false);
                };
                let list = message.params().nth(1).unwrap_or_default();
                registration.login.listed = Some(list.to_owned());
            }
            Numeric::ERR_NICKLOCKED
            | Numeric::ERR_SASLFAIL
            | Numeric::ERR_SASLTOOLONG
            | Numeric::ERR_SASLABORTED => return self.on_login_refused(numeric, message),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn on_login_refused(
        &mut self,
        numeric: Numeric,
        message: MessageRef<'_>,
    ) -> Result<bool, SessionError> {
        let Some(underway) = self.underway() else {
            return Ok(false);
        };
        let mechanism = underway.exchange.mechanism();
        let reason = underway.exchange.refusal().cloned();
        // No password was proven: the server doesn't take the mechanism, or has of this user not what
        // it needs for it.
        let unproven = match underway.answered {
            0 => true,
            1 => mechanism.is_scram(),
            _ => false,
        };
        self.bound_login = None;
        let refusal = refusal(numeric, message);
        let again = numeric != Numeric::ERR_NICKLOCKED && (unproven || mechanism.is_bound());
        if let (true, Phase::Registering(registration)) = (again, &mut self.phase) {
            registration.login.refused.push(mechanism);
            registration.login.unbound |= mechanism.is_bound();
            if self.next_mechanism().is_ok() {
                self.emit(Event::MechanismRefused {
                    mechanism,
                    refusal: Some(refusal),
                });
                return Ok(true);
            }
        }
        Err(self.give_up(SessionError::SaslRefused {
            mechanism,
            refusal,
            reason,
        }))
    }

    fn login_failed(&mut self, error: Error) -> SessionError {
        if !error.may_be_binding() {
            self.bound_login = None;
        }
        self.give_up(SessionError::SaslFailed(error))
    }
}

/// A SASL message in pieces of 400 bytes. An empty one, and the end of one whose last piece is
/// full, is `+`.
fn pieces(response: &[u8]) -> Vec<Word> {
    let encoded = base64::encode(response);
    let mut pieces = Vec::new();
    let mut rest = encoded.as_str();
    while let Some((piece, tail)) = rest.split_at_checked(PIECE) {
        pieces.push(Word::from_checked(piece));
        rest = tail;
    }
    let last = if rest.is_empty() { "+" } else { rest };
    pieces.push(Word::from_checked(last));
    pieces
}

pub(super) fn authenticate(payload: Word) -> Message {
    Message::builder(Command::Authenticate)
        .word(payload)
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_end_with_a_short_piece() {
        for (length, expected) in [
            (0, vec![1]),
            (3, vec![4]),
            (300, vec![400, 1]),
            (301, vec![400, 4]),
        ] {
            let pieces = pieces(&vec![0; length]);
            let lengths: Vec<_> = pieces.iter().map(|piece| piece.len()).collect();
            assert_eq!(lengths, expected, "{length} bytes");
        }
    }
}
