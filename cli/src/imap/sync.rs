//! `jackfield imap sync`: brings a Maildir up to date with a mailbox.
//!
//! The flags of all messages are asked for, and compared with the copy; then the messages are read that
//! are missing there. What was read is in the copy at once, so that a command that is stopped has lost
//! nothing but the message it was at.

use std::io::IsTerminal;
use std::time::{Duration, SystemTime};

use jackfield_imap::RequestError;
use jackfield_imap::client::{Body, Client};
use jackfield_imap::codec::{DateTime, Item, MailboxName, Messages, Query, Section, SequenceSet};
use jackfield_socket::time::{self, Instant};
use jackfield_socket::{Error, ErrorKind};

use super::args::SyncArgs;
use super::fetch::each_piece;
use super::maildir::{Flags, Maildir};
use super::{Asked, Server, Stopped, examine};
use crate::failure::{Failure, Step};
use crate::output::{one_line, tell};

/// How often it is told how far it is.
const TELLING: Duration = Duration::from_secs(1);
/// How long the set of messages in one search may be, in bytes, which all servers but few take.
const MAX_SET: usize = 7_500;

/// A message that the copy has not.
struct Missing {
    uid: u32,
    flags: Flags,
    arrived: Option<DateTime>,
}

pub(super) async fn run(args: &SyncArgs, server: &Server, client: &Client) -> Result<(), Stopped> {
    let mailbox = examine(&args.mailbox, client).await?;
    let name = mailbox.name;
    let step = format!("opening the copy in {}", args.directory.display());
    let Some(validity) = mailbox.uid_validity else {
        let text = "the server has no UIDs that last, by which messages could be known again";
        let error = Error::new(ErrorKind::Unsupported, text);
        return Err(Failure::new(step, error).into());
    };
    // Names of mailboxes and users may be anything.
    let owner = format!("{name} of {} at {}", server.user(), server.endpoint);
    let mut copy = Maildir::open(&args.directory, &one_line(&owner), validity).step(&step)?;
    let stale = copy.remove_stale().step(&step)?;
    if stale > 0 {
        tell("jackfield: the server has given all messages other UIDs: all are read anew");
    }
    let (missing, changed, gone) = compare(client, &name, &mut copy).await?;
    let mut progress = Progress {
        is_told: args.mailbox.mail.verbose || std::io::stderr().is_terminal(),
        of: missing.len(),
        last: time::now(),
    };
    let read = read(client, &name, &copy, missing, &mut progress).await?;
    progress.end(read, changed, gone + stale);
    Ok(())
}

/// Compares the copy with the mailbox: gives messages their flags, and removes those that are gone. What
/// is missing, and how many were changed and removed.
async fn compare(
    client: &Client,
    name: &MailboxName,
    copy: &mut Maildir,
) -> Result<(Vec<Missing>, usize, usize), Stopped> {
    let step = || format!("comparing {name}");
    let all = Messages::Uids(SequenceSet::everything());
    let told = client.fetch(all, [Item::Flags, Item::InternalDate]).await;
    let mut told = told.asked(step)?;
    let (mut missing, mut there, mut changed) = (Vec::new(), Vec::new(), 0);
    while let Some(message) = told.next().await.asked(step)? {
        let (Some(uid), Some(flags)) = (message.uid, message.flags) else {
            continue;
        };
        let flags = Flags::of(&flags);
        there.push(uid);
        if copy.has(uid) {
            changed += usize::from(copy.set_flags(uid, flags).step(step())?);
        } else {
            missing.push(Missing {
                uid,
                flags,
                arrived: message.internal_date,
            });
        }
    }
    there.sort_unstable();
    // A server may tell of a message twice; what it has said last is right.
    missing.reverse();
    missing.sort_by_key(|message| message.uid);
    missing.dedup_by_key(|message| message.uid);
    let gone = copy.uids().filter(|uid| there.binary_search(uid).is_err());
    let mut gone: Vec<u32> = gone.collect();
    if let Some(set) = SequenceSet::of(gone.iter().copied()) {
        // Servers may leave messages out: only what they say is gone, is.
        let mut found = Vec::new();
        for set in set.split(MAX_SET) {
            let query = Query::new().among(Messages::Uids(set));
            found.extend(client.search(query).await.asked(step)?);
        }
        found.sort_unstable();
        gone.retain(|uid| found.binary_search(uid).is_err());
    }
    for uid in &gone {
        copy.remove(*uid).step(step())?;
    }
    Ok((missing, changed, gone.len()))
}

/// Reads the messages that are missing; how many it were.
async fn read(
    client: &Client,
    name: &MailboxName,
    copy: &Maildir,
    missing: Vec<Missing>,
    progress: &mut Progress,
) -> Result<usize, Stopped> {
    let mut count = 0;
    let mut missing = missing.into_iter();
    let begin = async |message: Option<Missing>| match message {
        Some(message) => Some((client.read(message.uid, Section::all()).await, message)),
        None => None,
    };
    let mut next = begin(missing.next()).await;
    while let Some((body, message)) = next {
        let step = || format!("fetching message {} of {name}", message.uid);
        let write = async {
            match body {
                Ok(body) => write(copy, &message, body, &step).await.map(|()| true),
                // It has gone meanwhile.
                Err(RequestError::NoSuchMessage) => Ok(false),
                Err(error) => Err(error).asked(step),
            }
        };
        // The next one is asked for already, so that nothing waits for its way.
        let (written, following) = tokio::join!(write, begin(missing.next()));
        count += usize::from(written?);
        progress.tell(count);
        next = following;
    }
    Ok(count)
}

async fn write(
    copy: &Maildir,
    message: &Missing,
    body: Body,
    step: &impl Fn() -> String,
) -> Result<(), Stopped> {
    let mut file = copy.create(message.uid, message.flags).step(step())?;
    let mut lines = Lines::default();
    let mut out = Vec::new();
    each_piece(body, step, async |piece| {
        out.clear();
        lines.push(piece, &mut out);
        file.write(&out).step(step())
    })
    .await?;
    if lines.is_after_cr {
        file.write(b"\r").step(step())?;
    }
    if let Some(time) = message.arrived.and_then(time_of) {
        file.set_time(time).step(step())?;
    }
    Ok(file.finish().step(step())?)
}

fn time_of(arrived: DateTime) -> Option<SystemTime> {
    let seconds = u64::try_from(arrived.unix_seconds()).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

/// Makes LF of CR LF: files in a Maildir have the line ends of files.
#[derive(Default)]
struct Lines {
    is_after_cr: bool,
}

impl Lines {
    fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        for &byte in bytes {
            if self.is_after_cr && byte != b'\n' {
                out.push(b'\r');
            }
            self.is_after_cr = byte == b'\r';
            if !self.is_after_cr {
                out.push(byte);
            }
        }
    }
}

/// How far it is, told from time to time.
struct Progress {
    is_told: bool,
    of: usize,
    last: Instant,
}

impl Progress {
    fn tell(&mut self, count: usize) {
        if self.is_told && self.last.elapsed() >= TELLING {
            self.last = time::now();
            tell(format_args!("jackfield: {count} of {} messages", self.of));
        }
    }

    fn end(&self, read: usize, changed: usize, gone: usize) {
        if self.is_told {
            tell(format_args!(
                "jackfield: {read} new, {changed} with other flags, {gone} gone"
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_as_in_files() {
        for (text, expected) in [
            ("a\r\nb\r\n", "a\nb\n"),
            ("a\rb\n\r\r\n", "a\rb\n\r\n"),
            ("", ""),
        ] {
            for size in 1..4 {
                let (mut lines, mut out) = (Lines::default(), Vec::new());
                for piece in text.as_bytes().chunks(size) {
                    lines.push(piece, &mut out);
                }
                assert_eq!(out, expected.as_bytes(), "{text:?}");
            }
        }
    }
}
