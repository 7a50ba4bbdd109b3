//! Relays as an operator runs them, behind a load balancer, and clients at addresses of their own.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;

use jackfield_relay::{Relay, RelayConfig, RelayStream};
use jackfield_socket::{
    ByteStream as _, Endpoint, Error, Io, Result, StreamInfo, TcpConnect, TcpOptions,
};
use jackfield_testing::command_line;
use jackfield_testing::process::Process;
use jackfield_tls::TlsConnector;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::OnceCell;
use tokio::task::JoinHandle;

use crate::LONG;

/// The configuration of HAProxy that users have.
pub const HAPROXY: &str = include_str!("../../../relayd/packaging/haproxy.cfg");
/// That of nginx.
pub const NGINX: &str = include_str!("../../../relayd/packaging/nginx.conf");
/// The token that relays here know.
pub const TOKEN: &str = "a-token-of-these-tests";

/// The program, which is built once.
static BUILT: OnceCell<PathBuf> = OnceCell::const_new();

/// Replaces what is there.
///
/// # Panics
/// Where it isn't.
pub fn replaced(text: &str, changes: &[(&str, &str)]) -> String {
    changes.iter().fold(text.to_owned(), |text, (old, new)| {
        assert!(text.contains(old), "no {old}");
        text.replace(old, new)
    })
}

/// A balancer's configuration at an address of its own, before these relays.
pub fn before(config: &str, front: SocketAddr, relays: &[Relayd; 2]) -> String {
    let [one, two] = relays.each_ref().map(|relay| relay.address().to_string());
    replaced(
        config,
        &[
            (":443 ssl", &format!("{front} ssl")),
            (" 192.0.2.10:8443", &format!(" {one}")),
            (" 192.0.2.11:8443", &format!(" {two}")),
        ],
    )
}

/// A relay in a process of its own, which trusts 127.0.0.1 to speak for others.
#[derive(Debug)]
pub struct Relayd {
    process: Process,
    address: SocketAddr,
    health: SocketAddr,
    folder: TempDir,
}

impl Relayd {
    /// Starts one that is told of clients in this way, with more lines in its configuration.
    pub async fn start(header: &str, more: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("relayd.toml");
        let config = format!(
            "listen = ['127.0.0.1:0']\nhealth = '127.0.0.1:0'\nhosts = ['127.0.0.1']\n\
             allow_without_origin = true\n{more}\n\
             [proxies]\ntrusted = ['127.0.0.1']\nheader = '{header}'\n\
             [records]\nfile = '-'\n\
             [[token]]\nname = 'tests'\nsecret = '{TOKEN}'\nallow = ['127.0.0.1/32:*']\n"
        );
        fs::write(&file, config).expect("written");
        let (process, [address, health]) = run(&file).await;
        Self {
            process,
            address,
            health,
            folder,
        }
    }

    /// Starts it again, at the same addresses, when it has ended.
    ///
    /// # Panics
    /// Where it can't have them.
    pub async fn start_again(&mut self) {
        let file = self.folder.path().join("relayd.toml");
        let config = fs::read_to_string(&file).expect("it is there");
        let config = config
            .replacen(
                "listen = ['127.0.0.1:0']",
                &format!("listen = ['{}']", self.address),
                1,
            )
            .replacen(
                "health = '127.0.0.1:0'",
                &format!("health = '{}'", self.health),
                1,
            );
        fs::write(&file, config).expect("written");
        self.process = run(&file).await.0;
    }

    /// What the program answers to `ctl` with these arguments, when it asks at `[admin] socket = 'admin.sock'`.
    ///
    /// # Panics
    /// Where that isn't good.
    pub async fn ctl(&self, arguments: &[&str]) -> String {
        let mut command = tokio::process::Command::new(program().await);
        let socket = self.folder.path().join("admin.sock");
        command.arg("ctl").arg("--socket").arg(socket);
        let done = command.args(arguments).output().await.expect("it runs");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        assert!(done.status.success(), "{}", text(done.stderr));
        text(done.stdout)
    }

    /// Where it takes clients.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it answers for its health alone.
    pub fn health(&self) -> SocketAddr {
        self.health
    }

    /// The process, whose output are the log and the records.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Waits for a line of its log with this text, and returns it.
    ///
    /// # Panics
    /// Where there is none.
    pub async fn says(&self, text: &str) -> String {
        let line = self.process.wait_for_line(text, LONG).await;
        line.expect("it says so")
    }

    /// Waits until it has recorded an opening for a client with this address.
    pub async fn served(&self, peer: Ipv4Addr) {
        let recorded = self.process.wait_for_line(&of(peer), LONG).await;
        recorded.expect("a record");
    }

    /// Whether it has.
    pub fn has_served(&self, peer: Ipv4Addr) -> bool {
        self.process.output().contains(&of(peer))
    }
}

/// Runs one with this configuration, until it takes clients; where it does, and answers for its health.
async fn run(file: &Path) -> (Process, [SocketAddr; 2]) {
    let mut command = Command::new(program().await);
    command.arg("--config").arg(file);
    let process = Process::start(command).expect("it starts");
    let [address, health] = [" listening ", " answering for health "].map(async |text| {
        let line = process.wait_for_line(text, LONG).await.expect("ready");
        let word = line.split_once("address=").expect("an address").1;
        let word = word.split_ascii_whitespace().next().unwrap_or(word);
        word.parse().expect("an address")
    });
    let at = [address.await, health.await];
    (process, at)
}

/// Where the program is.
async fn program() -> &'static Path {
    let built = BUILT.get_or_try_init(command_line::relayd).await;
    built.expect("it builds")
}

/// What stands in the records of a client with this address.
fn of(peer: Ipv4Addr) -> String {
    format!("\"peer\":\"{peer}:")
}

/// A network whose streams come from one address.
#[derive(Clone, Copy, Debug)]
pub struct From(pub Ipv4Addr);

impl TcpConnect for From {
    type Stream = Io<TcpStream>;

    async fn connect(&self, to: &Endpoint, _options: &TcpOptions) -> Result<Self::Stream> {
        let to: SocketAddr = to.to_string().parse().expect("an address");
        let socket = TcpSocket::new_v4().map_err(Error::from)?;
        socket.bind((self.0, 0).into()).map_err(Error::from)?;
        let stream = socket.connect(to).await.map_err(Error::from)?;
        let info = StreamInfo::new(stream.local_addr().ok(), stream.peer_addr().ok());
        Ok(Io::new(stream).with_info(info))
    }
}

/// A client of the relays, in a session of its own.
#[derive(Debug)]
pub struct Client {
    relay: Relay,
    moving: JoinHandle<()>,
}

impl Client {
    /// A client at this address, of whatever speaks TLS at the other.
    pub fn new(from: Ipv4Addr, front: SocketAddr, tls: TlsConnector) -> Self {
        Self::through(from, front, tls, TOKEN)
    }

    /// The same, with this token.
    pub fn through(from: Ipv4Addr, front: SocketAddr, tls: TlsConnector, token: &str) -> Self {
        let config = RelayConfig::new(&format!("wss://{front}/"))
            .and_then(|config| config.with_token(token))
            .expect("a configuration");
        Self::by(from, config.with_tls(tls))
    }

    /// A client at this address, straight at a relay, with this token.
    pub fn straight(from: Ipv4Addr, relay: &Relayd, token: &str) -> Self {
        let config = RelayConfig::new(&format!("ws://{}/", relay.address()))
            .and_then(|config| config.with_token(token))
            .expect("a configuration");
        Self::by(from, config)
    }

    fn by(from: Ipv4Addr, config: RelayConfig) -> Self {
        let (relay, connection) = Relay::over(From(from), config);
        let moving = tokio::spawn(async move {
            connection.await;
        });
        Self { relay, moving }
    }

    /// Comes in.
    ///
    /// # Errors
    /// Why it doesn't.
    pub async fn enter(&self) -> Result<()> {
        let ready = tokio::time::timeout(LONG, self.relay.ready());
        ready.await.expect("in time")
    }

    /// Opens a stream to a server that says everything again, and hears it say something.
    ///
    /// # Errors
    /// Why it doesn't.
    pub async fn open(&self, echo: SocketAddr) -> Result<RelayStream> {
        let mut stream = (self.relay)
            .connect(&echo.into(), &TcpOptions::default())
            .await?;
        stream.write_all(b"hello").await.map_err(Error::from)?;
        let mut said = [0; 5];
        stream.read_exact(&mut said).await.map_err(Error::from)?;
        assert_eq!(&said, b"hello");
        assert!(stream.info().peer.is_some());
        Ok(stream)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.moving.abort();
    }
}

/// A server that says everything again, until the tests end.
pub async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = stream.split();
                let _ = tokio::io::copy(&mut read, &mut write).await;
            });
        }
    });
    address
}
