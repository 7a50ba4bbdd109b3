//! The session: one connection, from its registration to its end.

use std::collections::VecDeque;
use std::time::Duration;

use jackfield_sasl::{Channel as SaslChannel, Mechanism};
use jackfield_socket::driver::{Core, StreamCore};
use jackfield_socket::time::Instant;

use super::batch::Batches;
use super::capabilities::Capabilities;
use super::channels::Channels;
use super::login::authenticate;
use super::pending::PendingRequests;
use super::regain::Regain;
use super::registration::Registration;
use super::send_queue::SendQueue;
use super::{Channel, Config, Event, ISupport, Registered, RequestId, SessionEvent};
use crate::codec::{
    Command, LineBuffer, MAX_LINE, MAX_TAGS, Message, MessageRef, Nickname, Text, Word, decode,
};
use crate::error::SessionError;

/// How long the server has to let this side go after `QUIT`.
const QUIT_TIMEOUT: Duration = Duration::from_secs(5);
/// When a deadline is noticed so late, the program or the machine was asleep. Or it is a page in the
/// background, whose timers run once a minute: it is always late, so that this excuses once.
const LATE: Duration = Duration::from_secs(1);
/// What the PINGs that measure the lag begin with; a number follows.
pub(super) const LAG_PREFIX: &str = "lag-";
/// What the PINGs that follow a request begin with; its number follows.
pub(super) const FENCE_PREFIX: &str = "fence-";

/// One connection to a server, as a state machine. See the [module](super).
#[derive(Debug)]
pub struct Session {
    pub(super) config: Config,
    pub(super) phase: Phase,
    pub(super) capabilities: Capabilities,
    pub(super) isupport: ISupport,
    pub(super) nick: Nickname,
    /// User name and host as others see them, once something has told them.
    pub(super) user: Option<String>,
    pub(super) host: Option<String>,
    pub(super) account: Option<String>,
    pub(super) channels: Channels,
    pub(super) batches: Batches,
    pub(super) pending: PendingRequests,
    pub(super) queue: SendQueue,
    pub(super) regain: Option<Regain>,
    /// What is known of the stream, as far as a login goes over it.
    pub(super) sasl_channel: SaslChannel,
    /// A login that is bound to the TLS connection was begun, and has no outcome.
    pub(super) bound_login: Option<Mechanism>,
    /// The nonce of SCRAM, where it is not to be random.
    pub(super) sasl_nonce: Option<String>,
    pub(super) events: VecDeque<SessionEvent>,
    lines: LineBuffer,
    ping: Ping,
}

/// Where the session stands.
#[derive(Debug)]
pub(super) enum Phase {
    /// Nothing was sent yet.
    New,
    Registering(Registration),
    /// The server has said welcome, but not yet all about itself.
    Welcomed,
    Registered,
    /// `QUIT` was sent.
    Quitting {
        until: Instant,
    },
    /// `QUIT` is to be sent.
    ToQuit(Option<Text>),
    Done,
}

#[derive(Debug, Default)]
struct Ping {
    /// When the next one goes out.
    next: Option<Instant>,
    /// The one that is not answered: its number, and when it went out.
    waiting: Option<(u64, Instant)>,
    /// The last sign of life, or since when there could be one: the answer has its time from there.
    heard: Option<Instant>,
    /// It was asked anew after a sleep, and nothing has come since.
    is_anew: bool,
    count: u64,
    /// While nothing is read, no answer is waited for; the server is asked all the same, since only
    /// who writes learns that it has gone.
    unread: bool,
}

impl Ping {
    /// When the next one goes out, or is to have been answered.
    fn deadline(&self, config: &Config) -> Option<Instant> {
        let Some((_, sent)) = self.waiting else {
            return self.next;
        };
        Some(if self.unread {
            sent + config.ping_interval
        } else {
            self.heard.map_or(sent, |heard| heard.max(sent)) + config.ping_timeout
        })
    }
}

impl Session {
    /// A session that has not begun: it does with the first call of
    /// [`transmit`](StreamCore::transmit).
    pub fn new(config: Config) -> Self {
        let limits = config.limits;
        Self {
            phase: Phase::New,
            capabilities: Capabilities::default(),
            isupport: ISupport::default(),
            nick: config.nick.clone(),
            user: None,
            host: None,
            account: None,
            channels: Channels::new(&limits),
            batches: Batches::default(),
            pending: PendingRequests::new(config.request_capacity, limits, config.request_timeout),
            queue: SendQueue::new(config.flood, config.line_capacity),
            regain: None,
            sasl_channel: SaslChannel::plaintext(),
            bound_login: None,
            sasl_nonce: None,
            events: VecDeque::new(),
            lines: LineBuffer::new(MAX_LINE),
            ping: Ping::default(),
            config,
        }
    }

    /// What is known of the stream that this session goes over, before it begins. Without it, the
    /// stream is taken for one that others can read, and no password is shown.
    pub fn set_sasl_channel(&mut self, channel: SaslChannel) {
        self.sasl_channel = channel;
    }

    /// The mechanism of a login that was bound to the TLS connection, and has not come to an end.
    pub(crate) fn bound_login(&self) -> Option<Mechanism> {
        self.bound_login
    }

    /// Takes this for SCRAM's nonce, so that transcripts and fuzzers' inputs can be replayed.
    #[cfg(feature = "oracle")]
    #[doc(hidden)]
    pub fn set_sasl_nonce(&mut self, nonce: &str) {
        self.sasl_nonce = Some(nonce.to_owned());
    }

    /// This client's nickname.
    pub fn nick(&self) -> &Nickname {
        &self.nick
    }

    /// What the server says about itself.
    pub fn isupport(&self) -> &ISupport {
        &self.isupport
    }

    /// The capabilities in use.
    pub fn capabilities(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.capabilities.enabled()
    }

    /// The channel of this name, if this client is in it.
    pub fn channel(&self, name: &str) -> Option<&Channel> {
        self.channels.get(&self.isupport, name)
    }

    /// The channels that this client is in.
    pub fn channels(&self) -> impl Iterator<Item = &Channel> {
        self.channels.iter()
    }

    /// Whether requests are taken.
    pub fn is_registered(&self) -> bool {
        matches!(self.phase, Phase::Registered)
    }

    /// Ends the session in order, without a reason: as [`close_with`](Self::close_with).
    pub fn close(&mut self) {
        self.begin_close(None);
    }

    /// Ends the session in order: requests that wait fail with
    /// [`RequestError::ConnectionLost`](crate::RequestError::ConnectionLost), what waits to be sent
    /// is dropped, `QUIT` goes out with this reason, and [`SessionEvent::Closed`] comes when the
    /// server closes, or 5 s later.
    pub fn close_with(&mut self, reason: Text) {
        self.begin_close(Some(reason));
    }

    fn begin_close(&mut self, reason: Option<Text>) {
        match self.phase {
            Phase::New => {
                self.phase = Phase::Done;
                self.events.push_back(SessionEvent::Closed);
            }
            Phase::Registering(_) | Phase::Welcomed | Phase::Registered => {
                self.fail_pending();
                self.phase = Phase::ToQuit(reason);
            }
            Phase::ToQuit(_) | Phase::Quitting { .. } | Phase::Done => {}
        }
    }

    /// Whether it was asked to [`close`](Self::close).
    pub(super) fn is_closing(&self) -> bool {
        matches!(
            self.phase,
            Phase::ToQuit(_) | Phase::Quitting { .. } | Phase::Done
        )
    }

    pub(super) fn is_own(&self, nick: &str) -> bool {
        self.isupport.case_mapping.eq(&self.nick, nick)
    }

    pub(super) fn emit(&mut self, event: Event) {
        self.events.push_back(SessionEvent::Event(event));
    }

    pub(super) fn complete(&mut self, completed: Option<SessionEvent>) {
        self.events.extend(completed);
    }

    /// The server is done telling about itself.
    pub(super) fn set_registered(&mut self, now: Instant) {
        self.phase = Phase::Registered;
        self.ping.next = Some(now + self.config.ping_interval);
        let line_limit = MAX_TAGS + self.isupport.line_length;
        self.lines.set_limit(line_limit);
        self.emit(Event::Registered(Registered {
            nick: self.nick.clone(),
            network: self.isupport.network.clone(),
            account: self.account.clone(),
        }));
        self.begin_regain(now);
    }

    /// Sends a PING that measures the lag.
    pub(super) fn send_ping(&mut self, now: Instant) {
        self.ping.count += 1;
        let token = format!("{LAG_PREFIX}{}", self.ping.count);
        self.ping.waiting = Some((self.ping.count, now));
        self.ping.next = None;
        let ping = Message::builder(Command::Ping).text(Text::from_checked(&token));
        self.queue.push_urgent(ping);
    }

    /// Takes a PONG with this token.
    pub(super) fn take_pong(&mut self, now: Instant, token: &str) {
        let number = |prefix| token.strip_prefix(prefix)?.parse::<u64>().ok();
        if let Some(number) = number(FENCE_PREFIX) {
            self.answered(RequestId(number));
        } else if let Some((waiting, since)) = self.ping.waiting
            && number(LAG_PREFIX) == Some(waiting)
        {
            self.pending.overtake(since);
            self.ping.waiting = None;
            self.ping.next = Some(now + self.config.ping_interval);
            if matches!(self.phase, Phase::Welcomed) {
                self.set_registered(now);
            }
            self.emit(Event::Lag(now.saturating_duration_since(since)));
        }
    }

    /// The session is over: whatever waits, waits in vain.
    pub(super) fn fail(&mut self, error: SessionError) -> SessionError {
        self.fail_pending();
        self.phase = Phase::Done;
        error
    }

    /// The session is over by this side's decision: the last words to the server say so, which
    /// otherwise would learn it by a time-out, with this client's nickname taken until then.
    pub(super) fn give_up(&mut self, error: SessionError) -> SessionError {
        let abort = self.is_login_underway()
            && matches!(
                error,
                SessionError::SaslTimedOut | SessionError::SaslFailed(_)
            );
        let error = self.fail(error);
        if abort {
            let abort = authenticate(Word::from_checked("*"));
            self.queue.push_urgent(abort);
        }
        let quit = Message::builder(Command::Quit);
        self.queue.push_urgent(match error {
            SessionError::PingTimedOut => quit.text(Text::from_checked("Ping timeout")),
            _ => quit.build(),
        });
        error
    }

    fn fail_pending(&mut self) {
        self.events.extend(self.pending.fail_all());
        self.queue.clear();
        self.regain = None;
    }

    pub(super) fn set_closed(&mut self) {
        self.phase = Phase::Done;
        self.events.push_back(SessionEvent::Closed);
    }

    fn take_line(&mut self, now: Instant, line: &[u8]) -> Result<(), SessionError> {
        let text = decode(line);
        match MessageRef::parse(&text) {
            Ok(message) => self.handle(now, message),
            Err(error) => {
                self.emit(Event::Malformed(error.to_string()));
                Ok(())
            }
        }
    }
}

impl Core for Session {
    type Event = SessionEvent;
    type Error = SessionError;

    fn is_finished(&self) -> bool {
        matches!(self.phase, Phase::Done)
    }

    fn poll_event(&mut self) -> Option<SessionEvent> {
        self.events.pop_front()
    }

    fn deadline(&self) -> Option<Instant> {
        let phase = match &self.phase {
            Phase::New | Phase::Done => return None,
            Phase::Registering(registration) => Some(registration.deadline()),
            Phase::Quitting { until } => return Some(*until),
            Phase::Welcomed | Phase::Registered | Phase::ToQuit(_) => None,
        };
        let ping = self.ping.deadline(&self.config);
        let (queue, pending) = (self.queue.deadline(), self.pending.deadline());
        [phase, ping, queue, pending, self.regain_deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    fn handle_deadline(&mut self, now: Instant) -> Result<(), SessionError> {
        match &self.phase {
            Phase::New | Phase::Done => return Ok(()),
            Phase::Quitting { until } => {
                if *until <= now {
                    self.set_closed();
                }
                return Ok(());
            }
            Phase::Registering(registration) => {
                if let Some(error) = registration.overdue(now) {
                    return Err(self.give_up(error));
                }
            }
            Phase::Welcomed | Phase::Registered | Phase::ToQuit(_) => {}
        }
        if let Some(due) = self.ping.deadline(&self.config).filter(|due| *due <= now) {
            let is_asked = self.ping.waiting.is_some() && !self.ping.unread;
            // Where nobody looked for a while, the answer may have come, and just not been read.
            if is_asked && (self.ping.is_anew || now - due <= LATE) {
                return Err(self.give_up(SessionError::PingTimedOut));
            }
            self.ping.is_anew = is_asked;
            self.send_ping(now);
        }
        while let Some(expired) = self.pending.expire(now) {
            self.events.push_back(expired);
        }
        self.ask_for_nick(now);
        // The driver asks for them next.
        self.queue.release(now);
        Ok(())
    }

    fn set_reading(&mut self, now: Instant, reading: bool) {
        self.ping.unread = !reading;
        if reading {
            // The answer has its time from here on.
            self.ping.heard = Some(now);
        }
    }
}

impl StreamCore for Session {
    fn receive(&mut self, now: Instant, mut bytes: &[u8]) -> Result<(), SessionError> {
        let mut lines = std::mem::take(&mut self.lines);
        let mut result = Ok(());
        while let Some(line) = lines.next_line(&mut bytes) {
            if matches!(self.phase, Phase::Done) {
                break;
            }
            if !matches!(self.phase, Phase::Welcomed) {
                // Who welcomes and then says all kinds of things, but not that this is all, has to
                // answer.
                self.ping.heard = Some(now);
                self.ping.is_anew = false;
            }
            match line {
                Ok(line) => result = self.take_line(now, line),
                Err(too_long) => self.emit(Event::Malformed(too_long.to_string())),
            }
            if result.is_err() {
                break;
            }
        }
        let limit = MAX_TAGS + self.isupport.line_length;
        lines.set_limit(limit);
        self.lines = lines;
        result
    }

    fn receive_end(&mut self, _now: Instant) -> Result<(), SessionError> {
        match self.phase {
            Phase::Quitting { .. } | Phase::ToQuit(_) => {
                self.set_closed();
                Ok(())
            }
            Phase::Done => Ok(()),
            _ if self.lines.is_partial() => Err(self.fail(SessionError::Truncated)),
            _ => Err(self.fail(SessionError::Ended)),
        }
    }

    fn transmit(&mut self, now: Instant, out: &mut Vec<u8>) {
        if matches!(self.phase, Phase::New) {
            self.begin_registration(now);
        }
        while let Some(line) = self.queue.pop_urgent() {
            line.write_to(out);
        }
        if let Phase::ToQuit(reason) = &mut self.phase {
            let quit = Message::builder(Command::Quit);
            let quit = match reason.take() {
                Some(reason) => quit.text(reason),
                None => quit.build(),
            };
            quit.write_to(out);
            let until = now + QUIT_TIMEOUT;
            self.phase = Phase::Quitting { until };
        }
        self.queue.release(now);
        while let Some(queued) = self.queue.pop() {
            queued.line.write_to(out);
            self.events.extend(queued.echo.map(SessionEvent::Event));
            if let Some(id) = queued.request {
                let done = self.pending.sent(now, id);
                self.complete(done);
            }
        }
    }
}
