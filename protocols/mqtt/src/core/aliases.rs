//! Topic aliases (MQTT 5, section 3.3.2.3.4). They last as long as a connection.

use std::num::NonZeroU16;

use jackfield_socket::sorted::SortedMap;

use crate::codec::{DecodeError, ReasonCode, TopicName};

/// The server's.
#[derive(Debug, Default)]
pub(super) struct IncomingAliases {
    maximum: u16,
    /// Grows as aliases are used, up to the maximum.
    topics: Vec<Option<TopicName>>,
}

impl IncomingAliases {
    pub(super) fn new(maximum: u16) -> Self {
        Self {
            maximum,
            topics: Vec::new(),
        }
    }

    /// The topic of a message that came with this alias.
    pub(super) fn resolve(
        &mut self,
        alias: NonZeroU16,
        topic: Option<TopicName>,
    ) -> Result<TopicName, DecodeError> {
        if alias.get() > self.maximum {
            return Err(DecodeError::new(
                ReasonCode::TopicAliasInvalid,
                "a topic alias is larger than allowed",
            ));
        }
        let index = usize::from(alias.get() - 1);
        let Some(topic) = topic else {
            let known = self.topics.get(index).cloned().flatten();
            return known.ok_or(DecodeError::new(
                ReasonCode::ProtocolError,
                "a topic alias stands for no topic",
            ));
        };
        if self.topics.len() <= index {
            self.topics.resize(index + 1, None);
        }
        if let Some(slot) = self.topics.get_mut(index) {
            *slot = Some(topic.clone());
        }
        Ok(topic)
    }
}

/// This side's: given to the topics that were used last.
#[derive(Debug, Default)]
pub(super) struct OutgoingAliases {
    maximum: u16,
    topics: SortedMap<TopicName, (NonZeroU16, u64)>,
    /// When each was used last, counted in uses.
    uses: SortedMap<u64, TopicName>,
    used: u64,
}

/// How a message names its topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alias {
    /// By itself.
    None,
    /// The alias is to stand for it from now on.
    New(NonZeroU16),
    /// The alias stands for it already.
    Known(NonZeroU16),
}

impl OutgoingAliases {
    pub(super) fn new(maximum: u16) -> Self {
        Self {
            maximum,
            ..Self::default()
        }
    }

    /// The alias for a message that is sent now.
    pub(super) fn of(&mut self, topic: &TopicName) -> Alias {
        if self.maximum == 0 {
            return Alias::None;
        }
        self.used += 1;
        if let Some((alias, last)) = self.topics.get_mut(topic) {
            if let Some(topic) = self.uses.remove(last) {
                self.uses.insert(self.used, topic);
            }
            *last = self.used;
            return Alias::Known(*alias);
        }
        let alias = if self.topics.len() < usize::from(self.maximum) {
            NonZeroU16::new(self.topics.len() as u16 + 1)
        } else {
            let oldest = self.uses.pop_first();
            let oldest = oldest.and_then(|(_, topic)| self.topics.remove(&topic));
            oldest.map(|(alias, _)| alias)
        };
        let Some(alias) = alias else {
            return Alias::None;
        };
        self.topics.insert(topic.clone(), (alias, self.used));
        self.uses.insert(self.used, topic.clone());
        Alias::New(alias)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_topic_that_was_used_longest_ago_makes_room() {
        let topic = |name: &str| TopicName::new(name).expect(name);
        let number = |number| NonZeroU16::new(number).expect("a number");
        let mut aliases = OutgoingAliases::new(2);
        assert_eq!(aliases.of(&topic("a")), Alias::New(number(1)));
        assert_eq!(aliases.of(&topic("b")), Alias::New(number(2)));
        assert_eq!(aliases.of(&topic("a")), Alias::Known(number(1)));
        assert_eq!(aliases.of(&topic("c")), Alias::New(number(2)));
        assert_eq!(aliases.of(&topic("b")), Alias::New(number(1)));
        assert_eq!(OutgoingAliases::new(0).of(&topic("a")), Alias::None);
    }

    #[test]
    fn aliases_of_the_server_are_checked() {
        let alias = |number| NonZeroU16::new(number).expect("a number");
        let topic = || Some(TopicName::new("a").expect("a topic"));
        let mut aliases = IncomingAliases::new(2);
        let reason = |result: Result<_, DecodeError>| result.map_err(|error| error.reason());
        assert_eq!(
            reason(aliases.resolve(alias(1), None)),
            Err(ReasonCode::ProtocolError)
        );
        assert!(aliases.resolve(alias(2), topic()).is_ok());
        assert_eq!(aliases.resolve(alias(2), None).ok(), topic());
        assert_eq!(
            reason(aliases.resolve(alias(3), topic())),
            Err(ReasonCode::TopicAliasInvalid)
        );
    }
}
