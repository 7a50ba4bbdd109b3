//! Transcripts of protocols (`tests/vectors`), and the player of them.
//!
//! A transcript is what a client and a server say to each other, what a core tells its user of it,
//! and when. It is a file that a person can read; `tests/vectors/README.md` has its language. The
//! player gives a core what the other side says, lets time pass, and compares what comes out, line
//! by line: all of it must be listed. So a protocol writes down only what is its own, as a
//! [`Protocol`]: how its core is made, what may be asked of it, and how its events and bytes are
//! written.
//!
//! ```
//! use jackfield_play::{Protocol, Stream, Transcript};
//! use jackfield_socket::driver::{Core, StreamCore};
//! use jackfield_socket::time::Instant;
//!
//! /// Greets whoever greets.
//! #[derive(Default)]
//! struct Polite {
//!     line: Vec<u8>,
//!     greeted: bool,
//!     out: Vec<u8>,
//! }
//!
//! impl Core for Polite {
//!     type Event = &'static str;
//!     type Error = std::fmt::Error;
//!     fn poll_event(&mut self) -> Option<Self::Event> {
//!         std::mem::take(&mut self.greeted).then_some("greeted")
//!     }
//! }
//!
//! impl StreamCore for Polite {
//!     fn receive(&mut self, _now: Instant, bytes: &[u8]) -> Result<(), Self::Error> {
//!         self.line.extend_from_slice(bytes);
//!         if self.line.ends_with(b"\r\n") {
//!             self.line.clear();
//!             self.greeted = true;
//!             self.out.extend_from_slice(b"+OK hello yourself\r\n");
//!         }
//!         Ok(())
//!     }
//!     fn receive_end(&mut self, _now: Instant) -> Result<(), Self::Error> {
//!         Ok(())
//!     }
//!     fn transmit(&mut self, _now: Instant, out: &mut Vec<u8>) {
//!         out.append(&mut self.out);
//!     }
//! }
//!
//! struct Words;
//!
//! impl Protocol for Words {
//!     type Core = Polite;
//!     type Carrier = Stream;
//!     fn begin(&mut self, _now: Instant) -> Polite {
//!         Polite::default()
//!     }
//!     fn told(&mut self, event: &'static str) -> Option<String> {
//!         Some(event.into())
//!     }
//! }
//!
//! let transcript = Transcript::parse("polite.txt", "\
//! S: hello
//! E: greeted
//! C: +OK hello yourself
//! ");
//! transcript.play(&|| Words).expect("what was written down");
//! // The same, whichever way its bytes are cut.
//! transcript.play_in_pieces(&|| Words).expect("a core that waits for whole lines");
//! ```

mod carrier;
pub mod hex;
mod opening;
mod player;
pub mod text;
mod transcript;

use std::fmt::Display;

use jackfield_socket::driver::Core;
use jackfield_socket::time::Instant;

pub use carrier::{Carrier, Datagrams, Stream};
pub use opening::play_opening;
pub use player::Failure;
pub use transcript::{Transcript, Transcripts};

/// What a protocol's transcripts mean: the little that is its own.
///
/// What a transcript says that makes no sense is answered with a panic; the player adds where.
pub trait Protocol {
    /// What is played to.
    type Core: Core<Error: Display>;
    /// What carries its bytes: [`Stream`] or [`Datagrams`], as a rule.
    type Carrier: Carrier<Self::Core>;

    /// Takes a setting (`config NAME VALUE`; a value may be empty) for the core that will begin.
    fn config(&mut self, name: &str, value: &str) {
        panic!("{name} {value}: there are no settings");
    }

    /// Makes the core, from the settings.
    fn begin(&mut self, now: Instant) -> Self::Core;

    /// Does what a user asks of the core (`> REQUEST`).
    ///
    /// # Errors
    /// Why the core does not take it; a transcript has that as `E: not taken: …`.
    fn ask(&mut self, core: &mut Self::Core, now: Instant, request: &str) -> Result<(), String> {
        let _ = (core, now);
        panic!("{request}: nothing can be asked");
    }

    /// An event as transcripts write it (`E: …`), or `None` for one of which they say nothing.
    fn told(&mut self, event: <Self::Core as Core>::Event) -> Option<String>;

    /// Tells the core that its connection is lost (`cut`), where it outlives its connections.
    fn lost(&mut self, core: &mut Self::Core, now: Instant) {
        let _ = (core, now);
        panic!("this core is not told");
    }

    /// Looks at the core after each step, for what must always hold.
    fn check(&mut self, core: &Self::Core) {
        let _ = core;
    }

    /// The bytes that a line stands for: a line of text, unless a protocol says otherwise.
    fn read(&mut self, line: &str) -> Vec<u8> {
        text::read(line)
    }

    /// Bytes as a line would have them, for whoever looks for what went wrong.
    fn write(&mut self, bytes: &[u8]) -> String {
        text::write(bytes)
    }

    /// How many of the bytes that a stream's core has sent belong to one line of a transcript: at
    /// least one, and all where the last line has no end.
    fn unit(&mut self, core: &Self::Core, bytes: &[u8]) -> usize {
        let _ = core;
        text::unit(bytes)
    }

    /// Whether a line says what was sent.
    fn is_sent(&mut self, line: &str, bytes: &[u8]) -> bool {
        self.read(line) == bytes
    }

    /// Whether a line says what was told; `…` in it stands for any text.
    fn is_told(&mut self, line: &str, told: &str) -> bool {
        text::matches(line, told)
    }
}
