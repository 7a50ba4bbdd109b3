//! UDP sockets of the operating system.

use std::future::Future;
use std::io;
use std::mem::MaybeUninit;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
#[cfg(any(target_os = "linux", target_os = "android"))]
use std::os::fd::AsRawFd as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use jackfield_socket::{Datagram, DatagramSocket, Endpoint, Error, Result, UdpOptions};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{Interest, ReadBuf};
use tokio::net::UdpSocket;

use crate::connect::{all_failed, kind, reason};
use crate::multicast;
use crate::resolve::resolve;
use crate::tcp::canonical;

/// No datagram is larger: UDP's length field has 16 bits (RFC 768).
const LARGEST: usize = 64 * 1024;

/// A UDP socket of the operating system.
///
/// What the system learns of a connected socket's peer (ICMP's "port unreachable" and its like), it
/// reports at the next call of whatever kind. Here receiving tells it; what was to be sent meanwhile
/// is sent all the same.
pub struct NativeDatagramSocket {
    socket: Arc<UdpSocket>,
    local: Option<SocketAddr>,
    peer: Option<SocketAddr>,
    /// What sending was told of the peer, for whoever receives.
    report: Option<io::Error>,
    /// Of a connected socket, while it waits: for an error of the system's. What waits to receive is
    /// not woken for one on Linux.
    watch: Option<Watch>,
    /// Every datagram fits, so that it can be seen whether it fits into the caller's buffer: no
    /// portable call tells. The system maps only the pages that were used.
    buffer: Box<[MaybeUninit<u8>]>,
}

type Watch = Pin<Box<dyn Future<Output = io::Result<()>> + Send + Sync>>;

pub(crate) async fn open_connected(
    to: &Endpoint,
    options: &UdpOptions,
) -> Result<NativeDatagramSocket> {
    options.validate_connected()?;
    let mut failures = Vec::new();
    // Connecting sends nothing: which address is taken is a matter of having a route to it.
    for address in resolve(to, options.family).await? {
        let any: IpAddr = match address {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let opened = open(SocketAddr::new(any, 0), options).and_then(|socket| {
            socket.connect(&address.into())?;
            NativeDatagramSocket::new(socket, Some(address))
        });
        match opened {
            Ok(socket) => return Ok(socket),
            Err(error) => failures.push((address, error)),
        }
    }
    Err(all_failed("can't open a UDP socket to", to, failures))
}

pub(crate) fn open_bound(at: SocketAddr, options: &UdpOptions) -> Result<NativeDatagramSocket> {
    options.validate_bound(at)?;
    let socket = open(at, options).map_err(|error| {
        let text = format!("can't bind a UDP socket to {at}: {}", reason(&error));
        Error::new(kind(&error), text).with_source(error)
    })?;
    if let Some(options) = &options.multicast {
        multicast::join(&socket, at, options)?;
    }
    Ok(NativeDatagramSocket::new(socket, None)?)
}

fn open(at: SocketAddr, options: &UdpOptions) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(at), Type::DGRAM, Some(Protocol::UDP))?;
    if let Some(size) = options.send_buffer {
        socket.set_send_buffer_size(size.get() as usize)?;
    }
    if let Some(size) = options.receive_buffer {
        socket.set_recv_buffer_size(size.get() as usize)?;
    }
    if let Some(v6_only) = options.v6_only {
        socket.set_only_v6(v6_only)?;
    }
    if let Some(multicast) = &options.multicast
        && multicast.share_address
    {
        socket.set_reuse_address(true)?;
        // Linux shares multicast ports by the option above, and would spread datagrams by this one.
        #[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
        socket.set_reuse_port(true)?;
    }
    socket.bind(&at.into())?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Whether an error only says that an earlier datagram found a closed port; Windows calls that a
/// reset.
fn nobody_there(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset
    )
}

/// What an error says of an earlier datagram, if it is about one.
fn report(error: &io::Error) -> Option<io::Error> {
    match error.kind() {
        _ if nobody_there(error) => Some(io::ErrorKind::ConnectionRefused.into()),
        // A packet filter's answer, mostly; a router's is not told.
        kind @ (io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable) => {
            Some(kind.into())
        }
        _ => None,
    }
}

/// Waits for an error of the system's.
fn poll_error(
    socket: &Arc<UdpSocket>,
    watch: &mut Option<Watch>,
    cx: &mut Context<'_>,
) -> Poll<io::Error> {
    loop {
        let watching = watch.get_or_insert_with(|| {
            let socket = socket.clone();
            Box::pin(async move { socket.ready(Interest::ERROR).await.map(drop) })
        });
        let watched = ready!(watching.as_mut().poll(cx));
        *watch = None;
        // Where there is none any more, this says so to the runtime.
        let take = || socket.take_error()?.ok_or(io::ErrorKind::WouldBlock.into());
        match watched.and_then(|()| socket.try_io(Interest::ERROR, take)) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Ok(error) | Err(error) => return Poll::Ready(error),
        }
    }
}

impl NativeDatagramSocket {
    fn new(socket: Socket, peer: Option<SocketAddr>) -> io::Result<Self> {
        let socket = UdpSocket::from_std(socket.into())?;
        Ok(Self {
            local: socket.local_addr().ok(),
            peer,
            report: None,
            watch: None,
            socket: Arc::new(socket),
            buffer: Box::new_uninit_slice(LARGEST),
        })
    }

    /// How many datagrams the system has dropped of those that came, because nobody had received in time
    /// and its buffer was full. It counts from when the socket was opened, and begins anew after 2³² − 1.
    /// `None` where the system doesn't tell: Linux and Android do.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    #[expect(unsafe_code, reason = "no safe interface has this socket option")]
    pub fn overflowed(&self) -> Option<u32> {
        /// SO_MEMINFO, and which of its numbers it is (SK_MEMINFO_DROPS), in Linux's sock_diag.h.
        const MEMINFO: libc::c_int = 55;
        const DROPS: usize = 8;
        let mut numbers = [0_u32; DROPS + 1];
        let mut length = size_of_val(&numbers) as libc::socklen_t;
        // SAFETY: the system writes no more than `length` bytes, which are there, and any bytes are numbers.
        let result = unsafe {
            libc::getsockopt(
                self.socket.as_raw_fd(),
                libc::SOL_SOCKET,
                MEMINFO,
                numbers.as_mut_ptr().cast(),
                &raw mut length,
            )
        };
        // Before Linux 4.12 there is none of it, or less.
        (result == 0 && length as usize >= size_of_val(&numbers)).then_some(numbers[DROPS])
    }

    /// How many datagrams the system has dropped, which isn't told here.
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub fn overflowed(&self) -> Option<u32> {
        None
    }

    /// Where to send: `None` on a connected socket.
    fn target(&self, to: Option<SocketAddr>) -> io::Result<Option<SocketAddr>> {
        let wrong = |what| Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        match (self.peer, to) {
            (Some(_), None) => Ok(None),
            (Some(_), Some(_)) => wrong("a connected socket sends to its peer only"),
            (None, None) => wrong("a bound socket needs an address to send to"),
            // A socket of both families takes IPv4 addresses in their IPv6 form only.
            (None, Some(SocketAddr::V4(to))) if self.local.is_some_and(|at| at.is_ipv6()) => {
                let mapped = to.ip().to_ipv6_mapped();
                Ok(Some(SocketAddrV6::new(mapped, to.port(), 0, 0).into()))
            }
            (None, Some(to)) => Ok(Some(to)),
        }
    }
}

impl DatagramSocket for NativeDatagramSocket {
    fn poll_recv(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<Datagram>> {
        if let Some(report) = self.report.take() {
            return Poll::Ready(Err(report));
        }
        let mut whole = ReadBuf::uninit(&mut self.buffer);
        let from = loop {
            let received = match self.socket.poll_recv_from(cx, &mut whole) {
                Poll::Ready(received) => received,
                Poll::Pending if self.peer.is_none() => return Poll::Pending,
                Poll::Pending => Err(ready!(poll_error(&self.socket, &mut self.watch, cx))),
            };
            match received {
                Ok(from) => break from,
                Err(error) => match report(&error) {
                    Some(report) if self.peer.is_some() => return Poll::Ready(Err(report)),
                    Some(_) => {}
                    None => return Poll::Ready(Err(error)),
                },
            }
        };
        let whole = whole.filled();
        let len = whole.len().min(buf.remaining());
        let (kept, lost) = whole.split_at(len);
        buf.put_slice(kept);
        Poll::Ready(Ok(Datagram::new(
            len,
            Some(canonical(from)),
            !lost.is_empty(),
        )))
    }

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        data: &[u8],
        to: Option<SocketAddr>,
    ) -> Poll<io::Result<()>> {
        let to = self.target(to)?;
        // The system reports an earlier datagram's fate instead of sending this one, once.
        let mut reported = false;
        loop {
            let sent = ready!(match to {
                Some(to) => self.socket.poll_send_to(cx, data, to),
                None => self.socket.poll_send(cx, data),
            });
            return Poll::Ready(match sent {
                Ok(_) => Ok(()),
                Err(error) if nobody_there(&error) => {
                    if self.peer.is_some() {
                        self.report = report(&error);
                        // Whoever waits to receive is not woken for it by the system any more.
                        cx.waker().wake_by_ref();
                    }
                    if !std::mem::replace(&mut reported, true) {
                        continue;
                    }
                    Ok(())
                }
                Err(error) if too_large(&error) => Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    format!("a datagram of {} bytes is too large to send", data.len()),
                )),
                Err(error) => Err(error),
            });
        }
    }

    fn local_addr(&self) -> Option<SocketAddr> {
        self.local
    }

    fn peer_addr(&self) -> Option<SocketAddr> {
        self.peer
    }
}

#[cfg(unix)]
fn too_large(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EMSGSIZE)
}

#[cfg(windows)]
fn too_large(error: &io::Error) -> bool {
    const WSAEMSGSIZE: i32 = 10040;
    error.raw_os_error() == Some(WSAEMSGSIZE)
}

#[cfg(not(any(unix, windows)))]
fn too_large(_error: &io::Error) -> bool {
    false
}

impl std::fmt::Debug for NativeDatagramSocket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NativeDatagramSocket")
            .field("socket", &self.socket)
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}
