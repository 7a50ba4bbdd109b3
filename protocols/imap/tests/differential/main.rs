//! The codec beside `imap-proto` and `imap-codec`, with responses that both can read: they read the
//! same.

mod codec;
mod proto;

use fastrand::Rng;
use jackfield_imap::codec::{Address, Frame, Framer, Limits, Response, ResponseParser, Text};

/// An address's parts.
fn parts(address: &Address) -> [Option<Vec<u8>>; 4] {
    let Address {
        name,
        route,
        mailbox,
        host,
        ..
    } = address;
    [name, route, mailbox, host].map(|part| bytes(part.as_ref()))
}

fn bytes(text: Option<&Text>) -> Option<Vec<u8>> {
    text.map(|text| text.as_bytes().to_vec())
}

fn ours(line: &[u8]) -> Response {
    let (mut framer, mut input) = (Framer::new(Limits::default()), line);
    loop {
        match framer.next(&mut input).expect("within limits") {
            Some(Frame::Response(response)) => return ResponseParser::default().parse(response),
            Some(_) => {}
            None => panic!("it is not whole"),
        }
    }
}

/// A FETCH response, with any of the items that all know, and any of these.
fn fetch(random: &mut Rng, others: &[fn(&mut Rng) -> String]) -> String {
    let mut items = vec![format!("UID {}", random.u32(1..))];
    if random.bool() {
        let flags = ["\\Seen", "\\Answered", "$Junk", "a-b", "NonJunk"];
        let flags: Vec<&str> = flags.into_iter().filter(|_| random.bool()).collect();
        items.push(format!("FLAGS ({})", flags.join(" ")));
    }
    if random.bool() {
        items.push(format!("RFC822.SIZE {}", random.u32(..)));
    }
    if random.bool() {
        items.push(format!("MODSEQ ({})", random.u64(1..1 << 60)));
    }
    if random.bool() {
        items.push(format!("BODY[TEXT] {}", string(random)));
    }
    for other in others {
        if random.bool() {
            items.push(other(random));
        }
    }
    let mut envelope = vec![nstring(random), nstring(random)];
    envelope.extend((0..6).map(|_| addresses(random)));
    envelope.extend([nstring(random), nstring(random)]);
    items.push(format!("ENVELOPE ({})", envelope.join(" ")));
    random.shuffle(&mut items);
    format!("* {} FETCH ({})\r\n", random.u32(1..), items.join(" "))
}

fn addresses(random: &mut Rng) -> String {
    let count = random.usize(..3);
    if count == 0 {
        return "NIL".to_owned();
    }
    let mut address = || {
        let parts: Vec<String> = (0..4).map(|_| nstring(random)).collect();
        format!("({})", parts.join(" "))
    };
    let addresses: Vec<String> = (0..count).map(|_| address()).collect();
    format!("({})", addresses.concat())
}

fn nstring(random: &mut Rng) -> String {
    if random.u8(..4) == 0 {
        "NIL".to_owned()
    } else {
        string(random)
    }
}

fn string(random: &mut Rng) -> String {
    let length = random.usize(..40);
    let letter = |random: &mut Rng| *random.choice(b"abcXYZ 019()[]{}<>@.,%*&").unwrap_or(&b'x');
    let text: Vec<u8> = (0..length).map(|_| letter(random)).collect();
    let text = String::from_utf8_lossy(&text).into_owned();
    match random.u8(..4) {
        0 => format!("{{{}}}\r\n{text}", text.len()),
        _ => format!("\"{text}\""),
    }
}
