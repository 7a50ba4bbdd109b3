//! The content of a message on its way: lines that end as they must, and dots that can't end it
//! (RFC 5321, sections 2.3.8 and 4.5.2; RFC 3030).
//!
//! A server that takes something else than CR LF for a line's end, and finds a dot behind it, ends
//! the message there and takes the rest for commands ("SMTP smuggling"). So every CR, LF or CR LF
//! leaves as CR LF, and what begins a line with a dot leaves with two: nothing that a message holds
//! can end it, whatever a server takes for its end.

use memchr::{memchr, memchr2};

/// How content is carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "the two commands, and binary content"
)]
pub enum Framing {
    /// With DATA: up to a line with a dot.
    Dots,
    /// With BDAT: counted.
    Chunks,
    /// With BDAT and `BODY=BINARYMIME`: counted, and nothing of it is changed.
    Binary,
}

/// Writes a message's content as it is carried, in whichever pieces it comes.
///
/// ```
/// use jackfield_smtp::codec::{Content, Framing};
///
/// let (mut content, mut out) = (Content::new(Framing::Dots), Vec::new());
/// content.write(b"one\r", &mut out);
/// content.write(b"\n.\ntwo", &mut out);
/// content.end(&mut out);
/// assert_eq!(out, b"one\r\n..\r\ntwo\r\n.\r\n");
/// ```
#[derive(Clone, Debug)]
pub struct Content {
    framing: Framing,
    lines: Lines,
}

impl Content {
    /// Content that begins.
    pub fn new(framing: Framing) -> Self {
        Self {
            framing,
            lines: Lines::default(),
        }
    }

    /// Appends a piece.
    pub fn write(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        match self.framing {
            Framing::Binary => out.extend_from_slice(piece),
            Framing::Chunks | Framing::Dots => {
                let dots = self.framing == Framing::Dots;
                self.lines.take(piece, |part| match part {
                    Part::Text(text, begins) => {
                        if dots && begins && text.first() == Some(&b'.') {
                            out.push(b'.');
                        }
                        out.extend_from_slice(text);
                    }
                    Part::End => out.extend_from_slice(b"\r\n"),
                });
            }
        }
    }

    /// Appends the end: that of the last line, where it has none, and with DATA the line with a dot.
    pub fn end(&mut self, out: &mut Vec<u8>) {
        if self.framing != Framing::Binary && !self.lines.is_at_start() {
            out.extend_from_slice(b"\r\n");
        }
        if self.framing == Framing::Dots {
            out.extend_from_slice(b".\r\n");
        }
    }
}

/// What must be known of a message's content before it is sent, in whichever pieces it comes.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    lines: Lines,
    size: u64,
    raw: u64,
    eight_bit: bool,
    nul: bool,
}

impl Survey {
    /// Takes a piece.
    pub fn take(&mut self, piece: &[u8]) {
        let size = &mut self.size;
        self.lines.take(piece, |part| {
            *size += match part {
                Part::Text(text, _) => text.len() as u64,
                Part::End => 2,
            };
        });
        self.raw += piece.len() as u64;
        self.eight_bit = self.eight_bit || !piece.is_ascii();
        self.nul = self.nul || memchr(0, piece).is_some();
    }

    /// How many bytes it has with lines that end as they must, and without what is only there to
    /// carry it: what `SIZE=` says (RFC 1870, section 3), and what [`Framing::Chunks`] writes.
    pub fn size(&self) -> u64 {
        self.size + if self.lines.is_at_start() { 0 } else { 2 }
    }

    /// How many bytes it has as it is.
    pub fn raw_size(&self) -> u64 {
        self.raw
    }

    /// Whether a byte of it is not ASCII.
    pub fn is_eight_bit(&self) -> bool {
        self.eight_bit
    }

    /// Whether a byte of it is NUL, which no text has (RFC 5321, section 2.3.8), and which some
    /// servers leave out, so that a dot behind it begins the line.
    pub fn has_nul(&self) -> bool {
        self.nul
    }
}

/// Where in its lines a text stands.
#[derive(Clone, Debug)]
struct Lines {
    is_start: bool,
    /// The last byte was a CR, and was given out as a line's end: an LF behind it belongs to it.
    after_cr: bool,
}

enum Part<'a> {
    /// A part of a line, not empty, and whether the line begins with it.
    Text(&'a [u8], bool),
    End,
}

impl Default for Lines {
    fn default() -> Self {
        Self {
            is_start: true,
            after_cr: false,
        }
    }
}

impl Lines {
    fn is_at_start(&self) -> bool {
        self.is_start
    }

    fn take<'a>(&mut self, piece: &'a [u8], mut give: impl FnMut(Part<'a>)) {
        let mut rest = piece;
        while let Some(first) = rest.first() {
            if std::mem::take(&mut self.after_cr) && *first == b'\n' {
                rest = &rest[1..];
                continue;
            }
            let Some(end) = memchr2(b'\r', b'\n', rest) else {
                give(Part::Text(rest, self.is_start));
                self.is_start = false;
                return;
            };
            if end > 0 {
                give(Part::Text(&rest[..end], self.is_start));
            }
            give(Part::End);
            self.is_start = true;
            self.after_cr = rest[end] == b'\r';
            rest = &rest[end + 1..];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(framing: Framing, content: &[u8]) -> Vec<u8> {
        let (mut writer, mut out) = (Content::new(framing), Vec::new());
        writer.write(content, &mut out);
        writer.end(&mut out);
        out
    }

    #[test]
    fn nothing_ends_a_message_but_its_end() {
        for (content, carried) in [
            (&b""[..], &b".\r\n"[..]),
            (b"a", b"a\r\n.\r\n"),
            (b"a\r\n", b"a\r\n.\r\n"),
            (b".", b"..\r\n.\r\n"),
            (b"a\n.\nb", b"a\r\n..\r\nb\r\n.\r\n"),
            (b"a\r.\rb", b"a\r\n..\r\nb\r\n.\r\n"),
            (b"a\r.\nb", b"a\r\n..\r\nb\r\n.\r\n"),
            (b"a\n.\r\nb", b"a\r\n..\r\nb\r\n.\r\n"),
            (b"a\r\n.\nb", b"a\r\n..\r\nb\r\n.\r\n"),
            (b"a\r.\r\nb", b"a\r\n..\r\nb\r\n.\r\n"),
            (b"a\r\n.\rb", b"a\r\n..\r\nb\r\n.\r\n"),
            (b"a\r\r\n.\r\r\n", b"a\r\n\r\n..\r\n\r\n.\r\n"),
            (b"\n\r.\r", b"\r\n\r\n..\r\n.\r\n"),
        ] {
            let came = written(Framing::Dots, content);
            assert_eq!(
                came.escape_ascii().to_string(),
                carried.escape_ascii().to_string()
            );
        }
    }

    #[test]
    fn what_is_counted_has_the_size_that_was_found() {
        for content in [
            &b""[..],
            b"a",
            b"a\n",
            b"a\r",
            b".\r.\n\r\n",
            b"\r\n\r\r",
            b"\xff\0",
        ] {
            let mut survey = Survey::default();
            survey.take(content);
            let carried = written(Framing::Chunks, content);
            assert_eq!(
                survey.size(),
                carried.len() as u64,
                "{}",
                content.escape_ascii()
            );
            assert_eq!(
                survey.raw_size(),
                written(Framing::Binary, content).len() as u64
            );
            assert_eq!(survey.is_eight_bit(), !content.is_ascii());
            assert_eq!(survey.has_nul(), content.contains(&0));
        }
    }
}
