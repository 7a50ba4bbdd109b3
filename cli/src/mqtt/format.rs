//! How a message is written.

use std::fmt::Write as _;
use std::str::FromStr;

use jackfield_mqtt::core::Message;

/// A format of `--format`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Format(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Topic,
    Payload,
    Hexadecimal,
    Length,
    QoS,
    Retained,
}

impl Format {
    /// The payload alone, or with its topic before it.
    pub(crate) fn plain(with_topic: bool) -> Self {
        let mut parts = vec![Part::Payload];
        if with_topic {
            parts.splice(0..0, [Part::Topic, Part::Text(" ".into())]);
        }
        Self(parts)
    }

    pub(crate) fn write(&self, message: &Message, out: &mut Vec<u8>) {
        for part in &self.0 {
            match part {
                Part::Text(text) => out.extend_from_slice(text.as_bytes()),
                Part::Topic => out.extend_from_slice(message.topic.as_str().as_bytes()),
                Part::Payload => out.extend_from_slice(&message.payload),
                Part::Hexadecimal => {
                    let mut text = String::new();
                    for byte in &message.payload {
                        // Writing to a string does not fail.
                        let _ = write!(text, "{byte:02x}");
                    }
                    out.extend_from_slice(text.as_bytes());
                }
                Part::Length => out.extend_from_slice(message.payload.len().to_string().as_bytes()),
                Part::QoS => out.push(b'0' + message.qos as u8),
                Part::Retained => out.push(b'0' + u8::from(message.retain)),
            }
        }
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(format: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut text = String::new();
        let mut chars = format.chars();
        while let Some(char) = chars.next() {
            let part = match (char, chars.clone().next()) {
                ('%', Some('%')) => {
                    chars.next();
                    text.push('%');
                    continue;
                }
                ('%', next) => match next {
                    Some('t') => Part::Topic,
                    Some('p') => Part::Payload,
                    Some('x') => Part::Hexadecimal,
                    Some('l') => Part::Length,
                    Some('q') => Part::QoS,
                    Some('r') => Part::Retained,
                    Some(other) => return Err(format!("%{other} means nothing here")),
                    None => return Err("ends with %".into()),
                },
                ('\\', Some(escaped @ ('n' | 't' | '\\'))) => {
                    chars.next();
                    text.push(match escaped {
                        'n' => '\n',
                        't' => '\t',
                        _ => '\\',
                    });
                    continue;
                }
                _ => {
                    text.push(char);
                    continue;
                }
            };
            chars.next();
            if !text.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut text)));
            }
            parts.push(part);
        }
        if !text.is_empty() {
            parts.push(Part::Text(text));
        }
        Ok(Self(parts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_written_as_they_were_asked_for() {
        let topic = "a/b".parse().expect("a topic");
        let message = Message::new(topic, "hi\u{7f}").retained();
        for (format, written) in [
            ("%t %p", "a/b hi\u{7f}"),
            ("%x", "68697f"),
            (r"100%%\t%l\n", "100%\t3\n"),
            ("[%q%r]", "[01]"),
            ("", ""),
        ] {
            let format: Format = format.parse().expect(format);
            let mut out = Vec::new();
            format.write(&message, &mut out);
            assert_eq!(String::from_utf8_lossy(&out), written);
        }
        for format in ["%", "%z"] {
            format.parse::<Format>().expect_err(format);
        }
    }
}
