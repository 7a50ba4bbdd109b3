//! Messages that were read, as plain objects.

use jackfield_mail::message::{Message, Part, Plan, TransferEncoding};
use jackfield_mail::{Address, Date};
use jackfield_socket::Result;
use js_sys::{Array, Object, Uint8Array};
use wasm_bindgen::JsValue;

use crate::convert::{Options, object, set};

/// `ParsedMessage`, whose attachments have their bytes.
pub(crate) fn parsed(message: &Message) -> Object {
    let attachments = message.attachments().iter().map(|part| {
        let made = self::part(part);
        let content = message.content(part);
        set(&made, "content", Uint8Array::from(&content[..]));
        JsValue::from(made)
    });
    let fields: Array = message
        .fields()
        .map(|(name, value)| Array::of2(&name.into(), &value.into()))
        .collect();
    let unsubscribe = message.unsubscribe().map(|it| {
        object([
            ("web", or_null(it.web)),
            ("mail", or_null(it.mail)),
            ("isOneClick", it.is_one_click.into()),
        ])
    });
    object([
        ("subject", or_null(message.subject())),
        ("date", or_null(message.date().map(millis))),
        ("from", addresses(&message.from())),
        ("to", addresses(&message.to())),
        ("cc", addresses(&message.cc())),
        ("replyTo", addresses(&message.reply_to())),
        ("messageId", or_null(message.message_id())),
        ("inReplyTo", texts(message.in_reply_to())),
        ("references", texts(message.references())),
        ("fields", fields.into()),
        ("unsubscribe", or_null(unsubscribe)),
        ("text", message.text().into()),
        ("html", or_null(message.html())),
        ("hasHtml", message.has_html().into()),
        ("attachments", attachments.collect::<Array>().into()),
        ("isTruncated", message.is_truncated().into()),
    ])
}

/// `MessageParts`.
pub(crate) fn plan(plan: &Plan) -> Object {
    let parts = |parts: &[Part]| -> JsValue {
        let parts = parts.iter().map(|part| JsValue::from(self::part(part)));
        parts.collect::<Array>().into()
    };
    object([
        ("text", parts(&plan.text)),
        ("html", parts(&plan.html)),
        ("attachments", parts(&plan.attachments)),
        ("isTruncated", plan.is_truncated.into()),
    ])
}

/// `MessagePart`.
fn part(part: &Part) -> Object {
    let path: Vec<String> = part.path.iter().map(u32::to_string).collect();
    let encoding = match part.encoding {
        TransferEncoding::Base64 => "base64",
        TransferEncoding::QuotedPrintable => "quoted-printable",
        _ => "identity",
    };
    #[expect(clippy::cast_precision_loss, reason = "no part has 2^53 bytes")]
    let [size, encoded_size] = [part.size, part.encoded_size].map(|size| size as f64);
    object([
        ("path", path.join(".").into()),
        ("mediaType", part.media_type.as_str().into()),
        ("charset", or_null(part.charset.as_deref())),
        ("encoding", encoding.into()),
        ("name", or_null(part.name.as_deref())),
        ("contentId", or_null(part.content_id.as_deref())),
        ("isInline", part.is_inline.into()),
        ("size", size.into()),
        ("encodedSize", encoded_size.into()),
        ("isFlowed", part.is_flowed.into()),
        ("isDeletingSpace", part.is_deleting_space.into()),
    ])
}

/// What of a `MessagePart` says how its bytes are read.
pub(crate) fn part_of(options: &Options<'_>) -> Result<Part> {
    let mut part = Part::default();
    part.media_type = options.text("mediaType")?.unwrap_or_default();
    part.charset = options.text("charset")?;
    part.encoding = encoding(options)?;
    part.is_flowed = options.flag("isFlowed")?.unwrap_or(false);
    part.is_deleting_space = options.flag("isDeletingSpace")?.unwrap_or(false);
    Ok(part)
}

/// `encoding`: how what is read is decoded.
pub(crate) fn encoding(options: &Options<'_>) -> Result<TransferEncoding> {
    let encoding = options.text("encoding")?.unwrap_or_default();
    Ok(TransferEncoding::named(encoding.as_bytes()))
}

/// `MailAddress`, each.
pub(crate) fn addresses(list: &[Address]) -> JsValue {
    let made = list
        .iter()
        .map(|it| address(it.name.as_deref(), &it.address));
    made.collect::<Array>().into()
}

/// `MailAddress`.
pub(crate) fn address(name: Option<&str>, address: &str) -> JsValue {
    object([("name", or_null(name)), ("address", address.into())]).into()
}

/// A moment in milliseconds since 1970.
#[expect(clippy::cast_precision_loss, reason = "the years to 2999")]
pub(crate) fn millis(date: Date) -> f64 {
    date.timestamp as f64 * 1000.0
}

fn texts(list: Vec<String>) -> JsValue {
    let list = list.into_iter().map(JsValue::from);
    list.collect::<Array>().into()
}

pub(crate) fn or_null(value: Option<impl Into<JsValue>>) -> JsValue {
    value.map_or(JsValue::NULL, Into::into)
}
