//! Who a message says that it is from, and what is odd about that.

use super::file_name::is_hidden;
use crate::Address;

/// Who a message says that it is from. Anybody can write anything there: whether it is true is told by
/// [`Message::authentication`](super::Message::authentication), if at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sender {
    /// The first address of From. Its name is without characters that can't be seen.
    pub address: Option<Address>,
    /// What is odd about it: a reason to show the address beside the name, or a warning.
    pub oddities: Vec<Oddity>,
}

/// What is odd about a sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Oddity {
    /// There is no address.
    NoAddress,
    /// There are several.
    SeveralAddresses,
    /// The name has an address, or looks like one, that is not the sender's:
    /// `"service@bank.example" <eve@evil.example>`.
    NameIsOtherAddress,
    /// The name has characters that change how it is shown.
    HiddenCharacters,
    /// The domain has characters beyond ASCII, or stands for such (`xn--`): it may look like another.
    UnicodeDomain,
}

impl Sender {
    pub(super) fn of(mut from: Vec<Address>) -> Self {
        let mut oddities = Vec::new();
        if from.len() > 1 {
            oddities.push(Oddity::SeveralAddresses);
        }
        if from.is_empty() {
            oddities.push(Oddity::NoAddress);
            return Self {
                address: None,
                oddities,
            };
        }
        let mut address = from.swap_remove(0);
        if address.address.is_empty() {
            oddities.push(Oddity::NoAddress);
        }
        let name = address.name.take().unwrap_or_default();
        let clean: String = name.chars().filter(|c| !is_hidden(*c)).collect();
        if clean != name || address.address.contains(is_hidden) {
            oddities.push(Oddity::HiddenCharacters);
        }
        if clean.contains(['@', '\u{ff20}', '\u{fe6b}'])
            && !address.is(clean.trim_matches(['<', '>', '\'', ' ']))
        {
            oddities.push(Oddity::NameIsOtherAddress);
        }
        let is_unicode = |domain: &str| {
            let is_label = |label: &str| label.len() > 4 && label[..4].eq_ignore_ascii_case("xn--");
            !domain.is_ascii() || domain.split('.').any(is_label)
        };
        if address.domain().is_some_and(is_unicode) {
            oddities.push(Oddity::UnicodeDomain);
        }
        address.name = (!clean.trim().is_empty()).then(|| clean.trim().to_owned());
        Self {
            address: Some(address),
            oddities,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_odd() {
        for (from, expected) in [
            (vec![Address::named("Ada", "ada@example.org")], vec![]),
            (
                vec![Address::named("ada@example.org", "Ada@example.org")],
                vec![],
            ),
            (vec![], vec![Oddity::NoAddress]),
            (vec![Address::named("Ada", "")], vec![Oddity::NoAddress]),
            (
                vec![Address::named("service@bank.example", "eve@evil.example")],
                vec![Oddity::NameIsOtherAddress],
            ),
            (
                vec![Address::named(
                    "service\u{ff20}bank.example",
                    "eve@evil.example",
                )],
                vec![Oddity::NameIsOtherAddress],
            ),
            (
                vec![Address::named("A\u{202e}d\u{200b}a", "ada@example.org")],
                vec![Oddity::HiddenCharacters],
            ),
            (
                vec![Address::new("a@b\u{430}nk.example"), Address::new("c@d")],
                vec![Oddity::SeveralAddresses, Oddity::UnicodeDomain],
            ),
            (
                vec![Address::new("a@www.xn--bnk-7cd.example")],
                vec![Oddity::UnicodeDomain],
            ),
        ] {
            let sender = Sender::of(from.clone());
            assert_eq!(sender.oddities, expected, "{from:?}");
        }
        let sender = Sender::of(vec![Address::named(
            "A\u{202e}d\u{200b}a",
            "ada@example.org",
        )]);
        assert_eq!(
            sender.address,
            Some(Address::named("Ada", "ada@example.org"))
        );
    }
}
