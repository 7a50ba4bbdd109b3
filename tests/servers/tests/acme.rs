//! A relay that has Pebble issue its certificate.

use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use jackfield_native::Native;
use jackfield_relay::{Relay, RelayConfig, RelayStream};
use jackfield_relayd::token::{ClientCa, Credential, Secret};
use jackfield_relayd::{AcmeConfig, Config, Relayd, Token};
use jackfield_server_tests::balanced::{TOKEN, echo};
use jackfield_server_tests::{LONG, NAMES};
use jackfield_socket::{Result, TcpConnect as _, TcpOptions};
use jackfield_testing::certs::Authority;
use jackfield_testing::pebble::{self, Pebble};
use jackfield_testing::unpacked::is_skipped;
use jackfield_tls::{Certificates, TlsConfig, TlsConnector};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// How often the relay is asked how far it is.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Nothing is renewed meanwhile.
const YEARS: Duration = Duration::from_hours(5 * 365 * 24);
/// As short as leaves time for what happens when a third is left, on a machine that has other things to do.
const SHORT: Duration = Duration::from_secs(18);

/// How Pebble names the account elsewhere, and its key.
const ELSEWHERE: (&str, &str) = (
    "kid-1",
    "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W",
);

/// A port for relays, an authority that looks there, and where relays keep what it issues.
struct Stage {
    port: TcpListener,
    pebble: Pebble,
    /// Who vouches for the authority's own server.
    authority: Authority,
    folder: TempDir,
    /// Where the authority may write.
    email: Option<&'static str>,
    /// Whether relays say to which account theirs is bound.
    bound: bool,
}

impl Stage {
    async fn new(good_for: Duration) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").expect("a port");
        let at = port.local_addr().expect("bound").port();
        let authority = Authority::new();
        let pebble = Pebble::start(&authority.server(&NAMES), at, good_for).await;
        Self {
            port,
            pebble: pebble.expect("it starts"),
            authority,
            folder: tempfile::tempdir().expect("a folder"),
            email: None,
            bound: false,
        }
    }

    /// A relay at the port.
    async fn relay(&self) -> Running {
        let roots = Some(self.authority.pem());
        let directory = self.pebble.directory();
        let acme = AcmeConfig::new(&directory, roots, &["localhost"], self.folder.path());
        let mut token = Token::new(
            "tests",
            Credential::Secret(Secret::new(TOKEN).expect("long enough")),
        );
        token.policy.allow = vec!["127.0.0.1/32:*".parse().expect("a rule")];
        // Clients are asked for certificates, and the authority isn't.
        let devices = ClientCa::from_pem(Authority::new().pem(), None).expect("an authority");
        let devices = Token::new("devices", Credential::Certificates(devices));
        let mut config = Config::default();
        config.listen = vec![self.port.local_addr().expect("bound")];
        config.hosts = vec!["localhost".parse().expect("a host")];
        config.allow_without_origin = true;
        config.tokens = vec![token, devices];
        let mut acme = acme.expect("a configuration");
        if let Some(email) = self.email {
            acme = acme.with_email(email).expect("an address");
        }
        if self.bound {
            let (id, key) = ELSEWHERE;
            acme = acme.with_external_account(id, key).expect("a key");
        }
        config.tls = Some(acme.into());
        let any: SocketAddr = "127.0.0.1:0".parse().expect("an address");
        (config.health, config.metrics) = (Some(any), Some(any));
        let port = self.port.try_clone().expect("the same port");
        port.set_nonblocking(true).expect("as tokio has it");
        let relay = Relayd::bind_with(config, vec![port]).await;
        let relay = relay.expect("it starts");
        Running {
            health: relay.health_addr().expect("configured"),
            metrics: relay.metrics_addr().expect("configured"),
            task: tokio::spawn(relay.run(std::future::pending())),
        }
    }

    /// Opens a stream to this server, as a client that trusts this root; with what holds the session.
    async fn open(&self, root: &str, echo: SocketAddr) -> Result<(RelayStream, JoinHandle<()>)> {
        let roots = Certificates::from_pem(root.as_bytes()).expect("a root");
        let tls = TlsConnector::new(TlsConfig::new().with_roots(roots)).expect("a configuration");
        let port = self.port.local_addr().expect("bound").port();
        let config = RelayConfig::new(&format!("wss://localhost:{port}/"))
            .and_then(|config| config.with_token(TOKEN))
            .expect("a configuration")
            .with_tls(tls);
        let (relay, connection) = Relay::over(Native, config);
        let moving = tokio::spawn(async move {
            connection.await;
        });
        let options = TcpOptions::default();
        let stream = timeout(LONG, relay.connect(&echo.into(), &options)).await;
        let mut stream = stream.expect("in time")?;
        says_again(&mut stream).await;
        Ok((stream, moving))
    }

    /// The file of this name in the folder of the directory.
    fn kept(&self, name: &str) -> std::path::PathBuf {
        let mut folders = self.folder.path().read_dir().expect("a folder");
        let only = folders.next().expect("one of the directory").expect("it");
        assert!(folders.next().is_none());
        only.path().join(name)
    }
}

async fn says_again(stream: &mut RelayStream) {
    stream.write_all(b"hello").await.expect("it stands");
    let mut said = [0; 5];
    stream.read_exact(&mut said).await.expect("it stands");
    assert_eq!(&said, b"hello");
}

/// A relay, until it is dropped.
struct Running {
    health: SocketAddr,
    metrics: SocketAddr,
    task: JoinHandle<()>,
}

impl Running {
    /// Waits until clients can come.
    async fn ready(&self) {
        self.says("200 OK").await;
    }

    /// Waits until this stands in what it says of its readiness.
    async fn says(&self, text: &str) {
        let asking = async {
            while !get(self.health, "/readyz").await.contains(text) {
                sleep(LOOK_EVERY).await;
            }
        };
        timeout(LONG, asking).await.expect(text);
    }

    /// How many certificates were issued since it started, and how many were asked for in vain.
    async fn orders(&self) -> (u64, u64) {
        let text = get(self.metrics, "/metrics").await;
        let count = |result: &str| {
            let name = format!("jackfield_certificate_orders_total{{result=\"{result}\"}} ");
            let rest = text.split_once(&name).expect("it is counted").1;
            let count = rest.lines().next().and_then(|count| count.parse().ok());
            count.expect("a number")
        };
        (count("issued"), count("failed"))
    }

    /// Waits until so many were issued, and failed.
    async fn reaches(&self, issued: u64, failed: u64) {
        let asking = async {
            let mut orders = self.orders().await;
            while orders.0 < issued || orders.1 < failed {
                sleep(LOOK_EVERY).await;
                orders = self.orders().await;
            }
            assert_eq!(orders, (issued, failed));
        };
        timeout(LONG + SHORT, asking).await.expect("in time");
    }

    async fn end(mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn get(at: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(at).await.expect("it listens");
    let request = format!("GET {path} HTTP/1.1\r\nHost: relay\r\n\r\n");
    let sent = stream.write_all(request.as_bytes()).await;
    sent.expect("sent");
    let mut answer = String::new();
    let read = timeout(LONG, stream.read_to_string(&mut answer)).await;
    read.expect("in time").expect("an answer");
    answer
}

fn mode(path: &Path) -> u32 {
    let known = path.metadata().expect("it is there");
    known.permissions().mode() & 0o777
}

#[tokio::test]
async fn a_certificate_is_had_from_an_authority_once() {
    if is_skipped(pebble::NAME) {
        return;
    }
    let mut stage = Stage::new(YEARS).await;
    let echo = echo().await;
    let relay = stage.relay().await;
    relay.ready().await;
    assert_eq!(relay.orders().await, (1, 0));
    let metrics = get(relay.metrics, "/metrics").await;
    for line in [
        "jackfield_certificate_not_after_seconds ",
        "jackfield_handshakes_total{result=\"challenge\"} ",
    ] {
        assert!(metrics.contains(line), "{metrics}");
    }
    let root = stage.pebble.root().expect("a root");
    stage.open(&root, echo).await.expect("trusted");
    let other = Authority::new();
    let error = stage.open(other.pem(), echo).await;
    error.expect_err("it is of this authority");
    for name in ["account.json", "certificate.pem"] {
        assert_eq!(mode(&stage.kept(name)), 0o600, "{name}");
    }
    relay.end().await;

    // The next one has it at once, and asks nobody.
    stage.pebble.stop();
    let relay = stage.relay().await;
    let ready = get(relay.health, "/readyz").await;
    assert!(ready.contains("200 OK"), "{ready}");
    stage.open(&root, echo).await.expect("trusted");
    assert_eq!(relay.orders().await, (0, 0));
    relay.end().await;

    // An account that the authority has forgotten is made anew; so is a certificate that can't be read.
    stage.pebble.start_again().await.expect("it starts");
    let account = std::fs::read_to_string(stage.kept("account.json")).expect("kept");
    std::fs::write(stage.kept("certificate.pem"), "no PEM").expect("written");
    let relay = stage.relay().await;
    relay.ready().await;
    assert_eq!(relay.orders().await, (1, 0));
    let again = std::fs::read_to_string(stage.kept("account.json")).expect("kept");
    assert_ne!(account, again);
    let root = stage.pebble.root().expect("another root");
    stage.open(&root, echo).await.expect("trusted");
}

#[tokio::test]
async fn a_certificate_is_renewed_and_outlives_its_authority() {
    if is_skipped(pebble::NAME) {
        return;
    }
    let mut stage = Stage::new(SHORT).await;
    let echo = echo().await;
    let relay = stage.relay().await;
    relay.ready().await;
    let root = stage.pebble.root().expect("a root");
    let first = std::fs::read(stage.kept("certificate.pem")).expect("kept");
    let (mut stream, _session) = stage.open(&root, echo).await.expect("trusted");

    relay.reaches(2, 0).await;
    let second = std::fs::read(stage.kept("certificate.pem")).expect("kept");
    assert!(first != second, "another certificate, and another key");
    // Sessions don't notice.
    says_again(&mut stream).await;
    stage.open(&root, echo).await.expect("trusted");

    // While the authority is away, the relay goes on with what it has.
    stage.pebble.stop();
    relay.reaches(2, 1).await;
    says_again(&mut stream).await;
    stage.open(&root, echo).await.expect("its time is not over");
    relay.says("the certificate has ended").await;
    says_again(&mut stream).await;
}

#[tokio::test]
async fn an_authority_that_sees_another_server_issues_nothing() {
    if is_skipped(pebble::NAME) {
        return;
    }
    let mut stage = Stage::new(YEARS).await;
    // Whoever listens where the authority looks, it is not this relay.
    stage.port = TcpListener::bind("127.0.0.1:0").expect("another port");
    let relay = stage.relay().await;
    relay.reaches(0, 1).await;
    let ready = get(relay.health, "/readyz").await;
    assert!(
        ready.contains("503 ") && ready.contains("no certificate yet"),
        "{ready}"
    );
    assert!(!stage.kept("certificate.pem").exists());
}

#[tokio::test]
async fn an_account_is_bound_to_another_and_has_another_address() {
    if is_skipped(pebble::NAME) {
        return;
    }
    let mut stage = Stage::new(YEARS).await;
    stage
        .pebble
        .require_account(ELSEWHERE)
        .await
        .expect("it starts");
    let relay = stage.relay().await;
    relay.reaches(0, 1).await;
    relay.end().await;
    assert!(!stage.kept("account.json").exists());

    (stage.bound, stage.email) = (true, Some("ada@example.org"));
    let relay = stage.relay().await;
    relay.ready().await;
    relay.end().await;
    let account = std::fs::read_to_string(stage.kept("account.json")).expect("kept");
    for email in [Some("bob@example.org"), None] {
        stage.email = email;
        std::fs::remove_file(stage.kept("certificate.pem")).expect("kept");
        let relay = stage.relay().await;
        relay.ready().await;
        relay.end().await;
        // Written when the authority has taken it.
        let known = std::fs::read_to_string(stage.kept("email.txt")).expect("kept");
        assert_eq!(known, email.unwrap_or_default());
        let same = std::fs::read_to_string(stage.kept("account.json")).expect("kept");
        assert_eq!(account, same);
    }
}
