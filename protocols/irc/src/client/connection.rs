//! The connection of a client: IRC adds to the loop of every client sessions that begin anew with
//! each stream, and the channels that are entered again.

use std::collections::{BTreeMap, VecDeque};
use std::future::{self, Future};

use jackfield_client::{Again, Flow, Link, OutboxOf, Poster, Protocol};
use jackfield_sasl::{Channel as SaslChannel, Mechanism};
use jackfield_socket::{Endpoint, StreamInfo, TcpConnect};
use tokio::sync::oneshot;

use super::ClientConfig;
use super::action::Action;
use super::event::{Connection, ConnectionError, Events};
use super::handle::Client;
use super::rejoin::{Lasting, Rejoin};
use crate::codec::{CaseMapping, ChannelName, Word};
use crate::core::{Config, Event, Registered, Reply, Request, RequestId, Session, SessionEvent};
use crate::error::{RequestError, SessionError};

/// Channels that are being entered at once after registering.
const JOINS_AT_ONCE: usize = 4;

/// Prepares a client for a server. Nothing happens before the [`Connection`] is polled.
///
/// See the [module](super) for an example.
pub fn connect<N: TcpConnect>(
    network: N,
    server: Endpoint,
    config: impl Into<ClientConfig>,
) -> (Client, Events, Connection) {
    let config = config.into();
    let mut rejoin = Rejoin::new(&config.session);
    for channel in &config.channels {
        rejoin.add(CaseMapping::default(), channel);
    }
    let irc = Irc {
        server,
        config: config.session,
        rejoin,
        asked: BTreeMap::new(),
        to_join: VecDeque::new(),
        cut: None,
    };
    let (actions, events, connection) = jackfield_client::connect(network, irc, config.connection);
    (Client { actions }, events, connection)
}

struct Irc {
    server: Endpoint,
    config: Config,
    rejoin: Rejoin,
    asked: BTreeMap<RequestId, Asked>,
    /// Channels that are still to be entered after registering.
    to_join: VecDeque<(ChannelName, Option<Word>)>,
    /// The server has cut a login that was bound to its TLS connection: the next is not, by this
    /// mechanism's name.
    cut: Option<Mechanism>,
}

/// Who asked.
enum Asked {
    Client(
        oneshot::Sender<Result<Reply, RequestError>>,
        Option<Lasting>,
    ),
    /// This module, going away again; nobody waits for the outcome.
    Away,
    /// This module, entering a channel after registering.
    Rejoin(ChannelName),
}

impl Protocol for Irc {
    type Core = Session;
    type Target = Endpoint;
    type Action = Action;
    type Event = Event;
    type Ready = Registered;
    type Error = SessionError;
    type Prepared = ();

    async fn begin(&mut self, _poster: Poster<Action>) -> Result<Session, ConnectionError> {
        Ok(Session::new(self.rejoin.config(&self.config)))
    }

    fn prepare(
        &mut self,
        _attempt: u32,
    ) -> impl Future<Output = Result<(Endpoint, ()), ConnectionError>> + Send + 'static {
        future::ready(Ok((self.server.clone(), ())))
    }

    fn stream_info(&mut self, core: &mut Session, info: &StreamInfo) {
        let binding = info.tls_exporter.filter(|_| self.cut.is_none());
        core.set_sasl_channel(SaslChannel::new(info.encrypted, binding));
    }

    fn opened(
        &mut self,
        _core: &mut Session,
        (): (),
        outbox: &mut OutboxOf<Self>,
    ) -> Result<(), ConnectionError> {
        if let Some(mechanism) = self.cut.take() {
            outbox.push(Event::MechanismRefused {
                mechanism,
                refusal: None,
            });
        }
        Ok(())
    }

    fn act(&mut self, core: &mut Session, action: Action, link: Link) -> Flow {
        match action {
            Action::Close(reason) => {
                match reason {
                    Some(reason) => core.close_with(reason),
                    None => core.close(),
                }
                return Flow::Close;
            }
            Action::Request { done, .. } if done.is_closed() => {}
            Action::Request {
                request,
                queued,
                done,
            } => {
                let asked = match link {
                    Link::Down => Err(RequestError::NotConnected),
                    Link::Up => {
                        self.rejoin.ask(&request);
                        let lasting = Lasting::of(&request);
                        core.request(request).map(|id| (id, lasting))
                    }
                };
                match (asked, queued) {
                    (Ok((id, lasting)), queued) => {
                        self.asked.insert(id, Asked::Client(done, lasting));
                        if let Some(queued) = queued {
                            let _ = queued.send(Ok(()));
                        }
                    }
                    (Err(error), Some(queued)) => {
                        let _ = queued.send(Err(error));
                    }
                    (Err(error), None) => {
                        let _ = done.send(Err(error));
                    }
                }
            }
        }
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
            SessionEvent::Event(Event::Registered(registered)) => {
                outbox.ready(registered);
                self.come_back(core);
                self.join_more(core, outbox);
            }
            SessionEvent::Event(event) => {
                self.note(core, &event);
                match event {
                    // It comes as fast as one sends, and from nowhere else.
                    Event::Message(ref message) if message.own && !echoes(core) => {
                        outbox.offer(event);
                    }
                    event => outbox.push(event),
                }
            }
            SessionEvent::Completed(id, outcome) => match self.asked.remove(&id) {
                Some(Asked::Client(done, lasting)) => {
                    if let (Ok(_), Some(lasting)) = (&outcome, lasting) {
                        self.rejoin.keep(lasting);
                    }
                    let _ = done.send(outcome);
                }
                Some(Asked::Rejoin(channel)) => {
                    if let Err(error) = outcome {
                        self.join_failed(core, channel, error, outbox);
                    }
                    self.join_more(core, outbox);
                }
                Some(Asked::Away) | None => {}
            },
            SessionEvent::Closed => return Ok(Flow::Closed),
        }
        Ok(Flow::Continue)
    }

    fn ended(&mut self, core: &mut Session, error: Option<&ConnectionError>) -> Again {
        // Dropped when the client was closed: then they fail with `Closed`.
        for (_, asked) in std::mem::take(&mut self.asked) {
            if let (Asked::Client(done, _), Some(_)) = (asked, error) {
                let _ = done.send(Err(RequestError::ConnectionLost));
            }
        }
        self.to_join.clear();
        self.cut = core.bound_login().filter(|_| error.is_some());
        *core = Session::new(self.rejoin.config(&self.config));
        if self.cut.is_some() {
            // A server may offer to bind and not be able to. The next attempt doesn't, and so there is
            // only one.
            return Again::AtOnce;
        }
        Again::unless_permanent(error)
    }
}

impl Irc {
    fn note(&mut self, core: &mut Session, event: &Event) {
        let mapping = core.isupport().case_mapping;
        match event {
            Event::NickChanged { to, own: true, .. } => self.rejoin.has_nick(mapping, to),
            Event::Joined {
                channel, own: true, ..
            } => self.rejoin.add(mapping, channel),
            Event::Parted {
                channel, own: true, ..
            }
            | Event::Kicked {
                channel, own: true, ..
            } => self.rejoin.remove(mapping, channel),
            _ => {}
        }
    }

    /// After registering: what this client was before, but for the channels, which are entered next.
    fn come_back(&mut self, core: &mut Session) {
        let mapping = core.isupport().case_mapping;
        self.rejoin.has_nick(mapping, core.nick());
        if let Some(text) = self.rejoin.away()
            && let Ok(id) = core.request(Request::Away(Some(text.clone())))
        {
            self.asked.insert(id, Asked::Away);
        }
        self.to_join = self.rejoin.channels();
    }

    /// Enters the next channels.
    fn join_more(&mut self, core: &mut Session, outbox: &mut OutboxOf<Self>) {
        let entering = |asked: &&Asked| matches!(asked, Asked::Rejoin(_));
        while self.asked.values().filter(entering).count() < JOINS_AT_ONCE {
            let Some((channel, key)) = self.to_join.pop_front() else {
                return;
            };
            let request = Request::Join {
                channel: channel.clone(),
                key,
            };
            match core.request(request) {
                Ok(id) => {
                    self.asked.insert(id, Asked::Rejoin(channel));
                }
                Err(error) => self.join_failed(core, channel, error, outbox),
            }
        }
    }

    fn join_failed(
        &mut self,
        core: &Session,
        channel: ChannelName,
        error: RequestError,
        outbox: &mut OutboxOf<Self>,
    ) {
        if let RequestError::Refused(_) = error {
            let mapping = core.isupport().case_mapping;
            self.rejoin.remove(mapping, &channel);
        }
        outbox.push(Event::JoinFailed { channel, error });
    }
}

/// Whether the server sends one's own messages back. Where it does not, the core shows them.
fn echoes(core: &Session) -> bool {
    core.capabilities().any(|name| name == "echo-message")
}
