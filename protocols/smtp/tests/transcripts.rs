//! The client's core against `tests/vectors/smtp/transcripts`, with time in the test's hand.

use std::time::Duration;

use jackfield_play::{Protocol, Stream, Transcripts, text};
use jackfield_sasl::{Channel, ChannelBinding, Credentials};
use jackfield_smtp::RequestError;
use jackfield_smtp::codec::{
    BodyKind, DeliverBy, Hold, Late, MailParameters, Notify, OriginalRecipient, Priority,
    RecipientParameters, Return,
};
use jackfield_smtp::core::{
    Body, Chunking, Config, Delivery, Envelope, Event, Outcome, Piece, Protocol as Spoken,
    Recipient, Request, RequestId, Response, Security, Session, SessionEvent,
};
use jackfield_socket::time::Instant;

#[test]
fn every_transcript_holds_wherever_its_bytes_are_cut() {
    let transcripts = Transcripts::of("smtp/transcripts");
    assert!(transcripts.len() > 10, "only {}", transcripts.len());
    transcripts.play_in_pieces(Smtp::new);
}

struct Smtp {
    config: Config,
    channel: Channel,
    /// What the next envelope asks for.
    mail: MailParameters,
    recipient: RecipientParameters,
    /// In the order of their `>` lines.
    requests: Vec<RequestId>,
}

impl Smtp {
    fn new() -> Self {
        let mut config = Config::new("client.example".parse().expect("a domain"));
        config.chunking = Chunking::Never;
        Self {
            config,
            channel: Channel::plaintext(),
            mail: MailParameters::default(),
            recipient: RecipientParameters::default(),
            requests: Vec::new(),
        }
    }

    fn envelope(&mut self, from: &str, to: &str) -> Envelope {
        let parameters = std::mem::take(&mut self.recipient);
        let from = from.trim_matches(['<', '>']);
        let recipients = to.split(',').filter(|it| *it != "-").map(|mailbox| {
            let mut recipient = Recipient::new(mailbox.parse().expect("a mailbox"));
            recipient.parameters = parameters.clone();
            recipient
        });
        let from = from.parse().expect("a path");
        let mut envelope = Envelope::new(from, recipients);
        envelope.parameters = std::mem::take(&mut self.mail);
        envelope
    }

    fn number(&self, id: RequestId) -> usize {
        let at = self.requests.iter().position(|it| *it == id);
        at.expect("it was asked for") + 1
    }
}

impl Protocol for Smtp {
    type Core = Session;
    type Carrier = Stream;

    fn config(&mut self, name: &str, value: &str) {
        let seconds = || Duration::from_secs(value.parse().expect("seconds"));
        let number = || value.parse().expect("a number");
        let config = &mut self.config;
        match name {
            "lmtp" => config.protocol = Spoken::Lmtp,
            "tls" | "starttls" => {
                config.security = match name {
                    "tls" => Security::Tls,
                    _ => Security::StartTls,
                };
                self.channel = match value {
                    "" => Channel::encrypted(),
                    "bound" => {
                        let binding = ChannelBinding::tls_exporter([7; 32]);
                        Channel::encrypted().with_binding(binding)
                    }
                    "unencrypted" => Channel::plaintext(),
                    other => panic!("{other:?} is no kind of TLS"),
                };
            }
            "plaintext-auth" => config.allow_plaintext_auth = true,
            "chunking" => config.chunking = Chunking::WhereOffered,
            "password" => {
                let (user, password) = value.split_once(' ').expect("two words");
                let credentials = Credentials::password(user, password).expect("valid");
                config.credentials = Some(credentials);
            }
            "token" => {
                let (user, token) = value.split_once(' ').expect("two words");
                config.credentials = Some(Credentials::token(user, token).expect("valid"));
            }
            "depth" => config.pipeline_depth = number(),
            "messages" => config.connection_messages = Some(value.parse().expect("a number")),
            "request-capacity" => config.request_capacity = number(),
            "max-line" => config.limits.reply.max_line = number(),
            "max-lines" => config.limits.reply.max_lines = number(),
            "idle" => config.timeouts.idle = seconds(),
            "waiting" => config.timeouts.waiting = seconds(),
            other => panic!("{other:?} is no setting"),
        }
    }

    fn begin(&mut self, _now: Instant) -> Session {
        Session::new(self.config.clone())
    }

    fn ask(&mut self, session: &mut Session, now: Instant, line: &str) -> Result<(), String> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let mut words = rest.splitn(3, ' ');
        let mut word_of = || words.next().unwrap_or_default();
        let request = match word {
            "connect" => {
                session.opened(now, self.channel.clone());
                return Ok(());
            }
            "close" => {
                session.close();
                return Ok(());
            }
            "with" => {
                for parameter in rest.split(' ') {
                    set(&mut self.mail, &mut self.recipient, parameter);
                }
                return Ok(());
            }
            "body" | "body-end" | "body-failed" => {
                let (number, content) = rest.split_once(' ').unwrap_or((rest, ""));
                let number: usize = number.parse().expect("a number");
                let piece = match word {
                    "body" => Piece::More(text::read(content).into()),
                    "body-end" => Piece::End,
                    _ => Piece::Failed,
                };
                session.body(now, self.requests[number - 1], piece);
                return Ok(());
            }
            "send" => {
                let (from, to) = (word_of(), word_of());
                let content = text::read(word_of());
                Request::Send(self.envelope(from, to), content.into())
            }
            "stream" => {
                let (from, to) = (word_of(), word_of());
                let size = word_of().parse().ok();
                Request::Send(self.envelope(from, to), Body::streamed(size))
            }
            "verify" => Request::Verify(rest.parse().expect("a text")),
            "noop" => Request::Noop,
            other => panic!("{other:?} is no request"),
        };
        let id = session.request(now, request);
        self.requests.push(id.map_err(|error| error.to_string())?);
        Ok(())
    }

    fn lost(&mut self, session: &mut Session, now: Instant) {
        session.lost(now);
    }

    fn told(&mut self, event: SessionEvent) -> Option<String> {
        Some(match event {
            SessionEvent::Ready(server) => match server.login {
                Some(mechanism) => format!("ready, logged in with {mechanism}"),
                None => "ready".to_owned(),
            },
            SessionEvent::Event(Event::Leaving(reply)) => format!("leaving: {reply}"),
            SessionEvent::WantsBody(id) => format!("#{} goes on", self.number(id)),
            SessionEvent::Completed(id, outcome) => {
                let outcome = match outcome {
                    Ok(Response::Sent(outcome)) => show(&outcome),
                    Ok(Response::Reply(reply)) => reply.to_string(),
                    Ok(other) => format!("{other:?}"),
                    Err(RequestError::Refused(refusal)) => {
                        let recipients = show(&refusal.recipients);
                        format!("refused: {refusal}{recipients}")
                    }
                    Err(RequestError::OutcomeUnknown(outcome)) => {
                        format!("unknown{}", show(&outcome))
                    }
                    Err(error) => format!("error: {error}"),
                };
                format!("#{} {}", self.number(id), outcome.trim_start())
            }
            SessionEvent::Closed => "closed".to_owned(),
            other => format!("{other:?}"),
        })
    }
}

/// ` MAILBOX: what became of it` for each.
fn show(outcome: &Outcome) -> String {
    let each = outcome.recipients.iter().map(|(mailbox, delivery)| {
        let delivery = match delivery {
            Delivery::Accepted(reply) => format!("taken: {reply}"),
            Delivery::Refused(reply) => format!("refused: {reply}"),
            Delivery::Unknown => "unknown".to_owned(),
            Delivery::NotAsked => "not asked".to_owned(),
            other => format!("{other:?}"),
        };
        format!(" | {mailbox} {delivery}")
    });
    let each: String = each.collect();
    each.strip_prefix(" |")
        .map_or(String::new(), |rest| format!(" |{rest}"))
}

fn set(mail: &mut MailParameters, recipient: &mut RecipientParameters, parameter: &str) {
    let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
    match name {
        "8bitmime" => mail.body = Some(BodyKind::EightBitMime),
        "binarymime" => mail.body = Some(BodyKind::BinaryMime),
        "smtputf8" => mail.smtp_utf8 = true,
        "ret" if value == "full" => mail.ret = Some(Return::Full),
        "ret" => mail.ret = Some(Return::Headers),
        "envid" => mail.envelope_id = Some(value.parse().expect("a name")),
        "requiretls" => mail.require_tls = true,
        "by" => {
            let seconds = value.parse().expect("seconds");
            mail.deliver_by = Some(DeliverBy::new(seconds, Late::Return).expect("a time"));
        }
        "by-notify" => {
            let seconds = value.parse().expect("seconds");
            let by = DeliverBy::new(seconds, Late::Notify).expect("a time");
            mail.deliver_by = Some(by.traced());
        }
        "hold" => mail.hold = Some(Hold::For(value.parse().expect("seconds"))),
        "until" => mail.hold = Some(Hold::Until(value.parse().expect("a time"))),
        "priority" => {
            let priority = Priority::new(value.parse().expect("a number"));
            mail.priority = Some(priority.expect("a priority"));
        }
        "notify" => {
            let mut notify = Notify::NEVER;
            for when in value.split(',') {
                match when {
                    "success" => notify.success = true,
                    "failure" => notify.failure = true,
                    "delay" => notify.delay = true,
                    _ => {}
                }
            }
            recipient.notify = Some(notify);
        }
        "orcpt" => {
            let mailbox = value.parse().expect("a mailbox");
            let original = OriginalRecipient::mailbox(&mailbox).expect("short");
            recipient.original = Some(original);
        }
        other => panic!("{other:?} is no parameter"),
    }
}
