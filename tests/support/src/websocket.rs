//! A WebSocket in front of a TCP server, on loopback.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use http::{HeaderValue, header};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_websockets::{CloseCode, Message, ServerBuilder, WebSocketStream};

/// How many bytes a message to the client holds at the most.
const MESSAGE: usize = 16 * 1024;

/// Carries the bytes of WebSockets' binary messages to a TCP server and back, as websockify does.
///
/// An end of either side is passed on as one, and a cut as a cut: to the client, by the close code
/// 1011.
#[derive(Debug)]
pub struct Bridge {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Bridge {
    /// Starts one to this server; it chooses this subprotocol, whatever a client offers.
    ///
    /// # Errors
    /// Where no port is free, or the subprotocol's name is not valid.
    pub async fn start(server: SocketAddr, subprotocol: Option<&str>) -> io::Result<Self> {
        let chosen = match subprotocol {
            Some(name) => Some(HeaderValue::try_from(name).map_err(io::Error::other)?),
            None => None,
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                connections.spawn(serve(client, server, chosen.clone()));
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self { address, task })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Why a connection was cut: whoever did it knows.
struct Cut;

async fn serve(client: TcpStream, server: SocketAddr, chosen: Option<HeaderValue>) {
    let _ = client.set_nodelay(true);
    let mut builder = ServerBuilder::new();
    if let Some(chosen) = chosen {
        let Ok(with) = builder.add_header(header::SEC_WEBSOCKET_PROTOCOL, chosen) else {
            return;
        };
        builder = with;
    }
    let Ok((_, client)) = builder.accept(client).await else {
        return;
    };
    let (mut sink, mut messages) = client.split();
    let Ok(mut server) = TcpStream::connect(server).await else {
        let _ = sink
            .send(Message::close(Some(CloseCode::INTERNAL_SERVER_ERROR), ""))
            .await;
        return;
    };
    let _ = server.set_nodelay(true);
    let (mut reader, mut writer) = server.split();
    let up = up(&mut messages, &mut writer);
    let down = down(&mut reader, &mut sink);
    if tokio::try_join!(up, down).is_err() {
        let _ = server.set_zero_linger();
    }
}

/// From the client to the server.
async fn up(
    messages: &mut SplitStream<WebSocketStream<TcpStream>>,
    server: &mut (impl AsyncWrite + Unpin),
) -> Result<(), Cut> {
    while let Some(Ok(message)) = messages.next().await {
        if message.is_binary() {
            server
                .write_all(message.as_payload())
                .await
                .map_err(|_| Cut)?;
        } else if let Some((code, _)) = message.as_close() {
            // This sends the answer.
            let _ = messages.next().await;
            if code != CloseCode::NORMAL_CLOSURE {
                return Err(Cut);
            }
            return server.shutdown().await.map_err(|_| Cut);
        } else if message.is_text() {
            return Err(Cut);
        }
    }
    Err(Cut)
}

/// From the server to the client. Once the client has closed, what the server still says goes
/// nowhere.
async fn down(
    server: &mut (impl AsyncRead + Unpin),
    client: &mut SplitSink<WebSocketStream<TcpStream>, Message>,
) -> Result<(), Cut> {
    let mut buffer = vec![0; MESSAGE];
    loop {
        match server.read(&mut buffer).await {
            Ok(0) => {
                let close = Message::close(Some(CloseCode::NORMAL_CLOSURE), "");
                let _ = client.send(close).await;
                return Ok(());
            }
            Ok(count) => {
                let _ = client.send(Message::binary(buffer[..count].to_vec())).await;
            }
            Err(_) => {
                let close = Message::close(Some(CloseCode::INTERNAL_SERVER_ERROR), "");
                let _ = client.send(close).await;
                return Err(Cut);
            }
        }
    }
}
