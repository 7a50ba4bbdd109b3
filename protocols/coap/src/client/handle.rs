//! The handle.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jackfield_client::{Actions, Poster};
use jackfield_socket::{Endpoint, Host, time};
use tokio::io::AsyncRead;
use tokio::sync::{oneshot, watch};

use super::ClientConfig;
use super::desk::{Action, Ask, Carrier, Key};
use super::download::Download;
use super::mailbox::mailbox;
use super::observation::Observation;
use super::upload::{Progress, Source, upload};
use crate::codec::{
    BlockSize, Code, ContentFormat, IntoTarget, Links, Message, OptionNumber, Target,
};
use crate::core::{Cache, Cached, Delivery, NoResponse, Request, Response};
use crate::error::{Refusal, RequestError};

/// Where a server lists its resources (RFC 6690, section 4).
const WELL_KNOWN_CORE: [&str; 2] = [".well-known", "core"];

/// How much later than the connection a request itself gives up waiting.
const GRACE: Duration = Duration::from_secs(1);

/// Asks a server; see the [module](super) for how to come by one. Clones ask the same server.
///
/// Requests that are made while there is no connection wait for one, for as long as they may wait
/// for their response. When the last clone is dropped, the client ends.
///
/// # Bodies
/// What does not fit into a message goes in blocks by itself (RFC 7959), both ways. A response's
/// body is collected up to [`ClientConfig::max_body`]; [`download`](Self::download) and
/// [`upload`](Self::upload) hold one block at a time, and say how far they are.
///
/// # Errors
/// Every request may fail with any [`RequestError`]; a response that is no success is
/// [`RequestError::Refused`]. The methods name only what is particular.
///
/// # Cancel safety
/// Dropping the future of a request gives it up: it is not repeated any more, and its response is
/// not waited for. Whether the server does it is then not known.
#[derive(Clone)]
pub struct Client {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) actions: Actions<Action>,
    pub(super) config: Settings,
    pub(super) carrier: watch::Receiver<Carrier>,
    pub(super) last_key: AtomicU64,
    pub(super) cache: Option<Mutex<Cache>>,
}

/// What a handle needs to know of its [`ClientConfig`].
pub(super) struct Settings {
    /// The server's name, where it has one.
    pub(super) uri_host: Option<String>,
    pub(super) block_size: BlockSize,
    pub(super) max_body: u64,
    pub(super) block_retries: u32,
    pub(super) cache: usize,
    pub(super) notification_capacity: usize,
    pub(super) response_timeout: Duration,
}

impl Settings {
    pub(super) fn new(config: &ClientConfig, server: &Endpoint) -> Self {
        // A name, and not an address (RFC 7252, section 6.4, step 5).
        let name = match server.host() {
            Host::Name(name) => Some(name.as_str().to_owned()),
            Host::Ip(_) => None,
        };
        Self {
            uri_host: config.uri_host.clone().or(name),
            block_size: config.block_size,
            max_body: config.max_body,
            block_retries: config.block_retries,
            cache: config.cache,
            notification_capacity: config.notification_capacity,
            response_timeout: config.requests.response_timeout,
        }
    }
}

impl Client {
    pub(super) fn new(
        actions: Actions<Action>,
        config: Settings,
        carrier: watch::Receiver<Carrier>,
    ) -> Self {
        let cache = (config.cache > 0).then(|| Mutex::new(Cache::new(config.cache)));
        let inner = Inner {
            actions,
            config,
            carrier,
            last_key: AtomicU64::new(0),
            cache,
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Makes any request, and collects its response.
    ///
    /// ```no_run
    /// # use jackfield_coap::client::Client;
    /// # use jackfield_coap::codec::ContentFormat;
    /// # use jackfield_coap::core::Request;
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let request = Request::get("/rooms?floor=2")?.with_accept(ContentFormat::JSON);
    /// let response = client.request(request).await?;
    /// println!("{}, good for {} s", response.text().unwrap_or("?"), response.max_age());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As the [type](Self) says.
    ///
    /// # Cancel safety
    /// As the [type](Self) says.
    pub async fn request(&self, request: Request) -> Result<Response, RequestError> {
        let request = self.complete(request)?;
        let mut asked = request.clone();
        let mut stale = false;
        let cache = self.inner.cache.as_ref();
        // Who asks about an entity-tag of their own wants to hear from the server.
        let cache = cache.filter(|_| !request.message.options().contains(OptionNumber::ETAG));
        if let Some(cache) = cache {
            match lock(cache).look(&request.message, time::now()) {
                Cached::Fresh(response) => return Ok(Response::new(*response)),
                Cached::Stale(etag) => {
                    asked.message.options_mut().add(OptionNumber::ETAG, &etag)?;
                    stale = true;
                }
                Cached::Nothing => {}
            }
        }
        let mut download = Download::begin(self.clone(), asked).await?;
        let mut response = download.collect(self.inner.config.max_body).await?;
        if let Some(cache) = cache {
            let now = time::now();
            let mut cache = lock(cache);
            if stale && response.code() == Code::VALID {
                if let Some(valid) = cache.revalidate(&request.message, &response, now) {
                    response = valid;
                }
            } else {
                cache.take(&request.message, &response, now);
            }
        }
        accept(response)
    }

    /// GET: what a resource is.
    ///
    /// ```no_run
    /// # use jackfield_coap::client::Client;
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let temperature = client.get("/sensors/temperature").await?;
    /// println!("{}", temperature.text().unwrap_or("?"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As the [type](Self) says.
    ///
    /// # Cancel safety
    /// As the [type](Self) says.
    pub async fn get(&self, target: impl IntoTarget) -> Result<Response, RequestError> {
        self.request(Request::get(target)?).await
    }

    /// PUT: makes a resource be this.
    ///
    /// ```no_run
    /// # use jackfield_coap::client::Client;
    /// # use jackfield_coap::codec::ContentFormat;
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// client.put("/light", "on", ContentFormat::TEXT_PLAIN).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As the [type](Self) says.
    ///
    /// # Cancel safety
    /// As the [type](Self) says.
    pub async fn put(
        &self,
        target: impl IntoTarget,
        payload: impl Into<Vec<u8>>,
        format: ContentFormat,
    ) -> Result<Response, RequestError> {
        let request = Request::put(target)?.with_payload(payload, format);
        self.request(request).await
    }

    /// POST: gives this to a resource, which does with it what it does.
    ///
    /// ```no_run
    /// # use jackfield_coap::client::Client;
    /// # use jackfield_coap::codec::ContentFormat;
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let created = client.post("/jobs", "print", ContentFormat::TEXT_PLAIN).await?;
    /// println!("at /{}", created.location_path().collect::<Vec<_>>().join("/"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As the [type](Self) says.
    ///
    /// # Cancel safety
    /// As the [type](Self) says.
    pub async fn post(
        &self,
        target: impl IntoTarget,
        payload: impl Into<Vec<u8>>,
        format: ContentFormat,
    ) -> Result<Response, RequestError> {
        let request = Request::post(target)?.with_payload(payload, format);
        self.request(request).await
    }

    /// DELETE: removes a resource.
    ///
    /// ```no_run
    /// # use jackfield_coap::client::Client;
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// client.delete("/jobs/17").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As the [type](Self) says.
    ///
    /// # Cancel safety
    /// As the [type](Self) says.
    pub async fn delete(&self, target: impl IntoTarget) -> Result<Response, RequestError> {
        self.request(Request::delete(target)?).await
    }

    /// FETCH: the parts of a resource that the payload asks for (RFC 8132, section 2).
    ///
    /// ```no_run
    /// # use jackfield_coap::client::Client;
    /// # use jackfield_coap::codec::ContentFormat;
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let wanted = r#"["temperature"]"#;
    /// let values = client.fetch("/sensors", wanted, ContentFormat::JSON).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As the [type](Self) says.
    ///
    /// # Cancel safety
    /// As the [type](Self) says.
    pub async fn fetch(
        &self,
        target: impl IntoTarget,
        payload: impl Into<Vec<u8>>,
        format: ContentFormat,
    ) -> Result<Response, RequestError> {
        let request = Request::fetch(target)?.with_payload(payload, format);
        self.request(request).await
    }

    /// PATCH: changes a resource as the payload says (RFC 8132, section 3).
    ///
    /// ```no_run
    /// # use jackfield_coap::client::Client;
    /// # use jackfield_coap::codec::ContentFormat;
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let merge = ContentFormat(52);
    /// client.patch("/lamp", r#"{"colour":"blue"}"#, merge).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As the [type](Self) says.
    ///
    /// # Cancel safety
    /// As the [type](Self) says.
    pub async fn patch(
        &self,
        target: impl IntoTarget,
        payload: impl Into<Vec<u8>>,
        format: ContentFormat,
    ) -> Result<Response, RequestError> {
        let request = Request::patch(target)?.with_payload(payload, format);
        self.request(request).await
    }

    /// iPATCH: the same, where doing it twice does no more than doing it once (RFC 8132, section
    /// 3).
    ///
    /// ```no_run
    /// # use jackfield_coap::client::Client;
    /// # use jackfield_coap::codec::ContentFormat;
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let merge = ContentFormat(52);
    /// client.ipatch("/lamp", r#"{"colour":"blue"}"#, merge).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As the [type](Self) says.
    ///
    /// # Cancel safety
    /// As the [type](Self) says.
    pub async fn ipatch(
        &self,
        target: impl IntoTarget,
        payload: impl Into<Vec<u8>>,
        format: ContentFormat,
    ) -> Result<Response, RequestError> {
        let request = Request::ipatch(target)?.with_payload(payload, format);
        self.request(request).await
    }

    /// Makes a request and wants no response (RFC 7967): done when the server has acknowledged it,
    /// or, where it is [non-confirmable](Request::non_confirmable) or goes over a stream, when it
    /// was sent. Its payload must fit into one message.
    ///
    /// ```no_run
    /// # use jackfield_coap::client::Client;
    /// # use jackfield_coap::codec::ContentFormat;
    /// # use jackfield_coap::core::Request;
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let value = Request::put("/display")?.with_payload("21.5", ContentFormat::TEXT_PLAIN);
    /// client.tell(value.non_confirmable()).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`RequestError::TooLarge`] where it does not fit.
    ///
    /// # Cancel safety
    /// As the [type](Self) says.
    pub async fn tell(&self, request: Request) -> Result<(), RequestError> {
        let mut request = self.complete(request)?;
        request.set_no_response(NoResponse::ALL);
        self.exchange_as(&request, request.message.clone(), true)
            .await
            .map(drop)
    }

    /// Observes a resource (RFC 7641): what it is now, and then, whenever it changes, what it has
    /// become.
    ///
    /// ```no_run
    /// # use jackfield_coap::client::Client;
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut temperature = client.observe("/sensors/temperature").await?;
    /// while let Some(change) = temperature.next().await {
    ///     match change {
    ///         Ok(response) => println!("{}", response.text().unwrap_or("?")),
    ///         Err(error) => println!("{error}"),
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`RequestError::InvalidRequest`] for other methods than GET and FETCH. How the server
    /// answers, the observation tells.
    ///
    /// # Cancel safety
    /// As the [type](Self) says.
    pub async fn observe(&self, what: impl IntoRequest) -> Result<Observation, RequestError> {
        let request = self.complete(what.into_request()?)?;
        if !matches!(request.message.code(), Code::GET | Code::FETCH) {
            return Err(RequestError::InvalidRequest(
                "only GET and FETCH can observe",
            ));
        }
        let (slot, mailbox) = mailbox(self.inner.config.notification_capacity);
        let key = self.next_key();
        let guard = Guard::new(key, self.inner.actions.poster());
        let ask = ask(key, &request, request.message.clone());
        self.pass(Action::Observe(ask, slot)).await?;
        Ok(Observation::new(self.clone(), request, mailbox, guard))
    }

    /// Gets a resource's body in parts, as they come.
    ///
    /// ```no_run
    /// # use jackfield_coap::client::Client;
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut firmware = client.download("/firmware").await?;
    /// let mut bytes = Vec::new();
    /// while let Some(part) = firmware.next().await? {
    ///     bytes.extend_from_slice(&part);
    ///     println!("{} of {:?} bytes", firmware.received(), firmware.total());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As the [type](Self) says.
    ///
    /// # Cancel safety
    /// As the [type](Self) says.
    pub async fn download(&self, what: impl IntoRequest) -> Result<Download, RequestError> {
        let mut request = self.complete(what.into_request()?)?;
        // How large will it be (RFC 7959, section 4)?
        let options = request.message.options_mut();
        if !options.contains(OptionNumber::SIZE2) {
            options.set_uint(OptionNumber::SIZE2, 0)?;
        }
        let download = Download::begin(self.clone(), request).await?;
        download.passed_on()
    }

    /// Makes a request whose body is read from somewhere, a block at a time. `size` is told to the
    /// server, where it is known; `progress` learns of each block that the server has taken.
    ///
    /// ```no_run
    /// # use jackfield_coap::client::Client;
    /// # use jackfield_coap::core::Request;
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let firmware = vec![0xa5; 1 << 20];
    /// let size = Some(firmware.len() as u64);
    /// let request = Request::put("/firmware")?;
    /// let taken = client.upload(request, &firmware[..], size, |progress| {
    ///     println!("{} of {:?} bytes", progress.sent, progress.total);
    /// });
    /// taken.await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`RequestError::Body`] where it could not be read; [`RequestError::Blocks`] where the server
    /// wants to have a part again that was read already.
    ///
    /// # Cancel safety
    /// As the [type](Self) says. What was read is then lost.
    pub async fn upload(
        &self,
        request: Request,
        body: impl AsyncRead + Send + Unpin,
        size: Option<u64>,
        progress: impl FnMut(Progress) + Send,
    ) -> Result<Response, RequestError> {
        let request = self.complete(request)?;
        let mut source = Source::read(body);
        let first = upload(self, &request, &mut source, size, progress).await?;
        let mut download = Download::after(self.clone(), request, first)?;
        let response = download.collect(self.inner.config.max_body).await?;
        if let Some(cache) = &self.inner.cache {
            lock(cache).take(&download.request().message, &response, time::now());
        }
        accept(response)
    }

    /// Asks for the list of the server's resources (RFC 6690, section 4), or of those that fit a
    /// filter such as `rt=light`.
    ///
    /// ```no_run
    /// # use jackfield_coap::client::Client;
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// for link in &client.discover(None).await? {
    ///     println!("{} {}", link.target(), link.title().unwrap_or_default());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`RequestError::BadLinks`] where what comes is no such list.
    ///
    /// # Cancel safety
    /// As the [type](Self) says.
    pub async fn discover(&self, filter: Option<&str>) -> Result<Links, RequestError> {
        let mut target = Target::default();
        for segment in WELL_KNOWN_CORE {
            target = target.with_segment(segment)?;
        }
        if let Some(filter) = filter {
            target = target.with_query(filter)?;
        }
        let response = self.get(target).await?;
        Links::parse(response.payload()).map_err(RequestError::BadLinks)
    }

    /// Asks the server whether it is there.
    ///
    /// ```no_run
    /// # use jackfield_coap::client::Client;
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// client.ping().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`RequestError::TimedOut`] where it is not, over UDP; [`RequestError::NotConnected`] where
    /// there is no connection now.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn ping(&self) -> Result<(), RequestError> {
        let (done, outcome) = oneshot::channel();
        self.pass(Action::Ping(done)).await?;
        let answer = async { outcome.await.unwrap_or(Err(RequestError::Closed)) };
        time::timeout(self.inner.config.response_timeout, answer)
            .await
            .unwrap_or(Err(RequestError::TimedOut))
    }

    /// Ends the client: requests and observations that are under way fail with
    /// [`RequestError::Closed`], and the connection is closed in order.
    ///
    /// ```no_run
    /// # use jackfield_coap::client::Client;
    /// # async fn example(client: Client) {
    /// client.close().await;
    /// # }
    /// ```
    ///
    /// # Cancel safety
    /// Dropping the future before it is ready may leave the client open.
    pub async fn close(&self) {
        if self.pass(Action::Close).await.is_ok() {
            self.inner.actions.closed().await;
        }
    }

    /// Adds what each request to this server has.
    fn complete(&self, mut request: Request) -> Result<Request, RequestError> {
        let options = request.message.options_mut();
        if let Some(name) = &self.inner.config.uri_host
            && !options.contains(OptionNumber::URI_HOST)
            && !options.contains(OptionNumber::PROXY_URI)
        {
            options.add_text(OptionNumber::URI_HOST, name)?;
        }
        Ok(request)
    }

    /// Sends one message of a request, and waits for its response.
    pub(super) async fn exchange(
        &self,
        request: &Request,
        message: Message,
    ) -> Result<Message, RequestError> {
        let response = self.exchange_as(request, message, false).await?;
        response.ok_or(RequestError::Closed)
    }

    /// [`exchange`](Self::exchange), again where there was no answer and asking again does no harm.
    pub(super) async fn exchange_again(
        &self,
        request: &Request,
        message: &Message,
        may_repeat: bool,
    ) -> Result<Message, RequestError> {
        let retries = if may_repeat {
            self.inner.config.block_retries
        } else {
            0
        };
        for _ in 0..retries {
            match self.exchange(request, message.clone()).await {
                Err(RequestError::TimedOut) => {}
                other => return other,
            }
        }
        self.exchange(request, message.clone()).await
    }

    async fn exchange_as(
        &self,
        request: &Request,
        message: Message,
        told: bool,
    ) -> Result<Option<Message>, RequestError> {
        let (done, outcome) = oneshot::channel();
        let key = self.next_key();
        let mut guard = Guard::new(key, self.inner.actions.poster());
        let ask = ask(key, request, message);
        self.pass(Action::Request(ask, told, done)).await?;
        // Without a connection, nothing else keeps the time.
        let timeout = request
            .timeout
            .unwrap_or(self.inner.config.response_timeout)
            + GRACE;
        match time::timeout(timeout, outcome).await {
            Ok(outcome) => {
                guard.disarm();
                outcome.unwrap_or(Err(RequestError::Closed))
            }
            Err(_) => Err(RequestError::NotConnected),
        }
    }

    async fn pass(&self, action: Action) -> Result<(), RequestError> {
        let passed = self.inner.actions.send(action).await;
        passed.map_err(|_| RequestError::Closed)
    }

    fn next_key(&self) -> Key {
        self.inner.last_key.fetch_add(1, Ordering::Relaxed)
    }

    /// What the carrier can do, as soon as that is known.
    pub(super) async fn carrier(&self) -> Result<(usize, bool), RequestError> {
        let mut carrier = self.inner.carrier.clone();
        let known = carrier.wait_for(|carrier| carrier.max_message.is_some());
        let timeout = self.inner.config.response_timeout;
        match time::timeout(timeout, known).await {
            Ok(Ok(known)) => Ok((known.max_message.unwrap_or_default(), known.bert)),
            Ok(Err(_)) => Err(RequestError::Closed),
            Err(_) => Err(RequestError::NotConnected),
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("uri_host", &self.inner.config.uri_host)
            .finish_non_exhaustive()
    }
}

/// What is given where a resource is to be read: a [`Request`], or a target, which is a GET.
pub trait IntoRequest {
    /// The request.
    ///
    /// # Errors
    /// Where the text is no target.
    fn into_request(self) -> Result<Request, RequestError>;
}

impl IntoRequest for Request {
    fn into_request(self) -> Result<Request, RequestError> {
        Ok(self)
    }
}

impl<T: IntoTarget> IntoRequest for T {
    fn into_request(self) -> Result<Request, RequestError> {
        Request::get(self)
    }
}

/// Gives up what was asked for, unless it was disarmed.
#[derive(Debug)]
pub(super) struct Guard {
    key: Key,
    poster: Option<Poster<Action>>,
}

impl Guard {
    pub(super) fn new(key: Key, poster: Poster<Action>) -> Self {
        Self {
            key,
            poster: Some(poster),
        }
    }

    pub(super) fn disarm(&mut self) {
        self.poster = None;
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(poster) = &self.poster {
            poster.post(Action::Cancel(self.key));
        }
    }
}

pub(super) fn ask(key: Key, request: &Request, message: Message) -> Ask {
    Ask {
        key,
        message,
        delivery: if request.confirmable {
            Delivery::Confirmable
        } else {
            Delivery::NonConfirmable
        },
        timeout: request.timeout,
    }
}

/// A response that is a success.
pub(super) fn accept(response: Message) -> Result<Response, RequestError> {
    let response = Response::new(response);
    if response.code().is_success() {
        Ok(response)
    } else {
        Err(RequestError::Refused(Refusal::new(response)))
    }
}

fn lock(cache: &Mutex<Cache>) -> std::sync::MutexGuard<'_, Cache> {
    cache.lock().unwrap_or_else(PoisonError::into_inner)
}
