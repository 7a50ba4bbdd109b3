//! Look-ups: whose names never resolve keeps nobody else waiting. Against a DNS server of the tests' own.

mod common;

use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::Duration;

use common::{Client, ORIGIN, SECRET, TestRelay, config, token, within};
use jackfield_relay_wire::{Code, Frame, Reason};
use jackfield_relayd::Token;
use jackfield_relayd::resolve::DnsResolver;
use jackfield_relayd::token::{Credential, Secret};
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::mpsc;

const OTHER_SECRET: &str = "the-secret-of-somebody-else";

/// Answers `good.example` with 127.0.0.1, names below `gone.example` with that there are none, and others
/// never. Tells each name that it is asked for.
async fn name_server() -> (SocketAddr, mpsc::UnboundedReceiver<String>) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
    let address = socket.local_addr().expect("bound");
    let (asked, names) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut buffer = [0; 1500];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            let (name, question, kind) = question(&buffer[..length]);
            let mut flags = [0x81, 0x80];
            let mut record = Vec::new();
            if name == "good.example" && kind == 1 {
                // The question's name, A, IN, 60 s, 4 bytes.
                record.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
            } else if name.ends_with("gone.example") {
                flags[1] |= 3;
            } else if name != "good.example" {
                let _ = asked.send(name);
                continue;
            }
            let mut answer = buffer[..2].to_vec();
            answer.extend(flags);
            answer.extend([0, 1, 0, u8::from(!record.is_empty()), 0, 0, 0, 0]);
            answer.extend(question);
            answer.extend(record);
            let _ = socket.send_to(&answer, from).await;
            let _ = asked.send(name);
        }
    });
    (address, names)
}

/// The name of a message's only question, the question as it came, and the type that it asks for.
fn question(message: &[u8]) -> (String, Vec<u8>, u8) {
    let mut labels = Vec::new();
    let mut at = 12;
    while message[at] != 0 {
        let end = at + 1 + usize::from(message[at]);
        labels.push(String::from_utf8_lossy(&message[at + 1..end]).to_lowercase());
        at = end;
    }
    let whole = message[12..at + 5].to_vec();
    (labels.join("."), whole, message[at + 2])
}

/// A token for every name, if its addresses are on loopback.
fn named(name: &str, secret: &str) -> Token {
    let secret = Secret::new(secret).expect("long enough");
    let mut named = Token::new(name, Credential::Secret(secret));
    named.policy = token().policy;
    let rule = "*.example:*";
    named.policy.allow.push(rule.parse().expect(rule));
    named.limits.dials_per_second = 10_000;
    named
}

/// How many threads this process has, and how many descriptors.
#[cfg(target_os = "linux")]
fn used() -> (usize, usize) {
    let count = |what: &str| std::fs::read_dir(what).expect("there is one").count();
    (count("/proc/self/task"), count("/proc/self/fd"))
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn names_that_hang_delay_nobody_and_leave_nothing() {
    const HANGING: u32 = 500;
    let (server, mut names) = name_server().await;
    let mut slow = named("slow", SECRET);
    (slow.limits.streams, slow.limits.look_ups) = (2 * HANGING, HANGING);
    let mut config = config(slow);
    config.tokens.push(named("quick", OTHER_SECRET));
    config.max_look_ups = 2 * HANGING;
    let resolver = DnsResolver::with_servers(&[server]).expect("it is good");
    let relay = TestRelay::start_with(config, resolver).await;
    let mut slow = relay.client().await;
    let mut quick = Client::open(relay.address, ORIGIN, Some(OTHER_SECRET))
        .await
        .expect("let in");
    let target = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = target.local_addr().expect("bound").port();
    let (threads, descriptors) = used();

    let mut hang = async |slow: &mut Client, round: &str| {
        let mut asked = Vec::new();
        for number in 0..HANGING {
            asked.push(slow.ask(&format!("{round}{number}.example:80"), 64).await);
        }
        let mut seen = HashSet::new();
        while seen.len() < HANGING as usize {
            let name = within(names.recv()).await.expect("it serves");
            if name.starts_with(round) {
                seen.insert(name);
            }
        }
        asked
    };
    let asked = hang(&mut slow, "first").await;
    // They all hang. What another wants comes at once, and none of them has ended before it does.
    quick.connect(&format!("good.example:{port}"), 1024).await;
    let (now, _) = used();
    assert!(now <= threads + 4, "{threads} threads, and now {now}");
    // And one more of them is the first answer that the slow one gets.
    let reason = slow.refused("onemore.example:80").await;
    assert_eq!(reason.code(), Code::LIMIT_EXCEEDED);
    assert!(reason.text().contains("look_ups (500)"), "{reason}");

    for id in asked {
        let reason = Reason::new(Code::CANCELLED, "");
        slow.send(&Frame::Reset { id, reason }).await;
    }
    let freed = async {
        while used().1 > descriptors + 16 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    within(freed).await;
    // There is room for as many others.
    hang(&mut slow, "second").await;
}

#[tokio::test]
async fn the_relay_has_a_bound_for_all_and_says_what_a_name_has_come_to() {
    let (server, mut names) = name_server().await;
    let mut config = config(named("one", SECRET));
    config.tokens.push(named("other", OTHER_SECRET));
    config.max_look_ups = 2;
    let resolver = DnsResolver::with_servers(&[server]).expect("it is good");
    let relay = TestRelay::start_with(config, resolver).await;
    let mut one = relay.client().await;
    let mut other = Client::open(relay.address, ORIGIN, Some(OTHER_SECRET))
        .await
        .expect("let in");
    let reason = other.refused("gone.example:80").await;
    assert_eq!(reason.code(), Code::HOST_NOT_FOUND);
    for name in ["a.example", "b.example"] {
        one.ask(&format!("{name}:80"), 64).await;
        while within(names.recv()).await.expect("it serves") != name {}
    }
    let reason = other.refused("good.example:80").await;
    assert_eq!(reason.code(), Code::LIMIT_EXCEEDED);
    assert!(reason.text().contains("max_look_ups (2)"), "{reason}");
}
