//! Bodies in blocks against `tests/vectors/coap/transfers`. The README there has the requests, and how
//! messages are written.

use std::collections::VecDeque;

use crate::codec::{Block, BlockSize, Code, Message};
use crate::core::blockwise::{Assembly, Download, DownloadStep, Taken, Upload, UploadStep, cut};
use jackfield_play::{Datagrams, Protocol, Transcripts};
use jackfield_socket::driver::{Core, DatagramCore, Peer};
use jackfield_socket::time::Instant;

/// What one message of BERT carries here.
const MOST: usize = 8192 + 100;

#[test]
fn every_transfer_holds() {
    let transcripts = Transcripts::of("coap/transfers");
    assert!(transcripts.len() > 3, "only {}", transcripts.len());
    transcripts.play(|| Transfers);
}

/// One side of a transfer, with what it says and what is to be done next. A message is carried by
/// itself, as a frame.
struct Transfer {
    part: Part,
    out: VecDeque<Message>,
    told: VecDeque<String>,
}

enum Part {
    None,
    Download(Download),
    Upload(Upload, usize),
    Serve(usize, BlockSize),
    Collect(Assembly, BlockSize),
}

impl Transfer {
    /// Asks for the next block, or sends it.
    fn ask(&mut self) {
        let mut request = Message::new(Code::GET);
        match &mut self.part {
            Part::Download(download) => download.prepare(&mut request).expect("a block"),
            Part::Upload(upload, length) => {
                let rest = *length - usize::try_from(upload.offset()).expect("a length");
                let block = rest.min(upload.room());
                request = Message::new(Code::PUT);
                request.payload = vec![0; block].into();
                upload.prepare(&mut request, block < rest).expect("a block");
            }
            Part::None | Part::Serve(..) | Part::Collect(..) => return,
        }
        self.out.push_back(request);
    }

    /// What is to be done next.
    fn goes_on(&mut self, step: impl std::fmt::Debug, is_over: bool) {
        self.told.push_back(format!("{step:?}").to_lowercase());
        if !is_over {
            self.ask();
        }
    }
}

impl Core for Transfer {
    type Event = String;
    type Error = String;

    fn poll_event(&mut self) -> Option<String> {
        self.told.pop_front()
    }
}

impl DatagramCore for Transfer {
    fn receive(&mut self, _now: Instant, _from: Peer, frame: &[u8]) -> Result<(), String> {
        let mut message = Message::from_frame(frame).expect("a message");
        match &mut self.part {
            Part::None => panic!("nothing has begun"),
            Part::Download(download) => {
                let step = download.answered(&message);
                let step = step.map_err(|error| error.to_string())?;
                let is_over = matches!(step, DownloadStep::Last);
                self.goes_on(step, is_over);
            }
            Part::Upload(upload, _) => {
                message.payload.clear();
                let step = upload.answered(&message);
                let step = step.map_err(|error| error.to_string())?;
                let is_over = matches!(step, UploadStep::Done);
                self.goes_on(step, is_over);
            }
            Part::Serve(length, size) => {
                let mut response = Message::new(Code::CONTENT);
                let body = vec![0; *length];
                if cut(&mut response, &body, message.block2(), *size, MOST).is_err() {
                    response = Message::new(Code::BAD_OPTION);
                }
                self.out.push_back(response);
            }
            Part::Collect(assembly, size) => {
                let block = message.block1().expect("a block");
                let taken = assembly.take(block, &message.payload, *size, 1 << 20);
                let (code, block) = match taken {
                    Ok(Taken::More(block)) => (Code::CONTINUE, Some(block)),
                    Ok(Taken::Complete(block)) => (Code::CHANGED, Some(block)),
                    Err(_) => (Code::REQUEST_ENTITY_INCOMPLETE, None),
                };
                let mut response = Message::new(code);
                if let Some(block) = block {
                    response.set_block1(block);
                }
                self.out.push_back(response);
            }
        }
        Ok(())
    }

    fn transmit(&mut self, _now: Instant, datagram: &mut Vec<u8>) -> Option<Peer> {
        self.out.pop_front()?.write_frame(datagram);
        Some(Peer::Connected)
    }
}

struct Transfers;

impl Protocol for Transfers {
    type Core = Transfer;
    type Carrier = Datagrams;

    fn begin(&mut self, _now: Instant) -> Transfer {
        Transfer {
            part: Part::None,
            out: VecDeque::new(),
            told: VecDeque::new(),
        }
    }

    fn ask(&mut self, core: &mut Transfer, _now: Instant, request: &str) -> Result<(), String> {
        let words: Vec<&str> = request.split(' ').collect();
        let length = |length: &str| length.parse().expect("a length");
        let download = |wanted| Part::Download(Download::new(Code::GET, wanted, 1 << 20));
        core.part = match &*words {
            ["download"] => download(None),
            ["download", wanted] => download(Some(size(wanted))),
            ["upload", bytes, "in", wanted] => {
                Part::Upload(Upload::new(size(wanted), MOST, None), length(bytes))
            }
            ["serve", bytes, "in", wanted] => Part::Serve(length(bytes), size(wanted)),
            ["collect", "in", wanted] => Part::Collect(Assembly::default(), size(wanted)),
            _ => panic!("what is {request:?}?"),
        };
        core.ask();
        Ok(())
    }

    fn told(&mut self, event: String) -> Option<String> {
        Some(event)
    }

    fn read(&mut self, line: &str) -> Vec<u8> {
        let words: Vec<&str> = line.split(' ').collect();
        let mut frame = Vec::new();
        message(&words).write_frame(&mut frame);
        frame
    }

    fn write(&mut self, frame: &[u8]) -> String {
        described(&Message::from_frame(frame).expect("a message"))
    }

    fn is_sent(&mut self, line: &str, frame: &[u8]) -> bool {
        self.write(frame) == line
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
    message.payload = vec![0; length.unwrap_or_default()].into();
    message
}

/// The code and the blocks of a message, and the payload's length where BERT leaves it open.
fn described(message: &Message) -> String {
    let code = message.code();
    let name = code.name().filter(|_| code.is_request());
    let mut words = vec![name.map_or_else(|| code.to_string(), str::to_owned)];
    let blocks = [(2, message.block2()), (1, message.block1())];
    let mut is_bert = false;
    for (kind, block) in blocks {
        if let Some(block) = block {
            words.push(format!("{kind}:{block}"));
            is_bert |= block.size() == BlockSize::Bert;
        }
    }
    if is_bert && !message.payload.is_empty() {
        words.push(format!("payload={}", message.payload.len()));
    }
    words.join(" ")
}
