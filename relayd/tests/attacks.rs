//! Attacks at full speed, with a user beside them who only wants what is theirs.
//!
//! Each goes on for as long as the user takes for their visits: come in, connect, say something and
//! hear it back. How long a visit takes is printed; that each of them succeeds, and that the relay's
//! memory and descriptors have a bound, is what is checked. The relay is the program itself, so that
//! what it takes can be told from what the attackers take.

#![cfg(target_os = "linux")]
#![allow(
    clippy::print_stdout,
    reason = "what was measured, for whoever wants to see it"
)]

mod common;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use common::program::{Program, configuration};
use common::{Client, ORIGIN, SECRET, ask, echo, headers, within};
use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use jackfield_relay_wire::{Code, Frame, Id, Reason, Settings, UdpTarget, datagram_cost};
use jackfield_socket::{TcpOptions, UdpOptions};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_websockets::{ClientBuilder, Message, WebSocketStream};

/// Where attackers come from; the user is somewhere else.
const ATTACKER: [u8; 4] = [127, 6, 6, 6];
const ATTACKERS_SECRET: &str = "a-secret-that-an-attacker-has";
/// How often the user comes, and how long they stay away.
const VISITS: usize = 30;
const BETWEEN: Duration = Duration::from_millis(50);
/// Whoever is held up for so long is hurt. In the faults that these attacks are made of it was 14 s
/// and more, or for good; beside attackers who have the same two cores, a visit takes up to 2 s.
const HURT: Duration = Duration::from_secs(10);
/// The most that the relay may take, in bytes of memory and in descriptors.
const MEMORY: usize = 256 << 20;
const DESCRIPTORS: usize = 1600;

type Attack = fn(SocketAddr, usize) -> Pin<Box<dyn Future<Output = Option<()>> + Send>>;

macro_rules! attacks {
    ($($name:ident: $attackers:literal,)*) => {
        &[$((stringify!($name), $attackers, |relay, number| Box::pin($name(relay, number)))),*]
    };
}

/// What is done, and by how many at a time; each does it again and again.
const ATTACKS: &[(&str, usize, Attack)] = attacks! {
    says_nothing: 1500,
    says_it_slowly: 200,
    knocks_with_a_wrong_token: 8,
    asks_for_what_is_no_http: 8,
    asks_for_what_is_denied: 4,
    opens_and_closes: 4,
    asks_for_names: 4,
    sends_datagrams: 4,
    sends_to_who_never_reads: 4,
    never_reads: 4,
    pings_and_never_reads: 4,
    breaks_the_rules: 8,
    cuts_in_the_middle: 8,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_user_is_served_while_others_attack() {
    let before = "[admission]\nexempt = []\nrequest_penalty_seconds = 0\ntoken_penalty_seconds = 0";
    let after = format!(
        "[[token]]\nname = 'attacker'\nsecret = '{ATTACKERS_SECRET}'\n\
         allow = ['127.0.0.0/8:1024-65535', '127.0.0.0/8:*/udp', '*:*']\ndeny = ['10.0.0.0/8:*']\n"
    );
    // Without penalties, so that the attackers come again and again.
    let relay = Program::start(&configuration(before, &after)).await;
    let echo = echo().await;
    for (name, attackers, attack) in ATTACKS {
        let mut attacking = JoinSet::new();
        for number in 0..*attackers {
            let (attack, at) = (*attack, relay.address);
            attacking.spawn(async move {
                loop {
                    // However it ends for them, they begin again.
                    let _ = attack(at, number).await;
                    tokio::task::yield_now().await;
                }
            });
        }
        let mut taken = Vec::with_capacity(VISITS);
        let mut turned_away = 0;
        let (mut memory, mut descriptors) = (0, 0);
        for _ in 0..VISITS {
            let begun = Instant::now();
            // Where everything is full, a new connection is closed by chance: one tries again.
            while !within(visits(relay.address, &echo)).await {
                turned_away += 1;
                let waited = begun.elapsed();
                assert!(waited < HURT, "{name}: the user is kept out for {waited:?}");
            }
            taken.push(begun.elapsed());
            memory = memory.max(resident(&relay));
            descriptors = descriptors.max(open_files(&relay));
            sleep(BETWEEN).await;
        }
        attacking.shutdown().await;
        taken.sort();
        let (median, longest) = (taken[VISITS / 2], taken[VISITS - 1]);
        println!(
            "{name}: a visit takes {median:.1?}, {longest:.1?} at most, turned away {turned_away} times; \
             the relay has {} MB and {descriptors} files",
            memory >> 20
        );
        assert!(longest < HURT, "{name}: a visit took {longest:?}");
        assert!(memory < MEMORY, "{name}: the relay has {memory} bytes");
        assert!(
            descriptors < DESCRIPTORS,
            "{name}: the relay has {descriptors} files"
        );
    }
    // Nothing is left of them.
    within(async {
        while open_files(&relay) > 64 {
            sleep(BETWEEN).await;
        }
    })
    .await;
}

/// Comes in, connects, says something and hears it back; false where the door was closed by chance.
async fn visits(relay: SocketAddr, echo: &str) -> bool {
    let Ok(stream) = TcpStream::connect(relay).await else {
        return false;
    };
    let (stream, answer) = shake_hands(stream, relay, SECRET).await;
    if !answer.starts_with("HTTP/1.1 101") {
        return false;
    }
    let mut client = Client::over(stream).await;
    let hello = client.frame().await;
    assert!(matches!(hello, Frame::Hello(_)), "{hello:?}");
    let (id, _) = client.connect(echo, 1024).await;
    let data = Bytes::from_static(b"is anybody there?");
    client
        .send(&Frame::Data {
            id,
            data: data.clone(),
        })
        .await;
    loop {
        match client.frame().await {
            Frame::Data { data: back, .. } => break assert_eq!(back, data),
            Frame::Credit { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    true
}

async fn shake_hands(stream: TcpStream, relay: SocketAddr, token: &str) -> (TcpStream, String) {
    let headers = headers(&relay.to_string(), Some(ORIGIN), Some(token));
    ask(stream, "GET / HTTP/1.1", &headers).await
}

/// What the relay has resident, in bytes.
fn resident(relay: &Program) -> usize {
    let status = std::fs::read_to_string(proc(relay).join("status")).expect("it runs");
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1));
    kib.and_then(|kib| kib.parse::<usize>().ok())
        .expect("a number")
        << 10
}

fn open_files(relay: &Program) -> usize {
    let files = std::fs::read_dir(proc(relay).join("fd"));
    files.expect("it runs").count()
}

fn proc(relay: &Program) -> PathBuf {
    format!("/proc/{}", relay.process.id()).into()
}

/// A connection of an attacker's. The relay may close it at any time, and what it is used for ends then.
async fn connect(relay: SocketAddr) -> Option<TcpStream> {
    let socket = TcpSocket::new_v4().ok()?;
    socket.bind((ATTACKER, 0).into()).ok()?;
    let connected = socket.connect(relay).await;
    if connected.is_err() {
        // The system has no ports left for it.
        sleep(BETWEEN).await;
    }
    connected.ok()
}

/// An attacker who has a token, and came in. Nothing that goes wrong for them is a fault.
struct Attacker {
    socket: WebSocketStream<TcpStream>,
    next: u32,
}

impl Attacker {
    async fn come_in(relay: SocketAddr) -> Option<Self> {
        let stream = connect(relay).await?;
        let (stream, answer) = shake_hands(stream, relay, ATTACKERS_SECRET).await;
        if !answer.starts_with("HTTP/1.1 101") {
            return None;
        }
        let socket = ClientBuilder::new().take_over(stream);
        let mut attacker = Self { socket, next: 1 };
        attacker.send(&Frame::Hello(Settings::default())).await?;
        matches!(attacker.frame().await?, Frame::Hello(_)).then_some(attacker)
    }

    async fn send(&mut self, frame: &Frame) -> Option<()> {
        self.socket.send(Message::binary(frame.encode())).await.ok()
    }

    async fn frame(&mut self) -> Option<Frame> {
        let message = self.socket.next().await?.ok()?;
        Frame::decode(message.into_payload().into()).ok()
    }

    /// What has come is thrown away.
    fn skim(&mut self) {
        while let Some(Some(_)) = self.socket.next().now_or_never() {}
    }

    fn new_id(&mut self) -> Option<Id> {
        self.next += 2;
        Id::new(self.next)
    }

    async fn ask(&mut self, to: &str, credit: u32) -> Option<Id> {
        let id = self.new_id()?;
        let (to, options) = (to.parse().ok()?, TcpOptions::default());
        self.send(&Frame::Connect {
            id,
            credit,
            to,
            options,
        })
        .await?;
        Some(id)
    }
}

async fn wait_for_the_end(mut stream: TcpStream) {
    let mut buffer = [0; 1024];
    while stream.read(&mut buffer).await.is_ok_and(|count| count > 0) {}
}

async fn says_nothing(relay: SocketAddr, _: usize) -> Option<()> {
    wait_for_the_end(connect(relay).await?).await;
    sleep(BETWEEN).await;
    Some(())
}

async fn says_it_slowly(relay: SocketAddr, _: usize) -> Option<()> {
    let mut stream = connect(relay).await?;
    let begin = "GET / HTTP/1.1\r\nHost: a\r\nX-Y: ".bytes();
    for byte in begin.chain(std::iter::repeat(b'z')) {
        stream.write_u8(byte).await.ok()?;
        sleep(BETWEEN).await;
    }
    None
}

async fn knocks_with_a_wrong_token(relay: SocketAddr, _: usize) -> Option<()> {
    let stream = connect(relay).await?;
    let (stream, _) = shake_hands(stream, relay, "not-that-secret-but-another").await;
    wait_for_the_end(stream).await;
    Some(())
}

async fn asks_for_what_is_no_http(relay: SocketAddr, _: usize) -> Option<()> {
    let mut stream = connect(relay).await?;
    stream.write_all(&[0x16; 4096]).await.ok()?;
    wait_for_the_end(stream).await;
    Some(())
}

/// Asks without waiting for answers, which are read all the same.
async fn asks_for(relay: SocketAddr, to: &str) -> Option<()> {
    let mut client = Attacker::come_in(relay).await?;
    loop {
        for _ in 0..64 {
            client.ask(to, 1024).await?;
        }
        for _ in 0..64 {
            client.frame().await?;
        }
    }
}

async fn asks_for_what_is_denied(relay: SocketAddr, _: usize) -> Option<()> {
    asks_for(relay, "10.0.0.1:80").await
}

async fn asks_for_names(relay: SocketAddr, number: usize) -> Option<()> {
    asks_for(relay, &format!("no-such-name-{number}.invalid:80")).await
}

async fn opens_and_closes(relay: SocketAddr, _: usize) -> Option<()> {
    let target = echo().await;
    let mut client = Attacker::come_in(relay).await?;
    loop {
        let id = client.ask(&target, 1024).await?;
        let reason = Reason::new(Code::CANCELLED, "");
        client.send(&Frame::Reset { id, reason }).await?;
        client.skim();
    }
}

async fn sends_datagrams(relay: SocketAddr, _: usize) -> Option<()> {
    let sink = UdpSocket::bind("127.0.0.1:0").await.ok()?;
    let mut client = Attacker::come_in(relay).await?;
    let id = client.new_id()?;
    let to = sink.local_addr().ok()?.into();
    client
        .send(&Frame::Udp {
            id,
            credit: 100_000,
            target: UdpTarget::Connected(to),
            options: UdpOptions::default(),
        })
        .await?;
    let Frame::Opened { mut credit, .. } = client.frame().await? else {
        return None;
    };
    let data = Bytes::from_static(&[7; 64]);
    let datagram = Frame::Datagram {
        id,
        peer: None,
        truncated: false,
        data,
    };
    loop {
        while credit >= datagram_cost(64) {
            credit -= datagram_cost(64);
            client.send(&datagram).await?;
        }
        if let Frame::Credit { more, .. } = client.frame().await? {
            credit += more;
        }
    }
}

async fn sends_to_who_never_reads(relay: SocketAddr, _: usize) -> Option<()> {
    let deaf = TcpListener::bind("127.0.0.1:0").await.ok()?;
    let target = deaf.local_addr().ok()?.to_string();
    let mut client = Attacker::come_in(relay).await?;
    for _ in 0..32 {
        let id = client.ask(&target, 1024).await?;
        let Frame::Opened { credit, .. } = client.frame().await? else {
            return None;
        };
        for _ in 0..credit / 65_536 {
            let data = vec![7; 65_536].into();
            client.send(&Frame::Data { id, data }).await?;
        }
        client.send(&Frame::Fin { id }).await?;
    }
    // And goes, so that all of it is to be delivered.
    Some(())
}

async fn never_reads(relay: SocketAddr, _: usize) -> Option<()> {
    let flood = TcpListener::bind("127.0.0.1:0").await.ok()?;
    let target = flood.local_addr().ok()?.to_string();
    let mut client = Attacker::come_in(relay).await?;
    let mut writing = JoinSet::new();
    for _ in 0..16 {
        client.ask(&target, u32::MAX).await?;
        let (mut stream, _) = flood.accept().await.ok()?;
        writing.spawn(async move { while stream.write_all(&[7; 8192]).await.is_ok() {} });
    }
    writing.join_next().await?.ok()
}

async fn pings_and_never_reads(relay: SocketAddr, _: usize) -> Option<()> {
    let mut client = Attacker::come_in(relay).await?;
    loop {
        client.send(&Frame::Ping([7; 8])).await?;
    }
}

async fn breaks_the_rules(relay: SocketAddr, _: usize) -> Option<()> {
    let mut client = Attacker::come_in(relay).await?;
    client.send(&Frame::Hello(Settings::default())).await?;
    while client.frame().await.is_some() {}
    Some(())
}

async fn cuts_in_the_middle(relay: SocketAddr, _: usize) -> Option<()> {
    let target = echo().await;
    let mut client = Attacker::come_in(relay).await?;
    for _ in 0..16 {
        client.ask(&target, 1024).await?;
    }
    Some(())
}
