//! Building messages of checked parts.

use super::{Command, Message, TagKey, TagValue, Text, Word, tags};

/// A message in the making; see [`Message::builder`].
///
/// Parameters come in order: words, then at most one text, which ends the message.
#[derive(Clone, Debug)]
pub struct MessageBuilder {
    tags: String,
    source: String,
    /// Command and parameters.
    body: String,
}

impl MessageBuilder {
    pub(super) fn new(command: Command<'_>) -> Self {
        Self {
            tags: String::new(),
            source: String::new(),
            body: command.to_string(),
        }
    }

    /// The parts of a message, tags as they stand in it.
    pub(super) fn from_parts(tags: &str, body: &str) -> Self {
        let mut marked = String::new();
        if !tags.is_empty() {
            marked.push('@');
            marked.push_str(tags);
        }
        Self {
            tags: marked,
            source: String::new(),
            body: body.to_owned(),
        }
    }

    /// Adds a tag.
    #[must_use]
    pub fn tag(mut self, key: &TagKey, value: &TagValue) -> Self {
        tags::push(&mut self.tags, key, value);
        self
    }

    /// Says who it is from: only a server does. A [`Word`], such as a server's name or
    /// `nick!user@host`.
    #[must_use]
    pub fn source(mut self, source: impl Into<Word>) -> Self {
        self.source = source.into().to_string();
        self
    }

    /// Adds a parameter that others may follow.
    #[must_use]
    pub fn word(mut self, word: impl Into<Word>) -> Self {
        self.body.push(' ');
        self.body.push_str(&word.into());
        self
    }

    /// Adds the last parameter.
    #[must_use]
    pub fn text(mut self, text: impl Into<Text>) -> Message {
        self.body.push_str(" :");
        self.body.push_str(&text.into());
        self.build()
    }

    /// The message, without a text.
    pub fn build(self) -> Message {
        let Self { tags, source, body } = self;
        let mut line = String::with_capacity(tags.len() + source.len() + body.len() + 3);
        if !tags.is_empty() {
            line.push_str(&tags);
            line.push(' ');
        }
        if !source.is_empty() {
            line.push(':');
            line.push_str(&source);
            line.push(' ');
        }
        line.push_str(&body);
        Message::of_checked_parts(line)
    }
}
