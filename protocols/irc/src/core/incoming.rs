//! Incoming lines: what the server says becomes state, events and outcomes.
//!
//! [`Session::handle`] takes each message and hands it on: words to [`command`], [`chat`] and
//! [`change`], numbers to [`numeric`] and [`who`].

mod change;
mod chat;
mod command;
mod numeric;
mod who;

use jackfield_socket::time::Instant;

use super::pending::Kind;
use super::{Event, Reply, RequestId, Session};
use crate::codec::{ChannelName, Command, InvalidValue, Message, MessageRef, Text, Timestamp};
use crate::error::SessionError;

/// What a message's tags say about it.
#[derive(Clone, Copy, Default)]
struct Context {
    /// The request that it answers.
    label: Option<RequestId>,
    history: bool,
    time: Option<Timestamp>,
}

/// A message that is not what its command says it is; it comes through as [`Event::Other`].
struct Unexpected;

impl From<InvalidValue> for Unexpected {
    fn from(_: InvalidValue) -> Self {
        Self
    }
}
impl Session {
    /// Acts on a message.
    pub(in crate::core) fn handle(
        &mut self,
        now: Instant,
        message: MessageRef<'_>,
    ) -> Result<(), SessionError> {
        let tags = message.tags();
        let own_label = tags.get("label").and_then(|label| label.parse().ok());
        let own_label = own_label.map(RequestId);
        let batch = tags.get("batch").and_then(|batch| self.batches.get(&batch));
        let context = Context {
            label: own_label.or(batch.and_then(|batch| batch.label)),
            history: batch.is_some_and(|batch| batch.history),
            time: tags.get("time").and_then(|time| Timestamp::parse(&time)),
        };
        if let Some(source) = message.source()
            && self.is_own(source.name)
        {
            self.learn_own(source);
        }
        match message.command() {
            Command::Ping => {
                let token = message.params().next().unwrap_or_default();
                let pong = Message::builder(Command::Pong).text(Text::from_checked(token));
                // A longer one would be cut, and so be no answer.
                if pong.length_without_tags() + "\r\n".len() <= self.isupport.line_length {
                    self.queue.push_answer(pong);
                }
            }
            Command::Pong => {
                let token = message.params().last().unwrap_or_default().to_owned();
                self.take_pong(now, &token);
            }
            Command::Cap => self.on_cap(now, message)?,
            Command::Authenticate => self.on_authenticate(message)?,
            Command::Error => {
                if self.is_closing() {
                    self.set_closed();
                } else {
                    let text = message.params().next().unwrap_or_default().to_owned();
                    return Err(self.fail(SessionError::ClosedByServer(text)));
                }
            }
            Command::Batch => {
                let [reference, kind] = message.params().first();
                if let Some(reference) = reference.strip_prefix('+') {
                    self.batches.begin(reference, kind, own_label, batch);
                    // Its end is the answer's end.
                    return Ok(());
                }
                let reference = reference.strip_prefix('-').unwrap_or(reference);
                if let Some(answered) = self.batches.end(reference) {
                    self.answered(answered);
                }
            }
            Command::Numeric(numeric) => {
                if !self.on_registration_numeric(now, numeric, message)? {
                    self.on_numeric(now, context, numeric, message)?;
                }
            }
            Command::Ack => {}
            command => {
                if self.on_command(context, command, message).is_err() {
                    self.emit(Event::Other(message.to_message()));
                }
            }
        }
        if let Some(label) = own_label {
            self.answered(label);
        }
        Ok(())
    }

    /// Everything that the server had to say about a request has been said.
    pub(in crate::core) fn answered(&mut self, id: RequestId) {
        let joined = match self.pending.kind(id) {
            Some(Kind::Join(channel)) => self.joined_reply(channel),
            _ => None,
        };
        let done = match joined {
            Some(reply) => self.pending.complete(id, Ok(reply)),
            None => self.pending.answered(id),
        };
        self.complete(done);
    }

    fn joined_reply(&self, channel: &str) -> Option<Reply> {
        let channel = self.channels.get(&self.isupport, channel)?;
        Some(Reply::Joined(channel.snapshot()))
    }

    /// Ends a request that waited for this.
    fn finish(&mut self, context: Context, reply: Reply, wanted: impl Fn(&Kind) -> bool) {
        let done = self.pending.finish(context.label, wanted, || reply);
        self.complete(done);
    }

    /// The channel of this name, as it was spelt when this client entered it.
    pub(in crate::core) fn channel_name(&self, name: &str) -> Result<ChannelName, InvalidValue> {
        match self.channels.get(&self.isupport, name) {
            Some(channel) => Ok(channel.name().clone()),
            None => ChannelName::new(name),
        }
    }
}

/// A parameter that may be missing.
fn given(param: &str) -> Option<String> {
    (!param.is_empty()).then(|| param.to_owned())
}
