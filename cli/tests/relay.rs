//! The same commands through a relay in this process.

mod common;

use std::net::SocketAddr;

use common::{command, listener, start};
use jackfield_irc::server::{ServerConfig, serve};
use jackfield_relayd::token::{ClientCa, Credential, Secret};
use jackfield_relayd::{Config, Relayd, TlsFiles, Token};
use jackfield_socket::TcpListener;
use jackfield_testing::certs::Authority;
use jackfield_testing::mqtt_broker::Broker;
use rustix::process::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;

const SECRET: &str = "the-secret-of-the-tests";

/// A relay whose token's bearer may reach this machine's loopback addresses, and listen there.
async fn relay() -> SocketAddr {
    let secret = Secret::new(SECRET).expect("long enough");
    relay_with(Credential::Secret(secret), None).await
}

/// The same, which lets in by this, and speaks TLS where it has files for it.
async fn relay_with(credential: Credential, tls: Option<TlsFiles>) -> SocketAddr {
    let mut token = Token::new("tests", credential);
    let rules = ["127.0.0.0/8:1024-65535"];
    token.policy.allow = rules.map(|rule| rule.parse().expect(rule)).into();
    let rules = ["127.0.0.1:*"];
    token.policy.listen = rules.map(|rule| rule.parse().expect(rule)).into();
    let mut config = Config::default();
    config.listen = vec!["127.0.0.1:0".parse().expect("an address")];
    config.allow_without_origin = true;
    config.tokens = vec![token];
    config.hosts = vec!["127.0.0.1".parse().expect("a host")];
    config.tls = tls.map(Into::into);
    let relay = Relayd::bind(config).await.expect("a free port");
    let at = relay.local_addrs()[0];
    tokio::spawn(relay.run(std::future::pending()));
    at
}

fn through(relay: SocketAddr, token: &str, args: &[&str]) -> Command {
    let url = format!("ws://{relay}");
    let mut all = vec![args[0], "--relay", &url];
    all.extend(&args[1..]);
    let mut command = command(&all);
    command.env("JACKFIELD_TOKEN", token);
    command
}

#[tokio::test]
async fn connecting() {
    let relay = relay().await;
    let (mut listener, at) = listener().await;
    let serve = async {
        let mut stream = listener.accept().await.expect("a connection");
        let mut question = Vec::new();
        stream.read_to_end(&mut question).await.expect("an end");
        stream.write_all(b"answer to ").await.expect("written");
        stream.write_all(&question).await.expect("written");
        stream.shutdown().await.expect("ended");
    };
    let port = at.port().to_string();
    let calling = start(through(relay, SECRET, &["nc", "-v", "127.0.0.1", &port]));
    let (outcome, ()) = tokio::join!(calling.finish(b"question"), serve);
    assert_eq!(outcome.code, Some(0), "{}", outcome.errors);
    assert_eq!(outcome.output, b"answer to question");
    assert!(
        outcome.errors.contains(&format!("connected to {at}")),
        "{}",
        outcome.errors
    );
}

#[tokio::test]
async fn messages_of_mqtt() {
    let relay = relay().await;
    let broker = Broker::start().await.expect("a broker");
    let url = format!("ws://{relay}");
    let port = broker.tcp().port().to_string();
    let mqtt = |verb, args: &[&str]| {
        let broker = [
            "mqtt",
            verb,
            "--relay",
            &url,
            "-h",
            "127.0.0.1",
            "-p",
            &port,
        ];
        let mut command = command(&[&broker, args].concat());
        command.env("JACKFIELD_TOKEN", SECRET);
        start(command)
    };
    let mut sub = mqtt("sub", &["-t", "a", "-q", "2", "-C", "1", "-d"]);
    sub.said("jackfield: subscribed").await;
    let outcome = mqtt("pub", &["-t", "a", "-q", "2", "-m", "hello"])
        .finish(b"")
        .await;
    assert_eq!(outcome.code, Some(0), "{}", outcome.errors);
    let outcome = sub.finish(b"").await;
    assert_eq!(outcome.output, b"hello\n", "{}", outcome.errors);

    // After a signal the broker hears the good-bye, and publishes no will.
    let mut watching = mqtt("sub", &["-t", "gone", "-q", "1", "-C", "1", "-d"]);
    watching.said("jackfield: subscribed").await;
    let will = ["--will-topic", "gone", "--will-payload", "ada"];
    let mut leaving = mqtt("sub", &[&will[..], &["-t", "a", "-d"]].concat());
    leaving.said("jackfield: subscribed").await;
    leaving.signal(Signal::INT);
    let outcome = leaving.end().await;
    assert_eq!(outcome.code, Some(130), "{}", outcome.errors);
    let publish = ["-t", "gone", "-q", "1", "-m", "after it"];
    let outcome = mqtt("pub", &publish).finish(b"").await;
    assert_eq!(outcome.code, Some(0), "{}", outcome.errors);
    let outcome = watching.finish(b"").await;
    assert_eq!(outcome.output, b"after it\n", "{}", outcome.errors);
}

#[tokio::test]
async fn listening_names_who_connects_to_the_relay() {
    let relay = relay().await;
    let mut listening = start(through(relay, SECRET, &["listen", "127.0.0.1:0"]));
    let at = listening.said("listening at ").await;
    let mut stream = TcpStream::connect(&at)
        .await
        .expect("the relay listens there");
    let peer = stream.local_addr().expect("an address").to_string();
    assert_eq!(listening.said("connection from ").await, peer);
    let ask = async {
        stream
            .write_all(b"GET / HTTP/1.0\r\n\r\n")
            .await
            .expect("written");
        stream.shutdown().await.expect("ended");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.expect("an end");
        answer
    };
    let (outcome, answer) = tokio::join!(listening.finish(b"HTTP/1.0 204 none\r\n\r\n"), ask);
    assert_eq!(outcome.code, Some(0), "{}", outcome.errors);
    assert_eq!(outcome.output, b"GET / HTTP/1.0\r\n\r\n");
    assert_eq!(answer, b"HTTP/1.0 204 none\r\n\r\n");
}

/// One types the protocol itself, the other has a client do it; each has a session of its own with
/// the relay, and both are in one room of one server.
#[tokio::test]
async fn two_commands_on_one_server() {
    let relay = relay().await;
    let (listener, at) = listener().await;
    tokio::spawn(serve(listener, ServerConfig::new()));
    let port = at.port().to_string();
    let args = ["irc", "--plain", "--nick", "ada", "--join", "#here"];
    let args = [&args[..], &["127.0.0.1", &port]].concat();
    let mut ada = start(through(relay, SECRET, &args));
    ada.prints("[#here] -> ada").await;

    let mut bob = start(through(relay, SECRET, &["nc", "127.0.0.1", &port]));
    bob.give(b"NICK bob\r\nUSER bob 0 * :Bob\r\nJOIN #here\r\n")
        .await;
    bob.prints(":bob!~bob@127.0.0.1 JOIN #here").await;
    ada.prints("[#here] -> bob").await;
    ada.give(b"hello bob\n").await;
    bob.prints(":ada!~ada@127.0.0.1 PRIVMSG #here :hello bob")
        .await;
    bob.give(b"PRIVMSG #here :hello ada\r\n").await;
    ada.prints("[#here] <bob> hello ada").await;

    let outcome = ada.finish(b"/quit\n").await;
    assert_eq!(outcome.code, Some(0), "{}", outcome.errors);
    let outcome = bob.finish(b"QUIT\r\n").await;
    assert_eq!(outcome.code, Some(0), "{}", outcome.errors);
}

#[tokio::test]
async fn what_the_relay_forbids() {
    let relay = relay().await;
    let refused = start(through(relay, SECRET, &["nc", "127.0.0.1", "25"]));
    let outcome = refused.finish(b"").await;
    assert_eq!(outcome.code, Some(6), "{}", outcome.errors);
    assert!(
        outcome
            .errors
            .starts_with("jackfield: connecting to 127.0.0.1:25: "),
        "{}",
        outcome.errors
    );
    assert!(!outcome.errors.contains(SECRET));
}

#[tokio::test]
async fn a_token_that_is_not_known_is_not_shown() {
    let relay = relay().await;
    let wrong = "not-the-secret-of-the-tests";
    let refused = start(through(relay, wrong, &["nc", "-v", "127.0.0.1", "1024"]));
    let outcome = refused.finish(b"").await;
    assert_eq!(outcome.code, Some(6), "{}", outcome.errors);
    let expected = format!("jackfield: reaching the relay at ws://{relay}: ");
    assert!(outcome.errors.starts_with(&expected), "{}", outcome.errors);
    assert!(!outcome.errors.contains(wrong), "{}", outcome.errors);
}

#[tokio::test]
async fn a_token_from_a_file() {
    let relay = relay().await;
    let (mut listener, at) = listener().await;
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("token");
    std::fs::write(&path, format!("{SECRET}\n")).expect("written");
    let port = at.port().to_string();
    let file = path.to_str().expect("text");
    let args = ["nc", "--token-file", file, "127.0.0.1", &port];
    let calling = start(through(relay, "the variable is not asked", &args));
    let serve = async {
        let mut stream = listener.accept().await.expect("a connection");
        stream.shutdown().await.expect("ended");
    };
    let (outcome, ()) = tokio::join!(calling.finish(b""), serve);
    assert_eq!(outcome.code, Some(0), "{}", outcome.errors);
}

/// A certificate lets in without a token, and one that doesn't is told why.
#[tokio::test]
async fn a_certificate_in_the_place_of_a_token() {
    let (trusted, fleet) = (Authority::new(), Authority::new());
    let directory = tempfile::tempdir().expect("a directory");
    let write = |of: &Authority, name: &str| {
        let files = of.client(name).write_to(directory.path(), name);
        let files = files.expect("both files");
        [files.certificate, files.key].map(|path| path.to_string_lossy().into_owned())
    };
    let ca = directory.path().join("ca.pem");
    std::fs::write(&ca, trusted.pem()).expect("written");
    let files = (trusted.server(&["127.0.0.1"])).write_to(directory.path(), "relay");
    let files = files.expect("both files");
    let authority = ClientCa::from_pem(fleet.pem(), None).expect("an authority");
    let files = TlsFiles::new(files.certificate, files.key);
    let relay = relay_with(Credential::Certificates(authority), Some(files)).await;
    let (mut listener, at) = listener().await;
    let port = at.port().to_string();
    let calls = |scheme: &str, [certificate, key]: &[String; 2]| {
        let url = format!("{scheme}://{relay}");
        let ca = ca.to_string_lossy();
        let args = ["nc", "--relay", &url, "--relay-ca", &ca];
        let shown = ["--relay-cert", certificate, "--relay-key", key];
        start(command(
            &[&args[..], &shown, &["127.0.0.1", &port]].concat(),
        ))
    };

    let ada = write(&fleet, "ada");
    let serve = async {
        let mut stream = listener.accept().await.expect("a connection");
        stream.shutdown().await.expect("ended");
    };
    let (outcome, ()) = tokio::join!(calls("wss", &ada).finish(b""), serve);
    assert_eq!(outcome.code, Some(0), "{}", outcome.errors);

    let eve = write(&Authority::new(), "eve");
    let outcome = calls("wss", &eve).finish(b"").await;
    assert_eq!(outcome.code, Some(6), "{}", outcome.errors);
    let why = "the certificate is of no authority that the relay knows";
    assert!(outcome.errors.contains(why), "{}", outcome.errors);

    // Where it couldn't be shown, or is none, nothing is tried.
    let [certificate, _] = &ada;
    let [_, key] = &eve;
    for (scheme, files, expected) in [
        ("ws", ada.clone(), "wss://"),
        ("wss", [certificate.clone(), key.clone()], &**certificate),
        ("wss", ["none".into(), key.clone()], "can't read none"),
    ] {
        let outcome = calls(scheme, &files).finish(b"").await;
        assert_eq!(outcome.code, Some(2), "{}", outcome.errors);
        assert!(outcome.errors.contains(expected), "{}", outcome.errors);
    }
    let alone = ["nc", "--relay", "wss://a", "--relay-cert", "b", "c", "1"];
    let outcome = start(command(&alone)).finish(b"").await;
    assert_eq!(outcome.code, Some(2), "{}", outcome.errors);
    assert!(outcome.errors.contains("--relay-key"), "{}", outcome.errors);
}
