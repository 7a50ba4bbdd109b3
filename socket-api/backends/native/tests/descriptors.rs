//! File descriptors are the whole process's, so that what uses them up is a test of its own.
#![cfg(target_os = "linux")]

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};

use jackfield_native::Native;
use jackfield_socket::{
    ByteStream, Endpoint, ErrorKind, ListenOptions, TcpConnect, TcpListen, TcpListener, TcpOptions,
};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Where the process has no descriptor left, accepting says so, rests, and goes on.
#[tokio::test]
async fn accepting_survives_a_lack_of_descriptors() {
    let at = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let mut listener = Native
        .listen(at, &ListenOptions::default())
        .await
        .expect("loopback");
    let to: Endpoint = listener.local_addr().expect("it listens").into();
    let first = Native
        .connect(&to, &TcpOptions::default())
        .await
        .expect("a stream");

    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    // Few enough to use them all up.
    setrlimit(Resource::RLIMIT_NOFILE, 64, hard).expect("a lower limit");
    let taken: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    let accepted = listener.accept().await;
    setrlimit(Resource::RLIMIT_NOFILE, soft, hard).expect("the old limit");
    drop(taken);
    let error = accepted.expect_err("no descriptor was left");
    assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{error}");

    let accepted = listener.accept().await.expect("the same connection");
    assert_eq!(accepted.info().peer, first.info().local);
}
