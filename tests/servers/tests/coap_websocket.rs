//! CoAP over WebSockets, against aiocoap.

use std::time::Duration;

use jackfield_coap::client::{self, Client, ClientConfig, CoapWebSockets};
use jackfield_coap::codec::{Code, ContentFormat};
use jackfield_native::Native;
use jackfield_testing::aiocoap::Aiocoap;
use tokio::time::timeout;

/// Nothing here takes so long, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(20);

fn connect(server: &Aiocoap) -> Client {
    let sockets = CoapWebSockets::ws(Native);
    let to = server.websocket().into();
    let (client, _, connection) = client::connect_tcp(sockets, to, ClientConfig::default());
    tokio::spawn(connection);
    client
}

#[tokio::test]
async fn what_is_asked_is_answered() {
    let server = Aiocoap::start(None).await.expect("the server");
    let client = connect(&server);
    let hello = timeout(PATIENCE, client.get("/hello")).await;
    let hello = hello.expect("in time").expect("an answer");
    assert_eq!(
        (hello.code(), hello.payload()),
        (Code::CONTENT, &b"hello"[..])
    );

    let put = client.put("/value", "kept", ContentFormat::TEXT_PLAIN);
    timeout(PATIENCE, put)
        .await
        .expect("in time")
        .expect("an answer");
    let value = timeout(PATIENCE, client.get("/value")).await;
    assert_eq!(
        value.expect("in time").expect("an answer").payload(),
        b"kept"
    );

    let slow = timeout(PATIENCE, client.get("/slow")).await;
    assert_eq!(
        slow.expect("in time").expect("an answer").payload(),
        b"at last"
    );
}

#[tokio::test]
async fn a_large_body_comes_whole() {
    let server = Aiocoap::start(None).await.expect("the server");
    let client = connect(&server);
    let large = timeout(PATIENCE, client.get("/large")).await;
    let large = large.expect("in time").expect("an answer");
    let expected: Vec<u8> = (0..100_000_u32).map(|n| (n % 251) as u8).collect();
    assert!(
        large.payload() == expected,
        "{} bytes",
        large.payload().len()
    );
}

#[tokio::test]
async fn what_is_observed_comes_in_order() {
    let server = Aiocoap::start(None).await.expect("the server");
    let client = connect(&server);
    let observed = timeout(PATIENCE, client.observe("/ticks")).await;
    let mut ticks = observed.expect("in time").expect("an observation");
    let mut last = None;
    for _ in 0..5 {
        let tick = timeout(PATIENCE, ticks.next()).await.expect("in time");
        let tick = tick.expect("it goes on").expect("a notification");
        let number: u64 = tick.text().expect("text").parse().expect("a number");
        assert!(last < Some(number), "{last:?}, then {number}");
        last = Some(number);
    }
}
