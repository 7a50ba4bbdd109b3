//! Preparation of names and passwords: SASLprep (RFC 4013), so that what was typed on one keyboard is
//! what was typed on another.
//!
//! The normal form comes from the page where there is one: its tables would be larger than all the
//! rest here. What RFC 3454 prohibits because Unicode 3.2 had not assigned it, or for its direction
//! (section 6), is let through: many servers prepare nothing, and one that does refuses it by itself.

use zeroize::Zeroizing;

use crate::Error;

/// A name or password as SCRAM takes it.
pub(crate) fn saslprep(text: &str) -> Result<Zeroizing<String>, Error> {
    let prepared = if text.is_ascii() {
        Zeroizing::new(text.to_owned())
    } else {
        // At most as long: a reallocation would leave a copy behind.
        let mut mapped = Zeroizing::new(String::with_capacity(text.len()));
        for c in text.chars() {
            if is_space(c) {
                mapped.push(' ');
            } else if !is_nothing(c) {
                mapped.push(c);
            }
        }
        Zeroizing::new(nfkc(&mapped))
    };
    if prepared.chars().any(is_prohibited) {
        return Err(Error::InvalidCredentials(
            "a name or password holds a character that SASLprep prohibits",
        ));
    }
    if prepared.is_empty() {
        return Err(Error::InvalidCredentials(
            "nothing is left of a name or password that is prepared",
        ));
    }
    Ok(prepared)
}

#[cfg(not(wasm_browser))]
fn nfkc(text: &str) -> String {
    use unicode_normalization::UnicodeNormalization;

    text.nfkc().collect()
}

#[cfg(wasm_browser)]
fn nfkc(text: &str) -> String {
    js_sys::JsString::from(text).normalize("NFKC").into()
}

/// RFC 3454, table C.1.2: spaces that are mapped to the one of ASCII.
fn is_space(c: char) -> bool {
    matches!(
        c,
        '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200b}' | '\u{202f}' | '\u{205f}' | '\u{3000}'
    )
}

/// RFC 3454, table B.1: commonly mapped to nothing.
fn is_nothing(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{1806}'
            | '\u{180b}'..='\u{180d}'
            | '\u{200b}'..='\u{200d}'
            | '\u{2060}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
    )
}

/// RFC 4013, section 2.3: what may not be left.
fn is_prohibited(c: char) -> bool {
    // C.2.1 and the first of C.2.2.
    c.is_control()
        || is_space(c)
        // C.4: the last two of each plane.
        || u32::from(c) & 0xfffe == 0xfffe
        || matches!(
            c,
            // C.2.2
            '\u{6dd}' | '\u{70f}' | '\u{180e}' | '\u{200c}' | '\u{200d}' | '\u{2028}' | '\u{2029}'
            | '\u{2060}'..='\u{2063}' | '\u{206a}'..='\u{206f}' | '\u{feff}'
            | '\u{1d173}'..='\u{1d17a}'
            // C.3
            | '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{ffffd}' | '\u{100000}'..='\u{10fffd}'
            // C.4
            | '\u{fdd0}'..='\u{fdef}'
            // C.6
            | '\u{fff9}'..='\u{fffd}'
            // C.7
            | '\u{2ff0}'..='\u{2ffb}'
            // C.8
            | '\u{340}' | '\u{341}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}'
            // C.9
            | '\u{e0001}' | '\u{e0020}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_passwords_are_prepared() {
        for (text, prepared) in [
            // RFC 4013, section 3.
            ("I\u{ad}X", Some("IX")),
            ("user", Some("user")),
            ("USER", Some("USER")),
            ("\u{aa}", Some("a")),
            ("\u{2168}", Some("IX")),
            ("\u{7}", None),
            // Whatever keyboard it was typed on.
            ("e\u{301}\u{a0}x", Some("é x")),
            ("ﬁ\u{3000}ｗｉｄｅ", Some("fi wide")),
            ("日本語", Some("日本語")),
            // Not assigned in Unicode 3.2.
            ("🦀", Some("🦀")),
            ("a\u{85}", None),
            ("ä\u{7f}", None),
            ("\u{ad}\u{200d}", None),
            ("\u{200e}x", None),
            ("\u{ffff}", None),
            ("\u{e000}", None),
            ("\u{fffd}", None),
        ] {
            let found = saslprep(text).ok();
            assert_eq!(found.as_deref().map(String::as_str), prepared, "{text:?}");
        }
    }
}
