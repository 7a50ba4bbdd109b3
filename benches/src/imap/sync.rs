//! Bringing a mailbox up to date, by each client in turn: all of it, and what has changed.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use futures_util::TryStreamExt as _;
use jackfield_imap::client::{self, ClientConfig};
use jackfield_imap::codec::{Extension, Item, MailboxName};
use jackfield_imap::core::{Change, Credentials, Security, SyncState};
use jackfield_native::Native;
use jackfield_testing::certs::Authority;
use jackfield_testing::dovecot::{Dovecot, PASSWORD};
use jackfield_testing::runtimes;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

use super::server::{Changes, Mailbox, Talk};
use crate::cores::{self, CLIENT, SERVER};
use crate::report::Report;
use crate::stats::{Ratio, median};
use crate::{Peers, delay};

const SIZES: [usize; 2] = [20_000, 50_000];
const RUNS: usize = 5;
/// Over such a line, what is waited for can be told from what is worked.
const ROUND_TRIP: Duration = Duration::from_millis(100);
const ITEMS: &str = "(UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE)";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Client {
    Jackfield,
    AsyncImap,
    ImapFlow,
    ImapLib,
    Mbsync,
    Socket,
}

impl Client {
    /// Ours first: the ratios count on it.
    const ALL: [Self; 6] = [
        Self::Jackfield,
        Self::AsyncImap,
        Self::ImapFlow,
        Self::ImapLib,
        Self::Mbsync,
        Self::Socket,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Jackfield => "jackfield-imap",
            Self::AsyncImap => "async-imap 0.12.0",
            Self::ImapFlow => "imapflow 2.10.2",
            Self::ImapLib => "imaplib",
            Self::Mbsync => "mbsync",
            Self::Socket => "a socket alone",
        }
    }
}

/// What a run came to.
struct Run {
    seconds: f64,
    changes: Changes,
}

/// What the clients work with.
struct Bench<'a> {
    runtime: Runtime,
    peers: &'a Peers,
    mailbox: Mailbox,
    /// What ours knows after it has read all.
    state: SyncState,
    /// Where mbsync has its copies; the first is made by reading all.
    folder: PathBuf,
    copies: usize,
}

pub(crate) fn run(peers: &Peers, report: &mut Report) -> Result<()> {
    let mbsync = Command::new("mbsync").arg("--version").output()?;
    let mbsync = String::from_utf8(mbsync.stdout)?;
    report.heading(
        "Bringing a mailbox up to date",
        &format!(
            "UID, flags, date, size and envelope of 20,000 and 50,000 messages, from Dovecot 2.3 over \
             loopback TCP without TLS; and what is new after a change of 1 % (half of it flags, a \
             quarter messages that are gone, a quarter new ones): from connecting to the last message, \
             log-in included. The server has all envelopes in its cache. jackfield-imap asks for 5,000 \
             messages at a time, the newest first, the others for all at once. jackfield-imap and \
             imapflow use QRESYNC as they do by themselves, imaplib is told to; with async-imap, which \
             has no QRESYNC, it is one FETCH with CHANGEDSINCE and one SEARCH. imaplib, of Python, \
             parses nothing; {} has no CONDSTORE, and reads whole messages (of half a kilobyte) and \
             writes them to a Maildir in memory, so that it does more; a socket alone reads the lines of \
             the same answer and throws them away: it is what the server takes. Round trips are counted \
             over a line of 100 ms, log-in included. Median of 5 runs, alternating, on cores that are \
             kept awake, the server on one and the client on the other. Aim: fastest, and the change in \
             at most 3 round trips.",
            mbsync.trim(),
        ),
    );
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let awake = cores::keep()?;
    awake.run_on(SERVER)?;
    let certificate = Authority::new().server(&["localhost"]);
    let server = runtime.block_on(Dovecot::start(&certificate, "plain"))?;
    awake.run_on(CLIENT)?;
    let at = server.plain();
    let far = delay::line(at, ROUND_TRIP)?;

    let folder = std::env::temp_dir().join(format!("jackfield-bench-{}", std::process::id()));
    let mut bench = Bench {
        runtime,
        peers,
        mailbox: Mailbox::make(at, SIZES[0])?,
        state: SyncState::new(),
        folder,
        copies: 0,
    };
    let mut rows = vec![Vec::new(); Client::ALL.len()];
    for (row, client) in rows.iter_mut().zip(Client::ALL) {
        row.push(client.name().to_owned());
    }
    let mut trips = String::new();
    for size in SIZES {
        if size != bench.mailbox.messages {
            bench.mailbox = Mailbox::make(at, size)?;
        }
        let outcome = bench.measure(at, far, &mut rows);
        // What mbsync has written is of no more use.
        let removed = fs::remove_dir_all(&bench.folder);
        trips.push_str(&outcome?);
        removed?;
    }
    report.table(
        &[
            "",
            "20,000",
            "time over ours",
            "1 % of them",
            "time over ours",
            "round trips",
            "50,000",
            "time over ours",
            "1 % of them",
            "time over ours",
            "round trips",
        ],
        &rows,
    );
    report.append(&trips);
    Ok(())
}

impl Bench<'_> {
    /// Appends the cells of a mailbox; tells what the synchronisation itself takes.
    fn measure(
        &mut self,
        at: SocketAddr,
        far: SocketAddr,
        rows: &mut [Vec<String>],
    ) -> Result<String> {
        let size = self.mailbox.messages;
        self.copies = 0;
        self.state = SyncState::new();
        let all = Changes {
            flags: 0,
            new: size,
            gone: 0,
        };
        let cold = self.runs(at, RUNS, all, false)?;
        let changes = self.mailbox.change(at)?;
        let changed = self.runs(at, RUNS, changes, true)?;
        let distant = self.runs(far, 1, changes, true)?;
        for (index, row) in rows.iter_mut().enumerate() {
            for times in [&cold, &changed] {
                row.push(format!("{:.0} ms", median(times[index].clone()) * 1000.0));
                row.push(Ratio::of(&times[index], &times[0]).to_string());
            }
            let waited = distant[index][0] - median(changed[index].clone());
            row.push(format!("{:.1}", waited / ROUND_TRIP.as_secs_f64()));
        }
        let [near, far] = [at, far].map(|at| {
            let state = self.state.clone();
            let run = ours(at, &self.mailbox.user, state, true);
            self.runtime.block_on(run).map(|(run, _)| run.seconds)
        });
        let waited = (far? - near?) / ROUND_TRIP.as_secs_f64();
        Ok(format!(
            "\nOf {size} messages, jackfield-imap's change on a connection that stands: {waited:.1} round trips.\n"
        ))
    }

    /// The seconds of each run, a client each.
    fn runs(
        &mut self,
        at: SocketAddr,
        count: usize,
        expected: Changes,
        is_change: bool,
    ) -> Result<Vec<Vec<f64>>> {
        let mut times = vec![Vec::new(); Client::ALL.len()];
        for _ in 0..count {
            for (times, client) in times.iter_mut().zip(Client::ALL) {
                let run = self.client(client, at, is_change);
                let run = run.with_context(|| client.name())?;
                let is_right = run.changes == expected;
                ensure!(
                    is_right,
                    "{}: {:?}, not {expected:?}",
                    client.name(),
                    run.changes
                );
                times.push(run.seconds);
            }
        }
        Ok(times)
    }

    fn client(&mut self, client: Client, at: SocketAddr, is_change: bool) -> Result<Run> {
        let user = &self.mailbox.user;
        let known = is_change.then_some(&self.mailbox);
        match client {
            Client::Jackfield => {
                let state = if is_change {
                    self.state.clone()
                } else {
                    SyncState::new()
                };
                let (run, state) = self.runtime.block_on(ours(at, user, state, false))?;
                if !is_change {
                    self.state = state;
                }
                Ok(run)
            }
            Client::AsyncImap => self.runtime.block_on(async_imap(at, user, known)),
            Client::ImapFlow => {
                let mut command = Command::new("node");
                // A source given this way finds its packages from the current folder.
                command
                    .args([
                        "--input-type=module",
                        "--eval",
                        include_str!("imapflow.mjs"),
                    ])
                    .args([&at.port().to_string(), user, PASSWORD])
                    .current_dir(&self.peers.npm);
                if let Some(known) = known {
                    command.arg(known.uid_validity.to_string());
                    command.arg(known.modseq.to_string());
                    command.arg((known.messages + 1).to_string());
                }
                script(command)
            }
            Client::ImapLib => {
                let mut command = runtimes::python(include_str!("imaplib.py"))?;
                command.args([&at.port().to_string(), user, PASSWORD]);
                if let Some(known) = known {
                    command.arg(known.modseq.to_string());
                    command.arg((known.messages + 1).to_string());
                }
                script(command)
            }
            Client::Mbsync => self.mbsync(at, is_change),
            Client::Socket => socket(at, user, known),
        }
    }

    fn mbsync(&mut self, at: SocketAddr, is_change: bool) -> Result<Run> {
        let first = self.folder.join("0");
        let copy = self.folder.join(self.copies.to_string());
        self.copies += 1;
        fs::create_dir_all(&self.folder)?;
        if is_change {
            let status = Command::new("cp")
                .arg("-a")
                .args([&first, &copy])
                .status()?;
            ensure!(status.success(), "cp ended with {status}");
        } else {
            fs::create_dir_all(&copy)?;
        }
        let config = copy.join("mbsyncrc");
        let text = format!(
            "FSync no\n\n\
             IMAPAccount server\nHost {}\nPort {}\nUser {}\nPass {PASSWORD}\nSSLType None\n\
             AuthMechs LOGIN\n\n\
             IMAPStore far\nAccount server\n\n\
             MaildirStore near\nInbox {copy}/inbox\nPath {copy}/\n\n\
             Channel all\nFar :far:\nNear :near:\nCreate Near\nSync Pull\nExpunge Near\nSyncState *\n",
            at.ip(),
            at.port(),
            self.mailbox.user,
            copy = copy.display(),
        );
        fs::write(&config, text)?;
        let mut command = Command::new("mbsync");
        command.arg("-q").arg("-c").arg(&config).arg("all");
        let start = Instant::now();
        let status = command.stdin(Stdio::null()).status()?;
        let seconds = start.elapsed().as_secs_f64();
        ensure!(status.success(), "it ended with {status}");

        // What it did stands in the names of the files.
        let size = self.mailbox.messages;
        let names = names(&copy.join("inbox"))?;
        let new = names.iter().filter(|name| uid(name) > Some(size)).count();
        let flags = names
            .iter()
            .filter(|name| {
                name.rsplit(',')
                    .next()
                    .is_some_and(|flags| flags.contains('F'))
            })
            .count();
        let changes = if is_change {
            Changes {
                flags,
                new,
                gone: size + new - names.len(),
            }
        } else {
            Changes {
                flags,
                new: names.len(),
                gone: 0,
            }
        };
        if copy != first {
            fs::remove_dir_all(copy)?;
        }
        Ok(Run { seconds, changes })
    }
}

/// The names of a Maildir's messages.
fn names(maildir: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for folder in ["cur", "new"] {
        for entry in fs::read_dir(maildir.join(folder))? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
    }
    Ok(names)
}

/// The UID in the name of a file, as mbsync writes it; it numbers them itself, in the server's order.
fn uid(name: &str) -> Option<usize> {
    let behind = name.split_once(",U=")?.1;
    behind.split([':', ',']).next()?.parse().ok()
}

/// Brings a copy up to date of which so much is known.
async fn ours(
    at: SocketAddr,
    user: &str,
    state: SyncState,
    logs_in_before: bool,
) -> Result<(Run, SyncState)> {
    let mut config = ClientConfig::new(Credentials::password(user, PASSWORD)?);
    config.session.security = Security::Plaintext;
    config.session.password_in_the_clear = true;
    config.session.extensions = vec![Extension::QResync];
    let mut start = Instant::now();
    let (client, events, connection) = client::connect(Native, at.into(), config);
    // Nobody asks for them.
    drop(events);
    let connection = tokio::spawn(connection);
    if logs_in_before {
        client.noop().await?;
        start = Instant::now();
    }
    let items = [Item::InternalDate, Item::Size, Item::Envelope];
    let mut sync = client.sync(MailboxName::inbox(), state, items);
    let mut messages = Vec::new();
    let (mut flags, mut gone) = (0, 0);
    while let Some(change) = sync.next().await? {
        match change {
            Change::New(message) => messages.push(message),
            Change::Flags { .. } => flags += 1,
            Change::Gone(uids) => gone += uids.iter().count(),
            _ => {}
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    let changes = Changes {
        flags,
        new: messages.len(),
        gone,
    };
    let state = sync.into_state();
    client.close().await;
    connection.await??;
    Ok((Run { seconds, changes }, state))
}

async fn async_imap(at: SocketAddr, user: &str, known: Option<&Mailbox>) -> Result<Run> {
    let start = Instant::now();
    let stream = TcpStream::connect(at).await?;
    stream.set_nodelay(true)?;
    let mut client = async_imap::Client::new(stream);
    client.read_response().await?.context("no greeting")?;
    let session = client.login(user, PASSWORD).await;
    let mut session = session.map_err(|(error, _)| error)?;
    session.select_condstore("INBOX").await?;
    let items = match known {
        Some(known) => format!("{ITEMS} (CHANGEDSINCE {})", known.modseq),
        None => ITEMS.to_owned(),
    };
    let messages: Vec<_> = session.uid_fetch("1:*", items).await?.try_collect().await?;
    let mut changes = Changes {
        flags: 0,
        new: messages.len(),
        gone: 0,
    };
    if let Some(known) = known {
        let is_new = |uid: &u32| *uid as usize > known.messages;
        let there = session.uid_search("ALL").await?;
        let all = known.messages as u32;
        changes.gone = (1..=all).filter(|uid| !there.contains(uid)).count();
        changes.new = messages
            .iter()
            .filter_map(|it| it.uid.filter(is_new))
            .count();
        changes.flags = messages.len() - changes.new;
    }
    let seconds = start.elapsed().as_secs_f64();
    session.logout().await?;
    Ok(Run { seconds, changes })
}

/// What the server says to those who do best, unread.
fn socket(at: SocketAddr, user: &str, known: Option<&Mailbox>) -> Result<Run> {
    let start = Instant::now();
    let mut talk = Talk::log_in(at, user)?;
    let mut fetched = Vec::new();
    let mut gone = 0;
    let mut take = |line: &str| {
        if line.starts_with("* VANISHED") {
            gone += line.split(' ').next_back().unwrap_or("").split(',').count();
        } else if line.contains(" FETCH (") {
            let uid = line.split_once("UID ").map_or("", |(_, behind)| behind);
            let uid = uid.split([' ', ')']).next().unwrap_or("");
            fetched.extend(uid.parse::<usize>());
        }
    };
    let fetch = format!("UID FETCH 1:* {ITEMS}");
    match known {
        None => {
            talk.read("SELECT INBOX", &mut take)?;
            talk.read(&fetch, &mut take)?;
        }
        Some(known) => {
            talk.read("ENABLE QRESYNC", &mut take)?;
            talk.read("SELECT INBOX", &mut take)?;
            let fetch = format!("{fetch} (CHANGEDSINCE {} VANISHED)", known.modseq);
            talk.read(&fetch, &mut take)?;
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    let first = known.map_or(0, |known| known.messages + 1);
    let new = fetched.iter().filter(|uid| **uid >= first).count();
    let changes = Changes {
        flags: fetched.len() - new,
        new,
        gone,
    };
    Ok(Run { seconds, changes })
}

/// A client in another language, which prints its seconds and three counts.
fn script(mut command: Command) -> Result<Run> {
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(output.status.success(), "it ended with {}", output.status);
    let text = String::from_utf8(output.stdout)?;
    let words: Vec<&str> = text.split_whitespace().collect();
    let [seconds, flags, new, gone] = words[..] else {
        bail!("it printed {text:?}");
    };
    Ok(Run {
        seconds: seconds.parse()?,
        changes: Changes {
            flags: flags.parse()?,
            new: new.parse()?,
            gone: gone.parse()?,
        },
    })
}
