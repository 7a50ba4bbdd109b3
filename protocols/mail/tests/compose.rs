//! Messages to send: what they say is read again, and nothing gets into them.

use jackfield_mail::compose::{
    Attachment, ComposeError, Composed, Draft, Field, ReplyTo, message_id, quote,
};
use jackfield_mail::message::Message;
use jackfield_mail::{Address, Date};
use tokio::io::AsyncReadExt;

const ID: &str = "7@example.org";

fn draft() -> Draft {
    let mut draft = Draft::new(Address::named("Ada", "ada@example.org"));
    draft.to.push(Address::new("grace@example.com"));
    draft.text = Some("Good morning.\n".into());
    draft
}

fn compose(draft: Draft) -> Composed {
    let date = Date::new(1_700_000_000, 60);
    draft.compose(ID, date).expect("it is composed")
}

fn read(draft: Draft) -> Message {
    let composed = compose(draft);
    let size = composed.size();
    let bytes = composed.into_bytes().expect("it is in memory");
    assert_eq!(bytes.len() as u64, size);
    Message::parse(bytes)
}

#[test]
fn a_plain_message_is_plain() {
    let bytes = compose(draft()).into_bytes().expect("it is in memory");
    assert_eq!(
        String::from_utf8_lossy(&bytes),
        "Date: Tue, 14 Nov 2023 23:13:20 +0100\r\n\
         From: \"Ada\" <ada@example.org>\r\n\
         To: <grace@example.com>\r\n\
         Subject: \r\n\
         Message-ID: <7@example.org>\r\n\
         MIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=\"utf-8\"\r\n\
         Content-Transfer-Encoding: 7bit\r\n\
         \r\n\
         Good morning.\r\n"
    );
}

#[test]
fn what_is_composed_is_read_again() {
    let mut draft = draft();
    draft.from.name = Some("Ad\u{e0} \"L\", x".into());
    draft.subject =
        "\u{4f60}\u{597d} \u{2013} a subject that is longer than one line has room for, by far"
            .into();
    draft.text = Some("gr\u{fc}n\n\n.\nFrom here\n".repeat(50));
    draft.html = Some("<p>gr\u{fc}n <img src=\"cid:1@x\"></p>".into());
    draft
        .inline
        .push(Attachment::inline("1@x", "image/png", vec![0, 255, 13, 10]));
    draft.attachments.push(Attachment::new(
        "\u{dc}bersicht; \"1\".txt",
        "text/plain",
        "caf\u{e9}",
    ));
    draft.attachments.push(Attachment::new(
        "a.bin",
        "application/octet-stream",
        vec![7; 1000],
    ));
    let (from, subject) = (draft.from.clone(), draft.subject.clone());
    let (text, html) = (draft.text.clone(), draft.html.clone());

    let composed = compose(draft);
    assert!(!composed.is_8bit && !composed.needs_smtputf8);
    let bytes = composed.into_bytes().expect("it is in memory");
    assert!(bytes.is_ascii());
    let lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    assert!(lines.iter().all(|line| line.len() <= 79), "lines are short");
    let message = Message::parse(bytes);
    assert_eq!(message.from(), [from]);
    assert_eq!(message.subject(), Some(subject));
    assert_eq!(Some(message.text()), text);
    assert_eq!(message.html(), html);
    let picture = message.by_content_id("cid:1@x").expect("it is there");
    assert!(picture.is_inline);
    assert_eq!(message.content(picture), [0, 255, 13, 10]);
    let names: Vec<_> = message
        .attachments()
        .iter()
        .map(|part| part.name.as_deref())
        .collect();
    assert_eq!(
        names,
        [None, Some("\u{dc}bersicht; _1_.txt"), Some("a.bin")]
    );
    assert_eq!(
        message.content(&message.attachments()[1]),
        "caf\u{e9}".as_bytes()
    );
    assert_eq!(message.content(&message.attachments()[2]), [7; 1000]);
}

#[test]
fn any_of_its_parts_may_be_missing() {
    for (has_text, has_html, has_image, has_file) in
        (0..16).map(|bits| (bits & 1 > 0, bits & 2 > 0, bits & 4 > 0, bits & 8 > 0))
    {
        let mut draft = draft();
        draft.text = has_text.then(|| "text".into());
        draft.html = has_html.then(|| "<p>html</p>".into());
        if has_image {
            draft
                .inline
                .push(Attachment::inline("1@x", "image/png", "image"));
        }
        if has_file {
            draft
                .attachments
                .push(Attachment::new("a.txt", "text/plain", "file"));
        }
        let message = read(draft);
        let text = message.text();
        assert_eq!(text.contains("text"), has_text, "{text:?}");
        assert_eq!(text.contains("html"), has_html && !has_text, "{text:?}");
        assert_eq!(message.has_html(), has_html);
        assert_eq!(
            message.attachments().len(),
            usize::from(has_image) + usize::from(has_file)
        );
    }
}

#[test]
fn no_field_becomes_another() {
    const ATTACKS: [&str; 6] = [
        "x\r\nBcc: eve@evil.example",
        "x\nBcc: eve@evil.example",
        "x\rBcc: eve@evil.example",
        "x\r\n\r\nbody",
        "x\0",
        "x\u{85}y",
    ];
    type Set = fn(&mut Draft, &str);
    let fields: [(Field, Set); 16] = [
        (Field::From, |draft, text| {
            draft.from.name = Some(text.into());
        }),
        (Field::From, |draft, text| {
            draft.from.address = format!("{text}@example.org");
        }),
        (Field::ReplyTo, |draft, text| {
            draft.reply_to.push(Address::named(text, "a@b"));
        }),
        (Field::To, |draft, text| {
            draft.to.push(Address::named(text, "a@b"));
        }),
        (Field::To, |draft, text| {
            draft.to.push(Address::new(format!("a@{text}")));
        }),
        (Field::Cc, |draft, text| {
            draft.cc.push(Address::named(text, "a@b"));
        }),
        (Field::Bcc, |draft, text| {
            draft.bcc.push(Address::new(format!("\"{text}\"@b")));
        }),
        (Field::Subject, |draft, text| draft.subject = text.into()),
        (Field::InReplyTo, |draft, text| {
            draft.in_reply_to.push(text.into());
        }),
        (Field::References, |draft, text| {
            draft.references.push(text.into());
        }),
        (Field::FieldText, |draft, text| {
            draft.fields.push(("X-A".into(), text.into()));
        }),
        (Field::FieldName, |draft, text| {
            draft.fields.push((text.into(), "a".into()));
        }),
        (Field::FileName, |draft, text| {
            draft.attachments.push(Attachment::new(text, "a/b", ""));
        }),
        (Field::MediaType, |draft, text| {
            draft
                .attachments
                .push(Attachment::new("a", format!("a/{text}"), ""));
        }),
        (Field::ContentId, |draft, text| {
            draft.html = Some(String::new());
            draft.inline.push(Attachment::inline(text, "a/b", ""));
        }),
        (Field::FileName, |draft, text| {
            draft
                .attachments
                .push(Attachment::stream(text, "a/b", tokio::io::empty(), 0));
        }),
    ];
    for (field, set) in fields {
        for attack in ATTACKS {
            let mut draft = draft();
            set(&mut draft, attack);
            let refused = draft
                .compose(ID, Date::default())
                .expect_err("it is refused");
            let is_named = refused == ComposeError::ControlCharacter(field)
                || refused == ComposeError::Invalid(field);
            assert!(is_named, "{field:?} {attack:?}: {refused}");
        }
    }
    for attack in ATTACKS {
        assert!(
            draft().compose(attack, Date::default()).is_err(),
            "{attack:?}"
        );
    }
}

#[test]
fn no_address_becomes_two() {
    for address in [
        "a@b, eve@evil.example",
        "a@b> NOTIFY=NEVER",
        "<a@b>",
        "a b@c",
        "a@b c",
        "a@b;c",
        "a",
        "@",
        "a@",
        "\"\"@b",
        "\"a\"b\"@c",
        "a@[1]b",
        &format!("{}@b", "a".repeat(1000)),
    ] {
        let mut draft = draft();
        draft.to = vec![Address::new(address)];
        let refused = draft.compose(ID, Date::default()).expect_err(address);
        assert!(matches!(
            refused,
            ComposeError::Invalid(Field::To) | ComposeError::TooLong(Field::To)
        ));
    }
}

#[test]
fn fields_of_the_message_are_not_set_twice() {
    for name in [
        "Subject",
        "BCC",
        "content-type",
        "Date",
        "Received",
        "a b",
        "a:",
        "",
    ] {
        let mut draft = draft();
        draft.fields.push((name.into(), "x".into()));
        let refused = draft.compose(ID, Date::default()).expect_err(name);
        assert_eq!(refused, ComposeError::Invalid(Field::FieldName));
    }
    let mut draft = draft();
    draft.fields.push(("X-Mailer".into(), "gr\u{fc}n".into()));
    assert_eq!(read(draft).field("x-mailer").as_deref(), Some("gr\u{fc}n"));
}

#[test]
fn bcc_is_in_the_envelope_alone() {
    let mut draft = draft();
    draft.cc.push(Address::new("grace@example.com"));
    draft.bcc.push(Address::new("alan@example.net"));
    let composed = compose(draft);
    assert_eq!(composed.sender, "ada@example.org");
    assert_eq!(
        composed.recipients,
        ["grace@example.com", "alan@example.net"]
    );
    let bytes = composed.into_bytes().expect("it is in memory");
    assert!(!String::from_utf8_lossy(&bytes).contains("alan"));
}

#[test]
fn bcc_is_in_a_draft_that_is_kept() {
    let mut draft = draft();
    draft.bcc.push(Address::new("alan@example.net"));
    draft.keep_bcc = true;
    let kept = read(draft).addresses("bcc");
    assert_eq!(kept, [Address::new("alan@example.net")]);
}

#[test]
fn what_smtp_must_be_told_is_told() {
    let mut draft = draft();
    draft.to.push(Address::new("gr\u{fc}n@example.org"));
    assert!(compose(draft).needs_smtputf8);

    let mut with = self::draft();
    with.attachments
        .push(Attachment::message("Subject: gr\u{fc}n\n\nx\n"));
    let composed = compose(with);
    assert!(composed.is_8bit && !composed.needs_smtputf8);

    // Lines that are too long for 8bit.
    let mut with = self::draft();
    with.attachments.push(Attachment::message(format!(
        "Subject: x\n\n{}\n",
        "\u{fc}".repeat(600)
    )));
    let composed = compose(with);
    assert!(!composed.is_8bit);
    let message = Message::parse(composed.into_bytes().expect("it is in memory"));
    let inner = message
        .message(&message.attachments()[0])
        .expect("a message");
    assert_eq!(inner.text().trim_end(), "\u{fc}".repeat(600));
}

#[test]
fn a_text_cannot_end_its_part() {
    let mut draft = draft();
    draft.attachments.push(Attachment::new("a", "a/b", "file"));
    let bytes = compose(draft).into_bytes().expect("it is in memory");
    let text = String::from_utf8_lossy(&bytes);
    let (_, behind) = text.split_once("boundary=\"").expect("it has one");
    let boundary = behind.split('"').next().expect("it ends");

    // The same Message-ID, so that the same boundary would be taken.
    let attack = format!("x\n--{boundary}\nContent-Type: text/html\n\nevil\n--{boundary}--\n");
    let mut draft = self::draft();
    draft.text = Some(attack.clone());
    draft.attachments.push(Attachment::new("a", "a/b", "file"));
    draft.attachments.push(Attachment::message(attack.clone()));
    let message = read(draft);
    assert_eq!(message.text(), attack);
    assert_eq!(message.attachments().len(), 2);
}

#[tokio::test]
async fn attachments_are_encoded_as_they_are_read() {
    for len in [0_usize, 1, 56, 57, 58, 7296, 7297, 100_000] {
        let content: Vec<u8> = (0..len).map(|at| at as u8).collect();
        let mut in_memory = draft();
        in_memory
            .attachments
            .push(Attachment::new("a", "a/b", content.clone()));
        let bytes = compose(in_memory).into_bytes().expect("it is in memory");

        // In pieces of any size.
        let (mut writer, reader) = tokio::io::duplex(100);
        let mut streamed = draft();
        streamed
            .attachments
            .push(Attachment::stream("a", "a/b", reader, len as u64));
        let composed = compose(streamed);
        assert_eq!(composed.size(), bytes.len() as u64);
        let mut reader = composed.into_reader();
        let write = async move {
            tokio::io::AsyncWriteExt::write_all(&mut writer, &content)
                .await
                .expect("it is taken");
        };
        let mut read = Vec::new();
        let ((), done) = tokio::join!(write, reader.read_to_end(&mut read));
        done.expect("it is read");
        assert!(read == bytes, "{len} bytes");
    }
}

#[tokio::test]
async fn an_attachment_of_another_size_is_noticed() {
    for (said, shown) in [(4, "longer"), (6, "shorter"), (u64::MAX, "shorter")] {
        let mut draft = draft();
        draft
            .attachments
            .push(Attachment::stream("a", "a/b", &b"hello"[..], said));
        let composed = compose(draft);
        let mut all = Vec::new();
        let error = composed
            .into_reader()
            .read_to_end(&mut all)
            .await
            .expect_err("it fails");
        assert!(error.to_string().contains(shown), "{error}");
    }
    let mut draft = draft();
    draft
        .attachments
        .push(Attachment::stream("a", "a/b", &b"hello"[..], 5));
    assert!(compose(draft).into_bytes().is_none());
}

#[test]
fn flowed_text_flows() {
    let mut draft = draft();
    let text = format!(
        "{}\n\n> {}\n\u{20ac}\n",
        "word ".repeat(40).trim(),
        "quoted ".repeat(30).trim()
    );
    draft.text = Some(text.clone());
    draft.is_flowed = true;
    let message = read(draft);
    assert!(message.plan().text[0].is_flowed);
    assert_eq!(message.text(), text);
}

fn received() -> Message {
    Message::parse(
        "From: Grace <grace@example.com>\n\
         To: Ada <ADA@example.org>, alan@example.net\n\
         Cc: ada@home.example, Edsger <edsger@example.net>, grace@example.com\n\
         Subject: RE: Lunch?\n\
         Date: Tue, 14 Nov 2023 22:13:20 +0000\n\
         Message-ID: <3@example.com>\n\
         References: <1@example.org>\n <2@example.com>\n\
         List-Post: <mailto:lunch@lists.example>\n\
         \n\
         At one?\n\n> Where?\n-- \nGrace\n",
    )
}

fn own() -> [Address; 2] {
    [
        Address::named("Ada", "ada@home.example"),
        Address::named("Ada L.", "ada@example.org"),
    ]
}

fn shown(list: &[Address]) -> Vec<&str> {
    list.iter().map(|address| &*address.address).collect()
}

#[test]
fn an_answer_goes_where_it_belongs() {
    let message = received();
    let answer = Draft::reply(&message, ReplyTo::Sender, &own());
    // Both were written to; the preferred one counts.
    assert_eq!(answer.from, own()[0]);
    assert_eq!(shown(&answer.to), ["grace@example.com"]);
    assert!(answer.cc.is_empty());
    assert_eq!(answer.subject, "Re: Lunch?");
    assert_eq!(answer.in_reply_to, ["3@example.com"]);
    assert_eq!(
        answer.references,
        ["1@example.org", "2@example.com", "3@example.com"]
    );
    assert_eq!(
        answer.text.as_deref(),
        Some("\n\nOn Tue, 14 Nov 2023 22:13:20 +0000, Grace wrote:\n> At one?\n>\n>> Where?\n")
    );

    let answer = Draft::reply(&message, ReplyTo::All, &own());
    assert_eq!(shown(&answer.to), ["grace@example.com", "alan@example.net"]);
    assert_eq!(shown(&answer.cc), ["edsger@example.net"]);

    let answer = Draft::reply(&message, ReplyTo::List, &own());
    assert_eq!(shown(&answer.to), ["lunch@lists.example"]);
    assert!(answer.cc.is_empty());

    let answer = read(Draft::reply(&message, ReplyTo::All, &own()[1..]));
    assert_eq!(answer.from(), [own()[1].clone()]);
    assert_eq!(answer.references().len(), 3);
}

#[test]
fn whoever_wants_answers_elsewhere_gets_them_there() {
    let message = Message::parse("From: a@b\nReply-To: c@d, e@f\nTo: ada@example.org\n\nx");
    let answer = Draft::reply(&message, ReplyTo::Sender, &own());
    assert_eq!(shown(&answer.to), ["c@d", "e@f"]);
    assert_eq!(answer.from, own()[1]);
    // No list: everybody.
    let answer = Draft::reply(&message, ReplyTo::List, &own());
    assert_eq!(shown(&answer.to), ["c@d", "e@f"]);
}

#[test]
fn whoever_answers_what_they_wrote_means_the_recipients() {
    let message = Message::parse("From: ada@example.org\nTo: a@b\nCc: c@d\n\nx");
    assert_eq!(
        shown(&Draft::reply(&message, ReplyTo::Sender, &own()).to),
        ["a@b"]
    );
    let all = Draft::reply(&message, ReplyTo::All, &own());
    assert_eq!((shown(&all.to), shown(&all.cc)), (vec!["a@b"], vec!["c@d"]));
    let note = Message::parse("From: ada@example.org\nTo: ada@example.org\n\nx");
    assert_eq!(
        shown(&Draft::reply(&note, ReplyTo::All, &own()).to),
        ["ada@example.org"]
    );
}

#[test]
fn a_thread_without_end_is_shortened() {
    let ids: Vec<String> = (0..500).map(|id| format!(" <{id}@x>\n")).collect();
    let ids = ids.concat();
    let message = Message::parse(format!("Message-ID: <new@x>\nReferences:{ids}\nx"));
    let answer = Draft::reply(&message, ReplyTo::Sender, &own());
    assert_eq!(answer.references.len(), 50);
    assert_eq!(answer.references[0], "0@x");
    assert_eq!(answer.references[49], "new@x");
}

#[test]
fn quoting_says_who_and_what() {
    let message = Message::parse("\n\nhello \n\n\nthere\n\n-- \nme");
    assert_eq!(
        quote(&message, "Er schrieb:"),
        "Er schrieb:\n>\n> hello\n>\n>\n> there\n"
    );
    assert_eq!(quote(&Message::parse("a: b\n\n-- \nme"), "x"), "x\n");
}

#[test]
fn what_is_passed_on_has_what_hung_on_it() {
    let mut original = draft();
    original.subject = "Menu".into();
    original
        .attachments
        .push(Attachment::new("menu.txt", "text/plain", "Soup."));
    original
        .attachments
        .push(Attachment::message("Subject: inner\n\nx\n"));
    let original = read(original);

    let message = read(Draft::forward(&original, &own()));
    assert_eq!(message.subject().as_deref(), Some("Fwd: Menu"));
    let text = message.text();
    assert!(
        text.contains("From: Ada <ada@example.org>\nDate: Tue, 14 Nov"),
        "{text}"
    );
    assert!(text.ends_with("\n\nGood morning.\n"), "{text}");
    let names: Vec<_> = message
        .attachments()
        .iter()
        .map(|part| &*part.media_type)
        .collect();
    assert_eq!(names, ["text/plain", "message/rfc822"]);
    assert_eq!(message.content(&message.attachments()[0]), b"Soup.");
    assert_eq!(message.references(), [ID]);

    let message = read(Draft::forward_attached(&original, &own()));
    let inner = message
        .message(&message.attachments()[0])
        .expect("a message");
    assert_eq!(inner.raw(), original.raw());
}

#[test]
fn an_id_is_made_of_randomness_and_a_domain() {
    let id = message_id([0xa5; 16], "example.org\r\n>");
    assert_eq!(id, format!("{}@example.org", "a5".repeat(16)));
    assert!(message_id([0; 16], "\u{fc}").ends_with("@localhost"));
}
