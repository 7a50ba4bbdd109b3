//! The SMTP client's methods; `Smtp` in smtp.d.ts describes them.

use jackfield_sasl::Credentials;
use jackfield_smtp::client::{self, Client, ClientConfig, ClientEvent, Events, Status};
use jackfield_smtp::codec::{Domain, Reply};
use jackfield_smtp::core::{Config, Delivery, Envelope, Event, Outcome, Recipient, Security};
use jackfield_smtp::{RequestError, SessionError, starttls};
use jackfield_socket::Error;
use js_sys::{Array, Function, Object, Promise};
use tokio::sync::Mutex;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast as _, JsValue};

use crate::Network;
use crate::convert::{self, Options, invalid, object, set, socket_error};
use crate::mail::{self, Address, Login, PageReader};
use crate::network::Secured;
use crate::running::{self, Running, connection_error, disconnected, timed, unless};

/// What EHLO says: a page has no name of its own, and servers of mail submission take any.
const NAME: &str = "localhost";

/// An SMTP client.
#[derive(Debug)]
#[wasm_bindgen]
pub struct Smtp {
    client: Client,
    /// Locked while a page waits for the next event, so that a second one waits its turn.
    events: Mutex<Events>,
    network: Secured,
    /// Ends with the page's object.
    running: Running,
}

type Result<T, E = JsValue> = std::result::Result<T, E>;

#[wasm_bindgen]
impl Network {
    /// An SMTP client over it.
    ///
    /// # Errors
    /// A `JackfieldError`, for an option that can't be right.
    pub fn smtp(&self, url: &str, options: &JsValue) -> Result<Smtp> {
        Smtp::open(self, url, &Options(options)).map_err(|error| socket_error(&error))
    }
}

#[wasm_bindgen(wasm_bindgen_futures = crate::promise)]
impl Smtp {
    /// The error by which it has ended; undefined while it has not, and after an end in order.
    pub fn failure(&self) -> JsValue {
        self.running.failure()
    }

    /// The next event, or null after the end.
    pub async fn next(&self) -> JsValue {
        let mut events = self.events.lock().await;
        loop {
            let Some(event) = events.next().await else {
                return JsValue::NULL;
            };
            if let Some(event) = self.convert(&event) {
                return event.into();
            }
        }
    }

    /// Sends a message; done when the server has answered for it. Where `aborted` fails first, it is withdrawn.
    ///
    /// # Errors
    /// A `JackfieldError`; the reason of `aborted`.
    pub async fn send(&self, with: JsValue, aborted: Option<Promise>) -> Result<Object> {
        let read = || {
            let with = Options(&with);
            Ok((envelope(&with)?, pull(&with)?, size(&with)?))
        };
        let (envelope, pull, size) = read().map_err(|error| socket_error(&error))?;
        let sent = self.client.send_from(envelope, pull, size);
        match unless(aborted, sent).await? {
            Ok(outcome) => Ok(object([("recipients", recipients(&outcome))])),
            Err(error) => Err(request_error(&error)),
        }
    }

    /// Connects and logs in, where that is still to be done.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn noop(&self) -> Result<()> {
        let answer = self.client.noop().await;
        answer.map(|_| ()).map_err(|error| request_error(&error))
    }

    /// A draft as a message that can be sent.
    ///
    /// # Errors
    /// A `JackfieldError`, where a field can't be what it is to be.
    pub fn compose(&self, draft: &JsValue) -> Result<Object> {
        mail::compose(draft).map_err(|error| socket_error(&error))
    }

    /// Takes leave of the server, and ends.
    pub async fn close(&self) {
        self.client.close().await;
    }
}

running::methods!(Smtp);

impl Smtp {
    fn open(network: &Network, url: &str, options: &Options<'_>) -> Result<Self, Error> {
        let address = Address::parse(url, ("smtps", 465), ("smtp", 587), "SMTP")?;
        let name: Domain = match options.text("name")? {
            Some(name) => name.parse(),
            None => NAME.parse(),
        }
        .map_err(|error| invalid("name", format_args!("is none: {error}")))?;
        let mut session = Config::new(name);
        session.security = if address.is_tls {
            Security::Tls
        } else {
            Security::StartTls
        };
        let login = Login::read(options, &address.server)?;
        let renewal = login.as_ref().and_then(Login::renewal);
        session.credentials = login.map(|login| -> Credentials { login.credentials });
        let mut config = ClientConfig::new(session);
        running::reconnect(options, &mut config.connection)?;
        if let Some(renewal) = renewal {
            config = config.renew_with(renewal);
        }
        let network = if address.is_tls {
            network.secured(true)?
        } else {
            network.start_tls(starttls::opening())?
        };
        let (client, events, connection) = client::connect(network.clone(), address.server, config);
        let running = Running::start(connection, client.statuses(), session_kind);
        Ok(Self {
            client,
            events: Mutex::new(events),
            network,
            running,
        })
    }

    /// `SmtpEvent`; nothing for what a page has no use for.
    fn convert(&self, event: &ClientEvent) -> Option<Object> {
        Some(match event {
            ClientEvent::Status(Status::Connecting { .. }) => timed("connecting", None, []),
            ClientEvent::Status(Status::Ready(server)) => {
                let limit = server.capabilities.size();
                #[expect(clippy::cast_precision_loss, reason = "no message has 2^53 bytes")]
                let limit = limit.map_or(JsValue::NULL, |limit| (limit as f64).into());
                let security = self.network.security().into();
                timed(
                    "connected",
                    None,
                    [("security", security), ("maxSize", limit)],
                )
            }
            ClientEvent::Status(Status::Disconnected { error, retry_in }) => {
                disconnected(error, *retry_in, session_kind)
            }
            ClientEvent::Event(Event::LoginNotBound) => timed("loginNotBound", None, []),
            _ => return None,
        })
    }
}

fn envelope(with: &Options<'_>) -> Result<Envelope, Error> {
    let unfit = |name: &str, text: &str, error: &dyn std::fmt::Display| {
        invalid(
            name,
            format_args!("has {text:?}, which can't be sent to: {error}"),
        )
    };
    let from = with.text("from")?.unwrap_or_default();
    let sender = from.parse().map_err(|error| unfit("from", &from, &error))?;
    let mut recipients: Vec<Recipient> = Vec::new();
    for to in with.texts("to")? {
        let recipient = to.parse().map_err(|error| unfit("to", &to, &error))?;
        recipients.push(recipient);
    }
    let mut envelope = Envelope::new(sender, recipients);
    envelope.parameters.smtp_utf8 = with.flag("smtpUtf8")?.unwrap_or(false);
    envelope.parameters.require_tls = with.flag("requireTls")?.unwrap_or(false);
    Ok(envelope)
}

fn pull(with: &Options<'_>) -> Result<PageReader, Error> {
    let pull = with.value("pull")?.unwrap_or_default();
    let pull = pull
        .dyn_into::<Function>()
        .map_err(|_| invalid("pull", "is no function"))?;
    Ok(PageReader::new(pull))
}

fn size(with: &Options<'_>) -> Result<Option<u64>, Error> {
    #[expect(
        clippy::cast_sign_loss,
        reason = "the size of what a script has counted"
    )]
    let size = with.number("size")?.map(|size| size as u64);
    Ok(size)
}

/// `SmtpRecipient`, each.
fn recipients(outcome: &Outcome) -> JsValue {
    let made = outcome.recipients.iter().map(|(mailbox, delivery)| {
        let (what, reply) = match delivery {
            Delivery::Accepted(reply) => ("accepted", Some(reply)),
            Delivery::Refused(reply) => ("refused", Some(reply)),
            Delivery::Unknown => ("unknown", None),
            _ => ("not-asked", None),
        };
        let made = object([
            ("address", mailbox.to_string().into()),
            ("outcome", what.into()),
        ]);
        let code = reply.map(Reply::code);
        set(&made, "code", code.map_or(JsValue::NULL, Into::into));
        let text = reply.map(Reply::text);
        set(&made, "text", text.map_or(JsValue::NULL, Into::into));
        JsValue::from(made)
    });
    made.collect::<Array>().into()
}

fn request_error(error: &RequestError) -> JsValue {
    if let RequestError::NotConnected(error) = error {
        return connection_error(error, session_kind);
    }
    let kind = match error {
        RequestError::Refused(_) => "refused",
        RequestError::OutcomeUnknown(_) => "outcome-unknown",
        RequestError::ConnectionLost => "reset",
        RequestError::TimedOut => "timed-out",
        RequestError::TooManyPending
        | RequestError::TooManyRecipients { .. }
        | RequestError::TooLarge { .. } => "limit-exceeded",
        RequestError::NoRecipients | RequestError::Nul | RequestError::SourceFailed => {
            "invalid-input"
        }
        RequestError::Unsupported(_) => "unsupported",
        RequestError::Closed => "closed",
        _ => "other",
    };
    let made = convert::error(kind, error);
    let told: &Object = made.unchecked_ref();
    match error {
        RequestError::Refused(refusal) => {
            set(told, "code", refusal.reply.code());
            set(told, "recipients", recipients(&refusal.recipients));
        }
        RequestError::OutcomeUnknown(outcome) => set(told, "recipients", recipients(outcome)),
        _ => {}
    }
    made
}

fn session_kind(error: &SessionError) -> &'static str {
    match error {
        SessionError::NotEncrypted => "tls-refused",
        SessionError::Login(_) | SessionError::NotRenewed(_) => "authentication",
        SessionError::Refused(..)
        | SessionError::ClosedByServer(_)
        | SessionError::RefusedMidway(_) => "refused",
        SessionError::Unexpected(..) | SessionError::Unasked(_) | SessionError::Malformed(_) => {
            "protocol"
        }
        SessionError::TimedOut(_) => "timed-out",
        SessionError::SourceFailed => "invalid-input",
        SessionError::Idle => "closed",
        SessionError::Ended | SessionError::Truncated => "unexpected-eof",
        _ => "other",
    }
}
