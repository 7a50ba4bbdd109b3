//! The connection of a client over UDP, or over DTLS: a socket, and what is done with it.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use jackfield_client::{Backoff, ConnectionError as Error, Failure, Inbox, Outbox, Progress};
use jackfield_socket::driver::{Core, DatagramDriver, DriverError};
use jackfield_socket::{Endpoint as Server, Result as SocketResult, UdpOpen, UdpOptions, time};

use super::ClientConfig;
use super::desk::{Action, Desk};
use super::event::{ClientEvent, ConnectionError};
use super::security::Stores;
use crate::core::{DatagramLayer, Session, SessionEvent};
use crate::error::{RequestError, SessionError};

/// Where a socket speaks to.
pub(super) enum To {
    /// One server.
    Server(Server),
    /// Anyone, from this address.
    Anyone(SocketAddr),
}

pub(super) struct Worker<N> {
    pub(super) network: N,
    pub(super) to: To,
    pub(super) config: ClientConfig,
    pub(super) options: UdpOptions,
    pub(super) inbox: Inbox<Action>,
    pub(super) outbox: Outbox<ClientEvent>,
    pub(super) desk: Desk,
    pub(super) stores: Stores,
}

enum End {
    Quit,
    Failed(ConnectionError),
}

impl<N: UdpOpen> Worker<N> {
    pub(super) async fn run(mut self) -> Result<(), ConnectionError> {
        let policy = self.config.reconnect;
        let mut backoff = policy.map(|policy| Backoff::new(policy, self.config.seed));
        let mut session = Session::new(self.layer(), self.config.requests.clone());
        let (mut contexts, stores) = Stores::of(self.config.oscore.take());
        self.stores = stores;
        if let Some(context) = contexts.pop() {
            session = session.protected(context);
        }
        let mut attempt: u32 = 0;
        let outcome = loop {
            attempt = attempt.saturating_add(1);
            self.outbox.push(Progress::Connecting { attempt });
            let (returned, lasted, end) = self.attempt(session).await;
            session = returned;
            session.disconnected();
            self.desk.disconnected();
            self.settle(&mut session).await;
            let End::Failed(error) = end else {
                break Ok(());
            };
            if !lasted.is_zero() {
                attempt = 0;
            }
            let backoff = backoff.as_mut().filter(|_| !error.is_permanent());
            let retry_in = backoff.map(|backoff| backoff.next(lasted));
            self.outbox.push(Progress::Disconnected {
                error: error.clone(),
                retry_in,
            });
            let Some(delay) = retry_in else {
                break Err(error);
            };
            if self
                .offline(&mut session, time::sleep(delay))
                .await
                .is_none()
            {
                break Ok(());
            }
        };
        let left = match &outcome {
            Ok(()) => RequestError::Closed,
            Err(_) => RequestError::NotConnected,
        };
        session.end(&left);
        self.settle(&mut session).await;
        if outcome.is_ok() {
            self.outbox.flush_now();
        } else {
            // The last events: whoever reads them may take their time.
            self.outbox.flush().await;
        }
        outcome
    }

    fn layer(&self) -> DatagramLayer {
        // Message ids need no secrecy: tokens are what can't be guessed.
        let seed = self.config.seed.or_else(|| getrandom::u64().ok());
        DatagramLayer::new(self.config.datagrams.clone(), seed.unwrap_or_default())
    }

    async fn attempt(
        &mut self,
        mut session: Session<DatagramLayer>,
    ) -> (Session<DatagramLayer>, Duration, End) {
        let opened = {
            let network = &self.network;
            let opening = open(network, &self.to, &self.options);
            let opening = time::timeout(self.config.connect_timeout, opening);
            let (inbox, outbox) = (&mut self.inbox, &mut self.outbox);
            let (desk, stores) = (&mut self.desk, &mut self.stores);
            offline(inbox, outbox, desk, stores, &mut session, opening).await
        };
        let socket = match opened {
            None => return (session, Duration::ZERO, End::Quit),
            Some(Ok(Ok(socket))) => socket,
            Some(Ok(Err(error))) => {
                let error = Error::Connect(Arc::new(error));
                return (session, Duration::ZERO, End::Failed(error));
            }
            Some(Err(_)) => {
                return (session, Duration::ZERO, End::Failed(Error::ConnectTimedOut));
            }
        };
        self.outbox.push(Progress::Connected);
        let begun = time::now();
        session.connected(begun, self.layer());
        self.desk.tell_carrier(session.layer());
        let mut driver = DatagramDriver::new(socket, session);
        let end = self.drive(&mut driver).await;
        let (_, session) = driver.into_parts();
        let lasted = time::now().saturating_duration_since(begun);
        (session, lasted, end)
    }

    async fn drive(
        &mut self,
        driver: &mut DatagramDriver<N::Socket, Session<DatagramLayer>>,
    ) -> End {
        loop {
            let (outbox, inbox) = (&mut self.outbox, &mut self.inbox);
            let next = async {
                outbox.flush().await;
                driver.next().await
            };
            let outcome = tokio::select! {
                biased;
                action = inbox.recv() => {
                    let session = driver.core_mut();
                    let action = action.unwrap_or(Action::Close);
                    if !self.desk.act(session, action, time::now(), true) {
                        return End::Quit;
                    }
                    continue;
                }
                outcome = next => outcome,
            };
            match outcome {
                Ok(Some(event)) => {
                    let (desk, stores) = (&mut self.desk, &mut self.stores);
                    take(desk, stores, driver.core_mut(), event).await;
                }
                Err(DriverError::Core(error)) => {
                    return End::Failed(Error::Session(error.into()));
                }
                Err(DriverError::Io(error)) => {
                    return End::Failed(Error::Stream(Arc::new(error.into())));
                }
                Ok(None) | Err(_) => return End::Failed(Error::Session(SessionError::ended())),
            }
        }
    }

    async fn offline<T>(
        &mut self,
        session: &mut Session<DatagramLayer>,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        let (inbox, outbox) = (&mut self.inbox, &mut self.outbox);
        let (desk, stores) = (&mut self.desk, &mut self.stores);
        offline(inbox, outbox, desk, stores, session, work).await
    }

    async fn settle(&mut self, session: &mut Session<DatagramLayer>) {
        settle(&mut self.desk, &mut self.stores, session).await;
    }
}

/// Works on something while there is no socket; none when the client is to close.
async fn offline<T>(
    inbox: &mut Inbox<Action>,
    outbox: &mut Outbox<ClientEvent>,
    desk: &mut Desk,
    stores: &mut Stores,
    session: &mut Session<DatagramLayer>,
    work: impl Future<Output = T>,
) -> Option<T> {
    let mut work = pin!(work);
    loop {
        let deadline = session.request_deadline();
        let passed = async {
            match deadline {
                Some(deadline) => time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        let flushed = async {
            outbox.flush().await;
            work.as_mut().await
        };
        tokio::select! {
            biased;
            action = inbox.recv() => {
                let action = action.unwrap_or(Action::Close);
                if !desk.act(session, action, time::now(), false) {
                    return None;
                }
            }
            () = passed => session.handle_request_deadline(time::now()),
            output = flushed => return Some(output),
        }
        settle(desk, stores, session).await;
    }
}

async fn settle(desk: &mut Desk, stores: &mut Stores, session: &mut Session<DatagramLayer>) {
    while let Some(event) = session.poll_event() {
        take(desk, stores, session, event).await;
    }
}

async fn take(
    desk: &mut Desk,
    stores: &mut Stores,
    session: &mut Session<DatagramLayer>,
    event: SessionEvent,
) {
    match event {
        SessionEvent::Store(id, changes) => stores.commit(session, id, changes).await,
        event => desk.take(session, event),
    }
}

async fn open<N: UdpOpen>(network: &N, to: &To, options: &UdpOptions) -> SocketResult<N::Socket> {
    match to {
        To::Server(server) => network.open_connected(server, options).await,
        To::Anyone(at) => network.open_bound(*at, options).await,
    }
}
