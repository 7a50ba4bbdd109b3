//! The conformance suite inside Chromium, on Direct Sockets.

use std::net::Ipv4Addr;

use jackfield_browser_suite::job::{Job, Over, Task};
use jackfield_browser_tests::{Place, Suite};
use jackfield_conformance::{Peer, cases};
use jackfield_native::{Native, NativeStream};

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
            let failure = match suite.run(place, &job).await {
                Ok(outcome) => outcome.error,
                Err(error) => Some(format!("{}: {error:#}", case.name())),
            };
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
