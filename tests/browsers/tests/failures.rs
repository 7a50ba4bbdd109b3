//! The ways to fail to connect, from a page: of what kind each is, who can do something about it, and the
//! sentence for a person, which `docs/errors.md` has as well.

use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use jackfield_browser_tests::peers::Server;
use jackfield_browser_tests::stage::Stage;
use jackfield_browser_tests::workspace;
use jackfield_native::Native;
use jackfield_relayd::token::{Credential, Secret};
use jackfield_relayd::{Config, Relayd, Token};
use jackfield_socket::{ListenOptions, TcpListen as _, TcpListener as _};
use jackfield_testing::certs::{Authority, Certificate};
use jackfield_testing::site::Site;
use jackfield_testing::websocket::Bridge;
use jackfield_tls::{Identity, TlsAcceptor, TlsListener, TlsServerConfig};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

const SECRET: &str = "the-secret-of-the-tests";
/// A silent server is waited for as long as a client waits.
const PATIENCE: Duration = Duration::from_mins(2);

/// What the page learns first of each attempt; all of them go on side by side.
const TRY: &str = "async attempts => {
    const { explain } = await import('./explain.js');
    const first = async ({ options, url, how }) => {
        const network = await open(options);
        const protocol = url.startsWith('irc') ? 'irc' : 'mqtt';
        const client = await network[protocol](url, protocol === 'irc' ? { nick: 'ada', ...how } : how);
        try {
            for await (const event of client) {
                if (event.type === 'disconnected') throw event.error;
            }
        } finally {
            client.close();
        }
    };
    return Promise.all(attempts.map(attempt => first(attempt).catch(error => ({
        class: error instanceof JackfieldError,
        kind: error.kind,
        where: error.where,
        relayCode: error.relayCode ?? null,
        message: error.message,
        told: explain(error),
        cause: error.cause?.message ?? null,
    }))));
}";

/// A way to fail.
struct Way {
    name: &'static str,
    attempt: Value,
    /// `kind`, `where` and `relayCode`.
    expected: (&'static str, &'static str, Option<&'static str>),
    /// What stands in the message.
    says: &'static str,
    /// What a person is told.
    sentence: &'static str,
}

/// A relay for this origin, which reaches ports of this machine from 1024 on, and a name that does not exist.
/// `change` makes it another.
async fn relay(origin: &str, change: impl FnOnce(&mut Config)) -> (String, JoinHandle<()>) {
    let secret = Secret::new(SECRET).unwrap();
    let mut token = Token::new("page", Credential::Secret(secret));
    for rule in [
        "127.0.0.0/8:1024-65535",
        "localhost:1024-65535",
        "nowhere.invalid:6667",
    ] {
        token.policy.allow.push(rule.parse().unwrap());
    }
    let denied = "irc.example.org:*".parse().unwrap();
    token.policy.deny.push(denied);
    let mut config = Config::default();
    config.listen = vec!["127.0.0.1:0".parse().unwrap()];
    config.origins = vec![origin.parse().unwrap()];
    config.tokens = vec![token];
    change(&mut config);
    let relay = Relayd::bind(config).await.unwrap();
    let url = format!("ws://{}/", relay.local_addrs()[0]);
    (url, tokio::spawn(relay.run(std::future::pending())))
}

/// A server that takes what a client says at first, and answers this; then it hangs up, or stays.
async fn answering(answer: &'static [u8], stays: bool) -> Server {
    Server::start(move |mut stream: TcpStream| async move {
        let _ = stream.read(&mut [0; 4096]).await;
        let _ = stream.write_all(answer).await;
        if stays {
            std::future::pending::<()>().await;
        }
    })
    .await
}

/// A server with this certificate that says nothing.
async fn secure(certificate: &Certificate) -> SocketAddr {
    let (chain, key) = (certificate.pem(), certificate.key_pem());
    let identity = Identity::from_pem(chain.as_bytes(), key.as_bytes()).unwrap();
    let acceptor = TlsAcceptor::new(TlsServerConfig::new(identity)).unwrap();
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let listener = Native.listen(any, &ListenOptions::default()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut listener = TlsListener::new(listener, acceptor);
    tokio::spawn(async move {
        // A handshake that fails is the client's to tell.
        loop {
            let _ = listener.accept().await;
        }
    });
    address
}

/// An address at which nothing listens.
async fn closed() -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    listener.local_addr().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_way_to_fail_is_told_as_what_it_is() {
    // RFC 9112; MQTT 5.0, section 3.2: the password is wrong.
    const HTTP: &[u8] = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";
    const BAD_PASSWORD: &[u8] = &[0x20, 3, 0, 0x86, 0];

    let silent = answering(b"", true).await;
    let hangs_up = answering(b"", false).await;
    let http = answering(HTTP, false).await;
    let plain = answering(
        b":irc.example NOTICE * :*** Looking up your hostname\r\n",
        true,
    )
    .await;
    let broker = answering(BAD_PASSWORD, true).await;
    let ssh = answering(b"SSH-2.0-OpenSSH_9.2\r\n", true).await;
    let no_relay = Bridge::start(ssh.address(), Some("jackfield.v1"))
        .await
        .unwrap();
    let site = Site::builder().file("/", "a page").start().await.unwrap();
    let nothing = closed().await;

    let authority = Authority::new();
    let roots = authority.pem().to_owned();
    let unknown = secure(&Authority::new().server(&["127.0.0.1"])).await;
    let expired = secure(&authority.expired_server(&["127.0.0.1"])).await;
    let wrong_name = secure(&authority.server(&["elsewhere.example"])).await;

    let stage = Stage::start(silent.address()).await;
    let origin: String = stage.page.evaluate("location.origin").await.unwrap();
    let (good, _running) = relay(&origin, |_| {}).await;
    let (foreign, _running) = relay("https://elsewhere.example", |_| {}).await;
    let (unnamed, _running) = relay(&origin, |config| {
        config.hosts = vec!["relay.example".parse().unwrap()];
    })
    .await;
    let (full, _running) = relay(&origin, |config| config.max_sessions = 0).await;
    let (token_full, _running) =
        relay(&origin, |config| config.tokens[0].limits.sessions = 0).await;
    let key = Secret::new("the-signing-key-of-the-tests").unwrap();
    let signed = key.clone();
    let (signing, _running) = relay(&origin, move |config| {
        config.tokens[0].credential = Credential::Key(signed);
    })
    .await;
    let old = key.sign("page", SystemTime::now() - Duration::from_mins(1));
    let (dying, runs) = relay(&origin, |_| {}).await;
    let runs = runs.abort_handle();
    let doomed = Server::start(move |mut stream| {
        let runs = runs.clone();
        async move {
            let _ = stream.read(&mut [0; 4096]).await;
            runs.abort();
            std::future::pending::<()>().await;
        }
    })
    .await;

    let over = |relay: &str, url: String| json!({ "options": { "relay": relay, "token": SECRET }, "url": url });
    let irc = |server: SocketAddr| over(&good, format!("irc://{server}"));
    let ircs = |server: SocketAddr| {
        let mut attempt = over(&good, format!("ircs://{server}"));
        attempt["options"]["roots"] = json!(roots);
        attempt
    };
    let any = format!("irc://{}", silent.address());

    let way = |name, attempt, expected, says, sentence| Way {
        name,
        attempt,
        expected,
        says,
        sentence,
    };
    let relays = |code| ("denied", "relay", Some(code));
    let ways = [
        way(
            "no relay given",
            json!({ "options": {}, "url": any }),
            ("unsupported", "page", None),
            "no relay was given",
            "This page needs a relay to reach the server, and has none.",
        ),
        way(
            "the page's own rules refuse the server",
            json!({ "options": { "relay": good, "token": SECRET, "policy": { "allow": ["*:*"] } }, "url": any }),
            ("denied", "policy", None),
            "this application's policy doesn't allow",
            "The rules of this page do not allow that. Whoever runs it can change them.",
        ),
        way(
            "the relay's name does not exist",
            over("ws://relay.invalid/", any.clone()),
            ("unreachable", "relay", None),
            "nothing answers at relay.invalid",
            "The relay can't be reached. Check your connection and the relay's address.",
        ),
        way(
            "nothing listens at the relay's address",
            over(&format!("ws://{nothing}/"), any.clone()),
            ("unreachable", "relay", None),
            "nothing answers at 127.0.0.1",
            "The relay can't be reached. Check your connection and the relay's address.",
        ),
        way(
            "a web server is there",
            over(&format!("ws://{}/", site.address()), any.clone()),
            ("protocol", "relay", None),
            "opens no such WebSocket",
            "What answers at the relay's address is no relay. Check the address.",
        ),
        way(
            "another server with WebSockets is there",
            over(&format!("ws://{}/", no_relay.address()), any.clone()),
            ("protocol", "relay", None),
            "is no relay",
            "What answers at the relay's address is no relay. Check the address.",
        ),
        way(
            "another path",
            over(&format!("{good}else"), any.clone()),
            relays("path-unknown"),
            "no relay at this path",
            "What answers at the relay's address is no relay. Check the address.",
        ),
        way(
            "another origin",
            over(&foreign, any.clone()),
            relays("origin-refused"),
            "this Origin may not use the relay",
            "The relay does not serve pages from this site. Its owner can allow it.",
        ),
        way(
            "another name of the relay",
            over(&unnamed, any.clone()),
            relays("host-unknown"),
            "doesn't go by this Host",
            "The relay does not go by this name. Check its address, or ask its owner.",
        ),
        way(
            "no token",
            json!({ "options": { "relay": good }, "url": any }),
            relays("token-missing"),
            "asks for a token",
            "The relay asks for a token. Sign in, or ask its owner for one.",
        ),
        way(
            "another token",
            json!({ "options": { "relay": good, "token": "not-the-secret-of-the-tests" }, "url": any }),
            relays("token-unknown"),
            "the token is not accepted",
            "The relay does not accept this token. Check it, or ask its owner for another.",
        ),
        way(
            "an old token",
            json!({ "options": { "relay": signing, "token": old }, "url": any }),
            relays("token-expired"),
            "the token has expired at",
            "Your access to the relay has expired. Sign in again.",
        ),
        way(
            "a host that the relay's rules don't allow",
            over(&good, "irc://irc.example.org".into()),
            relays("policy"),
            "irc.example.org",
            "The relay is not allowed to reach this server. Its owner can allow it.",
        ),
        way(
            "a port that they don't allow",
            over(&good, "irc://127.0.0.1:25".into()),
            relays("policy"),
            "127.0.0.1:25",
            "The relay is not allowed to reach this server. Its owner can allow it.",
        ),
        way(
            "a private address",
            over(&good, "irc://10.0.0.1:6667".into()),
            relays("policy"),
            "10.0.0.1",
            "The relay is not allowed to reach this server. Its owner can allow it.",
        ),
        way(
            "a relay that is full",
            over(&full, any.clone()),
            ("limit-exceeded", "relay", Some("relay-full")),
            "max_sessions",
            "The relay is busy. Try again in a while.",
        ),
        way(
            "a token that is used up",
            over(&token_full, any.clone()),
            ("limit-exceeded", "relay", Some("token-full")),
            "limit sessions",
            "Too many pages use this token at once. Close some, and try again.",
        ),
        way(
            "the relay dies",
            over(&dying, format!("irc://{}", doomed.address())),
            ("reset", "relay", None),
            "the connection to the relay was lost",
            "The connection to the relay was lost. It is made again by itself.",
        ),
        way(
            "the server's name does not exist",
            over(&good, "irc://nowhere.invalid:6667".into()),
            ("host-not-found", "server", None),
            "nowhere.invalid",
            "There is no server of this name. Check how it is spelt.",
        ),
        way(
            "the server's port is closed",
            irc(nothing),
            ("refused", "server", None),
            "refused",
            "The server is there, but not this service. Check the port, or try later.",
        ),
        way(
            "the server says nothing",
            ircs(silent.address()),
            ("timed-out", "server", None),
            "in time",
            "The server does not answer. Try later, or check the port.",
        ),
        way(
            "the server hangs up",
            irc(hangs_up.address()),
            ("unexpected-eof", "server", None),
            "ended",
            "The server hung up without a word. Try later; it may not want this client.",
        ),
        way(
            "the certificate's issuer is unknown",
            over(&good, format!("ircs://{unknown}")),
            ("certificate", "server", None),
            "was not issued by",
            "The server can't prove who it is. Do not go on unless you know its certificate.",
        ),
        way(
            "the certificate has expired",
            ircs(expired),
            ("certificate", "server", None),
            "expired on",
            "The server can't prove who it is. Do not go on unless you know its certificate.",
        ),
        way(
            "the certificate is for another name",
            ircs(wrong_name),
            ("certificate", "server", None),
            "is for another name: elsewhere.example",
            "The server can't prove who it is. Do not go on unless you know its certificate.",
        ),
        way(
            "the server speaks plain text where TLS is meant",
            ircs(plain.address()),
            ("protocol", "server", None),
            "is not TLS",
            "The server speaks another protocol at this port. Check the port and the address's scheme.",
        ),
        way(
            "the server speaks another protocol",
            over(&good, format!("mqtt://{}", http.address())),
            ("protocol", "server", None),
            "",
            "The server speaks another protocol at this port. Check the port and the address's scheme.",
        ),
        way(
            "the server refuses the log-in",
            over(&good, format!("mqtt://{}", broker.address())),
            ("authentication", "server", None),
            "",
            "The server does not accept this name and password.",
        ),
    ];

    let attempts: Vec<&Value> = ways.iter().map(|way| &way.attempt).collect();
    let page = stage.page.with_deadline(PATIENCE);
    let told: Value = page.invoke(TRY, &[json!(attempts)]).await.unwrap();
    let told = told.as_array().unwrap();
    let known = fs::read_to_string(workspace().join("docs/errors.md")).unwrap();
    let mut wrong = Vec::new();
    for (way, told) in ways.iter().zip(told) {
        let (kind, place, code) = way.expected;
        let message = told["message"].as_str().unwrap_or_default();
        let right = told["class"] == true
            && told["kind"] == kind
            && told["where"] == place
            && told["relayCode"] == json!(code)
            && told["told"] == way.sentence
            && message.contains(way.says);
        if !right {
            wrong.push(format!("{}: {told}", way.name));
        }
        if !known.contains(way.sentence) {
            wrong.push(format!(
                "{}: docs/errors.md lacks: {}",
                way.name, way.sentence
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    stage.browser.close().await.unwrap();
}
