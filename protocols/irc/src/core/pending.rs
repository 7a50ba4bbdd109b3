//! Requests that wait for their answers.
//!
//! An answer finds its request in one of three ways: by its label (IRCv3 labeled-response), by
//! what it is and whom it is about, or, where success may be silent, because the answer to a PING
//! that was sent behind the request (a *fence*) came first.

use std::collections::VecDeque;
use std::time::Duration;

use jackfield_socket::time::Instant;

use super::{Member, Reply, RequestId, SessionEvent, WhoEntry, Whois};
use crate::codec::{CaseMapping, ChannelName};
use crate::error::{Refusal, RequestError};

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
    SetMode(String),
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
    labelled: bool,
    /// None while it waits to be sent.
    deadline: Option<Instant>,
    /// Its answer passed the limit; the rest of it is still arriving.
    too_large: bool,
    items: usize,
}

impl Kind {
    /// The command's word, as `ERR_UNKNOWNCOMMAND` and the like repeat it.
    fn command(&self) -> Option<&'static str> {
        Some(match self {
            Self::Join(_) => "JOIN",
            Self::Part(_) => "PART",
            Self::SetTopic(_) | Self::Topic(_) => "TOPIC",
            Self::Names(..) => "NAMES",
            Self::Who(..) => "WHO",
            Self::Whois(..) => "WHOIS",
            Self::SetMode(_) | Self::Modes(_) => "MODE",
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
            Self::Message { target, .. } | Self::SetMode(target) => same(target),
            Self::Who(mask, _) => same(mask),
            Self::Whois(nick, _) | Self::Nick(nick) => same(nick),
            Self::Kick(channel, nick) | Self::Invite(channel, nick) => same(channel) || same(nick),
            Self::Away | Self::SetRealName | Self::Raw => false,
        }
    }
}

#[derive(Debug)]
pub(super) struct PendingRequests {
    requests: VecDeque<Pending>,
    limit: usize,
    item_limit: usize,
    timeout: Duration,
    next_id: u64,
}

impl PendingRequests {
    pub(super) fn new(limit: usize, item_limit: usize, timeout: Duration) -> Self {
        Self {
            requests: VecDeque::new(),
            limit,
            item_limit,
            timeout,
            next_id: 1,
        }
    }

    /// A name for the next request, if there is room for it.
    pub(super) fn next_id(&mut self) -> Result<RequestId, RequestError> {
        if self.requests.len() >= self.limit {
            return Err(RequestError::TooManyPending);
        }
        let id = RequestId(self.next_id);
        self.next_id += 1;
        Ok(id)
    }

    pub(super) fn push(&mut self, id: RequestId, kind: Kind, labelled: bool) {
        self.requests.push_back(Pending {
            id,
            kind,
            labelled,
            deadline: None,
            too_large: false,
            items: 0,
        });
    }

    /// The last line of a request was sent. Returns it if it is thereby done.
    pub(super) fn sent(&mut self, now: Instant, id: RequestId) -> Option<SessionEvent> {
        let pending = self.requests.iter_mut().find(|pending| pending.id == id)?;
        pending.deadline = Some(now + self.timeout);
        match pending.kind {
            Kind::Raw
            | Kind::Message {
                done_when_sent: true,
                ..
            } => self.complete(id, Ok(Reply::Done)),
            _ => None,
        }
    }

    /// The first request that was sent, is of this kind, and whose label does not contradict.
    fn find(
        &mut self,
        label: Option<RequestId>,
        wanted: impl Fn(&Kind) -> bool,
    ) -> Option<&mut Pending> {
        self.requests.iter_mut().find(|pending| {
            pending.deadline.is_some()
                && match label {
                    Some(label) => pending.id == label,
                    None => !pending.labelled,
                }
                && wanted(&pending.kind)
        })
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
        let limit = self.item_limit;
        let Some(pending) = self.find(label, wanted) else {
            return false;
        };
        pending.items = pending.items.saturating_add(items);
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
        let outcome = match pending.kind {
            _ if pending.too_large => Err(RequestError::ReplyTooLarge),
            Kind::Names(_, members) => Ok(Reply::Members(members)),
            Kind::Who(_, entries) => Ok(Reply::Who(entries)),
            Kind::Whois(_, whois) => Ok(Reply::Whois(whois)),
            _ => Ok(Reply::Done),
        };
        Some(SessionEvent::Completed(id, outcome))
    }

    /// Finds whom a refusal is for. `subjects` are the refusal's parameters between this client's
    /// nickname and the text.
    pub(super) fn refuse(
        &mut self,
        mapping: CaseMapping,
        label: Option<RequestId>,
        subjects: &[&str],
        refusal: &Refusal,
    ) -> Option<SessionEvent> {
        let about = |pending: &Pending| {
            subjects.iter().any(|subject| {
                pending.kind.is_about(mapping, subject)
                    || pending
                        .kind
                        .command()
                        .is_some_and(|command| command.eq_ignore_ascii_case(subject))
            })
        };
        let found = self.requests.iter().find(|pending| {
            pending.deadline.is_some()
                && match label {
                    Some(label) => pending.id == label,
                    None => about(pending),
                }
        })?;
        self.complete(found.id, Err(RequestError::Refused(refusal.clone())))
    }

    /// Ends a request.
    pub(super) fn complete(
        &mut self,
        id: RequestId,
        outcome: Result<Reply, RequestError>,
    ) -> Option<SessionEvent> {
        let at = self.requests.iter().position(|pending| pending.id == id)?;
        self.requests.remove(at);
        Some(SessionEvent::Completed(id, outcome))
    }

    /// When the next one is overdue.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.requests
            .iter()
            .filter_map(|pending| pending.deadline)
            .min()
    }

    /// Ends one that is overdue.
    pub(super) fn expire(&mut self, now: Instant) -> Option<SessionEvent> {
        let overdue = self
            .requests
            .iter()
            .find(|pending| pending.deadline.is_some_and(|deadline| deadline <= now))?;
        self.complete(overdue.id, Err(RequestError::TimedOut))
    }

    /// Ends all.
    pub(super) fn fail_all(&mut self) -> Vec<SessionEvent> {
        let lost = |pending: Pending| {
            SessionEvent::Completed(pending.id, Err(RequestError::ConnectionLost))
        };
        self.requests.drain(..).map(lost).collect()
    }
}
