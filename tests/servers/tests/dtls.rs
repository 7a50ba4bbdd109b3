//! DTLS with a pre-shared key against OpenSSL, in libcoap's server.

use std::net::SocketAddr;
use std::time::Duration;

use jackfield_coap::client::{self, ClientConfig};
use jackfield_coap::codec::{
    Code, ContentFormat, Datagram, Message, MessageId, MessageType, OptionNumber, Token,
};
use jackfield_dtls::{Dtls, DtlsConfig, DtlsSocket, Psk};
use jackfield_native::{Native, NativeDatagramSocket};
use jackfield_server_tests::LONG;
use jackfield_socket::{DatagramSocket, Error, ErrorKind, UdpOpen, UdpOptions};
use jackfield_testing::libcoap::{KEY, Libcoap};
use tokio::time::timeout;

type Socket = DtlsSocket<NativeDatagramSocket>;

async fn open(server: SocketAddr, key: &[u8]) -> Result<Socket, Error> {
    open_narrow(server, key, 1_232).await
}

/// The same over a path that carries no larger datagrams.
async fn open_narrow(server: SocketAddr, key: &[u8], mtu: usize) -> Result<Socket, Error> {
    let mut config = DtlsConfig::new(Psk::new("device-1", key)?);
    config.handshake_timeout = Duration::from_secs(3);
    config.mtu = mtu;
    let network = Dtls::new(Native, config)?;
    network
        .open_connected(&server.into(), &UdpOptions::default())
        .await
}

/// Sends a request, and gives the answer that comes with the acknowledgement.
async fn get(socket: &mut Socket, id: u16, path: &str) -> Message {
    let mut request = Message::new(Code::GET);
    request.set_token(Token::new(&id.to_be_bytes()).expect("a token"));
    request
        .options_mut()
        .add_text(OptionNumber::URI_PATH, path)
        .expect("a path");
    let token = request.token();
    let datagram = Datagram::new(MessageType::Confirmable, MessageId(id), request);
    socket.send(&datagram.to_bytes(), None).await.expect("sent");

    let mut buffer = vec![0; 2048];
    let received = timeout(LONG, socket.recv(&mut buffer)).await;
    let received = received.expect("in time").expect("an answer");
    let answer = Datagram::decode(&buffer[..received.len]).expect("a message");
    assert_eq!(answer.id, MessageId(id));
    assert_eq!(answer.message.token(), token);
    answer.message
}

#[tokio::test]
async fn requests_are_answered_in_a_session() {
    let server = Libcoap::start().await.expect("the server");
    let mut socket = open(server.secure(), KEY.as_bytes())
        .await
        .expect("a session");
    let nothing = get(&mut socket, 1, "nothing").await;
    assert_eq!(nothing.code(), Code::NOT_FOUND);
    for id in 2..50 {
        let time = get(&mut socket, id, "time").await;
        assert_eq!(time.code(), Code::CONTENT);
        assert!(!time.payload.is_empty());
    }
    drop(socket);

    // The server has room for another session, and is not confused by the one that ended.
    let mut socket = open(server.secure(), KEY.as_bytes())
        .await
        .expect("a session");
    assert_eq!(get(&mut socket, 1, "time").await.code(), Code::CONTENT);
}

#[tokio::test]
async fn another_key_gets_no_session() {
    let server = Libcoap::start().await.expect("the server");
    let error = open(server.secure(), b"another").await;
    let error = error.expect_err("no session");
    // OpenSSL drops in silence what another key made.
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    assert!(error.to_string().contains("another key"), "{error}");
}

#[tokio::test]
async fn a_narrow_path_is_enough() {
    let server = Libcoap::start().await.expect("the server");
    let mut socket = open_narrow(server.secure(), KEY.as_bytes(), 256)
        .await
        .expect("a session");
    assert_eq!(get(&mut socket, 1, "time").await.code(), Code::CONTENT);
    let refused = socket.send(&[0; 256 - Socket::OVERHEAD + 1], None).await;
    let error = Error::from(refused.expect_err("it fits no more"));
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn a_port_without_dtls_is_not_waited_for_for_ever() {
    let server = Libcoap::start().await.expect("the server");
    let error = open(server.plain(), KEY.as_bytes()).await;
    let error = error.expect_err("no session");
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
}

#[tokio::test]
async fn the_client_asks_and_observes_over_it() {
    let server = Libcoap::start().await.expect("the server");
    let psk = Psk::new("device-1", KEY.as_bytes()).expect("a key");
    let network = Dtls::new(Native, DtlsConfig::new(psk)).expect("a network");
    let to = server.secure().into();
    let (client, mut events, connection) = client::connect(network, to, ClientConfig::default());
    tokio::spawn(connection);
    tokio::spawn(async move { while events.next().await.is_some() {} });

    let body = vec![b'a'; 5_000];
    client
        .put("/example_data", body.clone(), ContentFormat::TEXT_PLAIN)
        .await
        .expect("it is stored");
    let stored = client.get("/example_data").await.expect("a response");
    assert!(stored.payload == body);
    let mut time = client.observe("/time").await.expect("an observation");
    for _ in 0..2 {
        let now = timeout(LONG, time.next()).await.expect("in time");
        assert!(now.expect("it goes on").is_ok());
    }
    client.close().await;
}
