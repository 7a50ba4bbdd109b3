//! Names of bearers, as a token's `sub` and `jti` or a certificate gives them: what may stand in logs and records,
//! and on the screen of whoever reads them.

/// The most bytes of one.
pub(crate) const MAX_NAME: usize = 256;

/// Whether a text is 1 to 256 bytes long and has nothing in it that acts on what it is shown in.
pub(crate) fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_NAME && !text.chars().any(acts)
}

/// Whether a character moves the cursor, ends the line, or has what follows read in the other direction
/// (Unicode's `Cc` and `Bidi_Control`, and both separators): who can have it in his name can look like another in
/// a log.
fn acts(char: char) -> bool {
    char.is_control()
        || matches!(
            char,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
        )
        || matches!(char, '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_people_are_names_and_what_plays_tricks_is_none() {
        for name in [
            "ada",
            "ada@example.org",
            "auth0|5f7c8ec7c33c6c004bbafe82",
            "spiffe://example.org/sensor/7",
            "Zoë Ångström",
            "آدا",
            "می\u{200c}خواهم",
            "愛",
            "👩\u{200d}🔬",
            &"a".repeat(MAX_NAME),
        ] {
            assert!(is_name(name), "{name}");
        }
        for name in [
            "",
            "ada\n",
            "ada\r\neve was let in",
            "ada\0.example.org",
            "ada\t",
            "\u{1b}[2J",
            "\u{9b}31m",
            "ada\u{7f}",
            "ada\u{85}",
            "\u{202e}ada",
            "ada\u{2066}eve\u{2069}",
            "ada\u{200f}",
            "ada\u{61c}",
            "ada\u{2028}eve",
            "ada\u{2029}eve",
            &"a".repeat(MAX_NAME + 1),
        ] {
            assert!(!is_name(name), "{name:?}");
        }
    }
}
