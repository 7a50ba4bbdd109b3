//! The pool: who sends over which connection and when, and that nothing is lost or sent twice on the way.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jackfield_client::ConnectionError;
use jackfield_sasl::Credentials;
use jackfield_sim::{Network, SimHost, SimListener};
use jackfield_smtp::client::{
    ClientEvent, Pool, PoolConfig, PoolEvent, PoolEvents, Rate, connect_pool,
};
use jackfield_smtp::core::{Event, Outcome, Security};
use jackfield_smtp::{LoginError, RequestError, SessionError};
use jackfield_socket::{ByteStream, ListenOptions, TcpConnect, TcpListen, TcpListener as _, time};
use jackfield_tls::{Tls, TlsAcceptor};
use tokio::task::JoinHandle;

use crate::server::Server;
use crate::{config, envelope, tls};

struct World {
    pool: Pool,
    events: PoolEvents,
    connection: JoinHandle<Result<(), jackfield_smtp::client::ConnectionError>>,
    listener: SimListener,
}

fn two() -> PoolConfig {
    let mut config = PoolConfig::new(config());
    config.connections = 2;
    config
}

async fn world(config: PoolConfig) -> World {
    over(config, |here| here).await
}

async fn over<N: TcpConnect>(config: PoolConfig, wrap: impl FnOnce(SimHost) -> N) -> World {
    let network = Network::new(7);
    let here = network.host("here.example", ["192.0.2.1".parse().expect("an address")]);
    let there = network.host("mail.example", ["192.0.2.2".parse().expect("an address")]);
    let server = "mail.example:25".parse().expect("an endpoint");
    let (pool, events, connection) = connect_pool(wrap(here), server, config);
    let at = "192.0.2.2:25".parse().expect("an address");
    let listener = there.listen(at, &ListenOptions::default()).await;
    World {
        pool,
        events,
        connection: tokio::spawn(connection),
        listener: listener.expect("a listener"),
    }
}

type Sent = JoinHandle<Result<Outcome, RequestError>>;

impl World {
    async fn server(&mut self) -> Server<impl ByteStream + use<>> {
        let stream = self.listener.accept().await.expect("a connection");
        let mut server = Server::new(stream);
        server.greet("").await;
        server
    }

    /// The same over TLS.
    async fn secured(
        &mut self,
        acceptor: &TlsAcceptor,
        capabilities: &str,
    ) -> Server<impl ByteStream + use<>> {
        let stream = self.listener.accept().await.expect("a connection");
        let stream = acceptor.accept(stream).await.expect("secured");
        let mut server = Server::new(stream);
        server.greet(capabilities).await;
        server
    }

    async fn send(&self, content: impl Into<String>) -> Sent {
        send(&self.pool, content).await
    }

    fn standing(&self) -> usize {
        let all = self.pool.status();
        all.iter().filter(|status| status.is_ready()).count()
    }
}

/// Sends; it has taken its place when this returns.
async fn send(pool: &Pool, content: impl Into<String>) -> Sent {
    let (pool, content) = (pool.clone(), content.into());
    let sent = tokio::spawn(async move { pool.send(envelope("grace@example.com"), content).await });
    tokio::task::yield_now().await;
    sent
}

async fn is_taken(sent: Sent) {
    let outcome = sent.await.expect("no panic").expect("taken");
    assert!(outcome.is_complete());
}

#[tokio::test(start_paused = true)]
async fn messages_are_spread_once_a_connection_stands() {
    let mut world = world(two()).await;
    // Until then they all wait for the first.
    let (one, two) = (world.send("One.").await, world.send("Two.").await);
    let mut first = world.server().await;
    assert_eq!(first.takes().await, "One.\r\n.\r\n");
    assert_eq!(first.takes().await, "Two.\r\n.\r\n");
    is_taken(one).await;
    is_taken(two).await;
    let (three, four) = (world.send("Three.").await, world.send("Four.").await);
    let five = world.send("Five.").await;
    let mut second = world.server().await;
    assert_eq!(second.takes().await, "Four.\r\n.\r\n");
    is_taken(four).await;
    assert_eq!(world.standing(), 2);
    let six = world.send("Six.").await;
    assert_eq!(second.takes().await, "Six.\r\n.\r\n");
    is_taken(six).await;
    // Those of the other wait, and no third connection is made.
    assert_eq!(first.takes().await, "Three.\r\n.\r\n");
    assert_eq!(first.takes().await, "Five.\r\n.\r\n");
    is_taken(three).await;
    is_taken(five).await;
    let third = time::timeout(Duration::from_secs(30), world.listener.accept()).await;
    assert!(third.is_err());
}

/// What servers have taken, and when, and over which connection.
type Taken = Arc<Mutex<Vec<(time::Instant, usize, String)>>>;

/// How a connection goes wrong, by its number: after so many lines from the client, or not.
type Faults = Box<dyn FnMut(usize) -> Option<usize> + Send>;

/// Serves all connections at once.
fn serve(mut listener: SimListener, mut faults: Faults) -> Taken {
    let taken = Taken::default();
    let log = Arc::clone(&taken);
    tokio::spawn(async move {
        for number in 0.. {
            let Ok(stream) = listener.accept().await else {
                break;
            };
            tokio::spawn(serve_one(stream, number, faults(number), Arc::clone(&log)));
        }
    });
    taken
}

/// Serves a connection; cuts it after so many lines.
async fn serve_one(stream: impl ByteStream, number: usize, mut lines: Option<usize>, taken: Taken) {
    let mut server = Server::new(stream);
    if lines == Some(0) {
        return server.say("421 4.7.0 Too many connections").await;
    }
    server.say("220 mail.example ESMTP").await;
    let mut content: Option<String> = None;
    loop {
        if let Some(left) = &mut lines {
            *left -= 1;
            if *left == 0 {
                return;
            }
        }
        let line = server.line().await;
        match (&mut content, line.as_str()) {
            (Some(text), ".") => {
                let text = std::mem::take(text);
                content = None;
                let now = time::now();
                taken.lock().expect("no panic").push((now, number, text));
                server.say("250 Taken").await;
            }
            (Some(text), line) => text.push_str(line),
            (None, "DATA") => {
                content = Some(String::new());
                server.say("354 Go").await;
            }
            (None, "EHLO client.example") => server.say("250-a\n250 PIPELINING").await,
            (None, "QUIT" | "") => return server.say("221 Bye").await,
            (None, _) => server.say("250 Ok").await,
        }
    }
}

fn contents(taken: &Taken) -> Vec<String> {
    let taken = taken.lock().expect("no panic");
    taken.iter().map(|(_, _, text)| text.clone()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_rate_is_kept_to_in_every_interval() {
    let mut config = two();
    // Over several, those of one moment may overtake each other on the way.
    config.connections = 1;
    let minute = Duration::from_mins(1);
    config.rate = Some(Rate::new(3, minute));
    let world = world(config).await;
    let mut sent = Vec::new();
    for number in 0..8 {
        sent.push(world.send(format!("{number}.")).await);
    }
    // One that is withdrawn while it waits takes nobody's turn.
    sent.remove(5).abort();
    let taken = serve(world.listener, Box::new(|_| None));
    for sent in sent {
        is_taken(sent).await;
    }
    // In their order, and after a pause at another beginning.
    time::sleep(minute / 2).await;
    for number in 8..12 {
        let content = format!("{number}.");
        let sent = world
            .pool
            .send(envelope("grace@example.com"), content)
            .await;
        sent.expect("taken");
    }
    let numbers = [0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11];
    assert_eq!(contents(&taken), numbers.map(|number| format!("{number}.")));
    let taken = taken.lock().expect("no panic");
    for several in taken.windows(4) {
        // The latency of the network is not the pool's.
        let tolerance = Duration::from_millis(500);
        assert!(several[3].0 - several[0].0 + tolerance >= minute);
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_says_so_and_who_leaves_it_makes_room() {
    let mut config = two();
    config.connections = 1;
    config.client.session.pipeline_depth = 1;
    config.message_capacity = 2;
    let world = world(config).await;
    let mut sent = Vec::new();
    for number in 0..3 {
        sent.push(world.send(format!("{number}.")).await);
    }
    let envelope = || envelope("grace@example.com");
    let refused = world.pool.send(envelope(), "One too many.").await;
    assert!(
        matches!(refused, Err(RequestError::TooManyPending)),
        "{refused:?}"
    );
    let withdrawn = sent.remove(1);
    withdrawn.abort();
    let _ = withdrawn.await;
    sent.push(world.send("3.").await);
    let taken = serve(world.listener, Box::new(|_| None));
    for sent in sent {
        is_taken(sent).await;
    }
    assert_eq!(contents(&taken), ["0.", "2.", "3."]);
}

#[tokio::test(start_paused = true)]
async fn closing_sends_what_waits_and_takes_no_more() {
    let mut config = two();
    config.rate = Some(Rate::new(1, Duration::from_secs(10)));
    let world = world(config).await;
    let mut sent = Vec::new();
    for number in 0..4 {
        sent.push(world.send(format!("{number}.")).await);
    }
    let taken = serve(world.listener, Box::new(|_| None));
    let pool = world.pool.clone();
    let closing = tokio::spawn(async move { pool.close().await });
    tokio::task::yield_now().await;
    let late = world
        .pool
        .send(envelope("grace@example.com"), "Late.")
        .await;
    assert!(matches!(late, Err(RequestError::Closed)), "{late:?}");
    closing.await.expect("no panic");
    world.connection.await.expect("no panic").expect("in order");
    for sent in sent {
        is_taken(sent).await;
    }
    assert_eq!(contents(&taken), ["0.", "1.", "2.", "3."]);
    // It is closed, however often.
    world.pool.close().await;
}

#[tokio::test(start_paused = true)]
async fn the_last_handle_closes_it() {
    let world = world(two()).await;
    let sent = world.send("One.").await;
    let taken = serve(world.listener, Box::new(|_| None));
    is_taken(sent).await;
    drop(world.pool);
    world.connection.await.expect("no panic").expect("in order");
    assert_eq!(contents(&taken), ["One."]);
}

#[tokio::test(start_paused = true)]
async fn without_its_work_it_is_closed() {
    let world = world(two()).await;
    let waiting = world.send("One.").await;
    world.connection.abort();
    let error = waiting.await.expect("no panic").expect_err("not sent");
    assert!(matches!(error, RequestError::Closed), "{error}");
    let late = world
        .pool
        .send(envelope("grace@example.com"), "Late.")
        .await;
    assert!(matches!(late, Err(RequestError::Closed)), "{late:?}");
    world.pool.close().await;
}

/// A server that allows a certain number of connections refuses the next: what it was made for goes over
/// those that stand.
#[tokio::test(start_paused = true)]
async fn a_connection_that_is_refused_costs_no_message() {
    let mut config = two();
    config.connections = 5;
    let world = world(config).await;
    let first = world.send("first").await;
    let taken = serve(
        world.listener,
        Box::new(|number| (number >= 2).then_some(0)),
    );
    is_taken(first).await;
    let mut sent = Vec::new();
    for number in 0..100 {
        let (pool, content) = (world.pool.clone(), format!("{number}."));
        sent.push(tokio::spawn(async move {
            pool.send(envelope("grace@example.com"), content).await
        }));
    }
    for sent in sent {
        is_taken(sent).await;
    }
    let taken = taken.lock().expect("no panic");
    assert_eq!(taken.len(), 101);
    let over = |number| taken.iter().filter(|it| it.1 == number).count();
    assert!(over(0) > 20 && over(1) > 20, "{} {}", over(0), over(1));
}

/// Connections that are cut anywhere, for many messages at once: each message has an outcome, and the
/// outcome is true.
#[tokio::test(start_paused = true)]
async fn whatever_is_cut_nothing_is_lost_or_sent_twice_unknown() {
    let mut unknown = 0;
    for seed in 0..60 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut config = two();
        config.connections = random.usize(1..6);
        config.client.session.pipeline_depth = random.usize(1..9);
        let world = world(config).await;
        let taken = serve(
            world.listener,
            Box::new(move |_| (random.u8(..4) > 0).then(|| random.usize(..40))),
        );
        let mut sent = Vec::new();
        for number in 0..60 {
            let (pool, content) = (world.pool.clone(), format!("{number}."));
            let sending = async move { pool.send(envelope("grace@example.com"), content).await };
            sent.push((format!("{number}."), tokio::spawn(sending)));
        }
        let mut outcomes = BTreeMap::new();
        for (name, sent) in sent {
            outcomes.insert(name, sent.await.expect("no panic"));
        }
        world.pool.close().await;
        world.connection.await.expect("no panic").expect("in order");
        let taken = contents(&taken);
        for (name, outcome) in outcomes {
            let times = taken.iter().filter(|it| **it == name).count();
            let at = format!("{name} of {seed}, {times} times: {outcome:?}");
            match outcome {
                Ok(_) => assert_eq!(times, 1, "{at}"),
                Err(RequestError::OutcomeUnknown(_)) => {
                    assert!(times <= 1, "{at}");
                    unknown += 1;
                }
                Err(
                    RequestError::Refused(_)
                    | RequestError::ConnectionLost
                    | RequestError::NotConnected(_),
                ) => {
                    assert_eq!(times, 0, "{at}");
                }
                Err(error) => panic!("{at}: {error}"),
            }
        }
    }
    assert!(unknown > 10, "{unknown}: nothing was cut where it matters");
}

#[tokio::test(start_paused = true)]
async fn a_refused_password_is_tried_once() {
    let mut config = two();
    config.client.session.allow_plaintext_auth = true;
    let credentials = Credentials::password("ada", "correct horse");
    config.client.session.credentials = Some(credentials.expect("valid"));
    let mut world = world(config).await;
    let mut sent = Vec::new();
    for number in 0..4 {
        sent.push(world.send(format!("{number}.")).await);
    }
    let stream = world.listener.accept().await.expect("a connection");
    let mut server = Server::new(stream);
    server.greet("AUTH PLAIN").await;
    server.line().await;
    server.say("535 5.7.8 No").await;
    for sent in sent {
        let error = sent.await.expect("no panic").expect_err("not sent");
        let RequestError::NotConnected(error) = error else {
            panic!("{error}");
        };
        let is_refused = matches!(
            *error,
            ConnectionError::Session(SessionError::Login(LoginError::Refused(_)))
        );
        assert!(is_refused, "{error}");
    }
    assert!(world.connection.await.expect("no panic").is_err());
    let again = time::timeout(Duration::from_mins(10), world.listener.accept()).await;
    assert!(again.is_err(), "there was another attempt");
    let late = world
        .pool
        .send(envelope("grace@example.com"), "Late.")
        .await;
    assert!(
        matches!(late, Err(RequestError::NotConnected(_))),
        "{late:?}"
    );
}

/// The first connection finds out that a login can't be bound to its TLS connection, tells it, and no other
/// tries that again.
#[tokio::test(start_paused = true)]
async fn a_bound_login_that_is_refused_is_told_and_tried_once() {
    let mut config = two();
    config.client.session.security = Security::Tls;
    let password = Credentials::password("ada", "correct horse");
    config.client.session.credentials = Some(password.expect("valid"));
    let (connector, acceptor) = tls();
    let mut world = over(config, |here| Tls::new(here, connector)).await;
    let one = world.send("One.").await;
    let offers = "AUTH SCRAM-SHA-256 SCRAM-SHA-256-PLUS";
    let mut first = world.secured(&acceptor, offers).await;
    let line = first.line().await;
    assert!(line.starts_with("AUTH SCRAM-SHA-256-PLUS "), "{line}");
    first.say("535 5.7.8 No").await;
    drop(first);
    let mut first = world
        .secured(&acceptor, "AUTH PLAIN SCRAM-SHA-256-PLUS")
        .await;
    first.hears("AUTH PLAIN AGFkYQBjb3JyZWN0IGhvcnNl").await;
    first.say("235 In").await;
    assert_eq!(first.takes().await, "One.\r\n.\r\n");
    is_taken(one).await;
    loop {
        let told = world.events.next().await.expect("it goes on");
        if let ClientEvent::Event(event) = told.event {
            break assert_eq!((told.connection, event), (0, Event::LoginNotBound));
        }
    }
    let (two, three) = (world.send("Two.").await, world.send("Three.").await);
    let mut second = world
        .secured(&acceptor, "AUTH PLAIN SCRAM-SHA-256-PLUS")
        .await;
    second.hears("AUTH PLAIN AGFkYQBjb3JyZWN0IGhvcnNl").await;
    second.say("235 In").await;
    let (at_first, at_second) = tokio::join!(first.takes(), second.takes());
    assert_eq!(
        (&*at_first, &*at_second),
        ("Two.\r\n.\r\n", "Three.\r\n.\r\n")
    );
    is_taken(two).await;
    is_taken(three).await;
    world.connection.abort();
    let mut came = Vec::new();
    while let Some(told) = world.events.next().await {
        came.push(told);
    }
    let again = came
        .iter()
        .any(|it| matches!(it.event, ClientEvent::Event(_)));
    assert!(!again, "{came:?}");
    let stood = |it: &PoolEvent| {
        it.connection == 1 && matches!(&it.event, ClientEvent::Status(it) if it.is_ready())
    };
    assert!(came.iter().any(stood), "{came:?}");
}

/// An event of one connection waits for those of no other.
#[tokio::test(start_paused = true)]
async fn who_leaves_is_told_with_its_number() {
    let mut world = world(two()).await;
    let one = world.send("One.").await;
    let mut first = world.server().await;
    first.takes().await;
    is_taken(one).await;
    let (two, three) = (world.send("Two.").await, world.send("Three.").await);
    let mut second = world.server().await;
    tokio::join!(first.takes(), second.takes());
    is_taken(two).await;
    is_taken(three).await;
    for (number, server) in [&mut second, &mut first].into_iter().enumerate() {
        server.say("421 4.4.2 Timeout").await;
        loop {
            let told = world.events.next().await.expect("it goes on");
            if let ClientEvent::Event(Event::Leaving(reply)) = told.event {
                break assert_eq!((told.connection, reply.code()), (1 - number, 421));
            }
        }
    }
    world.pool.close().await;
    world.connection.await.expect("no panic").expect("in order");
    while world.events.next().await.is_some() {}
}

#[tokio::test(start_paused = true)]
async fn what_is_read_has_its_turn_too() {
    let world = world(two()).await;
    let sent = world.send("first").await;
    // The second connection is refused, before anything of the source was read.
    let taken = serve(
        world.listener,
        Box::new(|number| (number == 1).then_some(0)),
    );
    is_taken(sent).await;
    let slow = send(&world.pool, "slow").await;
    let source = "x".repeat(100_000);
    let to = envelope("grace@example.com");
    let outcome = world.pool.send_from(to, source.as_bytes(), None).await;
    assert!(outcome.expect("taken").is_complete());
    is_taken(slow).await;
    let lengths: Vec<usize> = contents(&taken).iter().map(String::len).collect();
    assert_eq!(lengths, [5, 4, 100_000]);
}
