//! Lists of links (RFC 6690, `application/link-format`), as `/.well-known/core` has them.

use std::fmt;
use std::str::FromStr;

/// How many links a list may have.
const MAX_LINKS: usize = 4096;
/// How many attributes a link may have.
const MAX_ATTRIBUTES: usize = 64;

/// A list of links.
///
/// ```
/// use jackfield_coap::codec::Links;
///
/// let links: Links = r#"</sensors/temp>;rt="temperature-c indoor";if=sensor;obs,</fw>;sz=4096"#.parse()?;
/// let thermometer = links.iter().find(|link| link.has_resource_type("indoor"));
/// assert_eq!(thermometer.map(|link| link.target()), Some("/sensors/temp"));
/// assert_eq!(links.iter().filter(|link| link.is_observable()).count(), 1);
/// # Ok::<(), jackfield_coap::codec::InvalidLinks>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Links(Vec<Link>);

/// A link: where it leads, and what is said of that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    target: String,
    attributes: Vec<(String, Option<String>)>,
}

impl Links {
    /// Reads a list.
    ///
    /// White space around the separators is passed over: RFC 6690 has none, and servers send it.
    ///
    /// # Errors
    /// Where it is not a list of links, or has more than 4096 links or a link with more than 64 attributes.
    pub fn parse(bytes: &[u8]) -> Result<Self, InvalidLinks> {
        let text = str::from_utf8(bytes).map_err(|error| InvalidLinks {
            at: error.valid_up_to(),
            what: "not UTF-8",
        })?;
        Reader { text, at: 0 }.links()
    }

    /// The links, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Link> {
        self.0.iter()
    }

    /// How many they are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<Link> for Links {
    fn from_iter<T: IntoIterator<Item = Link>>(links: T) -> Self {
        Self(links.into_iter().collect())
    }
}

impl IntoIterator for Links {
    type Item = Link;
    type IntoIter = std::vec::IntoIter<Link>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Links {
    type Item = &'a Link;
    type IntoIter = std::slice::Iter<'a, Link>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl FromStr for Links {
    type Err = InvalidLinks;

    fn from_str(text: &str) -> Result<Self, InvalidLinks> {
        Self::parse(text.as_bytes())
    }
}

/// As RFC 6690 writes it.
impl fmt::Display for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, link) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            link.fmt(f)?;
        }
        Ok(())
    }
}

impl Link {
    /// A link to a URI or a path, without attributes.
    ///
    /// # Errors
    /// Where it has a character that no URI reference may have.
    #[cfg(any(test, feature = "server"))]
    pub(crate) fn new(target: impl Into<String>) -> Result<Self, InvalidLinks> {
        let target = target.into();
        match target.bytes().position(|byte| !is_uri_byte(byte)) {
            None => Ok(Self {
                target,
                attributes: Vec::new(),
            }),
            Some(at) => Err(InvalidLinks {
                at,
                what: "a character that must be percent-encoded",
            }),
        }
    }

    /// The same, with one more attribute.
    ///
    /// # Errors
    /// Where the name is not valid, or the value has a control character.
    #[cfg(any(test, feature = "server"))]
    pub(crate) fn with(mut self, name: &str, value: Option<&str>) -> Result<Self, InvalidLinks> {
        let wrong = |what| Err(InvalidLinks { at: 0, what });
        if name.is_empty() || !name.bytes().all(is_name_byte) {
            return wrong("no attribute's name");
        }
        if value.is_some_and(|value| value.chars().any(char::is_control)) {
            return wrong("a control character in an attribute");
        }
        self.attributes
            .push((name.to_owned(), value.map(str::to_owned)));
        Ok(self)
    }

    /// Where it leads: a URI, or what is to be [joined](super::Uri::join) to the server's.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// The attributes, in order. One without a value is a mark, such as `obs`.
    pub fn attributes(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.attributes
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_deref()))
    }

    /// The first attribute of this name that has a value (RFC 6690: further ones are passed over).
    pub fn get(&self, name: &str) -> Option<&str> {
        self.attributes()
            .find(|(it, _)| it.eq_ignore_ascii_case(name))
            .and_then(|(_, value)| value)
    }

    /// Whether there is an attribute of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.attributes()
            .any(|(it, _)| it.eq_ignore_ascii_case(name))
    }

    /// `title`: what a person calls it.
    pub fn title(&self) -> Option<&str> {
        self.get("title")
    }

    /// `rt`: what kinds of resource it is.
    pub fn resource_types(&self) -> impl Iterator<Item = &str> {
        words(self.get("rt"))
    }

    /// Whether `rt` has this word.
    pub fn has_resource_type(&self, word: &str) -> bool {
        self.resource_types().any(|it| it == word)
    }

    /// `if`: how to speak with it.
    pub fn interfaces(&self) -> impl Iterator<Item = &str> {
        words(self.get("if"))
    }

    /// `ct`: the numbers of the content formats it has (RFC 7252, section 7.2.1).
    pub fn content_formats(&self) -> impl Iterator<Item = u16> {
        words(self.get("ct")).filter_map(|word| word.parse().ok())
    }

    /// `sz`: about how large it is, in bytes; given where it doesn't fit into a packet.
    pub fn size(&self) -> Option<u64> {
        self.get("sz").and_then(|size| size.parse().ok())
    }

    /// `obs`: whether it can be observed (RFC 7641, section 6).
    pub fn is_observable(&self) -> bool {
        self.has("obs")
    }
}

/// As RFC 6690 writes it.
impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}>", self.target)?;
        for (name, value) in self.attributes() {
            write!(f, ";{name}")?;
            match value {
                None => {}
                // A number needs no quotes; some parsers want none round it.
                Some(value) if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) => {
                    write!(f, "={value}")?;
                }
                // RFC 5987's values stand without quotes.
                Some(value) if name.ends_with('*') && value.bytes().all(is_token_byte) => {
                    write!(f, "={value}")?;
                }
                Some(value) => {
                    let escaped = value.replace('\\', "\\\\").replace('"', "\\\"");
                    write!(f, "=\"{escaped}\"")?;
                }
            }
        }
        Ok(())
    }
}

/// What is wrong with a list of links, and at which byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidLinks {
    at: usize,
    what: &'static str,
}

impl fmt::Display for InvalidLinks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "not in the link format: {} at byte {}",
            self.what, self.at
        )
    }
}

impl std::error::Error for InvalidLinks {}

fn words(value: Option<&str>) -> impl Iterator<Item = &str> {
    value.unwrap_or_default().split_ascii_whitespace()
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn links(mut self) -> Result<Links, InvalidLinks> {
        let mut links = Vec::new();
        self.skip_space();
        if self.rest().is_empty() {
            return Ok(Links(links));
        }
        loop {
            if links.len() == MAX_LINKS {
                return Err(self.wrong("more than 4096 links"));
            }
            links.push(self.link()?);
            self.skip_space();
            if self.rest().is_empty() {
                return Ok(Links(links));
            }
            self.expect(',', "no comma between two links")?;
            self.skip_space();
        }
    }

    fn link(&mut self) -> Result<Link, InvalidLinks> {
        self.expect('<', "a link doesn't begin with <")?;
        let target = self.take_while(is_uri_byte);
        self.expect('>', "a link's target doesn't end with >")?;
        let mut attributes = Vec::new();
        loop {
            self.skip_space();
            if !self.take(';') {
                return Ok(Link {
                    target: target.to_owned(),
                    attributes,
                });
            }
            self.skip_space();
            if attributes.len() == MAX_ATTRIBUTES {
                return Err(self.wrong("more than 64 attributes"));
            }
            let name = self.take_while(is_name_byte);
            if name.is_empty() {
                return Err(self.wrong("no attribute's name"));
            }
            let value = if self.take('=') {
                Some(self.value()?)
            } else {
                None
            };
            attributes.push((name.to_owned(), value));
        }
    }

    fn value(&mut self) -> Result<String, InvalidLinks> {
        if !self.take('"') {
            let token = self.take_while(is_token_byte);
            if token.is_empty() {
                return Err(self.wrong("no value"));
            }
            return Ok(token.to_owned());
        }
        let mut value = String::new();
        let mut escaped = false;
        for (offset, char) in self.rest().char_indices() {
            // RFC 2616's quoted-string lets a line be folded; nothing else of control.
            if char.is_control() && char != '\t' {
                self.at += offset;
                return Err(self.wrong("a control character in an attribute"));
            }
            match char {
                _ if escaped => {
                    value.push(char);
                    escaped = false;
                }
                '\\' => escaped = true,
                '"' => {
                    self.at += offset + 1;
                    return Ok(value);
                }
                _ => value.push(char),
            }
        }
        self.at = self.text.len();
        Err(self.wrong("a quoted value without an end"))
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn take(&mut self, char: char) -> bool {
        let found = self.rest().starts_with(char);
        if found {
            self.at += char.len_utf8();
        }
        found
    }

    fn expect(&mut self, char: char, what: &'static str) -> Result<(), InvalidLinks> {
        if self.take(char) {
            Ok(())
        } else {
            Err(self.wrong(what))
        }
    }

    fn take_while(&mut self, is_wanted: fn(u8) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.bytes().position(|byte| !is_wanted(byte));
        // What is wanted is ASCII, or all that is not: never half a character.
        let taken = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
        self.at += taken.len();
        taken
    }

    fn skip_space(&mut self) {
        self.take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'));
    }

    fn wrong(&self, what: &'static str) -> InvalidLinks {
        InvalidLinks { at: self.at, what }
    }
}

/// What a URI reference consists of, other scripts included.
fn is_uri_byte(byte: u8) -> bool {
    byte > b' ' && byte != 0x7f && !b"<>\"\\^`{|}".contains(&byte)
}

/// RFC 6690's parmname, with the star of RFC 5987 behind it.
fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~*".contains(&byte)
}

/// RFC 6690's ptokenchar.
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"\",;\\".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links(text: &str) -> Links {
        text.parse()
            .unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn the_examples_of_rfc_6690_section_5() {
        let text = "</sensors>;ct=40;title=\"Sensor Index\",\
                    </sensors/temp>;rt=\"temperature-c\";if=\"sensor\",\
                    </sensors/light>;rt=\"light-lux core.s\";if=\"sensor\",\
                    <http://www.example.com/sensors/t123>;anchor=\"/sensors/temp\";rel=\"describedby\",\
                    </t>;anchor=\"/sensors/temp\";rel=\"alternate\"";
        let found = links(text);
        assert_eq!(found.to_string(), text);
        let all: Vec<&Link> = found.iter().collect();
        assert_eq!(all.len(), 5);
        assert_eq!(all[0].title(), Some("Sensor Index"));
        assert_eq!(all[0].content_formats().collect::<Vec<_>>(), [40]);
        assert!(all[2].has_resource_type("core.s"));
        assert_eq!(all[2].interfaces().collect::<Vec<_>>(), ["sensor"]);
        assert_eq!(all[3].get("rel"), Some("describedby"));
        assert_eq!(all[3].target(), "http://www.example.com/sensors/t123");
    }

    #[test]
    fn values_with_and_without_quotes() {
        let found = links(r#"</a>;sz=1280;obs;x="a\"b\\c";title*=UTF-8''%e2%82%ac, </b> ; if=x"#);
        let all: Vec<&Link> = found.iter().collect();
        assert_eq!(all[0].size(), Some(1280));
        assert!(all[0].is_observable());
        assert_eq!(all[0].get("x"), Some(r#"a"b\c"#));
        assert_eq!(all[0].get("title*"), Some("UTF-8''%e2%82%ac"));
        assert_eq!(all[1].get("if"), Some("x"));
        assert_eq!(links(&found.to_string()), found);
        assert!(links("").is_empty());
    }

    #[test]
    fn what_is_no_list() {
        for (text, at) in [
            ("a", 0),
            ("<a", 2),
            ("<a>,", 4),
            ("<a><b>", 3),
            ("<a b>", 2),
            ("<a>;", 4),
            ("<a>;x=", 6),
            ("<a>;x=\"", 7),
            ("<a>;x=\"\n\"", 7),
            ("<a>;=1", 4),
        ] {
            let error = text.parse::<Links>().expect_err(text);
            assert_eq!(error.at, at, "{text}: {error}");
        }
        Links::parse(b"<a>;x=\"\xff\"").expect_err("not UTF-8");
        ("<a>".to_owned() + &";x".repeat(65))
            .parse::<Links>()
            .expect_err("too many");
    }

    #[test]
    fn a_link_of_ones_own() {
        let link = Link::new("/light").and_then(|link| link.with("rt", Some("lamp")));
        let link = link.and_then(|link| link.with("obs", None)).expect("valid");
        assert_eq!(link.to_string(), "</light>;rt=\"lamp\";obs");
        Link::new("/a>b").expect_err("the end of the target");
        let light = || Link::new("/light").expect("valid");
        light().with("a b", None).expect_err("no name");
        light().with("a", Some("\n")).expect_err("a new line");
    }
}
