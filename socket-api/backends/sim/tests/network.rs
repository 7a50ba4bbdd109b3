//! The simulation's own promises: its seed, its losses, its cuts, its clock.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU64;
use std::time::Duration;

use jackfield_sim::{Cut, Link, Network, SimDatagramSocket, SimHost, SimStream};
use jackfield_socket::{
    DatagramSocket, Endpoint, Error, ErrorKind, ListenOptions, TcpConnect, TcpListen, TcpListener,
    TcpOptions, UdpOpen, UdpOptions, time,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const A: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
const B: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

struct Pair {
    network: Network,
    a: SimHost,
    b: SimHost,
}

impl Pair {
    fn new(seed: u64, change: impl FnOnce(&mut Link)) -> Self {
        let network = Network::new(seed);
        let a = network.host("a.example", [A]);
        let b = network.host("b.example", [B]);
        let mut link = Link::default();
        change(&mut link);
        network.link(&a, &b, link);
        Self { network, a, b }
    }

    async fn streams(&self) -> (SimStream, SimStream) {
        self.streams_with(&TcpOptions::default()).await
    }

    async fn streams_with(&self, options: &TcpOptions) -> (SimStream, SimStream) {
        let at = SocketAddr::new(B, 0);
        let mut listener = self
            .b
            .listen(at, &ListenOptions::default())
            .await
            .expect("a listener");
        let to = listener.local_addr().expect("it listens").into();
        let ours = self.a.connect(&to, options).await.expect("a stream");
        let theirs = listener.accept().await.expect("its other side");
        (ours, theirs)
    }

    async fn sockets(&self) -> (SimDatagramSocket, SimDatagramSocket) {
        let options = UdpOptions::default();
        let theirs = self
            .b
            .open_bound(SocketAddr::new(B, 0), &options)
            .await
            .expect("a socket");
        let to = Endpoint::from(theirs.local_addr().expect("it is bound"));
        let ours = self
            .a
            .open_connected(&to, &options)
            .await
            .expect("a socket");
        (ours, theirs)
    }
}

/// Sends numbered datagrams 1 ms apart; the numbers that arrive, in their order.
async fn numbers(pair: &Pair, count: u32) -> Vec<u32> {
    let (mut ours, mut theirs) = pair.sockets().await;
    let mut seen = Vec::new();
    let mut buffer = [0; 4];
    for number in 0..count {
        ours.send(&number.to_be_bytes(), None).await.expect("sent");
        let next = time::now() + Duration::from_millis(1);
        while let Some(left) = next
            .checked_duration_since(time::now())
            .filter(|d| !d.is_zero())
        {
            if let Ok(received) = time::timeout(left, theirs.recv(&mut buffer)).await {
                received.expect("a datagram");
                seen.push(u32::from_be_bytes(buffer));
            }
        }
    }
    while let Ok(received) = time::timeout(Duration::from_secs(1), theirs.recv(&mut buffer)).await {
        received.expect("a datagram");
        seen.push(u32::from_be_bytes(buffer));
    }
    seen
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_gives_the_same_trace() {
    async fn run(seed: u64) -> Vec<String> {
        let pair = Pair::new(seed, |link| {
            link.jitter = Duration::from_millis(20);
            link.loss = 0.1;
            link.duplication = 0.1;
            link.reordering = 0.1;
            link.bandwidth = NonZeroU64::new(1_000_000);
        });
        numbers(&pair, 200).await;
        let (mut ours, mut theirs) = pair.streams().await;
        let write = async {
            ours.write_all(&vec![7; 200_000]).await.expect("written");
            ours.shutdown().await.expect("ended");
        };
        let mut data = Vec::new();
        let ((), read) = tokio::join!(write, theirs.read_to_end(&mut data));
        read.expect("an end");
        assert_eq!(data, vec![7; 200_000]);
        pair.network.trace()
    }
    let first = run(1).await;
    assert!(first.len() > 300, "{} lines", first.len());
    assert_eq!(first, run(1).await);
    assert_ne!(first, run(2).await);
}

#[tokio::test(start_paused = true)]
async fn losses_duplicates_and_order_are_as_asked() {
    let pair = Pair::new(3, |link| link.loss = 0.2);
    let seen = numbers(&pair, 5000).await;
    assert!((3880..4120).contains(&seen.len()), "{} of 5000", seen.len());
    assert!(seen.is_sorted(), "nothing was to be reordered");

    let pair = Pair::new(4, |link| link.duplication = 0.1);
    let seen = numbers(&pair, 5000).await;
    assert!((5400..5600).contains(&seen.len()), "{} of 5000", seen.len());

    let pair = Pair::new(5, |link| {
        link.reordering = 0.1;
        link.latency = Duration::from_millis(10);
    });
    let seen = numbers(&pair, 5000).await;
    assert_eq!(seen.len(), 5000);
    let overtaken = seen.windows(2).filter(|pair| pair[0] > pair[1]).count();
    assert!((350..550).contains(&overtaken), "{overtaken} of 5000");
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_cut_at_the_chosen_byte() {
    for at in [0_u64, 1, 1459, 1460, 1461, 100_000] {
        let pair = Pair::new(6, |_| ());
        pair.network.cut_next(&pair.b, &pair.a, at, Cut::Reset);
        let (mut ours, mut theirs) = pair.streams().await;
        let write = async {
            let result = theirs.write_all(&vec![1; 150_000]).await;
            // What fits into the window may have been taken before the cut was known.
            match result {
                Ok(()) => theirs.read(&mut [0; 1]).await.map(drop),
                Err(error) => Err(error),
            }
        };
        let read = async {
            let mut data = Vec::new();
            let error = ours.read_to_end(&mut data).await.expect_err("a reset");
            (data.len() as u64, Error::from(error).kind())
        };
        let (wrote, (count, kind)) = tokio::join!(write, read);
        assert_eq!((count, kind), (at, ErrorKind::Reset));
        let error = Error::from(wrote.expect_err("the sender learns of it"));
        assert_eq!(error.kind(), ErrorKind::Reset);

        // Only the next stream was to be cut.
        let (mut ours, mut theirs) = pair.streams().await;
        theirs.write_all(b"whole").await.expect("written");
        theirs.shutdown().await.expect("ended");
        let mut data = Vec::new();
        ours.read_to_end(&mut data).await.expect("an end");
        assert_eq!(data, b"whole");
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_cut_tells_nobody_but_a_keep_alive() {
    let pair = Pair::new(7, |_| ());
    pair.network.cut_next(&pair.a, &pair.b, 10, Cut::Silence);
    let mut options = TcpOptions::default();
    options.keep_alive = Some(Duration::from_mins(1));
    let (mut ours, mut theirs) = pair.streams_with(&options).await;
    ours.write_all(&[2; 100])
        .await
        .expect("the window has room");
    theirs
        .read_exact(&mut [0; 10])
        .await
        .expect("before the cut");
    let mut byte = [0; 1];
    let hour = Duration::from_hours(1);
    assert!(time::timeout(hour, theirs.read(&mut byte)).await.is_err());
    let error = ours.read(&mut byte).await.expect_err("a keep-alive");
    assert_eq!(Error::from(error).kind(), ErrorKind::TimedOut);
}

#[tokio::test(start_paused = true)]
async fn parted_hosts_hear_nothing_until_they_are_healed() {
    let pair = Pair::new(8, |_| ());
    let (mut ours, mut theirs) = pair.streams().await;
    let (mut sender, mut receiver) = pair.sockets().await;
    pair.network.part(&pair.a, &pair.b);
    ours.write_all(b"held").await.expect("the window has room");
    ours.shutdown().await.expect("ended");
    sender.send(b"lost", None).await.expect("sent");
    let mut buffer = [0; 16];
    let minute = Duration::from_mins(1);
    assert!(
        time::timeout(minute, theirs.read(&mut buffer))
            .await
            .is_err()
    );
    let to = Endpoint::new(B, 1);
    let options = TcpOptions::default();
    let connecting = pair.a.connect(&to, &options);
    let begin = time::now();
    let error = connecting.await.expect_err("nobody answers");
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(time::now() - begin >= Duration::from_secs(127));

    pair.network.heal(&pair.a, &pair.b);
    let mut data = Vec::new();
    theirs.read_to_end(&mut data).await.expect("an end");
    assert_eq!(data, b"held");
    sender.send(b"heard", None).await.expect("sent");
    let received = receiver.recv(&mut buffer).await.expect("a datagram");
    assert_eq!(&buffer[..received.len], b"heard");
}

#[tokio::test(start_paused = true)]
async fn bandwidth_is_shared_and_hours_pass_at_once() {
    let started = std::time::Instant::now();
    let pair = Pair::new(9, |link| link.bandwidth = NonZeroU64::new(1000));
    let begin = time::now();
    let mut transfers = Vec::new();
    for _ in 0..2 {
        let (mut ours, mut theirs) = pair.streams().await;
        transfers.push(async move {
            let mut data = Vec::new();
            let write = async {
                ours.write_all(&vec![3; 2_000_000]).await.expect("written");
                ours.shutdown().await.expect("ended");
            };
            let ((), read) = tokio::join!(write, theirs.read_to_end(&mut data));
            read.expect("an end");
            data.len()
        });
    }
    let second = transfers.pop().expect("two");
    let first = transfers.pop().expect("two");
    assert_eq!(tokio::join!(first, second), (2_000_000, 2_000_000));
    // 4 MB at 1 kB/s: more than an hour.
    let took = time::now() - begin;
    assert!(
        (4000..4010).contains(&took.as_secs()),
        "it took {took:?} on the network"
    );
    assert!(started.elapsed() < Duration::from_secs(30));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_dropped_unfinished_resets_its_peer() {
    let pair = Pair::new(10, |_| ());
    let (mut ours, mut theirs) = pair.streams().await;
    theirs.write_all(b"all of it").await.expect("written");
    drop(theirs);
    let mut data = Vec::new();
    let error = ours.read_to_end(&mut data).await.expect_err("a reset");
    assert_eq!(data, b"all of it");
    assert_eq!(Error::from(error).kind(), ErrorKind::Reset);
}
