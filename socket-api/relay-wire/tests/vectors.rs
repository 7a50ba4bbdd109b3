//! The wire against `tests/vectors/relay`: each file is one frame in hexadecimal, field by field,
//! with comments; what begins with `bad-` is not a frame, and says why.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use jackfield_relay_wire::auth::Token;
use jackfield_relay_wire::{Capabilities, Code, Frame, Id, Reason, Settings, UdpTarget};
use jackfield_socket::{
    AddressFamily, Endpoint, ListenOptions, MulticastGroup, MulticastOptions, TcpOptions,
    UdpOptions,
};

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/relay")
}

/// The bytes of a file, and its first line without the `#`.
///
/// A line is groups of hexadecimal digits between single blanks, then a comment after two blanks.
fn read(name: &str) -> (Bytes, String) {
    let text = std::fs::read_to_string(directory().join(format!("{name}.txt"))).expect(name);
    let mut bytes = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let digits = line.split("  ").next().unwrap_or_default().replace(' ', "");
        assert!(digits.len().is_multiple_of(2), "{name}: {line:?}");
        for pair in digits.as_bytes().chunks(2) {
            let pair = std::str::from_utf8(pair).expect("ASCII");
            bytes.push(u8::from_str_radix(pair, 16).expect(line));
        }
    }
    let title = text.lines().next().unwrap_or_default();
    (bytes.into(), title.trim_start_matches("# ").to_owned())
}

/// All vectors of this sort.
fn names(bad: bool) -> BTreeSet<String> {
    std::fs::read_dir(directory())
        .expect("the vectors are there")
        .map(|entry| entry.expect("an entry").path())
        .map(|path| {
            path.file_stem()
                .expect("a name")
                .to_str()
                .expect("ASCII")
                .to_owned()
        })
        .filter(|name| name.starts_with("bad-") == bad)
        .collect()
}

fn id(number: u32) -> Id {
    Id::new(number).expect("not 0")
}

fn at(text: &str) -> SocketAddr {
    text.parse().expect(text)
}

fn to(text: &str) -> Endpoint {
    text.parse().expect(text)
}

fn bytes(data: &'static [u8]) -> Bytes {
    Bytes::from_static(data)
}

fn connections() -> Vec<(&'static str, Frame)> {
    let mut settings = Settings::default();
    settings.max_open = 272;
    settings.capabilities = Capabilities::CONNECT.and(Capabilities::UDP_CONNECTED);
    let mut renewing = Settings::default();
    renewing.token_left = Some(Duration::from_mins(10));
    vec![
        ("hello", Frame::Hello(settings)),
        (
            "goaway",
            Frame::GoAway(Reason::new(Code::GOING_AWAY, "restarting")),
        ),
        (
            "come-back",
            Frame::ComeBack {
                after: Duration::from_millis(2500),
            },
        ),
        ("hello-token-left", Frame::Hello(renewing)),
        ("token", Frame::Token(Token::new("s3cret").expect("short"))),
        ("token-left", Frame::TokenLeft(Duration::from_mins(5))),
        (
            "token-refused",
            Frame::TokenRefused(Reason::new(Code::TOKEN_EXPIRED, "it is over")),
        ),
        ("ping", Frame::Ping([1, 2, 3, 4, 5, 6, 7, 8])),
        ("pong", Frame::Pong([1, 2, 3, 4, 5, 6, 7, 8])),
        (
            "extension",
            Frame::Extension {
                kind: 0xc1,
                id: 0,
                body: bytes(b"*"),
            },
        ),
    ]
}

fn openings() -> Vec<(&'static str, Frame)> {
    let mut tcp = TcpOptions::default();
    tcp.no_delay = false;
    tcp.family = AddressFamily::V6;
    tcp.keep_alive = Some(Duration::from_mins(1));
    tcp.send_buffer = NonZeroU32::new(65_536);
    tcp.receive_buffer = NonZeroU32::new(131_072);
    let mut listen = ListenOptions::default();
    listen.backlog = NonZeroU32::new(128);
    let mut connected = UdpOptions::default();
    connected.family = AddressFamily::V4;
    let mut one_source = MulticastGroup::new(at("232.1.2.3:0").ip());
    one_source.source = Some(at("198.51.100.7:0").ip());
    let mut multicast = MulticastOptions::default();
    multicast.groups = vec![MulticastGroup::new(at("224.0.0.251:0").ip()), one_source];
    multicast.time_to_live = 255;
    multicast.share_address = true;
    multicast.interface = Some(at("192.168.1.2:0").ip());
    let mut bound = UdpOptions::default();
    bound.multicast = Some(multicast);
    vec![
        (
            "connect-name",
            Frame::Connect {
                id: id(1),
                credit: 1 << 20,
                to: to("irc.example.org:6697"),
                options: TcpOptions::default(),
            },
        ),
        (
            "connect-ipv6",
            Frame::Connect {
                id: id(3),
                credit: 1 << 18,
                to: to("[2001:db8::1]:443"),
                options: tcp,
            },
        ),
        (
            "listen",
            Frame::Listen {
                id: id(5),
                credit: 16,
                stream_credit: 1 << 20,
                at: at("0.0.0.0:8080"),
                options: listen,
            },
        ),
        (
            "udp-connected",
            Frame::Udp {
                id: id(7),
                credit: 1 << 18,
                target: UdpTarget::Connected(to("192.0.2.53:53")),
                options: connected,
            },
        ),
        (
            "udp-multicast",
            Frame::Udp {
                id: id(9),
                credit: 1 << 18,
                target: UdpTarget::Bound(at("0.0.0.0:5353")),
                options: bound,
            },
        ),
        (
            "opened-tcp",
            Frame::Opened {
                id: id(1),
                credit: 1 << 20,
                local: Some(at("192.0.2.1:50000")),
                remote: Some(at("203.0.113.25:6697")),
            },
        ),
        (
            "opened-listener",
            Frame::Opened {
                id: id(5),
                credit: 0,
                local: Some(at("0.0.0.0:8080")),
                remote: None,
            },
        ),
        (
            "refused",
            Frame::Refused {
                id: id(1),
                reason: Reason::new(Code::REFUSED, "nothing listens there: café"),
            },
        ),
        (
            "inbound",
            Frame::Inbound {
                id: id(2),
                listener: id(5),
                credit: 1 << 20,
                local: at("192.0.2.1:8080"),
                remote: at("[2001:db8::42]:54321"),
            },
        ),
    ]
}

fn transfers() -> Vec<(&'static str, Frame)> {
    vec![
        (
            "data",
            Frame::Data {
                id: id(1),
                data: bytes(b"NICK anna\r\n"),
            },
        ),
        (
            "credit",
            Frame::Credit {
                id: id(1),
                more: 1 << 18,
            },
        ),
        ("fin", Frame::Fin { id: id(1) }),
        (
            "reset",
            Frame::Reset {
                id: id(1),
                reason: Reason::new(Code::RESET, ""),
            },
        ),
        (
            "datagram-connected",
            Frame::Datagram {
                id: id(7),
                peer: None,
                truncated: false,
                data: Bytes::new(),
            },
        ),
        (
            "datagram-scoped",
            Frame::Datagram {
                id: id(9),
                peer: Some(at("[fe80::1%3]:5353")),
                truncated: true,
                data: bytes(&[0, 0x84, 0, 0]),
            },
        ),
        (
            "unreachable",
            Frame::Unreachable {
                id: id(7),
                reason: Reason::new(Code::REFUSED, "nobody has that port"),
            },
        ),
        (
            "dropped",
            Frame::Dropped {
                id: id(9),
                total: 7,
            },
        ),
    ]
}

#[test]
fn each_vector_is_read_and_written() {
    let mut left = names(false);
    for (name, frame) in [connections(), openings(), transfers()].concat() {
        let (bytes, _) = read(name);
        assert_eq!(Frame::decode(bytes.clone()).as_ref(), Ok(&frame), "{name}");
        assert_eq!(frame.encode(), bytes, "{name}");
        assert!(left.remove(name), "{name}: twice");
    }
    assert_eq!(left, BTreeSet::new(), "vectors that nothing checks");
}

#[test]
fn each_bad_vector_is_refused_with_its_reason() {
    let names = names(true);
    assert!(!names.is_empty());
    for name in names {
        let (bytes, title) = read(&name);
        let reason = title.strip_prefix("refused: ").expect(&name);
        let error = Frame::decode(bytes).expect_err(&name);
        assert_eq!(error.to_string(), reason, "{name}");
    }
}

#[test]
fn lengths_have_their_limits() {
    let frame = |kind: u8, length: usize| {
        let mut message = vec![kind, 0, 0, 0, 1];
        message.resize(5 + length, 0);
        Frame::decode(message.into())
    };
    frame(0x20, 65_536).expect("as much data as fits");
    frame(0x20, 65_537).expect_err("more data than fits");
    frame(0x24, 2 + 65_507).expect("the largest datagram");
    frame(0x24, 2 + 65_508).expect_err("a larger datagram");
    frame(0x23, 1 + 255).expect("the longest text");
    frame(0x23, 1 + 256).expect_err("a longer text");
    frame(0xc1, 65_536).expect("the largest extension");
    frame(0xc1, 65_537).expect_err("a larger extension");
    let token = |length: usize| {
        let mut message = vec![0x82, 0, 0, 0, 0];
        message.resize(5 + length, b'a');
        Frame::decode(message.into())
    };
    token(4096).expect("the longest token");
    token(4097).expect_err("a longer token");
}
