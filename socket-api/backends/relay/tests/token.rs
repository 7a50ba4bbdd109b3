//! A token that a function gives: asked once for each opening, and a fresh one when its time is over; against
//! a relay that is a multiplexer behind a WebSocket and nothing else.

use std::future::{pending, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use futures_util::{Sink as _, Stream as _};
use jackfield_native::Native;
use jackfield_relay::{Code, Reason, Relay, RelayConfig};
use jackfield_relay_wire::{Capabilities, Config, Event, Mux, Role, auth};
use jackfield_socket::{
    Endpoint, Error, ErrorKind, Place, Result, TcpConnect as _, TcpOptions, time,
};
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_websockets::{Message, ServerBuilder};

/// To whoever connects to this port, the relay says that the token's time is over.
const ENDS: u16 = 1;

/// What a test knows of the relay.
#[derive(Clone)]
struct Seen {
    /// The tokens that it was shown, in order.
    tokens: Arc<Mutex<Vec<String>>>,
    /// How many WebSockets' tokens are over.
    over: watch::Sender<usize>,
}

impl Seen {
    fn tokens(&self) -> Vec<String> {
        self.tokens.lock().unwrap().clone()
    }
}

/// A relay, and where it is. A token that begins with `late` it takes for one that is over.
async fn start() -> (String, Seen) {
    let seen = Seen {
        tokens: Arc::default(),
        over: watch::Sender::new(0),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let theirs = seen.clone();
    tokio::spawn(async move {
        for nth in 0.. {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(serve(stream, nth, theirs.clone()));
        }
    });
    (format!("ws://{address}/"), seen)
}

async fn serve(stream: TcpStream, nth: usize, seen: Seen) {
    let protocol = http::HeaderValue::from_static(auth::SUBPROTOCOL);
    let (request, mut socket) = ServerBuilder::new()
        .add_header(http::header::SEC_WEBSOCKET_PROTOCOL, protocol)
        .unwrap()
        .accept(stream)
        .await
        .unwrap();
    let offered = request.headers()[http::header::SEC_WEBSOCKET_PROTOCOL].to_str();
    let token = offered.unwrap().split(", ").find_map(auth::token).unwrap();
    seen.tokens.lock().unwrap().push(token.clone());
    let is_late = token.starts_with("late");
    let mut over = seen.over.subscribe();
    let mut over = Box::pin(async move { over.wait_for(|over| *over > nth).await.map(|_| ()) });
    let mut config = Config::default();
    config.settings.capabilities = Capabilities::CONNECT;
    let mut mux = Mux::new(Role::Relay, config, time::now());
    let ended = Reason::new(Code::TOKEN_EXPIRED, "the token has expired");
    if is_late {
        // In place of a greeting, as a relay says whom it doesn't let in.
        let code = Code::TOKEN_EXPIRED.close_code();
        let code = tokio_websockets::CloseCode::try_from(code).unwrap();
        let close = Message::close(Some(code), ended.text());
        let _ = futures_util::SinkExt::send(&mut socket, close).await;
    }
    poll_fn(|cx| {
        if !is_late && over.as_mut().poll(cx).is_ready() && mux.closed().is_none() {
            mux.shut_down(&ended);
        }
        loop {
            let mut moved = false;
            if !is_late
                && Pin::new(&mut socket).poll_ready(cx).is_ready()
                && let Some(message) = mux.transmit()
            {
                let _ = Pin::new(&mut socket).start_send(Message::binary(message));
                moved = true;
            }
            match Pin::new(&mut socket).poll_next(cx) {
                Poll::Ready(Some(Ok(message))) => {
                    if message.is_binary() {
                        mux.receive(time::now(), message.into_payload().into());
                    }
                    moved = true;
                }
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => {}
            }
            while let Some(event) = mux.poll_event() {
                match event {
                    Event::Connect { to, .. } if to.port() == ENDS && nth == 0 => {
                        mux.shut_down(&ended);
                    }
                    Event::Connect { id, .. } => mux.accept(id, None, None).unwrap(),
                    _ => {}
                }
                moved = true;
            }
            let _ = Pin::new(&mut socket).poll_flush(cx);
            if !moved {
                return Poll::Pending;
            }
        }
    })
    .await;
}

/// A way over it, with the tokens that this function gives for each opening, counted from 1.
fn relay<F>(url: &str, give: impl Fn(usize) -> F + Send + Sync + 'static) -> Relay
where
    F: Future<Output = Result<String>> + Send + 'static,
{
    let asked = AtomicUsize::new(0);
    let ask = move || give(asked.fetch_add(1, Ordering::SeqCst) + 1);
    let config = RelayConfig::new(url).unwrap().with_token_from(ask);
    let (relay, connection) = Relay::over(Native, config);
    tokio::spawn(connection);
    relay
}

async fn numbered(nth: usize) -> Result<String> {
    Ok(format!("token {nth}"))
}

fn host(port: u16) -> Endpoint {
    format!("echo.example:{port}").parse().unwrap()
}

#[tokio::test]
async fn it_is_asked_when_something_is_opened_and_once_for_all_that_waits() {
    let (url, seen) = start().await;
    let relay = relay(&url, numbered);
    let options = TcpOptions::default();
    let [a, b, c] = [7, 8, 9].map(host);
    let opened = tokio::join!(
        relay.connect(&a, &options),
        relay.connect(&b, &options),
        relay.connect(&c, &options)
    );
    opened.0.unwrap();
    opened.1.unwrap();
    opened.2.unwrap();
    relay.ready().await.unwrap();
    assert_eq!(seen.tokens(), ["token 1"]);
}

#[tokio::test]
async fn a_token_whose_time_is_over_is_followed_by_a_fresh_one() {
    let (url, seen) = start().await;
    let relay = relay(&url, numbered);
    let options = TcpOptions::default();
    let mut stream = relay.connect(&host(7), &options).await.unwrap();
    seen.over.send_replace(1);
    let error = Error::from(stream.read(&mut [0]).await.unwrap_err());
    // A client connects again after such an error.
    let found = (error.kind(), error.place());
    assert_eq!(found, (ErrorKind::Reset, Place::Relay), "{error}");
    let reason = Reason::find(&error).expect("the relay's word");
    assert_eq!(reason.code(), Code::TOKEN_EXPIRED);
    relay.connect(&host(7), &options).await.unwrap();
    assert_eq!(seen.tokens(), ["token 1", "token 2"]);
}

#[tokio::test]
async fn what_is_opened_in_that_moment_moves() {
    let (url, seen) = start().await;
    let relay = relay(&url, numbered);
    let options = TcpOptions::default();
    relay.connect(&host(ENDS), &options).await.unwrap();
    assert_eq!(seen.tokens(), ["token 1", "token 2"]);
}

/// Between being made and being shown, a token may have become too old: that is no refusal for good, and what
/// is opened next asks again, at a moment of its own.
#[tokio::test]
async fn one_that_comes_too_late_is_asked_for_again_by_the_next_attempt() {
    let (url, seen) = start().await;
    let late = |nth| async move { Ok(format!("late {nth}").replace("late 2", "token 2")) };
    let relay = relay(&url, late);
    let error = relay.ready().await.unwrap_err();
    let found = (error.kind(), error.place());
    assert_eq!(found, (ErrorKind::Reset, Place::Relay), "{error}");
    assert_eq!(seen.tokens(), ["late 1"]);
    relay.ready().await.unwrap();
    assert_eq!(seen.tokens(), ["late 1", "token 2"]);
}

#[tokio::test]
async fn where_it_fails_what_waits_fails_alike_and_the_next_asks_again() {
    let (url, seen) = start().await;
    let relay = relay(&url, |nth| async move {
        match nth {
            1 => Err(Error::new(ErrorKind::Denied, "nobody is logged in")),
            2 => Ok(String::new()),
            3 => Ok("x".repeat(auth::MAX_TOKEN + 1)),
            _ => numbered(nth).await,
        }
    });
    let (one, other) = tokio::join!(relay.ready(), relay.ready());
    for error in [one.unwrap_err(), other.unwrap_err()] {
        assert_eq!(error.to_string(), "nobody is logged in");
        assert_eq!(
            (error.kind(), error.place()),
            (ErrorKind::Denied, Place::Here)
        );
    }
    for _ in 0..2 {
        let error = relay.ready().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(error.to_string(), "a token has 1 to 4096 bytes");
    }
    relay.ready().await.unwrap();
    assert_eq!(seen.tokens(), ["token 4"]);
}

#[tokio::test(start_paused = true)]
async fn one_that_never_answers_is_not_waited_for_beyond_the_openings_time() {
    let relay = relay("ws://127.0.0.1:9/", |_| pending());
    let error = relay.ready().await.unwrap_err();
    assert_eq!(
        (error.kind(), error.place()),
        (ErrorKind::TimedOut, Place::Here)
    );
    assert_eq!(
        error.to_string(),
        "whoever gives the token for the relay at 127.0.0.1 did not answer within 10 s"
    );
}

#[tokio::test]
async fn whoever_goes_meanwhile_is_not_held_up() {
    let (asked, mut is_asked) = watch::channel(false);
    let config = RelayConfig::new("ws://127.0.0.1:9/").unwrap();
    let config = config.with_token_from(move || {
        asked.send_replace(true);
        pending()
    });
    let (relay, connection) = Relay::over(Native, config);
    let connection = tokio::spawn(connection);
    let waiting = tokio::spawn(async move { relay.ready().await });
    is_asked.wait_for(|asked| *asked).await.unwrap();
    waiting.abort();
    let ended = tokio::time::timeout(Duration::from_secs(5), connection).await;
    ended.expect("in time").expect("in order");
}
