//! Regain of a nickname that was taken when this client registered, most often by its own former
//! connection, which the server has not given up yet.
//!
//! Whether it is free again shows in three ways: who held it is seen leaving or renaming itself in
//! a channel; the server says so, where it has MONITOR
//! (<https://ircv3.net/specs/extensions/monitor>); or it is asked now and then, with ISON (RFC 2812,
//! section 4.9). A server that knows neither is asked for the nickname itself.

use std::time::Duration;

use jackfield_socket::time::Instant;

use super::Session;
use crate::codec::{Command, Message, MessageRef, Nickname, Numeric, SourceRef, Word};

/// The shortest interval that is kept to.
const SHORTEST: Duration = Duration::from_millis(1);

/// The nickname, and how it is watched.
#[derive(Debug)]
pub(super) struct Regain {
    nick: Nickname,
    watch: Watch,
    /// When the server is asked again.
    next: Option<Instant>,
    /// `ISON` was sent and not answered.
    asked: bool,
    /// `NICK` was sent and not answered.
    tried: bool,
    /// Not wanted any more: what is still unanswered is waited for.
    over: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Watch {
    /// It is not yet: the registration goes on.
    Not,
    Monitor,
    Ison,
    /// By trying to take it.
    Nick,
}

impl Session {
    /// Notes, while registering, that the nickname of the configuration is taken.
    pub(super) fn nick_taken(&mut self, numeric: Numeric) {
        let is_taken = matches!(
            numeric,
            Numeric::ERR_NICKNAMEINUSE | Numeric::ERR_NICKCOLLISION | Numeric::ERR_UNAVAILRESOURCE
        );
        if self.config.regain_nick && is_taken && self.nick == self.config.nick {
            self.regain = Some(Regain {
                nick: self.nick.clone(),
                watch: Watch::Not,
                next: None,
                asked: false,
                tried: false,
                over: false,
            });
        }
    }

    /// Begins to watch, now that the registration is complete.
    pub(super) fn begin_regain(&mut self, now: Instant) {
        let watch = if self.isupport.monitor {
            Watch::Monitor
        } else {
            Watch::Ison
        };
        self.watch_nick(now, watch);
    }

    fn watch_nick(&mut self, now: Instant, watch: Watch) {
        let Some(regain) = &mut self.regain else {
            return;
        };
        regain.watch = watch;
        if watch == Watch::Monitor {
            regain.next = None;
            let nick = regain.nick.clone();
            self.send_monitor("+", &nick);
        } else {
            regain.next = Some(now + self.config.regain_interval.max(SHORTEST));
        }
    }

    /// When the server is to be asked.
    pub(super) fn regain_deadline(&self) -> Option<Instant> {
        self.regain.as_ref()?.next
    }

    /// Asks the server, where it is time.
    pub(super) fn ask_for_nick(&mut self, now: Instant) {
        let Some(regain) = &mut self.regain else {
            return;
        };
        if regain.next.is_none_or(|next| next > now) {
            return;
        }
        regain.next = Some(now + self.config.regain_interval.max(SHORTEST));
        match regain.watch {
            Watch::Ison if !regain.asked => {
                regain.asked = true;
                let ison = Message::builder(Command::Ison).word(&regain.nick).build();
                self.queue.push_answer(ison);
            }
            Watch::Ison | Watch::Not => {}
            Watch::Monitor | Watch::Nick => self.try_nick(),
        }
    }

    /// Someone has let go of a nickname: has left, or has another.
    pub(super) fn nick_left(&mut self, nick: &str) {
        if self.is_wanted(nick) {
            self.try_nick();
        }
    }

    /// The user says something to the server: with another nickname, this one is not wanted any more.
    pub(super) fn note_nick(&mut self, message: MessageRef<'_>) {
        if message.command() == Command::Nick
            && let Some(nick) = message.params().next()
            && !self.is_wanted(nick)
        {
            self.end_regain();
        }
    }

    fn end_regain(&mut self) {
        let Some(regain) = &mut self.regain else {
            return;
        };
        regain.over = true;
        regain.next = None;
        if regain.watch == Watch::Monitor {
            regain.watch = Watch::Not;
            let nick = regain.nick.clone();
            self.send_monitor("-", &nick);
        }
        self.forget_regain();
    }

    /// This client has another nickname now.
    pub(super) fn nick_changed(&mut self) {
        if self.is_wanted(&self.nick) {
            if let Some(regain) = &mut self.regain {
                regain.tried = false;
            }
            self.end_regain();
        }
    }

    /// Takes a numeric that answers something said here; whether it did.
    pub(super) fn on_regain_numeric(
        &mut self,
        now: Instant,
        numeric: Numeric,
        message: MessageRef<'_>,
    ) -> bool {
        let [_, second, third] = message.params().first();
        let is_full = numeric == Numeric::ERR_MONLISTFULL && self.is_wanted(third);
        let Some(regain) = &mut self.regain else {
            return false;
        };
        match numeric {
            Numeric::RPL_ISON if regain.asked => {
                regain.asked = false;
                let mapping = self.isupport.case_mapping;
                let wanted = &regain.nick;
                let is_there = second
                    .split_ascii_whitespace()
                    .any(|nick| mapping.eq(nick, wanted));
                if !is_there && !regain.over {
                    self.try_nick();
                }
                self.forget_regain();
                true
            }
            Numeric::RPL_MONONLINE | Numeric::RPL_MONOFFLINE => {
                let names = second.split(',');
                let is_wanted = |target| self.is_wanted(SourceRef::parse(target).name);
                let others = names.clone().any(|target| !is_wanted(target));
                if names.clone().any(is_wanted) && numeric == Numeric::RPL_MONOFFLINE {
                    self.try_nick();
                }
                !others
            }
            _ if is_full && regain.watch == Watch::Monitor => {
                self.watch_nick(now, Watch::Ison);
                true
            }
            Numeric::ERR_UNKNOWNCOMMAND if regain.asked && second.eq_ignore_ascii_case("ISON") => {
                regain.asked = false;
                self.watch_nick(now, Watch::Nick);
                self.forget_regain();
                true
            }
            Numeric::ERR_ERRONEUSNICKNAME
            | Numeric::ERR_NICKNAMEINUSE
            | Numeric::ERR_BANONCHAN
            | Numeric::ERR_NICKCOLLISION
            | Numeric::ERR_UNAVAILRESOURCE
            | Numeric::ERR_NICKTOOFAST
            | Numeric::ERR_CANTCHANGENICK
                if regain.tried =>
            {
                // The server answers in order: a nickname that the user asked for comes later.
                regain.tried = false;
                if !regain.over && numeric != Numeric::ERR_NICKNAMEINUSE {
                    // Who watches by MONITOR is not told again.
                    regain.next = Some(now + self.config.regain_interval.max(SHORTEST));
                }
                self.forget_regain();
                true
            }
            _ => false,
        }
    }

    fn is_wanted(&self, nick: &str) -> bool {
        self.regain
            .as_ref()
            .is_some_and(|regain| !regain.over && self.isupport.case_mapping.eq(&regain.nick, nick))
    }

    fn try_nick(&mut self) {
        if let Some(regain) = &mut self.regain
            && !regain.tried
            && !regain.over
            && regain.watch != Watch::Not
        {
            regain.tried = true;
            let nick = Message::builder(Command::Nick).word(&regain.nick).build();
            self.queue.push_answer(nick);
        }
    }

    fn send_monitor(&mut self, sign: &str, nick: &Nickname) {
        let monitor = Message::builder(Command::Monitor).word(Word::from_checked(sign));
        self.queue.push_answer(monitor.word(nick).build());
    }

    /// Forgets it once nothing is unanswered.
    fn forget_regain(&mut self) {
        let is_over = |regain: &mut Regain| regain.over && !regain.asked && !regain.tried;
        let _ = self.regain.take_if(is_over);
    }
}
