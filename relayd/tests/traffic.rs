//! Traffic: what the relay carries keeps to the limits by the second and by the day.
//!
//! That something takes its time is shown by the least that it must have taken, and that somebody isn't
//! held up, by who is ready first.

mod common;

use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use common::{
    Client, ORIGIN, Recorded, SECRET, TestRelay, config, echo, names, pattern, sink, target, token,
    within,
};
use futures_util::SinkExt as _;
use jackfield_native::Native;
use jackfield_relay::{Relay, RelayConfig};
use jackfield_relay_wire::{Code, Frame, Id, Reason, UdpTarget, datagram_cost};
use jackfield_relayd::record::{Decision, Event, Record};
use jackfield_relayd::token::{Claims, Credential, Secret, SigningKey};
use jackfield_relayd::{Config, Token};
use jackfield_socket::{Error, ErrorKind, Place, TcpConnect as _, TcpOptions, UdpOptions};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, UdpSocket};

const KIB: usize = 1024;
const KEY: &str = "the-signing-key-of-all-these-tests";

/// A token whose bearers are told apart.
fn signed() -> Token {
    let mut token = token();
    token.credential = Credential::Key(Secret::new(KEY).expect("long enough"));
    token
}

/// A relay's configuration where each bearer may carry so many bytes a second.
fn paced(bytes: usize) -> Config {
    let mut token = signed();
    token.bearer_limits.bytes_per_second = NonZeroU64::new(bytes as u64);
    config(token)
}

async fn bearer(relay: &TestRelay, subject: &str) -> Client {
    let mut claims = Claims::new(SystemTime::now() + Duration::from_secs(1000));
    claims.subject = Some(subject.into());
    let key = SigningKey::hs256(&Secret::new(KEY).expect("long enough"));
    let key = key.expect("long enough").with_id("tests");
    let token = key.mint(&claims).expect("short");
    let client = Client::open(relay.address, ORIGIN, Some(&token)).await;
    client.expect("let in")
}

/// A target that sends this to everybody and ends.
async fn source(data: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let data = data.clone();
            tokio::spawn(async move { stream.write_all(&data).await });
        }
    });
    address
}

async fn send(client: &mut Client, id: Id, data: &[u8]) {
    for data in data.chunks(16 * KIB) {
        let data = data.to_vec().into();
        client.send(&Frame::Data { id, data }).await;
    }
}

/// The least time in which so much is carried at this rate, of which a second's worth may come at once.
fn least(bytes: usize, rate: usize) -> Duration {
    Duration::from_millis(((bytes - rate) * 1000 / rate) as u64)
}

#[tokio::test]
async fn bulk_takes_its_time_in_either_direction() {
    const RATE: usize = 96 * KIB;
    let relay = TestRelay::start(paced(RATE)).await;
    let data = pattern(225 * KIB);
    let (sink, sunk) = sink().await;

    let up = async {
        let mut client = bearer(&relay, "up").await;
        let begin = Instant::now();
        let (id, credit) = client.connect(&sink, 1024).await;
        assert!(
            credit as usize >= data.len(),
            "no more has to be waited for"
        );
        send(&mut client, id, &data).await;
        client.send(&Frame::Fin { id }).await;
        let received = within(sunk).await.expect("it ends").expect("in order");
        assert!(received == data, "all of it, in order");
        begin.elapsed()
    };
    let down = async {
        let source = source(data.clone()).await;
        let mut client = bearer(&relay, "down").await;
        let begin = Instant::now();
        let (id, mut credit) = client.connect(&source, 8 * 1024 * KIB as u32).await;
        let (received, cut) = client.read_to_end(id, &mut credit).await;
        assert!(cut.is_none() && received == data, "all of it, in order");
        begin.elapsed()
    };
    let (up, down) = tokio::join!(up, down);
    let least = least(data.len(), RATE);
    assert!(up >= least && down >= least, "{up:?}, {down:?}");
}

/// Reads all that comes, and counts it.
fn count(mut client: Client) -> Arc<AtomicUsize> {
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    tokio::spawn(async move {
        while let Some(frame) = client.next_frame().await {
            if let Frame::Data { data, .. } = frame {
                counter.fetch_add(data.len(), Ordering::Relaxed);
            }
        }
    });
    count
}

async fn until(count: &AtomicUsize, at_least: usize) {
    within(async {
        while count.load(Ordering::Relaxed) < at_least {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn one_bearer_at_its_limit_does_not_slow_another() {
    const RATE: usize = 128 * KIB;
    let relay = TestRelay::start(paced(RATE)).await;
    let (much, little) = (
        source(pattern(40 * RATE)).await,
        source(pattern(RATE)).await,
    );
    let mut first = bearer(&relay, "first").await;
    first.connect(&much, 64 * RATE as u32).await;
    let carried = count(first);
    until(&carried, RATE).await;

    let mut other = bearer(&relay, "other").await;
    let (id, mut credit) = other.connect(&little, 2 * RATE as u32).await;
    let (received, cut) = other.read_to_end(id, &mut credit).await;
    assert!(cut.is_none() && received.len() == RATE);
    assert!(
        carried.load(Ordering::Relaxed) < 40 * RATE,
        "it is on its way"
    );
}

/// A keystroke has its turn while bulk of the same bearer waits for its own, in this session and in
/// others.
#[tokio::test]
async fn nobody_starves_behind_bulk() {
    const RATE: usize = 256 * KIB;
    let relay = TestRelay::start(paced(RATE)).await;
    let (much, echo) = (source(pattern(40 * RATE)).await, echo().await);
    let mut bulk = Vec::new();
    for _ in 0..3 {
        let mut client = bearer(&relay, "ada").await;
        client.connect(&much, 64 * RATE as u32).await;
        bulk.push(count(client));
    }
    let mut client = bearer(&relay, "ada").await;
    let (id, _) = client.connect(&echo, 1024).await;
    let carried = || -> usize { bulk.iter().map(|bulk| bulk.load(Ordering::Relaxed)).sum() };
    within(async {
        while carried() < 2 * RATE {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let before = carried();
    for _ in 0..10 {
        send(&mut client, id, b"k").await;
        loop {
            match client.frame().await {
                Frame::Data { data, .. } if *data == *b"k" => break,
                Frame::Credit { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }
    assert!(carried() < 3 * 40 * RATE, "it is on its way");
    // Ten keystrokes and as many answers wait for some turns each, of 4 KiB, and not for a second.
    let meanwhile = carried() - before;
    assert!(meanwhile < 5 * RATE, "{meanwhile}");
    assert!(
        bulk.iter()
            .all(|bulk| bulk.load(Ordering::Relaxed) > RATE / 8)
    );
}

async fn udp(client: &mut Client, target: UdpTarget) -> (Id, SocketAddr, u32) {
    let id = client.new_id();
    let mut options = UdpOptions::default();
    options.receive_buffer = NonZeroU32::new(32 * KIB as u32);
    let credit = 1024 * 1024;
    client
        .send(&Frame::Udp {
            id,
            credit,
            target,
            options,
        })
        .await;
    match client.frame().await {
        Frame::Opened {
            local: Some(local),
            credit,
            ..
        } => (id, local, credit),
        other => panic!("{other:?}"),
    }
}

fn datagram(id: Id, peer: Option<SocketAddr>, data: &'static [u8]) -> Frame {
    Frame::Datagram {
        id,
        peer,
        truncated: false,
        data: data.into(),
    }
}

async fn socket() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
    let address = socket.local_addr().expect("bound");
    (socket, address)
}

/// A flood of the client's waits where it is: no more arrives than may, and no more credit is given.
#[tokio::test]
async fn a_flood_of_datagrams_arrives_at_its_rate() {
    const RATE: u32 = 100;
    let mut token = signed();
    token.bearer_limits.packets_per_second = NonZeroU32::new(RATE);
    let relay = TestRelay::start(config(token)).await;
    let (peer, address) = socket().await;
    let mut client = bearer(&relay, "ada").await;
    let begin = Instant::now();
    let (id, _, first) = udp(&mut client, UdpTarget::Connected(address.into())).await;
    let (mut credit, mut sent, mut arrived) = (first, 0, 0);
    let mut buffer = [0; 16];
    while arrived < 250 {
        while credit >= datagram_cost(1) {
            client.send(&datagram(id, None, b"x")).await;
            (credit, sent) = (credit - datagram_cost(1), sent + 1);
        }
        tokio::select! {
            received = within(peer.recv(&mut buffer)) => {
                received.expect("open");
                arrived += 1;
            }
            frame = client.frame() => match frame {
                Frame::Credit { more, .. } => credit += more,
                other => panic!("{other:?}"),
            }
        }
    }
    let time = begin.elapsed();
    assert!(time >= Duration::from_millis(1480), "{time:?}");
    // What was taken of it was carried, and a turn or two more.
    let taken = f64::from(RATE) * (1.0 + time.as_secs_f64()) + 16.0;
    let most = f64::from(first / datagram_cost(1)) + taken;
    assert!(f64::from(sent) <= most, "{sent} are more than {most}");
    assert!(sent > 1000, "it is a flood");
}

/// What a target has too much of is lost as in any network that is too slow, and counted.
#[tokio::test]
async fn a_flood_of_a_target_arrives_at_its_rate() {
    const RATE: u32 = 100;
    const SENT: u64 = 5000;
    let mut token = signed();
    token.bearer_limits.packets_per_second = NonZeroU32::new(RATE);
    let relay = TestRelay::start(config(token)).await;
    let (peer, address) = socket().await;
    let mut client = bearer(&relay, "ada").await;
    let begin = Instant::now();
    let (id, local, _) = udp(&mut client, UdpTarget::Connected(address.into())).await;
    for _ in 0..SENT {
        peer.send_to(b"x", local).await.expect("sent");
    }
    let (mut arrived, mut dropped) = (0, 0);
    // Only Linux tells what its buffer had no room for.
    while arrived < 110 || cfg!(target_os = "linux") && arrived + dropped < SENT {
        match client.frame().await {
            Frame::Datagram { .. } => arrived += 1,
            Frame::Dropped { id: of, total } if of == id => dropped = total,
            other => panic!("{other:?}"),
        }
    }
    let most = f64::from(RATE) * (1.0 + begin.elapsed().as_secs_f64()) + 1.0;
    assert!(
        f64::from(arrived as u32) <= most,
        "{arrived} are more than {most}"
    );
}

/// The next record of this kind.
async fn recorded(records: &mut Recorded, event: Event) -> Record {
    loop {
        let record = records.next().await;
        if record.event == event {
            return record;
        }
    }
}

#[track_caller]
fn used_up(reason: &Reason) {
    assert_eq!(reason.code(), Code::LIMIT_EXCEEDED, "{reason}");
    let text = "the bearer's limit bytes_per_day (1000) is reached";
    assert_eq!(reason.text(), text);
}

#[tokio::test]
async fn a_day_that_is_used_up_ends_streams_and_refuses_new_ones() {
    let mut token = signed();
    token.bearer_limits.bytes_per_day = Some(1000);
    let (relay, mut records) = TestRelay::start_recorded(config(token)).await;
    let (sink, sunk) = target(|mut stream| async move {
        let mut all = Vec::new();
        let ended = stream.read_to_end(&mut all).await;
        (all.len(), ended.map_err(|error| error.kind()))
    })
    .await;
    let (peer, address) = socket().await;
    let mut client = bearer(&relay, "ada").await;
    let (socket, _, _) = udp(&mut client, UdpTarget::Connected(address.into())).await;
    let (id, mut credit) = client.connect(&sink, 1024).await;
    send(&mut client, id, &[7; 400]).await;
    send(&mut client, id, &[7; 700]).await;
    let (_, cut) = client.read_to_end(id, &mut credit).await;
    used_up(&cut.expect("cut"));
    let (length, ended) = within(sunk).await.expect("it ends");
    assert_eq!(
        ended,
        Err(std::io::ErrorKind::ConnectionReset),
        "no end in order"
    );
    assert!(length <= 1000, "{length}");
    let record = recorded(&mut records, Event::Close).await;
    assert_eq!(record.outcome, Code::LIMIT_EXCEEDED.to_string());
    assert!(record.why.is_some_and(|why| why.contains("bytes_per_day")));
    assert_eq!(record.carried.map(|all| all.bytes_up), Some(1000));

    // A socket goes as well, when it is used, and nothing is opened any more, in whatever session.
    client.send(&datagram(socket, None, b"x")).await;
    match client.frame().await {
        Frame::Reset { id, reason } if id == socket => used_up(&reason),
        other => panic!("{other:?}"),
    }
    let mut again = bearer(&relay, "ada").await;
    for client in [&mut client, &mut again] {
        used_up(&client.refused(&sink).await);
        let listener = client.ask_to_listen("127.0.0.1:0", 1).await;
        used_up(&client.refusal(listener).await);
    }
    // Nobody else is any the worse.
    let mut other = bearer(&relay, "bob").await;
    let (id, _, _) = udp(&mut other, UdpTarget::Connected(address.into())).await;
    other.send(&datagram(id, None, b"bob's")).await;
    let mut buffer = [0; 16];
    let length = within(peer.recv(&mut buffer)).await.expect("open");
    assert_eq!(&buffer[..length], b"bob's");
}

/// What an application sees of it, natively and in a page: an error that names the limit, and never an end.
#[tokio::test]
async fn a_client_is_told_which_limit_it_was() {
    let mut token = token();
    token.limits.bytes_per_day = Some(1000);
    let mut config = config(token);
    config.allow_without_origin = true;
    let relay = TestRelay::start(config).await;
    let source = source(pattern(4 * KIB)).await.parse().expect("an endpoint");
    let client = RelayConfig::new(&format!("ws://{}/", relay.address))
        .and_then(|config| config.with_token(SECRET))
        .expect("valid");
    let (client, connection) = Relay::over(Native, client);
    tokio::spawn(connection);
    let options = TcpOptions::default();
    let mut stream = within(client.connect(&source, &options))
        .await
        .expect("reached");
    let mut received = Vec::new();
    let error = within(stream.read_to_end(&mut received))
        .await
        .expect_err("cut");
    let cut = Error::from(error);
    let refused = within(client.connect(&source, &options))
        .await
        .expect_err("used up");
    for error in [cut, refused] {
        assert_eq!(
            (error.kind(), error.place()),
            (ErrorKind::LimitExceeded, Place::Relay)
        );
        assert!(
            error.to_string().contains("bytes_per_day (1000)"),
            "{error}"
        );
    }
    assert!(received.len() <= 1000);
}

/// To try ports by datagrams is no cheaper than by connections.
#[tokio::test]
async fn each_new_peer_of_a_socket_is_a_dial() {
    const DIALS: u32 = 3;
    let mut token = signed();
    token.bearer_limits.dials_per_second = Some(DIALS);
    let (relay, mut records) = TestRelay::start_recorded(config(token)).await;
    let (known, address) = socket().await;
    let others = std::iter::repeat_with(|| {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a free port");
        socket.set_nonblocking(true).expect("it can be");
        socket
    });
    let others: Vec<_> = others.take(20).collect();
    let mut client = bearer(&relay, "ada").await;
    let begin = Instant::now();
    let at = UdpTarget::Bound("127.0.0.1:0".parse().expect("an address"));
    let (id, _, _) = udp(&mut client, at).await;
    client.send(&datagram(id, Some(address), b"somebody")).await;
    for other in &others {
        let address = other.local_addr().expect("bound");
        client.send(&datagram(id, Some(address), b"anybody")).await;
    }
    // Who is known already is no new one, however often it is sent to.
    let mut buffer = [0; 16];
    for _ in 0..20 {
        client.send(&datagram(id, Some(address), b"again")).await;
    }
    for _ in 0..21 {
        within(known.recv(&mut buffer)).await.expect("open");
    }
    // So the others have what they get.
    let met = others
        .iter()
        .filter(|other| other.recv(&mut [0; 16]).is_ok());
    let most = f64::from(DIALS) * (1.0 + begin.elapsed().as_secs_f64());
    let dials = 2 + met.count() as u32;
    assert!(f64::from(dials) <= most, "{dials} are more than {most}");
    let record = loop {
        let record = recorded(&mut records, Event::Datagrams).await;
        if record.basis.decision == Decision::Deny {
            break record;
        }
        assert_eq!(record.outcome, "allowed");
    };
    let why = record.why.expect("a reason");
    assert_eq!(why, "the bearer's limit dials_per_second (3) is reached");
    // Streams have these dials, too.
    loop {
        let asked = client.ask("127.0.0.1:1", 1024).await;
        let reason = loop {
            match client.frame().await {
                Frame::Refused { id, reason } if id == asked => break reason,
                Frame::Dropped { .. } | Frame::Credit { .. } | Frame::Pong(_) => {}
                other => panic!("{other:?}"),
            }
        };
        if reason.code() == Code::LIMIT_EXCEEDED {
            names(&reason, "dials_per_second");
            break;
        }
    }
}

/// What is open goes on by new limits at once, however long it would have waited by the old ones.
#[tokio::test]
async fn a_higher_limit_reaches_what_is_open() {
    let text = |limits: &str| {
        let text = format!(
            "listen = ['127.0.0.1:0']\norigins = ['{ORIGIN}']\n[bearer_limits]\n{limits}\n\
             [[token]]\nname = 'tests'\nsigning_key = '{KEY}'\nallow = ['127.0.0.0/8:1024-65535']\n"
        );
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("relayd.toml");
        std::fs::write(&path, text).expect("written");
        Config::load(&path).expect("valid")
    };
    let old = text("bytes_per_second = 1\nbytes_per_day = 500_000");
    let (relay, reloader) = TestRelay::start_reloadable(old).await;
    let data = pattern(400 * KIB);
    let source = source(data.clone()).await;
    let mut client = bearer(&relay, "ada").await;
    let (id, mut credit) = client.connect(&source, 1024 * KIB as u32).await;
    let mut received = Vec::new();
    while received.len() < 64 * KIB {
        match client.frame().await {
            Frame::Data { data, .. } => received.extend_from_slice(&data),
            other => panic!("{other:?}"),
        }
    }
    let new = text("bytes_per_second = 100_000_000\npackets_per_second = 7");
    reloader.reload(&new).await.expect("valid");
    let (rest, cut) = client.read_to_end(id, &mut credit).await;
    received.extend(rest);
    assert!(cut.is_none() && received == data, "all of it, in order");
    // A limit of the day, too: what was carried under the first one counts.
    let (id, _) = client.connect(&echo().await, 1024).await;
    reloader
        .reload(&text("bytes_per_day = 60_000"))
        .await
        .expect("valid");
    let cut = loop {
        send(&mut client, id, b"x").await;
        match client.frame().await {
            Frame::Data { .. } | Frame::Credit { .. } => {}
            Frame::Reset { reason, .. } => break reason,
            other => panic!("{other:?}"),
        }
    };
    names(&cut, "bytes_per_day (60000)");
}

/// What a client has sent and ended is delivered when it is gone, at its rate.
#[tokio::test]
async fn what_drains_keeps_to_the_rate_and_is_whole() {
    const RATE: usize = 128 * KIB;
    let relay = TestRelay::start(paced(RATE)).await;
    let data = pattern(300 * KIB);
    let (sink, sunk) = sink().await;
    let mut client = bearer(&relay, "ada").await;
    let begin = Instant::now();
    let (id, _) = client.connect(&sink, 1024).await;
    send(&mut client, id, &data).await;
    client.send(&Frame::Fin { id }).await;
    client.socket.close().await.expect("open");
    let received = within(sunk).await.expect("it ends").expect("in order");
    assert!(received == data, "all of it, in order");
    let time = begin.elapsed();
    assert!(time >= least(300 * KIB, RATE), "{time:?}");
}
