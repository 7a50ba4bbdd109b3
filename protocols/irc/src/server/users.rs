//! Users, as they are asked for: WHO and WHOIS.

use crate::codec::{Numeric, Word};

use super::reply::star;
use super::state::{CASE, Capability, ClientId, Member, State};

impl State {
    /// WHO, of a channel or one nickname. Masks are not matched.
    pub(super) fn who(&mut self, id: ClientId, params: &[&str]) {
        let mask = params.first().copied().unwrap_or("*");
        let found: Vec<(Word, ClientId, Member)> = match self.channels.get(&CASE.fold(mask)) {
            Some(channel) if channel.is_visible_to(id) => channel
                .members
                .iter()
                .map(|(member, rank)| (channel.name.clone(), *member, *rank))
                .collect(),
            Some(_) => Vec::new(),
            None => self
                .find(mask)
                .map(|client| (star(), client, Member::default()))
                .into_iter()
                .collect(),
        };
        let all = self.can(id, Capability::MultiPrefix);
        for (channel, member, rank) in found {
            let Some(client) = self.clients.get(&member) else {
                continue;
            };
            let here = if client.away.is_some() { 'G' } else { 'H' };
            let reply = self
                .numeric(id, Numeric::RPL_WHOREPLY)
                .word(&channel)
                .word(client.user.as_deref().unwrap_or("*"))
                .word(&client.host)
                .word(&self.config.name)
                .word(&self.nick_of(member))
                .word(&format!("{here}{}", rank.symbols(all)))
                .text(&format!("0 {}", client.real_name));
            self.send(id, reply);
        }
        self.tell_about(id, Numeric::RPL_ENDOFWHO, mask, "End of /WHO list");
    }

    pub(super) fn whois(&mut self, id: ClientId, params: &[&str]) {
        // With two parameters, the first names a server.
        let Some(&asked) = params.get(1).or(params.first()) else {
            return self.tell(id, Numeric::ERR_NONICKNAMEGIVEN, "No nickname given");
        };
        let Some(target) = self.find(asked) else {
            self.tell_about(id, Numeric::ERR_NOSUCHNICK, asked, "No such nick/channel");
            return self.tell_about(id, Numeric::RPL_ENDOFWHOIS, asked, "End of /WHOIS list");
        };
        let nick = self.nick_of(target);
        let replies = {
            let Some(client) = self.clients.get(&target) else {
                return;
            };
            let line = |numeric| self.numeric(id, numeric).word(&nick);
            let mut replies = vec![
                line(Numeric::RPL_WHOISUSER)
                    .word(client.user.as_deref().unwrap_or("*"))
                    .word(&client.host)
                    .word("*")
                    .text(&client.real_name),
                line(Numeric::RPL_WHOISSERVER)
                    .word(&self.config.name)
                    .text("A server for demos and tests"),
            ];
            let channels: Vec<String> = client
                .channels
                .iter()
                .filter_map(|name| self.channels.get(name))
                .filter(|channel| channel.is_visible_to(id))
                .map(|channel| {
                    let rank = channel.members.get(&target).copied().unwrap_or_default();
                    format!("{}{}", rank.symbols(true), channel.name)
                })
                .collect();
            // Six names of the greatest length fit into a line.
            for names in channels.chunks(6) {
                replies.push(line(Numeric::RPL_WHOISCHANNELS).text(&names.join(" ")));
            }
            if let Some(away) = &client.away {
                replies.push(line(Numeric::RPL_AWAY).text(away));
            }
            if let Some(account) = &client.account {
                replies.push(
                    line(Numeric::RPL_WHOISACCOUNT)
                        .word(account)
                        .text("is logged in as"),
                );
            }
            let now = self.now.unix_millis();
            let idle = now.saturating_sub(client.last_message.unix_millis()) / 1000;
            replies.push(
                line(Numeric::RPL_WHOISIDLE)
                    .word(&idle.to_string())
                    .word(&(client.signed_on.unix_millis() / 1000).to_string())
                    .text("seconds idle, signon time"),
            );
            replies.push(line(Numeric::RPL_ENDOFWHOIS).text("End of /WHOIS list"));
            replies
        };
        for reply in replies {
            self.send(id, reply);
        }
    }
}
