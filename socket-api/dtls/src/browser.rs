//! Stand-ins for a page, where there is no DTLS: one program serves all targets with them, but no
//! value of them can be made.

use std::convert::Infallible;
use std::io;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use jackfield_socket::{
    Datagram, DatagramSocket, Endpoint, Error, ErrorKind, Result, UdpOpen, UdpOptions,
};
use tokio::io::ReadBuf;

use crate::DtlsConfig;

/// A network on which every connected socket is a DTLS session; in a page there is none.
#[derive(Debug)]
pub struct Dtls<N> {
    never: Infallible,
    network: PhantomData<N>,
}

impl<N> Dtls<N> {
    /// DTLS over this network.
    ///
    /// # Errors
    /// [`Unsupported`](ErrorKind::Unsupported), always.
    pub fn new(network: N, config: DtlsConfig) -> Result<Self> {
        drop((network, config));
        Err(Error::new(
            ErrorKind::Unsupported,
            "there is no DTLS in a page: OSCORE protects CoAP there",
        ))
    }
}

impl<N> Clone for Dtls<N> {
    fn clone(&self) -> Self {
        match self.never {}
    }
}

impl<N: UdpOpen> UdpOpen for Dtls<N> {
    type Socket = DtlsSocket<N::Socket>;

    async fn open_connected(&self, _to: &Endpoint, _options: &UdpOptions) -> Result<Self::Socket> {
        match self.never {}
    }

    async fn open_bound(&self, _at: SocketAddr, _options: &UdpOptions) -> Result<Self::Socket> {
        match self.never {}
    }
}

/// A DTLS session; in a page there is none.
#[derive(Debug)]
pub struct DtlsSocket<S> {
    never: Infallible,
    socket: PhantomData<S>,
}

impl<S> DtlsSocket<S> {
    /// What DTLS adds to each datagram, in bytes.
    pub const OVERHEAD: usize = 29;
}

impl<S: DatagramSocket> DatagramSocket for DtlsSocket<S> {
    fn poll_recv(
        &mut self,
        _cx: &mut Context<'_>,
        _buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<Datagram>> {
        match self.never {}
    }

    fn poll_send(
        &mut self,
        _cx: &mut Context<'_>,
        _data: &[u8],
        _to: Option<SocketAddr>,
    ) -> Poll<io::Result<()>> {
        match self.never {}
    }

    fn local_addr(&self) -> Option<SocketAddr> {
        match self.never {}
    }

    fn peer_addr(&self) -> Option<SocketAddr> {
        match self.never {}
    }
}
