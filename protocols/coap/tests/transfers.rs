//! Bodies in blocks and observations (`tests/vectors/coap/transfers/*.txt`, `observe.txt`), played to
//! the state machines with time in the test's hand. The format is explained in the README beside them.

#[expect(dead_code, reason = "messages alone are read here")]
mod text;

use std::time::Duration;

use jackfield_coap::codec::{Block, BlockSize, Code, Message};
use jackfield_coap::core::blockwise::{
    Assembly, BlockError, Download, DownloadStep, Taken, Upload, UploadStep, cut,
};
use jackfield_coap::core::{
    Config, Delivery, ExchangeEvent, ExchangeId, Exchanges, Kind, Outgoing, Verdict,
};
use jackfield_socket::driver::Peer;
use jackfield_socket::time::Instant;

/// What one message of BERT carries here.
const MOST: usize = 8192 + 100;

#[test]
fn every_transfer_holds() {
    let mut count = 0;
    for entry in std::fs::read_dir(text::vectors().join("transfers")).expect("they are there") {
        let path = entry.expect("an entry").path();
        let text = std::fs::read_to_string(&path).expect("a text");
        let mut side = Side::None;
        for (number, line) in text.lines().enumerate() {
            let at = format!("{}:{}", path.display(), number + 1);
            if !line.is_empty() && !line.starts_with('#') {
                side.play(&at, line);
                count += 1;
            }
        }
        side.rest(&path.display().to_string());
    }
    assert!(count > 80, "only {count} lines were played");
}

enum Side {
    None,
    Download(Download, Option<Result<DownloadStep, BlockError>>),
    Upload(Upload, usize, Option<Result<UploadStep, BlockError>>),
    /// What it answers is to be looked at.
    Serve(usize, BlockSize, Option<Message>),
    Collect(Assembly, BlockSize, Option<Message>),
}

impl Side {
    fn play(&mut self, at: &str, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        match (&mut *self, &*words) {
            (_, ["download"]) => {
                let download = Download::new(Code::GET, None, 1 << 20);
                self.begin(at, Side::Download(download, None));
            }
            (_, ["download", wanted]) => {
                let download = Download::new(Code::GET, Some(size(wanted)), 1 << 20);
                self.begin(at, Side::Download(download, None));
            }
            (_, ["upload", length, "in", wanted]) => {
                let upload = Upload::new(size(wanted), MOST, None);
                let length = length.parse().expect("a length");
                self.begin(at, Side::Upload(upload, length, None));
            }
            (_, ["serve", length, "in", wanted]) => {
                let length = length.parse().expect("a length");
                self.begin(at, Side::Serve(length, size(wanted), None));
            }
            (_, ["collect", "in", wanted]) => {
                let assembly = Assembly::default();
                self.begin(at, Side::Collect(assembly, size(wanted), None));
            }
            (Self::Download(download, _), [">", "GET", blocks @ ..]) => {
                let mut request = Message::new(Code::GET);
                download.prepare(&mut request).expect(at);
                assert_eq!(described(&request), blocks.join(" "), "{at}");
            }
            (Self::Download(download, step), ["<", rest @ ..]) => {
                *step = Some(download.answered(&message(rest)));
            }
            (Self::Download(_, step), told) => {
                let step = match step.take().expect(at) {
                    Ok(DownloadStep::More) => "more".to_owned(),
                    Ok(DownloadStep::Last) => "last".to_owned(),
                    Ok(DownloadStep::Restart) => "restart".to_owned(),
                    Err(error) => format!("error {error}"),
                };
                assert_eq!(step, told.join(" "), "{at}");
            }
            (Self::Upload(upload, length, _), [">", "PUT", blocks @ ..]) => {
                let rest = *length - usize::try_from(upload.offset()).expect(at);
                let block = rest.min(upload.room());
                let mut request = Message::new(Code::PUT);
                request.set_payload(vec![0; block]);
                upload.prepare(&mut request, block < rest).expect(at);
                assert_eq!(described(&request), blocks.join(" "), "{at}");
            }
            (Self::Upload(upload, _, step), ["<", rest @ ..]) => {
                let mut response = message(rest);
                response.take_payload();
                *step = Some(upload.answered(&response));
            }
            (Self::Upload(_, _, step), told) => {
                let step = match step.take().expect(at) {
                    Ok(UploadStep::Next) => "next".to_owned(),
                    Ok(UploadStep::Done) => "done".to_owned(),
                    Ok(UploadStep::Again) => "again".to_owned(),
                    Ok(UploadStep::Restart) => "restart".to_owned(),
                    Err(error) => format!("error {error}"),
                };
                assert_eq!(step, told.join(" "), "{at}");
            }
            (Self::Serve(length, size, answer), ["<", rest @ ..]) => {
                let mut response = Message::new(Code::CONTENT);
                let asked = message(rest).block2();
                let body = vec![0; *length];
                if cut(&mut response, &body, asked, *size, MOST).is_err() {
                    response = Message::new(Code::BAD_OPTION);
                }
                *answer = Some(response);
            }
            (Self::Collect(assembly, size, answer), ["<", rest @ ..]) => {
                let request = message(rest);
                let block = request.block1().expect(at);
                let taken = assembly.take(block, request.payload(), *size, 1 << 20);
                let (code, block) = match taken {
                    Ok(Taken::More(block)) => (Code::CONTINUE, Some(block)),
                    Ok(Taken::Complete(block)) => (Code::CHANGED, Some(block)),
                    Err(_) => (Code::REQUEST_ENTITY_INCOMPLETE, None),
                };
                let mut response = Message::new(code);
                if let Some(block) = block {
                    response.set_block1(block);
                }
                *answer = Some(response);
            }
            (Self::Serve(_, _, answer) | Self::Collect(_, _, answer), [">", code, blocks @ ..]) => {
                let answer = answer.take().expect(at);
                assert_eq!(answer.code().to_string(), *code, "{at}");
                assert_eq!(described(&answer), blocks.join(" "), "{at}");
            }
            _ => panic!("{at}: what is {line:?}?"),
        }
    }

    fn begin(&mut self, at: &str, side: Side) {
        self.rest(at);
        *self = side;
    }

    /// Nothing must be left over that the text did not say.
    fn rest(&self, at: &str) {
        let is_left = match self {
            Self::None => false,
            Self::Download(_, step) => step.is_some(),
            Self::Upload(_, _, step) => step.is_some(),
            Self::Serve(_, _, answer) | Self::Collect(_, _, answer) => answer.is_some(),
        };
        assert!(!is_left, "before {at}: something was not looked at");
    }
}

fn size(word: &str) -> BlockSize {
    match word {
        "BERT" => BlockSize::Bert,
        bytes => BlockSize::at_most(bytes.parse().expect("a size")),
    }
}

/// A code, blocks, and perhaps the payload's length.
fn message(words: &[&str]) -> Message {
    let (code, rest) = words.split_first().expect("a code");
    let mut message = Message::new(match *code {
        "GET" => Code::GET,
        "PUT" => Code::PUT,
        code => {
            let (class, detail) = code.split_once('.').expect("a code");
            let number = |text: &str| text.parse().expect("a number");
            Code::new(number(class), number(detail)).expect("a code")
        }
    });
    let mut length = None;
    for word in rest {
        if let Some(given) = word.strip_prefix("payload=") {
            length = Some(given.parse().expect("a length"));
            continue;
        }
        let (kind, value) = word.split_once(':').expect("a block");
        let parts: Vec<&str> = value.split('/').collect();
        let [number, more, bytes] = parts[..] else {
            panic!("no block: {word}");
        };
        let block = Block::new(number.parse().expect("a number"), more == "1", size(bytes));
        let block = block.expect("a small number");
        let default = block.size().bytes();
        let whole = if kind == "1" {
            message.set_block1(block);
            message.code() == Code::PUT
        } else {
            message.set_block2(block);
            message.code() != Code::GET
        };
        if whole {
            length.get_or_insert(default);
        }
    }
    message.set_payload(vec![0; length.unwrap_or_default()]);
    message
}

/// The blocks of a message, and the payload's length where BERT leaves it open.
fn described(message: &Message) -> String {
    let mut words = Vec::new();
    let blocks = [(2, message.block2()), (1, message.block1())];
    let mut is_bert = false;
    for (kind, block) in blocks {
        if let Some(block) = block {
            words.push(format!("{kind}:{block}"));
            is_bert |= block.size() == BlockSize::Bert;
        }
    }
    if is_bert && !message.payload().is_empty() {
        words.push(format!("payload={}", message.payload().len()));
    }
    words.join(" ")
}

struct Play {
    now: Instant,
    exchanges: Exchanges,
    id: Option<ExchangeId>,
    sent: Option<Message>,
}

#[test]
fn every_observation_holds() {
    let path = text::vectors().join("observe.txt");
    let text = std::fs::read_to_string(&path).expect("a text");
    let config = Config::default();
    let now = Instant::now();
    let mut play = Play {
        now,
        exchanges: Exchanges::new(config, false),
        id: None,
        sent: None,
    };
    play.exchanges.connected(now);
    for (number, line) in text.lines().enumerate() {
        if !line.is_empty() && !line.starts_with('#') {
            play.line(&format!("observe.txt:{}", number + 1), line);
        }
    }
    assert!(play.told().is_none(), "something more is told");
}

impl Play {
    fn line(&mut self, at: &str, line: &str) {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        if verb != "tells" {
            assert_eq!(self.told(), None, "before {at}");
        }
        match verb {
            "observe" => {
                let (get, kind) = (Message::new(Code::GET), Kind::Observe);
                let (to, delivery) = (Peer::Connected, Delivery::Confirmable);
                let begun = self
                    .exchanges
                    .begin(self.now, to, get, delivery, kind, None);
                self.id = Some(begun.expect(at));
            }
            "cancel" => self.exchanges.cancel(self.now, self.id.take().expect(at)),
            ">" => {
                let sent = loop {
                    match self.exchanges.poll_outgoing() {
                        Some(Outgoing::Send { message, .. }) => break message,
                        Some(_) => {}
                        None => panic!("{at}: nothing was sent"),
                    }
                };
                let expected = text::message(&text::words(rest));
                assert_eq!(sent.code(), expected.code(), "{at}");
                assert_eq!(sent.options(), expected.options(), "{at}");
                self.sent = Some(sent);
            }
            "<" => {
                let (piggybacked, rest) = match rest.strip_prefix("ACK ") {
                    Some(rest) => (true, rest),
                    None => (false, rest),
                };
                let mut response = text::message(&text::words(rest));
                response.set_token(self.sent.as_ref().expect(at).token());
                let from = Peer::Connected;
                let verdict = self
                    .exchanges
                    .received(self.now, from, response, piggybacked);
                assert_eq!(verdict, Verdict::Accept, "{at}");
            }
            "tells" => assert_eq!(self.told().as_deref(), Some(rest), "{at}"),
            "wait" => {
                let seconds = |text: &str| {
                    let seconds = text.strip_suffix('s').expect(at);
                    Duration::from_secs(seconds.parse().expect(at))
                };
                let (least, most) = rest.split_once("..").expect(at);
                let deadline = self.exchanges.deadline().expect(at);
                let waited = deadline.saturating_duration_since(self.now);
                assert!(
                    waited >= seconds(least) && waited <= seconds(most),
                    "{at}: {waited:?}"
                );
                self.now = deadline;
                self.exchanges.handle_deadline(deadline);
            }
            _ => panic!("{at}: what is {line:?}?"),
        }
    }

    fn told(&mut self) -> Option<String> {
        let (text, last) = match self.exchanges.poll_event()? {
            ExchangeEvent::Response { message, last, .. } if message.payload().is_empty() => {
                (message.code().to_string(), last)
            }
            ExchangeEvent::Response { message, last, .. } => {
                let text = String::from_utf8_lossy(message.payload()).into_owned();
                (text, last)
            }
            ExchangeEvent::Failed { error, last, .. } => (error.to_string(), last),
            other => panic!("{other:?}"),
        };
        Some(if last {
            format!("{text} and ends")
        } else {
            text
        })
    }
}
