//! Opening of IMAP connections that begin in plaintext: the command STARTTLS (RFC 9051, section
//! 6.2.1).
//!
//! A port that speaks TLS from the start (993) is simpler, and what RFC 8314 asks for. Nothing that
//! is said before TLS outlives it: neither the greeting nor what the server can do. No text is shown, also
//! where it ends in an error: whoever stands between may have written it.

use jackfield_socket::Result;
use jackfield_socket::opening::{Dialogue, Lines, Turn, refused, unexpected};

/// IMAP's dialogue up to the go-ahead for TLS; [`opening`] makes an
/// [`Opening`](jackfield_socket::Opening) of it.
///
/// What the server can do is not asked for: whoever strips STARTTLS from that could as well refuse
/// it, and either ends the connection.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct StartTls {
    is_greeted: bool,
}

/// An opening for `jackfield_tls::StartTls`, which gives it to each of a network's streams.
///
/// ```
/// use jackfield_imap::starttls;
/// use jackfield_socket::{ByteStream, Result, opening};
///
/// /// Afterwards TLS can begin on the stream.
/// async fn ask(stream: &mut impl ByteStream) -> Result<()> {
///     opening::speak(stream, &mut starttls::opening()).await
/// }
/// # fn main() {}
/// ```
pub fn opening() -> Lines<StartTls> {
    Lines::new(StartTls::default())
}

/// How many characters are shown of a word of the server's.
const SHOWN: usize = 16;

/// The words of a line, in capitals.
fn words(line: &str) -> (String, String) {
    let mut words = line.split_ascii_whitespace().map(str::to_ascii_uppercase);
    let mut word = || words.next().unwrap_or_default();
    (word(), word())
}

/// What is shown of a line: enough to tell a refusal from another protocol.
fn shown(line: &str) -> String {
    let word = |word: &str| -> String { word.chars().take(SHOWN).collect() };
    let words: Vec<String> = line.split_ascii_whitespace().take(2).map(word).collect();
    words.join(" ")
}

impl Dialogue for StartTls {
    fn line(&mut self, line: &str) -> Result<Turn> {
        let (first, second) = words(line);
        let line = &shown(line);
        match (self.is_greeted, first.as_str(), second.as_str()) {
            (false, "*", "OK") => {
                self.is_greeted = true;
                Ok(Turn::Ask("A1 STARTTLS\r\n".into()))
            }
            // Who is let in before TLS is let in by anyone, and could not ask for TLS any more.
            (false, "*", "PREAUTH") => Err(refused("greeted with", line)),
            (false, ..) => Err(unexpected("greeted with", line)),
            (true, "A1", "OK") => Ok(Turn::GoAhead),
            (true, "*", "OK" | "NO" | "BAD" | "CAPABILITY") => Ok(Turn::Listen),
            (true, "A1", "NO" | "BAD") => Err(refused("answered STARTTLS with", line)),
            (true, ..) => Err(unexpected("answered STARTTLS with", line)),
        }
    }
}

#[cfg(test)]
mod tests {
    use jackfield_play::play_opening;
    use jackfield_socket::{ErrorKind, Opening};

    use super::*;

    #[test]
    fn the_go_ahead_is_the_answer_to_starttls() {
        let (said, outcome) = play_opening(
            opening(),
            &[
                "* OK [CAPABILITY IMAP4rev1 STARTTLS] ready",
                "* capability IMAP4rev1 StartTLS LOGINDISABLED",
                "* OK [ALERT] pay no heed",
                "a1 ok begin",
            ],
        );
        assert!(matches!(outcome, Ok(true)), "{outcome:?}");
        assert_eq!(said, "A1 STARTTLS\r\n");
    }

    #[test]
    fn anything_else_ends_it() {
        let greeting = "* OK ready";
        for (lines, kind) in [
            (&["* PREAUTH welcome"][..], ErrorKind::TlsRefused),
            (&["* BYE full"], ErrorKind::Protocol),
            (&["220 smtp.example"], ErrorKind::Protocol),
            (&[greeting, "A1 NO not now"], ErrorKind::TlsRefused),
            (&[greeting, "A1 BAD what?"], ErrorKind::TlsRefused),
            (&[greeting, "A2 OK what?"], ErrorKind::Protocol),
            (&[greeting, "+ go"], ErrorKind::Protocol),
            (&[greeting, "* PREAUTH hello"], ErrorKind::Protocol),
            (&[greeting, "* 9 EXISTS"], ErrorKind::Protocol),
            (&[greeting, "* BYE"], ErrorKind::Protocol),
        ] {
            let (_, outcome) = play_opening(opening(), lines);
            let error = outcome.expect_err("refused");
            assert_eq!(error.kind(), kind, "{lines:?}: {error}");
        }
    }

    #[test]
    fn an_answer_before_its_question_is_refused() {
        let mut opening = opening();
        let input = b"* OK ready\r\nA1 OK done\r\n";
        let taken = opening.receive(input).expect("a greeting");
        let early = opening.receive(&input[taken..]);
        assert_eq!(early.expect_err("too early").kind(), ErrorKind::Protocol);
    }
}
