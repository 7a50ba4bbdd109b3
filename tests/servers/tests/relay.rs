//! The IRC client through a relay, with everything recorded that the relay receives and sends.

use std::net::SocketAddr;

use jackfield_irc::client::ConnectionError;
use jackfield_irc::codec::{ChannelName, Target};
use jackfield_irc::core::{Credentials, Event};
use jackfield_irc::server::ServerConfig;
use jackfield_native::Native;
use jackfield_relay::{Relay, RelayConfig};
use jackfield_relayd::token::{Credential, Secret};
use jackfield_relayd::{Config, Relayd, Token};
use jackfield_server_tests::LONG;
use jackfield_server_tests::scenario::{Offers, play};
use jackfield_server_tests::user::{User, config};
use jackfield_server_tests::{Embedded, NAMES, connector};
use jackfield_socket::{Endpoint, ErrorKind, HostName};
use jackfield_testing::certs::Authority;
use jackfield_testing::inspircd::Inspircd;
use jackfield_testing::proxy::{Proxy, Recording};
use jackfield_tls::{Tls, TlsConfig};
use tokio::task::JoinHandle;

const TOKEN: &str = "a-token-of-these-tests";

/// A relay that may reach loopback, with a recording proxy in front of it.
struct Recorded {
    relay: Relay,
    /// Between the client and the relay.
    front: Proxy,
    tasks: Vec<JoinHandle<()>>,
}

impl Recorded {
    async fn start() -> Self {
        let credential = Credential::Secret(Secret::new(TOKEN).expect("a secret"));
        let mut token = Token::new("test", credential);
        token.policy.allow = ["127.0.0.1/32:*", "localhost:*"]
            .map(|rule| rule.parse().expect("a rule"))
            .into();
        let mut wanted = Config::default();
        wanted.listen = vec![SocketAddr::from(([127, 0, 0, 1], 0))];
        wanted.allow_without_origin = true;
        // The name without a port: clients come through the proxy's.
        wanted.hosts = vec!["127.0.0.1".parse().expect("a host")];
        wanted.tokens = vec![token];
        let relayd = Relayd::bind(wanted).await.expect("a port");
        let address = relayd.local_addrs()[0];
        let serving = tokio::spawn(relayd.run(std::future::pending()));

        let front = Proxy::start(address).await.expect("a proxy");
        let wanted = RelayConfig::new(&format!("ws://{}/", front.address()))
            .and_then(|config| config.with_token(TOKEN))
            .expect("a configuration");
        let (relay, connection) = Relay::over(Native, wanted);
        let moving = tokio::spawn(async move {
            connection.await;
        });
        Self {
            relay,
            front,
            tasks: vec![serving, moving],
        }
    }

    fn secured(&self, authority: &Authority) -> Tls<Relay> {
        Tls::new(self.relay.clone(), connector(TlsConfig::new(), authority))
    }
}

impl Drop for Recorded {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

fn at(address: SocketAddr) -> Endpoint {
    let name: HostName = "localhost".parse().expect("a name");
    Endpoint::new(name, address.port())
}

#[tokio::test]
async fn a_life_on_inspircd_through_the_relay() {
    let authority = Authority::new();
    let server = Inspircd::start(&authority.server(&NAMES)).await;
    let server = server.expect("the server");
    let recorded = Recorded::start().await;
    let offers = Offers { server_time: true };
    play(&recorded.secured(&authority), &at(server.tls()), offers).await;
}

#[tokio::test]
async fn the_relay_neither_receives_nor_sends_a_word_of_it() {
    let (nick, account) = ("Morgenstern", "Sternwarte");
    let (password, channel, text) = (
        "Passwort-das-niemand-sieht",
        "#geheimraum",
        "ein Satz, den der Vermittler nicht lesen kann",
    );
    let authority = Authority::new();
    let mut accounts = ServerConfig::new();
    accounts.add_account(account, password);
    let server = Embedded::start(&authority.server(&NAMES), accounts).await;
    let recorded = Recorded::start().await;
    // Between the relay and the server.
    let back = Proxy::start(server.address()).await.expect("a proxy");

    let mut wanted = config(nick);
    wanted.session.sasl = Some(Credentials::password(account, password).expect("a login"));
    let network = recorded.secured(&authority);
    let mut user = User::register(network, &at(back.address()), wanted).await;
    let room = ChannelName::new(channel).expect("a name");
    user.client.join(&room, None).await.expect("entered");
    let sent = user.client.say(&Target::from(&room), text).await;
    sent.expect("sent");
    user.wait_irc("for the echo", |event| match event {
        Event::Message(message) => (message.text == text).then_some(()),
        _ => None,
    })
    .await;
    user.client.close().await;
    user.ended().await.expect("an end in order");

    let base64 = base64_forms(&format!("\0{account}\0{password}"));
    let words = [
        nick,
        account,
        password,
        channel,
        text,
        "PRIVMSG",
        "AUTHENTICATE",
    ];
    let words: Vec<&str> = words
        .into_iter()
        .chain(base64.iter().map(|it| &**it))
        .collect();
    // What a client sends in a WebSocket is masked (RFC 6455, section 5.3), so that direction proves
    // little by itself; the same bytes leave the relay unmasked on the server's side.
    for (side, proxy) in [("client", &recorded.front), ("server", &back)] {
        let recordings = proxy.recordings();
        assert!(!recordings.is_empty(), "{side}: nothing was recorded");
        for recording in &recordings {
            assert!(is_whole(recording), "{side}: a part was not recorded");
            for direction in [&recording.to_server.bytes, &recording.to_client.bytes] {
                assert!(direction.len() > 500, "{side}: {} bytes", direction.len());
                for word in &words {
                    assert!(
                        !contains(direction, word),
                        "{side}: {word:?} passed the relay"
                    );
                }
            }
        }
    }
    // The recording does hold what the relay has to know: where to, and the token.
    let front = &recorded.front.recordings()[0].to_server.bytes;
    assert!(contains(front, "jackfield.v1"));
    // And the search finds what is there.
    assert!(
        contains(&back.recordings()[0].to_server.bytes, "localhost"),
        "the server's name"
    );
}

#[tokio::test]
async fn a_wrong_certificate_is_refused_through_the_relay() {
    let authority = Authority::new();
    let recorded = Recorded::start().await;
    for (what, certificate) in [
        ("another name", authority.server(&["irc.example.org"])),
        ("an unknown issuer", Authority::new().server(&NAMES)),
        ("a time that is over", authority.expired_server(&NAMES)),
    ] {
        let server = Embedded::start(&certificate, ServerConfig::new()).await;
        let back = Proxy::start(server.address()).await.expect("a proxy");
        let network = recorded.secured(&authority);
        let user = User::start(network, &at(back.address()), config("ada"));
        let error = tokio::time::timeout(LONG, user.ended()).await;
        let error = error.expect("in time").expect_err(what);
        let ConnectionError::Connect(cause) = &error else {
            panic!("{what}: {error:?}");
        };
        assert_eq!(cause.kind(), ErrorKind::Certificate, "{what}: {cause}");
        let said = &back.recordings()[0].to_server.bytes;
        assert!(!contains(said, "NICK"), "{what}: the client spoke");
    }
}

fn is_whole(recording: &Recording) -> bool {
    recording.to_server.is_whole() && recording.to_client.is_whole()
}

fn contains(bytes: &[u8], word: &str) -> bool {
    // In whatever case: nicknames and channels may be folded.
    let word = word.as_bytes();
    bytes
        .windows(word.len())
        .any(|window| window.eq_ignore_ascii_case(word))
}

/// A text in base64, at each of the three places that it can have in what is encoded.
fn base64_forms(text: &str) -> Vec<String> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    (0..3)
        .map(|skip| {
            let whole = text.as_bytes()[skip..].chunks_exact(3);
            let sextets = whole.flat_map(|bytes| {
                let bits = bytes
                    .iter()
                    .fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
                [18, 12, 6, 0].map(|shift| ALPHABET[(bits >> shift & 63) as usize] as char)
            });
            sextets.collect()
        })
        .collect()
}
