//! SEARCH.

use jackfield_imap::codec::server::{Found, Search, SearchIn};
use jackfield_imap::codec::{Messages, SequenceSet, Text};

use super::Session;
use super::answer::Answer;
use crate::message::{Part, contains, field, sent};
use crate::store::{Message, UserId};

impl Session {
    pub(super) fn search(
        &mut self,
        user: UserId,
        tag: &Text,
        uids: bool,
        returns: Option<Found>,
        charset: Option<&Text>,
        search: &Search,
    ) -> Answer {
        let is_known = charset.is_none_or(|name| name.is("UTF-8") || name.is("US-ASCII"));
        if !is_known {
            return Answer::no("[BADCHARSET (UTF-8 US-ASCII)] the character set is not known");
        }
        let has_modseq = search.has_modseq();
        self.has_condstore |= has_modseq;
        let Some(selected) = &self.selected else {
            return Answer::bad("open a mailbox first");
        };
        let validity = selected.validity;
        let search = Prepared::of(search, &|messages| selected.resolve(messages));
        let (mut found, mut modseq) = (Vec::new(), 0);
        for (number, uid) in selected.all() {
            // Cloning is cheap, and nobody waits for the store meanwhile.
            let message = self
                .store
                .with(|state| state.opened(user, validity)?.message(uid).cloned());
            if let Some(message) = message
                && search.matches(&mut Candidate::new(&message))
            {
                found.push(if uids { uid } else { number });
                modseq = modseq.max(message.modseq);
            }
        }
        let modseq = Some(modseq).filter(|_| has_modseq && !found.is_empty());
        match returns {
            Some(returns) => self.tell_esearch(tag, uids, returns, found, modseq),
            None => self.tell_search(&found, modseq),
        }
        Answer::ok("done")
    }

    fn tell_search(&mut self, found: &[u32], modseq: Option<u64>) {
        let mut out = self.write();
        out.raw("* SEARCH");
        for number in found {
            out.raw(" ").number(*number);
        }
        if let Some(modseq) = modseq {
            out.raw(" (MODSEQ ").number(modseq).raw(")");
        }
        out.raw("\r\n");
    }

    fn tell_esearch(
        &mut self,
        tag: &Text,
        uids: bool,
        returns: Found,
        found: Vec<u32>,
        modseq: Option<u64>,
    ) {
        let (min, max, count) = (found.first().copied(), found.last().copied(), found.len());
        let mut out = self.write();
        out.raw("* ESEARCH (TAG ").string(tag.as_bytes()).raw(")");
        out.raw(if uids { " UID" } else { "" });
        if let Some(min) = min.filter(|_| returns.min) {
            out.raw(" MIN ").number(min);
        }
        if let Some(max) = max.filter(|_| returns.max) {
            out.raw(" MAX ").number(max);
        }
        if returns.count {
            out.raw(" COUNT ").number(count as u64);
        }
        if let Some(all) = SequenceSet::of(found).filter(|_| returns.all) {
            out.raw(" ALL ").set(&all);
        }
        if let Some(modseq) = modseq {
            out.raw(" MODSEQ ").number(modseq);
        }
        out.raw("\r\n");
    }
}

/// A search whose sets and texts were made ready once.
enum Prepared<'a> {
    All(Vec<Self>),
    Either(Box<Self>, Box<Self>),
    Not(Box<Self>),
    /// UIDs, in order.
    Among(Vec<u32>),
    /// In lower case.
    Text(&'a SearchIn, String),
    Other(&'a Search),
}

/// A message that is looked at; it is taken apart where that is needed, and then once.
struct Candidate<'a> {
    message: &'a Message,
    part: Option<Part>,
}

impl<'a> Candidate<'a> {
    fn new(message: &'a Message) -> Self {
        let part = None;
        Self { message, part }
    }

    fn part(&mut self) -> (&'a [u8], &Part) {
        let raw = &self.message.bytes;
        let part = self.part.get_or_insert_with(|| Part::of(raw));
        (raw, part)
    }
}

impl<'a> Prepared<'a> {
    fn of(search: &'a Search, resolve: &dyn Fn(&Messages) -> Vec<(u32, u32)>) -> Self {
        let boxed = |search: &'a Search| Box::new(Self::of(search, resolve));
        match search {
            Search::All(keys) => Self::All(keys.iter().map(|key| Self::of(key, resolve)).collect()),
            Search::Either(one, other) => Self::Either(boxed(one), boxed(other)),
            Search::Not(key) => Self::Not(boxed(key)),
            Search::Among(messages) => {
                Self::Among(resolve(messages).into_iter().map(|(_, uid)| uid).collect())
            }
            Search::Text(place, text) => Self::Text(place, text.to_str().to_lowercase()),
            other => Self::Other(other),
        }
    }

    fn matches(&self, candidate: &mut Candidate<'_>) -> bool {
        match self {
            Self::All(keys) => keys.iter().all(|key| key.matches(candidate)),
            Self::Either(one, other) => one.matches(candidate) || other.matches(candidate),
            Self::Not(key) => !key.matches(candidate),
            Self::Among(uids) => uids.binary_search(&candidate.message.uid).is_ok(),
            Self::Text(place, wanted) => {
                let (raw, part) = candidate.part();
                match place {
                    SearchIn::Field(name) => field(raw, part, &name.to_str(), wanted),
                    SearchIn::Body => contains(raw, part, wanted, false),
                    _ => contains(raw, part, wanted, true),
                }
            }
            Self::Other(search) => is_true(search, candidate),
        }
    }
}

fn is_true(search: &Search, candidate: &mut Candidate<'_>) -> bool {
    let message = candidate.message;
    let arrived = message.arrived.date();
    let size = message.bytes.len() as u64;
    let mut sent = || {
        let (raw, part) = candidate.part();
        sent(raw, part)
    };
    match search {
        Search::Has(flag) => message.has(flag),
        Search::Before(day) => arrived < *day,
        Search::On(day) => arrived == *day,
        Search::Since(day) => arrived >= *day,
        Search::SentBefore(day) => sent().is_some_and(|it| it < *day),
        Search::SentOn(day) => sent().is_some_and(|it| it == *day),
        Search::SentSince(day) => sent().is_some_and(|it| it >= *day),
        Search::Larger(bytes) => size > *bytes,
        Search::Smaller(bytes) => size < *bytes,
        Search::ModSeq(modseq) => message.modseq >= *modseq,
        // What this server has no key for finds nothing.
        _ => false,
    }
}
