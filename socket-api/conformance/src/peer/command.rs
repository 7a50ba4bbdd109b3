//! Commands to the peer: one line of words each, then whatever the behaviour says.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

/// The longest line, its end included.
pub(crate) const MAX_LINE: usize = 256;

macro_rules! commands {
    ($($(#[$doc:meta])* $name:ident $word:literal { $($field:ident: $type:ty),* })*) => {
        /// What the peer is to do with a connection. Times are in milliseconds.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub(crate) enum Command {
            $($(#[$doc])* $name { $($field: $type),* },)*
        }

        impl fmt::Display for Command {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$name { $($field),* } => {
                        f.write_str($word)?;
                        $(write!(f, " {}", $field)?;)*
                        Ok(())
                    })*
                }
            }
        }

        impl FromStr for Command {
            type Err = ();

            fn from_str(line: &str) -> Result<Self, ()> {
                let mut words = line.split(' ');
                match words.next() {
                    $(Some($word) => Ok(Self::$name {
                        $($field: words.next().ok_or(())?.parse().map_err(|_| ())?,)*
                    }),)*
                    _ => Err(()),
                }
            }
        }
    };
}

commands! {
    /// Answers with a number that no other connection has.
    Ticket "ticket" {}
    /// Answers with the client's address and the peer's own, as the peer sees them.
    Who "who" {}
    /// Answers with an address where nothing listens.
    Closed "closed" {}
    /// Answers with a [`Record`](super::record::Record) as it stands.
    Progress "progress" { ticket: u64 }
    /// Answers with a record once its connection is over.
    Outcome "outcome" { ticket: u64 }
    /// Lets a stalled connection go on, once.
    Release "release" { ticket: u64 }
    /// Answers once no connection is open that hasn't said a line.
    Silent "silent" {}
    /// Connects to this address, says from where, and echoes there.
    ConnectBack "connect-back" { to: SocketAddr }
    /// Sends back what comes, and ends when the client ends.
    Echo "echo" {}
    /// After a delay, sends this many bytes, then ends.
    Send "send" { seed: u64, bytes: u64, delay: u64 }
    /// Sends a line, then ends only when the client has ended, with a last line.
    HalfClose "half-close" {}
    /// Sends this many bytes in pieces with a pause after each, then ends.
    Drip "drip" { seed: u64, bytes: u64, piece: usize, pause: u64 }
    /// After a delay, takes all that comes, and answers with the record when the client has ended.
    Sink "sink" { ticket: u64, seed: u64, delay: u64 }
    /// Says a line at once and, after a delay, takes all that comes; then it may say two lines more.
    /// Where one of them can't be said, the connection counts as cut, as a printer sees it.
    Job "job" { ticket: u64, seed: u64, delay: u64, answer: bool }
    /// Ends its own direction at once, then does as `Sink`.
    EndThenSink "end-then-sink" { ticket: u64, seed: u64 }
    /// Reads nothing until it is released, then does as `Sink`.
    Stall "stall" { ticket: u64, seed: u64 }
    /// Reads nothing. Released, it ends its own direction; released again, it does as `Sink`.
    StallThenEnd "stall-then-end" { ticket: u64, seed: u64 }
    /// Reads nothing. Released, it resets the connection.
    StallThenReset "stall-then-reset" { ticket: u64 }
    /// Sends as much as it can.
    Fill "fill" { ticket: u64, seed: u64 }
    /// Sends this many bytes, waits, and resets the connection.
    Reset "reset" { seed: u64, bytes: u64, delay: u64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_read_back_as_they_print() {
        let to = "[::1]:80".parse().expect("an address");
        for command in [
            Command::Echo {},
            Command::ConnectBack { to },
            Command::Send {
                seed: 1,
                bytes: 2,
                delay: 3,
            },
        ] {
            assert_eq!(command.to_string().parse(), Ok(command));
        }
        for line in ["", "nothing", "send 1 2", "send 1 2 x"] {
            assert_eq!(line.parse::<Command>(), Err(()), "{line}");
        }
    }
}
