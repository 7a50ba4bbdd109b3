//! Arguments of `jackfield coap`, in the words of `coap-client`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args as ClapArgs, Subcommand};
use jackfield_coap::codec::{BlockSize, ContentFormat, Uri};
use jackfield_tls::Pin;

use crate::args::{BackendArgs, IdentityArgs, seconds};

#[derive(Debug, Subcommand)]
pub(crate) enum CoapCommand {
    /// Gets a resource, and writes what it is
    Get(GetArgs),
    /// Writes a resource: what is sent is what it is from now on
    Put(SendArgs),
    /// Sends something to a resource, and writes what it answers
    Post(SendArgs),
    /// Removes a resource
    Delete(GetArgs),
    /// Writes what a resource is, and then a line for each change
    Observe(ObserveArgs),
    /// Lists the resources of a server, or of all that answer in a multicast group
    Discover(DiscoverArgs),
}

#[derive(Debug, ClapArgs)]
pub(crate) struct GetArgs {
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// Writes to this file, and not to standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct SendArgs {
    #[command(flatten)]
    pub(crate) get: GetArgs,
    /// What is sent
    #[arg(short = 'e', long, value_name = "TEXT", conflicts_with = "file")]
    pub(crate) payload: Option<String>,
    /// What is sent is in this file; - is standard input
    #[arg(short, long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// What it is: a media type, or its number; default: text/plain
    #[arg(short = 't', long, value_name = "TYPE", value_parser = format)]
    pub(crate) content_format: Option<ContentFormat>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ObserveArgs {
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// Ends after so many seconds
    #[arg(short = 's', long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) duration: Option<Duration>,
    /// Ends after so many lines
    #[arg(short = 'C', long, value_name = "COUNT")]
    pub(crate) count: Option<u64>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct DiscoverArgs {
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// Only those that have this, such as rt=light
    pub(crate) filter: Option<String>,
    /// How long answers of a group are taken, in seconds
    #[arg(short = 's', long, value_name = "SECONDS", default_value = "6", value_parser = seconds)]
    pub(crate) duration: Duration,
}

/// Which server, how to reach it, and how to ask.
#[derive(Debug, ClapArgs)]
pub(crate) struct ServerArgs {
    /// The resource: coap://HOST/PATH, or one of coaps, coap+tcp, coaps+tcp, coap+ws, coaps+ws
    pub(crate) uri: Uri,
    /// Only this format is wanted: a media type, or its number
    #[arg(short = 'A', long, value_name = "TYPE", value_parser = format)]
    pub(crate) accept: Option<ContentFormat>,
    /// Sends each message once (non-confirmable), not again and again until it is acknowledged
    #[arg(short = 'N', long)]
    pub(crate) non_confirmable: bool,
    /// The largest blocks: 16, 32, 64, 128, 256, 512 or 1024 bytes
    #[arg(short, long, value_name = "BYTES", default_value = "1024", value_parser = block_size)]
    pub(crate) block_size: BlockSize,
    /// How long an answer is waited for, in seconds
    #[arg(short = 'B', long, value_name = "SECONDS", default_value = "90", value_parser = seconds)]
    pub(crate) timeout: Duration,
    /// coaps: who we are, with the key in JACKFIELD_PSK
    #[arg(short, long, value_name = "IDENTITY")]
    pub(crate) user: Option<String>,
    /// coaps: the file with the key, in the place of JACKFIELD_PSK
    #[arg(long, value_name = "FILE", requires = "user")]
    pub(crate) psk_file: Option<PathBuf>,
    /// coaps+tcp, coaps+ws: the roots to trust, as PEM; default: the system's
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// coaps+tcp, coaps+ws: the server's certificate or key by its SHA-256, in place of roots and
    /// name: certificate:HEX, key:BASE64, or a fingerprint as openssl prints it; may be given
    /// several times
    #[arg(long, value_name = "PIN", conflicts_with = "ca")]
    pub(crate) pin: Vec<Pin>,
    #[command(flatten)]
    pub(crate) identity: IdentityArgs,
    /// Says what the answer is, and how a transfer goes on
    #[arg(short, long)]
    pub(crate) verbose: bool,
    #[command(flatten)]
    pub(crate) backend: BackendArgs,
}

impl CoapCommand {
    pub(crate) fn server(&self) -> &ServerArgs {
        match self {
            Self::Get(args) | Self::Delete(args) => &args.server,
            Self::Put(args) | Self::Post(args) => &args.get.server,
            Self::Observe(args) => &args.server,
            Self::Discover(args) => &args.server,
        }
    }
}

fn format(text: &str) -> Result<ContentFormat, String> {
    if let Ok(number) = text.parse() {
        return Ok(ContentFormat(number));
    }
    let plain = (text == "text/plain").then_some(ContentFormat::TEXT_PLAIN);
    plain
        .or_else(|| ContentFormat::from_media_type(text))
        .ok_or_else(|| "expected a media type that CoAP has a number for, or the number".into())
}

fn block_size(text: &str) -> Result<BlockSize, String> {
    let bytes: usize = text.parse().unwrap_or_default();
    let found = BlockSize::ALL
        .into_iter()
        .find(|size| size.bytes() == bytes);
    found.ok_or_else(|| "expected 16, 32, 64, 128, 256, 512 or 1024".into())
}
