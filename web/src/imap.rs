//! The IMAP client's methods; `Imap` in imap.d.ts describes them.
//!
//! What can be asked of it is one method, [`Imap::ask`], with a name and an object: a promise for each of some
//! forty methods would be the larger part of the module.

mod query;
mod reading;
mod request;
mod value;

use jackfield_imap::client::{self, Client, ClientConfig, Events, Idle};
use jackfield_imap::codec::{Extension, InvalidValue};
use jackfield_imap::core::Security;
use jackfield_imap::{RequestError, SessionError, starttls};
use jackfield_mail::message::ReadOptions;
use jackfield_socket::{Error, ErrorKind};
use js_sys::{Object, Promise};
use tokio::sync::Mutex;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::Network;
use crate::convert::{self, Options, invalid, socket_error};
use crate::mail::{self, Address, Login};
use crate::network::Secured;
use crate::running::{self, Running, unless};

pub use reading::ImapReading;

/// An IMAP client.
#[derive(Debug)]
#[wasm_bindgen]
pub struct Imap {
    client: Client,
    /// Locked while a page waits for the next event, so that a second one waits its turn.
    events: Mutex<Events>,
    network: Secured,
    reading: ReadOptions,
    /// News are told as they come, while nothing else is asked for.
    _idle: Idle,
    /// Ends with the page's object.
    running: Running,
}

type Result<T, E = JsValue> = std::result::Result<T, E>;

#[wasm_bindgen]
impl Network {
    /// An IMAP client over it.
    ///
    /// # Errors
    /// A `JackfieldError`, for an option that can't be right.
    pub fn imap(&self, url: &str, options: &JsValue) -> Result<Imap> {
        Imap::open(self, url, &Options(options)).map_err(|error| socket_error(&error))
    }
}

#[wasm_bindgen(wasm_bindgen_futures = crate::promise)]
impl Imap {
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
            if let Some(event) = value::event(&event, &self.network, &self.reading) {
                return event.into();
            }
        }
    }

    /// Asks for something, by its name and an object of what it needs. Where `aborted` fails first, it is given
    /// up.
    ///
    /// # Errors
    /// A `JackfieldError`; the reason of `aborted`.
    pub async fn ask(
        &self,
        what: String,
        with: JsValue,
        aborted: Option<Promise>,
    ) -> Result<JsValue> {
        let asked = async {
            let answer = self.answer(&what, &Options(&with)).await;
            answer.map_err(|failure| failure.0)
        };
        unless(aborted, asked).await?
    }

    /// What is known of the server; null while nobody is logged in.
    pub fn server(&self) -> JsValue {
        let server = self.client.server();
        server.map_or(JsValue::NULL, |server| value::server(&server).into())
    }

    /// A message as `ParsedMessage`.
    pub fn parse(&self, message: Vec<u8>) -> Object {
        mail::parsed(&jackfield_mail::message::Message::parse_with(
            message,
            &self.reading,
        ))
    }

    /// The text of a part that was fetched, and is no longer encoded.
    ///
    /// # Errors
    /// A `JackfieldError`, where the part is none.
    #[wasm_bindgen(js_name = "partText")]
    pub fn part_text(&self, part: &JsValue, bytes: &[u8]) -> Result<String> {
        let mut part = mail::part_of(&Options(part)).map_err(|error| socket_error(&error))?;
        part.encoding = jackfield_mail::message::TransferEncoding::Identity;
        Ok(part.text(bytes, &self.reading.charsets))
    }

    /// A draft as a message that can be appended or sent.
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

running::methods!(Imap);

impl Imap {
    fn open(network: &Network, url: &str, options: &Options<'_>) -> Result<Self, Error> {
        let address = Address::parse(url, ("imaps", 993), ("imap", 143), "IMAP")?;
        let login = Login::read(options, &address.server)?;
        let login = login.ok_or_else(|| invalid("username", "is missing"))?;
        let renewal = login.renewal();
        let mut config = ClientConfig::new(login.credentials);
        // What has gone is told by its UID, and what has changed since can be asked for.
        config.session.extensions = vec![Extension::QResync];
        let network = if address.is_tls {
            network.secured(true)?
        } else {
            config.session.security = Security::StartTls;
            network.start_tls(starttls::opening())?
        };
        running::reconnect(options, &mut config.connection)?;
        if let Some(renewal) = renewal {
            config = config.renew_with(renewal);
        }
        let (client, events, connection) = client::connect(network.clone(), address.server, config);
        let running = Running::start(connection, client.statuses(), session_kind);
        Ok(Self {
            _idle: client.idle(),
            client,
            events: Mutex::new(events),
            network,
            reading: mail::read_options(),
            running,
        })
    }
}

/// Why something was not done, as pages get it.
struct Failure(JsValue);

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(socket_error(&error))
    }
}

impl From<RequestError> for Failure {
    fn from(error: RequestError) -> Self {
        Self(convert::error(request_kind(&error), &error))
    }
}

impl From<InvalidValue> for Failure {
    fn from(error: InvalidValue) -> Self {
        let error = Error::new(ErrorKind::InvalidInput, error.to_string());
        Self(socket_error(&error))
    }
}

fn request_kind(error: &RequestError) -> &'static str {
    match error {
        RequestError::Refused(_) => "refused",
        RequestError::NotConnected | RequestError::NotSelected | RequestError::Closed => "closed",
        RequestError::ConnectionLost(_) => "reset",
        RequestError::TimedOut => "timed-out",
        RequestError::Throttled(_)
        | RequestError::TooManyPending
        | RequestError::TooLarge
        | RequestError::MessageTooLarge { .. } => "limit-exceeded",
        RequestError::NoSuchMessage => "not-found",
        RequestError::Unsupported(_) => "unsupported",
        RequestError::Invalid(_) | RequestError::Source => "invalid-input",
        RequestError::Incomplete => "protocol",
        _ => "other",
    }
}

fn session_kind(error: &SessionError) -> &'static str {
    match error {
        SessionError::LoginRefused(_)
        | SessionError::NoLogin
        | SessionError::Sasl(_)
        | SessionError::NotRenewed(_) => "authentication",
        SessionError::NotEncrypted | SessionError::PreAuth => "tls-refused",
        SessionError::NotImap | SessionError::Corrupt => "protocol",
        SessionError::LimitExceeded(_) => "limit-exceeded",
        SessionError::LoginTimedOut | SessionError::TimedOut => "timed-out",
        SessionError::Ended | SessionError::Truncated => "unexpected-eof",
        SessionError::Bye(_) | SessionError::UserNotConnected(_) => "refused",
        SessionError::AppendAborted => "reset",
        SessionError::Invalid(_) => "invalid-input",
        _ => "other",
    }
}
