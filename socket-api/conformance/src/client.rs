//! The client's side of a case: asking the peer, and telling its bytes.

use std::fmt;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::str::FromStr;
use std::task::Poll;
use std::time::Duration;

use jackfield_socket::{
    AnyDatagramSocket, AnyStream, DatagramSocket as _, Endpoint, Host, TcpConnect, TcpOptions,
    UdpOpen, UdpOptions, time,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

use crate::failure::{Step, ensure};
use crate::pattern::Pattern;
use crate::peer::command::Command;
use crate::peer::record::Record;
use crate::{Failure, Target};

/// How long nothing must move until it counts as standing still.
pub(crate) const STILL: Duration = Duration::from_millis(400);
/// How long something that needs no waiting may take, on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// How many bytes are read and written at once.
const PIECE: usize = 16 * 1024;

/// How many datagrams are asked for until one counts as not arriving.
const ATTEMPTS: u32 = 5;

impl Target {
    /// Connects to the peer.
    pub(crate) async fn connect(&self) -> Result<AnyStream, Failure> {
        let to = Endpoint::from(self.peer.tcp);
        self.network
            .connect(&to, &TcpOptions::default())
            .await
            .step("connecting to the peer")
    }

    /// Connects to the peer and asks it for something.
    pub(crate) async fn start(&self, command: Command) -> Result<AnyStream, Failure> {
        let mut stream = self.connect().await?;
        command_on(&mut stream, command).await?;
        Ok(stream)
    }

    /// Asks the peer for something that it answers with one line.
    pub(crate) async fn ask<T>(&self, command: Command) -> Result<T, Failure>
    where
        T: FromStr,
        T::Err: fmt::Debug,
    {
        let what = command.to_string();
        let mut stream = self.start(command).await?;
        let line = read_line(&mut stream).await?;
        stream.shutdown().await.step("ending a question")?;
        line.parse()
            .map_err(|error| Failure::new(format!("{what}: answered {line:?}: {error:?}")))
    }

    pub(crate) async fn ticket(&self) -> Result<u64, Failure> {
        self.ask(Command::Ticket {}).await
    }

    /// What the peer has seen of a connection, once it is over.
    pub(crate) async fn outcome(&self, ticket: u64) -> Result<Record, Failure> {
        self.ask(Command::Outcome { ticket }).await
    }

    /// An address where nothing listens.
    pub(crate) async fn closed(&self) -> Result<SocketAddr, Failure> {
        self.ask(Command::Closed {}).await
    }

    /// A UDP socket connected to the peer.
    pub(crate) async fn datagrams(&self) -> Result<AnyDatagramSocket, Failure> {
        let to = Endpoint::from(self.peer.udp);
        self.network
            .open_connected(&to, &UdpOptions::default())
            .await
            .step("opening a connected UDP socket")
    }

    /// The peer's host by its name, or its address where it has none.
    pub(crate) fn host(&self) -> Host {
        match &self.name {
            Some(name) => Host::Name(name.clone()),
            None => Host::Ip(self.peer.tcp.ip()),
        }
    }
}

/// Says a line.
pub(crate) async fn command_on(stream: &mut AnyStream, command: Command) -> Result<(), Failure> {
    stream
        .write_all(format!("{command}\n").as_bytes())
        .await
        .step("writing a command")?;
    stream.flush().await.step("flushing a command")
}

pub(crate) async fn read_line(stream: &mut AnyStream) -> Result<String, Failure> {
    crate::peer::read_line(stream).await.step("reading a line")
}

/// Reads the pattern until the stream ends; how many bytes there were.
pub(crate) async fn read_pattern(
    stream: &mut (impl AsyncRead + Unpin),
    seed: u64,
) -> Result<u64, Failure> {
    let mut buffer = vec![0; PIECE];
    let mut total = 0;
    loop {
        let count = stream
            .read(&mut buffer)
            .await
            .step(&format!("reading after {total} bytes"))?;
        if count == 0 {
            return Ok(total);
        }
        check(seed, total, &buffer[..count])?;
        total += count as u64;
    }
}

/// Reads exactly so many bytes of the pattern.
pub(crate) async fn read_exact_pattern(
    stream: &mut (impl AsyncRead + Unpin),
    seed: u64,
    offset: u64,
    bytes: u64,
) -> Result<(), Failure> {
    let mut limited = stream.take(bytes);
    let mut buffer = vec![0; PIECE];
    let mut total = 0;
    while total < bytes {
        let count = limited
            .read(&mut buffer)
            .await
            .step(&format!("reading after {total} bytes"))?;
        ensure!(count > 0, "the stream ended after {total} bytes of {bytes}");
        check(seed, offset + total, &buffer[..count])?;
        total += count as u64;
    }
    Ok(())
}

/// Writes so many bytes of the pattern.
pub(crate) async fn write_pattern(
    stream: &mut (impl tokio::io::AsyncWrite + Unpin),
    seed: u64,
    offset: u64,
    bytes: u64,
) -> Result<(), Failure> {
    let mut buffer = vec![0; PIECE];
    let mut sent = 0;
    while sent < bytes {
        let len = (PIECE as u64).min(bytes - sent);
        let data = &mut buffer[..len as usize];
        Pattern::new(seed).fill(offset + sent, data);
        stream
            .write_all(data)
            .await
            .step(&format!("writing after {} bytes", offset + sent))?;
        sent += len;
    }
    stream.flush().await.step("flushing")
}

/// Fails where bytes are not those of the pattern at their place.
pub(crate) fn check(seed: u64, offset: u64, bytes: &[u8]) -> Result<(), Failure> {
    match Pattern::new(seed).first_wrong(offset, bytes) {
        None => Ok(()),
        Some(place) => Err(Failure::new(format!("byte {place} is wrong"))),
    }
}

/// Writes the pattern until nothing moves any more, or `most` bytes were taken; how many were.
pub(crate) async fn write_until_still(
    stream: &mut AnyStream,
    seed: u64,
    most: u64,
) -> Result<u64, Failure> {
    let mut buffer = vec![0; PIECE];
    let mut sent = 0;
    while sent <= most {
        Pattern::new(seed).fill(sent, &mut buffer);
        match time::timeout(STILL, stream.write(&buffer)).await {
            Ok(count) => sent += count.step("writing to a peer that doesn't read")? as u64,
            Err(_) => break,
        }
    }
    Ok(sent)
}

/// Fails where something that needs no waiting takes long.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> Result<T, Failure> {
    time::timeout(SOON, future)
        .await
        .map_err(|_| Failure::new(format!("{what}: nothing happened for {SOON:?}")))
}

/// Polls a future once and drops it; what it gave, if it was ready.
pub(crate) async fn poll_once<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = Box::pin(future);
    poll_fn(|cx| {
        Poll::Ready(match Pin::new(&mut future).poll(cx) {
            Poll::Ready(value) => Some(value),
            Poll::Pending => None,
        })
    })
    .await
}

/// Sends a request until an answer comes: even on loopback, a datagram may be lost.
pub(crate) async fn exchange(
    socket: &mut AnyDatagramSocket,
    to: Option<SocketAddr>,
    request: &[u8],
    buffer: &mut [u8],
) -> Result<jackfield_socket::Datagram, Failure> {
    for _ in 0..ATTEMPTS {
        socket
            .send(request, to)
            .await
            .step(&format!("sending a datagram of {} bytes", request.len()))?;
        if let Ok(received) = time::timeout(Duration::from_secs(2), socket.recv(buffer)).await {
            return received.step("receiving a datagram");
        }
    }
    Err(Failure::new(format!(
        "no answer to a datagram of {} bytes, sent {ATTEMPTS} times",
        request.len()
    )))
}
