//! Keys at a URL: fetched, renewed, and what becomes of it when that fails.

mod common;

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use common::{Client, ORIGIN, TestRelay, acceptor, config, within};
use jackfield_relay_wire::{Code, Frame};
use jackfield_relayd::token::{Claims, Credential, PublicKeys, RemoteKeys, SigningKey};
use jackfield_relayd::{Config, Relayd};
use jackfield_testing::certs::Authority;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::watch;

/// What nobody should publish: the private half, of whatever is known of it.
const LEAKED: &str = "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"leaked\",\
    \"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\",\"d\":\"AAAA\"}]}";

/// What a provider answers.
#[derive(Clone, Debug)]
enum Answer {
    /// This status line, these headers, and this body.
    Text(&'static str, &'static str, String),
    /// A body without end.
    Endless,
    /// Nothing.
    Silence,
}

/// An identity provider.
struct Provider {
    url: String,
    roots: String,
    answer: Arc<Mutex<Answer>>,
    /// How often it was asked.
    asked: watch::Receiver<u32>,
    /// How many bytes of an endless body were taken, when it was cut.
    cut: watch::Receiver<usize>,
}

impl Provider {
    async fn start(answer: Answer) -> Self {
        let (acceptor, roots) = acceptor();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let answer = Arc::new(Mutex::new(answer));
        let (count, asked) = watch::channel(0);
        let (cutting, cut) = watch::channel(0);
        let current = Arc::clone(&answer);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, current) = (acceptor.clone(), Arc::clone(&current));
                let (count, cutting) = (count.clone(), cutting.clone());
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        let _ = serve(stream, &current, &count, &cutting).await;
                    }
                });
            }
        });
        Self {
            url: format!("https://localhost:{port}/keys?of=tests"),
            roots,
            answer,
            asked,
            cut,
        }
    }

    fn answer(&self, answer: Answer) {
        *self.answer.lock().expect("no panic") = answer;
    }

    /// Waits until it was asked so often.
    async fn asked(&mut self, times: u32) {
        let asked = self.asked.wait_for(|asked| *asked >= times);
        within(asked).await.expect("it runs");
    }

    /// A relay's configuration that takes the tokens of its keys.
    fn config(&self) -> Config {
        let keys = RemoteKeys::new(&self.url, Some(&self.roots)).expect("valid");
        let mut token = common::token();
        token.credential = Credential::RemoteKeys(keys);
        config(token)
    }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    current: &Mutex<Answer>,
    count: &watch::Sender<u32>,
    cut: &watch::Sender<usize>,
) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    assert!(head.starts_with(b"GET /keys?of=tests HTTP/1.1\r\n"));
    let answer = current.lock().expect("no panic").clone();
    count.send_modify(|count| *count += 1);
    match answer {
        Answer::Text(status, headers, body) => {
            let length = body.len();
            let text =
                format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\n\r\n{body}");
            stream.write_all(text.as_bytes()).await?;
            stream.shutdown().await
        }
        Answer::Endless => {
            let head = "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n{\"keys\":[";
            stream.write_all(head.as_bytes()).await?;
            let mut taken = 0;
            while stream.write_all(&[b' '; 4096]).await.is_ok() {
                taken += 4096;
            }
            cut.send_replace(taken);
            Ok(())
        }
        Answer::Silence => std::future::pending().await,
    }
}

/// A key that tokens are signed with, by the name that its JWK has.
fn key(id: &str) -> SigningKey {
    let pem = rcgen::KeyPair::generate().expect("a key").serialize_pem();
    SigningKey::from_pem(&pem).expect("on P-256").with_id(id)
}

fn keys(keys: &[&SigningKey]) -> Answer {
    let keys: Vec<_> = (keys.iter().map(|key| key.public_jwk().expect("it has one"))).collect();
    let set = format!("{{\"keys\":[{}]}}", keys.join(","));
    Answer::Text("200 OK", "Cache-Control: max-age=600\r\n", set)
}

fn token(key: &SigningKey) -> String {
    let mut claims = Claims::new(SystemTime::now() + Duration::from_secs(1000));
    claims.subject = Some("ada".into());
    key.mint(&claims).expect("short")
}

async fn open(relay: &TestRelay, key: &SigningKey) -> Client {
    let client = Client::open(relay.address, ORIGIN, Some(&token(key))).await;
    client.expect("let in")
}

/// It has not been ended.
async fn is_there(client: &mut Client) {
    client.send(&Frame::Ping([7; 8])).await;
    assert_eq!(client.frame().await, Frame::Pong([7; 8]));
}

/// Whether it comes in; if not, it is for the token.
async fn comes_in(relay: &TestRelay, key: &SigningKey) -> bool {
    let client = Client::upgrade(relay.address, ORIGIN, Some(&token(key))).await;
    let mut client = client.expect("a WebSocket");
    match client.frame().await {
        Frame::Hello(_) => true,
        Frame::GoAway(reason) => {
            assert_eq!(reason.code(), Code::TOKEN_UNKNOWN, "{reason}");
            false
        }
        other => panic!("{other:?}"),
    }
}

/// A key that isn't there has the relay ask again, once; what is there no longer ends.
#[tokio::test]
async fn keys_are_rotated() {
    let (old, both, new) = (key("1"), key("2"), key("3"));
    let mut provider = Provider::start(keys(&[&old, &both])).await;
    let relay = TestRelay::start(provider.config()).await;
    assert_eq!(*provider.asked.borrow(), 1, "before anybody came");
    let mut by_old = open(&relay, &old).await;
    let mut by_both = open(&relay, &both).await;

    provider.answer(keys(&[&both, &new]));
    assert!(!comes_in(&relay, &new).await);
    provider.asked(2).await;
    let reason = by_old.last_word().await.expect("a reason");
    assert_eq!(reason.code(), Code::TOKEN_UNKNOWN);
    open(&relay, &new).await;
    assert!(!comes_in(&relay, &old).await);
    is_there(&mut by_both).await;

    // Whoever asks for keys that aren't there has the provider asked no more for a minute.
    for number in 10..15 {
        assert!(!comes_in(&relay, &key(&number.to_string())).await);
    }
    assert_eq!(*provider.asked.borrow(), 2);
}

/// Tokens that others know are no reason to ask for keys.
#[tokio::test]
async fn only_what_nobody_knows_has_keys_renewed() {
    let (known, own, new) = (key("1"), key("own"), key("2"));
    let mut provider = Provider::start(keys(&[&known])).await;
    let mut config = provider.config();
    let mut other = common::token();
    other.name = "other".into();
    let public = own.public_jwk().expect("it has one");
    other.credential = Credential::PublicKeys(PublicKeys::new(&public).expect("a key"));
    config.tokens.push(other);
    let relay = TestRelay::start(config).await;
    open(&relay, &own).await;
    // Time enough to ask.
    for _ in 0..10 {
        open(&relay, &known).await;
    }
    assert_eq!(*provider.asked.borrow(), 1);
    provider.answer(keys(&[&known, &new]));
    assert!(!comes_in(&relay, &new).await);
    provider.asked(2).await;
    within(async { while !comes_in(&relay, &new).await {} }).await;
    assert_eq!(*provider.asked.borrow(), 2);
}

/// Whatever the provider does, those who have a good token go on, and come in.
#[tokio::test]
async fn a_provider_that_fails_takes_nothing_away() {
    let text = |status, headers, body: &str| Answer::Text(status, headers, body.to_owned());
    for answer in [
        text("500 Internal Server Error", "", ""),
        text("302 Found", "Location: /keys\r\n", ""),
        text("200 OK", "", "<html></html>"),
        text("200 OK", "", "{\"keys\":[]}"),
        text("200 OK", "", LEAKED),
        text("200 OK", "Transfer-Encoding: chunked\r\n", "no chunks"),
        text("200 OK", "Content-Length: 7\r\n", "longer than that"),
        text("what", "", ""),
        Answer::Endless,
    ] {
        let good = key("1");
        let mut provider = Provider::start(keys(&[&good])).await;
        let relay = TestRelay::start(provider.config()).await;
        let mut client = open(&relay, &good).await;
        provider.answer(answer.clone());
        assert!(!comes_in(&relay, &key("2")).await);
        provider.asked(2).await;
        if let Answer::Endless = answer {
            let cut = within(provider.cut.wait_for(|taken| *taken > 0)).await;
            let taken = *cut.expect("it runs");
            // With what was on its way, in the system's buffers.
            assert!(taken < 16 * 1024 * 1024, "{taken}");
        }
        is_there(&mut client).await;
        open(&relay, &good).await;
    }
}

/// A relay that would let nobody in doesn't start, and says why.
#[tokio::test]
async fn a_relay_does_not_start_without_its_keys() {
    let error = async |config: Config| {
        let bound = within(Relayd::bind(config)).await;
        bound.expect_err("it has no keys").to_string()
    };
    let text = |status, body: &str| Answer::Text(status, "", body.to_owned());
    for (answer, expected) in [
        (text("404 Not Found", ""), "it answers 404 Not Found"),
        (text("200 OK", "{"), "neither a JWK nor a set of JWKs"),
        (text("200 OK", LEAKED), "there is a private key, \"leaked\""),
        (text("200 OK", "-----BEGIN"), "that is not a set of JWKs"),
        (Answer::Endless, "it has more than 262144 bytes"),
        (Answer::Silence, "it takes longer than 10 s"),
    ] {
        let provider = Provider::start(answer).await;
        let error = error(provider.config()).await;
        let names = error.starts_with(&format!("token[0].jwks_url: {}", provider.url));
        assert!(
            names && error.contains(expected),
            "{error}\nnot: {expected}"
        );
    }
    // Whoever answers must be who it is.
    let provider = Provider::start(keys(&[&key("1")])).await;
    let other = Authority::new();
    let keys = RemoteKeys::new(&provider.url, Some(other.pem())).expect("valid");
    let mut config = provider.config();
    config.tokens[0].credential = Credential::RemoteKeys(keys);
    let error = error(config).await;
    assert!(error.contains("certificate"), "{error}");
    assert_eq!(*provider.asked.borrow(), 0);
}

/// A reload keeps the keys that the relay has, and takes others when they are there.
#[tokio::test]
async fn a_reload_goes_on_with_the_keys_that_are_there() {
    let good = key("1");
    let mut provider = Provider::start(keys(&[&good])).await;
    let (relay, reloader) = TestRelay::start_reloadable(provider.config()).await;
    let mut client = open(&relay, &good).await;
    let mut changed = provider.config();
    changed.tokens[0].limits.streams = 1;
    reloader.reload(&changed).await.expect("the same URL");
    open(&relay, &good).await;
    is_there(&mut client).await;
    assert_eq!(*provider.asked.borrow(), 1);

    // What is reloaded is renewed, too.
    let new = key("2");
    provider.answer(keys(&[&good, &new]));
    assert!(!comes_in(&relay, &new).await);
    provider.asked(2).await;
    within(async { while !comes_in(&relay, &new).await {} }).await;
}

/// Another URL is as good as the first, if its keys can be had: before anything changes.
#[tokio::test]
async fn a_reload_fetches_keys_first() {
    let (one, two, three) = (key("1"), key("2"), key("3"));
    let old = Provider::start(keys(&[&one])).await;
    let (relay, reloader) = TestRelay::start_reloadable(old.config()).await;
    let mut client = open(&relay, &one).await;

    // In a file, so that it is said where.
    let directory = tempfile::tempdir().expect("a directory");
    let silent = Provider::start(Answer::Text("503 Busy", "", String::new())).await;
    std::fs::write(directory.path().join("roots.pem"), &silent.roots).expect("written");
    let text = format!(
        "listen = ['127.0.0.1:0']\n[[token]]\nname = 'tests'\njwks_roots_file = 'roots.pem'\n\
         jwks_url = '{}'",
        silent.url
    );
    let path = directory.path().join("relayd.toml");
    std::fs::write(&path, text).expect("written");
    let wrong = Config::load(&path).expect("valid");
    let error = reloader.reload(&wrong).await.expect_err("it has no keys");
    let expected = format!(
        "{}:5:12: token[0].jwks_url: {}: it answers 503",
        path.display(),
        silent.url
    );
    assert!(error.to_string().starts_with(&expected), "{error}");
    is_there(&mut client).await;
    open(&relay, &one).await;

    let mut new = Provider::start(keys(&[&two])).await;
    reloader.reload(&new.config()).await.expect("it has keys");
    let reason = client.last_word().await.expect("a reason");
    assert_eq!(reason.code(), Code::TOKEN_UNKNOWN);
    assert!(!comes_in(&relay, &one).await);
    new.asked(2).await;
    let mut client = open(&relay, &two).await;
    // What was left and is taken again is fetched again.
    new.answer(keys(&[&two, &three]));
    reloader.reload(&old.config()).await.expect("it has keys");
    reloader.reload(&new.config()).await.expect("it has keys");
    open(&relay, &three).await;
    let reason = client.last_word().await.expect("a reason");
    assert_eq!(reason.code(), Code::TOKEN_UNKNOWN);
}
