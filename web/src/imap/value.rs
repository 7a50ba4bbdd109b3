//! What a server tells, as plain objects; imap.d.ts has their types.

use jackfield_imap::client::{Appended, ClientEvent, Copied, Former, Replaced, Status};
use jackfield_imap::codec::{
    Address, Attribute, DateTime, Envelope, Fetch, Flag, Listed, MailboxStatus, Namespace,
    Namespaces, Quota, Resource, SequenceSet, SpecialMailbox, SpecialUse, Text, Thread,
};
use jackfield_imap::core::{Change, Event, Selected, Server};
use jackfield_mail::message::{Plan, ReadOptions};
use jackfield_mail::{Charsets, Date};
use js_sys::{Array, Object};
use wasm_bindgen::JsValue;

use super::request::listed as uid_list;
use super::session_kind;
use crate::convert::{self, object, set};
use crate::mail::{address, millis, or_null, plan};
use crate::network::Secured;
use crate::running::{disconnected, timed};

/// `ImapEvent`; nothing for what a page has no use for.
pub(super) fn event(
    event: &ClientEvent,
    network: &Secured,
    options: &ReadOptions,
) -> Option<Object> {
    Some(match event {
        ClientEvent::Status(Status::Connecting { .. }) => timed("connecting", None, []),
        ClientEvent::Status(Status::Ready(server)) => timed(
            "connected",
            None,
            [
                ("security", network.security().into()),
                ("server", self::server(server).into()),
            ],
        ),
        ClientEvent::Status(Status::Disconnected { error, retry_in }) => {
            disconnected(error, *retry_in, session_kind)
        }
        ClientEvent::Event(event) => return news(event, options),
        ClientEvent::Status(_) => return None,
    })
}

fn news(event: &Event, options: &ReadOptions) -> Option<Object> {
    Some(match event {
        Event::Exists(count) => timed("exists", None, [("count", (*count).into())]),
        Event::Expunged(number) => {
            let number = ("number", (*number).into());
            timed("expunged", None, [("uids", JsValue::NULL), number])
        }
        Event::Vanished { earlier, uids } if !earlier => {
            let uids = or_null(uid_list(uids));
            timed(
                "expunged",
                None,
                [("uids", uids), ("number", JsValue::NULL)],
            )
        }
        Event::Fetch(fetch) => {
            let message = message(fetch, options);
            timed("message", None, [("message", message.into())])
        }
        Event::Listed(mailbox) => {
            let mailbox = listed(mailbox, None, None);
            timed("mailbox", None, [("mailbox", mailbox.into())])
        }
        Event::MailboxStatus(state) => timed("status", None, [("status", status(state).into())]),
        Event::NotificationOverflow => timed("overflow", None, []),
        Event::Reselected(mailbox) => {
            timed("reselected", None, [("mailbox", selected(mailbox).into())])
        }
        Event::NotReselected(error) => {
            let error = convert::error(super::request_kind(error), &**error);
            timed("notReselected", None, [("error", error)])
        }
        Event::LoginNotBound => timed("loginNotBound", None, []),
        Event::Alert(text) => timed("alert", None, [("text", text.to_str().as_ref().into())]),
        Event::Notice(status) => timed(
            "notice",
            None,
            [("text", status.text.to_str().as_ref().into())],
        ),
        _ => return None,
    })
}

/// `ImapServer`.
pub(super) fn server(server: &Server) -> Object {
    let names = |list: &mut dyn Iterator<Item = &str>| -> JsValue {
        list.map(JsValue::from).collect::<Array>().into()
    };
    let id: Array = server
        .id
        .iter()
        .map(|(name, value)| {
            let value = value.as_ref().map(Text::to_str).unwrap_or_default();
            Array::of2(&name.to_str().as_ref().into(), &value.as_ref().into())
        })
        .collect();
    object([
        ("capabilities", names(&mut server.capabilities.iter())),
        ("enabled", names(&mut server.enabled.iter())),
        ("id", id.into()),
    ])
}

/// `ImapSelected`.
pub(super) fn selected(mailbox: &Selected) -> Object {
    let permanent = mailbox.permanent_flags.as_deref();
    object([
        ("name", mailbox.name.to_string().into()),
        ("readOnly", mailbox.read_only.into()),
        ("exists", mailbox.exists.into()),
        ("uidValidity", or_null(mailbox.uid_validity)),
        ("uidNext", or_null(mailbox.uid_next)),
        ("highestModSeq", or_null(mailbox.highest_modseq)),
        ("flags", flags(&mailbox.flags)),
        ("permanentFlags", or_null(permanent.map(flags))),
    ])
}

/// `ImapMailboxInfo`.
pub(super) fn listed(
    mailbox: &Listed,
    special: Option<&SpecialMailbox>,
    state: Option<&MailboxStatus>,
) -> Object {
    let is = |attribute| mailbox.is(&attribute);
    let special_use = special
        .map(|it| it.special_use)
        .or_else(|| mailbox.special_use());
    let attributes: Array = mailbox.attributes.iter().map(attribute).collect();
    object([
        ("name", mailbox.name.to_string().into()),
        ("separator", or_null(mailbox.separator.map(String::from))),
        ("specialUse", or_null(special_use.map(use_name))),
        ("isGuess", special.is_some_and(|it| it.is_guess).into()),
        (
            "selectable",
            (!is(Attribute::NoSelect) && !is(Attribute::NonExistent)).into(),
        ),
        ("subscribed", is(Attribute::Subscribed).into()),
        ("attributes", attributes.into()),
        ("status", or_null(state.map(status))),
    ])
}

fn attribute(attribute: &Attribute) -> JsValue {
    match attribute {
        Attribute::Other(name) => name.to_str().as_ref().into(),
        known => format!("\\{known:?}").into(),
    }
}

fn use_name(special_use: SpecialUse) -> &'static str {
    match special_use {
        SpecialUse::All => "all",
        SpecialUse::Archive => "archive",
        SpecialUse::Drafts => "drafts",
        SpecialUse::Flagged => "flagged",
        SpecialUse::Important => "important",
        SpecialUse::Junk => "junk",
        SpecialUse::Sent => "sent",
        SpecialUse::Trash => "trash",
        _ => "other",
    }
}

/// `ImapStatus`.
pub(super) fn status(state: &MailboxStatus) -> Object {
    let id = state.mailbox_id.as_ref().map(Text::to_str);
    object([
        ("name", state.name.to_string().into()),
        ("messages", or_null(state.messages)),
        ("recent", or_null(state.recent)),
        ("uidNext", or_null(state.uid_next)),
        ("uidValidity", or_null(state.uid_validity)),
        ("unseen", or_null(state.unseen)),
        ("deleted", or_null(state.deleted)),
        ("size", or_null(state.size.map(number))),
        ("highestModSeq", or_null(state.highest_modseq)),
        ("mailboxId", or_null(id.as_deref())),
        ("appendLimit", or_null(state.append_limit.map(number))),
    ])
}

/// `ImapNamespaces`.
pub(super) fn namespaces(all: &Namespaces) -> Object {
    let list = |list: &[Namespace]| -> JsValue {
        let made = list.iter().map(|it| {
            object([
                ("prefix", it.prefix.to_str().as_ref().into()),
                ("separator", or_null(it.separator.map(String::from))),
            ])
        });
        made.collect::<Array>().into()
    };
    object([
        ("personal", list(&all.personal)),
        ("otherUsers", list(&all.other_users)),
        ("shared", list(&all.shared)),
    ])
}

/// `ImapQuota`, for each thing that is limited.
pub(super) fn quota(quota: &Quota) -> Vec<JsValue> {
    let root = quota.root.to_str();
    let made = quota.resources.iter().map(|usage| {
        let resource = match &usage.resource {
            Resource::Storage => "STORAGE".into(),
            Resource::Message => "MESSAGE".into(),
            Resource::Mailbox => "MAILBOX".into(),
            Resource::AnnotationStorage => "ANNOTATION-STORAGE".into(),
            Resource::Other(name) => name.to_str(),
            _ => "other".into(),
        };
        object([
            ("root", root.as_ref().into()),
            ("resource", resource.as_ref().into()),
            ("used", number(usage.used).into()),
            ("limit", number(usage.limit).into()),
        ])
        .into()
    });
    made.collect()
}

/// `ImapMessage`: what was told, and nothing of what was not.
pub(super) fn message(fetch: &Fetch, options: &ReadOptions) -> Object {
    let made = Object::new();
    let put = |name: &str, value: Option<JsValue>| {
        if let Some(value) = value {
            set(&made, name, value);
        }
    };
    let text = |text: &Option<Text>| text.as_ref().map(|text| text.to_str().as_ref().into());
    put("uid", fetch.uid.map(Into::into));
    put("flags", fetch.flags.as_deref().map(flags));
    put("date", fetch.internal_date.map(moment));
    put("size", fetch.size.map(|size| number(size).into()));
    let charsets = &options.charsets;
    let envelope = fetch.envelope.as_deref();
    put(
        "envelope",
        envelope.map(|it| self::envelope(it, charsets).into()),
    );
    let structure = fetch.structure.as_deref();
    put(
        "parts",
        structure.map(|it| plan(&Plan::new(it, options)).into()),
    );
    put("modseq", fetch.modseq.map(Into::into));
    put("emailId", text(&fetch.email_id));
    put("threadId", text(&fetch.thread_id));
    put("preview", text(&fetch.preview));
    put("saveDate", fetch.save_date.map(moment));
    if let Some(gmail) = &fetch.gmail {
        let labels = gmail.labels.iter().flatten();
        let labels: Array = labels
            .map(|it| JsValue::from(it.to_str().as_ref()))
            .collect();
        let made = object([
            ("messageId", or_null(gmail.message_id)),
            ("threadId", or_null(gmail.thread_id)),
            ("labels", labels.into()),
        ]);
        put("gmail", Some(made.into()));
    }
    made
}

/// `ImapEnvelope`.
fn envelope(envelope: &Envelope, charsets: &Charsets) -> Object {
    let text = |text: &Option<Text>| text.as_ref().map(|it| charsets.decode_field(it.as_bytes()));
    let list = |list: &[Address]| addresses(list, charsets);
    let id = |text: &Option<Text>| text.as_ref().map(|it| bare(&it.to_str()));
    let date = envelope.date.as_ref();
    let date = date.and_then(|date| Date::parse(&date.to_str()));
    object([
        ("date", or_null(date.map(millis))),
        ("subject", or_null(text(&envelope.subject))),
        ("from", list(&envelope.from)),
        ("sender", list(&envelope.sender)),
        ("replyTo", list(&envelope.reply_to)),
        ("to", list(&envelope.to)),
        ("cc", list(&envelope.cc)),
        ("bcc", list(&envelope.bcc)),
        ("inReplyTo", or_null(id(&envelope.in_reply_to))),
        ("messageId", or_null(id(&envelope.message_id))),
    ])
}

/// A Message-ID without what stands around it.
fn bare(id: &str) -> String {
    let id = id.trim();
    let inner = id.strip_prefix('<').and_then(|id| id.strip_suffix('>'));
    inner.unwrap_or(id).to_owned()
}

/// `MailAddress`, each; the names of groups are left out.
fn addresses(list: &[Address], charsets: &Charsets) -> JsValue {
    let made = list.iter().filter_map(|it| {
        let (mailbox, host) = (it.mailbox.as_ref()?, it.host.as_ref()?);
        let at = format!("{}@{}", mailbox.to_str(), host.to_str());
        let name = it
            .name
            .as_ref()
            .map(|it| charsets.decode_field(it.as_bytes()));
        Some(address(name.as_deref(), &at))
    });
    made.collect::<Array>().into()
}

/// `ImapChange`.
pub(super) fn change(change: &Change, options: &ReadOptions) -> Object {
    let typed =
        |kind: &str, name: &str, value: JsValue| object([("type", kind.into()), (name, value)]);
    match change {
        Change::Reset => object([("type", "reset".into())]),
        // All of them were known, one by one.
        Change::Gone(uids) => {
            let uids: Array = uids.iter().map(JsValue::from).collect();
            typed("gone", "uids", uids.into())
        }
        Change::New(fetch) => typed("new", "message", message(fetch, options).into()),
        Change::Flags { uid, flags, modseq } => object([
            ("type", "flags".into()),
            ("uid", (*uid).into()),
            ("flags", self::flags(flags)),
            ("modseq", or_null(*modseq)),
        ]),
        _ => object([("type", "other".into())]),
    }
}

/// `ImapThread`.
pub(super) fn thread(thread: &Thread) -> JsValue {
    let uids: Array = thread.numbers.iter().copied().map(JsValue::from).collect();
    let branches: Array = thread.branches.iter().map(self::thread).collect();
    object([("uids", uids.into()), ("branches", branches.into())]).into()
}

/// `ImapCopied`.
pub(super) fn copied(copied: &Copied) -> Object {
    let mut pairs = Array::new();
    for (_, from, to) in &copied.uids {
        if from.count() != to.count() || uid_list(from).is_none() {
            continue;
        }
        let these = from.iter().zip(to.iter());
        pairs.extend(these.map(|(from, to)| Array::of2(&from.into(), &to.into())));
    }
    let uid_validity = copied.uids.first().map(|(uid_validity, ..)| *uid_validity);
    object([
        ("uidValidity", or_null(uid_validity)),
        ("uids", pairs.into()),
        ("isLeftBehind", copied.is_left_behind.into()),
    ])
}

/// `ImapAppended`.
pub(super) fn appended(appended: &Appended) -> Object {
    let uid = appended.uid.as_ref();
    object([
        ("uid", or_null(uid.and_then(|(_, uids)| uids.iter().next()))),
        (
            "uidValidity",
            or_null(uid.map(|(uid_validity, _)| *uid_validity)),
        ),
    ])
}

/// `ImapReplaced`.
pub(super) fn replaced(replaced: &Replaced) -> Object {
    let made = appended(&replaced.appended);
    let former = match &replaced.former {
        Former::Gone => "gone",
        Former::Deleted => "deleted",
        _ => "kept",
    };
    set(&made, "former", former);
    made
}

/// UIDs of some sets.
pub(super) fn uids(sets: &[SequenceSet]) -> JsValue {
    let small = sets.iter().filter(|set| uid_list(set).is_some());
    let uids = small.flat_map(SequenceSet::iter);
    uids.map(JsValue::from).collect::<Array>().into()
}

fn flags(flags: &[Flag]) -> JsValue {
    let names = flags.iter().map(|flag| JsValue::from(flag.to_string()));
    names.collect::<Array>().into()
}

#[expect(clippy::cast_precision_loss, reason = "four digits of a year")]
fn moment(at: DateTime) -> JsValue {
    (at.unix_seconds() as f64 * 1000.0).into()
}

/// A number of bytes.
#[expect(clippy::cast_precision_loss, reason = "no mailbox has 2^53 bytes")]
fn number(number: u64) -> f64 {
    number as f64
}
