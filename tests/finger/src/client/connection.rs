//! What Finger adds to the loop that every client has: a connection for each query.

use std::collections::VecDeque;
use std::future::Future;

use jackfield_client::{Again, Flow, Link, OutboxOf, Poster, Protocol};
use jackfield_socket::{Endpoint, TcpConnect, time};
use tokio::sync::watch;

use super::ClientConfig;
use super::action::{Action, Done};
use super::event::{Connection, ConnectionError, Events};
use super::handle::Client;
use crate::core::{Config, Line, Session, SessionEvent};
use crate::error::SessionError;

/// Prepares a client for a server. Nothing happens before the [`Connection`] is polled, and nobody
/// is connected to before there is a query.
pub fn connect<N: TcpConnect>(
    network: N,
    server: Endpoint,
    config: ClientConfig,
) -> (Client, Events, Connection) {
    let finger = Finger {
        server,
        config: config.session,
        asked: VecDeque::new(),
        is_asked: watch::Sender::new(false),
    };
    let (actions, events, connection) =
        jackfield_client::connect(network, finger, config.connection);
    (Client { actions }, events, connection)
}

struct Finger {
    server: Endpoint,
    config: Config,
    /// Who waits, in the order of the core's queries.
    asked: VecDeque<Done>,
    /// Whether anyone does.
    is_asked: watch::Sender<bool>,
}

impl Protocol for Finger {
    type Core = Session;
    type Target = Endpoint;
    type Action = Action;
    type Event = Line;
    type Ready = ();
    type Error = SessionError;
    type Prepared = ();

    async fn begin(&mut self, _poster: Poster<Action>) -> Result<Session, ConnectionError> {
        Ok(Session::new(self.config.clone()))
    }

    fn prepare(
        &mut self,
        _attempt: u32,
    ) -> impl Future<Output = Result<(Endpoint, ()), ConnectionError>> + Send + 'static {
        let (server, mut is_asked) = (self.server.clone(), self.is_asked.subscribe());
        async move {
            // It fails only where the client is gone, and this future with it.
            let _ = is_asked.wait_for(|it| *it).await;
            Ok((server, ()))
        }
    }

    fn opened(
        &mut self,
        core: &mut Session,
        (): (),
        outbox: &mut OutboxOf<Self>,
    ) -> Result<(), ConnectionError> {
        core.opened();
        outbox.ready(());
        Ok(())
    }

    fn act(&mut self, core: &mut Session, action: Action, _link: Link) -> Flow {
        match action {
            Action::Request(_, done) if done.is_closed() => {}
            Action::Request(query, done) => match core.request(time::now(), query) {
                Ok(()) => {
                    self.asked.push_back(done);
                    self.is_asked.send_replace(true);
                }
                Err(error) => {
                    let _ = done.send(Err(error));
                }
            },
            Action::Close => {
                core.close();
                return Flow::Close;
            }
        }
        Flow::Continue
    }

    fn abandoned(&mut self, core: &mut Session, _link: Link) {
        core.close();
    }

    async fn take(
        &mut self,
        _core: &mut Session,
        event: SessionEvent,
        outbox: &mut OutboxOf<Self>,
    ) -> Result<Flow, ConnectionError> {
        match event {
            SessionEvent::Line(line) => outbox.push(line),
            SessionEvent::Completed(outcome) => {
                if let Some(done) = self.asked.pop_front() {
                    let _ = done.send(outcome);
                }
                self.is_asked.send_replace(!self.asked.is_empty());
            }
            SessionEvent::Closed => return Ok(Flow::Closed),
        }
        Ok(Flow::Continue)
    }

    fn ended(&mut self, core: &mut Session, error: Option<&ConnectionError>) -> Again {
        core.lost();
        // The next connection begins when there is a query for it.
        if let Some(ConnectionError::Session(SessionError::Ended)) = error {
            return Again::AtOnce;
        }
        Again::unless_permanent(error)
    }
}
