//! The carrier of a relay's messages: one WebSocket, natively or the page's own.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use jackfield_relay_wire::{Code, MAX_MESSAGE, Reason, auth};
#[cfg(not(wasm_browser))]
use jackfield_socket::{AnyStream, TcpConnect, TcpOptions};
use jackfield_socket::{Error, ErrorKind, Place, Result, time};
#[cfg(not(wasm_browser))]
use jackfield_tls::{TlsConfig, TlsConnector};
use jackfield_websocket::{WebSocket, WebSocketOptions};

use crate::RelayConfig;
use crate::renewal::Renewal;
use crate::session::Session;

/// How many messages are moved each way before other tasks have a turn.
const BATCH: usize = 16;

pub(crate) type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;
/// Opens WebSockets, with this token.
pub(crate) type Connector =
    Arc<dyn Fn(Option<String>) -> BoxFuture<Result<WebSocket>> + Send + Sync>;

/// Opens WebSockets over streams of this network, with TLS where the address says so.
#[cfg(not(wasm_browser))]
pub(crate) fn connector(network: impl TcpConnect, config: &RelayConfig) -> Connector {
    let network = Arc::new(network);
    let config = config.clone();
    Arc::new(move |token| {
        let (network, config) = (network.clone(), config.clone());
        Box::pin(async move {
            let to = config.url.endpoint();
            let stream = network.connect(to, &TcpOptions::default()).await?;
            let stream = if config.url.is_secure() {
                let tls = match config.tls.clone() {
                    Some(tls) => tls,
                    None => TlsConnector::new(TlsConfig::new())?,
                };
                AnyStream::new(tls.connect(stream, to.host()).await?)
            } else {
                AnyStream::new(stream)
            };
            let options = options(token.as_deref());
            WebSocket::over(stream, &config.url, &options).await
        })
    })
}

/// Opens WebSockets in the page.
#[cfg(wasm_browser)]
pub(crate) fn connector(config: &RelayConfig) -> Connector {
    let config = config.clone();
    Arc::new(move |token| {
        let options = options(token.as_deref());
        Box::pin(WebSocket::open(&config.url, &options))
    })
}

/// How a WebSocket is opened, with this token.
fn options(token: Option<&str>) -> WebSocketOptions {
    let mut options = WebSocketOptions::new().with_subprotocol(auth::SUBPROTOCOL);
    options
        .offered_beside
        .extend(token.map(auth::token_subprotocol));
    options.max_message = MAX_MESSAGE;
    options
}

/// Opens a WebSocket and moves a session's messages until it is over, or `idle` says that nobody
/// needs it any more.
pub(crate) async fn carry(
    connector: Connector,
    session: Arc<Session>,
    config: RelayConfig,
    idle: impl Fn(&Session) -> bool + Unpin,
) {
    let opened = {
        let not_before = session.look(|state| state.not_before);
        let mut opening = pin!(async {
            if let Some(at) = not_before {
                time::sleep_until(at).await;
            }
            open(&connector, &config).await
        });
        poll_fn(|cx| {
            // Whoever closes the last handle meanwhile wakes this.
            session.look(|state| state.driver = Some(cx.waker().clone()));
            if idle(&session) {
                return Poll::Ready(None);
            }
            opening.as_mut().poll(cx).map(Some)
        })
        .await
    };
    let mut carrier = match opened {
        None => return session.fail(Error::new(ErrorKind::Closed, "the relay was closed")),
        Some(Ok(carrier)) => carrier,
        Some(Err(error)) => return session.fail(error),
    };
    let mut timer = time::sleep_until(time::now());
    let mut renewal = config.is_renewed().then(|| Renewal::new(config.clone()));
    let moved = poll_fn(|cx| {
        let moved = move_messages(&session, &mut carrier, &mut timer, cx);
        if let Poll::Ready(Err(_)) = moved {
            // Whatever failed, the relay's last word may be here already: it says why.
            while let Poll::Ready(Ok(Some(message))) = carrier.poll_receive(cx) {
                session.act(|state| state.mux.receive(time::now(), message));
            }
        }
        if let Some(renewal) = &mut renewal
            && moved.is_pending()
        {
            renewal.poll(&session, cx);
        }
        match moved {
            Poll::Pending if idle(&session) => Poll::Ready(Ok(())),
            moved => moved,
        }
    })
    .await;
    if let Err(error) = moved {
        let said = refusal(&carrier);
        let said = said.map(|reason| session.look(|state| state.said(&reason)));
        session.fail(said.unwrap_or(error));
    }
    // The last word, a GOAWAY among others, and the close; natively its answer is waited for, so
    // that nothing of it is lost.
    let closing = poll_fn(|cx| {
        while let Some(message) = session.act(|state| state.mux.transmit()) {
            if carrier.send(message).is_err() {
                break;
            }
        }
        ready!(carrier.poll_close(cx))?;
        while ready!(carrier.poll_receive(cx))?.is_some() {}
        Poll::Ready(Ok::<_, Error>(()))
    });
    let _ = time::timeout(config.handshake_timeout, closing).await;
    session.fail(Error::new(ErrorKind::Closed, "the relay was closed"));
}

/// Opens a WebSocket, with a token where there is one.
async fn open(connector: &Connector, config: &RelayConfig) -> Result<WebSocket> {
    let host = config.url.endpoint().host();
    let limit = config.handshake_timeout;
    let late = |who| {
        let limit = time::seconds(limit);
        let text = format!("{who} at {host} did not answer within {limit}");
        Error::new(ErrorKind::TimedOut, text)
    };
    let until = time::now() + limit;
    let token = time::timeout(limit, config.token()).await;
    let token =
        token.map_err(|_| late("whoever gives the token for the relay").at(Place::Here))??;
    let left = until.saturating_duration_since(time::now());
    match time::timeout(left, connector(token)).await {
        Ok(opened) => opened.map_err(|error| error.retold(format!("the relay at {host}: {error}"))),
        Err(_) => Err(late("the relay")),
    }
}

/// What the relay said by the code with which it has closed the WebSocket, where it said nothing else.
fn refusal(carrier: &WebSocket) -> Option<Reason> {
    let (code, text) = carrier.peer_close()?;
    let code = Code::from_close_code(code).filter(|code| *code != Code::CLOSED)?;
    Some(Reason::new(code, &text))
}

/// Moves messages both ways, until neither way has one or the session is over.
fn move_messages(
    session: &Session,
    carrier: &mut WebSocket,
    timer: &mut time::Sleep,
    cx: &mut Context<'_>,
) -> Poll<Result<()>> {
    // What is done here needs no other turn of this task.
    session.look(|state| state.driver = None);
    let mut moved = 0;
    let mut writable = true;
    let mut moving = true;
    while moving && moved < BATCH {
        moving = false;
        writable = carrier.poll_ready(cx)?.is_ready();
        if writable && let Some(message) = session.act(|state| state.mux.transmit()) {
            carrier.send(message)?;
            moving = true;
            moved += 1;
        }
        if let Poll::Ready(message) = carrier.poll_receive(cx)? {
            // In order or not: the relay says in a message of its own that it is going.
            let message = message.ok_or_else(|| {
                Error::new(ErrorKind::Reset, "the relay has closed the WebSocket")
            })?;
            session.act(|state| state.mux.receive(time::now(), message));
            moving = true;
            moved += 1;
        }
    }
    // Whether it is ready shows in `poll_ready`.
    let _ = carrier.poll_flush(cx)?;
    if let Some(deadline) = session.act(|state| state.mux.deadline()) {
        timer.reset(deadline);
        if Pin::new(timer).poll(cx).is_ready() {
            session.act(|state| state.mux.handle_deadline(time::now()));
            moving = true;
        }
    }
    session.look(|state| {
        if state.mux.closed().is_some() {
            return Poll::Ready(Ok(()));
        }
        if moving || (writable && state.mux.wants_transmit()) {
            cx.waker().wake_by_ref();
        }
        state.driver = Some(cx.waker().clone());
        Poll::Pending
    })
}
