//! What every server of mail is asked to do, and what must arrive.

use std::collections::BTreeSet;

use jackfield_smtp::client::{self, Client, ClientConfig, Envelope};
use jackfield_smtp::core::{Config, Protocol};
use jackfield_smtp::{RequestError, SessionError};
use jackfield_socket::{Endpoint, TcpConnect};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use crate::LONG;

/// The name that the client gives itself.
pub const NAME: &str = "client.jackfield.test";

/// How a client of these tests is called, with nothing else set.
pub fn config() -> Config {
    Config::new(NAME.parse().expect("a domain"))
}

/// A client, and its work.
#[derive(Debug)]
pub struct User {
    /// The handle.
    pub client: Client,
    connection: JoinHandle<Result<(), client::ConnectionError>>,
}

impl User {
    /// A client of this server.
    pub fn new(
        network: impl TcpConnect,
        server: &Endpoint,
        config: impl Into<ClientConfig>,
    ) -> Self {
        let (client, _, connection) = client::connect(network, server.clone(), config);
        Self {
            client,
            connection: tokio::spawn(connection),
        }
    }

    /// Takes leave in order.
    pub async fn close(self) {
        let closing = timeout(LONG, self.client.close()).await;
        closing.expect("in time");
        let ended: Result<(), jackfield_client::ConnectionError<SessionError>> =
            self.connection.await.expect("no panic");
        ended.expect("in order");
    }
}

/// An envelope from ada to these.
pub fn envelope(to: &[&str]) -> Envelope {
    let to = to.iter().map(|to| to.parse().expect("a mailbox"));
    Envelope::new("ada@example.org".parse().expect("a path"), to)
}

/// A message with this text, which has a name.
pub fn message(name: &str, text: &str) -> String {
    format!(
        "From: ada@example.org\nTo: grace@example.com\nSubject: {name}\n\
         Date: Sun, 29 Nov 2026 00:00:00 +0000\nMessage-ID: <{name}@example.org>\n\n{text}"
    )
}

/// The name and the text of a message that has arrived, with LF for its line ends.
pub fn parts(message: &[u8]) -> (String, String) {
    let message = String::from_utf8(message.to_vec()).expect("text");
    let message = message.replace("\r\n", "\n");
    assert!(!message.contains('\r'), "a lone CR: {message:?}");
    let (head, text) = message.split_once("\n\n").expect("an empty line");
    let subject = head
        .lines()
        .find_map(|line| line.strip_prefix("Subject: "))
        .expect("a subject");
    (subject.to_owned(), text.to_owned())
}

/// The texts that are sent: short ones, dots and line ends in all places, eight bits, and long.
pub fn texts() -> Vec<(String, String)> {
    let long = ".all work and no play\n".repeat(20_000);
    let texts = [
        "Good morning.\n",
        "no end",
        ".\n..\n.a\n\n.\n",
        "Grüße\n",
        "\n\n\n",
        &long,
    ];
    let named = texts.iter().enumerate();
    named
        .map(|(number, text)| (format!("text-{number}"), (*text).to_owned()))
        .collect()
}

/// Sends all that a server is asked to take, and what is [refused](refusals). Returns the names of the messages
/// and their texts, as they must arrive at `grace@example.com`.
pub async fn play(user: &User) -> BTreeSet<(String, String)> {
    let mut sent = taken(user).await;
    assert!(sent.insert(refusals(user).await));
    sent
}

/// Sends all that a server is asked to take, one after the other, at once, and read from somewhere; as
/// [`play`].
pub async fn taken(user: &User) -> BTreeSet<(String, String)> {
    let mut sent = BTreeSet::new();
    let mut keep = |name: String, text: &str| {
        let end = if text.ends_with('\n') { "" } else { "\n" };
        assert!(sent.insert((name, format!("{text}{end}"))));
    };
    for (name, text) in texts() {
        let outcome = user
            .client
            .send(envelope(&["grace@example.com"]), message(&name, &text))
            .await;
        let outcome = outcome.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(outcome.is_complete(), "{outcome:?}");
        keep(name, &text);

        let name = format!("read-{}", sent_name(&text));
        let source = message(&name, &text);
        let size = Some(source.len() as u64);
        let outcome = user
            .client
            .send_from(envelope(&["grace@example.com"]), source.as_bytes(), size)
            .await;
        outcome.unwrap_or_else(|error| panic!("{name}: {error}"));
        keep(name, &text);
    }

    let mut all = JoinSet::new();
    for number in 0..40 {
        let client = user.client.clone();
        all.spawn(async move {
            let name = format!("one-of-many-{number}");
            let content = message(&name, &format!("{number}\n"));
            (
                number,
                name,
                client.send(envelope(&["grace@example.com"]), content).await,
            )
        });
    }
    while let Some(outcome) = all.join_next().await {
        let (number, name, outcome) = outcome.expect("no panic");
        outcome.unwrap_or_else(|error| panic!("{name}: {error}"));
        keep(name, &format!("{number}\n"));
    }

    user.client.noop().await.expect("a sign of life");
    sent
}

/// Who is not known is refused, and the others get it; and what is larger than a million bytes isn't sent.
/// Returns what arrives all the same.
pub async fn refusals(user: &User) -> (String, String) {
    let to = envelope(&["nobody@example.com", "grace@example.com"]);
    let outcome = user.client.send(to, message("partial", "Hi.\n")).await;
    let outcome = outcome.expect("taken for one");
    assert_eq!(outcome.accepted().count(), 1);
    let (mailbox, reply) = outcome.refused().next().expect("one is refused");
    assert_eq!(
        (mailbox.as_str(), reply.code()),
        ("nobody@example.com", 550)
    );

    let none = user
        .client
        .send(envelope(&["nobody@example.com"]), message("none", "Hi.\n"))
        .await;
    assert!(matches!(none, Err(RequestError::Refused(_))), "{none:?}");
    let large = "a line of thirty-two characters\n".repeat(40_000);
    let large = user
        .client
        .send(envelope(&["grace@example.com"]), message("large", &large))
        .await;
    assert!(
        matches!(large, Err(RequestError::TooLarge { limit: 1_000_000 })),
        "{large:?}"
    );
    user.client.noop().await.expect("a sign of life");
    ("partial".to_owned(), "Hi.\n".to_owned())
}

/// A name for a text.
fn sent_name(text: &str) -> usize {
    let all = texts();
    let at = all.iter().position(|(_, it)| it == text);
    at.expect("one of them")
}

/// A client of LMTP.
pub fn lmtp() -> Config {
    let mut config = config();
    config.protocol = Protocol::Lmtp;
    config
}
