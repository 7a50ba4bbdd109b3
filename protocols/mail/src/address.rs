//! Addresses: who wrote a message, and to whom.

use std::fmt;

use mail_parser::parsers::MessageStream;
use mail_parser::{Addr, Address as Parsed, HeaderValue};

use crate::Charsets;
use crate::message::words;

/// How many addresses of one field are read; those behind are left out.
const MAX_ADDRESSES: usize = 10_000;

/// A mailbox with the name that it goes by, `Ada Lovelace <ada@example.org>`.
///
/// ```
/// use jackfield_mail::Address;
///
/// let ada = Address::named("Ada", "ada@example.org");
/// assert_eq!(ada.to_string(), "Ada <ada@example.org>");
/// assert!(ada.is("ADA@example.org"));
/// assert_eq!(ada.domain(), Some("example.org"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Address {
    /// The name for people, which anybody can choose freely.
    pub name: Option<String>,
    /// The mailbox, `ada@example.org`. In a message that was received it may be anything.
    pub address: String,
}

impl Address {
    /// A mailbox without a name.
    pub fn new(address: impl Into<String>) -> Self {
        Self {
            name: None,
            address: address.into(),
        }
    }

    /// A mailbox with a name.
    pub fn named(name: impl Into<String>, address: impl Into<String>) -> Self {
        Self {
            name: Some(name.into()),
            address: address.into(),
        }
    }

    /// Whether it is this mailbox. Case is not looked at, in either part: servers that tell mailboxes
    /// apart by it are unheard of.
    pub fn is(&self, address: &str) -> bool {
        self.address.to_lowercase() == address.trim().to_lowercase()
    }

    /// What stands behind the `@`.
    pub fn domain(&self) -> Option<&str> {
        let (_, domain) = self.address.rsplit_once('@')?;
        (!domain.is_empty()).then_some(domain)
    }

    /// The addresses of a field, those of groups among them, in its order.
    pub(crate) fn list(value: &[u8], charsets: &Charsets, fallback: Option<&str>) -> Vec<Self> {
        let mut value = words::transcode(value, charsets, fallback);
        // The parser takes nothing that no line's end stands behind.
        value.push(b'\n');
        let HeaderValue::Address(parsed) = MessageStream::new(&value).parse_address() else {
            return Vec::new();
        };
        let found: Vec<Addr<'_>> = match parsed {
            Parsed::List(list) => list,
            Parsed::Group(groups) => groups
                .into_iter()
                .flat_map(|group| group.addresses)
                .collect(),
        };
        let found = found.into_iter().take(MAX_ADDRESSES);
        found.filter_map(|addr| Self::received(&addr)).collect()
    }

    fn received(addr: &Addr<'_>) -> Option<Self> {
        let name = addr.name.as_deref().map(words::shown);
        let name = name.filter(|name| !name.is_empty());
        let address = addr
            .address
            .as_deref()
            .map(words::shown)
            .unwrap_or_default();
        (name.is_some() || !address.is_empty()).then_some(Self { name, address })
    }
}

/// As people write it. A name that would be misread is in quotes.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(name) = &self.name else {
            return f.write_str(&self.address);
        };
        if name.contains(|c| "()<>[]:;@\\,\"".contains(c)) {
            write!(f, "\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))?;
        } else {
            f.write_str(name)?;
        }
        write!(f, " <{}>", self.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_addresses_of_a_field() {
        let charsets = Charsets::built_in();
        for (field, shown) in [
            ("ada@example.org", "ada@example.org"),
            ("Ada <ada@example.org>, b@c", "Ada <ada@example.org>|b@c"),
            (
                "\"Lovelace, Ada\" <ada@example.org>",
                "\"Lovelace, Ada\" <ada@example.org>",
            ),
            (
                "=?koi8-r?B?7cnS?= <mir@example.org>",
                "\u{41c}\u{438}\u{440} <mir@example.org>",
            ),
            ("\"=?koi8-r?B?7cnS?=\" <a@b>", "\u{41c}\u{438}\u{440} <a@b>"),
            ("friends: a@b, C <c@d>;, e@f", "a@b|C <c@d>|e@f"),
            ("nobody: ;", ""),
            ("ada@example.org (Ada)", "Ada <ada@example.org>"),
            ("=?utf-8?q?a=40b=0D=0A?= <c@d>", "\"a@b\" <c@d>"),
            // What only begins as an encoded word is what it is.
            ("\"=?x\" <c@d>", "=?x <c@d>"),
            ("Gr\u{fc}n <a@b>", "Gr\u{fc}n <a@b>"),
            ("", ""),
            (",,,", ""),
        ] {
            let found = Address::list(field.as_bytes(), &charsets, None);
            let found: Vec<String> = found.iter().map(Address::to_string).collect();
            assert_eq!(found.join("|"), shown, "{field:?}");
        }
    }

    #[test]
    fn bytes_of_no_charset_are_as_the_message_is() {
        let charsets = Charsets::built_in();
        let found = Address::list(b"\xed\xc9\xd2 <a@b>", &charsets, Some("koi8-r"));
        assert_eq!(found[0].name.as_deref(), Some("\u{41c}\u{438}\u{440}"));
    }

    #[test]
    fn many_are_read_in_time() {
        let charsets = Charsets::built_in();
        for piece in [
            "=?",
            "a@b,",
            "<",
            "(",
            "\"",
            "\\\"(",
            "a:;",
            "=?utf-8?q?a?=",
            "(=? ",
        ] {
            let field = piece.repeat(50_000);
            assert!(Address::list(field.as_bytes(), &charsets, None).len() <= MAX_ADDRESSES);
        }
    }
}
