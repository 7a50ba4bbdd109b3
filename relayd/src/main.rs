//! `jackfield-relayd`: the relay server, run from a configuration file.

#[cfg(unix)]
mod ctl;
mod signals;
#[cfg(target_os = "linux")]
mod systemd;

use std::io::Write as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, bail};
use clap::{Args, Parser, Subcommand};
use jackfield_relayd::config::LogFormat;
use jackfield_relayd::conformance::{self, Suite};
use jackfield_relayd::doctor::Doctor;
use jackfield_relayd::policy::Rule;
use jackfield_relayd::token::{Claims, Credential, SigningKey, random_id};
use jackfield_relayd::{Config, Origin, Relayd, explain};
use jackfield_socket::Endpoint;

#[cfg(target_os = "linux")]
use crate::systemd::{sockets, tell, tell_of_reloads};

/// TCP and UDP for web pages, through a WebSocket.
///
/// The relay reaches nothing but what its configuration allows. A documented example stands in
/// relayd.example.toml. SIGTERM and SIGINT end it in order, a second one at once; SIGHUP has it read
/// its configuration and its certificate again.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Arguments {
    /// The configuration file (TOML).
    #[arg(short, long, value_name = "FILE", required = true)]
    config: Option<PathBuf>,
    /// Only says whether the configuration is valid.
    #[arg(long)]
    check: bool,
    /// How the log is written, whatever the configuration says.
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<LogFormat>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Asks a running relay at its admin socket: what goes on in it, or to do something.
    #[cfg(unix)]
    Ctl(ctl::Arguments),
    /// Prints a signed token (a JWT) that ends by itself.
    Token(TokenArguments),
    /// Says whether a relay keeps to its protocol, whoever's it is.
    ///
    /// It ends with status 1 where a rule is broken.
    Conformance(ConformanceArguments),
    /// Tries a relay from outside, step by step, and says what is wrong and what helps.
    ///
    /// It ends with status 1 where something is wrong.
    Doctor(DoctorArguments),
    /// Says whether a destination may be reached, and which rule decides.
    ///
    /// Names are looked up as the relay would. It ends with status 1 where nothing may be reached.
    Explain {
        /// The configuration file.
        #[arg(short, long, value_name = "FILE")]
        config: PathBuf,
        /// The page's origin; without it, a client that names none.
        #[arg(long, value_name = "ORIGIN")]
        origin: Option<String>,
        /// The token's name in the configuration.
        #[arg(long, value_name = "NAME", required_unless_present_any = ["jwt", "certificate"])]
        token: Option<String>,
        /// In place of it a token as its bearer presents it, or "-" to read it from standard input: what it
        /// says narrows what may be reached.
        #[arg(long, value_name = "TOKEN", conflicts_with = "token")]
        jwt: Option<String>,
        /// In place of it the file of a certificate (PEM) that a program shows, with those that lead to its
        /// authority, if any.
        #[arg(long, value_name = "FILE", conflicts_with_all = ["token", "jwt", "origin"])]
        certificate: Option<PathBuf>,
        /// HOST:PORT, and "/udp" behind it for datagrams.
        destination: String,
    },
}

/// A relay that is asked from outside.
#[derive(Debug, Args)]
struct RelayArguments {
    /// The relay's address.
    #[arg(value_name = "wss://HOST/")]
    relay: String,
    /// The token that lets in, or "-" to read it from standard input.
    #[arg(long)]
    token: Option<String>,
    /// The page's origin that one says to be of; without it, one says none, as programs do.
    #[arg(long, value_name = "ORIGIN")]
    origin: Option<String>,
    /// Roots to verify the relay's certificate by (PEM), in place of the platform's.
    #[arg(long, value_name = "FILE")]
    root: Option<PathBuf>,
}

impl RelayArguments {
    fn suite(self) -> anyhow::Result<Suite> {
        let mut suite = Suite::new(&self.relay)?;
        if let Some(file) = &self.root {
            let with_roots = suite.with_roots(file);
            suite = with_roots.with_context(|| format!("can't use {}", file.display()))?;
        }
        suite.token = self.token.map(or_stdin).transpose()?;
        suite.origin = self.origin;
        Ok(suite)
    }
}

#[derive(Debug, Args)]
struct ConformanceArguments {
    #[command(flatten)]
    relay: RelayArguments,
    /// Where the suite's targets listen: an address of this machine that the relay reaches, and
    /// allows with all ports, by TCP and UDP.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    target: IpAddr,
    /// Only the cases whose names contain this.
    #[arg(long, value_name = "PART")]
    only: Option<String>,
}

#[derive(Debug, Args)]
struct DoctorArguments {
    #[command(flatten)]
    relay: RelayArguments,
    /// What the token should reach; may be given several times.
    #[arg(long, value_name = "HOST:PORT")]
    to: Vec<Endpoint>,
    /// For how many seconds the WebSocket is left silent, to see whether a proxy cuts it; 0 leaves
    /// that out.
    #[arg(long, value_name = "SECONDS", default_value_t = 75)]
    silence: u32,
    /// At which port of its addresses the relay's metrics must not be told; 0 leaves that out.
    #[arg(long, value_name = "PORT", default_value_t = 9100)]
    metrics_port: u16,
}

#[derive(Debug, Args)]
struct TokenArguments {
    /// The configuration file, which holds the key, or the public key to it.
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
    /// The token's name in the configuration.
    name: String,
    /// The private key (PEM), where the configuration has a public one, and no mint_key_file.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// The key's name, where its JWK has one (kid).
    #[arg(long, value_name = "KID", requires = "key")]
    key_id: Option<String>,
    /// For how many seconds it is good.
    #[arg(long, value_name = "SECONDS", default_value_t = 900)]
    ttl: u32,
    /// Who the bearer is, with limits of its own (sub).
    #[arg(long, value_name = "NAME")]
    sub: Option<String>,
    /// What the token can be revoked by (jti). Default: a random one.
    #[arg(long, value_name = "ID")]
    jti: Option<String>,
    /// For pages of this origin only; may be given several times.
    #[arg(long, value_name = "ORIGIN")]
    origin: Vec<Origin>,
    /// Reaches only this, of what the configuration allows; may be given several times.
    #[arg(long, value_name = "RULE")]
    allow: Vec<Rule>,
    /// In the older form NAME.EXPIRY.MAC, which says nothing else.
    #[arg(long, conflicts_with_all = ["key", "sub", "jti", "origin", "allow"])]
    plain: bool,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    match arguments.command {
        #[cfg(unix)]
        Some(Command::Ctl(asked)) => return ctl::run(&asked),
        Some(Command::Token(token)) => return print_token(token),
        Some(Command::Conformance(asked)) => return check_conformance(asked),
        Some(Command::Doctor(asked)) => return examine(asked),
        Some(Command::Explain {
            config,
            origin,
            token,
            jwt,
            certificate,
            destination,
        }) => {
            let bearer = match (jwt, certificate) {
                (Some(jwt), _) => Bearer::Presents(or_stdin(jwt)?),
                (None, Some(file)) => Bearer::Shows(file),
                (None, None) => Bearer::Of(token.context("no token is given")?),
            };
            return explain(&config, origin.as_deref(), &bearer, &destination);
        }
        None => {}
    }
    let path = arguments.config.context("no configuration file is given")?;
    let config = Config::load(&path)?;
    keep_freed_memory();
    let passed = sockets()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    if arguments.check {
        config.check()?;
        for warning in config.warnings() {
            writeln!(std::io::stderr(), "warning: {warning}")?;
        }
        writeln!(std::io::stdout(), "{} is valid", path.display())?;
        return Ok(());
    }
    // Only here: what the file says is what a file is compared with that takes its place.
    let mut log = config.log.clone();
    if let Some(format) = arguments.log_format {
        log.format = format;
    }
    let _log = jackfield_relayd::log::init(&log).map_err(anyhow::Error::from_boxed)?;
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
    runtime.block_on(async {
        let relay = tell_of_reloads(Relayd::bind_with(config, passed).await?);
        let signals = signals::obey(&relay, path)?;
        let telling = tell(&relay);
        tokio::select! {
            () = relay.run(std::future::pending()) => {}
            () = signals => {}
            () = telling => {}
        }
        Ok(())
    })
}

/// Elsewhere no service manager passes sockets.
#[cfg(not(target_os = "linux"))]
fn sockets() -> std::io::Result<Vec<std::net::TcpListener>> {
    Ok(Vec::new())
}

/// Nor is one told.
#[cfg(not(target_os = "linux"))]
fn tell_of_reloads(relay: Relayd) -> Relayd {
    relay
}

/// Neither of its life nor of its end.
#[cfg(not(target_os = "linux"))]
fn tell(_: &Relayd) -> impl Future<Output = ()> + use<> {
    std::future::pending()
}

/// Has the allocator keep some of what was freed.
///
/// A frame's buffer is 64 KiB and lives for less than a millisecond. By its defaults glibc returns
/// 128 KiB of free memory to the system at once, and takes it back, zeroed page by page, for the
/// next frame: some 30 % of the processor time of a bulk download.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn keep_freed_memory() {
    /// Free memory at the end of an arena beyond which it is returned, in bytes.
    const KEPT: libc::c_int = 8 * 1024 * 1024;
    /// How much more than is needed is taken at a time, in bytes.
    const AHEAD: libc::c_int = 1024 * 1024;
    #[expect(
        unsafe_code,
        reason = "the C library's allocator has no safe interface"
    )]
    // SAFETY: called before other threads run; both take any value, and only tune.
    unsafe {
        libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT);
        libc::mallopt(libc::M_TOP_PAD, AHEAD);
    }
}

/// Other allocators keep enough by themselves.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn keep_freed_memory() {}

fn print_token(asked: TokenArguments) -> anyhow::Result<()> {
    let config = Config::load(&asked.config)?;
    let name = &asked.name;
    let token = (config.tokens.iter().find(|token| token.name == *name))
        .with_context(|| format!("the configuration has no token {name:?}"))?;
    let now = SystemTime::now();
    let expires = now + Duration::from_secs(asked.ttl.into());
    let key = match (&token.credential, &asked.key) {
        (Credential::Key(key), None) if asked.plain => {
            writeln!(std::io::stdout(), "{}", key.sign(name, expires))?;
            return Ok(());
        }
        (Credential::Key(key), None) => {
            let key = SigningKey::hs256(key).map_err(anyhow::Error::msg);
            let key = key.with_context(|| format!("the key of the token {name:?}"));
            key.context("--plain makes a token with it")?.with_id(name)
        }
        (Credential::PublicKeys(_) | Credential::RemoteKeys(_), Some(path)) => {
            let key = read_key(path)?;
            key.with_id(asked.key_id.as_ref().unwrap_or(name))
        }
        (Credential::PublicKeys(_), None) if token.mint_key.is_some() => {
            token.signing_key().map_err(anyhow::Error::msg)?
        }
        (Credential::PublicKeys(_) | Credential::RemoteKeys(_), None) => {
            bail!("the token {name:?} has a public key: --key names the private one's file")
        }
        (Credential::Key(_), Some(_)) => {
            bail!("the token {name:?} has a signing key in the configuration")
        }
        _ => bail!("the token {name:?} is none that is signed"),
    };
    let mut claims = Claims::new(expires);
    claims.issued_at = Some(now);
    claims.subject = asked.sub;
    claims.id = Some(
        (asked.jti)
            .map_or_else(random_id, Ok)
            .map_err(anyhow::Error::msg)?,
    );
    claims.audience = config.audience.into_iter().collect();
    claims.origins = Some(asked.origin).filter(|origins| !origins.is_empty());
    claims.allow = Some(asked.allow).filter(|rules| !rules.is_empty());
    let minted = key.mint(&claims).map_err(anyhow::Error::msg)?;
    // What the relay would refuse is of no use. Keys at a URL aren't fetched for this.
    if !matches!(token.credential, Credential::RemoteKeys(_)) {
        (token.credential.accepts(name, &minted)).map_err(anyhow::Error::msg)?;
    }
    writeln!(std::io::stdout(), "{minted}")?;
    Ok(())
}

fn read_key(path: &Path) -> anyhow::Result<SigningKey> {
    let read = || {
        let text = std::fs::read_to_string(path)?;
        SigningKey::from_pem(&text).map_err(anyhow::Error::msg)
    };
    read().with_context(|| format!("can't use {}", path.display()))
}

/// Whom it is explained for.
enum Bearer {
    /// Any of the token of this name.
    Of(String),
    /// Who presents this.
    Presents(String),
    /// Who shows the certificate in this file.
    Shows(PathBuf),
}

/// What was given, or where that is "-", what stands in standard input.
fn or_stdin(given: String) -> std::io::Result<String> {
    if given != "-" {
        return Ok(given);
    }
    let text = std::io::read_to_string(std::io::stdin())?;
    Ok(text.trim().to_owned())
}

fn explain(
    path: &Path,
    origin: Option<&str>,
    bearer: &Bearer,
    destination: &str,
) -> anyhow::Result<()> {
    let config = Config::load(path)?;
    let explaining = async {
        let explained = match bearer {
            Bearer::Of(name) => explain::explain(&config, origin, name, destination).await,
            Bearer::Presents(token) => {
                explain::explain_presented(&config, origin, token, destination).await
            }
            Bearer::Shows(file) => {
                let pem = std::fs::read_to_string(file);
                let pem = pem.with_context(|| format!("can't read {}", file.display()))?;
                explain::explain_certificate(&config, &pem, destination).await
            }
        };
        anyhow::Ok(explained?)
    };
    let explanation = alone(explaining)??;
    write!(std::io::stdout(), "{explanation}")?;
    if !explanation.is_allowed() {
        std::process::exit(1);
    }
    Ok(())
}

fn check_conformance(asked: ConformanceArguments) -> anyhow::Result<()> {
    let mut suite = asked.relay.suite()?;
    suite.target = asked.target;
    let part = asked.only.unwrap_or_default();
    let chosen = conformance::cases().filter(|case| case.name().contains(&part));
    let report = alone(suite.run_these(chosen))?;
    writeln!(std::io::stdout(), "{report}")?;
    if !report.passed() {
        std::process::exit(1);
    }
    Ok(())
}

/// Runs what is no relay, in this thread.
fn alone<T>(what: impl Future<Output = T>) -> std::io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    Ok(runtime.block_on(what))
}

fn examine(asked: DoctorArguments) -> anyhow::Result<()> {
    let mut doctor = Doctor::new(asked.relay.suite()?);
    doctor.destinations = asked.to;
    doctor.silence = Duration::from_secs(asked.silence.into());
    doctor.metrics_port = asked.metrics_port;
    let diagnosis = alone(doctor.examine())?;
    writeln!(std::io::stdout(), "{diagnosis}")?;
    if !diagnosis.is_well() {
        std::process::exit(1);
    }
    Ok(())
}
