//! Oracles: what holds for any input. Fuzz targets and tests share them.

use crate::compose::{Draft, ReplyTo};
use crate::discover::{MAX_AUTOCONFIG, Trust, parse_autoconfig};
use crate::message::{Decoder, Limits, Message, Part, TransferEncoding};
use crate::{Address, Date};

/// A message may be anything: all of it can be looked at, within its bounds, and it says the same when it
/// is decoded in pieces.
///
/// # Panics
/// Where that doesn't hold.
pub fn message(data: &[u8]) {
    let message = Message::parse(data.to_vec());
    look(&message, 3);
    answer(&message);
    for encoding in [TransferEncoding::Base64, TransferEncoding::QuotedPrintable] {
        let mut decoder = Decoder::new(encoding);
        let mut pieces = Vec::new();
        for piece in data.chunks(3) {
            decoder.push(piece, &mut pieces);
        }
        decoder.finish(&mut pieces);
        assert_eq!(pieces, encoding.decode(data));
        assert!(pieces.len() <= data.len());
    }
}

/// A configuration may be anything: what is told of it are servers that can be connected to.
///
/// # Panics
/// Where that doesn't hold.
pub fn autoconfig(data: &[u8]) {
    let found = parse_autoconfig(
        data,
        "ada@example.org",
        "https://example.org",
        Trust::Domain,
    );
    let Some(found) = found.expect("it is an address") else {
        return;
    };
    for server in found.imap.iter().chain(&found.submission) {
        let text = server.endpoint.to_string();
        assert_eq!(text.parse().ok().as_ref(), Some(&server.endpoint));
        let user = server.user.as_deref().unwrap_or_default();
        assert!(!user.contains(char::is_control), "{user:?}");
    }
    assert!(found.imap.len() + found.submission.len() <= MAX_AUTOCONFIG);
}

/// Whatever is answered or passed on, the answer is ours: none of its fields comes from the message's text.
fn answer(message: &Message) {
    let own = [Address::named("Me", "me@example.org")];
    for draft in [
        Draft::reply(message, ReplyTo::Sender, &own),
        Draft::reply(message, ReplyTo::All, &own),
        Draft::reply(message, ReplyTo::List, &own),
        Draft::forward(message, &own),
        Draft::forward_attached(message, &own),
    ] {
        let wanted = (draft.subject.clone(), draft.fields.len());
        let Ok(composed) = draft.compose("1@example.org", Date::new(0, 0)) else {
            continue;
        };
        let size = composed.size();
        let bytes = composed.into_bytes().expect("it is in memory");
        assert_eq!(bytes.len() as u64, size);
        let read = Message::parse(bytes);
        assert_eq!(read.from(), own);
        assert_eq!(read.message_id().as_deref(), Some("1@example.org"));
        let known = [
            "content-transfer-encoding",
            "content-type",
            "cc",
            "date",
            "from",
            "in-reply-to",
            "message-id",
            "mime-version",
            "references",
            "subject",
            "to",
        ];
        for (name, _) in read.fields() {
            assert!(
                known.contains(&&*name.to_lowercase()),
                "{name:?} for {wanted:?}"
            );
        }
    }
}

fn look(message: &Message, depth: u32) {
    let Limits {
        max_fields,
        max_parts,
        ..
    } = Limits::default();
    let one_line = |text: &str| assert!(!text.contains(char::is_control), "{text:?}");
    let fields: Vec<_> = message.fields().collect();
    assert!(fields.len() <= max_fields);
    for (_, value) in &fields {
        one_line(value);
    }
    for name in ["from", "to", "cc", "reply-to", "sender"] {
        for address in message.addresses(name) {
            one_line(&address.address);
            one_line(address.name.as_deref().unwrap_or_default());
        }
    }
    for id in message.references().iter().chain(&message.message_id()) {
        one_line(id);
    }
    message.date();
    message.sender();
    message.unsubscribe();
    message.list_post();
    message.in_reply_to();
    message.authentication("mx.example.org");
    message.text();
    message.html();
    let plan = message.plan();
    let parts = plan.text.iter().chain(&plan.html).chain(&plan.attachments);
    assert!(parts.clone().count() <= 2 * max_parts);
    for part in parts {
        look_at_part(message, part, depth);
    }
}

fn look_at_part(message: &Message, part: &Part, depth: u32) {
    let content = message.content(part);
    assert!(content.len() as u64 <= part.size, "{part:?}");
    assert!(part.section().is_some());
    if let Some(name) = &part.name {
        assert!(!name.contains(['/', '\\', '\u{202e}']), "{name:?}");
        assert!(
            !name.contains(char::is_control) && !name.starts_with('.'),
            "{name:?}"
        );
    }
    if depth > 0
        && let Some(inner) = message.message(part)
    {
        look(&inner, depth - 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_corpora_hold() {
        jackfield_corpora::hold("mail_autoconfig", autoconfig);
        jackfield_corpora::hold("mail_message", message);
    }
}
