//! Domains and address literals (RFC 5321, sections 4.1.2 and 4.1.3).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use super::InvalidValue;

/// The longest domain, in bytes (RFC 5321, section 4.5.3.1.2).
const MAX_DOMAIN: usize = 255;
/// The longest label, in bytes (RFC 1035, section 2.3.4). Not for labels in Unicode, whose length
/// in the DNS is another one.
const MAX_LABEL: usize = 63;

/// A domain, or an address in brackets: `mail.example.org`, `[192.0.2.1]`, `[IPv6:2001:db8::1]`.
///
/// It may hold Unicode (RFC 6531), which only servers with SMTPUTF8 take; nothing is converted.
///
/// ```
/// use jackfield_smtp::codec::Domain;
///
/// let name: Domain = "laptop.example.org".parse()?;
/// assert!("laptop\r\nQUIT".parse::<Domain>().is_err());
/// # drop(name);
/// # Ok::<(), jackfield_smtp::codec::InvalidValue>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Domain(String);

impl Domain {
    /// The name of a client that has none (RFC 5321, section 4.1.4): its address.
    pub fn literal(address: IpAddr) -> Self {
        Self(match address {
            IpAddr::V4(address) => format!("[{address}]"),
            IpAddr::V6(address) => format!("[IPv6:{address}]"),
        })
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is ASCII: a server without SMTPUTF8 takes no other.
    pub fn is_ascii(&self) -> bool {
        self.0.is_ascii()
    }
}

impl FromStr for Domain {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        check(text)?;
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a text is a domain or an address literal.
pub(super) fn check(text: &str) -> Result<(), InvalidValue> {
    if text.is_empty() || text.len() > MAX_DOMAIN {
        return Err(InvalidValue("a domain has 1 to 255 bytes"));
    }
    if let Some(literal) = text.strip_prefix('[') {
        let address = literal.strip_suffix(']');
        let is_address = address.is_some_and(|address| match address.strip_prefix("IPv6:") {
            Some(address) => address.parse::<Ipv6Addr>().is_ok(),
            None => address.parse::<Ipv4Addr>().is_ok(),
        });
        return if is_address {
            Ok(())
        } else {
            Err(InvalidValue("between brackets stands an IP address"))
        };
    }
    if text.split('.').all(is_label) {
        Ok(())
    } else {
        Err(InvalidValue(
            "a domain is labels of letters, digits and hyphens, with dots between them",
        ))
    }
}

/// Whether this may stand between two dots. An underscore is no letter of a host's name, and some
/// have one.
fn is_label(label: &str) -> bool {
    let is_letter = |c: char| match c {
        '-' | '_' => true,
        c if c.is_ascii() => c.is_ascii_alphanumeric(),
        c => !c.is_control() && !c.is_whitespace(),
    };
    !label.is_empty()
        && !label.starts_with('-')
        && !label.ends_with('-')
        && (label.len() <= MAX_LABEL || !label.is_ascii())
        && label.chars().all(is_letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_domain() {
        for text in [
            "a",
            "localhost",
            "mail.example.org",
            "_dmarc.example.org",
            "b\u{fc}cher.example",
            "[192.0.2.1]",
            "[IPv6:2001:db8::1]",
        ] {
            assert!(text.parse::<Domain>().is_ok(), "{text}");
        }
        for text in [
            "",
            ".",
            "a..b",
            "a.",
            "-a",
            "a b",
            "a\r\nb",
            "a\0",
            "a>",
            "[]",
            "[192.0.2.1",
            "[192.0.2.1]\r\n",
            "[2001:db8::1]",
            "a\u{85}b",
            &"a".repeat(64),
            &"a.".repeat(128),
        ] {
            assert!(text.parse::<Domain>().is_err(), "{text:?}");
        }
        let literal = Domain::literal("2001:db8::1".parse().expect("an address"));
        assert_eq!(literal.as_str().parse(), Ok(literal));
    }
}
