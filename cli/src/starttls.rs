//! Openings: what is said before TLS, in protocols that begin without it.

use jackfield_socket::opening::{Dialogue, Lines, Turn, not_offered, refused, unexpected};
use jackfield_socket::{Opening, Result};

use crate::args::StartTls;

/// The protocol's dialogue up to the server's go-ahead.
pub(crate) fn opening(protocol: StartTls) -> Box<dyn Opening> {
    match protocol {
        StartTls::Imap => Box::new(jackfield_imap::starttls::opening()),
        StartTls::Irc => Box::new(jackfield_irc::starttls::opening()),
        StartTls::Pop3 => Box::new(Lines::new(Pop3::default())),
        StartTls::Smtp => Box::new(Lines::new(Smtp::default())),
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

/// RFC 3207.
#[derive(Debug, Default)]
struct Smtp {
    answering: Answering,
    offered: bool,
}

/// What the server's reply is to.
#[derive(Clone, Copy, Debug, Default)]
enum Answering {
    #[default]
    Connection,
    Ehlo,
    StartTls,
}

impl Dialogue for Smtp {
    fn line(&mut self, line: &str) -> Result<Turn> {
        // A reply has one line or more, with a hyphen after the code in all but the last (RFC 5321,
        // section 4.2.1).
        let (code, rest) = line.split_at_checked(3).unwrap_or((line, ""));
        match (self.answering, code) {
            (Answering::Connection | Answering::StartTls, "220") | (Answering::Ehlo, "250") => {}
            (Answering::Connection, _) => return Err(unexpected("greeted with", line)),
            (Answering::Ehlo, _) => return Err(unexpected("answered EHLO with", line)),
            // For now only, says the server (RFC 3207, section 4).
            (Answering::StartTls, code) if code.starts_with('4') => {
                return Err(unexpected("answered STARTTLS with", line));
            }
            (Answering::StartTls, _) => return Err(refused("answered STARTTLS with", line)),
        }
        if rest
            .get(1..)
            .is_some_and(|offer| offer.eq_ignore_ascii_case("STARTTLS"))
        {
            self.offered = true;
        }
        if rest.starts_with('-') {
            return Ok(Turn::Listen);
        }
        match self.answering {
            Answering::Connection => {
                self.answering = Answering::Ehlo;
                // Not what the greeting said.
                self.offered = false;
                Ok(Turn::Ask("EHLO localhost\r\n".into()))
            }
            Answering::Ehlo if self.offered => {
                self.answering = Answering::StartTls;
                Ok(Turn::Ask("STARTTLS\r\n".into()))
            }
            Answering::Ehlo => Err(not_offered("STARTTLS")),
            Answering::StartTls => Ok(Turn::GoAhead),
        }
    }
}

fn starts_with(line: &str, prefix: &str) -> bool {
    line.get(..prefix.len())
        .is_some_and(|it| it.eq_ignore_ascii_case(prefix))
}
