//! The client and the small server, on a network in memory that loses, repeats and reorders.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jackfield_coap::client::{self, Client, ClientConfig, ClientEvent, ConnectionError, Status};
use jackfield_coap::codec::{Code, ContentFormat};
use jackfield_coap::core::{BlockError, LayerError, NoResponse, Request};
use jackfield_coap::server::{Reply, Resource, ServerConfig, Site, serve_tcp, serve_udp};
use jackfield_coap::{RequestError, SessionError};
use jackfield_sim::{Cut, Link, Network, SimHost};
use jackfield_socket::{
    ListenOptions, MulticastGroup, MulticastOptions, TcpListen, UdpOpen, UdpOptions,
};

const TEXT: ContentFormat = ContentFormat::TEXT_PLAIN;

struct World {
    network: Network,
    here: SimHost,
    there: SimHost,
}

impl World {
    fn new(seed: u64) -> Self {
        let network = Network::new(seed);
        let here = network.host("here.example", ["192.0.2.1".parse().expect("an address")]);
        let there = network.host("there.example", ["192.0.2.2".parse().expect("an address")]);
        Self {
            network,
            here,
            there,
        }
    }

    /// Loses, repeats and reorders this share of the datagrams.
    fn worsen(&self, share: f64) {
        let mut link = Link::default();
        link.latency = Duration::from_millis(20);
        link.jitter = Duration::from_millis(10);
        link.loss = share;
        link.duplication = share;
        link.reordering = share;
        self.network.link(&self.here, &self.there, link);
    }

    async fn serve(&self, site: &Site) {
        let at: SocketAddr = "192.0.2.2:5683".parse().expect("an address");
        let socket = self.there.open_bound(at, &UdpOptions::default()).await;
        tokio::spawn(serve_udp(socket.expect("the port is free"), site.clone()));
    }

    fn client(&self, configure: impl FnOnce(&mut ClientConfig)) -> Client {
        let mut config = ClientConfig::default();
        config.connection.seed = Some(7);
        config.requests.seed = Some(7);
        configure(&mut config);
        let server = "there.example:5683".parse().expect("an endpoint");
        let (client, _, connection) = client::connect(self.here.clone(), server, config);
        tokio::spawn(connection);
        client
    }
}

/// A server whose jitter is the same each time.
fn seeded() -> ServerConfig {
    let mut config = ServerConfig::default();
    config.seed = Some(7);
    config
}

/// A site with `/value`, which is what was put there and can be observed.
fn value_site(config: ServerConfig) -> (Site, Arc<Mutex<Vec<u8>>>) {
    let value = Arc::new(Mutex::new(b"nothing".to_vec()));
    let site = Site::new(config);
    let (read, written, changed) = (value.clone(), value.clone(), site.clone());
    let resource = Resource::new()
        .resource_type("value")
        .observable()
        .get(move |_| Reply::content(read.lock().expect("no panic").clone(), TEXT))
        .put(move |request| {
            *written.lock().expect("no panic") = request.payload.to_vec();
            changed.changed("/value");
            Reply::changed()
        });
    site.add("/value", resource).expect("a path");
    (site, value)
}

#[tokio::test(start_paused = true)]
async fn a_value_is_read_and_written() {
    let world = World::new(1);
    let (site, _) = value_site(seeded());
    world.serve(&site).await;
    let client = world.client(|_| {});
    let got = client.get("/value").await.expect("it is there");
    assert_eq!((got.code(), got.text()), (Code::CONTENT, Some("nothing")));
    let put = client
        .put("/value", "something", TEXT)
        .await
        .expect("it is taken");
    assert_eq!(put.code(), Code::CHANGED);
    let got = client.get("/value").await.expect("it is there");
    assert_eq!(got.text(), Some("something"));

    let links = client.discover(None).await.expect("a list");
    assert_eq!(links.to_string(), "</value>;rt=\"value\";obs");
    assert!(
        client
            .discover(Some("rt=other"))
            .await
            .expect("a list")
            .is_empty()
    );
    client.ping().await.expect("it is there");
    match client.get("/nowhere").await {
        Err(RequestError::Refused(refusal)) => assert_eq!(refusal.code(), Code::NOT_FOUND),
        other => panic!("{other:?}"),
    }
    match client.delete("/value").await {
        Err(RequestError::Refused(refusal)) => {
            assert_eq!(refusal.code(), Code::METHOD_NOT_ALLOWED);
        }
        other => panic!("{other:?}"),
    }
}

/// Bytes in which each block differs from the others.
fn body(length: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(length as u64);
    std::iter::repeat_with(|| random.u8(..))
        .take(length)
        .collect()
}

async fn a_megabyte_each_way(seed: u64, share: f64) {
    let world = World::new(seed);
    world.worsen(share);
    let (site, value) = value_site(seeded());
    world.serve(&site).await;
    let client = world.client(|_| {});
    let sent = body(1 << 20);
    client
        .put("/value", sent.clone(), TEXT)
        .await
        .expect("it is taken");
    assert!(
        *value.lock().expect("no panic") == sent,
        "what arrived is not what was sent"
    );
    let got = client.get("/value").await.expect("it is there");
    assert!(got.payload == sent, "what came is not what is there");
}

#[tokio::test(start_paused = true)]
async fn a_megabyte_each_way_at_10_percent_loss() {
    a_megabyte_each_way(10, 0.1).await;
}

#[tokio::test(start_paused = true)]
async fn a_megabyte_each_way_at_20_percent_loss() {
    a_megabyte_each_way(20, 0.2).await;
}

#[tokio::test(start_paused = true)]
async fn a_megabyte_each_way_at_30_percent_loss() {
    a_megabyte_each_way(30, 0.3).await;
}

#[tokio::test(start_paused = true)]
async fn an_observation_is_ordered_and_true_in_the_end() {
    for share in [0.0, 0.1, 0.2, 0.3] {
        for seed in 0..4 {
            let world = World::new(seed);
            world.worsen(share);
            let (site, value) = value_site(seeded());
            *value.lock().expect("no panic") = b"0".to_vec();
            world.serve(&site).await;
            let client = world.client(|_| {});
            let mut observation = client.observe("/value").await.expect("a target");
            let changes = async {
                for number in 1..=50 {
                    tokio::time::sleep(Duration::from_millis(700)).await;
                    *value.lock().expect("no panic") = number.to_string().into_bytes();
                    site.changed("/value");
                }
            };
            let read = async {
                let mut seen: Vec<u32> = Vec::new();
                while seen.last() != Some(&50) {
                    match observation.next().await.expect("it goes on") {
                        Ok(response) => {
                            let text = response.text().expect("text");
                            seen.push(text.parse().expect("a number"));
                        }
                        // The server was silent for too long: that may happen, and is told.
                        Err(RequestError::TimedOut) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
                seen
            };
            let both = async { tokio::join!(changes, read).1 };
            let seen = tokio::time::timeout(Duration::from_hours(2), both).await;
            let seen = seen.unwrap_or_else(|_| panic!("{share} {seed}: never true"));
            assert!(seen.is_sorted(), "{share} {seed}: {seen:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn no_answer_is_taken_for_another_ones() {
    for share in [0.1, 0.2, 0.3] {
        let world = World::new(9);
        world.worsen(share);
        let site = Site::new(seeded());
        let echo = Resource::new().get(|request| {
            let query: Vec<&str> = request.query().collect();
            let reply = Reply::content(query.join("&"), TEXT);
            // Some take longer than the acknowledgement waits.
            match query.first() {
                Some(number) if number.ends_with('7') => reply.with_delay(Duration::from_secs(3)),
                _ => reply,
            }
        });
        site.add("/echo", echo).expect("a path");
        world.serve(&site).await;
        let client = world.client(|_| {});
        let mut asked = tokio::task::JoinSet::new();
        for number in 0..60 {
            let client = client.clone();
            asked.spawn(async move {
                let answer = client.get(&format!("/echo?{number}")).await;
                (number, answer)
            });
        }
        let mut answered = 0;
        while let Some(outcome) = asked.join_next().await {
            let (number, answer) = outcome.expect("no panic");
            match answer {
                Ok(response) => {
                    assert_eq!(response.text(), Some(number.to_string().as_str()));
                    answered += 1;
                }
                Err(RequestError::TimedOut) => {}
                Err(error) => panic!("{number}: {error}"),
            }
        }
        assert!(answered > 0, "{share}: nothing was answered");
    }
}

impl World {
    async fn serve_tcp(&self, site: &Site) {
        let at: SocketAddr = "192.0.2.2:5683".parse().expect("an address");
        let listener = self.there.listen(at, &ListenOptions::default()).await;
        tokio::spawn(serve_tcp(listener.expect("the port is free"), site.clone()));
    }

    fn client_tcp(&self) -> Client {
        let server = "there.example:5683".parse().expect("an endpoint");
        let mut config = ClientConfig::default();
        config.connection.seed = Some(7);
        let (client, _, connection) = client::connect_tcp(self.here.clone(), server, config);
        tokio::spawn(connection);
        client
    }
}

#[tokio::test(start_paused = true)]
async fn over_tcp_blocks_are_large_and_bodies_the_same() {
    let world = World::new(3);
    let (site, value) = value_site(seeded());
    world.serve_tcp(&site).await;
    let client = world.client_tcp();
    assert_eq!(
        client.get("/value").await.expect("it is there").text(),
        Some("nothing")
    );
    let sent = body(1 << 20);
    let mut told = Vec::new();
    let request = Request::put("/value").expect("a target");
    let size = Some(sent.len() as u64);
    let uploaded = client.upload(request, &sent[..], size, |progress| {
        told.push(progress.sent);
    });
    uploaded.await.expect("it is taken");
    assert!(
        *value.lock().expect("no panic") == sent,
        "what arrived is not what was sent"
    );
    assert_eq!(told.last(), Some(&(1 << 20)));
    assert!(told.len() < 16 && told.is_sorted(), "{told:?}");

    let mut download = client.download("/value").await.expect("it is there");
    let mut got = Vec::new();
    let mut parts = 0;
    while let Some(part) = download.next().await.expect("a part") {
        assert_eq!(download.total(), size);
        got.extend_from_slice(&part);
        parts += 1;
    }
    assert!(got == sent, "what came is not what is there");
    assert!((2..16).contains(&parts), "{parts} parts");
    client.ping().await.expect("it is there");
    client.close().await;
    assert!(matches!(
        client.get("/value").await,
        Err(RequestError::Closed)
    ));
}

#[tokio::test(start_paused = true)]
async fn an_observation_outlives_its_connection() {
    let world = World::new(4);
    let (site, value) = value_site(seeded());
    world.serve_tcp(&site).await;
    // The first connection ends in the midst of something.
    world
        .network
        .cut_next(&world.there, &world.here, 60, Cut::Reset);
    let client = world.client_tcp();
    let mut observation = client.observe("/value").await.expect("a target");
    let mut lost = 0;
    for number in 0..20 {
        let text = number.to_string();
        value
            .lock()
            .expect("no panic")
            .clone_from(&text.clone().into_bytes());
        site.changed("/value");
        loop {
            match observation.next().await.expect("it goes on") {
                Ok(response) if response.text() == Some(&text) => break,
                Ok(_) => {}
                Err(RequestError::ConnectionLost) => lost += 1,
                Err(error) => panic!("{error}"),
            }
        }
    }
    assert_eq!(lost, 1);
}

/// Nobody says that it can't be reached any more.
#[tokio::test(start_paused = true)]
async fn a_server_that_vanishes_is_noticed_by_who_asks_it_nothing() {
    let world = World::new(14);
    let (site, _) = value_site(seeded());
    world.serve_tcp(&site).await;
    let server = "there.example:5683".parse().expect("an endpoint");
    let here = world.here.clone();
    let (client, mut events, connection) =
        client::connect_tcp(here, server, ClientConfig::default());
    tokio::spawn(connection);
    client.get("/value").await.expect("it is there");
    let mut lost = std::pin::pin!(async {
        loop {
            let event = events.next().await.expect("it goes on");
            if let ClientEvent::Status(Status::Disconnected { error, .. }) = event {
                break error;
            }
        }
    });
    let quiet = tokio::time::timeout(Duration::from_hours(3), &mut lost).await;
    assert!(quiet.is_err(), "{quiet:?}");

    world.network.part(&world.here, &world.there);
    let error = tokio::time::timeout(Duration::from_secs(80), lost).await;
    assert!(
        matches!(
            error,
            Ok(ConnectionError::Session(SessionError::Layer(
                LayerError::PingTimedOut
            )))
        ),
        "{error:?}"
    );
    world.network.heal(&world.here, &world.there);
    client.get("/value").await.expect("it is there again");
}

#[tokio::test(start_paused = true)]
async fn a_notification_may_be_large() {
    for share in [0.0, 0.2] {
        let world = World::new(11);
        world.worsen(share);
        let (site, value) = value_site(seeded());
        world.serve(&site).await;
        let client = world.client(|_| {});
        let mut observation = client.observe("/value").await.expect("a target");
        for length in [10, 5_000, 40_000, 100] {
            let large = body(length);
            value.lock().expect("no panic").clone_from(&large);
            site.changed("/value");
            loop {
                match observation.next().await.expect("it goes on") {
                    Ok(response) if response.payload == large => break,
                    Ok(_) | Err(RequestError::TimedOut) => {}
                    Err(error) => panic!("{share}: {error}"),
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn bodies_that_are_sent_at_once_do_not_mix() {
    let world = World::new(12);
    world.worsen(0.1);
    let (taken, site) = (Arc::new(Mutex::new(Vec::new())), Site::new(seeded()));
    let written = taken.clone();
    let resource = Resource::new().post(move |request| {
        let body = request.payload.to_vec();
        written.lock().expect("no panic").push(body);
        Reply::changed()
    });
    site.add("/jobs", resource).expect("a path");
    world.serve(&site).await;
    let client = world.client(|_| {});
    let bodies = [body(20_000), body(20_001), body(19_999)];
    let sent = bodies.clone().map(|body| {
        let client = client.clone();
        async move { client.post("/jobs", body, TEXT).await }
    });
    let [first, second, third] = sent;
    let outcomes = tokio::join!(first, second, third);
    for outcome in [outcomes.0, outcomes.1, outcomes.2] {
        outcome.expect("it is taken");
    }
    let mut taken = std::mem::take(&mut *taken.lock().expect("no panic"));
    taken.sort();
    let mut bodies = bodies.to_vec();
    bodies.sort();
    assert!(taken == bodies, "what arrived is not what was sent");
}

/// RFC 8132, section 2: what is asked for is also in the body.
#[tokio::test(start_paused = true)]
async fn fetches_that_ask_at_once_for_different_parts_get_their_own() {
    let world = World::new(15);
    let site = Site::new(seeded());
    let resource = Resource::new().method(Code::FETCH, |request| {
        let text = format!("{} ", request.text().unwrap_or_default());
        Reply::content(text.repeat(1_000), TEXT)
    });
    site.add("/parts", resource).expect("a path");
    world.serve(&site).await;
    let client = world.client(|config| config.datagrams.transmission.nstart = 4);
    let mut asked = tokio::task::JoinSet::new();
    // The last is larger than a message itself.
    for name in ["first", "other", "third", &"long".repeat(300)] {
        let (client, name) = (client.clone(), name.to_owned());
        asked.spawn(async move {
            let answer = client.fetch("/parts", name.clone(), TEXT).await;
            let expected = format!("{name} ").repeat(1_000);
            assert!(answer.expect("an answer").payload == expected.as_bytes());
        });
    }
    while let Some(outcome) = asked.join_next().await {
        outcome.expect("its own");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_told_is_done_once_and_not_answered() {
    for over_tcp in [false, true] {
        let world = World::new(13);
        let site = Site::new(seeded());
        let count = Arc::new(Mutex::new(0));
        let counted = count.clone();
        let resource = Resource::new().post(move |_| {
            *counted.lock().expect("no panic") += 1;
            Reply::changed()
        });
        site.add("/count", resource).expect("a path");
        let client = if over_tcp {
            world.serve_tcp(&site).await;
            world.client_tcp()
        } else {
            world.serve(&site).await;
            world.client(|_| {})
        };
        let post = || Request::post("/count").expect("a target");
        client.tell(post()).await.expect("it is sent");
        client.tell(post().non_confirmable()).await.expect("sent");
        let quiet = post().with_no_response(NoResponse::SUCCESS);
        let outcome = client.request(quiet).await;
        assert!(matches!(outcome, Err(RequestError::TimedOut)));
        assert_eq!(*count.lock().expect("no panic"), 3);
        // A failure is told nevertheless.
        let wrong = Request::get("/count").expect("a target");
        let wrong = wrong.with_no_response(NoResponse::SUCCESS);
        match client.request(wrong).await {
            Err(RequestError::Refused(refusal)) => {
                assert_eq!(refusal.code(), Code::METHOD_NOT_ALLOWED);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_stops_observing_is_told_nothing_more() {
    let world = World::new(5);
    let (site, value) = value_site(seeded());
    world.serve(&site).await;
    let client = world.client(|_| {});
    let mut observation = client.observe("/value").await.expect("a target");
    observation
        .next()
        .await
        .expect("it goes on")
        .expect("a value");
    drop(observation);
    // It says so before what is asked next.
    client.get("/value").await.expect("it is there");
    let before = world.network.trace().len();
    *value.lock().expect("no panic") = b"other".to_vec();
    site.changed("/value");
    tokio::time::sleep(Duration::from_mins(5)).await;
    assert_eq!(
        world.network.trace().len(),
        before,
        "{:?}",
        world.network.trace()
    );
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_dropped_is_not_repeated() {
    let world = World::new(6);
    // Somebody is there, and says nothing.
    let at: SocketAddr = "192.0.2.2:5683".parse().expect("an address");
    let _silent = world.there.open_bound(at, &UdpOptions::default()).await;
    let client = world.client(|_| {});
    let asked = tokio::time::timeout(Duration::from_secs(3), client.get("/value")).await;
    asked.expect_err("nobody answers");
    let before = world.network.trace().len();
    assert!(before > 0, "nothing was sent");
    tokio::time::sleep(Duration::from_mins(5)).await;
    assert_eq!(world.network.trace().len(), before);
    let error = client.get("/value").await.expect_err("nobody answers");
    assert!(
        matches!(error, RequestError::TimedOut | RequestError::Unsendable(_)),
        "{error:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_request_to_a_closed_port_fails_at_once() {
    let world = World::new(9);
    let client = world.client(|_| {});
    let begin = tokio::time::Instant::now();
    for _ in 0..2 {
        let error = client.get("/value").await.expect_err("nobody listens");
        let refused = RequestError::Unsendable(std::io::ErrorKind::ConnectionRefused);
        assert_eq!(error.to_string(), refused.to_string());
    }
    let took = begin.elapsed();
    assert!(took < Duration::from_secs(1), "{took:?}");
    // Nothing is wrong with the client: as soon as somebody listens, it is heard.
    let (site, _) = value_site(seeded());
    world.serve(&site).await;
    client.get("/value").await.expect("it is there");
}

#[tokio::test(start_paused = true)]
async fn a_fresh_response_is_not_asked_for_again() {
    let world = World::new(7);
    let site = Site::new(seeded());
    let asked = Arc::new(Mutex::new(0));
    let count = asked.clone();
    let resource = Resource::new().get(move |_| {
        *count.lock().expect("no panic") += 1;
        let reply = Reply::content("the same", TEXT).with_max_age(10);
        reply.with_etag(b"1").expect("an entity-tag")
    });
    site.add("/steady", resource).expect("a path");
    world.serve(&site).await;
    let client = world.client(|config| config.requests.limits.max_cache_bytes = 10_000);
    for (seconds, times) in [(0, 1), (9, 1), (2, 2), (1, 2), (20, 3)] {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        let response = client.get("/steady").await.expect("it is there");
        assert_eq!(
            (response.code(), response.text()),
            (Code::CONTENT, Some("the same"))
        );
        assert_eq!(*asked.lock().expect("no panic"), times);
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_comes_whole_is_bounded_too() {
    let world = World::new(15);
    let (site, _) = value_site(seeded());
    world.serve(&site).await;
    let length = "nothing".len() as u64;
    for (max_body, is_taken) in [(length - 1, false), (length, true)] {
        let client = world.client(|config| config.requests.limits.max_body = max_body);
        let outcome = client.get("/value").await;
        let is_too_large = matches!(
            outcome,
            Err(RequestError::Blocks(BlockError::TooLarge { limit })) if limit == max_body
        );
        assert_eq!((outcome.is_ok(), is_too_large), (is_taken, !is_taken));
        let mut observation = client.observe("/value").await.expect("a target");
        let first = observation.next().await.expect("a notification");
        assert_eq!(first.is_ok(), is_taken, "{first:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_answers() {
    let world = World::new(8);
    let other = world
        .network
        .host("other.example", ["192.0.2.3".parse().expect("an address")]);
    let group: SocketAddr = "224.0.1.187:5683".parse().expect("an address");
    for host in [&world.there, &other] {
        let mut multicast = MulticastOptions::default();
        multicast.groups.push(MulticastGroup::new(group.ip()));
        let mut options = UdpOptions::default();
        options.multicast = Some(multicast);
        let at = "0.0.0.0:5683".parse().expect("an address");
        let socket = host
            .open_bound(at, &options)
            .await
            .expect("the port is free");
        let (site, _) = value_site(seeded());
        tokio::spawn(serve_udp(socket, site));
    }
    let local = "0.0.0.0:0".parse().expect("an address");
    let (multicast, _, connection) =
        client::multicast(world.here.clone(), local, ClientConfig::default());
    let running = tokio::spawn(connection);
    let window = Duration::from_secs(10);
    let mut answers = multicast.discover(group, window).await.expect("a target");
    let mut from = Vec::new();
    while let Some(answer) = answers.next().await {
        let (address, response) = answer.expect("an answer");
        assert_eq!(response.text(), Some("</value>;rt=\"value\";obs"));
        from.push(address.to_string());
    }
    from.sort();
    assert_eq!(from, ["192.0.2.2:5683", "192.0.2.3:5683"]);
    let mut late = multicast.discover(group, window).await.expect("a target");
    multicast.close().await;
    running.await.expect("no panic").expect("an end in order");
    while let Some(answer) = late.next().await {
        assert!(matches!(answer, Err(RequestError::Closed)), "{answer:?}");
    }
    let outcome = multicast.discover(group, window).await;
    assert!(matches!(outcome, Err(RequestError::Closed)));
}
