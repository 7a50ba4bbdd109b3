//! Opening of IRC connections that begin in plaintext: the command `STARTTLS`.
//!
//! No RFC has it; IRCv3 describes it, and advises against it
//! (<https://ircv3.net/specs/extensions/tls-3.1>): a port that speaks TLS from the start (6697) is
//! simpler. It is for servers that have none. The command needs no registration and no capabilities:
//! a server that knows it answers `670`, and whatever it said before that is forgotten.

use jackfield_socket::opening::{Dialogue, Lines, Turn, not_offered, refused, unexpected};
use jackfield_socket::{Error, ErrorKind, Result};

use crate::codec::{Command, Message, MessageRef, Numeric, Text};

/// IRC's dialogue up to the go-ahead for TLS; [`opening`] makes an
/// [`Opening`](jackfield_socket::Opening) of it.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct StartTls;

/// An opening for `jackfield_tls::StartTls`, which gives it to each of a network's streams.
///
/// ```
/// use jackfield_irc::starttls;
/// use jackfield_socket::{ByteStream, Result, opening};
///
/// /// Afterwards TLS can begin on the stream.
/// async fn ask(stream: &mut impl ByteStream) -> Result<()> {
///     opening::speak(stream, &mut starttls::opening()).await
/// }
/// # fn main() {}
/// ```
pub fn opening() -> Lines<StartTls> {
    Lines::new(StartTls)
}

impl Dialogue for StartTls {
    fn begin(&mut self) -> Option<String> {
        Some("STARTTLS\r\n".into())
    }

    fn line(&mut self, line: &str) -> Result<Turn> {
        let Ok(message) = MessageRef::parse(line) else {
            return Err(unexpected("said", line));
        };
        match message.command() {
            Command::Numeric(Numeric::RPL_STARTTLS) => Ok(Turn::GoAhead),
            // It doesn't know the command, or only from those who have registered.
            Command::Numeric(Numeric::ERR_UNKNOWNCOMMAND | Numeric::ERR_NOTREGISTERED) => {
                Err(not_offered("STARTTLS"))
            }
            Command::Numeric(numeric) if numeric.is_error() => {
                Err(refused("answered STARTTLS with", line))
            }
            Command::Ping => pong(message),
            _ if is_passing(message) => Ok(Turn::Listen),
            _ => Err(unexpected("said", line)),
        }
    }

    fn is_aside(&self, line: &str) -> bool {
        MessageRef::parse(line).is_ok_and(is_passing)
    }
}

/// Whether servers say this to whoever has connected: that they look up a name, or are busy (020).
fn is_passing(message: MessageRef<'_>) -> bool {
    let command = message.command();
    command == Command::Notice
        || matches!(command, Command::Numeric(numeric) if numeric.number() == 20)
}

/// Answers a question for a sign of life. A lone CR in it would be another command to some servers.
fn pong(message: MessageRef<'_>) -> Result<Turn> {
    let token = message.params().next().unwrap_or_default();
    let token = Text::new(token)
        .map_err(|error| Error::new(ErrorKind::Protocol, format!("a PING before TLS: {error}")))?;
    let pong = Message::builder(Command::Pong).text(token);
    Ok(Turn::Say(format!("{pong}\r\n")))
}

#[cfg(test)]
mod tests {
    use jackfield_play::play_opening;
    use jackfield_socket::Opening;

    use super::*;

    #[test]
    fn the_go_ahead_is_670_whatever_was_said_in_passing() {
        let (said, outcome) = play_opening(
            opening(),
            &[
                ":irc.test NOTICE * :*** Looking up your hostname...",
                "NOTICE AUTH :*** Checking ident",
                ":irc.test 020 * :Please wait while we process your connection.",
                "PING :cookie",
                ":irc.test 670 * :STARTTLS successful, go ahead with TLS handshake",
            ],
        );
        assert!(matches!(outcome, Ok(true)), "{outcome:?}");
        assert_eq!(said, "STARTTLS\r\nPONG :cookie\r\n");
    }

    #[test]
    fn anything_else_ends_it() {
        for (line, kind) in [
            (":irc.test 691 * :STARTTLS failed", ErrorKind::TlsRefused),
            (
                ":irc.test 421 * STARTTLS :Unknown command",
                ErrorKind::TlsRefused,
            ),
            (
                ":irc.test 451 * :Connection not registered",
                ErrorKind::TlsRefused,
            ),
            (":irc.test 001 * :Welcome", ErrorKind::Protocol),
            ("ERROR :Closing link", ErrorKind::Protocol),
            ("PING :a\rQUIT", ErrorKind::Protocol),
            ("", ErrorKind::Protocol),
        ] {
            let (said, outcome) = play_opening(opening(), &[line]);
            let error = outcome.expect_err(line);
            assert_eq!(error.kind(), kind, "{line:?}: {error}");
            assert_eq!(said, "STARTTLS\r\n");
        }
    }

    #[test]
    fn a_go_ahead_that_nobody_asked_for_is_refused() {
        let mut opening = opening();
        let early = opening.receive(b":irc.test 670 * :go\r\n");
        assert_eq!(early.expect_err("too early").kind(), ErrorKind::Protocol);
    }
}
