//! Splitting of long texts, into pieces that fit into a line.
//!
//! A piece ends between graphemes, what a reader takes for one character: never between a letter
//! and its accents, between the people of a family emoji, or within a flag. The exact rules (UAX
//! #29) need a table of all of Unicode; `unicode-segmentation` with its tables is 17 kB of a page's
//! module, compressed. What stands here instead is [`may_split`], which knows by their ranges what
//! continues a grapheme. Where it differs from the rules, it mostly refuses a place that they allow,
//! which costs nothing: the piece gets shorter by one grapheme. What it doesn't know are marks of
//! scripts that hardly anyone writes, and those are where they were before: split from their letter.

/// Splits a text into pieces of at most `budget` bytes: in front of the last blank that leaves a
/// piece of more than half of that, and otherwise between graphemes. Joined, they are the text
/// again.
///
/// No piece but the last ends with a blank, since some servers (ngIRCd) take blanks from the end of
/// a line; unless it is nothing but blanks. A grapheme longer than the budget is split between its
/// characters, and a budget smaller than a character is exceeded rather than not kept to for ever.
pub(super) fn split(text: &str, budget: usize) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while rest.len() > budget {
        let (piece, tail) = rest.split_at(end_of_piece(rest, budget));
        pieces.push(piece);
        rest = tail;
    }
    if !rest.is_empty() || pieces.is_empty() {
        pieces.push(rest);
    }
    pieces
}

const BLANKS: [char; 2] = [' ', '\t'];

/// Where the first piece of a text ends that is longer than the budget: not at 0.
fn end_of_piece(text: &str, budget: usize) -> usize {
    let longest = text.floor_char_boundary(budget);
    if longest == 0 {
        return text.chars().next().map_or(text.len(), char::len_utf8);
    }
    let longest = end_of_grapheme(text, longest).unwrap_or(longest);
    let (piece, tail) = text.split_at(longest);
    let words = if tail.starts_with(BLANKS) {
        longest
    } else {
        piece.rfind(BLANKS).unwrap_or(0)
    };
    let without_blanks = |end| {
        text.get(..end)
            .unwrap_or(text)
            .trim_end_matches(BLANKS)
            .len()
    };
    let words = without_blanks(words);
    if words > longest / 2 {
        return words;
    }
    match without_blanks(longest) {
        0 => longest,
        end => end,
    }
}

/// The last place up to `longest` that lies between two graphemes, where there is one.
fn end_of_grapheme(text: &str, longest: usize) -> Option<usize> {
    let mut end = longest;
    while end > 0 {
        let (piece, tail) = text.split_at(end);
        let last = piece.chars().next_back()?;
        if tail
            .chars()
            .next()
            .is_none_or(|next| may_split(piece, last, next))
        {
            return Some(end);
        }
        end -= last.len_utf8();
    }
    None
}

/// Whether a grapheme ends between `last`, the end of `piece`, and `next`.
fn may_split(piece: &str, last: char, next: char) -> bool {
    // A joiner binds both ways; in the scripts of India, so does the sign that takes a vowel away.
    if is_mark(next) || last == JOINER || (is_virama(last) && is_indic(next)) {
        return false;
    }
    // A syllable's first consonants take what follows; vowels and last consonants are marks.
    if matches!(last, '\u{1100}'..='\u{115f}' | '\u{a960}'..='\u{a97c}')
        && matches!(next, '\u{1100}'..='\u{115f}' | '\u{a960}'..='\u{a97c}' | '\u{ac00}'..='\u{d7a3}')
    {
        return false;
    }
    if is_regional(last) && is_regional(next) {
        // Two and two are a flag.
        let row = piece.chars().rev().take_while(|it| is_regional(*it));
        return row.count() % 2 == 0;
    }
    true
}

const JOINER: char = '\u{200d}';

fn is_regional(character: char) -> bool {
    matches!(character, '\u{1f1e6}'..='\u{1f1ff}')
}

/// Devanagari to Malayalam. Each of these scripts has 128 places, of which the same ones are the
/// same kind of sign.
fn is_indic(character: char) -> bool {
    matches!(character, '\u{900}'..='\u{d7f}')
}

fn is_virama(character: char) -> bool {
    is_indic(character) && u32::from(character) % 128 == 0x4d
}

/// Whether a character belongs to the one in front of it: accents and vowel signs, variation
/// selectors, joiners, skin tones, tags, and what follows the first consonant of a Hangul syllable.
fn is_mark(character: char) -> bool {
    if character < '\u{300}' {
        return false;
    }
    if is_indic(character) {
        return match u32::from(character) % 128 {
            0x00..=0x03 | 0x3a..=0x3c | 0x3e..=0x4d | 0x55..=0x57 | 0x62..=0x63 => true,
            0x4e..=0x54 => character < '\u{980}',
            0x70..=0x71 | 0x75 => matches!(character, '\u{a00}'..='\u{a7f}'),
            0x7a..=0x7f => matches!(character, '\u{a80}'..='\u{aff}'),
            _ => false,
        };
    }
    matches!(character,
        // Latin, Greek, Cyrillic, and for all.
        '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{1ab0}'..='\u{1aff}'
        | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}'
        // Hebrew, Arabic, Syriac, Thaana, N'Ko.
        | '\u{591}'..='\u{5bd}' | '\u{5bf}' | '\u{5c1}'..='\u{5c2}' | '\u{5c4}'..='\u{5c5}'
        | '\u{5c7}' | '\u{610}'..='\u{61a}' | '\u{64b}'..='\u{65f}' | '\u{670}'
        | '\u{6d6}'..='\u{6dc}' | '\u{6df}'..='\u{6e4}' | '\u{6e7}'..='\u{6e8}'
        | '\u{6ea}'..='\u{6ed}' | '\u{711}' | '\u{730}'..='\u{74a}' | '\u{7a6}'..='\u{7b0}'
        | '\u{7eb}'..='\u{7f3}' | '\u{8ca}'..='\u{8e1}' | '\u{8e3}'..='\u{8ff}'
        // Sinhala, Thai, Lao, Tibetan, Myanmar, Ethiopic, Khmer, Mongolian.
        | '\u{d81}'..='\u{d83}' | '\u{dca}'..='\u{ddf}' | '\u{df2}'..='\u{df3}' | '\u{e31}'
        | '\u{e33}'..='\u{e3a}' | '\u{e47}'..='\u{e4e}' | '\u{eb1}' | '\u{eb3}'..='\u{ebc}'
        | '\u{ec8}'..='\u{ece}' | '\u{f18}'..='\u{f19}' | '\u{f35}' | '\u{f37}' | '\u{f39}'
        | '\u{f3e}'..='\u{f3f}' | '\u{f71}'..='\u{f84}' | '\u{f86}'..='\u{f87}'
        | '\u{f8d}'..='\u{fbc}' | '\u{fc6}' | '\u{102b}'..='\u{103e}' | '\u{1056}'..='\u{1059}'
        | '\u{105e}'..='\u{1060}' | '\u{1062}'..='\u{1064}' | '\u{1067}'..='\u{106d}'
        | '\u{1071}'..='\u{1074}' | '\u{1082}'..='\u{108d}' | '\u{135d}'..='\u{135f}'
        | '\u{17b4}'..='\u{17d3}' | '\u{17dd}' | '\u{180b}'..='\u{180f}'
        // Tai Tham, Balinese, Sundanese, Javanese, Meetei Mayek, Adlam; more Cyrillic, more Vedic.
        | '\u{1a55}'..='\u{1a7f}' | '\u{1b00}'..='\u{1b04}' | '\u{1b34}'..='\u{1b44}'
        | '\u{1ba1}'..='\u{1bad}' | '\u{a980}'..='\u{a983}' | '\u{a9b3}'..='\u{a9c0}'
        | '\u{abe3}'..='\u{abea}' | '\u{abec}'..='\u{abed}' | '\u{1e944}'..='\u{1e94a}'
        | '\u{2de0}'..='\u{2dff}' | '\u{a66f}'..='\u{a672}' | '\u{a674}'..='\u{a67d}'
        | '\u{a69e}'..='\u{a69f}' | '\u{1cd0}'..='\u{1ce8}' | '\u{a8e0}'..='\u{a8f1}'
        // Hangul: vowels, last consonants.
        | '\u{1160}'..='\u{11ff}' | '\u{d7b0}'..='\u{d7fb}'
        // Kana; joiners, variation selectors, skin tones, tags.
        | '\u{302a}'..='\u{302f}' | '\u{3099}'..='\u{309a}' | '\u{ff9e}'..='\u{ff9f}'
        | '\u{200c}'..='\u{200d}' | '\u{fe00}'..='\u{fe0f}' | '\u{1f3fb}'..='\u{1f3ff}'
        | '\u{e0020}'..='\u{e007f}' | '\u{e0100}'..='\u{e01ef}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_fit_and_join_to_the_text() {
        let text = "Grüße an alle,  die hier 日本語 lesen \t🎉🎉 und sonst          nichts";
        for budget in 1..=text.len() + 1 {
            let pieces = split(text, budget);
            assert_eq!(pieces.concat(), text);
            for piece in &pieces {
                assert!(piece.len() <= budget.max(4), "{budget}: {piece:?}");
                assert!(!piece.is_empty());
                let blank = piece.trim_matches(BLANKS).is_empty();
                assert!(blank || !piece.ends_with(BLANKS), "{budget}: {piece:?}");
            }
        }
    }

    #[test]
    fn graphemes_stay_whole() {
        for grapheme in [
            "e\u{301}",
            "e\u{301}\u{328}\u{35c}",
            "👍🏽",
            "❤️",
            "1\u{fe0f}\u{20e3}",
            "👩\u{200d}👩\u{200d}👧\u{200d}👦",
            "🏳️\u{200d}🌈",
            "🇩🇪",
            "🏴\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f}",
            "नि",
            "क्षि",
            "கு",
            "กำ",
            "각",
            "\u{1100}\u{1161}\u{11a8}",
            "か\u{3099}",
        ] {
            let text = grapheme.repeat(20);
            for budget in grapheme.len()..3 * grapheme.len() {
                for piece in split(&text, budget) {
                    let rest = piece.len() % grapheme.len();
                    assert_eq!(rest, 0, "{grapheme} in {budget}: {piece:?}");
                }
            }
        }
        assert_eq!(split("a🇩🇪🇫🇷", 12), ["a🇩🇪", "🇫🇷"]);
        assert_eq!(split("🇩🇪🇫🇷x", 12), ["🇩🇪", "🇫🇷x"]);
    }

    #[test]
    fn a_grapheme_longer_than_a_line_is_split_all_the_same() {
        let zalgo = format!("a{}", "\u{301}".repeat(500));
        let pieces = split(&zalgo, 100);
        assert_eq!(pieces.concat(), zalgo);
        assert!(pieces.iter().all(|piece| piece.len() <= 100));
        assert_eq!(pieces.len(), 11);
    }

    #[test]
    fn words_stay_whole_where_that_costs_little() {
        assert_eq!(split("hello brave world", 8), ["hello", " brave", " world"]);
        assert_eq!(split("hello brave", 5), ["hello", " brav", "e"]);
        assert_eq!(split("a bcdefghijkl", 8), ["a bcdefg", "hijkl"]);
        assert_eq!(split("", 8), [""]);
    }

    #[test]
    fn blanks_stand_at_the_end_of_a_piece_only_where_there_is_nothing_else() {
        assert_eq!(split("ab      cd", 8), ["ab", "      cd"]);
        assert_eq!(split("a          b", 4), ["a", "    ", "    ", "  b"]);
    }
}
