//! What becomes of bytes, ends and cuts on their way through a relay.
//!
//! Nothing is timed: whether a reader gets everything, learns of the end, and can tell an end from a
//! cut. Each line is played against a relay in a fresh session, by the client of the other tables.

use std::fmt;
use std::time::Duration;

use anyhow::Result;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

use super::dialect::{Dialect, Part, Receive as _, Receiver, Send as _};
use super::servers::{Kind, Server};
use crate::Peers;
use crate::report::Report;

const MIB: usize = 1024 * 1024;
/// What is sent each way, and ended.
const SENT: usize = 8 * MIB;
/// What a slow reader is sent.
const MUCH: usize = 64 * MIB;
/// What is sent before a cut.
const BEFORE_CUT: usize = MIB;
const LATE: Duration = Duration::from_millis(500);
/// How long a slow reader takes over each part that comes.
const SLOWLY: Duration = Duration::from_millis(1);
/// Who hears nothing for so long waits for good.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) fn run(peers: &Peers, report: &mut Report) -> Result<()> {
    report.heading(
        "What arrives through a relay",
        "Nothing is timed here. 8 MiB and then an end, each way, to a reader that begins at once and to one \
         that begins 500 ms late; 64 MiB that a target sends and closes, to a reader that takes 1 ms over \
         each part; and what each end learns when the other one, or the relay, is gone in the middle. \
         \"Whole\" is every byte and then an end; a cut that looks like an end is a message that counts as \
         whole and isn't. Wisp can't end one direction, nor can a WebSocket of websockify's: there the client \
         closes behind its last byte.",
    );
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let mut columns = vec![];
    for kind in Kind::ALL {
        eprintln!("  {}", kind.name());
        columns.push(runtime.block_on(play(kind, peers))?);
    }
    let head = std::iter::once("").chain(Kind::ALL.into_iter().map(Kind::name));
    let rows: Vec<Vec<String>> = CASES
        .iter()
        .enumerate()
        .map(|(index, name)| {
            let cells = columns.iter().map(|column| column[index].clone());
            std::iter::once((*name).to_owned()).chain(cells).collect()
        })
        .collect();
    report.table(&head.collect::<Vec<_>>(), &rows);
    Ok(())
}

const CASES: [&str; 8] = [
    "8 MiB down, end",
    "8 MiB down, end; reader late",
    "8 MiB up, end",
    "8 MiB up, end; reader late",
    "64 MiB down, close; reader slow",
    "target resets after 1 MiB: the client sees",
    "client goes after 1 MiB: the target sees",
    "relay is killed after 1 MiB: the target sees",
];

async fn play(kind: Kind, peers: &Peers) -> Result<Vec<String>> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let target = listener.local_addr()?.port();
    let server = Server::start(kind, peers, &[target]).await?;
    // The plain proxy has connected when it was looked at whether it is there.
    while timeout(LATE, listener.accept()).await.is_ok() {}
    let mut cells = Vec::with_capacity(CASES.len());
    for late in [Duration::ZERO, LATE] {
        let seen = down(&server, &listener, SENT, late, Duration::ZERO).await?;
        cells.push(seen.of(SENT));
    }
    for late in [Duration::ZERO, LATE] {
        cells.push(up(&server, &listener, late).await?.of(SENT));
    }
    let seen = down(&server, &listener, MUCH, Duration::ZERO, SLOWLY).await?;
    cells.push(seen.of(MUCH));
    cells.push(target_cuts(&server, &listener).await?.how.to_string());
    cells.push(client_goes(&server, &listener).await?.how.to_string());
    cells.push(relay_is_killed(server, &listener).await?.how.to_string());
    Ok(cells)
}

/// What a reader got, and how it ended for them.
struct Seen {
    bytes: usize,
    how: How,
}

enum How {
    End,
    Cut,
    Nothing,
}

impl Seen {
    fn of(&self, sent: usize) -> String {
        let mib = |bytes: usize| bytes as f64 / MIB as f64;
        match self.how {
            How::End if self.bytes == sent => "whole".into(),
            ref how => format!("{:.1} of {:.0} MiB, {how}", mib(self.bytes), mib(sent)),
        }
    }
}

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::End => "an end",
            Self::Cut => "a cut",
            Self::Nothing => "nothing, and waits",
        })
    }
}

/// One connection from a client to the target, both ends.
async fn open(
    server: &Server,
    listener: &TcpListener,
) -> Result<(Dialect, super::dialect::Sender, Receiver, TcpStream)> {
    let target = listener.local_addr()?.port();
    let mut dialect = server.dial().await?;
    let (sender, receiver) = dialect.connect(target).await?;
    let (stream, _) = listener.accept().await?;
    Ok((dialect, sender, receiver, stream))
}

async fn down(
    server: &Server,
    listener: &TcpListener,
    count: usize,
    late: Duration,
    slowly: Duration,
) -> Result<Seen> {
    let (_dialect, _sender, mut receiver, mut stream) = open(server, listener).await?;
    tokio::spawn(async move {
        let part = vec![7; 64 * 1024];
        for _ in 0..count / part.len() {
            stream.write_all(&part).await?;
        }
        stream.shutdown().await?;
        // Until the client has ended too.
        let _ = stream.read(&mut [0]).await;
        anyhow::Ok(())
    });
    sleep(late).await;
    Ok(read(&mut receiver, slowly).await)
}

/// What comes to a client.
async fn read(receiver: &mut Receiver, slowly: Duration) -> Seen {
    let mut bytes = 0;
    loop {
        let how = match timeout(PATIENCE, receiver.part()).await {
            Ok(Part::Bytes(count)) => {
                bytes += count;
                sleep(slowly).await;
                continue;
            }
            Ok(Part::End) => How::End,
            Ok(Part::Cut) => How::Cut,
            Err(_) => How::Nothing,
        };
        return Seen { bytes, how };
    }
}

async fn up(server: &Server, listener: &TcpListener, late: Duration) -> Result<Seen> {
    let (_dialect, mut sender, mut receiver, stream) = open(server, listener).await?;
    let sending = tokio::spawn(async move {
        let part = vec![7; 32 * 1024];
        for _ in 0..SENT / part.len() {
            sender.send(&part).await?;
        }
        sender.end().await?;
        // A client that waits for what the target still says.
        let _ = receiver.part().await;
        anyhow::Ok(sender)
    });
    sleep(late).await;
    let seen = hear(stream).await;
    sending.abort();
    Ok(seen)
}

/// What comes to a target.
async fn hear(mut stream: TcpStream) -> Seen {
    let mut bytes = 0;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let how = match timeout(PATIENCE, stream.read(&mut buffer)).await {
            Ok(Ok(0)) => How::End,
            Ok(Ok(count)) => {
                bytes += count;
                continue;
            }
            Ok(Err(_)) => How::Cut,
            Err(_) => How::Nothing,
        };
        return Seen { bytes, how };
    }
}

async fn target_cuts(server: &Server, listener: &TcpListener) -> Result<Seen> {
    let (_dialect, _sender, mut receiver, mut stream) = open(server, listener).await?;
    stream.write_all(&vec![7; BEFORE_CUT]).await?;
    let mut bytes = 0;
    while bytes < BEFORE_CUT {
        match timeout(PATIENCE, receiver.part()).await {
            Ok(Part::Bytes(count)) => bytes += count,
            _ => break,
        }
    }
    stream.set_zero_linger()?;
    drop(stream);
    Ok(read(&mut receiver, Duration::ZERO).await)
}

/// A client that has begun, and a target that has heard it.
async fn begun(
    server: &Server,
    listener: &TcpListener,
) -> Result<(Dialect, super::dialect::Sender, Receiver, TcpStream)> {
    let (dialect, mut sender, receiver, mut stream) = open(server, listener).await?;
    for _ in 0..BEFORE_CUT / (32 * 1024) {
        sender.send(&[7; 32 * 1024]).await?;
    }
    stream.read_exact(&mut vec![0; BEFORE_CUT]).await?;
    Ok((dialect, sender, receiver, stream))
}

async fn client_goes(server: &Server, listener: &TcpListener) -> Result<Seen> {
    let (dialect, sender, receiver, stream) = begun(server, listener).await?;
    drop((sender, receiver, dialect));
    Ok(hear(stream).await)
}

async fn relay_is_killed(server: Server, listener: &TcpListener) -> Result<Seen> {
    let (_dialect, _sender, _receiver, stream) = begun(&server, listener).await?;
    drop(server);
    Ok(hear(stream).await)
}
