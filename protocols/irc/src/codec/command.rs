//! Commands: what a message says to do.

use std::fmt;

use super::{InvalidValue, Numeric, Word};

macro_rules! commands {
    ($($(#[$doc:meta])* $variant:ident = $text:literal,)*) => {
        /// A message's command: a word, or a reply's number.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Command<'a> {
            $($(#[$doc])* $variant,)*
            /// A numeric reply.
            Numeric(Numeric),
            /// Any other word.
            Unknown(Verb<'a>),
        }

        impl<'a> Command<'a> {
            /// Finds the command that this word is, in upper or lower case; `None` for what can't
            /// be one (RFC 2812, section 2.3.1: letters, or three digits. Letters and digits mixed
            /// are let through).
            pub fn parse(word: &'a str) -> Option<Self> {
                let bytes = word.as_bytes();
                if let [a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9'] = bytes {
                    let digit = |byte: &u8| u16::from(byte - b'0');
                    return Numeric::new(digit(a) * 100 + digit(b) * 10 + digit(c)).map(Self::Numeric);
                }
                let mut upper = [0; LONGEST];
                if let Some(upper) = upper.get_mut(..bytes.len()) {
                    upper.copy_from_slice(bytes);
                    upper.make_ascii_uppercase();
                    match &*upper {
                        // Patterns rather than guards: a tree of comparisons, not a list.
                        $($text => return Some(Self::$variant),)*
                        _ => {}
                    }
                }
                Verb::new(word).ok().map(Self::Unknown)
            }

            fn word(&self) -> Option<&'a str> {
                match self {
                    $(Self::$variant => const { Some(ascii($text)) },)*
                    Self::Unknown(verb) => Some(verb.0),
                    Self::Numeric(_) => None,
                }
            }
        }
    };
}

const fn ascii(word: &'static [u8]) -> &'static str {
    match str::from_utf8(word) {
        Ok(word) => word,
        Err(_) => panic!("a command's word is ASCII"),
    }
}

/// The longest word below.
const LONGEST: usize = 12;

commands! {
    /// Sets or lifts the away text.
    Away = b"AWAY",
    /// Carries SASL's exchange (IRCv3 sasl).
    Authenticate = b"AUTHENTICATE",
    /// Tells the account that someone logged in to (IRCv3 account-notify).
    Account = b"ACCOUNT",
    /// Answers a labelled command that has no other answer (IRCv3 labeled-response).
    Ack = b"ACK",
    /// Begins or ends a batch (IRCv3 batch).
    Batch = b"BATCH",
    /// Negotiates capabilities (IRCv3).
    Cap = b"CAP",
    /// Tells that someone's user name or host changed (IRCv3 chghost).
    Chghost = b"CHGHOST",
    /// The server ends the connection.
    Error = b"ERROR",
    /// A command failed (IRCv3 standard-replies).
    Fail = b"FAIL",
    /// Invites someone to a channel.
    Invite = b"INVITE",
    /// Asks which of some nicknames are there.
    Ison = b"ISON",
    /// Enters a channel.
    Join = b"JOIN",
    /// Removes someone from a channel.
    Kick = b"KICK",
    /// Lists channels.
    List = b"LIST",
    /// Changes or asks modes.
    Mode = b"MODE",
    /// Watches nicknames (IRCv3 monitor).
    Monitor = b"MONITOR",
    /// Asks for the message of the day.
    Motd = b"MOTD",
    /// Asks who is in a channel.
    Names = b"NAMES",
    /// Chooses a nickname.
    Nick = b"NICK",
    /// The server tells something (IRCv3 standard-replies).
    Note = b"NOTE",
    /// A message that must not be answered automatically.
    Notice = b"NOTICE",
    /// Leaves a channel.
    Part = b"PART",
    /// The connection's password.
    Pass = b"PASS",
    /// Asks for a sign of life.
    Ping = b"PING",
    /// Gives a sign of life.
    Pong = b"PONG",
    /// A message.
    Privmsg = b"PRIVMSG",
    /// Ends the connection.
    Quit = b"QUIT",
    /// Changes the real name (IRCv3 setname).
    Setname = b"SETNAME",
    /// Tags without a text (IRCv3 message-tags).
    Tagmsg = b"TAGMSG",
    /// Asks or sets a channel's topic.
    Topic = b"TOPIC",
    /// Names the user while registering.
    User = b"USER",
    /// The server warns (IRCv3 standard-replies).
    Warn = b"WARN",
    /// Asks about users that match.
    Who = b"WHO",
    /// Asks about a user.
    Whois = b"WHOIS",
    /// Asks about a user who has left.
    Whowas = b"WHOWAS",
}

impl Command<'_> {
    /// How many bytes it has.
    pub(super) fn len(&self) -> usize {
        self.word().map_or("000".len(), str::len)
    }

    /// Appends it as it is written.
    pub(super) fn push_to(&self, out: &mut String) {
        match (self, self.word()) {
            (Self::Numeric(numeric), _) => numeric.push_to(out),
            (_, word) => out.push_str(word.unwrap_or_default()),
        }
    }
}

impl fmt::Display for Command<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, self.word()) {
            (Self::Numeric(numeric), _) => numeric.fmt(f),
            (_, word) => f.write_str(word.unwrap_or_default()),
        }
    }
}

/// A command's word that has no name here: ASCII letters and digits, at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Verb<'a>(&'a str);

impl<'a> Verb<'a> {
    /// Checks a word.
    ///
    /// # Errors
    /// Where it is empty, or holds anything but ASCII letters and digits.
    pub fn new(word: &'a str) -> Result<Self, InvalidValue> {
        match word
            .char_indices()
            .find(|(_, character)| !character.is_ascii_alphanumeric())
        {
            None if !word.is_empty() => Ok(Self(word)),
            None => Err(InvalidValue::empty("a command")),
            Some((at, character)) => Err(InvalidValue::contains("a command", character, at)),
        }
    }

    /// The word.
    pub fn as_str(&self) -> &'a str {
        self.0
    }
}

impl From<Verb<'_>> for Word {
    fn from(verb: Verb<'_>) -> Self {
        Word::from_checked(verb.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_found_again() {
        for word in [
            "PRIVMSG",
            "AUTHENTICATE",
            "privmsg",
            "FOO",
            "001",
            "999",
            "A1",
        ] {
            let command = Command::parse(word).expect(word);
            assert_eq!(
                command.to_string().to_ascii_uppercase(),
                word.to_ascii_uppercase()
            );
        }
        assert_eq!(Command::parse("join"), Some(Command::Join));
        assert_eq!(
            Command::parse("433"),
            Some(Command::Numeric(Numeric::ERR_NICKNAMEINUSE))
        );
    }

    #[test]
    fn what_is_no_word_is_refused() {
        for bad in ["", "FOO-BAR", "É", ":", "FOO\r"] {
            assert_eq!(Command::parse(bad), None, "{bad:?}");
        }
    }
}
