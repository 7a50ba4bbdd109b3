//! Just enough of a Wisp v1 client to load a server: CONNECT, DATA, CONTINUE, CLOSE.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use anyhow::{Context as _, Result, bail};
use bytes::{BufMut as _, Bytes, BytesMut};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_websockets::Message;

use super::dialect::WebSocket;

const CONNECT: u8 = 1;
const DATA: u8 = 2;
const CONTINUE: u8 = 3;
const CLOSE: u8 = 4;
/// What a stream is of.
const TCP: u8 = 1;
const UDP: u8 = 2;
/// The reason of a stream that was closed in order.
const VOLUNTARY: u8 = 2;

/// Messages of a stream that the client holds before it stops reading the WebSocket: Wisp has no
/// credit in this direction, so one slow stream stops all.
const HELD: usize = 64;

pub(crate) struct Session {
    out: mpsc::Sender<Bytes>,
    streams: Arc<Mutex<HashMap<u32, Inner>>>,
    next: u32,
    initial_credit: usize,
    /// What reads and writes the WebSocket, which is closed with the session.
    _tasks: JoinSet<Result<()>>,
}

/// What comes of a stream.
pub(crate) enum Packet {
    Data(Bytes),
    Closed { in_order: bool },
}

struct Inner {
    data: mpsc::Sender<Packet>,
    credit: Arc<Semaphore>,
    sent: Arc<Mutex<u64>>,
}

pub(crate) struct Sender {
    id: u32,
    out: mpsc::Sender<Bytes>,
    credit: Arc<Semaphore>,
}

impl Session {
    pub(crate) async fn begin(mut socket: WebSocket) -> Result<Self> {
        let hello = match socket.next().await {
            Some(message) => Bytes::from(message?.into_payload()),
            None => bail!("the server closed the WebSocket"),
        };
        let (kind, id, credit) = parse(&hello).context("no first CONTINUE")?;
        if kind != CONTINUE || id != 0 {
            bail!("the server began with packet type {kind}");
        }
        let initial_credit = u32::from_le_bytes(credit.get(..4).context("no credit")?.try_into()?);
        let (mut sink, mut source) = socket.split();
        let (out, mut queue) = mpsc::channel::<Bytes>(64);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            while let Some(packet) = queue.recv().await {
                sink.feed(Message::binary(packet)).await?;
                if queue.is_empty() {
                    sink.flush().await?;
                }
            }
            anyhow::Ok(())
        });
        let streams: Arc<Mutex<HashMap<u32, Inner>>> = Arc::default();
        let table = streams.clone();
        tasks.spawn(async move {
            while let Some(Ok(message)) = source.next().await {
                let packet = Bytes::from(message.into_payload());
                let Some((kind, id, _)) = parse(&packet) else {
                    continue;
                };
                let body = packet.slice(5..);
                match kind {
                    DATA => {
                        let data = lock(&table).get(&id).map(|inner| inner.data.clone());
                        if let Some(data) = data {
                            let _ = data.send(Packet::Data(body)).await;
                        }
                    }
                    CONTINUE => {
                        if let (Some(inner), Ok(bytes)) =
                            (lock(&table).get(&id), body[..].try_into())
                        {
                            // The server says how many packets it can take now.
                            let now = u32::from_le_bytes(bytes) as usize;
                            let have = inner.credit.available_permits();
                            inner.credit.add_permits(now.saturating_sub(have));
                            *lock(&inner.sent) += 1;
                        }
                    }
                    CLOSE => {
                        let closed = lock(&table).remove(&id);
                        if let Some(inner) = closed {
                            let in_order = body.first() == Some(&VOLUNTARY);
                            let _ = inner.data.send(Packet::Closed { in_order }).await;
                        }
                    }
                    _ => {}
                }
            }
            Ok(())
        });
        Ok(Self {
            out,
            streams,
            next: 1,
            initial_credit: initial_credit as usize,
            _tasks: tasks,
        })
    }

    /// A TCP connection to this port.
    pub(crate) async fn connect(&mut self, port: u16) -> Result<(Sender, mpsc::Receiver<Packet>)> {
        let credit = self.initial_credit;
        self.open(TCP, port, credit).await
    }

    /// A UDP socket of this port's; it needs no credit, and a packet is a datagram.
    pub(crate) async fn datagrams(
        &mut self,
        port: u16,
    ) -> Result<(Sender, mpsc::Receiver<Packet>)> {
        self.open(UDP, port, Semaphore::MAX_PERMITS / 2).await
    }

    async fn open(
        &mut self,
        kind: u8,
        port: u16,
        credit: usize,
    ) -> Result<(Sender, mpsc::Receiver<Packet>)> {
        let id = self.next;
        self.next += 1;
        let (data, receiver) = mpsc::channel(HELD);
        let credit = Arc::new(Semaphore::new(credit));
        let inner = Inner {
            data,
            credit: credit.clone(),
            sent: Arc::default(),
        };
        lock(&self.streams).insert(id, inner);
        let mut packet = head(CONNECT, id, 16);
        packet.put_u8(kind);
        packet.put_u16_le(port);
        packet.put_slice(b"127.0.0.1");
        self.out.send(packet.freeze()).await?;
        Ok((
            Sender {
                id,
                out: self.out.clone(),
                credit,
            },
            receiver,
        ))
    }
}

impl Sender {
    /// Closes the stream: Wisp has no way to end one direction.
    pub(crate) async fn end(&self) -> Result<()> {
        let mut packet = head(CLOSE, self.id, 1);
        packet.put_u8(VOLUNTARY);
        Ok(self.out.send(packet.freeze()).await?)
    }

    pub(crate) async fn send(&self, data: &[u8]) -> Result<()> {
        self.credit.acquire().await?.forget();
        let mut packet = head(DATA, self.id, data.len());
        packet.put_slice(data);
        Ok(self.out.send(packet.freeze()).await?)
    }
}

fn head(kind: u8, id: u32, body: usize) -> BytesMut {
    let mut packet = BytesMut::with_capacity(5 + body);
    packet.put_u8(kind);
    packet.put_u32_le(id);
    packet
}

fn parse(packet: &[u8]) -> Option<(u8, u32, &[u8])> {
    let (head, body) = packet.split_at_checked(5)?;
    Some((
        head[0],
        u32::from_le_bytes(head[1..].try_into().ok()?),
        body,
    ))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
