//! Chat as it comes in: `PRIVMSG`, `NOTICE`, and what the server says in words (IRCv3
//! standard-replies).

use super::{Context, Unexpected};
use crate::codec::{Ctcp, MessageRef, Source};
use crate::core::pending::{About, By};
use crate::core::{ChatKind, ChatMessage, Event, Session, Severity};
use crate::error::{Refusal, RefusalCode};

impl Session {
    pub(super) fn on_chat(
        &mut self,
        context: Context,
        kind: ChatKind,
        message: MessageRef<'_>,
    ) -> Result<(), Unexpected> {
        let mut params = message.params();
        let target = params.next().ok_or(Unexpected)?;
        let text = params.next().ok_or(Unexpected)?;
        let from = match message.source() {
            Some(source) => source.to_source(),
            // The server itself.
            None => Source {
                name: String::new(),
                user: None,
                host: None,
            },
        };
        let own = self.is_own(&from.name);
        let ctcp = Ctcp::parse(text);
        let (kind, text) = match ctcp {
            Some(ctcp) if ctcp.is("ACTION") && kind == ChatKind::Message => {
                (ChatKind::Action, ctcp.params)
            }
            Some(ctcp) => {
                self.emit(Event::Ctcp {
                    from,
                    target: target.to_owned(),
                    command: ctcp.command.to_owned(),
                    params: ctcp.params.to_owned(),
                    reply: kind == ChatKind::Notice,
                    own,
                });
                return Ok(());
            }
            None => (kind, text),
        };
        let tag = |key| message.tags().get(key).map(std::borrow::Cow::into_owned);
        self.emit(Event::Message(ChatMessage {
            from,
            own,
            target: target.to_owned(),
            channel: self.channel_of(target),
            kind,
            text: text.to_owned(),
            time: context.time,
            id: tag("msgid"),
            account: tag("account"),
            history: context.history,
        }));
        Ok(())
    }

    pub(super) fn on_standard_reply(
        &mut self,
        context: Context,
        severity: Severity,
        message: MessageRef<'_>,
    ) -> Result<(), Unexpected> {
        let params: Vec<&str> = message.params().collect();
        let [command, code, about @ .., text] = params.as_slice() else {
            return Err(Unexpected);
        };
        if severity == Severity::Fail {
            let refusal = Refusal {
                code: RefusalCode::Standard((*code).to_owned()),
                text: (*text).to_owned(),
            };
            let about = About {
                by: By::Fail(command),
                subjects: about,
            };
            let mapping = self.isupport.case_mapping;
            let refused = self.pending.refuse(mapping, context.label, about, &refusal);
            if refused.is_some() {
                self.complete(refused);
                return Ok(());
            }
        }
        self.emit(Event::StandardReply {
            severity,
            command: (*command).to_owned(),
            code: (*code).to_owned(),
            text: (*text).to_owned(),
        });
        Ok(())
    }
}
