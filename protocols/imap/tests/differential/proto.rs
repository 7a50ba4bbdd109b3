//! Beside `imap-proto`.

use fastrand::Rng;
use imap_proto::{AttributeValue, MailboxDatum};
use jackfield_imap::codec::{Data, Envelope, Fetch, Flag, Response, Text};

use super::{bytes, fetch, ours, parts};

#[test]
fn messages_are_read_as_others_read_them() {
    let mut random = Rng::with_seed(9051);
    for _ in 0..3_000 {
        let id = |random: &mut Rng| format!("X-GM-MSGID {}", random.u64(1..));
        let line = fetch(&mut random, &[id]);
        let ours = ours(line.as_bytes());
        let theirs = imap_proto::Response::from_bytes(line.as_bytes());
        let (rest, theirs) = theirs.unwrap_or_else(|error| panic!("{line}: {error}"));
        assert!(rest.is_empty(), "{line}");
        let (Response::Fetch(ours), imap_proto::Response::Fetch(number, items)) = (ours, theirs)
        else {
            panic!("{line}");
        };
        assert_eq!(ours.number, Some(number));
        assert!(ours.unknown.is_empty(), "{line}");
        for item in items {
            compare(&ours, &item, &line);
        }
    }
}

#[test]
fn searches_and_lists_are_read_as_others_read_them() {
    let mut random = Rng::with_seed(3501);
    for _ in 0..500 {
        let count = random.usize(..50);
        let numbers: Vec<u32> = (0..count).map(|_| random.u32(1..)).collect();
        let words: Vec<String> = numbers.iter().map(u32::to_string).collect();
        let line = format!("* SEARCH {}\r\n", words.join(" ")).replace("H \r", "H\r");
        let Response::Search { numbers: ours, .. } = ours(line.as_bytes()) else {
            panic!("{line}");
        };
        assert_eq!(ours, numbers);
        let theirs = imap_proto::Response::from_bytes(line.as_bytes())
            .expect(&line)
            .1;
        let theirs = match theirs {
            imap_proto::Response::MailboxData(MailboxDatum::Search(theirs)) => theirs,
            other => panic!("{other:?}"),
        };
        assert_eq!(theirs, numbers);
    }
    for line in [
        "* LIST (\\HasNoChildren) \"/\" \"a b\"\r\n",
        "* LIST (\\Noselect) NIL INBOX\r\n",
        "* LIST () \".\" {3}\r\na.b\r\n",
    ] {
        let Response::List(ours) = ours(line.as_bytes()) else {
            panic!("{line}");
        };
        let theirs = imap_proto::Response::from_bytes(line.as_bytes())
            .expect(line)
            .1;
        let imap_proto::Response::MailboxData(MailboxDatum::List {
            name_attributes,
            delimiter,
            name,
        }) = theirs
        else {
            panic!("{theirs:?}");
        };
        assert_eq!(ours.name.to_string(), name);
        assert_eq!(
            ours.separator.map(String::from).as_deref(),
            delimiter.as_deref()
        );
        assert_eq!(ours.attributes.len(), name_attributes.len());
    }
}

fn compare(ours: &Fetch, theirs: &AttributeValue<'_>, line: &str) {
    match theirs {
        AttributeValue::Uid(uid) => assert_eq!(ours.uid, Some(*uid), "{line}"),
        AttributeValue::Flags(flags) => {
            let ours = ours.flags.iter().flatten().map(Flag::to_string);
            assert!(
                ours.eq(flags.iter().map(|flag| flag.clone().into_owned())),
                "{line}"
            );
        }
        AttributeValue::Rfc822Size(size) => assert_eq!(ours.size, Some(u64::from(*size)), "{line}"),
        AttributeValue::ModSeq(modseq) => assert_eq!(ours.modseq, Some(*modseq), "{line}"),
        AttributeValue::GmailMsgId(id) => {
            let gmail = ours.gmail.as_ref().expect(line);
            assert_eq!(gmail.message_id, Some(*id), "{line}");
        }
        AttributeValue::BodySection { data, .. } => {
            let text = ours.sections[0].data.as_ref().and_then(Data::text);
            assert_eq!(text.map(Text::as_bytes), data.as_deref(), "{line}");
        }
        AttributeValue::Envelope(theirs) => {
            let ours = ours.envelope.as_ref().expect(line);
            compare_envelopes(ours, theirs, line);
        }
        other => panic!("{other:?}"),
    }
}

fn compare_envelopes(ours: &Envelope, theirs: &imap_proto::Envelope<'_>, line: &str) {
    for (ours, theirs) in [
        (&ours.date, &theirs.date),
        (&ours.subject, &theirs.subject),
        (&ours.in_reply_to, &theirs.in_reply_to),
        (&ours.message_id, &theirs.message_id),
    ] {
        assert_eq!(bytes(ours.as_ref()).as_deref(), theirs.as_deref(), "{line}");
    }
    for (ours, theirs) in [
        (&ours.from, &theirs.from),
        (&ours.sender, &theirs.sender),
        (&ours.reply_to, &theirs.reply_to),
        (&ours.to, &theirs.to),
        (&ours.cc, &theirs.cc),
        (&ours.bcc, &theirs.bcc),
    ] {
        let theirs = theirs.iter().flatten().map(|address| {
            [&address.name, &address.adl, &address.mailbox, &address.host]
                .map(|part| part.as_deref().map(<[u8]>::to_vec))
        });
        assert!(ours.iter().map(parts).eq(theirs), "{line}");
    }
}
