//! Messages as they come: real ones, broken ones, and those that mean harm.

use std::fs;
use std::path::Path;

use jackfield_imap::codec::Structure;
use jackfield_mail::Charsets;
use jackfield_mail::message::{Limits, Message, Plan, ReadOptions, TransferEncoding};
use tokio::io::AsyncReadExt;

/// Those whose charset is large come last.
const CHARSETS: [&str; 7] = [
    "koi8-r",
    "windows-1252",
    "gb18030",
    "shift_jis",
    "iso-2022-jp",
    "big5",
    "euc-kr",
];

fn vector(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/mail");
    fs::read(folder.join(name)).expect(name)
}

/// A page's decoder: it knows what browsers know.
fn page() -> ReadOptions {
    let mut options = ReadOptions::default();
    options.charsets = Charsets::with(|label, bytes| {
        let encoding = encoding_rs::Encoding::for_label(label.as_bytes())?;
        Some(encoding.decode(bytes).0.into_owned())
    });
    options
}

fn is_read(name: &str, options: &ReadOptions) {
    let expected = String::from_utf8(vector(&format!("{name}.txt"))).expect("UTF-8");
    let expected: Vec<&str> = expected.lines().collect();
    let [subject, person, file, body] = expected[..] else {
        panic!("{name}.txt has four lines");
    };
    let message = Message::parse_with(vector(&format!("{name}.eml")), options);
    assert_eq!(message.subject().as_deref(), Some(subject), "{name}");
    assert_eq!(message.from()[0].name.as_deref(), Some(person), "{name}");
    assert_eq!(message.to()[0].name.as_deref(), Some(person), "{name}");
    assert_eq!(message.text().trim_end(), body, "{name}");
    let [attachment] = message.attachments() else {
        panic!("{name} has one attachment");
    };
    assert_eq!(attachment.name.as_deref(), Some(file), "{name}");
    assert_eq!(message.part_text(attachment).trim_end(), body, "{name}");
}

#[test]
fn legacy_charsets_are_read_by_a_pages_decoder() {
    for name in CHARSETS {
        is_read(name, &page());
    }
}

#[test]
#[cfg(feature = "charsets")]
fn legacy_charsets_are_read_by_built_in_tables() {
    for name in CHARSETS {
        is_read(name, &ReadOptions::default());
    }
}

#[test]
fn charsets_of_one_byte_need_no_tables() {
    for name in &CHARSETS[..2] {
        is_read(name, &ReadOptions::default());
    }
}

const MIXED: &str = "\
From: Ada <ada@example.org>\r\n\
Message-ID: <2@example.org>\r\n\
In-Reply-To: <1@example.org>\r\n\
References: <0@example.org>\r\n <1@example.org>\r\n\
List-Unsubscribe: <mailto:leave@example.org>, <https://example.org/leave>\r\n\
List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n\
List-Post: <mailto:list%40example.org?subject=x>\r\n\
Content-Type: multipart/mixed; boundary=\"outer\"\r\n\
\r\n\
What nobody sees.\r\n\
--outer\r\n\
Content-Type: multipart/related; boundary=rel\r\n\
\r\n\
--rel\r\n\
Content-Type: multipart/alternative; boundary=alt\r\n\
\r\n\
--alt\r\n\
\r\n\
plain\r\n\
--alt\r\n\
Content-Type: text/html\r\n\
\r\n\
<p>html <img src=\"cid:pic%401\"></p>\r\n\
--alt--\r\n\
--rel\r\n\
Content-Type: image/png; name=pic.png\r\n\
Content-ID: <pic@1>\r\n\
Content-Transfer-Encoding: base64\r\n\
\r\n\
aGVsbG8=\r\n\
--rel--\r\n\
--outer\r\n\
Content-Type: message/rfc822\r\n\
\r\n\
Subject: inner\r\n\
\r\n\
the inner text\r\n\
--outer\r\n\
Content-Type: text/plain\r\n\
Content-Disposition: attachment; filename=\"../notes.txt\"\r\n\
\r\n\
notes\r\n\
--outer--\r\n\
What nobody sees either.\r\n";

#[tokio::test]
async fn what_is_shown_and_what_hangs_on() {
    let message = Message::parse(MIXED);
    assert_eq!(message.text(), "plain");
    let html = message.html().expect("there is HTML");
    assert!(html.starts_with("<p>html"), "{html}");
    let kinds: Vec<_> = message
        .attachments()
        .iter()
        .map(|part| &*part.media_type)
        .collect();
    assert_eq!(kinds, ["image/png", "message/rfc822", "text/plain"]);

    let picture = message.by_content_id("cid:pic%401").expect("it is there");
    assert_eq!(picture.name.as_deref(), Some("pic.png"));
    assert!(picture.is_inline);
    assert_eq!(message.content(picture), b"hello");
    let mut read = Vec::new();
    message
        .reader(picture)
        .read_to_end(&mut read)
        .await
        .expect("it is read");
    assert_eq!(read, b"hello");

    let inner = message
        .message(&message.attachments()[1])
        .expect("a message");
    assert_eq!(inner.subject().as_deref(), Some("inner"));
    assert_eq!(inner.text(), "the inner text");

    let notes = &message.attachments()[2];
    assert_eq!(notes.name.as_deref(), Some("notes.txt"));
    assert!(!notes.is_inline);
    assert_eq!(notes.section().expect("it has one").to_string(), "3");
}

#[test]
fn what_a_header_says() {
    let message = Message::parse(MIXED);
    assert_eq!(message.message_id().as_deref(), Some("2@example.org"));
    assert_eq!(message.in_reply_to(), ["1@example.org"]);
    assert_eq!(message.references(), ["0@example.org", "1@example.org"]);
    let leave = message.unsubscribe().expect("it is a list's");
    assert!(leave.is_one_click);
    assert_eq!(leave.web.as_deref(), Some("https://example.org/leave"));
    assert_eq!(leave.mail.as_deref(), Some("mailto:leave@example.org"));
    assert_eq!(
        message.list_post().expect("it has one").address,
        "list@example.org"
    );
}

/// The BODYSTRUCTURE of [`MIXED`], as a server gives it.
fn structure() -> Structure {
    let single = |kind: &str, subtype: &str| {
        let mut part = Structure::default();
        part.media_type = kind.into();
        part.subtype = subtype.into();
        part.size = Some(8);
        part
    };
    let multi = |subtype: &str, parts: Vec<Structure>| {
        let mut multi = single("multipart", subtype);
        multi.parts = parts;
        multi
    };
    let mut image = single("IMAGE", "PNG");
    image.id = Some("<pic@1>".into());
    image.encoding = Some("BASE64".into());
    image.parameters = vec![("NAME".into(), "pic.png".into())];
    let mut notes = single("TEXT", "PLAIN");
    notes.disposition = Some((
        "ATTACHMENT".into(),
        vec![("FILENAME".into(), "../notes.txt".into())],
    ));
    let mut message = single("message", "rfc822");
    message.parts = vec![single("text", "plain")];
    let alternative = multi(
        "alternative",
        vec![single("text", "plain"), single("text", "html")],
    );
    multi(
        "MIXED",
        vec![multi("related", vec![alternative, image]), message, notes],
    )
}

#[test]
fn what_to_fetch_is_known_by_the_structure() {
    let plan = Plan::new(&structure(), &ReadOptions::default());
    let message = Message::parse(MIXED);
    let sections = |parts: &[jackfield_mail::message::Part]| -> Vec<String> {
        let section = |part: &jackfield_mail::message::Part| part.section().expect("it has one");
        parts.iter().map(|part| section(part).to_string()).collect()
    };
    assert_eq!(sections(&plan.text), ["1.1.1"]);
    assert_eq!(sections(&plan.html), ["1.1.2"]);
    assert_eq!(sections(&plan.attachments), ["1.2", "2", "3"]);
    assert_eq!(sections(&plan.attachments), sections(message.attachments()));
    let picture = plan.by_content_id("pic@1").expect("it is there");
    assert_eq!(picture.encoding, TransferEncoding::Base64);
    assert_eq!((picture.encoded_size, picture.size), (8, 6));
    assert_eq!(plan.attachments[2].name.as_deref(), Some("notes.txt"));

    let mut alone = Structure::default();
    alone.media_type = "TEXT".into();
    alone.subtype = "HTML".into();
    alone.parameters = vec![("charset".into(), "koi8-r".into())];
    let plan = Plan::new(&alone, &ReadOptions::default());
    assert_eq!(sections(&plan.text), ["1"]);
    assert_eq!(
        plan.html[0].text(b"\xed\xc9\xd2", &Charsets::built_in()),
        "\u{41c}\u{438}\u{440}"
    );
}

#[test]
fn one_text_stands_for_the_other() {
    let message = Message::parse("Content-Type: text/html\n\n<p>a &lt; b</p><p>c</p>");
    assert_eq!(message.text().trim(), "a < b\nc");
    assert!(message.has_html());
    let message = Message::parse("Subject: x\n\na < b\n");
    assert!(!message.has_html());
    assert!(message.html().expect("made of text").contains("a &lt; b"));
    let message = Message::parse("");
    assert_eq!(message.text(), "");
    assert_eq!(message.subject(), None);
}

#[test]
fn broken_ones_are_shown_as_far_as_they_go() {
    for (raw, text) in [
        // No delimiter, no boundary, no end.
        (
            "Content-Type: multipart/mixed; boundary=x\n\nhello",
            "hello",
        ),
        ("Content-Type: multipart/mixed\n\nhello", "hello"),
        (
            "Content-Type: multipart/mixed; boundary=x\n\n--x\n\nhello",
            "hello",
        ),
        // A delimiter that only begins as one.
        (
            "Content-Type: multipart/mixed; boundary=x\n\n--x\n\na\n--xy\nb\n--x--",
            "a\n--xy\nb",
        ),
        // A header that no blank line ends.
        ("Subject: x\nhello there", "hello there"),
        // What mbox files have in front.
        ("From ada Tue Nov 14\nSubject: x\n\nhello", "hello"),
        ("Content-Type: nonsense\n\nhello", "hello"),
        ("Content-Transfer-Encoding: rot13\n\nhello", "hello"),
        // Inner parts end where the outer's do.
        (
            "Content-Type: multipart/mixed; boundary=o\n\n--o\nContent-Type: multipart/mixed; \
             boundary=i\n\n--i\n\na\n--o\n\nb\n--o--",
            "a\nb",
        ),
    ] {
        assert_eq!(Message::parse(raw).text().trim_end(), text, "{raw:?}");
    }
}

#[test]
fn nesting_has_a_bound() {
    let max_depth = Limits::default().max_depth;
    let deep = |depth: usize| {
        let level =
            |level| format!("Content-Type: multipart/mixed; boundary=b{level}\n\n--b{level}\n");
        let raw: String = (0..depth).map(level).collect();
        raw + "\nhello"
    };
    let message = Message::parse(deep(max_depth));
    assert!(!message.is_truncated());
    assert_eq!(message.text(), "hello");
    let message = Message::parse(deep(20_000));
    assert!(message.is_truncated());
    assert_eq!(message.text(), "");

    // Messages in messages are read when somebody asks.
    let raw = "Content-Type: message/rfc822\n\n".repeat(100_000);
    let message = Message::parse(raw);
    assert_eq!(message.attachments().len(), 1);
    let inner = message
        .message(&message.attachments()[0])
        .expect("a message");
    assert_eq!(inner.attachments().len(), 1);

    let mut structure = Structure::default();
    for _ in 0..1000 {
        let mut outer = Structure::default();
        outer.media_type = "multipart".into();
        outer.parts = vec![structure];
        structure = outer;
    }
    assert!(Plan::new(&structure, &ReadOptions::default()).is_truncated);
}

#[test]
fn parts_have_a_bound() {
    let raw = format!(
        "Content-Type: multipart/mixed; boundary=b\n\n{}",
        "--b\n\nx\n".repeat(100_000)
    );
    let message = Message::parse(raw);
    assert!(message.is_truncated());
    assert!(message.plan().text.len() <= Limits::default().max_parts);
}

#[test]
fn headers_have_a_bound() {
    let Limits {
        max_fields,
        max_field,
        ..
    } = Limits::default();
    let message = Message::parse("a: b\n".repeat(500_000) + "\nhello");
    assert!(message.is_truncated());
    assert_eq!(message.fields().count(), max_fields);
    assert_eq!(message.text(), "hello");

    let message = Message::parse(format!("Subject: {}\n\nhello", "x\n ".repeat(1_000_000)));
    assert!(message.is_truncated());
    assert!(message.subject().expect("there is one").len() <= max_field);
    assert_eq!(message.text(), "hello");
}

#[test]
fn nothing_hidden_is_handed_on() {
    let message = Message::parse(
        "Subject: a\0b =?utf-8?q?c=0D=0ABcc:_d?=\n\
         From: \"a\0=?utf-8?q?=0A?=b\" <c@d>\n\n\0hello\0",
    );
    assert_eq!(message.subject().as_deref(), Some("a b cBcc: d"));
    assert_eq!(message.text(), "hello");
    assert!(!message.from()[0].to_string().contains(char::is_control));
}

#[test]
fn what_was_read_of_another_message_is_nothing_here() {
    let one = Message::parse(MIXED);
    let other = Message::parse("Subject: x\n\n");
    assert_eq!(other.content(&one.attachments()[2]), b"");
}

#[test]
fn texts_that_flow_are_joined() {
    let message =
        Message::parse("Content-Type: text/plain; format=flowed\n\n> a \n> b\nc \nd\n-- \nme\n");
    assert_eq!(message.text(), "> a b\nc d\n-- \nme\n");
}
