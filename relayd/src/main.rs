//! `jackfield-relayd`: the relay server, run from a configuration file.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, bail};
use clap::{Parser, Subcommand};
use jackfield_relayd::config::LogFormat;
use jackfield_relayd::token::Credential;
use jackfield_relayd::{Config, Relayd};

/// TCP and UDP for web pages, through a WebSocket.
///
/// The relay reaches nothing but what its configuration allows. A documented example stands in
/// relayd.example.toml. SIGTERM and SIGINT end it in order; SIGHUP has it read its certificate
/// again.
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
    /// Prints a signed token that ends by itself.
    Token {
        /// The configuration file, which holds the key.
        #[arg(short, long, value_name = "FILE")]
        config: PathBuf,
        /// The token's name in the configuration.
        name: String,
        /// For how many seconds it is good.
        #[arg(long, value_name = "SECONDS", default_value_t = 900)]
        ttl: u32,
    },
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if let Some(Command::Token { config, name, ttl }) = arguments.command {
        return print_token(&Config::load(&config)?, &name, ttl);
    }
    let path = arguments.config.context("no configuration file is given")?;
    let mut config = Config::load(&path)?;
    if let Some(format) = arguments.log_format {
        config.log.format = format;
    }
    keep_freed_memory();
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
    let _log = jackfield_relayd::log::init(&config.log).map_err(anyhow::Error::from_boxed)?;
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
    runtime.block_on(async {
        let relay = Relayd::bind(config).await?;
        let shutdown = shutdown_signal(&relay)?;
        relay.run(shutdown).await;
        Ok(())
    })
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

fn print_token(config: &Config, name: &str, ttl: u32) -> anyhow::Result<()> {
    let token = config
        .tokens
        .iter()
        .find(|token| token.name == name)
        .with_context(|| format!("the configuration has no token {name:?}"))?;
    let Credential::Key(key) = &token.credential else {
        bail!("the token {name:?} has no signing key, but a secret");
    };
    let expires = SystemTime::now() + Duration::from_secs(ttl.into());
    writeln!(std::io::stdout(), "{}", key.sign(name, expires))?;
    Ok(())
}

#[cfg(unix)]
fn shutdown_signal(relay: &Relayd) -> std::io::Result<impl Future<Output = ()> + use<>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let reload = relay.reload_certificate();
    Ok(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => return,
                _ = interrupt.recv() => return,
                _ = hang_up.recv() => reload(),
            }
        }
    })
}

#[cfg(not(unix))]
fn shutdown_signal(_: &Relayd) -> std::io::Result<impl Future<Output = ()> + use<>> {
    Ok(async {
        // Without a signal to wait for, the process is ended from outside.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}
