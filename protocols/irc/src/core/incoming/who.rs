//! The answers to `WHO`, with and without `WHOX`, and to `WHOIS`.

use std::time::Duration;

use super::Context;
use crate::codec::{MessageRef, Numeric, Source};
use crate::core::outgoing::WHOX_TOKEN;
use crate::core::pending::Kind;
use crate::core::{Event, Session, WhoEntry};

impl Session {
    /// One user in an answer to `WHO`.
    pub(super) fn on_who(&mut self, context: Context, numeric: Numeric, message: MessageRef<'_>) {
        let entry = if numeric == Numeric::RPL_WHOREPLY {
            self.who_entry(message)
        } else {
            self.whox_entry(message)
        };
        let is_who = |kind: &Kind| matches!(kind, Kind::Who(..));
        let found = entry.is_some_and(|entry| {
            self.pending.collect(context.label, 1, is_who, |kind| {
                if let Kind::Who(_, entries) = kind {
                    entries.push(entry);
                }
            })
        });
        if !found {
            self.emit(Event::Other(message.to_message()));
        }
    }

    pub(super) fn on_end_of_who(&mut self, context: Context, asked: &str) {
        let mapping = self.isupport.case_mapping;
        let done = self.pending.finish_collected(
            context.label,
            |kind| matches!(kind, Kind::Who(mask, _) if mapping.eq(mask, asked)),
        );
        self.complete(done);
    }

    pub(super) fn on_end_of_whois(&mut self, context: Context, asked: &str) {
        let mapping = self.isupport.case_mapping;
        let done = self.pending.finish_collected(
            context.label,
            |kind| matches!(kind, Kind::Whois(nick, _) if mapping.eq(nick, asked)),
        );
        self.complete(done);
    }

    /// The numerics of an answer to `WHOIS`; whether it was one.
    pub(super) fn on_whois(
        &mut self,
        context: Context,
        numeric: Numeric,
        message: MessageRef<'_>,
    ) -> bool {
        // 276 to 338, 378 and 379, 671: whatever is not known by name is kept as text.
        let is_whois = matches!(
            numeric.number(),
            276 | 301 | 307 | 310..=313 | 317 | 319 | 320 | 330 | 335 | 338 | 378 | 379 | 671
        );
        if !is_whois {
            return false;
        }
        let mapping = self.isupport.case_mapping;
        let [_, nick, third, fourth, _, sixth] = message.params().first();
        let channels = || third.split_ascii_whitespace().map(str::to_owned);
        let items = match numeric {
            Numeric::RPL_WHOISCHANNELS => channels().count(),
            _ => 1,
        };
        self.pending.collect(
            context.label,
            items,
            |kind| matches!(kind, Kind::Whois(asked, _) if mapping.eq(asked, nick)),
            |kind| {
                let Kind::Whois(_, whois) = kind else {
                    return;
                };
                match numeric {
                    Numeric::RPL_WHOISUSER => {
                        whois.user = Source {
                            name: nick.to_owned(),
                            user: Some(third.to_owned()),
                            host: Some(fourth.to_owned()),
                        };
                        sixth.clone_into(&mut whois.real_name);
                    }
                    Numeric::RPL_WHOISSERVER => {
                        whois.server = Some((third.to_owned(), fourth.to_owned()));
                    }
                    Numeric::RPL_WHOISOPERATOR => whois.operator = true,
                    Numeric::RPL_WHOISIDLE => {
                        whois.idle = third.parse().ok().map(Duration::from_secs);
                        whois.signed_on = fourth.parse().ok();
                    }
                    Numeric::RPL_WHOISCHANNELS => whois.channels.extend(channels()),
                    Numeric::RPL_WHOISACCOUNT => whois.account = Some(third.to_owned()),
                    Numeric::RPL_WHOISSECURE => whois.secure = true,
                    Numeric::RPL_AWAY => whois.away = Some(third.to_owned()),
                    _ => {
                        let words: Vec<&str> = message.params().skip(2).collect();
                        whois.other.push(words.join(" "));
                    }
                }
            },
        )
    }

    /// `RPL_WHOREPLY`: client, channel, user, host, server, nick, flags, `hops real name`.
    fn who_entry(&self, message: MessageRef<'_>) -> Option<WhoEntry> {
        let [_, channel, user, host, server, nick, flags, trailing] = message.params().first();
        let real_name = trailing.split_once(' ').map_or("", |(_, name)| name);
        let fields = [channel, user, host, server, nick, flags, "0", real_name];
        self.entry(fields)
    }

    /// `RPL_WHOSPCRPL`, with the fields that were asked for.
    fn whox_entry(&self, message: MessageRef<'_>) -> Option<WhoEntry> {
        let [
            _,
            token,
            channel,
            user,
            host,
            server,
            nick,
            flags,
            account,
            real_name,
        ] = message.params().first();
        if token != WHOX_TOKEN {
            return None;
        }
        self.entry([channel, user, host, server, nick, flags, account, real_name])
    }

    fn entry(&self, fields: [&str; 8]) -> Option<WhoEntry> {
        let [channel, user, host, server, nick, flags, account, real_name] = fields;
        if nick.is_empty() {
            return None;
        }
        let is_rank = |c: &char| {
            self.isupport
                .modes
                .ranks()
                .iter()
                .any(|(_, rank)| rank == c)
        };
        Some(WhoEntry {
            channel: channel.to_owned(),
            nick: nick.to_owned(),
            user: user.to_owned(),
            host: host.to_owned(),
            server: server.to_owned(),
            away: flags.starts_with('G'),
            operator: flags.contains('*'),
            symbols: flags.chars().filter(is_rank).collect(),
            account: (account != "0").then(|| account.to_owned()),
            real_name: real_name.to_owned(),
        })
    }
}
