//! Arguments of `jackfield`: what can be asked for on the command line.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use jackfield_irc::codec::{ChannelName, Nickname, Text, Word};
use jackfield_socket::Host;
use jackfield_tls::Pin;

use crate::coap::args::CoapCommand;
use crate::imap::args::ImapCommand;
use crate::mqtt::args::MqttCommand;
use crate::smtp::args::SmtpCommand;

/// Speaks to TCP, UDP and TLS servers, and IRC, MQTT, CoAP and mail with those that know it: on the
/// system's own sockets or, with --relay, through a relay.
#[derive(Debug, Parser)]
#[command(name = "jackfield", version, after_help = EXIT_CODES)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
    0  everything was sent and received, and the other side ended in order
    1  something else failed
    2  the command line is wrong
    3  the host has no address
    4  no connection: refused, unreachable, or it took too long
    5  the certificate was not accepted, or what was spoken is not TLS
    6  it is forbidden: by the relay's policy, the system's rights, or the server's login
    7  the connection was cut
    8  a message was taken for some of its recipients, and not for others
    9  whether a message was taken is not known: sent again, it may arrive twice
  129  its terminal was closed (SIGHUP), and it said good-bye
  130  Ctrl-C (SIGINT), and it said good-bye
  141  whatever read its output has ended, and it said good-bye
  143  it was to end (SIGTERM), and it said good-bye";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Connects: sends standard input there, and writes what comes back to standard output
    Nc(NcArgs),
    /// Listens: says where, waits for someone to connect, and then does as nc
    Listen(ListenArgs),
    /// Chats on IRC: writes a line for each thing that happens; type /help for what can be typed
    Irc(IrcArgs),
    /// Publishes and subscribes over MQTT, as mosquitto_pub and mosquitto_sub do
    #[command(subcommand)]
    Mqtt(Box<MqttCommand>),
    /// Asks CoAP servers for resources, as coap-client does
    #[command(subcommand)]
    Coap(Box<CoapCommand>),
    /// Reads a mailbox: lists, searches, fetches, watches, appends, and copies it to a Maildir
    #[command(subcommand)]
    Imap(Box<ImapCommand>),
    /// Sends mail, and says what became of it for each recipient
    #[command(subcommand)]
    Smtp(Box<SmtpCommand>),
    /// Writes what a shell needs to complete these commands; docs/cli.md says where it goes
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Writes a manual page, or all of them into a directory
    Man {
        /// Where a page for each command goes; default: that of jackfield, to standard output
        directory: Option<PathBuf>,
    },
}

#[derive(Debug, ClapArgs)]
pub(crate) struct NcArgs {
    /// The server: a name, or an address
    pub(crate) host: Host,
    /// Its port
    pub(crate) port: u16,
    #[command(flatten)]
    pub(crate) backend: BackendArgs,
    #[command(flatten)]
    pub(crate) tls: ClientTlsArgs,
    /// UDP: sends each line of input as a datagram; ends when the input has ended and nothing came
    /// for 1 s
    #[arg(long, conflicts_with_all = ["tls", "starttls"])]
    pub(crate) udp: bool,
    /// How long each step may take until the stream is open, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub(crate) timeout: Duration,
    /// Says what is being done, and what was found
    #[arg(short, long)]
    pub(crate) verbose: bool,
}

#[derive(Debug, ClapArgs)]
#[expect(clippy::struct_excessive_bools, reason = "switches of a command line")]
pub(crate) struct ListenArgs {
    /// Where: an address and a port, or a port of 127.0.0.1; port 0 takes a free one
    #[arg(value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0", value_parser = local)]
    pub(crate) at: SocketAddr,
    #[command(flatten)]
    pub(crate) backend: BackendArgs,
    /// Speaks TLS; needs --cert and --key
    #[arg(long, requires = "cert")]
    pub(crate) tls: bool,
    #[command(flatten)]
    pub(crate) identity: IdentityArgs,
    /// With TLS: the application protocols that are spoken, the best first
    #[arg(long, value_name = "PROTOCOL", requires = "tls", value_delimiter = ',')]
    pub(crate) alpn: Vec<String>,
    /// UDP: each line of input goes to whoever was heard last; ends with Ctrl-C
    #[arg(long, conflicts_with = "tls")]
    pub(crate) udp: bool,
    /// Takes one connection after the other, instead of the first only; ends with Ctrl-C
    #[arg(long, conflicts_with = "udp")]
    pub(crate) keep: bool,
    /// How long a TLS handshake may take, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub(crate) timeout: Duration,
    /// Says what is being done, and what was found
    #[arg(short, long)]
    pub(crate) verbose: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct IrcArgs {
    /// The server
    pub(crate) host: Host,
    /// Its port; default: 6697, or 6667 with --plain
    pub(crate) port: Option<u16>,
    /// The nickname
    #[arg(long, value_name = "NAME")]
    pub(crate) nick: Nickname,
    /// The channels to enter
    #[arg(long, value_name = "CHANNEL", value_delimiter = ',')]
    pub(crate) join: Vec<ChannelName>,
    /// The user name, which stands before the host's; default: the nickname
    #[arg(long, value_name = "NAME")]
    pub(crate) user: Option<Word>,
    /// The real name, which anyone can ask for; default: the nickname
    #[arg(long, value_name = "TEXT")]
    pub(crate) real_name: Option<Text>,
    /// The account to log in to, with the password in JACKFIELD_PASSWORD
    #[arg(long, value_name = "NAME", conflicts_with = "plain")]
    pub(crate) account: Option<String>,
    /// The file with the account's password, in the place of JACKFIELD_PASSWORD
    #[arg(long, value_name = "FILE", requires = "account")]
    pub(crate) password_file: Option<PathBuf>,
    /// Logs in to the account that knows our certificate (SASL EXTERNAL)
    #[arg(long, requires = "cert", conflicts_with = "account")]
    pub(crate) external: bool,
    /// The file with the server's own password, which some ask everyone for; without it, that of
    /// JACKFIELD_SERVER_PASSWORD is sent, if any
    #[arg(long, value_name = "FILE")]
    pub(crate) server_password_file: Option<PathBuf>,
    /// Without TLS: anyone on the way can read it, a server's password too
    #[arg(long, conflicts_with_all = ["ca", "pin", "cert", "key"])]
    pub(crate) plain: bool,
    /// The roots to trust, as PEM; default: the system's
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// The server's certificate or key by its SHA-256, in place of roots and name: certificate:HEX,
    /// key:BASE64, or a fingerprint as openssl prints it; may be given several times
    #[arg(long, value_name = "PIN", conflicts_with = "ca")]
    pub(crate) pin: Vec<Pin>,
    #[command(flatten)]
    pub(crate) identity: IdentityArgs,
    #[command(flatten)]
    pub(crate) backend: BackendArgs,
}

/// What help says above the switches of [`BackendArgs`].
const RELAY: &str = "Through a relay";

#[derive(Debug, ClapArgs)]
pub(crate) struct BackendArgs {
    /// Goes through the relay at this address, ws://… or wss://…, which connects in our place
    #[arg(help_heading = RELAY, long, value_name = "URL")]
    pub(crate) relay: Option<String>,
    /// The file with the relay's token; without it, the token is that of JACKFIELD_TOKEN, if any
    #[arg(help_heading = RELAY, long, value_name = "FILE", requires = "relay")]
    pub(crate) token_file: Option<PathBuf>,
    /// The roots to trust for the relay's own certificate, as PEM; default: the system's
    #[arg(help_heading = RELAY, long, value_name = "FILE", requires = "relay")]
    pub(crate) relay_ca: Option<PathBuf>,
    /// Our certificate for the relay, in the place of a token, and those that lead to its root, as PEM
    #[arg(help_heading = RELAY, long, value_name = "FILE", requires_all = ["relay", "relay_key"])]
    pub(crate) relay_cert: Option<PathBuf>,
    /// Its private key, as PEM
    #[arg(help_heading = RELAY, long, value_name = "FILE", requires = "relay_cert")]
    pub(crate) relay_key: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ClientTlsArgs {
    /// Speaks TLS from the start
    #[arg(long)]
    pub(crate) tls: bool,
    /// Speaks this protocol until the server is ready for TLS
    #[arg(long, value_name = "PROTOCOL", conflicts_with = "tls")]
    pub(crate) starttls: Option<StartTls>,
    /// The roots to trust, as PEM; default: the system's
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// The server's certificate or key by its SHA-256, in place of roots and name: certificate:HEX,
    /// key:BASE64, or a fingerprint as openssl prints it; may be given several times
    #[arg(long, value_name = "PIN", conflicts_with_all = ["ca", "server_name"])]
    pub(crate) pin: Vec<Pin>,
    /// Whom the certificate must be for; default: HOST
    #[arg(long, value_name = "NAME")]
    pub(crate) server_name: Option<Host>,
    /// The application protocols to offer, the best first
    #[arg(long, value_name = "PROTOCOL", value_delimiter = ',')]
    pub(crate) alpn: Vec<String>,
    #[command(flatten)]
    pub(crate) identity: IdentityArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct IdentityArgs {
    /// Our certificate and those that lead to its root, as PEM
    #[arg(long, value_name = "FILE", requires = "key")]
    pub(crate) cert: Option<PathBuf>,
    /// Its private key, as PEM
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub(crate) key: Option<PathBuf>,
}

/// A protocol in which TLS can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum StartTls {
    Imap,
    Irc,
    Pop3,
    Smtp,
}

pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err("not a time that can be waited".into()),
    }
}

fn local(text: &str) -> Result<SocketAddr, String> {
    if let Ok(port) = text.trim_start_matches(':').parse() {
        return Ok((Ipv4Addr::LOCALHOST, port).into());
    }
    text.parse()
        .map_err(|_| "expected an address and a port, such as 127.0.0.1:8080 or [::1]:0".into())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn the_reference_has_the_same_exit_codes() {
        let reference = include_str!("../../docs/cli.md");
        for line in EXIT_CODES.lines().skip(1) {
            let (code, meaning) = line.trim().split_once("  ").expect("a code");
            assert!(
                reference.contains(&format!("| {code} | {meaning} |")),
                "{line}"
            );
        }
    }

    #[test]
    fn places_to_listen() {
        for (text, at) in [
            ("80", "127.0.0.1:80"),
            (":80", "127.0.0.1:80"),
            ("0.0.0.0:0", "0.0.0.0:0"),
            ("[::]:1", "[::]:1"),
        ] {
            assert_eq!(local(text), Ok(at.parse().expect(at)));
        }
        for text in ["", "localhost:80", "1.2.3.4", "65536", "::1:80"] {
            local(text).expect_err(text);
        }
    }
}
