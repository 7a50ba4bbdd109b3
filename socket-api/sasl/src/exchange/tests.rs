//! The exchanges of `tests/vectors/sasl`, and what no file can say.

use std::fmt::Write as _;

use super::*;
use crate::choose;

/// One exchange of the file, as its README explains.
#[derive(Default)]
struct Case<'a> {
    title: &'a str,
    settings: Vec<(&'a str, &'a str)>,
    lines: Vec<(&'a str, &'a str)>,
}

fn cases(text: &str) -> Vec<Case<'_>> {
    let blocks = text.split("\n\n").map(|block| {
        let mut case = Case::default();
        for line in block.lines() {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            match word {
                "#" => case.title = rest,
                "C:" | "S:" | "ok" | "no" | "!" => case.lines.push((word, rest)),
                _ => case.settings.push((word, rest)),
            }
        }
        case
    });
    blocks.filter(|case| !case.lines.is_empty()).collect()
}

impl Case<'_> {
    fn setting(&self, name: &str) -> Option<&str> {
        let mut settings = self.settings.iter();
        settings.find_map(|(word, value)| (*word == name).then_some(*value))
    }

    fn pair(&self, name: &str) -> Option<(&str, &str)> {
        let value = self.setting(name)?;
        Some(value.split_once(' ').expect("two words"))
    }

    fn credentials(&self) -> Result<Credentials, Error> {
        let mut credentials = if let Some((name, password)) = self.pair("password") {
            Credentials::password(name, password)?
        } else if let Some((name, token)) = self.pair("token") {
            Credentials::token(name, token)?
        } else {
            Credentials::external()
        };
        if let Some(authzid) = self.setting("authzid") {
            credentials = credentials.acting_as(authzid)?;
        }
        if let Some((host, port)) = self.pair("server") {
            credentials = credentials.with_server(host, port.parse().expect("a port"))?;
        }
        Ok(credentials)
    }

    fn channel(&self) -> Channel {
        match self.setting("channel") {
            Some("plaintext") => Channel::plaintext(),
            Some(bound) => {
                let value = bytes(bound.strip_prefix("bound ").expect("a binding"));
                let value = value.try_into().expect("32 bytes");
                Channel::encrypted().with_binding(ChannelBinding::tls_exporter(value))
            }
            None => Channel::encrypted(),
        }
    }

    fn start(&self) -> Result<Exchange, Error> {
        let (credentials, channel) = (self.credentials()?, self.channel());
        let offered = self.setting("offered").expect("what is offered");
        let choice = choose(offered.split(' '), &credentials, &channel)?;
        let nonce = self.setting("nonce").unwrap_or_default();
        let limits = Limits::default();
        Exchange::start_with_nonce(choice, &credentials, &channel, limits, nonce)
    }

    /// What this side says, line by line.
    fn play(&self) -> Vec<(&'static str, String)> {
        let mut said = Vec::new();
        let mut exchange = match self.start() {
            Ok(exchange) => exchange,
            Err(error) => return vec![("!", error.to_string())],
        };
        // Where the server speaks first, the protocol has no room for an initial response.
        if self.lines.first().is_some_and(|(word, _)| *word == "C:") {
            let initial = exchange.initial_response().expect("an initial response");
            said.push(("C:", shown(&initial)));
        }
        for (word, text) in &self.lines {
            let data = bytes(text);
            let outcome = match *word {
                "S:" => exchange
                    .step(&data)
                    .map(|answer| said.push(("C:", shown(&answer)))),
                "ok" => exchange.finish((!data.is_empty()).then_some(&data)),
                "no" => {
                    let refusal = exchange.refusal().map(ToString::to_string);
                    said.push(("no", refusal.unwrap_or_default()));
                    Ok(())
                }
                _ => Ok(()),
            };
            if let Err(error) = outcome {
                said.push(("!", error.to_string()));
            }
        }
        said
    }
}

/// Text with `\xHH` for bytes.
fn bytes(text: &str) -> Vec<u8> {
    let mut parts = text.split("\\x");
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (hex, rest) = part.split_at(2);
        bytes.push(u8::from_str_radix(hex, 16).expect("a byte in hex"));
        bytes.extend_from_slice(rest.as_bytes());
    }
    bytes
}

fn shown(bytes: &[u8]) -> String {
    let mut text = String::new();
    for c in String::from_utf8_lossy(bytes).chars() {
        if c.is_control() {
            write!(text, "\\x{:02x}", u32::from(c)).expect("a string takes it");
        } else {
            text.push(c);
        }
    }
    text
}

#[test]
fn exchanges_go_as_the_vectors_say() {
    let cases = cases(include_str!("../../../../tests/vectors/sasl/exchanges.txt"));
    assert!(cases.len() > 20);
    for case in cases {
        let said = case.play();
        let said: Vec<_> = said
            .iter()
            .map(|(word, text)| (*word, text.as_str()))
            .collect();
        let ours = |(word, _): &&(&str, &str)| ["C:", "!", "no"].contains(word);
        let expected: Vec<_> = case.lines.iter().filter(ours).copied().collect();
        assert_eq!(said, expected, "{}", case.title);
    }
}

/// An exchange whose first message was sent.
fn scram(limits: Limits) -> Exchange {
    let credentials = Credentials::password("user", "pencil").expect("a password");
    let choice = Mechanism::ScramSha256;
    let channel = Channel::plaintext();
    let started = Exchange::start_with_nonce(choice, &credentials, &channel, limits, "abc");
    let mut exchange = started.expect("it begins");
    exchange.initial_response().expect("a message");
    exchange
}

#[test]
fn a_server_can_ask_for_so_many_rounds_and_no_more() {
    let limits = Limits {
        max_iterations: 5000,
        ..Limits::default()
    };
    for (rounds, error) in [
        ("4096", None),
        ("5000", None),
        ("5001", Some(Error::TooManyIterations { max: 5000 })),
        ("4294967296", Some(Error::TooManyIterations { max: 5000 })),
        ("4095", Some(Error::TooFewIterations { min: 4096 })),
    ] {
        let challenge = format!("r=abcdef,s=QQ==,i={rounds}");
        let outcome = scram(limits).step(challenge.as_bytes());
        assert_eq!(outcome.err(), error, "{rounds}");
    }
}

#[test]
fn a_challenge_is_only_so_long() {
    let limits = Limits {
        max_challenge: 20,
        ..Limits::default()
    };
    let mut exchange = scram(limits);
    let long = exchange.step(b"r=abcdef,s=QQ==,i=4096");
    assert_eq!(long, Err(Error::TooLong { max: 20 }));
    assert_eq!(exchange.step(b"r=abcdef"), Err(Error::Failed));
    assert_eq!(exchange.finish(None), Err(Error::Failed));
    let long = scram(limits).finish(Some(&[b'v'; 21]));
    assert_eq!(long, Err(Error::TooLong { max: 20 }));
}

#[test]
fn what_neither_credentials_nor_channel_suit_does_not_begin() {
    let password = Credentials::password("user", "pencil").expect("a password");
    let token = Credentials::token("user", "t").expect("a token");
    let plus = Mechanism::ScramSha256Plus;
    let (plain, tls) = (Channel::plaintext(), Channel::encrypted());
    for (mechanism, credentials, channel, error) in [
        (
            Mechanism::Plain,
            &password,
            &plain,
            Error::Plaintext(Mechanism::Plain),
        ),
        (
            Mechanism::Login,
            &password,
            &plain,
            Error::Plaintext(Mechanism::Login),
        ),
        (
            Mechanism::XOAuth2,
            &token,
            &plain,
            Error::Plaintext(Mechanism::XOAuth2),
        ),
        (
            Mechanism::Plain,
            &token,
            &tls,
            Error::Unsuited(Mechanism::Plain),
        ),
        (
            Mechanism::External,
            &password,
            &tls,
            Error::Unsuited(Mechanism::External),
        ),
        (plus, &password, &tls, Error::NoBinding(plus)),
    ] {
        let started = Exchange::start(mechanism, credentials, channel, Limits::default());
        assert_eq!(started.err(), Some(error));
    }
}

#[test]
fn debug_shows_no_secret() {
    let credentials = Credentials::password("user", "pencil").expect("a password");
    let channel = Channel::encrypted().with_binding(ChannelBinding::tls_exporter([0x70; 32]));
    let exchange = Exchange::start(Mechanism::Plain, &credentials, &channel, Limits::default());
    let shown = format!("{:?} {channel:?}", exchange.expect("it begins"));
    assert!(
        !shown.contains("pencil") && !shown.contains("112"),
        "{shown}"
    );
}
