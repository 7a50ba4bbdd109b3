//! A server with one mailbox, in memory, that can do as much as is wanted of it: what the
//! synchronisation of a copy is tried against.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::codec::server::{Asked, Request, RequestFrame, RequestFramer, Search, Wanted};
use crate::codec::{Limits, Messages, SequenceSet};

/// What the server can do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "any may go with any")]
pub(super) struct Can {
    pub(super) condstore: bool,
    pub(super) qresync: bool,
    pub(super) esearch: bool,
    pub(super) uid_only: bool,
    /// So many messages are worked on by a command, at the most.
    pub(super) limit: Option<usize>,
    /// CONDSTORE is announced, and this mailbox does not count.
    pub(super) has_no_modseq: bool,
    /// What a search has found is left out.
    pub(super) finds_nothing: bool,
    /// SELECT does not say which UID is next.
    pub(super) has_no_next: bool,
    /// What it says of some messages makes no sense, nor who is gone.
    pub(super) mumbles: bool,
}

impl Can {
    pub(super) fn greeting(self) -> String {
        let mut text = "* PREAUTH [CAPABILITY IMAP4rev1 ENABLE".to_owned();
        for (can, name) in [
            (self.condstore, " CONDSTORE"),
            (self.qresync, " QRESYNC"),
            (self.esearch, " ESEARCH"),
            (self.uid_only, " UIDONLY"),
        ] {
            text += if can { name } else { "" };
        }
        if let Some(limit) = self.limit {
            let _ = write!(text, " MESSAGELIMIT={limit}");
        }
        text + "] hello\r\n"
    }
}

/// A message, in short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) flags: &'static str,
    modseq: u64,
}

pub(super) const FLAGS: [&str; 4] = ["", "\\Seen", "\\Seen $Work", "\\Flagged"];

#[derive(Clone, Debug)]
pub(super) struct Mailbox {
    pub(super) validity: u32,
    pub(super) next: u32,
    modseq: u64,
    pub(super) messages: BTreeMap<u32, Message>,
    gone: BTreeMap<u32, u64>,
}

impl Mailbox {
    pub(super) fn new() -> Self {
        Self {
            validity: 1,
            next: 1,
            modseq: 10,
            messages: BTreeMap::new(),
            gone: BTreeMap::new(),
        }
    }

    /// Something happens in it.
    pub(super) fn change(&mut self, what: u8, which: u8) {
        self.modseq += 1;
        let flags = FLAGS[usize::from(which) % FLAGS.len()];
        let modseq = self.modseq;
        let uid = {
            let at = usize::from(which) % self.messages.len().max(1);
            self.messages.keys().nth(at).copied()
        };
        match (what % 8, uid) {
            (0..=3, _) => {
                // UIDs have holes.
                let uid = self.next + u32::from(which % 3);
                self.next = uid + 1;
                self.messages.insert(uid, Message { flags, modseq });
            }
            (4..=5, Some(uid)) => {
                self.messages.insert(uid, Message { flags, modseq });
            }
            (6, Some(uid)) => {
                self.messages.remove(&uid);
                self.gone.insert(uid, modseq);
            }
            (7, _) if which > 230 => {
                let messages = std::mem::take(&mut self.messages);
                let uids = 1..;
                self.messages = uids.zip(messages.into_values()).collect();
                self.next = self.messages.len() as u32 + 1;
                self.validity += 1;
                self.gone.clear();
            }
            _ => {}
        }
    }

    fn among(&self, set: &SequenceSet) -> Vec<u32> {
        let last = self.messages.keys().next_back().copied().unwrap_or(1);
        let ranges: Vec<(u32, u32)> = set.up_to(last).collect();
        let is_in = |uid: &u32| {
            ranges
                .iter()
                .any(|&(from, to)| from.min(to) <= *uid && *uid <= to.max(from))
        };
        self.messages.keys().copied().filter(is_in).collect()
    }
}

/// A connection to it.
#[expect(clippy::struct_excessive_bools, reason = "any may go with any")]
pub(super) struct Server {
    can: Can,
    framer: RequestFramer,
    qresync: bool,
    counts: bool,
    uid_only: bool,
    is_open: bool,
    /// Up to which change it has told what happened.
    told: u64,
}

impl Server {
    pub(super) fn new(can: Can) -> Self {
        Self {
            can,
            framer: RequestFramer::new(10_000),
            qresync: false,
            counts: false,
            uid_only: false,
            is_open: false,
            told: 0,
        }
    }

    /// Answers what a client says; `happen` is what happens in the mailbox before each command.
    pub(super) fn answer(
        &mut self,
        mailbox: &mut Mailbox,
        mut input: &[u8],
        mut happen: impl FnMut(&mut Mailbox),
    ) -> String {
        let mut out = String::new();
        while let Some(frame) = self.framer.next(&mut input).expect("lines are short") {
            let RequestFrame::Request(bytes) = frame else {
                self.framer.keep();
                continue;
            };
            let request = Request::read(&bytes, Limits::default());
            let request = request.unwrap_or_else(|error| panic!("{error}: {bytes:?}"));
            happen(mailbox);
            let tag = request.tag.to_str();
            self.news(mailbox, &mut out);
            let status = self.act(mailbox, &tag, request.asked, &mut out);
            let _ = write!(out, "{tag} {status}\r\n");
        }
        out
    }

    /// Tells what has happened since it last did so, as a server may with any answer.
    fn news(&mut self, mailbox: &Mailbox, out: &mut String) {
        let since = std::mem::replace(&mut self.told, mailbox.modseq);
        if !self.is_open || since == mailbox.modseq {
            return;
        }
        let gone = mailbox.gone.iter().filter(|(_, modseq)| **modseq > since);
        let gone = SequenceSet::of(gone.map(|(uid, _)| *uid));
        if let Some(gone) = gone.filter(|_| self.qresync || self.uid_only) {
            let _ = write!(out, "* VANISHED {gone}\r\n");
        }
        let _ = write!(out, "* {} EXISTS\r\n", mailbox.messages.len());
        for (uid, message) in &mailbox.messages {
            if message.modseq > since {
                self.tell(mailbox, *uid, &[Wanted::Flags], self.counts, out);
            }
        }
    }

    fn act(&mut self, mailbox: &Mailbox, tag: &str, asked: Asked, out: &mut String) -> String {
        match asked {
            Asked::Enable(names) => {
                let mut enabled = String::new();
                for name in names {
                    let name = name.to_str().to_ascii_uppercase();
                    self.qresync |= name == "QRESYNC";
                    self.counts |= self.qresync || name == "CONDSTORE";
                    self.uid_only |= name == "UIDONLY";
                    enabled = enabled + " " + &name;
                }
                let _ = write!(out, "* ENABLED{enabled}\r\n");
            }
            Asked::Select {
                condstore, resync, ..
            } => {
                assert!(
                    resync.is_none() || self.qresync,
                    "QRESYNC was not enabled: {resync:?}"
                );
                self.counts |= condstore;
                if self.is_open && self.qresync {
                    *out += "* OK [CLOSED] x\r\n";
                }
                (self.is_open, self.told) = (true, mailbox.modseq);
                let exists = mailbox.messages.len();
                let _ = write!(out, "* FLAGS (\\Seen)\r\n* {exists} EXISTS\r\n");
                let _ = write!(out, "* OK [UIDVALIDITY {}] x\r\n", mailbox.validity);
                if !self.can.has_no_next {
                    let _ = write!(out, "* OK [UIDNEXT {}] x\r\n", mailbox.next);
                }
                if self.counts && self.can.has_no_modseq {
                    *out += "* OK [NOMODSEQ] x\r\n";
                } else if self.counts {
                    let _ = write!(out, "* OK [HIGHESTMODSEQ {}] x\r\n", mailbox.modseq);
                }
                let known = resync.filter(|known| known.uid_validity == mailbox.validity);
                if let Some(known) = known.filter(|_| !self.can.has_no_modseq) {
                    let all = SequenceSet::everything();
                    let uids = known.known.unwrap_or(all);
                    self.changed(mailbox, &uids, known.modseq, true, out);
                }
                return "OK [READ-WRITE] open".to_owned();
            }
            Asked::Fetch {
                messages: Messages::Uids(set),
                items,
                changed_since,
                vanished,
            } => {
                if !self.is_open || changed_since.is_some() && self.can.has_no_modseq {
                    return "BAD not now".to_owned();
                }
                assert!(!vanished || self.qresync, "QRESYNC was not enabled");
                let (uids, code) = self.limit(mailbox.among(&set));
                let since = changed_since.unwrap_or_default();
                if vanished {
                    self.vanished(mailbox, &set, since, out);
                }
                for uid in uids {
                    let message = &mailbox.messages[&uid];
                    if message.modseq > since {
                        self.tell(mailbox, uid, &items, changed_since.is_some(), out);
                    }
                }
                return self.limited(code, out);
            }
            Asked::Search {
                uids: true,
                returns,
                search,
                ..
            } => {
                let set = match &search {
                    Search::Among(Messages::Uids(set)) => set,
                    Search::All(all) => match &all[..] {
                        [Search::Among(Messages::Uids(set))] => set,
                        other => panic!("what is {other:?}?"),
                    },
                    other => panic!("what is {other:?}?"),
                };
                let (mut found, code) = self.limit(mailbox.among(set));
                if self.can.finds_nothing {
                    found.clear();
                }
                let list = SequenceSet::of(found.iter().copied());
                if returns.is_some() {
                    let list = list.map_or(String::new(), |list| format!(" ALL {list}"));
                    let _ = write!(out, "* ESEARCH (TAG \"{tag}\") UID{list}\r\n");
                } else {
                    *out += "* SEARCH";
                    for uid in found {
                        let _ = write!(out, " {uid}");
                    }
                    *out += "\r\n";
                }
                return self.limited(code, out);
            }
            Asked::Logout | Asked::Noop | Asked::Idle => {}
            other => panic!("what is {other:?}?"),
        }
        "OK done".to_owned()
    }

    /// Those that are worked on, the highest at the most, and where that ends.
    fn limit(&self, mut uids: Vec<u32>) -> (Vec<u32>, Option<String>) {
        let Some(limit) = self.can.limit.filter(|limit| *limit < uids.len()) else {
            return (uids, None);
        };
        uids.drain(..uids.len() - limit);
        let code = format!("[MESSAGELIMIT {limit} {}]", uids[0]);
        (uids, Some(code))
    }

    fn limited(&self, code: Option<String>, out: &mut String) -> String {
        match code {
            None => "OK done".to_owned(),
            Some(code) if self.qresync => {
                let _ = write!(out, "* NO {code} too many\r\n");
                "OK [HIGHESTMODSEQ 1] done".to_owned()
            }
            Some(code) => format!("OK {code} done"),
        }
    }

    fn changed(
        &self,
        mailbox: &Mailbox,
        set: &SequenceSet,
        since: u64,
        vanished: bool,
        out: &mut String,
    ) {
        if vanished {
            self.vanished(mailbox, set, since, out);
        }
        for uid in mailbox.among(set) {
            if mailbox.messages[&uid].modseq > since {
                self.tell(mailbox, uid, &[Wanted::Flags], true, out);
            }
        }
    }

    fn vanished(&self, mailbox: &Mailbox, set: &SequenceSet, since: u64, out: &mut String) {
        let gone = mailbox.gone.iter().filter(|(uid, modseq)| {
            // A server need not remember which were gone before.
            set.contains(**uid) && (**modseq > since || self.can.esearch)
        });
        if let Some(gone) = SequenceSet::of(gone.map(|(uid, _)| *uid)) {
            let gone = if self.can.mumbles {
                "some".to_owned()
            } else {
                gone.to_string()
            };
            let _ = write!(out, "* VANISHED (EARLIER) {gone}\r\n");
        }
    }

    fn tell(&self, mailbox: &Mailbox, uid: u32, items: &[Wanted], counts: bool, out: &mut String) {
        let message = &mailbox.messages[&uid];
        let number = mailbox.messages.range(..=uid).count();
        let _ = if self.uid_only {
            write!(out, "* {uid} UIDFETCH (")
        } else {
            write!(out, "* {number} FETCH (UID {uid} ")
        };
        if items.contains(&Wanted::Size) {
            let mumbled = if self.can.mumbles && uid.is_multiple_of(3) {
                "("
            } else {
                ""
            };
            let _ = write!(out, "RFC822.SIZE {mumbled}{} ", uid * 10);
        }
        if counts || items.contains(&Wanted::ModSeq) {
            let _ = write!(out, "MODSEQ ({}) ", message.modseq);
        }
        let _ = write!(out, "FLAGS ({}))\r\n", message.flags);
    }
}
