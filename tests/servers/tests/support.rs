//! The servers of the test support: that they start, listen, know each other, and end.

use std::time::Duration;

use jackfield_server_tests::NAMES;
use jackfield_server_tests::mqtt::second::{QoS, Second};
use jackfield_testing::aedes::Aedes;
use jackfield_testing::aiocoap::Aiocoap;
use jackfield_testing::atheme::{Account, Atheme};
use jackfield_testing::certs::Authority;
use jackfield_testing::inspircd::Inspircd;
use jackfield_testing::libcoap::Libcoap;
use jackfield_testing::mosquitto::{Mosquitto, Settings, User};
use jackfield_testing::mqtt_broker::Broker;
use jackfield_testing::ngircd::Ngircd;
use jackfield_testing::node_coap::NodeCoap;

const LONG: Duration = Duration::from_secs(30);

#[tokio::test]
async fn inspircd_starts_and_ends() {
    let certificate = Authority::new().server(&NAMES);
    let server = Inspircd::start(&certificate).await.expect("it starts");
    let (plain, tls) = (server.plain(), server.tls());
    for address in [plain, tls] {
        let reachable = server.process().wait_for_port(address, LONG).await;
        reachable.expect("it listens");
    }
    drop(server);
    for address in [plain, tls] {
        let refused = tokio::net::TcpStream::connect(address).await;
        refused.expect_err("it is gone");
    }
}

#[tokio::test]
async fn ngircd_starts() {
    let certificate = Authority::new().server(&NAMES);
    let server = Ngircd::start(&certificate).await.expect("it starts");
    for address in [server.plain(), server.tls()] {
        let reachable = server.process().wait_for_port(address, LONG).await;
        reachable.expect("it listens");
    }
}

#[tokio::test]
async fn services_link_and_load_their_accounts() {
    let authority = Authority::new();
    let certificate = authority.server(&NAMES);
    let server = Inspircd::start(&certificate).await.expect("the server");
    let account = Account {
        name: "alice".into(),
        password: "wonderland".into(),
        fingerprint: Some(authority.client("alice").fingerprint()),
    };
    let services = Atheme::start(&server, &[account]).await.expect("services");
    assert!(!services.process().has_ended());
}

#[tokio::test]
async fn mosquitto_starts_again_where_it_was() {
    let certificate = Authority::new().server(&NAMES);
    let users = vec![User {
        name: "alice".into(),
        password: "wonderland".into(),
        access: vec!["readwrite own/#".into(), "deny own/secret".into()],
    }];
    let settings = Settings {
        users,
        ..Settings::default()
    };
    let mut server = Mosquitto::start(&certificate, &settings)
        .await
        .expect("it starts");
    let (plain, before) = (server.plain(), server.process().id());
    server.restart().await.expect("it starts again");
    assert_eq!(server.plain(), plain);
    assert_ne!(server.process().id(), before);
}

#[tokio::test]
async fn aedes_and_the_embedded_broker_start() {
    let aedes = Aedes::start().await.expect("it starts");
    let broker = Broker::start().await.expect("it starts");
    let addresses = [
        aedes.tcp(),
        aedes.websocket(),
        broker.tcp(),
        broker.websocket(),
    ];
    for address in addresses {
        let stream = tokio::net::TcpStream::connect(address).await;
        stream.expect("it listens");
    }
}

#[tokio::test]
async fn coap_servers_start() {
    let libcoap = Libcoap::start().await.expect("it starts");
    let aiocoap = Aiocoap::start(&[]).await.expect("it starts");
    let node = NodeCoap::start().await.expect("it starts");
    for address in [libcoap.plain(), libcoap.secure(), aiocoap.websocket()] {
        let stream = tokio::net::TcpStream::connect(address).await;
        stream.expect("it listens");
    }
    // An empty confirmable message, "ping", is answered by a reset (RFC 7252 section 4.3);
    // node-coap takes it for a request, and says that it has no such resource.
    for address in [libcoap.plain(), aiocoap.plain(), node.address()] {
        let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await;
        let socket = socket.expect("a socket");
        socket
            .send_to(&[0x40, 0, 0x12, 0x34], address)
            .await
            .expect("sent");
        let mut answer = [0; 16];
        let received = tokio::time::timeout(LONG, socket.recv_from(&mut answer)).await;
        let (length, from) = received.expect("in time").expect("an answer");
        assert_eq!(from, address);
        let (reset, not_found) = ([0x70, 0, 0x12, 0x34], [0x60, 0x84, 0x12, 0x34]);
        assert!([reset, not_found].contains(&answer[..length].try_into().expect("a header")));
    }
}

/// What the scenarios take for granted: the second client itself works with each broker.
#[tokio::test]
async fn the_second_client_speaks_with_itself() {
    let certificate = Authority::new().server(&NAMES);
    let mosquitto = Mosquitto::start(&certificate, &Settings::default()).await;
    let mosquitto = mosquitto.expect("it starts");
    let aedes = Aedes::start().await.expect("it starts");
    let embedded = Broker::start().await.expect("it starts");
    for mut client in [
        Second::v3(mosquitto.plain(), "older").await,
        Second::v5(mosquitto.plain(), "newer").await,
        Second::v3(aedes.tcp(), "older").await,
        Second::v3(embedded.tcp(), "older").await,
        Second::v5(embedded.tcp(), "newer").await,
    ] {
        client.subscribe("a/+", QoS::ExactlyOnce).await;
        for (qos, payload) in [(QoS::AtLeastOnce, "one"), (QoS::ExactlyOnce, "two")] {
            client.publish("a/b", qos, false, payload).await;
            let message = client.message().await;
            assert_eq!((message.topic.as_str(), message.qos), ("a/b", qos));
            assert_eq!(message.payload, payload);
        }
    }
}
