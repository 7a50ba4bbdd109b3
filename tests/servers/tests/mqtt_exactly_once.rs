//! QoS 2 means exactly once, and in order: with a connection that is cut at every packet, at random
//! bytes, and with the process killed in between.
//!
//! On the other side of mosquitto is a client of another hand, whose connection nobody cuts.

use std::collections::VecDeque;
use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use jackfield_mqtt::client::Publication;
use jackfield_mqtt::codec::{PublishReason, QoS, SubscribeOptions, Version};
use jackfield_mqtt::core::{Message, SubscribeRequest};
use jackfield_native::Native;
use jackfield_server_tests::mqtt::second::{self, Second};
use jackfield_server_tests::mqtt::{Device, FROM, TO, UNDER_WAY, at, config};
use jackfield_server_tests::{LONG, NAMES};
use jackfield_testing::certs::Authority;
use jackfield_testing::mosquitto::{Mosquitto, Settings};
use jackfield_testing::process::Process;
use jackfield_testing::proxy::{After, Cut, Proxy, Way};
use tokio::sync::watch;
use tokio::time::timeout;

/// How many messages each way in the long runs.
const MANY: u64 = 10_000;
/// How long a long run may take. Far more than it does.
const LONG_RUN: Duration = Duration::from_mins(2);

async fn mosquitto() -> Mosquitto {
    let settings = Settings {
        extra: vec![format!("max_inflight_messages {UNDER_WAY}")],
        ..Settings::default()
    };
    let certificate = Authority::new().server(&NAMES);
    let server = Mosquitto::start(&certificate, &settings).await;
    server.expect("the broker")
}

fn number(payload: &[u8]) -> u64 {
    let text = std::str::from_utf8(payload).expect("a number");
    text.parse().expect("a number")
}

fn numbered(number: u64) -> Message {
    let topic = FROM.parse().expect("a topic");
    Message::new(topic, number.to_string()).qos(QoS::ExactlyOnce)
}

async fn subscribe(device: &Device) {
    let filter = TO.parse().expect("a filter");
    let subscribe = SubscribeRequest::new(filter, SubscribeOptions::default());
    let subscribed = device.client.subscribe(subscribe).await;
    assert!(!subscribed.expect("subscribed").reasons[0].is_error());
}

/// A few messages each way over a connection that is cut after its first packet, its second, and so
/// on, until it carries all of them; in both directions.
async fn at_every_packet(version: Version) {
    const FEW: u64 = 3;
    let server = mosquitto().await;
    let mut second = Second::v5(server.plain(), "second").await;
    second.subscribe(FROM, second::QoS::ExactlyOnce).await;
    for way in [Way::ToServer, Way::ToClient] {
        let mut packets = 1;
        loop {
            let proxy = Proxy::start(server.plain()).await.expect("a proxy");
            proxy.cut_by(move |connection| {
                let after = After::Packets(packets);
                (connection == 0).then_some(Cut { way, after })
            });
            let mut config = config(&format!("{way:?}-{packets}"), version);
            config.connect.session_expiry = Some(60);
            let mut device = Device::start(Native, &at(proxy.address()), config);
            subscribe(&device).await;
            let mut publications = Vec::new();
            for number in 0..FEW {
                let queued = device.client.enqueue(numbered(number)).await;
                publications.push(queued.expect("queued"));
                let text = number.to_string();
                second.send(TO, second::QoS::ExactlyOnce, false, text).await;
            }
            for publication in publications {
                let taken = timeout(LONG, publication).await.expect("in time");
                assert_eq!(taken.expect("taken").reason, PublishReason::Success);
            }
            for expected in 0..FEW {
                assert_eq!(number(&device.message().await.message.payload), expected);
                assert_eq!(number(&second.message().await.payload), expected);
                second.taken().await;
            }
            // What comes twice comes before this.
            let last = format!("{FEW}");
            second
                .publish(TO, second::QoS::ExactlyOnce, false, last)
                .await;
            assert_eq!(number(&device.message().await.message.payload), FEW);
            device.client.publish(numbered(FEW)).await.expect("taken");
            assert_eq!(number(&second.message().await.payload), FEW);
            device.quit().await;
            if proxy.cuts() == 0 {
                break;
            }
            packets += 1;
        }
        // CONNECT, SUBSCRIBE, and two packets a message and direction.
        assert!(packets > 2 + 4 * FEW, "{way:?}: only {packets}");
    }
}

/// Cuts every connection somewhere: in the middle of a packet, as a rule.
///
/// Not before the broker has sent again what it had under way: where mosquitto 2.0 is interrupted
/// twice while it repeats PUBREL, it sends the PUBLISH again, which MQTT forbids (4.3.3), and which
/// no client can tell from a new message.
fn cut_anywhere(proxy: &Proxy, seed: u64) {
    const BYTES: u64 = 4000;
    const REPEATED: u64 = UNDER_WAY as u64 * 32;
    let mut random = fastrand::Rng::with_seed(seed);
    proxy.cut_by(move |_| {
        let bytes = random.u64(1..BYTES);
        let (way, bytes) = if random.bool() {
            (Way::ToServer, bytes)
        } else {
            (Way::ToClient, REPEATED + bytes)
        };
        let after = After::Bytes(bytes);
        Some(Cut { way, after })
    });
}

/// Sends numbers to the device, and stays only so far ahead of what it has got.
async fn feed(broker: SocketAddr, mut got: watch::Receiver<u64>) {
    let source = Second::v5(broker, "source").await;
    for number in 0..MANY {
        let near = |got: &u64| number < got + UNDER_WAY as u64;
        got.wait_for(near).await.expect("it is told");
        let text = number.to_string();
        source.send(TO, second::QoS::ExactlyOnce, false, text).await;
    }
    // Dropped, it would take what it has not sent yet with it.
    std::future::pending::<()>().await;
}

/// One of those who get what the device sends.
async fn sink(broker: SocketAddr) -> Second {
    let mut sink = Second::v5(broker, "sink").await;
    sink.subscribe(FROM, second::QoS::ExactlyOnce).await;
    sink
}

async fn expect(sink: &mut Second, expected: u64) {
    assert_eq!(number(&sink.message().await.payload), expected);
}

#[tokio::test]
async fn cut_at_random_bytes() {
    const SEED: u64 = 0x4a46;
    let server = mosquitto().await;
    let proxy = Proxy::start(server.plain()).await.expect("a proxy");
    cut_anywhere(&proxy, SEED);
    let mut sink = sink(server.plain()).await;
    let to = at(proxy.address());
    let mut device = Device::start(Native, &to, config("device", Version::V5));
    subscribe(&device).await;

    let (tell, got) = watch::channel(0);
    let client = device.client.clone();
    let publishing = async move {
        let mut under_way: VecDeque<Publication> = VecDeque::new();
        for number in 0..=MANY {
            if under_way.len() == UNDER_WAY
                && let Some(oldest) = under_way.pop_front()
            {
                oldest.await.expect("taken");
            }
            let queued = client.enqueue(numbered(number)).await;
            under_way.push_back(queued.expect("queued"));
        }
        for publication in under_way {
            publication.await.expect("taken");
        }
    };
    let receiving = async {
        for expected in 0..MANY {
            assert_eq!(number(&device.message().await.message.payload), expected);
            tell.send_replace(expected + 1);
        }
    };
    let arriving = async {
        for expected in 0..=MANY {
            expect(&mut sink, expected).await;
        }
    };
    let all = async {
        tokio::select! {
            _ = async { tokio::join!(publishing, receiving, arriving) } => {}
            () = feed(server.plain(), got) => {}
        }
    };
    timeout(LONG_RUN, all).await.expect("in time");
    assert!(proxy.cuts() > 100, "only {} cuts", proxy.cuts());
}

#[tokio::test]
async fn killed_and_cut_at_random() {
    const SEED: u64 = 0x4f4e;
    /// Each process lives until so many messages of its kind have arrived, at the most.
    const LIFE: u64 = 600;
    let server = mosquitto().await;
    let proxy = Proxy::start(server.plain()).await.expect("a proxy");
    cut_anywhere(&proxy, SEED);
    let mut sink = sink(server.plain()).await;
    let folder = tempfile::tempdir().expect("a folder");
    let start = || start_device(folder.path(), proxy.address());
    let mut process = start().await;

    let (tell, got) = watch::channel(0);
    let mut random = fastrand::Rng::with_seed(SEED);
    let mut killed = 0;
    let arriving = async {
        let mut dies_at = random.u64(1..LIFE);
        // The last one shows that none before it comes twice.
        for expected in 0..=MANY {
            expect(&mut sink, expected).await;
            if expected == dies_at {
                drop(process);
                process = start().await;
                killed += 1;
                dies_at += random.u64(1..LIFE);
            }
        }
        let all = |got: &u64| *got == MANY;
        let mut got = got.clone();
        got.wait_for(all).await.expect("it is told");
    };
    let all = async {
        tokio::select! {
            () = arriving => {}
            () = feed(server.plain(), got.clone()) => {}
            () = follow(folder.path(), tell) => {}
        }
    };
    timeout(LONG_RUN, all).await.expect("in time");
    let received = fs::read_to_string(folder.path().join("received"));
    let received = received.expect("what it received");
    for (expected, line) in received.lines().enumerate() {
        let (_, text) = line.split_once(' ').expect("a serial");
        assert_eq!(number(text.as_bytes()), expected as u64);
    }
    assert_eq!(received.lines().count() as u64, MANY);
    assert!(killed > 20, "killed only {killed} times");
    assert!(proxy.cuts() > 50, "only {} cuts", proxy.cuts());
}

/// Tells how many lines the device has written. A file tells nobody when it grows.
async fn follow(folder: &Path, tell: watch::Sender<u64>) {
    let path = folder.join("received");
    let (mut lines, mut seen) = (0, 0);
    loop {
        let mut bytes = Vec::new();
        if let Ok(mut file) = fs::File::open(&path) {
            file.seek(SeekFrom::Start(seen)).expect("a place");
            file.read_to_end(&mut bytes).expect("what it received");
        }
        seen += bytes.len() as u64;
        // Of a line that is being written there may be a part.
        lines += bytes.split(|byte| *byte == b'\n').count() as u64 - 1;
        tell.send_replace(lines);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Starts the process, and waits until it has subscribed.
async fn start_device(folder: &Path, broker: SocketAddr) -> Process {
    let ready = folder.join("ready");
    let _ = fs::remove_file(&ready);
    let mut device = Command::new(env!("CARGO_BIN_EXE_device"));
    device
        .arg(folder)
        .arg(broker.to_string())
        .arg((MANY + 1).to_string());
    let process = Process::start(device).expect("the device");
    let is_ready = async {
        while !ready.exists() {
            assert!(!process.has_ended(), "{}", process.output());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(LONG, is_ready).await.expect("it gets ready");
    process
}

#[tokio::test]
async fn cut_at_every_packet() {
    at_every_packet(Version::V5).await;
}

#[tokio::test]
async fn cut_at_every_packet_of_mqtt_3() {
    at_every_packet(Version::V311).await;
}
