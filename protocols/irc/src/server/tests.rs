//! Transcripts against the server's core, and what happens at its limits.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jackfield_play::{Carrier, Protocol, Transcripts, text};
use jackfield_socket::driver::{Core, StreamCore};
use jackfield_socket::time::{self, Instant};

use crate::codec::Timestamp;

use super::ServerConfig;
use super::connection::{Connection, lock};
use super::state::State;

/// A server with its clients, without clock and socket.
struct Pair {
    state: Arc<Mutex<State>>,
    now: Instant,
    clients: BTreeMap<String, Client>,
}

struct Client {
    connection: Connection,
    received: Vec<u8>,
}

impl Pair {
    fn new(config: ServerConfig) -> Self {
        Self::at(config, time::now())
    }

    fn at(config: ServerConfig, now: Instant) -> Self {
        let wall = Timestamp::parse("2026-01-02T03:04:05.678Z").expect("a time");
        Self {
            state: Arc::new(Mutex::new(State::new(config, now, wall))),
            now,
            clients: BTreeMap::new(),
        }
    }

    fn client(&mut self, name: &str) -> &mut Client {
        self.clients
            .entry(name.to_owned())
            .or_insert_with(|| Client {
                connection: Connection::new(Arc::clone(&self.state), None, self.now),
                received: Vec::new(),
            })
    }

    fn send(&mut self, name: &str, bytes: &[u8]) {
        let now = self.now;
        let client = self.client(name);
        client.connection.receive(now, bytes).expect("it listens");
    }

    /// The next line for a client.
    fn line(&mut self, name: &str) -> Option<String> {
        let now = self.now;
        let client = self.client(name);
        client.connection.transmit(now, &mut client.received);
        let end = client.received.iter().position(|byte| *byte == b'\n')?;
        let line: Vec<u8> = client.received.drain(..=end).collect();
        let line = String::from_utf8(line).expect("UTF-8");
        Some(line.trim_end().to_owned())
    }

    /// All lines for a client, as one text.
    fn lines(&mut self, name: &str) -> String {
        let mut all = String::new();
        while let Some(line) = self.line(name) {
            all.push_str(&line);
            all.push('\n');
        }
        all
    }

    fn register(&mut self, name: &str) {
        self.send(name, format!("NICK {name}\r\nUSER u 0 * :r\r\n").as_bytes());
        let welcome = self.lines(name);
        assert!(welcome.contains(" 001 "), "{welcome}");
    }
}

impl Core for Pair {
    type Event = Infallible;
    type Error = String;

    fn poll_event(&mut self) -> Option<Infallible> {
        None
    }
}

/// The server's clients, each on a stream of its own.
struct Streams;

impl Carrier<Pair> for Streams {
    const IS_STREAM: bool = true;

    fn receive(pair: &mut Pair, now: Instant, who: &str, bytes: &[u8]) -> Result<(), String> {
        pair.now = now;
        pair.send(who, bytes);
        Ok(())
    }

    fn receive_end(pair: &mut Pair, now: Instant, who: &str) -> Result<(), String> {
        let ended = pair.client(who).connection.receive_end(now);
        ended.map_err(|_| "it did not go".to_owned())
    }

    fn transmit(pair: &mut Pair, now: Instant) -> Vec<(String, Vec<u8>)> {
        let sent = pair.clients.iter_mut().map(|(name, client)| {
            let mut bytes = Vec::new();
            client.connection.transmit(now, &mut bytes);
            (name.clone(), bytes)
        });
        sent.collect()
    }
}

/// In a transcript, `{version}` is the server's.
const VERSION: &str = concat!("jackfield-", env!("CARGO_PKG_VERSION"));

struct Server;

impl Protocol for Server {
    type Core = Pair;
    type Carrier = Streams;

    fn begin(&mut self, now: Instant) -> Pair {
        let mut config = ServerConfig::new();
        config.add_account("ada", "lovelace");
        Pair::at(config, now)
    }

    fn told(&mut self, event: Infallible) -> Option<String> {
        match event {}
    }

    fn read(&mut self, line: &str) -> Vec<u8> {
        text::read(&line.replace("{version}", VERSION))
    }

    fn write(&mut self, bytes: &[u8]) -> String {
        text::write(bytes).replace(VERSION, "{version}")
    }
}

fn transcripts() -> Transcripts {
    let transcripts = Transcripts::of("irc/server");
    assert!(transcripts.len() > 2, "only {}", transcripts.len());
    transcripts
}

#[test]
fn every_transcript_holds() {
    transcripts().play(|| Server);
}

#[test]
fn every_transcript_holds_wherever_its_bytes_are_cut() {
    transcripts().play_in_pieces(|| Server);
}

/// What the fuzz target begins with, and what it has found.
#[test]
fn the_corpus_holds() {
    jackfield_corpora::hold("irc_server", super::oracle::play);
}

#[test]
fn bytes_that_are_no_lines_are_answered() {
    let mut pair = Pair::new(ServerConfig::new());
    pair.register("eve");
    pair.send("eve", b"PRIVMSG eve :\xff\xfe\r\n");
    assert!(pair.lines("eve").contains("FAIL * INVALID_UTF8"));
    pair.send("eve", &[b'x'; 600]);
    pair.send("eve", b"\r\n");
    assert!(pair.lines("eve").contains(" 417 "));
    pair.send("eve", "@".repeat(20_000).as_bytes());
    pair.send("eve", b"\r\nPRIVMSG eve :a\0b\r\n");
    let answers = pair.lines("eve");
    assert!(answers.contains(" 417 "), "{answers}");
    assert!(answers.contains("CR, LF or NUL"), "{answers}");
    pair.send("eve", b"PING :alive\r\n");
    assert!(pair.lines("eve").contains("alive"));
}

#[test]
fn a_long_message_is_cut_between_characters() {
    let mut pair = Pair::new(ServerConfig::new());
    pair.register("ada");
    pair.register("bob");
    let text = "ü".repeat(245);
    pair.send("ada", format!("PRIVMSG bob :{text}\r\n").as_bytes());
    let line = pair.line("bob").expect("the message");
    let (_, cut) = line.rsplit_once(':').expect("the text");
    assert!(
        line.len() + 2 <= 512 && line.len() + 2 > 508,
        "{}",
        line.len()
    );
    assert!(text.starts_with(cut));
}

#[test]
fn one_who_does_not_read_is_disconnected_and_others_are_told() {
    let mut config = ServerConfig::new();
    config.send_queue = 4096;
    let mut pair = Pair::new(config);
    pair.register("ada");
    pair.register("bob");
    for name in ["ada", "bob"] {
        pair.send(name, b"JOIN #c\r\n");
    }
    pair.lines("ada");
    pair.lines("bob");
    let line = format!("PRIVMSG #c :{}\r\n", "x".repeat(400));
    for _ in 0..12 {
        pair.send("ada", line.as_bytes());
    }
    assert!(pair.lines("ada").contains("QUIT :Send queue exceeded"));
    let last = pair.lines("bob");
    assert!(last.len() < 600, "the rest was given up");
    assert!(last.contains("ERROR :Closing link: Send queue exceeded"));
    let bob = &pair.client("bob").connection;
    assert!(bob.is_finished());
    assert_eq!(lock(&pair.state).channels.len(), 1);
}

#[test]
fn a_flood_is_cut_off() {
    let mut pair = Pair::new(ServerConfig::new());
    pair.register("eve");
    pair.send("eve", &b"PING x\r\n".repeat(300));
    let answers = pair.lines("eve");
    assert!(answers.contains("Excess flood"), "{answers}");
    assert!(answers.lines().count() < 210);

    // At the pace that is allowed, it may go on for ever.
    pair.register("ada");
    for _ in 0..500 {
        pair.now += Duration::from_millis(50);
        pair.send("ada", b"PING x\r\n");
    }
    assert_eq!(pair.lines("ada").lines().count(), 500);
}

#[test]
fn the_silent_are_asked_and_then_disconnected() {
    let mut pair = Pair::new(ServerConfig::new());
    pair.register("ada");
    pair.client("mute");
    let patience = Duration::from_mins(1);
    for (name, expected) in [("ada", "PING :irc"), ("mute", "Registration timeout")] {
        pair.now += patience;
        let now = pair.now;
        let connection = &mut pair.client(name).connection;
        assert!(connection.deadline() <= Some(now));
        connection.handle_deadline(now).expect("a first warning");
        let told = pair.lines(name);
        assert!(told.contains(expected), "{told}");
    }
    // A sign of life resets the clock; without one, the connection ends, if need be by force.
    pair.send("ada", b"PONG x\r\n");
    for expected in ["PING :irc", "Ping timeout"] {
        pair.now += patience;
        let now = pair.now;
        let connection = &mut pair.client("ada").connection;
        connection.handle_deadline(now).expect("not yet");
        let told = pair.lines("ada");
        assert!(told.contains(expected), "{told}");
    }
    let now = pair.now + patience;
    let connection = &mut pair.client("ada").connection;
    connection.handle_deadline(now).expect_err("it did not go");
    pair.clients.clear();
    let state = lock(&pair.state);
    assert!(state.clients.is_empty() && state.nicks.is_empty());
}

#[test]
fn failing_to_log_in_again_and_again_ends_the_connection() {
    let mut pair = Pair::new(ServerConfig::new());
    pair.send("eve", b"CAP REQ :sasl\r\n");
    for _ in 0..3 {
        pair.send("eve", b"AUTHENTICATE PLAIN\r\nAUTHENTICATE !!!\r\n");
    }
    let told = pair.lines("eve");
    assert!(told.contains("Too many failures to log in"), "{told}");

    // A response in pieces has a limit too.
    pair.send("mal", b"CAP REQ :sasl\r\nAUTHENTICATE PLAIN\r\n");
    let piece = format!("AUTHENTICATE {}\r\n", "A".repeat(400));
    pair.send("mal", piece.repeat(5).as_bytes());
    assert!(pair.lines("mal").contains(" 905 "));
}
