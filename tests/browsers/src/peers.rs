//! Servers on this machine that a page speaks with.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jackfield_browser_suite::pattern::Pattern;
use jackfield_native::{Native, NativeListener, NativeStream};
use jackfield_socket::{ListenOptions, TcpListen as _, TcpListener as _};
use jackfield_testing::certs::{Authority, Certificate};
use jackfield_tls::{Identity, TlsAcceptor, TlsListener, TlsServerConfig, TlsStream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// How much is moved at once.
const PIECE: usize = 64 * 1024;

/// A server. Dropping it stops it.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    task: JoinHandle<()>,
}

/// What a [`sink`] saw of one connection.
#[derive(Debug)]
pub struct Taken {
    /// How many bytes came.
    pub bytes: u64,
    /// The first place where they were not the pattern.
    pub wrong: Option<u64>,
    /// Why it was cut; `None` where the client has ended it in order.
    pub error: Option<String>,
}

impl Server {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Listens at a free port, and serves each connection.
    ///
    /// # Panics
    /// Where there is no free port.
    pub async fn start<F: Future<Output = ()> + Send + 'static>(
        serve: impl Fn(TcpStream) -> F + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0))
            .await
            .expect("a free port");
        Self::serve(listener, serve)
    }

    fn serve<F: Future<Output = ()> + Send + 'static>(
        listener: TcpListener,
        serve: impl Fn(TcpStream) -> F + Send + 'static,
    ) -> Self {
        let address = listener.local_addr().expect("its address");
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                tokio::spawn(serve(stream));
            }
        });
        Self { address, task }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// How a [`sink`] reads.
#[derive(Clone, Copy, Debug)]
pub enum Reader {
    /// As fast as it can.
    Fast,
    /// It stops for 2 ms after each megabyte.
    Halting,
    /// 64 KiB each 50 ms, with little room to wait in before.
    Slow,
    /// Not at all for so long, with little room to wait in before; then as fast as it can.
    Late(Duration),
}

/// Takes the pattern, each connection to its end, and tells what it saw.
///
/// # Panics
/// Where there is no free port.
pub fn sink(reader: Reader) -> (Server, mpsc::UnboundedReceiver<Taken>) {
    let (sender, taken) = mpsc::unbounded_channel();
    let (burst, pause) = match reader {
        Reader::Fast | Reader::Late(_) => (u64::MAX, Duration::ZERO),
        Reader::Halting => (1_000_000, Duration::from_millis(2)),
        Reader::Slow => (PIECE as u64, Duration::from_millis(50)),
    };
    let late = match reader {
        Reader::Late(late) => late,
        _ => Duration::ZERO,
    };
    let socket = TcpSocket::new_v4().expect("a socket");
    if matches!(reader, Reader::Slow | Reader::Late(_)) {
        socket.set_recv_buffer_size(16 * 1024).expect("a small one");
    }
    let server = Server::serve(listen(socket), move |mut stream| {
        let sender = sender.clone();
        async move {
            tokio::time::sleep(late).await;
            let mut pattern = Pattern::new();
            let mut buffer = vec![0; PIECE];
            let mut next_pause = burst;
            let error = loop {
                match stream.read(&mut buffer).await {
                    Ok(0) => break None,
                    Ok(len) => pattern.check(&buffer[..len]),
                    Err(error) => break Some(error.to_string()),
                }
                if pattern.place() > next_pause {
                    next_pause = pattern.place() + burst;
                    tokio::time::sleep(pause).await;
                }
            };
            // The test may have seen enough.
            let _ = sender.send(Taken {
                bytes: pattern.place(),
                wrong: pattern.wrong(),
                error,
            });
        }
    });
    (server, taken)
}

/// Sends so much of the pattern in writes of this size, and ends.
pub async fn source(bytes: u64, piece: usize) -> Server {
    Server::start(move |mut stream| async move {
        let mut pattern = Pattern::new();
        while pattern.place() < bytes {
            let len = (piece as u64).min(bytes - pattern.place()) as usize;
            if stream.write_all(&pattern.take(len)).await.is_err() {
                return;
            }
        }
        end(stream).await;
    })
    .await
}

/// Sends so much of the pattern over TLS, and ends in order; gives the root to trust as well.
///
/// # Panics
/// Where there is no free port.
pub async fn secure_source(bytes: usize) -> (Server, String) {
    let authority = Authority::new();
    let certificate = authority.server(&["127.0.0.1"]);
    let serve = move |mut stream: Secure| async move {
        let data = Pattern::new().take(bytes);
        if stream.write_all(&data).await.is_ok() {
            let _ = stream.shutdown().await;
        }
    };
    (
        secure(&certificate, serve).await,
        authority.pem().to_owned(),
    )
}

/// A stream of TLS, as a server has it.
type Secure = TlsStream<NativeStream>;

/// Serves each connection over TLS, with this certificate.
async fn secure<F: Future<Output = ()> + Send + 'static>(
    certificate: &Certificate,
    serve: impl Fn(Secure) -> F + Send + 'static,
) -> Server {
    let listener = native().await;
    let address = listener.local_addr().expect("its address");
    let mut listener = TlsListener::new(listener, acceptor(certificate));
    let task = tokio::spawn(async move {
        // A handshake that fails is the client's to tell.
        loop {
            if let Ok(stream) = listener.accept().await {
                tokio::spawn(serve(stream));
            }
        }
    });
    Server { address, task }
}

/// Sends so much of the pattern and ends; counts what the system has taken. Its own buffer is small,
/// so that little waits in it.
///
/// # Panics
/// Where there is no free port.
pub fn flood(bytes: u64) -> (Server, Arc<AtomicU64>) {
    let sent = Arc::new(AtomicU64::new(0));
    let counter = sent.clone();
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_send_buffer_size(16 * 1024).expect("a small one");
    let server = Server::serve(listen(socket), move |mut stream| {
        let counter = counter.clone();
        async move {
            let mut pattern = Pattern::new();
            while pattern.place() < bytes {
                let len = (PIECE as u64).min(bytes - pattern.place()) as usize;
                let Ok(len) = stream.write(pattern.next(len)).await else {
                    return;
                };
                pattern.skip(len);
                counter.fetch_add(len as u64, Ordering::Relaxed);
            }
            end(stream).await;
        }
    });
    (server, sent)
}

async fn end(mut stream: TcpStream) {
    let _ = stream.shutdown().await;
    // What the client still sends must not reset what it hasn't read.
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
}

/// Listens at a free port of this machine.
fn listen(socket: TcpSocket) -> TcpListener {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    socket.bind(any).expect("a free port");
    socket.listen(64).expect("it can listen")
}

/// Sends everything back.
pub async fn echo() -> Server {
    Server::start(|mut stream| async move {
        let (mut reader, mut writer) = stream.split();
        let _ = tokio::io::copy(&mut reader, &mut writer).await;
    })
    .await
}

/// The same over TLS, with this certificate.
///
/// # Panics
/// Where there is no free port.
pub async fn secure_echo(certificate: &Certificate) -> Server {
    secure(certificate, |stream| async move {
        let (mut reader, mut writer) = tokio::io::split(stream);
        let _ = tokio::io::copy(&mut reader, &mut writer).await;
        // Dropped without it, the connection would be reset.
        let _ = writer.shutdown().await;
    })
    .await
}

/// Speaks as much of IMAP as lies before TLS, to one client after the other; then sends everything back.
///
/// # Panics
/// Where there is no free port.
pub async fn starttls(certificate: &Certificate) -> Server {
    let mut listener = native().await;
    let address = listener.local_addr().expect("its address");
    let acceptor = acceptor(certificate);
    let task = tokio::spawn(async move {
        while let Ok(mut stream) = listener.accept().await {
            let mut command = [0; "a STARTTLS\r\n".len()];
            let asked = async {
                stream.write_all(b"* OK hello\r\n").await?;
                stream.read_exact(&mut command).await?;
                stream.write_all(b"a OK begin\r\n").await
            };
            if asked.await.is_ok()
                && let Ok(stream) = acceptor.accept(stream).await
            {
                let (mut reader, mut writer) = tokio::io::split(stream);
                let _ = tokio::io::copy(&mut reader, &mut writer).await;
                let _ = writer.shutdown().await;
            }
        }
    });
    Server { address, task }
}

/// A listener at a free port, of the socket API.
async fn native() -> NativeListener {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let listener = Native.listen(any, &ListenOptions::default()).await;
    listener.expect("a free port")
}

fn acceptor(certificate: &Certificate) -> TlsAcceptor {
    let identity = Identity::from_pem(
        certificate.pem().as_bytes(),
        certificate.key_pem().as_bytes(),
    )
    .expect("a certificate");
    TlsAcceptor::new(TlsServerConfig::new(identity)).expect("a configuration")
}
