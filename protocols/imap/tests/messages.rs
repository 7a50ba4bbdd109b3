//! The codec: responses by `tests/vectors/imap/responses.txt`, and commands as they are written.

use jackfield_imap::codec::{
    AppendMessage, CatenatePart, ChangedSince, Command, Date, DateTime, Depth, Dialect, EntryName,
    Extension, Flag, FlagChange, Frame, Framer, Item, Limits, ListQuery, Literals, MailboxName,
    MessageUrl, Messages, Notify, NotifyEvent, NotifyMailboxes, QResync, Query, Resource, Response,
    ResponseParser, Rights, RightsChange, SearchReturn, Secret, Section, SequenceSet, SortBy,
    SortOrder, Threading, Window,
};
use jackfield_play::text;

/// Each response stands in a line, and below it, indented, what its `Debug` has in it.
#[test]
fn every_response_is_read_as_it_should_be() {
    let vectors = include_str!("../../../tests/vectors/imap/responses.txt");
    let mut response: Option<(String, String)> = None;
    let mut count = 0;
    for line in vectors
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
    {
        if let (Some(part), Some((sent, shown))) = (line.strip_prefix("  "), &response) {
            assert!(
                shown.contains(part),
                "{sent}\n  {part} is not in\n  {shown}"
            );
        } else {
            count += 1;
            response = Some((line.to_owned(), format!("{:?}", read(line))));
        }
    }
    assert!(count > 60, "only {count}");
}

fn read(line: &str) -> Response {
    let bytes = text::read(line);
    let mut input = &bytes[..];
    let mut framer = Framer::new(Limits::default());
    loop {
        match framer.next(&mut input).expect("within limits") {
            Some(Frame::Response(response)) => {
                assert!(input.is_empty(), "{line} is more than one");
                return ResponseParser::default().parse(response);
            }
            Some(_) => {}
            None => panic!("{line} is not whole"),
        }
    }
}

fn written(command: &Command, dialect: Dialect) -> String {
    let encoded = command.encode("A1", dialect).expect("it can be written");
    let mut shown = String::new();
    let mut at = 0;
    for &wait in encoded.waits() {
        shown.push_str(&text::write(&encoded.bytes()[at..wait]));
        shown.push('|');
        at = wait;
    }
    shown + &text::write(&encoded.bytes()[at..])
}

#[test]
fn commands_are_written_as_servers_read_them() {
    let plain = Dialect::default();
    let mut plus = Dialect::default();
    plus.literals = Literals::Plus;
    let mut utf8 = Dialect::default();
    utf8.is_utf8 = true;
    let name = |text: &str| text.parse::<MailboxName>().expect("a name");
    let uids = |text: &str| Messages::Uids(text.parse().expect("a set"));
    let login = |user: &str, password: &str| Command::Login {
        user: user.to_owned(),
        password: Secret::from(password),
    };
    let search = |query: Query| Command::Search {
        query,
        uids: true,
        returns: Vec::new(),
    };
    let day = Date::new(2026, 2, 1).expect("a day");
    let section = Section::part([1, 2]).expect("a part").mime();
    let select = |qresync| Command::Select {
        mailbox: MailboxName::inbox(),
        read_only: true,
        condstore: true,
        qresync,
    };
    let set = |text: &str| text.parse::<SequenceSet>().expect("a set");
    let mut known = Box::new(QResync::new(67_890_007, 90_060_115_194_045_007));
    known.uids = Some(set("41:211,214"));
    known.numbers = Some((set("1:5"), set("41,43:46")));
    for (command, dialect, expected) in [
        (login("ada", "a\"b\\c"), plain, r#"A1 LOGIN ada "a\"b\\c""#),
        (
            login("ada lovelace", "é"),
            plain,
            r#"A1 LOGIN "ada lovelace" {2}|é"#,
        ),
        (
            login("nil", "x\r\nA2 NOOP"),
            plus,
            r#"A1 LOGIN "nil" {10+}\x0d\x0ax\x0d\x0aA2 NOOP"#,
        ),
        (
            Command::Create(name("a/Entwürfe & x")),
            plain,
            r#"A1 CREATE "a/Entw&APw-rfe &- x""#,
        ),
        (
            Command::Create(name("Entwürfe")),
            utf8,
            r#"A1 CREATE "Entwürfe""#,
        ),
        (search(Query::new()), plain, "A1 UID SEARCH ALL"),
        (
            search(
                Query::new()
                    .since(day)
                    .larger(5)
                    .with_flag("$x".parse().expect("a flag")),
            ),
            plain,
            "A1 UID SEARCH SINCE 01-Feb-2026 LARGER 5 KEYWORD $x",
        ),
        (
            search(Query::new().any([Query::new().unseen(), Query::new().from("a b")])),
            plain,
            r#"A1 UID SEARCH OR (UNSEEN) (FROM "a b")"#,
        ),
        (
            search(Query::new().any([])),
            plain,
            "A1 UID SEARCH NOT (ALL)",
        ),
        (
            Command::Sort {
                by: SortOrder::by(SortBy::Subject).then(SortBy::Date).reversed(),
                query: Query::new().subject("é"),
                uids: false,
                returns: vec![SearchReturn::Partial(
                    Window::of(50, 1).expect("places").from_the_end(),
                )],
            },
            utf8,
            r#"A1 SORT RETURN (PARTIAL -1:-50) (SUBJECT REVERSE DATE) UTF-8 SUBJECT "é""#,
        ),
        (
            Command::Thread {
                by: Threading::OrderedSubject,
                query: Query::new().except(Query::new().among(Messages::Saved)),
                uids: true,
            },
            plain,
            "A1 UID THREAD ORDEREDSUBJECT US-ASCII NOT ($)",
        ),
        (
            Command::Copy(Messages::Saved, name("Trash")),
            plain,
            "A1 UID COPY $ Trash",
        ),
        (
            search(Query::new().subject("é")),
            utf8,
            r#"A1 UID SEARCH SUBJECT "é""#,
        ),
        (
            Command::Fetch {
                messages: uids("1:*"),
                items: vec![Item::body(section), Item::Gmail],
                changed_since: Some(ChangedSince::new(7).with_vanished()),
            },
            plain,
            "A1 UID FETCH 1:* (BODY.PEEK[1.2.MIME] X-GM-MSGID X-GM-THRID X-GM-LABELS) (CHANGEDSINCE 7 VANISHED)",
        ),
        (
            Command::Store {
                messages: Messages::Numbers(SequenceSet::range(5, 2).expect("a range")),
                change: FlagChange::Replace(Vec::new()),
                unchanged_since: Some(7),
            },
            plain,
            "A1 STORE 2:5 (UNCHANGEDSINCE 7) FLAGS ()",
        ),
        (
            Command::List(ListQuery::matching("ü%")),
            plain,
            r#"A1 LIST "" "&APw-%""#,
        ),
        (select(None), plain, "A1 EXAMINE INBOX (CONDSTORE)"),
        (
            select(Some(known)),
            plain,
            "A1 EXAMINE INBOX (QRESYNC (67890007 90060115194045007 41:211,214 (1:5 41,43:46)))",
        ),
        (
            Command::Enable(vec![Extension::QResync, Extension::UidOnly]),
            plain,
            "A1 ENABLE QRESYNC UIDONLY",
        ),
        (
            Command::Move(uids("4"), name("Trash")),
            plain,
            "A1 UID MOVE 4 Trash",
        ),
    ] {
        let shown = written(&command, dialect);
        let shown = shown.replace("\\x0D\\x0A|", "|");
        let shown = shown.strip_suffix("\\x0D\\x0A").unwrap_or(&shown);
        assert_eq!(shown, expected);
    }
}

#[test]
fn an_append_is_written_up_to_its_message() {
    let date = DateTime::new(Date::new(2026, 2, 1).expect("a day"), 3661, -90).expect("a moment");
    let append = Command::Append {
        mailbox: MailboxName::inbox(),
        flags: vec![Flag::Seen, "$x".parse().expect("a flag")],
        date: Some(date),
        size: 77,
    };
    let encoded = append
        .encode("A1", Dialect::default())
        .expect("it can be written");
    let expected = b"A1 APPEND INBOX (\\Seen $x) \"01-Feb-2026 01:01:01 -0130\" {77}\r\n\r\n";
    assert_eq!(encoded.bytes(), expected);
    assert_eq!(encoded.waits(), [expected.len() - 2]);
    assert_eq!(encoded.messages(), [(expected.len() - 2, 77)]);
}

#[test]
fn messages_are_written_around_their_texts() {
    let drafts: MailboxName = "Entwürfe".parse().expect("a name");
    let section = Section::part([2]).expect("a part").mime();
    let url = MessageUrl::new(&drafts, 7, 20).section(&section);
    let parts = [
        CatenatePart::Text(5),
        CatenatePart::Url(url),
        CatenatePart::Text(6),
    ];
    let mut plus = Dialect::default();
    plus.literals = Literals::Plus;
    for (command, expected) in [
        (
            Command::AppendAll {
                mailbox: drafts.clone(),
                messages: vec![
                    AppendMessage::new(3).flag(Flag::Seen),
                    AppendMessage::catenate(parts),
                ],
            },
            "A1 APPEND Entw&APw-rfe (\\Seen) {3+}\r\n|3| CATENATE (TEXT {5+}\r\n|5| URL \
             \"/Entw%C3%BCrfe;UIDVALIDITY=7/;UID=20/;SECTION=2.MIME\" TEXT {6+}\r\n|6|)\r\n",
        ),
        (
            Command::Replace {
                uid: 17,
                mailbox: drafts,
                message: AppendMessage::new(4).flag(Flag::Draft),
            },
            "A1 UID REPLACE 17 Entw&APw-rfe (\\Draft) {4+}\r\n|4|\r\n",
        ),
    ] {
        let encoded = command.encode("A1", plus).expect("it can be written");
        let mut shown = String::new();
        let mut from = 0;
        for &(at, size) in encoded.messages() {
            shown.push_str(std::str::from_utf8(&encoded.bytes()[from..at]).expect("a text"));
            shown.extend(["|", &size.to_string(), "|"]);
            from = at;
        }
        shown.push_str(std::str::from_utf8(&encoded.bytes()[from..]).expect("a text"));
        assert_eq!(shown, expected);
    }
}

#[test]
fn quotas_rights_and_metadata_are_written() {
    let inbox = MailboxName::inbox;
    let entry = |name: &str| name.parse::<EntryName>().expect("an entry");
    let rights = Rights::READ | Rights::LOOKUP;
    for (command, expected) in [
        (Command::GetQuota(String::new()), "A1 GETQUOTA \"\""),
        (Command::GetQuotaRoot(inbox()), "A1 GETQUOTAROOT INBOX"),
        (
            Command::SetQuota("a b".to_owned(), vec![(Resource::Storage, 512)]),
            "A1 SETQUOTA \"a b\" (STORAGE 512)",
        ),
        (
            Command::SetAcl(inbox(), "x\r\ny".to_owned(), RightsChange::Add(rights)),
            "A1 SETACL INBOX {4}|x\\x0d\\x0ay +lr",
        ),
        (
            Command::SetAcl(
                inbox(),
                "x".to_owned(),
                RightsChange::Replace(Rights::none()),
            ),
            "A1 SETACL INBOX x \"\"",
        ),
        (
            Command::DeleteAcl(inbox(), "x".to_owned()),
            "A1 DELETEACL INBOX x",
        ),
        (
            Command::ListRights(inbox(), "x".to_owned()),
            "A1 LISTRIGHTS INBOX x",
        ),
        (Command::MyRights(inbox()), "A1 MYRIGHTS INBOX"),
        (
            Command::GetMetadata {
                mailbox: None,
                entries: vec![entry("/shared/comment")],
                depth: Depth::Infinity,
                max_size: Some(1024),
            },
            "A1 GETMETADATA (MAXSIZE 1024 DEPTH infinity) \"\" (/shared/comment)",
        ),
        (
            Command::SetMetadata {
                mailbox: Some(inbox()),
                entries: vec![
                    (entry("/private/a b"), Some("x\r\n".into())),
                    (entry("/private/b"), Some("\0".into())),
                    (entry("/private/c"), None),
                ],
            },
            "A1 SETMETADATA INBOX (\"/private/a b\" {3}|x\\x0d\\x0a /private/b ~{1}|\\x00 /private/c NIL)",
        ),
    ] {
        let shown = written(&command, Dialect::default()).replace("\\x0D\\x0A|", "|");
        let shown = shown.strip_suffix("\\x0D\\x0A").unwrap_or(&shown);
        assert_eq!(shown, expected);
    }
    for name in [
        "",
        "/x",
        "/private/",
        "/private/a/",
        "/private//a",
        "/shared/*",
        "/shared/é",
    ] {
        name.parse::<EntryName>().expect_err(name);
    }
}

#[test]
fn what_to_tell_of_is_written() {
    let name = |text: &str| text.parse::<MailboxName>().expect("a name");
    let items = vec![
        Item::Uid,
        Item::body(Section::fields(["Subject"]).expect("a field")),
    ];
    let notify = Notify::new()
        .watch(
            NotifyMailboxes::Selected,
            [
                NotifyEvent::MessageNew(items),
                NotifyEvent::MessageExpunge,
                NotifyEvent::FlagChange,
            ],
        )
        .watch(
            NotifyMailboxes::Subtree(vec![name("Lists/ü"), name("a b")]),
            [NotifyEvent::MailboxName, NotifyEvent::SubscriptionChange],
        )
        .watch(NotifyMailboxes::Personal, [])
        .with_status();
    let expected = "A1 NOTIFY SET STATUS \
        (SELECTED (MessageNew (UID BODY.PEEK[HEADER.FIELDS (Subject)]) MessageExpunge FlagChange)) \
        (SUBTREE (Lists/&APw- \"a b\") (MailboxName SubscriptionChange)) \
        (PERSONAL NONE)";
    let shown = written(&Command::Notify(notify), Dialect::default());
    assert_eq!(shown, expected);
    let none = written(&Command::Notify(Notify::new()), Dialect::default());
    assert_eq!(none, "A1 NOTIFY NONE");
}

#[test]
fn secrets_are_not_shown() {
    let login = Command::Login {
        user: "ada".to_owned(),
        password: Secret::from("hunter2"),
    };
    assert!(!format!("{login:?}").contains("hunter2"));
    let encoded = login
        .encode("A1", Dialect::default())
        .expect("it can be written");
    assert!(!format!("{encoded:?}").contains("hunter2"));
    let nul = Command::Login {
        user: "a\0".to_owned(),
        password: Secret::from("x"),
    };
    assert!(nul.encode("A1", Dialect::default()).is_err());
}
