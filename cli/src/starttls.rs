//! What is said before TLS, in protocols that begin without it.

use jackfield_socket::{ByteStream, Error, ErrorKind, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::args::StartTls;

/// The longest line that is waited for, in bytes.
const MAX_LINE: usize = 8 * 1024;
/// How many lines the server may say before it answers.
const MAX_LINES: usize = 200;

/// Speaks the protocol until the server is ready for TLS. Returns what it had already sent past
/// that point, which should be nothing.
pub(crate) async fn ask(protocol: StartTls, stream: &mut impl ByteStream) -> Result<Vec<u8>> {
    let mut dialogue = Dialogue {
        stream,
        unread: Vec::new(),
        lines: 0,
    };
    match protocol {
        StartTls::Imap => dialogue.imap().await?,
        StartTls::Irc => dialogue.irc().await?,
        StartTls::Pop3 => dialogue.pop3().await?,
        StartTls::Smtp => dialogue.smtp().await?,
    }
    Ok(dialogue.unread)
}

struct Dialogue<'a, S> {
    stream: &'a mut S,
    unread: Vec<u8>,
    lines: usize,
}

impl<S: ByteStream> Dialogue<'_, S> {
    /// RFC 9051, section 6.2.1.
    async fn imap(&mut self) -> Result<()> {
        let greeting = self.line().await?;
        if !starts_with(&greeting, "* OK") {
            return Err(refused("greeted with", &greeting));
        }
        self.say("a STARTTLS\r\n").await?;
        loop {
            let line = self.line().await?;
            if starts_with(&line, "a OK") {
                return Ok(());
            }
            if !line.starts_with('*') {
                return Err(refused("answered STARTTLS with", &line));
            }
        }
    }

    /// The STARTTLS command of IRC, which no RFC has: 670 is the go-ahead.
    async fn irc(&mut self) -> Result<()> {
        self.say("STARTTLS\r\n").await?;
        loop {
            let line = self.line().await?;
            // `:server 670 nick :STARTTLS successful`, where the source may be missing.
            let mut words = line.split(' ').skip_while(|word| word.starts_with(':'));
            match words.next() {
                Some("670") => return Ok(()),
                Some("NOTICE" | "020") => {}
                Some("PING") => {
                    let rest: Vec<&str> = words.collect();
                    self.say(&format!("PONG {}\r\n", rest.join(" "))).await?;
                }
                _ => return Err(refused("answered STARTTLS with", &line)),
            }
        }
    }

    /// RFC 2595, section 4.
    async fn pop3(&mut self) -> Result<()> {
        let greeting = self.line().await?;
        if !starts_with(&greeting, "+OK") {
            return Err(refused("greeted with", &greeting));
        }
        self.say("STLS\r\n").await?;
        let answer = self.line().await?;
        if starts_with(&answer, "+OK") {
            Ok(())
        } else {
            Err(refused("answered STLS with", &answer))
        }
    }

    /// RFC 3207.
    async fn smtp(&mut self) -> Result<()> {
        let (code, greeting) = self.reply().await?;
        if code != "220" {
            return Err(refused("greeted with", &greeting.join(" / ")));
        }
        self.say("EHLO localhost\r\n").await?;
        let (code, offers) = self.reply().await?;
        if code != "250" {
            return Err(refused("answered EHLO with", &offers.join(" / ")));
        }
        let offered = offers.iter().any(|line| {
            line.get(4..)
                .is_some_and(|it| it.eq_ignore_ascii_case("STARTTLS"))
        });
        if !offered {
            return Err(Error::new(
                ErrorKind::Protocol,
                "the server does not offer STARTTLS",
            ));
        }
        self.say("STARTTLS\r\n").await?;
        let (code, answer) = self.reply().await?;
        if code == "220" {
            Ok(())
        } else {
            Err(refused("answered STARTTLS with", &answer.join(" / ")))
        }
    }

    /// An SMTP reply of one line or more (RFC 5321, section 4.2.1): its code, and its lines.
    async fn reply(&mut self) -> Result<(String, Vec<String>)> {
        let mut lines = Vec::new();
        loop {
            let line = self.line().await?;
            let more = line.as_bytes().get(3) == Some(&b'-');
            let code = line.get(..3).map(str::to_owned);
            lines.push(line);
            match code {
                Some(_) if more => {}
                Some(code) => return Ok((code, lines)),
                None => return Err(refused("answered with", &lines.join(" / "))),
            }
        }
    }

    async fn say(&mut self, text: &str) -> Result<()> {
        self.stream.write_all(text.as_bytes()).await?;
        self.stream.flush().await?;
        Ok(())
    }

    /// The next line, without its end.
    async fn line(&mut self) -> Result<String> {
        self.lines += 1;
        if self.lines > MAX_LINES {
            return Err(Error::new(
                ErrorKind::LimitExceeded,
                format!("the server said more than {MAX_LINES} lines and no go-ahead"),
            ));
        }
        loop {
            if let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.unread.drain(..=end).collect();
                let line = line.trim_ascii_end();
                return Ok(String::from_utf8_lossy(line).into_owned());
            }
            if self.unread.len() > MAX_LINE {
                return Err(Error::new(
                    ErrorKind::LimitExceeded,
                    format!("the server sent a line of more than {MAX_LINE} bytes"),
                ));
            }
            let mut chunk = [0; 1024];
            let count = self.stream.read(&mut chunk).await?;
            if count == 0 {
                return Err(Error::new(
                    ErrorKind::UnexpectedEof,
                    "the server hung up before its go-ahead for TLS",
                ));
            }
            self.unread.extend_from_slice(&chunk[..count]);
        }
    }
}

fn starts_with(line: &str, prefix: &str) -> bool {
    line.get(..prefix.len())
        .is_some_and(|it| it.eq_ignore_ascii_case(prefix))
}

fn refused(did: &str, line: &str) -> Error {
    let shown: String = line.chars().take(200).collect();
    Error::new(ErrorKind::Protocol, format!("the server {did} {shown:?}"))
}
