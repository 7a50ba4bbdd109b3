//! Speed and memory of Jackfield, with the peers in the same run: `cargo xtask bench`.
//!
//! Makes a Markdown page: what was measured, on which machine, against which versions, as figures
//! and as ratios. Nothing here passes or fails: tests aren't timed, and benches don't judge.

mod child;
mod coap;
mod cores;
mod delay;
mod imap;
mod irc;
mod machine;
mod mqtt;
mod page;
mod race;
mod relay;
mod report;
mod size;
mod smtp;
mod socket;
mod stats;

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::report::Report;

/// Where `cargo xtask bench` says what it built and installed; each run as a process of its own.
pub(crate) struct Peers {
    /// The relay's binary, built for release.
    relayd: PathBuf,
    /// A folder in which npm installed `@mercuryworkshop/wisp-js`, `@mercuryworkshop/epoxy-tls`, `libcurl.js`,
    /// `mqtt`, `nodemailer` and `imapflow`.
    npm: PathBuf,
    /// A Python environment with `wisp-python`, `websockify` and `paho-mqtt`.
    python: PathBuf,
    /// The binary of rusty-penguin.
    penguin: PathBuf,
    /// A folder with the modules of single clients, each in one with its features' names, and the entries of the npm
    /// package, each one script that finds its module in `wasm`.
    web: PathBuf,
}

/// What is measured, in the order of the page; a group has the name that it had when it was one section.
const GROUPS: &[(&str, &[&str])] = &[
    ("socket", &["socket"]),
    ("irc", &["irc"]),
    (
        "mqtt",
        &["mqtt-codec", "mqtt-publish", "mqtt-idle", "mqtt-download"],
    ),
    ("coap", &["coap-codec", "coap-exchange"]),
    ("imap", &["imap-codec", "imap-sync"]),
    ("smtp", &["smtp-near", "smtp-distant"]),
    (
        "page",
        &[
            "page-direct",
            "page-mqtt",
            "page-https",
            "page-sockets",
            "page-load",
        ],
    ),
    ("size", &["size"]),
    (
        "relay",
        &[
            "relay-rates",
            "relay-keystroke",
            "relay-idle",
            "relay-handshakes",
            "relay-datagrams",
            "relay-integrity",
        ],
    ),
];

fn measure(section: &str, peers: &dyn Fn() -> Result<Peers>, report: &mut Report) -> Result<()> {
    match section {
        "socket" => socket::run(report),
        "irc" => irc::run(report),
        "mqtt-codec" => mqtt::codec::run(report),
        "mqtt-publish" => mqtt::publish::run(&peers()?, report),
        "mqtt-idle" => mqtt::idle::run(&peers()?, report),
        "mqtt-download" => mqtt::download::run(&peers()?, report),
        "coap-codec" => coap::codec::run(report),
        "coap-exchange" => coap::exchange::run(report),
        "imap-codec" => imap::codec::run(report),
        "imap-sync" => imap::sync::run(&peers()?, report),
        "smtp-near" => smtp::near(&peers()?, report),
        "smtp-distant" => smtp::distant(&peers()?, report),
        "page-direct" => page::direct::run(&peers()?, report),
        "page-mqtt" => page::mqtt::run(&peers()?, report),
        "page-https" => page::https::run(&peers()?, report),
        "page-sockets" => page::sockets::run(&peers()?, report),
        "page-load" => page::load::run(&peers()?, report),
        "size" => size::run(&peers()?, report),
        "relay-rates" => relay::rates::run(&peers()?, report),
        "relay-keystroke" => relay::keystroke::run(&peers()?, report),
        "relay-idle" => relay::idle::run(&peers()?, report),
        "relay-handshakes" => relay::handshakes::run(&peers()?, report),
        "relay-datagrams" => relay::datagrams::run(&peers()?, report),
        _ => relay::integrity::run(&peers()?, report),
    }
}

/// The tables of an earlier benchmark's group.
fn earlier(binary: &OsStr, group: &str) -> Result<String> {
    let _awake = cores::keep()?;
    let output = Command::new(binary)
        .arg(group)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(
        output.status.success(),
        "the earlier benchmark ended with {}",
        output.status
    );
    let text = String::from_utf8(output.stdout)?;
    // Its page begins with what this one says too.
    let tables = text.find("\n## ").map_or("", |at| &text[at..]);
    Ok(tables.replace("\n## ", "\n### "))
}

fn main() -> Result<()> {
    // The same binary is its own plain TCP proxy and its own target servers, as child processes.
    if let Some(role) = std::env::args()
        .nth(1)
        .filter(|arg| arg.starts_with("role-"))
    {
        return match role.as_str() {
            mqtt::idle::ROLE => mqtt::idle::play(),
            cores::ROLE => cores::play(),
            _ => child::run(&role),
        };
    }
    // `--out FILE` writes it, and a name measures that alone: then it is put into the file, or printed.
    let mut arguments = std::env::args_os().skip(1).peekable();
    let out = arguments
        .next_if(|argument| argument == "--out")
        .and_then(|_| arguments.next());
    let only = arguments.next();
    // `mqtt` has `mqtt-codec` with it.
    let wanted = |name: &str| {
        only.as_ref()
            .and_then(|only| only.to_str())
            .is_none_or(|only| {
                name.strip_prefix(only)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
            })
    };
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
            penguin: path("JACKFIELD_BENCH_PENGUIN")?,
            web: path("JACKFIELD_BENCH_WEB")?,
        })
    };

    let before = std::env::var_os("JACKFIELD_BENCH_BEFORE");
    let mut report = Report::new();
    for (group, sections) in GROUPS {
        let mut measured = false;
        for section in *sections {
            if wanted(section) {
                measure(section, &peers, &mut report)?;
                measured = true;
            }
        }
        if let Some(binary) = before.as_ref().filter(|_| measured) {
            report.heading(
                &format!("Before: {group}"),
                "The same by an earlier commit's benchmark, right after, on cores that are kept awake.",
            );
            let tables = earlier(binary, group);
            report.append(&tables.unwrap_or_else(|error| format!("\nNot measured: {error}.\n")));
        }
    }
    match (out, only) {
        (Some(out), None) => std::fs::write(out, report.text())?,
        (Some(out), Some(_)) => {
            let page = std::fs::read_to_string(&out)?;
            std::fs::write(out, report.put_into(&page))?;
        }
        (None, _) => print!("{}", report.text()),
    }
    Ok(())
}
