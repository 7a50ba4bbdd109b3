//! The peer's behaviour with byte streams.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use jackfield_socket::{ByteStream, TcpConnect, TcpListen, time};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::command::{Command, MAX_LINE};
use super::record::{Records, State};
use super::{closed_address, connect_back};
use crate::pattern::Pattern;

/// How many bytes are moved at once.
const PIECE: usize = 16 * 1024;
/// How many bytes `Fill` sends at the most.
const FILL: u64 = 256 << 20;

/// How long `Job` waits after each line that it says at the end, in milliseconds.
const JOB_PAUSE: u64 = 50;

/// What serving a stream needs of the peer.
pub(super) struct Tools<'a, N> {
    pub(super) network: &'a N,
    pub(super) records: &'a Records,
    pub(super) at: IpAddr,
}

impl<N> Clone for Tools<'_, N> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<N> Copy for Tools<'_, N> {}

/// Serves one connection. What goes wrong with it is for the client to see.
pub(super) async fn serve<S: ByteStream, N: TcpConnect + TcpListen>(
    mut stream: S,
    abort: fn(S),
    tools: Tools<'_, N>,
) {
    let silent = tools.records.silent();
    let command = read_line(&mut stream).await.and_then(|line| {
        line.parse()
            .map_err(|()| io::Error::new(io::ErrorKind::InvalidData, "not a command"))
    });
    drop(silent);
    match command {
        Ok(Command::Reset { seed, bytes, delay }) => {
            if send(&mut stream, seed, bytes).await.is_ok() {
                wait(delay).await;
            }
            abort(stream);
        }
        Ok(Command::StallThenReset { ticket }) => {
            tools.records.until_released(ticket, 1).await;
            abort(stream);
        }
        Ok(command) => {
            if obey(&mut stream, command, tools).await.is_err() {
                abort(stream);
            }
        }
        Err(_) => abort(stream),
    }
}

async fn obey<S: ByteStream, N: TcpConnect + TcpListen>(
    stream: &mut S,
    command: Command,
    tools: Tools<'_, N>,
) -> io::Result<()> {
    let records = tools.records;
    match command {
        Command::Ticket {} => answer(stream, records.ticket()).await,
        Command::Who {} => {
            let info = stream.info();
            let text = |address: Option<std::net::SocketAddr>| {
                address.map_or_else(|| "-".to_owned(), |address| address.to_string())
            };
            let line = format!("{} {}", text(info.peer), text(info.local));
            answer(stream, line).await
        }
        Command::Closed {} => match closed_address(tools.network, tools.at).await? {
            Some(address) => answer(stream, address).await,
            None => Err(io::ErrorKind::AddrNotAvailable.into()),
        },
        Command::Progress { ticket } => answer(stream, records.get(ticket)).await,
        Command::Outcome { ticket } => {
            let record = records.until_over(ticket).await;
            answer(stream, record).await
        }
        Command::Release { ticket } => {
            records.release(ticket);
            answer(stream, "released").await
        }
        Command::Silent {} => {
            records.until_none_silent().await;
            answer(stream, "none").await
        }
        Command::ConnectBack { to } => {
            let mut back = connect_back(tools.network, to).await?;
            let local = back.info().local.map(|local| local.to_string());
            let line = format!("from {}\n", local.as_deref().unwrap_or("-"));
            back.write_all(line.as_bytes()).await?;
            stream.write_all(b"connected\n").await?;
            stream.flush().await?;
            echo(&mut back).await
        }
        Command::Echo {} => echo(stream).await,
        Command::Send { seed, bytes, delay } => {
            wait(delay).await;
            send(stream, seed, bytes).await?;
            finish(stream).await
        }
        Command::HalfClose {} => {
            stream.write_all(b"go on\n").await?;
            let mut count = 0_u64;
            read_to_end(stream, |bytes| count += bytes.len() as u64).await?;
            stream.write_all(format!("{count}\n").as_bytes()).await?;
            finish(stream).await
        }
        Command::Drip {
            seed,
            bytes,
            piece,
            pause,
        } => {
            let mut sent = 0;
            while sent < bytes {
                let len = (piece.max(1) as u64).min(bytes - sent);
                let data = Pattern::new(seed).bytes(sent, len as usize);
                stream.write_all(&data).await?;
                stream.flush().await?;
                sent += len;
                wait(pause).await;
            }
            finish(stream).await
        }
        Command::Sink {
            ticket,
            seed,
            delay,
        } => {
            wait(delay).await;
            sink(stream, ticket, seed, records).await
        }
        Command::Job {
            ticket,
            seed,
            delay,
            answer,
        } => {
            let result = async {
                stream.write_all(b"ready\n").await?;
                stream.flush().await?;
                wait(delay).await;
                take(stream, ticket, seed, records).await?;
                // What is said to nobody fails at the second try, once the first was answered.
                for line in ["taken\n", "done\n"].iter().filter(|_| answer) {
                    stream.write_all(line.as_bytes()).await?;
                    stream.flush().await?;
                    wait(JOB_PAUSE).await;
                }
                stream.shutdown().await
            }
            .await;
            records.update(ticket, |record| record.state = State::from(&result));
            result
        }
        Command::EndThenSink { ticket, seed } => {
            stream.shutdown().await?;
            sink(stream, ticket, seed, records).await
        }
        Command::Stall { ticket, seed } => {
            records.until_released(ticket, 1).await;
            sink(stream, ticket, seed, records).await
        }
        Command::StallThenEnd { ticket, seed } => {
            records.until_released(ticket, 1).await;
            stream.shutdown().await?;
            records.until_released(ticket, 2).await;
            sink(stream, ticket, seed, records).await
        }
        Command::Fill { ticket, seed } => {
            let result = fill(stream, ticket, seed, records).await;
            records.update(ticket, |record| record.state = State::from(&result));
            result
        }
        // `serve` has them: they need the stream itself.
        Command::Reset { .. } | Command::StallThenReset { .. } => Ok(()),
    }
}

/// The first line of a stream, read so that nothing beyond it is taken.
pub(crate) async fn read_line(stream: &mut (impl ByteStream + ?Sized)) -> io::Result<String> {
    let mut line = Vec::new();
    loop {
        match stream.read_u8().await? {
            b'\n' => {
                return String::from_utf8(line).map_err(|_| {
                    io::Error::new(io::ErrorKind::InvalidData, "a line not in UTF-8")
                });
            }
            byte if line.len() < MAX_LINE => line.push(byte),
            _ => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "a line too long",
                ));
            }
        }
    }
}

async fn answer(stream: &mut impl ByteStream, text: impl std::fmt::Display) -> io::Result<()> {
    stream.write_all(format!("{text}\n").as_bytes()).await?;
    stream.flush().await?;
    // The client ends first, so that no backend has to tell data from the end that follows.
    read_to_end(stream, |_| ()).await?;
    stream.shutdown().await
}

/// Ends, and waits for the client to end too.
async fn finish(stream: &mut impl ByteStream) -> io::Result<()> {
    stream.shutdown().await?;
    read_to_end(stream, |_| ()).await
}

async fn read_to_end(stream: &mut impl ByteStream, mut each: impl FnMut(&[u8])) -> io::Result<()> {
    let mut buffer = vec![0; PIECE];
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        each(&buffer[..count]);
    }
}

async fn echo(stream: &mut impl ByteStream) -> io::Result<()> {
    let mut buffer = vec![0; PIECE];
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return stream.shutdown().await;
        }
        stream.write_all(&buffer[..count]).await?;
        stream.flush().await?;
    }
}

async fn send(stream: &mut impl ByteStream, seed: u64, bytes: u64) -> io::Result<()> {
    let mut buffer = vec![0; PIECE];
    let mut sent = 0;
    while sent < bytes {
        let len = (PIECE as u64).min(bytes - sent);
        let data = &mut buffer[..len as usize];
        Pattern::new(seed).fill(sent, data);
        stream.write_all(data).await?;
        sent += len;
    }
    stream.flush().await
}

async fn sink(
    stream: &mut impl ByteStream,
    ticket: u64,
    seed: u64,
    records: &Records,
) -> io::Result<()> {
    let result = take(stream, ticket, seed, records).await;
    records.update(ticket, |record| record.state = State::from(&result));
    result?;
    // Whoever half-closed reads it; whoever closed has gone.
    let _ = stream
        .write_all(format!("{}\n", records.get(ticket)).as_bytes())
        .await;
    let _ = stream.shutdown().await;
    Ok(())
}

/// Takes the pattern to its end, and keeps the record of it.
async fn take(
    stream: &mut impl ByteStream,
    ticket: u64,
    seed: u64,
    records: &Records,
) -> io::Result<()> {
    let mut total = 0;
    read_to_end(stream, |bytes| {
        records.update(ticket, |record| {
            if record.wrong.is_none() {
                record.wrong = Pattern::new(seed).first_wrong(total, bytes);
            }
            total += bytes.len() as u64;
            record.bytes = total;
        });
    })
    .await
}

async fn fill(
    stream: &mut impl ByteStream,
    ticket: u64,
    seed: u64,
    records: &Records,
) -> io::Result<()> {
    let mut buffer = vec![0; PIECE];
    let mut sent = 0;
    while sent < FILL {
        Pattern::new(seed).fill(sent, &mut buffer);
        let count = stream.write(&buffer).await?;
        if count == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        sent += count as u64;
        records.update(ticket, |record| record.bytes = sent);
    }
    finish(stream).await
}

async fn wait(millis: u64) {
    if millis > 0 {
        time::sleep(Duration::from_millis(millis)).await;
    }
}
