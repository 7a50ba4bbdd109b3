//! The carrier of a core: a stream, or a datagram socket.

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use jackfield_socket::driver::{
    Core, DatagramCore, DatagramDriver, Driver, DriverError, StreamCore,
};
use jackfield_socket::{
    ByteStream, DatagramSocket, Endpoint, Result, StreamInfo, TcpConnect, UdpOpen,
};

use crate::Options;

/// Opens what carries a core, anew for each attempt.
pub(crate) trait Carrier<C: Core>: Send + Sync + 'static {
    /// Where it goes.
    type Target: Send;
    /// What was opened.
    type Opened: Send;
    /// What was opened, with the core.
    type Driver: Drive<Core = C> + Send;

    fn open(
        &self,
        target: &Self::Target,
        options: &Options,
    ) -> impl Future<Output = Result<Self::Opened>> + Send;

    /// What is known of a stream.
    fn info(opened: &Self::Opened) -> Option<StreamInfo>;

    fn drive(opened: Self::Opened, core: C) -> Self::Driver;
}

/// A driver, whatever it drives its core over.
pub(crate) trait Drive {
    type Core: Core;

    fn core(&mut self) -> &mut Self::Core;

    /// While it is not to read, it does all else.
    fn set_reading(&mut self, reading: bool);

    #[expect(clippy::type_complexity, reason = "what the drivers return")]
    fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<
        std::result::Result<
            Option<<Self::Core as Core>::Event>,
            DriverError<<Self::Core as Core>::Error>,
        >,
    >;

    fn into_core(self) -> Self::Core;
}

/// Streams of a network.
pub(crate) struct Streams<N>(pub(crate) N);

impl<N: TcpConnect, C: StreamCore<Event: Send> + Send + 'static> Carrier<C> for Streams<N> {
    type Target = Endpoint;
    type Opened = N::Stream;
    type Driver = Driver<N::Stream, C>;

    fn open(
        &self,
        target: &Endpoint,
        options: &Options,
    ) -> impl Future<Output = Result<N::Stream>> + Send {
        self.0.connect(target, &options.tcp)
    }

    fn info(opened: &N::Stream) -> Option<StreamInfo> {
        Some(opened.info())
    }

    fn drive(opened: N::Stream, core: C) -> Self::Driver {
        Driver::new(opened, core)
    }
}

impl<S: ByteStream, C: StreamCore> Drive for Driver<S, C> {
    type Core = C;

    fn core(&mut self) -> &mut C {
        self.core_mut()
    }

    fn set_reading(&mut self, reading: bool) {
        Driver::set_reading(self, reading);
    }

    fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<std::result::Result<Option<C::Event>, DriverError<C::Error>>> {
        Driver::poll_next(self, cx)
    }

    fn into_core(self) -> C {
        let (_, core, _) = self.into_parts();
        core
    }
}

/// Where a datagram socket speaks to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "as sockets are opened")]
pub enum UdpTarget {
    /// One peer, with a connected socket.
    Peer(Endpoint),
    /// Anyone, and groups, from this address: port 0 takes a free one.
    Anyone(SocketAddr),
}

/// Datagram sockets of a network.
pub(crate) struct Datagrams<N>(pub(crate) N);

impl<N: UdpOpen, C: DatagramCore<Event: Send> + Send + 'static> Carrier<C> for Datagrams<N> {
    type Target = UdpTarget;
    type Opened = N::Socket;
    type Driver = DatagramDriver<N::Socket, C>;

    async fn open(&self, target: &UdpTarget, options: &Options) -> Result<N::Socket> {
        match target {
            UdpTarget::Peer(peer) => self.0.open_connected(peer, &options.udp).await,
            UdpTarget::Anyone(at) => self.0.open_bound(*at, &options.udp).await,
        }
    }

    fn info(_opened: &N::Socket) -> Option<StreamInfo> {
        None
    }

    fn drive(opened: N::Socket, core: C) -> Self::Driver {
        DatagramDriver::new(opened, core)
    }
}

impl<S: DatagramSocket, C: DatagramCore> Drive for DatagramDriver<S, C> {
    type Core = C;

    fn core(&mut self) -> &mut C {
        self.core_mut()
    }

    fn set_reading(&mut self, reading: bool) {
        DatagramDriver::set_reading(self, reading);
    }

    fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<std::result::Result<Option<C::Event>, DriverError<C::Error>>> {
        DatagramDriver::poll_next(self, cx)
    }

    fn into_core(self) -> C {
        self.into_parts().1
    }
}

impl<N> fmt::Debug for Streams<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Streams")
    }
}

impl<N> fmt::Debug for Datagrams<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Datagrams")
    }
}
