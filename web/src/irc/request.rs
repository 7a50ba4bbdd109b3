//! What a page asks an IRC server, and the answers as plain objects; jackfield.d.ts has their types.

use jackfield_irc::codec::{Command, Message, Text, Verb, Word};
use jackfield_irc::core::{ListEntry, Reply, WhoEntry, Whois};
use js_sys::{Array, Object};
use wasm_bindgen::JsValue;

use super::unfit;
use crate::convert::object;

/// A command and its parameters. The last may be any text; what is a word goes as one, since there are servers
/// that tell them apart.
pub(super) fn raw(command: &str, params: &[String]) -> Result<Message, JsValue> {
    let verb = Verb::new(command).map_err(|error| unfit("command", &error))?;
    let mut message = Message::builder(Command::Unknown(verb));
    let Some((last, words)) = params.split_last() else {
        return Ok(message.build());
    };
    for word in words {
        message = message.word(Word::new(word).map_err(|error| unfit("parameter", &error))?);
    }
    if let Ok(word) = Word::new(last) {
        return Ok(message.word(word).build());
    }
    let text = Text::new(last).map_err(|error| unfit("parameter", &error))?;
    Ok(message.text(text))
}

/// `IrcWhois`.
pub(super) fn whois(whois: &Whois) -> Object {
    let (server, about) = whois
        .server
        .as_ref()
        .map_or(("", ""), |(name, about)| (name, about));
    #[expect(clippy::cast_precision_loss, reason = "a time fits for 280,000 years")]
    let signed_on = whois.signed_on.map(|seconds| seconds as f64 * 1000.0);
    let idle = whois.idle.map(|idle| idle.as_secs_f64() * 1000.0);
    object([
        ("nick", whois.user.name.as_str().into()),
        ("username", or_empty(whois.user.user.as_deref())),
        ("host", or_empty(whois.user.host.as_deref())),
        ("realname", whois.real_name.as_str().into()),
        ("account", or_null(whois.account.as_deref())),
        ("away", or_null(whois.away.as_deref())),
        ("channels", texts(&whois.channels)),
        ("operator", whois.operator.into()),
        ("secure", whois.secure.into()),
        ("server", server.into()),
        ("serverInfo", about.into()),
        ("idle", or_null(idle)),
        ("signedOn", or_null(signed_on)),
        ("other", texts(&whois.other)),
    ])
}

/// `IrcUser`.
pub(super) fn user(user: &WhoEntry) -> JsValue {
    object([
        ("nick", user.nick.as_str().into()),
        ("username", user.user.as_str().into()),
        ("host", user.host.as_str().into()),
        ("realname", user.real_name.as_str().into()),
        ("account", or_null(user.account.as_deref())),
        ("away", user.away.into()),
        ("operator", user.operator.into()),
        ("channel", user.channel.as_str().into()),
        ("prefix", user.symbols.as_str().into()),
        ("server", user.server.as_str().into()),
    ])
    .into()
}

/// `IrcListEntry`.
pub(super) fn channel(entry: &ListEntry) -> JsValue {
    object([
        ("channel", entry.channel.as_str().into()),
        ("members", entry.members.into()),
        ("topic", entry.topic.as_str().into()),
    ])
    .into()
}

/// `IrcModes`.
pub(super) fn modes(reply: &Reply) -> Object {
    let (letters, params) = match reply {
        Reply::Modes { modes, params } => (modes.as_str(), params.as_slice()),
        _ => ("", &[][..]),
    };
    object([("modes", letters.into()), ("params", texts(params))])
}

fn texts(texts: &[String]) -> JsValue {
    let texts = texts.iter().map(|text| JsValue::from(text.as_str()));
    texts.collect::<Array>().into()
}

fn or_empty(text: Option<&str>) -> JsValue {
    text.unwrap_or_default().into()
}

fn or_null(value: Option<impl Into<JsValue>>) -> JsValue {
    value.map_or(JsValue::NULL, Into::into)
}
