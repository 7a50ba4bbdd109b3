//! The clients: those in Rust in this process, the others as scripts or programs.

use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use async_smtp::{SendableEmail, SmtpTransport};
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use io_smtp::client::{SmtpClient as _, SmtpClientStd};
use io_smtp::message::SmtpMessageSendOptions;
use io_smtp::rfc5321::{
    SmtpDomain, SmtpEhloDomain, SmtpForwardPath, SmtpLocalPart, SmtpMailbox, SmtpReversePath,
};
use jackfield_native::Native;
use jackfield_smtp::RequestError;
use jackfield_smtp::client::{self, Envelope, Outcome, PoolConfig};
use jackfield_smtp::core::Config;
use jackfield_testing::unpacked;
use lettre::transport::smtp::PoolConfig as LettrePool;
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};
use tokio::io::BufStream;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};

use crate::Peers;

const FROM: &str = "ada@example.org";
const TO: &str = "grace@example.com";
const SIZE: usize = 4096;
const WARM_UP: usize = 10;
const POOL: usize = 5;
/// How many messages our client is asked for at a time; it bounds how many it sends ahead itself.
const AT_ONCE: usize = 100;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Client {
    Jackfield,
    InTurn,
    AsyncSmtp,
    Lettre,
    MailSend,
    IoSmtp,
    Nodemailer,
    SmtpSource,
    Pool,
    LettrePool,
    NodemailerPool,
}

impl Client {
    /// Ours comes first, of those with one connection and of those with several: the ratios count on it.
    pub(super) const ALL: [Self; 11] = [
        Self::Jackfield,
        Self::InTurn,
        Self::AsyncSmtp,
        Self::Lettre,
        Self::MailSend,
        Self::IoSmtp,
        Self::Nodemailer,
        Self::SmtpSource,
        Self::Pool,
        Self::LettrePool,
        Self::NodemailerPool,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Jackfield | Self::Pool => "jackfield-smtp",
            Self::InTurn => "jackfield-smtp, one after the other",
            Self::AsyncSmtp => "async-smtp",
            Self::Lettre | Self::LettrePool => "lettre",
            Self::MailSend => "mail-send",
            Self::IoSmtp => "io-smtp",
            Self::Nodemailer | Self::NodemailerPool => "nodemailer",
            Self::SmtpSource => "smtp-source",
        }
    }

    pub(super) fn is_pool(self) -> bool {
        matches!(self, Self::Pool | Self::LettrePool | Self::NodemailerPool)
    }

    /// Sends so many messages; the seconds that it took.
    pub(super) fn send(self, peers: &Peers, at: SocketAddr, messages: usize) -> Result<f64> {
        let runtime = runtime()?;
        let took = match self {
            Self::Jackfield => runtime.block_on(ours(at, messages, AT_ONCE))?,
            Self::InTurn => runtime.block_on(ours(at, messages, 1))?,
            Self::Pool => runtime.block_on(our_pool(at, messages))?,
            Self::AsyncSmtp => runtime.block_on(async_smtp(at, messages))?,
            Self::Lettre => runtime.block_on(lettre(at, messages))?,
            Self::LettrePool => runtime.block_on(lettre_pool(at, messages))?,
            Self::MailSend => runtime.block_on(mail_send(at, messages))?,
            Self::IoSmtp => io_smtp(at, messages)?,
            Self::Nodemailer => return nodemailer(peers, at, messages, 1),
            Self::NodemailerPool => return nodemailer(peers, at, messages, POOL),
            Self::SmtpSource => smtp_source(at, messages)?,
        };
        Ok(took.as_secs_f64())
    }
}

pub(super) fn runtime() -> Result<Runtime> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}

fn message() -> String {
    let mut text = format!("From: {FROM}\r\nTo: {TO}\r\nSubject: hello\r\n\r\n");
    while text.len() < SIZE {
        text.push_str(
            "The quick brown fox jumps over the lazy dog, and that many times a day.\r\n",
        );
    }
    text.truncate(SIZE - 2);
    text + "\r\n"
}

fn envelope() -> Result<Envelope> {
    Ok(Envelope::new(FROM.parse()?, [TO.parse()?]))
}

fn config() -> Result<Config> {
    Ok(Config::new("localhost".parse()?))
}

/// Sends so many messages by a function of our client, so many at a time.
async fn send_all<R>(
    messages: usize,
    at_once: usize,
    send: impl Fn(Envelope, Bytes) -> R,
) -> Result<Duration>
where
    R: Future<Output = Result<Outcome, RequestError>>,
{
    let (envelope, text) = (envelope()?, Bytes::from(message()));
    let start = Instant::now();
    let all = stream::iter(0..messages).map(|_| send(envelope.clone(), text.clone()));
    let mut outcomes = all.buffer_unordered(at_once);
    while let Some(outcome) = outcomes.try_next().await? {
        ensure!(outcome.refused().next().is_none(), "{outcome:?}");
    }
    Ok(start.elapsed())
}

async fn ours(at: SocketAddr, messages: usize, at_once: usize) -> Result<Duration> {
    let (client, events, connection) = client::connect(Native, at.into(), config()?);
    // Nobody asks for them.
    drop(events);
    let connection = tokio::spawn(connection);
    let send = |envelope, text| client.send(envelope, text);
    send_all(WARM_UP, at_once, send).await?;
    let took = send_all(messages, at_once, send).await?;
    client.close().await;
    connection.await??;
    Ok(took)
}

async fn our_pool(at: SocketAddr, messages: usize) -> Result<Duration> {
    let mut config = PoolConfig::new(config()?);
    config.connections = POOL;
    let (pool, events, connection) = client::connect_pool(Native, at.into(), config);
    drop(events);
    let connection = tokio::spawn(connection);
    let send = |envelope, text| pool.send(envelope, text);
    // Each connection has its turn.
    send_all(WARM_UP * POOL, AT_ONCE, send).await?;
    let took = send_all(messages, AT_ONCE, send).await?;
    pool.close().await;
    connection.await??;
    Ok(took)
}

async fn async_smtp(at: SocketAddr, messages: usize) -> Result<Duration> {
    let stream = TcpStream::connect(at).await?;
    stream.set_nodelay(true)?;
    let client = async_smtp::SmtpClient::new();
    let mut transport = SmtpTransport::new(client, BufStream::new(stream)).await?;
    let to = vec![TO.parse()?];
    let envelope = async_smtp::Envelope::new(Some(FROM.parse()?), to)?;
    let text = message();
    let mut send = async |count| {
        let start = Instant::now();
        for _ in 0..count {
            let email = SendableEmail::new(envelope.clone(), text.clone());
            transport.send(email).await?;
        }
        anyhow::Ok(start.elapsed())
    };
    send(WARM_UP).await?;
    send(messages).await
}

async fn lettre(at: SocketAddr, messages: usize) -> Result<Duration> {
    let name = ClientId::Domain("localhost".into());
    let stream = TcpStream::connect(at).await?;
    stream.set_nodelay(true)?;
    let connection = AsyncSmtpConnection::connect_with_transport(Box::new(stream), &name);
    let mut connection = connection.await?;
    let envelope = lettre_envelope()?;
    let text = message();
    let mut send = async |count| {
        let start = Instant::now();
        for _ in 0..count {
            connection.send(&envelope, text.as_bytes()).await?;
        }
        anyhow::Ok(start.elapsed())
    };
    send(WARM_UP).await?;
    send(messages).await
}

async fn lettre_pool(at: SocketAddr, messages: usize) -> Result<Duration> {
    let pool = LettrePool::new().max_size(POOL as u32);
    let transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(at.ip().to_string())
        .port(at.port())
        .hello_name(ClientId::Domain("localhost".into()))
        .pool_config(pool)
        .build();
    let envelope = lettre_envelope()?;
    let text = message();
    let send = async |count| {
        let start = Instant::now();
        let all = stream::iter(0..count).map(|_| transport.send_raw(&envelope, text.as_bytes()));
        // More would wait for a connection, and give up after a while.
        let mut sent = all.buffer_unordered(POOL);
        while sent.try_next().await?.is_some() {}
        anyhow::Ok(start.elapsed())
    };
    send(WARM_UP * POOL).await?;
    send(messages).await
}

fn lettre_envelope() -> Result<lettre::address::Envelope> {
    let to = vec![TO.parse()?];
    Ok(lettre::address::Envelope::new(Some(FROM.parse()?), to)?)
}

async fn mail_send(at: SocketAddr, messages: usize) -> Result<Duration> {
    let mut client = mail_send::SmtpClientBuilder::new(at.ip().to_string(), at.port())
        .map_err(|error| anyhow!("{error}"))?
        .helo_host("localhost")
        .connect_plain()
        .await?;
    client.stream.set_nodelay(true)?;
    let text = message();
    let mut send = async |count| {
        let start = Instant::now();
        for _ in 0..count {
            let message = mail_send::smtp::message::Message::new(FROM, [TO], text.as_bytes());
            client.send(message).await?;
        }
        anyhow::Ok(start.elapsed())
    };
    send(WARM_UP).await?;
    send(messages).await
}

fn io_smtp(at: SocketAddr, messages: usize) -> Result<Duration> {
    let stream = std::net::TcpStream::connect(at)?;
    stream.set_nodelay(true)?;
    let mut client = SmtpClientStd::new(stream);
    client.greeting()?;
    let domain = |name: &str| SmtpEhloDomain::SmtpDomain(SmtpDomain(name.to_owned().into()));
    // smtp-sink's reply ends with an empty line, which io-smtp can't read; all of it has come by then.
    let _ = client.ehlo(domain("localhost"));
    let mailbox = |address: &str| {
        let (local, name) = address.split_once('@').context("no address")?;
        anyhow::Ok(SmtpMailbox {
            local_part: SmtpLocalPart(local.to_owned().into()),
            domain: domain(name),
        })
    };
    let (from, to) = (mailbox(FROM)?, mailbox(TO)?);
    let text = message().into_bytes();
    let mut send = |count| {
        let start = Instant::now();
        for _ in 0..count {
            let from = SmtpReversePath::SmtpMailbox(from.clone());
            let to = vec![SmtpForwardPath(to.clone())];
            client.send(from, to, text.clone(), SmtpMessageSendOptions::default())?;
        }
        anyhow::Ok(start.elapsed())
    };
    send(WARM_UP)?;
    send(messages)
}

fn nodemailer(peers: &Peers, at: SocketAddr, messages: usize, connections: usize) -> Result<f64> {
    let mut command = Command::new("node");
    // A source given this way finds its packages from the current folder.
    command
        .args([
            "--input-type=module",
            "--eval",
            include_str!("nodemailer.mjs"),
        ])
        .args(
            [
                at.port().into(),
                connections,
                messages,
                WARM_UP * connections,
            ]
            .map(|it| it.to_string()),
        )
        .arg(message())
        .current_dir(&peers.npm);
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(output.status.success(), "it ended with {}", output.status);
    let text = String::from_utf8(output.stdout)?;
    text.trim()
        .parse()
        .with_context(|| format!("it printed {text:?}"))
}

/// It has no warm-up: its start and its connection count.
fn smtp_source(at: SocketAddr, messages: usize) -> Result<Duration> {
    let mut command = unpacked::command("postfix", "/usr/sbin/smtp-source")?;
    command.args(["-d", "-s", "1", "-f", FROM, "-t", TO]);
    command.args(["-l", &SIZE.to_string(), "-m", &messages.to_string()]);
    command.arg(format!("inet:{at}"));
    let start = Instant::now();
    let status = command.stdin(Stdio::null()).status()?;
    ensure!(status.success(), "it ended with {status}");
    Ok(start.elapsed())
}
