//! Arguments of `jackfield imap`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args as ClapArgs, Subcommand};
use jackfield_imap::codec::{Flag, Section, SequenceSet};

use super::criteria;
use crate::args::seconds;
use crate::mail::Address;
use crate::mail::args::MailArgs;

#[derive(Debug, Subcommand)]
pub(crate) enum ImapCommand {
    /// Lists the mailboxes: of each its name, how many messages are in it, how many of them were not
    /// seen, and what it is for, with tabs between
    List(ListArgs),
    /// Searches a mailbox: writes the UIDs of the messages that were found, a line each
    #[command(after_help = criteria::HELP)]
    Search(SearchArgs),
    /// Fetches messages, or parts of them, as they are; they do not count as seen by it
    Fetch(FetchArgs),
    /// Puts a message into a mailbox, and writes its UID, where the server tells it
    Append(AppendArgs),
    /// Writes a line for each thing that happens in a mailbox: "new UID", "gone UID", or "flags UID"
    /// and the flags
    Watch(WatchArgs),
    /// Brings a Maildir up to date with a mailbox, which stays as it is: what the server has is there
    /// then, and nothing else of it. Stopped, it goes on where it was
    Sync(SyncArgs),
}

/// Which mailbox, and how to get there.
#[derive(Debug, ClapArgs)]
pub(crate) struct MailboxArgs {
    /// The mailbox: imaps://USER@HOST/MAILBOX, with :PORT where it is not the usual one; imap:// begins
    /// in plaintext, and asks for TLS. Default: INBOX
    #[arg(value_parser = Address::imap)]
    pub(crate) address: Address,
    #[command(flatten)]
    pub(crate) mail: MailArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ListArgs {
    /// The server: imaps://USER@HOST, with :PORT where it is not the usual one; imap:// begins in
    /// plaintext, and asks for TLS
    #[arg(value_parser = Address::imap)]
    pub(crate) address: Address,
    /// Which: * stands for anything, % for anything within a level
    #[arg(default_value = "*")]
    pub(crate) pattern: String,
    /// Only those that are subscribed to
    #[arg(short, long)]
    pub(crate) subscribed: bool,
    #[command(flatten)]
    pub(crate) mail: MailArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct SearchArgs {
    #[command(flatten)]
    pub(crate) mailbox: MailboxArgs,
    /// What must be true of a message; see below
    #[arg(value_name = "CRITERION")]
    pub(crate) criteria: Vec<String>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct FetchArgs {
    #[command(flatten)]
    pub(crate) mailbox: MailboxArgs,
    /// The messages by their UIDs, such as 17, 3:5,9, or 20:* for all from 20 on
    pub(crate) uids: SequenceSet,
    /// Writes to this file, and not to standard output
    #[arg(short, long, value_name = "FILE", conflicts_with = "directory")]
    pub(crate) output: Option<PathBuf>,
    /// Writes each message to a file here, UID.eml, which is there when it is whole
    #[arg(short, long, value_name = "DIRECTORY")]
    pub(crate) directory: Option<PathBuf>,
    /// Only this part, by the numbers that lead to it, such as 1.2: its body, encoded as it is
    #[arg(long, value_name = "NUMBERS", value_parser = part)]
    pub(crate) part: Option<Section>,
    /// Only the header
    #[arg(long, conflicts_with = "part")]
    pub(crate) header: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct AppendArgs {
    #[command(flatten)]
    pub(crate) mailbox: MailboxArgs,
    /// The file with the message; - is standard input
    #[arg(default_value = "-")]
    pub(crate) file: PathBuf,
    /// A flag that it gets, such as \\Seen or $Junk; may be given several times
    #[arg(short, long)]
    pub(crate) flag: Vec<Flag>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct WatchArgs {
    #[command(flatten)]
    pub(crate) mailbox: MailboxArgs,
    /// Ends after so many lines
    #[arg(short = 'C', long, value_name = "COUNT")]
    pub(crate) count: Option<u64>,
    /// Ends after so many seconds
    #[arg(short = 's', long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) duration: Option<Duration>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct SyncArgs {
    #[command(flatten)]
    pub(crate) mailbox: MailboxArgs,
    /// The Maildir, which is made where it is missing; it is a copy of this mailbox and of no other
    pub(crate) directory: PathBuf,
}

fn part(text: &str) -> Result<Section, String> {
    let numbers: Result<Vec<u32>, _> = text.split('.').map(str::parse).collect();
    let section = numbers.ok().and_then(|numbers| Section::part(numbers).ok());
    section.ok_or_else(|| "expected numbers from 1 on, such as 1.2".into())
}

impl ImapCommand {
    /// Where it goes, and how.
    pub(crate) fn server(&self) -> (&Address, &MailArgs) {
        match self {
            Self::List(args) => (&args.address, &args.mail),
            Self::Search(args) => args.mailbox.server(),
            Self::Fetch(args) => args.mailbox.server(),
            Self::Append(args) => args.mailbox.server(),
            Self::Watch(args) => args.mailbox.server(),
            Self::Sync(args) => args.mailbox.server(),
        }
    }
}

impl MailboxArgs {
    pub(crate) fn server(&self) -> (&Address, &MailArgs) {
        (&self.address, &self.mail)
    }
}
