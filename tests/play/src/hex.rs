//! Bytes as books write them: hexadecimal digits, and text in quotes (`00 03 "a/b"`).

use crate::text;

/// The bytes that a line stands for.
///
/// # Panics
/// When it is something else.
pub fn read(line: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (at, part) in line.split('"').enumerate() {
        if at % 2 == 1 {
            bytes.extend_from_slice(part.as_bytes());
            continue;
        }
        for word in part.split_whitespace() {
            let digits = word.as_bytes().chunks(2);
            let digits = digits.map(|it| str::from_utf8(it).ok().and_then(text::byte));
            let read: Option<Vec<u8>> = digits.collect();
            bytes.extend(read.unwrap_or_else(|| panic!("{word}: not hexadecimal")));
        }
    }
    bytes
}

/// The line that stands for bytes: what could be a word is in quotes.
pub fn write(bytes: &[u8]) -> String {
    let is_text = |byte: &u8| (*byte == b' ' || byte.is_ascii_graphic()) && *byte != b'"';
    let mut parts: Vec<String> = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let text = rest.iter().take_while(|byte| is_text(byte)).count();
        if text > 1 {
            parts.push(format!("\"{}\"", String::from_utf8_lossy(&rest[..text])));
            rest = &rest[text..];
        } else {
            parts.push(format!("{:02X}", rest[0]));
            rest = &rest[1..];
        }
    }
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_and_written() {
        let line = "30 08 00 03 \"a/b\" 00 \"hi\"";
        let bytes = b"\x30\x08\x00\x03a/b\x00hi";
        assert_eq!(read(line), bytes);
        assert_eq!(write(bytes), line);
        assert_eq!(read("3008 0003"), [0x30, 8, 0, 3]);
        assert_eq!(read(""), b"");
    }
}
