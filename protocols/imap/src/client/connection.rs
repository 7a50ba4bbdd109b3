//! The connection of a client: IMAP adds to the loop of every client who asked for what, and where
//! the parts of an answer go.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;

use jackfield_client::{Again, Flow, Link, OutboxOf, Poster, Protocol};
use jackfield_sasl::{Channel, ChannelBinding, Credentials, Renewal};
use jackfield_socket::{Endpoint, StreamInfo, TcpConnect, time};
use tokio::sync::mpsc;

use super::ClientConfig;
use super::action::{Action, Answer, Done, Part};
use super::event::{Connection, ConnectionError, Events};
use super::handle::Client;
use super::limit::Limited;
use crate::codec::{Data, Response};
use crate::core::{Config, Event, Outcome, RequestId, Server, Session, SessionEvent};
use crate::error::{EndedBy, RequestError, SessionError};

/// Prepares a client for a server. Nothing happens before the [`Connection`] is polled.
///
/// See the [module](super) for an example.
pub fn connect<N: TcpConnect>(
    network: N,
    server: Endpoint,
    config: impl Into<ClientConfig>,
) -> (Client, Events, Connection) {
    let config = config.into();
    let imap = Imap {
        server,
        config: config.session,
        renew: config.renew,
        asked: Vec::new(),
        undelivered: VecDeque::new(),
        listeners: 0,
        channel: Channel::plaintext(),
        binding: Binding::Bound,
        has_unbound: false,
    };
    let (actions, events, connection) = jackfield_client::connect(network, imap, config.connection);
    let client = Client {
        actions,
        stream_capacity: config.stream_capacity.max(1),
        max_set: config.max_set,
    };
    (client, events, connection)
}

struct Imap {
    server: Endpoint,
    config: Config,
    renew: Option<Renewal>,
    /// Who asked, in the order of their requests.
    asked: Vec<(RequestId, Asked)>,
    /// Parts of answers that wait for room where they are read: those of one read, and no more.
    undelivered: VecDeque<(mpsc::Sender<Part>, Part)>,
    /// How many want news.
    listeners: usize,
    channel: Channel,
    binding: Binding,
    /// Whether that is still to be told.
    has_unbound: bool,
}

/// Whether log-ins are bound to their TLS connection, where the server offers that.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Binding {
    Bound,
    /// A bound one has failed, perhaps for that: the next is not bound.
    Doubted,
    /// An unbound one has succeeded where a bound one had failed: further ones are not bound.
    GivenUp,
}

/// Who asked.
enum Asked {
    Whole(Vec<Response>, Done<Answer>),
    Messages(mpsc::Sender<Part>),
    /// Its place among those that were asked for together.
    Together(usize, mpsc::Sender<Part>),
    /// Whether the text has begun.
    Text(mpsc::Sender<Part>, bool),
    Append(mpsc::Sender<RequestId>, Vec<Response>, Done<Answer>),
}

impl Protocol for Imap {
    type Core = Session;
    type Target = Endpoint;
    type Action = Action;
    type Event = Event;
    type Ready = Arc<Server>;
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
        let server = self.server.clone();
        let renewed = self.renew.as_ref().map(|renew| renew.ask(attempt));
        let not_renewed = |error: Box<dyn std::error::Error + Send + Sync>| {
            ConnectionError::Session(SessionError::NotRenewed(error.to_string()))
        };
        async move {
            let credentials = match renewed {
                Some(renewed) => Some(renewed.await.map_err(not_renewed)?),
                None => None,
            };
            Ok((server, credentials))
        }
    }

    fn stream_info(&mut self, _core: &mut Session, info: &StreamInfo) {
        self.channel = Channel::plaintext();
        self.channel.encrypted = info.encrypted;
        let binding = info.tls_exporter.filter(|_| self.binding == Binding::Bound);
        self.channel.binding = binding.map(ChannelBinding::tls_exporter);
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
        let now = time::now();
        match action {
            // Whoever has gone has withdrawn it.
            Action::Request(_, done) | Action::Append { done, .. } if done.is_closed() => {}
            Action::Fetch(_, parts) | Action::Read(_, _, parts) | Action::Together(_, _, parts)
                if parts.is_closed() => {}
            Action::Request(command, done) => match core.request(now, command) {
                Ok(id) => self.asked.push((id, Asked::Whole(Vec::new(), done))),
                Err(error) => {
                    let _ = done.send(Err(error));
                }
            },
            Action::Fetch(command, parts) => match core.request(now, command) {
                Ok(id) => self.asked.push((id, Asked::Messages(parts))),
                Err(error) => self.give(parts, Part::Done(Err(error))),
            },
            Action::Together(within, commands, parts) => {
                let ids = match within {
                    Some(mailbox) => core.request_within(now, &mailbox, commands),
                    None => core.request_together(now, commands),
                };
                match ids {
                    Ok(ids) => {
                        let asked = |(at, id)| (id, Asked::Together(at, parts.clone()));
                        self.asked.extend(ids.into_iter().enumerate().map(asked));
                    }
                    Err(error) => self.give(parts, Part::Done(Err(error))),
                }
            }
            Action::Read(command, section, parts) => match core.read(now, command, section) {
                Ok(id) => self.asked.push((id, Asked::Text(parts, false))),
                Err(error) => self.give(parts, Part::Done(Err(error))),
            },
            Action::Append {
                command,
                message,
                wanted,
                done,
            } => match core.append(now, command, message) {
                Ok(id) => self
                    .asked
                    .push((id, Asked::Append(wanted, Vec::new(), done))),
                Err(error) => {
                    let _ = done.send(Err(error));
                }
            },
            Action::Piece(id, piece) => core.message(id, piece),
            Action::Abort(id) => core.abort_message(now, id),
            Action::Idle(is_one_more) => {
                self.listeners = if is_one_more {
                    self.listeners + 1
                } else {
                    self.listeners.saturating_sub(1)
                };
                core.set_idle(now, self.listeners > 0);
            }
            Action::Close => {
                core.close(now);
                return Flow::Close;
            }
        }
        Flow::Continue
    }

    fn abandoned(&mut self, core: &mut Session, _link: Link) {
        core.close(time::now());
    }

    async fn take(
        &mut self,
        core: &mut Session,
        event: SessionEvent,
        outbox: &mut OutboxOf<Self>,
    ) -> Result<Flow, ConnectionError> {
        match event {
            SessionEvent::Ready(server) => {
                if self.binding == Binding::Doubted {
                    self.binding = Binding::GivenUp;
                }
                outbox.ready(Arc::from(server));
            }
            SessionEvent::Event(event) => outbox.push(event),
            SessionEvent::Answer(id, response) => self.answer(core, id, *response),
            SessionEvent::Begins(id, size) => {
                if let Some(Asked::Text(parts, has_begun)) = self.asker(id) {
                    *has_begun = true;
                    let parts = parts.clone();
                    self.give(parts, Part::Begins(size));
                }
            }
            SessionEvent::Piece(id, piece) => {
                if let Some(Asked::Text(parts, _)) = self.asker(id) {
                    let parts = parts.clone();
                    self.give(parts, Part::Piece(piece));
                }
            }
            SessionEvent::Wanted(id) => {
                let is_there = match self.asker(id) {
                    Some(Asked::Append(wanted, ..)) => wanted.try_send(id).is_ok(),
                    _ => false,
                };
                if !is_there {
                    core.abort_message(time::now(), id);
                }
            }
            SessionEvent::Completed(id, outcome) => self.completed(id, outcome),
            SessionEvent::Closed => return Ok(Flow::Closed),
        }
        Ok(Flow::Continue)
    }

    async fn deliver(&mut self) {
        while let Some((to, _)) = self.undelivered.front() {
            let room = to.clone().reserve_owned().await;
            if let (Some((_, part)), Ok(room)) = (self.undelivered.pop_front(), room) {
                room.send(part);
            }
        }
    }

    fn ended(&mut self, core: &mut Session, error: Option<&ConnectionError>) -> Again {
        let by = match error {
            Some(ConnectionError::Session(
                SessionError::Ended
                | SessionError::Bye(_)
                | SessionError::LoginRefused(_)
                | SessionError::UserNotConnected(_),
            )) => EndedBy::Server,
            Some(ConnectionError::Session(_)) => EndedBy::Client,
            Some(_) => EndedBy::Network,
            None => {
                // Whoever waits learns that the client is closed.
                self.asked.clear();
                EndedBy::Client
            }
        };
        // A server may offer to bind a log-in to its TLS connection, and not be able to: Cyrus refuses,
        // and Dovecot cuts it. The next attempt is not bound, and so there is only one.
        let was_bound = core.is_login_bound() && error.is_some() && self.binding == Binding::Bound;
        core.lost(by);
        if was_bound {
            (self.binding, self.has_unbound) = (Binding::Doubted, true);
            return Again::AtOnce;
        }
        if let (Binding::Doubted, Some(ConnectionError::Session(_))) = (self.binding, error) {
            // It was no better without.
            self.binding = Binding::Bound;
        }
        if let Some(ConnectionError::Session(
            SessionError::LoginRefused(refusal) | SessionError::Bye(refusal),
        )) = error
            && let Some(time) = refusal.retry_after()
        {
            return Again::After(time);
        }
        Again::unless_permanent(error)
    }
}

impl Imap {
    fn asker(&mut self, id: RequestId) -> Option<&mut Asked> {
        let at = self.asked.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        self.asked.get_mut(at).map(|(_, asked)| asked)
    }

    /// Gives a part of an answer to whoever reads it, at once where there is room: nobody waits for
    /// what others don't read.
    fn give(&mut self, to: mpsc::Sender<Part>, part: Part) {
        let is_behind = self
            .undelivered
            .iter()
            .any(|(other, _)| other.same_channel(&to));
        if is_behind {
            return self.undelivered.push_back((to, part));
        }
        if let Err(mpsc::error::TrySendError::Full(part)) = to.try_send(part) {
            self.undelivered.push_back((to, part));
        }
    }

    /// A part of an answer.
    fn answer(&mut self, core: &mut Session, id: RequestId, response: Response) {
        let (parts, found) = match (self.asker(id), response) {
            (Some(Asked::Whole(parts, _) | Asked::Append(_, parts, _)), response) => {
                return parts.push(response);
            }
            (Some(Asked::Messages(parts)), Response::Fetch(fetch)) => {
                (parts.clone(), vec![Part::Message(fetch)])
            }
            (Some(Asked::Messages(parts)), Response::Vanished { uids, .. }) => {
                (parts.clone(), vec![Part::Vanished(uids)])
            }
            (Some(Asked::Messages(parts)), Response::Status(status)) => {
                match Limited::of(status.code.as_ref()) {
                    Some(uid) => (parts.clone(), vec![Part::Limited(uid)]),
                    None => return,
                }
            }
            (Some(Asked::Together(at, parts)), response) => {
                (parts.clone(), vec![Part::Answer(*at, Box::new(response))])
            }
            (Some(Asked::Text(parts, has_begun)), Response::Fetch(fetch)) => {
                let mut sections = fetch.sections.into_iter();
                let data = sections.next().and_then(|section| section.data);
                // What was no literal comes with the response.
                match data {
                    Some(Data::Text(text)) if !*has_begun => {
                        *has_begun = true;
                        let size = text.as_bytes().len() as u64;
                        let pieces = vec![Part::Begins(size), Part::Piece(text.into_bytes())];
                        (parts.clone(), pieces)
                    }
                    _ => return,
                }
            }
            _ => return,
        };
        if parts.is_closed() {
            // Nobody reads it: the rest is dropped where it comes in.
            core.withdraw(id);
            self.asked.retain(|(asked, _)| *asked != id);
            return;
        }
        for part in found {
            self.give(parts.clone(), part);
        }
    }

    fn completed(&mut self, id: RequestId, outcome: Result<Outcome, RequestError>) {
        let Ok(at) = self.asked.binary_search_by_key(&id, |(id, _)| *id) else {
            return;
        };
        match self.asked.remove(at).1 {
            Asked::Whole(parts, done) | Asked::Append(_, parts, done) => {
                let _ = done.send(outcome.map(|outcome| Answer { outcome, parts }));
            }
            Asked::Together(at, parts) => {
                self.give(parts, Part::Completed(at, outcome.map(Box::new)));
            }
            Asked::Messages(parts) | Asked::Text(parts, _) => {
                let code = outcome
                    .as_ref()
                    .ok()
                    .and_then(|outcome| Limited::of(outcome.code.as_ref()));
                if let Some(uid) = code {
                    self.give(parts.clone(), Part::Limited(uid));
                }
                let done = Part::Done(outcome.map(|_| ()));
                self.give(parts, done);
            }
        }
    }
}
