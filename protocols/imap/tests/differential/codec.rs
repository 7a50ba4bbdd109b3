//! Beside `imap-codec`: what both accept means the same. It accepts less.

use std::num::NonZeroU64;

use fastrand::Rng;
use imap_codec::ResponseCodec;
use imap_codec::decode::Decoder as _;
use imap_codec::imap_types::body::{BodyStructure, SpecificFields};
use imap_codec::imap_types::core::{IString, NString, QuotedChar};
use imap_codec::imap_types::envelope::{self, Envelope};
use imap_codec::imap_types::fetch::MessageDataItem;
use imap_codec::imap_types::flag::FlagFetch;
use imap_codec::imap_types::mailbox::Mailbox;
use imap_codec::imap_types::response::{self, Data, Status};
use imap_codec::imap_types::status::StatusDataItem;
use jackfield_imap::codec::{self, Fetch, Response, StatusKind, Structure, Text};
use jackfield_play::text;

use super::{addresses, bytes, fetch, nstring, ours, parts, string};

fn theirs(line: &[u8]) -> Option<response::Response<'_>> {
    let (rest, theirs) = ResponseCodec::default().decode(line).ok()?;
    rest.is_empty().then_some(theirs)
}

#[test]
fn messages_are_read_as_others_read_them() {
    let mut random = Rng::with_seed(2026);
    let date = |random: &mut Rng| {
        let months = ["Jan", "Feb", "Mar", "Jun", "Sep", "Oct", "Nov", "Dec"];
        let month = months[random.usize(..months.len())];
        let (day, year) = (random.u8(1..29), random.u16(1980..2040));
        let (hour, minute, second) = (random.u8(..24), random.u8(..60), random.u8(..60));
        let sign = if random.bool() { '+' } else { '-' };
        let zone = u16::from(random.u8(..14)) * 100 + u16::from(random.u8(..60));
        let time = format!("{hour:02}:{minute:02}:{second:02} {sign}{zone:04}");
        format!("INTERNALDATE \"{day:2}-{month}-{year} {time}\"")
    };
    let body = |random: &mut Rng| format!("BODYSTRUCTURE {}", structure(random, 3));
    let (mut seen, count) = (0, 3_000);
    for _ in 0..count {
        let line = fetch(&mut random, &[date, body]);
        let ours = ours(line.as_bytes());
        let Some(theirs) = theirs(line.as_bytes()) else {
            continue;
        };
        seen += 1;
        compare(&ours, &theirs, &line);
    }
    assert!(seen > count / 2, "only {seen} were read by both");
}

#[test]
fn every_vector_is_read_as_others_read_it() {
    let vectors = include_str!("../../../../tests/vectors/imap/responses.txt");
    let is_response = |line: &&str| !line.starts_with([' ', '#']) && !line.is_empty();
    let mut seen = 0;
    for line in vectors.lines().filter(is_response) {
        let bytes = text::read(line);
        if let Some(theirs) = theirs(&bytes) {
            seen += usize::from(compare(&ours(&bytes), &theirs, line));
        }
    }
    assert!(seen > 20, "only {seen} were compared");
}

/// A part of a message, with this many levels below it at the most.
fn structure(random: &mut Rng, levels: u32) -> String {
    if levels > 0 && random.u8(..3) == 0 {
        let count = random.usize(1..4);
        let parts: Vec<String> = (0..count).map(|_| structure(random, levels - 1)).collect();
        return format!("({} \"mixed\")", parts.concat());
    }
    let parameters = match random.u8(..3) {
        0 => "NIL".to_owned(),
        1 => "(\"charset\" \"utf-8\")".to_owned(),
        _ => format!("(\"name\" {} \"x\" \"y\")", string(random)),
    };
    let (id, description) = (nstring(random), nstring(random));
    let size = random.u32(..);
    let fields = format!("{parameters} {id} {description} \"base64\" {size}");
    let extensions = match random.u8(..4) {
        0 => String::new(),
        1 => format!(" {}", nstring(random)),
        2 => " NIL (\"attachment\" (\"filename\" \"a.bin\")) (\"de\" \"en\")".to_owned(),
        _ => " NIL NIL NIL \"here\"".to_owned(),
    };
    match random.u8(..3) {
        0 => format!(
            "(\"text\" \"plain\" {fields} {}{extensions})",
            random.u32(..)
        ),
        1 if levels > 0 => {
            let people: Vec<String> = (0..6).map(|_| addresses(random)).collect();
            let envelope = format!("(NIL \"inner\" {} NIL NIL)", people.join(" "));
            let part = structure(random, levels - 1);
            format!("(\"message\" \"rfc822\" {fields} {envelope} {part} 7{extensions})")
        }
        _ => format!("(\"application\" \"octet-stream\" {fields}{extensions})"),
    }
}

/// Whether there was something to compare.
fn compare(ours: &Response, theirs: &response::Response<'_>, line: &str) -> bool {
    use imap_codec::imap_types::response::StatusKind as Kind;
    let kind = |kind: &Kind| match kind {
        Kind::Ok => StatusKind::Ok,
        Kind::No => StatusKind::No,
        Kind::Bad => StatusKind::Bad,
    };
    match (ours, theirs) {
        (Response::Status(ours), response::Response::Status(Status::Untagged(theirs))) => {
            assert_eq!(ours.kind, kind(&theirs.kind), "{line}");
            assert_eq!(ours.code.is_some(), theirs.code.is_some(), "{line}");
        }
        (Response::Status(ours), response::Response::Status(Status::Bye(theirs))) => {
            assert_eq!(ours.kind, StatusKind::Bye, "{line}");
            assert_eq!(ours.code.is_some(), theirs.code.is_some(), "{line}");
        }
        (Response::Tagged { tag, status }, response::Response::Status(Status::Tagged(theirs))) => {
            assert_eq!(*tag, theirs.tag.as_ref(), "{line}");
            assert_eq!(status.kind, kind(&theirs.body.kind), "{line}");
        }
        (Response::Continue(_), response::Response::CommandContinuationRequest(_)) => {}
        (ours, response::Response::Data(theirs)) => return compare_data(ours, theirs, line),
        (ours, theirs) => panic!("{line}: {ours:?}, {theirs:?}"),
    }
    true
}

fn compare_data(ours: &Response, theirs: &Data<'_>, line: &str) -> bool {
    match (ours, theirs) {
        (Response::Capability(ours), Data::Capability(theirs)) => {
            for name in theirs.as_ref() {
                let name = name.to_string().to_ascii_uppercase();
                let has = ours.iter().any(|known| known.eq_ignore_ascii_case(&name));
                assert!(has, "{line}: {name}");
            }
        }
        (
            Response::List(ours) | Response::Lsub(ours),
            Data::List {
                items,
                delimiter,
                mailbox,
            }
            | Data::Lsub {
                items,
                delimiter,
                mailbox,
            },
        ) => {
            assert_eq!(ours.attributes.len(), items.len(), "{line}");
            let delimiter = delimiter.as_ref().map(QuotedChar::inner);
            assert_eq!(ours.separator, delimiter, "{line}");
            if let Some(name) = name(mailbox) {
                assert_eq!(ours.name.to_string(), name, "{line}");
            }
        }
        (Response::MailboxStatus(ours), Data::Status { items, .. }) => {
            for item in items.iter() {
                match item {
                    StatusDataItem::Messages(it) => assert_eq!(ours.messages, Some(*it)),
                    StatusDataItem::Recent(it) => assert_eq!(ours.recent, Some(*it)),
                    StatusDataItem::UidNext(it) => assert_eq!(ours.uid_next, Some(it.get())),
                    StatusDataItem::UidValidity(it) => {
                        assert_eq!(ours.uid_validity, Some(it.get()));
                    }
                    StatusDataItem::Unseen(it) => assert_eq!(ours.unseen, Some(*it)),
                    StatusDataItem::Deleted(it) => assert_eq!(ours.deleted, Some(*it)),
                    _ => {}
                }
            }
        }
        (Response::Search { numbers, modseq }, Data::Search(theirs, highest))
        | (Response::Sort { numbers, modseq }, Data::Sort(theirs, highest)) => {
            assert!(
                theirs.iter().map(|it| it.get()).eq(numbers.iter().copied()),
                "{line}"
            );
            assert_eq!(*modseq, highest.map(NonZeroU64::get), "{line}");
        }
        (Response::Flags(ours), Data::Flags(theirs)) => {
            let ours: Vec<String> = ours.iter().map(ToString::to_string).collect();
            let theirs: Vec<String> = theirs.iter().map(ToString::to_string).collect();
            assert_eq!(ours, theirs, "{line}");
        }
        (Response::Exists(ours), Data::Exists(theirs))
        | (Response::Recent(ours), Data::Recent(theirs)) => assert_eq!(ours, theirs, "{line}"),
        (Response::Expunge(ours), Data::Expunge(theirs)) => {
            assert_eq!(*ours, theirs.get(), "{line}");
        }
        (Response::Fetch(ours), Data::Fetch { seq, items }) => {
            assert_eq!(ours.number, Some(seq.get()), "{line}");
            for item in items.as_ref() {
                compare_items(ours, item, line);
            }
        }
        // What ours does not know, or has in other words.
        (Response::Unknown { .. }, Data::Quota { .. } | Data::QuotaRoot { .. }) => return false,
        (Response::Unknown { .. }, _) => panic!("{line} is not read: {theirs:?}"),
        _ => return false,
    }
    true
}

/// A mailbox's name, where it needs no decoding.
fn name(mailbox: &Mailbox<'_>) -> Option<String> {
    let name = match mailbox {
        Mailbox::Inbox => return Some("INBOX".to_owned()),
        Mailbox::Other(name) => String::from_utf8_lossy(name.inner().as_ref()).into_owned(),
    };
    name.chars()
        .all(|letter| letter.is_ascii_alphanumeric() || letter == '/')
        .then_some(name)
}

fn compare_items(ours: &Fetch, theirs: &MessageDataItem<'_>, line: &str) {
    match theirs {
        MessageDataItem::Uid(uid) => assert_eq!(ours.uid, Some(uid.get()), "{line}"),
        MessageDataItem::Rfc822Size(size) => {
            assert_eq!(ours.size, Some(u64::from(*size)), "{line}");
        }
        MessageDataItem::Flags(flags) => {
            let name = |flag: &FlagFetch<'_>| match flag {
                FlagFetch::Flag(flag) => flag.to_string(),
                FlagFetch::Recent => "\\Recent".to_owned(),
            };
            let theirs: Vec<String> = flags.iter().map(name).collect();
            let ours = ours.flags.iter().flatten().map(ToString::to_string);
            assert_eq!(ours.collect::<Vec<_>>(), theirs, "{line}");
        }
        MessageDataItem::InternalDate(date) => {
            let ours = ours.internal_date.expect(line);
            assert_eq!(ours.unix_seconds(), date.as_ref().timestamp(), "{line}");
        }
        MessageDataItem::ModSeq(modseq) => assert_eq!(ours.modseq, Some(modseq.get()), "{line}"),
        MessageDataItem::BodyExt { data, .. } => {
            let text = ours.sections.iter().map(|it| it.data.as_ref());
            let mut texts = text.map(|it| it.and_then(codec::Data::text).map(Text::as_bytes));
            let theirs = of(data);
            assert!(texts.any(|it| it == theirs.as_deref()), "{line}");
        }
        MessageDataItem::Envelope(theirs) => {
            compare_envelopes(ours.envelope.as_ref().expect(line), theirs, line);
        }
        MessageDataItem::Body(theirs) | MessageDataItem::BodyStructure(theirs) => {
            compare_structures(ours.structure.as_ref().expect(line), theirs, line);
        }
        _ => {}
    }
}

fn of(text: &NString<'_>) -> Option<Vec<u8>> {
    text.0.as_ref().map(|text| text.as_ref().to_vec())
}

fn compare_envelopes(ours: &codec::Envelope, theirs: &Envelope<'_>, line: &str) {
    for (ours, theirs) in [
        (&ours.date, &theirs.date),
        (&ours.subject, &theirs.subject),
        (&ours.in_reply_to, &theirs.in_reply_to),
        (&ours.message_id, &theirs.message_id),
    ] {
        assert_eq!(bytes(ours.as_ref()), of(theirs), "{line}");
    }
    for (ours, theirs) in [
        (&ours.from, &theirs.from),
        (&ours.sender, &theirs.sender),
        (&ours.reply_to, &theirs.reply_to),
        (&ours.to, &theirs.to),
        (&ours.cc, &theirs.cc),
        (&ours.bcc, &theirs.bcc),
    ] {
        let theirs = theirs.iter().map(|address: &envelope::Address<'_>| {
            [&address.name, &address.adl, &address.mailbox, &address.host].map(of)
        });
        assert!(ours.iter().map(parts).eq(theirs), "{line}");
    }
}

fn compare_structures(ours: &Structure, theirs: &BodyStructure<'_>, line: &str) {
    let is = |ours: &Text, theirs: &IString<'_>| {
        let theirs: &[u8] = theirs.as_ref();
        assert!(ours.as_bytes().eq_ignore_ascii_case(theirs), "{line}");
    };
    match theirs {
        BodyStructure::Multi {
            bodies, subtype, ..
        } => {
            assert!(ours.media_type.is("multipart"), "{line}");
            is(&ours.subtype, subtype);
            assert_eq!(ours.parts.len(), bodies.as_ref().len(), "{line}");
            for (ours, theirs) in ours.parts.iter().zip(bodies.as_ref()) {
                compare_structures(ours, theirs, line);
            }
        }
        BodyStructure::Single {
            body,
            extension_data,
        } => {
            let basic = &body.basic;
            assert_eq!(ours.size, Some(u64::from(basic.size)), "{line}");
            assert_eq!(bytes(ours.id.as_ref()), of(&basic.id), "{line}");
            assert_eq!(
                bytes(ours.description.as_ref()),
                of(&basic.description),
                "{line}"
            );
            assert_eq!(ours.parameters.len(), basic.parameter_list.len(), "{line}");
            for ((name, value), theirs) in ours.parameters.iter().zip(&basic.parameter_list) {
                is(name, &theirs.0);
                is(value, &theirs.1);
            }
            match &body.specific {
                SpecificFields::Basic { r#type, subtype } => {
                    is(&ours.media_type, r#type);
                    is(&ours.subtype, subtype);
                }
                SpecificFields::Text {
                    subtype,
                    number_of_lines,
                } => {
                    assert!(ours.media_type.is("text"), "{line}");
                    is(&ours.subtype, subtype);
                    assert_eq!(ours.lines, Some(u64::from(*number_of_lines)), "{line}");
                }
                SpecificFields::Message {
                    envelope,
                    body_structure,
                    number_of_lines,
                } => {
                    assert!(ours.media_type.is("message"), "{line}");
                    assert_eq!(ours.lines, Some(u64::from(*number_of_lines)), "{line}");
                    compare_envelopes(ours.envelope.as_ref().expect(line), envelope, line);
                    compare_structures(&ours.parts[0], body_structure, line);
                }
            }
            let md5 = extension_data.as_ref().and_then(|it| of(&it.md5));
            assert_eq!(bytes(ours.md5.as_ref()), md5, "{line}");
            let tail = extension_data.as_ref().and_then(|it| it.tail.as_ref());
            let disposition = tail.and_then(|it| it.disposition.as_ref());
            let shown = ours
                .disposition
                .as_ref()
                .map(|(name, with)| (name, with.len()));
            let count = disposition.map(|(_, with)| with.len());
            assert_eq!(shown.map(|(_, count)| count), count, "{line}");
            if let (Some((name, _)), Some((theirs, _))) = (shown, disposition) {
                is(name, theirs);
            }
        }
    }
}
