//! The log: what it has, and what it must never have.

mod common;

use std::io;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use common::{Client, ORIGIN, SECRET, TestRelay, config, target, token, within};
use jackfield_relay_wire::Frame;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

/// A log in memory.
#[derive(Clone, Debug, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn the_log_has_sessions_and_refusals_but_no_payload_and_no_token() {
    const PAYLOAD: &str = "PASS a-password-that-a-client-sends";
    const ANSWER: &str = "250 an-answer-with-private-things";
    const WRONG: &str = "a-token-that-was-mistyped";
    let log = Log::default();
    // Everything, of every library too.
    tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_ansi(false)
        .with_writer(log.clone())
        .init();

    let mut relay = TestRelay::start(config(token())).await;
    let denied = Client::upgrade(relay.address, ORIGIN, Some(WRONG)).await;
    let reason = denied.expect("a WebSocket").last_word().await;
    reason.expect("not let in");
    let refused = Client::upgrade(relay.address, "https://evil.example", Some(SECRET)).await;
    let reason = refused.expect("a WebSocket").last_word().await;
    reason.expect("not let in");
    let (address, echo) = target(|mut stream| async move {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let mut read = vec![0; PAYLOAD.len()];
        stream.read_exact(&mut read).await?;
        stream.write_all(ANSWER.as_bytes()).await
    })
    .await;
    let mut client = relay.client().await;
    client.refused("10.0.0.1:8080").await;
    client.refused("forbidden.example:80").await;
    let (id, mut credit) = client.connect(&address, 1024).await;
    let data = PAYLOAD.into();
    client.send(&Frame::Data { id, data }).await;
    let (answer, reset) = client.read_to_end(id, &mut credit).await;
    assert_eq!((&*answer, reset), (ANSWER.as_bytes(), None));
    within(echo).await.expect("it ends").expect("in order");
    // A message that is no frame, with a payload in it.
    client.send_raw(PAYLOAD.into()).await;
    client.last_word().await.expect("a reason");
    relay.stopped().await;

    let log = log.0.lock().expect("no panic");
    let log = String::from_utf8(log.clone()).expect("text");
    for expected in [
        "a session begins",
        "a session ends",
        "the token is not accepted",
        "this Origin may not use the relay",
        "10.0.0.1:8080",
        "forbidden.example:80",
        "no rule allows it",
        "shutting down",
    ] {
        assert!(log.contains(expected), "{expected:?} is not in\n{log}");
    }
    for secret in [
        PAYLOAD,
        ANSWER,
        SECRET,
        WRONG,
        "a-password",
        "private-things",
    ] {
        let encoded = BASE64_URL_SAFE_NO_PAD.encode(secret);
        for form in [secret, &encoded] {
            assert!(!log.contains(form), "{form:?} is in\n{log}");
        }
    }
}
