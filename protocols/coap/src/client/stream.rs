//! What CoAP adds to the loop that every stream client has: requests that wait for a connection,
//! and observations that outlive it.

use std::future::{Future, ready};
use std::time::Duration;

use jackfield_client::{Again, Ended, Flow, Link, Outbox, Poster, Protocol};
use jackfield_socket::Endpoint as Server;
use jackfield_socket::time::{self, Instant};

use super::desk::{Action, Desk};
use super::event::{ClientEvent, ConnectionError};
use super::security::{SecurityContext, Stores};
use crate::core::{Config, Session, SessionEvent, StreamConfig, StreamLayer};
use crate::error::{RequestError, SessionError};

pub(super) struct Stream {
    pub(super) server: Server,
    pub(super) requests: Config,
    pub(super) config: StreamConfig,
    pub(super) oscore: Option<SecurityContext>,
    pub(super) stores: Stores,
    pub(super) reconnects: bool,
    pub(super) desk: Desk,
    pub(super) opened: Option<Instant>,
}

impl Protocol for Stream {
    type Core = Session<StreamLayer>;
    type Action = Action;
    type Event = ClientEvent;
    type Error = SessionError;
    type Prepared = ();

    async fn begin(
        &mut self,
        _poster: Poster<Action>,
    ) -> Result<Session<StreamLayer>, ConnectionError> {
        let layer = StreamLayer::new(time::now(), self.config.clone());
        let session = Session::new(layer, self.requests.clone());
        let (mut contexts, stores) = Stores::of(self.oscore.take());
        self.stores = stores;
        Ok(match contexts.pop() {
            Some(context) => session.protected(context),
            None => session,
        })
    }

    fn prepare(
        &mut self,
        _attempt: u32,
    ) -> impl Future<Output = Result<(Server, ()), ConnectionError>> + Send + 'static {
        ready(Ok((self.server.clone(), ())))
    }

    fn opened(
        &mut self,
        core: &mut Session<StreamLayer>,
        _prepared: (),
    ) -> Result<(), ConnectionError> {
        let now = time::now();
        self.opened = Some(now);
        core.connected(now, StreamLayer::new(now, self.config.clone()));
        Ok(())
    }

    fn act(&mut self, core: &mut Session<StreamLayer>, action: Action, link: Link) -> Flow {
        let now = time::now();
        if self.desk.act(core, action, now, link == Link::Up) {
            return Flow::Continue;
        }
        leave(core, now);
        Flow::Quit
    }

    fn abandoned(&mut self, core: &mut Session<StreamLayer>, _link: Link) {
        leave(core, time::now());
    }

    async fn take(
        &mut self,
        core: &mut Session<StreamLayer>,
        event: SessionEvent,
        _outbox: &mut Outbox<ClientEvent>,
    ) -> Result<Flow, ConnectionError> {
        match event {
            SessionEvent::Store(id, changes) => self.stores.commit(core, id, changes).await,
            event => self.desk.take(core, event),
        }
        Ok(Flow::Continue)
    }

    fn ended(&mut self, core: &mut Session<StreamLayer>, error: Option<&ConnectionError>) -> Ended {
        core.disconnected();
        self.desk.disconnected();
        let lasted = self.opened.take().map_or(Duration::ZERO, |since| {
            time::now().saturating_duration_since(since)
        });
        match error {
            None => core.end(&RequestError::Closed),
            Some(error) if error.is_permanent() || !self.reconnects => {
                core.end(&RequestError::NotConnected);
            }
            Some(_) => {}
        }
        let mut ended = Ended::after(lasted, error);
        if let Some(ConnectionError::Session(SessionError::Released { hold_off })) = error {
            ended.again = Again::After(*hold_off);
        }
        ended
    }
}

/// Whatever is under way fails; what waits to be sent still goes out.
fn leave(core: &mut Session<StreamLayer>, now: Instant) {
    core.end(&RequestError::Closed);
    core.close(now);
}
