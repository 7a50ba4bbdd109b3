//! Output: what goes to standard output and standard error, and what a terminal gets to see of it.
//!
//! A peer may say anything, and a terminal acts on control characters: they move its cursor, rename
//! its window, or answer in the user's name. So on a terminal, whatever is not text is shown as an
//! escape, such as `\u{1b}` or `\xff`. Pipes and files get payloads byte for byte.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

use tokio::io::{AsyncWriteExt, Stdout};

use crate::failure::{Failure, Step};

/// Standard output.
pub(crate) struct Output {
    stdout: Stdout,
    /// Where it is a terminal: what makes bytes visible.
    visible: Option<Visible>,
}

impl Output {
    pub(crate) fn new() -> Self {
        let is_terminal = io::stdout().is_terminal();
        Self {
            stdout: tokio::io::stdout(),
            visible: is_terminal.then(Visible::default),
        }
    }

    pub(crate) fn is_terminal(&self) -> bool {
        self.visible.is_some()
    }

    /// Writes bytes of a peer, which go on where the last ones ended.
    pub(crate) async fn payload(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let Some(visible) = &mut self.visible else {
            return self.as_it_is(bytes).await;
        };
        let mut text = String::new();
        visible.push(bytes, &mut text);
        self.as_it_is(text.as_bytes()).await
    }

    /// Ends what [`payload`](Self::payload) began: what was half a character stays one.
    pub(crate) async fn end_payload(&mut self) -> Result<(), Failure> {
        let mut text = String::new();
        if let Some(visible) = &mut self.visible {
            visible.end(&mut text);
        }
        self.as_it_is(text.as_bytes()).await
    }

    /// Writes a datagram of a peer.
    pub(crate) async fn datagram(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.payload(bytes).await?;
        self.end_payload().await
    }

    /// Writes a line of text, wherever it goes. It stays one line whatever was said in it.
    pub(crate) async fn line(&mut self, text: &str) -> Result<(), Failure> {
        let mut line = one_line(text);
        line.push('\n');
        self.as_it_is(line.as_bytes()).await
    }

    /// Writes what is no peer's, or was made visible before.
    pub(crate) async fn as_it_is(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let write = async {
            self.stdout.write_all(bytes).await?;
            self.stdout.flush().await
        };
        match write.await {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Failure::NobodyReads),
            written => written.step("writing to standard output"),
        }
    }
}

/// Says something about what is done, on standard error: a line, whatever is in it.
pub(crate) fn tell(text: impl Display) {
    let mut line = one_line(&text.to_string());
    line.push('\n');
    // Nobody may be there to read it.
    let _ = io::stderr().write_all(line.as_bytes());
}

/// Text that stays in its line.
pub(crate) fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '\t' => line.push(char),
            _ => push(char, &mut line),
        }
    }
    line
}

/// A whole payload, made visible.
pub(crate) fn visible(bytes: &[u8]) -> String {
    let mut text = String::new();
    let mut visible = Visible::default();
    visible.push(bytes, &mut text);
    visible.end(&mut text);
    text
}

/// Makes bytes visible that come in pieces: text stays as it is, with its ends of lines.
#[derive(Debug, Default)]
struct Visible {
    /// What the next bytes decide on: the beginning of a character, or a carriage return.
    undecided: Vec<u8>,
}

impl Visible {
    fn push(&mut self, bytes: &[u8], text: &mut String) {
        let mut all = std::mem::take(&mut self.undecided);
        all.extend_from_slice(bytes);
        let mut chunks = all.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            let is_last = chunks.peek().is_none();
            let mut valid = chunk.valid();
            if is_last && chunk.invalid().is_empty() && valid.ends_with('\r') {
                valid = &valid[..valid.len() - 1];
                self.undecided.push(b'\r');
            }
            let mut chars = valid.chars().peekable();
            while let Some(char) = chars.next() {
                match char {
                    '\n' | '\t' => text.push(char),
                    '\r' if chars.peek() == Some(&'\n') => {}
                    _ => push(char, text),
                }
            }
            let is_beginning = std::str::from_utf8(chunk.invalid())
                .is_err_and(|error| error.error_len().is_none());
            if is_last && is_beginning {
                self.undecided.extend_from_slice(chunk.invalid());
            } else {
                push_bytes(chunk.invalid(), text);
            }
        }
    }

    fn end(&mut self, text: &mut String) {
        match std::mem::take(&mut self.undecided).as_slice() {
            b"\r" => push('\r', text),
            bytes => push_bytes(bytes, text),
        }
    }
}

fn push(char: char, text: &mut String) {
    if is_text(char) {
        text.push(char);
    } else {
        text.extend(char.escape_default());
    }
}

fn push_bytes(bytes: &[u8], text: &mut String) {
    text.extend(bytes.escape_ascii().map(char::from));
}

/// Whether a terminal shows this, and does nothing else with it.
fn is_text(char: char) -> bool {
    match char {
        // The last two stand within Persian words, and within emoji.
        ' '..='~' | '\u{200c}' | '\u{200d}' => true,
        '\u{2028}' | '\u{2029}' => false,
        _ if char.is_control() => false,
        _ if char.is_whitespace() => true,
        // What the standard library can't print: overrides of the direction, the invisible, the
        // unassigned. After a letter, so that accents which combine with it count as text.
        _ => {
            let mut buffer = [b'a'; 5];
            let length = 1 + char.encode_utf8(&mut buffer[1..]).len();
            let pair = std::str::from_utf8(&buffer[..length]);
            pair.is_ok_and(|pair| pair.escape_debug().count() == 2)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_and_what_a_terminal_acts_on_is_shown() {
        for (bytes, shown) in [
            (
                "two\r\nlines\tand 'quotes' \\".as_bytes(),
                "two\nlines\tand 'quotes' \\",
            ),
            (
                "Zoë e\u{301} 日本\u{3000}語 👩\u{200d}🔬".as_bytes(),
                "Zoë e\u{301} 日本\u{3000}語 👩\u{200d}🔬",
            ),
            (
                b"\x1b]0;title\x07\x08\x7f\0",
                r"\u{1b}]0;title\u{7}\u{8}\u{7f}\u{0}",
            ),
            (
                "\u{9b}2J \u{202e}\u{2066}\u{200f}\u{feff}\u{e0041}".as_bytes(),
                r"\u{9b}2J \u{202e}\u{2066}\u{200f}\u{feff}\u{e0041}",
            ),
            (b"hidden\rshown", r"hidden\rshown"),
            (b"\x9b2J \xff\xe2\x82", r"\x9b2J \xff\xe2\x82"),
            (b"end\r", r"end\r"),
        ] {
            assert_eq!(visible(bytes), shown);
            // The same where it comes byte by byte.
            let (mut pieces, mut text) = (Visible::default(), String::new());
            for byte in bytes {
                pieces.push(&[*byte], &mut text);
                assert!(pieces.undecided.len() < 4, "no more than a character");
            }
            pieces.end(&mut text);
            assert_eq!(text, shown);
        }
    }

    #[test]
    fn a_line_stays_a_line() {
        assert_eq!(
            one_line("a\r\nb\tc\u{85}d\u{2028}"),
            "a\\r\\nb\tc\\u{85}d\\u{2028}"
        );
    }
}
