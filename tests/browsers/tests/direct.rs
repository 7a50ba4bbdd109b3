//! Direct Sockets in Chromium: what goes in comes out, or an error says that it didn't.

use std::sync::atomic::Ordering;

use jackfield_browser_suite::job::{Job, Outcome, Over, Task};
use jackfield_browser_tests::peers::{self, Reader};
use jackfield_browser_tests::{Place, Suite, soak};
use jackfield_testing::closed::Closed;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, UdpSocket};

const MIB: u64 = 1 << 20;

fn direct(task: Task) -> Job {
    Job {
        over: Over::Direct,
        tls_root: None,
        task,
    }
}

/// Sizes of writes: powers of two, which Chrome loses most of, their neighbours, and odd ones.
const CHUNKS: [usize; 10] = [
    1024,
    4096,
    16_384,
    60_000,
    65_521,
    65_536,
    65_537,
    131_072,
    262_139,
    1 << 20,
];

fn check(outcome: &Outcome, what: &str) {
    assert_eq!(outcome.error, None, "{what}: {outcome:?}");
    assert_eq!(outcome.wrong, None, "{what}: {outcome:?}");
}

#[tokio::test]
async fn what_is_written_arrives_whatever_the_chunks() {
    let suite = Suite::app().await.unwrap();
    let total = if soak() { 4096 } else { 256 } * MIB;
    let bytes = total / CHUNKS.len() as u64;
    for (n, chunk) in CHUNKS.into_iter().enumerate() {
        // A reader that pauses leaves the pipe full, at any place.
        let reader = [Reader::Fast, Reader::Halting][n % 2];
        let (server, mut taken) = peers::sink(reader);
        let job = direct(Task::Send {
            to: server.address(),
            bytes,
            chunk,
            pause: 0,
        });
        let place = [Place::Window, Place::Worker][n % 2];
        let outcome = suite.run(place, &job).await.unwrap();
        check(&outcome, &format!("writes of {chunk} bytes"));
        let taken = taken.recv().await.unwrap();
        assert_eq!(
            (taken.bytes, taken.wrong),
            (bytes, None),
            "writes of {chunk} bytes: {taken:?} {outcome:?}"
        );
        let rate = outcome.rate(bytes);
        eprintln!("up, {chunk} bytes in {place:?}: {rate:.0} MB/s");
    }
    suite.close().await.unwrap();
}

#[tokio::test]
async fn what_is_sent_arrives_whatever_the_chunks() {
    let suite = Suite::app().await.unwrap();
    let total = if soak() { 4096 } else { 256 } * MIB;
    let bytes = total / CHUNKS.len() as u64;
    for (n, chunk) in CHUNKS.into_iter().enumerate() {
        let server = peers::source(bytes, chunk).await;
        let job = direct(Task::Receive {
            from: server.address(),
            late: [0, 500][n % 2],
        });
        let place = [Place::Window, Place::Worker][n % 2];
        let outcome = suite.run(place, &job).await.unwrap();
        check(&outcome, &format!("pieces of {chunk} bytes"));
        assert_eq!(outcome.received, bytes, "pieces of {chunk} bytes");
        let rate = outcome.rate(bytes);
        eprintln!("down, {chunk} bytes in {place:?}: {rate:.0} MB/s");
    }
    suite.close().await.unwrap();
}

#[tokio::test]
async fn small_writes_arrive_though_the_reader_is_slower() {
    let suite = Suite::app().await.unwrap();
    let bytes = if soak() { 64 } else { 8 } * MIB;
    for (place, chunk) in [(Place::Window, 8192), (Place::Worker, 10_000)] {
        let (server, mut taken) = peers::sink(Reader::Slow);
        let job = direct(Task::Send {
            to: server.address(),
            bytes,
            chunk,
            pause: 1,
        });
        let outcome = suite.run(place, &job).await.unwrap();
        check(&outcome, &format!("writes of {chunk} bytes"));
        let taken = taken.recv().await.unwrap();
        assert_eq!(
            (taken.bytes, taken.wrong),
            (bytes, None),
            "{chunk}: {taken:?}"
        );
        eprintln!(
            "slowly, {chunk} bytes in {place:?}: {:.1} MB/s",
            outcome.rate(bytes)
        );
    }
    suite.close().await.unwrap();
}

#[tokio::test]
async fn an_echo_comes_back_whole() {
    let suite = Suite::app().await.unwrap();
    let server = peers::echo().await;
    for (place, chunk) in [(Place::Window, 65_536), (Place::Worker, 4096)] {
        let bytes = 32 * MIB;
        let with = server.address();
        let job = direct(Task::Echo { with, bytes, chunk });
        let outcome = suite.run(place, &job).await.unwrap();
        check(&outcome, &format!("writes of {chunk} bytes"));
        assert_eq!((outcome.sent, outcome.received), (bytes, bytes));
        eprintln!(
            "echo, {chunk} bytes in {place:?}: {:.0} MB/s",
            outcome.rate(bytes)
        );
        let job = direct(Task::PingPong {
            with,
            count: 3000,
            bytes: 64,
        });
        let outcome = suite.run(place, &job).await.unwrap();
        check(&outcome, "lines of 64 bytes");
        eprintln!("ping-pong in {place:?}: {:.3} ms", outcome.median);
    }
    suite.close().await.unwrap();
}

#[tokio::test]
async fn replies_that_end_at_once_are_whole_or_say_that_they_are_not() {
    let suite = Suite::app().await.unwrap();
    for at_once in [1, 50] {
        let outcome = replies(&suite, Place::Window, at_once, 3).await;
        assert_eq!(outcome.cut, 0, "{outcome:?}");
    }
    suite.close().await.unwrap();
}

/// Chromium's loss that nothing gives away (docs/direct-sockets.md, "The end of a transfer
/// vanishes"): the end overtakes what is in the pipe. It is rare, no more is lost than the pipe holds,
/// and a stream says beforehand that it may be so.
#[tokio::test]
async fn replies_larger_than_the_pipe_lose_their_end_rarely() {
    let suite = Suite::app().await.unwrap();
    let outcome = replies(&suite, Place::Worker, 10, 100_000).await;
    assert!(outcome.cut * 50 <= outcome.whole, "{outcome:?}");
    let lost = 1000 * 100_000 - outcome.received;
    let hurt = u64::from(outcome.cut + outcome.failed);
    assert!(lost <= hurt * 65_536, "{outcome:?}");
    suite.close().await.unwrap();
}

/// A thousand connections whose peer sends so many bytes and ends.
async fn replies(suite: &Suite, place: Place, at_once: u32, bytes: u64) -> Outcome {
    let server = peers::source(bytes, 1 << 20).await;
    let job = direct(Task::Replies {
        from: server.address(),
        count: 1000,
        at_once,
        bytes,
    });
    let outcome = suite.run(place, &job).await.unwrap();
    eprintln!("replies of {bytes} bytes, {at_once} at once in {place:?}: {outcome:?}");
    assert_eq!(outcome.wrong, None, "{outcome:?}");
    assert!(outcome.whole > 0, "{outcome:?}");
    outcome
}

#[tokio::test]
async fn with_tls_no_reply_is_cut_in_silence() {
    let suite = Suite::app().await.unwrap();
    for (place, at_once, bytes) in [(Place::Window, 10, 3), (Place::Worker, 10, 100_000)] {
        let (server, root) = peers::secure_source(bytes).await;
        let mut job = direct(Task::Replies {
            from: server.address(),
            count: 500,
            at_once,
            bytes: bytes as u64,
        });
        job.tls_root = Some(root);
        let outcome = suite.run(place, &job).await.unwrap();
        eprintln!("with TLS, replies of {bytes} bytes in {place:?}: {outcome:?}");
        assert_eq!((outcome.wrong, outcome.cut), (None, 0), "{outcome:?}");
        assert!(outcome.whole > 0, "{outcome:?}");
    }
    suite.close().await.unwrap();
}

#[tokio::test]
async fn a_reader_that_stalls_stalls_the_sender() {
    let suite = Suite::app().await.unwrap();
    for place in [Place::Window, Place::Worker] {
        let (server, sent) = peers::flood(u64::MAX);
        let job = direct(Task::Stall {
            from: server.address(),
            stall: 6000,
        });
        suite.run(place, &job).await.unwrap();
        let sent = sent.load(Ordering::Relaxed);
        eprintln!("while {place:?} read nothing: {sent} bytes");
        // What is read ahead, and what the system's own buffers take: up to 32 MiB, where it allows as much.
        assert!((4 * MIB..40 * MIB).contains(&sent), "{sent}");
    }
    suite.close().await.unwrap();
}

/// The system tells Chromium, and Chromium tells nobody.
#[tokio::test]
async fn a_datagram_that_nobody_takes_is_lost_and_the_socket_goes_on() {
    let suite = Suite::app().await.unwrap();
    for place in [Place::Window, Place::Worker] {
        let nobody = Closed::udp();
        let to = nobody.address();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let by = listener.local_addr().unwrap();
        let somebody = tokio::spawn(async move {
            let (mut asked, _) = listener.accept().await.unwrap();
            drop(nobody);
            let socket = UdpSocket::bind(to).await.unwrap();
            asked.write_all(b"y").await.unwrap();
            let (_, from) = socket.recv_from(&mut [0; 100]).await.unwrap();
            socket.send_to(b"yes", from).await.unwrap();
        });
        let outcome = suite.run(place, &direct(Task::Unheard { to, by })).await;
        let outcome = outcome.unwrap();
        check(&outcome, &format!("{place:?}"));
        let expected = ["nothing", "nothing", "nothing", "yes"];
        assert_eq!(outcome.told, expected, "{place:?}");
        somebody.await.unwrap();
    }
    suite.close().await.unwrap();
}
