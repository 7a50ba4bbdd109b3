//! The player of one conversation.

use std::collections::VecDeque;
use std::fmt;

use jackfield_socket::driver::Core;
use jackfield_socket::time::{self, Instant};

use crate::transcript::{Line, Side, Step};
use crate::{Carrier, Protocol};

/// A line of a transcript that does not hold.
#[derive(Debug)]
#[non_exhaustive]
pub struct Failure {
    /// The file and the line.
    pub at: String,
    /// What went wrong.
    pub reason: String,
    /// What was expected, as a transcript would have it; empty for nothing.
    pub expected: Vec<String>,
    /// What came.
    pub came: Vec<String>,
}

impl std::error::Error for Failure {}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.reason)?;
        for (word, lines) in [("expected", &self.expected), ("came", &self.came)] {
            write!(f, "\n  {word:<8}  ")?;
            match &**lines {
                [] => write!(f, "nothing")?,
                lines => write!(f, "{}", lines.join("\n            "))?,
            }
        }
        Ok(())
    }
}

/// Where the bytes that the other side sends are cut.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cut {
    Nowhere,
    /// Each byte comes by itself.
    Everywhere,
    /// Each chunk that is longer, after so many bytes.
    At(usize),
}

/// Plays a conversation. Returns how long the longest chunk is that may be cut.
pub(crate) fn play<P: Protocol>(
    name: &str,
    lines: &[Line],
    protocol: P,
    cut: Cut,
) -> Result<usize, Failure> {
    let mut player = Player {
        name,
        line: 0,
        protocol,
        cut,
        now: time::now(),
        core: None,
        ours: Side::Client,
        sent: VecDeque::new(),
        told: VecDeque::new(),
        failed: None,
        longest: 0,
    };
    let mut lines = lines.iter().peekable();
    let mut is_asking = false;
    while let Some(line) = lines.next() {
        player.line = line.number;
        let may_have_more = match &line.step {
            Step::Says { side, .. } => *side == player.ours,
            Step::Tells(_) | Step::Fails(_) => true,
            // Several requests may stand in a row.
            Step::Asks(_) => is_asking,
            _ => false,
        };
        if !may_have_more {
            player.nothing_is_left("more came before this line")?;
        }
        is_asking = matches!(line.step, Step::Asks(_));
        if let Step::Says {
            side, who, text, ..
        } = &line.step
            && *side != player.ours
        {
            let mut bytes = player.protocol.read(text);
            while let Some(next) = lines.next_if(|next| {
                matches!(&next.step, Step::Says { side: other, joined: true, .. } if other == side)
            }) {
                if let Step::Says { text, .. } = &next.step {
                    bytes.extend(player.protocol.read(text));
                }
            }
            player.receive(who, &bytes);
        } else {
            player.step(line)?;
        }
    }
    player.nothing_is_left("more came at the end")?;
    Ok(player.longest)
}

struct Player<'a, P: Protocol> {
    /// The file, and the line in it.
    name: &'a str,
    line: usize,
    protocol: P,
    cut: Cut,
    now: Instant,
    core: Option<P::Core>,
    ours: Side,
    /// What was sent, a line each, and to whom.
    sent: VecDeque<(String, Vec<u8>)>,
    told: VecDeque<String>,
    failed: Option<String>,
    longest: usize,
}

impl<P: Protocol> Player<'_, P> {
    fn step(&mut self, line: &Line) -> Result<(), Failure> {
        match &line.step {
            Step::Config(name, value) => {
                assert!(self.core.is_none(), "a setting after the beginning");
                self.protocol.config(name, value);
                return Ok(());
            }
            Step::Ours(side) => {
                self.ours = *side;
                return Ok(());
            }
            _ => {}
        }
        self.begin();
        match &line.step {
            Step::Config(..) | Step::Ours(_) => {}
            Step::Says {
                who, text, joined, ..
            } => {
                assert!(!joined, "what this side sends is not joined");
                let at = self.sent.iter().position(|(other, _)| other == who);
                let at = at.filter(|at| self.protocol.is_sent(text, &self.sent[*at].1));
                let Some(at) = at else {
                    return Err(self.otherwise("something else was sent", line));
                };
                self.sent.remove(at);
            }
            Step::Tells(text) => {
                let told = self.told.front();
                if !told.is_some_and(|told| self.protocol.is_told(text, told)) {
                    return Err(self.otherwise("something else was told", line));
                }
                self.told.pop_front();
            }
            Step::Fails(text) => {
                let failed = self.failed.as_ref();
                if !failed.is_some_and(|failed| self.protocol.is_told(text, failed)) {
                    return Err(self.otherwise("it did not fail so", line));
                }
                self.failed = None;
            }
            Step::Asks(request) => {
                let core = self.core.as_mut().expect("it has begun");
                if let Err(reason) = self.protocol.ask(core, self.now, request) {
                    self.told.push_back(format!("not taken: {reason}"));
                }
                self.collect();
            }
            Step::Passes(time) => {
                let until = self.now + *time;
                while self.failed.is_none()
                    && let Some(deadline) = self.deadline().filter(|it| *it <= until)
                {
                    self.reach(deadline);
                }
                self.now = until;
            }
            Step::Idle(time) => {
                let until = self.now + *time;
                if self.deadline().is_some_and(|deadline| deadline <= until) {
                    return Err(self.other_deadline("this time is not idle", line));
                }
                self.now = until;
            }
            Step::Asleep(time) => {
                self.now += *time;
                if let Some(deadline) = self.deadline().filter(|it| *it <= self.now) {
                    self.reach(deadline);
                }
            }
            Step::Due(least, most) => {
                let deadline = self.deadline();
                let wait = deadline.map(|it| it.saturating_duration_since(self.now));
                if !wait.is_some_and(|wait| (*least..=*most).contains(&wait)) {
                    return Err(self.other_deadline("another deadline", line));
                }
                self.reach(deadline.expect("it has one"));
            }
            Step::End(who) => {
                let core = self.core.as_mut().expect("it has begun");
                let result = P::Carrier::receive_end(core, self.now, who);
                self.after(result);
            }
            Step::Cut => {
                let core = self.core.as_mut().expect("it has begun");
                self.protocol.lost(core, self.now);
                self.collect();
            }
        }
        Ok(())
    }

    fn begin(&mut self) {
        if self.core.is_none() {
            self.core = Some(self.protocol.begin(self.now));
            self.collect();
        }
    }

    /// Gives the core what the other side sends: in pieces, if it is cut.
    fn receive(&mut self, who: &str, bytes: &[u8]) {
        self.begin();
        let pieces: Vec<&[u8]> = match self.cut {
            _ if !P::Carrier::IS_STREAM => vec![bytes],
            Cut::Everywhere => bytes.chunks(1).collect(),
            Cut::At(offset) if offset < bytes.len() => {
                let (one, other) = bytes.split_at(offset);
                vec![one, other]
            }
            Cut::Nowhere | Cut::At(_) => vec![bytes],
        };
        if P::Carrier::IS_STREAM {
            self.longest = self.longest.max(bytes.len());
        }
        for piece in pieces {
            // Nothing reaches a core that has failed.
            if self.failed.is_none() {
                let core = self.core.as_mut().expect("it has begun");
                let result = P::Carrier::receive(core, self.now, who, piece);
                self.after(result);
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.core.as_ref().and_then(Core::deadline)
    }

    /// Lets time pass until a deadline.
    fn reach(&mut self, deadline: Instant) {
        self.now = self.now.max(deadline);
        let core = self.core.as_mut().expect("it has begun");
        let result = core.handle_deadline(self.now);
        let next = core.deadline();
        assert!(
            result.is_err() || next.is_none_or(|next| next > self.now),
            "a deadline that has passed"
        );
        self.after(result);
    }

    fn after(&mut self, result: Result<(), <P::Core as Core>::Error>) {
        if let Err(error) = result {
            self.failed = Some(error.to_string());
        }
        self.collect();
    }

    /// Takes what the core sends and tells.
    fn collect(&mut self) {
        let core = self.core.as_mut().expect("it has begun");
        loop {
            for (who, bytes) in P::Carrier::transmit(core, self.now) {
                let mut rest = &bytes[..];
                while P::Carrier::IS_STREAM && !rest.is_empty() {
                    let (unit, behind) = rest.split_at(self.protocol.unit(core, rest));
                    self.sent.push_back((who.clone(), unit.to_vec()));
                    rest = behind;
                }
                if !P::Carrier::IS_STREAM {
                    self.sent.push_back((who, bytes));
                }
            }
            let Some(event) = core.poll_event() else {
                break;
            };
            self.told.extend(self.protocol.told(event));
        }
        self.protocol.check(core);
    }

    /// What has come and was not looked at, as a transcript would have it.
    fn left(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        for (who, bytes) in &self.sent {
            let side = if self.ours == Side::Client { "C" } else { "S" };
            let space = if who.is_empty() { "" } else { " " };
            let text = self.protocol.write(bytes);
            lines.push(format!("{side}{space}{who}: {text}"));
        }
        lines.extend(self.told.iter().map(|told| format!("E: {told}")));
        lines.extend(self.failed.iter().map(|failed| format!("! {failed}")));
        lines
    }

    fn nothing_is_left(&mut self, reason: &str) -> Result<(), Failure> {
        let came = self.left();
        if came.is_empty() {
            return Ok(());
        }
        let (at, reason) = (self.at(), reason.to_owned());
        let expected = Vec::new();
        Err(Failure {
            at,
            reason,
            expected,
            came,
        })
    }

    fn otherwise(&mut self, reason: &str, line: &Line) -> Failure {
        let came = self.left();
        self.failure(reason, line, came)
    }

    fn other_deadline(&self, reason: &str, line: &Line) -> Failure {
        let wait = self
            .deadline()
            .map(|it| it.saturating_duration_since(self.now));
        let came = wait.map(|wait| format!("@ {wait:?}"));
        self.failure(reason, line, came.into_iter().collect())
    }

    fn failure(&self, reason: &str, line: &Line, came: Vec<String>) -> Failure {
        let (at, reason) = (self.at(), reason.to_owned());
        let expected = vec![line.text.clone()];
        Failure {
            at,
            reason,
            expected,
            came,
        }
    }

    /// The file, the line, and where the bytes are cut.
    fn at(&self) -> String {
        let at = format!("{}:{}", self.name, self.line);
        match self.cut {
            Cut::Nowhere => at,
            Cut::Everywhere => format!("{at} (byte by byte)"),
            Cut::At(offset) => format!("{at} (each chunk cut at byte {offset})"),
        }
    }
}

/// Where it was, for whoever reads of a panic in a core or in the words of a protocol.
impl<P: Protocol> Drop for Player<'_, P> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}: while this was played", self.at());
        }
    }
}
