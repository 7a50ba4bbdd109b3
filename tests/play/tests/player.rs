//! The player: that it holds a transcript that is right, and says of one that is not where, what was
//! expected and what came.

use std::convert::Infallible;
use std::time::Duration;

use jackfield_play::{Datagrams, Protocol, Stream, Transcript};
use jackfield_socket::driver::{Core, DatagramCore, Peer, StreamCore};
use jackfield_socket::time::Instant;

/// Answers each line with itself, and asks after 10 s of silence.
struct Echo {
    whole_lines: bool,
    line: Vec<u8>,
    out: Vec<u8>,
    told: Vec<String>,
    deadline: Option<Instant>,
}

const PATIENCE: Duration = Duration::from_secs(10);

impl Core for Echo {
    type Event = String;
    type Error = String;

    fn poll_event(&mut self) -> Option<String> {
        (!self.told.is_empty()).then(|| self.told.remove(0))
    }

    fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    fn handle_deadline(&mut self, now: Instant) -> Result<(), String> {
        self.out.extend_from_slice(b"are you there?\r\n");
        self.deadline = Some(now + PATIENCE);
        Ok(())
    }
}

impl StreamCore for Echo {
    fn receive(&mut self, now: Instant, bytes: &[u8]) -> Result<(), String> {
        self.deadline = Some(now + PATIENCE);
        if !self.whole_lines {
            // Wrong: a read is not a line.
            self.told
                .push(String::from_utf8_lossy(bytes).trim_end().into());
            return Ok(());
        }
        self.line.extend_from_slice(bytes);
        while let Some(end) = self.line.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.line.drain(..=end).collect();
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            if text == "bad" {
                return Err("a bad word".into());
            }
            self.told.push(text);
            self.out.extend(line);
        }
        Ok(())
    }

    fn receive_end(&mut self, _now: Instant) -> Result<(), String> {
        self.told.push("the end".into());
        if self.line.is_empty() {
            Ok(())
        } else {
            Err("it ends within a line".into())
        }
    }

    fn transmit(&mut self, _now: Instant, out: &mut Vec<u8>) {
        out.append(&mut self.out);
    }
}

struct Words {
    whole_lines: bool,
    greeting: Option<String>,
}

fn words() -> Words {
    Words {
        whole_lines: true,
        greeting: None,
    }
}

impl Protocol for Words {
    type Core = Echo;
    type Carrier = Stream;

    fn config(&mut self, name: &str, value: &str) {
        assert_eq!(name, "greeting");
        self.greeting = Some(value.into());
    }

    fn begin(&mut self, now: Instant) -> Echo {
        Echo {
            whole_lines: self.whole_lines,
            line: Vec::new(),
            out: self.greeting.take().unwrap_or_default().into_bytes(),
            told: Vec::new(),
            deadline: Some(now + PATIENCE),
        }
    }

    fn ask(&mut self, core: &mut Echo, _now: Instant, request: &str) -> Result<(), String> {
        let (verb, text) = request.split_once(' ').ok_or("no text")?;
        assert_eq!(verb, "say");
        core.out.extend_from_slice(text.as_bytes());
        core.out.extend_from_slice(b"\r\n");
        Ok(())
    }

    fn told(&mut self, event: String) -> Option<String> {
        (event != "secret").then_some(event)
    }

    fn lost(&mut self, core: &mut Echo, _now: Instant) {
        core.line.clear();
        core.told.push("lost".into());
    }
}

fn play(text: &str) -> Result<(), String> {
    let transcript = Transcript::parse("it.txt", text);
    transcript
        .play(&words)
        .map_err(|failure| failure.to_string())
}

const ALL: &str = r"# Everything that can be said.
config greeting +OK
C: +OK\
S: one
E: one
C: one

# A line in two pieces, two in one, and a byte that is no text.
S: t\
S: wo
S+: three
C: two
C: three
E: t…o
E: three
S: \x01\xff
C: \x01\xff
E: …
S: secret
C: secret
> say something
> say
> say more
C: something
C: more
E: not taken: no text
+ 9s idle
+ 1s
C: are you there?
@ 10s
C: are you there?
@ 9s..11s
C: are you there?
+ 25s
C: are you there?
C: are you there?
+ 60s asleep
C: are you there?
S: lost with the conn\
cut
E: lost
S: half of\
end
E: the end
! it ends within a line

new
# What this side says as a server.
side server
C: hello
E: hello
S: hello
C: more and bad
S: more and bad
E: more…bad
C: bad
! a bad word
";

#[test]
fn everything_that_can_be_said_is_understood() {
    play(ALL).expect("all of it holds");
}

#[test]
fn a_core_that_takes_a_read_for_a_line_is_found() {
    let transcript = Transcript::parse("it.txt", "S: one\nE: one\n");
    let careless = || Words {
        whole_lines: false,
        greeting: None,
    };
    transcript.play(&careless).expect("it holds in one piece");
    let failure = transcript
        .play_in_pieces(&careless)
        .expect_err("it does not in two");
    assert_eq!(
        failure.to_string(),
        "it.txt:2 (each chunk cut at byte 1): something else was told\n  \
         expected  E: one\n  \
         came      E: o\n            E: ne"
    );
    let careful = Transcript::parse("it.txt", ALL_IN_LINES);
    careful.play_in_pieces(&words).expect("whole lines");
}

const ALL_IN_LINES: &str =
    "S: one\nS+: two\nC: one\nC: two\nE: one\nE: two\nS: bad\nS+: x\n! a bad word\n";

#[test]
fn what_does_not_hold_is_told_with_its_place() {
    for (text, failure) in [
        (
            "S: one\nC: two\nE: one\n",
            "it.txt:2: something else was sent\n  expected  C: two\n  came      C: one\n            E: one",
        ),
        (
            "# A remark.\n\nS: one\nC: one\n",
            "it.txt:4: more came at the end\n  expected  nothing\n  came      E: one",
        ),
        (
            "S: one\nE: one\nS: two\n",
            "it.txt:3: more came before this line\n  expected  nothing\n  came      C: one",
        ),
        (
            "S: one\nC: one\\\n",
            "it.txt:2: something else was sent\n  expected  C: one\\\n  came      C: one\n            E: one",
        ),
        (
            "E: x\n",
            "it.txt:1: something else was told\n  expected  E: x\n  came      nothing",
        ),
        (
            "! x\n",
            "it.txt:1: it did not fail so\n  expected  ! x\n  came      nothing",
        ),
        (
            "S: bad\n! a good word\n",
            "it.txt:2: it did not fail so\n  expected  ! a good word\n  came      ! a bad word",
        ),
        (
            "+ 10s idle\n",
            "it.txt:1: this time is not idle\n  expected  + 10s idle\n  came      @ 10s",
        ),
        (
            "@ 1s..500ms\n",
            "it.txt:1: another deadline\n  expected  @ 1s..500ms\n  came      @ 10s",
        ),
    ] {
        let said = play(text).expect_err(text);
        assert_eq!(said, failure);
    }
}

#[test]
#[should_panic(expected = "it.txt:2: what is \"X: y\"?")]
fn what_is_no_line_is_refused() {
    Transcript::parse("it.txt", "S: x\nX: y\n");
}

/// Sends each datagram back to where it comes from.
#[derive(Default)]
struct Mirror(Vec<(Peer, Vec<u8>)>);

impl Core for Mirror {
    type Event = Infallible;
    type Error = Infallible;

    fn poll_event(&mut self) -> Option<Infallible> {
        None
    }
}

impl DatagramCore for Mirror {
    fn receive(&mut self, _now: Instant, from: Peer, datagram: &[u8]) -> Result<(), Infallible> {
        self.0.push((from, datagram.to_vec()));
        Ok(())
    }

    fn transmit(&mut self, _now: Instant, datagram: &mut Vec<u8>) -> Option<Peer> {
        let (peer, bytes) = self.0.pop()?;
        datagram.extend(bytes);
        Some(peer)
    }
}

struct Bytes;

impl Protocol for Bytes {
    type Core = Mirror;
    type Carrier = Datagrams;

    fn begin(&mut self, _now: Instant) -> Mirror {
        Mirror::default()
    }

    fn told(&mut self, event: Infallible) -> Option<String> {
        match event {}
    }

    fn read(&mut self, line: &str) -> Vec<u8> {
        jackfield_play::hex::read(line)
    }

    fn write(&mut self, bytes: &[u8]) -> String {
        jackfield_play::hex::write(bytes)
    }
}

#[test]
fn datagrams_are_never_cut_and_have_addresses() {
    let text =
        "side server\nC: 01 02\nS: 01 02\nC [::1]:7: 03 \"text\"\nS [::1]:7: 03 74 65 78 74\n";
    let transcript = Transcript::parse("it.txt", text);
    transcript.play_in_pieces(&|| Bytes).expect("it holds");
    let transcript = Transcript::parse("it.txt", "side server\nC [::1]:7: 03 04\nS: 03 04\n");
    let failure = transcript.play(&|| Bytes).expect_err("another peer");
    assert_eq!(failure.came, ["S [::1]:7: 03 04"]);
}
