//! Topic names and topic filters (MQTT 5, section 4.7).

use std::fmt;
use std::ops::Deref;
use std::str::FromStr;

use bytes::Bytes;

use super::decode::TOPIC_INVALID;
use super::read::NOT_TEXT;
use super::{DecodeError, InvalidValue, Text};

/// A topic name: what a message is published to. At least one character, no wildcard.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicName(Text);

impl TopicName {
    /// Checks a topic name.
    ///
    /// # Errors
    /// Where it is empty, holds `+`, `#` or U+0000, or is longer than 65,535 bytes.
    pub fn new(name: impl Into<String>) -> Result<Self, InvalidValue> {
        Self::from_text(Text::new(name)?)
    }

    /// Checks a topic name.
    ///
    /// # Errors
    /// Where it is empty or holds `+` or `#`.
    pub fn from_text(name: Text) -> Result<Self, InvalidValue> {
        if name.is_empty() {
            Err(InvalidValue("a topic name is empty"))
        } else if has_wildcard(&name) {
            Err(InvalidValue("a topic name holds a wildcard"))
        } else {
            Ok(Self(name))
        }
    }

    /// Checks a topic name that was read.
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "what is made is large: it is to be made in place"
    )]
    pub(super) fn from_wire(packet: &Bytes, name: &[u8]) -> Result<Self, DecodeError> {
        // In one go: most topics are fine.
        let plain = Text::plain(name, |byte| !matches!(byte, b'+' | b'#'));
        if let Some(text) = plain.filter(|_| !name.is_empty()) {
            return Ok(Self(text));
        }
        let name = Text::checked(packet, name).ok_or(NOT_TEXT)?;
        Self::from_text(name).map_err(|_| TOPIC_INVALID)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The name.
    pub fn as_text(&self) -> &Text {
        &self.0
    }
}

/// A topic filter: what is subscribed to. `+` stands for one level, `#` at the end for all that
/// follow; `$share/NAME/FILTER` is a shared subscription (MQTT 5, section 4.8.2).
///
/// ```
/// use jackfield_mqtt::codec::{TopicFilter, TopicName};
///
/// let filter: TopicFilter = "house/+/temperature".parse()?;
/// assert!(filter.matches(&TopicName::new("house/attic/temperature")?));
/// assert!(TopicFilter::new("house/#/temperature").is_err());
/// # Ok::<(), jackfield_mqtt::codec::InvalidValue>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicFilter(Text);

/// What a shared subscription's filter begins with.
const SHARE: &str = "$share/";

impl TopicFilter {
    /// Checks a topic filter.
    ///
    /// # Errors
    /// Where it is empty, a wildcard doesn't fill its level, `#` is not the last level, the name of
    /// a shared subscription is empty or holds a wildcard, or it is no string that MQTT can carry.
    pub fn new(filter: impl Into<String>) -> Result<Self, InvalidValue> {
        Self::from_text(Text::new(filter)?)
    }

    /// Checks a topic filter.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn from_text(filter: Text) -> Result<Self, InvalidValue> {
        let mut matched: &str = &filter;
        if let Some(shared) = filter.strip_prefix(SHARE) {
            let Some((name, rest)) = shared.split_once('/') else {
                return Err(InvalidValue("a shared subscription has no filter"));
            };
            if name.is_empty() || has_wildcard(name) {
                return Err(InvalidValue(
                    "the name of a shared subscription is empty or holds a wildcard",
                ));
            }
            matched = rest;
        }
        if matched.is_empty() {
            return Err(InvalidValue("a topic filter is empty"));
        }
        let mut levels = matched.split('/').peekable();
        while let Some(level) = levels.next() {
            if level.len() > 1 && has_wildcard(level) {
                return Err(InvalidValue("a wildcard does not fill its level"));
            }
            if level == "#" && levels.peek().is_some() {
                return Err(InvalidValue("`#` is not the last level"));
            }
        }
        Ok(Self(filter))
    }

    /// The filter as it is sent, `$share/NAME/` included.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The filter as it is sent, `$share/NAME/` included.
    pub fn as_text(&self) -> &Text {
        &self.0
    }

    /// The name of the shared subscription that this filter is of.
    pub fn share_name(&self) -> Option<&str> {
        let (name, _) = self.0.strip_prefix(SHARE)?.split_once('/')?;
        Some(name)
    }

    /// The filter that topics are compared with: without `$share/NAME/`.
    pub fn without_share(&self) -> &str {
        let shared = self.0.strip_prefix(SHARE);
        shared
            .and_then(|shared| shared.split_once('/'))
            .map_or(&self.0, |(_, filter)| filter)
    }

    /// Whether it has a wildcard.
    pub fn has_wildcard(&self) -> bool {
        has_wildcard(self.without_share())
    }

    /// Whether a message with this topic is meant (MQTT 5, sections 4.7.1 to 4.7.3): a wildcard at
    /// the beginning does not match a topic that begins with `$`.
    pub fn matches(&self, topic: &TopicName) -> bool {
        let filter = self.without_share();
        if topic.starts_with('$') && filter.starts_with(['+', '#']) {
            return false;
        }
        let mut levels = topic.split('/');
        let mut wanted = filter.split('/');
        loop {
            match (wanted.next(), levels.next()) {
                (Some("#"), _) | (None, None) => return true,
                (Some("+"), Some(_)) => {}
                (Some(wanted), Some(level)) if wanted == level => {}
                _ => return false,
            }
        }
    }
}

fn has_wildcard(text: &str) -> bool {
    text.as_bytes()
        .iter()
        .any(|byte| matches!(byte, b'+' | b'#'))
}

macro_rules! text_like {
    ($($name:ident)*) => {$(
        impl Deref for $name {
            type Target = str;

            fn deref(&self) -> &str {
                self.as_str()
            }
        }

        impl FromStr for $name {
            type Err = InvalidValue;

            fn from_str(text: &str) -> Result<Self, InvalidValue> {
                Self::new(text)
            }
        }

        impl TryFrom<&str> for $name {
            type Error = InvalidValue;

            fn try_from(text: &str) -> Result<Self, InvalidValue> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidValue;

            fn try_from(text: String) -> Result<Self, InvalidValue> {
                Self::new(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(self.as_str(), f)
            }
        }
    )*};
}

text_like! { TopicName TopicFilter }

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_specification() {
        let matches = |filter: &str, topic: &str| {
            let filter = TopicFilter::new(filter).expect(filter);
            filter.matches(&TopicName::new(topic).expect(topic))
        };
        // Section 4.7.1.2.
        for topic in ["sport/tennis/player1", "sport/tennis/player1/ranking"] {
            assert!(matches("sport/tennis/player1/#", topic));
        }
        assert!(matches("sport/#", "sport"));
        assert!(matches("#", "anything/at/all"));
        // Section 4.7.1.3.
        assert!(matches("sport/tennis/+", "sport/tennis/player1"));
        assert!(!matches("sport/tennis/+", "sport/tennis/player1/ranking"));
        assert!(!matches("sport/+", "sport"));
        assert!(matches("sport/+", "sport/"));
        for filter in ["+/+", "/+"] {
            assert!(matches(filter, "/finance"));
        }
        assert!(!matches("+", "/finance"));
        // Section 4.7.2.
        assert!(!matches("#", "$SYS/monitor"));
        assert!(!matches("+/monitor/Clients", "$SYS/monitor/Clients"));
        assert!(matches("$SYS/#", "$SYS/monitor"));
        assert!(matches("$SYS/monitor/+", "$SYS/monitor/Clients"));
        // Section 4.8.2.
        assert!(matches("$share/consumer1/sport/+", "sport/tennis"));
        assert!(!matches("$share/consumer1/#", "$SYS/monitor"));
    }

    #[test]
    fn what_is_no_filter_is_refused() {
        for filter in [
            "",
            "sport/tennis#",
            "sport/tennis/#/ranking",
            "sport+",
            "+sport",
            "a\0b",
            "$share/",
            "$share/a",
            "$share/a/",
            "$share//a",
            "$share/+/a",
            "$share/a#/b",
        ] {
            assert!(TopicFilter::new(filter).is_err(), "{filter:?}");
        }
        for filter in [
            "+",
            "#",
            "/",
            "+/tennis/#",
            "$share",
            "$share/a//",
            "$shared/a",
        ] {
            assert!(TopicFilter::new(filter).is_ok(), "{filter:?}");
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for name in ["", "a/+", "#", "a\0b"] {
            assert!(TopicName::new(name).is_err(), "{name:?}");
        }
        assert!(TopicName::new("x".repeat(65_535)).is_ok());
        assert!(TopicName::new("x".repeat(65_536)).is_err());
    }
}
