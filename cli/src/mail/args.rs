//! Arguments that `jackfield imap` and `jackfield smtp` share: how to log in, and how to connect.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args as ClapArgs;
use jackfield_tls::Pin;

use crate::args::{BackendArgs, IdentityArgs, seconds};

#[derive(Debug, ClapArgs)]
#[expect(clippy::struct_excessive_bools, reason = "switches of a command line")]
pub(crate) struct MailArgs {
    /// Whom to log in as, in place of the address's user; with the password in JACKFIELD_PASSWORD
    #[arg(short, long, value_name = "NAME")]
    pub(crate) user: Option<String>,
    /// The file with the password, in the place of JACKFIELD_PASSWORD
    #[arg(long, value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,
    /// What stands there is no password, but an OAuth 2.0 token
    #[arg(long)]
    pub(crate) oauth: bool,
    /// Logs in as whom our certificate is for (SASL EXTERNAL)
    #[arg(long, requires = "cert", conflicts_with_all = ["user", "oauth", "password_file"])]
    pub(crate) external: bool,
    /// Without TLS, where the address is no imaps:// or smtps://: anyone on the way can read it
    #[arg(long, conflicts_with_all = ["ca", "pin", "cert", "key"])]
    pub(crate) plain: bool,
    /// Sends the password without TLS, where it can't be proven otherwise: for servers on this machine
    #[arg(long)]
    pub(crate) password_in_the_clear: bool,
    /// The roots to trust, as PEM; default: the system's
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// The server's certificate or key by its SHA-256, in place of roots and name: certificate:HEX,
    /// key:BASE64, or a fingerprint as openssl prints it; may be given several times
    #[arg(long, value_name = "PIN", conflicts_with = "ca")]
    pub(crate) pin: Vec<Pin>,
    #[command(flatten)]
    pub(crate) identity: IdentityArgs,
    /// How long each step may take until the server greets, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub(crate) timeout: Duration,
    /// Says what is being done, and what was found
    #[arg(short, long)]
    pub(crate) verbose: bool,
    #[command(flatten)]
    pub(crate) backend: BackendArgs,
}
