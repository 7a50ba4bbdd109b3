//! The conformance suite for relays, against this one, and against what breaks its rules.

mod common;

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use jackfield_relay_wire::{Code, Frame, Reason};
use jackfield_relayd::conformance::{Suite, Verdict, cases};
use jackfield_relayd::token::{Claims, Credential, Secret, SigningKey};
use jackfield_relayd::{Config, TlsFiles, Token};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_websockets::{ClientBuilder, CloseCode, Limits, Message, ServerBuilder};

use common::{ORIGIN, SECRET, TestRelay, config, token};

fn suite(scheme: &str, address: SocketAddr) -> Suite {
    let mut suite = Suite::new(&format!("{scheme}://localhost:{}/", address.port()))
        .expect("a relay's address");
    suite.token = Some(signed());
    suite.origin = Some(ORIGIN.into());
    suite
}

/// A token that ends, and says whose it is: so another can follow it.
fn signed() -> String {
    let mut claims = Claims::new(SystemTime::now() + Duration::from_secs(1000));
    claims.subject = Some("suite".into());
    let key = SigningKey::hs256(&key()).expect("long enough");
    key.mint(&claims).expect("short")
}

fn key() -> Secret {
    Secret::new("the-signing-key-of-all-these-tests").expect("long enough")
}

fn keyed() -> Token {
    let mut token = token();
    token.credential = Credential::Key(key());
    token
}

fn relay() -> Config {
    let mut config = config(keyed());
    config.hosts = vec!["localhost".parse().expect("a host")];
    config
}

#[tokio::test]
async fn this_relay_passes() {
    let relay = TestRelay::start(relay()).await;
    let report = suite("ws", relay.address).run_all().await;
    assert!(report.passed(), "{report}");
    let skipped = |(_, verdict): &(_, &Verdict)| matches!(verdict, Verdict::Skipped(_));
    assert_eq!(report.verdicts().filter(skipped).count(), 0, "{report}");
    assert_eq!(report.verdicts().count(), cases().count());
}

#[tokio::test]
async fn over_tls_too() {
    let made = rcgen::generate_simple_self_signed(["localhost".into()]).expect("a certificate");
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name| folder.path().join(name);
    let files = TlsFiles::new(file("relay.crt"), file("relay.key"));
    std::fs::write(&files.certificate, made.cert.pem()).expect("written");
    std::fs::write(&files.key, made.signing_key.serialize_pem()).expect("written");
    let mut config = relay();
    config.tls = Some(files.clone().into());
    let relay = TestRelay::start(config).await;
    let suite = suite("wss", relay.address).with_roots(&files.certificate);
    let report = suite.expect("its root").run_all().await;
    assert!(report.passed(), "{report}");
}

/// What isn't granted is skipped, and said to be.
#[tokio::test]
async fn what_is_not_granted_is_skipped() {
    let mut token = token();
    token.policy.listen.clear();
    token.policy.allow.truncate(1);
    let mut config = relay();
    config.tokens = vec![token];
    let relay = TestRelay::start(config).await;
    let mut suite = suite("ws", relay.address);
    suite.token = Some(SECRET.into());
    let report = suite.run_all().await;
    assert!(report.passed(), "{report}");
    for (case, verdict) in report.verdicts() {
        let needs = ["listen", "datagrams_go", "a_good_token"];
        let needs = needs.iter().any(|part| case.name().contains(part));
        let skipped = matches!(verdict, Verdict::Skipped(_));
        assert!(skipped || !needs, "{}: {verdict:?}", case.name());
    }
}

/// What a proxy between does to a relay's good conduct: to a message to the client, or to the relay.
type Spoil = fn(Frame) -> Frame;
/// The same with the text of the handshake: what is put in the place of what.
type Rewrite = (&'static str, &'static str);

const AS_IT_IS: Spoil = |frame| frame;
const NOTHING: Rewrite = ("\0", "\0");

/// Each broken rule is noticed, by the case that is about it.
#[tokio::test]
async fn each_broken_rule_is_noticed() {
    let relay = TestRelay::start(relay()).await;
    let faults: &[(&str, Rewrite, Spoil, Spoil)] = &[
        (
            "the_protocol_is_selected",
            ("Protocol: jackfield.v1\r", "Protocol: jackfield.v2\r"),
            AS_IT_IS,
            AS_IT_IS,
        ),
        (
            "the_accept_key_is_right",
            ("s3pPLMB", "s3pPLMC"),
            AS_IT_IS,
            AS_IT_IS,
        ),
        (
            "a_wrong_path_is_told",
            ("/no-relay-is-here", "/"),
            AS_IT_IS,
            AS_IT_IS,
        ),
        (
            "a_missing_token_is_told",
            NOTHING,
            refused_for_another_reason,
            AS_IT_IS,
        ),
        (
            "an_unknown_type_is_an_error",
            NOTHING,
            refused_for_another_reason,
            AS_IT_IS,
        ),
        (
            "an_extension_is_ignored",
            NOTHING,
            AS_IT_IS,
            |frame| match frame {
                Frame::Extension { .. } => Frame::Ping([0; 8]),
                other => other,
            },
        ),
        (
            "a_ping_is_answered",
            NOTHING,
            |frame| match frame {
                Frame::Pong(_) => Frame::Pong([7; 8]),
                other => other,
            },
            AS_IT_IS,
        ),
        (
            "a_good_token_is_taken",
            NOTHING,
            |frame| match frame {
                Frame::TokenLeft(left) => Frame::TokenLeft(left * 2),
                other => other,
            },
            AS_IT_IS,
        ),
        (
            "a_bad_token_changes_nothing",
            NOTHING,
            |frame| match frame {
                Frame::TokenRefused(reason) => Frame::GoAway(reason),
                other => other,
            },
            AS_IT_IS,
        ),
        (
            "a_token_that_can_be_none_is_an_error",
            NOTHING,
            refused_for_another_reason,
            AS_IT_IS,
        ),
        (
            "a_second_hello_is_an_error",
            NOTHING,
            refused_for_another_reason,
            AS_IT_IS,
        ),
        (
            "a_connection_is_opened",
            NOTHING,
            |frame| match frame {
                Frame::Opened {
                    id, credit, local, ..
                } => Frame::Opened {
                    id,
                    credit,
                    local,
                    remote: None,
                },
                other => other,
            },
            AS_IT_IS,
        ),
        (
            "a_closed_port_is_refused",
            NOTHING,
            |frame| match frame {
                Frame::Refused { id, .. } => Frame::Refused {
                    id,
                    reason: Reason::new(Code::FAILED, ""),
                },
                other => other,
            },
            AS_IT_IS,
        ),
        (
            "bytes_go_both_ways",
            NOTHING,
            |frame| match frame {
                Frame::Data { id, data } => Frame::Data {
                    id,
                    data: data.iter().rev().copied().collect(),
                },
                other => other,
            },
            AS_IT_IS,
        ),
        ("no_data_without_credit", NOTHING, AS_IT_IS, more_credit),
        ("no_datagram_without_credit", NOTHING, AS_IT_IS, more_credit),
        (
            "connections_wait_for_credit",
            NOTHING,
            AS_IT_IS,
            more_credit,
        ),
        (
            "inbound_streams_have_their_credit",
            NOTHING,
            AS_IT_IS,
            more_credit,
        ),
        (
            "a_targets_end_is_fin",
            NOTHING,
            |frame| match frame {
                Frame::Fin { id } => Frame::Reset {
                    id,
                    reason: Reason::new(Code::RESET, ""),
                },
                other => other,
            },
            AS_IT_IS,
        ),
        (
            "an_end_takes_no_credit",
            NOTHING,
            |frame| match frame {
                Frame::Fin { id } => Frame::Reset {
                    id,
                    reason: Reason::new(Code::RESET, ""),
                },
                other => other,
            },
            AS_IT_IS,
        ),
        (
            "a_targets_cut_is_reset",
            NOTHING,
            |frame| match frame {
                Frame::Reset { id, .. } => Frame::Fin { id },
                other => other,
            },
            AS_IT_IS,
        ),
        ("a_reset_cuts_the_target", NOTHING, AS_IT_IS, reset_is_fin),
        (
            "fin_ends_one_direction",
            NOTHING,
            AS_IT_IS,
            |frame| match frame {
                Frame::Fin { id } => Frame::Reset {
                    id,
                    reason: Reason::new(Code::CLOSED, ""),
                },
                other => other,
            },
        ),
        (
            "datagrams_go_both_ways",
            NOTHING,
            |frame| match frame {
                Frame::Datagram { id, peer, data, .. } => Frame::Datagram {
                    id,
                    peer,
                    truncated: true,
                    data,
                },
                other => other,
            },
            AS_IT_IS,
        ),
    ];
    for (name, rewrite, to_client, to_relay) in faults {
        let address = spoiling(relay.address, *rewrite, *to_client, *to_relay).await;
        let mut suite = suite("ws", address);
        // What the relay should say never comes: a fault is a fault however long one waits for it.
        suite.deadline = Duration::from_secs(3);
        let case = cases().find(|case| case.name() == *name).expect(name);
        let report = suite.run_these([case]).await;
        assert_eq!(report.failed().collect::<Vec<_>>(), [*name], "{report}");
    }
}

fn refused_for_another_reason(frame: Frame) -> Frame {
    match frame {
        Frame::GoAway(_) => Frame::GoAway(Reason::new(Code::FAILED, "")),
        other => other,
    }
}

fn more_credit(frame: Frame) -> Frame {
    match frame {
        Frame::Connect {
            id, to, options, ..
        } => Frame::Connect {
            id,
            credit: 9999,
            to,
            options,
        },
        Frame::Listen {
            id, at, options, ..
        } => Frame::Listen {
            id,
            credit: 9,
            stream_credit: 9999,
            at,
            options,
        },
        Frame::Udp {
            id,
            target,
            options,
            ..
        } => Frame::Udp {
            id,
            credit: 999_999,
            target,
            options,
        },
        other => other,
    }
}

fn reset_is_fin(frame: Frame) -> Frame {
    match frame {
        Frame::Reset { id, .. } => Frame::Fin { id },
        other => other,
    }
}

/// A proxy before a relay, which spoils what it carries; where.
async fn spoiling(
    relay: SocketAddr,
    rewrite: Rewrite,
    to_client: Spoil,
    to_relay: Spoil,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(spoil(client, relay, rewrite, to_client, to_relay));
        }
    });
    address
}

async fn spoil(
    mut client: TcpStream,
    relay: SocketAddr,
    (what, with): Rewrite,
    to_client: Spoil,
    to_relay: Spoil,
) -> Option<()> {
    let mut server = TcpStream::connect(relay).await.ok()?;
    let request = head(&mut client).await?.replace(what, with);
    server.write_all(request.as_bytes()).await.ok()?;
    let answer = head(&mut server).await?.replace(what, with);
    client.write_all(answer.as_bytes()).await.ok()?;
    let mut client = ServerBuilder::new()
        .limits(Limits::unlimited())
        .serve(client);
    let mut server = ClientBuilder::new()
        .limits(Limits::unlimited())
        .take_over(server);
    loop {
        tokio::select! {
            message = client.next() => {
                server.send(spoilt(message?.ok()?, to_relay)).await.ok()?;
            }
            message = server.next() => {
                let Some(Ok(message)) = message else {
                    client.send(Message::close(Some(CloseCode::NORMAL_CLOSURE), "")).await.ok()?;
                    return Some(());
                };
                client.send(spoilt(message, to_client)).await.ok()?;
            }
        }
    }
}

/// A message that is a frame, spoilt; another one as it is.
fn spoilt(message: Message, spoil: Spoil) -> Message {
    if !message.is_binary() {
        return message;
    }
    let bytes: Bytes = message.into_payload().into();
    match Frame::decode(bytes.clone()) {
        Ok(frame) => Message::binary(spoil(frame).encode()),
        Err(_) => Message::binary(bytes),
    }
}

async fn head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    String::from_utf8(head).ok()
}
