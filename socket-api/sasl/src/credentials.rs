//! Credentials: who somebody is, and what proves it.

use std::fmt;

use zeroize::Zeroizing;

use crate::{Error, Mechanism};

/// Who somebody is, and what proves it. `Debug` shows no secret.
///
/// ```
/// use jackfield_sasl::Credentials;
///
/// let ada = Credentials::password("ada", "correct horse")?;
/// assert!(!format!("{ada:?}").contains("horse"));
/// # Ok::<(), jackfield_sasl::Error>(())
/// ```
#[derive(Clone)]
pub struct Credentials {
    pub(crate) authzid: String,
    pub(crate) secret: Secret,
}

/// What proves it.
#[derive(Clone)]
pub(crate) enum Secret {
    Password {
        username: String,
        password: Zeroizing<String>,
    },
    Token {
        username: String,
        token: Zeroizing<String>,
        /// The host and port that OAUTHBEARER tells.
        server: Option<(String, u16)>,
    },
    /// Another layer has.
    External,
}

impl Credentials {
    /// A user name and a password: for SCRAM, PLAIN and LOGIN.
    ///
    /// # Errors
    /// [`Error::InvalidCredentials`] where either is empty, the name holds a control character, or
    /// the password a NUL.
    pub fn password(username: &str, password: &str) -> Result<Self, Error> {
        if username.is_empty() {
            return Err(Error::InvalidCredentials("the user name is empty"));
        }
        if password.is_empty() {
            return Err(Error::InvalidCredentials("the password is empty"));
        }
        if password.contains('\0') {
            return Err(Error::InvalidCredentials("the password holds a NUL"));
        }
        Ok(Self::of(Secret::Password {
            username: checked_name(username)?,
            password: Zeroizing::new(password.to_owned()),
        }))
    }

    /// A user name and an OAuth 2.0 bearer token: for OAUTHBEARER and XOAUTH2. Where the token alone
    /// says who it is, the name may be empty; XOAUTH2 needs one.
    ///
    /// # Errors
    /// [`Error::InvalidCredentials`] where the name holds a control character, or the token is not
    /// one of RFC 6750, section 2.1: letters, digits, `-._~+/`, and `=` at its end.
    pub fn token(username: &str, token: &str) -> Result<Self, Error> {
        let body = token.trim_end_matches('=');
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
        if body.is_empty() || !body.bytes().all(is_token) {
            return Err(Error::InvalidCredentials(
                "the token is empty or holds what a bearer token can't",
            ));
        }
        Ok(Self::of(Secret::Token {
            username: checked_name(username)?,
            token: Zeroizing::new(token.to_owned()),
            server: None,
        }))
    }

    /// Nothing but what another layer has proven, such as TLS with a client's certificate: for
    /// EXTERNAL.
    pub fn external() -> Self {
        Self::of(Secret::External)
    }

    fn of(secret: Secret) -> Self {
        Self {
            authzid: String::new(),
            secret,
        }
    }

    /// The same, to act as someone else: the authorization identity (RFC 4422, section 2), such as a
    /// shared mailbox. LOGIN and XOAUTH2 have no place for it, and are not chosen then.
    ///
    /// # Errors
    /// [`Error::InvalidCredentials`] where it holds a control character.
    pub fn acting_as(mut self, authzid: &str) -> Result<Self, Error> {
        self.authzid = checked_name(authzid)?;
        Ok(self)
    }

    /// The same, for a token that is good for this server: OAUTHBEARER tells both (RFC 7628,
    /// section 3.1).
    ///
    /// # Errors
    /// [`Error::InvalidCredentials`] where the host holds a control character.
    pub fn with_server(mut self, host: &str, port: u16) -> Result<Self, Error> {
        let host = checked_name(host)?;
        if let Secret::Token { server, .. } = &mut self.secret {
            *server = Some((host, port));
        }
        Ok(self)
    }

    /// The user name; empty where there is none.
    pub fn username(&self) -> &str {
        match &self.secret {
            Secret::Password { username, .. } | Secret::Token { username, .. } => username,
            Secret::External => "",
        }
    }

    /// Whether a mechanism can prove with these.
    pub(crate) fn suit(&self, mechanism: Mechanism) -> bool {
        let able = match self.secret {
            Secret::Password { .. } => {
                mechanism.is_scram() || matches!(mechanism, Mechanism::Plain | Mechanism::Login)
            }
            Secret::Token { ref username, .. } => match mechanism {
                Mechanism::OAuthBearer => true,
                Mechanism::XOAuth2 => !username.is_empty(),
                _ => false,
            },
            Secret::External => mechanism == Mechanism::External,
        };
        let speaks_for_itself = matches!(mechanism, Mechanism::Login | Mechanism::XOAuth2);
        able && (self.authzid.is_empty() || !speaks_for_itself)
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.secret {
            Secret::Password { .. } => "password",
            Secret::Token { .. } => "token",
            Secret::External => "external",
        };
        f.debug_struct("Credentials")
            .field("username", &self.username())
            .field("authzid", &self.authzid)
            .field("kind", &kind)
            .finish_non_exhaustive()
    }
}

/// The separators of the mechanisms are control characters; no name may hold one.
fn checked_name(name: &str) -> Result<String, Error> {
    if name.chars().any(char::is_control) {
        return Err(Error::InvalidCredentials(
            "a name holds a control character",
        ));
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_become_something_else_is_refused() {
        assert!(Credentials::password("", "p").is_err());
        assert!(Credentials::password("ada", "").is_err());
        assert!(Credentials::password("ada\0root", "p").is_err());
        assert!(Credentials::password("ada", "p\0").is_err());
        assert!(Credentials::password("ada", "tab\tis fine").is_ok());
        for token in ["", "==", "a b", "a\x01auth=", "a=b", "tökn"] {
            assert!(Credentials::token("ada", token).is_err(), "{token}");
        }
        assert!(Credentials::token("ada\x01auth=Bearer x", "t").is_err());
        assert!(Credentials::token("", "ya29.a-_~+/==").is_ok());
        let token = Credentials::token("ada", "t").expect("a token");
        assert!(token.clone().with_server("mail\x01", 1).is_err());
        assert!(token.acting_as("x\r\n").is_err());
    }

    #[test]
    fn debug_shows_no_secret() {
        for (secret, kind) in [
            (Credentials::password("ada", "hunter2"), "password"),
            (Credentials::token("ada", "hunter2"), "token"),
        ] {
            let shown = format!("{:?}", secret.expect("credentials"));
            assert!(shown.contains("ada") && shown.contains(kind), "{shown}");
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }
}
