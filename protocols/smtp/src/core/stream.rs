//! One connection of a session: what was said over it, and whose reply comes next.

use std::collections::VecDeque;
use std::time::Duration;

use jackfield_sasl::Channel;
use jackfield_socket::time::Instant;

use super::login::{Login, Progress};
use super::transaction::{Awaited as OfMessage, Taken, Transaction, Wrote};
use super::{
    Config, Event, Limits, Protocol, RequestId, Response, Security, Server, SessionEvent, Step,
};
use crate::codec::{Capabilities, Capability, Command, Limit, Replies, Reply, Text};
use crate::error::{LoginError, RequestError, SessionError};

/// How much is written at a time, in bytes.
const WRITE_SIZE: usize = 32 * 1024;

/// However short a timeout, it lies in the future.
const LEAST_PATIENCE: Duration = Duration::from_millis(1);

/// Something that was asked for.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) id: RequestId,
    /// Since when it has been asked for.
    pub(super) since: Instant,
    /// Whether a connection was lost with it already.
    pub(super) was_lost: bool,
    pub(super) task: Task,
}

#[derive(Debug)]
pub(super) enum Task {
    Send(Box<Transaction>),
    Verify(Text),
    Noop,
}

impl Job {
    /// Whether all that it has to say was said.
    fn is_written(&self) -> bool {
        match &self.task {
            Task::Send(transaction) => transaction.is_written(),
            Task::Verify(_) | Task::Noop => true,
        }
    }
}

/// It has no `Debug`: what is said next may be a password.
pub(super) struct Stream {
    phase: Phase,
    channel: Channel,
    replies: Replies,
    /// What is said next.
    out: Vec<u8>,
    /// The replies that are to come, in order. Those that belong to a job belong to the first.
    awaited: VecDeque<Awaited>,
    /// Since when the first of them has been waited for, or content has not moved on.
    since: Instant,
    /// What was begun and is not done, in order. Only the last is not wholly written.
    flying: VecDeque<Job>,
    server: Server,
    is_pipelining: bool,
    /// How many messages were begun.
    mails: u64,
    /// How many jobs were done.
    done: u64,
    /// Whether something is to be given up first.
    needs_reset: bool,
    /// The connection is of no more use.
    broken: Option<SessionError>,
    /// What the server said when it left.
    farewell: Option<Reply>,
    is_reading: bool,
}

enum Phase {
    Greeting,
    /// EHLO was said, or HELO in its place.
    Hello {
        is_plain: bool,
    },
    Login(Box<Login>),
    Ready,
    /// QUIT was said.
    Leaving,
    /// And answered.
    Left,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Awaited {
    Greeting,
    Hello,
    Login,
    Reset,
    Verify,
    Noop,
    Quit,
    Message(OfMessage),
}

impl Awaited {
    fn step(self) -> Step {
        match self {
            Self::Greeting => Step::Greeting,
            Self::Hello => Step::Hello,
            Self::Login => Step::Login,
            Self::Reset => Step::Reset,
            Self::Verify => Step::Verify,
            Self::Noop => Step::Noop,
            Self::Quit => Step::Quit,
            Self::Message(it) => it.step(),
        }
    }
}

impl Stream {
    /// A stream that is open.
    pub(super) fn new(now: Instant, config: &Config, channel: Channel) -> Self {
        let Limits { reply, .. } = config.limits;
        let mut stream = Self {
            phase: Phase::Greeting,
            channel,
            replies: Replies::new(reply),
            out: Vec::new(),
            awaited: VecDeque::new(),
            since: now,
            flying: VecDeque::new(),
            server: Server {
                greeting: None,
                capabilities: Capabilities::default(),
                login: None,
            },
            is_pipelining: false,
            mails: 0,
            done: 0,
            needs_reset: false,
            broken: None,
            farewell: None,
            is_reading: true,
        };
        if config.security != Security::Plaintext && !stream.channel.encrypted {
            stream.break_off(now, SessionError::NotEncrypted);
        } else if config.security == Security::StartTls {
            stream.hello(config);
        } else {
            stream.awaited.push_back(Awaited::Greeting);
        }
        stream
    }

    /// Whether messages are sent over it.
    pub(super) fn is_ready(&self) -> bool {
        matches!(self.phase, Phase::Ready)
    }

    /// Whether messages are or were sent over it.
    pub(super) fn has_stood(&self) -> bool {
        matches!(self.phase, Phase::Ready | Phase::Leaving | Phase::Left)
    }

    /// Whether leave was taken.
    pub(super) fn has_left(&self) -> bool {
        matches!(self.phase, Phase::Left)
    }

    /// Whether something was done over it.
    pub(super) fn was_of_use(&self) -> bool {
        self.done > 0
    }

    /// Whether a login is under way, or has just failed, that might have done better unbound.
    pub(super) fn is_bound_in_vain(&self) -> bool {
        matches!(&self.phase, Phase::Login(login) if login.is_bound_in_vain())
    }

    pub(super) fn set_reading(&mut self, now: Instant, reading: bool) {
        self.is_reading = reading;
        self.since = now;
    }

    pub(super) fn is_in_reply(&self) -> bool {
        self.replies.is_in_reply()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.is_ready() && self.flying.is_empty() && self.awaited.is_empty()
    }

    /// Whether something is on its way.
    pub(super) fn is_busy(&self) -> bool {
        !self.flying.is_empty()
    }

    /// The message with this number, where it was begun.
    pub(super) fn message(&mut self, id: RequestId) -> Option<&mut Transaction> {
        let job = self.flying.iter_mut().find(|job| job.id == id)?;
        match &mut job.task {
            Task::Send(transaction) => Some(transaction),
            _ => None,
        }
    }

    /// The connection is of no more use.
    pub(super) fn break_off(&mut self, now: Instant, error: SessionError) {
        self.since = now;
        self.broken.get_or_insert(error);
    }

    fn hello(&mut self, config: &Config) {
        let command = match config.protocol {
            Protocol::Smtp => Command::Ehlo(&config.name),
            Protocol::Lmtp => Command::Lhlo(&config.name),
        };
        command.encode(&mut self.out);
        self.awaited.push_back(Awaited::Hello);
        self.phase = Phase::Hello { is_plain: false };
    }

    /// Takes leave.
    pub(super) fn quit(&mut self, now: Instant) {
        Command::Quit.encode(&mut self.out);
        self.since = now;
        self.awaited.push_back(Awaited::Quit);
        self.phase = Phase::Leaving;
    }

    /// When it has waited long enough, if it waits.
    pub(super) fn deadline(&self, config: &Config) -> Option<Instant> {
        if self.broken.is_some() {
            return Some(self.since);
        }
        if !self.is_reading {
            return None;
        }
        Some(self.since + self.patience(config)?.max(LEAST_PATIENCE))
    }

    fn patience(&self, config: &Config) -> Option<Duration> {
        let timeouts = &config.timeouts;
        if self.is_idle() {
            return Some(timeouts.idle);
        }
        let in_content = self.flying.back().is_some_and(
            |job| matches!(&job.task, Task::Send(transaction) if transaction.is_in_content()),
        );
        if in_content {
            return Some(timeouts.piece);
        }
        Some(match self.awaited.front()? {
            Awaited::Greeting => timeouts.greeting,
            Awaited::Message(OfMessage::Data) => timeouts.data,
            Awaited::Message(OfMessage::Chunk | OfMessage::Message | OfMessage::Nothing) => {
                timeouts.message
            }
            Awaited::Quit => timeouts.quit,
            _ => timeouts.command,
        })
    }

    /// Acts on its deadline, if that has come.
    pub(super) fn handle_deadline(
        &mut self,
        now: Instant,
        config: &Config,
    ) -> Result<(), SessionError> {
        if self.deadline(config).is_none_or(|deadline| now < deadline) {
            return Ok(());
        }
        if let Some(error) = &self.broken {
            return Err(error.clone());
        }
        if self.is_idle() {
            self.quit(now);
            return Ok(());
        }
        if let Phase::Leaving = self.phase {
            // It was polite enough to say so.
            self.leave();
            return Ok(());
        }
        let step = self.awaited.front().map_or(Step::Data, |it| it.step());
        Err(SessionError::TimedOut(step))
    }

    /// Appends what is sent now; takes what waits, as far as it may be begun.
    pub(super) fn write(
        &mut self,
        now: Instant,
        config: &Config,
        waiting: &mut VecDeque<Job>,
        events: &mut VecDeque<SessionEvent>,
        out: &mut Vec<u8>,
    ) {
        let from = out.len();
        out.append(&mut self.out);
        while self.is_ready() && self.broken.is_none() && out.len() - from < WRITE_SIZE {
            if self.flying.back().is_none_or(Job::is_written) {
                if !self.begin(now, config, waiting, events) {
                    break;
                }
                out.append(&mut self.out);
            } else if !self.go_on(now, events, out) {
                break;
            }
        }
        // Leave, perhaps.
        out.append(&mut self.out);
    }

    /// Goes on with the last job; returns whether there was something to send.
    fn go_on(
        &mut self,
        now: Instant,
        events: &mut VecDeque<SessionEvent>,
        out: &mut Vec<u8>,
    ) -> bool {
        let is_quiet = self.awaited.is_empty();
        let Some(Job {
            id,
            task: Task::Send(message),
            ..
        }) = self.flying.back_mut()
        else {
            return false;
        };
        let wrote = message.write(self.is_pipelining, is_quiet, out);
        if message.ask_for_piece() {
            events.push_back(SessionEvent::WantsBody(*id));
        }
        let in_content = message.is_in_content() || message.is_written();
        if wrote != Wrote::Nothing && (is_quiet || in_content) {
            self.since = now;
        }
        if let Wrote::Asked(awaited) = wrote {
            self.awaited.push_back(Awaited::Message(awaited));
        }
        wrote != Wrote::Nothing
    }

    /// Begins the next job, if there is one and it may be begun; returns whether it did something.
    fn begin(
        &mut self,
        now: Instant,
        config: &Config,
        waiting: &mut VecDeque<Job>,
        events: &mut VecDeque<SessionEvent>,
    ) -> bool {
        if waiting.is_empty() {
            return false;
        }
        // After VRFY and NOOP, nothing is sent ahead (RFC 2920, section 3.1).
        let is_ahead = |job: &Job| matches!(job.task, Task::Send(_));
        let may_be_ahead = self.is_pipelining
            && self.flying.iter().all(is_ahead)
            && self.flying.len() < config.pipeline_depth.max(1);
        if !self.awaited.is_empty() && !may_be_ahead {
            return false;
        }
        let is_message = waiting
            .front()
            .is_some_and(|job| matches!(job.task, Task::Send(_)));
        if is_message && self.mails >= self.max_mails(config) {
            if self.is_idle() {
                self.quit(now);
            }
            return false;
        }
        let Some(mut job) = waiting.pop_front() else {
            return false;
        };
        if self.awaited.is_empty() {
            self.since = now;
        }
        match &mut job.task {
            Task::Send(message) => {
                if let Err(error) = message.begin(config, &self.server.capabilities) {
                    events.push_back(SessionEvent::Completed(job.id, Err(error)));
                    return true;
                }
                let leaves_rest = self.flying.back().is_some_and(
                    |job| matches!(&job.task, Task::Send(message) if message.leaves_rest()),
                );
                if std::mem::take(&mut self.needs_reset) || leaves_rest {
                    Command::Rset.encode(&mut self.out);
                    self.awaited.push_back(Awaited::Reset);
                }
                self.mails += 1;
            }
            Task::Verify(text) => {
                Command::Vrfy(text).encode(&mut self.out);
                self.awaited.push_back(Awaited::Verify);
            }
            Task::Noop => {
                Command::Noop.encode(&mut self.out);
                self.awaited.push_back(Awaited::Noop);
            }
        }
        self.flying.push_back(job);
        true
    }

    fn max_mails(&self, config: &Config) -> u64 {
        let limits = self.server.capabilities.limits();
        let theirs = limits.filter_map(|limit| match limit {
            Limit::Mails(mails) => Some(*mails),
            _ => None,
        });
        let all = theirs.chain(config.connection_messages);
        all.min().unwrap_or(u64::MAX).max(1)
    }

    /// Takes what the server sent.
    pub(super) fn receive(
        &mut self,
        now: Instant,
        config: &Config,
        mut bytes: &[u8],
        events: &mut VecDeque<SessionEvent>,
    ) -> Result<(), SessionError> {
        if let Some(error @ SessionError::NotEncrypted) = &self.broken {
            return Err(error.clone());
        }
        while !self.has_left()
            && let Some(reply) = self.replies.next(&mut bytes)
        {
            let reply = reply.map_err(SessionError::Malformed)?;
            self.take(now, config, reply, events)?;
            if let Some(error) = &self.broken {
                return Err(error.clone());
            }
        }
        Ok(())
    }

    fn take(
        &mut self,
        now: Instant,
        config: &Config,
        reply: Reply,
        events: &mut VecDeque<SessionEvent>,
    ) -> Result<(), SessionError> {
        if reply.code() == 421 && self.is_ready() {
            self.farewell = Some(reply.clone());
            events.push_back(SessionEvent::Event(Event::Leaving(reply.clone())));
            return Err(SessionError::ClosedByServer(reply));
        }
        let awaited = self.awaited.pop_front();
        let Some(awaited) = awaited.or_else(|| self.early()) else {
            return Err(SessionError::Unasked(reply));
        };
        self.since = now;
        match awaited {
            Awaited::Greeting if reply.code() == 220 => {
                self.server.greeting = Some(reply);
                self.hello(config);
            }
            Awaited::Greeting if reply.is_positive() => {
                return Err(SessionError::Unexpected(Step::Greeting, reply));
            }
            Awaited::Greeting => return Err(SessionError::Refused(Step::Greeting, reply)),
            Awaited::Hello => return self.greeted(config, reply, events),
            Awaited::Login => return self.take_login(reply, events),
            Awaited::Reset if reply.is_positive() => {}
            Awaited::Reset => return Err(SessionError::Unexpected(Step::Reset, reply)),
            Awaited::Verify | Awaited::Noop => self.answered(awaited.step(), reply, events)?,
            Awaited::Quit => self.leave(),
            Awaited::Message(of) => self.take_message(of, reply, events)?,
        }
        Ok(())
    }

    /// What a reply is to that comes while content is on its way, and nothing was asked: its end,
    /// ahead of time.
    fn early(&self) -> Option<Awaited> {
        match &self.flying.back()?.task {
            Task::Send(message) if message.is_in_content() => {
                Some(Awaited::Message(OfMessage::Message))
            }
            _ => None,
        }
    }

    fn greeted(
        &mut self,
        config: &Config,
        reply: Reply,
        events: &mut VecDeque<SessionEvent>,
    ) -> Result<(), SessionError> {
        let Phase::Hello { is_plain } = self.phase else {
            return Err(SessionError::Unexpected(Step::Hello, reply));
        };
        if reply.code() == 250 {
            if !is_plain {
                self.server.capabilities = Capabilities::of(&reply);
            }
            let can = &self.server.capabilities;
            self.is_pipelining = can.has(&Capability::Pipelining);
            let login = Login::start(config, &self.channel, can, &mut self.out);
            match login.map_err(SessionError::Login)? {
                None => self.stands(events),
                Some(login) => {
                    self.awaited.push_back(Awaited::Login);
                    self.phase = Phase::Login(Box::new(login));
                }
            }
            return Ok(());
        }
        let is_no = !reply.is_positive() && !reply.is_temporary();
        if is_no && !is_plain && config.protocol == Protocol::Smtp && reply.code() / 100 == 5 {
            // A server of before 1995 (RFC 5321, section 3.2).
            Command::Helo(&config.name).encode(&mut self.out);
            self.awaited.push_back(Awaited::Hello);
            self.phase = Phase::Hello { is_plain: true };
            return Ok(());
        }
        Err(match reply.code() / 100 {
            4 | 5 => SessionError::Refused(Step::Hello, reply),
            _ => SessionError::Unexpected(Step::Hello, reply),
        })
    }

    fn take_login(
        &mut self,
        reply: Reply,
        events: &mut VecDeque<SessionEvent>,
    ) -> Result<(), SessionError> {
        let Phase::Login(login) = &mut self.phase else {
            return Err(SessionError::Unexpected(Step::Login, reply));
        };
        match login.take(reply, &mut self.out) {
            Ok(Progress::Goes) => self.awaited.push_back(Awaited::Login),
            Ok(Progress::Done(mechanism)) => {
                self.server.login = Some(mechanism);
                self.stands(events);
            }
            Err(LoginError::Refused(reply)) if reply.code() == 421 => {
                return Err(SessionError::ClosedByServer(reply));
            }
            Err(error) => return Err(SessionError::Login(error)),
        }
        Ok(())
    }

    fn stands(&mut self, events: &mut VecDeque<SessionEvent>) {
        self.phase = Phase::Ready;
        events.push_back(SessionEvent::Ready(Box::new(self.server.clone())));
    }

    /// The reply to a job that is one command.
    fn answered(
        &mut self,
        step: Step,
        reply: Reply,
        events: &mut VecDeque<SessionEvent>,
    ) -> Result<(), SessionError> {
        let outcome = match reply.code() / 100 {
            2 => Ok(Response::Reply(reply)),
            3 => return Err(SessionError::Unexpected(step, reply)),
            _ => Err(RequestError::refused(step, reply)),
        };
        if let Some(job) = self.flying.pop_front() {
            self.done += 1;
            events.push_back(SessionEvent::Completed(job.id, outcome));
        }
        Ok(())
    }

    fn take_message(
        &mut self,
        of: OfMessage,
        reply: Reply,
        events: &mut VecDeque<SessionEvent>,
    ) -> Result<(), SessionError> {
        let Some(Job {
            task: Task::Send(message),
            ..
        }) = self.flying.front_mut()
        else {
            return Err(SessionError::Unexpected(of.step(), reply));
        };
        let taken = message.take(of, reply.clone());
        let taken = taken.map_err(|_| SessionError::Unexpected(of.step(), reply.clone()))?;
        match taken {
            Taken::Noted => {}
            Taken::Again => self.awaited.push_front(Awaited::Message(of)),
            Taken::SendNothing => {
                self.out.extend_from_slice(b".\r\n");
                self.awaited
                    .push_front(Awaited::Message(OfMessage::Nothing));
            }
            Taken::Midway => {
                self.broken = Some(if reply.code() == 354 {
                    SessionError::SourceFailed
                } else {
                    SessionError::RefusedMidway(reply)
                });
            }
        }
        self.settle(events);
        Ok(())
    }

    /// Tells of the first job, if it is done.
    pub(super) fn settle(&mut self, events: &mut VecDeque<SessionEvent>) {
        let is_done = self
            .flying
            .front()
            .is_some_and(|job| matches!(&job.task, Task::Send(message) if message.is_done()));
        if is_done
            && let Some(Job {
                id,
                task: Task::Send(message),
                ..
            }) = self.flying.pop_front()
        {
            self.done += 1;
            self.needs_reset |= message.leaves_rest();
            events.push_back(SessionEvent::Completed(id, message.outcome()));
        }
    }

    /// Leave was taken, and the server has nothing to add.
    pub(super) fn leave(&mut self) {
        self.phase = Phase::Left;
        self.awaited.clear();
    }

    /// Whether leave is being taken.
    pub(super) fn is_leaving(&self) -> bool {
        matches!(self.phase, Phase::Leaving)
    }

    /// It is gone: tells of what was begun, or gives it back to be begun again.
    pub(super) fn lost(
        self,
        otherwise: &RequestError,
        may_begin_again: bool,
        waiting: &mut VecDeque<Job>,
        events: &mut VecDeque<SessionEvent>,
    ) {
        let mut again = Vec::new();
        let mut farewell = self.farewell.as_ref();
        for (at, mut job) in self.flying.into_iter().enumerate() {
            // A connection that was kept may have been dead before it was used again, and what was
            // only begun behind something else has done no harm.
            let is_innocent = self.done > 0 || at > 0;
            let can_begin_again = match &job.task {
                Task::Send(message) => message.can_begin_again(),
                Task::Verify(_) | Task::Noop => true,
            };
            if may_begin_again && is_innocent && can_begin_again && !job.was_lost {
                if let Task::Send(message) = &mut job.task {
                    message.reset();
                }
                job.was_lost = true;
                again.push(job);
                continue;
            }
            let farewell = farewell.take();
            let outcome = match (job.task, farewell) {
                (Task::Send(message), farewell) => {
                    message.outcome_without(farewell, otherwise.clone())
                }
                (Task::Verify(_), Some(reply)) => {
                    Err(RequestError::refused(Step::Verify, reply.clone()))
                }
                (Task::Noop, Some(reply)) => Err(RequestError::refused(Step::Noop, reply.clone())),
                (_, None) => Err(otherwise.clone()),
            };
            events.push_back(SessionEvent::Completed(job.id, outcome));
        }
        for job in again.into_iter().rev() {
            waiting.push_front(job);
        }
    }
}
