//! A guarded network: what is refused never reaches the wire, and what is allowed is as it was.

use std::future::pending;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jackfield_policy::{Answer, Guarded, Policy, Request, Transport};
use jackfield_sim::{Network, SimHost, SimStream};
use jackfield_socket::{
    DatagramSocket, Endpoint, Error, ErrorKind, ListenOptions, MulticastGroup, MulticastOptions,
    Place, TcpConnect, TcpListen, TcpListener, TcpOptions, UdpOpen, UdpOptions, time,
};
use tokio::sync::oneshot;

/// The address of `server.example`, and of `localhost`, and of `inner.example`.
const SERVER: &str = "9.9.9.9";
const LOOPBACK: &str = "127.0.0.1";
const INNER: &str = "10.0.0.5";

/// A page's host, and servers at these addresses.
struct World {
    network: Network,
    page: SimHost,
    servers: Vec<SimHost>,
}

impl World {
    fn new() -> Self {
        let network = Network::new(1);
        let page = network.host("page.example", [ip("9.9.9.1")]);
        let servers = [
            ("server.example", SERVER),
            ("localhost", LOOPBACK),
            ("inner.example", INNER),
        ];
        let servers = servers.map(|(name, address)| network.host(name, [ip(address)]));
        Self {
            page,
            servers: servers.into(),
            network,
        }
    }

    /// Serves streams and datagrams at port 80 of each server.
    async fn serve(&self) {
        for (server, address) in self.servers.iter().zip([SERVER, LOOPBACK, INNER]) {
            let at = SocketAddr::new(ip(address), 80);
            let listening = server.listen(at, &ListenOptions::default()).await;
            let mut listener = listening.expect("a listener");
            let bound = server.open_bound(at, &UdpOptions::default()).await;
            let mut socket = bound.expect("a socket");
            tokio::spawn(async move {
                let mut streams = Vec::new();
                while let Ok(stream) = listener.accept().await {
                    streams.push(stream);
                }
            });
            tokio::spawn(async move { while socket.recv(&mut [0; 16]).await.is_ok() {} });
        }
    }

    /// Whether nothing at all was sent so far.
    fn is_silent(&self) -> bool {
        self.network.trace().is_empty()
    }

    fn guarded(&self, policy: Policy) -> Guarded<SimHost> {
        Guarded::new(self.page.clone(), policy)
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect(text)
}

fn endpoint(text: &str) -> Endpoint {
    text.parse().expect(text)
}

fn policy(allow: &[&str], deny: &[&str], listen: &[&str]) -> Policy {
    let rules = |rules: &[&str]| rules.iter().map(|rule| rule.parse().expect(rule)).collect();
    let places = listen.iter().map(|rule| rule.parse().expect(rule));
    Policy {
        allow: rules(allow),
        deny: rules(deny),
        listen: places.collect(),
        ..Policy::default()
    }
}

async fn connect(network: &Guarded<SimHost>, to: &str) -> Result<SimStream, Error> {
    let options = TcpOptions::default();
    // In paused time: where nobody answers, a failure instead of a test that hangs.
    let to = endpoint(to);
    let outcome = time::timeout(Duration::from_mins(1), network.connect(&to, &options));
    outcome.await.expect("an outcome")
}

async fn open(network: &Guarded<SimHost>, to: &str) -> Result<impl DatagramSocket, Error> {
    let options = UdpOptions::default();
    network.open_connected(&endpoint(to), &options).await
}

fn assert_denied<T>(outcome: Result<T, Error>, what: &str) {
    let Err(error) = outcome else {
        panic!("{what} was allowed");
    };
    assert_eq!(error.kind(), ErrorKind::Denied, "{what}: {error}");
    assert_eq!(error.place(), Place::Policy, "{what}: {error}");
    let text = error.to_string();
    assert!(text.starts_with("this application's policy"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn what_the_rules_refuse_never_reaches_the_wire() {
    for (allow, deny, to) in [
        (&[][..], &[][..], "server.example:80"),
        (&[], &[], "9.9.9.9:80"),
        // A port, a name, an address that no rule has.
        (&["server.example:443"], &[], "server.example:80"),
        (&["other.example:*"], &[], "server.example:80"),
        (&["server.example:*"], &[], "9.9.9.9:80"),
        // Which address the name has isn't known yet.
        (&["9.9.9.0/24:*"], &[], "server.example:80"),
        // A denial wins.
        (&["*:*"], &["server.example:*"], "server.example:80"),
        (&["*:*"], &["*.example:80"], "server.example:80"),
        (&["*:*"], &["9.9.9.0/24:*"], "9.9.9.9:80"),
        (&["*:*"], &["9.9.9.0/24:*"], "[::ffff:9.9.9.9]:80"),
        // What everybody may reach is public.
        (&["*:*"], &[], "10.0.0.5:80"),
        (&["*:*"], &[], "[::ffff:10.0.0.5]:80"),
        (&["*:*"], &[], "127.0.0.1:80"),
        (&["*:*"], &[], "localhost:80"),
        (&["localhost:*"], &[], "localhost:80"),
        (&["*:*"], &[], "server.example:25"),
    ] {
        let world = World::new();
        world.serve().await;
        // Without a suffix, a rule that allows is for streams.
        let with_udp: Vec<String> = allow.iter().map(|rule| format!("{rule}/udp")).collect();
        let with_udp: Vec<&str> = with_udp.iter().map(String::as_str).collect();
        let what = format!("{to} by {allow:?}, {deny:?}");

        let streams = world.guarded(policy(allow, deny, &[]));
        assert_denied(connect(&streams, to).await, &what);
        let datagrams = world.guarded(policy(&with_udp, deny, &[]));
        assert_denied(open(&datagrams, to).await, &what);
        assert!(world.is_silent(), "{what}: {:?}", world.network.trace());
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_rules_allow_is_reached() {
    for (allow, to) in [
        (&["server.example:80"][..], "server.example:80"),
        (&["*.example:*"], "server.example:80"),
        (&["*:*"], "server.example:80"),
        (&["9.9.9.9:80"], "9.9.9.9:80"),
        (&["9.9.9.0/24:*"], "[::ffff:9.9.9.9]:80"),
        (&["10.0.0.0/8:*"], "10.0.0.5:80"),
        (&["inner.example:*", "10.0.0.5:*"], "inner.example:80"),
        (&["localhost:*", "127.0.0.0/8:*"], "localhost:80"),
    ] {
        let world = World::new();
        world.serve().await;
        let guarded = world.guarded(policy(allow, &[], &[]));
        let outcome = connect(&guarded, to).await;
        outcome.unwrap_or_else(|error| panic!("{to}: {error}"));
        assert!(!world.is_silent(), "{to}");
        // Datagrams are another matter.
        assert_denied(open(&guarded, to).await, to);
    }
}

#[tokio::test(start_paused = true)]
async fn a_name_leads_to_no_address_that_the_rules_refuse() {
    for (allow, deny, to) in [
        (&["*:*", "*:*/udp"][..], &[][..], "inner.example:80"),
        (
            &["inner.example:*", "*.example:*/udp"],
            &[],
            "inner.example:80",
        ),
        (&["*:*", "*:*/udp"], &["9.9.9.0/24:*"], "server.example:80"),
    ] {
        let world = World::new();
        world.serve().await;
        let guarded = world.guarded(policy(allow, deny, &[]));
        assert_denied(open(&guarded, to).await, to);
        assert!(world.is_silent(), "{to}: {:?}", world.network.trace());
        assert_denied(connect(&guarded, to).await, to);
    }
}

#[tokio::test(start_paused = true)]
async fn each_datagram_is_judged_by_where_it_goes() {
    let world = World::new();
    world.serve().await;
    let allow = ["9.9.9.9:80/udp", "239.1.2.3:5353/udp"];
    let rules = policy(&allow, &["9.9.9.9:81"], &["9.9.9.1:*/udp"]);
    let guarded = world.guarded(rules);
    let at = |port| SocketAddr::new(ip("9.9.9.1"), port);
    let options = UdpOptions::default();
    let mut socket = guarded.open_bound(at(0), &options).await.expect("bound");
    for refused in ["9.9.9.9:81", "9.9.9.8:80", "10.0.0.5:80", "127.0.0.1:80"] {
        let sent = socket
            .send(b"no", Some(refused.parse().expect(refused)))
            .await;
        assert_denied(sent.map_err(Error::from), refused);
    }
    assert!(world.is_silent(), "{:?}", world.network.trace());
    let allowed = SocketAddr::new(ip(SERVER), 80);
    socket.send(b"yes", Some(allowed)).await.expect("allowed");
    assert!(!world.is_silent());

    for (group, port, allowed) in [("239.1.2.3", 5353, true), ("239.1.2.4", 5353, false)] {
        let mut options = UdpOptions::default();
        let mut multicast = MulticastOptions::default();
        multicast.groups.push(MulticastGroup::new(ip(group)));
        options.multicast = Some(multicast);
        let outcome = guarded.open_bound(at(port), &options).await;
        assert_eq!(outcome.is_ok(), allowed, "{group}");
    }
}

#[tokio::test(start_paused = true)]
async fn it_listens_where_a_rule_says_so() {
    let world = World::new();
    let rules = policy(&["*:*"], &[], &["9.9.9.1:8000-8002"]);
    let guarded = world.guarded(rules);
    let listen = async |guarded: &Guarded<SimHost>, at: &str| {
        let at = at.parse().expect(at);
        guarded.listen(at, &ListenOptions::default()).await
    };
    for refused in ["9.9.9.1:80", "0.0.0.0:8000"] {
        assert_denied(listen(&guarded, refused).await, refused);
    }
    let at = SocketAddr::new(ip("9.9.9.1"), 8000);
    assert_denied(guarded.open_bound(at, &UdpOptions::default()).await, "udp");

    let taken = listen(&guarded, "9.9.9.1:8000").await.expect("listening");
    let narrow = guarded.narrowed(policy(&[], &[], &["9.9.9.1:8000-8001"]));
    let next = listen(&narrow, "9.9.9.1:0").await.expect("another port");
    assert_eq!(next.local_addr().map(|at| at.port()), Some(8001));
    let error = listen(&narrow, "9.9.9.1:0").await.expect_err("all taken");
    assert_eq!(error.kind(), ErrorKind::AddressInUse, "{error}");
    drop(taken);
    // None that both have.
    let narrow = narrow.narrowed(policy(&[], &[], &["9.9.9.1:8002"]));
    assert_denied(listen(&narrow, "9.9.9.1:0").await, "none in common");
}

#[tokio::test(start_paused = true)]
async fn what_was_narrowed_is_never_wide_again() {
    let world = World::new();
    world.serve().await;
    let options = TcpOptions::default();
    let server = endpoint("server.example:80");
    let guarded = world.guarded(policy(&["*.example:80"], &["other.example:*"], &[]));
    guarded.connect(&server, &options).await.expect("allowed");

    let wider = guarded.clone().narrowed(policy(&["*:*"], &[], &[]));
    wider.connect(&server, &options).await.expect("allowed");
    for refused in ["other.example:80", "server.example:81", "9.9.9.9:80"] {
        assert_denied(connect(&wider, refused).await, refused);
    }
    // A policy that only reports refuses here, where nobody hears it.
    let report = Policy {
        report: true,
        ..Policy::default()
    };
    let off = guarded.clone().narrowed(report);
    assert_denied(off.connect(&server, &options).await, "off");
    let on_again = off.narrowed(policy(&["*:*"], &[], &[]));
    assert_denied(on_again.connect(&server, &options).await, "still off");
    guarded.connect(&server, &options).await.expect("as before");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_before_somebody_says_yes() {
    let world = World::new();
    world.serve().await;
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (say, answer) = oneshot::channel();
    let answer = Arc::new(Mutex::new(Some(answer)));
    let told = asked.clone();
    let rules = policy(&["server.example:80"], &[], &["9.9.9.1:80"]);
    let guarded = world.guarded(rules).asking(move |request| {
        told.lock().expect("unpoisoned").push(request);
        // The first waits for the test, the others are refused.
        let answer = answer.lock().expect("unpoisoned").take();
        async move {
            match answer {
                Some(answer) => Ok(answer.await.unwrap_or(Answer::Deny)),
                None => Ok(Answer::Deny),
            }
        }
    });
    let requests = || asked.lock().expect("unpoisoned").clone();
    let options = TcpOptions::default();
    let server = endpoint("server.example:80");

    // What rules refuse is nobody's question.
    assert_denied(connect(&guarded, "other.example:80").await, "other.example");
    assert!(requests().is_empty());

    let mut connecting = Box::pin(guarded.connect(&server, &options));
    tokio::select! {
        biased;
        outcome = &mut connecting => panic!("without an answer: {outcome:?}"),
        () = tokio::task::yield_now() => {}
    }
    let first = Request::Reach(Transport::Tcp, server.clone());
    assert_eq!(requests(), std::slice::from_ref(&first));
    assert!(world.is_silent(), "{:?}", world.network.trace());
    say.send(Answer::Allow).expect("somebody waits");
    connecting.await.expect("connected");
    let sent = world.network.trace().len();

    let error = guarded.connect(&server, &options).await.expect_err("no");
    assert_eq!(
        (error.kind(), error.place()),
        (ErrorKind::Denied, Place::Policy)
    );
    let at = SocketAddr::new(ip("9.9.9.1"), 80);
    let error = guarded.listen(at, &ListenOptions::default()).await;
    assert_eq!(error.expect_err("no").kind(), ErrorKind::Denied);
    assert_eq!(
        requests()[1..],
        [first, Request::Listen(Transport::Tcp, at)]
    );
    assert_eq!(world.network.trace().len(), sent);
}

#[tokio::test(start_paused = true)]
async fn who_fails_to_answer_fails_the_opening() {
    let world = World::new();
    world.serve().await;
    let rules = policy(&["*:*"], &[], &[]);
    let guarded = world.guarded(rules).asking(async |_| {
        let failed = Error::new(ErrorKind::Denied, "the prompt is gone");
        Err(failed.at(Place::Policy))
    });
    let error = connect(&guarded, "server.example:80").await;
    let error = error.expect_err("no answer");
    assert_eq!(error.place(), Place::Policy);
    assert_eq!(error.to_string(), "the prompt is gone");
    assert!(world.is_silent(), "{:?}", world.network.trace());
}

#[tokio::test(start_paused = true)]
async fn rules_on_trial_tell_what_they_would_refuse_and_reach_it() {
    let world = World::new();
    world.serve().await;
    let told = Arc::new(Mutex::new(Vec::new()));
    let list = told.clone();
    let everything = policy(
        &["*:*/tcp", "*:*/udp", "10.0.0.0/8:*"],
        &[],
        &["9.9.9.1:*/udp"],
    );
    let trial = policy(&["*:443"], &["server.example:443"], &["9.9.9.1:*/udp"]);
    let guarded = world
        .guarded(everything)
        .reporting(trial, move |request, refusal| {
            let mut list = list.lock().expect("unpoisoned");
            list.push(format!("{request}: {refusal}"));
        });
    let told = || std::mem::take(&mut *told.lock().expect("unpoisoned"));

    // Once, though the address is judged as well as the name.
    connect(&guarded, "server.example:80")
        .await
        .expect("on trial");
    let expected = ["server.example:80/tcp: no rule allows it"];
    assert_eq!(told(), expected);
    let refused = connect(&guarded, "server.example:443").await;
    assert_eq!(refused.expect_err("closed").kind(), ErrorKind::Refused);
    let expected = ["server.example:443/tcp: the rule server.example:443 denies it"];
    assert_eq!(told(), expected);
    connect(&guarded, "9.9.9.9:80").await.expect("on trial");
    assert_eq!(told(), ["9.9.9.9:80/tcp: no rule allows it"]);
    open(&guarded, "9.9.9.9:80").await.expect("on trial");
    assert_eq!(told(), ["9.9.9.9:80/udp: no rule allows it"]);

    let at = SocketAddr::new(ip("9.9.9.1"), 0);
    let bound = guarded.open_bound(at, &UdpOptions::default()).await;
    let mut socket = bound.expect("a socket");
    for _ in 0..3 {
        let to = SocketAddr::new(ip(SERVER), 80);
        socket.send(b"hello", Some(to)).await.expect("on trial");
    }
    assert_eq!(told(), ["9.9.9.9:80/udp: no rule allows it"]);

    // What must be listed by itself is refused, by this one and by the other, and so is where to listen.
    for refused in ["10.0.0.5:80", "127.0.0.1:80", "server.example:25"] {
        assert_denied(connect(&guarded, refused).await, refused);
    }
    let elsewhere = SocketAddr::new(ip("9.9.9.1"), 80);
    let listening = guarded.listen(elsewhere, &ListenOptions::default()).await;
    assert_denied(listening, "listening");
    assert_eq!(told(), [""; 0]);
    let off = guarded.narrowed(Policy::default());
    assert_denied(connect(&off, "9.9.9.9:80").await, "off");
}

#[tokio::test(start_paused = true)]
async fn whoever_drops_the_opening_withdraws_the_question() {
    let world = World::new();
    world.serve().await;
    // Its other end hears when what holds this one is dropped.
    let (held, dropped) = oneshot::channel::<()>();
    let held = Mutex::new(Some(held));
    let guarded = world.guarded(policy(&["*:*"], &[], &[])).asking(move |_| {
        let held = held.lock().expect("unpoisoned").take();
        async move {
            let _held = held;
            pending().await
        }
    });
    let server = endpoint("server.example:80");
    let options = TcpOptions::default();
    let mut connecting = Box::pin(guarded.connect(&server, &options));
    tokio::select! {
        biased;
        outcome = &mut connecting => panic!("without an answer: {outcome:?}"),
        () = tokio::task::yield_now() => {}
    }
    drop(connecting);
    dropped.await.expect_err("nothing was sent through it");
    assert!(world.is_silent(), "{:?}", world.network.trace());
}
