//! As much of HTTP as a WebSocket's handshake needs: a request's head, its headers, a short answer.

use std::{fmt, io};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ring::digest;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The longest request that is read, in bytes. A token of [`auth::MAX_TOKEN`] fits in it.
pub(super) const MAX_REQUEST: usize = 16 * 1024;
/// What RFC 6455 has every server append to the client's key.
const ACCEPT_SUFFIX: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Why a client was not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(super) status: Status,
    pub(super) text: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    BadRequest,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    UpgradeRequired,
    TooLarge,
}

/// Reads up to the empty line. What a client sends beyond it, before it was answered, belongs to no
/// WebSocket.
pub(super) async fn read_head<S: AsyncRead + Unpin>(
    stream: &mut S,
) -> io::Result<Result<Vec<u8>, Refused>> {
    let mut head = Vec::with_capacity(2048);
    loop {
        let before = head.len().saturating_sub(3);
        if stream.read_buf(&mut head).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(at) = head[before..]
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
        {
            if before + at + 4 == head.len() {
                return Ok(Ok(head));
            }
            let text = "something follows the request";
            return Ok(Err(Refused::new(Status::BadRequest, text)));
        }
        if head.len() >= MAX_REQUEST {
            return Ok(Err(Refused::new(
                Status::TooLarge,
                "the request is too long",
            )));
        }
    }
}

pub(super) async fn answer<S: AsyncWrite + Unpin>(
    stream: &mut S,
    status: &str,
    header: &str,
    text: &str,
) -> io::Result<()> {
    let response = format!(
        "HTTP/1.1 {status}\r\n{header}Connection: close\r\nCache-Control: no-store\r\n\
         Content-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n\r\n{text}\n",
        text.len() + 1
    );
    stream.write_all(response.as_bytes()).await?;
    stream.shutdown().await
}

impl Refused {
    pub(super) const fn new(status: Status, text: &'static str) -> Self {
        Self { status, text }
    }

    /// Answers with this.
    pub(super) async fn send<S: AsyncWrite + Unpin>(&self, stream: &mut S) -> io::Result<()> {
        let (line, header) = match self.status {
            Status::BadRequest => ("400 Bad Request", ""),
            Status::Forbidden => ("403 Forbidden", ""),
            Status::NotFound => ("404 Not Found", ""),
            Status::MethodNotAllowed => ("405 Method Not Allowed", "Allow: GET\r\n"),
            Status::UpgradeRequired => (
                "426 Upgrade Required",
                "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
            ),
            Status::TooLarge => ("431 Request Header Fields Too Large", ""),
        };
        answer(stream, line, header, self.text).await
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text)
    }
}

pub(super) fn accept_key(key: &str) -> String {
    let joined = format!("{key}{ACCEPT_SUFFIX}");
    let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, joined.as_bytes());
    BASE64_STANDARD.encode(hash)
}

/// A request's headers.
pub(super) struct Headers<'a>(pub(super) &'a [httparse::Header<'a>]);

impl<'a> Headers<'a> {
    /// The values of every header with this name; those that aren't ASCII are empty.
    pub(super) fn all(&self, name: &'static str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |header| header.name.eq_ignore_ascii_case(name))
            .map(|header| std::str::from_utf8(header.value).unwrap_or("").trim())
    }

    /// The value of the one header with this name; `None` where there is none, or several.
    pub(super) fn only(&self, name: &'static str) -> Option<&'a str> {
        let mut all = self.all(name);
        all.next().filter(|_| all.next().is_none())
    }

    /// The items of a list, which several headers may hold together.
    pub(super) fn list(&self, name: &'static str) -> impl Iterator<Item = &'a str> {
        self.all(name)
            .flat_map(|value| value.split(','))
            .map(str::trim)
    }
}
