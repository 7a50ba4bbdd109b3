//! What the answers to a plan's questions mean.

use super::known::{Gathering, Print, Ranges};
use super::{Asked, Change, Check, New, SyncPlan, SyncState, WINDOW, What};
use crate::codec::{Code, Fetch, Response};
use crate::core::event::Outcome;
use crate::core::pending::is_what_was_asked;
use crate::error::RequestError;

impl SyncPlan {
    /// Takes a part of the answer to what was asked at this place: what has changed by it.
    pub fn take(&mut self, at: usize, response: Response) -> Option<Change> {
        if let Response::Status(status) = &response {
            match (&status.code, self.asked.get_mut(at)) {
                (Some(Code::UidValidity(number)), _) if self.opened.is_none() => {
                    self.is_foreign |= *number != self.state.uid_validity;
                }
                (Some(Code::MessageLimit { uid, .. }), Some(asked)) => {
                    asked.limit = Some(uid.unwrap_or_default());
                }
                _ => {}
            }
            return None;
        }
        // Until the mailbox is open, only the answer to that can be of it.
        if self.is_foreign || self.opened.is_none() && at > 0 {
            return None;
        }
        match response {
            Response::Vanished { uids, .. } => self.gone(uids.up_to(u32::MAX)),
            Response::Fetch(fetch) => self.fetched(at, fetch),
            Response::Search { numbers, .. } | Response::Sort { numbers, .. } => {
                let asked = self.asked.get_mut(at)?;
                asked.has_found |= !numbers.is_empty();
                for uid in numbers {
                    asked.told.add(uid, uid);
                }
                None
            }
            Response::Esearch(found) => {
                let asked = self.asked.get_mut(at)?;
                for (from, to) in found.all.iter().flat_map(|all| all.up_to(u32::MAX)) {
                    asked.has_found = true;
                    asked.told.add(from, to);
                }
                None
            }
            Response::Unknown { .. } => {
                self.asked.get_mut(at)?.is_unread = true;
                None
            }
            _ => None,
        }
    }

    fn fetched(&mut self, at: usize, fetch: Box<Fetch>) -> Option<Change> {
        let uid = fetch.uid.filter(|uid| *uid > 0)?;
        let asked = self.asked.get_mut(at)?;
        if asked.what != What::Select {
            asked.told.add(uid, uid);
        }
        let print = fetch.flags.as_deref().map(Print::of);
        let Some(known) = self.state.known.get(uid) else {
            // Flags alone are not yet a message, where more is wanted.
            if !asked.what.is_of_flags() && !is_what_was_asked(&self.items, &fetch) {
                return None;
            }
            asked.count += 1;
            self.highest = self.highest.max(uid);
            let print = print.unwrap_or(Print::UNKNOWN);
            self.state.known.insert(uid, print);
            return Some(Change::New(fetch));
        };
        let print = print.filter(|print| *print != known)?;
        self.state.known.insert(uid, print);
        Some(Change::Flags {
            uid,
            flags: fetch.flags?,
            modseq: fetch.modseq,
        })
    }

    fn gone(&mut self, uids: impl Iterator<Item = (u32, u32)>) -> Option<Change> {
        let (mut all, mut gone) = (Gathering::default(), Ranges::default());
        for (from, to) in uids {
            all.add(from, to);
        }
        for (from, to) in all.into_ranges().iter() {
            self.state.known.remove(from, to, &mut gone);
        }
        gone.into_set().map(Change::Gone)
    }

    /// Takes the outcome of what was asked at this place: what has changed by it, and whether all that
    /// was asked is answered now.
    ///
    /// # Errors
    /// The request's, where it can't be done without. The synchronisation is over then; what is known
    /// stays.
    pub fn completed(
        &mut self,
        at: usize,
        outcome: Result<Outcome, RequestError>,
    ) -> Result<(Option<Change>, bool), RequestError> {
        let Some(asked) = self.asked.get_mut(at) else {
            return Ok((None, false));
        };
        asked.is_done = true;
        let change = match outcome {
            // It was another mailbox that this was asked of.
            _ if self.is_foreign && at > 0 => None,
            Ok(outcome) => {
                if let Some(Code::MessageLimit { uid, .. }) = outcome.code {
                    asked.limit = Some(uid.unwrap_or_default());
                }
                self.done(at, Some(outcome))?
            }
            // A mailbox may not count its changes, whatever the server says of itself.
            Err(RequestError::Refused(_))
                if matches!(asked.what, What::Changed { .. } | What::Present) =>
            {
                self.check = Check::Flags(asked.to);
                None
            }
            Err(RequestError::Refused(_)) if asked.what == What::Found => None,
            // Nor need there be any message that could be asked for.
            Err(RequestError::Refused(_))
                if self.opened.as_ref().is_some_and(|it| it.exists == 0) =>
            {
                self.done(at, None)?
            }
            // Some servers refuse all where they can't read one.
            Err(RequestError::Refused(_)) if matches!(asked.what, What::New | What::Window) => {
                asked.is_unread = true;
                self.done(at, None)?
            }
            Err(error) => return Err(error),
        };
        let is_over = self.asked.iter().all(|asked| asked.is_done);
        if is_over {
            self.is_foreign = false;
            self.asked.clear();
        }
        Ok((change, is_over))
    }

    fn done(
        &mut self,
        at: usize,
        outcome: Option<Outcome>,
    ) -> Result<Option<Change>, RequestError> {
        let asked = &mut self.asked[at];
        let (what, mut from, to) = (asked.what, asked.from, asked.to);
        let (told, count) = (std::mem::take(&mut asked.told).into_ranges(), asked.count);
        let is_unread = asked.is_unread;
        let is_limited = asked.limit.is_some();
        if let Some(limit) = asked
            .limit
            .filter(|_| !matches!(what, What::Select | What::Found))
        {
            let lowest = told.iter().next().map(|(first, _)| first);
            let limit = Some(limit).filter(|limit| *limit > 0).or(lowest);
            let limit = limit.filter(|limit| (from..=to).contains(limit));
            from = limit.ok_or(RequestError::Incomplete)?;
        }
        let below = Some(from - u32::from(from > 0)).filter(|_| is_limited && from > 1);
        match what {
            What::Select => return Ok(self.is_open(is_limited || is_unread, outcome)),
            What::Found => self.found = told,
            What::Changed { .. } | What::Present if is_unread => self.check = Check::Flags(to),
            // Who was missed is not gone.
            What::Flags if is_unread => {
                asked.below = below;
                self.compared(to);
            }
            What::Changed { .. } => {
                asked.below = below;
                self.compared(to);
            }
            What::Present | What::Flags => {
                asked.below = below;
                let has_found = asked.has_found || what == What::Flags;
                let is_empty = self.opened.as_ref().is_some_and(|it| it.exists == 0);
                if !has_found && !is_empty {
                    // There are servers that find nothing, whatever there is.
                    self.check = Check::Flags(to);
                    return Ok(None);
                }
                let found = std::mem::take(&mut self.found);
                let missing = self.state.known.ranges(from, to).without(&told);
                let missing = missing.without(&found);
                self.compared(to);
                return Ok(self.gone(missing.iter()));
            }
            What::New if is_unread => self.new = New::Unread,
            What::New | What::NewFlags => {
                if let Some(below) = below.filter(|below| *below >= self.state.next) {
                    self.state.todo.insert(self.state.next, below);
                }
                self.new = New::Told;
                let behind = self.highest.saturating_add(1);
                let behind = behind.max(self.uid_next().unwrap_or(1));
                self.state.next = self.state.next.max(behind);
            }
            What::Window if is_unread => self.bare = Some((from, to)),
            What::WindowFlags => self.state.todo.remove(from, to),
            What::Window => {
                self.state.todo.remove(from, to);
                if !is_limited && count < WINDOW / 2 {
                    self.width = self.width.saturating_mul(2);
                } else if count > WINDOW {
                    self.width = (self.width / 2).max(1);
                }
            }
        }
        Ok(None)
    }

    /// What is known was compared in one way, up to this UID; perhaps there is another still to come.
    fn compared(&mut self, to: u32) {
        let is_it = match self.check {
            Check::Best(up_to) | Check::Flags(up_to) => up_to == to,
            Check::Done => false,
        };
        let is_check = |asked: &&Asked| {
            let what = asked.what;
            matches!(what, What::Changed { .. } | What::Present | What::Flags)
        };
        let mut checks = self.asked.iter().filter(is_check);
        // One that was refused is made up for by another.
        let is_other = matches!(self.check, Check::Flags(_))
            && checks.clone().any(|asked| asked.what != What::Flags);
        if is_it && !is_other && checks.clone().all(|asked| asked.is_done) {
            let below = checks.by_ref().filter_map(|asked| asked.below).max();
            self.checked(below);
        }
    }

    /// What is known was compared, but for those up to this UID.
    fn checked(&mut self, below: Option<u32>) {
        let is_below = |below: &u32| {
            let bounds = self.state.known.bounds();
            bounds.is_some_and(|(first, _)| first <= *below)
        };
        self.check = match (below.filter(is_below), self.check) {
            (Some(below), Check::Flags(_)) => Check::Flags(below),
            (Some(below), _) => Check::Best(below),
            (None, _) => Check::Done,
        };
        if self.check == Check::Done {
            let opened = self.opened.as_ref();
            let modseq = opened.and_then(|mailbox| mailbox.highest_modseq);
            self.state.modseq = modseq.unwrap_or_default();
        }
    }

    /// The mailbox is open.
    fn is_open(&mut self, is_limited: bool, outcome: Option<Outcome>) -> Option<Change> {
        let selected = *outcome?.selected?;
        let (validity, modseq) = (selected.uid_validity, selected.highest_modseq.unwrap_or(0));
        let (uid_next, exists) = (selected.uid_next, selected.exists);
        self.opened = Some(selected);
        // Servers that don't know the word have UIDs that stay.
        let validity = validity.filter(|validity| *validity > 0).unwrap_or(1);
        if validity != self.state.uid_validity {
            let is_reset = !self.state.is_new();
            self.is_foreign = self.asked.len() > 1;
            self.check = Check::Done;
            let mut state = SyncState::new();
            (state.uid_validity, state.modseq) = (validity, modseq);
            if let Some(next) = uid_next.filter(|next| *next > 0) {
                state.next = next;
                if next > 1 && exists > 0 {
                    state.todo.insert(1, next - 1);
                    let width = WINDOW * u64::from(next) / u64::from(exists);
                    self.width = u32::try_from(width).unwrap_or(u32::MAX).max(self.width);
                }
                self.new = New::Told;
            }
            self.state = state;
            return is_reset.then_some(Change::Reset);
        }
        // Numbers that go backwards are those of another count: a backup, perhaps.
        let counts = modseq >= self.state.modseq && modseq != 0;
        match self.check {
            Check::Best(_) if self.resyncs && counts && !is_limited => self.checked(None),
            Check::Best(to) if !counts || self.state.modseq == 0 => self.check = Check::Flags(to),
            Check::Done => self.state.modseq = modseq,
            _ => {}
        }
        None
    }
}
