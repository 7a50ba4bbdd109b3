//! A server in the test's hand.

use jackfield_socket::ByteStream;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

pub(crate) struct Server<S>(pub(crate) BufReader<S>);

impl<S: ByteStream> Server<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self(BufReader::new(stream))
    }

    /// A line without its end; empty at the stream's end.
    pub(crate) async fn line(&mut self) -> String {
        let mut line = String::new();
        let _ = self.0.read_line(&mut line).await;
        line.trim_end_matches("\r\n").to_owned()
    }

    pub(crate) async fn say(&mut self, lines: &str) {
        for line in lines.lines() {
            let line = format!("{}\r\n", line.trim());
            let _ = self.0.get_mut().write_all(line.as_bytes()).await;
        }
    }

    pub(crate) async fn hears(&mut self, expected: &str) {
        assert_eq!(self.line().await, expected);
    }

    /// Greets, and says what it can do: a capability each word.
    pub(crate) async fn greet(&mut self, capabilities: &str) {
        self.say("220 mail.example ESMTP").await;
        self.hello(capabilities).await;
    }

    pub(crate) async fn hello(&mut self, capabilities: &str) {
        self.hears("EHLO client.example").await;
        self.say("250-mail.example").await;
        for capability in capabilities.split_terminator(',') {
            self.say(&format!("250-{capability}")).await;
        }
        self.say("250 HELP").await;
    }

    /// Takes a message: what came with DATA, as it came.
    pub(crate) async fn takes(&mut self) -> String {
        while self.line().await != "DATA" {
            self.say("250 Ok").await;
        }
        self.say("354 Go").await;
        let content = self.content().await;
        self.say("250 Taken").await;
        content
    }

    /// Content up to its end, with the dots that carry it.
    pub(crate) async fn content(&mut self) -> String {
        let mut content = Vec::new();
        while !content.ends_with(b"\r\n.\r\n") && content != b".\r\n" {
            let byte = self.0.read_u8().await.expect("more content");
            content.push(byte);
        }
        String::from_utf8(content).expect("text")
    }

    /// Whether the client has nothing more to say before the stream ends, in order or not.
    pub(crate) async fn is_at_end(&mut self) -> bool {
        let mut rest = Vec::new();
        let _ = self.0.read_to_end(&mut rest).await;
        rest.is_empty()
    }
}
