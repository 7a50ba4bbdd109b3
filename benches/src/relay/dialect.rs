//! The interface that loads every relay alike: open a stream, send, receive.

use std::net::Ipv4Addr;

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use jackfield_native::Native;
use jackfield_relay::{Relay, RelayConfig, RelayStream};
use jackfield_socket::{Endpoint, TcpConnect as _, TcpOptions};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio_websockets::{ClientBuilder, Limits, MaybeTlsStream, Message, WebSocketStream};

use super::servers::TOKEN;
use super::wisp;

pub(crate) type WebSocket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// What one read takes at the most.
const READ: usize = 64 * 1024;

pub(crate) enum Dialect {
    Jackfield(Relay),
    Wisp(wisp::Session),
    /// A port of the relay for each target's port.
    Tcp(Vec<(u16, u16)>),
    Websockify(Vec<(u16, u16)>),
}

pub(crate) trait Send {
    async fn send(&mut self, data: &[u8]) -> Result<()>;
}

pub(crate) trait Receive {
    /// How many bytes came; the end is an error here, since no target ends.
    async fn receive(&mut self) -> Result<usize>;
}

pub(crate) enum Sender {
    Jackfield(WriteHalf<RelayStream>),
    Wisp(wisp::Sender),
    Tcp(OwnedWriteHalf),
    WebSocket(SplitSink<WebSocket, Message>),
}

pub(crate) enum Receiver {
    Jackfield(ReadHalf<RelayStream>, Vec<u8>),
    Chunks(mpsc::Receiver<Bytes>),
    Tcp(OwnedReadHalf, Vec<u8>),
    WebSocket(SplitStream<WebSocket>),
}

impl Dialect {
    pub(crate) async fn jackfield(port: u16) -> Result<Self> {
        let config = RelayConfig::new(&format!("ws://127.0.0.1:{port}/"))?.with_token(TOKEN)?;
        let (relay, connection) = Relay::over(Native, config);
        tokio::spawn(connection);
        relay.ready().await?;
        Ok(Self::Jackfield(relay))
    }

    pub(crate) async fn wisp(port: u16) -> Result<Self> {
        let socket = web_socket(port, None).await?;
        Ok(Self::Wisp(wisp::Session::open(socket).await?))
    }

    pub(crate) fn tcp(ports: Vec<(u16, u16)>) -> Self {
        Self::Tcp(ports)
    }

    pub(crate) fn websockify(ports: Vec<(u16, u16)>) -> Self {
        Self::Websockify(ports)
    }

    pub(crate) async fn connect(&mut self, target: u16) -> Result<(Sender, Receiver)> {
        let find = |ports: &[(u16, u16)]| {
            let found = ports.iter().find(|(to, _)| *to == target);
            found
                .map(|(_, port)| *port)
                .context("no relay to this target")
        };
        match self {
            Self::Jackfield(relay) => {
                let to = Endpoint::new(Ipv4Addr::LOCALHOST, target);
                let stream = relay.connect(&to, &TcpOptions::default()).await?;
                let (read, write) = tokio::io::split(stream);
                Ok((
                    Sender::Jackfield(write),
                    Receiver::Jackfield(read, vec![0; READ]),
                ))
            }
            Self::Wisp(session) => {
                let (sender, receiver) = session.connect(target).await?;
                Ok((Sender::Wisp(sender), Receiver::Chunks(receiver)))
            }
            Self::Tcp(ports) => {
                let stream = TcpStream::connect(("127.0.0.1", find(ports)?)).await?;
                stream.set_nodelay(true)?;
                let (read, write) = stream.into_split();
                Ok((Sender::Tcp(write), Receiver::Tcp(read, vec![0; READ])))
            }
            Self::Websockify(ports) => {
                let socket = web_socket(find(ports)?, Some("binary")).await?;
                let (sink, stream) = socket.split();
                Ok((Sender::WebSocket(sink), Receiver::WebSocket(stream)))
            }
        }
    }
}

impl Send for Sender {
    async fn send(&mut self, data: &[u8]) -> Result<()> {
        match self {
            Self::Jackfield(stream) => {
                stream.write_all(data).await?;
                Ok(stream.flush().await?)
            }
            Self::Wisp(sender) => sender.send(data).await,
            Self::Tcp(stream) => Ok(stream.write_all(data).await?),
            Self::WebSocket(sink) => Ok(sink.send(Message::binary(data.to_vec())).await?),
        }
    }
}

impl Receive for Receiver {
    async fn receive(&mut self) -> Result<usize> {
        let count = match self {
            Self::Jackfield(stream, buffer) => stream.read(buffer).await?,
            Self::Chunks(chunks) => chunks
                .recv()
                .await
                .context("the relay closed the stream")?
                .len(),
            Self::Tcp(stream, buffer) => stream.read(buffer).await?,
            Self::WebSocket(stream) => stream
                .next()
                .await
                .context("the WebSocket is closed")??
                .as_payload()
                .len(),
        };
        if count == 0 {
            bail!("the stream ended");
        }
        Ok(count)
    }
}

async fn web_socket(port: u16, protocol: Option<&'static str>) -> Result<WebSocket> {
    let uri = format!("ws://127.0.0.1:{port}/");
    let mut builder = ClientBuilder::new().uri(&uri)?.limits(Limits::unlimited());
    if let Some(protocol) = protocol {
        builder = builder.add_header("sec-websocket-protocol".try_into()?, protocol.try_into()?)?;
    }
    let (socket, _) = builder.connect().await?;
    let MaybeTlsStream::Plain(stream) = socket.get_ref();
    stream.set_nodelay(true)?;
    Ok(socket)
}
