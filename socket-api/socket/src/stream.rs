//! Byte streams: connecting to them, and listening for them.

use std::fmt::Debug;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};

use crate::{Endpoint, Error, ErrorKind, Result};

/// The shortest idle time of [`TcpOptions::keep_alive`]: the systems count in seconds.
const LEAST_KEEP_ALIVE: Duration = Duration::from_secs(1);

/// A stream of bytes in each direction, in order, without gaps: a TCP connection, or TLS over one.
///
/// Reading and writing are tokio's [`AsyncRead`] and [`AsyncWrite`], with these promises on top,
/// which every backend keeps and the conformance suite checks:
///
/// - Reading 0 bytes means that the peer has ended its direction in order. A stream that was cut
///   fails instead; where a backend can't tell the two apart,
///   [`StreamInfo::may_truncate`] says so.
/// - A read or write that is dropped before it is ready has lost and repeated nothing.
/// - A peer that doesn't read stalls the writer: what a stream buffers is bounded.
/// - `poll_flush` is ready when everything written is on its way, `poll_shutdown` when the end is
///   too. After it, reading goes on where [`StreamInfo::half_close`] is true.
/// - Dropping a stream that was shut down is an end in order: what was written arrives, and then the
///   end, whatever of the peer's is unread; what the peer still says is thrown away. A peer that
///   doesn't end within some seconds may then see a reset.
/// - Dropping a stream that was not shut down cuts it, and so does the end of the program, however
///   that comes: the peer sees a reset and never an end, and what was written may not arrive. Whoever
///   has said its last word shuts the stream down. Only where
///   [`StreamInfo::may_truncate`] is true, what was written still goes out, and looks whole.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Sync + Unpin + Debug + 'static {
    /// What is known about this stream.
    fn info(&self) -> StreamInfo;
}

/// What is known about a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamInfo {
    /// The address on this side; where a relay carries the stream, on the relay.
    pub local: Option<SocketAddr>,
    /// The address on the other side, as the one who connected sees it.
    pub peer: Option<SocketAddr>,
    /// Whether `poll_shutdown` ends this side's direction alone, and reading goes on.
    /// Where this is false, the peer learns of the end only when both directions are closed.
    pub half_close: bool,
    /// Whether the stream may lose its end, or bytes in its middle, without an error.
    ///
    /// True only for a plain stream over Chrome's Direct Sockets. TLS on top turns such a loss into
    /// an error.
    pub may_truncate: bool,
    /// Whether nobody but the peer can read along: TLS, with the peer verified. Over anything else, a
    /// relay among it, a protocol shows no password.
    pub encrypted: bool,
    /// TLS 1.3's channel binding `tls-exporter` (RFC 9266): what both ends of this connection know,
    /// and whoever stands between doesn't. It need not be kept secret (RFC 5056, section 2.1).
    pub tls_exporter: Option<[u8; 32]>,
}

impl StreamInfo {
    /// A stream between these addresses that keeps every promise, and that others can read.
    pub fn new(local: Option<SocketAddr>, peer: Option<SocketAddr>) -> Self {
        Self {
            local,
            peer,
            half_close: true,
            may_truncate: false,
            encrypted: false,
            tls_exporter: None,
        }
    }
}

/// Opens byte streams.
///
/// ```
/// use jackfield_socket::{Error, ErrorKind, Result, TcpConnect, TcpOptions, time};
///
/// /// Whether something listens there; an answer that takes too long is no answer.
/// async fn is_open(network: &impl TcpConnect, host: &str, port: u16) -> Result<bool> {
///     let server = format!("{host}:{port}").parse()?;
///     let options = TcpOptions::default();
///     let connect = network.connect(&server, &options);
///     match time::timeout(std::time::Duration::from_secs(10), connect).await {
///         Ok(Ok(_stream)) => Ok(true),
///         Ok(Err(error)) if error.kind() == ErrorKind::Refused => Ok(false),
///         Ok(Err(error)) => Err(error),
///         Err(elapsed) => Err(Error::new(ErrorKind::TimedOut, "no answer").with_source(elapsed)),
///     }
/// }
/// # fn main() {}
/// ```
pub trait TcpConnect: Send + Sync + 'static {
    /// What it opens.
    type Stream: ByteStream;

    /// Connects to an endpoint; tries every address that its name has.
    ///
    /// # Errors
    /// [`HostNotFound`](crate::ErrorKind::HostNotFound), [`Refused`](crate::ErrorKind::Refused),
    /// [`Unreachable`](crate::ErrorKind::Unreachable), [`Denied`](crate::ErrorKind::Denied) or
    /// [`TimedOut`](crate::ErrorKind::TimedOut), as closely as the backend can tell;
    /// [`Unsupported`](crate::ErrorKind::Unsupported) for an option that it can't honour.
    ///
    /// # Cancel safety
    /// Dropping the future closes what it was opening. It sets no deadline of its own:
    /// [`time::timeout`](crate::time::timeout) does.
    fn connect(
        &self,
        to: &Endpoint,
        options: &TcpOptions,
    ) -> impl Future<Output = Result<Self::Stream>> + Send;
}

/// Listens for byte streams.
///
/// ```
/// use jackfield_socket::{ByteStream, ListenOptions, Result, TcpListen, TcpListener};
/// use tokio::io::AsyncWriteExt;
///
/// /// Tells each that connects who it is; runs on every backend that can listen.
/// async fn serve(network: &impl TcpListen) -> Result<()> {
///     let at = "127.0.0.1:0".parse().expect("an address");
///     let mut listener = network.listen(at, &ListenOptions::default()).await?;
///     loop {
///         let mut stream = listener.accept().await?;
///         let greeting = format!("you are {:?}\r\n", stream.info().peer);
///         stream.write_all(greeting.as_bytes()).await?;
///         stream.shutdown().await?;
///     }
/// }
/// # fn main() {}
/// ```
pub trait TcpListen: Send + Sync + 'static {
    /// What listens.
    type Listener: TcpListener;

    /// Listens at a local address; port 0 takes a free one, which
    /// [`local_addr`](TcpListener::local_addr) then tells.
    ///
    /// # Errors
    /// [`AddressInUse`](crate::ErrorKind::AddressInUse),
    /// [`AddressNotAvailable`](crate::ErrorKind::AddressNotAvailable),
    /// [`Denied`](crate::ErrorKind::Denied), or [`Unsupported`](crate::ErrorKind::Unsupported).
    ///
    /// # Cancel safety
    /// Dropping the future closes what it was opening.
    fn listen(
        &self,
        at: SocketAddr,
        options: &ListenOptions,
    ) -> impl Future<Output = Result<Self::Listener>> + Send;
}

/// A socket that takes connections. Dropping it stops listening; streams already taken live on.
pub trait TcpListener: Send + Sync + Unpin + Debug + 'static {
    /// What it takes.
    type Stream: ByteStream;

    /// The next connection; its [`StreamInfo::peer`] names who connected.
    ///
    /// An error ends the listener, unless its kind is [`Reset`](crate::ErrorKind::Reset) or
    /// [`LimitExceeded`](crate::ErrorKind::LimitExceeded): then one connection was lost.
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<Result<Self::Stream>>;

    /// Where it listens.
    fn local_addr(&self) -> Option<SocketAddr>;

    /// The next connection, as a future.
    ///
    /// # Errors
    /// As [`poll_accept`](Self::poll_accept).
    ///
    /// # Cancel safety
    /// Dropping the future loses no connection.
    fn accept(&mut self) -> impl Future<Output = Result<Self::Stream>> + Send
    where
        Self: Sized,
    {
        poll_fn(|cx| self.poll_accept(cx))
    }
}

/// Options of a byte stream that is opened.
///
/// ```
/// use jackfield_socket::TcpOptions;
///
/// let mut options = TcpOptions::default();
/// options.keep_alive = Some(std::time::Duration::from_secs(60));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TcpOptions {
    /// Sends small writes at once instead of gathering them (`TCP_NODELAY`). Default: true, since
    /// every protocol here gathers its own writes.
    pub no_delay: bool,
    /// The idle time after which TCP asks whether the peer still lives, at least 1 s.
    /// Default: never.
    pub keep_alive: Option<Duration>,
    /// The system's send buffer, in bytes. Default: the system's choice.
    pub send_buffer: Option<NonZeroU32>,
    /// The system's receive buffer, in bytes. Default: the system's choice.
    pub receive_buffer: Option<NonZeroU32>,
    /// Which addresses of a name to try. Default: all.
    pub family: AddressFamily,
}

impl Default for TcpOptions {
    fn default() -> Self {
        Self {
            no_delay: true,
            keep_alive: None,
            send_buffer: None,
            receive_buffer: None,
            family: AddressFamily::default(),
        }
    }
}

impl TcpOptions {
    /// What no backend can honour; each one calls this before it opens a stream.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) for a [`keep_alive`](Self::keep_alive) under 1 s.
    pub fn validate(&self) -> Result<()> {
        match self.keep_alive {
            Some(idle) if idle < LEAST_KEEP_ALIVE => Err(Error::new(
                ErrorKind::InvalidInput,
                format!("a keep-alive of {idle:?} is too short: the least is 1 s"),
            )),
            _ => Ok(()),
        }
    }
}

/// Which addresses of a name are tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AddressFamily {
    /// IPv6 and IPv4.
    #[default]
    Any,
    /// IPv4 only.
    V4,
    /// IPv6 only.
    V6,
}

/// Options of a listener.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListenOptions {
    /// How many connections may wait to be accepted; beyond it, the system refuses or ignores new
    /// ones. Default: the backend's choice.
    pub backlog: Option<NonZeroU32>,
    /// On an IPv6 address, whether IPv4 is left out. Default: the system's choice.
    pub v6_only: Option<bool>,
}

impl ListenOptions {
    /// What no backend can honour; each one calls this before it listens.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) for [`v6_only`](Self::v6_only) with an IPv4
    /// address.
    pub fn validate(&self, at: SocketAddr) -> Result<()> {
        check_v6_only(at, self.v6_only)
    }
}

/// `v6_only` says something about IPv6 addresses only.
pub(crate) fn check_v6_only(at: SocketAddr, v6_only: Option<bool>) -> Result<()> {
    if v6_only.is_some() && at.is_ipv4() {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            format!("v6_only was given with the IPv4 address {at}"),
        ));
    }
    Ok(())
}
