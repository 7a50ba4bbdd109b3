//! Roles that this binary plays as a child process, so that what they use isn't counted as the
//! client's: the servers at the far end, and a plain TCP proxy as the yardstick.

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use jackfield_testing::certs::Certificate;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring::{cipher_suite, default_provider};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::version::TLS13;
use tokio_rustls::rustls::{ServerConfig, SupportedCipherSuite};

/// What the target servers send or take at a time.
const CHUNK: usize = 64 * 1024;

/// A child process that ends with this value.
pub(crate) struct Running(Child);

impl Running {
    pub(crate) fn new(child: Child) -> Self {
        Self(child)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Where it leads a group of processes, those that it started end with it.
        if let Some(group) = Pid::from_raw(self.0.id().cast_signed()) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The servers at the far end.
pub(crate) struct Targets {
    _process: Running,
    /// Sends back what it gets.
    pub(crate) echo: u16,
    /// Sends without end.
    pub(crate) source: u16,
    /// Takes without end; says after each MiB that it did, a byte each.
    pub(crate) sink: u16,
    /// Sends datagrams back.
    pub(crate) datagrams: u16,
}

impl Targets {
    /// Those of TCP.
    pub(crate) fn ports(&self) -> [u16; 3] {
        [self.echo, self.source, self.sink]
    }
}

/// Starts the target servers.
pub(crate) fn targets() -> Result<Targets> {
    let (process, ports) = start("role-targets", &[])?;
    let [echo, source, sink, datagrams] = ports[..] else {
        bail!("the target servers named {} ports", ports.len());
    };
    Ok(Targets {
        _process: process,
        echo,
        source,
        sink,
        datagrams,
    })
}

/// Servers that send without end over TLS 1.3, each with one cipher suite.
pub(crate) struct TlsSources {
    _process: Running,
    /// With ChaCha20-Poly1305.
    pub(crate) chacha20: u16,
    /// With AES-256-GCM.
    pub(crate) aes256: u16,
}

/// Starts the servers that speak TLS, with this certificate.
pub(crate) fn tls_sources(certificate: &Certificate) -> Result<TlsSources> {
    let [chain, key] = [certificate.pem(), certificate.key_pem()].map(str::to_owned);
    let (process, ports) = start("role-tls-sources", &[chain, key])?;
    let [chacha20, aes256] = ports[..] else {
        bail!("the servers with TLS named {} ports", ports.len());
    };
    Ok(TlsSources {
        _process: process,
        chacha20,
        aes256,
    })
}

/// Starts a plain TCP proxy to this port.
pub(crate) fn proxy(target: u16) -> Result<(Running, u16)> {
    let (process, ports) = start("role-proxy", &[target.to_string()])?;
    Ok((process, *ports.first().context("the proxy named no port")?))
}

/// Starts a plain forwarder of datagrams to this port.
pub(crate) fn udp_proxy(target: u16) -> Result<(Running, u16)> {
    let (process, ports) = start("role-udp-proxy", &[target.to_string()])?;
    let port = ports.first().context("the forwarder named no port")?;
    Ok((process, *port))
}

/// Starts a proxy that speaks TLS to its clients with this certificate, and plain TCP to this port.
pub(crate) fn tls_proxy(certificate: &Certificate, target: u16) -> Result<(Running, u16)> {
    let [chain, key] = [certificate.pem(), certificate.key_pem()].map(str::to_owned);
    let (process, ports) = start("role-tls-proxy", &[chain, key, target.to_string()])?;
    Ok((process, *ports.first().context("the proxy named no port")?))
}

/// Starts this binary in a role; it prints its ports in a line.
fn start(role: &str, arguments: &[String]) -> Result<(Running, Vec<u16>)> {
    use std::io::BufRead as _;
    let mut child = Command::new(std::env::current_exe()?)
        .arg(role)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let stdout = child.stdout.take().context("no standard output")?;
    let process = Running::new(child);
    let mut line = String::new();
    std::io::BufReader::new(stdout).read_line(&mut line)?;
    let ports = line
        .split_whitespace()
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    Ok((process, ports))
}

/// Plays a role, for as long as the process lives.
pub(crate) fn run(role: &str) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        match role {
            "role-targets" => {
                let echo = TcpListener::bind(("127.0.0.1", 0)).await?;
                let source = TcpListener::bind(("127.0.0.1", 0)).await?;
                let sink = TcpListener::bind(("127.0.0.1", 0)).await?;
                let datagrams = UdpSocket::bind(("127.0.0.1", 0)).await?;
                announce(&[
                    echo.local_addr()?,
                    source.local_addr()?,
                    sink.local_addr()?,
                    datagrams.local_addr()?,
                ])?;
                tokio::spawn(serve_datagrams(datagrams));
                tokio::spawn(accept(echo, serve_echo));
                tokio::spawn(accept(source, serve_source));
                accept(sink, serve_sink).await
            }
            "role-tls-sources" => {
                let chacha20 = TcpListener::bind(("127.0.0.1", 0)).await?;
                let aes256 = TcpListener::bind(("127.0.0.1", 0)).await?;
                announce(&[chacha20.local_addr()?, aes256.local_addr()?])?;
                let serve = |listener, suite| {
                    let acceptor = acceptor(Some(suite))?;
                    anyhow::Ok(accept(listener, move |stream| {
                        let acceptor = acceptor.clone();
                        async move { serve_source(acceptor.accept(stream).await?).await }
                    }))
                };
                let aes256 = serve(aes256, cipher_suite::TLS13_AES_256_GCM_SHA384)?;
                tokio::spawn(aes256);
                serve(chacha20, cipher_suite::TLS13_CHACHA20_POLY1305_SHA256)?.await
            }
            "role-tls-proxy" => {
                let target: u16 = std::env::args().nth(4).context("no target")?.parse()?;
                let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
                announce(&[listener.local_addr()?])?;
                let acceptor = acceptor(None)?;
                accept(listener, move |near| {
                    let acceptor = acceptor.clone();
                    async move {
                        let mut near = acceptor.accept(near).await?;
                        let mut far = TcpStream::connect(("127.0.0.1", target)).await?;
                        far.set_nodelay(true)?;
                        tokio::io::copy_bidirectional(&mut near, &mut far).await?;
                        Ok(())
                    }
                })
                .await
            }
            "role-udp-proxy" => {
                let target: u16 = std::env::args().nth(2).context("no target")?.parse()?;
                forward_datagrams(target).await
            }
            "role-proxy" => {
                let target: u16 = std::env::args().nth(2).context("no target")?.parse()?;
                let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
                announce(&[listener.local_addr()?])?;
                accept(listener, move |mut near| async move {
                    let mut far = TcpStream::connect(("127.0.0.1", target)).await?;
                    far.set_nodelay(true)?;
                    tokio::io::copy_bidirectional_with_sizes(&mut near, &mut far, CHUNK, CHUNK)
                        .await?;
                    Ok(())
                })
                .await
            }
            _ => bail!("no role is called {role}"),
        }
    })
}

fn announce(addresses: &[SocketAddr]) -> Result<()> {
    let mut out = std::io::stdout().lock();
    for address in addresses {
        write!(out, "{} ", address.port())?;
    }
    writeln!(out)?;
    Ok(out.flush()?)
}

async fn accept<F, R>(listener: TcpListener, serve: F) -> Result<()>
where
    F: Fn(TcpStream) -> R,
    R: Future<Output = Result<()>> + Send + 'static,
{
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        // A connection that is cut ends here; the client notices.
        tokio::spawn(serve(stream));
    }
}

async fn serve_echo(mut stream: TcpStream) -> Result<()> {
    let mut buffer = vec![0; CHUNK];
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..count]).await?;
    }
}

async fn serve_datagrams(socket: UdpSocket) -> Result<()> {
    let mut buffer = vec![0; CHUNK];
    loop {
        let (count, from) = socket.recv_from(&mut buffer).await?;
        // Where it doesn't fit, it is lost, which the client notices.
        let _ = socket.send_to(&buffer[..count], from).await;
    }
}

/// For one client at a time: whoever sent last.
async fn forward_datagrams(target: u16) -> Result<()> {
    let near = UdpSocket::bind(("127.0.0.1", 0)).await?;
    let far = UdpSocket::bind(("127.0.0.1", 0)).await?;
    far.connect(("127.0.0.1", target)).await?;
    announce(&[near.local_addr()?])?;
    let mut client = None;
    let (mut there, mut back) = (vec![0; CHUNK], vec![0; CHUNK]);
    loop {
        tokio::select! {
            got = near.recv_from(&mut there) => {
                let (count, from) = got?;
                client = Some(from);
                let _ = far.send(&there[..count]).await;
            }
            got = far.recv(&mut back) => {
                let count = got?;
                if let Some(client) = client {
                    let _ = near.send_to(&back[..count], client).await;
                }
            }
        }
    }
}

/// TLS 1.3, with this cipher suite alone where there is one; certificate and key are among the arguments.
fn acceptor(suite: Option<SupportedCipherSuite>) -> Result<TlsAcceptor> {
    let argument = |place| std::env::args().nth(place).context("no certificate");
    let [chain, key] = [argument(2)?, argument(3)?];
    let chain = CertificateDer::pem_slice_iter(chain.as_bytes()).collect::<Result<_, _>>()?;
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes())?;
    let mut provider = default_provider();
    if let Some(suite) = suite {
        provider.cipher_suites = vec![suite];
    }
    let config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&TLS13])?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

async fn serve_source(mut stream: impl AsyncWrite + Unpin) -> Result<()> {
    let chunk = vec![7; CHUNK];
    loop {
        stream.write_all(&chunk).await?;
    }
}

async fn serve_sink(mut stream: TcpStream) -> Result<()> {
    let mut buffer = vec![0; CHUNK];
    let (mut taken, mut told) = (0, 0);
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        taken += count;
        while told < taken >> 20 {
            stream.write_all(b".").await?;
            told += 1;
        }
    }
}
