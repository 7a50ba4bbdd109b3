//! Cases: what a session has of each thing that it opens, for the records and for an administrator.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use jackfield_relay_wire::{Id, Reason};
use serde::Serialize;

use super::{
    Action, Basis, Carried, Decision, Event, Record, Records, SessionRecord, Who, milliseconds,
    now, written,
};
use crate::metrics::Metrics;
use crate::policy::Transport;

/// Who makes records of one session.
#[derive(Clone, Debug)]
pub(crate) struct Clerk {
    pub(crate) session: u64,
    pub(crate) who: Arc<Who>,
    pub(crate) records: Arc<dyn Records>,
    pub(crate) metrics: Arc<Metrics>,
}

/// What hangs on a session, as it is shown to an administrator.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Shown {
    pub(crate) id: u32,
    action: Action,
    #[serde(serialize_with = "written")]
    transport: Transport,
    asked: String,
    address: Option<SocketAddr>,
    /// How long it has been open, in milliseconds; of an opening, nothing.
    open_ms: Option<u64>,
    bytes_up: u64,
    bytes_down: u64,
}

/// The case of one opening: it gives a record when it is decided, and one when it is over. Where it is
/// dropped before, it was withdrawn or cut.
#[derive(Debug)]
pub(crate) struct Case {
    clerk: Clerk,
    record: Record,
    /// Since when it is open.
    opened: Option<Instant>,
    decided: bool,
    bytes_up: u64,
    bytes_down: u64,
    undelivered: bool,
    /// How many datagrams or connections were denied since its last record that have none of their own.
    more_denied: u64,
}

impl Clerk {
    /// The session begins, by a token with this `jti`.
    pub(crate) fn entered(&self, jti: Option<&str>) {
        let mut record = SessionRecord::of(Event::Enter, Some(self.session), &self.who);
        record.jti = jti.map(Into::into);
        self.records.session(&record);
    }

    /// Another token has come: it goes on by it, which has this `jti`, or it was refused for that reason.
    pub(crate) fn renewed(&self, judged: Result<Option<&str>, &Reason>) {
        let mut record = SessionRecord::of(Event::Renew, Some(self.session), &self.who);
        match judged {
            Ok(jti) => {
                record.outcome = "renewed".into();
                record.jti = jti.map(Into::into);
            }
            Err(reason) => {
                record.decision = Decision::Deny;
                record.outcome = reason.code().to_string();
                record.why = Some(reason.text().into());
            }
        }
        self.metrics.renewed(&record.outcome);
        self.records.session(&record);
    }

    /// The session ends, since when it was open, and with what payload from the client and to it.
    pub(crate) fn left(&self, reason: &Reason, since: Instant, up: u64, down: u64) {
        let mut record = SessionRecord::of(Event::Leave, Some(self.session), &self.who);
        record.outcome = reason.code().to_string();
        record.why = Some(reason.text().into());
        record.carried = Some(Carried::since(since, up, down));
        self.records.session(&record);
    }

    pub(crate) fn case(&self, id: Id, action: Action, transport: Transport, asked: String) -> Case {
        Case {
            clerk: self.clone(),
            record: Record {
                time: String::new(),
                event: Event::Open,
                session: self.session,
                id: id.get(),
                who: Arc::clone(&self.who),
                action,
                transport,
                asked,
                address: None,
                basis: Basis::default(),
                outcome: "cancelled".into(),
                why: None,
                carried: None,
                undelivered: None,
                more_denied: None,
            },
            opened: None,
            decided: false,
            bytes_up: 0,
            bytes_down: 0,
            undelivered: false,
            more_denied: 0,
        }
    }
}

impl Case {
    /// It is open.
    pub(crate) fn open(&mut self, address: Option<SocketAddr>, basis: Basis) {
        self.record.address = address;
        self.record.basis = basis;
        self.decide("opened", None);
        self.opened = Some(Instant::now());
        // Unless somebody says otherwise until then.
        self.record.outcome = "closed".into();
    }

    /// It can't be; then there is nothing to end.
    pub(crate) fn refuse(mut self, reason: &Reason, basis: Basis, why: &str) {
        self.record.basis = basis;
        self.decide(&reason.code().to_string(), Some(why));
    }

    /// What an administrator is shown of it.
    pub(crate) fn shown(&self) -> Shown {
        let record = &self.record;
        Shown {
            id: record.id,
            action: record.action,
            transport: record.transport,
            asked: record.asked.clone(),
            address: record.address,
            open_ms: self.opened.map(milliseconds),
            bytes_up: self.bytes_up,
            bytes_down: self.bytes_down,
        }
    }

    /// Who asks.
    pub(crate) fn who(&self) -> &Arc<Who> {
        &self.clerk.who
    }

    /// What is asked for.
    pub(crate) fn asked(&self) -> &str {
        &self.record.asked
    }

    /// What was decided.
    pub(crate) fn basis(&self) -> &Basis {
        &self.record.basis
    }

    /// What it has carried besides.
    pub(crate) fn carried(&mut self, up: u64, down: u64) {
        self.bytes_up += up;
        self.bytes_down += down;
    }

    /// How many bytes of payload it has carried, both ways.
    pub(crate) fn moved(&self) -> u64 {
        self.bytes_up + self.bytes_down
    }

    /// Its target doesn't get all that the client had sent and ended.
    pub(crate) fn undelivered(&mut self) {
        self.undelivered = true;
    }

    /// How it is ending. The first word counts.
    pub(crate) fn ending(&mut self, reason: &Reason) {
        if self.record.why.is_none() {
            self.record.outcome = reason.code().to_string();
            self.record.why = Some(reason.text().into());
        }
    }

    /// Its socket sends to a new peer.
    pub(crate) fn sends(&self, to: SocketAddr, address: SocketAddr, basis: Basis) {
        let mut record = self.of_peer(Event::Datagrams, to, basis);
        record.address = Some(address);
        record.outcome = "allowed".into();
        self.write(record);
    }

    /// Its socket may not send there.
    pub(crate) fn may_not_send(&mut self, to: SocketAddr, basis: Basis, why: &str) {
        let mut record = self.of_peer(Event::Datagrams, to, basis);
        record.outcome = "dropped".into();
        record.why = Some(why.into());
        record.more_denied = self.take_more();
        self.write(record);
    }

    /// Its listener turns a connection from there away.
    pub(crate) fn turns_away(&mut self, from: SocketAddr, reason: &Reason) {
        let mut record = self.of_peer(Event::Open, from, Basis::denied());
        record.action = Action::Accept;
        record.outcome = reason.code().to_string();
        record.why = Some(reason.text().into());
        record.more_denied = self.take_more();
        self.write(record);
    }

    /// One more was denied of which there is no record.
    pub(crate) fn denied_more(&mut self) {
        self.more_denied += 1;
    }

    fn take_more(&mut self) -> Option<u64> {
        Some(std::mem::take(&mut self.more_denied)).filter(|more| *more > 0)
    }

    /// The beginning of a record of what is decided while it is open.
    fn of_peer(&self, event: Event, peer: SocketAddr, basis: Basis) -> Record {
        let mut record = self.record.clone();
        record.event = event;
        record.asked = peer.to_string();
        record.address = None;
        record.basis = basis;
        record
    }

    fn decide(&mut self, outcome: &str, why: Option<&str>) {
        self.decided = true;
        let mut record = self.record.clone();
        record.outcome = outcome.into();
        record.why = why.map(Into::into);
        self.write(record);
    }

    fn write(&self, mut record: Record) {
        record.time = now();
        self.clerk.metrics.recorded(&record);
        self.clerk.records.record(&record);
    }
}

impl Drop for Case {
    fn drop(&mut self) {
        let mut record = self.record.clone();
        if let Some(opened) = self.opened {
            record.event = Event::Close;
            record.carried = Some(Carried::since(opened, self.bytes_up, self.bytes_down));
            record.undelivered = self.undelivered.then_some(true);
            record.more_denied = self.take_more();
        } else if self.decided {
            return;
        }
        self.write(record);
    }
}
