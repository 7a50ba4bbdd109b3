//! Messages as the vectors write them: `tests/vectors/coap/README.md` has the syntax.

use std::path::{Path, PathBuf};

use jackfield_coap::codec::{
    Code, Datagram, Message, MessageId, MessageType, OptionFormat, OptionNumber, Token,
};

/// Where the vectors are.
pub(crate) fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/coap")
}

/// The words of a line; quotes hold words together.
pub(crate) fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for character in line.chars() {
        match character {
            '"' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            _ => {}
        }
        if character != ' ' || quoted {
            words.last_mut().expect("one").push(character);
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// The type that a word names.
pub(crate) fn message_type(word: &str) -> Option<MessageType> {
    [
        MessageType::Confirmable,
        MessageType::NonConfirmable,
        MessageType::Acknowledgement,
        MessageType::Reset,
    ]
    .into_iter()
    .find(|known| known.to_string() == word)
}

/// A datagram: type, id, message.
pub(crate) fn datagram(line: &str) -> Datagram {
    let words = words(line);
    let [kind, id, rest @ ..] = &*words else {
        panic!("no datagram: {line}");
    };
    let kind = message_type(kind).unwrap_or_else(|| panic!("no type: {line}"));
    let id = u16::from_str_radix(id, 16).unwrap_or_else(|_| panic!("no id: {line}"));
    Datagram::new(kind, MessageId(id), message(rest))
}

/// A message: code, and the rest.
pub(crate) fn message(words: &[String]) -> Message {
    let (code, rest) = words.split_first().expect("a code");
    let mut message = Message::new(self::code(code));
    for word in rest {
        let (name, value) = word
            .split_once('=')
            .unwrap_or_else(|| panic!("no value: {word}"));
        if name == "token" {
            message.set_token(Token::new(&hex(value)).expect("a token"));
        } else if let Some(repeat) = name.strip_prefix("payload") {
            let times = repeat.strip_prefix('*').map_or(1, |times| {
                times.parse().unwrap_or_else(|_| panic!("{word}"))
            });
            message.payload = bytes(OptionFormat::String, value).repeat(times).into();
        } else {
            let number = number(name);
            let format = number
                .definition()
                .map_or(OptionFormat::Opaque, |definition| definition.format);
            push_raw(&mut message, number, &bytes(format, value));
        }
    }
    message
}

/// A datagram as the vectors write it.
pub(crate) fn written_datagram(datagram: &Datagram) -> String {
    let Datagram {
        message_type,
        id: MessageId(id),
        message,
        ..
    } = datagram;
    format!("{message_type} {id:04x} {}", written(message))
}

/// A message as the vectors write it.
pub(crate) fn written(message: &Message) -> String {
    let code = message.code();
    let name = code.name().filter(|_| code.is_request());
    let mut words = vec![name.map_or_else(|| code.to_string(), |name| name.replace(' ', "-"))];
    if !message.token().as_bytes().is_empty() {
        words.push(format!("token={}", digits(message.token().as_bytes())));
    }
    for (number, value) in message.options() {
        // A signal has options of its own, whose numbers mean something else elsewhere.
        let definition = number.definition().filter(|_| !code.is_signal());
        let format = definition.map_or(OptionFormat::Opaque, |definition| definition.format);
        let name = definition.map_or_else(|| format!("#{}", number.0), |_| number.to_string());
        words.push(format!("{name}={}", written_value(format, value)));
    }
    match &message.payload[..] {
        [] => {}
        [first, rest @ ..] if rest.len() > 16 && rest.iter().all(|byte| byte == first) => {
            let value = written_value(OptionFormat::String, &[*first]);
            words.push(format!("payload*{}={value}", rest.len() + 1));
        }
        payload => {
            let value = written_value(OptionFormat::String, payload);
            words.push(format!("payload={value}"));
        }
    }
    words.join(" ")
}

fn written_value(format: OptionFormat, value: &[u8]) -> String {
    let is_plain = |text: &&str| !text.is_empty() && !text.contains(['"', '\n']);
    let text = str::from_utf8(value).ok().filter(is_plain);
    match (format, text) {
        (OptionFormat::Uint, _) if value.len() <= 4 && value.first() != Some(&0) => {
            let number = value
                .iter()
                .fold(0, |number, byte| number << 8 | u32::from(*byte));
            number.to_string()
        }
        (OptionFormat::String, Some(text)) => format!("\"{text}\""),
        _ => format!("0x{}", digits(value)),
    }
}

fn digits(bytes: &[u8]) -> String {
    let digits: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.concat()
}

/// Hexadecimal digits, with spaces or without.
pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b' ').collect();
    let byte = |pair: &[u8]| {
        let pair = std::str::from_utf8(pair).expect("digits");
        u8::from_str_radix(pair, 16).unwrap_or_else(|_| panic!("no digits: {text}"))
    };
    digits.chunks(2).map(byte).collect()
}

fn code(word: &str) -> Code {
    let of_number = || {
        let (class, detail) = word.split_once('.')?;
        Code::new(class.parse().ok()?, detail.parse().ok()?)
    };
    let of_name = |byte| {
        let code = Code::from_byte(byte);
        (code.name()?.replace(' ', "-") == word).then_some(code)
    };
    of_number()
        .or_else(|| (0..=u8::MAX).find_map(of_name))
        .unwrap_or_else(|| panic!("no code: {word}"))
}

fn number(name: &str) -> OptionNumber {
    if let Some(number) = name.strip_prefix('#') {
        return OptionNumber(number.parse().expect("a number"));
    }
    (0..1000)
        .map(OptionNumber)
        .find(|number| number.definition().is_some() && number.to_string() == name)
        .unwrap_or_else(|| panic!("no option: {name}"))
}

fn bytes(format: OptionFormat, value: &str) -> Vec<u8> {
    if value == "-" {
        return Vec::new();
    }
    if let Some(digits) = value.strip_prefix("0x") {
        return hex(digits);
    }
    if let Some(text) = value
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
    {
        return text.as_bytes().to_vec();
    }
    assert_eq!(format, OptionFormat::Uint, "what is {value}?");
    let number: u32 = value.parse().expect("a number");
    let zeros = number.leading_zeros() as usize / 8;
    number.to_be_bytes()[zeros..].to_vec()
}

/// Adds an option whether or not its value fits: by way of bytes, which may hold any.
fn push_raw(message: &mut Message, number: OptionNumber, value: &[u8]) {
    if message.options_mut().add(number, value).is_ok() {
        return;
    }
    let mut options: Vec<(OptionNumber, Vec<u8>)> = message
        .options()
        .iter()
        .map(|(number, value)| (number, value.to_vec()))
        .collect();
    options.push((number, value.to_vec()));
    options.sort_by_key(|(number, _)| *number);
    let mut bytes = vec![
        0x50 | message.token().as_bytes().len() as u8,
        if message.code().is_signal() {
            0x45
        } else {
            message.code().to_byte()
        },
        0,
        0,
    ];
    bytes.extend_from_slice(message.token().as_bytes());
    let mut before = 0;
    for (number, value) in options {
        let (delta, delta_bytes) = extend(number.0 - before);
        let (length, length_bytes) = extend(value.len() as u16);
        bytes.push(delta << 4 | length);
        bytes.extend(delta_bytes);
        bytes.extend(length_bytes);
        bytes.extend(value);
        before = number.0;
    }
    let code = message.code();
    let payload = message.payload.clone();
    *message = Datagram::decode(&bytes).expect("a message").message;
    message.set_code(code);
    message.payload = payload;
}

fn extend(value: u16) -> (u8, Vec<u8>) {
    match value {
        0..=12 => (value as u8, Vec::new()),
        13..=268 => (13, vec![(value - 13) as u8]),
        _ => (14, (value - 269).to_be_bytes().to_vec()),
    }
}
