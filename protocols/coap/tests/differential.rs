//! The codec against coap-lite's: on generated messages, and on what mutation makes of them.
//!
//! coap-lite is lenient where RFC 7252 is not. Wherever the two disagree, [`explain`] must know why;
//! what it doesn't know fails the test.

use std::collections::BTreeMap;

use coap_lite::Packet;
use jackfield_coap::codec::{
    Code, ContentFormat, Datagram, DecodeError, DecodeErrorKind, MAX_OPTIONS, Message, MessageId,
    MessageType, OptionFormat, OptionNumber, Token,
};

#[test]
fn what_is_written_is_read_by_the_other() {
    let mut random = fastrand::Rng::with_seed(1);
    for _ in 0..20_000 {
        let datagram = generate(&mut random);
        let bytes = datagram.to_bytes();
        let packet = Packet::from_bytes(&bytes).expect("coap-lite reads what we write");
        agree(&datagram, &packet, &bytes);
        let written = packet.to_bytes_unlimited().expect("it can be written");
        assert_eq!(written, bytes, "{datagram:?}");
        assert_eq!(Datagram::decode(&written), Ok(datagram));
    }
}

#[test]
fn each_disagreement_about_mutated_messages_is_known() {
    let mut random = fastrand::Rng::with_seed(2);
    let mut disagreements: BTreeMap<&str, u32> = BTreeMap::new();
    let mut agreements = 0;
    for _ in 0..60_000 {
        let mut bytes = generate(&mut random).to_bytes();
        mutate(&mut random, &mut bytes);
        match (Datagram::decode(&bytes), Packet::from_bytes(&bytes)) {
            (Ok(ours), Ok(theirs)) => {
                agree(&ours, &theirs, &bytes);
                agreements += 1;
            }
            (Err(_), Err(_)) => agreements += 1,
            (Err(error), Ok(_)) => {
                let Some(reason) = explain(&error, &bytes) else {
                    panic!("only coap-lite reads {bytes:02x?}: {error}");
                };
                *disagreements.entry(reason).or_default() += 1;
            }
            (Ok(ours), Err(error)) => panic!("only we read {bytes:02x?}: {ours:?}, {error}"),
        }
    }
    assert!(agreements > 10_000, "{agreements} agreements");
    // All of them were seen, so that none of the explanations is idle.
    assert_eq!(disagreements.len(), 5, "{disagreements:?}");
}

/// Why we refuse what coap-lite reads; `None` where there is no reason.
fn explain(error: &DecodeError, bytes: &[u8]) -> Option<&'static str> {
    match error.kind() {
        // RFC 7252, section 3: "Messages with unknown version numbers MUST be silently ignored."
        DecodeErrorKind::Version(_) if bytes[0] >> 6 != 1 => Some("it takes any version"),
        // Section 4.1: the token length of an Empty message must be 0, and nothing may follow the
        // message id.
        DecodeErrorKind::NotEmpty if bytes[1] == 0 && bytes.len() > 4 => {
            Some("it takes an Empty message with bytes in it")
        }
        // Section 12.1: the classes 1, 6 and 7 are reserved; 7 has signals on streams only.
        DecodeErrorKind::ReservedCode(_) if matches!(bytes[1] >> 5, 1 | 6 | 7) => {
            Some("it takes codes of reserved classes")
        }
        // Section 3: "The presence of a marker followed by a zero-length payload MUST be processed
        // as a message format error."
        DecodeErrorKind::NoPayload if bytes.last() == Some(&0xff) => {
            Some("it takes a marker without payload")
        }
        // A limit of ours.
        DecodeErrorKind::TooManyOptions if bytes.len() > 4 + MAX_OPTIONS => {
            Some("it takes any number of options")
        }
        _ => None,
    }
}

fn agree(ours: &Datagram, theirs: &Packet, bytes: &[u8]) {
    let header = &theirs.header;
    let message_type = match header.get_type() {
        coap_lite::MessageType::Confirmable => MessageType::Confirmable,
        coap_lite::MessageType::NonConfirmable => MessageType::NonConfirmable,
        coap_lite::MessageType::Acknowledgement => MessageType::Acknowledgement,
        coap_lite::MessageType::Reset => MessageType::Reset,
    };
    assert_eq!(ours.message_type, message_type, "{bytes:02x?}");
    assert_eq!(ours.id, MessageId(header.message_id), "{bytes:02x?}");
    let message = &ours.message;
    assert_eq!(message.code().to_byte(), u8::from(header.code));
    assert_eq!(message.code().to_string(), header.get_code());
    assert_eq!(message.token().as_bytes(), theirs.get_token());
    assert_eq!(message.payload, theirs.payload);
    let options: Vec<(u16, &[u8])> = theirs
        .options()
        .flat_map(|(number, values)| values.iter().map(|value| (*number, value.as_slice())))
        .collect();
    let own: Vec<(u16, &[u8])> = message
        .options()
        .iter()
        .map(|(number, value)| (number.0, value))
        .collect();
    assert_eq!(own, options, "{bytes:02x?}");
    // What they make of a value, where it fits its definition; they take longer ones, too.
    if let Some(format) = message.content_format()
        && let Some(theirs) = theirs.get_content_format()
    {
        let number = usize::from(theirs);
        assert_eq!(format, ContentFormat(number as u16), "{bytes:02x?}");
    }
    if let Some(observe) = message.options().uint(OptionNumber::OBSERVE) {
        assert_eq!(
            theirs.get_observe_value(),
            Some(Ok(observe)),
            "{bytes:02x?}"
        );
    }
}

fn generate(random: &mut fastrand::Rng) -> Datagram {
    let codes = [
        Code::GET,
        Code::POST,
        Code::IPATCH,
        Code::CONTENT,
        Code::CONTINUE,
        Code::NOT_FOUND,
        Code::HOP_LIMIT_REACHED,
        Code::from_byte(0x1f),
        Code::from_byte(0x60),
    ];
    let mut message = Message::new(codes[random.usize(..codes.len())]);
    let token: Vec<u8> = (0..random.usize(..=8)).map(|_| random.u8(..)).collect();
    message.set_token(Token::new(&token).expect("8 bytes at the most"));
    let count = if random.u8(..100) == 0 {
        MAX_OPTIONS
    } else {
        random.usize(..8)
    };
    for _ in 0..count {
        let number = match random.u8(..4) {
            0 => random.u16(..),
            _ => random.u16(..300),
        };
        let number = OptionNumber(number);
        let length = match number.definition() {
            Some(definition) => random.u16(definition.length.clone()),
            None => [0, 1, 12, 13, 14, 268, 269, 270, 700][random.usize(..9)],
        };
        let is_text = number
            .definition()
            .is_some_and(|definition| definition.format == OptionFormat::String);
        let value: Vec<u8> = (0..length)
            .map(|_| {
                if is_text {
                    random.u8(b'a'..=b'z')
                } else {
                    random.u8(..)
                }
            })
            .collect();
        // One too many is left out.
        let _ = message.options_mut().add(number, &value);
    }
    if random.bool() {
        let payload: Vec<u8> = (0..random.usize(..40)).map(|_| random.u8(..)).collect();
        message.payload = payload.into();
    }
    let types = [
        MessageType::Confirmable,
        MessageType::NonConfirmable,
        MessageType::Acknowledgement,
        MessageType::Reset,
    ];
    Datagram::new(types[random.usize(..4)], MessageId(random.u16(..)), message)
}

fn mutate(random: &mut fastrand::Rng, bytes: &mut Vec<u8>) {
    for _ in 0..random.usize(1..4) {
        let at = random.usize(..bytes.len());
        match random.u8(..8) {
            0 => bytes[at] = random.u8(..),
            1 => bytes[at] ^= 1 << random.u8(..8),
            2 => bytes.truncate(at.max(1)),
            3 => bytes.push(0xff),
            4 => bytes.insert(at, random.u8(..)),
            5 => {
                // The header, where most of the rules are.
                let at = random.usize(..bytes.len().min(5));
                bytes[at] = random.u8(..);
            }
            6 if random.u8(..20) == 0 => {
                bytes.splice(at.., std::iter::repeat_n(0, MAX_OPTIONS + 1));
            }
            _ => {
                if let Some(code) = bytes.get_mut(1) {
                    *code = [0, 0x20, 0xc1, 0xe1, 0x45][random.usize(..5)];
                }
            }
        }
    }
}
