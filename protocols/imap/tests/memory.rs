//! Memory: a message may be larger than it, and a server may say what it likes.
//!
//! All that this process allocates counts, the server among it; the network is a pipe in memory, since the
//! simulated one keeps a trace.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use jackfield_imap::RequestError;
use jackfield_imap::client::{self, Append, Client, ClientConfig, Connection, Events};
use jackfield_imap::codec::{Item, MailboxName, Messages, Query, Section, SequenceSet};
use jackfield_imap::core::{Credentials, Security};
use jackfield_testing::memory::{Counting, Meter, Pipes, large};
use tokio::io::{
    AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader, DuplexStream, ReadBuf,
};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

#[global_allocator]
static COUNTING: Counting = Counting;

/// What is measured is the whole process: one test at a time.
static ALONE: Mutex<()> = Mutex::const_new(());

const MIB: usize = 1 << 20;

/// Lines, so many bytes of them.
struct Source(u64);

const LINE: [u8; 64] = *b"Sixty-four bytes, and there are many more lines that are alike\r\n";

impl AsyncRead for Source {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut left = buf
            .remaining()
            .min(usize::try_from(self.0).unwrap_or(usize::MAX));
        self.0 -= left as u64;
        while left > 0 {
            let piece = &LINE[..left.min(LINE.len())];
            buf.put_slice(piece);
            left -= piece.len();
        }
        Poll::Ready(Ok(()))
    }
}

/// What the server says to a command: words, and more of them.
enum Says {
    Words(String),
    /// A message of so many bytes.
    Message(u64),
    /// The same, so many times.
    Often(String, usize),
}

type Answers = fn(&str) -> Vec<Says>;

/// A server that takes each message, and otherwise says this to each command.
struct Robot {
    capabilities: &'static str,
    answers: Answers,
    /// How many bytes of messages have come.
    came: Arc<AtomicU64>,
}

impl Robot {
    /// Until the client has gone, who may go in the middle.
    async fn serve(&self, stream: DuplexStream) -> io::Result<()> {
        let mut server = BufReader::new(stream);
        let greeting = format!(
            "* PREAUTH [CAPABILITY IMAP4rev1 {}] hi\r\n",
            self.capabilities
        );
        server.write_all(greeting.as_bytes()).await?;
        let mut line = String::new();
        while server.read_line(&mut line).await? > 0 {
            let (tag, command) = line.trim_end().split_once(' ').expect("a command");
            if let Some((_, size)) = command.strip_suffix('}').and_then(|it| it.split_once('{')) {
                if !size.ends_with('+') {
                    server.write_all(b"+ go on\r\n").await?;
                }
                let size = size.trim_end_matches('+').parse().expect("a size");
                let mut message = (&mut server).take(size);
                let taken = tokio::io::copy(&mut message, &mut tokio::io::sink()).await?;
                self.came.fetch_add(taken, Ordering::Relaxed);
                server.read_line(&mut String::new()).await?;
            }
            for says in (self.answers)(command) {
                match says {
                    Says::Words(words) => server.write_all(words.as_bytes()).await?,
                    Says::Message(size) => {
                        tokio::io::copy(&mut Source(size), &mut server).await?;
                    }
                    Says::Often(words, times) => {
                        for _ in 0..times {
                            server.write_all(words.as_bytes()).await?;
                        }
                    }
                }
            }
            server
                .write_all(format!("{tag} OK done\r\n").as_bytes())
                .await?;
            line.clear();
        }
        Ok(())
    }
}

struct World {
    client: Client,
    events: Events,
    connection: JoinHandle<<Connection as Future>::Output>,
    came: Arc<AtomicU64>,
}

/// A client with a mailbox open, at a server that says this.
async fn world(capabilities: &'static str, answers: Answers) -> World {
    let credentials = Credentials::password("ada", "secret").expect("credentials");
    let mut config = ClientConfig::new(credentials);
    config.session.security = Security::Plaintext;
    let came = Arc::new(AtomicU64::new(0));
    let robot = Arc::new(Robot {
        capabilities,
        answers,
        came: Arc::clone(&came),
    });
    let network = Pipes(move |far| {
        let robot = Arc::clone(&robot);
        tokio::spawn(async move {
            // The client may leave at any moment.
            let _ = robot.serve(far).await;
        });
    });
    let server = "mail.example:143".parse().expect("an endpoint");
    let (client, events, connection) = client::connect(network, server, config);
    let connection = tokio::spawn(connection);
    client.select(MailboxName::inbox()).await.expect("open");
    World {
        client,
        events,
        connection,
        came,
    }
}

impl World {
    async fn close(self) {
        drop(self.events);
        self.client.close().await;
        self.connection.await.expect("no panic").expect("in order");
    }
}

fn first() -> Messages {
    Messages::Uids(SequenceSet::of([1]).expect("one"))
}

#[tokio::test(start_paused = true)]
async fn a_message_of_any_size_is_fetched_in_little() {
    let _alone = ALONE.lock().await;
    let world = world("", |command| match command {
        "UID FETCH 1 (UID BODY.PEEK[])" => vec![
            Says::Words(format!("* 1 FETCH (UID 1 BODY[] {{{}}}\r\n", large())),
            Says::Message(large()),
            Says::Words(")\r\n".to_owned()),
        ],
        _ => Vec::new(),
    })
    .await;
    let meter = Meter::start();
    let mut body = world.client.read(1, Section::all()).await.expect("a text");
    assert_eq!(body.size(), large());
    let read = tokio::io::copy(&mut body, &mut tokio::io::sink()).await;
    assert_eq!(read.expect("whole"), large());
    let above = meter.most();
    assert!(above < 2 * MIB, "{above} bytes");

    // Whoever fetches it as a whole is told how large it is, and no more is kept.
    let meter = Meter::start();
    let whole = [Item::body(Section::all())];
    let fetched = world.client.fetch(first(), whole).await.expect("it runs");
    assert_eq!(fetched.all().await.expect("no error").len(), 1);
    let above = meter.most();
    assert!(above < 4 * MIB, "{above} bytes");
    world.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_message_of_any_size_is_appended_in_little() {
    let _alone = ALONE.lock().await;
    for capabilities in ["", "LITERAL+"] {
        let world = world(capabilities, |_| Vec::new()).await;
        let meter = Meter::start();
        let append = Append::to(MailboxName::inbox());
        let appended = world.client.append_from(append, large(), Source(large()));
        appended.await.expect("appended");
        let above = meter.most();
        assert!(above < MIB, "{capabilities}: {above} bytes");
        assert_eq!(world.came.load(Ordering::Relaxed), large());
        world.close().await;
    }
}

/// How often a server says something: 20,000 times, and for a soak 350,000.
fn times() -> usize {
    usize::try_from(large()).expect("a size") / 3_200
}

/// Says this often where it is asked for news.
fn often(command: &str, line: &str) -> Vec<Says> {
    match command {
        "NOOP" => vec![Says::Often(line.to_owned(), times())],
        _ => Vec::new(),
    }
}

/// Lines that nobody asked for take nothing that lasts, whether the events are read, dropped, or left lying.
#[tokio::test(start_paused = true)]
async fn lines_that_nobody_asked_for_take_little() {
    let _alone = ALONE.lock().await;
    let answers: [(&str, Answers); 8] = [
        ("news", |it| often(it, "* 3 EXISTS\r\n")),
        ("gone", |it| often(it, "* 1 EXPUNGE\r\n")),
        ("flags", |it| {
            often(it, "* 1 FETCH (UID 1 FLAGS (\\Seen $Forwarded))\r\n")
        }),
        ("names", |it| {
            often(it, "* LIST (\\Noselect) \"/\" \"Lists/rust\"\r\n")
        }),
        ("capabilities", |it| {
            often(it, "* CAPABILITY IMAP4rev1 X-ONE X-TWO\r\n")
        }),
        ("unknown", |it| often(it, "* XYZZY (1 2 {3}\r\nabc)\r\n")),
        ("notices", |it| often(it, "* OK [ALERT] patience\r\n")),
        ("answers", |it| often(it, "A999 OK done\r\n+ go on\r\n\r\n")),
    ];
    for (what, answers) in answers {
        for are_read in [Some(true), Some(false), None] {
            let World {
                client,
                events,
                connection,
                ..
            } = world("", answers).await;
            let meter = Meter::start();
            let mut kept = None;
            match are_read {
                Some(true) => {
                    let mut events = events;
                    tokio::spawn(async move { while events.next().await.is_some() {} });
                }
                Some(false) => drop(events),
                None => kept = Some(events),
            }
            let noop = client.noop().await;
            let above = meter.most();
            assert!(above < MIB, "{what}, {are_read:?}: {above} bytes");
            if kept.is_none() {
                noop.expect("done");
            }
            drop((kept, client));
            // It leaves in order, or when it has waited long enough.
            let _ = connection.await.expect("no panic");
        }
    }
}

/// The same as an answer: what is given as a whole is no longer than `max_answers`, and what is streamed waits
/// until it is read.
#[tokio::test(start_paused = true)]
async fn answers_without_end_take_little() {
    let _alone = ALONE.lock().await;
    let world = world("", |command| match command {
        "LIST \"\" \"*\"" => vec![Says::Often(
            "* LIST () \"/\" \"Lists/rust\"\r\n".into(),
            times(),
        )],
        "UID SEARCH ALL" => vec![Says::Often(
            format!("* SEARCH{}\r\n", " 1".repeat(2_000)),
            5_000,
        )],
        "UID FETCH 1 (UID BODY.PEEK[])" => vec![Says::Often(
            format!(
                "* 1 FETCH (UID 1 BODY[] {{40000}}\r\n{})\r\n",
                "x".repeat(40_000)
            ),
            500,
        )],
        _ => Vec::new(),
    })
    .await;
    let client = &world.client;
    let meter = Meter::start();
    let list = client.list(jackfield_imap::codec::ListQuery::all()).await;
    assert_eq!(list.map(drop), Err(RequestError::TooLarge));
    let above = meter.most();
    assert!(above < 8 * MIB, "LIST: {above} bytes");

    let meter = Meter::start();
    let search = client.search(Query::new()).await;
    assert_eq!(search.map(drop), Err(RequestError::TooLarge));
    let above = meter.most();
    // `max_answer_bytes`, and in memory a number takes up to four times as much as on the wire.
    assert!(above < 80 * MIB, "SEARCH: {above} bytes");

    let meter = Meter::start();
    let whole = [Item::body(Section::all())];
    let mut messages = client.fetch(first(), whole).await.expect("it runs");
    while messages.next().await.expect("no error").is_some() {
        // Whoever is slow holds back the server.
        tokio::task::yield_now().await;
    }
    let above = meter.most();
    assert!(above < 4 * MIB, "FETCH: {above} bytes");
    world.close().await;
}

/// What was announced is not allocated, and lines and nesting have their limits.
#[tokio::test(start_paused = true)]
async fn what_is_announced_takes_nothing() {
    let _alone = ALONE.lock().await;
    let answers: [(&str, Answers, usize); 6] = [
        (
            "a literal",
            |it| says(it, "* 1 FETCH (UID 1 BODY[] {4000000000}\r\nx"),
            1,
        ),
        (
            "literals",
            |it| says(it, &"* OK {4000000000}\r\n".repeat(10_000)),
            1,
        ),
        (
            "binary",
            |it| says(it, "* 1 FETCH (BINARY[] ~{18446744073709551615}\r\nx"),
            1,
        ),
        (
            "nesting",
            |it| says(it, &format!("* THREAD {}\r\n", "(".repeat(1_000_000))),
            8,
        ),
        (
            "a set",
            |it| {
                says(
                    it,
                    "* VANISHED 1:4294967295\r\n* ESEARCH ALL 1:4294967295\r\n",
                )
            },
            1,
        ),
        // Twice `max_line` while it grows.
        ("a line", |it| says(it, &"x".repeat(10_000_000)), 12),
    ];
    for (what, answers, mib) in answers {
        let World {
            client,
            events,
            connection,
            ..
        } = world("", answers).await;
        drop(events);
        let meter = Meter::start();
        // What the server says takes its own, before the client has any of it.
        let said: usize = answers("NOOP").iter().map(Says::len).sum();
        let _ = client.noop().await;
        let above = meter.most().saturating_sub(said);
        assert!(above < mib * MIB, "{what}: {above} bytes");
        drop(client);
        connection.abort();
    }
}

fn says(command: &str, words: &str) -> Vec<Says> {
    match command {
        "NOOP" => vec![Says::Words(words.to_owned())],
        _ => Vec::new(),
    }
}

impl Says {
    fn len(&self) -> usize {
        match self {
            Self::Words(words) | Self::Often(words, _) => words.len(),
            Self::Message(_) => 0,
        }
    }
}
