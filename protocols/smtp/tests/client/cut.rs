//! Cuts: a session that ends at each of its bytes, in each direction. No message is lost or sent
//! twice without its sender knowing.

use std::sync::{Arc, Mutex};

use jackfield_sasl::Credentials;
use jackfield_sim::SimListener;
use jackfield_smtp::RequestError;
use jackfield_smtp::core::Protocol;
use jackfield_socket::{ByteStream, TcpListener as _};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{World, config, envelope, world};

/// A server that works, until so many bytes were read or written; then it works again.
struct Server {
    capabilities: &'static str,
    reads: usize,
    writes: usize,
    taken: Taken,
}

/// The messages that were taken whole, and whether there was a cut.
type Taken = Arc<Mutex<(Vec<String>, bool)>>;

impl Server {
    /// Serves one connection until one side ends it.
    async fn serve(&mut self, stream: &mut impl ByteStream) {
        let mut heard = Vec::new();
        if !self.say(stream, "220 mail.example\r\n").await {
            return;
        }
        // Content comes, so much of it or up to its dot.
        let mut content: Option<usize> = None;
        // What has come of a message that is counted, and whether the piece that comes is its last.
        let (mut message, mut is_last) = (String::new(), true);
        loop {
            let end = match content {
                Some(0) => {
                    let end = heard.windows(5).position(|it| it == b"\r\n.\r\n");
                    end.map(|at| at + 5)
                }
                Some(count) => (heard.len() >= count).then_some(count),
                None => heard.iter().position(|it| *it == b'\n').map(|at| at + 1),
            };
            let Some(end) = end else {
                let mut byte = [0];
                if self.reads == 0 || !matches!(stream.read(&mut byte).await, Ok(1)) {
                    return;
                }
                self.reads -= 1;
                heard.push(byte[0]);
                continue;
            };
            let piece: Vec<u8> = heard.drain(..end).collect();
            let text = String::from_utf8(piece).expect("text");
            let is_content = content.take().is_some();
            let mut answer = "250 Ok\r\n";
            match text.trim_end() {
                _ if is_content => {
                    message.push_str(&text);
                    if is_last {
                        let mut taken = self.taken.lock().expect("no panic");
                        taken.0.push(std::mem::take(&mut message));
                    }
                }
                "EHLO client.example" | "LHLO client.example" => answer = self.capabilities,
                "AUTH PLAIN AGFkYQBjb3JyZWN0IGhvcnNl" => answer = "235 In\r\n",
                "DATA" => {
                    (content, is_last) = (Some(0), true);
                    answer = "354 Go\r\n";
                }
                line => {
                    if let Some(count) = line.strip_prefix("BDAT ") {
                        let (count, last) = count.split_once(' ').unwrap_or((count, ""));
                        is_last = last == "LAST";
                        let count: usize = count.parse().expect("a number");
                        if count > 0 {
                            content = Some(count);
                            continue;
                        }
                        let mut taken = self.taken.lock().expect("no panic");
                        taken.0.push(std::mem::take(&mut message));
                    }
                }
            }
            if !self.say(stream, answer).await || text == "QUIT\r\n" {
                return;
            }
        }
    }

    async fn say(&mut self, stream: &mut impl ByteStream, text: &str) -> bool {
        let count = text.len().min(self.writes);
        self.writes -= count;
        let written = stream.write_all(&text.as_bytes()[..count]).await;
        written.is_ok() && count == text.len()
    }

    /// Serves for ever; after the cut, it works.
    async fn serve_all(mut self, mut listener: SimListener) {
        while let Ok(mut stream) = listener.accept().await {
            self.serve(&mut stream).await;
            if self.reads == 0 || self.writes == 0 {
                (self.reads, self.writes) = (usize::MAX, usize::MAX);
                self.taken.lock().expect("no panic").1 = true;
            }
        }
    }
}

/// What is cut.
#[derive(Clone, Copy, Debug)]
struct Case {
    capabilities: &'static str,
    /// The messages are read from somewhere, and not in memory.
    is_read: bool,
    protocol: Protocol,
    logs_in: bool,
}

/// Sends three messages to a server that is cut so; returns whether it was.
async fn cut(case: Case, reads: usize, writes: usize) -> bool {
    let mut config = config();
    config.session.protocol = case.protocol;
    if case.logs_in {
        config.session.allow_plaintext_auth = true;
        let credentials = Credentials::password("ada", "correct horse");
        config.session.credentials = Some(credentials.expect("valid"));
    }
    let World {
        client,
        events,
        connection,
        listener,
    } = world(config).await;
    drop(events);
    let taken = Taken::default();
    let server = Server {
        capabilities: case.capabilities,
        reads,
        writes,
        taken: Arc::clone(&taken),
    };
    let serving = tokio::spawn(server.serve_all(listener));
    let names = ["one@example.com", "two@example.com", "three@example.com"];
    let send = |name: &'static str| {
        let client = client.clone();
        async move {
            let (envelope, content) = (envelope(name), format!("To {name}.\n"));
            let sent = if case.is_read {
                client.send_from(envelope, content.as_bytes(), None).await
            } else {
                client.send(envelope, content).await
            };
            (name, sent)
        }
    };
    // One alone, so that the connection has been of use, and two at once.
    let first = send(names[0]).await;
    let (second, third) = tokio::join!(send(names[1]), send(names[2]));
    client.close().await;
    connection.await.expect("no panic").expect("in order");
    serving.abort();
    let (taken, was_cut) = taken.lock().expect("no panic").clone();
    for (name, outcome) in [first, second, third] {
        let times = taken.iter().filter(|it| it.contains(name)).count();
        let at = format!("{case:?}: {name} after {reads}, {writes}: {outcome:?}");
        match outcome {
            Ok(_) => assert_eq!(times, 1, "{at}"),
            Err(RequestError::OutcomeUnknown(outcome)) => {
                assert!(times <= 1, "{at}");
                assert_eq!(outcome.recipients.len(), 1, "{at}");
            }
            Err(RequestError::ConnectionLost | RequestError::NotConnected(_)) => {
                assert_eq!(times, 0, "{at}");
            }
            Err(error) => panic!("{at}: {error}"),
        }
    }
    was_cut
}

const PLAIN: &str = "250 mail.example\r\n";
const PIPELINING: &str = "250-mail.example\r\n250 PIPELINING\r\n";
const CHUNKING: &str = "250-mail.example\r\n250-PIPELINING\r\n250 CHUNKING\r\n";
const SLOW_CHUNKING: &str = "250-mail.example\r\n250 CHUNKING\r\n";
const LOGIN: &str = "250-mail.example\r\n250 AUTH PLAIN\r\n";

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for capabilities in [PLAIN, PIPELINING, CHUNKING, SLOW_CHUNKING, LOGIN] {
        for is_read in [false, true] {
            if is_read && (capabilities == PLAIN || capabilities == LOGIN) {
                continue;
            }
            cases.push(Case {
                capabilities,
                is_read,
                protocol: Protocol::Smtp,
                logs_in: capabilities == LOGIN,
            });
        }
    }
    cases.push(Case {
        capabilities: PIPELINING,
        is_read: false,
        protocol: Protocol::Lmtp,
        logs_in: false,
    });
    cases
}

#[tokio::test(start_paused = true)]
async fn at_every_byte_that_the_client_sends() {
    for case in cases() {
        let mut offset = 1;
        while cut(case, offset, usize::MAX).await {
            offset += 1;
        }
        assert!(offset > 200, "{case:?}: {offset}");
    }
}

#[tokio::test(start_paused = true)]
async fn at_every_byte_that_the_server_sends() {
    for case in cases() {
        let mut offset = 1;
        while cut(case, usize::MAX, offset).await {
            offset += 1;
        }
        assert!(offset > 100, "{case:?}: {offset}");
    }
}
