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
}
