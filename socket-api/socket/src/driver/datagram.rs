//! [`DatagramDriver`]: runs any sans-IO datagram core over any datagram socket.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll, ready};

use tokio::io::ReadBuf;

use super::{Core, DriverError, poll_timer};
use crate::DatagramSocket;
use crate::time::{self, Instant, Sleep};

/// The longest datagram that is received whole: as long as UDP's can be.
const RECEIVE_SIZE: usize = 0xffff;

/// Who a datagram comes from or goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Peer {
    /// The one peer of a connected socket.
    Connected,
    /// Whoever has this address, or the members of this group.
    Address(SocketAddr),
}

impl Peer {
    /// The address, where it is not the socket's own business.
    pub fn address(self) -> Option<SocketAddr> {
        match self {
            Self::Connected => None,
            Self::Address(address) => Some(address),
        }
    }

    /// Whether it is a group.
    pub fn is_multicast(self) -> bool {
        self.address()
            .is_some_and(|address| address.ip().is_multicast())
    }
}

/// A [`Core`] over datagrams: the twin of [`StreamCore`](super::StreamCore).
pub trait DatagramCore: Core {
    /// Takes a datagram.
    ///
    /// # Errors
    /// Where everything is over. What anyone can send must not be a reason.
    fn receive(&mut self, now: Instant, from: Peer, datagram: &[u8]) -> Result<(), Self::Error>;

    /// Takes the beginning of a datagram whose end is lost, because it was longer than the backend
    /// can receive. Unless the core does otherwise, it is as if it had not arrived.
    ///
    /// # Errors
    /// As [`receive`](Self::receive).
    fn receive_truncated(
        &mut self,
        now: Instant,
        from: Peer,
        beginning: &[u8],
    ) -> Result<(), Self::Error> {
        let _ = (now, from, beginning);
        Ok(())
    }

    /// Writes the next datagram into `datagram`, which is empty, and says who it is for; or says
    /// that there is none now.
    ///
    /// While the socket takes nothing, this is not called.
    fn transmit(&mut self, now: Instant, datagram: &mut Vec<u8>) -> Option<Peer>;

    /// Learns that the datagram which [`transmit`](Self::transmit) gave last was not sent: it was
    /// too long ([`InvalidInput`](io::ErrorKind::InvalidInput)), or there is no way to the peer at
    /// the moment. That concerns this datagram only. Unless the core does otherwise, it is as if it
    /// had been lost on its way.
    fn send_failed(&mut self, now: Instant, to: Peer, error: &io::Error) {
        let _ = (now, to, error);
    }

    /// Learns from a connected socket that something sent earlier found nobody: nothing listens at
    /// the peer's port ([`ConnectionRefused`](io::ErrorKind::ConnectionRefused)), or no way leads
    /// there ([`HostUnreachable`](io::ErrorKind::HostUnreachable),
    /// [`NetworkUnreachable`](io::ErrorKind::NetworkUnreachable)).
    ///
    /// It is a hint, which [can be forged](DatagramSocket::poll_recv), and it may pass: the socket
    /// lives on. Unless the core does otherwise, it is as if nothing had been heard.
    fn unreachable(&mut self, now: Instant, from: Peer, error: &io::Error) {
        let _ = (now, from, error);
    }
}

/// A core, a datagram socket, and what moves between them: the twin of
/// [`Driver`](super::Driver).
///
/// ```
/// use jackfield_socket::DatagramSocket;
/// use jackfield_socket::driver::{Core, DatagramCore, DatagramDriver, Peer};
/// use jackfield_socket::time::Instant;
///
/// /// RFC 862, as a core: sends back what it receives.
/// #[derive(Default)]
/// struct Echo(Option<(Peer, Vec<u8>)>);
///
/// impl Core for Echo {
///     type Event = std::convert::Infallible;
///     type Error = std::convert::Infallible;
///     fn poll_event(&mut self) -> Option<Self::Event> {
///         None
///     }
/// }
///
/// impl DatagramCore for Echo {
///     fn receive(&mut self, _: Instant, from: Peer, datagram: &[u8]) -> Result<(), Self::Error> {
///         self.0 = Some((from, datagram.to_vec()));
///         Ok(())
///     }
///     fn transmit(&mut self, _: Instant, datagram: &mut Vec<u8>) -> Option<Peer> {
///         let (to, echo) = self.0.take()?;
///         datagram.extend_from_slice(&echo);
///         Some(to)
///     }
/// }
///
/// async fn serve(socket: impl DatagramSocket) {
///     let mut driver = DatagramDriver::new(socket, Echo::default());
///     while let Ok(Some(event)) = driver.next().await {
///         match event {}
///     }
/// }
/// # fn main() {}
/// ```
#[derive(Debug)]
pub struct DatagramDriver<S, C> {
    socket: S,
    core: C,
    connected: bool,
    timer: Option<Sleep>,
    /// What the core gave and the socket has not taken yet, if `to` names someone.
    out: Vec<u8>,
    to: Option<Peer>,
    receive_buf: Box<[u8]>,
    reading: bool,
    done: bool,
}

impl<S: DatagramSocket, C: DatagramCore> DatagramDriver<S, C> {
    /// Joins a core to a socket. On a connected one, all peers are [`Peer::Connected`].
    pub fn new(socket: S, core: C) -> Self {
        Self {
            connected: socket.peer_addr().is_some(),
            socket,
            core,
            timer: None,
            out: Vec::new(),
            to: None,
            receive_buf: vec![0; RECEIVE_SIZE].into(),
            reading: true,
            done: false,
        }
    }

    /// The core, to look at.
    pub fn core(&self) -> &C {
        &self.core
    }

    /// The core, to act on: what it then has to send goes out with the next call of
    /// [`next`](Self::next) or [`poll_next`](Self::poll_next), which must follow from the same task.
    pub fn core_mut(&mut self) -> &mut C {
        &mut self.core
    }

    /// The socket, to look at.
    pub fn socket(&self) -> &S {
        &self.socket
    }

    /// Takes the driver apart: the socket and the core. A datagram that the socket had not taken
    /// yet is lost, as datagrams may be.
    pub fn into_parts(self) -> (S, C) {
        (self.socket, self.core)
    }

    /// The next event; `None` when the core has finished.
    ///
    /// After `None` or an error, only the events that were left come, and then `None`.
    ///
    /// # Errors
    /// [`DriverError::Core`] where the core says that everything is over, [`DriverError::Io`]
    /// where the socket has failed for good. A datagram that could not be sent is no such failure:
    /// the core learns of it by [`DatagramCore::send_failed`].
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Result<Option<C::Event>, DriverError<C::Error>> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// [`next`](Self::next), polled.
    ///
    /// # Errors
    /// As there.
    pub fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<C::Event>, DriverError<C::Error>>> {
        loop {
            let sent = self.poll_send(cx);
            if let Some(event) = self.core.poll_event() {
                return Poll::Ready(Ok(Some(event)));
            }
            if self.done {
                return Poll::Ready(Ok(None));
            }
            if self.core.is_finished() {
                ready!(sent);
                self.done = true;
                return Poll::Ready(Ok(None));
            }
            let moved = match self.poll_deadline(cx) {
                Poll::Ready(result) => Poll::Ready(result),
                Poll::Pending if !self.reading => Poll::Pending,
                Poll::Pending => self.poll_receive(cx),
            };
            if let Err(error) = ready!(moved) {
                self.done = true;
                // One more attempt to send: the core's last word may name the reason.
                let _ = self.poll_send(cx);
                return Poll::Ready(Err(error));
            }
        }
    }

    /// Whether [`next`](Self::next) is to receive, as it does at first. While it does not, it
    /// sends, keeps the core's deadlines and gives its events; what arrives waits in the socket,
    /// and beyond its room is lost.
    pub fn set_reading(&mut self, reading: bool) {
        if std::mem::replace(&mut self.reading, reading) != reading {
            self.core.set_reading(time::now(), reading);
        }
    }

    /// Moves what it can from the core to the socket; ready when the core has nothing left.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if self.to.is_none() {
                self.out.clear();
                self.to = self.core.transmit(time::now(), &mut self.out);
            }
            let Some(to) = self.to else {
                return Poll::Ready(());
            };
            let sent = ready!(self.socket.poll_send(cx, &self.out, to.address()));
            self.to = None;
            if let Err(error) = sent {
                self.core.send_failed(time::now(), to, &error);
            }
        }
    }

    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), DriverError<C::Error>>> {
        let now = ready!(poll_timer(&mut self.timer, self.core.deadline(), cx));
        let handled = self.core.handle_deadline(now).map_err(DriverError::Core);
        debug_assert!(
            handled.is_err() || self.core.deadline().is_none_or(|next| next > now),
            "after `handle_deadline` the core's deadline still does not lie in the future"
        );
        Poll::Ready(handled)
    }

    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), DriverError<C::Error>>> {
        let mut buf = ReadBuf::new(&mut self.receive_buf);
        let received = match ready!(self.socket.poll_recv(cx, &mut buf)) {
            Ok(received) => received,
            Err(error) if self.connected && is_report(&error) => {
                self.core.unreachable(time::now(), Peer::Connected, &error);
                return Poll::Ready(Ok(()));
            }
            Err(error) => return Poll::Ready(Err(DriverError::Io(error))),
        };
        let from = match received.from {
            _ if self.connected => Peer::Connected,
            Some(address) => Peer::Address(address),
            // Nobody could be answered.
            None => return Poll::Ready(Ok(())),
        };
        let now = time::now();
        let bytes = buf.filled();
        let result = if received.truncated {
            self.core.receive_truncated(now, from, bytes)
        } else {
            self.core.receive(now, from, bytes)
        };
        Poll::Ready(result.map_err(DriverError::Core))
    }
}

/// Whether an error tells of what was sent to a peer, and not that the socket has failed.
fn is_report(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
    )
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::future::Future;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use super::*;
    use crate::Datagram;

    /// A socket whose other end is the test.
    #[derive(Clone, Debug, Default)]
    struct Wire(Arc<Mutex<State>>);

    #[derive(Debug, Default)]
    struct State {
        arriving: VecDeque<(SocketAddr, Vec<u8>, bool)>,
        sent: Vec<(Option<SocketAddr>, Vec<u8>)>,
        /// How many more datagrams it takes.
        room: usize,
        /// Sending fails with this.
        refuses: Option<io::ErrorKind>,
        /// Receiving fails with this, once.
        reports: Option<io::ErrorKind>,
        broken: bool,
        connected: Option<SocketAddr>,
    }

    impl DatagramSocket for Wire {
        fn poll_recv(
            &mut self,
            _cx: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<Datagram>> {
            let mut state = self.0.lock().expect("one thread");
            if let Some(kind) = state.reports.take() {
                return Poll::Ready(Err(kind.into()));
            }
            if state.broken {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
            let Some((from, bytes, truncated)) = state.arriving.pop_front() else {
                return Poll::Pending;
            };
            buf.put_slice(&bytes);
            Poll::Ready(Ok(Datagram::new(bytes.len(), Some(from), truncated)))
        }

        fn poll_send(
            &mut self,
            _cx: &mut Context<'_>,
            data: &[u8],
            to: Option<SocketAddr>,
        ) -> Poll<io::Result<()>> {
            let mut state = self.0.lock().expect("one thread");
            if let Some(kind) = state.refuses.take() {
                return Poll::Ready(Err(kind.into()));
            }
            if state.room == 0 {
                return Poll::Pending;
            }
            state.room -= 1;
            state.sent.push((to, data.to_vec()));
            Poll::Ready(Ok(()))
        }

        fn local_addr(&self) -> Option<SocketAddr> {
            None
        }

        fn peer_addr(&self) -> Option<SocketAddr> {
            self.0.lock().expect("one thread").connected
        }
    }

    /// Says what happens to it, sends it back, and ticks each second.
    #[derive(Debug, Default)]
    struct Parrot {
        events: VecDeque<String>,
        send: VecDeque<(Peer, Vec<u8>)>,
        tick: Option<Instant>,
        finished: bool,
    }

    impl Core for Parrot {
        type Event = String;
        type Error = &'static str;

        fn poll_event(&mut self) -> Option<String> {
            self.events.pop_front()
        }

        fn deadline(&self) -> Option<Instant> {
            self.tick
        }

        fn handle_deadline(&mut self, now: Instant) -> Result<(), &'static str> {
            self.tick = Some(now + Duration::from_secs(1));
            self.events.push_back("tick".into());
            Ok(())
        }

        fn is_finished(&self) -> bool {
            self.finished
        }
    }

    impl DatagramCore for Parrot {
        fn receive(
            &mut self,
            now: Instant,
            from: Peer,
            datagram: &[u8],
        ) -> Result<(), &'static str> {
            self.tick.get_or_insert(now + Duration::from_secs(1));
            let text = String::from_utf8_lossy(datagram).into_owned();
            self.send.push_back((from, datagram.to_vec()));
            match &*text {
                "fail" => return Err("asked to fail"),
                "quit" => self.finished = true,
                _ => self.events.push_back(text),
            }
            Ok(())
        }

        fn receive_truncated(
            &mut self,
            _now: Instant,
            _from: Peer,
            beginning: &[u8],
        ) -> Result<(), &'static str> {
            self.events
                .push_back(format!("{}…", String::from_utf8_lossy(beginning)));
            Ok(())
        }

        fn transmit(&mut self, _now: Instant, datagram: &mut Vec<u8>) -> Option<Peer> {
            assert!(datagram.is_empty());
            let (to, bytes) = self.send.pop_front()?;
            datagram.extend_from_slice(&bytes);
            Some(to)
        }

        fn send_failed(&mut self, _now: Instant, to: Peer, error: &io::Error) {
            self.events.push_back(format!("{to:?}: {}", error.kind()));
        }

        fn unreachable(&mut self, _now: Instant, from: Peer, error: &io::Error) {
            self.events
                .push_back(format!("nobody at {from:?}: {}", error.kind()));
        }
    }

    const ADA: &str = "192.0.2.1:5683";

    fn arrives(wire: &Wire, text: &str) {
        let mut state = wire.0.lock().expect("one thread");
        let from = ADA.parse().expect("an address");
        state.arriving.push_back((from, text.into(), false));
    }

    fn pair(room: usize) -> (Wire, DatagramDriver<Wire, Parrot>) {
        let wire = Wire::default();
        wire.0.lock().expect("one thread").room = room;
        (wire.clone(), DatagramDriver::new(wire, Parrot::default()))
    }

    fn sent(wire: &Wire) -> Vec<(Option<SocketAddr>, Vec<u8>)> {
        std::mem::take(&mut wire.0.lock().expect("one thread").sent)
    }

    async fn event(driver: &mut DatagramDriver<Wire, Parrot>) -> String {
        let event = driver.next().await.expect("the socket works");
        event.expect("it has not finished")
    }

    #[tokio::test]
    async fn datagrams_go_back_to_who_sent_them() {
        let (wire, mut driver) = pair(9);
        arrives(&wire, "a");
        arrives(&wire, "b");
        assert_eq!(event(&mut driver).await, "a");
        assert_eq!(event(&mut driver).await, "b");
        let to = Some(ADA.parse().expect("an address"));
        assert_eq!(sent(&wire), [(to, b"a".to_vec()), (to, b"b".to_vec())]);
    }

    #[tokio::test]
    async fn a_connected_socket_has_one_peer() {
        let wire = Wire::default();
        wire.0.lock().expect("one thread").room = 1;
        wire.0.lock().expect("one thread").connected = ADA.parse().ok();
        let mut driver = DatagramDriver::new(wire.clone(), Parrot::default());
        arrives(&wire, "a");
        assert_eq!(event(&mut driver).await, "a");
        assert_eq!(sent(&wire), [(None, b"a".to_vec())]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_socket_that_takes_nothing_stops_neither_clock_nor_ears() {
        let (wire, mut driver) = pair(0);
        for text in ["a", "b", "c"] {
            arrives(&wire, text);
            assert_eq!(event(&mut driver).await, text);
        }
        assert_eq!(event(&mut driver).await, "tick");
        // One waits in the driver, the others in the core; none is lost, and their order is kept.
        assert_eq!(driver.core().send.len(), 2);
        wire.0.lock().expect("one thread").room = 9;
        assert_eq!(event(&mut driver).await, "tick");
        let sent: Vec<_> = sent(&wire).into_iter().map(|(_, bytes)| bytes).collect();
        assert_eq!(sent, [b"a", b"b", b"c"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_future_that_is_dropped_loses_nothing() {
        let (wire, mut driver) = pair(0);
        arrives(&wire, "a");
        assert_eq!(event(&mut driver).await, "a");
        let moment = Duration::from_millis(1);
        for _ in 0..3 {
            let next = time::timeout(moment, driver.next()).await;
            next.expect_err("nothing arrives");
        }
        wire.0.lock().expect("one thread").room = 1;
        let next = time::timeout(moment, driver.next()).await;
        next.expect_err("nothing arrives");
        assert_eq!(sent(&wire).len(), 1);
    }

    #[tokio::test]
    async fn what_is_cut_short_is_no_datagram() {
        let (wire, mut driver) = pair(9);
        arrives(&wire, "beginn");
        wire.0.lock().expect("one thread").arriving[0].2 = true;
        assert_eq!(event(&mut driver).await, "beginn…");
    }

    #[tokio::test]
    async fn a_datagram_that_is_not_sent_ends_nothing() {
        let (wire, mut driver) = pair(9);
        wire.0.lock().expect("one thread").refuses = Some(io::ErrorKind::NetworkUnreachable);
        arrives(&wire, "a");
        arrives(&wire, "b");
        assert_eq!(event(&mut driver).await, "a");
        assert_eq!(
            event(&mut driver).await,
            format!("Address({ADA}): network unreachable")
        );
        assert_eq!(event(&mut driver).await, "b");
        assert_eq!(sent(&wire).len(), 1);
    }

    #[tokio::test]
    async fn a_peer_that_is_not_there_ends_nothing() {
        let wire = Wire::default();
        wire.0.lock().expect("one thread").connected = ADA.parse().ok();
        let mut driver = DatagramDriver::new(wire.clone(), Parrot::default());
        for (kind, text) in [
            (io::ErrorKind::ConnectionRefused, "connection refused"),
            (io::ErrorKind::HostUnreachable, "host unreachable"),
            (io::ErrorKind::NetworkUnreachable, "network unreachable"),
        ] {
            wire.0.lock().expect("one thread").reports = Some(kind);
            let told = format!("nobody at Connected: {text}");
            assert_eq!(event(&mut driver).await, told);
        }
        arrives(&wire, "a");
        assert_eq!(event(&mut driver).await, "a");
    }

    #[tokio::test]
    async fn a_bound_socket_that_is_refused_has_failed() {
        let (wire, mut driver) = pair(9);
        wire.0.lock().expect("one thread").reports = Some(io::ErrorKind::ConnectionRefused);
        let error = driver.next().await.expect_err("it belongs to no peer");
        assert!(matches!(error, DriverError::Io(_)), "{error}");
    }

    #[tokio::test]
    async fn a_socket_that_fails_says_so_once() {
        let (wire, mut driver) = pair(9);
        arrives(&wire, "a");
        assert_eq!(event(&mut driver).await, "a");
        wire.0.lock().expect("one thread").broken = true;
        let error = driver.next().await.expect_err("the socket is broken");
        assert!(matches!(error, DriverError::Io(_)), "{error}");
        assert_eq!(driver.next().await.expect("the end"), None);
    }

    #[tokio::test]
    async fn the_last_word_goes_out() {
        let (wire, mut driver) = pair(9);
        arrives(&wire, "fail");
        let error = driver.next().await.expect_err("asked to fail");
        assert_eq!(error.to_string(), "asked to fail");
        assert_eq!(sent(&wire).len(), 1);
        assert_eq!(driver.next().await.expect("the end"), None);
    }

    #[tokio::test]
    async fn a_finished_core_ends_when_all_is_sent() {
        let (wire, mut driver) = pair(0);
        arrives(&wire, "quit");
        let mut next = std::pin::pin!(driver.next());
        let pending = poll_fn(|cx| Poll::Ready(next.as_mut().poll(cx).is_pending())).await;
        assert!(pending, "it ended with something to send");
        wire.0.lock().expect("one thread").room = 1;
        assert_eq!(next.await.expect("the end"), None);
        assert_eq!(sent(&wire).len(), 1);
    }
}
