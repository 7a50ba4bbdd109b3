//! The handle of a client: what a program asks servers with.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use jackfield_socket::{Place, time};
use tokio::io::AsyncRead;

use super::download::{self, Download};
use super::event::{Status, Statuses};
use super::exchanges::{Exchanges, accept};
use super::observation::Observation;
use super::upload::{self, Progress};
use crate::codec::{Code, ContentFormat, IntoTarget, Links, OptionNumber, Target};
use crate::core::{Cache, Cached, NoResponse, Request, Response};
use crate::error::RequestError;

/// Where a server lists its resources (RFC 6690, section 4).
const WELL_KNOWN_CORE: [&str; 2] = [".well-known", "core"];

/// Asks a server; see the [module](super) for how to come by one. Clones ask the same server.
///
/// Requests that are made while there is no connection wait for one, for as long as they may wait
/// for their response. When the last clone is dropped, the client ends.
///
/// # Bodies
/// What does not fit into a message goes in blocks by itself (RFC 7959), both ways. A response's
/// body is collected up to [`Limits::max_body`](crate::core::Limits::max_body);
/// [`download`](Self::download) and [`upload`](Self::upload) hold one block at a time, and say how far they are.
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
    exchanges: Arc<Exchanges>,
    cache: Option<Arc<Mutex<Cache>>>,
}

impl Client {
    pub(super) fn new(exchanges: Exchanges) -> Self {
        let bytes = exchanges.settings.max_cache_bytes;
        Self {
            exchanges: Arc::new(exchanges),
            cache: (bytes > 0).then(|| Arc::new(Mutex::new(Cache::new(bytes)))),
        }
    }

    /// Where the connection stands now, whether or not the events are read.
    pub fn status(&self) -> Status {
        self.exchanges.status()
    }

    /// Where it stands now, and whenever that changes.
    pub fn statuses(&self) -> Statuses {
        self.exchanges.statuses()
    }

    /// Ends the wait for the next attempt to connect, as when the network is known to be back. Where
    /// the client is connected, connecting or closed, nothing happens.
    pub fn reconnect_now(&self) {
        self.exchanges.reconnect_now();
    }

    /// At whose place the last connection was lost, for a request that failed by it: the server's, or
    /// that of a relay on the way. `None` while there is a connection, and before the first.
    pub fn lost_at(&self) -> Option<Place> {
        self.exchanges.lost_at()
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
        let mut request = self.exchanges.complete(request)?;
        let mut stale = false;
        let cache = self.cache.as_deref();
        // Who asks about an entity-tag of their own wants to hear from the server.
        let cache = cache.filter(|_| !request.message.options().contains(OptionNumber::ETAG));
        let cache = cache.map(|cache| (cache, request.message.clone()));
        if let Some((cache, asked)) = &cache {
            match lock(cache).look(asked, time::now()) {
                Cached::Fresh(response) => return Ok(Response::new(*response)),
                Cached::Stale(etag) => {
                    let options = request.message.options_mut();
                    options.add(OptionNumber::ETAG, &etag)?;
                    stale = true;
                }
                Cached::Nothing => {}
            }
        }
        let mut response = download::request(&self.exchanges, request).await?;
        if let Some((cache, asked)) = &cache {
            let now = time::now();
            let mut cache = lock(cache);
            if stale && response.code() == Code::VALID {
                if let Some(valid) = cache.revalidate(asked, &response, now) {
                    response = valid;
                }
            } else {
                cache.take(asked, &response, now);
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
    /// if let Some(job) = created.location() {
    ///     println!("{}", client.get(job).await?.text().unwrap_or("?"));
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
        let mut request = self.exchanges.complete(request)?;
        request.set_no_response(NoResponse::ALL);
        self.exchanges.tell(&request).await
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
        let request = self.exchanges.complete(what.into_request()?)?;
        if !matches!(request.message.code(), Code::GET | Code::FETCH) {
            return Err(RequestError::InvalidRequest(
                "only GET and FETCH can observe",
            ));
        }
        let (notices, guard) = self.exchanges.observe(&request).await?;
        let exchanges = Arc::clone(&self.exchanges);
        Ok(Observation::new(exchanges, request, notices, guard))
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
        let mut request = self.exchanges.complete(what.into_request()?)?;
        // How large will it be (RFC 7959, section 4)?
        let options = request.message.options_mut();
        if !options.contains(OptionNumber::SIZE2) {
            options.set_uint(OptionNumber::SIZE2, 0)?;
        }
        let download = Download::begin(Arc::clone(&self.exchanges), request).await?;
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
        let mut request = self.exchanges.complete(request)?;
        request.message.payload.clear();
        // What was fetched is kept by what was asked, and that is not there any more.
        let cache = self.cache.as_ref();
        let cache = cache.filter(|_| request.message.code() != Code::FETCH);
        let cache = cache.map(|cache| (cache, request.message.clone()));
        let first = upload::read(&self.exchanges, &mut request, body, size, progress).await?;
        let response = download::after_upload(&self.exchanges, request, first).await?;
        if let Some((cache, asked)) = cache {
            lock(cache).take(&asked, &response, time::now());
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
        Links::parse(&response.payload).map_err(RequestError::BadLinks)
    }

    /// Asks the server whether it is there, as soon as there is a connection.
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
    /// there is no connection in time, which is
    /// [`response_timeout`](crate::core::Config::response_timeout).
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn ping(&self) -> Result<(), RequestError> {
        self.exchanges.ping().await
    }

    /// Ends the client in order: requests and observations that are under way fail with
    /// [`RequestError::Closed`], a server that is reached by a stream is told (RFC 8323, section
    /// 5.5), and the connection future ends. Done at once where it has ended already.
    ///
    /// ```no_run
    /// # use jackfield_coap::client::Client;
    /// # async fn example(client: Client) {
    /// client.close().await;
    /// # }
    /// ```
    ///
    /// # Cancel safety
    /// Dropping the future may leave the client running, or not.
    pub async fn close(&self) {
        self.exchanges.close().await;
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("exchanges", &self.exchanges)
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

fn lock(cache: &Mutex<Cache>) -> std::sync::MutexGuard<'_, Cache> {
    cache.lock().unwrap_or_else(PoisonError::into_inner)
}
