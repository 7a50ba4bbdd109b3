//! The conformance suite inside Chromium: on Direct Sockets, and from an ordinary page through a
//! relay and over WebSockets.

use std::net::{IpAddr, Ipv4Addr};

use jackfield_browser_suite::job::{Job, Over, Task};
use jackfield_browser_tests::{Place, Suite};
use jackfield_conformance::{Peer, cases};
use jackfield_native::{Native, NativeStream};
use jackfield_relayd::token::{Credential, Secret};
use jackfield_relayd::{Config, Relayd, Token};
use jackfield_testing::websocket::Bridge;

const SECRET: &str = "the-secret-of-the-suite";

/// What a page's WebSocket can't promise: it has no addresses, doesn't say why it did not open, and
/// can't be told to wait.
const BEYOND_A_PAGES_WEBSOCKET: [&str; 4] = [
    "addresses_are_right",
    "unknown_host",
    "a_slow_reader_stalls_the_peer",
    "a_stalled_stream_holds_no_other",
];

/// What Direct Sockets can't promise: while the peer takes nothing, a write that waits goes on waiting
/// for good once the peer has ended or reset the connection (docs/direct-sockets.md).
const BEYOND_DIRECT_SOCKETS: [&str; 3] = [
    "the_peers_end_leaves_a_writer_that_waits",
    "the_peers_end_leaves_an_ender_that_waits",
    "a_reset_wakes_a_reader_and_a_writer",
];

/// Runs every case, each as a job of its own, and fails with all that failed.
async fn run(suite: Suite, over: Over, places: &[Place]) {
    let peer = Peer::open(Native, Ipv4Addr::LOCALHOST.into(), NativeStream::abort)
        .await
        .unwrap();
    let (mut tcp, udp) = (peer.addresses().tcp, peer.addresses().udp);
    let serving = tokio::spawn(peer.run());
    let mut left_out = vec!["multicast"];
    let bridge = match &over {
        Over::WebSocket(subprotocol) => {
            left_out.extend(["listen", "datagram"]);
            left_out.extend(BEYOND_A_PAGES_WEBSOCKET);
            Some(Bridge::start(tcp, Some(subprotocol)).await.unwrap())
        }
        Over::Direct => {
            left_out.extend(BEYOND_DIRECT_SOCKETS);
            None
        }
        Over::Relay(..) => None,
    };
    if let Some(bridge) = &bridge {
        tcp = bridge.address();
    }
    let mut failed = Vec::new();
    for &place in places {
        for case in cases().filter(|case| {
            ![case.area(), case.name()]
                .iter()
                .any(|what| left_out.contains(what))
        }) {
            let name = case.name().to_owned();
            let job = Job {
                over: over.clone(),
                tls_root: None,
                task: Task::Case { name, tcp, udp },
            };
            // A page that doesn't answer is not asked again.
            let outcome = suite.run(place, &job).await;
            let outcome = outcome.unwrap_or_else(|error| {
                panic!(
                    "{place:?}: {}: {error:#}\n{}",
                    case.name(),
                    failed.join("\n")
                )
            });
            let failure = outcome.error;
            failed.extend(failure.map(|failure| format!("{place:?}: {failure}")));
        }
    }
    serving.abort();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    suite.close().await.unwrap();
}

#[tokio::test]
async fn direct_sockets() {
    let suite = Suite::app().await.unwrap();
    run(suite, Over::Direct, &[Place::Window, Place::Worker]).await;
}

#[tokio::test]
async fn through_a_relay_from_an_ordinary_page() {
    let suite = Suite::ordinary().await.unwrap();
    let relay = start_relay(&suite.site.origin()).await;
    let over = Over::Relay(relay, SECRET.to_owned());
    run(suite, over, &[Place::Window, Place::Worker]).await;
}

#[tokio::test]
async fn over_websockets_from_an_ordinary_page() {
    let suite = Suite::ordinary().await.unwrap();
    let over = Over::WebSocket("bytes".to_owned());
    run(suite, over, &[Place::Window, Place::Worker]).await;
}

/// Starts a relay that lets pages of this origin do all that the suite does.
async fn start_relay(origin: &str) -> String {
    let at = IpAddr::from(Ipv4Addr::LOCALHOST);
    let secret = Secret::new(SECRET).unwrap();
    let mut token = Token::new("suite", Credential::Secret(secret));
    let rules = ["127.0.0.0/8:*", "127.0.0.0/8:*/udp"];
    token.policy.allow = rules.map(|rule| rule.parse().unwrap()).into();
    let rules = ["127.0.0.1:*", "127.0.0.1:*/udp"];
    token.policy.listen = rules.map(|rule| rule.parse().unwrap()).into();
    // The suite opens and closes faster than any user.
    token.limits.dials_per_second = 10_000;
    token.udp_open = true;
    let mut config = Config::default();
    config.listen = vec![(at, 0).into()];
    config.origins = vec![origin.parse().unwrap()];
    config.tokens = vec![token];
    let relay = Relayd::bind(config).await.unwrap();
    let address = relay.local_addrs()[0];
    tokio::spawn(relay.run(std::future::pending()));
    format!("ws://{address}/")
}
