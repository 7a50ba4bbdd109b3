//! Synchronisation of a local copy with a mailbox, as a plan: what is to be asked next, and what the
//! answers mean. It is for mail apps that keep a copy of a mailbox, in IndexedDB or in a Maildir, and
//! bring it up to date whenever they are started or hear of a change;
//! [`Client::sync`](crate::client::Client::sync) drives it.
//!
//! Whatever the server can do, what has changed is asked for in one round trip: with QRESYNC by SELECT
//! alone; with CONDSTORE by what has changed since, and a search for those that are still there;
//! elsewhere by the flags of all messages, of which only those that differ are told. New messages are
//! asked for together with that. Those of a mailbox that was never seen come in windows, the newest
//! first.
//!
//! The [`SyncState`] is at any moment what the changes that were told make of the copy, so that what was
//! cut goes on from there:
//!
//! - A new message is known as soon as it is told, and is not asked for again.
//! - Flags are told only where they differ from those that are known. What is told again by the server
//!   since its answer was cut is not told again by this.
//! - The number of the last change that is known stays the old one until everything up to the new one
//!   was told; and the new one is that of SELECT, so that what happens meanwhile is told the next time.
//! - Which new messages are still to be told is a set: those that were not asked for, and all from a
//!   certain UID on.
//!
//! What the server says may not be understood: it is more than is kept of a response, or makes no sense.
//! Then what is known is compared by flags alone, and of the new messages that were missed only the
//! flags are asked for, so that nobody can hide a message by its form.

mod answers;
mod known;
mod state;

use super::event::Server;
use super::mailbox::Selected;
use crate::codec::{
    ChangedSince, Command, Fetch, Flag, Item, MailboxName, Messages, QResync, Query, SearchReturn,
    SequenceSet,
};
use crate::error::RequestError;
use known::{Gathering, Ranges};

pub use state::SyncState;

/// How many messages a window should have, whose UIDs may be far apart.
const WINDOW: u64 = 5_000;
/// From so many messages on, a search without ESEARCH would be answered in too long a line.
const MAX_SEARCHED: u64 = 200_000;

/// What has changed in a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// Everything: the UIDs of old mean nothing any more (UIDVALIDITY). All that is in the copy is to
    /// be forgotten; the messages come as new ones.
    Reset,
    /// The messages of these UIDs are gone. All of them were known.
    Gone(SequenceSet),
    /// A message is new: what was asked for, and its UID and flags. There are these two alone where the
    /// rest can't be read: it is larger than [`Limits`](crate::codec::Limits) allow, or makes no sense.
    New(Box<Fetch>),
    /// A message has other flags.
    Flags {
        /// Its UID.
        uid: u32,
        /// All its flags.
        flags: Vec<Flag>,
        /// The number of the change (CONDSTORE).
        modseq: Option<u64>,
    },
}

/// A synchronisation that is under way.
#[derive(Debug)]
pub struct SyncPlan {
    mailbox: MailboxName,
    items: Vec<Item>,
    /// How many ranges a set may have.
    max_ranges: usize,
    state: SyncState,
    /// What was asked, in its order, until all of it is answered.
    asked: Vec<Asked>,
    /// Whether the server tells what has changed as the mailbox is opened.
    resyncs: bool,
    /// Whether what comes is of a mailbox that has nothing in common with the copy.
    is_foreign: bool,
    /// The mailbox, once it is open.
    opened: Option<Selected>,
    /// What is to be compared, and how.
    check: Check,
    /// Who was found to be still there.
    found: Ranges,
    /// Those that are new since.
    new: New,
    /// The highest UID that was told.
    highest: u32,
    /// How many UIDs are asked for at once.
    width: u32,
    /// Of these UIDs, those that are not known yet can't be read: their flags are asked for, alone.
    bare: Option<(u32, u32)>,
}

/// How what is known is compared with what there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Check {
    /// As is best for the server, up to this UID.
    Best(u32),
    /// By UIDs and flags, up to this UID.
    Flags(u32),
    /// It was done.
    Done,
}

/// How far those are that are new since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum New {
    Untold,
    /// Some could not be read, whose flags are still to be told.
    Unread,
    Told,
}

/// Something that was asked, and what has come of it.
#[derive(Debug)]
struct Asked {
    what: What,
    /// Which UIDs it is about.
    from: u32,
    to: u32,
    /// Those that were told of.
    told: Gathering,
    /// How many new messages it told of.
    count: u64,
    /// Whether a search has told anything.
    has_found: bool,
    /// The server worked on those from this UID on only; 0 where it did not say.
    limit: Option<u32>,
    /// Up to this UID it is to be asked again.
    below: Option<u32>,
    /// Whether a part of the answer was not understood.
    is_unread: bool,
    is_done: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Select,
    /// What has changed, and perhaps who is gone.
    Changed {
        vanished: bool,
    },
    /// Who is still there.
    Present,
    /// The same, beside the flags of all.
    Found,
    /// The flags of all.
    Flags,
    New,
    Window,
    /// The flags of those that could not be read.
    NewFlags,
    WindowFlags,
}

impl What {
    fn is_of_flags(self) -> bool {
        matches!(self, Self::NewFlags | Self::WindowFlags)
    }
}

impl SyncPlan {
    /// What is to be done to bring a copy up to date of which so much is known. These items are told
    /// of new messages, with their UIDs and flags in any case. `max_set` is how long a set may be in a
    /// command, in bytes.
    pub fn new(
        mailbox: MailboxName,
        mut state: SyncState,
        items: impl IntoIterator<Item = Item>,
        max_set: usize,
    ) -> Self {
        let mut all = vec![Item::Uid, Item::Flags];
        for item in items {
            if !all.contains(&item) {
                all.push(item);
            }
        }
        // Those that were told out of their order when it was cut leave others behind.
        if let Some((_, last)) = state.known.bounds().filter(|(_, last)| *last >= state.next) {
            let mut behind = Ranges::default();
            behind.push(state.next, last);
            let left = behind.without(&state.known.ranges(state.next, last));
            for (from, to) in left.iter() {
                state.todo.insert(from, to);
            }
            state.next = last.saturating_add(1);
        }
        let check = match state.known.bounds() {
            Some((_, last)) => Check::Best(last),
            None => Check::Done,
        };
        Self {
            mailbox,
            items: all,
            max_ranges: (max_set / 22).max(1),
            state,
            asked: Vec::new(),
            resyncs: false,
            is_foreign: false,
            opened: None,
            check,
            found: Ranges::default(),
            new: New::Untold,
            highest: 0,
            width: WINDOW as u32,
            bare: None,
        }
    }

    /// What is known now: of what was told, and nothing else.
    pub fn state(&self) -> &SyncState {
        &self.state
    }

    /// What is known now.
    pub fn into_state(self) -> SyncState {
        self.state
    }

    /// The mailbox, once it is open.
    pub fn selected(&self) -> Option<&Selected> {
        self.opened.as_ref()
    }

    /// What is to be asked now, all at once, one behind the other; nothing where it is over. Before
    /// the mailbox is open, the server may be unknown: nobody is logged in yet. Before it is asked
    /// again, all must be [`completed`](Self::completed).
    ///
    /// # Errors
    /// [`RequestError::NotConnected`] where the server is unknown later on.
    pub fn commands(&mut self, server: Option<&Server>) -> Result<Vec<Command>, RequestError> {
        let mut commands = Vec::new();
        self.asked.clear();
        if self.opened.is_none() {
            let select = self.select(server);
            commands.push(select);
            if server.is_none() || self.state.is_new() {
                // What else to ask is known when this is answered.
                return Ok(commands);
            }
        }
        let server = server.ok_or(RequestError::NotConnected)?;
        self.push_check(server, &mut commands);
        if self.new != New::Told && !self.state.is_new() {
            let next = self.state.next;
            let uids = match (self.new, self.uid_next()) {
                // What has come since is the next one's, unless some of it was told: whoever can't be
                // read stands before that.
                (New::Unread, Some(behind)) => {
                    let last = (behind.max(next + 1) - 1).max(self.highest);
                    SequenceSet::range(next, last)
                }
                _ => SequenceSet::from(next),
            };
            let what = if self.new == New::Unread {
                What::NewFlags
            } else {
                What::New
            };
            commands.extend(uids.map(|uids| self.fetch(uids, what, server)));
            self.ask(what, next, u32::MAX);
        }
        if commands.is_empty() {
            commands.extend(self.window(server));
        }
        Ok(commands)
    }

    fn select(&mut self, server: Option<&Server>) -> Command {
        self.ask(What::Select, 0, 0);
        let state = &self.state;
        let has_qresync = server.is_some_and(|server| server.enabled.has("QRESYNC"));
        let bounds = state.known.bounds().filter(|_| state.modseq != 0);
        let qresync = bounds.filter(|_| has_qresync).map(|(first, last)| {
            let mut known = QResync::new(state.uid_validity, state.modseq);
            known.uids = SequenceSet::range(first, last);
            Box::new(known)
        });
        self.resyncs = qresync.is_some();
        Command::Select {
            mailbox: self.mailbox.clone(),
            read_only: false,
            condstore: true,
            qresync,
        }
    }

    fn push_check(&mut self, server: &Server, commands: &mut Vec<Command>) {
        let (to, is_best) = match self.check {
            Check::Best(to) => (to, true),
            Check::Flags(to) => (to, false),
            Check::Done => return,
        };
        let resyncs = self.resyncs && self.opened.is_none();
        let from = self.state.known.bounds().map_or(to, |(first, _)| first);
        let Some(uids) = SequenceSet::range(from.min(to), to).filter(|_| !resyncs) else {
            return;
        };
        let from = from.min(to);
        let flags = |changed_since| Command::Fetch {
            messages: Messages::Uids(uids.clone()),
            items: vec![Item::Uid, Item::Flags],
            changed_since,
        };
        let vanished = server.enabled.has("QRESYNC");
        let is_short = server.can("ESEARCH") || self.state.count() <= MAX_SEARCHED;
        let counts = server.condstore && self.state.modseq != 0;
        let search = Command::Search {
            query: Query::new().among(Messages::Uids(uids.clone())),
            uids: true,
            returns: vec![SearchReturn::All],
        };
        if !is_best || !counts || !vanished && !is_short {
            if is_short {
                // Servers may leave out messages that they can't read, which are not gone.
                commands.push(search);
                self.ask(What::Found, from, to);
            }
            commands.push(flags(None));
            return self.ask(What::Flags, from, to);
        }
        let mut since = ChangedSince::new(self.state.modseq);
        since.vanished = vanished;
        commands.push(flags(Some(since)));
        self.ask(What::Changed { vanished }, from, to);
        if !vanished {
            commands.push(search);
            self.ask(What::Present, from, to);
        }
    }

    /// From which UID on messages are new the next time, where the server says so.
    fn uid_next(&self) -> Option<u32> {
        let opened = self.opened.as_ref();
        opened.and_then(|mailbox| mailbox.uid_next)
    }

    /// The newest of those that were not asked for yet.
    fn window(&mut self, server: &Server) -> Option<Command> {
        while let Some(top) = self.state.todo.last() {
            let bare = self.bare.take();
            let (mut wanted, mut room) = (Vec::new(), self.width);
            let (mut bottom, top) = (top, bare.map_or(top, |(_, top)| top));
            let todo = bare.is_none().then(|| self.state.todo.iter());
            'ranges: for (from, to) in bare.into_iter().chain(todo.into_iter().flatten().rev()) {
                let lowest = to.saturating_sub(room - 1);
                let from = if bare.is_some() {
                    from
                } else {
                    from.max(lowest)
                };
                bottom = from;
                let mut range = Ranges::default();
                range.push(from, to);
                let left = range.without(&self.state.known.ranges(from, to));
                for (from, to) in left.iter().rev() {
                    wanted.push((from, to));
                    if wanted.len() == self.max_ranges {
                        bottom = from;
                        break 'ranges;
                    }
                }
                room = room.saturating_sub(to - from + 1);
                if room == 0 {
                    break;
                }
            }
            wanted.reverse();
            let Some(uids) = SequenceSet::of_ranges(wanted) else {
                // All of them are known.
                self.state.todo.remove(bottom, top);
                continue;
            };
            let what = if bare.is_some() {
                What::WindowFlags
            } else {
                What::Window
            };
            self.ask(what, bottom, top);
            return Some(self.fetch(uids, what, server));
        }
        None
    }

    fn fetch(&self, uids: SequenceSet, what: What, server: &Server) -> Command {
        let mut items = self.items.clone();
        if what.is_of_flags() {
            items.truncate(2);
        }
        if server.condstore && self.state.modseq != 0 && !items.contains(&Item::ModSeq) {
            items.push(Item::ModSeq);
        }
        Command::Fetch {
            messages: Messages::Uids(uids),
            items,
            changed_since: None,
        }
    }

    fn ask(&mut self, what: What, from: u32, to: u32) {
        self.asked.push(Asked {
            what,
            from,
            to,
            told: Gathering::default(),
            count: 0,
            has_found: false,
            limit: None,
            below: None,
            is_unread: false,
            is_done: false,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{Capabilities, Response, Text};
    use crate::core::event::Outcome;

    fn outcome(selected: Option<Selected>) -> Outcome {
        Outcome {
            code: None,
            text: Text::from("x"),
            selected: selected.map(Box::new),
        }
    }

    fn opened(exists: u32, uid_next: u32, modseq: u64) -> Selected {
        let mut selected = Selected::new(MailboxName::inbox(), false);
        (selected.exists, selected.uid_validity) = (exists, Some(7));
        (selected.uid_next, selected.highest_modseq) = (Some(uid_next), Some(modseq));
        selected
    }

    fn told(uid: u32, flags: &[Flag]) -> Response {
        Response::Fetch(Box::new(Fetch {
            uid: Some(uid),
            flags: Some(flags.to_vec()),
            ..Fetch::default()
        }))
    }

    /// Answers a window of a mailbox that has messages with every third UID; how many it were.
    fn answer(plan: &mut SyncPlan, commands: &[Command]) -> u32 {
        let [
            Command::Fetch {
                messages: Messages::Uids(uids),
                ..
            },
        ] = commands
        else {
            panic!("what is {commands:?}?");
        };
        let mut count = 0;
        for uid in uids.iter().filter(|uid| uid.is_multiple_of(3)) {
            // Most are read; one in a hundred is not.
            let flags = if uid % 300 == 0 {
                &[][..]
            } else {
                &[Flag::Seen]
            };
            let change = plan.take(0, told(uid, flags));
            assert!(matches!(change, Some(Change::New(_))), "{change:?}");
            count += 1;
        }
        let done = plan.completed(0, Ok(outcome(None)));
        assert_eq!(done, Ok((None, true)));
        count
    }

    #[test]
    fn a_huge_mailbox_comes_in_windows_and_its_state_is_small() {
        const MANY: u32 = 300_000;
        let mut server = Server {
            condstore: true,
            ..Server::default()
        };
        let mut plan = SyncPlan::new(MailboxName::inbox(), SyncState::new(), [], 7_500);
        let select = plan.commands(Some(&server)).expect("a server");
        assert_eq!(select.len(), 1);
        let selected = opened(MANY, MANY * 3 + 1, 40);
        let (change, is_over) = plan
            .completed(0, Ok(outcome(Some(selected))))
            .expect("open");
        assert!(change.is_none() && is_over);
        let mut windows = Vec::new();
        loop {
            let commands = plan.commands(Some(&server)).expect("a server");
            if commands.is_empty() {
                break;
            }
            windows.push(answer(&mut plan, &commands));
        }
        assert_eq!(windows.iter().sum::<u32>(), MANY);
        // UIDs that are far apart are asked for in wider windows.
        assert!(windows.iter().all(|count| *count <= 5_001), "{windows:?}");
        assert!(windows.len() <= 61, "{} windows", windows.len());
        let state = plan.into_state();
        assert_eq!(state.count(), u64::from(MANY));
        // Holes cost: three bytes a message where no two stand in a row.
        let bytes = state.to_bytes();
        assert!(bytes.len() <= 3 * MANY as usize + 100, "{}", bytes.len());
        let state = SyncState::from_bytes(&bytes).expect("it was written");

        // The next time it is all asked for in one round trip, in a few bytes.
        server.enabled = Capabilities::of([&b"QRESYNC"[..]]);
        let mut plan = SyncPlan::new(MailboxName::inbox(), state, [], 7_500);
        let commands = plan.commands(Some(&server)).expect("a server");
        let bytes = |command: &Command| {
            let encoded = command.encode("A1", crate::codec::Dialect::default());
            encoded.expect("it can be sent").bytes.len()
        };
        assert_eq!(commands.len(), 2);
        assert!(commands.iter().all(|command| bytes(command) < 80));
        // One in a hundred has other flags, and as many are gone.
        let gone: SequenceSet = "1:9000".parse().expect("a set");
        let earlier = true;
        let change = plan.take(
            0,
            Response::Vanished {
                earlier,
                uids: gone,
            },
        );
        let Some(Change::Gone(uids)) = change else {
            panic!("{change:?}");
        };
        assert_eq!(uids.count(), 3_000);
        for uid in (9_300..=MANY * 3).step_by(300) {
            let change = plan.take(0, told(uid, &[Flag::Seen]));
            assert!(matches!(change, Some(Change::Flags { .. })), "{change:?}");
            assert_eq!(plan.take(0, told(uid, &[Flag::Seen])), None);
        }
        let selected = opened(MANY - 3_000, MANY * 3 + 1, 41);
        let done = plan.completed(0, Ok(outcome(Some(selected))));
        assert_eq!(done, Ok((None, false)));
        assert_eq!(plan.state().modseq(), Some(41));
        assert_eq!(plan.completed(1, Ok(outcome(None))), Ok((None, true)));
        assert_eq!(plan.commands(Some(&server)), Ok(Vec::new()));
    }
}
