//! The command line against programs that others wrote.

use std::net::SocketAddr;
use std::process::{Output, Stdio};
use std::time::Duration;

use jackfield_relayd::token::{Credential, Secret};
use jackfield_relayd::{Config, Relayd, Token};
use jackfield_testing::command_line::jackfield;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

const TOKEN: &str = "a-token-of-these-tests";
/// Nothing here takes so long, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(30);

/// A relay that lets its users listen at loopback.
async fn relay() -> SocketAddr {
    let credential = Credential::Secret(Secret::new(TOKEN).expect("a secret"));
    let mut token = Token::new("test", credential);
    token.policy.listen = ["127.0.0.1:*"]
        .map(|rule| rule.parse().expect("a rule"))
        .into();
    let mut config = Config::default();
    config.listen = vec![SocketAddr::from(([127, 0, 0, 1], 0))];
    config.allow_without_origin = true;
    config.tokens = vec![token];
    let relay = Relayd::bind(config).await.expect("a port");
    let address = relay.local_addrs()[0];
    tokio::spawn(relay.run(std::future::pending()));
    address
}

#[tokio::test]
async fn curl_reaches_a_listener_at_the_relay() {
    let binary = jackfield().await.expect("the binary");
    let url = format!("ws://{}", relay().await);
    let mut listening = Command::new(binary)
        .args(["listen", "--relay", &url, "127.0.0.1:0"])
        .env("JACKFIELD_TOKEN", TOKEN)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the binary runs");
    let mut said = BufReader::new(listening.stderr.take().expect("piped")).lines();
    let mut says = async || {
        let line = timeout(PATIENCE, said.next_line()).await.expect("in time");
        line.expect("text").expect("a line")
    };
    let line = says().await;
    let at = line.strip_prefix("listening at ").expect("an address");

    // Its own port and address are told by curl itself.
    let curl = Command::new("curl")
        .args(["--silent", "--show-error", "--max-time", "20"])
        .args(["--write-out", "\n%{local_ip}:%{local_port}"])
        .args(["--data", "from curl", &format!("http://{at}/hook")])
        .kill_on_drop(true)
        .output();
    let serve = async {
        let line = says().await;
        let peer = line.strip_prefix("connection from ").expect("a peer");
        let mut input = listening.stdin.take().expect("piped");
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\ntaken";
        input.write_all(answer).await.expect("it reads");
        drop(input);
        let peer = peer.to_owned();
        let output = timeout(PATIENCE, listening.wait_with_output()).await;
        (peer, output.expect("in time").expect("an end"))
    };
    let (curl, (peer, heard)) = tokio::join!(curl, serve);
    let curl: Output = curl.expect("curl runs");
    assert!(curl.status.success(), "{curl:?}");
    let told = String::from_utf8(curl.stdout).expect("text");
    assert_eq!(told, format!("taken\n{peer}"));
    assert!(heard.status.success(), "{heard:?}");
    let request = String::from_utf8(heard.stdout).expect("text");
    assert!(request.starts_with("POST /hook HTTP/1.1\r\n"), "{request}");
    assert!(request.ends_with("\r\n\r\nfrom curl"), "{request}");
}
