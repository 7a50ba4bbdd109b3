//! Lines to clients, before it is known what each receiver may see of them.

use crate::codec::{
    Command, MAX_MESSAGE, Message, MessageBuilder, Numeric, TagKey, TagValue, Text, Word,
};

/// A line to one client or many.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    builder: MessageBuilder,
    /// The line's length so far, CR LF counted.
    length: usize,
    text: Option<Text>,
    client_tags: Vec<(TagKey, TagValue)>,
    is_tags_only: bool,
}

impl Reply {
    pub(super) fn new(source: impl Into<Word>, command: Command<'_>) -> Self {
        let source = source.into();
        let length = ": \r\n".len() + source.len() + command.to_string().len();
        Self {
            builder: Message::builder(command).source(source),
            length,
            text: None,
            client_tags: Vec::new(),
            is_tags_only: command == Command::Tagmsg,
        }
    }

    /// A numeric reply from this server to this nickname.
    pub(super) fn numeric(server: &Word, numeric: Numeric, nick: &str) -> Self {
        Self::new(server, Command::Numeric(numeric)).word(nick)
    }

    /// Adds a parameter. What can't be one, though a client sent it, is shown as `*`; and so is what
    /// would leave no room for a text, because the client's line had no source before it.
    pub(super) fn word(mut self, word: &str) -> Self {
        let room = MAX_MESSAGE.saturating_sub(self.length + " ".len() + " :".len());
        let word = Word::new(word).ok().filter(|word| word.len() <= room);
        let word = word.unwrap_or_else(star);
        self.length += 1 + word.len();
        self.builder = self.builder.word(word);
        self
    }

    /// Adds the last parameter, cut to what a line holds.
    pub(super) fn text(mut self, text: &str) -> Self {
        let room = MAX_MESSAGE.saturating_sub(self.length + " :".len());
        // Nothing that a line held can't be a text; the text is empty then rather than a panic.
        self.text = Text::new(cut(text, room)).ok();
        self
    }

    /// Adds the tags that clients may pass to each other.
    pub(super) fn client_tags(mut self, tags: &[(TagKey, TagValue)]) -> Self {
        self.client_tags = tags.to_vec();
        self
    }

    /// Whether only a receiver of tags can make use of it.
    pub(super) fn is_tags_only(&self) -> bool {
        self.is_tags_only
    }

    /// The line for a receiver who gets these tags, and those of clients where `message_tags`.
    pub(super) fn into_message(
        self,
        tags: &[(&'static str, String)],
        message_tags: bool,
    ) -> Message {
        let mut builder = self.builder;
        for (key, value) in tags {
            if let (Ok(key), Ok(value)) = (TagKey::new(key), TagValue::new(value)) {
                builder = builder.tag(&key, &value);
            }
        }
        if message_tags {
            for (key, value) in &self.client_tags {
                builder = builder.tag(key, value);
            }
        }
        match self.text {
            Some(text) => builder.text(text),
            None => builder.build(),
        }
    }
}

/// The beginning of a text, at most this many bytes, cut between characters.
pub(super) fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

/// What stands for a name that isn't known or can't be shown.
pub(super) fn star() -> Word {
    Word::new("*").unwrap_or_else(|_| unreachable!("a word"))
}
