//! Compressed connections, against a server in the test's hand.

use std::time::Duration;

use bytes::Bytes;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use jackfield_imap::SessionError;
use jackfield_imap::client::{self, ClientConfig, ClientEvent, Status};
use jackfield_imap::codec::{Command, Item, MailboxName, Messages, Section, SequenceSet};
use jackfield_imap::core::{
    Channel, Config, Credentials, Event, Security, Server, Session, SessionEvent,
};
use jackfield_sim::Network;
use jackfield_socket::driver::{Core, StreamCore};
use jackfield_socket::time::{self, Instant};
use jackfield_socket::{ListenOptions, TcpListen, TcpListener};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// So many bytes are inflated at a time.
const PIECE: usize = 32 * 1024;

fn config() -> Config {
    let mut config = Config::new(Credentials::password("ada", "secret").expect("credentials"));
    config.id.clear();
    config.compress = true;
    config
}

fn deflating() -> Compress {
    Compress::new(Compression::best(), false)
}

fn deflate(stream: &mut Compress, text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 1024);
    let deflated = stream.compress_vec(text, &mut out, FlushCompress::Sync);
    deflated.expect("room");
    out
}

/// A session, and what it has told.
struct Play {
    session: Session,
    now: Instant,
    told: Vec<SessionEvent>,
    /// How many bytes of a text were told at a time, at most.
    most: usize,
    /// And all together.
    total: usize,
    inflate: Decompress,
    deflate: Compress,
}

impl Play {
    fn new(config: Config) -> Self {
        let mut session = Session::new(config);
        let now = time::now();
        session.opened(now, Channel::encrypted());
        Self {
            session,
            now,
            told: Vec::new(),
            most: 0,
            total: 0,
            inflate: Decompress::new(false),
            deflate: deflating(),
        }
    }

    /// A session whose server is asked to compress.
    fn asking(config: Config) -> Self {
        let mut play = Self::new(config);
        play.says("* OK [CAPABILITY IMAP4rev1 COMPRESS=DEFLATE AUTH=PLAIN SASL-IR] hello\r\n");
        // The password is not compressed, whatever the server can do.
        assert_eq!(play.sent(), "A1 AUTHENTICATE PLAIN AGFkYQBzZWNyZXQ=\r\n");
        play.says("A1 OK [CAPABILITY IMAP4rev1 COMPRESS=DEFLATE] welcome\r\n");
        assert_eq!(play.sent(), "A2 COMPRESS DEFLATE\r\n");
        play
    }

    /// One whose connection is compressed.
    fn compressed() -> Self {
        let mut play = Self::asking(config());
        play.says("A2 OK go on\r\n");
        assert!(play.server().is_compressed);
        play
    }

    fn says(&mut self, text: &str) {
        self.receives(text.as_bytes()).expect("it goes on");
    }

    fn deflates(&mut self, text: &[u8], flush: FlushCompress) -> Vec<u8> {
        let mut out = Vec::with_capacity(text.len() + 1024);
        let deflated = self.deflate.compress_vec(text, &mut out, flush);
        deflated.expect("room");
        out
    }

    fn says_deflated(&mut self, text: &[u8]) -> Result<(), SessionError> {
        let bytes = self.deflates(text, FlushCompress::Sync);
        self.receives(&bytes)
    }

    fn receives(&mut self, bytes: &[u8]) -> Result<(), SessionError> {
        self.session.receive(self.now, bytes)?;
        self.goes_on()
    }

    /// As a driver does it.
    fn goes_on(&mut self) -> Result<(), SessionError> {
        loop {
            let mut told = 0;
            while let Some(event) = self.session.poll_event() {
                match event {
                    SessionEvent::Piece(_, piece) => told += piece.len(),
                    event => self.told.push(event),
                }
            }
            self.most = self.most.max(told);
            self.total += told;
            if self.session.deadline().is_none_or(|at| at > self.now) {
                return Ok(());
            }
            self.session.handle_deadline(self.now)?;
            let next = self.session.deadline();
            assert!(next.is_none_or(|at| at > self.now), "it lies behind");
        }
    }

    fn sent_bytes(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        self.session.transmit(self.now, &mut out);
        out
    }

    fn sent(&mut self) -> String {
        String::from_utf8(self.sent_bytes()).expect("text")
    }

    fn inflated_bytes(&mut self) -> Vec<u8> {
        let sent = self.sent_bytes();
        let mut text = Vec::with_capacity(64 * 1024);
        let before = self.inflate.total_in();
        let inflated = self
            .inflate
            .decompress_vec(&sent, &mut text, FlushDecompress::None);
        inflated.expect("it is deflated");
        assert_eq!(self.inflate.total_in() - before, sent.len() as u64);
        text
    }

    fn inflated(&mut self) -> String {
        String::from_utf8(self.inflated_bytes()).expect("text")
    }

    fn server(&self) -> &Server {
        let ready = self.told.iter().find_map(|event| match event {
            SessionEvent::Ready(server) => Some(&**server),
            _ => None,
        });
        ready.expect("it is ready")
    }

    fn has_heard(&self, wanted: &Event) -> bool {
        let is_it = |event: &SessionEvent| matches!(event, SessionEvent::Event(it) if it == wanted);
        self.told.iter().any(is_it)
    }

    /// Opens a mailbox, and asks for a message's text.
    fn reads(&mut self) {
        let select = Command::Select {
            mailbox: MailboxName::inbox(),
            read_only: false,
            condstore: false,
            qresync: None,
        };
        self.session.request(self.now, select).expect("taken");
        assert_eq!(self.inflated(), "A3 SELECT INBOX\r\n");
        self.says_deflated(b"A3 OK done\r\n").expect("it goes on");
        let section = Section::all();
        let fetch = Command::Fetch {
            messages: Messages::Uids(SequenceSet::of([5]).expect("a set")),
            items: vec![Item::Uid, Item::body(section.clone())],
            changed_since: None,
        };
        let asked = self.session.read(self.now, fetch, section);
        asked.expect("taken");
        assert_eq!(self.inflated(), "A4 UID FETCH 5 (UID BODY.PEEK[])\r\n");
    }
}

#[test]
fn what_comes_behind_the_answer_is_compressed_wherever_it_is_cut() {
    let answer = b"A2 OK go on\r\n".to_vec();
    let mut stream = deflating();
    let news = deflate(&mut stream, b"* 3 EXISTS\r\n* 4 EXISTS\r\n");
    let stream = [answer, news].concat();
    for cut in 0..=stream.len() {
        let mut play = Play::asking(config());
        let (one, two) = stream.split_at(cut);
        play.receives(one).expect("it goes on");
        play.receives(two).expect("it goes on");
        assert!(play.server().is_compressed);
        let news = [3, 4].map(Event::Exists);
        assert!(news.iter().all(|it| play.has_heard(it)), "cut at {cut}");
    }
    for piece in 1..stream.len() {
        let mut play = Play::asking(config());
        let taken = stream.chunks(piece).try_for_each(|it| play.receives(it));
        taken.expect("it goes on");
        assert!(play.has_heard(&Event::Exists(4)), "in pieces of {piece}");
    }
}

#[test]
fn what_goes_out_can_be_inflated_at_once() {
    let mut play = Play::compressed();
    for tag in 3..200 {
        let asked = play.session.request(play.now, Command::Noop);
        asked.expect("taken");
        assert_eq!(play.inflated(), format!("A{tag} NOOP\r\n"));
        assert_eq!(play.sent_bytes(), b"", "nothing is said of nothing");
        let answer = format!("A{tag} OK done\r\n");
        play.says_deflated(answer.as_bytes()).expect("it goes on");
    }
    // Whatever its size, and however badly it compresses.
    let mut random = fastrand::Rng::with_seed(4978);
    for tag in 200..260 {
        let size = random.usize(1..60_000);
        let message: Vec<u8> = std::iter::repeat_with(|| random.u8(..))
            .take(size)
            .collect();
        let append = Command::Append {
            mailbox: MailboxName::inbox(),
            flags: Vec::new(),
            date: None,
            size: size as u64,
        };
        let known = Some(Bytes::from(message.clone()));
        let asked = play.session.append(play.now, append, known);
        asked.expect("taken");
        let sent = play.inflated_bytes();
        assert_eq!(
            sent,
            format!("A{tag} APPEND INBOX {{{size}}}\r\n").into_bytes()
        );
        play.says_deflated(b"+ go on\r\n").expect("it goes on");
        let mut sent = Vec::new();
        while sent.len() < size + 2 {
            sent.extend(play.inflated_bytes());
        }
        assert_eq!(sent, [message.as_slice(), b"\r\n"].concat());
        let answer = format!("A{tag} OK done\r\n");
        play.says_deflated(answer.as_bytes()).expect("it goes on");
    }
}

#[test]
fn nothing_is_sent_behind_the_question() {
    let mut play = Play::asking(config());
    let asked = play.session.request(play.now, Command::Noop);
    asked.expect("taken");
    play.session.set_idle(play.now, true);
    assert_eq!(play.sent(), "");
    play.says("A2 OK go on\r\n");
    assert_eq!(play.inflated(), "A3 NOOP\r\n");

    let mut play = Play::asking(config());
    play.session.close(play.now);
    assert_eq!(play.sent(), "");
    play.says("A2 OK go on\r\n");
    assert_eq!(play.inflated(), "A3 LOGOUT\r\n");

    let mut play = Play::asking(config());
    play.session.close(play.now);
    play.says("A2 NO [COMPRESSIONACTIVE] TLS does it\r\n");
    assert_eq!(play.sent(), "A3 LOGOUT\r\n");
}

#[test]
fn a_refusal_changes_nothing() {
    for refusal in ["NO [COMPRESSIONACTIVE] TLS does it", "NO no", "BAD what?"] {
        let mut play = Play::asking(config());
        play.says(&format!("A2 {refusal}\r\n* 3 EXISTS\r\n"));
        assert!(!play.server().is_compressed);
        assert!(play.has_heard(&Event::Exists(3)));
        let asked = play.session.request(play.now, Command::Noop);
        asked.expect("taken");
        assert_eq!(play.sent(), "A3 NOOP\r\n");
    }
}

#[test]
fn it_is_neither_asked_for_unasked_nor_where_there_is_none() {
    let mut unasked = config();
    unasked.compress = false;
    for (config, can) in [(unasked, "COMPRESS=DEFLATE"), (config(), "COMPRESS=LZMA")] {
        let mut play = Play::new(config);
        let can = format!("CAPABILITY IMAP4rev1 {can}");
        play.says(&format!("* PREAUTH [{can}] hello\r\n"));
        assert!(!play.server().is_compressed);
        assert_eq!(play.sent(), "");
    }
}

#[test]
fn an_answer_that_came_too_early_compresses_nothing_that_was_said_before() {
    let mut play = Play::new(config());
    play.says("* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] hello\r\n");
    play.sent();
    play.says("A1 OK [CAPABILITY IMAP4rev1 COMPRESS=DEFLATE] welcome\r\nA2 OK go on\r\n");
    let asked = play.session.request(play.now, Command::Noop);
    asked.expect("taken");
    let sent = play.sent_bytes();
    let deflated = sent.strip_prefix(b"A2 COMPRESS DEFLATE\r\n");
    let mut text = Vec::with_capacity(100);
    let deflated = deflated.expect("the question, as it is");
    let inflated = play
        .inflate
        .decompress_vec(deflated, &mut text, FlushDecompress::None);
    inflated.expect("it is deflated");
    assert_eq!(text, b"A3 NOOP\r\n");
}

#[test]
fn each_connection_begins_anew() {
    let mut play = Play::compressed();
    play.session.lost(jackfield_imap::EndedBy::Network);
    assert_eq!(play.session.deadline(), None);
    play.session.opened(play.now, Channel::encrypted());
    play.says("* PREAUTH [CAPABILITY IMAP4rev1 COMPRESS=DEFLATE] hello\r\n");
    assert_eq!(play.sent(), "A3 COMPRESS DEFLATE\r\n");
}

#[test]
fn a_corrupt_stream_ends_the_connection() {
    let mut play = Play::compressed();
    play.says_deflated(b"* 3 EXISTS\r\n").expect("it goes on");
    assert_eq!(play.receives(&[0xFF; 20]), Err(SessionError::Corrupt));
    // The server's stream may end, as when it leaves; but nothing comes behind.
    let mut play = Play::compressed();
    let end = play.deflates(b"* 5 EXISTS\r\n", FlushCompress::Finish);
    play.receives(&end).expect("it goes on");
    assert!(play.has_heard(&Event::Exists(5)));
    assert_eq!(play.receives(b"more"), Err(SessionError::Corrupt));
    // Random damage is an error or other words, and nothing else.
    let mut random = fastrand::Rng::with_seed(1951);
    for _ in 0..500 {
        let mut play = Play::compressed();
        let mut stream = play.deflates(
            &b"* 3 EXISTS\r\n* OK [ALERT] wake up\r\n".repeat(20),
            FlushCompress::Sync,
        );
        for _ in 0..3 {
            let at = random.usize(..stream.len());
            stream[at] = random.u8(..);
        }
        let _ = play.receives(&stream);
    }
}

/// A thousand bytes for one: they are told piece by piece, and only while somebody reads.
#[test]
fn a_bomb_is_inflated_piece_by_piece() {
    const SIZE: usize = 32 << 20;
    let mut play = Play::compressed();
    play.reads();
    let head = format!("* 1 FETCH (UID 5 BODY[] {{{SIZE}}}\r\n");
    play.says_deflated(head.as_bytes()).expect("it goes on");
    let bomb = play.deflates(&vec![0; SIZE], FlushCompress::Sync);
    assert!(bomb.len() < SIZE / 900);
    for read in bomb.chunks(16 * 1024) {
        play.receives(read).expect("it goes on");
    }
    assert!(play.most <= PIECE, "{} bytes at a time", play.most);
    assert_eq!(play.total, SIZE);
    play.says_deflated(b")\r\nA4 OK done\r\n")
        .expect("it goes on");

    // Untagged data that nobody asked for, and nobody reads.
    let mut play = Play::compressed();
    let bomb = play.deflates(&b"* 1 EXPUNGE\r\n".repeat(1_000_000), FlushCompress::Sync);
    play.session.set_reading(play.now, false);
    for read in bomb.chunks(16 * 1024).take(1) {
        play.session.receive(play.now, read).expect("it goes on");
    }
    let mut told = 0;
    while play.session.poll_event().is_some() {
        told += 1;
    }
    assert!(told <= PIECE / 10, "{told} at a time");
    assert!(play.session.deadline().is_none_or(|at| at > play.now));
    play.session.set_reading(play.now, true);
    assert!(play.session.deadline().is_some_and(|at| at <= play.now));

    // A line without an end.
    let mut play = Play::compressed();
    let bomb = play.deflates(
        &[b"* OK ", vec![b'a'; SIZE].as_slice()].concat(),
        FlushCompress::Sync,
    );
    let ended = bomb.chunks(1000).try_for_each(|it| play.receives(it));
    assert!(matches!(ended, Err(SessionError::LimitExceeded(_))));
}

/// The client over a network, and a server that compresses: texts in both directions.
#[tokio::test(start_paused = true)]
async fn a_client_reads_and_appends() {
    let network = Network::new(7);
    let here = network.host("here.example", ["192.0.2.1".parse().expect("an address")]);
    let there = network.host("imap.example", ["192.0.2.2".parse().expect("an address")]);
    let at = "192.0.2.2:993".parse().expect("an address");
    let listener = there.listen(at, &ListenOptions::default()).await;
    let mut listener = listener.expect("a listener");
    let mut random = fastrand::Rng::with_seed(9);
    let line = |random: &mut fastrand::Rng| format!("{:?}\r\n", random.u64(..));
    let message: String = std::iter::repeat_with(|| line(&mut random))
        .take(30_000)
        .collect();
    let text = message.clone();
    let server = tokio::spawn(async move {
        let mut stream = listener.accept().await.expect("a connection");
        let hello = "* PREAUTH [CAPABILITY IMAP4rev1 COMPRESS=DEFLATE LITERAL+] hello\r\n";
        stream.write_all(hello.as_bytes()).await.expect("room");
        let mut command = vec![0; 100];
        let count = stream.read(&mut command).await.expect("a command");
        assert_eq!(&command[..count], b"A1 COMPRESS DEFLATE\r\n");
        stream.write_all(b"A1 OK go on\r\n").await.expect("room");
        let (mut inflating, mut deflating) = (Decompress::new(false), deflating());
        let mut heard: Vec<u8> = Vec::new();
        let mut read = vec![0; 16 * 1024];
        let mut answered = 0;
        loop {
            let count = stream.read(&mut read).await.expect("it goes on");
            if count == 0 {
                return;
            }
            let mut input = &read[..count];
            while !input.is_empty() {
                heard.reserve(64 * 1024);
                let before = inflating.total_in();
                let inflated = inflating.decompress_vec(input, &mut heard, FlushDecompress::None);
                inflated.expect("it is deflated");
                input = &input[(inflating.total_in() - before) as usize..];
            }
            let said = String::from_utf8_lossy(&heard).into_owned();
            let commands: [(&str, String); 4] = [
                ("A2 SELECT INBOX\r\n", String::new()),
                (
                    "A3 UID FETCH 5 (UID BODY.PEEK[])\r\n",
                    format!("* 1 FETCH (UID 5 BODY[] {{{}}}\r\n{text})\r\n", text.len()),
                ),
                (&format!("{text}\r\n"), String::new()),
                ("LOGOUT\r\n", "* BYE so long\r\n".to_owned()),
            ];
            while let Some((_, answer)) = commands
                .get(answered)
                .filter(|(command, _)| said.contains(command))
            {
                answered += 1;
                let answer = format!("{answer}A{} OK done\r\n", answered + 1);
                let answer = deflate(&mut deflating, answer.as_bytes());
                stream.write_all(&answer).await.expect("room");
            }
        }
    });
    let mut config =
        ClientConfig::new(Credentials::password("ada", "secret").expect("credentials"));
    config.session = self::config();
    config.session.security = Security::Plaintext;
    let server_at = "imap.example:993".parse().expect("an endpoint");
    let (client, mut events, connection) = client::connect(here, server_at, config);
    let connection = tokio::spawn(connection);
    let ready = async {
        while let Some(event) = events.next().await {
            if let ClientEvent::Status(Status::Ready(server)) = event {
                return server.is_compressed;
            }
        }
        false
    };
    let ready = time::timeout(Duration::from_mins(1), ready).await;
    assert_eq!(ready, Ok(true));
    client.select(MailboxName::inbox()).await.expect("open");
    let mut body = client.read(5, Section::all()).await.expect("a text");
    let mut read = String::new();
    body.read_to_string(&mut read).await.expect("whole");
    assert_eq!(read, message);
    let append = client::Append::to(MailboxName::inbox());
    client.append(append, message).await.expect("appended");
    client.close().await;
    connection.await.expect("no panic").expect("in order");
    server.await.expect("no panic");
}
