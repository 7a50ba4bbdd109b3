//! Messages between clients, and being away.

use crate::codec::{Command, Numeric, TagKey, TagValue, Text};

use super::channels::{MODERATED, NO_OUTSIDERS};
use super::reply::{Reply, cut, star};
use super::state::{CASE, Capability, ClientId, State};

/// How many targets a message may have.
pub(super) const MAX_TARGETS: usize = 4;
/// The longest text of one who is away, in bytes.
pub(super) const MAX_AWAY: usize = 200;

impl State {
    /// PRIVMSG, NOTICE and TAGMSG. A NOTICE is never answered, not even with an error (RFC 2812,
    /// section 3.3.2).
    pub(super) fn message(
        &mut self,
        id: ClientId,
        command: Command<'_>,
        params: &[&str],
        client_tags: &[(TagKey, TagValue)],
    ) {
        let answers = command != Command::Notice;
        let Some(&targets) = params.first() else {
            if answers {
                let text = format!("No recipient given ({command})");
                self.tell(id, Numeric::ERR_NORECIPIENT, &text);
            }
            return;
        };
        let text = params.get(1).copied().unwrap_or_default();
        if text.is_empty() && command != Command::Tagmsg {
            if answers {
                self.tell(id, Numeric::ERR_NOTEXTTOSEND, "No text to send");
            }
            return;
        }
        if targets.split(',').count() > MAX_TARGETS {
            if answers {
                self.tell(id, Numeric::ERR_TOOMANYTARGETS, "Too many targets");
            }
            return;
        }
        let now = self.now;
        if let Some(client) = self.clients.get_mut(&id) {
            client.last_message = now;
        }
        let source = self.mask(id).unwrap_or_else(star);
        for target in targets.split(',') {
            let (target, receivers) = match self.receivers(id, target) {
                Ok(found) => found,
                Err((numeric, text)) => {
                    if answers {
                        self.tell_about(id, numeric, target, text);
                    }
                    continue;
                }
            };
            let mut message = Reply::new(&source, command).word(&target);
            if command != Command::Tagmsg {
                message = message.text(text);
            }
            let message = message.client_tags(client_tags);
            self.send_to(receivers.iter().copied(), &message);
            if self.can(id, Capability::EchoMessage) {
                self.send(id, message);
            }
            if command == Command::Privmsg
                && let [receiver] = receivers[..]
            {
                self.tell_away(id, &target, receiver);
            }
        }
    }

    /// A target's name as it is written, and who receives what is sent there.
    fn receivers(
        &self,
        id: ClientId,
        target: &str,
    ) -> Result<(String, Vec<ClientId>), (Numeric, &'static str)> {
        if !target.starts_with('#') {
            let receiver = self
                .find(target)
                .ok_or((Numeric::ERR_NOSUCHNICK, "No such nick/channel"))?;
            return Ok((self.nick_of(receiver).to_string(), vec![receiver]));
        }
        let channel = self
            .channels
            .get(&CASE.fold(target))
            .ok_or((Numeric::ERR_NOSUCHCHANNEL, "No such channel"))?;
        let may_speak = match channel.members.get(&id) {
            Some(member) => !channel.has(MODERATED) || member.operator || member.voice,
            None => !channel.has(MODERATED) && !channel.has(NO_OUTSIDERS),
        };
        if !may_speak {
            return Err((Numeric::ERR_CANNOTSENDTOCHAN, "Cannot send to channel"));
        }
        let others = channel.members.keys().copied().filter(|it| *it != id);
        Ok((channel.name.to_string(), others.collect()))
    }

    /// Tells a sender that the one it wrote to is away.
    fn tell_away(&mut self, id: ClientId, target: &str, receiver: ClientId) {
        if target.starts_with('#') {
            return;
        }
        let away = self.clients.get(&receiver).and_then(|it| it.away.clone());
        if let Some(text) = away {
            self.tell_about(id, Numeric::RPL_AWAY, target, &text);
        }
    }

    pub(super) fn away(&mut self, id: ClientId, params: &[&str]) {
        let text = params.first().copied().unwrap_or_default();
        let Some(client) = self.clients.get_mut(&id) else {
            return;
        };
        client.away = Text::new(cut(text, MAX_AWAY))
            .ok()
            .filter(|text| !text.is_empty());
        if client.away.is_some() {
            self.tell(
                id,
                Numeric::RPL_NOWAWAY,
                "You have been marked as being away",
            );
        } else {
            self.tell(
                id,
                Numeric::RPL_UNAWAY,
                "You are no longer marked as being away",
            );
        }
    }
}
