//! The loop with a protocol of lines, against a server in the test's hand, on the simulation.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jackfield_client::{
    Actions, Again, ClientEvent, ConnectionError, Events, Failure, Flow, Link, Options, OutboxOf,
    Poster, Protocol, Status, connect,
};
use jackfield_sim::{Network, SimHost, SimListener, SimStream};
use jackfield_socket::driver::{Core, StreamCore};
use jackfield_socket::time::{self, Instant};
use jackfield_socket::{Endpoint, ListenOptions, TcpListen, TcpListener};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

/// Lines in, lines out. `bye` from the server means that it has understood that we go.
#[derive(Default)]
struct Lines {
    out: Vec<u8>,
    partial: Vec<u8>,
    events: Vec<Said>,
    reminder: Option<Instant>,
    /// The clock is broken: no deadline can be kept.
    clockless: bool,
    finished: bool,
    unread: Option<Instant>,
}

enum Said {
    Line(String),
    /// Nothing was read from the server for a while.
    Unread,
    /// A line was given, and waits for the protocol to note it before it may go.
    Given(String),
}

impl Core for Lines {
    type Event = Said;
    type Error = Gone;

    fn poll_event(&mut self) -> Option<Said> {
        (!self.events.is_empty()).then(|| self.events.remove(0))
    }

    fn deadline(&self) -> Option<Instant> {
        self.reminder.into_iter().chain(self.unread).min()
    }

    fn handle_deadline(&mut self, now: Instant) -> Result<(), Gone> {
        if self.unread.take_if(|until| *until <= now).is_some() {
            self.events.push(Said::Unread);
            return Ok(());
        }
        self.reminder = None;
        if self.clockless {
            return Err(Gone::Clock);
        }
        self.out.extend_from_slice(b"reminded\n");
        Ok(())
    }

    fn set_reading(&mut self, now: Instant, reading: bool) {
        self.unread = (!reading).then(|| now + Duration::from_secs(30));
    }

    fn is_finished(&self) -> bool {
        self.finished && self.events.is_empty() && self.out.is_empty()
    }
}

impl StreamCore for Lines {
    fn receive(&mut self, _now: Instant, bytes: &[u8]) -> Result<(), Gone> {
        self.partial.extend_from_slice(bytes);
        while let Some(end) = self.partial.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.partial.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line[..end]).into_owned();
            self.events.push(Said::Line(line));
        }
        Ok(())
    }

    fn receive_end(&mut self, _now: Instant) -> Result<(), Gone> {
        Ok(())
    }

    fn transmit(&mut self, _now: Instant, out: &mut Vec<u8>) {
        out.append(&mut self.out);
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Gone {
    Ended,
    /// The journal can't be written.
    Journal,
    /// A deadline can't be kept.
    Clock,
}

impl fmt::Display for Gone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl std::error::Error for Gone {}

impl Failure for Gone {
    fn ended() -> Self {
        Self::Ended
    }
    fn is_permanent(&self) -> bool {
        *self == Self::Journal
    }
}

#[derive(Debug)]
enum Action {
    Say(String),
    /// Says so after this time.
    Remind(Duration),
    /// Its clock stops.
    StopClock,
    /// Waits for an answer that never comes.
    Ask(oneshot::Sender<&'static str>),
    Close,
}

/// Sends lines when they stand in the journal; waits with what is given while it is offline.
struct Test {
    server: Endpoint,
    /// What each attempt waits for before it begins, and where it then goes.
    prepare: Option<Arc<Notify>>,
    journal: Arc<Mutex<Vec<String>>>,
    /// While it has a permit less than lines, the journal is slow.
    pen: Option<Arc<Notify>>,
    /// There is no core to begin with.
    broken: bool,
    /// The server has named another one.
    moved: bool,
    /// What it gives when the connection ends.
    last_line: Option<String>,
    asked: Vec<oneshot::Sender<&'static str>>,
}

impl Protocol for Test {
    type Core = Lines;
    type Target = Endpoint;
    type Action = Action;
    type Event = String;
    type Ready = ();
    type Error = Gone;
    type Prepared = ();

    async fn begin(&mut self, _poster: Poster<Action>) -> Result<Lines, ConnectionError<Gone>> {
        if self.broken {
            return Err(ConnectionError::Session(Gone::Journal));
        }
        Ok(Lines::default())
    }

    fn prepare(
        &mut self,
        _attempt: u32,
    ) -> impl Future<Output = Result<(Endpoint, ()), ConnectionError<Gone>>> + Send + 'static {
        let (server, wait) = (self.server.clone(), self.prepare.clone());
        let ready: Pin<Box<dyn Future<Output = _> + Send>> = Box::pin(async move {
            if let Some(wait) = wait {
                wait.notified().await;
            }
            Ok((server, ()))
        });
        ready
    }

    fn opened(
        &mut self,
        core: &mut Lines,
        (): (),
        outbox: &mut OutboxOf<Self>,
    ) -> Result<(), ConnectionError<Gone>> {
        outbox.ready(());
        core.partial.clear();
        core.unread = None;
        Ok(())
    }

    fn act(&mut self, core: &mut Lines, action: Action, _link: Link) -> Flow {
        match action {
            Action::Say(line) => core.events.push(Said::Given(line)),
            Action::Remind(after) => core.reminder = Some(time::now() + after),
            Action::StopClock => core.clockless = true,
            Action::Ask(answer) => self.asked.push(answer),
            Action::Close => {
                core.out.extend_from_slice(b"quit\n");
                return Flow::Close;
            }
        }
        Flow::Continue
    }

    fn abandoned(&mut self, core: &mut Lines, _link: Link) {
        core.finished = true;
    }

    async fn take(
        &mut self,
        core: &mut Lines,
        event: Said,
        outbox: &mut OutboxOf<Self>,
    ) -> Result<Flow, ConnectionError<Gone>> {
        match event {
            Said::Given(line) => {
                if line == "unwritable" {
                    return Err(ConnectionError::Session(Gone::Journal));
                }
                if let Some(pen) = &self.pen {
                    pen.notified().await;
                }
                core.out.extend_from_slice(line.as_bytes());
                core.out.push(b'\n');
                self.journal.lock().expect("no panic").push(line);
            }
            Said::Unread => {
                for answer in self.asked.drain(..) {
                    answer.send("unread").expect("it waits");
                }
            }
            Said::Line(line) if line == "bye" => return Ok(Flow::Closed),
            Said::Line(line) => {
                if let Some(server) = line.strip_prefix("move to ") {
                    self.server = server.parse().expect("an endpoint");
                    self.moved = true;
                }
                outbox.push(line);
            }
        }
        Ok(Flow::Continue)
    }

    fn ended(&mut self, core: &mut Lines, error: Option<&ConnectionError<Gone>>) -> Again {
        core.events.extend(self.last_line.take().map(Said::Given));
        if std::mem::take(&mut self.moved) {
            return Again::AtOnce;
        }
        Again::unless_permanent(error)
    }
}

struct World {
    there: SimHost,
    listener: SimListener,
    actions: Option<Actions<Action, (), Gone>>,
    events: Events<String, (), Gone>,
    journal: Arc<Mutex<Vec<String>>>,
    connection: JoinHandle<Result<(), ConnectionError<Gone>>>,
}

async fn listen(host: &SimHost, at: &str) -> SimListener {
    let at = at.parse().expect("an address");
    host.listen(at, &ListenOptions::default())
        .await
        .expect("a listener")
}

async fn world(configure: impl FnOnce(&mut Test, &mut Options)) -> World {
    let network = Network::new(7);
    let here = network.host("here.example", ["192.0.2.1".parse().expect("an address")]);
    let there = network.host("there.example", ["192.0.2.2".parse().expect("an address")]);
    let listener = listen(&there, "192.0.2.2:7").await;
    let journal = Arc::<Mutex<Vec<String>>>::default();
    let mut test = Test {
        server: "there.example:7".parse().expect("an endpoint"),
        prepare: None,
        journal: Arc::clone(&journal),
        pen: None,
        broken: false,
        moved: false,
        last_line: None,
        asked: Vec::new(),
    };
    let mut options = Options::default();
    options.seed = Some(1);
    configure(&mut test, &mut options);
    let (actions, events, connection) = connect(here, test, options);
    World {
        there,
        listener,
        actions: Some(actions),
        events,
        journal,
        connection: tokio::spawn(connection),
    }
}

impl World {
    async fn server(&mut self) -> BufReader<SimStream> {
        BufReader::new(self.listener.accept().await.expect("a connection"))
    }

    async fn act(&self, action: Action) {
        let actions = self.actions.as_ref().expect("not dropped yet");
        actions.send(action).await.expect("the client goes on");
    }

    async fn say(&self, line: &str) {
        self.act(Action::Say(line.to_owned())).await;
    }

    fn poster(&self) -> Poster<Action> {
        self.actions.as_ref().expect("not dropped yet").poster()
    }

    async fn event(&mut self) -> ClientEvent<String, (), Gone> {
        self.events.next().await.expect("the client goes on")
    }

    async fn disconnected(&mut self) -> (ConnectionError<Gone>, Option<Duration>) {
        loop {
            if let ClientEvent::Status(Status::Disconnected { error, retry_in }) =
                self.event().await
            {
                return (error, retry_in);
            }
        }
    }

    /// The client ends with this, and its last status says it.
    async fn failed_with(mut self, gone: Gone) {
        let mut last = self.actions.as_ref().expect("not dropped yet").status();
        while let Some(event) = self.events.next().await {
            if let ClientEvent::Status(status) = event {
                last = status;
            }
        }
        let error = self
            .connection
            .await
            .expect("no panic")
            .expect_err("an error");
        assert!(matches!(error, ConnectionError::Session(ref error) if *error == gone));
        assert!(last.is_final(), "{last:?}");
        let actions = self.actions.as_ref().expect("not dropped yet");
        for status in [last, actions.status()] {
            assert!(matches!(
                status,
                Status::Disconnected { error: ConnectionError::Session(error), .. } if error == gone
            ));
        }
    }

    async fn connected(&mut self) {
        while !matches!(self.event().await, ClientEvent::Status(Status::Ready(()))) {}
    }

    async fn line(&mut self) -> String {
        loop {
            if let ClientEvent::Event(line) = self.event().await {
                return line;
            }
        }
    }

    async fn ended(self) -> Result<(), ConnectionError<Gone>> {
        self.connection.await.expect("no panic")
    }
}

async fn heard(server: &mut BufReader<SimStream>) -> String {
    let mut line = String::new();
    server.read_line(&mut line).await.expect("a line");
    line.trim_end().to_owned()
}

async fn tell(server: &mut BufReader<SimStream>, line: &str) {
    let line = format!("{line}\n");
    server.write_all(line.as_bytes()).await.expect("it reads");
}

#[tokio::test(start_paused = true)]
async fn what_is_given_without_a_connection_goes_with_the_next() {
    let mut world = world(|_, _| {}).await;
    let server = world.server().await;
    drop(server);
    let (error, retry_in) = world.disconnected().await;
    assert!(matches!(error, ConnectionError::Session(Gone::Ended)) || !error.is_permanent());
    assert!(retry_in.is_some());

    world.say("one").await;
    world.say("two").await;
    let mut server = world.server().await;
    assert_eq!(heard(&mut server).await, "one");
    assert_eq!(heard(&mut server).await, "two");
    // It was taken at once, not when the connection stood.
    assert_eq!(*world.journal.lock().expect("no panic"), ["one", "two"]);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_waits_for_what_it_needs_and_actions_do_not() {
    let ready = Arc::new(Notify::new());
    let wait = Arc::clone(&ready);
    let mut world = world(|test, _| test.prepare = Some(wait)).await;
    let accepted = time::timeout(Duration::from_mins(5), world.listener.accept()).await;
    assert!(accepted.is_err(), "it was not ready");
    world.say("early").await;
    ready.notify_one();
    let mut server = world.server().await;
    assert_eq!(heard(&mut server).await, "early");

    // And it can quit meanwhile.
    drop(server);
    world.disconnected().await;
    world.actions = None;
    world.ended().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_read_or_sent_before_the_journal_is_written() {
    let pen = Arc::new(Notify::new());
    let slow = Arc::clone(&pen);
    let mut world = world(|test, _| test.pen = Some(slow)).await;
    let mut server = world.server().await;
    tell(&mut server, "first").await;
    assert_eq!(world.line().await, "first");

    world.say("hello").await;
    let silence = time::timeout(Duration::from_secs(1), heard(&mut server)).await;
    assert!(silence.is_err(), "it stands in no journal");
    tell(&mut server, "second").await;
    let silence = time::timeout(Duration::from_secs(1), world.line()).await;
    assert!(silence.is_err(), "the journal comes first");
    pen.notify_one();
    assert_eq!(heard(&mut server).await, "hello");
    assert_eq!(world.line().await, "second");
}

#[tokio::test(start_paused = true)]
async fn a_journal_that_fails_ends_the_client() {
    let mut world = world(|_, _| {}).await;
    let _server = world.server().await;
    world.say("unwritable").await;
    let (error, retry_in) = world.disconnected().await;
    assert!(matches!(error, ConnectionError::Session(Gone::Journal)));
    assert_eq!(retry_in, None);
    assert!(world.events.next().await.is_none());
    world.ended().await.expect_err("the same error");
}

/// A client that has lost its connection, and will try again.
async fn between_attempts(configure: impl FnOnce(&mut Test, &mut Options)) -> World {
    let mut world = world(configure).await;
    drop(world.server().await);
    world.disconnected().await;
    world
}

impl World {
    fn reconnect_now(&self) {
        let actions = self.actions.as_ref().expect("not dropped yet");
        actions.reconnect_now();
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_hurries_waits_for_no_attempt() {
    let mut world = between_attempts(|_, options| {
        let reconnect = options.reconnect.as_mut().expect("the default");
        reconnect.first_delay = Duration::from_hours(1);
        reconnect.longest_delay = Duration::from_hours(1);
    })
    .await;
    for _ in 0..2 {
        let lost = time::now();
        world.reconnect_now();
        let server = world.server().await;
        world.connected().await;
        assert!(time::now() - lost < Duration::from_secs(10), "at once");
        // It is for the one wait, and for no later one.
        world.reconnect_now();
        drop(server);
        world.disconnected().await;
        let lost = time::now();
        let server = world.server().await;
        assert!(time::now() - lost > Duration::from_mins(20), "as always");
        drop(server);
        world.disconnected().await;
    }
}

#[tokio::test(start_paused = true)]
async fn hurry_neither_disturbs_an_attempt_nor_is_kept() {
    let ready = Arc::new(Notify::new());
    let wait = Arc::clone(&ready);
    let mut world = world(|test, _| test.prepare = Some(wait)).await;
    assert!(matches!(
        world.event().await,
        ClientEvent::Status(Status::Connecting { attempt: 1 })
    ));
    world.reconnect_now();
    ready.notify_one();
    drop(world.server().await);
    let (_, retry_in) = world.disconnected().await;
    assert!(retry_in.is_some());
    let accepted = time::timeout(Duration::from_millis(900), world.listener.accept()).await;
    assert!(accepted.is_err(), "it waits");
    // Where there is no other attempt, hurry makes none.
    let mut once = self::world(|_, options| options.reconnect = None).await;
    drop(once.server().await);
    once.disconnected().await;
    once.reconnect_now();
    once.ended().await.expect_err("the same error");
}

#[tokio::test(start_paused = true)]
async fn statuses_are_told_to_whoever_reads_no_events() {
    let mut world = world(|_, options| options.event_capacity = 1).await;
    let mut statuses = world.actions.as_ref().expect("not dropped").statuses();
    let first = statuses.next().await.expect("the one that holds");
    assert!(matches!(first, Status::Connecting { attempt: 1 }));
    let mut server = world.server().await;
    for _ in 0..20 {
        tell(&mut server, "nobody reads this").await;
    }
    while !statuses.next().await.expect("it goes on").is_ready() {}
    drop(server);
    // It has to write to find out, since it reads nothing.
    for _ in 0..2 {
        world.say("lost").await;
        time::sleep(Duration::from_millis(100)).await;
    }
    let lost = statuses.next().await.expect("it goes on");
    assert!(matches!(
        lost,
        Status::Disconnected {
            retry_in: Some(_),
            ..
        }
    ));
    world.say("unwritable").await;
    let mut last = statuses.next().await.expect("it goes on");
    while let Some(status) = statuses.next().await {
        last = status;
    }
    assert!(last.is_final(), "{last:?}");
    // Whoever comes then still learns of it, once.
    let mut late = world.actions.as_ref().expect("not dropped").statuses();
    assert!(late.next().await.expect("the last one").is_final());
    assert!(late.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_fails_between_attempts_says_so_last() {
    let by_action = between_attempts(|_, _| {}).await;
    by_action.say("unwritable").await;
    by_action.failed_with(Gone::Journal).await;

    let by_deadline = between_attempts(|_, _| {}).await;
    by_deadline.act(Action::StopClock).await;
    by_deadline
        .act(Action::Remind(Duration::from_millis(1)))
        .await;
    by_deadline.failed_with(Gone::Clock).await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_fails_when_its_connection_has_ended_says_so_last() {
    let unwritable = || Some("unwritable".to_owned());
    let mut lost = world(|test, _| test.last_line = unwritable()).await;
    drop(lost.server().await);
    lost.failed_with(Gone::Journal).await;

    let mut closed = world(|test, _| test.last_line = unwritable()).await;
    let mut server = closed.server().await;
    closed.act(Action::Close).await;
    tell(&mut server, "bye").await;
    drop(server);
    closed.failed_with(Gone::Journal).await;
}

#[tokio::test(start_paused = true)]
async fn what_was_not_read_can_be_after_a_failure_between_attempts() {
    let mut world = world(|_, options| options.event_capacity = 2).await;
    let mut server = world.server().await;
    for line in 0..8 {
        tell(&mut server, &line.to_string()).await;
    }
    time::sleep(Duration::from_secs(1)).await;
    drop(server);
    // It has to write to find out, since it reads nothing.
    for _ in 0..2 {
        world.say("lost").await;
        time::sleep(Duration::from_millis(100)).await;
    }
    world.say("unwritable").await;
    let error = (&mut world.connection).await.expect("no panic");
    assert!(matches!(
        error,
        Err(ConnectionError::Session(Gone::Journal))
    ));
    for line in 0..8 {
        assert_eq!(world.line().await, line.to_string());
    }
    let (error, retry_in) = world.disconnected().await;
    assert!(matches!(error, ConnectionError::Session(Gone::Journal)));
    assert_eq!(retry_in, None);
}

#[tokio::test(start_paused = true)]
async fn without_a_core_there_is_no_client() {
    let mut world = world(|test, _| test.broken = true).await;
    let (_, retry_in) = world.disconnected().await;
    assert_eq!(retry_in, None);
    assert!(world.events.next().await.is_none());
    world.ended().await.expect_err("the same error");
}

#[tokio::test(start_paused = true)]
async fn another_server_is_gone_to_at_once() {
    let mut world = world(|_, options| options.reconnect = None).await;
    let mut other = listen(&world.there, "192.0.2.2:8").await;
    let mut server = world.server().await;
    tell(&mut server, "move to there.example:8").await;
    drop(server);
    let mut server = BufReader::new(other.accept().await.expect("a connection"));
    tell(&mut server, "welcome").await;
    assert_eq!(world.line().await, "move to there.example:8");
    assert_eq!(world.line().await, "welcome");
    // Without another one, there is no other attempt.
    drop(server);
    let (_, retry_in) = world.disconnected().await;
    assert_eq!(retry_in, None);
}

#[tokio::test(start_paused = true)]
async fn while_nobody_reads_nothing_else_is_held_back() {
    let mut world = world(|_, options| options.event_capacity = 4).await;
    let mut server = world.server().await;
    let flood = async {
        loop {
            tell(&mut server, "all work and no play").await;
        }
    };
    let flooded = time::timeout(Duration::from_secs(30), flood).await;
    assert!(flooded.is_err(), "the server could send for ever");
    world.say("enough").await;
    assert_eq!(heard(&mut server).await, "enough");
    // Deadlines are kept.
    world.act(Action::Remind(Duration::from_secs(5))).await;
    assert_eq!(heard(&mut server).await, "reminded");
    for _ in 0..100 {
        world.line().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_was_away_for_days_is_found_by_a_client_whose_events_nobody_reads() {
    let mut world = world(|_, options| options.event_capacity = 1).await;
    let mut server = world.server().await;
    for _ in 0..20 {
        tell(&mut server, "nobody reads this").await;
    }
    world.say("before").await;
    assert_eq!(heard(&mut server).await, "before");
    drop((
        server,
        std::mem::replace(
            &mut world.listener,
            listen(&world.there, "192.0.2.2:9").await,
        ),
    ));
    // It has to write to find out, since it reads nothing: the second time, the server has said
    // that nobody takes it.
    for _ in 0..2 {
        world.say("lost").await;
        time::sleep(Duration::from_secs(10)).await;
    }
    time::sleep(Duration::from_hours(48)).await;
    assert!(matches!(
        world.actions.as_ref().expect("not dropped yet").status(),
        Status::Disconnected { .. } | Status::Connecting { .. }
    ));
    world.listener = listen(&world.there, "192.0.2.2:7").await;
    let mut server = world.server().await;
    world.say("after").await;
    assert_eq!(heard(&mut server).await, "after");
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_an_answer_and_should_be_reading_is_told() {
    let mut world = world(|_, options| options.event_capacity = 1).await;
    let mut server = world.server().await;
    for _ in 0..20 {
        tell(&mut server, "nobody reads this").await;
    }
    let (asked, mut answer) = oneshot::channel();
    world.act(Action::Ask(asked)).await;
    let early = time::timeout(Duration::from_secs(10), &mut answer).await;
    assert!(early.is_err(), "it may still be read");
    assert_eq!(answer.await.expect("an outcome"), "unread");
}

#[tokio::test(start_paused = true)]
async fn the_newest_status_is_read_in_its_place() {
    let mut world = world(|_, _| {}).await;
    for attempt in 0..5 {
        let mut server = world.server().await;
        tell(&mut server, &format!("attempt {attempt}")).await;
        drop(server);
        time::sleep(Duration::from_hours(1)).await;
    }
    // All that was said, and of the status only what holds.
    let mut told = Vec::new();
    while told.len() < 6 {
        match world.event().await {
            ClientEvent::Event(line) => told.push(line),
            ClientEvent::Status(status) => told.push(format!("{status:?}")),
        }
    }
    assert_eq!(
        told[..5],
        [
            "attempt 0",
            "attempt 1",
            "attempt 2",
            "attempt 3",
            "attempt 4"
        ]
    );
    assert_eq!(told[5], "Ready(())");
}

#[tokio::test(start_paused = true)]
async fn what_was_not_read_when_a_client_failed_can_be_read_afterwards() {
    let mut world = world(|_, options| {
        options.event_capacity = 2;
        options.reconnect = None;
    })
    .await;
    let mut server = world.server().await;
    for line in 0..8 {
        tell(&mut server, &line.to_string()).await;
    }
    time::sleep(Duration::from_secs(1)).await;
    world.say("unwritable").await;
    let error = (&mut world.connection).await.expect("no panic");
    assert!(matches!(
        error,
        Err(ConnectionError::Session(Gone::Journal))
    ));
    for line in 0..8 {
        assert_eq!(world.line().await, line.to_string());
    }
    world.disconnected().await;
    assert!(world.events.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn whoever_never_pauses_keeps_nobody_from_reading() {
    let mut world = world(|_, _| {}).await;
    let mut server = world.server().await;
    let poster = world.poster();
    // All of it is there at once, and more than one turn takes.
    for _ in 0..10_000 {
        poster.post(Action::Say("flood".to_owned()));
    }
    tell(&mut server, "ping").await;
    let heard = tokio::spawn(async move {
        for _ in 0..10_000 {
            assert_eq!(heard(&mut server).await, "flood");
        }
    });
    assert_eq!(world.line().await, "ping");
    heard.await.expect("all of it");
}

#[tokio::test(start_paused = true)]
async fn closing_takes_leave_and_waits_for_the_server() {
    let mut polite = world(|_, _| {}).await;
    let mut server = polite.server().await;
    polite.connected().await;
    polite.act(Action::Close).await;
    assert_eq!(heard(&mut server).await, "quit");
    tell(&mut server, "bye").await;
    drop(server);
    polite.ended().await.expect("an orderly end");

    // Not for ever, and not for who reads events.
    let mut silent = world(|_, options| options.event_capacity = 1).await;
    let mut server = silent.server().await;
    silent.connected().await;
    for _ in 0..20 {
        tell(&mut server, "hello").await;
    }
    let begin = time::now();
    silent.act(Action::Close).await;
    assert_eq!(heard(&mut server).await, "quit");
    silent.ended().await.expect("an orderly end");
    assert!(time::now() - begin <= Duration::from_secs(12));
}

#[tokio::test(start_paused = true)]
async fn a_poster_keeps_no_client_running() {
    let mut world = world(|_, _| {}).await;
    let mut server = world.server().await;
    world.connected().await;
    let poster = world.poster();
    poster.post(Action::Say("last words".to_owned()));
    world.actions = None;
    assert_eq!(heard(&mut server).await, "last words");
    assert_eq!(heard(&mut server).await, "", "the end");
    drop(server);
    world.ended().await.expect("an orderly end");
    poster.post(Action::Close);
}
