//! Parts that the tests share: a pipe that can be cut, a listener in memory, and the two ends of a
//! secured stream.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file uses a part of this"
)]

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker, ready};

use jackfield_socket::{ByteStream, Host, Result, StreamInfo, TcpListener};
use jackfield_testing::certs::{Authority, Certificate};
use jackfield_tls::{
    Certificates, Identity, TlsAcceptor, TlsConfig, TlsConnector, TlsServerConfig, TlsStream,
};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::sync::mpsc;

/// What the pipe does to the bytes that are read from it, once it is told.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// After this many bytes: the end.
    End(usize),
    /// After this many bytes: a reset.
    Reset(usize),
    /// After this many bytes: one byte is lost.
    Lose(usize),
    /// After this many bytes: one bit is turned.
    Flip(usize),
}

/// One end of a pipe in memory.
#[derive(Debug)]
pub struct Pipe {
    inner: DuplexStream,
    half_close: bool,
    control: Arc<Mutex<Control>>,
}

/// What a test sees and does of a [`Pipe`].
#[derive(Debug, Default)]
pub struct Control {
    pub fault: Option<Fault>,
    pub shut_down: bool,
    /// Whether shutting down waits.
    pub held: bool,
    /// Who was the last to shut down: the one whom the end of the wait wakes.
    pub waiting: Option<Waker>,
}

/// Two ends, with room for `size` bytes in each direction.
pub fn pipe(size: usize) -> (Pipe, Pipe) {
    let (one, other) = tokio::io::duplex(size);
    let end = |inner| Pipe {
        inner,
        half_close: true,
        control: Arc::default(),
    };
    (end(one), end(other))
}

impl Pipe {
    /// The same, whose shutdown would end both directions.
    pub fn without_half_close(mut self) -> Self {
        self.half_close = false;
        self
    }

    pub fn control(&self) -> Arc<Mutex<Control>> {
        self.control.clone()
    }
}

impl AsyncRead for Pipe {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let mut control = this.control.lock().expect("no panic");
        let Some(fault) = &mut control.fault else {
            return Pin::new(&mut this.inner).poll_read(cx, buf);
        };
        let (Fault::End(left) | Fault::Reset(left) | Fault::Lose(left) | Fault::Flip(left)) = fault;
        if *left > 0 {
            let mut part = buf.take(*left);
            ready!(Pin::new(&mut this.inner).poll_read(cx, &mut part))?;
            let count = part.filled().len();
            *left -= count;
            buf.set_filled(buf.filled().len() + count);
            return Poll::Ready(Ok(()));
        }
        match fault {
            Fault::End(_) => Poll::Ready(Ok(())),
            Fault::Reset(_) => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            Fault::Lose(_) | Fault::Flip(_) => {
                let mut byte = [0];
                let mut one = ReadBuf::new(&mut byte);
                ready!(Pin::new(&mut this.inner).poll_read(cx, &mut one))?;
                if matches!(fault, Fault::Flip(_)) && !one.filled().is_empty() {
                    buf.put_slice(&[byte[0] ^ 0x10]);
                }
                control.fault = None;
                drop(control);
                if buf.filled().is_empty() {
                    return Pin::new(&mut this.inner).poll_read(cx, buf);
                }
                Poll::Ready(Ok(()))
            }
        }
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        {
            let mut control = self.control.lock().expect("no panic");
            control.shut_down = true;
            if control.held {
                control.waiting = Some(cx.waker().clone());
                return Poll::Pending;
            }
        }
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

impl ByteStream for Pipe {
    fn info(&self) -> StreamInfo {
        let mut info = StreamInfo::new(None, Some("192.0.2.1:1234".parse().expect("an address")));
        info.half_close = self.half_close;
        info.may_truncate = true;
        info
    }
}

/// A listener that takes what a test sends it.
#[derive(Debug)]
pub struct PipeListener(mpsc::Receiver<Pipe>);

pub fn listener() -> (mpsc::Sender<Pipe>, PipeListener) {
    let (sender, receiver) = mpsc::channel(16);
    (sender, PipeListener(receiver))
}

impl TcpListener for PipeListener {
    type Stream = Pipe;

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<Result<Pipe>> {
        match ready!(self.0.poll_recv(cx)) {
            Some(pipe) => Poll::Ready(Ok(pipe)),
            None => Poll::Pending,
        }
    }

    fn local_addr(&self) -> Option<SocketAddr> {
        None
    }
}

/// An authority, and the configurations of the two sides that trust it.
pub struct World {
    pub authority: Authority,
    pub server: TlsServerConfig,
    pub client: TlsConfig,
}

pub fn identity(certificate: &Certificate) -> Identity {
    Identity::from_pem(
        certificate.pem().as_bytes(),
        certificate.key_pem().as_bytes(),
    )
    .expect("a certificate and its key")
}

pub fn roots(authority: &Authority) -> Certificates {
    Certificates::from_pem(authority.pem().as_bytes()).expect("a root")
}

pub fn host(name: &str) -> Host {
    name.parse().expect("a host")
}

impl World {
    /// A server for `server.test`, and a client that trusts its authority.
    pub fn new() -> Self {
        let authority = Authority::new();
        let server = TlsServerConfig::new(identity(&authority.server(&["server.test"])));
        let client = TlsConfig::new().with_roots(roots(&authority));
        Self {
            authority,
            server,
            client,
        }
    }

    /// A secured stream over this pipe: the client's end, the server's end.
    pub async fn connect(&self, pipe: (Pipe, Pipe)) -> (TlsStream<Pipe>, TlsStream<Pipe>) {
        let (client, server) = self.try_connect(pipe, "server.test").await;
        (
            client.expect("the client is content"),
            server.expect("the server is content"),
        )
    }

    /// The same, where it may fail.
    pub async fn try_connect(
        &self,
        (client, server): (Pipe, Pipe),
        name: &str,
    ) -> (Result<TlsStream<Pipe>>, Result<TlsStream<Pipe>>) {
        let connector = TlsConnector::new(self.client.clone()).expect("a connector");
        let acceptor = TlsAcceptor::new(self.server.clone()).expect("an acceptor");
        let name = host(name);
        tokio::join!(connector.connect(client, &name), acceptor.accept(server))
    }

    /// How the client fails.
    pub async fn client_error(&self) -> jackfield_socket::Error {
        let (client, _) = self.try_connect(pipe(4096), "server.test").await;
        client.expect_err("the client refuses")
    }
}

/// Bytes that don't repeat where a pipe or a record does.
pub fn pattern(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let mut bytes: VecDeque<u8> = VecDeque::with_capacity(len);
    for _ in 0..len {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        bytes.push_back((state >> 24) as u8);
    }
    bytes.into()
}

/// Polls a future once; what is not ready is dropped.
pub async fn once<F: Future>(future: F) -> Option<F::Output> {
    let mut future = std::pin::pin!(future);
    std::future::poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}
