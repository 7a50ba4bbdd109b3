//! What a handle and its connection share: questions pass one way, their answers the other.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jackfield_client::Actions;
use jackfield_socket::{Endpoint, Host, time};
use tokio::sync::{oneshot, watch};

use super::ClientConfig;
use super::action::{Action, Ask, Guard, Key};
use super::desk::Carrier;
use super::handle::Client;
use crate::codec::{BlockSize, Message, OptionNumber};
use crate::core::{Cache, Request};
use crate::error::{RequestError, SessionError};

/// How much later than the connection a request itself gives up waiting.
const GRACE: Duration = Duration::from_secs(1);

pub(super) struct Inner {
    pub(super) actions: Actions<Action, (), SessionError>,
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
        actions: Actions<Action, (), SessionError>,
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

    /// Adds what each request to this server has.
    pub(super) fn complete(&self, mut request: Request) -> Result<Request, RequestError> {
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

    pub(super) async fn exchange_as(
        &self,
        request: &Request,
        message: Message,
        told: bool,
    ) -> Result<Option<Message>, RequestError> {
        let (done, outcome) = oneshot::channel();
        let key = self.next_key();
        let mut guard = Guard::new(key, self.inner.actions.poster());
        let ask = Ask::new(key, request, message);
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

    pub(super) async fn pass(&self, action: Action) -> Result<(), RequestError> {
        let passed = self.inner.actions.send(action).await;
        passed.map_err(|_| RequestError::Closed)
    }

    pub(super) fn next_key(&self) -> Key {
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
