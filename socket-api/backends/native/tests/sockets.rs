//! Native sockets: what only the system's own can show.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use jackfield_native::{Native, NativeStream};
use jackfield_socket::{
    AddressFamily, ByteStream, DatagramSocket, Endpoint, Error, ErrorKind, ListenOptions,
    TcpConnect, TcpListen, TcpListener, TcpOptions, UdpOpen, UdpOptions,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const LOCAL: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
const ANY_V6: SocketAddr = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 0);

async fn pair() -> (NativeStream, NativeStream) {
    let mut listener = Native
        .listen(LOCAL, &ListenOptions::default())
        .await
        .expect("loopback");
    let to = listener.local_addr().expect("it listens").into();
    let options = TcpOptions::default();
    let (ours, theirs) = tokio::join!(Native.connect(&to, &options), listener.accept());
    (ours.expect("a stream"), theirs.expect("its other side"))
}

/// An address where nothing listens.
async fn closed() -> SocketAddr {
    let listener = Native
        .listen(LOCAL, &ListenOptions::default())
        .await
        .expect("loopback");
    listener.local_addr().expect("it listens")
}

#[tokio::test]
async fn the_error_says_the_step_and_the_address() {
    let closed = closed().await;
    let error = Native
        .connect(&closed.into(), &TcpOptions::default())
        .await
        .expect_err("nobody listens");
    assert_eq!(
        error.to_string(),
        format!("can't connect to {closed}: connection refused")
    );

    let mut options = TcpOptions::default();
    options.family = AddressFamily::V4;
    let name: Endpoint = format!("localhost:{}", closed.port())
        .parse()
        .expect("an endpoint");
    let error = Native
        .connect(&name, &options)
        .await
        .expect_err("nobody listens");
    assert_eq!(
        error.to_string(),
        format!("can't connect to {name} (127.0.0.1): connection refused")
    );
    assert_eq!(error.kind(), ErrorKind::Refused);
}

#[tokio::test]
async fn a_socket_of_both_families_shows_ipv4_as_such() {
    let mut options = ListenOptions::default();
    options.v6_only = Some(false);
    let mut listener = Native
        .listen(ANY_V6, &options)
        .await
        .expect("both families");
    let port = listener.local_addr().expect("it listens").port();
    let to = Endpoint::new(Ipv4Addr::LOCALHOST, port);
    let options = TcpOptions::default();
    let (ours, theirs) = tokio::join!(Native.connect(&to, &options), listener.accept());
    let (ours, theirs) = (ours.expect("a stream"), theirs.expect("its other side"));
    assert_eq!(theirs.info().peer, ours.info().local);
    assert_eq!(theirs.info().local, ours.info().peer);

    let mut options = UdpOptions::default();
    options.v6_only = Some(false);
    let mut both = Native.open_bound(ANY_V6, &options).await.expect("a socket");
    let mut v4 = Native
        .open_bound(LOCAL, &UdpOptions::default())
        .await
        .expect("a socket");
    let at_v4 = v4.local_addr().expect("it is bound");
    let mut buffer = [0; 16];
    both.send(b"there", Some(at_v4)).await.expect("sent");
    let from = v4.recv(&mut buffer).await.expect("a datagram").from;
    v4.send(b"back", from).await.expect("sent");
    let received = both.recv(&mut buffer).await.expect("a datagram");
    assert_eq!(received.from, Some(at_v4));
}

#[tokio::test]
async fn v6_only_leaves_ipv4_out() {
    let mut options = ListenOptions::default();
    options.v6_only = Some(true);
    let listener = Native.listen(ANY_V6, &options).await.expect("IPv6");
    let port = listener.local_addr().expect("it listens").port();
    let error = Native
        .connect(
            &Endpoint::new(Ipv4Addr::LOCALHOST, port),
            &TcpOptions::default(),
        )
        .await
        .expect_err("IPv4 is left out");
    assert_eq!(error.kind(), ErrorKind::Refused);
}

#[tokio::test]
async fn abort_and_drop_are_resets_unless_the_stream_has_ended() {
    let (mut ours, theirs) = pair().await;
    theirs.abort();
    let error = ours.read(&mut [0; 1]).await.expect_err("a reset");
    assert_eq!(Error::from(error).kind(), ErrorKind::Reset);

    let (mut ours, mut theirs) = pair().await;
    theirs.write_all(b"half of").await.expect("written");
    drop(theirs);
    let mut data = Vec::new();
    let error = ours.read_to_end(&mut data).await.expect_err("a reset");
    assert_eq!(Error::from(error).kind(), ErrorKind::Reset);

    let (mut ours, mut theirs) = pair().await;
    theirs.write_all(b"last").await.expect("written");
    theirs.shutdown().await.expect("ended");
    drop(theirs);
    let mut data = Vec::new();
    ours.read_to_end(&mut data).await.expect("an end");
    assert_eq!(data, b"last");
}

/// The runtime has a task for the socket that outlives its stream; a program that waits for nothing
/// else waits no longer than that.
#[tokio::test]
async fn leaving_waits_for_the_peers_end_and_cuts_nobody() {
    let (mut ours, mut theirs) = pair().await;
    ours.write_all(b"a word that is not read")
        .await
        .expect("written");
    theirs.write_all(b"last").await.expect("written");
    theirs.shutdown().await.expect("ended");
    let leaving = tokio::spawn(theirs.leave());
    let mut data = Vec::new();
    ours.read_to_end(&mut data).await.expect("an end");
    assert_eq!(data, b"last");
    ours.write_all(b"thanks").await.expect("nobody has cut it");
    assert!(!leaving.is_finished());
    ours.shutdown().await.expect("ended");
    leaving.await.expect("it sees that");
}

#[cfg(unix)]
#[tokio::test]
async fn a_process_that_dies_in_the_middle_cuts_its_streams() {
    const WHERE: &str = "JACKFIELD_TEST_DIES_CONNECTED_TO";
    if let Ok(to) = std::env::var(WHERE) {
        let to = to.parse().expect("an endpoint");
        let connected = Native.connect(&to, &TcpOptions::default()).await;
        let mut stream = connected.expect("connected");
        stream.write_all(b"half of").await.expect("written");
        std::future::pending::<()>().await;
    }
    let listener = Native.listen(LOCAL, &ListenOptions::default()).await;
    let mut listener = listener.expect("loopback");
    let at = listener.local_addr().expect("it listens");
    let own = std::env::current_exe().expect("this test");
    let name = "a_process_that_dies_in_the_middle_cuts_its_streams";
    let mut child = std::process::Command::new(own)
        .args(["--exact", name])
        .env(WHERE, at.to_string())
        .spawn()
        .expect("it runs");
    let mut stream = listener.accept().await.expect("a connection");
    let mut data = [0; 7];
    stream.read_exact(&mut data).await.expect("the beginning");
    // SIGKILL.
    child.kill().expect("it lives");
    let error = stream.read(&mut data).await.expect_err("no end");
    assert_eq!(Error::from(error).kind(), ErrorKind::Reset);
    child.wait().expect("it is dead");
}
