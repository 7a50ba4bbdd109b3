//! Every byte and then the end, or an error.

mod common;

use std::time::Duration;

use common::{Fault, Pipe, World, listener, once, pattern, pipe};
use jackfield_native::Native;
use jackfield_socket::{
    ByteStream, Endpoint, Error, ErrorKind, ListenOptions, TcpConnect, TcpListen, TcpListener,
    TcpOptions,
};
use jackfield_tls::{Tls, TlsAcceptor, TlsConnector, TlsListener, TlsServerConfig, TlsStream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Sends everything and ends, while it receives until the end.
async fn exchange<S: ByteStream>(stream: TlsStream<S>, data: &[u8]) -> Vec<u8> {
    let (mut read, mut write) = tokio::io::split(stream);
    let send = async {
        write.write_all(data).await.expect("written");
        write.shutdown().await.expect("ended");
    };
    let receive = async {
        let mut got = Vec::new();
        read.read_to_end(&mut got).await.expect("an end");
        got
    };
    tokio::join!(send, receive).1
}

#[tokio::test]
async fn much_both_ways_at_once() {
    const SIZE: usize = 8 << 20;
    let world = World::new();
    let (client, server) = world.connect(pipe(50_000)).await;
    let (up, down) = (pattern(SIZE), pattern(SIZE + 1));
    let (at_client, at_server) = tokio::join!(exchange(client, &up), exchange(server, &down));
    assert!(at_server == up, "what went up");
    assert!(at_client == down, "what went down");
}

#[tokio::test]
async fn tickets_that_nobody_read_cut_nothing() {
    // More than the server's system keeps for it.
    const SIZE: usize = 1_000_000;
    let mut world = World::new();
    let certificate = world.authority.server(&["127.0.0.1"]);
    world.server = TlsServerConfig::new(common::identity(&certificate));
    let at = "127.0.0.1:0".parse().expect("an address");
    let listener = Native.listen(at, &ListenOptions::default()).await;
    let acceptor = TlsAcceptor::new(world.server.clone()).expect("an acceptor");
    let mut listener = TlsListener::new(listener.expect("a listener"), acceptor);
    let to = Endpoint::from(listener.local_addr().expect("an address"));
    let connector = TlsConnector::new(world.client.clone()).expect("a connector");
    let network = Tls::new(Native, connector);
    let options = TcpOptions::default();

    // Once the server has accepted, its tickets are there.
    let (client, server) = tokio::join!(network.connect(&to, &options), listener.accept());
    let mut client = client.expect("connected");
    let mut server = server.expect("accepted");
    // Connecting waits for the system's events, and theirs comes along.
    let at = "127.0.0.1:0".parse().expect("an address");
    let other = Native.listen(at, &ListenOptions::default()).await;
    let at = other.expect("a listener").local_addr();
    let closed = Endpoint::from(at.expect("an address"));
    let refused = Native.connect(&closed, &options).await;
    refused.expect_err("nothing listens there any more");
    let data = pattern(SIZE);
    client.write_all(&data).await.expect("written");
    client.shutdown().await.expect("ended");
    drop(client);

    let mut got = Vec::new();
    server.read_to_end(&mut got).await.expect("an end");
    assert!(got == data, "{} bytes of {SIZE}", got.len());
}

#[tokio::test]
async fn a_reader_in_another_task_outlives_our_end() {
    let (client, mut server) = World::new().connect(pipe(4096)).await;
    let (mut read, mut write) = tokio::io::split(client);
    let reading = tokio::spawn(async move {
        let mut answer = String::new();
        read.read_to_string(&mut answer).await.expect("an end");
        answer
    });
    // It waits before we end.
    tokio::task::yield_now().await;
    write.shutdown().await.expect("ended");
    server.write_all(b"answer").await.expect("written");
    server.shutdown().await.expect("ended");
    let answer = tokio::time::timeout(Duration::from_secs(10), reading).await;
    assert_eq!(answer.expect("it was woken").expect("no panic"), "answer");
}

#[tokio::test]
async fn a_reader_and_an_ender_in_tasks_of_their_own_are_both_woken() {
    let (near, far) = pipe(4096);
    let control = near.control();
    let (client, mut server) = World::new().connect((near, far)).await;
    let (mut read, mut write) = tokio::io::split(client);
    control.lock().expect("no panic").held = true;
    let ending = tokio::spawn(async move { write.shutdown().await });
    tokio::task::yield_now().await;
    server.shutdown().await.expect("ended");
    let reading = tokio::spawn(async move { read.read_u8().await });
    tokio::task::yield_now().await;

    let waiting = {
        let mut control = control.lock().expect("no panic");
        control.held = false;
        control.waiting.take()
    };
    waiting.expect("both wait").wake();
    let both = async { (ending.await, reading.await) };
    let both = tokio::time::timeout(Duration::from_secs(10), both).await;
    let (ended, end) = both.expect("both were woken");
    ended.expect("no panic").expect("ended");
    let end = end.expect("no panic").expect_err("nothing was said");
    assert_eq!(end.kind(), std::io::ErrorKind::UnexpectedEof);
}

#[tokio::test]
async fn over_the_operating_systems_sockets() {
    const SIZE: usize = 8 << 20;
    let mut world = World::new();
    let certificate = world.authority.server(&["127.0.0.1"]);
    world.server = TlsServerConfig::new(common::identity(&certificate));
    let listener = Native
        .listen(
            "127.0.0.1:0".parse().expect("an address"),
            &ListenOptions::default(),
        )
        .await
        .expect("a listener");
    let acceptor = TlsAcceptor::new(world.server.clone()).expect("an acceptor");
    let mut listener = TlsListener::new(listener, acceptor);
    let to = Endpoint::from(listener.local_addr().expect("an address"));
    let network = Tls::new(
        Native,
        TlsConnector::new(world.client.clone()).expect("a connector"),
    );

    let options = TcpOptions::default();
    let (client, server) = tokio::join!(network.connect(&to, &options), listener.accept());
    let (client, server) = (client.expect("connected"), server.expect("accepted"));
    assert_eq!(client.info().peer, to.socket_addr());
    assert_eq!(client.info().local, server.info().peer);

    let (up, down) = (pattern(SIZE), pattern(SIZE + 1));
    let (at_client, at_server) = tokio::join!(exchange(client, &up), exchange(server, &down));
    assert!(at_server == up, "what went up");
    assert!(at_client == down, "what went down");
}

#[tokio::test]
async fn a_direction_that_ended_leaves_the_other_open() {
    let world = World::new();
    for half_close in [true, false] {
        let (mut below, other) = pipe(4096);
        if !half_close {
            below = below.without_half_close();
        }
        let control = below.control();
        let (mut client, mut server) = world.connect((below, other)).await;
        client.write_all(b"question").await.expect("written");
        client.shutdown().await.expect("ended");
        assert_eq!(
            control.lock().expect("no panic").shut_down,
            half_close,
            "what can't be ended alone stays open"
        );
        let error = client.write(b"more").await.expect_err("it was ended");
        assert_eq!(Error::from(error).kind(), ErrorKind::Closed);

        let mut question = String::new();
        server.read_to_string(&mut question).await.expect("an end");
        assert_eq!(question, "question");
        let answer = pattern(100_000);
        let serve = async {
            server.write_all(&answer).await.expect("written");
            server.shutdown().await.expect("ended");
        };
        let mut got = Vec::new();
        let (read, ()) = tokio::join!(client.read_to_end(&mut got), serve);
        read.expect("an end");
        assert!(got == answer, "every byte");
        assert!(
            control.lock().expect("no panic").shut_down,
            "now it is over"
        );
        assert_eq!(client.read(&mut [0; 8]).await.expect("an end, again"), 0);
    }
}

#[tokio::test]
async fn where_the_peer_ends_first_nothing_is_left_open() {
    let world = World::new();
    let (below, other) = pipe(4096);
    let below = below.without_half_close();
    let control = below.control();
    let (mut client, mut server) = world.connect((below, other)).await;
    server.shutdown().await.expect("ended");
    assert_eq!(client.read(&mut [0; 8]).await.expect("an end"), 0);
    assert!(!control.lock().expect("no panic").shut_down);
    client.write_all(b"a last word").await.expect("written");
    client.shutdown().await.expect("ended");
    assert!(control.lock().expect("no panic").shut_down);
    let mut got = String::new();
    server.read_to_string(&mut got).await.expect("an end");
    assert_eq!(got, "a last word");
}

/// What a client reads of three records of ten bytes when its pipe has this fault.
async fn read_with(world: &World, fault: Fault) -> (Vec<u8>, std::io::Result<()>, TlsStream<Pipe>) {
    let (client, server) = pipe(4096);
    let control = client.control();
    let (mut client, mut server) = world.connect((client, server)).await;
    for part in pattern(30).chunks(10) {
        server.write_all(part).await.expect("the pipe has room");
        server.flush().await.expect("the pipe has room");
    }
    server.shutdown().await.expect("the pipe has room");
    drop(server);
    control.lock().expect("no panic").fault = Some(fault);
    let mut got = Vec::new();
    let result = client.read_to_end(&mut got).await.map(|_| ());
    (got, result, client)
}

#[tokio::test]
async fn a_cut_anywhere_is_an_error() {
    let world = World::new();
    let data = pattern(30);
    let mut points = 0;
    loop {
        let (got, result, mut client) = read_with(&world, Fault::End(points)).await;
        assert!(data.starts_with(&got), "cut at {points}");
        let Err(error) = result else {
            assert_eq!(got, data, "cut at {points}");
            break;
        };
        for error in [
            error,
            client.read_u8().await.expect_err("it goes on failing"),
        ] {
            let error = Error::from(error);
            assert_eq!(error.kind(), ErrorKind::UnexpectedEof, "cut at {points}");
            assert_eq!(
                error.to_string(),
                "the peer ended the stream without close_notify"
            );
        }
        points += 1;
    }
    // Three records of ten bytes and close_notify, each with 22 bytes around it, at the least.
    assert!(points >= 30 + 4 * 22, "{points}");
}

#[tokio::test]
async fn other_faults_are_errors_too() {
    let world = World::new();
    let data = pattern(30);
    for at in (0..118).step_by(3) {
        let (got, result, mut client) = read_with(&world, Fault::Reset(at)).await;
        assert!(data.starts_with(&got));
        let error = Error::from(result.expect_err("reset"));
        assert_eq!(error.kind(), ErrorKind::Reset, "reset at {at}");
        let error = client.read_u8().await.expect_err("it goes on failing");
        assert_eq!(Error::from(error).kind(), ErrorKind::Reset, "reset at {at}");

        for fault in [Fault::Lose(at), Fault::Flip(at)] {
            let (got, result, mut client) = read_with(&world, fault).await;
            assert!(data.starts_with(&got));
            let error = Error::from(result.expect_err("damaged"));
            assert!(
                matches!(error.kind(), ErrorKind::Protocol | ErrorKind::UnexpectedEof),
                "{fault:?}: {error}"
            );
            let again = Error::from(client.read_u8().await.expect_err("it goes on failing"));
            assert_eq!(again.kind(), error.kind(), "{fault:?}");
        }
    }
}

#[tokio::test]
async fn a_dropped_stream_looks_cut() {
    let world = World::new();
    let (client, mut server) = world.connect(pipe(4096)).await;
    drop(client);
    let error = server.read_u8().await.expect_err("no end was announced");
    assert_eq!(Error::from(error).kind(), ErrorKind::UnexpectedEof);
}

#[tokio::test]
async fn reads_and_writes_that_are_dropped_lose_nothing() {
    let world = World::new();
    // Just room enough for the server's tickets, for which nobody reads yet.
    let (mut client, mut server) = world.connect(pipe(701)).await;
    let data = pattern(300_000);
    let send = async {
        let mut left = &data[..];
        while !left.is_empty() {
            let part = &left[..left.len().min(10_000)];
            match once(client.write(part)).await {
                Some(count) => left = &left[count.expect("written")..],
                None => tokio::task::yield_now().await,
            }
        }
        client.shutdown().await.expect("ended");
    };
    let receive = async {
        let (mut got, mut buf) = (Vec::new(), [0; 999]);
        loop {
            match once(server.read(&mut buf)).await {
                Some(count) => match count.expect("read") {
                    0 => break got,
                    count => got.extend_from_slice(&buf[..count]),
                },
                None => tokio::task::yield_now().await,
            }
        }
    };
    let ((), got) = tokio::join!(send, receive);
    assert!(got == data, "every byte, in order");
}

#[tokio::test]
async fn a_reader_that_stalls_stalls_the_writer() {
    let world = World::new();
    let (mut client, _server) = world.connect(pipe(4096)).await;
    let part = [0; 10_000];
    let mut taken = 0;
    while let Some(count) = once(client.write(&part)).await {
        taken += count.expect("written");
        assert!(taken <= 4096 + 64 * 1024, "{taken} bytes taken");
    }
    assert!(taken > 0);
}

#[tokio::test(start_paused = true)]
async fn a_slow_handshake_holds_up_no_other() {
    let world = World::new();
    let (sender, listener) = listener();
    let acceptor = TlsAcceptor::new(world.server.clone()).expect("an acceptor");
    let mut listener = TlsListener::new(listener, acceptor);
    let connector = TlsConnector::new(world.client.clone()).expect("a connector");

    let (silent, below) = pipe(4096);
    sender.send(below).await.expect("room");
    let (client, below) = pipe(4096);
    sender.send(below).await.expect("room");
    let name = common::host("server.test");
    let (client, server) = tokio::join!(connector.connect(client, &name), listener.accept());
    client.expect("connected");
    server.expect("accepted, though one before it is silent");

    let before = tokio::time::Instant::now();
    let error = listener.accept().await.expect_err("it took too long");
    assert_eq!(before.elapsed().as_secs(), 10);
    assert_eq!(
        error.kind(),
        ErrorKind::Reset,
        "one connection is lost, the listener lives"
    );
    let cause = std::error::Error::source(&error)
        .expect("a cause")
        .to_string();
    assert_eq!(
        cause,
        "TLS handshake with 192.0.2.1:1234: not done after 10 s"
    );
    drop(silent);
}

#[tokio::test(start_paused = true)]
async fn handshakes_are_bounded_in_number() {
    let world = World::new();
    let (sender, listener) = listener();
    let acceptor = TlsAcceptor::new(world.server.clone()).expect("an acceptor");
    let mut listener = TlsListener::new(listener, acceptor)
        .with_max_handshakes(1)
        .with_handshake_timeout(Duration::from_secs(3));
    let connector = TlsConnector::new(world.client.clone()).expect("a connector");

    let (_silent, below) = pipe(4096);
    sender.send(below).await.expect("room");
    let (client, below) = pipe(4096);
    sender.send(below).await.expect("room");
    let name = common::host("server.test");
    let accept = async {
        let error = listener
            .accept()
            .await
            .expect_err("the first takes too long");
        assert_eq!(error.kind(), ErrorKind::Reset);
        listener.accept().await.expect("the second's turn")
    };
    let (client, _server) = tokio::join!(connector.connect(client, &name), accept);
    client.expect("connected");
}

#[tokio::test]
async fn a_failed_handshake_does_not_end_the_listener() {
    let world = World::new();
    let (sender, listener) = listener();
    let acceptor = TlsAcceptor::new(world.server.clone()).expect("an acceptor");
    let mut listener = TlsListener::new(listener, acceptor);
    let (mut client, below) = pipe(4096);
    sender.send(below).await.expect("room");
    client.write_all(b"GET / HTTP/1.1\r\n").await.expect("room");
    let error = listener.accept().await.expect_err("not TLS");
    assert_eq!(error.kind(), ErrorKind::Reset);
    let cause = std::error::Error::source(&error).expect("a cause");
    let cause: &Error = cause.downcast_ref().expect("one of ours");
    assert_eq!(cause.kind(), ErrorKind::Protocol);

    let (client, below) = pipe(4096);
    sender.send(below).await.expect("room");
    let connector = TlsConnector::new(world.client.clone()).expect("a connector");
    let name = common::host("server.test");
    let (client, server) = tokio::join!(connector.connect(client, &name), listener.accept());
    client.expect("connected");
    server.expect("accepted");
}
