//! As much of HTTP as a WebSocket's handshake needs: a request's head, its headers, a short answer.

use std::time::SystemTime;
use std::{fmt, io};

use crate::admission::Turned;
use crate::config::{HEALTH_PATH, READY_PATH};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use httpdate::HttpDate;
use ring::digest;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The longest request that is read, in bytes. A token of [`auth::MAX_TOKEN`] fits in it.
pub(super) const MAX_REQUEST: usize = 16 * 1024;
/// The blanks that HTTP has around values; in Unicode there are many more.
const BLANKS: [char; 2] = [' ', '\t'];
/// What every answer has: nothing here is for a frame, a cache, or a guess at what it may be.
const SAFETY: &str = "Cache-Control: no-store\r\n\
    Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n\
    X-Content-Type-Options: nosniff\r\n\
    X-Frame-Options: DENY\r\n";
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
    TooMany,
    TooLarge,
    NotHttp,
}

/// The beginning of a request, up to the empty line.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) bytes: Vec<u8>,
    /// Whether more had come with it.
    pub(super) has_tail: bool,
}

/// Reads up to the empty line. As soon as anything has come, `heard` is set.
pub(super) async fn read_head<S: AsyncRead + Unpin>(
    stream: &mut S,
    heard: &mut bool,
) -> io::Result<Result<Head, Refused>> {
    let mut bytes = Vec::with_capacity(2048);
    loop {
        let before = bytes.len();
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        *heard = true;
        if let Some(other) = Refused::other_than_http(bytes[0]) {
            return Ok(Err(other));
        }
        let ends = (before..bytes.len()).filter(|at| bytes[*at] == b'\n');
        for end in ends {
            // Whoever takes LF alone for the end of a line sees other headers than whoever does not.
            if !bytes[..end].ends_with(b"\r") {
                let text = "a line of the request does not end in CR LF";
                return Ok(Err(Refused::new(Status::BadRequest, text)));
            }
            if bytes[..end].ends_with(b"\r\n\r") {
                let has_tail = bytes.len() > end + 1;
                bytes.truncate(end + 1);
                return Ok(Ok(Head { bytes, has_tail }));
            }
        }
        if bytes.len() >= MAX_REQUEST {
            return Ok(Err(Refused::new(
                Status::TooLarge,
                "the request is too long",
            )));
        }
    }
}

/// What is asked for at a path that every server has whose health somebody looks after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Probe {
    /// Whether it shall take new clients, too, instead of only being there.
    pub(super) ready: bool,
    /// Whether only the head of the answer is asked for.
    pub(super) head_only: bool,
}

impl Probe {
    /// `GET` or `HEAD`, in any version of HTTP, with any query.
    pub(super) fn of(method: &str, target: &str) -> Option<Self> {
        let path = target.split_once('?').map_or(target, |(path, _)| path);
        Some(Self {
            ready: match path {
                HEALTH_PATH => false,
                READY_PATH => true,
                _ => return None,
            },
            head_only: match method {
                "GET" => false,
                "HEAD" => true,
                _ => return None,
            },
        })
    }

    /// Answers it; `unready` is why the relay takes no new clients.
    pub(super) async fn answer<S: AsyncWrite + Unpin>(
        self,
        stream: &mut S,
        unready: Option<&'static str>,
    ) -> io::Result<()> {
        let (status, text) = match (self.ready, unready) {
            (false, _) => ("200 OK", "ok"),
            (true, None) => ("200 OK", "ready"),
            (true, Some(why)) => ("503 Service Unavailable", why),
        };
        answer(stream, status, "", text, self.head_only).await
    }
}

async fn answer<S: AsyncWrite + Unpin>(
    stream: &mut S,
    status: &str,
    header: &str,
    text: &str,
    head_only: bool,
) -> io::Result<()> {
    let kind = "text/plain; charset=utf-8";
    let text = format!("{text}\n");
    answer_with(stream, status, header, (kind, &text), head_only).await
}

/// As [`answer`], with a body of this kind.
pub(super) async fn answer_with<S: AsyncWrite + Unpin>(
    stream: &mut S,
    status: &str,
    header: &str,
    (kind, body): (&str, &str),
    head_only: bool,
) -> io::Result<()> {
    let mut response = format!(
        "HTTP/1.1 {status}\r\n{header}Date: {}\r\nConnection: close\r\n{SAFETY}\
         Content-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
        HttpDate::from(SystemTime::now()),
        body.len()
    );
    if !head_only {
        response.push_str(body);
    }
    stream.write_all(response.as_bytes()).await?;
    stream.shutdown().await
}

impl Refused {
    pub(super) const fn new(status: Status, text: &'static str) -> Self {
        Self { status, text }
    }

    /// For a client that a proxy speaks for. The proxy would take a connection that is just closed
    /// for a fault of the relay.
    pub(crate) const fn turned_away(turned: Turned) -> Self {
        Self::new(Status::TooMany, turned.text())
    }

    /// For the owner of a proxy that is trusted.
    pub(crate) const fn untold() -> Self {
        let text = "X-Forwarded-For has no address where your proxy writes its client's";
        Self::new(Status::BadRequest, text)
    }

    /// For what begins with this, where it can't be HTTP. No more of it is waited for: a page can have browsers speak
    /// TLS to any port, and STUN (`turn:` in WebRTC), and neither has an end that is known here.
    fn other_than_http(first: u8) -> Option<Self> {
        /// A handshake's record.
        const TLS: u8 = 22;
        match first {
            TLS => {
                let text = "that is TLS, which the relay does not speak here";
                Some(Self::new(Status::NotHttp, text))
            }
            b'\r' | b'\n' => None,
            _ if first.is_ascii_control() => Some(Self::new(Status::NotHttp, "that is not HTTP")),
            _ => None,
        }
    }

    /// Whether what came is no request that a page could have made.
    pub(crate) fn is_malformed(&self) -> bool {
        self.status == Status::BadRequest
    }

    /// Answers with this.
    pub(super) async fn send<S: AsyncWrite + Unpin>(&self, stream: &mut S) -> io::Result<()> {
        let (line, header) = match self.status {
            Status::BadRequest | Status::NotHttp => ("400 Bad Request", ""),
            Status::Forbidden => ("403 Forbidden", ""),
            Status::NotFound => ("404 Not Found", ""),
            Status::MethodNotAllowed => ("405 Method Not Allowed", "Allow: GET\r\n"),
            Status::UpgradeRequired => (
                "426 Upgrade Required",
                "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
            ),
            Status::TooMany => ("429 Too Many Requests", ""),
            Status::TooLarge => ("431 Request Header Fields Too Large", ""),
        };
        answer(stream, line, header, self.text, false).await
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
pub(crate) struct Headers<'a>(pub(super) &'a [httparse::Header<'a>]);

impl<'a> Headers<'a> {
    /// The values of every header with this name; those that aren't ASCII are empty.
    pub(super) fn all(&self, name: &'static str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |header| header.name.eq_ignore_ascii_case(name))
            .map(|header| str::from_utf8(header.value).unwrap_or(""))
            .map(|value| if value.is_ascii() { value } else { "" })
            .map(|value| value.trim_matches(BLANKS))
    }

    /// The value of the one header with this name; `None` where there is none, or several.
    pub(super) fn only(&self, name: &'static str) -> Option<&'a str> {
        let mut all = self.all(name);
        all.next().filter(|_| all.next().is_none())
    }

    /// The items of a list, which several headers may hold together.
    pub(crate) fn list(&self, name: &'static str) -> impl Iterator<Item = &'a str> {
        self.all(name)
            .flat_map(|value| value.split(','))
            .map(|item| item.trim_matches(BLANKS))
    }
}
