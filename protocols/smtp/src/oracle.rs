//! Oracles: what must hold for any input. They are shared by the tests here and the fuzz targets,
//! which are a line over one of these functions.

use std::collections::BTreeMap;
use std::time::Duration;

use jackfield_sasl::{Channel, ChannelBinding, Credentials};
use jackfield_socket::driver::{Core, StreamCore};
use jackfield_socket::time::Instant;

use crate::codec::server::{Request as Asked, Stuffed};
use crate::codec::{
    Capabilities, Command, Content, Domain, EnvelopeId, Framing, MailParameters, Mailbox,
    RecipientParameters, Replies, Reply, ReplyFault, ReplyLimits, ReversePath, Survey, Text,
};
use crate::core::{
    Body, Chunking, Config, Envelope, Piece, Protocol, Request, RequestId, Security, Session,
    SessionEvent,
};
use crate::error::RequestError;

/// The longest line and the most lines in these oracles.
const MAX_LINE: usize = 64;
const MAX_LINES: usize = 8;

/// Reading never panics; replies don't depend on the pieces that they arrive in, are bounded, and
/// safe to show. What a command takes, it can't be ended by.
///
/// # Panics
/// When one of these promises is broken.
pub fn codec(data: &[u8]) {
    let whole = replies(data, data.len().max(1));
    assert_eq!(whole, replies(data, 1), "replies depend on their pieces");
    assert_eq!(whole, replies(data, 7), "replies depend on their pieces");
    for reply in whole.iter().flatten() {
        assert!((200..600).contains(&reply.code()));
        assert!(reply.lines().count() <= MAX_LINES);
        // A byte that is no UTF-8 becomes three.
        assert!(reply.lines().all(|line| line.len() <= 3 * MAX_LINE));
        let is_safe = |c: char| c == '\n' || !c.is_control();
        assert!(reply.text().chars().all(is_safe), "{reply:?}");
        assert!(!reply.to_string().contains('\n'));
        let can = Capabilities::of(reply);
        assert!(can.iter().count() < MAX_LINES);
    }
    if let Ok(text) = str::from_utf8(data) {
        commands(text);
    }
}

fn replies(data: &[u8], piece: usize) -> Vec<Result<Reply, ReplyFault>> {
    let limits = ReplyLimits {
        max_line: MAX_LINE,
        max_lines: MAX_LINES,
    };
    let mut replies = Replies::new(limits);
    let mut found = Vec::new();
    for mut piece in data.chunks(piece) {
        while let Some(reply) = replies.next(&mut piece) {
            let failed = reply.is_err();
            found.push(reply);
            if failed {
                return found;
            }
        }
    }
    found
}

/// Whatever a text is taken for, it is one word or one line, and means the same when read again.
fn commands(text: &str) {
    let mail = MailParameters {
        envelope_id: text.parse::<EnvelopeId>().ok(),
        ..MailParameters::default()
    };
    if let Ok(from) = text.parse::<ReversePath>() {
        assert_eq!(from.as_str().parse(), Ok(from.clone()));
        one_line(
            Command::Mail(&from, &mail),
            &format!("MAIL FROM:<{}>", from.as_str()),
        );
    }
    one_line(Command::Mail(&ReversePath::Null, &mail), "MAIL FROM:<>");
    if let Ok(to) = text.parse::<Mailbox>() {
        assert_eq!(format!("{}@{}", to.local(), to.domain()), text);
        assert!(to.domain().parse::<Domain>().is_ok());
        let parameters = RecipientParameters::default();
        one_line(
            Command::Rcpt(&to, &parameters),
            &format!("RCPT TO:<{text}>"),
        );
        let path = text.strip_suffix(to.domain()).unwrap_or_default();
        assert!(
            !text.contains(['<', '>']) && !to.domain().contains(' '),
            "{path}"
        );
    }
    if let Ok(name) = text.parse::<Domain>() {
        one_line(Command::Ehlo(&name), &format!("EHLO {text}"));
        assert!(!text.contains(' '));
    }
    if let Ok(asked) = text.parse::<Text>() {
        one_line(Command::Vrfy(&asked), &format!("VRFY {text}"));
    }
}

fn one_line(command: Command<'_>, begins: &str) {
    let mut out = Vec::new();
    command.encode(&mut out);
    let line = out.strip_suffix(b"\r\n");
    let line = line.and_then(|line| str::from_utf8(line).ok());
    let line = line.unwrap_or_else(|| panic!("{command:?} is no line"));
    assert!(line.starts_with(begins), "{line:?}");
    assert!(!line.contains(['\r', '\n', '\0']), "{line:?}");
    // The codec's own server side can read it.
    Asked::read(line).unwrap_or_else(|bad| panic!("{line:?}: {bad}"));
}

/// Content is carried the same in whichever pieces it comes. With DATA, nothing ends it but its end,
/// no line ends but with CR LF, and a server that takes the dots out has what came in; counted, it has
/// the size that was found.
///
/// # Panics
/// When one of these promises is broken.
pub fn content(data: &[u8]) {
    let normal = carried(Framing::Chunks, data, data.len().max(1));
    let mut survey = Survey::default();
    data.chunks(5).for_each(|piece| survey.take(piece));
    assert_eq!(survey.size(), normal.len() as u64);
    assert_eq!(survey.raw_size(), data.len() as u64);
    let blind = |size: usize| {
        let (mut content, mut out) = (Content::new(Framing::Chunks).without_bcc(), Vec::new());
        let mut survey = Survey::default().without_bcc();
        for piece in data.chunks(size) {
            content.write(piece, &mut out);
            survey.take(piece);
        }
        content.end(&mut out);
        assert_eq!(survey.size(), out.len() as u64);
        out
    };
    let whole = blind(data.len().max(1));
    ends_as_it_must(&whole);
    assert!(whole.len() <= normal.len());
    assert_eq!(whole, blind(1), "it depends on its pieces");
    assert_eq!(whole, blind(3), "it depends on its pieces");
    for framing in [Framing::Dots, Framing::Chunks, Framing::Binary] {
        let whole = carried(framing, data, data.len().max(1));
        for piece in [1, 2, 3, 7] {
            assert_eq!(
                whole,
                carried(framing, data, piece),
                "it depends on its pieces"
            );
        }
        match framing {
            Framing::Binary => assert_eq!(whole, data),
            Framing::Chunks => ends_as_it_must(&whole),
            Framing::Dots => {
                ends_as_it_must(&whole);
                assert_eq!(received(&whole), normal);
                let (mut stuffed, mut out) = (Stuffed::default(), Vec::new());
                assert!(stuffed.take(&mut &*whole, &mut out));
                assert_eq!((out, stuffed.has_bare_line_ends()), (normal.clone(), false));
            }
        }
    }
}

fn carried(framing: Framing, data: &[u8], piece: usize) -> Vec<u8> {
    let (mut content, mut out) = (Content::new(framing), Vec::new());
    for piece in data.chunks(piece) {
        content.write(piece, &mut out);
    }
    content.end(&mut out);
    out
}

/// CR and LF stand only together, and at the end.
fn ends_as_it_must(bytes: &[u8]) {
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'\r' => assert_eq!(bytes.get(at + 1), Some(&b'\n')),
            b'\n' => assert!(at > 0 && bytes[at - 1] == b'\r'),
            _ => {}
        }
    }
    assert!(bytes.is_empty() || bytes.ends_with(b"\r\n"));
}

/// What a server makes of content with dots (RFC 5321, section 4.5.2).
fn received(bytes: &[u8]) -> Vec<u8> {
    let mut lines = bytes.split_inclusive(|byte| *byte == b'\n');
    let mut content = Vec::new();
    for line in lines.by_ref() {
        if line == b".\r\n" {
            assert_eq!(lines.next(), None, "it ends before its end");
            return content;
        }
        content.extend_from_slice(line.strip_prefix(b".").unwrap_or(line));
    }
    panic!("it does not end");
}

/// Plays a script to a session, and checks after each step that its promises hold: each request has
/// one outcome, deadlines move on, no message leaves twice, and none without the word of a server that
/// it may.
///
/// Each line is one step: `S`, a line from the server; `B`, bytes from it without an end; `R`, a
/// request; `P`, a piece of content; `.`, time until the next deadline; `O`, a new connection; `L`, its
/// loss; `Q`, close; `E`, the stream's end. The first byte of all chooses the configuration.
///
/// # Panics
/// When the session breaks one of its promises.
pub fn session(script: &[u8]) {
    let (first, script) = script.split_first().unwrap_or((&0, &[]));
    let Some(mut play) = Play::new(*first) else {
        return;
    };
    // The end of a marker: were it elsewhere, a script could send a message's marker by itself.
    let script: Vec<u8> = script
        .iter()
        .copied()
        .filter(|byte| *byte != b';')
        .collect();
    for step in script.split(|byte| *byte == b'\n') {
        let Some((kind, rest)) = step.split_first() else {
            continue;
        };
        match kind {
            b'S' => play.receive(&[rest, b"\r\n"].concat()),
            b'B' => play.receive(rest),
            b'R' => play.request(rest),
            b'P' => play.piece(rest),
            b'.' => play.pass(),
            b'O' => play.open(),
            b'L' => play.lose(),
            b'Q' => play.close(),
            b'E' if play.is_open => play.is_open = play.session.receive_end(play.now).is_ok(),
            _ => {}
        }
        play.check();
    }
    play.lose();
    play.close();
    play.check();
    assert!(play.waiting.is_empty(), "requests without an outcome");
}

struct Play {
    session: Session,
    config: Config,
    channel: Channel,
    now: Instant,
    /// Those without an outcome, and which marker each has.
    waiting: BTreeMap<RequestId, usize>,
    asks_for_piece: Vec<RequestId>,
    requests: usize,
    /// A stream is open, and the core has not failed.
    is_open: bool,
    is_closed: bool,
    /// All that was sent.
    sent: Vec<u8>,
}

impl Play {
    fn new(choice: u8) -> Option<Self> {
        let mut config = Config::new("client.example".parse().ok()?);
        config.request_capacity = 6;
        config.limits.reply.max_line = 200;
        config.limits.reply.max_lines = 8;
        config.pipeline_depth = 3;
        if choice & 1 == 1 {
            config.security = Security::Tls;
            config.credentials = Some(Credentials::password("ada", "secret").ok()?);
        }
        if choice & 2 == 2 {
            config.protocol = Protocol::Lmtp;
        }
        if choice & 4 == 4 {
            config.chunking = Chunking::Never;
        }
        if choice & 8 == 8 {
            config.security = Security::StartTls;
        }
        if choice & 16 == 16 {
            config.connection_messages = Some(2);
        }
        let mut channel = Channel::encrypted();
        if choice & 32 == 32 {
            channel = channel.with_binding(ChannelBinding::tls_exporter([7; 32]));
        }
        if choice & 64 == 64 {
            channel = Channel::plaintext();
        }
        Some(Self {
            channel,
            session: Session::new(config.clone()),
            config,
            now: Instant::now(),
            waiting: BTreeMap::new(),
            asks_for_piece: Vec::new(),
            requests: 0,
            is_open: false,
            is_closed: false,
            sent: Vec::new(),
        })
    }

    fn open(&mut self) {
        if !self.is_open && !self.is_closed {
            self.lose();
            self.session.opened(self.now, self.channel.clone());
            self.is_open = true;
        }
    }

    fn lose(&mut self) {
        self.session.lost(self.now);
        self.is_open = false;
    }

    fn close(&mut self) {
        if !self.is_closed {
            self.is_closed = true;
            self.session.close();
        }
    }

    fn receive(&mut self, bytes: &[u8]) {
        if self.is_open {
            self.is_open = self.session.receive(self.now, bytes).is_ok();
        }
    }

    fn pass(&mut self) {
        let Some(deadline) = self.session.deadline() else {
            self.now += Duration::from_secs(1);
            return;
        };
        self.now = self.now.max(deadline);
        // A core that has failed is told of the loss before anything else.
        if self.session.handle_deadline(self.now).is_err() {
            self.lose();
        } else if let Some(next) = self.session.deadline() {
            assert!(next > self.now, "a deadline that has passed");
        }
    }

    fn request(&mut self, rest: &[u8]) {
        let (kind, rest) = rest.split_first().unwrap_or((&0, &[]));
        let marker = self.requests;
        let content = format!("a\n.\nmessage-{marker};");
        let text = String::from_utf8_lossy(rest);
        let to = text.split(',').filter_map(|to| to.parse().ok());
        let envelope = Envelope::new(ReversePath::Null, to);
        let request = match kind {
            b's' => Request::Send(envelope, content.into()),
            b'S' => Request::Send(envelope, Body::streamed(None)),
            b'v' => match text.parse() {
                Ok(text) => Request::Verify(text),
                Err(_) => return,
            },
            _ => Request::Noop,
        };
        if let Ok(id) = self.session.request(self.now, request) {
            self.requests += 1;
            let before = self.waiting.insert(id, marker);
            assert!(before.is_none(), "a name that was given twice");
        }
    }

    fn piece(&mut self, rest: &[u8]) {
        let Some(id) = self.asks_for_piece.pop() else {
            return;
        };
        let piece = match rest {
            b"" => Piece::End,
            b"!" => Piece::Failed,
            rest => Piece::More(rest.to_vec().into()),
        };
        self.session.body(self.now, id, piece);
    }

    fn check(&mut self) {
        let mut out = Vec::new();
        if self.is_open {
            self.session.transmit(self.now, &mut out);
        }
        assert!(out.len() < 128 * 1024);
        self.sent.append(&mut out);
        while let Some(event) = self.session.poll_event() {
            match event {
                SessionEvent::Completed(id, outcome) => {
                    let marker = self.waiting.remove(&id);
                    let marker = marker.expect("an outcome that somebody waits for");
                    let times = self.times(marker);
                    if let Err(RequestError::OutcomeUnknown(_)) = outcome {
                        assert!(times <= 1);
                    }
                }
                SessionEvent::WantsBody(id) => {
                    assert!(!self.asks_for_piece.contains(&id), "asked for twice");
                    self.asks_for_piece.push(id);
                }
                _ => {}
            }
        }
        for marker in 0..self.requests {
            assert!(self.times(marker) <= 1, "message {marker} left twice");
        }
        assert!(self.waiting.len() <= self.config.request_capacity + self.config.pipeline_depth);
    }

    /// How often a message that is whole has left, which it does in one go.
    fn times(&self, marker: usize) -> usize {
        let marker = format!("message-{marker};");
        let marker = marker.as_bytes();
        let all = self.sent.windows(marker.len());
        all.filter(|part| *part == marker).count()
    }
}

#[cfg(test)]
mod tests {
    use jackfield_corpora::hold;

    use super::*;

    /// What servers and users say, to be put together at random.
    const PIECES: &[&str] = &[
        "S220 a",
        "S250-a",
        "S250-PIPELINING",
        "S250-CHUNKING",
        "S250-8BITMIME",
        "S250-SIZE 100",
        "S250-LIMITS MAILMAX=2 RCPTMAX=1",
        "S250-AUTH PLAIN LOGIN",
        "S250-AUTH SCRAM-SHA-256-PLUS PLAIN",
        "S250 HELP",
        "S235 2.7.0 in",
        "S334 ",
        "S334 dXNlcg==",
        "S250 2.1.0 Ok",
        "S250 Ok",
        "S250 Ok",
        "S354 Go",
        "S354 Go",
        "S550 5.1.1 No",
        "S450 Later",
        "S421 4.4.2 Bye",
        "S221 Bye",
        "S503 No",
        "B250 ",
        "BOk\r",
        "BX",
        "Rsa@b",
        "Rsa@b,c@d",
        "Rs",
        "RSa@b",
        "Rvada",
        "Rn",
        "Pabc",
        "P",
        "P!",
        "Pa\0",
        ".",
        "O",
        "O",
        "L",
        "Q",
        "E",
    ];

    /// A server that does as it should, up to here.
    const BEGINNINGS: [&str; 3] = [
        "\nO\nS220 a\nS250 a",
        "\nO\nS220 a\nS250-a\nS250 PIPELINING",
        "\nO\nS220 a\nS250-a\nS250-PIPELINING\nS250 CHUNKING",
    ];

    /// What the fuzz targets begin with, and what they have found.
    #[test]
    fn the_corpora_hold() {
        hold("smtp_codec", codec);
        hold("smtp_content", content);
        hold("smtp_session", session);
    }

    #[test]
    fn any_bytes_are_read_or_refused() {
        let mut random = fastrand::Rng::with_seed(1);
        let alphabet = b"2250  --..\r\n\r\n\0ab@@<>\"\\[]:\x1b\xc3\xa9\xff+=";
        let headers = b"bcC: \r\n\n.";
        for _ in 0..20_000 {
            let length = random.usize(..120);
            let data: Vec<u8> = (0..length)
                .map(|_| alphabet[random.usize(..alphabet.len())])
                .collect();
            codec(&data);
            content(&data);
            let length = random.usize(..40);
            let data: Vec<u8> = (0..length)
                .map(|_| headers[random.usize(..headers.len())])
                .collect();
            content(&data);
        }
    }

    #[test]
    fn any_content_of_dots_and_ends_is_carried_whole() {
        let alphabet = b"\r\n.a";
        for number in 0..4_usize.pow(7) {
            let mut rest = number;
            let data: Vec<u8> = std::iter::from_fn(|| {
                let byte = alphabet[rest % 4];
                rest /= 4;
                Some(byte)
            })
            .take(7)
            .collect();
            content(&data);
        }
    }

    #[test]
    fn any_conversation_keeps_the_promises() {
        for seed in 0..20_000 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut script = vec![random.u8(..)];
            // Most conversations get past the greeting.
            if random.u8(..4) > 0 {
                script[0] &= !9;
                script.extend_from_slice(BEGINNINGS[random.usize(..3)].as_bytes());
            }
            for _ in 0..random.usize(..80) {
                script.push(b'\n');
                let piece = PIECES[random.usize(..PIECES.len())];
                // Ends are rare, so that conversations are long.
                if !matches!(piece, "Q" | "E" | "L" | "." | "BX") || random.u8(..8) == 0 {
                    script.extend_from_slice(piece.as_bytes());
                }
                if random.u8(..32) == 0 {
                    let at = random.usize(..script.len());
                    script[at] = random.u8(..);
                }
            }
            session(&script);
        }
    }
}
