//! The connection of a client: SMTP adds to the loop of every client that it connects only when there
//! is something to send, and whose message it is.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jackfield_client::{Again, Flow, Link, OutboxOf, Poster, Protocol};
use jackfield_sasl::{Channel, Credentials, Renewal};
use jackfield_socket::{Endpoint, StreamInfo, TcpConnect, time};
use tokio::sync::watch;

use super::action::{Action, Done, Reader, Want};
use super::config::ClientConfig;
use super::event::{Connection, ConnectionError, Events};
use super::handle::Client;
use crate::codec::Reply;
use crate::core::{
    Config, Event, Outcome, Piece, Request, RequestId, Response, Server, Session, SessionEvent,
};
use crate::error::{RequestError, SessionError};

/// Prepares a client for a server. Nothing happens before the [`Connection`] is polled, and nobody is
/// connected to before there is something to send.
///
/// See the [crate](crate) for an example.
pub fn connect<N: TcpConnect>(
    network: N,
    server: Endpoint,
    config: impl Into<ClientConfig>,
) -> (Client, Events, Connection) {
    connect_sharing(network, server, config.into(), Arc::default())
}

/// The same for one of several clients, which share what they learn of the server: whether a login that was
/// bound to its TLS connection has failed.
pub(super) fn connect_sharing<N: TcpConnect>(
    network: N,
    server: Endpoint,
    config: ClientConfig,
    is_unbound: Arc<AtomicBool>,
) -> (Client, Events, Connection) {
    let smtp = Smtp {
        server,
        config: config.session,
        renew: config.renew,
        asked: VecDeque::new(),
        is_needed: watch::Sender::new(false),
        stood: false,
        channel: Channel::plaintext(),
        is_unbound,
        has_unbound: false,
    };
    let (actions, events, connection) = jackfield_client::connect(network, smtp, config.connection);
    (Client { actions }, events, connection)
}

struct Smtp {
    server: Endpoint,
    config: Config,
    renew: Option<Renewal>,
    /// Who waits, in the order of the core's numbers.
    asked: VecDeque<(RequestId, Asked)>,
    /// Whether anyone does.
    is_needed: watch::Sender<bool>,
    /// Whether the session stands.
    stood: bool,
    channel: Channel,
    /// Whether a login that was bound to its TLS connection has failed: further ones are not.
    is_unbound: Arc<AtomicBool>,
    /// Whether that is still to be told.
    has_unbound: bool,
}

/// Who asked.
enum Asked {
    Send(Done<Outcome>),
    SendFrom(Reader, Done<Outcome>),
    Reply(Done<Reply>),
}

impl Protocol for Smtp {
    type Core = Session;
    type Target = Endpoint;
    type Action = Action;
    type Event = Event;
    type Ready = Box<Server>;
    type Error = SessionError;
    type Prepared = Option<Credentials>;

    async fn begin(&mut self, _poster: Poster<Action>) -> Result<Session, ConnectionError> {
        Ok(Session::new(self.config.clone()))
    }

    fn prepare(
        &mut self,
        attempt: u32,
    ) -> impl Future<Output = Result<(Endpoint, Option<Credentials>), ConnectionError>> + Send + 'static
    {
        let (server, mut is_needed) = (self.server.clone(), self.is_needed.subscribe());
        let renewed = self.renew.as_ref().map(|renew| renew.ask(attempt));
        let not_renewed = |error: Box<dyn std::error::Error + Send + Sync>| {
            ConnectionError::Session(SessionError::NotRenewed(error.to_string()))
        };
        async move {
            // It fails only where the client is gone, and this future with it.
            let _ = is_needed.wait_for(|it| *it).await;
            let credentials = match renewed {
                Some(renewed) => Some(renewed.await.map_err(not_renewed)?),
                None => None,
            };
            Ok((server, credentials))
        }
    }

    fn stream_info(&mut self, _core: &mut Session, info: &StreamInfo) {
        let binding = info
            .tls_exporter
            .filter(|_| !self.is_unbound.load(Ordering::Relaxed));
        self.channel = Channel::new(info.encrypted, binding);
    }

    fn opened(
        &mut self,
        core: &mut Session,
        credentials: Option<Credentials>,
        outbox: &mut OutboxOf<Self>,
    ) -> Result<(), ConnectionError> {
        if let Some(credentials) = credentials {
            core.set_credentials(credentials);
        }
        core.opened(time::now(), self.channel.clone());
        if std::mem::take(&mut self.has_unbound) {
            outbox.push(Event::LoginNotBound);
        }
        Ok(())
    }

    fn act(&mut self, core: &mut Session, action: Action, _link: Link) -> Flow {
        match action {
            Action::Send(_, _, done) | Action::SendFrom(_, _, _, done) if done.is_closed() => {}
            Action::Verify(_, done) | Action::Noop(done) if done.is_closed() => {}
            Action::Send(envelope, body, done) => {
                let request = Request::Send(*envelope, body);
                self.ask(core, request, Asked::Send(done));
            }
            Action::SendFrom(envelope, body, reader, done) => {
                let request = Request::Send(*envelope, body);
                self.ask(core, request, Asked::SendFrom(reader, done));
            }
            Action::Piece(id, piece) => core.body(time::now(), id, piece),
            Action::Verify(text, done) => {
                self.ask(core, Request::Verify(text), Asked::Reply(done));
            }
            Action::Noop(done) => self.ask(core, Request::Noop, Asked::Reply(done)),
            Action::Close => {
                core.close();
                return Flow::Close;
            }
        }
        self.is_needed.send_replace(core.is_needed());
        Flow::Continue
    }

    fn abandoned(&mut self, core: &mut Session, _link: Link) {
        core.close();
    }

    async fn take(
        &mut self,
        core: &mut Session,
        event: SessionEvent,
        outbox: &mut OutboxOf<Self>,
    ) -> Result<Flow, ConnectionError> {
        match event {
            SessionEvent::Ready(server) => {
                self.stood = true;
                outbox.ready(server);
            }
            SessionEvent::Event(event) => outbox.push(event),
            SessionEvent::WantsBody(id) => {
                let reader = self.find(id).map(|at| &self.asked[at].1);
                let wanted = match reader {
                    Some(Asked::SendFrom(reader, _)) => reader.try_send(Want::Piece(id)).is_ok(),
                    _ => false,
                };
                if !wanted {
                    core.body(time::now(), id, Piece::Failed);
                }
            }
            SessionEvent::Completed(id, outcome) => {
                self.completed(id, outcome);
                self.is_needed.send_replace(core.is_needed());
            }
            SessionEvent::Closed => return Ok(Flow::Closed),
        }
        Ok(Flow::Continue)
    }

    fn ended(&mut self, core: &mut Session, error: Option<&ConnectionError>) -> Again {
        let was_of_use = core.was_of_use();
        // A server may offer to bind a login to its TLS connection, and not be able to: Cyrus refuses, and
        // Dovecot cuts it. The next attempt is not bound, and so there is only one.
        let in_vain = core.is_bound_in_vain() && error.is_some();
        core.lost(time::now());
        if in_vain {
            self.is_unbound.store(true, Ordering::Relaxed);
            self.has_unbound = true;
            self.is_needed.send_replace(core.is_needed());
            return Again::AtOnce;
        }
        let stood = std::mem::take(&mut self.stood);
        if let Some(error) = error
            && (!stood || error.is_permanent())
        {
            core.give_up(&RequestError::NotConnected(Box::new(error.clone())));
        }
        let has_left = matches!(error, Some(ConnectionError::Session(SessionError::Idle)));
        // The next connection begins when there is something to send over it.
        let mut again = Again::unless_permanent(error);
        if again == Again::Later && (was_of_use || has_left) {
            again = Again::AtOnce;
        }
        self.is_needed.send_replace(core.is_needed());
        again
    }
}

impl Smtp {
    fn ask(&mut self, core: &mut Session, request: Request, asked: Asked) {
        match core.request(time::now(), request) {
            Ok(id) => {
                if let Asked::SendFrom(reader, _) = &asked
                    && reader.try_send(Want::Nothing(id)).is_err()
                {
                    core.body(time::now(), id, Piece::Failed);
                }
                self.asked.push_back((id, asked));
            }
            Err(error) => asked.answer(Err(error)),
        }
    }

    fn find(&self, id: RequestId) -> Option<usize> {
        self.asked.binary_search_by_key(&id, |(id, _)| *id).ok()
    }

    fn completed(&mut self, id: RequestId, outcome: Result<Response, RequestError>) {
        if let Some((_, asked)) = self.find(id).and_then(|at| self.asked.remove(at)) {
            asked.answer(outcome);
        }
    }
}

impl Asked {
    fn answer(self, outcome: Result<Response, RequestError>) {
        match self {
            Self::Send(done) | Self::SendFrom(_, done) => {
                let _ = done.send(outcome.and_then(|response| match response {
                    Response::Sent(outcome) => Ok(outcome),
                    Response::Reply(_) => Err(RequestError::Closed),
                }));
            }
            Self::Reply(done) => {
                let _ = done.send(outcome.and_then(|response| match response {
                    Response::Reply(reply) => Ok(reply),
                    Response::Sent(_) => Err(RequestError::Closed),
                }));
            }
        }
    }
}
