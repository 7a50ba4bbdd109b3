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
    text: Text,
}

impl Content {
    /// Content that begins.
    pub fn new(framing: Framing) -> Self {
        Self {
            framing,
            text: Text::default(),
        }
    }

    /// The same without the headers Bcc and Resent-Bcc, which name those whom the others are not to
    /// know of (RFC 5322, section 3.6.3). Not with [`Framing::Binary`], of which nothing is changed.
    ///
    /// ```
    /// use jackfield_smtp::codec::{Content, Framing};
    ///
    /// let (mut content, mut out) = (Content::new(Framing::Chunks).without_bcc(), Vec::new());
    /// content.write(b"To: a@b\nBcc: c@d,\n e@f\nSubject: hi\n\nBcc: stays\n", &mut out);
    /// assert_eq!(out, b"To: a@b\r\nSubject: hi\r\n\r\nBcc: stays\r\n");
    /// ```
    #[must_use]
    pub fn without_bcc(mut self) -> Self {
        self.text.blind = Some(Blind::default());
        self
    }

    /// Appends a piece.
    pub fn write(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        match self.framing {
            Framing::Binary => out.extend_from_slice(piece),
            Framing::Chunks | Framing::Dots => {
                let dots = self.framing == Framing::Dots;
                self.text.take(piece, |part| match part {
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
        if self.framing != Framing::Binary {
            out.extend_from_slice(self.text.end());
        }
        if self.framing == Framing::Dots {
            out.extend_from_slice(b".\r\n");
        }
    }
}

/// What must be known of a message's content before it is sent, in whichever pieces it comes.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    text: Text,
    size: u64,
    raw: u64,
    eight_bit: bool,
    nul: bool,
}

impl Survey {
    /// The same of content [without Bcc](Content::without_bcc).
    #[must_use]
    pub fn without_bcc(mut self) -> Self {
        self.text.blind = Some(Blind::default());
        self
    }

    /// Takes a piece.
    pub fn take(&mut self, piece: &[u8]) {
        let size = &mut self.size;
        self.text.take(piece, |part| {
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
        self.size + self.text.clone().end().len() as u64
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

/// A text in lines, perhaps without some of its headers.
#[derive(Clone, Debug)]
struct Text {
    lines: Lines,
    blind: Option<Blind>,
    /// Whether what was given out ends with a line's end, or is nothing.
    is_ended: bool,
}

impl Default for Text {
    fn default() -> Self {
        Self {
            lines: Lines::default(),
            blind: None,
            is_ended: true,
        }
    }
}

impl Text {
    fn take(&mut self, piece: &[u8], mut give: impl FnMut(Part<'_>)) {
        let (blind, is_ended) = (&mut self.blind, &mut self.is_ended);
        let mut give = |part: Part<'_>| {
            *is_ended = matches!(part, Part::End);
            give(part);
        };
        self.lines.take(piece, |part| match blind {
            Some(blind) => blind.take(part, &mut give),
            None => give(part),
        });
    }

    /// What is missing at the end: what was held back, which begins no line that is left out, and the
    /// last line's end.
    fn end(&mut self) -> &[u8] {
        let held: &mut Vec<u8> = match &mut self.blind {
            Some(blind) => &mut blind.held,
            None => return if self.is_ended { b"" } else { b"\r\n" },
        };
        if !self.is_ended || !held.is_empty() {
            held.extend_from_slice(b"\r\n");
        }
        held
    }
}

/// Where in its lines a text stands.
#[derive(Clone, Debug)]
struct Lines {
    is_start: bool,
    /// The last byte was a CR, and was given out as a line's end: an LF behind it belongs to it.
    after_cr: bool,
}

#[derive(Clone, Copy, Debug)]
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

/// Leaves out the headers that name who is not to be known of.
#[derive(Clone, Debug, Default)]
struct Blind {
    place: Place,
    /// The beginning of a line that may turn out to be such a header, up to [`MAX_HELD`] bytes.
    held: Vec<u8>,
    /// Whether the header before was left out: the lines that go on with it are, too.
    was_left: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// In the name of a header.
    #[default]
    Name,
    /// In a line that stays.
    Kept,
    /// In a line that is left out.
    Left,
    /// Behind the headers.
    Body,
}

const BLIND: [&[u8]; 2] = [b"bcc", b"resent-bcc"];
/// More spaces before a colon than fit here are none of a header that anyone writes.
const MAX_HELD: usize = 64;

impl Blind {
    fn take(&mut self, part: Part<'_>, give: &mut impl FnMut(Part<'_>)) {
        match (self.place, part) {
            (Place::Body | Place::Kept, Part::Text(..)) => give(part),
            (Place::Left, Part::Text(..)) => {}
            (Place::Name, Part::Text(text, begins)) => self.name(text, begins, give),
            (Place::Body, Part::End) => give(Part::End),
            (Place::Left, Part::End) => {
                self.place = Place::Name;
                self.was_left = true;
            }
            (Place::Kept, Part::End) => {
                self.place = Place::Name;
                self.was_left = false;
                give(Part::End);
            }
            (Place::Name, Part::End) => {
                if self.held.is_empty() {
                    self.place = Place::Body;
                } else {
                    give(Part::Text(&self.held, true));
                    self.held.clear();
                    self.was_left = false;
                }
                give(Part::End);
            }
        }
    }

    /// Takes text from a line's beginning, or behind what is held of it.
    fn name(&mut self, text: &[u8], begins: bool, give: &mut impl FnMut(Part<'_>)) {
        if begins && matches!(text[0], b' ' | b'\t') {
            if self.was_left {
                self.place = Place::Left;
            } else {
                self.place = Place::Kept;
                give(Part::Text(text, true));
            }
            return;
        }
        for (at, byte) in text.iter().enumerate() {
            let name = self.held.trim_ascii_end();
            let is_whole = BLIND.iter().any(|it| it.eq_ignore_ascii_case(name));
            if is_whole && *byte == b':' {
                self.held.clear();
                self.place = Place::Left;
                return;
            }
            let length = self.held.len();
            let is_beginning = BLIND.iter().any(|it| {
                name.len() == length
                    && it.len() > length
                    && it[..length].eq_ignore_ascii_case(name)
                    && it[length].eq_ignore_ascii_case(byte)
            });
            let is_space = is_whole && matches!(byte, b' ' | b'\t');
            if length >= MAX_HELD || !(is_beginning || is_space) {
                self.place = Place::Kept;
                if length > 0 {
                    give(Part::Text(&self.held, true));
                    self.held.clear();
                }
                give(Part::Text(&text[at..], length == 0));
                return;
            }
            self.held.push(*byte);
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

    #[test]
    fn the_blind_are_left_out_wherever_the_text_is_cut() {
        for (content, left) in [
            ("Bcc: a@b\nTo: c@d\n\nx", "To: c@d\r\n\r\nx\r\n"),
            (
                "To: c@d\nBCC : a@b,\n\te@f\n g@h\nCc: i@j\n\n",
                "To: c@d\r\nCc: i@j\r\n\r\n",
            ),
            ("Resent-Bcc:\rSubject: a\r b\r", "Subject: a\r\n b\r\n"),
            ("Bcc: a@b", ""),
            ("Bcc", "Bcc\r\n"),
            (
                "Bcc\n: a\nBccx: b\nBc: c\nX-Bcc: d\n",
                "Bcc\r\n: a\r\nBccx: b\r\nBc: c\r\nX-Bcc: d\r\n",
            ),
            (
                ".Bcc: a\n b\n\n.\nBcc: c\n",
                ".Bcc: a\r\n b\r\n\r\n.\r\nBcc: c\r\n",
            ),
            ("\nBcc: a\n", "\r\nBcc: a\r\n"),
        ] {
            for size in 1..=content.len() {
                let (mut writer, mut out) =
                    (Content::new(Framing::Chunks).without_bcc(), Vec::new());
                let mut survey = Survey::default().without_bcc();
                for piece in content.as_bytes().chunks(size) {
                    writer.write(piece, &mut out);
                    survey.take(piece);
                }
                writer.end(&mut out);
                assert_eq!(
                    out.escape_ascii().to_string(),
                    left.escape_default().to_string()
                );
                assert_eq!(survey.size(), out.len() as u64);
            }
        }
        let (mut writer, mut out) = (Content::new(Framing::Dots).without_bcc(), Vec::new());
        writer.write(b"Bcc: a\n.b\n\n.", &mut out);
        writer.end(&mut out);
        assert_eq!(out, b"..b\r\n\r\n..\r\n.\r\n");
    }
}
