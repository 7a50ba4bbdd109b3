//! Steps of a session: what a server was asked, when something went wrong.

use std::fmt;

/// What a server was asked for, or was to say, when something went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// Its greeting.
    Greeting,
    /// EHLO, HELO or LHLO.
    Hello,
    /// AUTH.
    Login,
    /// MAIL.
    Mail,
    /// RCPT.
    Recipient,
    /// DATA, or a chunk with BDAT.
    Data,
    /// The content's end.
    Message,
    /// RSET.
    Reset,
    /// VRFY.
    Verify,
    /// NOOP.
    Noop,
    /// QUIT.
    Quit,
}

impl Step {
    /// Its name, as an error has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Greeting => "the greeting",
            Self::Hello => "EHLO",
            Self::Login => "AUTH",
            Self::Mail => "MAIL",
            Self::Recipient => "RCPT",
            Self::Data => "DATA",
            Self::Message => "the message",
            Self::Reset => "RSET",
            Self::Verify => "VRFY",
            Self::Noop => "NOOP",
            Self::Quit => "QUIT",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
