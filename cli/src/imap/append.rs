//! `jackfield imap append`: a message from a file or from standard input into a mailbox.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};

use jackfield_imap::RequestError;
use jackfield_imap::client::{Append, Client};
use jackfield_imap::codec::MailboxName;
use jackfield_socket::{Error, ErrorKind};
use tokio::io::{AsyncRead, ReadBuf};

use super::args::AppendArgs;
use super::{Asked, Stopped, mailbox};
use crate::failure::{Failure, Step};
use crate::output::Output;

/// How much is read at a time.
const PIECE: usize = 16 * 1024;

pub(super) async fn run(args: &AppendArgs, client: &Client) -> Result<(), Stopped> {
    let name = mailbox(&args.mailbox)?;
    let file = open(&args.file).step("reading the message")?;
    let size = Lines::new(file.try_clone().step("reading the message")?);
    let size = size.count().step("reading the message")?;
    let lines = Lines::new(file).again().step("reading the message")?;
    append(args, client, name, size, lines).await
}

async fn append(
    args: &AppendArgs,
    client: &Client,
    name: MailboxName,
    size: u64,
    lines: Lines,
) -> Result<(), Stopped> {
    let mut append = Append::to(name.clone());
    append.flags.clone_from(&args.flag);
    let appended = client.append_from(append, size, lines).await;
    let appended = match appended {
        Err(RequestError::Source) => {
            let text = "the message could not be read whole, or changed meanwhile";
            let error = Error::new(ErrorKind::Other, text);
            return Err(Failure::new(format!("appending to {name}"), error).into());
        }
        appended => appended.asked(|| format!("appending to {name}"))?,
    };
    // Where the server tells, so that it can be fetched.
    if let Some((_, uids)) = appended.uid {
        Output::new().line(&uids.to_string()).await?;
    }
    Ok(())
}

/// A file to be read twice: what comes through a pipe is kept in one meanwhile.
fn open(path: &Path) -> Result<File, Error> {
    let wrong = |error: io::Error| {
        let text = format!("can't read {}", path.display());
        Error::new(ErrorKind::InvalidInput, text).with_source(error)
    };
    if path.as_os_str() != "-" {
        return File::open(path).map_err(wrong);
    }
    let mut kept = tempfile::tempfile().map_err(|error| {
        Error::new(ErrorKind::Other, "can't keep standard input").with_source(error)
    })?;
    let copied = io::copy(&mut io::stdin().lock(), &mut kept);
    copied.and_then(|_| kept.rewind()).map_err(|error| {
        Error::new(ErrorKind::Other, "can't keep standard input").with_source(error)
    })?;
    Ok(kept)
}

/// The bytes of a file, with CR LF at the end of each line, as messages have it: LF alone becomes that,
/// and so does CR.
struct Lines {
    file: File,
    /// What was read, and is not given yet.
    piece: Vec<u8>,
    given: usize,
    /// Whether a CR was the last byte.
    is_after_cr: bool,
    is_done: bool,
}

impl Lines {
    fn new(file: File) -> Self {
        Self {
            file,
            piece: Vec::new(),
            given: 0,
            is_after_cr: false,
            is_done: false,
        }
    }

    /// From the beginning of the file.
    fn again(mut self) -> io::Result<Self> {
        self.file.rewind()?;
        Ok(Self::new(self.file))
    }

    /// Reads to the end: how many bytes it were.
    fn count(mut self) -> io::Result<u64> {
        let mut count = 0;
        while self.fill()? {
            count += self.piece.len() as u64;
            self.given = self.piece.len();
        }
        Ok(count)
    }

    /// Reads more, where all was given; whether there is any.
    fn fill(&mut self) -> io::Result<bool> {
        let mut read = [0; PIECE];
        while self.given == self.piece.len() && !self.is_done {
            self.piece.clear();
            self.given = 0;
            let count = match self.file.read(&mut read) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                count => count?,
            };
            self.is_done = count == 0;
            for &byte in &read[..count] {
                // The CR of a pair has brought its LF along.
                match (byte, self.is_after_cr) {
                    (b'\n', true) => {}
                    (b'\r' | b'\n', _) => self.piece.extend_from_slice(b"\r\n"),
                    _ => self.piece.push(byte),
                }
                self.is_after_cr = byte == b'\r';
            }
        }
        Ok(self.given < self.piece.len())
    }
}

impl AsyncRead for Lines {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // A file is read at once, in pieces that are small.
        if self.fill()? {
            let rest = &self.piece[self.given..];
            let count = rest.len().min(buf.remaining());
            buf.put_slice(&rest[..count]);
            self.given += count;
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn lines_end_as_they_must() {
        let long = "x".repeat(PIECE - 1);
        for (text, expected) in [
            ("a\nb\r\nc\rd", "a\r\nb\r\nc\r\nd"),
            ("\n\n\r\r", "\r\n\r\n\r\n\r\n"),
            ("", ""),
            // A pair that is cut by the end of a piece.
            (&format!("{long}\r\nb\n"), &format!("{long}\r\nb\r\n")),
        ] {
            let mut file = tempfile::tempfile().expect("a file");
            file.write_all(text.as_bytes()).expect("written");
            let lines = Lines::new(file).again().expect("the beginning");
            let copy = lines.file.try_clone().expect("another");
            assert_eq!(lines.count().expect("read"), expected.len() as u64);
            let mut lines = Lines::new(copy).again().expect("the beginning");
            let mut read = String::new();
            lines.read_to_string(&mut read).await.expect("read");
            assert_eq!(read, expected);
        }
    }
}
