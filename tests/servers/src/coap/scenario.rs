//! The scenario of a CoAP client's life, the same with every server.

use std::fmt::Debug;
use std::future::Future;
use std::net::SocketAddr;
use std::panic::Location;
use std::time::Duration;

use jackfield_coap::RequestError;
use jackfield_coap::client::{Client, ClientConfig, Observation};
use jackfield_coap::codec::{Code, ContentFormat, OptionNumber};
use jackfield_coap::core::{NoResponse, Request};
use jackfield_testing::proxy::Proxy;
use tokio::time::timeout;

use super::{Carrier, Device};
use crate::LONG;

const TEXT: ContentFormat = ContentFormat::TEXT_PLAIN;
/// An option that nobody knows, and that must be understood (RFC 7252, section 5.4.1).
const UNKNOWN_CRITICAL: OptionNumber = OptionNumber(65001);
const MEGABYTE: usize = 1 << 20;
/// How long an answer is waited for that must not come.
const MOMENT: Duration = Duration::from_millis(300);

/// A server, and how to reach it.
#[expect(missing_debug_implementations, reason = "it holds a function")]
pub struct Place {
    /// How our client comes there.
    pub carrier: Carrier,
    /// Where it connects.
    pub server: SocketAddr,
    /// How each client there is configured.
    pub config: Box<dyn Fn() -> ClientConfig>,
    /// What the server is like.
    pub server_is: &'static Character,
}

/// What is particular about a server.
#[derive(Debug)]
pub struct Character {
    /// A resource that is answered separately, and its answer.
    pub slow: [&'static str; 2],
    /// What it lacks of what this scenario asks for, and why.
    pub lacks: &'static [(Part, &'static str)],
}

/// What a server may lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// `/echo`, for POST, FETCH, PATCH and iPATCH.
    Echo,
    /// 4.02 for a critical option that it does not know.
    CriticalOptions,
    /// 2.03, where the client has a representation already.
    Validation,
    /// `/counted`, which is another each time, and fresh for a minute.
    Freshness,
    /// Its silence, where the client wants to hear nothing.
    NoResponse,
    /// Bodies of requests in blocks.
    Uploads,
    /// The word that it was told how large a body will be (`/large`).
    Size1,
    /// How large a response's body will be.
    Size2,
    /// Queries to `/.well-known/core`.
    Filters,
    /// `/observers`, the number of those who observe `/ticks`.
    Observers,
    /// `/fading`, which is fresh for a second and counts how often it was asked for.
    Fading,
    /// An answer to a ping.
    Ping,
}

/// Plays all of it.
pub async fn play(place: &Place) {
    // This takes up to 16 s, for RFC 7641 lets the client wait so long.
    let mut reader = place.device();
    let fading = reregistration(place, &mut reader);
    let meanwhile = Box::pin(async {
        let device = place.device();
        let client = &device.client;
        methods(place, client).await;
        refusals(place, client).await;
        separate(place, client).await;
        many_at_once(place, client).await;
        silence(place, client).await;
        discovery(place, client).await;
        if place.has(Part::Ping) {
            soon(client.ping()).await.expect("an answer");
        }
        notifications(place, client).await;
        cancellation(place, client).await;
        blocks(place, client).await;
        device.close().await;
        freshness(place).await;
        validation(place).await;
        if place.carrier.is_stream() {
            reconnection(place).await;
        }
    });
    tokio::join!(fading, meanwhile);
    reader.close().await;
}

impl Place {
    fn has(&self, part: Part) -> bool {
        !self
            .server_is
            .lacks
            .iter()
            .any(|(lacked, _)| *lacked == part)
    }

    /// A client, connected to there.
    fn device(&self) -> Device {
        Device::start(&self.carrier, self.server, (self.config)())
    }
}

/// What anything comes to that does not hang.
#[track_caller]
fn soon<T>(doing: impl Future<Output = T>) -> impl Future<Output = T> {
    let at = Location::caller();
    async move {
        let outcome = timeout(LONG, doing).await;
        outcome.unwrap_or_else(|_| panic!("not in time: {at}"))
    }
}

/// The refusal that this must be.
fn refused<T: Debug>(outcome: Result<T, RequestError>) -> Code {
    match outcome {
        Err(RequestError::Refused(refusal)) => refusal.code(),
        other => panic!("{other:?}"),
    }
}

async fn put(client: &Client, path: &str, body: impl Into<Vec<u8>>) {
    let put = soon(client.put(path, body, TEXT))
        .await
        .expect("it is taken");
    assert!([Code::CREATED, Code::CHANGED].contains(&put.code()));
}

async fn text(client: &Client, path: &str) -> String {
    let got = soon(client.get(path)).await.expect("it is there");
    assert_eq!(got.code(), Code::CONTENT);
    got.text().expect("a text").to_owned()
}

/// What can be done with a resource, confirmed and unconfirmed.
async fn methods(place: &Place, client: &Client) {
    put(client, "/value", "one").await;
    assert_eq!(text(client, "/value").await, "one");
    let unconfirmed = Request::put("/value").expect("a target");
    let unconfirmed = unconfirmed.with_payload("two", TEXT).non_confirmable();
    let put = soon(client.request(unconfirmed))
        .await
        .expect("it is taken");
    assert_eq!(put.code(), Code::CHANGED);
    assert_eq!(text(client, "/value").await, "two");
    let deleted = soon(client.delete("/value")).await.expect("it is taken");
    assert_eq!(deleted.code(), Code::DELETED);
    // One server forgets the value, the other the resource.
    match soon(client.get("/value")).await {
        Ok(empty) => assert_eq!(empty.text(), Some("")),
        gone => assert_eq!(refused(gone), Code::NOT_FOUND),
    }
    if place.has(Part::Echo) {
        let answers = [
            (soon(client.post("/echo", "this", TEXT)).await, "POST this"),
            (
                soon(client.fetch("/echo", "this", TEXT)).await,
                "FETCH this",
            ),
            (
                soon(client.patch("/echo", "this", TEXT)).await,
                "PATCH this",
            ),
            (
                soon(client.ipatch("/echo", "this", TEXT)).await,
                "iPATCH this",
            ),
        ];
        for (answer, expected) in answers {
            assert_eq!(answer.expect("an answer").text(), Some(expected));
        }
    }
}

async fn refusals(place: &Place, client: &Client) {
    let nowhere = soon(client.get("/nowhere")).await;
    assert_eq!(refused(nowhere), Code::NOT_FOUND);
    if place.has(Part::CriticalOptions) {
        let odd = Request::get("/value").expect("a target");
        let odd = odd.with_option(UNKNOWN_CRITICAL, b"?").expect("an option");
        match soon(client.request(odd)).await {
            // It sends the option back, which makes its refusal one that is to be rejected itself
            // (RFC 7252, section 5.4.1).
            Err(RequestError::BadOption(UNKNOWN_CRITICAL)) => {}
            refusal => assert_eq!(refused(refusal), Code::BAD_OPTION),
        }
    }
}

async fn separate(place: &Place, client: &Client) {
    let [path, answer] = place.server_is.slow;
    assert_eq!(text(client, path).await, answer);
    let unconfirmed = Request::get(path).expect("a target").non_confirmable();
    let slow = soon(client.request(unconfirmed)).await.expect("an answer");
    assert_eq!(slow.text(), Some(answer));
}

/// Each gets its own answer.
async fn many_at_once(place: &Place, client: &Client) {
    if !place.has(Part::Echo) {
        return;
    }
    let calls = (0..20).map(|number| {
        let client = client.clone();
        tokio::spawn(async move {
            let answer = client.post("/echo", number.to_string(), TEXT).await;
            let answer = answer.expect("an answer");
            assert_eq!(answer.text(), Some(&*format!("POST {number}")));
        })
    });
    for call in calls.collect::<Vec<_>>() {
        soon(call).await.expect("its own");
    }
}

/// What is told, and what is not to be answered (RFC 7967).
async fn silence(place: &Place, client: &Client) {
    put(client, "/value", "before").await;
    let told = Request::put("/value").expect("a target");
    let told = told.with_payload("told", TEXT);
    soon(client.tell(told.clone())).await.expect("it is sent");
    assert_eq!(text(client, "/value").await, "told");
    if !place.has(Part::NoResponse) {
        return;
    }
    let unanswered = told.with_no_response(NoResponse::SUCCESS);
    let outcome = client.request(unanswered.with_timeout(MOMENT)).await;
    assert!(
        matches!(outcome, Err(RequestError::TimedOut)),
        "{outcome:?}"
    );
    // A failure is told nevertheless.
    let failing = Request::get("/nowhere").expect("a target");
    let failing = failing.with_no_response(NoResponse::SUCCESS);
    assert_eq!(
        refused(soon(client.request(failing)).await),
        Code::NOT_FOUND
    );
}

async fn discovery(place: &Place, client: &Client) {
    let links = soon(client.discover(None)).await.expect("a list");
    let slow = place.server_is.slow[0].split('?').next();
    assert!(
        links.iter().any(|link| Some(link.target()) == slow),
        "{links}"
    );
    if place.has(Part::Filters) {
        let none = soon(client.discover(Some("rt=nothing"))).await;
        assert!(none.expect("a list").is_empty());
    }
}

async fn next(observation: &mut Observation) -> String {
    soon(next_of(observation)).await
}

async fn next_of(observation: &mut Observation) -> String {
    let next = observation.next().await.expect("it goes on");
    let next = next.expect("a notification");
    next.text().expect("a text").to_owned()
}

/// What changes is told, in order; what changes quickly, at least as it is in the end.
async fn notifications(place: &Place, client: &Client) {
    put(client, "/value", "0").await;
    let mut observation = soon(client.observe("/value")).await.expect("observed");
    assert_eq!(next(&mut observation).await, "0");
    let other = place.device();
    for number in 1..=10 {
        put(&other.client, "/value", number.to_string()).await;
        assert_eq!(next(&mut observation).await, number.to_string());
    }
    for number in 11..=30 {
        put(&other.client, "/value", number.to_string()).await;
    }
    let mut last = 10;
    while last < 30 {
        let number = next(&mut observation).await.parse().expect("a number");
        assert!(number > last, "{number} after {last}");
        last = number;
    }
    other.close().await;
}

/// Who drops an observation is forgotten.
async fn cancellation(place: &Place, client: &Client) {
    if !place.has(Part::Observers) {
        return;
    }
    let mut ticks = soon(client.observe("/ticks")).await.expect("observed");
    let first: u64 = next(&mut ticks).await.parse().expect("a number");
    let second: u64 = next(&mut ticks).await.parse().expect("a number");
    assert!(second > first);
    assert_eq!(text(client, "/observers").await, "1");
    drop(ticks);
    let forgotten = async { while text(client, "/observers").await != "0" {} };
    soon(forgotten).await;
}

/// Bodies of a megabyte, both ways.
async fn blocks(place: &Place, client: &Client) {
    let mut random = fastrand::Rng::with_seed(MEGABYTE as u64);
    let body: Vec<u8> = (0..MEGABYTE).map(|_| random.u8(..)).collect();
    let size = body.len() as u64;
    if place.has(Part::Uploads) {
        let mut sent = Vec::new();
        let request = Request::put("/large").expect("a target");
        let upload = client.upload(request, &body[..], Some(size), |progress| {
            assert_eq!(progress.total, Some(size));
            sent.push(progress.sent);
        });
        let taken = soon(upload).await.expect("it is taken");
        assert!(sent.is_sorted() && sent.last() == Some(&size), "{sent:?}");
        if place.has(Part::Size1) {
            assert_eq!(taken.text(), Some(&*size.to_string()));
        }
    }
    let expected = if place.has(Part::Uploads) {
        body
    } else {
        (0..MEGABYTE).map(|index| (index % 251) as u8).collect()
    };
    let got = soon(client.get("/large")).await.expect("it is there");
    assert!(got.payload == expected, "what came is not what is there");

    let mut download = soon(client.download("/large")).await.expect("it is there");
    if place.has(Part::Size2) {
        assert_eq!(download.total(), Some(size));
    }
    let mut parts = Vec::new();
    while let Some(part) = soon(download.next()).await.expect("a part") {
        parts.extend_from_slice(&part);
        assert_eq!(download.received(), parts.len() as u64);
    }
    assert!(parts == expected, "what came is not what is there");
}

/// What is fresh is not asked for again.
async fn freshness(place: &Place) {
    if !place.has(Part::Freshness) {
        return;
    }
    let mut config = (place.config)();
    config.requests.limits.max_cache_bytes = 10_000;
    let caching = Device::start(&place.carrier, place.server, config);
    let first = text(&caching.client, "/counted").await;
    assert_eq!(text(&caching.client, "/counted").await, first);
    let device = place.device();
    assert_ne!(text(&device.client, "/counted").await, first);
    caching.close().await;
    device.close().await;
}

/// What may be stale is asked about, and comes once.
async fn validation(place: &Place) {
    if !place.has(Part::Validation) {
        return;
    }
    let device = place.device();
    let first = soon(device.client.get("/steady")).await;
    let first = first.expect("it is there");
    let etag = first.etag().expect("an entity-tag");
    let request = Request::get("/steady").expect("a target");
    let request = request.with_etag(etag).expect("an entity-tag");
    let valid = soon(device.client.request(request)).await;
    let valid = valid.expect("it still holds");
    assert_eq!((valid.code(), &valid.payload[..]), (Code::VALID, &b""[..]));
    device.close().await;

    let mut config = (place.config)();
    config.requests.limits.max_cache_bytes = 10_000;
    let caching = Device::start(&place.carrier, place.server, config);
    for _ in 0..3 {
        assert_eq!(text(&caching.client, "/steady").await, "steady");
    }
    caching.close().await;
}

/// Observations go on over a new connection.
async fn reconnection(place: &Place) {
    let proxy = Proxy::start(place.server).await.expect("a proxy");
    let mut device = Device::start(&place.carrier, proxy.address(), (place.config)());
    device.connected().await;
    put(&device.client, "/value", "before").await;
    let mut observation = soon(device.client.observe("/value")).await;
    let observation = observation.as_mut().expect("observed");
    assert_eq!(next(observation).await, "before");
    proxy.cut();
    device.disconnected().await;
    let lost = soon(observation.next()).await.expect("it goes on");
    assert!(
        matches!(lost, Err(RequestError::ConnectionLost)),
        "{lost:?}"
    );
    device.connected().await;
    assert_eq!(next(observation).await, "before");
    put(&device.client, "/value", "after").await;
    assert_eq!(next(observation).await, "after");
    device.close().await;
}

/// A server that is silent for longer than what it said is fresh is asked again (RFC 7641, section
/// 3.3.1).
async fn reregistration(place: &Place, device: &mut Device) {
    if !place.has(Part::Fading) {
        return;
    }
    let observation = soon(device.client.observe("/fading")).await;
    let mut observation = observation.expect("observed");
    assert_eq!(next(&mut observation).await, "1");
    let again = timeout(2 * LONG, next_of(&mut observation)).await;
    assert_eq!(again.expect("in time"), "2");
}
