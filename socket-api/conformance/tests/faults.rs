//! Backends with one fault each, which the suite must find.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker, ready};

use jackfield_conformance::{Peer, Target, run};
use jackfield_sim::{Network, SimDatagramSocket, SimHost, SimListener, SimStream};
use jackfield_socket::{
    AnyNetwork, ByteStream, Datagram, DatagramSocket, Endpoint, Error, ErrorKind, ListenOptions,
    Result, StreamInfo, TcpConnect, TcpListen, TcpOptions, UdpOpen, UdpOptions,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What a backend does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    ResetLooksLikeAnEnd,
    LosesAByte,
    RepeatsAByte,
    LosesTheTail,
    NoEnd,
    WritesWithoutBound,
    WritesAfterTheEnd,
    DropLeaks,
    CancelledConnectLeaks,
    IgnoresOptions,
    RefusalIsOther,
    SwapsAddresses,
    HidesTruncation,
    HearsStrangers,
    TakesAnyAddress,
    HidesClosedPorts,
    HidesItsAddress,
    OneWaker,
}

#[derive(Clone)]
struct Faulty(SimHost, Fault);

#[derive(Debug)]
struct FaultyStream {
    /// `None` only while it is dropped.
    inner: Option<SimStream>,
    fault: Fault,
    read: usize,
    kept: Vec<u8>,
    last: Arc<Last>,
}

/// Wakes whoever has asked last, to read or to write.
#[derive(Debug, Default)]
struct Last(Mutex<Option<Waker>>);

#[derive(Debug)]
struct FaultySocket {
    inner: SimDatagramSocket,
    fault: Fault,
    peer: Option<SocketAddr>,
}

/// Runs a case against a backend with this fault.
async fn result(fault: Fault, case: &str) -> std::result::Result<(), String> {
    let ip = |last| IpAddr::from([192, 0, 2, last]);
    let network = Network::new(1);
    let client = network.host("client.example", [ip(1)]);
    let server = network.host("server.example", [ip(2)]);
    let peer = Peer::open(server, ip(2), SimStream::abort)
        .await
        .expect("a peer");
    let network = AnyNetwork::new(Faulty(client, fault));
    let mut target = Target::new(network, peer.addresses().clone());
    target.capabilities.udp_bound = Some(ip(1));
    target.capabilities.buffered = 1 << 20;
    tokio::spawn(peer.run());
    run(case, &target).await.map_err(|error| error.to_string())
}

#[tokio::test(start_paused = true)]
async fn each_fault_is_found() {
    for (fault, case) in [
        (Fault::ResetLooksLikeAnEnd, "a_reset_is_an_error"),
        (Fault::ResetLooksLikeAnEnd, "a_reset_wakes_a_pending_read"),
        (Fault::LosesAByte, "download"),
        (Fault::LosesAByte, "bulk_both_ways"),
        (Fault::LosesAByte, "a_cancelled_read_loses_no_byte"),
        (Fault::RepeatsAByte, "download"),
        (Fault::LosesTheTail, "short_replies"),
        (Fault::NoEnd, "upload"),
        (Fault::NoEnd, "half_close"),
        (
            Fault::WritesWithoutBound,
            "a_peer_that_does_not_read_stalls_the_writer",
        ),
        (
            Fault::OneWaker,
            "a_reader_and_a_writer_in_tasks_of_their_own",
        ),
        (Fault::OneWaker, "a_reset_wakes_a_reader_and_a_writer"),
        (Fault::OneWaker, "the_peers_end_leaves_a_writer_that_waits"),
        (Fault::NoEnd, "the_peers_end_leaves_an_ender_that_waits"),
        (Fault::NoEnd, "our_end_leaves_a_reader_that_waits"),
        (
            Fault::ResetLooksLikeAnEnd,
            "a_reset_wakes_a_reader_and_a_writer",
        ),
        (Fault::WritesAfterTheEnd, "writing_after_shutdown_fails"),
        (Fault::DropLeaks, "drop_is_a_cut"),
        (
            Fault::CancelledConnectLeaks,
            "a_cancelled_connect_leaks_nothing",
        ),
        (Fault::IgnoresOptions, "too_short_keep_alive"),
        (Fault::RefusalIsOther, "refused_connection"),
        (Fault::SwapsAddresses, "addresses_are_right"),
        (Fault::HidesTruncation, "a_truncated_datagram_is_reported"),
        (Fault::HearsStrangers, "strangers_are_not_heard"),
        (Fault::TakesAnyAddress, "addresses_must_fit_the_socket"),
        (Fault::HidesClosedPorts, "a_closed_port_is_told"),
        (
            Fault::HidesItsAddress,
            "a_connected_socket_knows_its_address",
        ),
    ] {
        assert_eq!(result(Fault::None, case).await, Ok(()), "{case}");
        assert!(
            result(fault, case).await.is_err(),
            "{case} doesn't find {fault:?}"
        );
    }
    assert!(result(Fault::None, "no such case").await.is_err());
}

impl TcpConnect for Faulty {
    type Stream = FaultyStream;

    async fn connect(&self, to: &Endpoint, options: &TcpOptions) -> Result<FaultyStream> {
        let default = TcpOptions::default();
        let options = match self.1 {
            Fault::IgnoresOptions => &default,
            _ => options,
        };
        let inner = if self.1 == Fault::CancelledConnectLeaks {
            let (host, to, options) = (self.0.clone(), to.clone(), options.clone());
            let task = tokio::spawn(async move { host.connect(&to, &options).await });
            // A task outlives whoever waits for it.
            let (sender, receiver) = tokio::sync::oneshot::channel();
            tokio::spawn(async move {
                if let Err(unwanted) = sender.send(task.await) {
                    std::mem::forget(unwanted);
                }
            });
            receiver
                .await
                .expect("the task sends")
                .expect("the task ends")
        } else {
            self.0.connect(to, options).await
        };
        match inner {
            Ok(inner) => Ok(FaultyStream {
                inner: Some(inner),
                fault: self.1,
                read: 0,
                kept: Vec::new(),
                last: Arc::default(),
            }),
            Err(error) if self.1 == Fault::RefusalIsOther => {
                Err(Error::new(ErrorKind::Other, error.to_string()))
            }
            Err(error) => Err(error),
        }
    }
}

impl TcpListen for Faulty {
    type Listener = SimListener;

    async fn listen(&self, at: SocketAddr, options: &ListenOptions) -> Result<SimListener> {
        self.0.listen(at, options).await
    }
}

impl UdpOpen for Faulty {
    type Socket = FaultySocket;

    async fn open_connected(&self, to: &Endpoint, options: &UdpOptions) -> Result<FaultySocket> {
        let inner = if self.1 == Fault::HearsStrangers {
            let at = SocketAddr::from(([192, 0, 2, 1], 0));
            self.0.open_bound(at, options).await?
        } else {
            self.0.open_connected(to, options).await?
        };
        Ok(FaultySocket {
            inner,
            fault: self.1,
            peer: to.socket_addr(),
        })
    }

    async fn open_bound(&self, at: SocketAddr, options: &UdpOptions) -> Result<FaultySocket> {
        Ok(FaultySocket {
            inner: self.0.open_bound(at, options).await?,
            fault: self.1,
            peer: None,
        })
    }
}

impl FaultyStream {
    fn inner(&mut self) -> Pin<&mut SimStream> {
        Pin::new(self.inner.as_mut().expect("it is not dropped"))
    }

    /// Who is to be woken for this caller.
    fn waker(&self, cx: &Context<'_>) -> Waker {
        if self.fault != Fault::OneWaker {
            return cx.waker().clone();
        }
        *self.last.0.lock().expect("no panic") = Some(cx.waker().clone());
        self.last.clone().into()
    }
}

impl Wake for Last {
    fn wake(self: Arc<Self>) {
        let waker = self.0.lock().expect("no panic").take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl AsyncRead for FaultyStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        /// Where bytes are lost or repeated.
        const PLACE: usize = 1000;
        let waker = self.waker(cx);
        let cx = &mut Context::from_waker(&waker);
        let before = buf.filled().len();
        match ready!(self.inner().poll_read(cx, buf)) {
            Err(error)
                if self.fault == Fault::ResetLooksLikeAnEnd
                    && error.kind() == io::ErrorKind::ConnectionReset =>
            {
                return Poll::Ready(Ok(()));
            }
            result => result?,
        }
        let count = buf.filled().len() - before;
        let place = PLACE
            .checked_sub(self.read)
            .filter(|place| *place + 1 < count);
        self.read += count;
        match (self.fault, place) {
            (Fault::LosesAByte, Some(place)) => {
                let data = &mut buf.filled_mut()[before..];
                data.copy_within(place + 1.., place);
                buf.set_filled(before + count - 1);
            }
            (Fault::RepeatsAByte, Some(place)) => {
                let data = &mut buf.filled_mut()[before..];
                data.copy_within(place..count - 1, place + 1);
            }
            (Fault::LosesTheTail, _) if count == 3 => buf.set_filled(before),
            _ => {}
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for FaultyStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let waker = self.waker(cx);
        let cx = &mut Context::from_waker(&waker);
        match self.fault {
            Fault::WritesWithoutBound => {
                self.kept.extend_from_slice(data);
                while !self.kept.is_empty() {
                    let kept = std::mem::take(&mut self.kept);
                    let written = self.inner().poll_write(cx, &kept);
                    self.kept = kept;
                    match written {
                        Poll::Ready(count) => drop(self.kept.drain(..count?)),
                        Poll::Pending => break,
                    }
                }
                Poll::Ready(Ok(data.len()))
            }
            Fault::WritesAfterTheEnd => match ready!(self.inner().poll_write(cx, data)) {
                Err(_) => Poll::Ready(Ok(data.len())),
                result => Poll::Ready(result),
            },
            _ => self.inner().poll_write(cx, data),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.fault {
            Fault::NoEnd => Poll::Ready(Ok(())),
            Fault::WritesWithoutBound if !self.kept.is_empty() => {
                let kept = std::mem::take(&mut self.kept);
                let written = self.inner().poll_write(cx, &kept);
                self.kept = kept;
                let count = ready!(written)?;
                self.kept.drain(..count);
                self.poll_shutdown(cx)
            }
            _ => self.inner().poll_shutdown(cx),
        }
    }
}

impl ByteStream for FaultyStream {
    fn info(&self) -> StreamInfo {
        let info = self.inner.as_ref().expect("it is not dropped").info();
        match self.fault {
            Fault::SwapsAddresses => StreamInfo::new(info.peer, info.local),
            _ => info,
        }
    }
}

impl Drop for FaultyStream {
    fn drop(&mut self) {
        if self.fault == Fault::DropLeaks {
            std::mem::forget(self.inner.take());
        }
    }
}

impl DatagramSocket for FaultySocket {
    fn poll_recv(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<Datagram>> {
        let mut datagram = match ready!(self.inner.poll_recv(cx, buf)) {
            Err(_) if self.fault == Fault::HidesClosedPorts => return self.poll_recv(cx, buf),
            received => received?,
        };
        datagram.truncated &= self.fault != Fault::HidesTruncation;
        Poll::Ready(Ok(datagram))
    }

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        data: &[u8],
        to: Option<SocketAddr>,
    ) -> Poll<io::Result<()>> {
        let to = match self.fault {
            Fault::HearsStrangers => to.or(self.peer),
            Fault::TakesAnyAddress => to.filter(|_| self.peer.is_none()),
            _ => to,
        };
        self.inner.poll_send(cx, data, to)
    }

    fn local_addr(&self) -> Option<SocketAddr> {
        let mut local = self.inner.local_addr()?;
        if self.fault == Fault::HidesItsAddress {
            local.set_ip([0; 4].into());
        }
        Some(local)
    }

    fn peer_addr(&self) -> Option<SocketAddr> {
        self.peer
    }
}
