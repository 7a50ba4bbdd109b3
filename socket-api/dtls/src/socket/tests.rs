//! Sessions in the simulation. The server is the engine in its other role.

use std::net::SocketAddr;

use std::sync::Mutex;

use dimpl::crypto::Dtls12CipherSuite;
use jackfield_sim::{Link, Network, SimDatagramSocket, SimHost};
use jackfield_socket::{UdpOpen, UdpOptions};

use super::*;
use crate::network::Resolver;
use crate::{Dtls, DtlsConfig, Psk};

const KEY: [u8; 16] = *b"a key of 16 byte";
const SERVER: &str = "192.0.2.2:5684";

/// A bound socket that speaks with whoever spoke first.
#[derive(Debug)]
struct Accepting {
    socket: SimDatagramSocket,
    peer: Option<SocketAddr>,
    /// Whether nothing can be sent.
    held: bool,
    /// Who was the last to try: the one whom the end of that wakes.
    waiting: Option<Waker>,
}

impl DatagramSocket for Accepting {
    fn poll_recv(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<Datagram>> {
        loop {
            let datagram = ready!(self.socket.poll_recv(cx, buf))?;
            let peer = *self.peer.get_or_insert(datagram.from.expect("a sender"));
            if datagram.from == Some(peer) {
                return Poll::Ready(Ok(datagram));
            }
            buf.clear();
        }
    }

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        data: &[u8],
        _to: Option<SocketAddr>,
    ) -> Poll<io::Result<()>> {
        if self.held {
            self.waiting = Some(cx.waker().clone());
            return Poll::Pending;
        }
        self.socket.poll_send(cx, data, self.peer)
    }

    fn local_addr(&self) -> Option<SocketAddr> {
        self.socket.local_addr()
    }

    fn peer_addr(&self) -> Option<SocketAddr> {
        self.peer
    }
}

/// Two hosts, and what is between them.
fn hosts(seed: u64, change: impl Fn(&mut Link)) -> (SimHost, SimHost) {
    let network = Network::new(seed);
    let client = network.host("client.example", ["192.0.2.1".parse().expect("an address")]);
    let server = network.host("server.example", ["192.0.2.2".parse().expect("an address")]);
    let mut link = Link::default();
    change(&mut link);
    network.link(&client, &server, link.clone());
    network.link(&server, &client, link);
    (client, server)
}

fn config(identity: &str, key: &[u8]) -> DtlsConfig {
    DtlsConfig::new(Psk::new(identity, key).expect("a key"))
}

/// A server that knows one key, after its handshake with one client.
async fn accept(host: &SimHost, identity: &str, key: &[u8]) -> Result<DtlsSocket<Accepting>> {
    let at = SERVER.parse().expect("an address");
    let socket = host.open_bound(at, &UdpOptions::default()).await?;
    let psk = Psk::new(identity, key)?;
    let config = Config::builder()
        .with_crypto_provider(dimpl::crypto::rust_crypto::default_provider())
        .dtls12_cipher_suites(&[Dtls12CipherSuite::PSK_AES128_CCM_8])
        .dtls13_cipher_suites(&[])
        .with_psk_server(None, Arc::new(Resolver(psk)))
        .flight_retries(17)
        .mtu(1_232)
        .build()
        .expect("a configuration");
    let accepting = Accepting {
        socket,
        peer: None,
        held: false,
        waiting: None,
    };
    let mut session = DtlsSocket::new(accepting, &Arc::new(config));
    session
        .handshake()
        .await
        .map_err(|failure| failure.error())?;
    Ok(session)
}

/// What listens where the server does, and says nothing.
async fn silent(host: &SimHost) -> SimDatagramSocket {
    let at = SERVER.parse().expect("an address");
    let opened = host.open_bound(at, &UdpOptions::default()).await;
    opened.expect("the port is free")
}

async fn connect(host: &SimHost, config: DtlsConfig) -> Result<DtlsSocket<SimDatagramSocket>> {
    let network = Dtls::new(host.clone(), config)?;
    let to = SERVER.parse().expect("an endpoint");
    network.open_connected(&to, &UdpOptions::default()).await
}

async fn pair(
    client: &SimHost,
    server: &SimHost,
) -> (DtlsSocket<SimDatagramSocket>, DtlsSocket<Accepting>) {
    let (theirs, ours) = tokio::join!(
        biased;
        accept(server, "lamp", &KEY),
        connect(client, config("lamp", &KEY))
    );
    (ours.expect("a session"), theirs.expect("a session"))
}

async fn receive<S: DatagramSocket>(socket: &mut DtlsSocket<S>) -> io::Result<Vec<u8>> {
    let mut buffer = [0; 2048];
    let datagram = socket.recv(&mut buffer).await?;
    assert!(!datagram.truncated);
    Ok(buffer[..datagram.len].to_vec())
}

#[tokio::test(start_paused = true)]
async fn datagrams_pass_both_ways() {
    let (client, server) = hosts(1, |_| {});
    let (mut ours, mut theirs) = pair(&client, &server).await;
    assert_eq!(ours.peer_addr(), SERVER.parse().ok());
    for size in [1, 29, 1_203] {
        let sent = vec![size as u8; size];
        ours.send(&sent, None).await.expect("it goes out");
        assert_eq!(receive(&mut theirs).await.expect("it arrives"), sent);
        theirs.send(&sent, None).await.expect("it goes out");
        assert_eq!(receive(&mut ours).await.expect("it arrives"), sent);
    }
    let mut small = [0; 2];
    theirs.send(b"long", None).await.expect("it goes out");
    let datagram = ours.recv(&mut small).await.expect("it arrives");
    assert!(datagram.truncated && datagram.len == 2);
}

#[tokio::test(start_paused = true)]
async fn a_handshake_completes_whatever_the_link_loses_repeats_and_reorders() {
    for seed in 0..40 {
        let (client, server) = hosts(seed, |link| {
            link.loss = 0.3;
            link.duplication = 0.2;
            link.reordering = 0.2;
            link.jitter = Duration::from_millis(30);
        });
        let mut patient = config("lamp", &KEY);
        patient.handshake_timeout = Duration::from_hours(1);
        let serve = async {
            let mut theirs = accept(&server, "lamp", &KEY).await.expect("a session");
            loop {
                let data = receive(&mut theirs).await.expect("the session goes on");
                theirs.send(&data, None).await.expect("it goes out");
            }
        };
        let ask = async {
            let mut ours = connect(&client, patient).await.expect("a session");
            // Datagrams may still be lost: those are for the protocol above to repeat.
            for number in 0_u32.. {
                let data = number.to_be_bytes();
                ours.send(&data, None).await.expect("it goes out");
                let answer = time::timeout(Duration::from_secs(1), receive(&mut ours)).await;
                if let Ok(answer) = answer {
                    let answer = answer.expect("the session goes on");
                    let echoed = u32::from_be_bytes(answer.try_into().expect("four bytes"));
                    assert!(echoed <= number);
                    break;
                }
            }
        };
        tokio::select! {
            biased;
            () = serve => {}
            () = ask => {}
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_does_not_know_the_key_gets_no_session() {
    // This server tells neither from the other: it drops what it can't decrypt, as it may.
    for (identity, key) in [("stranger", KEY), ("lamp", [0; 16])] {
        let (client, server) = hosts(2, |_| {});
        let accept = async {
            let theirs = accept(&server, "lamp", &KEY).await;
            // A server that gave up with one still listens for others.
            (theirs, silent(&server).await)
        };
        let ((theirs, _silent), ours) = tokio::join!(
            biased;
            accept,
            connect(&client, config(identity, &key))
        );
        let error = ours.expect_err("no session");
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
        assert!(theirs.is_err());
        let text = format!("{error} {error:?}");
        assert!(!text.contains("stranger"), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_nobody_answers_ends_in_time() {
    let (client, server) = hosts(3, |_| {});
    let _silent = silent(&server).await;
    let begin = time::now();
    let error = connect(&client, config("lamp", &KEY))
        .await
        .expect_err("nobody answers");
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    assert_eq!((time::now() - begin).as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn dropping_a_session_tells_the_peer() {
    let (client, server) = hosts(4, |_| {});
    let (mut ours, mut theirs) = pair(&client, &server).await;
    ours.send(b"last", None).await.expect("it goes out");
    drop(ours);
    assert_eq!(receive(&mut theirs).await.expect("it arrives"), b"last");
    for _ in 0..2 {
        let error = Error::from(receive(&mut theirs).await.expect_err("it is over"));
        assert_eq!(error.kind(), ErrorKind::Reset, "{error}");
    }
    assert!(theirs.send(b"too late", None).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn what_was_forged_or_seen_before_is_dropped() {
    let (client, server) = hosts(5, |_| {});
    let (mut ours, mut theirs) = pair(&client, &server).await;
    // A record that is encrypted, and sent twice.
    ours.act(|engine| engine.send_application_data(b"once").map(|_| ()));
    let record = ours.outgoing.pop_back().expect("a record");
    let mut changed = record.clone();
    *changed.last_mut().expect("a tag") ^= 1;
    let mut unencrypted = record.clone();
    unencrypted[3..5].fill(0);
    let fatal_alert = [21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 99, 0, 2, 2, 40];
    for datagram in [
        &changed[..],
        &unencrypted,
        &fatal_alert,
        b"GET / HTTP/1.1",
        b"",
        &record[..10],
        &record,
        &record,
    ] {
        ours.socket.send(datagram, None).await.expect("it goes out");
    }
    ours.send(b"then", None).await.expect("it goes out");
    assert_eq!(receive(&mut theirs).await.expect("the first"), b"once");
    assert_eq!(receive(&mut theirs).await.expect("the next"), b"then");
}

#[tokio::test(start_paused = true)]
async fn what_can_not_be_sent_is_refused() {
    let (client, server) = hosts(6, |_| {});
    let (mut ours, _theirs) = pair(&client, &server).await;
    for (data, to) in [
        (vec![], None),
        (vec![0; 1_204], None),
        (vec![1], SERVER.parse().ok()),
    ] {
        let error = Error::from(ours.send(&data, to).await.expect_err("refused"));
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    }
    let network = Dtls::new(client, config("lamp", &KEY)).expect("a network");
    let at = "192.0.2.1:0".parse().expect("an address");
    let error = network
        .open_bound(at, &UdpOptions::default())
        .await
        .expect_err("no peer");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

#[test]
fn what_can_not_be_set_up_is_refused() {
    let mut slow = config("lamp", &KEY);
    slow.handshake_timeout = Duration::from_hours(25);
    let mut instant = config("lamp", &KEY);
    instant.handshake_timeout = Duration::ZERO;
    let mut narrow = config("lamp", &KEY);
    narrow.mtu = 255;
    for config in [slow, instant, narrow] {
        let error = Dtls::new((), config).expect_err("out of range");
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_has_lost_the_session_is_found_out() {
    let (client, server) = hosts(7, |_| {});
    let (mut ours, mut theirs) = pair(&client, &server).await;
    // Silence that nobody has broken is none.
    let waiting = time::timeout(Duration::from_hours(1), receive(&mut ours)).await;
    assert!(waiting.is_err(), "nothing was asked");
    ours.send(b"there?", None).await.expect("it goes out");
    receive(&mut theirs).await.expect("it arrives");
    theirs.send(b"yes", None).await.expect("it goes out");
    receive(&mut ours).await.expect("it arrives");

    // It starts again, and knows nothing.
    theirs.ended = Some(Failure::new(ErrorKind::Closed, "power was lost"));
    drop(theirs);
    let _again = silent(&server).await;
    let begin = time::now();
    for _ in 0..3 {
        ours.send(b"there?", None).await.expect("it goes out");
        let waiting = time::timeout(Duration::from_secs(15), receive(&mut ours)).await;
        assert!(waiting.is_err(), "no answer yet");
    }
    let error = Error::from(receive(&mut ours).await.expect_err("it is lost"));
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    assert_eq!((time::now() - begin).as_secs(), 60);
    assert!(ours.send(b"there?", None).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn nobody_there_fails_the_handshake_and_no_session() {
    let (client, server) = hosts(1, |_| {});
    let begin = time::now();
    let error = connect(&client, config("lamp", &KEY))
        .await
        .expect_err("nobody listens there");
    assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
    let took = time::now() - begin;
    assert!(
        took < Duration::from_secs(1),
        "it was told at once: {took:?}"
    );

    let (mut ours, mut theirs) = pair(&client, &server).await;
    // It leaves without a word.
    theirs.ended = Some(Failure::new(ErrorKind::Other, "gone"));
    drop(theirs);
    ours.send(b"are you there", None).await.expect("sent");
    let error = receive(&mut ours).await.expect_err("nobody is");
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused, "{error}");
    ours.send(b"are you there", None)
        .await
        .expect("the session lives");
}

/// Waits for something of a socket that several tasks use.
fn of_shared<S: DatagramSocket, T: Send + 'static>(
    socket: &Arc<Mutex<DtlsSocket<S>>>,
    mut poll: impl FnMut(&mut DtlsSocket<S>, &mut Context<'_>) -> Poll<T> + Send + 'static,
) -> tokio::task::JoinHandle<T> {
    let socket = socket.clone();
    tokio::spawn(poll_fn(move |cx| {
        poll(&mut socket.lock().expect("no panic"), cx)
    }))
}

#[tokio::test(start_paused = true)]
async fn who_sends_and_who_receives_in_tasks_of_their_own_are_both_woken() {
    let (client, server) = hosts(8, |_| {});
    let (mut ours, mut theirs) = pair(&client, &server).await;
    theirs.socket.held = true;
    theirs.send(b"one", None).await.expect("it is taken");
    let theirs = Arc::new(Mutex::new(theirs));
    let sending = of_shared(&theirs, |socket, cx| socket.poll_send(cx, b"two", None));
    tokio::task::yield_now().await;
    let receiving = of_shared(&theirs, |socket, cx| {
        let mut buffer = [0; 64];
        let mut buffer = ReadBuf::new(&mut buffer);
        socket
            .poll_recv(cx, &mut buffer)
            .map_ok(|datagram| datagram.len)
    });
    tokio::task::yield_now().await;
    assert!(!sending.is_finished() && !receiving.is_finished());

    let waiting = {
        let socket = &mut theirs.lock().expect("no panic").socket;
        socket.held = false;
        socket.waiting.take()
    };
    waiting.expect("both wait").wake();
    let sent = time::timeout(Duration::from_secs(10), sending).await;
    let sent = sent.expect("the sender was woken").expect("no panic");
    sent.expect("it goes out");
    for expected in [&b"one"[..], b"two"] {
        assert_eq!(receive(&mut ours).await.expect("it arrives"), expected);
    }
    ours.send(b"three", None).await.expect("it goes out");
    let received = time::timeout(Duration::from_secs(10), receiving).await;
    let received = received.expect("the receiver was woken").expect("no panic");
    assert_eq!(received.expect("it arrives"), 5);
}

#[tokio::test(start_paused = true)]
async fn who_only_receives_hears_that_what_another_task_sent_was_not_answered() {
    let (client, server) = hosts(9, |_| {});
    let (ours, _theirs) = pair(&client, &server).await;
    let ours = Arc::new(Mutex::new(ours));
    let receiving = of_shared(&ours, |socket, cx| {
        socket.poll_recv(cx, &mut ReadBuf::new(&mut [0; 64]))
    });
    tokio::task::yield_now().await;
    let sending = of_shared(&ours, |socket, cx| socket.poll_send(cx, b"there?", None));
    sending.await.expect("no panic").expect("it goes out");
    let received = time::timeout(Duration::from_hours(1), receiving).await;
    let received = received.expect("it was told").expect("no panic");
    let error = Error::from(received.expect_err("nobody answers"));
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
}
