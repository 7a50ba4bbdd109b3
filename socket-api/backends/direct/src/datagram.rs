//! UDP sockets on Direct Sockets.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use jackfield_socket::{Datagram, DatagramSocket, Error, ErrorKind};
use js_sys::Uint8Array;
use send_wrapper::SendWrapper;
use tokio::io::ReadBuf;
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::{JsFuture, spawn_local};

use crate::bindings::{Message, Opened, Options, ReadResult, Reader, Socket, Writer};
use crate::error::Failure;
use crate::groups::Groups;
use crate::reader::wake;
use crate::stream::address;

/// The most datagrams that wait to be received; beyond it, the newest are dropped.
const RECEIVE_QUEUE: usize = 1024;
/// The most bytes that wait to be received; beyond it, the newest are dropped.
const RECEIVE_BYTES: usize = 1024 * 1024;
/// The most datagrams that the browser is given before it has sent the first of them.
const SEND_QUEUE: usize = 16;
/// The largest datagram over IPv4, in bytes: 65,535 less the headers. A larger one would fail the whole
/// socket.
const LARGEST_V4: usize = 65_507;
/// The largest over IPv6, whose length doesn't count the network's header.
const LARGEST_V6: usize = 65_527;

/// A UDP socket of the browser's. A bound port below 1024 can't be asked for.
///
/// Up to 1,024 datagrams and 1 MiB wait to be received; beyond that, the newest are dropped. An empty
/// datagram can be received, but not sent.
///
/// Where a datagram finds nobody at the peer's port, the system tells Chromium, which keeps it to
/// itself: a connected socket never tells of it, and goes on.
pub struct DirectDatagramSocket {
    inner: SendWrapper<Inner>,
    groups: Option<Groups>,
    local: Option<SocketAddr>,
    peer: Option<SocketAddr>,
}

struct Inner {
    socket: Socket,
    reader: Reader,
    writer: Writer,
    shared: Rc<RefCell<Shared>>,
}

#[derive(Default)]
struct Shared {
    received: VecDeque<(Uint8Array, Option<SocketAddr>)>,
    received_bytes: usize,
    receiving: Option<Waker>,
    /// How many the browser hasn't sent.
    sending: usize,
    waiting_to_send: Option<Waker>,
    failure: Option<Failure>,
    dropped: bool,
}

impl DirectDatagramSocket {
    pub(crate) fn new(socket: Socket, opened: &Opened) -> Self {
        let shared = Rc::<RefCell<Shared>>::default();
        let reader = opened.readable().get_reader();
        let peer = address(opened.remote_address(), opened.remote_port());
        spawn_local(receive(reader.clone(), shared.clone(), peer));
        Self {
            groups: opened.multicast_controller().map(Groups::new),
            local: address(opened.local_address(), opened.local_port()),
            peer,
            inner: SendWrapper::new(Inner {
                socket,
                reader,
                writer: opened.writable().get_writer(),
                shared,
            }),
        }
    }

    /// The groups of a bound socket, to be joined and left while it is open; `None` on a connected one, and
    /// where the app's manifest gives no permission for multicast.
    pub fn groups(&self) -> Option<Groups> {
        self.groups.clone()
    }

    /// Where this datagram goes, as its options: no address for a connected socket's peer.
    fn destination(&self, len: usize, to: Option<SocketAddr>) -> io::Result<Options> {
        let wrong = |what: &str| Err(Error::new(ErrorKind::InvalidInput, what.to_owned()).into());
        let Some(target) = to.or(self.peer) else {
            return wrong("a bound socket sends to an address, and none was given");
        };
        if to.is_some() && self.peer.is_some() {
            return wrong("a connected socket sends to its peer alone, but an address was given");
        }
        if len == 0 {
            let what = "Direct Sockets can't send a datagram without a byte";
            return Err(Error::new(ErrorKind::Unsupported, what).into());
        }
        let largest = if target.is_ipv4() {
            LARGEST_V4
        } else {
            LARGEST_V6
        };
        if len > largest {
            let what = format!("a datagram of {len} bytes is too large: {largest} is the most");
            return wrong(&what);
        }
        Ok(Options::default()
            .set("remoteAddress", to.map(|to| to.ip().to_string()))
            .set("remotePort", to.map(|to| to.port())))
    }
}

impl DatagramSocket for DirectDatagramSocket {
    fn poll_recv(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<Datagram>> {
        let mut shared = self.inner.shared.borrow_mut();
        let Some((data, from)) = shared.received.pop_front() else {
            if let Some(failure) = &shared.failure {
                return Poll::Ready(Err(failure.io()));
            }
            shared.receiving = Some(cx.waker().clone());
            return Poll::Pending;
        };
        let whole = data.length() as usize;
        shared.received_bytes -= whole;
        let len = whole.min(buf.remaining());
        data.subarray(0, len as u32)
            .copy_to(buf.initialize_unfilled_to(len));
        buf.advance(len);
        Poll::Ready(Ok(Datagram::new(len, from, len < whole)))
    }

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        data: &[u8],
        to: Option<SocketAddr>,
    ) -> Poll<io::Result<()>> {
        let message = self.destination(data.len(), to)?;
        let mut shared = self.inner.shared.borrow_mut();
        if let Some(failure) = &shared.failure {
            return Poll::Ready(Err(failure.io()));
        }
        if shared.sending == SEND_QUEUE {
            shared.waiting_to_send = Some(cx.waker().clone());
            return Poll::Pending;
        }
        shared.sending += 1;
        drop(shared);
        let message = message.set("data", Some(Uint8Array::from(data)));
        let sent = self.inner.writer.write(&message.0);
        let shared = self.inner.shared.clone();
        spawn_local(async move {
            let sent = JsFuture::from(sent).await;
            let mut shared = shared.borrow_mut();
            shared.sending -= 1;
            if let Err(thrown) = sent {
                // The browser has ended the whole socket.
                shared.fail(Failure::of_stream(&thrown));
            }
            let waiting = shared.waiting_to_send.take();
            drop(shared);
            wake(waiting);
        });
        Poll::Ready(Ok(()))
    }

    fn local_addr(&self) -> Option<SocketAddr> {
        self.local
    }

    fn peer_addr(&self) -> Option<SocketAddr> {
        self.peer
    }
}

impl Shared {
    fn fail(&mut self, failure: Failure) {
        self.failure.get_or_insert(failure);
    }
}

/// Takes datagrams from the browser as they come.
async fn receive(reader: Reader, shared: Rc<RefCell<Shared>>, peer: Option<SocketAddr>) {
    loop {
        let result = JsFuture::from(reader.read()).await;
        let mut shared = shared.borrow_mut();
        if shared.dropped {
            return;
        }
        let message = result.map(JsCast::unchecked_into::<ReadResult>);
        match message {
            Ok(message) if !message.done() => {
                let message = message.value().unchecked_into::<Message>();
                let data = message.data();
                let len = data.length() as usize;
                if shared.received.len() < RECEIVE_QUEUE
                    && shared.received_bytes + len <= RECEIVE_BYTES
                {
                    let from = address(message.remote_address(), message.remote_port()).or(peer);
                    shared.received_bytes += len;
                    shared.received.push_back((data, from));
                }
            }
            Ok(_) => shared.fail(Failure::new(
                ErrorKind::Closed,
                "the browser has closed the socket",
            )),
            Err(thrown) => shared.fail(Failure::of_stream(&thrown)),
        }
        let failed = shared.failure.is_some();
        let receiving = shared.receiving.take();
        drop(shared);
        wake(receiving);
        if failed {
            return;
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.borrow_mut().dropped = true;
        let (socket, reader, writer) = (
            self.socket.clone(),
            self.reader.clone(),
            self.writer.clone(),
        );
        spawn_local(async move {
            // Each fails only where the socket is gone already. What was sent goes out first.
            let _ = JsFuture::from(writer.close()).await;
            let _ = JsFuture::from(reader.cancel()).await;
            reader.release_lock();
            writer.release_lock();
            let _ = JsFuture::from(socket.close()).await;
        });
    }
}

impl fmt::Debug for DirectDatagramSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DirectDatagramSocket")
            .field("local", &self.local)
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}
