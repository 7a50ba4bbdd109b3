//! Addresses of mail servers, each in one string: `imaps://user@host:port/mailbox`.

use std::fmt;

use jackfield_socket::{Endpoint, Error, ErrorKind, Result, Url};

/// What is spoken, and what guards it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// IMAP, which begins in plaintext.
    Imap,
    /// IMAP over TLS.
    Imaps,
    /// SMTP, which begins in plaintext.
    Smtp,
    /// SMTP over TLS.
    Smtps,
    /// LMTP, which is not encrypted.
    Lmtp,
}

impl Scheme {
    const ALL: [Self; 5] = [Self::Imap, Self::Imaps, Self::Smtp, Self::Smtps, Self::Lmtp];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Imap => "imap",
            Self::Imaps => "imaps",
            Self::Smtp => "smtp",
            Self::Smtps => "smtps",
            Self::Lmtp => "lmtp",
        }
    }

    /// The port where none is named (RFC 8314, section 7; LMTP has none of its own, and servers
    /// listen at this one).
    fn default_port(self) -> u16 {
        match self {
            Self::Imap => 143,
            Self::Imaps => 993,
            Self::Smtp => 587,
            Self::Smtps => 465,
            Self::Lmtp => 24,
        }
    }

    pub(crate) fn is_secure(self) -> bool {
        matches!(self, Self::Imaps | Self::Smtps)
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The address of a server, and perhaps of a mailbox there.
#[derive(Clone, Debug)]
pub(crate) struct Address {
    scheme: Scheme,
    user: Option<String>,
    endpoint: Endpoint,
    mailbox: Option<String>,
}

impl Address {
    /// That of an IMAP server.
    pub(crate) fn imap(text: &str) -> Result<Self> {
        Self::parse(text, &[Scheme::Imaps, Scheme::Imap])
    }

    /// That of a server that takes mail.
    pub(crate) fn smtp(text: &str) -> Result<Self> {
        let address = Self::parse(text, &[Scheme::Smtps, Scheme::Smtp, Scheme::Lmtp])?;
        if address.mailbox.is_some() {
            return Err(invalid("behind the host nothing follows: no path"));
        }
        Ok(address)
    }

    pub(crate) fn scheme(&self) -> Scheme {
        self.scheme
    }

    pub(crate) fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The mailbox's name; `None` where none is named.
    pub(crate) fn mailbox(&self) -> Option<&str> {
        self.mailbox.as_deref()
    }

    fn parse(text: &str, schemes: &[Scheme]) -> Result<Self> {
        let (name, rest) = text.split_once("://").unwrap_or(("", text));
        let mut known = Scheme::ALL.into_iter();
        let scheme = known.find(|it| it.as_str().eq_ignore_ascii_case(name));
        let Some(scheme) = scheme.filter(|it| schemes.contains(it)) else {
            let names: Vec<String> = schemes.iter().map(|it| format!("{it}://")).collect();
            let names = names.join(" or ");
            return Err(invalid(format!("an address begins with {names}")));
        };
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        // A user's name may be an address itself.
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, authority),
        };
        if user.is_some_and(|user| user.contains(':')) {
            // Not quoted: what stands there may be a password.
            return Err(invalid(
                "an address holds no password, which everyone here could read: it comes from \
                 JACKFIELD_PASSWORD or --password-file (a colon in a name is %3A)",
            ));
        }
        let url: Url = format!("{scheme}://{host}").parse()?;
        let user = user.filter(|user| !user.is_empty()).map(decoded);
        let mailbox = Some(path).filter(|path| !path.is_empty()).map(decoded);
        Ok(Self {
            scheme,
            user: user.transpose()?,
            endpoint: url.endpoint(scheme.default_port()),
            mailbox: mailbox.transpose()?,
        })
    }
}

/// Text with what is written as `%C3%BC` in it (RFC 3986, section 2.1).
fn decoded(text: &str) -> Result<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = rest.split_at_checked(2);
        let digits = digits.filter(|(digits, _)| digits.iter().all(u8::is_ascii_hexdigit));
        let Some((digits, after)) = digits else {
            return Err(invalid("a % in an address is written as %25"));
        };
        rest = after;
        let digit = |at: usize| char::from(digits[at]).to_digit(16).unwrap_or(0) as u8;
        bytes.push(digit(0) << 4 | digit(1));
    }
    String::from_utf8(bytes).map_err(|_| invalid("an address is UTF-8 behind its % signs"))
}

fn invalid(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidInput, what.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart() {
        for (text, user, endpoint, mailbox) in [
            (
                "imaps://imap.example.org",
                None,
                "imap.example.org:993",
                None,
            ),
            ("IMAP://ada@[::1]:1143/", Some("ada"), "[::1]:1143", None),
            (
                "imaps://ada%40example.org@host/Sent%20Items",
                Some("ada@example.org"),
                "host:993",
                Some("Sent Items"),
            ),
            (
                "imaps://ada@example.org@host/Entwürfe/a@b?c",
                Some("ada@example.org"),
                "host:993",
                Some("Entwürfe/a@b?c"),
            ),
        ] {
            let address = Address::imap(text).expect(text);
            assert_eq!(address.user(), user, "{text}");
            assert_eq!(address.endpoint().to_string(), endpoint, "{text}");
            assert_eq!(address.mailbox(), mailbox, "{text}");
        }
        for (text, endpoint) in [
            ("smtp://host", "host:587"),
            ("smtps://ada@host/", "host:465"),
            ("lmtp://host:2424", "host:2424"),
        ] {
            let address = Address::smtp(text).expect(text);
            assert_eq!(address.endpoint().to_string(), endpoint, "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "host",
            "smtp://host",
            "imaps://",
            "imap://host/%4",
            "imap://host/%ff",
        ] {
            Address::imap(text).expect_err(text);
        }
        for text in [
            "imaps://host",
            "smtp://host/path",
            "http://host",
            "smtp://a b",
        ] {
            Address::smtp(text).expect_err(text);
        }
        let error = Address::imap("imaps://ada:secret@host").expect_err("a password");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}
