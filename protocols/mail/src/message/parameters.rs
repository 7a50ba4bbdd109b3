//! Values with parameters: Content-Type and Content-Disposition (RFC 2045, section 5.1, with the
//! continuations and charsets of RFC 2231).

use crate::Charsets;

use super::transfer::hex;
use super::words;

/// How many parameters a field may have; what comes behind is left out.
const MAX_PARAMETERS: usize = 100;

/// A value, and its parameters by their names.
#[derive(Debug, Default)]
pub(super) struct Parameters {
    /// In lower case.
    pub(super) value: String,
    /// Names in lower case; values as they stand there, without quotes.
    list: Vec<(String, Vec<u8>)>,
}

impl Parameters {
    /// Of what was parsed already.
    pub(super) fn of<'a>(
        value: &[u8],
        parameters: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
    ) -> Self {
        let parameters = parameters.into_iter().take(MAX_PARAMETERS);
        Self {
            value: lower(value),
            list: parameters
                .map(|(name, value)| (lower(name), value.to_vec()))
                .collect(),
        }
    }

    /// Reads a field, as far as it can be read.
    pub(super) fn parse(field: &[u8]) -> Self {
        let mut tokens = Tokens(field);
        let value = lower(&tokens.until(b";"));
        let mut list = Vec::new();
        while !tokens.0.is_empty() && list.len() < MAX_PARAMETERS {
            let name = tokens.until(b"=;");
            if tokens.last(b'=') {
                let value = tokens.until(b";");
                list.push((lower(&name), value));
            }
        }
        Self { value, list }
    }

    /// A parameter's value as it stands there.
    pub(super) fn raw(&self, name: &str) -> Option<&[u8]> {
        let found = self.list.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| &**value)
    }

    /// A parameter that is a word of ASCII.
    pub(super) fn token(&self, name: &str) -> Option<String> {
        let text = self.text(name, &Charsets::built_in(), None)?;
        Some(text.trim().to_owned())
    }

    /// A parameter's text: by RFC 2231, or as encoded words, which are not allowed there and common.
    pub(super) fn text(
        &self,
        name: &str,
        charsets: &Charsets,
        fallback: Option<&str>,
    ) -> Option<String> {
        if let Some(text) = self.extended(name, charsets) {
            return Some(text);
        }
        let value = self.raw(name)?;
        Some(words::decode(value, charsets, fallback))
    }

    /// By RFC 2231: `name*=charset'language'text`, and `name*0`, `name*1*`.
    fn extended(&self, name: &str, charsets: &Charsets) -> Option<String> {
        let mut bytes = Vec::new();
        let mut charset = None;
        let mut found = false;
        let mut take = |value: &[u8], is_extended: bool, is_first: bool| {
            if !is_extended {
                bytes.extend_from_slice(value);
                return;
            }
            let mut value = value;
            if is_first {
                let mut parts = value.splitn(3, |byte| *byte == b'\'');
                if let (Some(label), Some(_), Some(rest)) =
                    (parts.next(), parts.next(), parts.next())
                {
                    charset = std::str::from_utf8(label).ok().map(str::to_owned);
                    value = rest;
                }
            }
            percent(value, &mut bytes);
        };
        if let Some(value) = self.raw(&format!("{name}*")) {
            take(value, true, true);
            found = true;
        } else {
            for number in 0..MAX_PARAMETERS {
                if let Some(value) = self.raw(&format!("{name}*{number}*")) {
                    take(value, true, number == 0);
                } else if let Some(value) = self.raw(&format!("{name}*{number}")) {
                    take(value, false, number == 0);
                } else {
                    break;
                }
                found = true;
            }
        }
        let charset = charset.filter(|label| !label.is_empty());
        found.then(|| words::shown(&charsets.decode(charset.as_deref(), &bytes)))
    }
}

fn lower(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.trim_ascii()).to_ascii_lowercase()
}

pub(super) fn percent(value: &[u8], out: &mut Vec<u8>) {
    let mut rest = value;
    while let [byte, tail @ ..] = rest {
        rest = tail;
        if *byte == b'%'
            && let [high, low, tail @ ..] = tail
            && let (Some(high), Some(low)) = (hex(*high), hex(*low))
        {
            out.push(high << 4 | low);
            rest = tail;
        } else {
            out.push(*byte);
        }
    }
}

/// What is left of a field.
struct Tokens<'a>(&'a [u8]);

impl Tokens<'_> {
    /// What stands before one of these, without quotes and comments; the end stays to be looked at.
    fn until(&mut self, ends: &[u8]) -> Vec<u8> {
        if let [b';' | b'=', rest @ ..] = self.0 {
            self.0 = rest;
        }
        let mut out = Vec::new();
        let mut depth = 0u32;
        let mut is_quoted = false;
        while let [byte, rest @ ..] = self.0 {
            match byte {
                b'\\' if (is_quoted || depth > 0) && !rest.is_empty() => {
                    if depth == 0 {
                        out.push(rest[0]);
                    }
                    self.0 = &rest[1..];
                    continue;
                }
                b'"' if depth == 0 => is_quoted = !is_quoted,
                b'(' if !is_quoted => depth += 1,
                b')' if !is_quoted && depth > 0 => depth -= 1,
                _ if depth > 0 => {}
                b'\r' | b'\n' => {}
                byte if !is_quoted && ends.contains(byte) => break,
                byte => out.push(*byte),
            }
            self.0 = rest;
        }
        if !is_quoted {
            while out.last().is_some_and(u8::is_ascii_whitespace) {
                out.pop();
            }
        }
        let blanks = out.iter().take_while(|byte| byte.is_ascii_whitespace());
        let blanks = blanks.count();
        out.drain(..blanks);
        out
    }

    /// Whether it stopped at this.
    fn last(&self, end: u8) -> bool {
        self.0.first() == Some(&end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_parameters_say() {
        let charsets = Charsets::built_in();
        for (field, value, name) in [
            ("text/plain; name=a.txt", "text/plain", Some("a.txt")),
            (
                "Text/Plain ; NAME = \"a;b.txt\" ; x=y",
                "text/plain",
                Some("a;b.txt"),
            ),
            (
                "text/plain (a comment; x) ; name=\"a\\\"b\"",
                "text/plain",
                Some("a\"b"),
            ),
            ("text/plain", "text/plain", None),
            (";;name=a", "", Some("a")),
            (
                "attachment; name*=UTF-8''gr%C3%BCn.txt",
                "attachment",
                Some("gr\u{fc}n.txt"),
            ),
            (
                "attachment; name*=koi8-r'ru'%ED%C9%D2",
                "attachment",
                Some("\u{41c}\u{438}\u{440}"),
            ),
            (
                "attachment; name*=nothing%41",
                "attachment",
                Some("nothingA"),
            ),
            (
                "attachment; name*1*=%BCn; name*2=\".txt\"; name*0*=utf-8''gr%C3",
                "attachment",
                Some("gr\u{fc}n.txt"),
            ),
            (
                "attachment; name=plain; name*=utf-8''better",
                "attachment",
                Some("better"),
            ),
            (
                "attachment; name=\"=?utf-8?q?gr=C3=BCn?=\"",
                "attachment",
                Some("gr\u{fc}n"),
            ),
            (
                "attachment; name=\"folded\r\n name\"",
                "attachment",
                Some("folded name"),
            ),
            ("attachment; name=\"no end", "attachment", Some("no end")),
            ("attachment; name", "attachment", None),
        ] {
            let parsed = Parameters::parse(field.as_bytes());
            assert_eq!(parsed.value, value, "{field:?}");
            let found = parsed.text("name", &charsets, None);
            assert_eq!(found.as_deref(), name, "{field:?}");
        }
    }

    #[test]
    fn there_are_only_so_many() {
        let field = format!("a/b{}", "; x=y".repeat(100_000));
        assert_eq!(
            Parameters::parse(field.as_bytes()).list.len(),
            MAX_PARAMETERS
        );
    }
}
