//! Speed and memory of Jackfield, with the peers in the same run: `cargo xtask bench`.
//!
//! Makes a Markdown page: what was measured, on which machine, against which versions, as figures
//! and as ratios. Nothing here passes or fails: tests aren't timed, and benches don't judge.

mod child;
mod coap;
mod irc;
mod machine;
mod mqtt;
mod page;
mod relay;
mod report;
mod socket;
mod stats;

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::report::Report;

/// Where `cargo xtask bench` says what it built and installed; each run as a process of its own.
pub(crate) struct Peers {
    /// The relay's binary, built for release.
    relayd: PathBuf,
    /// A folder in which npm installed `@mercuryworkshop/wisp-js` and `mqtt`.
    npm: PathBuf,
    /// A Python environment with `wisp-python`, `websockify` and `paho-mqtt`.
    python: PathBuf,
    /// A folder with the modules for pages, each in one with its features' names, and `jackfield.js`.
    web: PathBuf,
}

fn main() -> Result<()> {
    // The same binary is its own plain TCP proxy and its own target servers, as child processes.
    if let Some(role) = std::env::args()
        .nth(1)
        .filter(|arg| arg.starts_with("role-"))
    {
        return if role == mqtt::IDLE_ROLE {
            mqtt::play_idle()
        } else {
            child::run(&role)
        };
    }
    // `--out FILE` writes all of it; a name measures that alone and prints it.
    let mut arguments = std::env::args_os().skip(1).peekable();
    let out = arguments
        .next_if(|argument| argument == "--out")
        .and_then(|_| arguments.next());
    let only = arguments.next();
    let wanted = |name: &str| only.as_ref().is_none_or(|only| only == name);
    let path = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .with_context(|| format!("{name} is not set: run `cargo xtask bench`"))
    };
    let peers = || {
        anyhow::Ok(Peers {
            relayd: path("JACKFIELD_RELAYD")?,
            npm: path("JACKFIELD_BENCH_NPM")?,
            python: path("JACKFIELD_BENCH_PYTHON")?,
            web: path("JACKFIELD_BENCH_WEB")?,
        })
    };

    let mut report = Report::new();
    if wanted("socket") {
        socket::run(&mut report)?;
    }
    if wanted("irc") {
        irc::run(&mut report);
    }
    if wanted("mqtt") {
        mqtt::run(&peers()?, &mut report)?;
    }
    if wanted("coap") {
        coap::run(&mut report)?;
    }
    if wanted("page") {
        page::run(&mut report)?;
    }
    if wanted("relay") {
        relay::run(&peers()?, &mut report)?;
    }
    match out {
        Some(out) => std::fs::write(out, report.text())?,
        None => print!("{}", report.text()),
    }
    Ok(())
}
