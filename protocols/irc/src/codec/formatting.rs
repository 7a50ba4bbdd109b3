//! Formatting of messages: bold, colours and the like, as codes within the text
//! (<https://modern.ircdocs.horse/formatting>).
//!
//! [`spans`] reads them, for who shows them; [`strip`] leaves the text alone, for who writes it to a
//! terminal or a file, and lets nothing through by which a message could act on what is shown
//! around it.
//!
//! ```
//! use jackfield_irc::codec::formatting::{Colour, spans, strip};
//!
//! let text = "\u{2}now\u{2} \u{3}04,1red on black\u{3} plain";
//! assert_eq!(strip(text), "now red on black plain");
//!
//! let shown: Vec<_> = spans(text).collect();
//! assert_eq!(shown[0].text, "now");
//! assert!(shown[0].style.is_bold());
//! assert_eq!(shown[2].style.foreground, Some(Colour::Palette(4)));
//! ```

use std::borrow::Cow;

const BOLD: char = '\u{2}';
const COLOUR: char = '\u{3}';
const HEX_COLOUR: char = '\u{4}';
const RESET: char = '\u{f}';
const MONOSPACE: char = '\u{11}';
const REVERSE: char = '\u{16}';
const ITALIC: char = '\u{1d}';
const STRIKETHROUGH: char = '\u{1e}';
const UNDERLINE: char = '\u{1f}';
const CODES: [char; 9] = [
    BOLD,
    COLOUR,
    HEX_COLOUR,
    RESET,
    MONOSPACE,
    REVERSE,
    ITALIC,
    STRIKETHROUGH,
    UNDERLINE,
];

/// The number that stands for the reader's own colour.
const DEFAULT_COLOUR: u8 = 99;

/// A colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Colour {
    /// One of a palette of 99, from 0 (white, black, blue, …); the reader chooses what the first 16
    /// look like.
    Palette(u8),
    /// Red, green and blue.
    Rgb(u8, u8, u8),
}

/// How a piece of text looks. The default is plain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Style {
    /// The colour of the text; `None` for the reader's own.
    pub foreground: Option<Colour>,
    /// The colour behind it; `None` for the reader's own.
    pub background: Option<Colour>,
    /// One bit for each code that is on.
    switches: u8,
}

/// A piece of text that looks the same throughout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Span<'a> {
    /// The text: never empty, and without formatting codes. Other control characters are left in it.
    pub text: &'a str,
    /// How it looks.
    pub style: Style,
}

/// Reads a text's formatting. Codes that aren't complete are read as far as they go, as other
/// clients do.
pub fn spans(text: &str) -> Spans<'_> {
    Spans {
        rest: text,
        style: Style::default(),
    }
}

/// A text without its formatting. All else is left in it, other control characters too: for who
/// makes them visible in a way of their own. What [`strip`] gives needs no more care.
///
/// ```
/// use jackfield_irc::codec::formatting::unformatted;
///
/// assert_eq!(unformatted("\u{3}04red\u{f} \u{1b}[2J"), "red \u{1b}[2J");
/// ```
pub fn unformatted(text: &str) -> Cow<'_, str> {
    if text.contains(CODES) {
        spans(text).map(|span| span.text).collect()
    } else {
        Cow::Borrowed(text)
    }
}

/// A text without its formatting, safe to be written to a terminal: no control character is left
/// in it (a tab becomes a space), and none of the characters that would turn the direction of what
/// follows (U+202A to U+202E, U+2066 to U+2069; Unicode Technical Report #36, section 2.4). Ends of
/// lines and paragraphs (U+2028, U+2029) become spaces.
pub fn strip(text: &str) -> Cow<'_, str> {
    let is_safe = |c: char| !c.is_control() && !turns_direction(c) && !is_separator(c);
    if text.chars().all(is_safe) {
        return Cow::Borrowed(text);
    }
    let mut stripped = String::with_capacity(text.len());
    for character in unformatted(text).chars() {
        if character == '\t' || is_separator(character) {
            stripped.push(' ');
        } else if is_safe(character) {
            stripped.push(character);
        }
    }
    Cow::Owned(stripped)
}

fn turns_direction(character: char) -> bool {
    matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn is_separator(character: char) -> bool {
    matches!(character, '\u{2028}' | '\u{2029}')
}

impl Style {
    /// Whether it is bold.
    pub fn is_bold(self) -> bool {
        self.has(BOLD)
    }

    /// Whether it is italic.
    pub fn is_italic(self) -> bool {
        self.has(ITALIC)
    }

    /// Whether it is underlined.
    pub fn is_underlined(self) -> bool {
        self.has(UNDERLINE)
    }

    /// Whether it is struck through.
    pub fn is_struck_through(self) -> bool {
        self.has(STRIKETHROUGH)
    }

    /// Whether all its characters are of one width.
    pub fn is_monospace(self) -> bool {
        self.has(MONOSPACE)
    }

    /// Whether foreground and background are to be exchanged.
    pub fn is_reversed(self) -> bool {
        self.has(REVERSE)
    }

    fn has(self, code: char) -> bool {
        self.switches & bit(code) != 0
    }
}

fn bit(code: char) -> u8 {
    match code {
        BOLD => 1,
        ITALIC => 1 << 1,
        UNDERLINE => 1 << 2,
        STRIKETHROUGH => 1 << 3,
        MONOSPACE => 1 << 4,
        REVERSE => 1 << 5,
        _ => 0,
    }
}

/// The pieces of a text, in order; see [`spans`].
#[derive(Clone, Debug)]
pub struct Spans<'a> {
    rest: &'a str,
    /// How the rest begins.
    style: Style,
}

impl<'a> Iterator for Spans<'a> {
    type Item = Span<'a>;

    fn next(&mut self) -> Option<Span<'a>> {
        while !self.rest.is_empty() {
            let end = self.rest.find(CODES).unwrap_or(self.rest.len());
            let (text, rest) = self.rest.split_at(end);
            if !text.is_empty() {
                self.rest = rest;
                let style = self.style;
                return Some(Span { text, style });
            }
            let mut rest = rest.chars();
            let code = rest.next()?;
            self.rest = rest.as_str();
            self.take_code(code);
        }
        None
    }
}

impl<'a> Spans<'a> {
    fn take_code(&mut self, code: char) {
        match code {
            RESET => self.style = Style::default(),
            COLOUR => self.take_colours(palette),
            HEX_COLOUR => self.take_colours(hex),
            _ => self.style.switches ^= bit(code),
        }
    }

    /// The colours behind a code: text, and behind a comma background. None resets both.
    fn take_colours(&mut self, read: fn(&'a str) -> Option<(Option<Colour>, &'a str)>) {
        let Some((foreground, rest)) = read(self.rest) else {
            (self.style.foreground, self.style.background) = (None, None);
            return;
        };
        self.style.foreground = foreground;
        self.rest = rest;
        // A comma that no colour follows is text.
        if let Some((background, rest)) = rest.strip_prefix(',').and_then(read) {
            self.style.background = background;
            self.rest = rest;
        }
    }
}

/// One or two digits.
fn palette(text: &str) -> Option<(Option<Colour>, &str)> {
    let is_digit = |at: usize| text.as_bytes().get(at).is_some_and(u8::is_ascii_digit);
    let length = match (is_digit(0), is_digit(1)) {
        (true, true) => 2,
        (true, false) => 1,
        (false, _) => return None,
    };
    let (digits, rest) = text.split_at(length);
    let number = digits.parse().ok()?;
    let colour = (number != DEFAULT_COLOUR).then_some(Colour::Palette(number));
    Some((colour, rest))
}

/// Six hexadecimal digits.
fn hex(text: &str) -> Option<(Option<Colour>, &str)> {
    let (digits, rest) = text.split_at_checked(6)?;
    if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let [_, red, green, blue] = u32::from_str_radix(digits, 16).ok()?.to_be_bytes();
    Some((Some(Colour::Rgb(red, green, blue)), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each piece as its style in letters, and its text.
    fn shown(text: &str) -> Vec<String> {
        let colour = |colour: Option<Colour>| match colour {
            None => "-".to_owned(),
            Some(Colour::Palette(number)) => number.to_string(),
            Some(Colour::Rgb(red, green, blue)) => format!("{red:02x}{green:02x}{blue:02x}"),
        };
        spans(text)
            .map(|Span { text, style }| {
                let letters: String = [
                    (style.is_bold(), 'b'),
                    (style.is_italic(), 'i'),
                    (style.is_underlined(), 'u'),
                    (style.is_struck_through(), 's'),
                    (style.is_monospace(), 'm'),
                    (style.is_reversed(), 'r'),
                ]
                .into_iter()
                .filter_map(|(on, letter)| on.then_some(letter))
                .collect();
                let (foreground, background) = (colour(style.foreground), colour(style.background));
                format!("{letters} {foreground} {background} {text}")
            })
            .collect()
    }

    #[test]
    fn codes_switch_and_reset() {
        assert_eq!(shown("plain"), [" - - plain"]);
        assert_eq!(
            shown("\u{2}a\u{1d}b\u{2}c\u{f}d"),
            ["b - - a", "bi - - b", "i - - c", " - - d"]
        );
        assert_eq!(
            shown("\u{1f}\u{1e}\u{11}\u{16}x"),
            ["usmr - - x"],
            "codes in a row"
        );
        assert!(shown("\u{2}\u{2}\u{f}").is_empty());
    }

    #[test]
    fn colours_are_read_as_far_as_they_go() {
        for (text, expected) in [
            ("\u{3}4red", vec![" 4 - red"]),
            ("\u{3}04,12x", vec![" 4 12 x"]),
            ("\u{3}0412", vec![" 4 - 12"]),
            ("\u{3}4,x", vec![" 4 - ,x"]),
            ("\u{3}4,123", vec![" 4 12 3"]),
            ("\u{3},5x", vec![" - - ,5x"]),
            ("\u{3}4,5a\u{3}6b\u{3}c", vec![" 4 5 a", " 6 5 b", " - - c"]),
            ("\u{3}4,5a\u{3}99,99b", vec![" 4 5 a", " - - b"]),
            ("\u{4}ff8000,00FF00x", vec![" ff8000 00ff00 x"]),
            ("\u{4}ff80x", vec![" - - ff80x"]),
            ("\u{4}ff800", vec![" - - ff800"]),
            ("\u{3}4a\u{4}b", vec![" 4 - a", " - - b"]),
            ("\u{4}éééx", vec![" - - éééx"]),
            ("\u{2}\u{3}4a\u{3}b", vec!["b 4 - a", "b - - b"]),
        ] {
            assert_eq!(shown(text), expected, "{text:?}");
        }
    }

    #[test]
    fn what_is_stripped_can_not_act_on_a_terminal() {
        assert!(matches!(strip("Grüße, 日本語"), Cow::Borrowed(_)));
        for (text, expected) in [
            ("\u{3}04,12red\u{3} \u{2}bold\u{2}", "red bold"),
            ("\u{4}ff8000orange", "orange"),
            ("a\tb", "a b"),
            ("\u{1b}[31mred\u{1b}[0m", "[31mred[0m"),
            ("\u{9b}31m\u{7f}\u{7}\u{1}x", "31mx"),
            ("exe.\u{202e}gpj\u{202c} \u{2066}x\u{2069}", "exe.gpj x"),
            ("a\u{2028}b\u{2029}c", "a b c"),
            // Marks that act on one place only are part of the text.
            ("a\u{200f}b", "a\u{200f}b"),
        ] {
            assert_eq!(strip(text), expected, "{text:?}");
        }
    }
}
