//! Registration: capabilities, nickname, and the login between.

use jackfield_socket::time::Instant;

use super::Session;
use super::login::Login;
use super::session::Phase;
use crate::codec::{Command, Message, MessageRef, Nickname, Numeric, SourceRef, Text, Word};
use crate::error::{Refusal, RefusalCode, SessionError};

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
    pub(super) login: Login,
    /// Nicknames that were refused.
    refused_nicks: usize,
}

impl Registration {
    pub(super) fn deadline(&self) -> Instant {
        let login = self.login.deadline();
        login.map_or(self.until, |until| until.min(self.until))
    }

    /// What has taken too long.
    pub(super) fn overdue(&self, now: Instant) -> Option<SessionError> {
        if self.login.deadline().is_some_and(|until| until <= now) {
            return Some(SessionError::SaslTimedOut);
        }
        (self.until <= now).then_some(SessionError::RegistrationTimedOut)
    }
}

impl Session {
    /// Sends what begins a registration.
    pub(super) fn begin_registration(&mut self, now: Instant) {
        self.phase = Phase::Registering(Registration {
            until: now + self.config.registration_timeout,
            listed: false,
            ended: false,
            login: Login::default(),
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
    pub(super) fn go_on(&mut self, now: Instant) -> Result<(), SessionError> {
        let Phase::Registering(registration) = &mut self.phase else {
            return Ok(());
        };
        if !registration.listed || registration.ended || !self.capabilities.is_settled() {
            return Ok(());
        }
        if self.config.sasl.is_some() && !registration.login.is_done() {
            return self.begin_login(now);
        }
        registration.ended = true;
        let end = Message::builder(Command::Cap).word(Word::from_checked("END"));
        self.queue.push_urgent(end.build());
        Ok(())
    }

    /// Handles the numerics that only matter while registering; whether it was one.
    pub(super) fn on_registration_numeric(
        &mut self,
        now: Instant,
        numeric: Numeric,
        message: MessageRef<'_>,
    ) -> Result<bool, SessionError> {
        if self.on_login_numeric(now, numeric, message)? {
            return Ok(true);
        }
        let Phase::Registering(registration) = &mut self.phase else {
            return Ok(false);
        };
        match numeric {
            Numeric::RPL_WELCOME => {
                if self.config.sasl.is_some() && !registration.login.is_done() {
                    // Never go on as someone else than was asked for.
                    return Err(self.give_up(SessionError::SaslUnavailable));
                }
                self.welcome(now, message);
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
    fn nicknames_run_out() {
        let nick = |text: &str| Nickname::new(text).expect("a nickname");
        let mut config = super::super::Config::new(nick("ada"));
        config.alternatives = vec![nick("lovelace")];
        let tried: Vec<_> = (1..10).map_while(|n| config.nick_after(n)).collect();
        assert_eq!(tried, ["lovelace", "ada_", "ada__", "ada___", "ada____"]);
    }
}
