//! Oracles: what must hold whatever clients send, shared by the fuzz targets and the tests.

use std::time::Duration;

use jackfield_imap::codec::{Frame, Framer, Limits as Grammar, Response, ResponseParser};
use jackfield_smtp::codec::{Replies, ReplyLimits};
use jackfield_socket::driver::{Core, StreamCore};
use jackfield_socket::time;

use crate::config::Config;
use crate::store::Store;
use crate::{imap, smtp};

const CLIENTS: usize = 3;
const MAX_MESSAGE: usize = 4096;

/// A message with parts, for scripts to look at.
const LETTER: &str = "From: Ada <ada@jackfield.example>\nSubject: hello\n\
    Content-Type: multipart/mixed; boundary=q\n\n--q\n\nhi\n--q\n\
    Content-Type: message/rfc822\n\nSubject: inner\n\nbody\n--q--\n";

fn store(now: time::Instant) -> Store {
    let mut config = Config::default();
    let limits = &mut config.limits;
    limits.max_messages = 12;
    limits.max_bytes = 16 * 1024;
    limits.max_message = MAX_MESSAGE;
    limits.max_mailboxes = 12;
    limits.max_flags = 4;
    limits.max_line = 2000;
    limits.max_replies = 4096;
    let store = Store::at(config, now, 1_795_881_600);
    store.add_user("ada", "lovelace").expect("a user");
    for _ in 0..3 {
        let put = store.add_message("ada", "INBOX", LETTER, &[]);
        put.expect("there is room");
    }
    store
}

/// Plays a script to IMAP sessions of one user. Each of its lines is one step: after a digit, 0 to 2, a
/// line from that client, `!` in it being CR LF; `-` and a digit close a connection; `.` lets 10 min
/// pass. Clients are logged in and have INBOX open, unless the line that begins them has a digit of 3
/// more.
///
/// What a session says, this house's client can read; what it tells of numbers fits together; and the
/// store counts right.
///
/// # Panics
/// When the server breaks one of its promises.
pub fn imap(script: &[u8]) {
    let mut now = time::now();
    let store = store(now);
    let mut clients: [Option<Client>; CLIENTS] = Default::default();
    for step in script.split(|byte| *byte == b'\n') {
        let Some((kind, rest)) = step.split_first() else {
            continue;
        };
        match kind {
            b'0'..=b'5' => {
                let digit = usize::from(kind - b'0');
                let client = clients[digit % CLIENTS].get_or_insert_with(|| {
                    let mut client = Client::new(store.clone(), now);
                    if digit < CLIENTS {
                        client.say(now, b"a LOGIN ada lovelace\r\na SELECT INBOX\r\n");
                    }
                    client
                });
                for part in rest.split_inclusive(|byte| *byte == b'!') {
                    match part.split_last() {
                        Some((b'!', text)) => {
                            client.say(now, text);
                            client.say(now, b"\r\n");
                        }
                        _ => client.say(now, part),
                    }
                }
                client.say(now, b"\n");
            }
            b'-' => {
                let digit = rest
                    .first()
                    .map(|digit| usize::from(digit.wrapping_sub(b'0')));
                if let Some(closed) = digit.and_then(|digit| clients.get_mut(digit)) {
                    *closed = None;
                }
            }
            b'.' => {
                now += Duration::from_mins(10);
                for client in &mut clients {
                    client.take_if(|client| client.is_overdue(now));
                }
            }
            _ => {}
        }
        for client in clients.iter_mut().flatten() {
            client.hear(now);
        }
        store.with(|state| state.check());
    }
}

/// A session, and what its client knows.
struct Client {
    session: imap::Session,
    framer: Framer,
    parser: ResponseParser,
    /// How many messages are in the mailbox that is open.
    count: u32,
}

impl Client {
    fn new(store: Store, now: time::Instant) -> Self {
        Self {
            session: imap::Session::new(store, now),
            framer: Framer::new(Grammar::default()),
            parser: ResponseParser::new(Grammar::default()),
            count: 0,
        }
    }

    fn say(&mut self, now: time::Instant, bytes: &[u8]) {
        let _ = self.session.receive(now, bytes);
        self.hear(now);
    }

    fn is_overdue(&mut self, now: time::Instant) -> bool {
        let deadline = self.session.deadline().expect("there is always one");
        if deadline > now {
            return false;
        }
        let is_over = self.session.handle_deadline(now).is_err();
        assert!(is_over || self.session.deadline() > Some(now));
        is_over
    }

    /// Reads what the session has to say, which must be something.
    fn hear(&mut self, now: time::Instant) {
        loop {
            let mut out = Vec::new();
            self.session.transmit(now, &mut out);
            while self.session.poll_event().is_some() {}
            if out.is_empty() {
                return;
            }
            assert!(out.len() <= 64 * 1024 + 4 * MAX_MESSAGE, "{}", out.len());
            let mut input = &out[..];
            while let Some(frame) = self.framer.next(&mut input).expect("lines are short") {
                if let Frame::Response(bytes) = frame {
                    self.take(&self.parser.parse(bytes));
                }
            }
        }
    }

    fn take(&mut self, response: &Response) {
        match response {
            Response::Exists(count) => self.count = *count,
            Response::Expunge(number) => {
                assert!(
                    (1..=self.count).contains(number),
                    "{number} of {}",
                    self.count
                );
                self.count -= 1;
            }
            Response::Fetch(fetch) => {
                let number = fetch.number.expect("it has a number");
                assert!(
                    (1..=self.count).contains(&number),
                    "{number} of {}",
                    self.count
                );
                assert!(fetch.unknown.is_empty(), "{fetch:?}");
            }
            Response::Vanished {
                earlier: false,
                uids,
            } => {
                let gone = u32::try_from(uids.count()).expect("few");
                self.count = self.count.checked_sub(gone).expect("they were there");
            }
            Response::Unknown { raw, .. } => panic!("the client can't read {raw:?}"),
            _ => {}
        }
    }
}

/// Plays a script to sessions of submission. Its lines are steps as of [`imap()`], of two clients; a client
/// is logged in, unless the digit is 2 more.
///
/// What a session says are replies, the store counts right, and nothing that was sent holds a line that
/// ends otherwise than with CR LF, or NUL.
///
/// # Panics
/// When the server breaks one of its promises.
pub fn smtp(script: &[u8]) {
    let mut now = time::now();
    let store = store(now);
    let mut clients: [Option<Sender>; 2] = Default::default();
    for step in script.split(|byte| *byte == b'\n') {
        let Some((kind, rest)) = step.split_first() else {
            continue;
        };
        match kind {
            b'0'..=b'3' => {
                let digit = usize::from(kind - b'0');
                let client = clients[digit % 2].get_or_insert_with(|| {
                    let mut client = Sender::new(store.clone(), now);
                    if digit < 2 {
                        client.say(now, b"EHLO x\r\nAUTH PLAIN AGFkYQBsb3ZlbGFjZQ==\r\n");
                    }
                    client
                });
                for part in rest.split_inclusive(|byte| *byte == b'!') {
                    match part.split_last() {
                        Some((b'!', text)) => {
                            client.say(now, text);
                            client.say(now, b"\r\n");
                        }
                        _ => client.say(now, part),
                    }
                }
                client.say(now, b"\n");
            }
            b'-' => clients = Default::default(),
            b'.' => {
                now += Duration::from_mins(10);
                for client in &mut clients {
                    client.take_if(|client| {
                        let deadline = client.session.deadline().expect("there is always one");
                        deadline <= now && client.session.handle_deadline(now).is_err()
                    });
                }
            }
            _ => {}
        }
        store.with(|state| {
            state.check();
            let ada = state.user("ada").expect("she is there");
            for message in state.of(ada).mailboxes.iter().flat_map(|it| &it.messages) {
                let bytes = &message.bytes;
                assert!(!bytes.contains(&0));
                assert!(bytes.len() <= MAX_MESSAGE + 2048);
            }
        });
    }
}

struct Sender {
    session: smtp::Session,
    replies: Replies,
}

impl Sender {
    fn new(store: Store, now: time::Instant) -> Self {
        let replies = Replies::new(ReplyLimits::default());
        let session = smtp::Session::new(store, now);
        Self { session, replies }
    }

    fn say(&mut self, now: time::Instant, bytes: &[u8]) {
        let _ = self.session.receive(now, bytes);
        let mut out = Vec::new();
        self.session.transmit(now, &mut out);
        let mut input = &out[..];
        while let Some(reply) = self.replies.next(&mut input) {
            reply.expect("it is a reply");
        }
        assert!(input.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use jackfield_corpora::hold;

    use super::*;

    /// What the fuzz targets begin with, and what they have found.
    #[test]
    fn the_corpora_hold() {
        hold("mail_server_imap", imap);
        hold("mail_server_smtp", smtp);
    }

    const IMAP_WORDS: &[&str] = &[
        "a ",
        "b ",
        "UID ",
        "FETCH ",
        "STORE ",
        "SEARCH ",
        "COPY ",
        "MOVE ",
        "EXPUNGE",
        "NOOP",
        "IDLE",
        "DONE",
        "SELECT ",
        "EXAMINE ",
        "CREATE ",
        "DELETE ",
        "RENAME ",
        "LIST ",
        "LSUB ",
        "STATUS ",
        "APPEND ",
        "CLOSE",
        "UNSELECT",
        "LOGOUT",
        "ENABLE QRESYNC",
        "ENABLE CONDSTORE",
        "INBOX ",
        "INBOX",
        "Trash ",
        "x/y ",
        "x ",
        "1 ",
        "1:* ",
        "2,1:3 ",
        "*",
        "4 ",
        "FLAGS ",
        "+FLAGS ",
        "-FLAGS.SILENT ",
        "(\\Seen)",
        "(\\Deleted)",
        "($a $b $c $d $e)",
        "BODY[] ",
        "BODY.PEEK[2.TEXT] ",
        "(",
        ")",
        " ",
        "BODY[HEADER.FIELDS (Subject)]<1.5> ",
        "ENVELOPE ",
        "BODYSTRUCTURE ",
        "MODSEQ ",
        "FULL",
        "(CHANGEDSINCE 2)",
        "(CHANGEDSINCE 1 VANISHED)",
        "(QRESYNC (1795881601 1 1:9))",
        "(CONDSTORE)",
        "RETURN (ALL COUNT) ",
        "RETURN (STATUS (MESSAGES SIZE)) ",
        "SUBJECT hello ",
        "BODY body ",
        "NOT ",
        "OR ",
        "SEEN ",
        "UNSEEN ",
        "SINCE 1-Jan-2020 ",
        "\"\" ",
        "{3+}!",
        "{3}!",
        "abc",
        "{14}!a: b!!hello!",
        "{9999}!",
        "!",
        "LOGIN ada lovelace",
        "AUTHENTICATE PLAIN",
        "AGFkYQBsb3ZlbGFjZQ==",
        "é",
        "\"",
        "\\",
        "(UNCHANGEDSINCE 3) ",
        "(MESSAGES UIDNEXT HIGHESTMODSEQ)",
        "SUBSCRIBE ",
        "UNSUBSCRIBE ",
    ];

    const SMTP_WORDS: &[&str] = &[
        "EHLO x",
        "HELO x",
        "AUTH PLAIN",
        "AUTH LOGIN",
        " AGFkYQBsb3ZlbGFjZQ==",
        "YWRh",
        "bG92ZWxhY2U=",
        "MAIL FROM:<ada@jackfield.example>",
        "MAIL FROM:<>",
        " SIZE=9",
        " SIZE=99999",
        " SMTPUTF8",
        "RCPT TO:<ada@jackfield.example>",
        "RCPT TO:<eve@jackfield.example>",
        "RCPT TO:<a@b>",
        "DATA",
        "BDAT 5 LAST",
        "BDAT 3",
        "BDAT 0",
        "RSET",
        "NOOP",
        "VRFY ada",
        "QUIT",
        "!",
        "!",
        "!",
        ".",
        "!.!",
        "abc",
        "a: b!!hello",
        "\0",
        "é",
        "*",
        "<>",
        " ",
    ];

    const IMAP_LINES: &[&str] = &[
        "a FETCH 1:* (UID FLAGS MODSEQ)",
        "a UID FETCH 1:* (FLAGS BODY[2.1]) (CHANGEDSINCE 2 VANISHED)",
        "a FETCH 1:2 (ENVELOPE BODYSTRUCTURE BODY[TEXT])",
        "a UID STORE 1:* +FLAGS (\\Deleted)",
        "a STORE 1 -FLAGS.SILENT (\\Deleted \\Seen)",
        "a STORE 2:* (UNCHANGEDSINCE 3) FLAGS ($a)",
        "a EXPUNGE",
        "a UID EXPUNGE 2:4",
        "a COPY 1:* Trash",
        "a UID MOVE 2 x",
        "a MOVE 1 INBOX",
        "a APPEND INBOX (\\Seen) {12+}!a: b!!hello!",
        "a APPEND INBOX {12}!a: b!!hello!",
        "a SELECT INBOX",
        "a SELECT x",
        "a EXAMINE Trash",
        "a SELECT INBOX (QRESYNC (1795881601 1 1:9))",
        "a ENABLE QRESYNC",
        "a CREATE x/y/z",
        "a DELETE x/y/z",
        "a RENAME x z",
        "a RENAME INBOX old",
        "a DELETE x",
        "a LIST \"\" * RETURN (STATUS (MESSAGES UNSEEN))",
        "a UID SEARCH RETURN (MIN MAX ALL COUNT) NOT SEEN MODSEQ 2",
        "a SEARCH OR BODY hello UNSEEN",
        "a STATUS x (MESSAGES UIDNEXT)",
        "a IDLE",
        "DONE",
        "a NOOP",
        "a CLOSE",
        "a UNSELECT",
        "a SUBSCRIBE nowhere",
        "a LSUB \"\" *",
    ];

    const SMTP_LINES: &[&str] = &[
        "MAIL FROM:<ada@jackfield.example>!RCPT TO:<ada@jackfield.example>!DATA!a: b!!..c!.!",
        "MAIL FROM:<>!RCPT TO:<ada@jackfield.example>!BDAT 5!abc!BDAT 3 LAST!de!",
        "MAIL FROM:<>!RCPT TO:<ada@jackfield.example>!RCPT TO:<a@b>",
        "DATA!a!.!",
        "RSET",
    ];

    fn script(
        lines: &[&str],
        words: &[&str],
        digits: &[u8],
        random: &mut fastrand::Rng,
    ) -> Vec<u8> {
        let mut script = Vec::new();
        for _ in 0..random.usize(..25) {
            script.push(*random.choice(digits).expect("digits"));
            if random.u8(..4) > 0 {
                let line = random.choice(lines).expect("lines");
                script.extend_from_slice(line.as_bytes());
                script.push(b'\n');
                continue;
            }
            for _ in 0..random.usize(1..9) {
                let word = random.choice(words).expect("words");
                script.extend_from_slice(word.as_bytes());
            }
            script.push(b'\n');
        }
        script
    }

    #[test]
    fn any_conversation_over_imap_keeps_the_promises() {
        for seed in 0..3000 {
            let mut random = fastrand::Rng::with_seed(seed);
            imap(&script(IMAP_LINES, IMAP_WORDS, b"000111223-.", &mut random));
        }
    }

    #[test]
    fn any_conversation_over_smtp_keeps_the_promises() {
        for seed in 0..2000 {
            let mut random = fastrand::Rng::with_seed(seed);
            smtp(&script(SMTP_LINES, SMTP_WORDS, b"0000112-.", &mut random));
        }
    }

    /// What few bytes ask for is given piece by piece.
    #[test]
    fn what_is_asked_for_many_times_is_not_kept() {
        let mut script = b"0a FETCH 1:* (".to_vec();
        script.extend(b"BODY[] ".repeat(250));
        script.extend_from_slice(b"UID)!");
        imap(&script);
    }
}
