//! Memory of the relay's process while nobody takes what is sent: two windows a stream at the most.
//!
//! The bytes that a stalled reader leaves lying must wait where they come from, not in the relay.

use std::process::Command;
use std::time::Duration;

use jackfield_native::Native;
use jackfield_relay::{Relay, RelayConfig, RelayStream};
use jackfield_socket::{Endpoint, TcpConnect, TcpOptions};
use jackfield_testing::process::Process;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, timeout};

const TOKEN: &str = "a-token-of-this-test";
/// More than the window of either end is on a path as short as this one.
const WINDOW: usize = 1024 * 1024;
/// Several streams, so that what they hold stands out from what a process holds anyway.
const STREAMS: usize = 4;
/// How much a sender has to send: far more than two windows and the system's own buffers.
const SIZE: usize = 48 * 1024 * 1024;
const STALL: Duration = Duration::from_secs(6);
const LONG: Duration = Duration::from_mins(1);

#[tokio::test]
async fn a_client_that_does_not_read_costs_no_more_than_two_windows() {
    let (process, relay, _directory) = start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let target = listener.local_addr().expect("its address");
    let mut readers = Vec::new();
    for _ in 0..STREAMS {
        let (ours, mut theirs) = connect(&relay, &listener, target).await;
        tokio::spawn(async move { push(&mut theirs).await });
        readers.push(ours);
    }
    assert_stays_small(&process).await;
    for reader in &mut readers {
        // Whoever has waited loses nothing.
        assert_pattern(reader).await;
    }
}

#[tokio::test]
async fn a_server_that_does_not_read_costs_no_more_than_two_windows() {
    let (process, relay, _directory) = start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let target = listener.local_addr().expect("its address");
    let mut readers = Vec::new();
    for _ in 0..STREAMS {
        let (mut ours, theirs) = connect(&relay, &listener, target).await;
        tokio::spawn(async move { push(&mut ours).await });
        readers.push(theirs);
    }
    assert_stays_small(&process).await;
    for reader in &mut readers {
        assert_pattern(reader).await;
    }
}

/// The relay's own program, and a connection to it.
async fn start() -> (Process, Relay, tempfile::TempDir) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("relayd.toml");
    let configuration = format!(
        "listen = ['127.0.0.1:0']
allow_without_origin = true
[log]
format = 'json'
[[token]]
name = 'test'
secret = '{TOKEN}'
allow = ['127.0.0.1/32:*']
"
    );
    std::fs::write(&path, configuration).expect("the configuration");
    let mut command = Command::new(env!("CARGO_BIN_EXE_jackfield-relayd"));
    command.arg("--config").arg(&path);
    let process = Process::start(command).expect("the relay");
    let line = process
        .wait_for_line("\"listening\"", LONG)
        .await
        .expect("it listens");
    let (_, rest) = line
        .split_once("\"address\":\"")
        .expect("the line names the address");
    let (address, _) = rest.split_once('"').expect("the address ends");

    let config = RelayConfig::new(&format!("ws://{address}/"))
        .and_then(|config| config.with_token(TOKEN))
        .expect("a configuration");
    let (relay, connection) = Relay::over(Native, config);
    tokio::spawn(connection);
    (process, relay, directory)
}

async fn connect(
    relay: &Relay,
    listener: &TcpListener,
    target: std::net::SocketAddr,
) -> (RelayStream, TcpStream) {
    let (to, options) = (Endpoint::from(target), TcpOptions::default());
    let (ours, theirs) = tokio::join!(relay.connect(&to, &options), listener.accept());
    (
        ours.expect("through the relay"),
        theirs.expect("accepted").0,
    )
}

/// Watches the process for as long as the readers stall.
async fn assert_stays_small(process: &Process) {
    let before = process.resident_bytes().expect("it runs");
    let end = Instant::now() + STALL;
    let mut most = before;
    while Instant::now() < end {
        sleep(Duration::from_millis(100)).await;
        most = most.max(process.resident_bytes().expect("it runs"));
    }
    let grown = most - before;
    let bound = STREAMS * 2 * WINDOW;
    assert!(
        grown <= bound,
        "the relay grew by {grown} bytes; {STREAMS} streams may cost {bound}"
    );
}

/// Sends a pattern, and then the end.
async fn push(to: &mut (impl AsyncWrite + Unpin)) {
    let mut sent = 0;
    let mut chunk = vec![0; 64 * 1024];
    while sent < SIZE {
        for (index, byte) in chunk.iter_mut().enumerate() {
            *byte = pattern(sent + index);
        }
        to.write_all(&chunk).await.expect("the reader is there");
        sent += chunk.len();
    }
    to.shutdown().await.expect("the end");
}

/// Reads the pattern, every byte of it, and the end.
async fn assert_pattern(from: &mut (impl tokio::io::AsyncRead + Unpin)) {
    let mut received = 0;
    let mut chunk = vec![0; 64 * 1024];
    loop {
        let read = timeout(LONG, from.read(&mut chunk)).await;
        let count = read.expect("in time").expect("bytes");
        if count == 0 {
            break;
        }
        let wrong = (0..count).find(|index| chunk[*index] != pattern(received + index));
        assert_eq!(wrong.map(|index| received + index), None, "a wrong byte");
        received += count;
    }
    assert_eq!(received, SIZE);
}

/// A byte that depends on its place, and repeats at no power of two.
fn pattern(place: usize) -> u8 {
    (place % 251) as u8
}
