//! The client against a server in the test's hand, under a clock that stands still.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use jackfield_irc::RequestError;
use jackfield_irc::client::{self, ClientConfig, ClientEvent, Events, Status};
use jackfield_irc::codec::Text;
use jackfield_irc::core::{Config, Credentials, Event, Mechanism, Request};
use jackfield_socket::{
    ByteStream, Endpoint, Error, ErrorKind, StreamInfo, TcpConnect, TcpOptions,
};
use tokio::io::{
    AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, DuplexStream, ReadBuf,
};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// A network that hands the other end of each stream to the test, or fails as the test says.
#[derive(Debug)]
struct TestNetwork {
    servers: mpsc::UnboundedSender<Server>,
    failures: Mutex<VecDeque<ErrorKind>>,
}

#[derive(Debug)]
struct TestStream {
    pipe: DuplexStream,
    /// Set by the server to break the stream.
    broken: Arc<Mutex<bool>>,
}

#[derive(Debug)]
struct Server {
    pipe: BufReader<DuplexStream>,
    broken: Arc<Mutex<bool>>,
}

impl TcpConnect for TestNetwork {
    type Stream = TestStream;

    async fn connect(
        &self,
        _to: &Endpoint,
        _options: &TcpOptions,
    ) -> jackfield_socket::Result<TestStream> {
        let failure = self.failures.lock().expect("no panic").pop_front();
        if let Some(kind) = failure {
            return Err(Error::new(kind, "the test says so"));
        }
        let (client, server) = tokio::io::duplex(4096);
        let broken = Arc::new(Mutex::new(false));
        let server = Server {
            pipe: BufReader::new(server),
            broken: Arc::clone(&broken),
        };
        self.servers
            .send(server)
            .map_err(|_| Error::new(ErrorKind::Refused, "the test is over"))?;
        Ok(TestStream {
            pipe: client,
            broken,
        })
    }
}

impl ByteStream for TestStream {
    fn info(&self) -> StreamInfo {
        let mut info = StreamInfo::new(None, None);
        info.encrypted = true;
        info.tls_exporter = Some([7; 32]);
        info
    }
}

impl AsyncRead for TestStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let filled = buf.filled().len();
        let read = Pin::new(&mut self.pipe).poll_read(cx, buf);
        let ended = matches!(read, Poll::Ready(Ok(()))) && buf.filled().len() == filled;
        if ended && *self.broken.lock().expect("no panic") {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        read
    }
}

impl AsyncWrite for TestStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.pipe).poll_write(cx, buf)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_shutdown(cx)
    }
}

impl Server {
    async fn line(&mut self) -> String {
        let mut line = String::new();
        self.pipe.read_line(&mut line).await.expect("a line");
        assert!(line.ends_with("\r\n"), "the client has ended: {line:?}");
        line.trim_end().to_owned()
    }

    /// Reads up to and with a line that begins like this.
    async fn until(&mut self, beginning: &str) -> String {
        loop {
            let line = self.line().await;
            if line.starts_with(beginning) {
                return line;
            }
        }
    }

    async fn say(&mut self, lines: &str) {
        for line in lines.lines() {
            let line = format!("{}\r\n", line.trim());
            self.pipe
                .get_mut()
                .write_all(line.as_bytes())
                .await
                .expect("room");
        }
    }

    async fn welcome(&mut self) {
        self.until("USER").await;
        self.say(":a.example 001 ada :Welcome\n:a.example 422 ada :No MOTD")
            .await;
        self.until("PING").await;
    }

    /// Whether the client has ended the stream in order, with nothing more to say.
    async fn ended(&mut self) -> bool {
        let mut line = String::new();
        matches!(self.pipe.read_line(&mut line).await, Ok(0))
    }

    /// Cuts the stream, not in order.
    fn cut(self) {
        *self.broken.lock().expect("no panic") = true;
    }
}

struct World {
    client: client::Client,
    events: Events,
    servers: mpsc::UnboundedReceiver<Server>,
    connection: JoinHandle<Result<(), client::ConnectionError>>,
}

fn world(configure: impl FnOnce(&mut ClientConfig), failures: &[ErrorKind]) -> World {
    let (sender, servers) = mpsc::unbounded_channel();
    let network = TestNetwork {
        servers: sender,
        failures: Mutex::new(failures.iter().copied().collect()),
    };
    let mut config = ClientConfig::new(Config::new("ada".parse().expect("a nickname")));
    config.connection.seed = Some(1);
    configure(&mut config);
    let server = "irc.example:6697".parse().expect("an endpoint");
    let (client, events, connection) = client::connect(network, server, config);
    World {
        client,
        events,
        servers,
        connection: tokio::spawn(connection),
    }
}

impl World {
    async fn server(&mut self) -> Server {
        self.servers.recv().await.expect("a connection")
    }

    async fn registered(&mut self) {
        self.event(|event| matches!(event, ClientEvent::Status(Status::Ready(_))))
            .await;
    }

    /// Reads up to an event that fits.
    async fn event(&mut self, fits: impl Fn(&ClientEvent) -> bool) -> ClientEvent {
        loop {
            let event = self.events.next().await.expect("the client goes on");
            if fits(&event) {
                return event;
            }
        }
    }

    async fn disconnected(&mut self) -> (String, Option<Duration>) {
        match self
            .event(|event| matches!(event, ClientEvent::Status(Status::Disconnected { .. })))
            .await
        {
            ClientEvent::Status(Status::Disconnected { error, retry_in }) => {
                (error.to_string(), retry_in)
            }
            other => unreachable!("{other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_has_its_outcome() {
    let mut world = world(|_| {}, &[]);
    let mut server = world.server().await;
    let channel = "#rust".parse().expect("a channel");
    assert_eq!(
        world.client.names(&channel).await,
        Err(RequestError::NotConnected)
    );
    server.welcome().await;
    world.registered().await;

    let (joined, ()) = tokio::join!(world.client.join(&channel, None), async {
        server.until("JOIN #rust").await;
        server
            .say(
                ":ada!a@h JOIN #rust
                 :a.example 353 ada = #rust :ada @grace
                 :a.example 366 ada #rust :End",
            )
            .await;
    });
    let joined = joined.expect("the channel is open");
    assert_eq!(joined.members.len(), 2);

    let other = "#secret".parse().expect("a channel");
    let (refused, ()) = tokio::join!(world.client.join(&other, None), async {
        server.until("JOIN #secret").await;
        server
            .say(":a.example 473 ada #secret :Invitation only")
            .await;
    });
    let refused = refused.expect_err("the channel is closed");
    assert_eq!(
        refused.to_string(),
        "refused: Invitation only (ERR_INVITEONLYCHAN)"
    );

    let target = (&channel).into();
    let invalid = world.client.say(&target, "hello\r\nQUIT").await;
    assert!(matches!(invalid, Err(RequestError::Invalid(_))));
}

#[tokio::test(start_paused = true)]
async fn a_cut_is_followed_by_another_session_in_the_same_channels() {
    let mut world = world(
        |config| config.channels = vec!["#home".parse().expect("a channel")],
        &[],
    );
    let mut server = world.server().await;
    server.welcome().await;
    server.until("JOIN #home").await;
    server
        .say(":ada!a@h JOIN #home\n:a.example 353 ada = #home :ada\n:a.example 366 ada #home :End")
        .await;
    world.registered().await;
    let key = "sesame".parse().expect("a key");
    let channel = "#rust".parse().expect("a channel");
    let (joined, ()) = tokio::join!(world.client.join(&channel, Some(&key)), async {
        server.until("JOIN #rust sesame").await;
        server
            .say(":ada!a@h JOIN #rust\n:a.example 353 ada = #rust :ada\n:a.example 366 ada #rust :End")
            .await;
    });
    joined.expect("the key fits");

    // Cut while a channel is being entered.
    let third = "#third".parse().expect("a channel");
    let client = world.client.clone();
    let (lost, ()) = tokio::join!(client.join(&third, None), async {
        server.until("JOIN #third").await;
        server.cut();
    });
    assert_eq!(lost, Err(RequestError::ConnectionLost));
    let (error, retry_in) = world.disconnected().await;
    assert!(error.contains("connection was lost"), "{error}");
    assert!(retry_in.is_some());

    // Cut while registering; the next delay is longer.
    let mut server = world.server().await;
    server.until("NICK").await;
    server.cut();
    let (_, longer) = world.disconnected().await;
    assert!(longer > retry_in, "{longer:?} after {retry_in:?}");

    let mut server = world.server().await;
    server.welcome().await;
    assert_eq!(server.until("JOIN").await, "JOIN #home");
    assert_eq!(server.until("JOIN").await, "JOIN #rust sesame");
    server.say(":a.example 474 ada #rust :Banned").await;
    let failed = world
        .event(|event| matches!(event, ClientEvent::Event(Event::JoinFailed { .. })))
        .await;
    assert!(
        matches!(failed, ClientEvent::Event(Event::JoinFailed { channel, .. }) if channel == "#rust")
    );
}

#[tokio::test(start_paused = true)]
async fn who_comes_back_is_who_it_was() {
    let mut world = world(|_| {}, &[]);
    let mut server = world.server().await;
    server.welcome().await;
    world.registered().await;
    let nick = "lovelace".parse().expect("a nickname");
    let (named, ()) = tokio::join!(world.client.set_nick(&nick), async {
        server.until("NICK").await;
        server.say(":ada!a@h NICK lovelace").await;
    });
    named.expect("it is free");
    let away = Text::new("at tea").expect("a text");
    let (gone, ()) = tokio::join!(world.client.set_away(Some(away)), async {
        server.until("AWAY").await;
        server.say(":a.example 306 lovelace :You are away").await;
    });
    gone.expect("away");
    // One that the server gave is not what it comes back as.
    server.say(":lovelace!a@h NICK Guest1").await;
    world
        .event(|event| matches!(event, ClientEvent::Event(Event::NickChanged { to, .. }) if to == "Guest1"))
        .await;
    server.cut();

    // Its own former connection is still there: the configured one is the next best.
    let mut server = world.server().await;
    assert_eq!(server.until("NICK").await, "NICK lovelace");
    server.say(":a.example 433 * lovelace :In use").await;
    assert_eq!(server.until("NICK").await, "NICK ada");
    server
        .say(":a.example 001 ada :Welcome\n:a.example 422 ada :No MOTD")
        .await;
    server.until("PING").await;
    world.registered().await;
    assert_eq!(server.line().await, "AWAY :at tea");
    server
        .say(":a.example 306 ada :You are away\nPONG fence-1")
        .await;
    server.say(":lovelace!a@h QUIT :Ping timeout").await;
    assert_eq!(server.until("NICK").await, "NICK lovelace");
    server.say(":ada!a@h NICK lovelace").await;
    let (back, ()) = tokio::join!(world.client.set_away(None), async {
        server.until("AWAY").await;
        server.say(":a.example 305 lovelace :You are back").await;
    });
    back.expect("back");
    server.cut();

    let mut server = world.server().await;
    assert_eq!(server.until("NICK").await, "NICK lovelace");
    server.welcome().await;
    world.registered().await;
    let channel = "#rust".parse().expect("a channel");
    let asked = world.client.topic(&channel);
    let (_, line) = tokio::join!(biased; tokio::time::timeout(Duration::from_secs(1), asked), async {
        // Nothing is said before it: not away.
        server.line().await
    });
    assert_eq!(line, "TOPIC #rust");
}

/// Whoever has it was there before.
#[tokio::test(start_paused = true)]
async fn a_nickname_that_was_never_had_is_left_to_who_has_it() {
    let mut world = world(|_| {}, &[]);
    let mut server = world.server().await;
    server.until("USER").await;
    server.say(":a.example 433 * ada :In use").await;
    server.until("NICK ada_").await;
    server
        .say(":a.example 001 ada_ :Welcome\n:a.example 422 ada_ :No MOTD\n:ada!a@h QUIT :Bye")
        .await;
    server.until("PING").await;
    // The next sign of life, and nothing before it.
    server.say("PONG lag-1").await;
    assert_eq!(server.line().await, "PING :lag-2");
}

#[tokio::test(start_paused = true)]
async fn an_end_without_a_word_is_no_orderly_end() {
    let mut world = world(|config| config.connection.reconnect = None, &[]);
    let mut server = world.server().await;
    server.welcome().await;
    world.registered().await;
    drop(server);
    let (error, retry_in) = world.disconnected().await;
    assert_eq!(error, "the connection ended without a word from the server");
    assert_eq!(retry_in, None);
    assert!(world.events.next().await.is_none());
    world
        .connection
        .await
        .expect("no panic")
        .expect_err("the same error");
}

#[tokio::test(start_paused = true)]
async fn what_can_not_get_better_is_not_tried_again() {
    let mut refused = world(|_| {}, &[]);
    let mut server = refused.server().await;
    server.until("USER").await;
    server.say(":a.example 465 ada :You are banned").await;
    let (error, retry_in) = refused.disconnected().await;
    assert!(error.contains("You are banned"), "{error}");
    assert_eq!(retry_in, None);

    let mut mistrusted = world(|_| {}, &[ErrorKind::Certificate]);
    let (error, retry_in) = mistrusted.disconnected().await;
    assert_eq!(error, "could not connect: the test says so");
    assert_eq!(retry_in, None);
}

/// Otherwise the server would hold the nickname until it noticed.
#[tokio::test(start_paused = true)]
async fn who_gives_up_says_so() {
    let login = |config: &mut ClientConfig| {
        config.session.sasl = Credentials::password("ada", "wrong").ok();
    };
    let mut world = world(login, &[]);
    let mut server = world.server().await;
    server.until("USER").await;
    server.say(":a.example CAP * LS :sasl=PLAIN").await;
    server.until("CAP REQ").await;
    server.say(":a.example CAP * ACK :sasl").await;
    server.until("AUTHENTICATE PLAIN").await;
    server.say("AUTHENTICATE +").await;
    server.until("AUTHENTICATE").await;
    server.say(":a.example 904 ada :SASL failed").await;
    assert_eq!(server.line().await, "QUIT");
    assert!(server.ended().await);
    let (error, retry_in) = world.disconnected().await;
    assert!(error.contains("SASL PLAIN was refused"), "{error}");
    assert_eq!(retry_in, None);

    let mut silent = self::world(|_| {}, &[]);
    let mut server = silent.server().await;
    server.welcome().await;
    assert_eq!(server.until("QUIT").await, "QUIT :Ping timeout");
    assert!(server.ended().await);
    let (error, _) = silent.disconnected().await;
    assert!(error.contains("no sign of life"), "{error}");
}

/// A server may offer to bind a login to its TLS connection and hang up at it: the next attempt comes at
/// once, isn't bound, and says so.
#[tokio::test(start_paused = true)]
async fn a_bound_login_that_is_cut_is_tried_unbound() {
    let login = |config: &mut ClientConfig| {
        config.session.sasl = Credentials::password("ada", "pencil").ok();
        config.connection.reconnect = None;
    };
    let offer = ":a.example CAP * LS :sasl=SCRAM-SHA-256,SCRAM-SHA-256-PLUS";
    let mut world = world(login, &[]);
    let mut server = world.server().await;
    server.until("USER").await;
    server.say(offer).await;
    server.until("CAP REQ").await;
    server.say(":a.example CAP * ACK :sasl").await;
    server.until("AUTHENTICATE SCRAM-SHA-256-PLUS").await;
    drop(server);

    let mut server = world.server().await;
    server.until("USER").await;
    server.say(offer).await;
    server.until("CAP REQ").await;
    server.say(":a.example CAP * ACK :sasl").await;
    assert_eq!(
        server.until("AUTHENTICATE").await,
        "AUTHENTICATE SCRAM-SHA-256"
    );
    server.say("AUTHENTICATE +").await;
    let first = server.until("AUTHENTICATE").await;
    let first = first.rsplit(' ').next().expect("a message");
    let first = jackfield_sasl::base64::decode(first).expect("base64");
    assert!(first.starts_with(b"n,,n=ada,r="));
    let refused = Event::MechanismRefused {
        mechanism: Mechanism::ScramSha256Plus,
        refusal: None,
    };
    world
        .event(|event| matches!(event, ClientEvent::Event(event) if *event == refused))
        .await;
    // Only the once: then it is as with any login.
    drop(server);
    let (_, retry_in) = world.disconnected().await;
    assert_eq!(retry_in, None);
}

#[tokio::test(start_paused = true)]
async fn what_may_get_better_is_tried_again() {
    let failures = [
        ErrorKind::HostNotFound,
        ErrorKind::Refused,
        ErrorKind::Unreachable,
    ];
    let mut world = world(|_| {}, &failures);
    let mut delays = Vec::new();
    for _ in failures {
        let (_, retry_in) = world.disconnected().await;
        delays.push(retry_in.expect("another attempt"));
    }
    assert!(delays.is_sorted(), "{delays:?}");
    world.server().await.welcome().await;
    world.registered().await;
}

#[tokio::test(start_paused = true)]
async fn closing_takes_leave() {
    let mut world = world(|_| {}, &[]);
    let mut server = world.server().await;
    server.welcome().await;
    world.registered().await;
    let reason = Text::new("good night").expect("a text");
    tokio::join!(world.client.close_with(reason), async {
        assert_eq!(server.until("QUIT").await, "QUIT :good night");
        server.say("ERROR :Closing Link").await;
        drop(server);
    });
    world
        .connection
        .await
        .expect("no panic")
        .expect("an orderly end");
    assert!(world.events.next().await.is_none());
    let channel = "#rust".parse().expect("a channel");
    assert_eq!(
        world.client.names(&channel).await,
        Err(RequestError::Closed)
    );
}

#[tokio::test(start_paused = true)]
async fn closing_works_at_any_time() {
    // While the server is silent.
    let mut silent = world(|_| {}, &[]);
    let _server = silent.server().await;
    silent.client.close().await;
    silent
        .connection
        .await
        .expect("no panic")
        .expect("an orderly end");

    // While waiting for the next attempt.
    let mut waiting = world(|_| {}, &[ErrorKind::Refused]);
    waiting.disconnected().await;
    waiting.client.close().await;
    waiting
        .connection
        .await
        .expect("no panic")
        .expect("an orderly end");

    // While nobody reads the events.
    let mut unread = world(|config| config.connection.event_capacity = 4, &[]);
    let mut server = unread.server().await;
    server.until("USER").await;
    server.say(&":x!y@z PRIVMSG ada :hello\n".repeat(20)).await;
    tokio::join!(unread.client.close(), server.until("QUIT"));
    drop(server);
    unread
        .connection
        .await
        .expect("no panic")
        .expect("an orderly end");

    // By dropping the last handle.
    let mut dropped = world(|_| {}, &[]);
    let mut server = dropped.server().await;
    server.welcome().await;
    drop(dropped.client);
    server.until("QUIT").await;
    drop(server);
    dropped
        .connection
        .await
        .expect("no panic")
        .expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn events_that_nobody_reads_stall_the_server() {
    let mut world = world(|config| config.connection.event_capacity = 4, &[]);
    let mut server = world.server().await;
    server.welcome().await;
    world.registered().await;
    let flood = tokio::time::timeout(Duration::from_secs(30), async {
        loop {
            server.say(":x!y@z PRIVMSG ada :hello").await;
        }
    });
    assert!(flood.await.is_err(), "the server could send for ever");
    // What it sent is all there once someone reads.
    for _ in 0..100 {
        world
            .event(|event| matches!(event, ClientEvent::Event(Event::Message(_))))
            .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_whose_events_nobody_reads_keeps_its_connection_and_its_requests_end() {
    let mut world = world(|config| config.connection.event_capacity = 4, &[]);
    let mut server = world.server().await;
    server.welcome().await;
    world.registered().await;
    for _ in 0..40 {
        server.say(":x!y@z PRIVMSG ada :hello").await;
    }
    // Awaited by whoever should be reading: it fails with its time-out, and does not hang.
    let channel = "#rust".parse().expect("a channel");
    let joined = world.client.join(&channel, None).await;
    assert_eq!(joined, Err(RequestError::TimedOut));
    server.until("JOIN #rust").await;
    // What needs no answer is done, and the server is asked whether it is there.
    let target = "#rust".parse().expect("a target");
    let said = world.client.say(&target, "good night").await;
    said.expect("it is sent");
    server.until("PRIVMSG #rust").await;
    server.until("PING").await;
    server.until("PING").await;
    assert!(matches!(world.client.status(), Status::Ready(_)));
    for _ in 0..40 {
        world
            .event(|event| matches!(event, ClientEvent::Event(Event::Message(_))))
            .await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_queued_need_not_be_waited_for() {
    let mut world = world(|_| {}, &[]);
    let mut server = world.server().await;
    server.welcome().await;
    world.registered().await;
    let channel = "#rust".parse().expect("a channel");
    let join = Request::Join { channel, key: None };
    let joining = world.client.enqueue(join).await.expect("it is queued");
    server.until("JOIN #rust").await;
    server.say(":a.example 474 ada #rust :Banned").await;
    let refused = joining.await;
    assert!(
        matches!(refused, Err(RequestError::Refused(_))),
        "{refused:?}"
    );
    server.cut();
    world.disconnected().await;
    let too_late = world
        .client
        .enqueue(Request::Topic("#rust".parse().expect("a channel")))
        .await;
    assert!(matches!(too_late, Err(RequestError::NotConnected)));
}
