//! The mechanisms, and which one to take.

use std::fmt;

use crate::{Channel, Credentials, Error};

/// How to prove who one is. The stronger one is the greater, of those that suit the same
/// [`Credentials`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Mechanism {
    /// LOGIN (draft-murchison-sasl-login): name and password as they are, one after the other.
    Login,
    /// PLAIN (RFC 4616): name and password as they are.
    Plain,
    /// XOAUTH2: a bearer token, as Google and Microsoft began it.
    XOAuth2,
    /// OAUTHBEARER (RFC 7628): a bearer token.
    OAuthBearer,
    /// EXTERNAL (RFC 4422, appendix A): another layer has proven it.
    External,
    /// SCRAM-SHA-1 (RFC 5802).
    ScramSha1,
    /// SCRAM-SHA-256 (RFC 7677).
    ScramSha256,
    /// SCRAM-SHA-1-PLUS: bound to the TLS connection.
    ScramSha1Plus,
    /// SCRAM-SHA-256-PLUS: bound to the TLS connection.
    ScramSha256Plus,
}

impl Mechanism {
    /// All of them, from the weakest to the strongest.
    pub const ALL: [Self; 9] = [
        Self::Login,
        Self::Plain,
        Self::XOAuth2,
        Self::OAuthBearer,
        Self::External,
        Self::ScramSha1,
        Self::ScramSha256,
        Self::ScramSha1Plus,
        Self::ScramSha256Plus,
    ];

    /// The name that servers know it by.
    pub fn name(self) -> &'static str {
        match self {
            Self::Login => "LOGIN",
            Self::Plain => "PLAIN",
            Self::XOAuth2 => "XOAUTH2",
            Self::OAuthBearer => "OAUTHBEARER",
            Self::External => "EXTERNAL",
            Self::ScramSha1 => "SCRAM-SHA-1",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha1Plus => "SCRAM-SHA-1-PLUS",
            Self::ScramSha256Plus => "SCRAM-SHA-256-PLUS",
        }
    }

    /// The one of this name, in any case; `None` for one that is not spoken here.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|mechanism| mechanism.name().eq_ignore_ascii_case(name))
    }

    /// Whether who reads along has the secret.
    pub fn is_plaintext(self) -> bool {
        matches!(
            self,
            Self::Login | Self::Plain | Self::XOAuth2 | Self::OAuthBearer
        )
    }

    /// Whether it is bound to the TLS connection (-PLUS).
    pub fn is_bound(self) -> bool {
        matches!(self, Self::ScramSha1Plus | Self::ScramSha256Plus)
    }

    /// Whether it is one of SCRAM's, bound or not: the server proves that it knows the password too.
    pub fn is_scram(self) -> bool {
        self >= Self::ScramSha1
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A mechanism, and what SCRAM says of channel binding: [`choose`] knows both. One that is named
/// without a server's list (`From<Mechanism>`) says that this client can't bind, unless it is bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    mechanism: Mechanism,
    pub(crate) flag: BindingFlag,
}

/// What a SCRAM client says of channel binding: the gs2 flag (RFC 5802, section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BindingFlag {
    /// `n`: the client can't.
    Unable,
    /// `y`: the client could, and the server doesn't offer it; if it did, someone on the way has
    /// shortened its list, and it refuses.
    NotOffered,
    /// `p`: bound.
    Bound,
}

impl Choice {
    /// The mechanism.
    pub fn mechanism(self) -> Mechanism {
        self.mechanism
    }
}

impl From<Mechanism> for Choice {
    fn from(mechanism: Mechanism) -> Self {
        let flag = if mechanism.is_bound() {
            BindingFlag::Bound
        } else {
            BindingFlag::Unable
        };
        Self { mechanism, flag }
    }
}

/// The strongest of the mechanisms that a server offers: one that these credentials suit, and that
/// the channel is good for. Names that are not known are passed over.
///
/// A caller that wants to leave one out leaves it out of the names; a `-PLUS` one is better left out
/// by [`Channel::without_binding`].
///
/// # Errors
/// [`Error::NoMechanism`] where none suits, [`Error::Plaintext`] where one would but for a channel
/// that is not encrypted.
pub fn choose<'a>(
    offered: impl IntoIterator<Item = &'a str>,
    credentials: &Credentials,
    channel: &Channel,
) -> Result<Choice, Error> {
    let mut best = None;
    let mut binds = false;
    let mut readable = None;
    for name in offered {
        binds |= is_plus(name);
        let Some(mechanism) = Mechanism::from_name(name) else {
            continue;
        };
        if !credentials.suit(mechanism) || (mechanism.is_bound() && channel.binding.is_none()) {
            continue;
        }
        if mechanism.is_plaintext() && !channel.encrypted {
            readable = readable.max(Some(mechanism));
            continue;
        }
        best = best.max(Some(mechanism));
    }
    let Some(mechanism) = best else {
        return Err(readable.map_or(Error::NoMechanism, Error::Plaintext));
    };
    let mut choice = Choice::from(mechanism);
    if mechanism.is_scram() && !mechanism.is_bound() && channel.binding.is_some() && !binds {
        choice.flag = BindingFlag::NotOffered;
    }
    Ok(choice)
}

/// Whether a server that offers this can bind, be it with a hash that is not spoken here.
fn is_plus(name: &str) -> bool {
    let ends = |text: &str, end: &str| {
        let at = text.len().checked_sub(end.len());
        at.and_then(|at| text.get(at..))
            .is_some_and(|tail| tail.eq_ignore_ascii_case(end))
    };
    let scram = name.get(..6);
    scram.is_some_and(|scram| scram.eq_ignore_ascii_case("SCRAM-")) && ends(name, "-PLUS")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ChannelBinding;

    fn chosen(offered: &str, credentials: &Credentials, channel: &Channel) -> String {
        match choose(offered.split(' '), credentials, channel) {
            Ok(choice) => {
                let flag = match choice.flag {
                    BindingFlag::Unable => 'n',
                    BindingFlag::NotOffered => 'y',
                    BindingFlag::Bound => 'p',
                };
                format!("{} {flag}", choice.mechanism())
            }
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn names_are_known_in_any_case() {
        for mechanism in Mechanism::ALL {
            let lower = mechanism.name().to_lowercase();
            assert_eq!(Mechanism::from_name(&lower), Some(mechanism));
        }
        assert_eq!(Mechanism::from_name("CRAM-MD5"), None);
        assert!(Mechanism::ALL.is_sorted());
    }

    #[test]
    fn the_strongest_that_suits_is_taken() {
        let password = Credentials::password("ada", "p").expect("a password");
        let other = password.clone().acting_as("bob").expect("a name");
        let token = Credentials::token("ada", "t").expect("a token");
        let external = Credentials::external();
        let plain = Channel::plaintext();
        let tls = Channel::encrypted();
        let bound = tls
            .clone()
            .with_binding(ChannelBinding::tls_exporter([7; 32]));
        let all = "LOGIN PLAIN EXTERNAL XOAUTH2 OAUTHBEARER SCRAM-SHA-1 SCRAM-SHA-256 \
                   SCRAM-SHA-1-PLUS SCRAM-SHA-256-PLUS SCRAM-SHA-512 CRAM-MD5";
        let none = Error::NoMechanism.to_string();
        let readable = |mechanism| Error::Plaintext(mechanism).to_string();
        for (offered, credentials, channel, expected) in [
            (all, &password, &bound, "SCRAM-SHA-256-PLUS p"),
            (
                all,
                &password,
                &bound.clone().without_binding(),
                "SCRAM-SHA-256 n",
            ),
            (all, &password, &tls, "SCRAM-SHA-256 n"),
            (all, &password, &plain, "SCRAM-SHA-256 n"),
            (all, &token, &tls, "OAUTHBEARER n"),
            (all, &external, &tls, "EXTERNAL n"),
            ("LOGIN PLAIN", &password, &tls, "PLAIN n"),
            ("LOGIN", &password, &tls, "LOGIN n"),
            ("xoauth2 plain", &token, &tls, "XOAUTH2 n"),
            // The hash is weaker, and nobody can stand between.
            (
                "SCRAM-SHA-256 SCRAM-SHA-1-PLUS",
                &password,
                &bound,
                "SCRAM-SHA-1-PLUS p",
            ),
            // The server is told that it could have been bound, unless it has offered it somehow.
            ("PLAIN SCRAM-SHA-256", &password, &bound, "SCRAM-SHA-256 y"),
            (
                "SCRAM-SHA-256 scram-sha-512-plus",
                &password,
                &bound,
                "SCRAM-SHA-256 n",
            ),
            ("PLAIN", &password, &bound, "PLAIN n"),
            ("LOGIN", &other, &tls, &none),
            ("LOGIN PLAIN", &other, &tls, "PLAIN n"),
            ("PLAIN", &token, &tls, &none),
            ("", &password, &tls, &none),
            ("SCRAM-SHA-256-PLUS", &password, &tls, &none),
            (
                "LOGIN PLAIN",
                &password,
                &plain,
                &readable(Mechanism::Plain),
            ),
            (
                "OAUTHBEARER",
                &token,
                &plain,
                &readable(Mechanism::OAuthBearer),
            ),
            ("SCRAM-ä -PLUS SCRAM ä", &password, &bound, &none),
        ] {
            let found = chosen(offered, credentials, channel);
            assert_eq!(found, expected, "{offered} {credentials:?} {channel:?}");
        }
    }
}
