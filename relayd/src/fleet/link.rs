//! The link: one connection to Redis, made again whenever it is lost.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jackfield_native::Native;
use jackfield_socket::{Endpoint, Host, TcpOptions};
use redis::aio::{MultiplexedConnection, SendError};
use redis::{AsyncConnectionConfig, PushInfo, PushKind, Value};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tracing::{debug, info, warn};

use super::{Fleet, Server, write};
use crate::http_client::is_near;
use crate::session::Context;

/// How long it may take to connect, until Redis has said what it knows.
const CONNECT: Duration = Duration::from_secs(5);
/// How long it may take to answer.
const ANSWER: Duration = Duration::from_secs(1);
/// How long to wait before the next attempt: at first, and at most. It doubles.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));
/// How often it is asked whether it is there.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How many messages wait that others have published; beyond it, they are dropped, and what was revoked is read
/// again as a whole.
const HEARD_CAPACITY: usize = 256;

/// A connection that stands.
struct Link {
    connection: MultiplexedConnection,
    /// Moves its bytes, until it is over.
    driving: JoinSet<()>,
    heard: mpsc::Receiver<Vec<u8>>,
    /// Whether a message was dropped.
    missed: Arc<AtomicBool>,
}

impl Fleet {
    /// Keeps connected, and says when what is revoked has changed. It has no end. `tried` hears when it was
    /// tried for the first time, and Redis has told all, or isn't there.
    pub(crate) async fn keep(
        self,
        context: Context,
        changed: impl Fn(),
        tried: oneshot::Sender<()>,
    ) {
        let mut tried = Some(tried);
        let (mut pause, mut told) = (PAUSES.0, false);
        loop {
            let connected = timeout(CONNECT, self.connect(&context)).await;
            let late = |_| format!("it takes longer than {} s", CONNECT.as_secs());
            let connected = connected.map_err(late).flatten();
            self.0.metrics.count("connect", &connected);
            let why = match connected {
                Ok(mut link) => {
                    info!(server = %self.0.config.server(), "Redis is there");
                    (pause, told) = (PAUSES.0, false);
                    self.0.metrics.connected.set(1);
                    *write(&self.0.connection) = Some(link.connection.clone());
                    changed();
                    self.0.back.notify_one();
                    if let Some(tried) = tried.take() {
                        let _ = tried.send(());
                    }
                    let Err(why) = self.stay(&mut link, &changed).await;
                    *write(&self.0.connection) = None;
                    self.0.metrics.connected.set(0);
                    why
                }
                Err(why) => why,
            };
            if let Some(tried) = tried.take() {
                let _ = tried.send(());
            }
            let server = self.0.config.server();
            // Once, until it is there again.
            if told {
                debug!(%server, why, "Redis is still gone");
            } else {
                let (quotas, revocations) = (self.0.config.quotas, self.0.config.revocations);
                warn!(%server, why, ?quotas, ?revocations, "Redis is gone");
            }
            told = true;
            sleep(pause.mul_f64(0.5 + 0.5 * fastrand::f64())).await;
            pause = (2 * pause).min(PAUSES.1);
        }
    }

    /// Connects, and learns what was revoked until now.
    async fn connect(&self, context: &Context) -> Result<Link, String> {
        let config = &self.0.config;
        let mut link = match config.server() {
            Server::At(server) => self.reach(server, context).await?,
            #[cfg(unix)]
            Server::Unix(path) => {
                let stream = tokio::net::UnixStream::connect(path).await;
                self.log_in(stream.map_err(|error| error.to_string())?)
                    .await?
            }
            #[cfg(not(unix))]
            Server::Unix(_) => return Err("this system has no such sockets".into()),
        };
        // First what comes, then what there is: nothing is missed between.
        let channel = self.key("revoked");
        let subscribed = link.connection.subscribe(channel).await;
        subscribed.map_err(|error| error.to_string())?;
        self.learn(&mut link.connection).await?;
        Ok(link)
    }

    async fn reach(&self, server: &Endpoint, context: &Context) -> Result<Link, String> {
        let found = match server.host() {
            Host::Ip(ip) => vec![*ip],
            Host::Name(name) => context.resolve(name).await.map_err(|e| e.to_string())?,
        };
        let at = |ip| SocketAddr::new(ip, server.port());
        let found: Vec<_> = found.into_iter().map(at).collect();
        if !found.is_empty() {
            *write(&self.0.at) = Some(found.clone());
        }
        let tls = self.0.config.tls()?;
        if tls.is_none()
            && let Some(far) = found.iter().find(|at| !is_near(at.ip().to_canonical()))
        {
            return Err(format!(
                "{far} is no loopback or private address, and redis:// is in the clear: use rediss://"
            ));
        }
        let options = TcpOptions::default();
        let stream = Native.connect_resolved(server, found, &options).await;
        let stream = stream.map_err(|error| error.to_string())?;
        match tls {
            None => self.log_in(stream).await,
            Some(tls) => {
                let stream = tls.connect(stream, server.host()).await;
                self.log_in(stream.map_err(|e| e.to_string())?).await
            }
        }
    }

    async fn log_in<S>(&self, stream: S) -> Result<Link, String>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (sender, heard) = mpsc::channel(HEARD_CAPACITY);
        let missed = Arc::new(AtomicBool::new(false));
        let full = Arc::clone(&missed);
        let hear = move |push: PushInfo| {
            if let Some(message) = message(push)
                && sender.try_send(message).is_err()
            {
                full.store(true, Ordering::Relaxed);
            }
            Ok::<_, SendError>(())
        };
        let config = AsyncConnectionConfig::new()
            .set_response_timeout(Some(ANSWER))
            .set_push_sender(hear);
        let log_in = self.0.config.log_in()?;
        let made = MultiplexedConnection::new_with_config(&log_in, stream, config).await;
        let (connection, driver) = made.map_err(|error| error.to_string())?;
        let mut driving = JoinSet::new();
        driving.spawn(driver);
        Ok(Link {
            connection,
            driving,
            heard,
            missed,
        })
    }

    /// Hears what others revoke, until the connection is lost; why it was.
    async fn stay(&self, link: &mut Link, changed: impl Fn()) -> Result<Infallible, String> {
        let mut look = interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut messages = Vec::new();
        loop {
            tokio::select! {
                _ = link.driving.join_next() => return Err("the connection has ended".into()),
                _ = link.heard.recv_many(&mut messages, HEARD_CAPACITY) => {
                    if link.missed.swap(false, Ordering::Relaxed) {
                        self.learn(&mut link.connection).await?;
                    } else {
                        self.hear(&messages);
                    }
                    messages.clear();
                    changed();
                }
                _ = look.tick() => {
                    let pong = redis::cmd("PING").exec_async(&mut link.connection).await;
                    pong.map_err(|error| error.to_string())?;
                    self.forget();
                }
            }
        }
    }
}

/// What somebody has published.
fn message(push: PushInfo) -> Option<Vec<u8>> {
    if push.kind != PushKind::Message {
        return None;
    }
    match push.data.into_iter().nth(1) {
        Some(Value::BulkString(bytes)) => Some(bytes),
        _ => None,
    }
}
