//! Transcripts as they are written: files, conversations, lines.

use std::path::Path;
use std::time::Duration;

use crate::Protocol;
use crate::player::{self, Cut, Failure};

/// The transcripts of a folder.
#[derive(Debug)]
pub struct Transcripts(Vec<Transcript>);

impl Transcripts {
    /// Reads those in a folder of `tests/vectors`: each `.txt` in it.
    ///
    /// # Panics
    /// When there are none, or one is not in the language of transcripts.
    pub fn of(folder: &str) -> Self {
        let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("../vectors");
        let entries = std::fs::read_dir(vectors.join(folder));
        let entries = entries.unwrap_or_else(|error| panic!("tests/vectors/{folder}: {error}"));
        let mut all: Vec<Transcript> = entries
            .map(|entry| entry.expect("an entry").path())
            .filter(|path| path.extension().is_some_and(|it| it == "txt"))
            .map(|path| {
                let file = path.file_name().expect("a name").to_string_lossy();
                let name = format!("tests/vectors/{folder}/{file}");
                let text = std::fs::read_to_string(&path);
                Transcript::parse(
                    &name,
                    &text.unwrap_or_else(|error| panic!("{name}: {error}")),
                )
            })
            .collect();
        assert!(!all.is_empty(), "tests/vectors/{folder}: no transcripts");
        all.sort_by(|one, other| one.name.cmp(&other.name));
        Self(all)
    }

    /// How many there are.
    #[expect(clippy::len_without_is_empty, reason = "they never are")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Plays each.
    ///
    /// # Panics
    /// When one does not hold: with what was expected and what came, of each that does not.
    pub fn play<P: Protocol>(&self, protocol: impl Fn() -> P) {
        self.all(|transcript| transcript.play(&protocol));
    }

    /// Plays each in pieces, as [`Transcript::play_in_pieces`] does it.
    ///
    /// # Panics
    /// As [`play`](Self::play) does.
    pub fn play_in_pieces<P: Protocol>(&self, protocol: impl Fn() -> P) {
        self.all(|transcript| transcript.play_in_pieces(&protocol));
    }

    fn all(&self, play: impl Fn(&Transcript) -> Result<(), Failure>) {
        let failures = self
            .0
            .iter()
            .filter_map(|transcript| play(transcript).err());
        let failures: Vec<String> = failures.map(|failure| failure.to_string()).collect();
        assert!(failures.is_empty(), "\n{}", failures.join("\n"));
    }
}

/// One file: conversations, each with a core of its own.
#[derive(Debug)]
pub struct Transcript {
    /// The file's name.
    pub(crate) name: String,
    conversations: Vec<Vec<Line>>,
}

impl Transcript {
    /// Reads a transcript; its name is told with what goes wrong.
    ///
    /// # Panics
    /// When it is not in the language of transcripts.
    pub fn parse(name: &str, text: &str) -> Self {
        let mut conversations = vec![Vec::new()];
        for (number, text) in (1..).zip(text.lines()) {
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            if text == "new" {
                conversations.push(Vec::new());
                continue;
            }
            let step = step(text).unwrap_or_else(|| panic!("{name}:{number}: what is {text:?}?"));
            let text = text.to_owned();
            let line = Line { number, text, step };
            conversations.last_mut().expect("one").push(line);
        }
        conversations.retain(|lines| !lines.is_empty());
        let name = name.to_owned();
        Self {
            name,
            conversations,
        }
    }

    /// Plays it.
    ///
    /// # Errors
    /// The first line that does not hold.
    pub fn play<P: Protocol>(&self, protocol: &impl Fn() -> P) -> Result<(), Failure> {
        for lines in &self.conversations {
            player::play(&self.name, lines, protocol(), Cut::Nowhere)?;
        }
        Ok(())
    }

    /// Plays it again and again, and expects the same each time: as it is; with each chunk that
    /// the other side sends cut in two, at each offset in turn; and with each of its bytes by
    /// itself. No time passes between the pieces, and datagrams are not cut.
    ///
    /// # Errors
    /// The first line that does not hold, and where the cut was.
    pub fn play_in_pieces<P: Protocol>(&self, protocol: &impl Fn() -> P) -> Result<(), Failure> {
        for lines in &self.conversations {
            let longest = player::play(&self.name, lines, protocol(), Cut::Nowhere)?;
            for offset in 1..longest {
                player::play(&self.name, lines, protocol(), Cut::At(offset))?;
            }
            player::play(&self.name, lines, protocol(), Cut::Everywhere)?;
        }
        Ok(())
    }
}

/// A line, as it stands in the file.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) number: usize,
    pub(crate) text: String,
    pub(crate) step: Step,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Client,
    Server,
}

/// What a line says.
#[derive(Debug)]
pub(crate) enum Step {
    /// A setting, and its value.
    Config(String, String),
    /// Which side is ours from here on.
    Ours(Side),
    Says {
        side: Side,
        /// The connection's name; empty where there is only one connection.
        who: String,
        text: String,
        /// Whether it comes in one piece with the line before.
        joined: bool,
    },
    Tells(String),
    Fails(String),
    Asks(String),
    Passes(Duration),
    /// No deadline comes in this time.
    Idle(Duration),
    /// Nobody looks at the clock in this time: what comes in it is noticed at its end.
    Asleep(Duration),
    /// The next deadline comes after at least and at most so long.
    Due(Duration, Duration),
    End(String),
    Cut,
}

fn step(line: &str) -> Option<Step> {
    let (head, text) = match (line.split_once(": "), line.strip_suffix(':')) {
        (Some((head, text)), _) => (head, text),
        (None, Some(head)) => (head, ""),
        (None, None) => ("", line),
    };
    let (kind, who) = head.split_once(' ').unwrap_or((head, ""));
    let says = |side, joined| {
        let (who, text) = (who.to_owned(), text.to_owned());
        Some(Step::Says {
            side,
            who,
            text,
            joined,
        })
    };
    match kind {
        "C" => return says(Side::Client, false),
        "C+" => return says(Side::Client, true),
        "S" => return says(Side::Server, false),
        "S+" => return says(Side::Server, true),
        "E" if who.is_empty() => return Some(Step::Tells(text.to_owned())),
        _ => {}
    }
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    Some(match (word, rest) {
        ("!", text) => Step::Fails(text.to_owned()),
        (">", request) => Step::Asks(request.to_owned()),
        ("config", setting) => {
            let (name, value) = setting.split_once(' ').unwrap_or((setting, ""));
            Step::Config(name.to_owned(), value.to_owned())
        }
        ("side", "client") => Step::Ours(Side::Client),
        ("side", "server") => Step::Ours(Side::Server),
        ("+", time) => match time.split_once(' ') {
            Some((time, "idle")) => Step::Idle(duration(time)?),
            Some((time, "asleep")) => Step::Asleep(duration(time)?),
            Some(_) => return None,
            None => Step::Passes(duration(time)?),
        },
        ("@", time) => {
            let (least, most) = time.split_once("..").unwrap_or((time, time));
            Step::Due(duration(least)?, duration(most)?)
        }
        ("end", who) => Step::End(who.to_owned()),
        ("cut", "") => Step::Cut,
        _ => return None,
    })
}

fn duration(text: &str) -> Option<Duration> {
    Some(match text.strip_suffix("ms") {
        Some(number) => Duration::from_millis(number.parse().ok()?),
        None => Duration::from_secs(text.strip_suffix('s')?.parse().ok()?),
    })
}
