//! The MQTT client's methods; `Mqtt` in the package's .d.ts describes them.

mod options;
mod pack;
mod value;

use std::time::Duration;

use jackfield_mqtt::RequestError;
use jackfield_mqtt::client::{
    self, Address, Client, ClientEvent, Events, MqttWebSockets, Publication, Requester, Scheme,
    Status, Subscription,
};
use jackfield_mqtt::codec::{Disconnect, DisconnectReason, PublishReason, QoS, Text, TopicName};
use jackfield_mqtt::core::{Challenge, Event};
use jackfield_socket::{Endpoint, Error, time};
use jackfield_store::IndexedDbStore;
use js_sys::{Array, Object};
use tokio::sync::{Mutex, Notify, OnceCell};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast as _, JsValue};
use wasm_bindgen_futures::spawn_local;

use self::options::{Authenticate, Given};
use self::pack::Pack;
use crate::Network;
use crate::convert::{self, Options, invalid, set, socket_error};
use crate::network::Secured;
use crate::running::{self, Running, disconnected, timed};

/// How long a request waits for its response, unless it is told otherwise.
const PATIENCE: Duration = Duration::from_secs(30);
/// How many messages of QoS 0 a page is given at once. So many wait there at most, besides what waits in the
/// client: the next ones are taken when the last of these is read.
const MAX_PACK: usize = 64;

/// An MQTT client.
#[derive(Debug)]
#[wasm_bindgen]
pub struct Mqtt {
    client: Client,
    /// Locked while a page waits for the next event, so that a second one waits its turn.
    events: Mutex<Events>,
    network: Secured,
    client_id: Text,
    authentication: Option<Authenticate>,
    /// Made at the first request.
    requester: OnceCell<Requester>,
    /// Ends with the page's object.
    running: Running,
}

/// A message that is queued.
#[derive(Debug)]
#[wasm_bindgen]
pub struct MqttPublication {
    publication: Publication,
}

/// The messages of one filter, or of several.
#[derive(Debug)]
#[wasm_bindgen]
pub struct MqttSubscription {
    /// None once unsubscribed.
    subscription: Mutex<Option<Subscription>>,
    /// Whoever waits for a message needs wait no longer.
    over: Notify,
}

type Result<T, E = JsValue> = std::result::Result<T, E>;

#[wasm_bindgen(wasm_bindgen_futures = crate::promise)]
impl Network {
    /// An MQTT client over it, or over the page's own WebSocket.
    ///
    /// # Errors
    /// A `JackfieldError`, for an option that can't be right.
    pub async fn mqtt(&self, url: String, options: JsValue) -> Result<Mqtt> {
        Mqtt::open(self, &url, &Options(&options)).await
    }
}

#[wasm_bindgen(wasm_bindgen_futures = crate::promise)]
impl Mqtt {
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

    /// Publishes a message; done when it is queued.
    ///
    /// # Errors
    /// A `JackfieldError`, as all methods.
    pub async fn enqueue(
        &self,
        topic: String,
        payload: Vec<u8>,
        options: JsValue,
    ) -> Result<MqttPublication> {
        let message = options::message(&topic, payload, &Options(&options));
        let message = message.map_err(|error| socket_error(&error))?;
        let publication = self.client.enqueue(message).await;
        let publication = publication.map_err(|error| request_error(&error))?;
        Ok(MqttPublication { publication })
    }

    /// How many messages of QoS 1 and 2 the session has ever taken to send.
    ///
    /// # Errors
    /// As [`enqueue`](Self::enqueue).
    pub async fn published(&self) -> Result<f64> {
        let published = self.client.published().await;
        #[expect(
            clippy::cast_precision_loss,
            reason = "no session lives for 2^53 messages"
        )]
        published
            .map(|count| count as f64)
            .map_err(|error| request_error(&error))
    }

    /// Subscribes; done when the broker has agreed.
    ///
    /// # Errors
    /// As [`enqueue`](Self::enqueue).
    pub async fn subscribe(
        &self,
        filters: Vec<String>,
        options: JsValue,
    ) -> Result<MqttSubscription> {
        let subscribe = options::subscribe(filters, &Options(&options));
        let subscribe = subscribe.map_err(|error| socket_error(&error))?;
        let subscription = self.client.messages_of(subscribe).await;
        let subscription = subscription.map_err(|error| request_error(&error))?;
        Ok(MqttSubscription {
            subscription: Mutex::new(Some(subscription)),
            over: Notify::new(),
        })
    }

    /// Asks, and waits for the response.
    ///
    /// # Errors
    /// As [`enqueue`](Self::enqueue).
    pub async fn request(
        &self,
        topic: String,
        payload: Vec<u8>,
        options: JsValue,
    ) -> Result<Array> {
        let options = Options(&options);
        let read = || {
            let message = options::message(&topic, payload, &options)?;
            let patience = options.number("timeout")?;
            Ok((
                message,
                patience.map_or(PATIENCE, |ms| Duration::from_secs_f64(ms / 1000.0)),
            ))
        };
        let (message, patience) = read().map_err(|error| socket_error(&error))?;
        let answered = async {
            let begun = time::now();
            let requester = self.requester.get_or_try_init(|| self.requester(patience));
            let requester = requester.await?;
            let left = patience.saturating_sub(time::now().saturating_duration_since(begun));
            requester.call(message, left).await
        };
        let response = answered.await.map_err(|error| request_error(&error))?;
        Ok(Pack::response(&response))
    }

    /// Acknowledges a message by hand.
    ///
    /// # Errors
    /// As [`enqueue`](Self::enqueue).
    pub async fn acknowledge(&self, serial: f64, code: u8) -> Result<()> {
        let reason = PublishReason::from_u8(code)
            .ok_or_else(|| socket_error(&invalid("code", "is no reason for a message")))?;
        #[expect(
            clippy::cast_sign_loss,
            reason = "a serial that this side gave, which counts from 0"
        )]
        let acknowledged = self.client.acknowledge(serial as u64, reason).await;
        acknowledged.map_err(|error| request_error(&error))
    }

    /// Authenticates again, with the method that the connection began with.
    ///
    /// # Errors
    /// As [`enqueue`](Self::enqueue); what the page's function throws.
    pub async fn reauthenticate(&self) -> Result<()> {
        let data = match &self.authentication {
            Some(authentication) => authentication.data(None).await?,
            // The client says that there is no method.
            None => None,
        };
        let accepted = self.client.reauthenticate(data).await;
        accepted.map_err(|error| request_error(&error))
    }

    /// Takes leave of the broker, and ends.
    ///
    /// # Errors
    /// As [`enqueue`](Self::enqueue).
    pub async fn close(&self, with_will: bool) -> Result<()> {
        let reason = if with_will {
            DisconnectReason::DisconnectWithWill
        } else {
            DisconnectReason::Success
        };
        let closed = self.client.close_with(Disconnect::new(reason)).await;
        closed.map_err(|error| request_error(&error))
    }
}

running::methods!(Mqtt);

#[wasm_bindgen(wasm_bindgen_futures = crate::promise)]
impl MqttPublication {
    /// What came of it.
    ///
    /// # Errors
    /// A `JackfieldError`.
    pub async fn outcome(self) -> Result<Object> {
        let taken = self.publication.await;
        let taken = taken.map_err(|error| request_error(&error))?;
        Ok(value::reply(
            taken.reason.code(),
            &taken.reason,
            taken.text.as_ref(),
        ))
    }
}

#[wasm_bindgen(wasm_bindgen_futures = crate::promise)]
impl MqttSubscription {
    /// The next message, and those of QoS 0 that wait behind it, as a `Pack`; null after the end.
    pub async fn next(&self) -> JsValue {
        let mut subscription = self.subscription.lock().await;
        let Some(subscription) = subscription.as_mut() else {
            return JsValue::NULL;
        };
        let delivery = tokio::select! {
            delivery = subscription.next() => delivery,
            () = self.over.notified() => None,
        };
        let Some(delivery) = delivery else {
            return JsValue::NULL;
        };
        let mut pack = Pack::default();
        pack.push(&delivery);
        // One that is acknowledged comes alone: what is taken with it would be taken before the page has read it.
        if delivery.message.qos == QoS::AtMostOnce {
            while pack.len() < MAX_PACK
                && let Some(next) = subscription.try_next_at_most_once()
            {
                pack.push(&next);
            }
        }
        pack.finish().into()
    }

    /// Unsubscribes, and waits for the broker's answer.
    ///
    /// # Errors
    /// A `JackfieldError`.
    pub async fn unsubscribe(&self) -> Result<Object> {
        self.over.notify_one();
        let Some(subscription) = self.subscription.lock().await.take() else {
            return Ok(value::reply(0, &"already unsubscribed", None));
        };
        let answer = subscription.unsubscribe().await;
        let answer = answer.map_err(|error| request_error(&error))?;
        Ok(match answer {
            Some(answer) => match answer.reasons.first() {
                Some(reason) => value::reply(reason.code(), reason, answer.text.as_ref()),
                None => value::reply(0, &"unsubscribed", None),
            },
            None => value::reply(0, &"another subscription has the same filter", None),
        })
    }
}

impl Mqtt {
    pub(crate) async fn open(network: &Network, url: &str, options: &Options<'_>) -> Result<Self> {
        let way = Self::way(network, url).map_err(|error| socket_error(&error))?;
        let given = options::config(options).map_err(|error| socket_error(&error))?;
        let Given {
            mut config,
            store,
            authentication,
        } = given;
        let (network, server) = way;
        if let Some(name) = store {
            let store = IndexedDbStore::open(name).await;
            config = config.with_store(store.map_err(|error| convert::store_error(&error))?);
        }
        let client_id = config.connect.client_id.clone();
        let (client, events, connection) = client::connect(network.clone(), server, config);
        let running = Running::start(connection, client.statuses(), value::session_kind);
        Ok(Self {
            client,
            events: Mutex::new(events),
            network,
            client_id,
            authentication,
            requester: OnceCell::new(),
            running,
        })
    }

    /// Where an address leads, and how.
    fn way(network: &Network, url: &str) -> Result<(Secured, Endpoint), Error> {
        let address: Address = url.parse()?;
        let secure = address.scheme().is_secure();
        let network = match address.scheme() {
            Scheme::Mqtts | Scheme::Mqtt => network.secured(secure)?,
            Scheme::Wss => network.web_socket(secure, MqttWebSockets::wss(address.path())),
            Scheme::Ws => network.web_socket(secure, MqttWebSockets::ws(address.path())),
        };
        Ok((network, address.endpoint().clone()))
    }

    fn convert(&self, event: &ClientEvent) -> Option<Object> {
        Some(match event {
            ClientEvent::Status(Status::Connecting { .. }) => timed("connecting", None, []),
            ClientEvent::Status(Status::Ready(server)) => timed(
                "connected",
                None,
                [
                    ("security", self.network.security().into()),
                    ("sessionPresent", server.session_present.into()),
                    ("clientId", server.client_id.as_str().into()),
                ],
            ),
            ClientEvent::Event(Event::Challenge(challenge)) => {
                self.answer(challenge);
                return None;
            }
            ClientEvent::Event(Event::Message(delivery)) => timed(
                "message",
                None,
                [("message", Pack::unexpected(delivery).into())],
            ),
            ClientEvent::Event(Event::ResubscribeFailed { filter, reason }) => timed(
                "unsubscribed",
                None,
                [
                    ("filter", filter.as_str().into()),
                    ("code", reason.code().into()),
                    ("reason", reason.to_string().into()),
                ],
            ),
            ClientEvent::Status(Status::Disconnected { error, retry_in }) => {
                disconnected(error, *retry_in, value::session_kind)
            }
            _ => return None,
        })
    }

    /// Asks the page's function for the answer. Where it has none, the broker gets one without data, and
    /// refuses.
    fn answer(&self, challenge: &Challenge) {
        let heard = challenge.authentication.data.clone();
        let (client, authentication) = (self.client.clone(), self.authentication.clone());
        spawn_local(async move {
            let data = match authentication {
                Some(authentication) => authentication.data(heard.as_deref()).await,
                None => Ok(None),
            };
            // Where the connection has gone since, the next begins anew.
            let _ = client.authenticate(data.unwrap_or_default()).await;
        });
    }

    /// A requester whose responses come to a topic that can't be guessed.
    async fn requester(&self, patience: Duration) -> Result<Requester, RequestError> {
        let mut random = [0; 8];
        // Without randomness no page would have got this far: TLS needs it too.
        let _ = getrandom::fill(&mut random);
        let topic = format!(
            "response/{}/{:016x}",
            self.client_id,
            u64::from_be_bytes(random)
        );
        self.client
            .requester(TopicName::new(topic)?, patience)
            .await
    }
}

fn request_error(error: &RequestError) -> JsValue {
    let kind = match error {
        RequestError::Refused(_) => "refused",
        RequestError::NotConnected | RequestError::Closed => "closed",
        RequestError::ConnectionLost | RequestError::SessionLost => "reset",
        RequestError::TimedOut | RequestError::Expired => "timed-out",
        RequestError::QueueFull | RequestError::Dropped | RequestError::TooLarge { .. } => {
            "limit-exceeded"
        }
        RequestError::Invalid(_) | RequestError::UnknownSerial => "invalid-input",
        RequestError::Unsupported(_) => "unsupported",
        _ => "other",
    };
    let made = convert::error(kind, error);
    if let RequestError::Refused(refusal) = error {
        set(made.unchecked_ref(), "code", refusal.reason.code());
    }
    made
}
