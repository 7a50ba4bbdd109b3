//! Opening of SMTP connections that begin in plaintext: the command STARTTLS (RFC 3207).
//!
//! What the server said before TLS is forgotten: the session begins with EHLO, and without a greeting
//! ([`Security::StartTls`](crate::core::Security::StartTls)).

use jackfield_socket::Result;
use jackfield_socket::opening::{Dialogue, Lines, Turn, not_offered, refused, unexpected};

use crate::codec::Domain;

/// SMTP's dialogue up to the go-ahead for TLS; [`opening`] makes an
/// [`Opening`](jackfield_socket::Opening) of it.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct StartTls {
    /// What EHLO says; `None` for `localhost`.
    pub name: Option<Domain>,
    answering: Answering,
    is_offered: bool,
}

/// What the server's reply is to.
#[derive(Clone, Copy, Debug, Default)]
enum Answering {
    #[default]
    Connection,
    Ehlo,
    StartTls,
}

/// An opening for `jackfield_tls::StartTls`, which gives it to each of a network's streams.
///
/// ```
/// use jackfield_smtp::starttls;
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

impl Dialogue for StartTls {
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
        let offer = rest.get(1..).unwrap_or_default();
        if offer.trim().eq_ignore_ascii_case("STARTTLS") {
            self.is_offered = true;
        }
        if rest.starts_with('-') {
            return Ok(Turn::Listen);
        }
        match self.answering {
            Answering::Connection => {
                self.answering = Answering::Ehlo;
                // Not what the greeting said.
                self.is_offered = false;
                let name = self.name.as_ref().map_or("localhost", Domain::as_str);
                Ok(Turn::Ask(["EHLO ", name, "\r\n"].concat()))
            }
            Answering::Ehlo if self.is_offered => {
                self.answering = Answering::StartTls;
                Ok(Turn::Ask("STARTTLS\r\n".into()))
            }
            Answering::Ehlo => Err(not_offered("STARTTLS")),
            Answering::StartTls => Ok(Turn::GoAhead),
        }
    }
}
