//! `jackfield smtp send`: a message, and what became of it for each recipient.

use std::fs::File;
use std::io::{self, Cursor, Read as _};
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::SystemTime;

use jackfield_mail::compose::{Attachment, Composed, Draft, message_id};
use jackfield_mail::message::Message;
use jackfield_mail::{Address, Date};
use jackfield_smtp::RequestError;
use jackfield_smtp::client::{Client, Envelope};
use jackfield_smtp::codec::{Mailbox, ReversePath};
use jackfield_smtp::core::{Delivery, Outcome};
use jackfield_socket::{Error, ErrorKind};
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

use super::Stopped;
use super::args::SendArgs;
use crate::failure::{Failure, Step};
use crate::output::Output;

/// How long the header of a message may be, in bytes.
const MAX_HEADER: u64 = 1 << 20;
/// How much text is read from standard input for a message that is made here, in bytes.
const MAX_TEXT: u64 = 64 << 20;
const PREPARING: &str = "preparing the message";

/// A message that is ready to go.
pub(super) struct Prepared {
    envelope: Envelope,
    content: Box<dyn AsyncRead + Send + Unpin>,
    size: Option<u64>,
}

/// Makes or reads the message, as far as has to be known before it is sent.
pub(super) async fn prepare(args: &SendArgs) -> Result<Prepared, Failure> {
    if args.composes() {
        compose(args).await
    } else {
        from_file(args).await
    }
}

pub(super) async fn run(prepared: Prepared, client: &Client) -> Result<(), Stopped> {
    let Prepared {
        envelope,
        content,
        size,
    } = prepared;
    match client.send_from(envelope, content, size).await {
        Ok(outcome) => {
            tell(&outcome).await?;
            if outcome.is_complete() {
                return Ok(());
            }
            let refused = outcome.recipients.len() - outcome.accepted().count();
            let text = format!(
                "{refused} of {} recipients don't get it",
                outcome.recipients.len()
            );
            let mut failure =
                Failure::new("sending the message", Error::new(ErrorKind::Other, text));
            if outcome.refused().all(|(_, reply)| reply.is_temporary()) {
                failure = failure.with_hint(Some("to those later: the server says not now"));
            }
            Err(failure.with_code(8).into())
        }
        Err(error) => {
            match &error {
                RequestError::Refused(refusal) => tell(&refusal.recipients).await?,
                RequestError::OutcomeUnknown(outcome) => tell(outcome).await?,
                _ => {}
            }
            let step = "sending the message".to_owned();
            Err(Stopped::Request { step, error })
        }
    }
}

/// A line for each recipient: the address, what became of it, and what the server said.
async fn tell(outcome: &Outcome) -> Result<(), Failure> {
    let mut output = Output::new();
    for (mailbox, delivery) in &outcome.recipients {
        let told = match delivery {
            Delivery::Accepted(reply) => format!("accepted\t{reply}"),
            Delivery::Refused(reply) if reply.is_temporary() => format!("not now\t{reply}"),
            Delivery::Refused(reply) => format!("refused\t{reply}"),
            Delivery::Unknown => "unknown\t-".into(),
            _ => "not asked\t-".into(),
        };
        output.line(&format!("{mailbox}\t{told}")).await?;
    }
    Ok(())
}

/// A message that is there already. Its header is read first, and the rest as it is sent.
async fn from_file(args: &SendArgs) -> Result<Prepared, Failure> {
    let path = args.file.as_deref().filter(|path| path.as_os_str() != "-");
    let mut size = None;
    let mut content: Box<dyn AsyncRead + Send + Unpin> = match path {
        Some(path) => {
            let file = Blocking::open(path).step(PREPARING)?;
            size = file.size();
            Box::new(file)
        }
        None => Box::new(tokio::io::stdin()),
    };
    let beginning = header(&mut content).await?;
    let message = Message::parse(beginning.clone());
    let from = if let Some(from) = &args.from {
        path_of(from)?
    } else {
        let mut from = message.addresses("Sender");
        from.extend(message.from());
        let Some(from) = from.first() else {
            return Err(invalid("it has no From: --from says whom it comes from"));
        };
        mailbox(&from.address)?.into()
    };
    let mut envelope = Envelope::new(from, []);
    let mut to = Vec::new();
    for text in &args.to {
        to.extend(addresses(text)?);
    }
    if args.to.is_empty() {
        for field in ["To", "Cc", "Bcc"] {
            to.extend(message.addresses(field));
        }
    }
    if to.is_empty() {
        return Err(invalid("it has no To: --to says whom it goes to"));
    }
    add(
        &mut envelope,
        to.iter().map(|address| address.address.as_str()),
    )?;
    envelope.parameters.smtp_utf8 |= has_unicode(&beginning);
    Ok(Prepared {
        envelope,
        content: Box::new(AsyncReadExt::chain(Cursor::new(beginning), content)),
        size,
    })
}

/// Reads to the empty line behind the header, and a little more.
async fn header(content: &mut (impl AsyncRead + Unpin)) -> Result<Vec<u8>, Failure> {
    let mut read = Vec::new();
    let mut content = content.take(MAX_HEADER);
    loop {
        let from = read.len().saturating_sub(3);
        if content.read_buf(&mut read).await.step(PREPARING)? == 0 {
            if read.len() as u64 == MAX_HEADER {
                return Err(invalid("its header is longer than 1 MiB"));
            }
            return Ok(read);
        }
        if end_of_header(&read[from..]).is_some() {
            return Ok(read);
        }
    }
}

/// Where the empty line behind a header ends.
fn end_of_header(bytes: &[u8]) -> Option<usize> {
    let is_end = |at: &usize| {
        let rest = &bytes[*at..];
        rest.starts_with(b"\n\n") || rest.starts_with(b"\n\r\n")
    };
    (0..bytes.len()).find(is_end)
}

/// Whether the header has bytes beyond ASCII, which takes SMTPUTF8 (RFC 6532).
fn has_unicode(beginning: &[u8]) -> bool {
    let end = end_of_header(beginning).unwrap_or(beginning.len());
    !beginning[..end].is_ascii()
}

/// A message that is made of the arguments.
async fn compose(args: &SendArgs) -> Result<Prepared, Failure> {
    let from = match args.from.as_deref().map(addresses).transpose()?.as_deref() {
        Some([from]) => from.clone(),
        _ => return Err(invalid("--from is one address")),
    };
    let domain = from.domain().unwrap_or_default().to_owned();
    let mut draft = Draft::new(from);
    for (texts, field) in [
        (&args.to, &mut draft.to),
        (&args.cc, &mut draft.cc),
        (&args.bcc, &mut draft.bcc),
    ] {
        for text in texts {
            field.extend(addresses(text)?);
        }
    }
    draft.subject = args.subject.clone().unwrap_or_default();
    let mut text = args.body.clone().unwrap_or_default();
    if args.body.is_none() {
        let mut input = tokio::io::stdin().take(MAX_TEXT);
        let read = input.read_to_string(&mut text).await;
        read.step("reading the text from standard input")?;
    }
    draft.text = Some(text);
    for path in &args.attach {
        draft.attachments.push(attachment(path).step(PREPARING)?);
    }
    let mut random = [0; 16];
    getrandom::fill(&mut random)
        .map_err(|error| Error::new(ErrorKind::Other, error.to_string()))
        .step("asking the system for randomness")?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = now.map_or(0, |now| now.as_secs().cast_signed());
    let composed = draft.compose(&message_id(random, &domain), Date::new(now, 0));
    let composed = composed.map_err(|error| invalid(error.to_string()))?;
    if composed.recipients.is_empty() {
        return Err(invalid("it has no recipient: --to, --cc or --bcc"));
    }
    ready(composed)
}

fn ready(composed: Composed) -> Result<Prepared, Failure> {
    let mut envelope = Envelope::new(ReversePath::from(mailbox(&composed.sender)?), []);
    add(
        &mut envelope,
        composed.recipients.iter().map(String::as_str),
    )?;
    envelope.parameters.smtp_utf8 |= composed.needs_smtputf8;
    Ok(Prepared {
        envelope,
        size: Some(composed.size()),
        content: Box::new(composed.into_reader()),
    })
}

/// A file, which is read while it is sent.
fn attachment(path: &Path) -> Result<Attachment, Error> {
    let file = Blocking::open(path)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let Some(size) = file.size() else {
        let text = format!("{} is no file", path.display());
        return Err(Error::new(ErrorKind::InvalidInput, text));
    };
    Ok(Attachment::stream(&*name, media_type(path), file, size))
}

/// What a file is, as far as its name tells: only that much of the message depends on it.
fn media_type(path: &Path) -> &'static str {
    let extension = path.extension().unwrap_or_default().to_string_lossy();
    match extension.to_ascii_lowercase().as_str() {
        "txt" | "log" | "md" => "text/plain",
        "csv" => "text/csv",
        "html" | "htm" => "text/html",
        "gif" => "image/gif",
        "jpg" | "jpeg" => "image/jpeg",
        "png" => "image/png",
        "svg" => "image/svg+xml",
        "webp" => "image/webp",
        "json" => "application/json",
        "pdf" => "application/pdf",
        "zip" => "application/zip",
        "gz" => "application/gzip",
        _ => "application/octet-stream",
    }
}

/// The addresses in an argument: `ada@example.org`, or `Ada <ada@example.org>, …`.
fn addresses(text: &str) -> Result<Vec<Address>, Failure> {
    if text.contains(['\r', '\n', '\0']) {
        return Err(invalid("an address has no line's end in it"));
    }
    let found = Message::parse(format!("To: {text}\r\n\r\n")).to();
    if found.is_empty() || found.iter().any(|it| it.address.is_empty()) {
        return Err(invalid(format!("\"{text}\" is no address")));
    }
    Ok(found)
}

fn path_of(text: &str) -> Result<ReversePath, Failure> {
    if text.is_empty() || text == "<>" {
        return Ok(ReversePath::Null);
    }
    match addresses(text)?.as_slice() {
        [from] => mailbox(&from.address).map(ReversePath::from),
        _ => Err(invalid("--from is one address")),
    }
}

fn mailbox(address: &str) -> Result<Mailbox, Failure> {
    let mailbox = address.parse();
    mailbox.map_err(|error| invalid(format!("{address}: {error}")))
}

/// Adds recipients, each once.
fn add<'a>(envelope: &mut Envelope, to: impl IntoIterator<Item = &'a str>) -> Result<(), Failure> {
    for address in to {
        let mailbox = mailbox(address)?;
        if !envelope.recipients.iter().any(|it| it.mailbox == mailbox) {
            envelope.recipients.push(mailbox.into());
        }
    }
    Ok(())
}

fn invalid(what: impl Into<String>) -> Failure {
    Failure::new(PREPARING, Error::new(ErrorKind::InvalidInput, what.into()))
}

/// A file that is read as it is asked for, in pieces that are small.
struct Blocking(File);

impl Blocking {
    fn open(path: &Path) -> Result<Self, Error> {
        let opened = File::open(path).map_err(|error| {
            let text = format!("can't read {}", path.display());
            Error::new(ErrorKind::InvalidInput, text).with_source(error)
        });
        opened.map(Self)
    }

    /// How many bytes it has; `None` where it is something else than a file.
    fn size(&self) -> Option<u64> {
        let metadata = self.0.metadata().ok()?;
        metadata.is_file().then_some(metadata.len())
    }
}

impl AsyncRead for Blocking {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let count = self.0.read(buf.initialize_unfilled())?;
        buf.advance(count);
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_header_ends_with_an_empty_line() {
        for (text, unicode) in [
            ("A: b\r\n\r\ntext", false),
            ("A: b\n\ngr\u{fc}n", false),
            ("A: gr\u{fc}n\r\n\r\ntext", true),
            ("A: b", false),
            ("", false),
        ] {
            let read = header(&mut text.as_bytes()).await.expect(text);
            assert_eq!(has_unicode(&read), unicode, "{text}");
            // The same where it comes byte by byte.
            let mut slow = tokio_chunks(text);
            let read = header(&mut slow).await.expect(text);
            let end = end_of_header(text.as_bytes()).unwrap_or(text.len());
            assert!(text.as_bytes().starts_with(&read) && read.len() >= end.min(text.len()));
        }
        let endless = vec![b'x'; 2 << 20];
        header(&mut &endless[..]).await.expect_err("too long");
    }

    /// A text that is read byte by byte.
    fn tokio_chunks(text: &str) -> impl AsyncRead + Unpin + '_ {
        struct Slow<'a>(&'a [u8]);
        impl AsyncRead for Slow<'_> {
            fn poll_read(
                mut self: Pin<&mut Self>,
                _: &mut Context<'_>,
                buf: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                if let Some((first, rest)) = self.0.split_first() {
                    buf.put_slice(&[*first]);
                    self.0 = rest;
                }
                Poll::Ready(Ok(()))
            }
        }
        Slow(text.as_bytes())
    }

    #[test]
    fn addresses_of_arguments() {
        for (text, expected) in [
            ("ada@example.org", &["ada@example.org"][..]),
            ("Ada <a@b.c>, \"B, C\" <d@e.f>", &["a@b.c", "d@e.f"]),
        ] {
            let found = addresses(text).expect(text);
            let found: Vec<&str> = found.iter().map(|it| it.address.as_str()).collect();
            assert_eq!(found, expected);
        }
        for text in ["", "a@b\r\nBcc: eve@example.org", "<>"] {
            addresses(text).expect_err(text);
        }
    }
}
