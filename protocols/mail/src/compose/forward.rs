//! Messages that are passed on.

use super::reply::{forwarded, references, who_am_i};
use super::{Attachment, Draft};
use crate::Address;
use crate::message::Message;

impl Draft {
    /// A message passed on in the text: what it says below a few of its fields, with what hangs on it. `own`
    /// are the addresses of whoever passes it on, the preferred one first.
    pub fn forward(message: &Message, own: &[Address]) -> Self {
        let mut draft = Self::forwarding(message, own);
        let list = |addresses: Vec<Address>| {
            let shown = addresses.iter().map(Address::to_string);
            shown.collect::<Vec<_>>().join(", ")
        };
        let date = message.date().map(|date| date.to_string());
        let mut text = "\n\n---------- Forwarded message ----------\n".to_owned();
        for (name, value) in [
            ("From", list(message.from())),
            ("Date", date.unwrap_or_default()),
            ("Subject", message.subject().unwrap_or_default()),
            ("To", list(message.to())),
            ("Cc", list(message.cc())),
        ] {
            if !value.is_empty() {
                text.extend([name, ": ", &value, "\n"]);
            }
        }
        text.push('\n');
        text.push_str(&message.text());
        draft.text = Some(text);
        for part in message.attachments() {
            if let Some(inner) = message.message(part) {
                draft
                    .attachments
                    .push(Attachment::message(inner.raw().clone()));
                continue;
            }
            let mut attachment = Attachment::new("", &*part.media_type, message.content(part));
            attachment.name.clone_from(&part.name);
            if !super::write::is_media_type(&attachment.media_type) {
                "application/octet-stream".clone_into(&mut attachment.media_type);
            }
            draft.attachments.push(attachment);
        }
        draft
    }

    /// A message passed on whole, as it came, as what hangs on another.
    pub fn forward_attached(message: &Message, own: &[Address]) -> Self {
        let mut draft = Self::forwarding(message, own);
        draft
            .attachments
            .push(Attachment::message(message.raw().clone()));
        draft
    }

    fn forwarding(message: &Message, own: &[Address]) -> Self {
        let mut draft = Self::new(who_am_i(message, own));
        draft.subject = forwarded(&message.subject().unwrap_or_default());
        draft.references = references(message);
        draft
    }
}
