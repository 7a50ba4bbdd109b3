//! The IRC client's events as plain objects; `IrcEvent` in the package's .d.ts is their type.

use jackfield_irc::codec::{Command, Message, ModeChange, Timestamp};
use jackfield_irc::core::{ChatKind, ChatMessage, Event, Member};
use jackfield_irc::{Refusal, RefusalCode, RequestError};
use js_sys::{Array, Object};
use wasm_bindgen::JsValue;

use crate::convert::{object, set};
use crate::running;

/// The event as pages get it; `None` for those that tell a page nothing.
pub(super) fn to_object(event: &Event) -> Option<Object> {
    Some(match event {
        Event::JoinFailed { channel, error } => {
            let code = match error {
                RequestError::Refused(refusal) => code(refusal),
                _ => String::new(),
            };
            fault(channel, &error.to_string(), &code)
        }
        Event::Message(message) => said(message),
        Event::Joined {
            channel,
            nick,
            own,
            time,
            ..
        } => timed(
            "join",
            *time,
            [
                ("channel", text(channel)),
                ("nick", text(nick)),
                ("self", (*own).into()),
            ],
        ),
        Event::Parted {
            channel,
            nick,
            own,
            reason,
            time,
        } => timed(
            "part",
            *time,
            [
                ("channel", text(channel)),
                ("nick", text(nick)),
                ("reason", optional(reason.as_deref())),
                ("self", (*own).into()),
            ],
        ),
        Event::Kicked {
            channel,
            nick,
            own,
            by,
            reason,
            time,
        } => timed(
            "kick",
            *time,
            [
                ("channel", text(channel)),
                ("nick", text(nick)),
                ("by", text(by)),
                ("reason", optional(reason.as_deref())),
                ("self", (*own).into()),
            ],
        ),
        Event::Quit {
            nick, reason, time, ..
        } => timed(
            "quit",
            *time,
            [
                ("nick", text(nick)),
                ("reason", optional(reason.as_deref())),
            ],
        ),
        Event::NickChanged {
            from,
            to,
            own,
            time,
            ..
        } => timed(
            "nick",
            *time,
            [
                ("from", text(from)),
                ("to", text(to)),
                ("self", (*own).into()),
            ],
        ),
        Event::Topic {
            channel,
            topic,
            by,
            time,
        } => timed(
            "topic",
            *time,
            [
                ("channel", text(channel)),
                ("topic", optional(topic.as_deref())),
                ("by", optional(by.as_deref())),
            ],
        ),
        Event::Members { channel, members } => {
            let members: Array = members.iter().map(member).collect();
            timed(
                "members",
                None,
                [("channel", text(channel)), ("members", members.into())],
            )
        }
        Event::ModeChanged {
            target,
            by,
            changes,
            time,
        } => timed(
            "mode",
            *time,
            [
                ("target", text(target)),
                ("by", text(by)),
                ("modes", text(&modes(changes))),
            ],
        ),
        Event::RankChanged {
            channel,
            nick,
            symbols,
        } => timed(
            "rank",
            None,
            [
                ("channel", text(channel)),
                ("nick", text(nick)),
                ("prefix", text(symbols)),
            ],
        ),
        Event::AwayChanged {
            nick,
            text: away,
            time,
            ..
        } => timed(
            "away",
            *time,
            [("nick", text(nick)), ("away", away.is_some().into())],
        ),
        Event::Invited {
            channel,
            nick,
            own,
            by,
            time,
        } => timed(
            "invite",
            *time,
            [
                ("channel", text(channel)),
                ("nick", text(nick)),
                ("by", text(by)),
                ("self", (*own).into()),
            ],
        ),
        Event::Lag(lag) => timed(
            "lag",
            None,
            [("milliseconds", (lag.as_secs_f64() * 1000.0).into())],
        ),
        Event::Refused { about, refusal } => fault(
            about.first().map(String::as_str).unwrap_or_default(),
            &refusal.text,
            &code(refusal),
        ),
        Event::Ctcp {
            from,
            target,
            command,
            params,
            reply,
            own,
        } => timed(
            "ctcp",
            None,
            [
                ("from", text(&from.name)),
                ("target", text(target)),
                ("command", text(command)),
                ("params", text(params)),
                ("reply", (*reply).into()),
                ("self", (*own).into()),
            ],
        ),
        Event::StandardReply {
            text: said, code, ..
        } => fault("", said, code),
        Event::Other(message) => other(message),
        // Accounts, hosts, real names and malformed lines: a page shows nothing of them.
        _ => return None,
    })
}

/// The server refused something; `about` is a channel or a nickname, or empty.
fn fault(about: &str, said: &str, code: &str) -> Object {
    timed(
        "fault",
        None,
        [
            ("about", text(about)),
            ("text", text(said)),
            ("code", text(code)),
        ],
    )
}

/// A numeric's three digits, or a word of standard replies.
fn code(refusal: &Refusal) -> String {
    match &refusal.code {
        RefusalCode::Numeric(numeric) => numeric.to_string(),
        RefusalCode::Standard(code) => code.clone(),
        _ => String::new(),
    }
}

fn said(message: &ChatMessage) -> Object {
    // A server's name has a dot, a nickname can't; before registration it may have none.
    let server = message.from.user.is_none() && message.from.name.contains('.');
    let target = message.channel.as_deref().unwrap_or(&message.target);
    timed(
        "message",
        message.time,
        [
            ("from", text(&message.from.name)),
            ("target", text(target)),
            ("text", text(&message.text)),
            ("self", message.own.into()),
            ("action", (message.kind == ChatKind::Action).into()),
            ("notice", (message.kind == ChatKind::Notice).into()),
            ("server", server.into()),
        ],
    )
}

/// What nothing else tells: numerics that nobody asked for, which are greetings, the message of the day and
/// what answers a command that was sent raw; and commands that are not known.
fn other(message: &Message) -> Object {
    let view = message.view();
    let params: Vec<_> = view.params().collect();
    let event = match (view.command(), params.as_slice()) {
        // RPL_MYINFO and RPL_ISUPPORT are for programs. The first parameter is our own nickname.
        (Command::Numeric(numeric), [_, said @ ..]) if !matches!(numeric.number(), 4 | 5) => {
            timed("info", None, [("text", text(&said.join(" ")))])
        }
        _ => timed("raw", None, []),
    };
    let from = view.source().map(|source| source.name);
    set(&event, "command", view.command().to_string());
    set(
        &event,
        "params",
        params.into_iter().map(text).collect::<Array>(),
    );
    set(&event, "from", optional(from));
    event
}

pub(super) fn member(member: &Member) -> JsValue {
    object([
        ("nick", text(&member.nick)),
        ("prefix", text(&member.symbols)),
        ("away", member.away.into()),
    ])
    .into()
}

/// `+o ada, -v bob`
fn modes(changes: &[ModeChange]) -> String {
    let changes: Vec<_> = changes.iter().map(ToString::to_string).collect();
    changes.join(", ")
}

fn text(text: &str) -> JsValue {
    text.into()
}

fn optional(text: Option<&str>) -> JsValue {
    text.unwrap_or_default().into()
}

/// An event with the time when the server says that it happened, where it does.
fn timed<const N: usize>(
    kind: &str,
    time: Option<Timestamp>,
    entries: [(&str, JsValue); N],
) -> Object {
    #[expect(clippy::cast_precision_loss, reason = "a time fits for 280,000 years")]
    let millis = time.map(|time| time.unix_millis() as f64);
    running::timed(kind, millis, entries)
}
