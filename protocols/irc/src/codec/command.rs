//! What a message says to do.

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
                        $(name if name == $text.as_bytes() => return Some(Self::$variant),)*
                        _ => {}
                    }
                }
                Verb::new(word).ok().map(Self::Unknown)
            }

            fn word(&self) -> Option<&'a str> {
                match self {
                    $(Self::$variant => Some($text),)*
                    Self::Unknown(verb) => Some(verb.0),
                    Self::Numeric(_) => None,
                }
            }
        }
    };
}

/// The longest word below.
const LONGEST: usize = 12;

commands! {
    /// Sets or lifts the away text.
    Away = "AWAY",
    /// Carries SASL's exchange (IRCv3 sasl).
    Authenticate = "AUTHENTICATE",
    /// Tells the account that someone logged in to (IRCv3 account-notify).
    Account = "ACCOUNT",
    /// Answers a labelled command that has no other answer (IRCv3 labeled-response).
    Ack = "ACK",
    /// Begins or ends a batch (IRCv3 batch).
    Batch = "BATCH",
    /// Negotiates capabilities (IRCv3).
    Cap = "CAP",
    /// Tells that someone's user name or host changed (IRCv3 chghost).
    Chghost = "CHGHOST",
    /// The server ends the connection.
    Error = "ERROR",
    /// A command failed (IRCv3 standard-replies).
    Fail = "FAIL",
    /// Invites someone to a channel.
    Invite = "INVITE",
    /// Enters a channel.
    Join = "JOIN",
    /// Removes someone from a channel.
    Kick = "KICK",
    /// Lists channels.
    List = "LIST",
    /// Changes or asks modes.
    Mode = "MODE",
    /// Asks for the message of the day.
    Motd = "MOTD",
    /// Asks who is in a channel.
    Names = "NAMES",
    /// Chooses a nickname.
    Nick = "NICK",
    /// The server tells something (IRCv3 standard-replies).
    Note = "NOTE",
    /// A message that must not be answered automatically.
    Notice = "NOTICE",
    /// Leaves a channel.
    Part = "PART",
    /// The connection's password.
    Pass = "PASS",
    /// Asks for a sign of life.
    Ping = "PING",
    /// Gives a sign of life.
    Pong = "PONG",
    /// A message.
    Privmsg = "PRIVMSG",
    /// Ends the connection.
    Quit = "QUIT",
    /// Changes the real name (IRCv3 setname).
    Setname = "SETNAME",
    /// Tags without a text (IRCv3 message-tags).
    Tagmsg = "TAGMSG",
    /// Asks or sets a channel's topic.
    Topic = "TOPIC",
    /// Names the user while registering.
    User = "USER",
    /// The server warns (IRCv3 standard-replies).
    Warn = "WARN",
    /// Asks about users that match.
    Who = "WHO",
    /// Asks about a user.
    Whois = "WHOIS",
    /// Asks about a user who has left.
    Whowas = "WHOWAS",
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
