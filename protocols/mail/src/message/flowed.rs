//! Flowed text (RFC 3676): lines that end in a blank go on in the next.

/// Paragraphs from lines.
pub(super) fn join(text: &str, deletes_space: bool) -> String {
    let mut out = String::with_capacity(text.len());
    // How deep the line is quoted that goes on, if one does.
    let mut open: Option<usize> = None;
    for (index, line) in text.split('\n').enumerate() {
        let depth = line.bytes().take_while(|byte| *byte == b'>').count();
        let content = &line[depth..];
        let content = content.strip_prefix(' ').unwrap_or(content);
        let is_signature = content == "-- ";
        if open == Some(depth) && !is_signature {
            out.push_str(content);
        } else {
            if index > 0 {
                out.push('\n');
            }
            out.extend(std::iter::repeat_n('>', depth));
            if depth > 0 {
                out.push(' ');
            }
            out.push_str(content);
        }
        open = None;
        if content.ends_with(' ') && !is_signature {
            open = Some(depth);
            if deletes_space {
                out.pop();
            }
        }
    }
    out
}

/// Lines of up to 72 characters from paragraphs; those that are quoted stay as they are.
pub(crate) fn split(text: &str) -> String {
    const WIDTH: usize = 72;
    let mut out = String::with_capacity(text.len() + text.len() / WIDTH);
    for (index, line) in text.split('\n').enumerate() {
        if index > 0 {
            out.push('\n');
        }
        if line.starts_with('>') || line == "-- " {
            out.push_str(line.trim_end_matches(|c| c == ' ' && line != "-- "));
            continue;
        }
        let mut width = 0;
        for word in line.trim_end_matches(' ').split_inclusive(' ') {
            let len = word.chars().count();
            if width > 0 && width + len > WIDTH {
                out.push('\n');
                width = 0;
            }
            // Stuffing (section 4.4).
            if width == 0 && (word.starts_with([' ', '>']) || word.starts_with("From ")) {
                out.push(' ');
                width += 1;
            }
            out.push_str(word);
            width += len;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_go_on_are_joined() {
        for (flowed, text) in [
            ("a \nb\nc", "a b\nc"),
            ("> a \n> b\n>> c \n> d", "> a b\n>> c \n> d"),
            (" >not quoted", ">not quoted"),
            ("a\n-- \nme", "a\n-- \nme"),
            ("a \n-- \nme", "a \n-- \nme"),
            ("\n\na", "\n\na"),
            ("", ""),
        ] {
            assert_eq!(join(flowed, false), text, "{flowed:?}");
        }
        assert_eq!(join("ab \ncd", true), "abcd");
    }

    #[test]
    fn what_was_split_is_joined_again() {
        let long = "word ".repeat(100);
        for text in [
            long.trim_end(),
            "From here\n> quoted\nlast",
            "a  b\n\n\u{20ac}",
            &"x".repeat(500),
        ] {
            let flowed = split(text);
            assert_eq!(join(&flowed, false), text, "{flowed:?}");
        }
        assert!(split(&long).lines().all(|line| line.chars().count() <= 73));
    }
}
