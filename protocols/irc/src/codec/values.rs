//! Checked strings: what a message may be built of.
//!
//! Each type says what can't be in it, and so what it can't do on the wire. They are cheap to
//! clone, and compare byte by byte: whether two *names* are the same is the server's
//! [`CaseMapping`](super::CaseMapping) to say.

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;
use std::str::FromStr;
use std::sync::Arc;

/// A string that is not what it was to be: which type refused it, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidValue {
    what: &'static str,
    reason: Reason,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    Empty,
    Contains { character: char, at: usize },
    StartsWith(char),
}

impl InvalidValue {
    pub(super) fn empty(what: &'static str) -> Self {
        let reason = Reason::Empty;
        Self { what, reason }
    }

    pub(super) fn contains(what: &'static str, character: char, at: usize) -> Self {
        let reason = Reason::Contains { character, at };
        Self { what, reason }
    }
}

impl fmt::Display for InvalidValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The value itself may be a secret, and may be anything: it is not repeated.
        match self.reason {
            Reason::Empty => write!(f, "{} can't be empty", self.what),
            Reason::Contains { character, at } => {
                write!(f, "{} can't contain {character:?} (byte {at})", self.what)
            }
            Reason::StartsWith(character) => {
                write!(f, "{} can't start with {character:?}", self.what)
            }
        }
    }
}

impl std::error::Error for InvalidValue {}

fn refuse_characters(text: &str, refused: &[char]) -> Result<(), Reason> {
    match text
        .char_indices()
        .find(|(_, character)| refused.contains(character))
    {
        Some((at, character)) => Err(Reason::Contains { character, at }),
        None => Ok(()),
    }
}

fn refuse_empty(text: &str) -> Result<(), Reason> {
    if text.is_empty() {
        return Err(Reason::Empty);
    }
    Ok(())
}

fn refuse_start(text: &str, refused: &[char]) -> Result<(), Reason> {
    match text.chars().next() {
        Some(first) if refused.contains(&first) => Err(Reason::StartsWith(first)),
        _ => Ok(()),
    }
}

fn check_word(text: &str) -> Result<(), Reason> {
    refuse_empty(text)?;
    refuse_start(text, &[':'])?;
    refuse_characters(text, &[' ', '\r', '\n', '\0'])
}

macro_rules! checked_string {
    ($(#[$doc:meta])* $name:ident, $what:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks a string.
            ///
            /// # Errors
            /// Where it holds what this type excludes.
            pub fn new(text: impl AsRef<str>) -> Result<Self, InvalidValue> {
                let text = text.as_ref();
                let check: fn(&str) -> Result<(), Reason> = $check;
                match check(text) {
                    Ok(()) => Ok(Self(text.into())),
                    Err(reason) => Err(InvalidValue { what: $what, reason }),
                }
            }

            /// The string.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl Deref for $name {
            type Target = str;

            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
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

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                &*self.0 == other
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                &*self.0 == *other
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }
    };
}

checked_string! {
    /// A parameter that others may follow: not empty, no space, CR, LF or NUL, no `:` in front.
    ///
    /// ```
    /// use jackfield_irc::codec::Word;
    ///
    /// assert_eq!(Word::new("+o")?, "+o");
    /// assert!(Word::new("two words").is_err());
    /// # Ok::<(), jackfield_irc::codec::InvalidValue>(())
    /// ```
    Word, "a word", check_word
}

checked_string! {
    /// A last parameter: anything but CR, LF and NUL.
    ///
    /// ```
    /// use jackfield_irc::codec::Text;
    ///
    /// assert_eq!(Text::new("good morning :)")?, "good morning :)");
    /// assert_eq!(
    ///     Text::new("hi\r\nQUIT").unwrap_err().to_string(),
    ///     "a text can't contain '\\r' (byte 2)",
    /// );
    /// # Ok::<(), jackfield_irc::codec::InvalidValue>(())
    /// ```
    Text, "a text", |text| refuse_characters(text, &['\r', '\n', '\0'])
}

checked_string! {
    /// A nickname: a [`Word`] without `,`, `!` or `@`, that does not start with `#`, `&` or `$`.
    ///
    /// Servers allow less, and refuse the rest themselves. What is excluded here would mean
    /// something else in a command.
    ///
    /// ```
    /// use jackfield_irc::codec::Nickname;
    ///
    /// let nick: Nickname = "ada".parse()?;
    /// assert!("#ada".parse::<Nickname>().is_err());
    /// # Ok::<(), jackfield_irc::codec::InvalidValue>(())
    /// ```
    Nickname, "a nickname", |text| {
        check_word(text)?;
        refuse_start(text, &['#', '&', '$'])?;
        refuse_characters(text, &[',', '!', '@'])
    }
}

checked_string! {
    /// A channel's name: a [`Word`] without `,` or BEL, that starts with one of `#`, `&`, `+`, `!`
    /// (RFC 2812, section 1.3).
    ///
    /// ```
    /// use jackfield_irc::codec::ChannelName;
    ///
    /// let channel: ChannelName = "#rust".parse()?;
    /// assert!("#rust,0".parse::<ChannelName>().is_err());
    /// # Ok::<(), jackfield_irc::codec::InvalidValue>(())
    /// ```
    ChannelName, "a channel name", |text| {
        check_word(text)?;
        refuse_characters(text, &[',', '\u{7}'])?;
        match text.chars().next() {
            Some('#' | '&' | '+' | '!') => Ok(()),
            other => Err(other.map_or(Reason::Empty, Reason::StartsWith)),
        }
    }
}

checked_string! {
    /// Whom a message is for: a [`Word`] without `,`. A nickname, a channel, or a channel's members
    /// from a rank upwards (`@#rust`).
    ///
    /// ```
    /// use jackfield_irc::codec::{ChannelName, Target};
    ///
    /// let channel: ChannelName = "#rust".parse()?;
    /// assert_eq!(Target::from(channel), "#rust");
    /// # Ok::<(), jackfield_irc::codec::InvalidValue>(())
    /// ```
    Target, "a target", |text| {
        check_word(text)?;
        refuse_characters(text, &[','])
    }
}

checked_string! {
    /// A tag's key (IRCv3 message-tags): ASCII letters, digits, `-`, `_`, `.`, `/`, and `+` in
    /// front of one that clients may set.
    ///
    /// ```
    /// use jackfield_irc::codec::TagKey;
    ///
    /// assert!(TagKey::new("+example.com/colour").is_ok());
    /// assert!(TagKey::new("a;b").is_err());
    /// ```
    TagKey, "a tag key", |text| {
        refuse_empty(text)?;
        let body = text.strip_prefix('+').unwrap_or(text);
        refuse_empty(body)?;
        match body
            .char_indices()
            .find(|(_, c)| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '/' | '_')))
        {
            Some((at, character)) => Err(Reason::Contains { character, at }),
            None => Ok(()),
        }
    }
}

checked_string! {
    /// A tag's value: anything but NUL; the rest is escaped when it is written.
    ///
    /// ```
    /// use jackfield_irc::codec::TagValue;
    ///
    /// assert!(TagValue::new("a; b\r\n").is_ok());
    /// assert!(TagValue::new("\0").is_err());
    /// ```
    TagValue, "a tag value", |text| refuse_characters(text, &['\0'])
}

macro_rules! is_also {
    ($($narrow:ident => $wide:ident),* $(,)?) => {$(
        impl From<$narrow> for $wide {
            fn from(narrow: $narrow) -> Self {
                Self(narrow.0)
            }
        }

        impl From<&$narrow> for $wide {
            fn from(narrow: &$narrow) -> Self {
                Self(Arc::clone(&narrow.0))
            }
        }
    )*};
}

is_also! {
    Nickname => Target,
    ChannelName => Target,
    Nickname => Word,
    ChannelName => Word,
    Target => Word,
    Word => Text,
    Nickname => Text,
    ChannelName => Text,
    Target => Text,
}

impl From<&Word> for Word {
    fn from(word: &Word) -> Self {
        word.clone()
    }
}

impl From<&Text> for Text {
    fn from(text: &Text) -> Self {
        text.clone()
    }
}

macro_rules! made_of_checked_parts {
    ($($name:ident),*) => {$(
        impl $name {
            /// One that was made of checked parts.
            pub(crate) fn from_checked(text: &str) -> Self {
                debug_assert!(Self::new(text).is_ok());
                Self(text.into())
            }
        }
    )*};
}

made_of_checked_parts!(Word, Text, TagKey, TagValue);

impl Text {
    /// The empty text.
    pub fn empty() -> Self {
        Self("".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_ends_a_line_or_a_parameter_gets_in() {
        for bad in ["a\rb", "a\nb", "a\0b", "a b", "", ":a"] {
            assert!(Word::new(bad).is_err(), "{bad:?}");
            assert!(Nickname::new(bad).is_err(), "{bad:?}");
            assert!(Target::new(bad).is_err(), "{bad:?}");
            assert!(ChannelName::new(format!("#{bad}")).is_err() || matches!(bad, "" | ":a"));
        }
        for bad in ["\r", "\n", "\0"] {
            assert!(Text::new(bad).is_err(), "{bad:?}");
        }
        assert!(Target::new("a,b").is_err());
        assert!(ChannelName::new("rust").is_err());
        assert!(Nickname::new("*status").is_ok(), "bouncers use it");
    }

    #[test]
    fn an_error_names_type_character_and_place_but_not_the_value() {
        let error = Text::new("secret\n").expect_err("a line feed");
        assert_eq!(error.to_string(), "a text can't contain '\\n' (byte 6)");
    }

    #[test]
    fn tag_keys_keep_to_their_alphabet() {
        for good in [
            "label",
            "+typing",
            "draft/reply",
            "example.com/x-y",
            "+example.com/a",
        ] {
            assert!(TagKey::new(good).is_ok(), "{good}");
        }
        for bad in ["", "+", "a b", "a=b", "a;b", "++a", "é"] {
            assert!(TagKey::new(bad).is_err(), "{bad}");
        }
    }
}
