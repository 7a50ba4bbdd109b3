//! The relay's tokens with libraries that others wrote: PyJWT, and jose of npm. What they make lets in and
//! no further than it says, and what we make they can read.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jackfield_native::Native;
use jackfield_relay::{Connection, Relay, RelayConfig};
use jackfield_relayd::token::{Credential, PublicKeys, Secret, SigningKey};
use jackfield_relayd::{Config, Relayd, Token};
use jackfield_server_tests::LONG;
use jackfield_socket::{ErrorKind, TcpConnect as _, TcpOptions};
use jackfield_testing::runtimes::{node, python};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, UnixStream};

const ED25519: [&str; 2] = [
    include_str!("../../../relayd/tests/keys/ed25519.pem"),
    include_str!("../../../relayd/tests/keys/ed25519.pub.pem"),
];
const P256: [&str; 2] = [
    include_str!("../../../relayd/tests/keys/p256.pem"),
    include_str!("../../../relayd/tests/keys/p256.pub.pem"),
];
const HS256: &str = "a-signing-key-that-has-32-letters";
const AUDIENCE: &str = "relay.example";

/// What a library is asked.
#[derive(Serialize)]
struct Asked {
    private: HashMap<&'static str, &'static str>,
    public: HashMap<&'static str, &'static str>,
    ours: HashMap<&'static str, String>,
    claims: Value,
}

/// What it says, by algorithm.
#[derive(Deserialize)]
struct Said {
    read: HashMap<String, Value>,
    made: HashMap<String, String>,
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.expect("later than 1970").as_secs()
}

/// A key of ours for each algorithm.
fn keys() -> [(&'static str, SigningKey); 3] {
    let from_pem = |pem| SigningKey::from_pem(pem).expect("a key");
    let secret = Secret::new(HS256).expect("long enough");
    [
        ("EdDSA", from_pem(ED25519[0])),
        ("ES256", from_pem(P256[0])),
        ("HS256", SigningKey::hs256(&secret).expect("long enough")),
    ]
}

/// A relay that knows a key for each algorithm, and reaches loopback; it mints with each, where it has a socket
/// for that.
async fn relay(mint: Option<PathBuf>) -> SocketAddr {
    let public = |pem| Credential::PublicKeys(PublicKeys::new(pem).expect("a key"));
    let secret = Secret::new(HS256).expect("long enough");
    let token = |name: &str, credential| {
        let mut token = Token::new(name, credential);
        token.policy.allow = vec!["127.0.0.1/32:*".parse().expect("a rule")];
        token
    };
    let mut config = Config::default();
    config.listen = vec![SocketAddr::from(([127, 0, 0, 1], 0))];
    config.allow_without_origin = true;
    config.audience = Some(AUDIENCE.into());
    config.mint = mint;
    config.tokens = vec![
        token("EdDSA", public(ED25519[1])),
        token("ES256", public(P256[1])),
        token("HS256", Credential::Key(secret)),
    ];
    for (token, (name, key)) in config.tokens.iter_mut().zip(keys()) {
        token.mint_at_most = Some(Duration::from_mins(15));
        token.mint_key = (name != "HS256").then_some(key);
    }
    let relayd = Relayd::bind(config).await.expect("a port");
    let address = relayd.local_addrs()[0];
    tokio::spawn(relayd.run(std::future::pending()));
    address
}

fn client(relay: SocketAddr, token: &str) -> (Relay, Connection) {
    let config = RelayConfig::new(&format!("ws://{relay}/"))
        .and_then(|config| config.with_token(token))
        .expect("a configuration");
    Relay::over(Native, config)
}

/// Has a library read our tokens, and the relay read its own.
async fn agree(library: impl Fn(&Asked) -> Command) {
    let target = async || TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let (allowed, other) = (target().await, target().await);
    let [allowed, other] = [&allowed, &other].map(|it| it.local_addr().expect("its address"));
    let directory = tempfile::tempdir().expect("a directory");
    let socket = directory.path().join("mint.sock");
    let relay = relay(Some(socket.clone())).await;
    let mut ours = HashMap::new();
    for (name, _) in keys() {
        ours.insert(name, minted(&socket, name, &allowed.to_string()).await);
    }
    let asked = Asked {
        private: [("EdDSA", ED25519[0]), ("ES256", P256[0]), ("HS256", HS256)].into(),
        public: [("EdDSA", ED25519[1]), ("ES256", P256[1]), ("HS256", HS256)].into(),
        ours,
        claims: json!({
            "sub": "ada", "jti": "8", "iat": now(), "exp": now() + 900, "aud": AUDIENCE,
            "allow": [allowed.to_string()], "limits": { "streams": 4 },
        }),
    };
    let said = output_of(library(&asked)).await;
    let said: Said = serde_json::from_str(&said).expect("JSON");

    for (algorithm, _) in keys() {
        let read = &said.read[algorithm];
        assert_eq!((&read["sub"], &read["jti"]), (&json!("ada"), &json!("7")));
        assert_eq!(read["allow"], json!([allowed.to_string()]), "{algorithm}");

        let (network, connection) = client(relay, &said.made[algorithm]);
        let moving = tokio::spawn(connection);
        let connect = async |to: SocketAddr| {
            let to = to.to_string().parse().expect("an endpoint");
            let options = TcpOptions::default();
            let connecting = network.connect(&to, &options);
            tokio::time::timeout(LONG, connecting).await.expect("soon")
        };
        connect(allowed).await.expect(algorithm);
        let refused = connect(other).await.expect_err(algorithm);
        assert_eq!(refused.kind(), ErrorKind::Denied, "{algorithm}: {refused}");
        moving.abort();
    }
}

/// What the relay itself mints, for ada to reach this.
async fn minted(socket: &Path, name: &str, allowed: &str) -> String {
    let request = json!({
        "ask": "mint", "token": name, "sub": "ada", "jti": "7", "allow": [allowed],
    });
    let mut stream = UnixStream::connect(socket).await.expect("it listens");
    let line = format!("{request}\n");
    stream.write_all(line.as_bytes()).await.expect("taken");
    let mut answer = String::new();
    let reading = tokio::time::timeout(LONG, stream.read_to_string(&mut answer)).await;
    reading.expect("soon").expect("text");
    let answer: Value = serde_json::from_str(&answer).expect("JSON");
    answer["jwt"].as_str().expect("a token").to_owned()
}

/// What a program writes that ends well.
async fn output_of(command: Command) -> String {
    let mut command = tokio::process::Command::from(command);
    let output = command.kill_on_drop(true).output();
    let output = tokio::time::timeout(LONG, output).await;
    let output = output.expect("it takes not so long").expect("it starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout).expect("text")
}

fn with_asked(mut command: Command, asked: &Asked) -> Command {
    command.arg(serde_json::to_string(asked).expect("JSON"));
    command
}

#[tokio::test]
async fn pyjwt_and_the_relay_read_each_other() {
    let source = include_str!("../python/tokens.py");
    agree(|asked| with_asked(python(source).expect("Python"), asked)).await;
}

#[tokio::test]
async fn jose_and_the_relay_read_each_other() {
    let source = include_str!("../node/tokens.mjs");
    agree(|asked| with_asked(node(source).expect("node"), asked)).await;
}

#[tokio::test]
async fn a_back_end_in_node_has_a_token_minted() {
    let directory = tempfile::tempdir().expect("a directory");
    let socket = directory.path().join("mint.sock");
    let relay = relay(Some(socket.clone())).await;
    let mut command = node(include_str!("../node/mint.mjs")).expect("node");
    command.arg(&socket).args(["HS256", "ada"]);
    let token = output_of(command).await;
    let (network, connection) = client(relay, token.trim_end());
    tokio::spawn(connection);
    let ready = tokio::time::timeout(LONG, network.ready()).await;
    ready.expect("soon").expect("let in");
}
