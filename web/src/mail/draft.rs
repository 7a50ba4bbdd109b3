//! Messages that are written: a page's `MessageDraft` becomes what is sent.

use bytes::Bytes;
use jackfield_mail::compose::{Attachment, Draft, message_id};
use jackfield_mail::{Address, Date};
use jackfield_socket::Result;
use js_sys::{Array, Object, Uint8Array};
use wasm_bindgen::JsValue;

use crate::convert::{Options, invalid, object};

/// `ComposedMessage`, of a draft whose attachments have their bytes, and the `random`, `date` and `offset` that
/// the script adds.
pub(crate) fn compose(draft: &JsValue) -> Result<Object> {
    let (draft, id, date) = read(&Options(draft))?;
    let composed = draft
        .compose(&id, date)
        .map_err(|error| invalid("draft", format_args!("can't be sent: {error}")))?;
    let from = composed.sender.as_str().into();
    let to: Array = composed.recipients.iter().map(JsValue::from).collect();
    let smtp_utf8 = composed.needs_smtputf8.into();
    // All of it is in memory.
    let message = composed.into_bytes().unwrap_or_default();
    Ok(object([
        ("from", from),
        ("to", to.into()),
        ("messageId", id.into()),
        ("smtpUtf8", smtp_utf8),
        ("message", Uint8Array::from(&message[..]).into()),
    ]))
}

fn read(options: &Options<'_>) -> Result<(Draft, String, Date)> {
    let from = addresses("from", options)?;
    let [from] =
        <[Address; 1]>::try_from(from).map_err(|_| invalid("from", "has to be one address"))?;
    let id = match options.text("messageId")? {
        Some(id) => id,
        None => new_id(options, &from)?,
    };
    let now = options.number("date")?.unwrap_or_default();
    let offset = options.number("offset")?.unwrap_or_default();
    let date = Date::new((now / 1000.0) as i64, offset as i16);
    let mut draft = Draft::new(from);
    draft.to = addresses("to", options)?;
    draft.cc = addresses("cc", options)?;
    draft.bcc = addresses("bcc", options)?;
    draft.keep_bcc = options.flag("keepBcc")?.unwrap_or(false);
    draft.reply_to = addresses("replyTo", options)?;
    draft.subject = options.text("subject")?.unwrap_or_default();
    draft.in_reply_to = options.texts("inReplyTo")?;
    draft.references = options.texts("references")?;
    draft.text = options.text("text")?;
    draft.html = options.text("html")?;
    draft.is_flowed = options.flag("flowed")?.unwrap_or(false);
    draft.fields = options.pairs("fields")?;
    for item in options.list("attachments")? {
        let (attachment, is_inline) = attachment(&Options(&item))?;
        if is_inline {
            draft.inline.push(attachment);
        } else {
            draft.attachments.push(attachment);
        }
    }
    Ok((draft, id, date))
}

/// One that no other message has.
fn new_id(options: &Options<'_>, from: &Address) -> Result<String> {
    let random = options.bytes("random")?.unwrap_or_default();
    let random = <[u8; 16]>::try_from(random).map_err(|_| invalid("random", "is not 16 bytes"))?;
    Ok(message_id(random, from.domain().unwrap_or_default()))
}

/// A file, or an image that the HTML names by its Content-ID.
fn attachment(options: &Options<'_>) -> Result<(Attachment, bool)> {
    let content = Bytes::from(options.bytes("content")?.unwrap_or_default());
    let media_type = options.text("mediaType")?;
    let media_type = media_type.unwrap_or_else(|| "application/octet-stream".to_owned());
    let (name, id) = (options.text("name")?, options.text("contentId")?);
    let mut made = match &id {
        Some(id) => Attachment::inline(id, media_type, content),
        None if media_type == "message/rfc822" => Attachment::message(content),
        None => Attachment::new("", media_type, content),
    };
    made.name = name;
    Ok((made, id.is_some()))
}

fn addresses(name: &str, options: &Options<'_>) -> Result<Vec<Address>> {
    let address = |item: JsValue| -> Result<Address> {
        let item = Options(&item);
        let address = item.required("address")?;
        Ok(match item.text("name")? {
            Some(name) => Address::named(name, address),
            None => Address::new(address),
        })
    };
    options.list(name)?.into_iter().map(address).collect()
}
