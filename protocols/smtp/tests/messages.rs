//! The codec: replies and capabilities by `tests/vectors/smtp`, commands, and content.

use jackfield_play::text;
use jackfield_smtp::codec::{
    BodyKind, Capabilities, Command, DeliverBy, Domain, EnvelopeId, Hold, Late, MailParameters,
    Mailbox, Notify, OriginalRecipient, Priority, RecipientParameters, Replies, Reply, ReplyFault,
    ReplyLimits, Return, ReversePath, Text, Timestamp,
};

fn vectors(file: &str) -> impl Iterator<Item = (&str, &str)> {
    let vectors = file
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty());
    vectors.map(|line| line.split_once(" => ").expect("what comes of it"))
}

fn replies(bytes: &[u8]) -> Result<Vec<Reply>, ReplyFault> {
    let (mut replies, mut rest) = (Replies::default(), bytes);
    std::iter::from_fn(|| replies.next(&mut rest)).collect()
}

#[test]
fn replies_are_read_as_they_should_be() {
    for (sent, expected) in vectors(include_str!("../../../tests/vectors/smtp/replies.txt")) {
        let came = match replies(&text::read(&format!("{sent}\\"))) {
            Ok(replies) => replies.iter().map(show).collect::<Vec<_>>().join(" / "),
            Err(fault) => format!("! {fault}"),
        };
        assert_eq!(came, expected, "{sent}");
    }
}

fn show(reply: &Reply) -> String {
    let enhanced = reply.enhanced().map(|it| format!(" ({it})"));
    let lines = reply.lines().collect::<Vec<_>>().join(" | ");
    let shown = format!("{}{} {lines}", reply.code(), enhanced.unwrap_or_default());
    shown.trim_end().to_owned()
}

#[test]
fn capabilities_are_read_as_they_should_be() {
    for (line, expected) in vectors(include_str!("../../../tests/vectors/smtp/capabilities.txt")) {
        let answer = format!("250-mail.example.org\r\n250 {line}\r\n");
        let reply = replies(answer.as_bytes()).expect("a reply").remove(0);
        let can = Capabilities::of(&reply);
        let came: Vec<String> = can.iter().map(|it| format!("{it:?}")).collect();
        assert_eq!(came.join(", "), expected, "{line}");
    }
}

#[test]
fn a_reply_is_bounded() {
    let mut limits = ReplyLimits::default();
    limits.max_line = 10;
    limits.max_lines = 3;
    for (sent, fault) in [
        ("250 12345678", ReplyFault::LineTooLong),
        ("250 1234567\r\n", ReplyFault::LineTooLong),
        ("250-\r\n250-\r\n250-\r\n250-\r\n", ReplyFault::TooManyLines),
    ] {
        let (mut replies, mut rest) = (Replies::new(limits), sent.as_bytes());
        assert_eq!(replies.next(&mut rest), Some(Err(fault)), "{sent:?}");
    }
}

fn line(command: Command<'_>) -> String {
    let mut out = Vec::new();
    command.encode(&mut out);
    String::from_utf8(out).expect("text")
}

#[test]
fn commands_are_lines() {
    let name: Domain = "[192.0.2.1]".parse().expect("a domain");
    let text: Text = "Grace Hopper".parse().expect("a text");
    let unicode: Text = "Grün".parse().expect("a text");
    for (command, expected) in [
        (Command::Ehlo(&name), "EHLO [192.0.2.1]\r\n"),
        (Command::Helo(&name), "HELO [192.0.2.1]\r\n"),
        (Command::Lhlo(&name), "LHLO [192.0.2.1]\r\n"),
        (Command::Data, "DATA\r\n"),
        (Command::Bdat(0, true), "BDAT 0 LAST\r\n"),
        (Command::Bdat(86400, false), "BDAT 86400\r\n"),
        (Command::Rset, "RSET\r\n"),
        (Command::Vrfy(&text), "VRFY Grace Hopper\r\n"),
        (Command::Vrfy(&unicode), "VRFY Grün SMTPUTF8\r\n"),
        (Command::Noop, "NOOP\r\n"),
        (Command::Quit, "QUIT\r\n"),
    ] {
        assert_eq!(line(command), expected);
    }
}

#[test]
fn every_parameter_has_its_place() {
    let mut mail = MailParameters::default();
    let from: ReversePath = "".parse().expect("the null path");
    assert_eq!(line(Command::Mail(&from, &mail)), "MAIL FROM:<>\r\n");
    mail.size = Some(1_000_000);
    mail.body = Some(BodyKind::EightBitMime);
    mail.smtp_utf8 = true;
    mail.ret = Some(Return::Full);
    mail.envelope_id = Some("QQ = 1".parse().expect("a name"));
    mail.require_tls = true;
    mail.deliver_by = Some(DeliverBy::new(-120, Late::Notify).expect("a time").traced());
    mail.hold = Some(Hold::Until("2026-12-24T18:00:00Z".parse().expect("a time")));
    mail.priority = Some(Priority::new(-9).expect("a priority"));
    let from = "ada@example.org".parse().expect("a path");
    assert_eq!(
        line(Command::Mail(&from, &mail)),
        "MAIL FROM:<ada@example.org> SIZE=1000000 BODY=8BITMIME SMTPUTF8 RET=FULL \
         ENVID=QQ+20+3D+201 REQUIRETLS BY=-120;NT HOLDUNTIL=2026-12-24T18:00:00Z MT-PRIORITY=-9\r\n"
    );

    let to: Mailbox = "grace@example.com".parse().expect("a mailbox");
    for (notify, expected) in [
        ((false, false, false), "NEVER"),
        ((true, false, false), "SUCCESS"),
        ((false, true, true), "FAILURE,DELAY"),
        ((true, true, true), "SUCCESS,FAILURE,DELAY"),
    ] {
        let (success, failure, delay) = notify;
        let mut recipient = RecipientParameters::default();
        recipient.notify = Some(Notify {
            success,
            failure,
            delay,
        });
        let expected = format!("RCPT TO:<grace@example.com> NOTIFY={expected}\r\n");
        assert_eq!(line(Command::Rcpt(&to, &recipient)), expected);
    }
    let mut recipient = RecipientParameters::default();
    recipient.original = Some(OriginalRecipient::new("rfc822", "a+b@c").expect("an address"));
    let expected = "RCPT TO:<grace@example.com> ORCPT=rfc822;a+2Bb@c\r\n";
    assert_eq!(line(Command::Rcpt(&to, &recipient)), expected);
}

/// What would end a command, or add to it.
#[test]
fn nothing_that_a_command_carries_can_end_it() {
    for evil in [
        "\r\nRSET",
        "\n",
        "\r",
        "\0",
        "> SIZE=1",
        " NOTIFY=NEVER",
        "\r\n.\r\nMAIL FROM:<eve@example.org>",
        "\u{85}",
        "\u{7f}",
    ] {
        for place in [0, 1, 3] {
            let inside = |text: &str| {
                let (before, behind) = text.split_at(place.min(text.len()));
                [before, evil, behind].concat()
            };
            let mailbox = inside("ada@example.org");
            assert!(mailbox.parse::<Mailbox>().is_err(), "{mailbox:?}");
            assert!(mailbox.parse::<ReversePath>().is_err(), "{mailbox:?}");
            let domain = inside("example.org");
            assert!(domain.parse::<Domain>().is_err(), "{domain:?}");
            let time = inside("2026-12-24T18:00:00Z");
            assert!(time.parse::<Timestamp>().is_err(), "{time:?}");
            let kind = inside("rfc822");
            assert!(OriginalRecipient::new(&kind, "a").is_err(), "{kind:?}");
            // These are encoded, where they are taken.
            if let Ok(id) = inside("QQ1").parse::<EnvelopeId>() {
                let mut mail = MailParameters::default();
                mail.envelope_id = Some(id);
                let mail = line(Command::Mail(&ReversePath::Null, &mail));
                assert_eq!(mail.matches([' ', '\r', '\n']).count(), 4, "{mail:?}");
            }
            let original = OriginalRecipient::new("rfc822", &inside("a@b"));
            if let Ok(original) = original {
                let mut recipient = RecipientParameters::default();
                recipient.original = Some(original);
                let to = "a@b".parse().expect("a mailbox");
                let rcpt = line(Command::Rcpt(&to, &recipient));
                assert_eq!(rcpt.matches([' ', '\r', '\n']).count(), 4, "{rcpt:?}");
            }
            if let Ok(text) = inside("ada").parse::<Text>() {
                let vrfy = line(Command::Vrfy(&text));
                assert_eq!(vrfy.matches(['\r', '\n', '\0']).count(), 2, "{vrfy:?}");
            }
        }
    }
}

#[test]
fn parameters_are_bounded() {
    assert!("a".repeat(101).parse::<EnvelopeId>().is_err());
    assert!("=".repeat(34).parse::<EnvelopeId>().is_err());
    assert!("".parse::<EnvelopeId>().is_err());
    assert!(OriginalRecipient::new("rfc822", &"a".repeat(500)).is_err());
    assert!(DeliverBy::new(0, Late::Return).is_err());
    assert!(DeliverBy::new(1_000_000_000, Late::Notify).is_err());
    assert!(Priority::new(10).is_err());
    for time in [
        "",
        "now",
        "2026-12-24",
        "2026-12-24T18:00:00",
        "2026-12-24 18:00:00Z",
    ] {
        assert!(time.parse::<Timestamp>().is_err(), "{time:?}");
    }
}
