//! Formatting of a message for standard output.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::str::FromStr;

use jackfield_mqtt::core::Message;

use crate::output::{one_line, visible};

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

    /// Writes a message; what it says is made visible where that was asked for.
    pub(crate) fn write(&self, message: &Message, visibly: bool, out: &mut Vec<u8>) {
        let (topic, payload) = (message.topic.as_str(), &message.payload);
        let said: (Cow<'_, [u8]>, Cow<'_, [u8]>) = if visibly {
            let shown = (one_line(topic), visible(payload));
            (shown.0.into_bytes().into(), shown.1.into_bytes().into())
        } else {
            (topic.as_bytes().into(), payload[..].into())
        };
        for part in &self.0 {
            match part {
                Part::Text(text) => out.extend_from_slice(text.as_bytes()),
                Part::Topic => out.extend_from_slice(&said.0),
                Part::Payload => out.extend_from_slice(&said.1),
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
            format.write(&message, false, &mut out);
            assert_eq!(String::from_utf8_lossy(&out), written);
            let mut out = Vec::new();
            format.write(&message, true, &mut out);
            let written = written.replace('\u{7f}', r"\u{7f}");
            assert_eq!(String::from_utf8_lossy(&out), written);
        }
        for format in ["%", "%z"] {
            format.parse::<Format>().expect_err(format);
        }
    }
}
