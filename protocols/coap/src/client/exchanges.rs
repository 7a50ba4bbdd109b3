//! Exchanges: one message of a request goes to the connection, and what comes of it comes back.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jackfield_client::Actions;
use jackfield_socket::{Endpoint, Host, Place, time};
use tokio::sync::{oneshot, watch};

use super::action::{Action, Ask, Carrier, Guard, Key, Notice};
use super::config::ClientConfig;
use super::event::{Status, Statuses};
use super::latest::{self, Receiver};
use crate::codec::{BlockSize, Message, OptionNumber};
use crate::core::{Request, Response};
use crate::error::{Refusal, RequestError, SessionError};

/// How much later than the connection a request itself gives up waiting.
const GRACE: Duration = Duration::from_secs(1);

/// What all handles of one client share: the way to its connection.
pub(super) struct Exchanges {
    pub(super) settings: Settings,
    actions: Actions<Action, (), SessionError>,
    carrier: watch::Receiver<Option<Carrier>>,
    last_key: AtomicU64,
}

/// What a handle needs to know of its [`ClientConfig`].
pub(super) struct Settings {
    /// The server's name, where it has one.
    uri_host: Option<String>,
    pub(super) block_size: BlockSize,
    pub(super) max_body: u64,
    pub(super) max_cache_bytes: usize,
    block_retries: u32,
    notification_capacity: usize,
    response_timeout: Duration,
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
            max_body: config.requests.limits.max_body,
            max_cache_bytes: config.requests.limits.max_cache_bytes,
            block_retries: config.block_retries,
            notification_capacity: config.notification_capacity,
            response_timeout: config.requests.response_timeout,
        }
    }
}

impl Exchanges {
    pub(super) fn new(
        settings: Settings,
        actions: Actions<Action, (), SessionError>,
        carrier: watch::Receiver<Option<Carrier>>,
    ) -> Self {
        Self {
            settings,
            actions,
            carrier,
            last_key: AtomicU64::new(0),
        }
    }

    pub(super) fn status(&self) -> Status {
        self.actions.status()
    }

    pub(super) fn statuses(&self) -> Statuses {
        self.actions.statuses()
    }

    pub(super) fn reconnect_now(&self) {
        self.actions.reconnect_now();
    }

    pub(super) fn lost_at(&self) -> Option<Place> {
        self.actions.lost_at()
    }

    /// Adds what each request to this server has.
    pub(super) fn complete(&self, mut request: Request) -> Result<Request, RequestError> {
        let options = request.message.options_mut();
        if let Some(name) = &self.settings.uri_host
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

    /// [`exchange`](Self::exchange), again where there was no answer: for what does no harm when it
    /// is done twice.
    pub(super) async fn exchange_again(
        &self,
        request: &Request,
        message: Message,
    ) -> Result<Message, RequestError> {
        for _ in 0..self.settings.block_retries {
            match self.exchange(request, message.clone()).await {
                Err(RequestError::TimedOut) => {}
                other => return other,
            }
        }
        self.exchange(request, message).await
    }

    /// Sends a request that wants no response.
    pub(super) async fn tell(&self, request: &Request) -> Result<(), RequestError> {
        let message = request.message.clone();
        self.exchange_as(request, message, true).await.map(drop)
    }

    async fn exchange_as(
        &self,
        request: &Request,
        message: Message,
        told: bool,
    ) -> Result<Option<Message>, RequestError> {
        let (done, outcome) = oneshot::channel();
        let key = self.next_key();
        let mut guard = Guard::new(key, self.actions.poster());
        let ask = Ask::new(key, request, message);
        self.send(Action::Request { ask, told, done }).await?;
        // Without a connection, nothing else keeps the time.
        let timeout = request.timeout.unwrap_or(self.settings.response_timeout) + GRACE;
        match time::timeout(timeout, outcome).await {
            Ok(outcome) => {
                guard.disarm();
                outcome.unwrap_or(Err(RequestError::Closed))
            }
            Err(_) => Err(RequestError::NotConnected),
        }
    }

    /// Begins an observation, which ends when the guard is dropped.
    pub(super) async fn observe(
        &self,
        request: &Request,
    ) -> Result<(Receiver<Notice>, Guard), RequestError> {
        let (notices, received) = latest::channel(self.settings.notification_capacity);
        let key = self.next_key();
        let guard = Guard::new(key, self.actions.poster());
        let ask = Ask::new(key, request, request.message.clone());
        self.send(Action::Observe { ask, notices }).await?;
        Ok((received, guard))
    }

    pub(super) async fn ping(&self) -> Result<(), RequestError> {
        self.carrier().await?;
        let (done, outcome) = oneshot::channel();
        self.send(Action::Ping(done)).await?;
        let answer = async { outcome.await.unwrap_or(Err(RequestError::Closed)) };
        time::timeout(self.settings.response_timeout, answer)
            .await
            .unwrap_or(Err(RequestError::TimedOut))
    }

    pub(super) async fn close(&self) {
        if self.send(Action::Close).await.is_ok() {
            self.actions.closed().await;
        }
    }

    /// What the carrier can do, as soon as that is known.
    pub(super) async fn carrier(&self) -> Result<Carrier, RequestError> {
        let mut carrier = self.carrier.clone();
        let known = carrier.wait_for(Option::is_some);
        match time::timeout(self.settings.response_timeout, known).await {
            Ok(Ok(known)) => known.ok_or(RequestError::NotConnected),
            Ok(Err(_)) => Err(RequestError::Closed),
            Err(_) => Err(RequestError::NotConnected),
        }
    }

    async fn send(&self, action: Action) -> Result<(), RequestError> {
        let sent = self.actions.send(action).await;
        sent.map_err(|_| RequestError::Closed)
    }

    fn next_key(&self) -> Key {
        self.last_key.fetch_add(1, Ordering::Relaxed)
    }
}

impl fmt::Debug for Exchanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchanges")
            .field("uri_host", &self.settings.uri_host)
            .finish_non_exhaustive()
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
