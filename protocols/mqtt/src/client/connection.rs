//! The connection of a client: MQTT adds to the loop of every client a session that outlives
//! connections and perhaps the process, a router, and redirection.

mod calls;
mod publishing;
mod redirection;
mod routing;

use std::collections::VecDeque;
use std::future::{Future, ready};
use std::pin::Pin;

use bytes::Bytes;
use jackfield_client::{Again, Flow, Link, OutboxOf, Poster, Protocol};
use jackfield_socket::sorted::SortedMap;
use jackfield_socket::{Endpoint, TcpConnect, time};
use jackfield_store::{BoxStore, Store};
use tokio::sync::{mpsc, oneshot};

use super::action::{Action, Done};
use super::config::{Acknowledge, ClientConfig, Renew};
use super::event::{Connection, ConnectionError, Events, Routed, Told};
use super::handle::Client;
use super::routes::Routes;
use crate::codec::TopicFilter;
use crate::core::{
    Config, ConnectOptions, Event, Message, Reply, RequestId, Server, Session, SessionEvent,
    UnsubscribeRequest, Unsubscribed,
};
use crate::error::{RequestError, SessionError};

/// Prepares a client for a server. Nothing happens before the [`Connection`] is polled.
///
/// See the [module](super) for an example.
pub fn connect<N: TcpConnect>(
    network: N,
    server: Endpoint,
    config: impl Into<ClientConfig>,
) -> (Client, Events, Connection) {
    let mut config = config.into();
    config.session.durable = config.store.is_some();
    let mqtt = Mqtt {
        target: server.clone(),
        server,
        redirects: config.redirects,
        redirects_left: config.redirects,
        routes: Routes::new(config.session.limits.max_subscriptions),
        session: config.session,
        connect: config.connect,
        renew: config.renew,
        store: config.store,
        by_hand: config.acknowledge == Acknowledge::ByHand,
        poster: None,
        asked: SortedMap::new(),
        queued: Vec::new(),
        undelivered: VecDeque::new(),
        to_unsubscribe: VecDeque::new(),
        calls: SortedMap::new(),
        call_capacity: config.call_capacity,
    };
    let (actions, events, connection) = jackfield_client::connect(network, mqtt, config.connection);
    let client = Client {
        actions,
        subscription_capacity: config.subscription_capacity,
    };
    (client, Events(events), connection)
}

struct Mqtt {
    /// Where the client was told to connect.
    server: Endpoint,
    /// Where it connects next.
    target: Endpoint,
    redirects: u32,
    redirects_left: u32,
    session: Config,
    connect: ConnectOptions,
    renew: Option<Renew>,
    store: Option<BoxStore>,
    by_hand: bool,
    /// Given when it begins.
    poster: Option<Poster<Action>>,
    asked: SortedMap<RequestId, Asked>,
    /// Those who wait until what they gave is durable.
    queued: Vec<Done<()>>,
    routes: Routes,
    /// Messages that wait for room in their subscriptions: those of one read, and no more.
    undelivered: VecDeque<(mpsc::Sender<Routed>, Routed)>,
    /// Filters that nobody reads any more, for which there was no room among the requests.
    to_unsubscribe: VecDeque<TopicFilter>,
    /// Who waits for responses, by correlation data.
    calls: SortedMap<Bytes, Done<Message>>,
    call_capacity: usize,
}

type Prepare =
    Pin<Box<dyn Future<Output = Result<(Endpoint, ConnectOptions), ConnectionError>> + Send>>;

/// Who asked.
enum Asked {
    Client(Done<Reply>),
    Route(u64, Done<u64>),
    Unroute(Option<Done<Option<Unsubscribed>>>),
    Call(Bytes),
}

impl Protocol for Mqtt {
    type Core = Session;
    type Target = Endpoint;
    type Action = Action;
    type Event = Told;
    type Ready = Box<Server>;
    type Error = SessionError;
    type Prepared = ConnectOptions;

    async fn begin(&mut self, poster: Poster<Action>) -> Result<Session, ConnectionError> {
        self.poster = Some(poster);
        let Some(store) = &mut self.store else {
            return Ok(Session::new(self.session.clone()));
        };
        let records = store.load().await.map_err(|error| stored(&error))?;
        Session::restore(self.session.clone(), records)
            .map_err(|error| ConnectionError::Session(SessionError::Store(error.to_string())))
    }

    fn prepare(
        &mut self,
        attempt: u32,
    ) -> impl Future<Output = Result<(Endpoint, ConnectOptions), ConnectionError>> + Send + 'static
    {
        let target = self.target.clone();
        let connect = self.connect.clone();
        let Some(renew) = &mut self.renew else {
            return Box::pin(ready(Ok((target, connect)))) as Prepare;
        };
        let renewed = renew(attempt, connect);
        Box::pin(async move {
            match renewed.await {
                Ok(connect) => Ok((target, connect)),
                Err(error) => {
                    let error = SessionError::NotRenewed(error.to_string());
                    Err(ConnectionError::Session(error))
                }
            }
        })
    }

    fn opened(
        &mut self,
        core: &mut Session,
        connect: ConnectOptions,
        _outbox: &mut OutboxOf<Self>,
    ) -> Result<(), ConnectionError> {
        self.connect = connect.clone();
        core.connect(time::now(), connect)
            .map_err(|error| ConnectionError::Session(SessionError::Options(error)))
    }

    fn act(&mut self, core: &mut Session, action: Action, link: Link) -> Flow {
        match action {
            Action::Close(disconnect, done) => {
                if link == Link::Up
                    && let Err(error) = core.close_with(disconnect)
                {
                    let _ = done.send(Err(error));
                    return Flow::Continue;
                }
                let _ = done.send(Ok(()));
                return Flow::Close;
            }
            Action::Publish {
                message,
                queued,
                done,
            } => self.publish(core, message, queued, done),
            Action::Published(done) => {
                let _ = done.send(Ok(core.published()));
            }
            Action::Subscribe(_, done) | Action::Unsubscribe(_, done) if done.is_closed() => {}
            Action::Subscribe(subscribe, done) => {
                self.ask(core.subscribe(subscribe), done);
            }
            Action::Unsubscribe(unsubscribe, done) => {
                self.ask(core.unsubscribe(unsubscribe), done);
            }
            Action::Reauthenticate(data, done) => self.ask(core.reauthenticate(data), done),
            Action::Authenticate(data, done) => {
                let _ = done.send(core.authenticate(data));
            }
            Action::Route { done, .. } if done.is_closed() => {}
            Action::Route {
                subscribe,
                sink,
                done,
            } => self.route(core, subscribe, sink, done),
            Action::Unroute(id, done) => self.unroute(core, id, done),
            Action::Call { response, .. } if response.is_closed() => {}
            Action::Call { message, response } => self.call(core, *message, response),
            Action::Acknowledge {
                serial,
                reason,
                done,
            } => {
                // Without anyone who asks, it may be that the server has lost the session since.
                let outcome = core.acknowledge(serial, reason);
                if let Some(done) = done {
                    let _ = done.send(outcome);
                }
            }
        }
        Flow::Continue
    }

    fn abandoned(&mut self, core: &mut Session, link: Link) {
        if link == Link::Up {
            let _ = core.close();
        }
    }

    async fn take(
        &mut self,
        core: &mut Session,
        event: SessionEvent,
        outbox: &mut OutboxOf<Self>,
    ) -> Result<Flow, ConnectionError> {
        match event {
            SessionEvent::Event(Event::Message(delivery)) => self.deliver_to(delivery, outbox),
            SessionEvent::Event(Event::Connected(server)) => {
                self.redirects_left = self.redirects;
                outbox.ready(server);
            }
            SessionEvent::Event(event) => outbox.push(event),
            SessionEvent::Completed(id, outcome) => self.completed(core, id, outcome),
            SessionEvent::Store(id, changes) => {
                if let Some(store) = &mut self.store {
                    let committed = store.commit(changes).await;
                    committed.map_err(|error| stored(&error))?;
                }
                core.stored(id);
                for queued in self.queued.drain(..) {
                    let _ = queued.send(Ok(()));
                }
            }
            SessionEvent::Unread => self.unread(),
            SessionEvent::Closed => return Ok(Flow::Closed),
        }
        Ok(Flow::Continue)
    }

    async fn deliver(&mut self) {
        while let Some((to, _)) = self.undelivered.front() {
            let room = to.clone().reserve_owned().await;
            if let (Ok(room), Some((_, routed))) = (room, self.undelivered.pop_front()) {
                room.send(routed);
            }
        }
    }

    fn ended(&mut self, core: &mut Session, error: Option<&ConnectionError>) -> Again {
        core.disconnected(time::now());
        let mut again = Again::unless_permanent(error);
        if let Some((target, moved)) = error.and_then(|error| self.redirected(error)) {
            if moved {
                self.server = target.clone();
            }
            self.target = target;
            again = Again::AtOnce;
        } else {
            // Back to the server that may name another one.
            self.redirects_left = self.redirects;
            self.target = self.server.clone();
        }
        let falls_back = SessionError::OlderServer { falls_back: true };
        if matches!(error, Some(ConnectionError::Session(error)) if *error == falls_back) {
            again = Again::AtOnce;
        }
        again
    }
}

impl Mqtt {
    fn ask(&mut self, asked: Result<RequestId, RequestError>, done: Done<Reply>) {
        match asked {
            Ok(id) => {
                self.asked.insert(id, Asked::Client(done));
            }
            Err(error) => {
                let _ = done.send(Err(error));
            }
        }
    }

    /// Whoever waits for an answer may be the one who should be reading.
    fn unread(&mut self) {
        for (id, asked) in std::mem::take(&mut self.asked) {
            match asked {
                Asked::Client(done) => {
                    let _ = done.send(Err(RequestError::TimedOut));
                }
                Asked::Route(route, done) => {
                    let _ = done.send(Err(RequestError::TimedOut));
                    // If it is granted yet, nobody wants it.
                    self.asked
                        .insert(id, Asked::Route(route, oneshot::channel().0));
                }
                Asked::Unroute(Some(done)) => {
                    let _ = done.send(Err(RequestError::TimedOut));
                }
                Asked::Unroute(None) => {}
                Asked::Call(correlation) => {
                    if let Some(response) = self.calls.remove(&correlation) {
                        let _ = response.send(Err(RequestError::TimedOut));
                    }
                }
            }
        }
    }

    fn completed(
        &mut self,
        core: &mut Session,
        id: RequestId,
        outcome: Result<Reply, RequestError>,
    ) {
        // None asked for what an earlier process had begun.
        match self.asked.remove(&id) {
            Some(Asked::Client(done)) => {
                let _ = done.send(outcome);
            }
            Some(Asked::Route(route, done)) => self.routed(core, route, outcome, done),
            Some(Asked::Unroute(done)) => {
                let outcome = outcome.map(|reply| match reply {
                    Reply::Unsubscribed(unsubscribed) => Some(unsubscribed),
                    _ => None,
                });
                if let Some(done) = done {
                    let _ = done.send(outcome);
                }
            }
            Some(Asked::Call(correlation)) => {
                if let Err(error) = outcome
                    && let Some(response) = self.calls.remove(&correlation)
                {
                    let _ = response.send(Err(error));
                }
            }
            None => {}
        }
        while let Some(filter) = self.to_unsubscribe.pop_front() {
            match core.unsubscribe(UnsubscribeRequest::new(filter.clone())) {
                Ok(id) => {
                    self.asked.insert(id, Asked::Unroute(None));
                }
                Err(_) => return self.to_unsubscribe.push_front(filter),
            }
        }
    }
}

fn stored(error: &jackfield_store::Error) -> ConnectionError {
    ConnectionError::Session(SessionError::Store(error.to_string()))
}
