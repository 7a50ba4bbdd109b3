//! The CoAP client's methods; `Coap` in the package's .d.ts describes them.

mod group;
mod options;
mod value;

use std::cell::RefCell;
use std::rc::Rc;

use jackfield_coap::RequestError;
use jackfield_coap::client::{
    self, Client, ClientConfig, ClientEvent, CoapWebSockets, ConnectionError, Events, Status,
    Statuses,
};
use jackfield_coap::codec::{Scheme, Target, Uri};
use jackfield_coap::core::{Request, Response};
use jackfield_socket::{Error, ErrorKind};
use js_sys::{Array, Date, Object};
use tokio::sync::{Mutex, Notify, watch};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen_futures::spawn_local;

use crate::Network;
use crate::convert::{self, Options, socket_error};
use crate::network::Secured;
use crate::running::{self, Running, connection_error, unless};

pub use group::{CoapAnswers, CoapGroup};

/// How many bytes a download may have.
const MAX_BODY: usize = 64 * 1024 * 1024;

/// A CoAP client for one server.
#[derive(Debug)]
#[wasm_bindgen]
pub struct Coap {
    client: Client,
    /// The path that the address names, for requests that name none.
    target: Target,
    link: Rc<Link>,
    /// Ends with the page's object.
    running: Running,
}

/// A resource that is observed.
#[derive(Debug)]
#[wasm_bindgen]
pub struct CoapObservation {
    /// None once cancelled.
    observation: Mutex<Option<client::Observation>>,
    /// Told of what goes wrong without ending it.
    stale: Option<js_sys::Function>,
    /// Whoever waits for a notification needs wait no longer.
    over: Notify,
    link: Rc<Link>,
}

/// How the connection fares.
#[derive(Debug)]
struct Link {
    /// Where it stands, which is known before it is told.
    statuses: Statuses,
    /// Where a stream or a socket was opened, how well it is protected.
    network: Option<Secured>,
    open: RefCell<bool>,
    /// Why there is no connection now.
    problem: RefCell<Option<ConnectionError>>,
    /// Whether all of this was told: the client has ended.
    ended: watch::Sender<bool>,
}

type Result<T, E = JsValue> = std::result::Result<T, E>;

#[wasm_bindgen(wasm_bindgen_futures = crate::promise)]
impl Network {
    /// A CoAP client over it, or over the page's own WebSocket.
    ///
    /// # Errors
    /// A `JackfieldError`, for an option that can't be right.
    pub async fn coap(&self, url: String, options: JsValue) -> Result<Coap> {
        Coap::open(self, &url, &Options(&options)).await
    }
}

#[wasm_bindgen(wasm_bindgen_futures = crate::promise)]
impl Coap {
    /// Makes a request. With a payload it is sent block by block where it is long.
    ///
    /// # Errors
    /// A `JackfieldError`, where there is no answer, as all methods.
    pub async fn request(
        &self,
        method: String,
        path: Option<String>,
        payload: Option<Vec<u8>>,
        options: JsValue,
    ) -> Result<Object> {
        let options = Options(&options);
        let read = || {
            // The upload reads it.
            let none = payload.as_ref().map(|_| Vec::new());
            let request = options::request(&method, self.target(path)?, none, &options)?;
            Ok((
                request,
                options::progress(&options)?,
                options::aborted(&options)?,
            ))
        };
        let (request, progress, aborted) = read().map_err(|error| socket_error(&error))?;
        let asked = self.ask(request, payload, progress);
        self.link.answer(unless(aborted, asked).await?).await
    }

    /// Observes a resource.
    ///
    /// # Errors
    /// As [`request`](Self::request).
    pub async fn observe(&self, path: Option<String>, options: JsValue) -> Result<CoapObservation> {
        let options = Options(&options);
        let read = || {
            let request = options::request("GET", self.target(path)?, None, &options)?;
            Ok((request, options::function("stale", &options)?))
        };
        let (request, stale) = read().map_err(|error| socket_error(&error))?;
        let observation = match self.client.observe(request).await {
            Ok(observation) => observation,
            Err(error) => return Err(self.link.error(&error).await),
        };
        Ok(CoapObservation {
            observation: Mutex::new(Some(observation)),
            stale,
            over: Notify::new(),
            link: self.link.clone(),
        })
    }

    /// What the server offers.
    ///
    /// # Errors
    /// As [`request`](Self::request).
    pub async fn discover(&self, query: Option<String>, options: JsValue) -> Result<Array> {
        let aborted = options::aborted(&Options(&options)).map_err(|error| socket_error(&error))?;
        let links = unless(aborted, self.client.discover(query.as_deref())).await?;
        match links {
            Ok(links) => Ok(links.iter().map(value::link).collect()),
            Err(error) => Err(self.link.error(&error).await),
        }
    }

    /// How long an empty question takes to be answered, in milliseconds.
    ///
    /// # Errors
    /// As [`request`](Self::request).
    pub async fn ping(&self) -> Result<f64> {
        let asked = Date::now();
        match self.client.ping().await {
            Ok(()) => Ok(Date::now() - asked),
            Err(error) => Err(self.link.error(&error).await),
        }
    }

    /// What stands between the page and the server; null while there is no connection.
    #[wasm_bindgen(getter)]
    pub fn security(&self) -> JsValue {
        if !*self.link.open.borrow() {
            return JsValue::NULL;
        }
        match &self.link.network {
            Some(network) => network.security().into(),
            None => Object::new().into(),
        }
    }

    /// Takes leave of the server, and ends.
    pub async fn close(&self) {
        self.client.close().await;
    }
}

running::methods!(Coap);

#[wasm_bindgen(wasm_bindgen_futures = crate::promise)]
impl CoapObservation {
    /// The next state, or null after the end.
    ///
    /// # Errors
    /// A `JackfieldError`, where something went wrong and ended it.
    pub async fn next(&self) -> Result<JsValue> {
        let mut observation = self.observation.lock().await;
        let Some(observation) = observation.as_mut() else {
            return Ok(JsValue::NULL);
        };
        let mut last = None;
        loop {
            let next = tokio::select! {
                next = observation.next() => next,
                () = self.over.notified() => return Ok(JsValue::NULL),
            };
            match next {
                Some(Ok(response)) => return Ok(value::response(&response).into()),
                Some(Err(RequestError::Refused(refusal))) => {
                    return Ok(value::response(refusal.response()).into());
                }
                Some(Err(error)) => {
                    let error = self.link.error(&error).await;
                    if let Some(stale) = &self.stale {
                        // What a page's function throws is the page's affair.
                        let _ = stale.call1(&JsValue::UNDEFINED, &error);
                    }
                    last = Some(error);
                }
                None => return last.map_or(Ok(JsValue::NULL), Err),
            }
        }
    }

    /// Ends it.
    pub async fn cancel(&self) {
        self.over.notify_one();
        self.observation.lock().await.take();
    }
}

impl Coap {
    pub(crate) async fn open(network: &Network, url: &str, options: &Options<'_>) -> Result<Self> {
        let uri = uri(url).map_err(|error| socket_error(&error))?;
        let mut config = ClientConfig::default();
        options::configure(&mut config, options).map_err(|error| socket_error(&error))?;
        running::reconnect(options, &mut config.connection)
            .map_err(|error| socket_error(&error))?;
        config.oscore = options::oscore(options).await?;
        let (client, link, events, running) =
            Self::connect(network, &uri, config).map_err(|error| socket_error(&error))?;
        let link = Rc::new(link);
        spawn_local(link.clone().follow(events));
        Ok(Self {
            client,
            target: uri.target().clone(),
            link,
            running,
        })
    }

    fn connect(
        network: &Network,
        uri: &Uri,
        config: ClientConfig,
    ) -> Result<(Client, Link, Events, Running), Error> {
        let server = uri.endpoint().clone();
        Ok(match uri.scheme() {
            Scheme::Coap => {
                let (client, events, connection) =
                    client::connect(network.sockets()?, server, config);
                let running = Running::start(connection, client.statuses(), |_| "protocol");
                let link = Link::new(client.statuses(), None);
                (client, link, events, running)
            }
            Scheme::CoapTcp | Scheme::CoapsTcp => {
                let network = network.secured(uri.scheme().is_secure())?;
                let secured = Some(network.clone());
                let (client, events, connection) = client::connect_tcp(network, server, config);
                let running = Running::start(connection, client.statuses(), |_| "protocol");
                let link = Link::new(client.statuses(), secured);
                (client, link, events, running)
            }
            Scheme::CoapWs | Scheme::CoapsWs => {
                let secure = uri.scheme().is_secure();
                let sockets = if secure {
                    CoapWebSockets::wss()
                } else {
                    CoapWebSockets::ws()
                };
                let network = network.web_socket(secure, sockets);
                let secured = Some(network.clone());
                let (client, events, connection) = client::connect_tcp(network, server, config);
                let running = Running::start(connection, client.statuses(), |_| "protocol");
                let link = Link::new(client.statuses(), secured);
                (client, link, events, running)
            }
            Scheme::Coaps => {
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    "coaps:// needs DTLS, which a page has not: coaps+tcp:// is TLS",
                ));
            }
        })
    }

    fn target(&self, path: Option<String>) -> Result<Target, Error> {
        target(path, &self.target)
    }

    async fn ask(
        &self,
        request: Request,
        payload: Option<Vec<u8>>,
        progress: Option<options::Progress>,
    ) -> Result<Response, RequestError> {
        match (payload, progress) {
            (Some(payload), progress) => {
                let size = Some(payload.len() as u64);
                let report = move |done: client::Progress| {
                    if let Some(progress) = &progress {
                        progress.report(done.sent, done.total);
                    }
                };
                self.client
                    .upload(request, payload.as_slice(), size, report)
                    .await
            }
            (None, None) => self.client.request(request).await,
            (None, Some(progress)) => {
                let mut download = self.client.download(request).await?;
                let mut body = Vec::new();
                while let Some(piece) = download.next().await? {
                    body.extend(piece);
                    if body.len() > MAX_BODY {
                        return Err(RequestError::TooLarge { limit: MAX_BODY });
                    }
                    progress.report(download.received(), download.total());
                }
                let mut response = download.response();
                response.payload = body.into();
                Ok(response)
            }
        }
    }
}

impl Link {
    fn new(statuses: Statuses, network: Option<Secured>) -> Self {
        Self {
            statuses,
            network,
            open: RefCell::default(),
            problem: RefCell::default(),
            ended: watch::Sender::default(),
        }
    }

    /// Takes the client's events, as somebody must.
    async fn follow(self: Rc<Self>, mut events: Events) {
        while let Some(event) = events.next().await {
            match event {
                ClientEvent::Status(Status::Connected | Status::Ready(())) => {
                    self.open.replace(true);
                    self.problem.take();
                }
                ClientEvent::Status(Status::Disconnected { error, .. }) => {
                    self.open.replace(false);
                    self.problem.replace(Some(error));
                }
                _ => {}
            }
        }
        self.ended.send_replace(true);
    }

    /// What was answered, be it a success or not.
    async fn answer(&self, outcome: Result<Response, RequestError>) -> Result<Object> {
        match outcome {
            Ok(response) => Ok(value::response(&response)),
            Err(RequestError::Refused(refusal)) => Ok(value::response(refusal.response())),
            Err(error) => Err(self.error(&error).await),
        }
    }

    /// Why there is no answer. Where the connection was lost, the error says why that was.
    async fn error(&self, error: &RequestError) -> JsValue {
        if matches!(error, RequestError::Closed) {
            // It was not closed without a reason, which is told in a moment.
            let _ = self.ended.subscribe().wait_for(|ended| *ended).await;
        }
        // What failed by it may hear of that first.
        if let Status::Disconnected { error, .. } = self.statuses.now() {
            return connection_error(&error, |_| "protocol");
        }
        if let Some(problem) = &*self.problem.borrow() {
            return connection_error(problem, |_| "protocol");
        }
        convert::error(value::error_kind(error), error)
    }
}

fn uri(url: &str) -> Result<Uri, Error> {
    url.parse().map_err(|error| {
        let text = format!("the address {url:?} is not valid: {error}");
        Error::new(ErrorKind::InvalidInput, text)
    })
}

/// A path and query, or what the address has where there is none.
fn target(path: Option<String>, else_this: &Target) -> Result<Target, Error> {
    match path {
        None => Ok(else_this.clone()),
        Some(path) => path.parse().map_err(|error| {
            let text = format!("the path {path:?} is not valid: {error}");
            Error::new(ErrorKind::InvalidInput, text)
        }),
    }
}
