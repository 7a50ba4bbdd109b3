//! Injection: each text that a caller can give is given with what would end a command or add to it, and the
//! server must hear the commands that were asked for, and no other.

use std::collections::BTreeSet;

use jackfield_sasl::{Channel, Credentials};
use jackfield_smtp::codec::{Hold, OriginalRecipient, Timestamp};
use jackfield_smtp::core::{
    Chunking, Config, Envelope, Recipient, Request, Security, Session, SessionEvent,
};
use jackfield_socket::driver::{Core as _, StreamCore as _};
use jackfield_socket::time;

/// What would end a command, or add to it.
const EVIL: [&str; 18] = [
    "\r\nRSET",
    "\nRSET\n",
    "\rRSET",
    "\0RSET",
    "\r\n.\r\nRSET\r\n",
    "\n.\nRSET\n",
    "\r\n\r\nRSET",
    "> SIZE=1",
    ">\r\nRCPT TO:<eve@example.org",
    "> NOTIFY=NEVER",
    " RET=FULL",
    "\tRET=FULL",
    "\u{b}RSET",
    "\u{85}RSET",
    "\u{2028}RSET",
    "\u{7f}RSET",
    "\"\r\nRSET\"",
    "\\\r\nRSET",
];

/// What can be asked for, with a text of the caller's in one place; `None` where it isn't taken there.
struct Place {
    name: &'static str,
    /// A text that is taken there.
    good: &'static str,
    put: fn(&mut Config, &mut Envelope, &str) -> Option<Request>,
}

fn send(envelope: &Envelope) -> Request {
    Request::Send(envelope.clone(), "Subject: hi\n\nHi.\n".into())
}

const PLACES: &[Place] = &[
    Place {
        name: "the name in EHLO",
        good: "client.example",
        put: |config, envelope, text| {
            config.name = text.parse().ok()?;
            Some(send(envelope))
        },
    },
    Place {
        name: "MAIL's path",
        good: "ada@example.org",
        put: |_, envelope, text| {
            envelope.from = text.parse().ok()?;
            Some(send(envelope))
        },
    },
    Place {
        name: "RCPT's mailbox",
        good: "grace@example.com",
        put: |_, envelope, text| {
            envelope.recipients = vec![text.parse().ok()?];
            Some(send(envelope))
        },
    },
    Place {
        name: "RCPT's quoted mailbox",
        good: "\"grace hopper\"@example.com",
        put: |_, envelope, text| {
            envelope.recipients = vec![text.parse().ok()?];
            Some(send(envelope))
        },
    },
    Place {
        name: "ENVID",
        good: "QQ314159",
        put: |_, envelope, text| {
            envelope.parameters.envelope_id = Some(text.parse().ok()?);
            Some(send(envelope))
        },
    },
    Place {
        name: "ORCPT",
        good: "grace@example.com",
        put: |_, envelope, text| {
            let original = OriginalRecipient::new("rfc822", text).ok()?;
            envelope.recipients[0].parameters.original = Some(original);
            Some(send(envelope))
        },
    },
    Place {
        name: "ORCPT's kind",
        good: "rfc822",
        put: |_, envelope, text| {
            let original = OriginalRecipient::new(text, "grace@example.com").ok()?;
            envelope.recipients[0].parameters.original = Some(original);
            Some(send(envelope))
        },
    },
    Place {
        name: "HOLDUNTIL",
        good: "2026-12-24T18:00:00Z",
        put: |_, envelope, text| {
            let until: Timestamp = text.parse().ok()?;
            envelope.parameters.hold = Some(Hold::Until(until));
            Some(send(envelope))
        },
    },
    Place {
        name: "VRFY",
        good: "Grace Hopper",
        put: |_, _, text| Some(Request::Verify(text.parse().ok()?)),
    },
    Place {
        name: "the content",
        good: "Subject: hi\n\nHi.",
        put: |_, envelope, text| {
            let content = text.to_owned().into();
            Some(Request::Send(envelope.clone(), content))
        },
    },
    Place {
        name: "the username",
        good: "ada",
        put: |config, envelope, text| {
            config.credentials = Some(Credentials::password(text, "secret").ok()?);
            Some(send(envelope))
        },
    },
    Place {
        name: "the password",
        good: "correct horse",
        put: |config, envelope, text| {
            config.credentials = Some(Credentials::password("ada", text).ok()?);
            Some(send(envelope))
        },
    },
    Place {
        name: "who is acted as",
        good: "grace",
        put: |config, envelope, text| {
            let credentials = Credentials::password("ada", "secret").ok()?;
            config.credentials = Some(credentials.acting_as(text).ok()?);
            Some(send(envelope))
        },
    },
    Place {
        name: "the token",
        good: "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg",
        put: |config, envelope, text| {
            config.credentials = Some(Credentials::token("ada", text).ok()?);
            Some(send(envelope))
        },
    },
    Place {
        name: "whose token it is",
        good: "ada@example.org",
        put: |config, envelope, text| {
            config.credentials = Some(Credentials::token(text, "abc").ok()?);
            Some(send(envelope))
        },
    },
];

/// A server that can do all and says yes to all; what it has heard, line by line as it takes them. Content is
/// left out.
fn heard(config: Config, request: Request, offers: &str) -> Vec<String> {
    let now = time::now();
    let mut session = Session::new(config);
    let (mut lines, mut come) = (Vec::new(), Vec::new());
    if session.request(now, request).is_err() {
        return lines;
    }
    session.opened(now, Channel::encrypted());
    let _ = session.receive(now, b"220 mail.example\r\n");
    let mut in_content = false;
    let mut is_closed = false;
    while !is_closed {
        session.transmit(now, &mut come);
        let mut replies = String::new();
        while let Some(end) = come.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = come.drain(..=end).collect();
            let line = String::from_utf8(line).expect("text");
            let line = line.strip_suffix("\r\n").expect("a bare LF").to_owned();
            assert!(!line.contains(['\r', '\0']), "{line:?}");
            if in_content {
                in_content = line != ".";
                if !in_content {
                    replies.push_str("250 2.0.0 Ok\r\n");
                }
                continue;
            }
            let verb = line.split(' ').next().unwrap_or_default();
            match verb {
                "EHLO" => replies.push_str(offers),
                "AUTH" => replies.push_str("235 2.7.0 Ok\r\n"),
                "DATA" => {
                    in_content = true;
                    replies.push_str("354 Go\r\n");
                }
                "BDAT" => {
                    let size = line.split(' ').nth(1).expect("a size");
                    let size: usize = size.parse().expect("a number");
                    assert!(line.ends_with(" LAST"), "{line}");
                    session.transmit(now, &mut come);
                    come.drain(..size);
                    replies.push_str("250 2.0.0 Ok\r\n");
                }
                "QUIT" => {
                    is_closed = true;
                    replies.push_str("221 Bye\r\n");
                }
                _ => replies.push_str("250 2.0.0 Ok\r\n"),
            }
            lines.push(line);
        }
        let is_fine = session.receive(now, replies.as_bytes()).is_ok();
        while let Some(event) = session.poll_event() {
            if let SessionEvent::Completed(..) = event {
                session.close();
            }
        }
        assert!(is_fine || is_closed, "{lines:?}");
    }
    lines
}

/// The commands, without what they carry; and how many words they have.
fn shape(lines: &[String]) -> Vec<(String, usize)> {
    let shape = lines.iter().map(|line| {
        let mut words = line.split(' ');
        let verb = words.next().unwrap_or_default().to_owned();
        // What is quoted holds spaces, and no word.
        let is_free = verb == "VRFY" || line.contains('"');
        (verb, if is_free { 0 } else { words.count() })
    });
    shape.collect()
}

#[test]
fn no_text_that_a_caller_gives_becomes_a_command() {
    let all = "250-mail.example\r\n250-PIPELINING\r\n250-SMTPUTF8\r\n250-8BITMIME\r\n250-DSN\r\n250-SIZE\r\n\
               250-FUTURERELEASE 1000 2030-01-01T00:00:00Z\r\n250-AUTH PLAIN LOGIN XOAUTH2 OAUTHBEARER\r\n";
    let (mut taken, mut refused) = (BTreeSet::new(), BTreeSet::new());
    for chunking in [Chunking::Never, Chunking::WhereOffered] {
        let offers = match chunking {
            Chunking::Never => format!("{all}250 HELP\r\n"),
            _ => format!("{all}250 CHUNKING\r\n"),
        };
        for place in PLACES {
            let ask = |text: &str| {
                let mut config = Config::new("client.example".parse().expect("a domain"));
                config.security = Security::Tls;
                config.chunking = chunking;
                let to: Recipient = "grace@example.com".parse().expect("a mailbox");
                let from = "ada@example.org".parse().expect("a path");
                let mut envelope = Envelope::new(from, [to]);
                let request = (place.put)(&mut config, &mut envelope, text)?;
                Some(heard(config, request, &offers))
            };
            let good = ask(place.good).expect(place.name);
            assert!(good.len() >= 3, "{}: {good:?}", place.name);
            let mut evil = EVIL.to_vec();
            evil.push(".\r\nRSET");
            for evil in evil {
                for at in [0, 1, place.good.len() / 2, place.good.len()] {
                    let (before, behind) = place.good.split_at(at);
                    let text = [before, evil, behind].concat();
                    match ask(&text) {
                        None => {
                            refused.insert(place.name);
                        }
                        // It was refused when it was asked for, and nothing was said.
                        Some(lines) if lines.is_empty() => {
                            refused.insert(place.name);
                        }
                        Some(lines) => {
                            taken.insert(place.name);
                            // Unicode asks for one more word.
                            let lines: Vec<String> = lines
                                .iter()
                                .map(|line| {
                                    line.replace(" SMTPUTF8", "").replace(" BODY=8BITMIME", "")
                                })
                                .collect();
                            let at = format!("{}: {text:?}: {lines:?}", place.name);
                            assert_eq!(shape(&lines), shape(&good), "{at}");
                            assert!(!lines.iter().any(|line| line.starts_with("RSET")), "{at}");
                        }
                    }
                }
            }
        }
    }
    // Each place has refused something but the content and the secrets, which are carried as they are.
    assert!(refused.len() >= PLACES.len() - 3, "{refused:?}");
    assert!(
        taken.contains("the content") && taken.contains("the password"),
        "{taken:?}"
    );
}
