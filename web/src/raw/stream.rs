//! One connection, or one that is being opened.
//!
//! Whoever reads, writes or waits for the opening asks again at each change of phase, so that nothing hangs when
//! the page gives the stream up, or puts TLS over it.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::io;
use std::num::NonZeroU32;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use jackfield_socket::{
    AddressFamily, AnyNetwork, AnyStream, ByteStream, Endpoint, Error, ErrorKind, Host, Result,
    TcpConnect as _, TcpOptions, time,
};
use jackfield_tls::{Identity, TlsConnector, TlsStream, TlsVersion};
use js_sys::{Array, Object, Promise, Uint8Array};
use tokio::io::ReadBuf;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen_futures::{JsFuture, spawn_local};

use super::phase::{Outcome, Phase, Shared};
use crate::Network;
use crate::convert::{Options, invalid, object, set, socket_error};

/// How many bytes go between the page and a stream at once.
const PIECE: usize = 64 * 1024;
/// How long a stream that was ended in order goes on throwing away what the peer still says: a TCP connection
/// that is closed with bytes unread resets, and what was written last might be lost.
const LINGER: Duration = Duration::from_secs(5);

thread_local! {
    /// Where bytes lie on their way from a stream to the page. One for all: nothing waits in it.
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; PIECE]);
}

/// A connection of a page's own. Dropping it resets it.
#[derive(Debug)]
#[wasm_bindgen]
pub struct RawStream {
    shared: Rc<Shared<Stream>>,
    /// Whether reading gives nothing more, since TLS is about to take the stream over.
    silent: Cell<bool>,
}

/// How streams are secured: what the page has asked for, built once. Streams that share it are resumed
/// quicker.
#[derive(Debug)]
#[wasm_bindgen]
pub struct RawTls {
    connector: TlsConnector,
}

#[derive(Debug)]
enum Stream {
    Plain(AnyStream),
    Secured(Box<TlsStream<AnyStream>>),
}

#[wasm_bindgen]
impl Network {
    /// Opens a stream, in plaintext.
    ///
    /// # Errors
    /// A `JackfieldError`, for an address or an option that can't be right, and where there is no network.
    #[wasm_bindgen(js_name = openStream)]
    pub fn open_stream(&self, host: &str, port: u16, options: &JsValue) -> Outcome<RawStream> {
        let start = || {
            let to = Endpoint::new(host.parse::<Host>()?, port);
            let options = tcp_options(&Options(options))?;
            options.validate()?;
            Ok((self.sockets()?, to, options))
        };
        let (network, to, options) = start().map_err(|error: Error| socket_error(&error))?;
        Ok(RawStream::connect(network, to, options))
    }

    /// How to secure streams: as the network does, but for these options.
    ///
    /// # Errors
    /// A `JackfieldError`, for an option that can't be right.
    #[wasm_bindgen(js_name = tlsOf)]
    pub fn tls_of(&self, options: &JsValue) -> Outcome<RawTls> {
        let connector = if options.is_undefined() {
            Ok(self.tls())
        } else {
            self.connector(&Options(options))
        };
        let connector = connector.map_err(|error| socket_error(&error))?;
        Ok(RawTls { connector })
    }
}

#[wasm_bindgen(wasm_bindgen_futures = crate::promise)]
impl RawStream {
    /// Waits until it is open; tells what is known about it.
    ///
    /// # Errors
    /// A `JackfieldError`: why it can't be opened.
    pub async fn opened(&self) -> Outcome<Object> {
        self.shared
            .polled(|stream, _| Poll::Ready(io::Result::Ok(stream.describe())))
            .await
    }

    /// Reads into the page's buffer; gives how many bytes, and 0 at the peer's end.
    ///
    /// # Errors
    /// A `JackfieldError`, where it can't be opened or was cut.
    pub async fn read(&self, into: Uint8Array) -> Outcome<u32> {
        let most = into.length() as usize;
        let take = |bytes: &[u8]| {
            let length = bytes.len() as u32;
            // The page has the buffer, and may have taken it away: then it can't even be asked for
            // nothing at all, and what JavaScript throws here would stop every task of the module.
            if length == 0 {
                return Ok(0);
            }
            if into.length() < length {
                return Err(taken_away());
            }
            into.subarray(0, length).copy_from(bytes);
            Ok(length)
        };
        self.shared
            .polled(|stream, cx| {
                if self.silent.get() {
                    return Poll::Ready(take(&[]));
                }
                stream.poll_piece(cx, most, take)
            })
            .await
    }

    /// Reads up to so many bytes; undefined at the peer's end.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    #[wasm_bindgen(js_name = readSome)]
    pub async fn read_some(&self, most: u32) -> Outcome<Option<Uint8Array>> {
        let take = |bytes: &[u8]| Ok((!bytes.is_empty()).then(|| Uint8Array::from(bytes)));
        self.shared
            .polled(|stream, cx| {
                if self.silent.get() {
                    return Poll::Ready(take(&[]));
                }
                stream.poll_piece(cx, most as usize, take)
            })
            .await
    }

    /// Lets whoever reads go, with nothing: what comes from now on is not taken from the stream.
    #[wasm_bindgen(js_name = stopReading)]
    pub fn stop_reading(&self) {
        self.silent.set(true);
        self.shared.wake();
    }

    /// Writes all of it; settles when it is on its way, so that a peer that doesn't read holds the page back.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub async fn write(&self, bytes: Uint8Array) -> Outcome<()> {
        let length = bytes.length();
        let mut at = 0;
        let mut piece = Vec::new();
        while at < length {
            // As above.
            if bytes.length() < length {
                return Err(socket_error(&Error::from(taken_away())));
            }
            let part = bytes.subarray(at, length.min(at + PIECE as u32));
            piece.resize(part.length() as usize, 0);
            part.copy_to(&mut piece);
            let mut rest = &piece[..];
            while !rest.is_empty() {
                let written = self
                    .shared
                    .polled(|stream, cx| match stream.pin().poll_write(cx, rest) {
                        Poll::Ready(Ok(0)) => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                        written => written,
                    })
                    .await?;
                rest = &rest[written..];
            }
            at += piece.len() as u32;
        }
        self.shared
            .polled(|stream, cx| stream.pin().poll_flush(cx))
            .await
    }

    /// Ends this side's direction, when all that was written is on its way.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub async fn shutdown(&self) -> Outcome<()> {
        self.shared
            .polled(|stream, cx| stream.pin().poll_shutdown(cx))
            .await
    }

    /// Has done with it, after [`shutdown`](Self::shutdown): whatever the peer still says is thrown away for a
    /// while, lest what was written last be lost. Everything fails with `reason` from now on.
    pub fn leave(&self, reason: JsValue) {
        if let Phase::Open(stream) = self.shared.end(reason) {
            spawn_local(stream.linger());
        }
    }

    /// Resets it, or gives up opening it. Everything fails with `reason` from now on.
    pub fn abort(&self, reason: JsValue) {
        self.shared.end(reason);
    }

    /// Puts TLS over it, and gives the stream that this makes; this one is over then, and `reason` says so.
    /// `server` is who the server must prove to be. It waits for `ready`, by which everything is written and
    /// read; then nothing more must have come. Without `ready`, TLS is spoken from the first byte.
    ///
    /// # Errors
    /// A `JackfieldError`, for a name that no server can have.
    #[wasm_bindgen(js_name = startTls)]
    pub fn start_tls(
        &self,
        tls: &RawTls,
        server: &str,
        ready: Option<Promise>,
        reason: JsValue,
    ) -> Outcome<RawStream> {
        let server: Host = server
            .parse()
            .map_err(|error: Error| socket_error(&invalid("serverName", error)))?;
        let below = Below(self.shared.clone(), reason);
        let connector = tls.connector.clone();
        Ok(RawStream::opening(async move {
            let stream = match ready {
                None => below.take().await?,
                Some(ready) => {
                    JsFuture::from(ready).await?;
                    let mut stream = below.take().await?;
                    stream.expect_silence(&server)?;
                    stream
                }
            };
            let secured = connector.connect(stream.into_any(), &server).await;
            Ok(Stream::Secured(Box::new(
                secured.map_err(|error| socket_error(&error))?,
            )))
        }))
    }

    /// So many bytes of keying material of this connection (RFC 5705).
    ///
    /// # Errors
    /// A `JackfieldError`, where it is not secured, or a length can't be right.
    #[expect(clippy::needless_pass_by_value, reason = "so it comes from JavaScript")]
    #[wasm_bindgen(js_name = exportKeyingMaterial)]
    pub fn export_keying_material(
        &self,
        length: u32,
        label: &str,
        context: Option<Vec<u8>>,
    ) -> Outcome<Uint8Array> {
        let phase = self.shared.phase();
        let exported = match &*phase {
            Phase::Open(Stream::Secured(stream)) => {
                // What is longer than any is refused without being made.
                let mut output = vec![0; length.min(PIECE as u32) as usize];
                stream
                    .export_keying_material(&mut output, label.as_bytes(), context.as_deref())
                    .map(|()| Uint8Array::from(&output[..]))
            }
            Phase::Open(Stream::Plain(_)) => Err(Error::new(
                ErrorKind::Unsupported,
                "the socket is not secured by TLS, which alone has keying material",
            )),
            Phase::Opening => Err(Error::new(
                ErrorKind::InvalidInput,
                "the socket is not open",
            )),
            Phase::Gone(reason) => return Err(reason.clone()),
        };
        exported.map_err(|error| socket_error(&error))
    }
}

impl RawStream {
    /// Opens a connection.
    pub(crate) fn connect(network: AnyNetwork, to: Endpoint, options: TcpOptions) -> Self {
        Self::opening(async move {
            let stream = network.connect(&to, &options).await;
            stream
                .map(Stream::Plain)
                .map_err(|error| socket_error(&error))
        })
    }

    /// A connection that was accepted.
    pub(super) fn accepted(stream: AnyStream) -> Self {
        Self::opening(async { Ok(Stream::Plain(stream)) })
    }

    /// A stream that this work opens, which ends when nobody wants the stream any longer.
    fn opening(work: impl Future<Output = Outcome<Stream>> + 'static) -> Self {
        Self {
            shared: Shared::opening(work),
            silent: Cell::new(false),
        }
    }
}

/// The stream that another one is put over. It is over with this, whether it was taken or not.
#[derive(Debug)]
struct Below(Rc<Shared<Stream>>, JsValue);

impl Below {
    /// Takes the stream, when it is open.
    async fn take(self) -> Outcome<Stream> {
        let Self(shared, reason) = &self;
        shared
            .polled(|_, _| Poll::Ready(io::Result::Ok(())))
            .await?;
        match shared.end(reason.clone()) {
            Phase::Open(stream) => Ok(stream),
            // It was open in this very moment.
            Phase::Opening | Phase::Gone(_) => Err(reason.clone()),
        }
    }
}

impl Drop for Below {
    fn drop(&mut self) {
        self.0.end(self.1.clone());
    }
}

impl Stream {
    fn pin(&mut self) -> Pin<&mut dyn ByteStream> {
        match self {
            Self::Plain(stream) => Pin::new(stream),
            Self::Secured(stream) => Pin::new(&mut **stream),
        }
    }

    fn into_any(self) -> AnyStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Secured(stream) => AnyStream::new(*stream),
        }
    }

    /// Reads up to `most` bytes; `take` gets them, and none at the peer's end.
    fn poll_piece<T>(
        &mut self,
        cx: &mut Context<'_>,
        most: usize,
        take: impl Fn(&[u8]) -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut piece = ReadBuf::new(&mut scratch[..most.min(PIECE)]);
            std::task::ready!(self.pin().poll_read(cx, &mut piece))?;
            Poll::Ready(take(piece.filled()))
        })
    }

    /// Nothing may have come after the server's go-ahead for TLS (CVE-2011-0411 and its kin).
    fn expect_silence(&mut self, server: &Host) -> Outcome<()> {
        let mut cx = Context::from_waker(Waker::noop());
        // What has ended or failed, the handshake finds.
        let heard = self.poll_piece(&mut cx, PIECE, |bytes| Ok(bytes.len()));
        match heard {
            Poll::Ready(Ok(length)) if length > 0 => Err(socket_error(&Error::new(
                ErrorKind::Protocol,
                format!(
                    "{server} sent {length} bytes of plaintext after the server's go-ahead for TLS"
                ),
            ))),
            _ => Ok(()),
        }
    }

    /// Throws away what the peer still says, for a while.
    async fn linger(mut self) {
        let mut ended = pin!(time::sleep(LINGER));
        loop {
            let read = poll_fn(|cx| self.poll_piece(cx, PIECE, |bytes| Ok(bytes.len())));
            tokio::select! {
                read = read => if !matches!(read, Ok(1..)) {
                    return;
                },
                () = &mut ended => return,
            }
        }
    }

    /// What is known about it: `SocketInfo`, as socket.d.ts has it.
    fn describe(&mut self) -> Object {
        let facts = self.pin().info();
        let info = object([
            ("halfClose", facts.half_close.into()),
            ("mayTruncate", facts.may_truncate.into()),
        ]);
        for (address, port, at) in [
            ("remoteAddress", "remotePort", facts.peer),
            ("localAddress", "localPort", facts.local),
        ] {
            if let Some(at) = at {
                set(&info, address, at.ip().to_string());
                set(&info, port, at.port());
            }
        }
        if let Self::Secured(stream) = self {
            let chain: Array = stream.peer_certificates().map(Uint8Array::from).collect();
            let tls = object([
                ("version", version_name(stream.version()).into()),
                ("cipherSuite", stream.cipher_suite().into()),
                ("certificate", chain.get(0)),
                ("chain", chain.into()),
            ]);
            if let Some(alpn) = stream.alpn() {
                set(&tls, "alpn", String::from_utf8_lossy(alpn).into_owned());
            }
            set(&info, "tls", tls);
        }
        info
    }
}

impl Network {
    /// What secures streams as these options say.
    fn connector(&self, options: &Options<'_>) -> Result<TlsConnector> {
        let mut config = self.tls_config(options)?;
        config = config.with_alpn(options.texts("alpn")?);
        match (options.text("certificate")?, options.text("key")?) {
            (Some(chain), Some(key)) => {
                let identity = Identity::from_pem(chain.as_bytes(), key.as_bytes())
                    .map_err(|error| invalid("certificate", error))?;
                config = config.with_identity(identity);
            }
            (None, None) => {}
            (Some(_), None) => return Err(invalid("key", "is missing, which certificate needs")),
            (None, Some(_)) => return Err(invalid("certificate", "is missing, which key needs")),
        }
        if let Some(version) = version(options, "minVersion")? {
            config = config.with_min_version(version);
        }
        if let Some(version) = version(options, "maxVersion")? {
            config = config.with_max_version(version);
        }
        TlsConnector::new(config)
    }
}

/// The options of TCP.
pub(crate) fn tcp_options(options: &Options<'_>) -> Result<TcpOptions> {
    let mut tcp = TcpOptions::default();
    if let Some(no_delay) = options.flag("noDelay")? {
        tcp.no_delay = no_delay;
    }
    if let Some(millis) = options.number("keepAlive")? {
        tcp.keep_alive = Some(
            Duration::try_from_secs_f64(millis / 1000.0)
                .map_err(|error| invalid("keepAlive", error))?,
        );
    }
    tcp.send_buffer = buffer_size(options, "sendBufferSize")?;
    tcp.receive_buffer = buffer_size(options, "receiveBufferSize")?;
    tcp.family = match options.text("family")?.as_deref() {
        None => AddressFamily::Any,
        Some("ipv4") => AddressFamily::V4,
        Some("ipv6") => AddressFamily::V6,
        Some(_) => return Err(invalid("family", "is neither ipv4 nor ipv6")),
    };
    Ok(tcp)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it has been looked at"
)]
pub(super) fn buffer_size(options: &Options<'_>, name: &str) -> Result<Option<NonZeroU32>> {
    match options.number(name)? {
        None => Ok(None),
        Some(size) if size >= 1.0 && size <= f64::from(u32::MAX) => {
            Ok(NonZeroU32::new(size as u32))
        }
        Some(_) => Err(invalid(name, "is no number from 1 to 4294967295")),
    }
}

fn version(options: &Options<'_>, name: &str) -> Result<Option<TlsVersion>> {
    match options.text(name)?.as_deref() {
        None => Ok(None),
        Some("TLS 1.2") => Ok(Some(TlsVersion::Tls12)),
        Some("TLS 1.3") => Ok(Some(TlsVersion::Tls13)),
        Some(_) => Err(invalid(name, "is neither TLS 1.2 nor TLS 1.3")),
    }
}

fn version_name(version: TlsVersion) -> &'static str {
    match version {
        TlsVersion::Tls12 => "TLS 1.2",
        _ => "TLS 1.3",
    }
}

/// The page took a buffer away that was being read into or written from.
fn taken_away() -> io::Error {
    Error::new(
        ErrorKind::InvalidInput,
        "the buffer was taken away while it was in use",
    )
    .into()
}
