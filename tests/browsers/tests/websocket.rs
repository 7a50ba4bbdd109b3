//! The page's own WebSockets: a flood that nobody reads is an error, and what is sent is bounded.

use jackfield_browser_suite::job::{Job, Over, Task};
use jackfield_browser_tests::peers::{self, Reader};
use jackfield_browser_tests::{Place, Suite};
use jackfield_testing::websocket::Bridge;

const MIB: u64 = 1 << 20;

fn job(task: Task) -> Job {
    Job {
        over: Over::WebSocket("bytes".to_owned()),
        tls_root: None,
        task,
    }
}

#[tokio::test]
async fn a_flood_that_nobody_reads_ends_with_an_error() {
    let suite = Suite::ordinary().await.unwrap();
    let server = peers::source(256 * MIB, 1 << 20).await;
    let bridge = Bridge::start(server.address(), Some("bytes"))
        .await
        .unwrap();
    let receive = job(Task::Receive {
        from: bridge.address(),
        // Far longer than the browser needs to take what may wait.
        late: 10_000,
    });
    let outcome = suite.run(Place::Window, &receive).await.unwrap();
    let error = outcome.error.expect("it can't go on");
    assert!(error.contains("LimitExceeded"), "{error}");
    suite.close().await.unwrap();
}

#[tokio::test]
async fn what_a_page_writes_waits_for_a_slow_server_and_arrives() {
    let suite = Suite::ordinary().await.unwrap();
    let (server, mut taken) = peers::sink(Reader::Slow);
    let bridge = Bridge::start(server.address(), Some("bytes"))
        .await
        .unwrap();
    let bytes = 8 * MIB;
    let send = job(Task::Send {
        to: bridge.address(),
        bytes,
        chunk: 65_521,
        pause: 0,
    });
    let outcome = suite.run(Place::Window, &send).await.unwrap();
    assert_eq!(outcome.error, None, "{outcome:?}");
    let taken = taken.recv().await.unwrap();
    assert_eq!((taken.bytes, taken.wrong), (bytes, None), "{taken:?}");
    suite.close().await.unwrap();
}
