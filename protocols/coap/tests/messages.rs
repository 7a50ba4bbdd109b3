//! The messages of `tests/vectors/coap/messages.txt` and `malformed.txt`, read and written: as bytes,
//! and as text.

mod text;

use jackfield_coap::codec::{Datagram, Message};
use text::{hex, message_type, vectors};

fn lines(name: &str) -> Vec<(usize, String)> {
    let text = std::fs::read_to_string(vectors().join(name)).expect("the vectors are there");
    let lines = text.lines().map(str::to_owned).enumerate();
    lines
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .map(|(number, line)| (number + 1, line))
        .collect()
}

#[test]
fn every_message_is_read_and_written() {
    let lines = lines("messages.txt");
    assert!(lines.len() > 40, "only {} lines", lines.len());
    for pair in lines.chunks(2) {
        let [(at, text), (_, digits)] = pair else {
            panic!("a message without bytes");
        };
        let bytes = hex(digits);
        let words = text::words(text);
        if message_type(&words[0]).is_some() {
            let datagram = text::datagram(text);
            let written = to_hex(&datagram.to_bytes());
            assert_eq!(written, digits.trim(), "line {at}: {text}");
            let again = text::datagram(&text::written_datagram(&datagram));
            assert_eq!(again, datagram, "line {at}: {text}");
            assert_eq!(Datagram::decode(&bytes), Ok(datagram), "line {at}: {text}");
        } else {
            let message = text::message(&words);
            let again = text::message(&text::words(&text::written(&message)));
            assert_eq!(again, message, "line {at}: {text}");
            let mut written = Vec::new();
            message.write_frame(&mut written);
            assert_eq!(to_hex(&written), digits.trim(), "line {at}: {text}");
            assert_eq!(
                Message::from_frame(&bytes),
                Ok(message),
                "line {at}: {text}"
            );
        }
    }
}

#[test]
fn what_is_no_message_is_refused() {
    let lines = lines("malformed.txt");
    assert!(lines.len() > 20, "only {} lines", lines.len());
    for (at, line) in lines {
        let (digits, reason) = line.split_once('|').expect("a reason");
        let error = Datagram::decode(&hex(digits)).expect_err(&line);
        assert_eq!(error.to_string(), reason.trim(), "line {at}");
    }
}

/// Bytes as hexadecimal digits.
fn to_hex(bytes: &[u8]) -> String {
    let digits: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.join(" ")
}
