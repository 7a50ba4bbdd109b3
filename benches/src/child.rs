//! Roles that this binary plays as a child process, so that what they use isn't counted as the
//! client's: the servers at the far end, and a plain TCP proxy as the yardstick.

use std::io::Write as _;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

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
}

/// Starts the target servers.
pub(crate) fn targets() -> Result<Targets> {
    let (process, ports) = start("role-targets", &[])?;
    let [echo, source, sink] = ports[..] else {
        bail!("the target servers named {} ports", ports.len());
    };
    Ok(Targets {
        _process: process,
        echo,
        source,
        sink,
    })
}

/// Starts a plain TCP proxy to this port.
pub(crate) fn proxy(target: u16) -> Result<(Running, u16)> {
    let (process, ports) = start("role-proxy", &[target.to_string()])?;
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
                announce(&[&echo, &source, &sink])?;
                tokio::spawn(accept(echo, serve_echo));
                tokio::spawn(accept(source, serve_source));
                accept(sink, serve_sink).await
            }
            "role-proxy" => {
                let target: u16 = std::env::args().nth(2).context("no target")?.parse()?;
                let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
                announce(&[&listener])?;
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

fn announce(listeners: &[&TcpListener]) -> Result<()> {
    let mut out = std::io::stdout().lock();
    for listener in listeners {
        write!(out, "{} ", listener.local_addr()?.port())?;
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

async fn serve_source(mut stream: TcpStream) -> Result<()> {
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
