//! Long texts, in pieces that fit into a line.

/// Splits a text into pieces of at most `budget` bytes, at the last space of a piece where it has
/// one in its second half, and otherwise between characters. Joined, they are the text again.
///
/// A budget smaller than a character is exceeded rather than not kept to for ever.
pub(super) fn split(text: &str, budget: usize) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while rest.len() > budget {
        let mut end = rest.floor_char_boundary(budget);
        if end == 0 {
            end = rest.chars().next().map_or(rest.len(), char::len_utf8);
        }
        let (piece, _) = rest.split_at(end);
        if let Some(space) = piece.rfind(' ')
            && space + 1 > end / 2
        {
            end = space + 1;
        }
        let (piece, tail) = rest.split_at(end);
        pieces.push(piece);
        rest = tail;
    }
    if !rest.is_empty() || pieces.is_empty() {
        pieces.push(rest);
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_fit_and_join_to_the_text() {
        let text = "Grüße an alle, die hier 日本語 lesen 🎉🎉 und sonst nichts";
        for budget in 1..=text.len() + 1 {
            let pieces = split(text, budget);
            assert_eq!(pieces.concat(), text);
            for piece in &pieces {
                assert!(piece.len() <= budget.max(4), "{budget}: {piece:?}");
                assert!(!piece.is_empty());
            }
        }
    }

    #[test]
    fn words_stay_whole_where_that_costs_little() {
        assert_eq!(split("hello brave world", 8), ["hello ", "brave ", "world"]);
        assert_eq!(split("a bcdefghijkl", 8), ["a bcdefg", "hijkl"]);
        assert_eq!(split("", 8), [""]);
    }
}
