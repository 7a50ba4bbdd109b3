//! Characters of texts that are not UTF-8: who turns bytes into them.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use mail_parser::decoders::charsets::map::charset_decoder;

use crate::message::words;

/// Names that are in use, and that neither the IANA's list nor browsers have.
const ALIASES: &[(&str, &str)] = &[
    ("cp1252", "windows-1252"),
    ("cp874", "windows-874"),
    ("cp932", "shift_jis"),
    ("cp936", "gbk"),
    ("cp949", "euc-kr"),
    ("cp950", "big5"),
    ("ms932", "shift_jis"),
    ("ms936", "gbk"),
    ("utf8", "utf-8"),
    ("x-gb2312", "gb2312"),
];

/// How long a charset's name may be, in bytes; the longest in use has 45.
const MAX_LABEL: usize = 64;

type Decode = dyn Fn(&str, &[u8]) -> Option<String> + Send + Sync;

/// Turns bytes into text, by the name of their charset.
///
/// What is built in reads UTF-8, UTF-16, UTF-7 and all charsets of one byte; with the feature `charsets`
/// also GB18030, Shift_JIS, ISO-2022-JP, Big5, EUC-KR and the like, whose tables are large. A page has them
/// already, in its `TextDecoder`, and gives that:
///
/// ```
/// use jackfield_mail::Charsets;
///
/// let charsets = Charsets::with(|label, bytes| {
///     // In a page: new TextDecoder(label).decode(bytes).
///     (label == "x-shouted").then(|| String::from_utf8_lossy(bytes).to_uppercase())
/// });
/// assert_eq!(charsets.decode(Some("X-Shouted"), b"hello"), "HELLO");
/// assert_eq!(charsets.decode(Some("koi8-r"), b"\xed\xc9\xd2"), "\u{41c}\u{438}\u{440}");
/// ```
#[derive(Clone, Default)]
pub struct Charsets {
    given: Option<Arc<Decode>>,
}

impl Charsets {
    /// What is built in.
    pub fn built_in() -> Self {
        Self::default()
    }

    /// A decoder that is asked before what is built in, for all but UTF-8 and ASCII. It is given the
    /// charset's name in lower case, and gives `None` where it doesn't know it.
    pub fn with(decode: impl Fn(&str, &[u8]) -> Option<String> + Send + Sync + 'static) -> Self {
        Self {
            given: Some(Arc::new(decode)),
        }
    }

    /// The text. What can't be read of it becomes U+FFFD; a charset that is unknown, or not named, is taken
    /// for UTF-8 where the bytes are that, and for Windows-1252 otherwise, as browsers do.
    pub fn decode(&self, label: Option<&str>, bytes: &[u8]) -> String {
        let label = label.map(normal).unwrap_or_default();
        let is_unicode = matches!(
            &*label,
            "" | "utf-8" | "us-ascii" | "ascii" | "ansi_x3.4-1968"
        );
        if is_unicode {
            // Many that say ASCII have more.
            let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
            return match std::str::from_utf8(bytes) {
                Ok(text) => text.to_owned(),
                Err(_) if label == "utf-8" => String::from_utf8_lossy(bytes).into_owned(),
                Err(_) => self.known("windows-1252", bytes).unwrap_or_default(),
            };
        }
        self.known(&label, bytes)
            .unwrap_or_else(|| self.decode(None, bytes))
    }

    /// The text of a header field, such as the subject in an IMAP envelope: its encoded words (RFC 2047) read, on
    /// one line, and without control characters.
    ///
    /// ```
    /// use jackfield_mail::Charsets;
    ///
    /// let charsets = Charsets::built_in();
    /// assert_eq!(charsets.decode_field(b"=?utf-8?q?gr=C3=BCn?= tea"), "gr\u{fc}n tea");
    /// ```
    pub fn decode_field(&self, value: &[u8]) -> String {
        words::decode(value, self, None)
    }

    fn known(&self, label: &str, bytes: &[u8]) -> Option<String> {
        let given = self.given.as_ref().and_then(|decode| decode(label, bytes));
        given.or_else(|| charset_decoder(label.as_bytes()).map(|decode| decode(bytes)))
    }
}

impl fmt::Debug for Charsets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Charsets").finish_non_exhaustive()
    }
}

/// A charset's name as it is asked for; nothing where it is no name.
fn normal(label: &str) -> Cow<'static, str> {
    // RFC 2231, section 5, has a language behind it.
    let label = label.split('*').next().unwrap_or_default();
    let label = label.trim_matches(|c: char| c.is_whitespace() || c == '"' || c == '\'');
    if label.len() > MAX_LABEL || !label.is_ascii() {
        return Cow::Borrowed("");
    }
    let label = label.to_ascii_lowercase();
    match ALIASES.iter().find(|(alias, _)| *alias == label) {
        Some((_, known)) => Cow::Borrowed(known),
        None => Cow::Owned(label),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_charset_that_nobody_knows_is_guessed() {
        let charsets = Charsets::built_in();
        for (label, bytes, text) in [
            (None, "gr\u{fc}n".as_bytes(), "gr\u{fc}n"),
            (None, b"gr\xfcn".as_slice(), "gr\u{fc}n"),
            (Some("us-ascii"), "gr\u{fc}n".as_bytes(), "gr\u{fc}n"),
            (Some("x-unknown"), b"gr\xfcn", "gr\u{fc}n"),
            (Some("utf-8"), b"gr\xfcn", "gr\u{fffd}n"),
            (Some("UTF8"), b"\xef\xbb\xbfa", "a"),
            (Some("iso-8859-1*de"), b"gr\xfcn", "gr\u{fc}n"),
            (Some("\"koi8-r\""), b"\xed\xc9\xd2", "\u{41c}\u{438}\u{440}"),
        ] {
            assert_eq!(charsets.decode(label, bytes), text, "{label:?}");
        }
    }

    #[test]
    fn a_name_is_bounded() {
        let long = "x".repeat(100_000);
        assert_eq!(Charsets::built_in().decode(Some(&long), b"a"), "a");
    }

    #[test]
    fn the_given_one_is_asked_by_the_name_that_browsers_know() {
        let charsets = Charsets::with(|label, _| Some(label.to_owned()));
        assert_eq!(charsets.decode(Some("CP932"), b"a"), "shift_jis");
        assert_eq!(charsets.decode(Some("UTF8"), b"a"), "a");
    }
}
