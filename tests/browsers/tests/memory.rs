//! What waits in a page is bounded: a reader that stalls stalls the server, a server that reads
//! nothing stalls the page, and afterwards every byte arrives.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::Ordering;
use std::time::Duration;

use jackfield_browser_suite::job::{Job, Outcome, Over, Task};
use jackfield_browser_tests::peers::{self, Reader};
use jackfield_browser_tests::{Place, Suite};
use jackfield_relayd::token::{Credential, Secret};
use jackfield_relayd::{Config, Relayd, Token};
use serde_json::json;

const SECRET: &str = "the-secret-of-these-tests";
const MIB: u64 = 1 << 20;
/// What each test moves: far more than may wait anywhere.
const TOTAL: u64 = 64 * MIB;
/// How long nobody reads.
const STALL: Duration = Duration::from_secs(6);
/// When it is measured: all that can move has moved long before, and nobody reads yet.
const MEASURED: Duration = Duration::from_secs(4);
/// What may wait in buffers of the systems and the browser: those of TCP, which grow as they are
/// used, on each connection between the page and the server, and the browser's pipes.
const SYSTEM: u64 = 20 * MIB;

/// More than the window of either end is on a path as short as this one, though the page is slow to
/// answer when it is measured.
const RELAY_WINDOW: u64 = MIB;
/// What `jackfield-direct` reads ahead.
const DIRECT_WINDOW: u64 = 4 * MIB;

#[tokio::test]
async fn a_stalled_reader_over_a_relay() {
    let (suite, over, _relay) = over_a_relay().await;
    stalled_reader(suite, over, RELAY_WINDOW).await;
}

#[tokio::test]
async fn a_stalled_writer_over_a_relay() {
    let (suite, over, _relay) = over_a_relay().await;
    stalled_writer(suite, over, RELAY_WINDOW).await;
}

#[tokio::test]
async fn a_stalled_reader_over_direct_sockets() {
    let suite = Suite::app().await.unwrap();
    stalled_reader(suite, Over::Direct, DIRECT_WINDOW).await;
}

#[tokio::test]
async fn a_stalled_writer_over_direct_sockets() {
    let suite = Suite::app().await.unwrap();
    stalled_writer(suite, Over::Direct, MIB).await;
}

/// The server pushes while the page doesn't read.
async fn stalled_reader(suite: Suite, over: Over, window: u64) {
    let receive = |from, late: Duration| Task::Receive {
        from,
        late: late.as_millis() as u64,
    };
    // What is made once, is made before.
    let (server, _) = peers::flood(4 * MIB);
    let task = receive(server.address(), Duration::ZERO);
    run(&suite, &over, task).await;
    let before = memory(&suite).await;

    let (server, sent) = peers::flood(TOTAL);
    let job = run(&suite, &over, receive(server.address(), STALL));
    let measuring = async {
        tokio::time::sleep(MEASURED).await;
        (sent.load(Ordering::Relaxed), memory(&suite).await)
    };
    let (outcome, (sent, during)) = tokio::join!(job, measuring);
    let grown = during.saturating_sub(before);
    eprintln!("while nobody read in the page: {sent} bytes sent, {grown} bytes more memory");
    assert_eq!((outcome.received, outcome.wrong), (TOTAL, None));
    // Through a relay, a stream begins with a quarter.
    assert!((window / 4..window + SYSTEM).contains(&sent), "{sent}");
    assert!(grown <= 2 * window, "from {before} to {during}");
    suite.close().await.unwrap();
}

/// The page pushes while the server doesn't read.
async fn stalled_writer(suite: Suite, over: Over, window: u64) {
    let send = |to, bytes| Task::Send {
        to,
        bytes,
        chunk: 65_521,
        pause: 0,
    };
    let (server, mut taken) = peers::sink(Reader::Fast);
    run(&suite, &over, send(server.address(), 4 * MIB)).await;
    taken.recv().await.unwrap();
    let before = memory(&suite).await;

    let (server, mut taken) = peers::sink(Reader::Late(STALL));
    let job = run(&suite, &over, send(server.address(), TOTAL));
    let measuring = async {
        tokio::time::sleep(MEASURED).await;
        let sent: u64 = suite.page.evaluate("suite.sent()").await.unwrap();
        (sent, memory(&suite).await)
    };
    let (outcome, (sent, during)) = tokio::join!(job, measuring);
    let taken = taken.recv().await.unwrap();
    let grown = during.saturating_sub(before);
    eprintln!("while the server read nothing: {sent} bytes written, {grown} bytes more memory");
    assert_eq!(outcome.sent, TOTAL);
    assert_eq!((taken.bytes, taken.wrong), (TOTAL, None), "{taken:?}");
    assert!((1..window + SYSTEM).contains(&sent), "{sent}");
    assert!(grown <= 2 * window, "from {before} to {during}");
    suite.close().await.unwrap();
}

async fn run(suite: &Suite, over: &Over, task: Task) -> Outcome {
    let job = Job {
        over: over.clone(),
        tls_root: None,
        task,
    };
    let outcome = suite.run(Place::Window, &job).await.unwrap();
    assert_eq!(outcome.error, None, "{outcome:?}");
    outcome
}

/// What the page holds when what nobody needs has been collected, in bytes: the module's memory,
/// JavaScript's heap, and the buffers outside it.
async fn memory(suite: &Suite) -> u64 {
    let page = &suite.page;
    let collect = "HeapProfiler.collectGarbage";
    page.call(collect, json!({})).await.unwrap();
    let heap = page.call("Runtime.getHeapUsage", json!({})).await.unwrap();
    let module: u64 = page.evaluate("suite.bytes()").await.unwrap();
    let sizes = ["usedSize", "embedderHeapUsedSize", "backingStorageSize"];
    module
        + sizes
            .map(|size| heap[size].as_u64().unwrap())
            .iter()
            .sum::<u64>()
}

/// An ordinary page, and a relay that lets it reach this machine for as long as the last value
/// lives.
async fn over_a_relay() -> (Suite, Over, tokio::task::JoinSet<()>) {
    let suite = Suite::ordinary().await.unwrap();
    let at = IpAddr::from(Ipv4Addr::LOCALHOST);
    let mut token = Token::new("page", Credential::Secret(Secret::new(SECRET).unwrap()));
    token.policy.allow = vec!["127.0.0.0/8:*".parse().unwrap()];
    let mut config = Config::default();
    config.listen = vec![(at, 0).into()];
    config.origins = vec![suite.site.origin().parse().unwrap()];
    config.tokens = vec![token];
    let relay = Relayd::bind(config).await.unwrap();
    let url = format!("ws://{}/", relay.local_addrs()[0]);
    let mut running = tokio::task::JoinSet::new();
    running.spawn(relay.run(std::future::pending()));
    (suite, Over::Relay(url, SECRET.to_owned()), running)
}
