//! Writing of responses: what a server tells becomes atoms, strings and literals, and nothing else
//! (RFC 9051, section 7).

use super::super::date::DateTime;
use super::super::encode::{Dialect, Encoder};
use super::super::envelope::{Address, Envelope};
use super::super::flag::Flag;
use super::super::framer::decimal;
use super::super::mailbox::MailboxName;
use super::super::section::Section;
use super::super::set::SequenceSet;
use super::super::structure::Structure;
use super::super::text::Text;

/// Appends to a response. Strings are quoted, or become literals where they must.
///
/// ```
/// use jackfield_imap::codec::Flag;
/// use jackfield_imap::codec::server::Writer;
///
/// let mut bytes = Vec::new();
/// let mut out = Writer::new(&mut bytes);
/// out.raw("* 3 FETCH (FLAGS ").flags(&[Flag::Seen]).raw(" BODY[] ").string(b"a\"b").raw(")\r\n");
/// assert_eq!(bytes, b"* 3 FETCH (FLAGS (\\Seen) BODY[] \"a\\\"b\")\r\n");
/// ```
#[derive(Debug)]
pub struct Writer<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> Writer<'a> {
    /// Appends to these bytes.
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out }
    }

    /// What the server itself has to say.
    pub fn raw(&mut self, text: &str) -> &mut Self {
        self.out.extend_from_slice(text.as_bytes());
        self
    }

    /// A number.
    pub fn number(&mut self, number: impl Into<u64>) -> &mut Self {
        self.out
            .extend_from_slice(decimal(number.into(), &mut [0; 20]));
        self
    }

    /// A tag that came with a request.
    pub fn tag(&mut self, tag: &Text) -> &mut Self {
        self.out.extend_from_slice(tag.as_bytes());
        self
    }

    /// A string; a NUL, which no string has, is left out.
    pub fn string(&mut self, bytes: &[u8]) -> &mut Self {
        if memchr::memchr(0, bytes).is_some() {
            let text: Vec<u8> = bytes.iter().copied().filter(|byte| *byte != 0).collect();
            return self.string(&text);
        }
        Encoder::new(self.out, Dialect::default()).string(bytes);
        self
    }

    /// A string, or NIL.
    pub fn nstring(&mut self, text: Option<&Text>) -> &mut Self {
        match text {
            Some(text) => self.string(text.as_bytes()),
            None => self.raw("NIL"),
        }
    }

    /// A literal.
    pub fn literal(&mut self, bytes: &[u8]) -> &mut Self {
        self.raw("{").number(bytes.len() as u64).raw("}\r\n");
        self.out.extend_from_slice(bytes);
        self
    }

    /// A mailbox's name.
    pub fn mailbox(&mut self, name: &MailboxName) -> &mut Self {
        Encoder::new(self.out, Dialect::default()).mailbox(name);
        self
    }

    /// Flags in parentheses.
    pub fn flags(&mut self, flags: &[Flag]) -> &mut Self {
        Encoder::new(self.out, Dialect::default()).list(flags, |out, flag| out.raw(flag.name()));
        self
    }

    /// A set.
    pub fn set(&mut self, set: &SequenceSet) -> &mut Self {
        set.encode(self.out);
        self
    }

    /// A moment, between quotes.
    pub fn date(&mut self, date: DateTime) -> &mut Self {
        date.encode(self.out);
        self
    }

    /// A section, with its brackets.
    pub fn section(&mut self, section: &Section) -> &mut Self {
        section.encode(&mut Encoder::new(self.out, Dialect::default()));
        self
    }

    /// An envelope.
    pub fn envelope(&mut self, envelope: &Envelope) -> &mut Self {
        self.raw("(").nstring(envelope.date.as_ref());
        self.raw(" ").nstring(envelope.subject.as_ref());
        for addresses in [
            &envelope.from,
            &envelope.sender,
            &envelope.reply_to,
            &envelope.to,
            &envelope.cc,
            &envelope.bcc,
        ] {
            self.raw(" ").addresses(addresses);
        }
        self.raw(" ").nstring(envelope.in_reply_to.as_ref());
        self.raw(" ").nstring(envelope.message_id.as_ref()).raw(")")
    }

    fn addresses(&mut self, addresses: &[Address]) {
        if addresses.is_empty() {
            self.raw("NIL");
            return;
        }
        self.raw("(");
        for address in addresses {
            self.raw("(").nstring(address.name.as_ref());
            self.raw(" ").nstring(address.route.as_ref());
            self.raw(" ").nstring(address.mailbox.as_ref());
            self.raw(" ").nstring(address.host.as_ref()).raw(")");
        }
        self.raw(")");
    }

    /// What a message is made of: as BODYSTRUCTURE, or as BODY, which has no extensions.
    pub fn structure(&mut self, structure: &Structure, extended: bool) -> &mut Self {
        self.raw("(");
        if structure.media_type.is("multipart") {
            for part in &structure.parts {
                self.structure(part, extended);
            }
            self.raw(" ").string(structure.subtype.as_bytes());
            if extended {
                self.raw(" ").parameters(&structure.parameters);
            }
        } else {
            self.single(structure, extended);
        }
        if extended {
            self.raw(" ").disposition(structure);
            self.raw(" ").languages(&structure.languages);
            self.raw(" ").nstring(structure.location.as_ref());
        }
        self.raw(")")
    }

    fn single(&mut self, structure: &Structure, extended: bool) {
        self.string(structure.media_type.as_bytes()).raw(" ");
        self.string(structure.subtype.as_bytes()).raw(" ");
        self.parameters(&structure.parameters);
        self.raw(" ").nstring(structure.id.as_ref());
        self.raw(" ").nstring(structure.description.as_ref());
        match &structure.encoding {
            Some(encoding) => self.raw(" ").string(encoding.as_bytes()),
            None => self.raw(" \"7BIT\""),
        };
        self.raw(" ").number(structure.size.unwrap_or_default());
        if let (Some(envelope), Some(part)) = (&structure.envelope, structure.parts.first()) {
            self.raw(" ").envelope(envelope).raw(" ");
            self.structure(part, extended);
        }
        if let Some(lines) = structure.lines {
            self.raw(" ").number(lines);
        }
        if extended {
            self.raw(" ").nstring(structure.md5.as_ref());
        }
    }

    fn parameters(&mut self, parameters: &[(Text, Text)]) {
        if parameters.is_empty() {
            self.raw("NIL");
            return;
        }
        self.raw("(");
        for (index, (name, value)) in parameters.iter().enumerate() {
            self.raw(if index > 0 { " " } else { "" });
            self.string(name.as_bytes()).raw(" ");
            self.string(value.as_bytes());
        }
        self.raw(")");
    }

    fn disposition(&mut self, structure: &Structure) {
        match &structure.disposition {
            Some((name, parameters)) => {
                self.raw("(").string(name.as_bytes()).raw(" ");
                self.parameters(parameters);
                self.raw(")");
            }
            None => {
                self.raw("NIL");
            }
        }
    }

    fn languages(&mut self, languages: &[Text]) -> &mut Self {
        if languages.is_empty() {
            return self.raw("NIL");
        }
        self.raw("(");
        for (index, language) in languages.iter().enumerate() {
            self.raw(if index > 0 { " " } else { "" });
            self.string(language.as_bytes());
        }
        self.raw(")")
    }
}
