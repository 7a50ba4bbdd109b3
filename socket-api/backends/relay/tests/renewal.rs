//! A token that follows within a WebSocket: when it is asked for, and what becomes of what is open; against a relay
//! that is a multiplexer behind a WebSocket, with time in the test's hand.

use std::future::{pending, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use futures_util::{Sink as _, Stream as _};
use jackfield_relay::{Code, Reason, Relay, RelayConfig, RelayStream};
use jackfield_relay_wire::{Chunk, Config, Event, Mux, Read, Role, auth};
use jackfield_sim::{Network, SimStream};
use jackfield_socket::{
    Error, ErrorKind, ListenOptions, Result, TcpConnect as _, TcpListen as _, TcpListener as _,
    TcpOptions, time,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_websockets::{Message, ServerBuilder};

/// What the relay answers to a token: how many seconds it is good, why it is refused, or nothing.
type Answer = Option<std::result::Result<u64, Code>>;

/// A relay, and what is asked of whoever gives the tokens.
#[derive(Clone)]
struct World {
    /// How long each WebSocket's first token is good; `None` is a relay that takes no others.
    first: Option<Duration>,
    /// What it answers to those that follow, by their texts.
    judge: fn(&str) -> Answer,
    begin: time::Instant,
    /// When a token was asked for, in seconds since the beginning.
    asked: Arc<Mutex<Vec<u64>>>,
    /// Which tokens the relay was shown in a handshake.
    shown: Arc<Mutex<Vec<String>>>,
}

impl World {
    /// Where the first tokens are so many seconds good.
    fn new(first: u64, judge: fn(&str) -> Answer) -> Self {
        Self {
            first: Some(Duration::from_secs(first)),
            judge,
            begin: time::now(),
            asked: Arc::default(),
            shown: Arc::default(),
        }
    }

    /// The way over it, with the tokens that this gives, counted from 1.
    async fn start<F>(&self, give: impl Fn(usize) -> F + Send + Sync + 'static) -> Relay
    where
        F: Future<Output = Result<String>> + Send + 'static,
    {
        let network = Network::new(1);
        let page = network.host("page.example", ["192.0.2.1".parse().unwrap()]);
        let relay = network.host("relay.example", ["192.0.2.2".parse().unwrap()]);
        let at = "192.0.2.2:80".parse().unwrap();
        let mut listener = relay.listen(at, &ListenOptions::default()).await.unwrap();
        let world = self.clone();
        tokio::spawn(async move {
            loop {
                let stream = listener.accept().await.unwrap();
                tokio::spawn(world.clone().serve(stream));
            }
        });
        let (begin, asked) = (self.begin, Arc::clone(&self.asked));
        let ask = move || {
            let mut asked = asked.lock().unwrap();
            asked.push((time::now() - begin).as_secs());
            give(asked.len())
        };
        let config = RelayConfig::new("ws://relay.example/").unwrap();
        let (relay, connection) = Relay::over(page, config.with_token_from(ask));
        tokio::spawn(connection);
        relay
    }

    async fn serve(self, stream: SimStream) {
        let protocol = http::HeaderValue::from_static(auth::SUBPROTOCOL);
        let (request, mut socket) = ServerBuilder::new()
            .add_header(http::header::SEC_WEBSOCKET_PROTOCOL, protocol)
            .unwrap()
            .accept(stream)
            .await
            .unwrap();
        let offered = request.headers()[http::header::SEC_WEBSOCKET_PROTOCOL].to_str();
        let token = offered.unwrap().split(", ").find_map(auth::token).unwrap();
        self.shown.lock().unwrap().push(token);
        let mut config = Config::default();
        config.settings.token_left = self.first;
        let mut mux = Mux::new(Role::Relay, config, time::now());
        let first = self.first.unwrap_or(Duration::from_mins(10));
        let mut end = pin!(tokio::time::sleep(first));
        poll_fn(|cx| {
            if mux.closed().is_none() && end.as_mut().poll(cx).is_ready() {
                mux.shut_down(&Reason::new(Code::TOKEN_EXPIRED, "the token has expired"));
            }
            loop {
                let mut moved = false;
                if Pin::new(&mut socket).poll_ready(cx).is_ready()
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
                    moved = true;
                    match event {
                        Event::Connect { id, .. } => {
                            mux.accept(id, None, None).unwrap();
                            assert_eq!(mux.read(id), Ok(Read::Pending));
                        }
                        Event::Readable(id) => {
                            if let Ok(Read::Data(data)) = mux.read(id) {
                                mux.consume(id, data.len());
                                mux.send(id, Chunk::from(&*data)).unwrap();
                                let _ = mux.read(id);
                            }
                        }
                        Event::Token(token) => match (self.judge)(token.as_str()) {
                            Some(Ok(seconds)) => {
                                let left = Duration::from_secs(seconds);
                                end.as_mut().reset(tokio::time::Instant::now() + left);
                                mux.take_token(left);
                            }
                            Some(Err(code)) => mux.refuse_token(Reason::new(code, "")),
                            None => {}
                        },
                        _ => {}
                    }
                }
                let _ = Pin::new(&mut socket).poll_flush(cx);
                if !moved {
                    return Poll::Pending;
                }
            }
        })
        .await;
    }

    fn asked(&self) -> Vec<u64> {
        self.asked.lock().unwrap().clone()
    }

    fn shown(&self) -> Vec<String> {
        self.shown.lock().unwrap().clone()
    }
}

async fn numbered(nth: usize) -> Result<String> {
    Ok(format!("token {nth}"))
}

async fn open(relay: &Relay) -> RelayStream {
    let to = "echo.example:7".parse().unwrap();
    relay.connect(&to, &TcpOptions::default()).await.unwrap()
}

async fn echoes(stream: &mut RelayStream) {
    stream.write_all(b"hello").await.unwrap();
    stream.flush().await.unwrap();
    let mut back = [0; 5];
    stream.read_exact(&mut back).await.unwrap();
    assert_eq!(&back, b"hello");
}

/// That what is open ends with its token; and after how many seconds.
async fn ends(world: &World, stream: &mut RelayStream) -> u64 {
    let error = Error::from(stream.read(&mut [0]).await.unwrap_err());
    assert_eq!(error.kind(), ErrorKind::Reset, "{error}");
    let reason = Reason::find(&error).expect("the relay's word");
    assert_eq!(reason.code(), Code::TOKEN_EXPIRED);
    (time::now() - world.begin).as_secs()
}

async fn pass(minutes: u64) {
    time::sleep(Duration::from_mins(minutes)).await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_outlives_its_tokens() {
    let world = World::new(600, |_| Some(Ok(600)));
    let relay = world.start(numbered).await;
    let mut stream = open(&relay).await;
    for _ in 0..6 {
        pass(6).await;
        echoes(&mut stream).await;
    }
    assert_eq!(world.asked(), [0, 480, 960, 1440, 1920]);
    assert_eq!(world.shown(), ["token 1"], "there is one WebSocket");
}

/// The time that is left is halved where it is short, and no relay has it asked for more often than this.
#[tokio::test(start_paused = true)]
async fn short_tokens_are_followed_in_time_and_not_faster_than_that() {
    let world = World::new(20, |_| Some(Ok(8)));
    let relay = world.start(numbered).await;
    let mut stream = open(&relay).await;
    time::sleep(Duration::from_secs(31)).await;
    echoes(&mut stream).await;
    assert_eq!(world.asked(), [0, 10, 15, 20, 25, 30]);
    let world = World::new(0, |_| Some(Ok(0)));
    let relay = world.start(numbered).await;
    let _ = relay
        .connect(&"echo.example:7".parse().unwrap(), &TcpOptions::default())
        .await;
    pass(60).await;
    assert!(world.asked().len() <= 5, "{:?}", world.asked());
}

#[tokio::test(start_paused = true)]
async fn a_relay_that_never_answers_is_asked_once() {
    let world = World::new(600, |_| None);
    let relay = world.start(numbered).await;
    let mut stream = open(&relay).await;
    assert_eq!(ends(&world, &mut stream).await, 600);
    assert_eq!(world.asked(), [0, 480]);
    // Afterwards all is as it was without.
    echoes(&mut open(&relay).await).await;
    assert_eq!(world.asked(), [0, 480, 600]);
    assert_eq!(world.shown(), ["token 1", "token 3"]);
}

#[tokio::test(start_paused = true)]
async fn an_older_relay_is_sent_none() {
    let mut world = World::new(600, |_| panic!("it knows no such frame"));
    world.first = None;
    let relay = world.start(numbered).await;
    let mut stream = open(&relay).await;
    assert_eq!(ends(&world, &mut stream).await, 600);
    assert_eq!(world.asked(), [0]);
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_is_tried_again_until_the_end() {
    let world = World::new(600, |token| {
        Some(match token {
            "token 4" => Ok(600),
            _ => Err(Code::TOKEN_UNKNOWN),
        })
    });
    let relay = world.start(numbered).await;
    let mut stream = open(&relay).await;
    pass(15).await;
    echoes(&mut stream).await;
    assert_eq!(world.asked()[..4], [0, 480, 485, 490]);
    // The next ones, from 8 min after the good one on, are refused; every 5 s.
    assert_eq!(ends(&world, &mut stream).await, 1090);
    let asked = world.asked();
    assert_eq!(asked[4..6], [970, 975]);
    assert_eq!(asked.len(), 4 + 24, "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn whoever_is_refused_for_good_asks_no_more() {
    let world = World::new(600, |_| Some(Err(Code::DENIED)));
    let relay = world.start(numbered).await;
    let mut stream = open(&relay).await;
    assert_eq!(ends(&world, &mut stream).await, 600);
    assert_eq!(world.asked(), [0, 480]);

    let world = World::new(600, |_| Some(Ok(600)));
    let give = |nth| async move {
        match nth {
            1 => numbered(nth).await,
            _ => Err(Error::new(ErrorKind::Denied, "nobody is logged in")),
        }
    };
    let relay = world.start(give).await;
    let mut stream = open(&relay).await;
    assert_eq!(ends(&world, &mut stream).await, 600);
    assert_eq!(world.asked(), [0, 480]);
}

#[tokio::test(start_paused = true)]
async fn whoever_gives_none_is_asked_again() {
    let world = World::new(600, |token| {
        assert_eq!(token, "token 5");
        Some(Ok(600))
    });
    let relay = world
        .start(|nth| async move {
            match nth {
                2 => pending().await,
                3 => Ok(String::new()),
                4 => Err(Error::new(ErrorKind::Other, "the back end is not well")),
                _ => numbered(nth).await,
            }
        })
        .await;
    let mut stream = open(&relay).await;
    pass(15).await;
    echoes(&mut stream).await;
    // What gives no answer has 10 s for it, as at an opening.
    assert_eq!(world.asked(), [0, 480, 495, 500, 505]);
}

#[tokio::test(start_paused = true)]
async fn none_is_asked_for_while_nothing_is_open() {
    let world = World::new(600, |_| Some(Ok(600)));
    let relay = world.start(numbered).await;
    relay.ready().await.unwrap();
    pass(9).await;
    assert_eq!(world.asked(), [0]);
    let mut stream = open(&relay).await;
    pass(5).await;
    echoes(&mut stream).await;
    assert_eq!(world.asked(), [0, 540]);
    assert_eq!(world.shown(), ["token 1"]);
}
