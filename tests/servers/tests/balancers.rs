//! Relays behind HAProxy and nginx, with the configurations of `relayd/packaging`.

use std::net::{Ipv4Addr, SocketAddr};

use jackfield_relay::{Code, Reason};
use jackfield_server_tests::balanced::{Client, HAPROXY, NGINX, Relayd, before, echo, replaced};
use jackfield_server_tests::{LONG, NAMES, connector};
use jackfield_socket::{Error, ErrorKind};
use jackfield_testing::certs::Authority;
use jackfield_testing::haproxy::{self, Haproxy};
use jackfield_testing::nginx::{self, Nginx};
use jackfield_testing::process::free_addresses;
use jackfield_testing::unpacked::is_skipped;
use jackfield_tls::{TlsConfig, TlsConnector};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Where clients come from; the balancers themselves come from 127.0.0.1.
const ADA: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const GRACE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);

/// Two relays, and what tells clients of them apart.
async fn relays(header: &str, more: &str) -> [Relayd; 2] {
    [
        Relayd::start(header, more).await,
        Relayd::start(header, more).await,
    ]
}

/// HAProxy as it is shipped, but for these changes; where it is, and who trusts it.
async fn haproxy(
    relays: &[Relayd; 2],
    changes: &[(&str, &str)],
) -> (Haproxy, SocketAddr, TlsConnector) {
    let authority = Authority::new();
    let [front] = free_addresses().expect("an address");
    let config = replaced(&before(HAPROXY, front, relays), changes);
    let started = Haproxy::start(&config, &authority.server(&NAMES), front).await;
    let tls = connector(TlsConfig::new(), &authority);
    (started.expect("it starts"), front, tls)
}

/// The same of nginx, whose configuration names the port alone.
async fn nginx(relays: &[Relayd; 2]) -> (Nginx, SocketAddr, TlsConnector) {
    let authority = Authority::new();
    let [front] = free_addresses().expect("an address");
    let config = replaced(NGINX, &[("listen 443 ssl", "listen :443 ssl")]);
    let config = before(&config, front, relays);
    let started = Nginx::start(&config, &authority.server(&NAMES), front).await;
    let tls = connector(TlsConfig::new(), &authority);
    (started.expect("it starts"), front, tls)
}

/// Streams of two clients; whose they are is recorded, and each has limits of his own.
async fn tells_clients_apart(relays: &[Relayd; 2], front: SocketAddr, tls: &TlsConnector) {
    let echo = echo().await;
    let mut kept = Vec::new();
    for from in [ADA, GRACE] {
        let client = Client::new(from, front, tls.clone());
        client.open(echo).await.expect("through the balancer");
        let (one, two) = (relays[0].served(from), relays[1].served(from));
        tokio::select! {
            () = one => {}
            () = two => {}
        }
        kept.push(client);
    }
    assert!(
        !relays
            .iter()
            .any(|relay| relay.has_served(Ipv4Addr::LOCALHOST))
    );

    // Two for each source at each relay: of five more at most three come in.
    let mut full = Vec::new();
    for _ in 0..5 {
        let client = Client::new(ADA, front, tls.clone());
        full.extend(client.enter().await.err());
        kept.push(client);
    }
    assert!(full.len() >= 2, "{full:?}");
    for error in full {
        assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{error}");
        let reason = Reason::find(&error).expect("the relay's");
        assert_eq!(reason.code(), Code::RELAY_FULL, "{error}");
    }
    let other = Client::new(GRACE, front, tls.clone());
    let mut attempts = 0;
    while let Err(error) = other.enter().await {
        // Where it is the fuller one's turn.
        assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{error}");
        attempts += 1;
        assert!(attempts < 3, "{error}");
    }
}

const TWO_SESSIONS: &str = "source_limits = { sessions = 2 }";

#[tokio::test]
async fn haproxy_tells_whom_it_speaks_for() {
    if is_skipped(haproxy::NAME) {
        return;
    }
    for sends in [
        "send-proxy-v2",
        "send-proxy-v2-ssl-cn proxy-v2-options crc32c,authority,unique-id",
        "send-proxy",
    ] {
        let relays = relays("proxy", TWO_SESSIONS).await;
        let changes = [("send-proxy-v2", sends)];
        let (_haproxy, front, tls) = haproxy(&relays, &changes).await;
        tells_clients_apart(&relays, front, &tls).await;
    }
}

#[tokio::test]
async fn nginx_tells_whom_it_speaks_for() {
    if is_skipped(nginx::NAME) {
        return;
    }
    let relays = relays("x-forwarded-for", TWO_SESSIONS).await;
    let (_nginx, front, tls) = nginx(&relays).await;
    tells_clients_apart(&relays, front, &tls).await;
}

/// In each way that a health check may be asked for, at the relay's own port and at the one for health.
#[tokio::test]
async fn haproxy_finds_the_relays_well() {
    if is_skipped(haproxy::NAME) {
        return;
    }
    let relays = relays("proxy", "").await;
    let (address, health) = (relays[0].address(), relays[0].health());
    let mut more = String::new();
    let checks = [
        ("get10", "option httpchk GET /readyz"),
        ("head10", "option httpchk HEAD /healthz"),
        (
            "get11",
            "option httpchk\n    http-check send meth GET uri /healthz ver HTTP/1.1 hdr Host any.example",
        ),
        (
            "head11",
            "option httpchk\n    http-check send meth HEAD uri /readyz?of=balancer ver HTTP/1.1 hdr Host a",
        ),
    ];
    for (name, check) in checks {
        for (sends, at) in [
            ("send-proxy-v2", address),
            ("send-proxy", address),
            ("port", health),
        ] {
            let more_of_it = match sends {
                "port" => format!("send-proxy-v2 port {}", at.port()),
                sends => sends.to_owned(),
            };
            more = format!(
                "{more}\nbackend {name}-{sends}\n    {check}\n    server one {address} check inter 100ms {more_of_it}\n"
            );
        }
    }
    let authority = Authority::new();
    let [front] = free_addresses().expect("an address");
    let config = before(HAPROXY, front, &relays) + &more;
    let haproxy = Haproxy::start(&config, &authority.server(&NAMES), front).await;
    let haproxy = haproxy.expect("it starts");
    for (name, _) in checks {
        for sends in ["send-proxy-v2", "send-proxy", "port"] {
            let backend = format!("{name}-{sends}");
            let well = haproxy.wait_for_check(&backend, "one", "L7OK/200").await;
            well.expect("well");
        }
    }
}

/// Comes in. A relay that has ended without a delay may have taken the connection just before, and says so;
/// then once more.
async fn comes_in(front: SocketAddr, tls: &TlsConnector, delayed: bool) -> Result<Client, Error> {
    let client = Client::new(ADA, front, tls.clone());
    let left = |error: &Error| Reason::find(error).is_some_and(|it| it.code() == Code::GOING_AWAY);
    match client.enter().await {
        Err(error) if !delayed && left(&error) => {
            let client = Client::new(ADA, front, tls.clone());
            client.enter().await.map(|()| client)
        }
        entered => entered.map(|()| client),
    }
}

#[tokio::test]
async fn nobody_is_refused_while_a_relay_ends_at_once() {
    ends("", "relays/one is DOWN, reason: Layer4 connection problem").await;
}

#[tokio::test]
async fn nobody_is_refused_while_a_relay_ends_in_steps() {
    let drain = "drain = { delay_seconds = 60, cut_seconds = 120 }";
    ends(
        drain,
        "relays/one is DOWN, reason: Layer7 wrong status, code: 503",
    )
    .await;
}

/// One of two relays ends, and is down for this reason.
async fn ends(drain: &str, down: &str) {
    if is_skipped(haproxy::NAME) {
        return;
    }
    let delayed = !drain.is_empty();
    let mut relays = relays("proxy", drain).await;
    let changes = [("inter 2s", "inter 200ms")];
    let (haproxy, front, tls) = haproxy(&relays, &changes).await;
    for server in ["one", "two"] {
        let well = haproxy.wait_for_check("relays", server, "L7OK/200").await;
        well.expect("well");
    }
    let echo = echo().await;
    relays[0].process().ask_to_end().expect("it lives");
    let down = haproxy.process().wait_for_line(down, LONG);
    tokio::pin!(down);
    let mut openings = 0;
    loop {
        tokio::select! {
            biased;
            line = &mut down => break drop(line.expect("it is noticed")),
            entered = comes_in(front, &tls, delayed) => {
                let client = entered.unwrap_or_else(|error| panic!("{openings}: {error}"));
                drop(client);
                openings += 1;
            }
        }
    }
    for _ in 0..10 {
        let client = comes_in(front, &tls, delayed)
            .await
            .expect("at the other one");
        client.open(echo).await.expect("a stream");
    }
    assert!(openings > 0, "some came while it was not noticed");
    // Told once more, it cuts what is left.
    let ended = relays[0].process().terminate(LONG).await;
    ended.expect("it ends");
}

/// Openings that go on, whatever becomes of the relays: some in one session, some in one for each.
struct Load {
    opened: watch::Receiver<u64>,
    stop: watch::Sender<bool>,
    going: JoinSet<Result<(), Error>>,
}

impl Load {
    fn begin(front: SocketAddr, tls: &TlsConnector, echo: SocketAddr) -> Self {
        let (count, opened) = watch::channel(0);
        let stop = watch::Sender::new(false);
        let mut going = JoinSet::new();
        for stays in [true, true, false] {
            let (tls, count, stopped) = (tls.clone(), count.clone(), stop.subscribe());
            going.spawn(async move {
                let mut client = Client::new(ADA, front, tls.clone());
                while !*stopped.borrow() {
                    if !stays {
                        client = Client::new(GRACE, front, tls.clone());
                    }
                    client.open(echo).await?;
                    count.send_modify(|count| *count += 1);
                }
                Ok(())
            });
        }
        Self {
            opened,
            stop,
            going,
        }
    }

    /// Waits until so many more were opened; fails where one wasn't.
    async fn goes_on(&mut self, more: u64) {
        let until = *self.opened.borrow() + more;
        tokio::select! {
            Some(ended) = self.going.join_next() => panic!("an opening failed: {ended:?}"),
            opened = self.opened.wait_for(|count| *count >= until) => drop(opened.expect("it goes on")),
        }
    }

    /// Ends it: how many were opened, of which none may have failed.
    async fn end(mut self) -> u64 {
        self.stop.send_replace(true);
        while let Some(ended) = self.going.join_next().await {
            ended.expect("no panic").expect("no opening fails");
        }
        *self.opened.borrow()
    }
}

#[tokio::test]
async fn a_rolling_restart_fails_no_opening_and_loses_no_stream() {
    if is_skipped(haproxy::NAME) {
        return;
    }
    let settings = "limits = { dials_per_second = 10_000, sessions = 1000 }\n\
                    drain = { delay_seconds = 3, spread_seconds = 1, cut_seconds = 60 }";
    let mut relays = relays("proxy", settings).await;
    let changes = [("inter 2s", "inter 200ms")];
    let (haproxy, front, tls) = haproxy(&relays, &changes).await;
    let names = ["one", "two"];
    for server in names {
        let well = haproxy.wait_for_check("relays", server, "L7OK/200").await;
        well.expect("well");
    }
    let echo = echo().await;
    let mut load = Load::begin(front, &tls, echo);
    for (relay, server) in relays.iter_mut().zip(names) {
        // At both relays, in turn.
        let mut kept = Vec::new();
        for _ in 0..6 {
            let client = Client::new(ADA, front, tls.clone());
            let stream = client.open(echo).await.expect("through the balancer");
            kept.push((client, stream));
        }
        load.goes_on(10).await;
        relay.process().ask_to_end().expect("it lives");
        let down = format!("relays/{server} is DOWN");
        let down = haproxy.process().wait_for_line(&down, LONG).await;
        down.expect("it is noticed");
        // Those of the relay that goes are told, and open the next elsewhere.
        let leaving = haproxy.wait_for_check("relays", server, "L4CON/").await;
        leaving.expect("nobody comes in any more");
        load.goes_on(30).await;
        for (client, mut stream) in kept {
            stream.write_all(b"to the end").await.expect("open");
            stream.shutdown().await.expect("open");
            let mut said = Vec::new();
            stream.read_to_end(&mut said).await.expect("an end");
            assert_eq!(said, b"to the end");
            drop(client);
        }
        let ended = relay.process().ended(LONG).await;
        ended.expect("nothing is left in it");
        relay.start_again().await;
        let well = haproxy.wait_for_check("relays", server, "L7OK/200").await;
        well.expect("well");
        load.goes_on(30).await;
    }
    let opened = load.end().await;
    assert!(opened >= 140, "{opened}");
}

#[tokio::test]
async fn behind_haproxy_a_killed_relay_cuts_its_streams_and_the_other_takes_over() {
    if is_skipped(haproxy::NAME) {
        return;
    }
    let relays = relays("proxy", "").await;
    let (_haproxy, front, tls) = haproxy(&relays, &[]).await;
    is_killed(relays, front, tls).await;
}

#[tokio::test]
async fn behind_nginx_a_killed_relay_cuts_its_streams_and_the_other_takes_over() {
    if is_skipped(nginx::NAME) {
        return;
    }
    let relays = relays("x-forwarded-for", "").await;
    let (_nginx, front, tls) = nginx(&relays).await;
    is_killed(relays, front, tls).await;
}

/// One of them is, while a stream goes through it.
async fn is_killed(mut relays: [Relayd; 2], front: SocketAddr, tls: TlsConnector) {
    let echo = echo().await;
    let client = Client::new(ADA, front, tls.clone());
    let mut stream = client.open(echo).await.expect("a stream");
    let has_it = tokio::select! {
        () = relays[0].served(ADA) => 0,
        () = relays[1].served(ADA) => 1,
    };
    relays[has_it].process().kill().expect("it lived");
    let read = tokio::time::timeout(LONG, stream.read(&mut [0])).await;
    let error = Error::from(read.expect("in time").expect_err("no end"));
    assert_eq!(error.kind(), ErrorKind::Reset, "{error}");
    // Before anybody has noticed.
    client.open(echo).await.expect("at the other one");
    let client = Client::new(GRACE, front, tls);
    client.open(echo).await.expect("at the other one");
}

#[tokio::test]
async fn an_nginx_that_keeps_the_upgrade_is_told() {
    if is_skipped(nginx::NAME) {
        return;
    }
    let relays = relays("x-forwarded-for", "").await;
    let [front] = free_addresses().expect("an address");
    let config = replaced(NGINX, &[("listen 443 ssl", "listen :443 ssl")]);
    let config = replaced(
        &before(&config, front, &relays),
        &[
            (" ssl;", ";"),
            ("proxy_http_version 1.1;", ""),
            ("proxy_set_header Upgrade $http_upgrade;", ""),
            ("proxy_set_header Connection \"upgrade\";", ""),
        ],
    );
    let certificate = Authority::new().server(&NAMES);
    let nginx = Nginx::start(&config, &certificate, front).await;
    let _nginx = nginx.expect("it starts");
    let mut stream = TcpStream::connect(front).await.expect("it listens");
    let request = format!(
        "GET / HTTP/1.1\r\nHost: {front}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Protocol: jackfield.v1\r\n\r\n"
    );
    stream
        .write_all(request.as_bytes())
        .await
        .expect("it reads");
    let mut answer = vec![0; 4096];
    let mut read = 0;
    while !answer[..read].windows(11).any(|it| it == b"in HTTP/1.1") {
        let more = tokio::time::timeout(LONG, stream.read(&mut answer[read..])).await;
        match more.expect("in time").expect("an answer") {
            0 => break,
            more => read += more,
        }
    }
    let answer = String::from_utf8_lossy(&answer[..read]);
    assert!(answer.starts_with("HTTP/1.1 426 "), "{answer}");
    assert!(
        answer.contains("your proxy does not forward the upgrade"),
        "{answer}"
    );
}
