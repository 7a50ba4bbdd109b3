//! Through a real relay, natively: this backend, `jackfield-relayd`, and the suite's peer.

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;

use jackfield_conformance::{Peer, Target, run_all};
use jackfield_native::{Native, NativeStream};
use jackfield_relay::{Relay, RelayConfig};
use jackfield_relayd::token::{Credential, Secret};
use jackfield_relayd::{Config, Relayd, Token};
use jackfield_socket::{AnyNetwork, ErrorKind, TcpConnect, TcpOptions};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const SECRET: &str = "the-secret-of-the-suite";

/// Starts a relay that lets the suite do all it does, and gives its address.
async fn start_relay() -> String {
    let secret = Secret::new(SECRET).expect("long enough");
    let mut token = Token::new("suite", Credential::Secret(secret));
    let rules = ["127.0.0.0/8:*", "127.0.0.0/8:*/udp"];
    token.policy.allow = rules.map(|rule| rule.parse().expect(rule)).into();
    let rules = ["127.0.0.1:*", "127.0.0.1:*/udp"];
    token.policy.listen = rules.map(|rule| rule.parse().expect(rule)).into();
    // The suite opens and closes faster than any user.
    token.limits.dials_per_second = 10_000;
    token.udp_open = true;
    let mut config = Config::default();
    config.listen = vec!["127.0.0.1:0".parse().expect("an address")];
    config.allow_without_origin = true;
    config.tokens = vec![token];
    let relay = Relayd::bind(config).await.expect("a free port");
    let address = relay.local_addrs()[0];
    tokio::spawn(relay.run(std::future::pending()));
    format!("ws://{address}/")
}

#[tokio::test]
async fn through_a_relay() {
    let at = IpAddr::from(Ipv4Addr::LOCALHOST);
    let peer = Peer::open(Native, at, NativeStream::abort)
        .await
        .expect("a peer on loopback");
    let config = RelayConfig::new(&start_relay().await)
        .and_then(|config| config.with_token(SECRET))
        .expect("a good configuration");
    let (relay, connection) = Relay::over(Native, config);
    tokio::spawn(connection);
    let mut target = Target::new(AnyNetwork::new(relay), peer.addresses().clone());
    target.name = Some("localhost".parse().expect("a name"));
    target.capabilities.listen = Some(at);
    target.capabilities.udp_bound = Some(at);
    tokio::spawn(peer.run());
    let report = run_all(&target).await;
    assert!(report.passed(), "{report}");
}

/// What was written and ended is on its way, whatever becomes of the connection to the relay: here
/// nobody is left who holds it, while the target has read nothing.
#[tokio::test]
async fn what_was_ended_arrives_though_nobody_holds_the_relay() {
    // More than the small buffers below hold, and less than the relay takes for a stream at once.
    const SENT: usize = 192 * 1024;
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a small buffer");
    let at = "127.0.0.1:0".parse().expect("an address");
    socket.bind(at).expect("a free port");
    let listener = socket.listen(1).expect("listening");
    let to = listener.local_addr().expect("an address").into();

    let config = RelayConfig::new(&start_relay().await)
        .and_then(|config| config.with_token(SECRET))
        .expect("a good configuration");
    let (relay, connection) = Relay::over(Native, config);
    let connection = tokio::spawn(connection);
    let mut options = TcpOptions::default();
    options.send_buffer = NonZeroU32::new(4096);
    let mut stream = relay.connect(&to, &options).await.expect("connected");
    let (mut target, _) = listener.accept().await.expect("a connection");
    stream.write_all(&vec![7; SENT]).await.expect("taken");
    stream.shutdown().await.expect("ended");
    drop((stream, relay));
    connection.await.expect("the connection has ended");

    let mut arrived = Vec::new();
    target
        .read_to_end(&mut arrived)
        .await
        .expect("an end in order");
    assert_eq!(arrived.len(), SENT);
}

#[tokio::test]
async fn a_wrong_token_is_denied() {
    let address = start_relay().await;
    let anonymous = RelayConfig::new(&address).expect("a good address");
    let wrong = anonymous.clone().with_token("not-the-secret-of-the-suite");
    for (config, text) in [
        (anonymous, "the relay asks for a token"),
        (wrong.expect("a good token"), "the token is not accepted"),
    ] {
        let (relay, connection) = Relay::over(Native, config);
        tokio::spawn(connection);
        // At once, and again whenever it is tried.
        for _ in 0..3 {
            let error = relay.ready().await.expect_err("denied");
            assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
            assert_eq!(error.to_string(), text);
            let to = "127.0.0.1:9".parse().expect("an endpoint");
            let error = relay
                .connect(&to, &TcpOptions::default())
                .await
                .expect_err("denied");
            assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
            assert_eq!(error.to_string(), text);
        }
    }
}
