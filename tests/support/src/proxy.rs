//! A TCP proxy on loopback that records what passes, and can cut or stall it.

mod cut;

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use cut::Gauge;
pub use cut::{After, Cut, Way};

/// How many bytes of each direction of a connection are kept; the rest passes and is counted.
const MAX_RECORDED: usize = 16 * 1024 * 1024;
const BUFFER: usize = 16 * 1024;
/// How long one side of a connection that was cut may take to end its own.
const LINGER: Duration = Duration::from_secs(2);

/// A proxy between clients and one server.
///
/// ```no_run
/// # async fn example(server: std::net::SocketAddr) -> std::io::Result<()> {
/// use jackfield_testing::proxy::Proxy;
///
/// let proxy = Proxy::start(server).await?;
/// // … connect to proxy.address() …
/// for connection in proxy.recordings() {
///     println!("{} bytes to the server", connection.to_server.count);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

/// What passed through one connection, so far.
#[derive(Clone, Debug, Default)]
pub struct Recording {
    /// From the client to the server.
    pub to_server: Direction,
    /// From the server to the client.
    pub to_client: Direction,
}

/// What passed in one direction.
#[derive(Clone, Debug, Default)]
pub struct Direction {
    /// The bytes, up to 16 MiB of them.
    pub bytes: Vec<u8>,
    /// How many there were, recorded or not.
    pub count: u64,
}

struct Shared {
    target: SocketAddr,
    control: watch::Sender<Control>,
    recordings: Mutex<Vec<Recording>>,
    plan: Mutex<Plan>,
    cuts: AtomicUsize,
    /// How many connections are open.
    open: watch::Sender<usize>,
}

/// Says of each connection, by its number, where it is cut.
type Plan = Box<dyn FnMut(usize) -> Option<Cut> + Send>;

/// What all connections are to do now.
#[derive(Clone, Debug, Default)]
struct Control {
    /// Connections of an earlier generation are cut.
    generation: u64,
    refuse: bool,
    stall: bool,
    /// After how many bytes to the server, and to the client, a connection is cut.
    cut_after: [Option<u64>; 2],
}

const TO_SERVER: usize = Way::ToServer as usize;
const TO_CLIENT: usize = Way::ToClient as usize;

impl Proxy {
    /// A proxy to this server, on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// Those of listening.
    pub async fn start(target: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            target,
            control: watch::Sender::default(),
            recordings: Mutex::default(),
            plan: Mutex::new(Box::new(|_| None)),
            cuts: AtomicUsize::new(0),
            open: watch::Sender::default(),
        });
        let task = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self {
            address,
            shared,
            task,
        })
    }

    /// Where clients connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What has passed, one a connection, in the order of their coming.
    pub fn recordings(&self) -> Vec<Recording> {
        self.shared.recordings().clone()
    }

    /// How many connections have come.
    pub fn connections(&self) -> usize {
        self.shared.recordings().len()
    }

    /// Waits until no connection is open: what a client says later reaches no server.
    pub async fn all_ended(&self) {
        let mut open = self.shared.open.subscribe();
        // Its sender lives as long as this.
        let _ = open.wait_for(|open| *open == 0).await;
    }

    /// Cuts every connection that is open now, with a reset on both sides.
    pub fn cut(&self) {
        self.control(|control| control.generation += 1);
    }

    /// Cuts each connection once it has carried this many bytes to the server.
    pub fn cut_after_to_server(&self, bytes: Option<u64>) {
        self.control(|control| control.cut_after[TO_SERVER] = bytes);
    }

    /// Cuts each connection once it has carried this many bytes to the client.
    pub fn cut_after_to_client(&self, bytes: Option<u64>) {
        self.control(|control| control.cut_after[TO_CLIENT] = bytes);
    }

    /// Cuts each new connection where this function says; it is given the connection's number, from
    /// 0. What passed before the cut arrives, followed by the stream's end; the side that sent it
    /// sees a reset. So the one has handled something of which the other knows nothing.
    pub fn cut_by(&self, plan: impl FnMut(usize) -> Option<Cut> + Send + 'static) {
        *lock(&self.shared.plan) = Box::new(plan);
    }

    /// How many connections were cut so.
    pub fn cuts(&self) -> usize {
        self.shared.cuts.load(Ordering::Relaxed)
    }

    /// Lets nothing pass in either direction, or lets it go on. What is in the proxy's hands
    /// already, at most 16 KiB a direction, may still pass.
    pub fn stall(&self, stall: bool) {
        self.control(|control| control.stall = stall);
    }

    /// Resets new connections at once, or takes them again.
    pub fn refuse(&self, refuse: bool) {
        self.control(|control| control.refuse = refuse);
    }

    fn control(&self, change: impl FnOnce(&mut Control)) {
        self.shared.control.send_modify(change);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
        self.cut();
    }
}

impl Direction {
    /// Whether every byte that passed was recorded.
    pub fn is_whole(&self) -> bool {
        self.bytes.len() as u64 == self.count
    }

    fn record(&mut self, bytes: &[u8]) {
        let room = MAX_RECORDED.saturating_sub(self.bytes.len());
        self.bytes
            .extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.count += bytes.len() as u64;
    }
}

impl Shared {
    fn recordings(&self) -> MutexGuard<'_, Vec<Recording>> {
        lock(&self.recordings)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("target", &self.target)
            .field("cuts", &self.cuts)
            .finish_non_exhaustive()
    }
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        if shared.control.borrow().refuse {
            reset(&client);
            continue;
        }
        let number = {
            let mut recordings = shared.recordings();
            recordings.push(Recording::default());
            recordings.len() - 1
        };
        let shared = Arc::clone(&shared);
        shared.open.send_modify(|open| *open += 1);
        tokio::spawn(async move {
            carry(client, number, &shared).await;
            shared.open.send_modify(|open| *open -= 1);
        });
    }
}

/// Carries one connection until both sides have ended it, one has failed, or it is cut.
async fn carry(mut client: TcpStream, number: usize, shared: &Shared) {
    let mut control = shared.control.subscribe();
    let generation = control.borrow_and_update().generation;
    let Ok(mut server) = TcpStream::connect(shared.target).await else {
        reset(&client);
        return;
    };
    let _ = client.set_nodelay(true);
    let _ = server.set_nodelay(true);
    let plan = (lock(&shared.plan))(number);
    let [mut to_server_gauge, mut to_client_gauge] =
        [Way::ToServer, Way::ToClient].map(|way| Gauge::new(plan.as_ref(), way));

    let result = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let cut = async {
            let cut = control.wait_for(|control| control.generation != generation);
            let _ = cut.await;
        };
        tokio::select! {
            () = cut => Err(io::ErrorKind::ConnectionReset.into()),
            result = async {
                tokio::try_join!(
                    pump(from_client, to_server, &mut to_server_gauge, number, shared),
                    pump(from_server, to_client, &mut to_client_gauge, number, shared),
                )
            } => result,
        }
    };
    if result.is_ok() {
        return;
    }
    // Whoever received up to a planned cut reads all of it before the stream's end: a reset could
    // overtake it, so that side ends the connection itself.
    let (sender, mut receiver) = match (to_server_gauge.is_full(), to_client_gauge.is_full()) {
        (true, _) => (client, server),
        (_, true) => (server, client),
        _ => {
            reset(&client);
            reset(&server);
            return;
        }
    };
    shared.cuts.fetch_add(1, Ordering::Relaxed);
    reset(&sender);
    drop(sender);
    if receiver.shutdown().await.is_ok() {
        let mut nowhere = tokio::io::sink();
        let _ = timeout(LINGER, tokio::io::copy(&mut receiver, &mut nowhere)).await;
    }
}

async fn pump(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    gauge: &mut Gauge,
    number: usize,
    shared: &Shared,
) -> io::Result<()> {
    let direction = gauge.way() as usize;
    let mut control = shared.control.subscribe();
    let mut buffer = vec![0; BUFFER];
    let mut passed = 0_u64;
    loop {
        let limit = match control.wait_for(|control| !control.stall).await {
            Ok(control) => control.cut_after[direction],
            Err(_) => return Err(io::ErrorKind::ConnectionReset.into()),
        };
        let room = limit.map_or(BUFFER, |limit| {
            limit.saturating_sub(passed).min(BUFFER as u64) as usize
        });
        if room == 0 {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        let count = tokio::select! {
            // A stall or a limit that comes while nothing arrives holds for what arrives next.
            _ = control.changed() => continue,
            read = from.read(&mut buffer[..room]) => read?,
        };
        let bytes = &buffer[..gauge.pass(&buffer[..count])];
        if count == 0 {
            return to.shutdown().await;
        }
        {
            let mut recordings = shared.recordings();
            let recording = &mut recordings[number];
            match direction {
                TO_SERVER => recording.to_server.record(bytes),
                _ => recording.to_client.record(bytes),
            }
        }
        passed += bytes.len() as u64;
        to.write_all(bytes).await?;
        if gauge.is_full() {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
    }
}

/// Makes the coming close of a stream a reset.
fn reset(stream: &TcpStream) {
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that sends everything back, and a proxy in front of it.
    async fn echo() -> Proxy {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a port");
        let address = listener.local_addr().expect("its address");
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut read, mut write) = stream.split();
                    let _ = tokio::io::copy(&mut read, &mut write).await;
                    let _ = write.shutdown().await;
                });
            }
        });
        Proxy::start(address).await.expect("a proxy")
    }

    async fn connect(proxy: &Proxy) -> TcpStream {
        TcpStream::connect(proxy.address()).await.expect("a stream")
    }

    #[tokio::test]
    async fn both_directions_pass_and_are_recorded() {
        let proxy = echo().await;
        let mut stream = connect(&proxy).await;
        stream.write_all(b"hello").await.expect("sent");
        stream.shutdown().await.expect("ended");
        let mut back = Vec::new();
        stream.read_to_end(&mut back).await.expect("an end");
        assert_eq!(back, b"hello");
        let recording = proxy.recordings().remove(0);
        assert_eq!(recording.to_server.bytes, b"hello");
        assert_eq!(recording.to_client.bytes, b"hello");
        assert!(recording.to_client.is_whole());
    }

    #[tokio::test]
    async fn a_cut_is_a_reset_at_the_chosen_byte() {
        let proxy = echo().await;
        proxy.cut_after_to_client(Some(3));
        let mut stream = connect(&proxy).await;
        stream.write_all(b"hello").await.expect("sent");
        let mut back = Vec::new();
        let error = stream.read_to_end(&mut back).await.expect_err("a reset");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        assert_eq!(proxy.recordings()[0].to_client.bytes, b"hel");

        proxy.cut_after_to_client(None);
        let mut stream = connect(&proxy).await;
        stream.write_all(b"x").await.expect("sent");
        assert_eq!(stream.read_u8().await.expect("echoed"), b'x');
        proxy.cut();
        stream.read_u8().await.expect_err("a reset");
        assert_eq!(proxy.connections(), 2);

        proxy.refuse(true);
        let mut stream = connect(&proxy).await;
        stream.read_u8().await.expect_err("a reset");
        assert_eq!(proxy.connections(), 2);
    }

    #[tokio::test]
    async fn what_passed_before_a_planned_cut_arrives() {
        let proxy = echo().await;
        proxy.cut_by(|number| {
            (number == 0).then_some(Cut {
                way: Way::ToClient,
                after: After::Bytes(3),
            })
        });
        let mut stream = connect(&proxy).await;
        stream.write_all(b"hello").await.expect("sent");
        let mut back = Vec::new();
        stream.read_to_end(&mut back).await.expect("an end");
        assert_eq!((back.as_slice(), proxy.cuts()), (&b"hel"[..], 1));

        let mut stream = connect(&proxy).await;
        stream.write_all(b"hello").await.expect("sent");
        stream.shutdown().await.expect("ended");
        back.clear();
        stream.read_to_end(&mut back).await.expect("an end");
        assert_eq!((back.as_slice(), proxy.cuts()), (&b"hello"[..], 1));
    }

    #[tokio::test]
    async fn a_stall_holds_everything_back() {
        let proxy = echo().await;
        let mut stream = connect(&proxy).await;
        stream.write_all(b"a").await.expect("sent");
        assert_eq!(stream.read_u8().await.expect("echoed"), b'a');
        proxy.stall(true);
        stream.write_all(b"b").await.expect("sent");
        let mut other = connect(&proxy).await;
        other.write_all(b"c").await.expect("sent");
        // Everything ready has run when the runtime has nothing left to do but wait.
        tokio::task::yield_now().await;
        assert_eq!(proxy.recordings()[0].to_server.bytes, b"a");
        proxy.stall(false);
        assert_eq!(stream.read_u8().await.expect("echoed"), b'b');
        assert_eq!(other.read_u8().await.expect("echoed"), b'c');
    }
}
