//! A secured socket: one DTLS session.

use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use dimpl::{Config, Output};
use jackfield_socket::time::{self, Instant, Sleep};
use jackfield_socket::waking::{both, remember, wake};
use jackfield_socket::{Datagram, DatagramSocket, Endpoint, Error, ErrorKind, Result};
use tokio::io::ReadBuf;

use crate::error::Failure;

/// The largest datagram that is received: one that holds the largest record (RFC 6347, section
/// 4.1; RFC 5246, section 6.2.3). What is larger is dropped.
const LARGEST: usize = 16 * 1024 + 2 * 1024 + 13;
/// A deadline further away than this stands for no deadline: the engine says "in ten years" then.
const NO_DEADLINE: Duration = Duration::from_hours(365 * 24);

/// A DTLS session with one peer.
///
/// - **Receiving** fails for good when the peer ends the session (close_notify), which is an error
///   of kind [`Reset`](ErrorKind::Reset), breaks DTLS's rules, or does not answer what was sent for
///   [so long](crate::DtlsConfig::silence_timeout) that it seems to have lost the session. Datagrams that don't belong to the
///   session are dropped without a word, whoever sent them. That [nobody is
///   there](DatagramSocket::poll_recv) fails the handshake; later it is told, and the session lives.
/// - **Sending** takes datagrams of 1 byte up to the [MTU](crate::DtlsConfig::mtu) less
///   [`OVERHEAD`](Self::OVERHEAD).
/// - **Whoever uses it keeps receiving**: only then is the end of the handshake repeated for a peer
///   that lost it, and is what the network below did not take at once sent on.
/// - **Dropping it** tells the peer (close_notify), as far as the network below takes that at once.
pub struct DtlsSocket<S: DatagramSocket> {
    socket: S,
    engine: dimpl::Dtls,
    timer: Option<Sleep>,
    /// When the engine wants to be asked again.
    deadline: Option<Instant>,
    silence_timeout: Option<Duration>,
    /// When the first was sent of what nothing came after.
    unanswered_since: Option<Instant>,
    connected: bool,
    /// What ended the session.
    ended: Option<Failure>,
    /// Whoever waits to receive; the timer and what is to be sent are of its interest, too.
    receiver: Option<Waker>,
    /// Whoever waits to send.
    sender: Option<Waker>,
    /// What the network below has learned of the peer, for whoever receives.
    report: Option<io::Error>,
    /// What the socket below has still to take: one flight of the handshake, or one datagram.
    outgoing: VecDeque<Vec<u8>>,
    /// What was in the last datagram, decrypted.
    incoming: VecDeque<Vec<u8>>,
    received: Box<[u8]>,
    output: Vec<u8>,
    mtu: usize,
}

impl<S: DatagramSocket> DtlsSocket<S> {
    /// What DTLS adds to each datagram, in bytes: the record's header, the nonce's explicit half,
    /// and the tag.
    pub const OVERHEAD: usize = 13 + 8 + 8;

    /// Makes the handshake as a client.
    pub(crate) async fn connect(
        socket: S,
        to: &Endpoint,
        config: &Arc<Config>,
        silence_timeout: Option<Duration>,
    ) -> Result<Self> {
        let mut this = Self::new(socket, config);
        this.silence_timeout = silence_timeout;
        this.engine.set_active(true);
        this.handshake().await.map_err(|failure| {
            let error = failure.error();
            error.retold(format!("DTLS handshake with {to}: {error}"))
        })?;
        Ok(this)
    }

    fn new(socket: S, config: &Arc<Config>) -> Self {
        Self {
            socket,
            engine: dimpl::Dtls::new_12_psk(config.clone(), time::now()),
            timer: None,
            deadline: None,
            silence_timeout: None,
            unanswered_since: None,
            connected: false,
            ended: None,
            receiver: None,
            sender: None,
            report: None,
            outgoing: VecDeque::new(),
            incoming: VecDeque::new(),
            received: vec![0; LARGEST].into(),
            output: vec![0; config.mtu()],
            mtu: config.mtu(),
        }
    }

    async fn handshake(&mut self) -> Result<(), Failure> {
        self.act(|engine| engine.handle_timeout(time::now()));
        poll_fn(|cx| {
            while !self.connected {
                if let Some(failure) = &self.ended {
                    return Poll::Ready(Err(failure.clone()));
                }
                ready!(self.poll_step(cx));
            }
            // The last flight: if it doesn't go out now, it does when the user receives.
            let _ = self.poll_flush(cx);
            Poll::Ready(Ok(()))
        })
        .await
    }

    /// Does one thing: sends, acts on the deadline, or takes a datagram. Pending where there is
    /// nothing to do.
    fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // What can't be sent is lost, as a datagram may be. Below, one waker waits to send, and a sender
        // in another task waits there, too.
        let both = both(cx.waker(), self.sender.as_ref());
        let _ = self.poll_flush(&mut Context::from_waker(&both));
        if let Some(timer) = &mut self.timer
            && Pin::new(timer).poll(cx).is_ready()
        {
            self.timer = None;
            self.act_on_deadlines(time::now());
            return Poll::Ready(());
        }
        let mut buf = ReadBuf::new(&mut self.received);
        match ready!(self.socket.poll_recv(cx, &mut buf)) {
            Ok(datagram) if datagram.truncated => {}
            Ok(datagram) => {
                let received = std::mem::take(&mut self.received);
                let packet = received.get(..datagram.len).unwrap_or_default();
                self.act(|engine| {
                    engine.handle_timeout(time::now())?;
                    engine.handle_packet(packet)
                });
                self.received = received;
            }
            Err(error) if self.connected && is_report(&error) => self.report = Some(error),
            Err(error) => {
                let error = Error::from(error);
                self.ended.get_or_insert_with(|| Failure::from(&error));
            }
        }
        Poll::Ready(())
    }

    /// Has the engine do something, and takes what comes of it. Its errors end the session.
    fn act(&mut self, action: impl FnOnce(&mut dimpl::Dtls) -> Result<(), dimpl::Error>) {
        let result = action(&mut self.engine);
        if let Err(error) = &result {
            self.ended.get_or_insert_with(|| Failure::from(error));
        }
        loop {
            match self.engine.poll_output(&mut self.output) {
                Output::Packet(packet) => self.outgoing.push_back(packet.to_vec()),
                Output::BufferTooSmall { needed } => self.output.resize(needed, 0),
                Output::Connected => self.connected = true,
                Output::ApplicationData(data) => {
                    self.unanswered_since = None;
                    self.incoming.push_back(data.to_vec());
                }
                Output::CloseNotify => {
                    self.ended.get_or_insert_with(|| {
                        Failure::new(ErrorKind::Reset, "the peer has ended the DTLS session")
                    });
                }
                Output::Timeout(deadline) => {
                    let far = time::now() + NO_DEADLINE;
                    self.deadline = Some(deadline).filter(|deadline| *deadline < far);
                    self.set_timer();
                    return;
                }
                // Certificates and SRTP, which are never negotiated.
                _ => {}
            }
        }
    }

    fn act_on_deadlines(&mut self, now: Instant) {
        if self.silent_at().is_some_and(|silent| silent <= now) {
            let limit = time::seconds(self.silence_timeout.unwrap_or_default());
            let text = format!("the peer has not answered for {limit}: the session may be lost");
            self.ended
                .get_or_insert_with(|| Failure::new(ErrorKind::TimedOut, text));
        }
        self.act(|engine| engine.handle_timeout(now));
    }

    /// When the peer has been silent for too long.
    fn silent_at(&self) -> Option<Instant> {
        self.unanswered_since?.checked_add(self.silence_timeout?)
    }

    fn set_timer(&mut self) {
        let deadline = [self.deadline, self.silent_at()]
            .into_iter()
            .flatten()
            .min();
        match deadline.filter(|_| self.ended.is_none()) {
            None => self.timer = None,
            Some(deadline) => match &mut self.timer {
                Some(timer) => timer.reset(deadline),
                None => self.timer = Some(time::sleep_until(deadline)),
            },
        }
    }

    /// Sends what waits. A datagram that can't be sent is dropped, and the error told.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(datagram) = self.outgoing.front() {
            let sent = ready!(self.socket.poll_send(cx, datagram, None));
            self.outgoing.pop_front();
            sent?;
        }
        Poll::Ready(Ok(()))
    }
}

/// Whether an error tells of the peer, and not that the socket below has failed.
fn is_report(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
    )
}

impl<S: DatagramSocket> DatagramSocket for DtlsSocket<S> {
    fn poll_recv(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<Datagram>> {
        loop {
            if let Some(data) = self.incoming.pop_front() {
                let len = data.len().min(buf.remaining());
                buf.put_slice(&data[..len]);
                let truncated = len < data.len();
                return Poll::Ready(Ok(Datagram::new(len, self.peer_addr(), truncated)));
            }
            if let Some(report) = self.report.take() {
                return Poll::Ready(Err(report));
            }
            if let Some(failure) = &self.ended {
                return Poll::Ready(Err(failure.error().into()));
            }
            if self.poll_step(cx).is_pending() {
                remember(&mut self.receiver, cx.waker());
                return Poll::Pending;
            }
            if self.ended.is_some() {
                wake(&mut self.sender);
            }
        }
    }

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        data: &[u8],
        to: Option<SocketAddr>,
    ) -> Poll<io::Result<()>> {
        let invalid = |what| Poll::Ready(Err(Error::new(ErrorKind::InvalidInput, what).into()));
        if to.is_some() {
            return invalid("an address was given to a connected socket");
        }
        if data.is_empty() {
            return invalid("DTLS sends no empty datagrams");
        }
        if data.len() > self.mtu - Self::OVERHEAD {
            return invalid("the datagram is larger than the MTU allows");
        }
        if let Some(failure) = &self.ended {
            return Poll::Ready(Err(failure.error().into()));
        }
        // Only when nothing waits is the datagram taken, so that it is taken once.
        let both = both(cx.waker(), self.receiver.as_ref());
        let mut flushing = Context::from_waker(&both);
        while !self.outgoing.is_empty() {
            if self.poll_flush(&mut flushing).is_pending() {
                remember(&mut self.sender, cx.waker());
                return Poll::Pending;
            }
        }
        let now = time::now();
        self.unanswered_since.get_or_insert(now);
        self.act(|engine| {
            engine.handle_timeout(now)?;
            engine.send_application_data(data).map(|_| ())
        });
        // Whoever receives looks after the deadlines, and after what is not sent at once; of an end it
        // has to hear.
        wake(&mut self.receiver);
        if let Some(failure) = &self.ended {
            return Poll::Ready(Err(failure.error().into()));
        }
        match self.poll_flush(&mut flushing) {
            Poll::Ready(sent) => Poll::Ready(sent),
            // It is taken: the next call sends it on, of either kind.
            Poll::Pending => Poll::Ready(Ok(())),
        }
    }

    fn local_addr(&self) -> Option<SocketAddr> {
        self.socket.local_addr()
    }

    fn peer_addr(&self) -> Option<SocketAddr> {
        self.socket.peer_addr()
    }
}

impl<S: DatagramSocket> Drop for DtlsSocket<S> {
    fn drop(&mut self) {
        if self.ended.is_none() {
            self.act(dimpl::Dtls::close);
            let _ = self.poll_flush(&mut Context::from_waker(Waker::noop()));
        }
    }
}

impl<S: DatagramSocket> fmt::Debug for DtlsSocket<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DtlsSocket")
            .field("socket", &self.socket)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
