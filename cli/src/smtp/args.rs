//! Arguments of `jackfield smtp`.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};
use jackfield_smtp::codec::{Domain, Text};

use crate::mail::Address;
use crate::mail::args::MailArgs;

#[derive(Debug, Subcommand)]
pub(crate) enum SmtpCommand {
    /// Sends a message: from a file, or made of --subject, --body and --attach. Writes what became of
    /// it for each recipient
    Send(SendArgs),
    /// Connects and logs in, says what the server can do, and sends nothing
    Verify(VerifyArgs),
}

/// Which server, and how to get there.
#[derive(Debug, ClapArgs)]
pub(crate) struct ServerArgs {
    /// The server: smtps://USER@HOST, with :PORT where it is not the usual one; smtp:// begins in
    /// plaintext, and asks for TLS; lmtp:// is LMTP, without TLS. Without a user it does not log in
    #[arg(value_parser = Address::smtp)]
    pub(crate) address: Address,
    /// What it calls itself to the server
    #[arg(long, value_name = "NAME", default_value = "localhost")]
    pub(crate) helo: Domain,
    #[command(flatten)]
    pub(crate) mail: MailArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct SendArgs {
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// The file with the message; - is standard input, and the default
    #[arg(conflicts_with_all = COMPOSING)]
    pub(crate) file: Option<PathBuf>,
    /// Whom it comes from; default: the message's Sender or From. Empty, nobody is told of a failure
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) from: Option<String>,
    /// Whom it goes to, whatever its header says; default: those of To, Cc and Bcc
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) to: Vec<String>,
    /// Makes a message: who is to know of it
    #[arg(help_heading = MESSAGE, long, value_name = "ADDRESS", requires = "from")]
    pub(crate) cc: Vec<String>,
    /// Makes a message: who gets it unseen
    #[arg(help_heading = MESSAGE, long, value_name = "ADDRESS", requires = "from")]
    pub(crate) bcc: Vec<String>,
    /// Makes a message: what it is about
    #[arg(help_heading = MESSAGE, long, value_name = "TEXT", requires = "from")]
    pub(crate) subject: Option<String>,
    /// Makes a message: its text; default: standard input
    #[arg(help_heading = MESSAGE, long, value_name = "TEXT", requires = "from")]
    pub(crate) body: Option<String>,
    /// Makes a message: a file that goes with it; may be given several times
    #[arg(help_heading = MESSAGE, long, value_name = "FILE", requires = "from")]
    pub(crate) attach: Vec<PathBuf>,
}

/// What help says above the switches that make a message.
const MESSAGE: &str = "A message that is made here";
const COMPOSING: [&str; 5] = ["cc", "bcc", "subject", "body", "attach"];

#[derive(Debug, ClapArgs)]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// Asks whether there is such a mailbox (VRFY), which most servers don't tell; may be given several
    /// times
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) vrfy: Vec<Text>,
}

impl SmtpCommand {
    pub(crate) fn server(&self) -> &ServerArgs {
        match self {
            Self::Send(args) => &args.server,
            Self::Verify(args) => &args.server,
        }
    }
}

impl SendArgs {
    /// Whether a message is made of the arguments.
    pub(crate) fn composes(&self) -> bool {
        self.subject.is_some()
            || self.body.is_some()
            || !self.attach.is_empty()
            || !self.cc.is_empty()
            || !self.bcc.is_empty()
    }
}
