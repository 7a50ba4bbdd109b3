//! The interface that loads every relay alike: open a stream, send, receive.

use std::net::Ipv4Addr;

use anyhow::{Context as _, Result, bail};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use jackfield_native::Native;
use jackfield_relay::{Relay, RelayConfig, RelayStream};
use jackfield_socket::{Endpoint, TcpConnect as _, TcpOptions, UdpOpen as _, UdpOptions};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio_websockets::{
    ClientBuilder, CloseCode, Limits, MaybeTlsStream, Message, WebSocketStream,
};

use super::datagrams::Socket;
use super::servers::TOKEN;
use super::wisp;
use crate::child::Running;

pub(crate) type WebSocket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// What one read takes at the most.
const READ: usize = 64 * 1024;

pub(crate) enum Dialect {
    Jackfield(Relay),
    Wisp(wisp::Session),
    /// A port of the relay for each target's port; of a client of the relay's, where it comes with one.
    Tcp {
        ports: Vec<(u16, u16)>,
        _client: Option<Running>,
    },
    Websockify(Vec<(u16, u16)>),
}

pub(crate) trait Send {
    async fn send(&mut self, data: &[u8]) -> Result<()>;
    /// Ends this direction; both, where there is no way to end one.
    async fn end(&mut self) -> Result<()>;
}

pub(crate) trait Receive {
    /// What comes next.
    async fn part(&mut self) -> Part;

    /// How many bytes came; the end is an error here, since no target ends.
    async fn receive(&mut self) -> Result<usize> {
        match self.part().await {
            Part::Bytes(count) => Ok(count),
            Part::End => bail!("the stream ended"),
            Part::Cut => bail!("the stream was cut"),
        }
    }
}

/// What comes of a stream.
pub(crate) enum Part {
    /// So many bytes.
    Bytes(usize),
    /// Its end, in order.
    End,
    /// An error in place of it.
    Cut,
}

pub(crate) enum Sender {
    Jackfield(WriteHalf<RelayStream>),
    Wisp(wisp::Sender),
    Tcp(OwnedWriteHalf),
    WebSocket(SplitSink<WebSocket, Message>),
}

pub(crate) enum Receiver {
    Jackfield(ReadHalf<RelayStream>, Vec<u8>),
    Packets(mpsc::Receiver<wisp::Packet>),
    Tcp(OwnedReadHalf, Vec<u8>),
    WebSocket(SplitStream<WebSocket>),
}

impl Dialect {
    pub(crate) async fn jackfield(port: u16) -> Result<Self> {
        let url = format!("ws://127.0.0.1:{port}/");
        let mut config = RelayConfig::new(&url)?.with_token(TOKEN)?;
        config.max_open = 12_000;
        let (relay, connection) = Relay::over(Native, config);
        tokio::spawn(connection);
        relay.ready().await?;
        Ok(Self::Jackfield(relay))
    }

    pub(crate) async fn wisp(port: u16) -> Result<Self> {
        let socket = web_socket(port, None).await?;
        Ok(Self::Wisp(wisp::Session::begin(socket).await?))
    }

    pub(crate) fn tcp(ports: Vec<(u16, u16)>) -> Self {
        Self::Tcp {
            ports,
            _client: None,
        }
    }

    /// Ports of a client that is a process of its own, and ends with this value.
    pub(crate) fn through(client: Running, ports: Vec<(u16, u16)>) -> Self {
        Self::Tcp {
            ports,
            _client: Some(client),
        }
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
                Ok((Sender::Wisp(sender), Receiver::Packets(receiver)))
            }
            Self::Tcp { ports, .. } => {
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

impl Dialect {
    /// A UDP socket of this port's.
    pub(crate) async fn datagrams(&mut self, target: u16) -> Result<Socket> {
        match self {
            Self::Jackfield(relay) => {
                let to = Endpoint::new(Ipv4Addr::LOCALHOST, target);
                let socket = relay.open_connected(&to, &UdpOptions::default()).await?;
                Ok(Socket::Jackfield(socket))
            }
            Self::Wisp(session) => {
                let (sender, packets) = session.datagrams(target).await?;
                Ok(Socket::Wisp(sender, packets))
            }
            Self::Tcp { .. } | Self::Websockify(_) => bail!("it carries no datagrams"),
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

    async fn end(&mut self) -> Result<()> {
        match self {
            Self::Jackfield(stream) => Ok(stream.shutdown().await?),
            Self::Wisp(sender) => sender.end().await,
            Self::Tcp(stream) => Ok(stream.shutdown().await?),
            Self::WebSocket(sink) => Ok(sink.close().await?),
        }
    }
}

impl Receive for Receiver {
    async fn part(&mut self) -> Part {
        let read = match self {
            Self::Jackfield(stream, buffer) => stream.read(buffer).await,
            Self::Tcp(stream, buffer) => stream.read(buffer).await,
            Self::Packets(packets) => {
                return match packets.recv().await {
                    Some(wisp::Packet::Data(data)) => Part::Bytes(data.len()),
                    Some(wisp::Packet::Closed { in_order: true }) => Part::End,
                    Some(wisp::Packet::Closed { in_order: false }) | None => Part::Cut,
                };
            }
            Self::WebSocket(stream) => {
                return match stream.next().await {
                    Some(Ok(message)) => match message.as_close() {
                        Some((CloseCode::NORMAL_CLOSURE, _)) => Part::End,
                        Some(_) => Part::Cut,
                        None => Part::Bytes(message.as_payload().len()),
                    },
                    Some(Err(_)) | None => Part::Cut,
                };
            }
        };
        match read {
            Ok(0) => Part::End,
            Ok(count) => Part::Bytes(count),
            Err(_) => Part::Cut,
        }
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
