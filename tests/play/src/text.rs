//! Lines of text, as most transcripts have them.

use std::fmt::Write;

/// The bytes that a line stands for: itself and CR LF. `\xHH` in it is a byte, and with `\` at its
/// end it has no CR LF; any other `\` is itself.
pub fn read(line: &str) -> Vec<u8> {
    let (text, end) = match line.strip_suffix('\\') {
        Some(text) => (text, ""),
        None => (line, "\r\n"),
    };
    let mut bytes = Vec::with_capacity(line.len() + 2);
    let mut parts = text.split("\\x");
    bytes.extend_from_slice(parts.next().unwrap_or_default().as_bytes());
    for part in parts {
        let digits = part.get(..2).and_then(byte);
        match digits {
            Some(byte) => bytes.push(byte),
            None => bytes.extend_from_slice(b"\\x"),
        }
        let used = if digits.is_some() { 2 } else { 0 };
        bytes.extend_from_slice(&part.as_bytes()[used..]);
    }
    bytes.extend_from_slice(end.as_bytes());
    bytes
}

/// The byte that two hexadecimal digits stand for.
pub(crate) fn byte(digits: &str) -> Option<u8> {
    let is_hex = digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    u8::from_str_radix(digits, 16).ok().filter(|_| is_hex)
}

/// The line that stands for bytes.
pub fn write(bytes: &[u8]) -> String {
    let (bytes, end) = match bytes.strip_suffix(b"\r\n") {
        Some(bytes) => (bytes, ""),
        None => (bytes, "\\"),
    };
    let mut line = String::new();
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if character.is_control() {
                let mut buffer = [0; 4];
                escape(character.encode_utf8(&mut buffer).as_bytes(), &mut line);
            } else {
                line.push(character);
            }
        }
        escape(chunk.invalid(), &mut line);
    }
    if end.is_empty() && line.ends_with('\\') {
        line.pop();
        line.push_str("\\x5c");
    }
    line + end
}

fn escape(bytes: &[u8], line: &mut String) {
    for byte in bytes {
        let _ = write!(line, "\\x{byte:02x}");
    }
}

/// The length of the first line with its end, or of what there is of it.
pub fn unit(bytes: &[u8]) -> usize {
    let end = bytes.iter().position(|byte| *byte == b'\n');
    end.map_or(bytes.len(), |end| end + 1)
}

/// Whether a text is what a pattern says, in which `…` stands for any text.
pub fn matches(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('…') else {
        return pattern == text;
    };
    let Some(text) = text.strip_prefix(first) else {
        return false;
    };
    let starts = text.char_indices().map(|(at, _)| at).chain([text.len()]);
    starts.into_iter().any(|at| matches(rest, &text[at..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_text_and_may_hold_any_byte() {
        for (line, bytes) in [
            ("a1 OK", &b"a1 OK\r\n"[..]),
            ("", b"\r\n"),
            ("no end\\", b"no end"),
            ("\\", b""),
            ("\\x01ACTION\\x01", b"\x01ACTION\x01\r\n"),
            ("\\xc3\\", b"\xc3"),
            ("\"a\\\"b\" \\Seen", b"\"a\\\"b\" \\Seen\r\n"),
            ("C:\\x5c", b"C:\\\r\n"),
            ("Grüße", "Grüße\r\n".as_bytes()),
        ] {
            assert_eq!(read(line), bytes, "{line}");
            assert_eq!(write(bytes), line);
        }
        assert_eq!(read("\\xylophone \\x+1"), b"\\xylophone \\x+1\r\n");
    }

    #[test]
    fn an_ellipsis_stands_for_any_text() {
        for pattern in ["abc", "…", "a…", "…c", "a…c", "abc…", "…b…", "a…b…c"] {
            assert!(matches(pattern, "abc"), "{pattern}");
        }
        for pattern in ["", "ab", "b…", "…b", "a…b", "abc…c"] {
            assert!(!matches(pattern, "abc"), "{pattern}");
        }
    }
}
