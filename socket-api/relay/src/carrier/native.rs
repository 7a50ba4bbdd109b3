//! A WebSocket over any byte stream, with TLS where the address says so.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use futures_util::{Sink, Stream};
use http::{HeaderValue, StatusCode, header};
use jackfield_relay_wire::{MAX_MESSAGE, auth};
use jackfield_socket::{ByteStream, Error, ErrorKind, Result, TcpConnect, TcpOptions};
use jackfield_tls::{TlsConfig, TlsConnector};
use tokio_websockets::{ClientBuilder, Limits, Message, WebSocketStream};

use super::{Carrier, Connector};
use crate::RelayConfig;

/// Opens WebSockets over streams of this network.
pub(crate) fn connector(network: impl TcpConnect, config: &RelayConfig) -> Connector {
    let network = Arc::new(network);
    let config = config.clone();
    Box::new(move || {
        let (network, config) = (network.clone(), config.clone());
        Box::pin(async move {
            let to = &config.url.endpoint;
            let stream = network.connect(to, &TcpOptions::default()).await?;
            if config.url.secure {
                let tls = match config.tls.clone() {
                    Some(tls) => tls,
                    None => TlsConnector::new(TlsConfig::new())?,
                };
                shake_hands(tls.connect(stream, to.host()).await?, &config).await
            } else {
                shake_hands(stream, &config).await
            }
        })
    })
}

async fn shake_hands(stream: impl ByteStream, config: &RelayConfig) -> Result<Box<dyn Carrier>> {
    let host = config.url.host();
    let offered = config.subprotocols().join(", ");
    let mut offered = HeaderValue::try_from(offered)
        .map_err(|error| Error::new(ErrorKind::InvalidInput, error.to_string()))?;
    offered.set_sensitive(true);
    let (socket, response) = ClientBuilder::new()
        .uri(&config.url.text)
        .map_err(|error| {
            Error::new(
                ErrorKind::InvalidInput,
                format!("the relay's address is not a URL: {error}"),
            )
        })?
        .limits(Limits::default().max_payload_len(Some(MAX_MESSAGE)))
        .add_header(header::SEC_WEBSOCKET_PROTOCOL, offered)
        .map_err(failed)?
        .connect_on(stream)
        .await
        .map_err(|error| match error {
            tokio_websockets::Error::Upgrade(
                tokio_websockets::upgrade::Error::DidNotSwitchProtocols(status),
            ) => refused(host, status),
            tokio_websockets::Error::Upgrade(error) => Error::new(
                ErrorKind::Protocol,
                format!("what answers at {host} is no relay: {error}"),
            ),
            error => failed(error),
        })?;
    let selected = response.headers().get(header::SEC_WEBSOCKET_PROTOCOL);
    if selected.is_none_or(|selected| selected != auth::SUBPROTOCOL) {
        return Err(Error::new(
            ErrorKind::Protocol,
            format!(
                "what answers at {host} does not speak {}",
                auth::SUBPROTOCOL
            ),
        ));
    }
    Ok(Box::new(NativeCarrier(socket)))
}

/// A WebSocket over this stream.
#[derive(Debug)]
struct NativeCarrier<S>(WebSocketStream<S>);

impl<S: ByteStream> Carrier for NativeCarrier<S> {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.0).poll_ready(cx).map_err(failed)
    }

    fn send(&mut self, message: BytesMut) -> Result<()> {
        Pin::new(&mut self.0)
            .start_send(Message::binary(message))
            .map_err(failed)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx).map_err(failed)
    }

    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes>> {
        loop {
            let Some(message) = ready!(Pin::new(&mut self.0).poll_next(cx)) else {
                return Poll::Ready(Err(lost("it ended")));
            };
            let message = message.map_err(failed)?;
            if message.is_binary() {
                return Poll::Ready(Ok(message.into_payload().into()));
            }
            if let Some((code, _)) = message.as_close() {
                return Poll::Ready(Err(lost(&format!(
                    "the relay closed it with code {}",
                    u16::from(code)
                ))));
            }
            if message.is_text() {
                return Poll::Ready(Err(Error::new(
                    ErrorKind::Protocol,
                    "the relay sent a text message",
                )));
            }
            // Pings are answered below this.
        }
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll_close(cx).map(drop)
    }
}

fn refused(host: &jackfield_socket::Host, status: u16) -> Error {
    let kind = match status {
        401 | 403 => ErrorKind::Denied,
        408 | 504 => ErrorKind::TimedOut,
        429 | 503 => ErrorKind::LimitExceeded,
        _ => ErrorKind::Protocol,
    };
    let name = StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason())
        .unwrap_or("no name");
    Error::new(
        kind,
        format!("the relay at {host} refused the WebSocket: {status} {name}"),
    )
}

fn failed(error: tokio_websockets::Error) -> Error {
    match error {
        tokio_websockets::Error::Io(error) => Error::from(error),
        tokio_websockets::Error::AlreadyClosed => lost("it is closed"),
        error => Error::new(
            ErrorKind::Protocol,
            format!("the relay broke the WebSocket's rules: {error}"),
        ),
    }
}

fn lost(why: &str) -> Error {
    Error::new(
        ErrorKind::Reset,
        format!("the WebSocket to the relay is gone: {why}"),
    )
}
