//! `jackfield-relayd ctl`: asks a running relay at its admin socket, and shows the answer.

use std::fmt::Write as _;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

/// How long the relay may take for the next line.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The relay's admin socket, as its configuration has it.
    #[arg(long, value_name = "PATH")]
    socket: PathBuf,
    /// The answer as the relay gives it: a JSON object a line.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Says how the relay is.
    Status,
    /// Lists the sessions.
    List,
    /// Lists what is open in a session.
    Streams {
        /// Its number.
        session: u64,
    },
    /// Ends a session, or all of a token, of a bearer, or of both.
    ///
    /// Their clients are told so, and may come again: a revocation keeps them out.
    Kill(Kill),
    /// Has the relay mint a signed token (a JWT), and prints it.
    ///
    /// Its `[[token]]` has a `signing_key` or a `mint_key_file`, and `mint_at_most_seconds`. The socket may be that of `[mint]`.
    Mint(Mint),
    /// Revokes tokens: those to which all applies that is given. Sessions that came in by them end at once.
    ///
    /// Where relays share a Redis, it is revoked at all of them, and those that aren't there now hear of it when they
    /// are. A relay without one appends it to its revoked_file. Where there is none, or it can't be written to, it is
    /// revoked until this relay ends, and the answer says so.
    Revoke(Revoke),
    /// Has the relay read its configuration again.
    ///
    /// Where that is wrong, this says where, and the one in use stays.
    Reload,
    /// Has the relay end in order, as SIGTERM does.
    Drain,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
struct Kill {
    /// The session's number.
    #[arg(long, value_name = "NUMBER", conflicts_with_all = ["token", "bearer"])]
    session: Option<u64>,
    /// The token's name in the configuration.
    #[arg(long, value_name = "NAME")]
    token: Option<String>,
    /// Who it is, by the token's `sub`.
    #[arg(long, value_name = "NAME")]
    bearer: Option<String>,
}

#[derive(Debug, Args)]
struct Mint {
    /// The token's name in the configuration.
    name: String,
    /// For how many seconds it is good. Default: 900, or what the configuration allows at most.
    #[arg(long, value_name = "SECONDS")]
    ttl: Option<u32>,
    /// Who the bearer is, with limits of its own (sub).
    #[arg(long, value_name = "NAME")]
    sub: Option<String>,
    /// What the token can be revoked by (jti). Default: a random one.
    #[arg(long, value_name = "ID")]
    jti: Option<String>,
    /// For pages of this origin only; may be given several times.
    #[arg(long, value_name = "ORIGIN")]
    origin: Vec<String>,
    /// Reaches only this, of what the configuration allows; may be given several times.
    #[arg(long, value_name = "RULE")]
    allow: Vec<String>,
}

impl Mint {
    fn request(&self) -> Value {
        // An empty list would be of nobody, and allow nothing.
        let some = |all: &Vec<String>| (!all.is_empty()).then(|| all.clone());
        json!({
            "ask": "mint", "token": self.name, "seconds": self.ttl, "sub": self.sub, "jti": self.jti,
            "origins": some(&self.origin), "allow": some(&self.allow),
        })
    }
}

#[derive(Debug, Args)]
struct Revoke {
    /// The token's name in the configuration; without it, all of them.
    #[arg(long, value_name = "NAME")]
    token: Option<String>,
    /// The token's own identifier.
    #[arg(long, value_name = "ID")]
    jti: Option<String>,
    /// Who the bearer is.
    #[arg(long, value_name = "NAME")]
    sub: Option<String>,
    /// What was issued before then, as 2030-01-31T12:00:00Z, or doesn't say when.
    #[arg(long, value_name = "TIME")]
    issued_before: Option<String>,
    /// For how many seconds Redis keeps it: at least as long as the last of these tokens is good.
    #[arg(long, value_name = "SECONDS", default_value_t = 30 * 86_400)]
    ttl: u32,
}

/// Asks, and writes the answer to standard output.
pub(crate) fn run(asked: &Arguments) -> anyhow::Result<()> {
    let request = match &asked.command {
        Command::Status => json!({ "ask": "status" }),
        Command::List => json!({ "ask": "list" }),
        Command::Streams { session } => json!({ "ask": "streams", "session": session }),
        Command::Kill(Kill {
            session,
            token,
            bearer,
        }) => json!({ "ask": "kill", "session": session, "token": token, "bearer": bearer }),
        Command::Mint(mint) => mint.request(),
        Command::Revoke(Revoke {
            token,
            jti,
            sub,
            issued_before,
            ttl,
        }) => json!({
            "ask": "revoke", "token": token, "jti": jti, "sub": sub,
            "issued_before": issued_before, "ttl": ttl,
        }),
        Command::Reload => json!({ "ask": "reload" }),
        Command::Drain => json!({ "ask": "drain" }),
    };
    let place = asked.socket.display();
    let answer = ask(&asked.socket, &request).with_context(|| format!("no answer at {place}"))?;
    let (mut rows, mut heard) = (Vec::new(), false);
    for line in answer.lines() {
        // An error is an end, too.
        let Ok(line) = line else { break };
        heard = true;
        let value: Value = serde_json::from_str(&line).context("that is no relay's answer")?;
        if let Some(error) = value["error"].as_str() {
            bail!("{}", plain(error));
        }
        let done = value["done"] == true;
        if asked.json {
            writeln!(io::stdout(), "{line}")?;
        } else if done {
            let text = shown(&asked.command, &rows, &value);
            io::stdout().write_all(text.as_bytes())?;
        } else {
            rows.push(value);
        }
        if done {
            return Ok(());
        }
    }
    if heard {
        bail!("the answer of {place} was cut off");
    }
    bail!("{place} was closed without an answer: as many ask as may, or the relay has ended")
}

fn ask(socket: &PathBuf, request: &Value) -> io::Result<BufReader<UnixStream>> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    // Whoever is turned away may find the connection closed before.
    let _ = stream.write_all(format!("{request}\n").as_bytes());
    Ok(BufReader::new(stream))
}

/// The answer for people.
fn shown(command: &Command, rows: &[Value], last: &Value) -> String {
    match command {
        Command::List => sessions(rows),
        Command::Streams { .. } => streams(rows),
        Command::Kill(_) => format!("ended: {}\n", last["sessions"]),
        Command::Mint(_) => format!("{}\n", cell(&last["jwt"])),
        Command::Revoke(_) => revoked(last),
        Command::Drain => "it ends\n".into(),
        Command::Reload => {
            let mut text = "reloaded\n".to_owned();
            for key in last["needs_start"].as_array().into_iter().flatten() {
                let key = cell(key);
                let _ = writeln!(text, "{key} takes effect when the relay is started again");
            }
            text
        }
        Command::Status => status(last),
    }
}

/// What was revoked, and whether that lasts.
fn revoked(last: &Value) -> String {
    match &last["in"] {
        _ if last["lasts"] == false => {
            format!("revoked until this relay ends: {}\n", cell(&last["why"]))
        }
        Value::String(file) if file != "redis" => format!("revoked, and kept in {}\n", plain(file)),
        _ => "revoked\n".into(),
    }
}

fn status(last: &Value) -> String {
    let listen: Vec<_> = last["listen"].as_array().into_iter().flatten().collect();
    let listen: Vec<_> = listen.into_iter().map(cell).collect();
    let state = if last["draining"] == true {
        "ending"
    } else {
        "running"
    };
    let rows = [
        ("state", state.to_owned()),
        ("since", duration(&last["running_ms"])),
        ("version", cell(&last["version"])),
        ("process", cell(&last["process"])),
        ("configuration", cell(&last["config"])),
        ("listens", listen.join(" ")),
        ("sessions", cell(&last["sessions"])),
        ("streams", cell(&last["streams"])),
        ("up", size(&last["bytes_up"])),
        ("down", size(&last["bytes_down"])),
    ];
    rows.iter().fold(String::new(), |mut text, (name, value)| {
        let _ = writeln!(text, "{name:<14} {value}");
        text
    })
}

fn sessions(rows: &[Value]) -> String {
    let titles = [
        "SESSION", "TOKEN", "BEARER", "ORIGIN", "PEER", "FOR", "STREAMS", "UP", "DOWN",
    ];
    let rows = rows.iter().map(|row| {
        let since = duration(&row["open_ms"]);
        let draining = row["draining"] == true;
        [
            cell(&row["session"]),
            cell(&row["token"]),
            cell(&row["bearer"]),
            cell(&row["origin"]),
            cell(&row["peer"]),
            if draining { since + " (left)" } else { since },
            cell(&row["streams"]),
            size(&row["bytes_up"]),
            size(&row["bytes_down"]),
        ]
    });
    table(titles, &rows.collect::<Vec<_>>())
}

fn streams(rows: &[Value]) -> String {
    let titles = ["ID", "ACTION", "ASKED", "ADDRESS", "FOR", "UP", "DOWN"];
    let rows = rows.iter().map(|row| {
        let opening = row["open_ms"].is_null();
        [
            cell(&row["id"]),
            format!("{} {}", cell(&row["action"]), cell(&row["transport"])),
            cell(&row["asked"]),
            cell(&row["address"]),
            if opening {
                "opening".into()
            } else {
                duration(&row["open_ms"])
            },
            size(&row["bytes_up"]),
            size(&row["bytes_down"]),
        ]
    });
    table(titles, &rows.collect::<Vec<_>>())
}

/// Columns as wide as they have to be.
fn table<const N: usize>(titles: [&str; N], rows: &[[String; N]]) -> String {
    let mut widths = titles.map(str::len);
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    let titles = titles.map(str::to_owned);
    for row in std::iter::once(&titles).chain(rows) {
        let mut line = String::new();
        for (width, cell) in widths.iter().zip(row) {
            let _ = write!(line, "{cell:<width$}  ");
        }
        text.extend([line.trim_end(), "\n"]);
    }
    text
}

/// A value for a table; what there is not is a dash.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".into(),
        Value::String(text) => plain(text),
        value => value.to_string(),
    }
}

/// A text that does nothing to a terminal: a bearer's name is of whoever signs tokens.
fn plain(text: &str) -> String {
    let plain = |c: char| {
        if c.is_control() {
            char::REPLACEMENT_CHARACTER
        } else {
            c
        }
    };
    text.chars().map(plain).collect()
}

/// Milliseconds, for people: the two greatest units.
fn duration(value: &Value) -> String {
    let seconds = value.as_u64().unwrap_or(0) / 1000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{minutes}m{}s", seconds % 60),
        3600..86_400 => format!("{hours}h{}m", minutes % 60),
        _ => format!("{days}d{}h", hours % 24),
    }
}

/// Bytes, for people.
fn size(value: &Value) -> String {
    let bytes = value.as_u64().unwrap_or(0);
    let mut unit = 0;
    while bytes >> (10 * unit) >= 10 * 1024 && unit < 4 {
        unit += 1;
    }
    let name = ["B", "KiB", "MiB", "GiB", "TiB"][unit];
    format!("{} {name}", bytes >> (10 * unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shown_for_people() {
        for (milliseconds, expected) in [
            (999, "0s"),
            (61_000, "1m1s"),
            (3_700_000, "1h1m"),
            (200_000_000, "2d7h"),
        ] {
            assert_eq!(duration(&json!(milliseconds)), expected);
        }
        for (bytes, expected) in [
            (0, "0 B"),
            (10_239, "10239 B"),
            (10_240, "10 KiB"),
            (32 * 1024 * 1024, "32 MiB"),
            (u64::MAX, "16777215 TiB"),
        ] {
            assert_eq!(size(&json!(bytes)), expected);
        }
    }

    #[test]
    fn nothing_in_a_table_reaches_the_terminal_but_text() {
        let row = json!({ "session": 7, "token": "a", "bearer": "eve\u{1b}[2J\nroot" });
        let table = sessions(&[row]);
        assert_eq!(table.lines().count(), 2, "{table}");
        assert!(!table.contains('\u{1b}'), "{table}");
        let columns: Vec<_> = table.lines().map(|line| line.find('-')).collect();
        assert!(columns[1].is_some(), "what is missing is a dash: {table}");
    }
}
