//! Pending requests: those that wait for their answers.
//!
//! An answer finds its request in one of three ways: by its label (IRCv3 labeled-response), by
//! what it is and whom it is about, or, where success may be silent, because the answer to a PING
//! that was sent behind the request (a *fence*) came first.
//!
//! Without labels, the second way goes by order alone: a server answers in the order it was asked.
//! So a request of whose answer more may come keeps its place after it is over, and what comes then
//! is not taken for a later request's: an answer of several lines until the line that ends it, and
//! a request with a fence until that is answered (`MODE #a +yt` is refused for `y`, and then done
//! for `t`). The place is given up when the server answers a PING that was sent behind the request,
//! for then nothing comes any more; or when room is needed.
//!
//! [`refusals`] says which requests a refusal may be for.

mod refusals;

use std::collections::VecDeque;
use std::time::Duration;

use jackfield_socket::time::Instant;

use super::{
    Limits, ListEntry, ListFilter, Member, Reply, RequestId, SessionEvent, WhoEntry, Whois,
};
use crate::codec::{CaseMapping, ChannelName};
use crate::error::{Refusal, RequestError};

pub(super) use refusals::{About, By};

/// What a request asked for, as far as its answer has to know.
#[derive(Debug)]
pub(super) enum Kind {
    Join(ChannelName),
    Part(ChannelName),
    /// PRIVMSG, NOTICE, TAGMSG.
    Message {
        target: String,
        /// Done as soon as it is sent, since nothing will answer it.
        done_when_sent: bool,
    },
    SetTopic(ChannelName),
    Topic(ChannelName),
    Names(ChannelName, Vec<Member>),
    Who(String, Vec<WhoEntry>),
    Whois(String, Box<Whois>),
    List(ListFilter, Vec<ListEntry>),
    SetMode {
        target: String,
        params: Vec<String>,
    },
    Modes(ChannelName),
    Kick(ChannelName, String),
    Invite(ChannelName, String),
    Away,
    Nick(String),
    SetRealName,
    Raw,
}

#[derive(Debug)]
struct Pending {
    id: RequestId,
    kind: Kind,
    end: AnswerEnd,
    /// None while it waits to be sent.
    sent: Option<Instant>,
    state: State,
    /// The server has answered a PING that was sent behind it.
    overtaken: bool,
    /// Its answer passed the limit; the rest of it is still arriving.
    too_large: bool,
    items: usize,
}

/// How it is known that everything that the server had to say was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AnswerEnd {
    /// The answer has the request's label, and ends as labelled answers do.
    Labelled,
    /// The PING that was sent right behind the request is answered: success may be silent.
    Fenced,
    /// By what the answer is.
    Known,
}

/// Who waits for the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The user.
    Open,
    /// Nobody: the user was told that it timed out. All of the answer may still come.
    TimedOut,
    /// Nobody: it was refused. The answer's end may still come (`RPL_ENDOFWHOIS` follows
    /// `ERR_NOSUCHNICK`).
    Refused,
    /// Nobody: it was done. The answer to its fence comes still.
    Done,
}

impl Kind {
    /// Whether the answer comes in several lines, the last of which says that it is the last.
    fn has_end(&self) -> bool {
        matches!(
            self,
            Self::Names(..) | Self::Who(..) | Self::Whois(..) | Self::List(..)
        )
    }

    /// The command's word, as `ERR_UNKNOWNCOMMAND` and the like repeat it.
    fn command(&self) -> Option<&'static str> {
        Some(match self {
            Self::Join(_) => "JOIN",
            Self::Part(_) => "PART",
            Self::SetTopic(_) | Self::Topic(_) => "TOPIC",
            Self::Names(..) => "NAMES",
            Self::Who(..) => "WHO",
            Self::Whois(..) => "WHOIS",
            Self::List(..) => "LIST",
            Self::SetMode { .. } | Self::Modes(_) => "MODE",
            Self::Kick(..) => "KICK",
            Self::Invite(..) => "INVITE",
            Self::Away => "AWAY",
            Self::Nick(_) => "NICK",
            Self::SetRealName => "SETNAME",
            Self::Message { .. } | Self::Raw => return None,
        })
    }

    /// Whether a refusal about this name may be its.
    fn is_about(&self, mapping: CaseMapping, name: &str) -> bool {
        let same = |own: &str| mapping.eq(own, name);
        match self {
            Self::Join(channel)
            | Self::Part(channel)
            | Self::SetTopic(channel)
            | Self::Topic(channel)
            | Self::Names(channel, _)
            | Self::Modes(channel) => same(channel),
            Self::Message { target, .. } => same(target),
            Self::SetMode { target, params } => {
                same(target) || params.iter().any(|param| same(param))
            }
            Self::Who(mask, _) => same(mask),
            Self::List(filter, _) => filter.names.as_deref().is_some_and(same),
            Self::Whois(nick, _) | Self::Nick(nick) => same(nick),
            Self::Kick(channel, nick) | Self::Invite(channel, nick) => same(channel) || same(nick),
            Self::Away | Self::SetRealName | Self::Raw => false,
        }
    }
}

#[derive(Debug)]
pub(super) struct PendingRequests {
    /// In the order they were made.
    requests: VecDeque<Pending>,
    limit: usize,
    limits: Limits,
    timeout: Duration,
    next_id: u64,
}

impl PendingRequests {
    pub(super) fn new(limit: usize, limits: Limits, timeout: Duration) -> Self {
        Self {
            requests: VecDeque::new(),
            limit,
            limits,
            timeout,
            next_id: 1,
        }
    }

    /// A name for the next request, if there is room for it.
    pub(super) fn next_id(&mut self) -> Result<RequestId, RequestError> {
        if self.requests.len() >= self.limit {
            let is_over = |pending: &Pending| pending.state != State::Open;
            let at = self.requests.iter().position(is_over);
            self.requests
                .remove(at.ok_or(RequestError::TooManyPending)?);
        }
        let id = RequestId(self.next_id);
        self.next_id += 1;
        Ok(id)
    }

    pub(super) fn push(&mut self, id: RequestId, kind: Kind, end: AnswerEnd) {
        self.requests.push_back(Pending {
            id,
            kind,
            end,
            sent: None,
            state: State::Open,
            overtaken: false,
            too_large: false,
            items: 0,
        });
    }

    /// The last line of a request was sent. Returns it if it is thereby done.
    pub(super) fn sent(&mut self, now: Instant, id: RequestId) -> Option<SessionEvent> {
        let pending = self.requests.iter_mut().find(|pending| pending.id == id)?;
        pending.sent = Some(now);
        match pending.kind {
            Kind::Raw
            | Kind::Message {
                done_when_sent: true,
                ..
            } => self.complete(id, Ok(Reply::Done)),
            _ => None,
        }
    }

    /// The server has answered a PING that was sent then.
    pub(super) fn overtake(&mut self, ping_sent: Instant) {
        let is_before = |pending: &Pending| pending.sent.is_some_and(|sent| sent < ping_sent);
        for pending in &mut self.requests {
            pending.overtaken |= is_before(pending);
        }
        self.requests
            .retain(|pending| pending.state == State::Open || !pending.overtaken);
    }

    /// The first request that was sent, is of this kind, and whose label does not contradict.
    fn find(
        &mut self,
        label: Option<RequestId>,
        wanted: impl Fn(&Kind) -> bool,
    ) -> Option<&mut Pending> {
        self.requests
            .iter_mut()
            .find(|pending| pending.may_be_meant(label, &wanted))
    }

    /// Whether there is such a request, also one that is over and keeps its place.
    pub(super) fn is_asked(
        &self,
        label: Option<RequestId>,
        wanted: impl Fn(&Kind) -> bool,
    ) -> bool {
        let meant = |pending: &Pending| pending.may_be_meant(label, &wanted);
        self.requests.iter().any(meant)
    }

    /// Ends the first such request with this reply.
    pub(super) fn finish(
        &mut self,
        label: Option<RequestId>,
        wanted: impl Fn(&Kind) -> bool,
        reply: impl FnOnce() -> Reply,
    ) -> Option<SessionEvent> {
        let id = self.find(label, wanted)?.id;
        self.complete(id, Ok(reply()))
    }

    /// Adds `items` entries to the first such request's answer, as far as the limit allows; whether
    /// there is such a request.
    pub(super) fn collect(
        &mut self,
        label: Option<RequestId>,
        items: usize,
        wanted: impl Fn(&Kind) -> bool,
        add: impl FnOnce(&mut Kind),
    ) -> bool {
        let limits = self.limits;
        // A later answer has begun: the end of one that was refused does not come.
        let meant = |pending: &Pending| pending.may_be_meant(label, &wanted);
        while let Some(at) = self.requests.iter().position(meant)
            && self.requests.get(at).is_some_and(Pending::was_refused)
        {
            self.requests.remove(at);
        }
        let Some(pending) = self.find(label, wanted) else {
            return false;
        };
        if pending.state == State::TimedOut {
            return true;
        }
        pending.items = pending.items.saturating_add(items);
        let limit = match pending.kind {
            Kind::List(..) => limits.max_list_entries,
            _ => limits.max_reply_items,
        };
        pending.too_large |= pending.items > limit;
        if !pending.too_large {
            add(&mut pending.kind);
        }
        true
    }

    /// Ends the first such request, giving what was collected.
    pub(super) fn finish_collected(
        &mut self,
        label: Option<RequestId>,
        wanted: impl Fn(&Kind) -> bool,
    ) -> Option<SessionEvent> {
        let id = self.find(label, wanted)?.id;
        self.answered(id)
    }

    /// What a request asked for.
    pub(super) fn kind(&self, id: RequestId) -> Option<&Kind> {
        let found = self.requests.iter().find(|pending| pending.id == id);
        found.map(|pending| &pending.kind)
    }

    /// Everything that the server had to say about a request has been said: what is still open
    /// went well. Gives what was collected.
    pub(super) fn answered(&mut self, id: RequestId) -> Option<SessionEvent> {
        let at = self.requests.iter().position(|pending| pending.id == id)?;
        let pending = self.requests.remove(at)?;
        if pending.state != State::Open {
            return None;
        }
        let outcome = match pending.kind {
            _ if pending.too_large => Err(RequestError::ReplyTooLarge),
            Kind::Names(_, members) => Ok(Reply::Members(members)),
            Kind::Who(_, entries) => Ok(Reply::Who(entries)),
            Kind::Whois(_, whois) => Ok(Reply::Whois(whois)),
            Kind::List(_, entries) => Ok(Reply::List(entries)),
            _ => Ok(Reply::Done),
        };
        Some(SessionEvent::Completed(id, outcome))
    }

    /// Finds whom a refusal is for; `None` for who has had an answer already.
    pub(super) fn refuse(
        &mut self,
        mapping: CaseMapping,
        label: Option<RequestId>,
        about: About<'_>,
        refusal: &Refusal,
    ) -> Option<SessionEvent> {
        let at = match label {
            Some(label) => self.position(|pending| pending.id == label),
            None => self
                .position(|pending| about.names(mapping, &pending.kind))
                .or_else(|| {
                    self.position(|pending| !pending.is_labelled() && about.implies(&pending.kind))
                }),
        }?;
        let id = self.requests.get(at)?.id;
        self.end(
            id,
            State::Refused,
            Err(RequestError::Refused(refusal.clone())),
        )
    }

    /// The first that was sent, fits, and may be refused still.
    fn position(&self, fits: impl Fn(&Pending) -> bool) -> Option<usize> {
        // After the refusal of a query only its end comes; of several changes in one request each
        // may be refused.
        let may_be_refused =
            |pending: &Pending| pending.end == AnswerEnd::Fenced || pending.state != State::Refused;
        self.requests
            .iter()
            .position(|pending| pending.sent.is_some() && may_be_refused(pending) && fits(pending))
    }

    /// Ends a request.
    pub(super) fn complete(
        &mut self,
        id: RequestId,
        outcome: Result<Reply, RequestError>,
    ) -> Option<SessionEvent> {
        self.end(id, State::Done, outcome)
    }

    /// Ends a request, which may keep its place.
    fn end(
        &mut self,
        id: RequestId,
        state: State,
        outcome: Result<Reply, RequestError>,
    ) -> Option<SessionEvent> {
        let at = self.requests.iter().position(|pending| pending.id == id)?;
        let pending = self.requests.get_mut(at)?;
        let was_open = pending.state == State::Open;
        if pending.keeps_its_place(state) {
            pending.state = state;
        } else {
            self.requests.remove(at);
        }
        was_open.then_some(SessionEvent::Completed(id, outcome))
    }

    /// When the next one is overdue.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.requests
            .iter()
            .filter(|pending| pending.state == State::Open)
            .filter_map(|pending| Some(pending.sent? + self.timeout))
            .min()
    }

    /// Ends one that is overdue.
    pub(super) fn expire(&mut self, now: Instant) -> Option<SessionEvent> {
        let timeout = self.timeout;
        let overdue = self.requests.iter().find(|pending| {
            pending.state == State::Open && pending.sent.is_some_and(|sent| sent + timeout <= now)
        })?;
        let id = overdue.id;
        self.end(id, State::TimedOut, Err(RequestError::TimedOut))
    }

    /// Ends all.
    pub(super) fn fail_all(&mut self) -> Vec<SessionEvent> {
        let lost = |pending: Pending| {
            SessionEvent::Completed(pending.id, Err(RequestError::ConnectionLost))
        };
        self.requests
            .drain(..)
            .filter(|pending| pending.state == State::Open)
            .map(lost)
            .collect()
    }
}

impl Pending {
    /// Whether an answer with this label may be its.
    fn may_be_meant(&self, label: Option<RequestId>, wanted: impl Fn(&Kind) -> bool) -> bool {
        let by_label = match label {
            Some(label) => self.id == label,
            None => !self.is_labelled(),
        };
        self.sent.is_some() && by_label && wanted(&self.kind)
    }

    fn is_labelled(&self) -> bool {
        self.end == AnswerEnd::Labelled
    }

    fn was_refused(&self) -> bool {
        self.state == State::Refused
    }

    /// Whether lines of its answer could be taken for a later request's once it is over.
    fn keeps_its_place(&self, over: State) -> bool {
        let more_may_come = match self.end {
            AnswerEnd::Labelled => false,
            AnswerEnd::Fenced => true,
            AnswerEnd::Known => self.kind.has_end() && over != State::Done,
        };
        more_may_come && !self.overtaken
    }
}
