//! Why an exchange failed.

use std::fmt;

use crate::Mechanism;

/// The longest text of a server that is kept, in bytes.
const MAX_TEXT: usize = 500;

/// Why an exchange can't begin, or failed. No text of it holds a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// Credentials can't be what they were given as; the text says which part, and why.
    InvalidCredentials(&'static str),
    /// The server offers no mechanism that is spoken here and that the credentials suit.
    NoMechanism,
    /// The mechanism was named, and the credentials are of another kind.
    Unsuited(Mechanism),
    /// The mechanism sends the secret as it is, and the channel is not encrypted.
    Plaintext(Mechanism),
    /// The mechanism is bound to the TLS connection, and the channel gives nothing to bind to.
    NoBinding(Mechanism),
    /// There is no randomness to be had.
    NoRandomness,
    /// A challenge is longer than [`Limits::max_challenge`](crate::Limits::max_challenge).
    TooLong {
        /// The limit, in bytes.
        max: usize,
    },
    /// The server has sent what the mechanism has no room for; the text says what of it.
    Malformed(&'static str),
    /// The server challenges where the mechanism is at its end.
    UnexpectedChallenge,
    /// The server's nonce is not the client's with something after it: this is the answer to another
    /// exchange.
    ForeignNonce,
    /// The server asks for an extension that is mandatory and not known (RFC 5802, section 5.1, `m`).
    UnknownExtension,
    /// The server asks for more rounds than
    /// [`Limits::max_iterations`](crate::Limits::max_iterations): they would take too long.
    TooManyIterations {
        /// The limit.
        max: u32,
    },
    /// The server asks for fewer rounds than
    /// [`Limits::min_iterations`](crate::Limits::min_iterations): what is sent would tell too much
    /// of the password.
    TooFewIterations {
        /// The limit.
        min: u32,
    },
    /// The server refuses, and says why within the mechanism.
    Refused(Refusal),
    /// The server doesn't know the password either: its signature is another's.
    WrongSignature,
    /// The server reports success and has not proven that it knows the password.
    NotVerified,
    /// The server reports success before it has what it needs for it.
    TooEarly,
    /// The exchange has failed before, as was said then.
    Failed,
}

impl Error {
    /// Whether an exchange that was bound to its TLS connection may have failed for that: the server
    /// refuses, and not for the name or the proof (RFC 5802, section 7), which would be the same
    /// [without it](crate::Channel::without_binding). False where this side has refused.
    pub fn may_be_binding(&self) -> bool {
        let same = [
            "invalid-proof",
            "invalid-username-encoding",
            "no-resources",
            "unknown-user",
        ];
        matches!(self, Self::Refused(refusal) if !same.contains(&refusal.status.as_str()))
    }

    /// Whether it is this side's own doing, and not the server's: the credentials, the mechanism that was
    /// named, or a channel that others can read.
    pub fn is_own(&self) -> bool {
        matches!(
            self,
            Self::InvalidCredentials(_)
                | Self::Unsuited(_)
                | Self::Plaintext(_)
                | Self::NoRandomness
        )
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidCredentials(why) => write!(f, "the credentials are not valid: {why}"),
            Self::NoMechanism => f.write_str("the server offers no SASL mechanism that suits"),
            Self::Unsuited(mechanism) => {
                write!(f, "{mechanism} needs credentials of another kind")
            }
            Self::Plaintext(mechanism) => {
                write!(
                    f,
                    "{mechanism} would show the secret: the connection is not encrypted"
                )
            }
            Self::NoBinding(mechanism) => {
                write!(f, "{mechanism} has no TLS connection to be bound to")
            }
            Self::NoRandomness => f.write_str("no random bytes for a nonce"),
            Self::TooLong { max } => {
                write!(f, "the server's SASL challenge is longer than {max} bytes")
            }
            Self::Malformed(what) => {
                write!(f, "the server's SASL challenge is malformed: {what}")
            }
            Self::UnexpectedChallenge => f.write_str("an unexpected SASL challenge"),
            Self::ForeignNonce => f.write_str("the server's nonce doesn't continue the client's"),
            Self::UnknownExtension => {
                f.write_str("the server asks for a SCRAM extension that is not known")
            }
            Self::TooManyIterations { max } => {
                write!(f, "the server asks for more than {max} iterations")
            }
            Self::TooFewIterations { min } => {
                write!(f, "the server asks for fewer than {min} iterations")
            }
            Self::Refused(refusal) => write!(f, "the server refuses: {refusal}"),
            Self::WrongSignature => {
                f.write_str("the server's signature is wrong: it doesn't know the password")
            }
            Self::NotVerified => f.write_str("the server reports success without its signature"),
            Self::TooEarly => {
                f.write_str("the server reports success before it was told who logs in")
            }
            Self::Failed => f.write_str("the SASL exchange has failed already"),
        }
    }
}

impl std::error::Error for Error {}

/// Why a server refuses, in the mechanism's own words. Text without control characters, each part of
/// at most 500 bytes; it is the server's, and not to be trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// SCRAM: `invalid-proof`, `unknown-user` and so on (RFC 5802, section 7). OAuth:
    /// `invalid_token`, or a status of HTTP (RFC 7628, section 3.2.2). Where it can't be made out, all
    /// that the server has said.
    pub status: String,
    /// OAuth: what a token should be good for.
    pub scope: Option<String>,
    /// OAuth: where the configuration of who gives tokens is.
    pub openid_configuration: Option<String>,
}

impl Refusal {
    pub(crate) fn new(status: &str) -> Self {
        Self {
            status: shown(status),
            scope: None,
            openid_configuration: None,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.status)?;
        match &self.scope {
            Some(scope) => write!(f, " (scope {scope})"),
            None => Ok(()),
        }
    }
}

/// A server's text as it may be shown.
pub(crate) fn shown(text: &str) -> String {
    let end = text.floor_char_boundary(MAX_TEXT);
    let clean = text[..end].chars().filter(|c| !c.is_control());
    clean.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_may_be_for_the_binding() {
        let refused = |status| Error::Refused(Refusal::new(status));
        for (error, may_be) in [
            (refused("channel-bindings-dont-match"), true),
            (refused("unsupported-channel-binding-type"), true),
            (refused("other-error"), true),
            (refused("invalid-proof"), false),
            (refused("unknown-user"), false),
            (Error::WrongSignature, false),
            (Error::NotVerified, false),
        ] {
            assert_eq!(error.may_be_binding(), may_be, "{error}");
        }
    }
}
