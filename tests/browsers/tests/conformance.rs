//! The conformance suite inside Chromium: on Direct Sockets, and through a relay from an ordinary
//! page.

use std::net::{IpAddr, Ipv4Addr};

use jackfield_browser_suite::job::{Job, Over, Task};
use jackfield_browser_tests::{Place, Suite};
use jackfield_conformance::{Peer, cases};
use jackfield_native::{Native, NativeStream};
use jackfield_relayd::token::{Credential, Secret};
use jackfield_relayd::{Config, Relayd, Token};

const SECRET: &str = "the-secret-of-the-suite";

/// Runs every case, each as a job of its own, and fails with all that failed.
async fn run(suite: Suite, over: Over, places: &[Place]) {
    let peer = Peer::open(Native, Ipv4Addr::LOCALHOST.into(), NativeStream::abort)
        .await
        .unwrap();
    let (tcp, udp) = (peer.addresses().tcp, peer.addresses().udp);
    let serving = tokio::spawn(peer.run());
    let mut failed = Vec::new();
    for &place in places {
        for case in cases().filter(|case| case.area() != "multicast") {
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
