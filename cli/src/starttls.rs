//! Openings: what is said before TLS, in protocols that begin without it.

use jackfield_socket::opening::{Dialogue, Lines, Turn, refused, unexpected};
use jackfield_socket::{Opening, Result};

use crate::args::StartTls;

/// The protocol's dialogue up to the server's go-ahead.
pub(crate) fn opening(protocol: StartTls) -> Box<dyn Opening> {
    match protocol {
        StartTls::Imap => Box::new(jackfield_imap::starttls::opening()),
        StartTls::Irc => Box::new(jackfield_irc::starttls::opening()),
        StartTls::Pop3 => Box::new(Lines::new(Pop3::default())),
        StartTls::Smtp => Box::new(jackfield_smtp::starttls::opening()),
    }
}

/// RFC 2595, section 4.
#[derive(Debug, Default)]
struct Pop3 {
    greeted: bool,
}

impl Dialogue for Pop3 {
    fn line(&mut self, line: &str) -> Result<Turn> {
        match (starts_with(line, "+OK"), self.greeted) {
            (true, true) => Ok(Turn::GoAhead),
            (true, false) => {
                self.greeted = true;
                Ok(Turn::Ask("STLS\r\n".into()))
            }
            (false, true) => Err(refused("answered STLS with", line)),
            (false, false) => Err(unexpected("greeted with", line)),
        }
    }
}

fn starts_with(line: &str, prefix: &str) -> bool {
    line.get(..prefix.len())
        .is_some_and(|it| it.eq_ignore_ascii_case(prefix))
}
