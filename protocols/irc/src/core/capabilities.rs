//! Capabilities: what the server has, and what is in use (IRCv3 capability-negotiation).

use std::collections::{BTreeMap, BTreeSet};

/// What this client uses where the server has it. `sasl` is asked for when it is to be used.
const WANTED: [&str; 16] = [
    "account-notify",
    "account-tag",
    "away-notify",
    "batch",
    "cap-notify",
    "chghost",
    "echo-message",
    "extended-join",
    "invite-notify",
    "labeled-response",
    "message-tags",
    "multi-prefix",
    "server-time",
    "setname",
    "standard-replies",
    "userhost-in-names",
];
/// Capabilities of a server that are kept; further ones are ignored.
const MAX_AVAILABLE: usize = 256;
/// The longest value that is kept, in bytes.
const MAX_VALUE: usize = 512;

#[derive(Debug, Default)]
pub(super) struct Capabilities {
    available: BTreeMap<String, String>,
    enabled: BTreeSet<&'static str>,
    /// Asked for and not answered yet.
    outstanding: BTreeSet<&'static str>,
    /// Asked for and refused; not asked for again until it is offered again.
    refused: BTreeSet<&'static str>,
}

impl Capabilities {
    /// Whether it is in use.
    pub(super) fn has(&self, name: &str) -> bool {
        self.enabled.contains(name)
    }

    /// The value of one that the server has.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.available.get(name).map(String::as_str)
    }

    /// Whether everything that was asked for is answered.
    pub(super) fn is_settled(&self) -> bool {
        self.outstanding.is_empty()
    }

    /// What is in use.
    pub(super) fn enabled(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.enabled.iter().copied()
    }

    /// Notes what the server has (`LS`, `NEW`).
    pub(super) fn offer(&mut self, list: &str) {
        for capability in list.split_ascii_whitespace() {
            let (name, value) = capability.split_once('=').unwrap_or((capability, ""));
            let known = self.available.contains_key(name);
            self.refused.remove(name);
            if value.len() <= MAX_VALUE && (known || self.available.len() < MAX_AVAILABLE) {
                self.available.insert(name.to_owned(), value.to_owned());
            }
        }
    }

    /// What to ask for now: wanted, there, and not yet asked for.
    pub(super) fn take_wanted(&mut self, sasl: bool) -> Vec<&'static str> {
        let sasl = sasl.then_some("sasl");
        let wanted: Vec<_> = WANTED
            .into_iter()
            .chain(sasl)
            .filter(|name| self.available.contains_key(*name))
            .filter(|name| {
                let known = [&self.enabled, &self.outstanding, &self.refused];
                !known.iter().any(|set| set.contains(name))
            })
            .collect();
        self.outstanding.extend(&wanted);
        wanted
    }

    /// The server grants them (`ACK`); with `-`, it takes them back.
    pub(super) fn grant(&mut self, list: &str) {
        for capability in list.split_ascii_whitespace() {
            let (name, on) = match capability.strip_prefix('-') {
                Some(name) => (name, false),
                None => (capability, true),
            };
            // Only what was asked for can be granted.
            let asked = self.outstanding.iter().find(|asked| **asked == name);
            match asked.copied() {
                Some(asked) if on => {
                    self.outstanding.remove(asked);
                    self.enabled.insert(asked);
                }
                _ if !on => {
                    self.outstanding.remove(name);
                    self.enabled.remove(name);
                }
                _ => {}
            }
        }
    }

    /// The server refuses a request (`NAK`), which it does as a whole: returns what to ask for one
    /// by one. A refusal of a single capability stands.
    pub(super) fn refuse(&mut self, list: &str) -> Vec<&'static str> {
        let refused: Vec<&'static str> = list
            .split_ascii_whitespace()
            .filter_map(|name| self.outstanding.iter().find(|asked| **asked == name))
            .copied()
            .collect();
        if let [single] = *refused {
            self.outstanding.remove(single);
            self.refused.insert(single);
            return Vec::new();
        }
        refused
    }

    /// The server no longer has them (`DEL`).
    pub(super) fn withdraw(&mut self, list: &str) {
        for name in list.split_ascii_whitespace() {
            self.available.remove(name);
            self.enabled.remove(name);
            self.outstanding.remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_request_is_repeated_one_by_one() {
        let mut capabilities = Capabilities::default();
        capabilities.offer("batch server-time=x sasl=PLAIN unknown");
        assert_eq!(
            capabilities.take_wanted(true),
            ["batch", "server-time", "sasl"]
        );
        assert_eq!(
            capabilities.refuse("batch server-time sasl"),
            ["batch", "server-time", "sasl"]
        );
        assert!(capabilities.refuse("batch").is_empty());
        capabilities.grant("server-time sasl unknown");
        assert!(capabilities.is_settled());
        assert_eq!(
            capabilities.enabled().collect::<Vec<_>>(),
            ["sasl", "server-time"]
        );
        capabilities.withdraw("sasl");
        assert!(!capabilities.has("sasl"));
    }

    #[test]
    fn a_hostile_list_is_cut() {
        let mut capabilities = Capabilities::default();
        for number in 0..10_000 {
            capabilities.offer(&format!("cap{number}=x"));
        }
        assert_eq!(capabilities.available.len(), MAX_AVAILABLE);
    }
}
