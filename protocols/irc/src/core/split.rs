//! Long texts, in pieces that fit into a line.

/// Splits a text into pieces of at most `budget` bytes: in front of the last blank that leaves a
/// piece of more than half of that, and otherwise between characters. Joined, they are the text
/// again.
///
/// No piece but the last ends with a blank, since some servers (ngIRCd) take blanks from the end of
/// a line; unless it is nothing but blanks. A budget smaller than a character is exceeded rather
/// than not kept to for ever.
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
