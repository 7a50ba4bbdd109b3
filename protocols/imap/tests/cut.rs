//! Cuts: a session that ends at each of its bytes, in each direction, by a cut or in order. No message is
//! appended twice, or lost, without its owner knowing, and no answer is taken for more than it was.

mod common;

use std::sync::{Arc, Mutex};

use common::{World, config, world};
use jackfield_imap::RequestError;
use jackfield_imap::client::{self, Append, Former};
use jackfield_imap::codec::{AppendMessage, Item, MailboxName, Messages, Section, SequenceSet};
use jackfield_sim::SimListener;
use jackfield_socket::{ByteStream, TcpListener as _};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;

/// How a message is appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    /// It is in memory.
    Known,
    /// It is read from somewhere.
    Read,
    /// Together with another.
    Many,
    /// In the place of another.
    Replaces,
}

/// What is cut, and how.
#[derive(Clone, Copy, Debug)]
struct Case {
    capabilities: &'static str,
    how: How,
    /// The stream ends in order, and is not cut.
    ends: bool,
    /// So much is read, and written, before it ends.
    reads: usize,
    writes: usize,
}

/// A server that works, until so many bytes were read or written; then it works again.
struct Server {
    case: Case,
    kept: Arc<Mutex<Kept>>,
}

/// What it has.
#[derive(Default)]
struct Kept {
    /// The messages that were appended.
    messages: Vec<String>,
    was_cut: bool,
}

const TEXT: &str = "Subject: two\r\n\r\nIt is 31 bytes.";

impl Server {
    /// Serves for ever; after the cut, it works.
    async fn serve_all(mut self, mut listener: SimListener) {
        while let Ok(mut stream) = listener.accept().await {
            self.serve(&mut stream).await;
            if self.case.ends {
                let _ = stream.shutdown().await;
            }
            if self.case.reads == 0 || self.case.writes == 0 {
                (self.case.reads, self.case.writes) = (usize::MAX, usize::MAX);
                self.kept.lock().expect("no panic").was_cut = true;
            }
        }
    }

    /// Serves one connection until one side ends it.
    async fn serve(&mut self, stream: &mut impl ByteStream) -> Option<()> {
        let capabilities = self.case.capabilities;
        let greeting = format!("* OK [CAPABILITY IMAP4rev1 {capabilities}] hello\r\n");
        self.say(stream, &greeting).await?;
        loop {
            let (command, messages) = self.command(stream).await?;
            let (tag, command) = command.split_once(' ').expect("a command");
            let mut answer = String::new();
            let mut code = String::new();
            let words: Vec<&str> = command.split(' ').collect();
            match words[..] {
                ["LOGIN", ..] => code = format!("[CAPABILITY IMAP4rev1 {capabilities}] "),
                ["SELECT", ..] => answer.push_str("* 3 EXISTS\r\n* OK [UIDVALIDITY 1] x\r\n"),
                ["APPEND", ..] | ["UID", "REPLACE", ..] => {
                    let mut kept = self.kept.lock().expect("no panic");
                    kept.messages.extend(messages);
                    code = format!("[APPENDUID 1 {}] ", kept.messages.len());
                }
                ["UID", "STORE", uid, ..] => {
                    // The old one goes when the new one is there.
                    let kept = self.kept.lock().expect("no panic");
                    let name = format!("To {uid}.");
                    let is_there = kept.messages.contains(&name);
                    assert!(is_there, "{:?}: {uid} is removed", self.case);
                }
                ["UID", "FETCH", "1:3", ..] => {
                    for uid in 1..4 {
                        let envelope =
                            format!("(NIL {{3}}\r\nno{uid} NIL NIL NIL NIL NIL NIL NIL NIL)");
                        let fetch = format!("* {uid} FETCH (UID {uid} ENVELOPE {envelope})\r\n");
                        answer.push_str(&fetch);
                    }
                }
                ["UID", "FETCH", "2", ..] => {
                    let size = TEXT.len();
                    let fetch = format!("* 2 FETCH (UID 2 BODY[] {{{size}}}\r\n{TEXT})\r\n");
                    answer.push_str(&fetch);
                }
                ["LOGOUT"] => answer.push_str("* BYE\r\n"),
                _ => {}
            }
            self.say(stream, &format!("{answer}{tag} OK {code}done\r\n"))
                .await?;
            if command == "LOGOUT" {
                return None;
            }
        }
    }

    /// A command, and the messages in it.
    async fn command(&mut self, stream: &mut impl ByteStream) -> Option<(String, Vec<String>)> {
        let (mut command, mut messages) = (String::new(), Vec::new());
        loop {
            let mut line = String::new();
            while !line.ends_with("\r\n") {
                line.push(char::from(self.byte(stream).await?));
            }
            command.push_str(line.trim_end());
            let Some((_, size)) = line
                .trim_end()
                .strip_suffix('}')
                .and_then(|it| it.split_once('{'))
            else {
                return Some((command, messages));
            };
            if !size.ends_with('+') {
                self.say(stream, "+ go on\r\n").await?;
            }
            let size: usize = size.trim_end_matches('+').parse().expect("a size");
            let mut message = String::new();
            while message.len() < size {
                message.push(char::from(self.byte(stream).await?));
            }
            messages.push(message);
        }
    }

    async fn byte(&mut self, stream: &mut impl ByteStream) -> Option<u8> {
        if self.case.reads == 0 {
            return None;
        }
        let byte = stream.read_u8().await.ok()?;
        self.case.reads -= 1;
        Some(byte)
    }

    async fn say(&mut self, stream: &mut impl ByteStream, text: &str) -> Option<()> {
        let count = text.len().min(self.case.writes);
        self.case.writes -= count;
        stream.write_all(&text.as_bytes()[..count]).await.ok()?;
        (count == text.len()).then_some(())
    }
}

/// A client with a mailbox open, and what its server has, which is cut so.
struct Client {
    handle: client::Client,
    connection: JoinHandle<Result<(), client::ConnectionError>>,
    kept: Arc<Mutex<Kept>>,
}

impl Client {
    async fn of(case: Case) -> Self {
        let World {
            client,
            connection,
            listener,
            ..
        } = world(config(), |here| here).await;
        let kept = Arc::default();
        let server = Server {
            case,
            kept: Arc::clone(&kept),
        };
        tokio::spawn(server.serve_all(listener));
        // It may be cut at the first attempt, and at the second it is not.
        while let Err(error) = client.select(MailboxName::inbox()).await {
            is_lost(case, &error);
        }
        Self {
            handle: client,
            connection,
            kept,
        }
    }

    /// Leaves; whether there was a cut before.
    async fn close(self) -> bool {
        let was_cut = self.kept.lock().expect("no panic").was_cut;
        self.handle.close().await;
        self.connection.await.expect("no panic").expect("in order");
        was_cut
    }
}

/// Nothing else comes of a cut.
fn is_lost(case: Case, error: &RequestError) {
    let is_lost = matches!(
        error,
        RequestError::ConnectionLost(_) | RequestError::NotConnected | RequestError::NotSelected
    );
    assert!(is_lost, "{case:?}: {error}");
}

/// Appends a message whose text names this.
async fn append(client: client::Client, how: How, uid: u32) -> Result<(), RequestError> {
    let to = Append::to(MailboxName::inbox());
    let text = format!("To {uid}.");
    let size = text.len() as u64;
    match how {
        How::Known => client.append(to, text).await.map(drop),
        How::Read => client
            .append_from(to, size, text.as_bytes())
            .await
            .map(drop),
        How::Many => {
            let also = format!("To {uid}, too.");
            let messages = [&text, &also].map(|text| {
                let text = text.as_bytes();
                (AppendMessage::new(text.len() as u64), text)
            });
            let appended = client.append_all(MailboxName::inbox(), messages).await;
            appended.map(drop)
        }
        How::Replaces => {
            let replaced = client.replace(uid, to, text).await?;
            match replaced.former {
                Former::Kept(error) => Err(error),
                _ => Ok(()),
            }
        }
    }
}

/// Appends three messages at a server that is cut so; returns whether it was.
async fn append_three(case: Case) -> bool {
    let client = Client::of(case).await;
    let one = |uid| {
        let client = client.handle.clone();
        async move { (uid, append(client, case.how, uid).await) }
    };
    // One alone, and two at once.
    let first = one(7).await;
    let (second, third) = tokio::join!(one(8), one(9));
    for (uid, outcome) in [first, second, third] {
        let kept = client.kept.lock().expect("no panic");
        let names = match case.how {
            How::Many => vec![format!("To {uid}."), format!("To {uid}, too.")],
            _ => vec![format!("To {uid}.")],
        };
        for name in names {
            let times = kept.messages.iter().filter(|it| **it == name).count();
            let at = format!("{case:?}: {name} is there {times} times: {outcome:?}");
            match &outcome {
                Ok(()) => assert_eq!(times, 1, "{at}"),
                // Nobody knows, and so it is not said again.
                Err(RequestError::ConnectionLost(_)) => assert!(times <= 1, "{at}"),
                // Of what is replaced, that may be the old one.
                Err(_) if case.how == How::Replaces => assert!(times <= 1, "{at}"),
                Err(_) => assert_eq!(times, 0, "{at}"),
            }
        }
        if let Err(error) = &outcome {
            is_lost(case, error);
        }
    }
    client.close().await
}

/// Fetches three messages, and reads one, from a server that is cut so; returns whether it was.
async fn fetch_and_read(case: Case) -> bool {
    let client = Client::of(case).await;
    let three = Messages::Uids(SequenceSet::range(1, 3).expect("three"));
    let mut fetches = client
        .handle
        .fetch(three, [Item::Envelope])
        .await
        .expect("it runs");
    let mut uid = 0;
    loop {
        match fetches.next().await {
            Ok(Some(message)) => {
                uid += 1;
                assert_eq!(message.uid, Some(uid), "{case:?}");
                let subject = message.envelope.and_then(|envelope| envelope.subject);
                let subject = subject.expect("a subject").to_string();
                assert_eq!(subject, format!("no{uid}"), "{case:?}");
            }
            Ok(None) => {
                assert_eq!(uid, 3, "{case:?}: some are missing");
                break;
            }
            Err(error) => {
                is_lost(case, &error);
                break;
            }
        }
    }
    match client.handle.read(2, Section::all()).await {
        Ok(mut body) => {
            assert_eq!(body.size(), TEXT.len() as u64);
            let mut text = Vec::new();
            let outcome = body.read_to_end(&mut text).await;
            assert!(TEXT.as_bytes().starts_with(&text), "{case:?}: {text:?}");
            // What is told as the end is the end.
            assert!(outcome.is_err() || text == TEXT.as_bytes(), "{case:?}");
        }
        Err(error) => is_lost(case, &error),
    }
    client.close().await
}

/// Cuts at each byte in each direction, until there are no more.
async fn everywhere(capabilities: &'static str, how: How, mut run: impl AsyncFnMut(Case) -> bool) {
    // How the stream ends is the same to all that waits, and so it ends in order for some only.
    let ways: &[bool] = if capabilities.is_empty() {
        &[false, true]
    } else {
        &[false]
    };
    for &ends in ways {
        for is_reading in [false, true] {
            let mut offset = 1;
            loop {
                let (reads, writes) = if is_reading {
                    (offset, usize::MAX)
                } else {
                    (usize::MAX, offset)
                };
                let case = Case {
                    capabilities,
                    how,
                    ends,
                    reads,
                    writes,
                };
                if !run(case).await {
                    break;
                }
                offset += 1;
            }
            assert!(offset > 100, "{how:?}: {offset}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn no_message_is_appended_twice_wherever_it_is_cut() {
    for (capabilities, how) in [
        ("", How::Known),
        ("", How::Read),
        ("LITERAL+", How::Read),
        ("MULTIAPPEND", How::Many),
        ("LITERAL+ MULTIAPPEND", How::Many),
        ("LITERAL+ REPLACE", How::Replaces),
        ("LITERAL+ UIDPLUS", How::Replaces),
    ] {
        everywhere(capabilities, how, append_three).await;
    }
}

#[tokio::test(start_paused = true)]
async fn no_answer_is_more_than_it_was_wherever_it_is_cut() {
    everywhere("", How::Known, fetch_and_read).await;
}
