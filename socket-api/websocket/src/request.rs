//! The server's side: a client's request, looked at before it is answered.

use std::fmt;
use std::future::poll_fn;
use std::net::Ipv4Addr;
use std::pin::Pin;

use http::{HeaderValue, StatusCode, header};
use jackfield_socket::{AnyStream, ByteStream, Error, ErrorKind, Host, Prefixed, Result};
use tokio::io::{AsyncReadExt as _, AsyncWrite as _, AsyncWriteExt as _};
use tokio_websockets::{Limits, ServerBuilder};

use crate::bounded::Bounded;
use crate::native::Socket;
use crate::{WebSocket, WebSocketOptions};

/// The longest request that is read, in bytes.
const MAX_REQUEST: usize = 16 * 1024;
/// The most headers that a request may have.
const MAX_HEADERS: usize = 64;

/// A client's request to open a WebSocket over a stream, which nobody has answered yet.
///
/// It is read first and [accepted](Self::accept) or [refused](Self::refuse) then, because a browser
/// lets any page open a WebSocket to any server, with the user's cookies: **whose page it is, only
/// [`origin`](Self::origin) says**, and only a server can act on it (RFC 6455, section 10.2).
///
/// ```
/// use jackfield_socket::{ByteStream, Result};
/// use jackfield_websocket::{WebSocketOptions, WebSocketRequest, WebSocketStream};
///
/// /// Takes a client's bytes from a WebSocket, if it comes from our own page or from no page at all.
/// async fn accept(stream: impl ByteStream) -> Result<Option<WebSocketStream>> {
///     let request = WebSocketRequest::read(stream).await?;
///     if request.origin().is_some_and(|origin| origin != "https://chat.example.org") {
///         request.refuse(403).await?;
///         return Ok(None);
///     }
///     let options = WebSocketOptions::new().with_subprotocol("chat");
///     Ok(Some(request.accept(&options).await?.into_stream()))
/// }
/// # fn main() {}
/// ```
pub struct WebSocketRequest<S> {
    /// With the request in front of it again.
    stream: Prefixed<S>,
    path: String,
    host: Option<String>,
    origin: Option<String>,
    subprotocols: Vec<String>,
}

impl<S: ByteStream> WebSocketRequest<S> {
    /// Reads a client's request from a stream on which it has said nothing else: with TLS already,
    /// for `wss://`. Its longest is 16 KiB.
    ///
    /// # Errors
    /// [`Protocol`](ErrorKind::Protocol), where it is no request for a WebSocket,
    /// [`LimitExceeded`](ErrorKind::LimitExceeded), where it is too long: the client is told, with
    /// status 400, 426 or 431. [`UnexpectedEof`](ErrorKind::UnexpectedEof), where the client hangs
    /// up; and the stream's own errors.
    ///
    /// # Cancel safety
    /// Dropping the future closes the stream. It sets no deadline of its own:
    /// [`time::timeout`](jackfield_socket::time::timeout) does.
    pub async fn read(mut stream: S) -> Result<Self> {
        let head = match read_head(&mut stream).await {
            Ok(head) => head,
            Err(error) if error.kind() == ErrorKind::LimitExceeded => {
                return Err(turned_away(
                    stream,
                    StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                    error,
                )
                .await);
            }
            Err(error) => return Err(error),
        };
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        let path = match request.parse(&head) {
            Ok(httparse::Status::Complete(_)) if request.method == Some("GET") => request.path,
            _ => None,
        };
        let Some(path) = path else {
            let error = protocol("what the client sent is no GET request of HTTP");
            return Err(turned_away(stream, StatusCode::BAD_REQUEST, error).await);
        };
        let path = path.to_owned();
        let values = |name: header::HeaderName| {
            let named = request
                .headers
                .iter()
                .filter(move |header| header.name.eq_ignore_ascii_case(name.as_str()));
            named.filter_map(|header| std::str::from_utf8(header.value).ok())
        };
        // A list may be one header or several (RFC 9110, section 5.3).
        let list = |name| {
            let items = values(name).flat_map(|value| value.split(','));
            items.map(str::trim).filter(|item| !item.is_empty())
        };
        if !list(header::UPGRADE).any(|item| item.eq_ignore_ascii_case("websocket")) {
            let error = protocol("the client's request asks for no WebSocket");
            return Err(turned_away(stream, StatusCode::UPGRADE_REQUIRED, error).await);
        }
        let one = |name| values(name).next().map(str::to_owned);
        let (host, origin) = (one(header::HOST), one(header::ORIGIN));
        let subprotocols = list(header::SEC_WEBSOCKET_PROTOCOL).map(str::to_owned);
        let subprotocols = subprotocols.collect();
        Ok(Self {
            path,
            host,
            origin,
            subprotocols,
            stream: Prefixed::new(head, stream),
        })
    }

    /// The path, and perhaps a query, that it asks for.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The host that it believes to speak with, and perhaps a port.
    pub fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    /// Of which origin the page is that opens it, as `https://example.org`. A browser always says
    /// it; any other client says what it likes, or nothing.
    pub fn origin(&self) -> Option<&str> {
        self.origin.as_deref()
    }

    /// The subprotocols that it offers, those that it likes best first. A page has no other place for
    /// a token, so that one may stand here.
    pub fn subprotocols(&self) -> &[String] {
        &self.subprotocols
    }

    /// Opens the WebSocket. Of the options, [`subprotocol`](WebSocketOptions::subprotocol) is what
    /// is chosen among those offered, and [`max_message`](WebSocketOptions::max_message) counts; the
    /// others are a client's.
    ///
    /// # Errors
    /// [`Protocol`](ErrorKind::Protocol), where the client doesn't offer the subprotocol, or its
    /// request is not right: it is told, with status 400. And the stream's own errors.
    ///
    /// # Cancel safety
    /// Dropping the future closes the stream.
    pub async fn accept(self, options: &WebSocketOptions) -> Result<WebSocket> {
        let mut info = self.stream.info();
        // As for a client: from here on, a WebSocket says how it ends.
        info.may_truncate = false;
        let host: Host = match info.peer {
            Some(peer) => peer.ip().into(),
            None => Ipv4Addr::UNSPECIFIED.into(),
        };
        let limits = Limits::default().max_payload_len(Some(options.max_message));
        let mut builder = ServerBuilder::new().limits(limits);
        if let Some(chosen) = &options.subprotocol {
            if !self.subprotocols.contains(chosen) {
                let error = protocol(format!("the client at {host} does not offer {chosen}"));
                return Err(turned_away(self.stream, StatusCode::BAD_REQUEST, error).await);
            }
            let value = HeaderValue::try_from(chosen)
                .map_err(|error| Error::new(ErrorKind::InvalidInput, error.to_string()))?;
            builder = builder
                .add_header(header::SEC_WEBSOCKET_PROTOCOL, value)
                .map_err(|error| Error::new(ErrorKind::InvalidInput, error.to_string()))?;
        }
        let accepted = builder
            .accept(Bounded::unbounded(AnyStream::new(self.stream)))
            .await;
        let (_, mut stream) = accepted.map_err(|error| match error {
            tokio_websockets::Error::Io(error) => Error::from(error),
            error => protocol(format!(
                "the request of the client at {host} is not right: {error}"
            )),
        })?;
        poll_fn(|cx| Pin::new(stream.get_mut()).poll_flush(cx)).await?;
        Ok(WebSocket::new(Socket::new(stream, host), info))
    }

    /// Opens none, and tells the client so with this status of HTTP, from 400 to 599: 403 for an
    /// origin that is not welcome, 404 for a path that isn't there. A page is not shown it.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput), where it is no such status; and the stream's own
    /// errors.
    ///
    /// # Cancel safety
    /// Dropping the future closes the stream.
    pub async fn refuse(mut self, status: u16) -> Result<()> {
        let status = StatusCode::from_u16(status)
            .ok()
            .filter(|status| status.is_client_error() || status.is_server_error())
            .ok_or_else(|| {
                let text = format!("{status} is no status of HTTP that refuses");
                Error::new(ErrorKind::InvalidInput, text)
            })?;
        answer(&mut self.stream, status).await
    }
}

/// Reads up to the empty line, and perhaps beyond it.
async fn read_head(stream: &mut impl ByteStream) -> Result<Vec<u8>> {
    let mut head = Vec::new();
    loop {
        let before = head.len().saturating_sub(3);
        if stream.read_buf(&mut head).await? == 0 {
            let text = "the client hung up before it had asked for a WebSocket";
            return Err(Error::new(ErrorKind::UnexpectedEof, text));
        }
        let end = head[before..].windows(4).any(|four| four == b"\r\n\r\n");
        if end {
            return Ok(head);
        }
        if head.len() >= MAX_REQUEST {
            let text = format!("the client's request is longer than {MAX_REQUEST} bytes");
            return Err(Error::new(ErrorKind::LimitExceeded, text));
        }
    }
}

/// Tells a client why there is no WebSocket; gives the error back.
async fn turned_away(mut stream: impl ByteStream, status: StatusCode, error: Error) -> Error {
    // Whether it can still be told is its own affair.
    let _ = answer(&mut stream, status).await;
    error
}

async fn answer(stream: &mut impl ByteStream, status: StatusCode) -> Result<()> {
    let upgrade = match status {
        // RFC 9110, section 15.5.22.
        StatusCode::UPGRADE_REQUIRED => "Upgrade: websocket\r\nConnection: upgrade, close\r\n",
        _ => "Connection: close\r\n",
    };
    let reason = status.canonical_reason().unwrap_or_default();
    let code = status.as_u16();
    let answer = format!("HTTP/1.1 {code} {reason}\r\n{upgrade}Content-Length: 0\r\n\r\n");
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await?;
    Ok(())
}

fn protocol(text: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::Protocol, text)
}

/// Without the subprotocols: a token may stand there.
impl<S: fmt::Debug> fmt::Debug for WebSocketRequest<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocketRequest")
            .field("path", &self.path)
            .field("host", &self.host)
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}
