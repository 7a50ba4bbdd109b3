//! The page's side of the suite: it runs jobs.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use jackfield_conformance::{PeerAddresses, Target};
use jackfield_direct::Direct;
use jackfield_relay::{Relay, RelayConfig};
use jackfield_socket::{
    AnyNetwork, AnyStream, DatagramSocket as _, Error, ErrorKind, Result, TcpConnect as _,
    TcpOptions, UdpOpen as _, UdpOptions, time,
};
use jackfield_tls::{Certificates, Tls, TlsConfig, TlsConnector};
use jackfield_websocket::{WebSocketNetwork, WebSocketOptions};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen_futures::spawn_local;

use crate::job::{Job, Outcome, Over, Task};
use crate::pattern::Pattern;

/// How much is read at once.
const READ: usize = 64 * 1024;

/// How much the last job that sends has written so far, in bytes.
static SENT: AtomicU64 = AtomicU64::new(0);

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = console)]
    fn error(text: &str);
}

#[wasm_bindgen(start)]
fn start() {
    std::panic::set_hook(Box::new(|panic| error(&panic.to_string())));
}

/// Runs a job; both are JSON.
#[wasm_bindgen]
pub async fn run(job: String) -> String {
    let started = time::now();
    let mut outcome = Outcome::default();
    let result = match serde_json::from_str::<Job>(&job) {
        Ok(job) => perform(&job, &mut outcome).await,
        Err(error) => Err(Error::new(ErrorKind::InvalidInput, error.to_string())),
    };
    if let Err(error) = result {
        outcome.error = Some(format!("{error:?}"));
    }
    outcome.milliseconds = (time::now() - started).as_secs_f64() * 1000.0;
    serde_json::to_string(&outcome).unwrap_or_default()
}

/// How much the last job that sends has written so far, in bytes.
#[wasm_bindgen]
#[expect(clippy::cast_precision_loss, reason = "JavaScript's numbers")]
pub fn sent() -> f64 {
    SENT.load(Ordering::Relaxed) as f64
}

async fn perform(job: &Job, outcome: &mut Outcome) -> Result<()> {
    match job.task {
        Task::Case { ref name, tcp, udp } => {
            let mut target = Target::new(network(job)?, PeerAddresses::new(tcp, udp));
            target.name = Some("localhost".parse()?);
            target.capabilities.listen = Some(tcp.ip());
            target.capabilities.udp_bound = Some(tcp.ip());
            let capabilities = &mut target.capabilities;
            match job.over {
                Over::Direct => {
                    capabilities.half_close = false;
                    capabilities.may_truncate = true;
                    capabilities.empty_datagrams = false;
                    // Chromium keeps to itself what it is told.
                    capabilities.closed_ports = false;
                }
                Over::WebSocket(_) => {
                    capabilities.half_close = false;
                    // The browser says nothing of either, and takes no options.
                    capabilities.local_address = false;
                    capabilities.refused = ErrorKind::Unreachable;
                    capabilities.delay = false;
                    capabilities.keep_alive = false;
                    capabilities.buffer_sizes = false;
                    capabilities.family = false;
                }
                Over::Relay(..) => {}
            }
            jackfield_conformance::run(name, &target)
                .await
                .map_err(|failure| Error::new(ErrorKind::Other, failure.to_string()))
        }
        Task::Stall { from, stall } => {
            let stream = connect(job, from).await?;
            time::sleep(Duration::from_millis(stall)).await;
            drop(stream);
            Ok(())
        }
        Task::Send {
            to,
            bytes,
            chunk,
            pause,
        } => {
            let mut stream = connect(job, to).await?;
            let result = send(&mut stream, bytes, chunk, pause, &mut outcome.sent).await;
            result?;
            stream.shutdown().await?;
            Ok(())
        }
        Task::Receive { from, late } => {
            let mut stream = connect(job, from).await?;
            if late > 0 {
                time::sleep(Duration::from_millis(late)).await;
            }
            receive(&mut stream, u64::MAX, outcome).await
        }
        Task::Echo { with, bytes, chunk } => {
            let stream = connect(job, with).await?;
            let (mut reader, mut writer) = tokio::io::split(stream);
            let mut sent = 0;
            let sending = send(&mut writer, bytes, chunk, 0, &mut sent);
            let receiving = receive(&mut reader, bytes, outcome);
            let (sending, receiving) = futures_util::future::join(sending, receiving).await;
            outcome.sent = sent;
            sending.and(receiving)
        }
        Task::Replies {
            from,
            count,
            at_once,
            bytes,
        } => {
            let replies = futures_util::stream::iter(0..count)
                .map(|_| async {
                    let mut reply = Outcome::default();
                    let result = match connect(job, from).await {
                        Ok(mut stream) => receive(&mut stream, u64::MAX, &mut reply).await,
                        Err(error) => Err(error),
                    };
                    (reply, result)
                })
                .buffer_unordered(at_once as usize);
            let mut replies = std::pin::pin!(replies);
            while let Some((reply, result)) = replies.next().await {
                outcome.received += reply.received;
                outcome.wrong = outcome.wrong.or(reply.wrong);
                match result {
                    Ok(()) if reply.received == bytes => outcome.whole += 1,
                    Ok(()) => outcome.cut += 1,
                    Err(error) => {
                        outcome.failed += 1;
                        // One of them says what they are like.
                        outcome.error.get_or_insert(format!("{error:?}"));
                    }
                }
            }
            Ok(())
        }
        Task::Drain { from, bytes } => {
            let mut stream = connect(job, from).await?;
            let mut buffer = vec![0; READ];
            while outcome.received < bytes {
                let len = stream.read(&mut buffer).await?;
                if len == 0 {
                    let what = "the server has ended";
                    return Err(Error::new(ErrorKind::UnexpectedEof, what));
                }
                outcome.received += len as u64;
            }
            Ok(())
        }
        Task::Push {
            to,
            mebibytes,
            chunk,
        } => {
            let mut stream = connect(job, to).await?;
            let data = vec![7; chunk];
            let bytes = u64::from(mebibytes) << 20;
            while outcome.sent < bytes {
                let len = (chunk as u64).min(bytes - outcome.sent);
                stream.write_all(&data[..len as usize]).await?;
                outcome.sent += len;
            }
            stream.flush().await?;
            let mut answers = vec![0; mebibytes as usize];
            stream.read_exact(&mut answers).await?;
            Ok(())
        }
        Task::Unheard { to, by } => {
            let options = UdpOptions::default();
            let mut socket = network(job)?.open_connected(&to.into(), &options).await?;
            for patience in [200, 200, 200, 10_000] {
                if patience > 1000 {
                    connect(job, by).await?.read_u8().await?;
                }
                socket.send(b"is anybody there?", None).await?;
                let mut buffer = [0; 100];
                let told = socket.recv(&mut buffer);
                let told = time::timeout(Duration::from_millis(patience), told).await;
                outcome.told.push(match told {
                    Err(_) => "nothing".to_owned(),
                    Ok(Ok(answer)) => String::from_utf8_lossy(&buffer[..answer.len]).into_owned(),
                    Ok(Err(error)) => format!("{:?}", Error::from(error)),
                });
            }
            Ok(())
        }
        Task::Mail { imap, submission } => crate::mail::play(secured(job)?, imap, submission)
            .await
            .map_err(|failure| Error::new(ErrorKind::Other, failure)),
        Task::PingPong { with, count, bytes } => {
            let mut stream = connect(job, with).await?;
            let ping = Pattern::new().take(bytes);
            let mut pong = vec![0; bytes];
            let mut times = Vec::new();
            for _ in 0..count {
                let before = time::now();
                stream.write_all(&ping).await?;
                stream.flush().await?;
                stream.read_exact(&mut pong).await?;
                times.push((time::now() - before).as_secs_f64() * 1000.0);
                outcome.received += bytes as u64;
                if ping != pong {
                    outcome.wrong = Some(outcome.received);
                }
            }
            times.sort_by(f64::total_cmp);
            outcome.median = times.get(times.len() / 2).copied().unwrap_or_default();
            Ok(())
        }
    }
}

fn network(job: &Job) -> Result<AnyNetwork> {
    Ok(match &job.over {
        Over::Direct => AnyNetwork::new(Direct),
        Over::Relay(url, token) => {
            let config = RelayConfig::new(url)?.with_token(token.as_str())?;
            let (relay, connection) = Relay::new(config);
            spawn_local(connection);
            AnyNetwork::new(relay)
        }
        Over::WebSocket(subprotocol) => {
            let options = WebSocketOptions::new().with_subprotocol(subprotocol);
            AnyNetwork::default().with_tcp(WebSocketNetwork::ws(options))
        }
    })
}

async fn connect(job: &Job, to: std::net::SocketAddr) -> Result<AnyStream> {
    let options = TcpOptions::default();
    if job.tls_root.is_none() {
        return network(job)?.connect(&to.into(), &options).await;
    }
    let stream = secured(job)?.connect(&to.into(), &options).await?;
    Ok(AnyStream::new(stream))
}

/// The job's network with TLS on top, which trusts the job's root.
fn secured(job: &Job) -> Result<Tls<AnyNetwork>> {
    let root = job.tls_root.as_deref().unwrap_or_default();
    let config = TlsConfig::new().with_roots(Certificates::from_pem(root.as_bytes())?);
    Ok(Tls::new(network(job)?, TlsConnector::new(config)?))
}

async fn send(
    stream: &mut (impl AsyncWrite + Unpin),
    bytes: u64,
    chunk: usize,
    pause: u64,
    sent: &mut u64,
) -> Result<()> {
    let mut pattern = Pattern::new();
    while *sent < bytes {
        let len = (chunk as u64).min(bytes - *sent) as usize;
        let data = pattern.take(len);
        stream.write_all(&data).await?;
        stream.flush().await?;
        if pause > 0 {
            time::sleep(Duration::from_millis(pause)).await;
        }
        *sent += len as u64;
        SENT.store(*sent, Ordering::Relaxed);
    }
    Ok(())
}

/// Reads to the end, or until so much has come.
async fn receive(
    stream: &mut (impl AsyncRead + Unpin),
    bytes: u64,
    outcome: &mut Outcome,
) -> Result<()> {
    let mut pattern = Pattern::new();
    let mut buffer = vec![0; READ];
    loop {
        let result = stream.read(&mut buffer).await;
        if let Ok(len) = result {
            pattern.check(&buffer[..len]);
        }
        outcome.received = pattern.place();
        outcome.wrong = pattern.wrong();
        if result? == 0 || pattern.place() >= bytes {
            return Ok(());
        }
    }
}
