//! The CoAP client against real servers, over UDP, DTLS, TCP, TLS and WebSockets, and under OSCORE.

use std::cell::RefCell;

use jackfield_coap::RequestError;
use jackfield_coap::client::{CoapWebSockets, SecurityContext};
use jackfield_coap::codec::{BlockSize, Code, ContentFormat, OptionNumber, Scheme};
use jackfield_coap::core::Request;
use jackfield_coap::oscore::Parameters;
use jackfield_dtls::{Dtls, DtlsConfig, Psk};
use jackfield_native::Native;
use jackfield_server_tests::coap::scenario::{Character, Part, Place, play};
use jackfield_server_tests::coap::{Carrier, Device, config};
use jackfield_server_tests::{LONG, NAMES, connector};
use jackfield_testing::aiocoap::{Aiocoap, Oscore};
use jackfield_testing::certs::Authority;
use jackfield_testing::libcoap::{KEY, Libcoap};
use jackfield_testing::node_coap::NodeCoap;
use jackfield_tls::{Tls, TlsConfig};
use tokio::time::timeout;

const LIBCOAP: Character = Character {
    slow: ["/async?1", "done"],
    lacks: &[
        (Part::Echo, "none of its resources takes these methods"),
        (Part::Validation, "it does not look at a request's ETag"),
        (Part::Freshness, "it has no such resource"),
        (Part::Size1, "its resources don't say what they were told"),
        (Part::Observers, "it does not say who observes"),
        (Part::Fading, "it has no such resource"),
    ],
};

const AIOCOAP: Character = Character {
    slow: ["/slow", "at last"],
    lacks: &[
        (Part::Size2, "it never says"),
        (
            Part::CriticalOptions,
            "it leaves them to its resources, which are not told",
        ),
    ],
};

const AIOCOAP_UNDER_OSCORE: Character = Character {
    lacks: &[
        AIOCOAP.lacks[0],
        AIOCOAP.lacks[1],
        (
            Part::NoResponse,
            "it answers, and sends the option back, which it looks for outside of the protection",
        ),
    ],
    ..AIOCOAP
};

const NODE_COAP: Character = Character {
    slow: ["/slow", "at last"],
    lacks: &[
        (Part::CriticalOptions, "it does not look at them"),
        (Part::NoResponse, "it does not know the option"),
        (Part::Filters, "its resources are listed by hand"),
        (
            Part::Uploads,
            "it finds a body's blocks by their token, which RFC 7959 does not keep",
        ),
    ],
};

#[tokio::test]
async fn a_life_with_libcoap() {
    let server = Libcoap::start().await.expect("the server");
    play(&Place {
        carrier: Carrier::udp(Native),
        server: server.plain(),
        config: Box::new(config),
        server_is: &LIBCOAP,
    })
    .await;
}

#[tokio::test]
async fn a_life_with_libcoap_over_tcp() {
    let server = Libcoap::start().await.expect("the server");
    play(&Place {
        carrier: Carrier::tcp(Native),
        server: server.plain(),
        config: Box::new(config),
        server_is: &LIBCOAP,
    })
    .await;
}

/// With a certificate: rustls has no pre-shared keys for TLS.
#[tokio::test]
async fn a_life_with_libcoap_over_tls() {
    let authority = Authority::new();
    let server = Libcoap::start_with(&authority.server(&NAMES)).await;
    let server = server.expect("the server");
    // RFC 8323, section 8.2, names the protocol.
    let tls = connector(TlsConfig::new().with_alpn(["coap"]), &authority);
    play(&Place {
        carrier: Carrier::tcp(Tls::new(Native, tls)),
        server: server.secure(),
        config: Box::new(config),
        server_is: &LIBCOAP,
    })
    .await;
}

#[tokio::test]
async fn a_life_with_libcoap_over_dtls() {
    let server = Libcoap::start().await.expect("the server");
    let psk = Psk::new("device-1", KEY.as_bytes()).expect("a key");
    let network = Dtls::new(Native, DtlsConfig::new(psk)).expect("a configuration");
    play(&Place {
        carrier: Carrier::udp(network),
        server: server.secure(),
        config: Box::new(config),
        server_is: &LIBCOAP,
    })
    .await;
}

#[tokio::test]
async fn a_life_with_aiocoap() {
    let server = Aiocoap::start(&[]).await.expect("the server");
    play(&Place {
        carrier: Carrier::udp(Native),
        server: server.plain(),
        config: Box::new(config),
        server_is: &AIOCOAP,
    })
    .await;
}

#[tokio::test]
async fn a_life_with_aiocoap_over_tcp() {
    let server = Aiocoap::start(&[]).await.expect("the server");
    play(&Place {
        carrier: Carrier::tcp(Native),
        server: server.plain(),
        config: Box::new(config),
        server_is: &AIOCOAP,
    })
    .await;
}

#[tokio::test]
async fn a_life_with_aiocoap_over_websocket() {
    let server = Aiocoap::start(&[]).await.expect("the server");
    play(&Place {
        carrier: Carrier::tcp(CoapWebSockets::ws(Native)),
        server: server.websocket(),
        config: Box::new(config),
        server_is: &AIOCOAP,
    })
    .await;
}

/// Each client has a security context of its own: two would use the same sequence numbers.
#[tokio::test]
async fn a_life_with_aiocoap_under_oscore() {
    let contexts: Vec<Oscore> = (2..18)
        .map(|client| Oscore {
            secret: (1..=16).collect(),
            salt: vec![0x9e, 0x7c, 0xa9, 0x22],
            server_id: vec![1],
            client_id: vec![client],
        })
        .collect();
    let server = Aiocoap::start(&contexts).await.expect("the server");
    let contexts = RefCell::new(contexts);
    let config = move || {
        let shared = contexts.borrow_mut().pop().expect("enough of them");
        let parameters = Parameters::new(&shared.secret, &shared.client_id, &shared.server_id);
        let parameters = parameters
            .expect("parameters")
            .with_master_salt(&shared.salt);
        let mut config = config();
        config.oscore = Some(SecurityContext::ephemeral(&parameters));
        config
    };
    play(&Place {
        carrier: Carrier::udp(Native),
        server: server.plain(),
        config: Box::new(config),
        server_is: &AIOCOAP_UNDER_OSCORE,
    })
    .await;
}

#[tokio::test]
async fn a_life_with_node_coap() {
    let server = NodeCoap::start().await.expect("the server");
    play(&Place {
        carrier: Carrier::udp(Native),
        server: server.address(),
        config: Box::new(config),
        server_is: &NODE_COAP,
    })
    .await;
}

/// RFC 7959, section 2.7, in both directions, as ETSI's TD_COAP_BLOCK_05 has it.
#[tokio::test]
async fn large_answers_to_large_bodies_come_whole() {
    let server = Aiocoap::start(&[]).await.expect("the server");
    let text = ContentFormat::TEXT_PLAIN;
    for carrier in [Carrier::udp(Native), Carrier::tcp(Native)] {
        let device = Device::start(&carrier, server.plain(), config());
        for (method, name) in [
            (Code::POST, "POST"),
            (Code::PUT, "PUT"),
            (Code::FETCH, "FETCH"),
            (Code::PATCH, "PATCH"),
            (Code::IPATCH, "iPATCH"),
        ] {
            // In one message, that of a stream excepted, and in many.
            for length in [1_022, 5_000, 100_000] {
                let body = "large ".repeat(length / 6);
                let request = Request::new(method, "/echo").expect("a target");
                let request = request.with_payload(body.clone(), text);
                let answer = timeout(LONG, device.client.request(request)).await;
                let answer = answer.expect("in time").expect("an answer");
                let expected = format!("{name} {body}");
                assert!(answer.text() == Some(&expected), "{name} {length}");
            }
        }
        device.close().await;
    }
}

/// In small blocks, both ways, while something else is held of it: the two servers differ in what the
/// ETag of a request means on a further block.
#[tokio::test]
async fn what_was_sent_in_small_blocks_is_read_back_in_such() {
    let libcoap = Libcoap::start().await.expect("the server");
    let aiocoap = Aiocoap::start(&[]).await.expect("the server");
    let config = || {
        let mut config = config();
        config.block_size = BlockSize::B64;
        config
    };
    let get = |path: &str, held: Option<&[u8]>| {
        let request = Request::get(path).expect("a target");
        match held {
            Some(etag) => request.with_etag(etag).expect("an entity-tag"),
            None => request,
        }
    };
    let answer = async |device: &Device, request| {
        let answer = timeout(LONG, device.client.request(request)).await;
        answer.expect("in time").expect("an answer")
    };
    let device = Device::start(&Carrier::udp(Native), libcoap.plain(), config());
    for length in [65, 200, 256, 2_000] {
        let body = "small ".repeat(length / 6 + 1);
        let request = Request::put("/kept").expect("a target");
        let request = request.with_payload(body.clone(), ContentFormat::TEXT_PLAIN);
        answer(&device, request).await;
        for held in [None, Some(&b"old"[..])] {
            let kept = answer(&device, get("/kept", held)).await;
            assert_eq!(kept.text(), Some(&*body), "{length} {held:?}");
        }
    }
    device.close().await;
    let device = Device::start(&Carrier::udp(Native), aiocoap.plain(), config());
    let list = answer(&device, get("/.well-known/core", None)).await;
    let again = answer(&device, get("/.well-known/core", Some(b"old"))).await;
    assert!(list.payload.len() > 64 && again.payload == list.payload);
    device.close().await;
}

#[tokio::test]
async fn a_proxy_forwards_by_uri_and_by_scheme() {
    let origin = Aiocoap::start(&[]).await.expect("the server");
    let proxy = Libcoap::start_as_proxy().await.expect("the proxy");
    let device = Device::start(&Carrier::udp(Native), proxy.plain(), config());
    let whole = || {
        let uri = format!("coap://{}/hello", origin.plain());
        let request = Request::get("/").expect("a target");
        let request = request.with_proxy_uri(&uri.parse().expect("a URI"));
        request.expect("it is short enough")
    };
    let hello = timeout(LONG, device.client.request(whole())).await;
    let hello = hello.expect("in time").expect("an answer");
    assert_eq!(hello.text(), Some("hello"));

    let port = origin.plain().port().to_be_bytes();
    let parts = Request::get("/hello").expect("a target");
    let parts = parts
        .with_uri_host("127.0.0.1")
        .and_then(|request| request.with_option(OptionNumber::URI_PORT, &port))
        .and_then(|request| request.with_proxy_scheme(Scheme::Coap));
    let parts = device.client.request(parts.expect("a request"));
    let hello = timeout(LONG, parts).await.expect("in time");
    assert_eq!(hello.expect("an answer").text(), Some("hello"));

    // This one is a hop already.
    let near = whole().with_hop_limit(1).expect("a limit");
    let far = timeout(LONG, device.client.request(near)).await;
    match far.expect("in time") {
        Err(RequestError::Refused(refusal)) => {
            assert_eq!(refusal.code(), Code::HOP_LIMIT_REACHED);
        }
        other => panic!("{other:?}"),
    }
    let far = whole().with_hop_limit(5).expect("a limit");
    let hello = timeout(LONG, device.client.request(far)).await;
    let hello = hello.expect("in time").expect("an answer");
    assert_eq!(hello.text(), Some("hello"));
    device.close().await;
}

/// That many answer one request is seen in the simulation; here one host has one address.
#[cfg(target_os = "linux")]
mod in_a_namespace {
    use std::net::SocketAddr;

    use jackfield_coap::client;
    use jackfield_coap::codec::Links;
    use jackfield_socket::MulticastOptions;
    use jackfield_testing::namespace::{self, INTERFACE, V4};

    use super::*;

    #[test]
    fn a_group_of_libcoaps_is_discovered() {
        if namespace::enter("in_a_namespace::a_group_of_libcoaps_is_discovered") {
            inside();
        }
    }

    #[tokio::main(flavor = "current_thread")]
    async fn inside() {
        let group = [239, 255, 71, 2].into();
        let server = Libcoap::start_in_group(group, INTERFACE).await;
        let server = server.expect("the server");
        let mut config = config();
        let mut multicast = MulticastOptions::default();
        multicast.interface = Some(V4.into());
        config.connection.udp.multicast = Some(multicast);
        let local = SocketAddr::from((V4, 0));
        let (network, _, connection) = client::multicast(Native, local, config);
        let connection = tokio::spawn(connection);
        let to = SocketAddr::from((group, server.plain().port()));
        let mut answers = network.discover(to, LONG).await.expect("a target");
        let answer = timeout(LONG, answers.next()).await.expect("in time");
        let (from, response) = answer.expect("one at least").expect("an answer");
        assert_eq!(from.ip(), V4);
        let links = Links::parse(&response.payload).expect("a list");
        assert!(links.iter().any(|link| link.target() == "/time"), "{links}");
        drop((network, answers));
        let ended = timeout(LONG, connection).await.expect("in time");
        ended.expect("no panic").expect("an end in order");
    }
}
