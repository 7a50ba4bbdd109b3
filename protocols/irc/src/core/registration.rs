//! Registration: capabilities, login, nickname.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jackfield_socket::time::Instant;

use super::session::Phase;
use super::{Sasl, Session};
use crate::codec::{Command, Message, MessageRef, Nickname, Numeric, SourceRef, Text, Word};
use crate::error::{Refusal, RefusalCode, SessionError};

/// The longest piece of a SASL message, in bytes; a shorter one, or `+`, ends it (IRCv3 sasl-3.1).
const SASL_CHUNK: usize = 400;
/// How often `_` is appended to a nickname, after the alternatives.
const UNDERSCORES: usize = 4;

/// How far the registration has come.
#[derive(Debug)]
pub(super) struct Registration {
    until: Instant,
    /// The server has listed its capabilities.
    listed: bool,
    /// `CAP END` was sent.
    ended: bool,
    sasl: SaslStage,
    /// Nicknames that were refused.
    refused_nicks: usize,
}

#[derive(Debug, PartialEq, Eq)]
enum SaslStage {
    NotBegun,
    /// The mechanism was named.
    Named {
        until: Instant,
    },
    /// The credentials were sent.
    Sent {
        until: Instant,
    },
    Done,
}

impl Registration {
    pub(super) fn deadline(&self) -> Instant {
        match self.sasl {
            SaslStage::Named { until } | SaslStage::Sent { until } => until.min(self.until),
            SaslStage::NotBegun | SaslStage::Done => self.until,
        }
    }

    /// What has taken too long.
    pub(super) fn overdue(&self, now: Instant) -> Option<SessionError> {
        match self.sasl {
            SaslStage::Named { until } | SaslStage::Sent { until } if until <= now => {
                Some(SessionError::SaslTimedOut)
            }
            _ => (self.until <= now).then_some(SessionError::RegistrationTimedOut),
        }
    }
}

impl Session {
    /// Sends what begins a registration.
    pub(super) fn begin_registration(&mut self, now: Instant) {
        self.phase = Phase::Registering(Registration {
            until: now + self.config.registration_timeout,
            listed: false,
            ended: false,
            sasl: SaslStage::NotBegun,
            refused_nicks: 0,
        });
        let word = Word::from_checked;
        let list = Message::builder(Command::Cap).word(word("LS"));
        self.queue.push_urgent(list.word(word("302")).build());
        if let Some(password) = &self.config.password {
            let pass = Message::builder(Command::Pass).text(password.text());
            self.queue.push_urgent(pass);
        }
        self.send_nick();
        let user = Message::builder(Command::User)
            .word(&self.config.user)
            .word(word("0"))
            .word(word("*"))
            .text(&self.config.real_name);
        self.queue.push_urgent(user);
    }

    /// Handles `CAP`.
    pub(super) fn on_cap(
        &mut self,
        now: Instant,
        message: MessageRef<'_>,
    ) -> Result<(), SessionError> {
        let [_, subcommand, third, fourth] = message.params().first();
        match subcommand.to_ascii_uppercase().as_str() {
            "LS" => {
                // With `*`, more lines follow.
                let more = third == "*" && message.params().nth(3).is_some();
                self.capabilities.offer(if more { fourth } else { third });
                if !more {
                    if let Phase::Registering(registration) = &mut self.phase {
                        registration.listed = true;
                    }
                    self.request_capabilities();
                }
            }
            "NEW" => {
                self.capabilities.offer(third);
                self.request_capabilities();
            }
            "DEL" => self.capabilities.withdraw(third),
            "ACK" => self.capabilities.grant(third),
            "NAK" => {
                for name in self.capabilities.refuse(third) {
                    self.send_cap_request(name);
                }
            }
            _ => {}
        }
        self.go_on(now)
    }

    fn request_capabilities(&mut self) {
        let wanted = self.capabilities.take_wanted(self.config.sasl.is_some());
        if !wanted.is_empty() {
            self.send_cap_request(&wanted.join(" "));
        }
    }

    fn send_cap_request(&mut self, list: &str) {
        let request = Message::builder(Command::Cap).word(Word::from_checked("REQ"));
        let request = request.text(Text::from_checked(list));
        self.queue.push_answer(request);
    }

    /// Takes the next step, once the capabilities are settled: login, then `CAP END`.
    fn go_on(&mut self, now: Instant) -> Result<(), SessionError> {
        let Phase::Registering(registration) = &mut self.phase else {
            return Ok(());
        };
        if !registration.listed || registration.ended || !self.capabilities.is_settled() {
            return Ok(());
        }
        match (&self.config.sasl, &registration.sasl) {
            (Some(sasl), SaslStage::NotBegun) => {
                let offered = self.capabilities.has("sasl")
                    && self.capabilities.value("sasl").is_none_or(|mechanisms| {
                        // Without a list, the server tells only when it is asked.
                        mechanisms.is_empty()
                            || mechanisms
                                .split(',')
                                .any(|offered| offered.eq_ignore_ascii_case(sasl.mechanism()))
                    });
                if !offered {
                    let mechanism = sasl.mechanism();
                    return Err(self.give_up(SessionError::SaslUnavailable { mechanism }));
                }
                let until = now + self.config.sasl_timeout;
                registration.sasl = SaslStage::Named { until };
                let name = Word::from_checked(sasl.mechanism());
                self.queue.push_urgent(authenticate(name));
            }
            (Some(_), SaslStage::Named { .. } | SaslStage::Sent { .. }) => {}
            (_, SaslStage::Done) | (None, _) => {
                registration.ended = true;
                let end = Message::builder(Command::Cap).word(Word::from_checked("END"));
                self.queue.push_urgent(end.build());
            }
        }
        Ok(())
    }

    /// Handles `AUTHENTICATE`: the server is ready for the credentials.
    pub(super) fn on_authenticate(&mut self, message: MessageRef<'_>) {
        let Phase::Registering(registration) = &mut self.phase else {
            return;
        };
        let SaslStage::Named { until } = registration.sasl else {
            return;
        };
        if message.params().next() != Some("+") {
            return;
        }
        let Some(sasl) = &self.config.sasl else {
            return;
        };
        registration.sasl = SaslStage::Sent { until };
        for chunk in sasl_chunks(&sasl.initial_response()) {
            self.queue.push_urgent(authenticate(chunk));
        }
    }

    /// Handles the numerics that only matter while registering; whether it was one.
    pub(super) fn on_registration_numeric(
        &mut self,
        now: Instant,
        numeric: Numeric,
        message: MessageRef<'_>,
    ) -> Result<bool, SessionError> {
        let Phase::Registering(registration) = &mut self.phase else {
            return Ok(false);
        };
        match numeric {
            Numeric::RPL_WELCOME => {
                if let Some(sasl) = &self.config.sasl
                    && registration.sasl != SaslStage::Done
                {
                    // Never go on as someone else than was asked for.
                    let mechanism = sasl.mechanism();
                    return Err(self.give_up(SessionError::SaslUnavailable { mechanism }));
                }
                self.welcome(now, message);
            }
            Numeric::RPL_SASLSUCCESS | Numeric::ERR_SASLALREADY => {
                if matches!(registration.sasl, SaslStage::Sent { .. }) {
                    registration.sasl = SaslStage::Done;
                }
                self.go_on(now)?;
            }
            Numeric::ERR_NICKLOCKED
            | Numeric::ERR_SASLFAIL
            | Numeric::ERR_SASLTOOLONG
            | Numeric::ERR_SASLABORTED => {
                let Some(sasl) = &self.config.sasl else {
                    return Ok(false);
                };
                return Err(self.give_up(SessionError::SaslRefused {
                    mechanism: sasl.mechanism(),
                    refusal: refusal(numeric, message),
                }));
            }
            Numeric::ERR_NICKNAMEINUSE
            | Numeric::ERR_NICKCOLLISION
            | Numeric::ERR_ERRONEUSNICKNAME
            | Numeric::ERR_UNAVAILRESOURCE => {
                registration.refused_nicks += 1;
                let Some(nick) = self.config.nick_after(registration.refused_nicks) else {
                    let refusal = refusal(numeric, message);
                    return Err(self.give_up(SessionError::NicknameUnavailable(refusal)));
                };
                self.nick_taken(numeric);
                self.nick = nick;
                self.send_nick();
            }
            Numeric::ERR_PASSWDMISMATCH => {
                let refusal = refusal(numeric, message);
                return Err(self.give_up(SessionError::PasswordRefused(refusal)));
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn welcome(&mut self, now: Instant, message: MessageRef<'_>) {
        let mut params = message.params();
        if let Some(Ok(nick)) = params.next().map(Nickname::new) {
            self.nick = nick;
        }
        // Most servers end their welcome with `nick!user@host`.
        let last = params.last().and_then(|text| text.rsplit(' ').next());
        if let Some(source) = last.map(SourceRef::parse)
            && self.is_own(source.name)
        {
            self.learn_own(source);
        }
        self.phase = Phase::Welcomed;
        self.send_ping(now);
    }

    /// Notes what a source of this client's own says about user name and host.
    pub(super) fn learn_own(&mut self, source: SourceRef<'_>) {
        if let (Some(user), Some(host)) = (source.user, source.host) {
            self.user = Some(user.to_owned());
            self.host = Some(host.to_owned());
        }
    }

    fn send_nick(&mut self) {
        let nick = Message::builder(Command::Nick).word(&self.nick).build();
        self.queue.push_urgent(nick);
    }
}

impl super::Config {
    /// The nickname to try after so many were refused.
    fn nick_after(&self, refused: usize) -> Option<Nickname> {
        if let Some(nick) = self.alternatives.get(refused - 1) {
            return Some(nick.clone());
        }
        let underscores = refused - self.alternatives.len();
        if underscores > UNDERSCORES {
            return None;
        }
        Nickname::new(format!("{}{}", self.nick, "_".repeat(underscores))).ok()
    }
}

impl Sasl {
    fn mechanism(&self) -> &'static str {
        match self {
            Self::Plain { .. } => "PLAIN",
            Self::External => "EXTERNAL",
        }
    }

    fn initial_response(&self) -> Vec<u8> {
        match self {
            // authzid, authcid, passwd (RFC 4616, section 2); no authzid: the account itself.
            Self::Plain { account, password } => {
                format!("\0{account}\0{}", password.text()).into_bytes()
            }
            Self::External => Vec::new(),
        }
    }
}

/// A SASL message in pieces of 400 bytes. An empty one, and the end of one whose last piece is
/// full, is `+`.
fn sasl_chunks(response: &[u8]) -> Vec<Word> {
    let encoded = STANDARD.encode(response);
    let mut chunks = Vec::new();
    let mut rest = encoded.as_str();
    while let Some((chunk, tail)) = rest.split_at_checked(SASL_CHUNK) {
        chunks.push(Word::from_checked(chunk));
        rest = tail;
    }
    let last = if rest.is_empty() { "+" } else { rest };
    chunks.push(Word::from_checked(last));
    chunks
}

pub(super) fn authenticate(payload: Word) -> Message {
    Message::builder(Command::Authenticate)
        .word(payload)
        .build()
}

/// A numeric as a refusal.
pub(super) fn refusal(numeric: Numeric, message: MessageRef<'_>) -> Refusal {
    Refusal {
        code: RefusalCode::Numeric(numeric),
        text: message.params().last().unwrap_or_default().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sasl_messages_end_with_a_short_piece() {
        for (length, expected) in [
            (0, vec![1]),
            (3, vec![4]),
            (300, vec![400, 1]),
            (301, vec![400, 4]),
        ] {
            let chunks = sasl_chunks(&vec![0; length]);
            let lengths: Vec<_> = chunks.iter().map(|chunk| chunk.len()).collect();
            assert_eq!(lengths, expected, "{length} bytes");
        }
    }

    #[test]
    fn nicknames_run_out() {
        let nick = |text: &str| Nickname::new(text).expect("a nickname");
        let mut config = super::super::Config::new(nick("ada"));
        config.alternatives = vec![nick("lovelace")];
        let tried: Vec<_> = (1..10).map_while(|n| config.nick_after(n)).collect();
        assert_eq!(tried, ["lovelace", "ada_", "ada__", "ada___", "ada____"]);
    }
}
