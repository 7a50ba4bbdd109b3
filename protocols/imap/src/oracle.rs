//! Oracles: what must hold for any input. They are shared by the tests here and the fuzz targets,
//! which are a line over one of these functions.

#[cfg(feature = "compress")]
mod deflated;
mod mailbox;
mod play;
mod server;
mod sync;

use crate::codec::server::{Asked, Request, RequestFrame, RequestFramer};
use crate::codec::{
    AppendMessage, CatenatePart, Command, Dialect, EntryName, Flag, Frame, Framer, Limit, Limits,
    Literals, MailboxName, MessageUrl, Messages, Notify, NotifyEvent, NotifyMailboxes, Query,
    Resource, Response, ResponseParser, Rights, RightsChange, SearchReturn, Secret, SequenceSet,
    SortBy, SortOrder, Text, Threading,
};

pub use play::session;
pub use sync::sync;

/// A stream is the same responses and literals wherever it is cut, whether its literals are kept or
/// streamed; any response is read, and no more is kept than the limits allow.
///
/// The first byte chooses the limits, and whether literals are streamed.
///
/// # Panics
/// When one of these promises is broken.
pub fn codec(data: &[u8]) {
    let Some((first, data)) = data.split_first() else {
        return;
    };
    let streams = first & 1 == 1;
    let limits = match first >> 1 & 3 {
        0 => Limits::default(),
        1 => Limits {
            max_line: 300,
            max_literal: 20,
            max_literals: 30,
            ..Limits::default()
        },
        _ => Limits {
            max_depth: 3,
            max_items: 60,
            ..Limits::default()
        },
    };
    let whole = frames(limits, streams, [data]);
    assert_eq!(whole, frames(limits, streams, data.chunks(1)));
    assert_eq!(whole, frames(limits, streams, data.chunks(7)));
    let parser = ResponseParser::new(limits).with_utf8(first & 8 != 0);
    for frame in whole.0 {
        if let Told::Response(bytes) = frame {
            assert!(bytes.len() <= limits.max_line + limits.max_literals + 64 * 24);
            let response = parser.parse(bytes.clone().into());
            if let Response::Unknown { raw, .. } = &response {
                assert_eq!(raw.as_bytes(), bytes);
            }
            // What is read can be shown.
            assert!(!format!("{response:?}").is_empty());
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Told {
    Response(Vec<u8>),
    Literal(u64),
    Streamed(Vec<u8>),
}

fn frames<'a>(
    limits: Limits,
    streams: bool,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<Told>, Option<Limit>) {
    let mut framer = Framer::new(limits);
    let mut told = Vec::new();
    for mut input in pieces {
        loop {
            match framer.next(&mut input) {
                Ok(Some(Frame::Response(bytes))) => told.push(Told::Response(bytes.to_vec())),
                Ok(Some(Frame::Literal(size))) => {
                    assert!(!framer.head().is_empty());
                    told.push(Told::Literal(size));
                    if streams {
                        framer.stream();
                        told.push(Told::Streamed(Vec::new()));
                    }
                }
                Ok(Some(Frame::Piece(piece))) => match told.last_mut() {
                    Some(Told::Streamed(text)) => text.extend_from_slice(piece),
                    _ => panic!("a piece without its beginning"),
                },
                Ok(Some(Frame::LiteralEnd)) => {}
                Ok(None) => break,
                Err(limit) => return (told, Some(limit)),
            }
        }
        assert!(input.is_empty(), "not all was taken");
    }
    (told, None)
}

/// Whatever texts a caller passes, a server reads one command, with these texts in it and no others.
///
/// # Panics
/// When that does not hold.
pub fn command(data: &[u8]) {
    let Some((&choice, data)) = data.split_first() else {
        return;
    };
    let text = String::from_utf8_lossy(data).into_owned();
    let half = (0..=text.len() / 2)
        .rev()
        .find(|at| text.is_char_boundary(*at));
    let (one, two) = text.split_at(half.unwrap_or_default());
    let mailbox = |text: &str| text.parse::<MailboxName>().ok();
    let dialect = Dialect {
        literals: [Literals::Synchronising, Literals::Minus, Literals::Plus]
            [usize::from(choice >> 4) % 3],
        is_utf8: choice & 8 != 0,
        names_in_utf7: false,
        names_charset: false,
    };
    let texts_of_urls;
    let (command, texts) = match choice & 7 {
        0 if choice & 0x80 != 0 => {
            let Some(mailbox) = mailbox(two) else {
                return;
            };
            let who = one.to_owned();
            match choice >> 4 & 7 {
                0 | 1 => (Command::DeleteAcl(mailbox, who), vec![one]),
                2 | 3 => (Command::ListRights(mailbox, who), vec![one]),
                4 | 5 => (
                    Command::SetAcl(mailbox, who, RightsChange::Replace(Rights::none())),
                    vec![one],
                ),
                _ => (Command::GetAcl(mailbox), Vec::new()),
            }
        }
        4 if choice & 0x80 != 0 => {
            let (Ok(flag), Some(mailbox)) = (two.parse::<Flag>(), mailbox(one)) else {
                return;
            };
            let command = Command::Replace {
                uid: 7,
                mailbox,
                message: AppendMessage::new(0).flag(flag),
            };
            (command, vec!["REPLACE", "7", two])
        }
        3 if choice & 0x80 != 0 => {
            let (Some(one), Some(two)) = (mailbox(one), mailbox(two)) else {
                return;
            };
            let notify = Notify::new().watch(
                NotifyMailboxes::Mailboxes(vec![one, two]),
                [NotifyEvent::MessageNew(Vec::new())],
            );
            (Command::Notify(notify), Vec::new())
        }
        1 if choice & 0x80 != 0 => {
            let query = Query::new().subject(one).among(Messages::Saved).body(two);
            let returns = vec![SearchReturn::Count, SearchReturn::Save];
            let by = SortOrder::by(SortBy::Subject).then(SortBy::Date).reversed();
            let uids = true;
            let command = if choice & 0x40 == 0 {
                Command::Sort {
                    by,
                    query,
                    uids,
                    returns,
                }
            } else {
                let by = Threading::References;
                Command::Thread { by, query, uids }
            };
            (command, vec![one, two])
        }
        0 => {
            let (user, password) = (one.to_owned(), Secret::from(two));
            (Command::Login { user, password }, vec![one, two])
        }
        1 => {
            let query = Query::new()
                .from(one)
                .any([Query::new().header(one, two), Query::new()]);
            let search = Command::Search {
                query,
                uids: true,
                returns: Vec::new(),
            };
            (search, vec![one, one, two])
        }
        2 => (
            Command::Id(vec![(one.to_owned(), two.to_owned())]),
            vec![one, two],
        ),
        3 => {
            let (Some(from), Some(to)) = (mailbox(one), mailbox(two)) else {
                return;
            };
            (Command::Rename(from, to), Vec::new())
        }
        4 => {
            let Ok(flag) = text.parse::<Flag>() else {
                return;
            };
            (
                Command::Append {
                    mailbox: MailboxName::inbox(),
                    flags: vec![flag],
                    date: None,
                    size: 0,
                },
                Vec::new(),
            )
        }
        6 if choice & 0x80 != 0 => {
            let Ok(entry) = two.parse::<EntryName>() else {
                let rights = RightsChange::Add(Rights::READ);
                let command = Command::SetAcl(MailboxName::inbox(), one.to_owned(), rights);
                return told(&command, dialect, &[one]);
            };
            let value = Some(one.to_owned().into());
            let command = Command::SetMetadata {
                mailbox: None,
                entries: vec![(entry, value)],
            };
            // Only here may there be any byte.
            let encoded = command.encode("A1", dialect).expect("it can be written");
            let read = server::read(encoded.bytes(), encoded.waits());
            return assert!(read.texts.iter().any(|it| it == one.as_bytes()));
        }
        7 if choice & 0x80 != 0 => {
            let limits = vec![(Resource::Storage, 7)];
            (Command::SetQuota(one.to_owned(), limits), vec![one])
        }
        5 if choice & 0x80 != 0 => {
            let (Ok(flag), Some(mailbox)) = (two.parse::<Flag>(), mailbox(one)) else {
                return;
            };
            let url = MessageUrl::new(&mailbox, 7, 9);
            let shown = url.to_string();
            let parts = [
                CatenatePart::Text(0),
                CatenatePart::Url(url),
                CatenatePart::Text(0),
            ];
            let messages = vec![
                AppendMessage::new(0).flag(flag),
                AppendMessage::catenate(parts),
            ];
            let command = Command::AppendAll { mailbox, messages };
            texts_of_urls = shown;
            (command, vec![&*texts_of_urls])
        }
        _ => {
            let Ok(set) = text.parse::<SequenceSet>() else {
                return;
            };
            assert_eq!(set.to_string().parse(), Ok(set.clone()));
            (Command::ExpungeUids(set), Vec::new())
        }
    };
    told(&command, dialect, &texts);
}

/// A server reads this command, with these texts in it.
fn told(command: &Command, dialect: Dialect, texts: &[&str]) {
    let has_nul = texts.iter().any(|text| text.contains('\0'));
    let Ok(encoded) = command.encode("A1", dialect) else {
        return assert!(has_nul, "{command:?} can't be written");
    };
    assert!(!has_nul);
    let read = server::read(encoded.bytes(), encoded.waits());
    assert_eq!(read.tag, "A1");
    has_mailbox(command, &read.texts);
    is_read_as_meant(command, dialect, encoded.bytes());
    for text in texts {
        let text = text.as_bytes();
        assert!(
            read.texts.iter().any(|it| it == text),
            "{text:?} is not in {read:?}"
        );
    }
}

/// A command about a mailbox names it where a server looks for its name, and says no more than it should.
fn has_mailbox(command: &Command, texts: &[Vec<u8>]) {
    let (mailbox, at, count) = match command {
        Command::GetAcl(mailbox) => (mailbox, 1, 2),
        Command::DeleteAcl(mailbox, _) | Command::ListRights(mailbox, _) => (mailbox, 1, 3),
        Command::SetAcl(mailbox, ..) => (mailbox, 1, 4),
        Command::Replace { mailbox, .. } => (mailbox, 3, 6),
        _ => return,
    };
    assert_eq!(texts.len(), count, "{command:?} is {texts:?}");
    let name = &texts[at];
    let is_it = *name == mailbox.to_string().into_bytes()
        || MailboxName::read(&name.clone().into(), false) == *mailbox;
    assert!(is_it, "{command:?} is {texts:?}");
}

/// The codec's own server side takes a command for what it was.
fn is_read_as_meant(command: &Command, dialect: Dialect, mut bytes: &[u8]) {
    // It is a server without extensions such as these.
    if matches!(
        command,
        Command::Sort { .. }
            | Command::Thread { .. }
            | Command::Append { .. }
            | Command::AppendAll { .. }
            | Command::Replace { .. }
            | Command::GetAcl(_)
            | Command::SetAcl(..)
            | Command::DeleteAcl(..)
            | Command::ListRights(..)
            | Command::SetQuota(..)
            | Command::Notify(_)
    ) {
        return;
    }
    let mut framer = RequestFramer::new(bytes.len());
    let request = loop {
        match framer.next(&mut bytes) {
            Ok(Some(RequestFrame::Literal { .. })) => framer.keep(),
            Ok(Some(RequestFrame::Request(request))) => break request,
            other => panic!("{command:?} becomes {other:?}"),
        }
    };
    let request = Request::read(&request, Limits::default());
    let asked = request
        .unwrap_or_else(|bad| panic!("{command:?}: {bad}"))
        .asked;
    let is_same = match (command, &asked) {
        (
            Command::Login { user, password },
            Asked::Login {
                user: name,
                password: proof,
            },
        ) => name.as_bytes() == user.as_bytes() && password == proof,
        (Command::Id(fields), Asked::Id(read)) => {
            fields
                .iter()
                .zip(read)
                .all(|((name, value), (its_name, its_value))| {
                    let its_value = its_value.as_ref().map(Text::as_bytes);
                    its_name.as_bytes() == name.as_bytes() && its_value == Some(value.as_bytes())
                })
        }
        // The server's side knows names in modified UTF-7 only.
        (Command::Rename(from, to), Asked::Rename(old, new)) => {
            dialect.is_utf8 || from == old && to == new
        }
        (Command::ExpungeUids(uids), Asked::Expunge(Some(read))) => uids == read,
        (Command::Search { .. }, Asked::Search { .. }) => true,
        _ => false,
    };
    assert!(is_same, "{command:?} is taken for {asked:?}");
}

#[cfg(test)]
mod tests {
    use jackfield_corpora::hold;
    use jackfield_socket::driver::StreamCore as _;
    use jackfield_socket::time;

    use super::*;
    use crate::codec::{Item, Messages, Section};
    use crate::core::{Channel, Config, Credentials, Session};

    /// What the fuzz targets begin with, and what they have found.
    #[test]
    fn the_corpora_hold() {
        hold("imap_codec", codec);
        hold("imap_command", command);
        hold("imap_session", session);
        hold("imap_sync", sync);
    }

    const WORDS: &[&str] = &[
        "* ",
        "A1 ",
        "+ ",
        "OK ",
        "NO ",
        "BAD ",
        "BYE ",
        "[",
        "]",
        "(",
        ")",
        "((",
        "NIL",
        " ",
        "\"",
        "\\",
        "{3}\r\n",
        "{0}\r\n",
        "~{2}\r\n",
        "{99999}\r\n",
        "\r\n",
        "\n",
        "\0",
        "FETCH ",
        "1 ",
        "23 ",
        "UID ",
        "FLAGS ",
        "\\Seen",
        "ENVELOPE ",
        "BODYSTRUCTURE ",
        "BODY[",
        "BODY[]<3> ",
        "HEADER.FIELDS ",
        "BINARY[1.2] ",
        "INTERNALDATE ",
        "\"01-Jan-2020 00:00:00 +0000\"",
        "MODSEQ (4)",
        "SEARCH ",
        "ESEARCH (TAG \"A1\") UID ",
        "ALL 1:5,9:*",
        "PARTIAL (-1:-5 ",
        "SORT ",
        "QUOTA ",
        "ACL ",
        "MYRIGHTS ",
        "METADATA ",
        "LIST ",
        "STATUS ",
        "NAMESPACE ",
        "THREAD ",
        "VANISHED ",
        "CAPABILITY ",
        "ENABLED ",
        "ID ",
        "EXISTS",
        "EXPUNGE",
        "X-GM-LABELS ",
        "é",
        "a",
        "UIDVALIDITY 4",
        "PERMANENTFLAGS ",
        "COPYUID 1 2 3",
        "text",
        "plain",
    ];

    pub(super) fn random_words(random: &mut fastrand::Rng, count: usize) -> Vec<u8> {
        let mut word = || *random.choice(WORDS).expect("words");
        (0..count).flat_map(|_| word().bytes()).collect()
    }

    #[test]
    fn any_bytes_are_read() {
        let mut random = fastrand::Rng::with_seed(3501);
        for _ in 0..20_000 {
            let count = random.usize(..40);
            let mut data = vec![random.u8(..)];
            data.extend(random_words(&mut random, count));
            codec(&data);
        }
        let mut deep = vec![0];
        deep.extend_from_slice(b"* 1 FETCH (BODYSTRUCTURE ");
        deep.extend(std::iter::repeat_n(b'(', 100_000));
        deep.extend_from_slice(b"\r\n* THREAD ");
        deep.extend(std::iter::repeat_n(b'(', 100_000));
        deep.extend_from_slice(b"\r\n");
        codec(&deep);
    }

    /// What is said in few bytes and would take many to keep.
    #[test]
    fn memory_is_not_given_away() {
        let parser = ResponseParser::new(Limits::default());
        for (head, item) in [
            ("* 1 FETCH (BODYSTRUCTURE (", "(\"\")"),
            ("* 1 FETCH (ENVELOPE (NIL NIL (", "()"),
            ("* 1 FETCH (FLAGS (", "a "),
            ("* STATUS a (", "X 1 "),
            ("* THREAD (", "()"),
        ] {
            let mut response = head.as_bytes().to_vec();
            response.extend(item.as_bytes().repeat(100_000));
            let response = parser.parse(response.into());
            let Response::Unknown { limit, .. } = response else {
                panic!("{head}");
            };
            assert_eq!(limit, Some(Limit::Items), "{head}");
        }
        let mut names = b"* CAPABILITY".to_vec();
        names.extend((0..100_000).flat_map(|name| format!(" {name}").into_bytes()));
        let Response::Capability(names) = parser.parse(names.into()) else {
            panic!("they are read");
        };
        assert_eq!(names.iter().count(), 1000);
    }

    /// A response of very many literals takes no more time than one of as many bytes.
    #[test]
    fn many_literals_are_read_once() {
        let credentials = Credentials::password("ada", "secret").expect("credentials");
        let mut config = Config::new(credentials);
        config.id.clear();
        let mut session = Session::new(config);
        let now = time::now();
        session.opened(now, Channel::encrypted());
        let say = |session: &mut Session, text: &[u8]| {
            session.receive(now, text).expect("it goes on");
        };
        say(&mut session, b"* OK [CAPABILITY IMAP4rev1] hello\r\n");
        // Nobody who looks at it sees the password that waits to be sent.
        let shown = format!("{session:?}");
        let secret = "secret".bytes().map(|byte| byte.to_string());
        let secret: Vec<String> = secret.collect();
        assert!(
            !shown.contains("secret") && !shown.contains(&secret.join(", ")),
            "{shown}"
        );
        say(&mut session, b"A1 OK [CAPABILITY IMAP4rev1] welcome\r\n");
        let select = Command::Select {
            mailbox: MailboxName::inbox(),
            read_only: true,
            condstore: false,
            qresync: None,
        };
        session.request(now, select).expect("it is taken");
        say(&mut session, b"A2 OK done\r\n");
        let read = Command::Fetch {
            messages: Messages::Uids(SequenceSet::everything()),
            items: vec![Item::body(Section::all())],
            changed_since: None,
        };
        session
            .read(now, read, Section::all())
            .expect("it is taken");
        let mut response = b"* 1 FETCH (X (".to_vec();
        response.extend(b"BODY[] {0}\r\n ".repeat(200_000));
        response.extend_from_slice(b"))\r\n");
        say(&mut session, &response);
    }

    #[test]
    fn any_text_stays_a_text() {
        let mut random = fastrand::Rng::with_seed(9051);
        let characters = [
            'a', 'A', '"', '\\', '\r', '\n', '{', '}', '+', ' ', '(', ')', 'é', '日', '\0', '&',
            '1', ':', ',', '*', '$', '%', ']', 'N', 'I', 'L',
        ];
        for _ in 0..50_000 {
            let length = random.usize(..12);
            let text: String = (0..length)
                .filter_map(|_| random.choice(characters))
                .collect();
            let mut data = vec![random.u8(..)];
            data.extend(text.bytes());
            command(&data);
        }
        for size in [1000, 1001, 4097] {
            command(&[&[0], vec![b'x'; 2 * size].as_slice()].concat());
        }
    }

    /// The user is logged in, and the connection is compressed where that is known here.
    const LOG_IN: [u8; 13] = [4, 0, 0, 2, 0, 7, 0, 7, 0, 7, 0, 7, 0];

    #[cfg(feature = "compress")]
    #[test]
    fn a_conversation_can_be_compressed() {
        assert!(play::is_compressed_by(&LOG_IN));
        assert!(!play::is_compressed_by(&LOG_IN[..11]));
    }

    #[test]
    fn any_conversation_keeps_the_promises() {
        for seed in 0..1_500 {
            let mut random = fastrand::Rng::with_seed(seed);
            let length = random.usize(..300);
            let script: Vec<u8> = (0..length).map(|_| random.u8(..)).collect();
            session(&script);
            let random = (0..length).map(|_| random.u8(..));
            let script: Vec<u8> = LOG_IN.into_iter().chain(random).collect();
            session(&script);
        }
    }
}
