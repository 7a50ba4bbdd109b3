//! [`AnyNetwork`]: a backend that is chosen at run time.

use std::fmt::{self, Debug};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::through::write_through;
use crate::{
    ByteStream, Datagram, DatagramSocket, Endpoint, Error, ErrorKind, ListenOptions, Result,
    StreamInfo, TcpConnect, TcpListen, TcpListener, TcpOptions, UdpOpen, UdpOptions,
};

/// Any backend, or parts of several, behind one type.
///
/// What it was not given is [`ErrorKind::Unsupported`].
///
/// ```
/// use jackfield_socket::{AnyNetwork, TcpConnect, TcpListen, UdpOpen};
///
/// fn choose(
///     direct: Option<impl TcpConnect + TcpListen + UdpOpen>,
///     relay: impl TcpConnect + TcpListen + UdpOpen,
/// ) -> AnyNetwork {
///     match direct {
///         Some(direct) => AnyNetwork::new(direct),
///         None => AnyNetwork::new(relay),
///     }
/// }
/// # fn main() {}
/// ```
#[derive(Clone, Default)]
pub struct AnyNetwork {
    tcp: Option<Arc<dyn ErasedTcpConnect>>,
    listen: Option<Arc<dyn ErasedTcpListen>>,
    udp: Option<Arc<dyn ErasedUdpOpen>>,
}

/// A stream of any backend.
pub struct AnyStream(Box<dyn ByteStream>);

/// A listener of any backend.
pub struct AnyListener(Box<dyn ErasedListener>);

/// A UDP socket of any backend.
pub struct AnyDatagramSocket(Box<dyn DatagramSocket>);

impl AnyNetwork {
    /// A backend that can do everything.
    pub fn new(network: impl TcpConnect + TcpListen + UdpOpen) -> Self {
        let network = Arc::new(network);
        Self {
            tcp: Some(network.clone()),
            listen: Some(network.clone()),
            udp: Some(network),
        }
    }

    /// The same, with byte streams opened by this backend: also the way to put TLS over them.
    #[must_use]
    pub fn with_tcp(mut self, network: impl TcpConnect) -> Self {
        self.tcp = Some(Arc::new(network));
        self
    }

    /// The same, with this backend to listen.
    #[must_use]
    pub fn with_listen(mut self, network: impl TcpListen) -> Self {
        self.listen = Some(Arc::new(network));
        self
    }

    /// The same, with UDP sockets opened by this backend.
    #[must_use]
    pub fn with_udp(mut self, network: impl UdpOpen) -> Self {
        self.udp = Some(Arc::new(network));
        self
    }
}

impl AnyStream {
    /// This stream, with its type forgotten.
    pub fn new(stream: impl ByteStream) -> Self {
        Self(Box::new(stream))
    }
}

impl TcpConnect for AnyNetwork {
    type Stream = AnyStream;

    async fn connect(&self, to: &Endpoint, options: &TcpOptions) -> Result<AnyStream> {
        match &self.tcp {
            Some(network) => network.connect(to, options).await,
            None => Err(unsupported("open a byte stream")),
        }
    }
}

impl TcpListen for AnyNetwork {
    type Listener = AnyListener;

    async fn listen(&self, at: SocketAddr, options: &ListenOptions) -> Result<AnyListener> {
        match &self.listen {
            Some(network) => network.listen(at, options).await,
            None => Err(unsupported("listen")),
        }
    }
}

impl UdpOpen for AnyNetwork {
    type Socket = AnyDatagramSocket;

    async fn open_connected(
        &self,
        to: &Endpoint,
        options: &UdpOptions,
    ) -> Result<AnyDatagramSocket> {
        match &self.udp {
            Some(network) => network.open_connected(to, options).await,
            None => Err(unsupported("open a UDP socket")),
        }
    }

    async fn open_bound(&self, at: SocketAddr, options: &UdpOptions) -> Result<AnyDatagramSocket> {
        match &self.udp {
            Some(network) => network.open_bound(at, options).await,
            None => Err(unsupported("open a UDP socket")),
        }
    }
}

impl AsyncRead for AnyStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for AnyStream {
    write_through!(0);
}

impl ByteStream for AnyStream {
    fn info(&self) -> StreamInfo {
        self.0.info()
    }
}

impl TcpListener for AnyListener {
    type Stream = AnyStream;

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<Result<AnyStream>> {
        self.0.poll_accept(cx)
    }

    fn local_addr(&self) -> Option<SocketAddr> {
        self.0.local_addr()
    }
}

impl DatagramSocket for AnyDatagramSocket {
    fn poll_recv(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<Datagram>> {
        self.0.poll_recv(cx, buf)
    }

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        data: &[u8],
        to: Option<SocketAddr>,
    ) -> Poll<io::Result<()>> {
        self.0.poll_send(cx, data, to)
    }

    fn local_addr(&self) -> Option<SocketAddr> {
        self.0.local_addr()
    }

    fn peer_addr(&self) -> Option<SocketAddr> {
        self.0.peer_addr()
    }
}

impl Debug for AnyNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnyNetwork")
            .field("tcp", &self.tcp.is_some())
            .field("listen", &self.listen.is_some())
            .field("udp", &self.udp.is_some())
            .finish()
    }
}

impl Debug for AnyStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Debug for AnyListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Debug for AnyDatagramSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

fn unsupported(what: &str) -> Error {
    Error::new(ErrorKind::Unsupported, format!("this network can't {what}"))
}

// The traits above without their associated types, so that they fit behind a pointer.

type Boxed<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

trait ErasedTcpConnect: Send + Sync {
    fn connect<'a>(&'a self, to: &'a Endpoint, options: &'a TcpOptions) -> Boxed<'a, AnyStream>;
}

impl<N: TcpConnect> ErasedTcpConnect for N {
    fn connect<'a>(&'a self, to: &'a Endpoint, options: &'a TcpOptions) -> Boxed<'a, AnyStream> {
        Box::pin(async move {
            Ok(AnyStream::new(
                TcpConnect::connect(self, to, options).await?,
            ))
        })
    }
}

trait ErasedTcpListen: Send + Sync {
    fn listen<'a>(&'a self, at: SocketAddr, options: &'a ListenOptions) -> Boxed<'a, AnyListener>;
}

impl<N: TcpListen> ErasedTcpListen for N {
    fn listen<'a>(&'a self, at: SocketAddr, options: &'a ListenOptions) -> Boxed<'a, AnyListener> {
        Box::pin(async move {
            let listener = TcpListen::listen(self, at, options).await?;
            Ok(AnyListener(Box::new(listener)))
        })
    }
}

trait ErasedListener: Send + Sync + Debug {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<Result<AnyStream>>;
    fn local_addr(&self) -> Option<SocketAddr>;
}

impl<L: TcpListener> ErasedListener for L {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<Result<AnyStream>> {
        TcpListener::poll_accept(self, cx).map_ok(AnyStream::new)
    }

    fn local_addr(&self) -> Option<SocketAddr> {
        TcpListener::local_addr(self)
    }
}

trait ErasedUdpOpen: Send + Sync {
    fn open_connected<'a>(
        &'a self,
        to: &'a Endpoint,
        options: &'a UdpOptions,
    ) -> Boxed<'a, AnyDatagramSocket>;
    fn open_bound<'a>(
        &'a self,
        at: SocketAddr,
        options: &'a UdpOptions,
    ) -> Boxed<'a, AnyDatagramSocket>;
}

impl<N: UdpOpen> ErasedUdpOpen for N {
    fn open_connected<'a>(
        &'a self,
        to: &'a Endpoint,
        options: &'a UdpOptions,
    ) -> Boxed<'a, AnyDatagramSocket> {
        Box::pin(async move {
            let socket = UdpOpen::open_connected(self, to, options).await?;
            Ok(AnyDatagramSocket(Box::new(socket)))
        })
    }

    fn open_bound<'a>(
        &'a self,
        at: SocketAddr,
        options: &'a UdpOptions,
    ) -> Boxed<'a, AnyDatagramSocket> {
        Box::pin(async move {
            let socket = UdpOpen::open_bound(self, at, options).await?;
            Ok(AnyDatagramSocket(Box::new(socket)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What spawns, or shares what it was given, asks for all of them.
    const fn is_shared<T: Send + Sync + Unpin + 'static>() {}

    #[test]
    fn all_of_it_can_be_sent_and_shared() {
        const {
            is_shared::<AnyNetwork>();
            is_shared::<AnyStream>();
            is_shared::<AnyListener>();
            is_shared::<AnyDatagramSocket>();
        }
    }
}
