//! Byte streams and listeners on the operating system's TCP.

use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use jackfield_socket::time::{self, Sleep};
use jackfield_socket::{
    ByteStream, Endpoint, Error, ErrorKind, ListenOptions, Result, StreamInfo, TcpListener,
    TcpOptions,
};
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};

use crate::connect::{all_failed, interleave, kind, out_of_room, race, reason};
use crate::leave;
use crate::resolve::resolve;

/// How many connections wait to be accepted, where the caller doesn't say.
const BACKLOG: u32 = 1024;
/// How long a listener rests when the system has no room for one more stream. The connection stays
/// in the backlog, so that without a rest whoever accepts in a loop would spin.
const REST: Duration = Duration::from_millis(100);

/// A TCP stream of the operating system.
///
/// Until it is shut down, it lingers for no time (`SO_LINGER`): whatever becomes of the stream or its
/// process, killed ones among them, its peer sees a reset and no end. Where one is dropped that was
/// shut down, and whose peer has not ended, a task of the runtime takes leave of the peer, as
/// [`leave`](Self::leave) does; of more than 256 at a time, or outside of a runtime, the system
/// closes it at once.
#[derive(Debug)]
pub struct NativeStream {
    /// There until it is dropped.
    stream: Option<TcpStream>,
    local: Option<SocketAddr>,
    peer: SocketAddr,
    /// Whether this side has ended its direction.
    ended: bool,
    /// Whether nothing can come any more.
    read_all: bool,
}

/// A listening TCP socket of the operating system.
///
/// Where the system can't open one more stream (no file descriptors, no memory), accepting fails
/// with [`ErrorKind::LimitExceeded`] at most ten times a second, and goes on.
#[derive(Debug)]
pub struct NativeListener {
    listener: tokio::net::TcpListener,
    local: Option<SocketAddr>,
    rest: Option<Sleep>,
}

impl NativeStream {
    /// Closes the stream with a reset: the peer sees an error and no end, and what it has not been
    /// sent yet is thrown away. So does dropping it, unless it was shut down.
    pub fn abort(mut self) {
        if let Some(stream) = self.stream.take() {
            // Fails only where the stream is over already.
            let _ = stream.set_zero_linger();
        }
    }

    /// Closes the stream without cutting off what was sent before its end. As long as something is
    /// unread, the system answers a close with a reset, which throws away what the peer has not
    /// taken; so what the peer still says, up to 64 KiB, is read and thrown away, until it ends too,
    /// or for 5 s. A stream that was not shut down is cut at once.
    ///
    /// # Cancel safety
    /// Dropping the future closes the stream at once.
    pub async fn leave(mut self) {
        if let Some(stream) = self.unfinished() {
            leave::until_ended(stream).await;
        }
    }

    /// Ready when the peer has ended its direction and everything before was read; nothing is taken. As long as
    /// something is there to read, or the stream is cut, it is pending, and reading tells.
    ///
    /// For one who has no room for what may come, and shall hear of the end all the same.
    pub fn poll_ended(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut byte = [0];
        let mut byte = ReadBuf::new(&mut byte);
        let Ok(stream) = self.stream() else {
            return Poll::Pending;
        };
        match stream.poll_peek(cx, &mut byte) {
            Poll::Ready(Ok(0)) => {
                self.read_all = true;
                Poll::Ready(())
            }
            _ => Poll::Pending,
        }
    }

    /// The stream, if its peer is to be taken leave of; otherwise it is closed.
    fn unfinished(&mut self) -> Option<TcpStream> {
        self.stream.take().filter(|_| self.ended && !self.read_all)
    }

    /// A stream that is open.
    fn new(stream: TcpStream, local: Option<SocketAddr>, peer: SocketAddr) -> Self {
        // Fails only where the stream is over already, which reading will tell.
        let _ = stream.set_zero_linger();
        Self {
            stream: Some(stream),
            local,
            peer,
            ended: false,
            read_all: false,
        }
    }

    fn stream(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        let stream = self.stream.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        Ok(Pin::new(stream))
    }
}

impl Drop for NativeStream {
    fn drop(&mut self) {
        if let Some(stream) = self.unfinished() {
            leave::in_background(stream);
        }
    }
}

pub(crate) async fn connect(to: &Endpoint, options: &TcpOptions) -> Result<NativeStream> {
    options.validate()?;
    let addresses = resolve(to, options.family).await?;
    connect_resolved(to, addresses, options).await
}

pub(crate) async fn connect_resolved(
    to: &Endpoint,
    addresses: Vec<SocketAddr>,
    options: &TcpOptions,
) -> Result<NativeStream> {
    options.validate()?;
    race(interleave(addresses), |address| dial(address, options))
        .await
        .map_err(|failures| all_failed("can't connect to", to, failures))
}

async fn dial(address: SocketAddr, options: &TcpOptions) -> io::Result<NativeStream> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    socket.set_nodelay(options.no_delay)?;
    if let Some(idle) = options.keep_alive {
        SockRef::from(&socket).set_tcp_keepalive(&TcpKeepalive::new().with_time(idle))?;
    }
    if let Some(size) = options.send_buffer {
        socket.set_send_buffer_size(size.get())?;
    }
    if let Some(size) = options.receive_buffer {
        socket.set_recv_buffer_size(size.get())?;
    }
    let stream = socket.connect(address).await?;
    let local = stream.local_addr().ok();
    if local == Some(address) {
        // TCP's simultaneous open: without a listener there, a port of the ephemeral range may
        // connect to itself (RFC 9293, section 3.5).
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    Ok(NativeStream::new(stream, local, canonical(address)))
}

pub(crate) fn listen(at: SocketAddr, options: &ListenOptions) -> Result<NativeListener> {
    options.validate(at)?;
    let listener = open_listener(at, options).map_err(|error| {
        Error::new(
            kind(&error),
            format!("can't listen at {at}: {}", reason(&error)),
        )
        .with_source(error)
    })?;
    Ok(NativeListener {
        local: listener.local_addr().ok(),
        listener,
        rest: None,
    })
}

fn open_listener(at: SocketAddr, options: &ListenOptions) -> io::Result<tokio::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(at), Type::STREAM, Some(Protocol::TCP))?;
    if let Some(v6_only) = options.v6_only {
        socket.set_only_v6(v6_only)?;
    }
    // On Windows it would let others take the port.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.bind(&at.into())?;
    let backlog = options.backlog.map_or(BACKLOG, std::num::NonZero::get);
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    socket.set_nonblocking(true)?;
    tokio::net::TcpListener::from_std(socket.into())
}

/// An IPv4 address that a socket of both families shows as IPv6 is an IPv4 address.
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        ip @ IpAddr::V4(_) => SocketAddr::new(ip, address.port()),
        // Its scope stays with it.
        IpAddr::V6(_) => address,
    }
}

/// Whether an error of `accept` is about the one connection, not about the listener
/// (accept(2): "treat them like EAGAIN by retrying").
fn lost_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::NetworkDown
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::PermissionDenied
    )
}

impl ByteStream for NativeStream {
    fn info(&self) -> StreamInfo {
        StreamInfo::new(self.local, Some(self.peer))
    }
}

impl AsyncRead for NativeStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.remaining();
        let read = ready!(self.stream()?.poll_read(cx, buf));
        self.read_all |= read.is_err() || (before > 0 && buf.remaining() == before);
        Poll::Ready(read)
    }
}

impl AsyncWrite for NativeStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.stream()?.poll_write(cx, data)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream()?.poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream
            .as_ref()
            .is_some_and(TcpStream::is_write_vectored)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.ended {
            // Ahead of the end: from here on, the system delivers what it has.
            let lingers = SockRef::from(&*self.stream()?).set_linger(None);
            self.ended = lingers.is_ok();
        }
        self.stream()?.poll_shutdown(cx)
    }
}

impl TcpListener for NativeListener {
    type Stream = NativeStream;

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<Result<NativeStream>> {
        if let Some(rest) = &mut self.rest {
            ready!(Pin::new(rest).poll(cx));
            self.rest = None;
        }
        let (stream, peer) = match ready!(self.listener.poll_accept(cx)) {
            Ok(accepted) => accepted,
            Err(error) => {
                let kind = if out_of_room(&error) {
                    self.rest = Some(time::sleep(REST));
                    ErrorKind::LimitExceeded
                } else if lost_one_connection(&error) {
                    ErrorKind::Reset
                } else {
                    error.kind().into()
                };
                let text = format!("can't accept a connection: {}", reason(&error));
                return Poll::Ready(Err(Error::new(kind, text).with_source(error)));
            }
        };
        // Fails only where the peer is gone already, which reading will tell.
        let _ = stream.set_nodelay(true);
        let local = stream.local_addr().ok().map(canonical);
        Poll::Ready(Ok(NativeStream::new(stream, local, canonical(peer))))
    }

    fn local_addr(&self) -> Option<SocketAddr> {
        self.local
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    #[tokio::test]
    async fn the_system_has_the_options() {
        let at = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = listen(at, &ListenOptions::default()).expect("loopback");
        let to = listener.local_addr().expect("it listens").into();
        let mut options = TcpOptions::default();
        options.no_delay = false;
        options.keep_alive = Some(Duration::from_secs(90));
        options.send_buffer = NonZeroU32::new(32 * 1024);
        options.receive_buffer = NonZeroU32::new(48 * 1024);
        let set = connect(&to, &options).await.expect("a stream");
        let default = connect(&to, &TcpOptions::default())
            .await
            .expect("a stream");

        let [set, default] = [&set, &default].map(|stream| stream.stream.as_ref().expect("open"));
        let (set, default) = (SockRef::from(set), SockRef::from(default));
        assert!(!set.tcp_nodelay().expect("an option"));
        assert!(default.tcp_nodelay().expect("an option"));
        assert!(set.keepalive().expect("an option"));
        assert!(!default.keepalive().expect("an option"));
        // Systems give at least what was asked for.
        assert!(set.send_buffer_size().expect("an option") >= 32 * 1024);
        assert!(set.recv_buffer_size().expect("an option") >= 48 * 1024);
        #[cfg(target_os = "linux")]
        {
            let idle = set.tcp_keepalive_time().expect("an option");
            assert_eq!(idle, Duration::from_secs(90));
            // Twice what was asked for, for its own book-keeping (socket(7)).
            assert_eq!(set.send_buffer_size().expect("an option"), 64 * 1024);
            assert_eq!(set.recv_buffer_size().expect("an option"), 96 * 1024);
        }
    }
}
