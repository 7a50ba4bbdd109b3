//! Synchronisation of a copy with a mailbox that changes, over connections that are cut.

use std::collections::BTreeMap;

use bytes::Bytes;
use jackfield_sasl::{Channel, Credentials};
use jackfield_socket::driver::{Core, StreamCore};
use jackfield_socket::time;

use super::mailbox::{Can, Mailbox, Server};
use crate::codec::{Extension, Flag, Item, MailboxName, SequenceSet};
use crate::core::{Change, Config, RequestId, Session, SessionEvent, SyncPlan, SyncState};

/// Whatever the server can do, whatever happens in the mailbox, before and while a copy is brought up
/// to date, and wherever the connection is cut: no change is told twice, each fits the copy, the state
/// survives being stored, and in the end the copy is what the mailbox is.
///
/// The first byte is what the server can do, the second how often the copy is stored; then two bytes
/// each are something that happens.
///
/// # Panics
/// When one of these promises is broken.
pub fn sync(data: &[u8]) {
    let &[kind, stores, ref script @ ..] = data else {
        return;
    };
    let mut can = can(kind);
    can.mumbles = stores >= 0xC0;
    let mut world = World::new(can);
    world.stores = usize::from(stores % 5) + 1;
    for step in script.chunks_exact(2).take(200) {
        match step[0] {
            0..200 => world.mailbox.change(step[0], step[1]),
            // Things happen while it runs.
            200..220 => world.meanwhile.push((step[0] ^ step[1], step[1])),
            220..240 => {
                world.run(Some(usize::from(step[1]) * 8));
            }
            _ => {
                world.run(None);
            }
        }
    }
    world.settle();
}

fn can(kind: u8) -> Can {
    let bit = |at: u8| kind >> at & 1 == 1;
    let level = kind & 3;
    Can {
        condstore: level > 0,
        qresync: level == 3,
        esearch: bit(2),
        uid_only: bit(3),
        limit: bit(4).then_some(usize::from(kind >> 5 & 3) + 1),
        has_no_modseq: kind >= 0xE0 && !bit(2),
        finds_nothing: kind >= 0xE0 && bit(2),
        has_no_next: bit(7) && bit(3),
        mumbles: false,
    }
}

/// A mailbox, and the copy of it.
struct World {
    can: Can,
    mailbox: Mailbox,
    /// What happens while it runs.
    meanwhile: Vec<(u8, u8)>,
    copy: Copy,
    /// After how many changes it is stored.
    stores: usize,
    /// What was stored.
    stored: (Copy, Vec<u8>),
}

/// Flags by UIDs.
type Copy = BTreeMap<u32, Vec<Flag>>;

/// What came of a run.
#[derive(Debug, PartialEq, Eq)]
struct Run {
    /// How many bytes the server has said.
    bytes: usize,
    /// How often something was asked and the answer waited for.
    trips: usize,
    is_whole: bool,
    told: usize,
}

impl World {
    fn new(can: Can) -> Self {
        Self {
            can,
            mailbox: Mailbox::new(),
            meanwhile: Vec::new(),
            copy: Copy::new(),
            stores: 1,
            stored: (Copy::new(), SyncState::new().to_bytes()),
        }
    }

    /// Nothing more happens, and the copy is brought up to date.
    fn settle(&mut self) {
        self.meanwhile.clear();
        assert!(self.run(None).is_whole);
        let copy = |(uid, flags): (&u32, &Vec<Flag>)| {
            let mut flags: Vec<String> = flags.iter().map(ToString::to_string).collect();
            flags.sort_unstable();
            (*uid, flags.join(" "))
        };
        let copy: BTreeMap<u32, String> = self.copy.iter().map(copy).collect();
        let messages = self.mailbox.messages.iter();
        let model: BTreeMap<u32, String> = messages
            .map(|(uid, message)| {
                let mut flags: Vec<&str> = message.flags.split_whitespace().collect();
                flags.sort_unstable();
                (*uid, flags.join(" "))
            })
            .collect();
        assert_eq!(copy, model, "the copy is not what the mailbox is");
        // There is nothing more to be told.
        assert_eq!(self.run(None).told, 0, "something is told twice");
    }

    /// Brings the copy up to date, from what was stored, over one connection that is cut after so
    /// many of the server's bytes.
    fn run(&mut self, cut: Option<usize>) -> Run {
        let state = SyncState::from_bytes(&self.stored.1).expect("it was written");
        self.copy = self.stored.0.clone();
        let now = time::now();
        let mut session = Session::new(config(self.can));
        session.opened(now, Channel::encrypted());
        let mut server = Server::new(self.can);
        let mut left = cut.unwrap_or(usize::MAX);
        let mut said = self.can.greeting().into_bytes();
        let mut plan = SyncPlan::new(MailboxName::inbox(), state, [Item::Size], 60);
        let mut asked: Vec<RequestId> = Vec::new();
        let mut run = Run {
            bytes: 0,
            trips: 0,
            is_whole: false,
            told: 0,
        };
        let (mut is_ready, mut unstored) = (false, 0);
        loop {
            // What the client says, all at once, is one trip.
            let mut out = Vec::new();
            session.transmit(now, &mut out);
            if !out.is_empty() {
                run.trips += usize::from(is_ready);
                let meanwhile = &mut self.meanwhile;
                let happen = |mailbox: &mut Mailbox| {
                    if let Some((what, which)) = meanwhile.pop() {
                        mailbox.change(what, which);
                    }
                };
                said.extend(server.answer(&mut self.mailbox, &out, happen).bytes());
            }
            if said.is_empty() {
                return run;
            }
            let count = said.len().min(left);
            run.bytes += count;
            left -= count;
            let bytes = Bytes::from(std::mem::take(&mut said)).slice(..count);
            session.receive(now, &bytes).expect("it goes on");
            while let Some(event) = session.poll_event() {
                let place = |id: &RequestId| asked.iter().position(|other| other == id);
                let (change, is_over) = match event {
                    SessionEvent::Ready(_) => {
                        is_ready = true;
                        (None, true)
                    }
                    SessionEvent::Answer(id, response) => {
                        let at = place(&id).expect("it was asked for");
                        (plan.take(at, *response), false)
                    }
                    SessionEvent::Completed(id, outcome) => {
                        let at = place(&id).expect("it was asked for");
                        plan.completed(at, outcome).expect("it can be done")
                    }
                    _ => continue,
                };
                if let Some(change) = change {
                    run.told += 1;
                    self.apply(change, plan.state());
                    unstored += 1;
                    if unstored == self.stores {
                        self.stored = (self.copy.clone(), plan.state().to_bytes());
                        unstored = 0;
                    }
                }
                if is_over {
                    let commands = plan.commands(Some(session.server())).expect("a server");
                    if commands.is_empty() {
                        run.is_whole = true;
                        self.stored = (self.copy.clone(), plan.state().to_bytes());
                        return run;
                    }
                    assert!(run.trips < 200, "it does not end");
                    let ids = match plan.selected() {
                        Some(mailbox) => session.request_within(now, mailbox, commands),
                        None => session.request_together(now, commands),
                    };
                    asked = ids.expect("taken");
                }
            }
            if left == 0 {
                return run;
            }
        }
    }

    fn apply(&mut self, change: Change, state: &SyncState) {
        match change {
            Change::Reset => self.copy.clear(),
            Change::Gone(uids) => {
                for uid in uids.iter() {
                    let was = self.copy.remove(&uid);
                    assert!(was.is_some(), "{uid} is gone that was not there");
                }
            }
            Change::New(fetch) => {
                let uid = fetch.uid.expect("it has one");
                // Of those beside one that makes no sense, flags alone may be asked for too.
                let is_whole = fetch.size == Some(u64::from(uid) * 10);
                assert!(is_whole || self.can.mumbles && fetch.size.is_none());
                let was = self.copy.insert(uid, fetch.flags.expect("it has some"));
                assert_eq!(was, None, "{uid} is told twice");
            }
            Change::Flags { uid, flags, .. } => {
                let was = self.copy.insert(uid, flags.clone()).expect("it is known");
                assert_ne!(was, flags, "the flags of {uid} are told twice");
            }
        }
        let uids: Vec<u32> = state.uids().iter().flat_map(SequenceSet::iter).collect();
        let copy: Vec<u32> = self.copy.keys().copied().collect();
        assert_eq!(uids, copy, "the state is not that of the copy");
    }
}

fn config(can: Can) -> Config {
    let credentials = Credentials::password("ada", "secret").expect("credentials");
    let mut config = Config::new(credentials);
    config.id.clear();
    config.extensions = vec![Extension::QResync];
    if can.uid_only {
        config.extensions.push(Extension::UidOnly);
    }
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A mailbox of a dozen messages.
    fn world(kind: u8) -> World {
        let mut world = World::new(can(kind));
        for at in 0..12 {
            world.mailbox.change(at % 4, at);
        }
        world
    }

    /// Two messages go, two come, and two have other flags.
    fn change(mailbox: &mut Mailbox) {
        for (what, which) in [(6, 3), (4, 12), (4, 4), (0, 1), (6, 9), (0, 2)] {
            mailbox.change(what, which);
        }
    }

    #[test]
    fn a_copy_is_brought_up_to_date_whatever_the_server_can_do() {
        for (kind, mumbles) in (0..=255).flat_map(|kind| [(kind, false), (kind, true)]) {
            let mut world = world(kind);
            world.can.mumbles = mumbles;
            world.settle();
            change(&mut world.mailbox);
            let run = world.run(None);
            let most = if world.can.limit.is_some()
                || world.can.has_no_modseq
                || world.can.finds_nothing
                || mumbles
            {
                40
            } else {
                1
            };
            assert!(run.trips <= most, "{kind}, {:?}: {run:?}", world.can);
            world.settle();
            // Everything is other.
            world.mailbox.change(7, 255);
            world.settle();
            // And everything gone.
            while !world.mailbox.messages.is_empty() {
                world.mailbox.change(6, 0);
            }
            world.settle();
        }
    }

    #[test]
    fn what_makes_no_sense_is_asked_for_again() {
        let (clear, mut mumbled) = (world(7).run(None), world(7));
        mumbled.can.mumbles = true;
        let first = mumbled.run(None);
        assert!(clear.trips < first.trips, "{first:?}");
        assert_eq!(first.told, clear.told);
        change(&mut mumbled.mailbox);
        // Who is gone is asked for twice, and then all flags are compared.
        let second = mumbled.run(None);
        assert!(
            second.is_whole && (3..=4).contains(&second.trips),
            "{second:?}"
        );
        mumbled.settle();
    }

    /// With QRESYNC, with CONDSTORE alone, with and without ESEARCH, and with nothing; with numbers, and
    /// with UIDs only; and with two messages a command.
    const KINDS: [u8; 10] = [0, 1, 5, 7, 8, 9, 13, 15, 0x39, 0x3f];

    #[test]
    fn a_first_run_that_is_cut_anywhere_goes_on() {
        for kind in KINDS {
            let whole = world(kind).run(None);
            assert!(whole.is_whole, "{kind}");
            for cut in 0..whole.bytes {
                let mut world = world(kind);
                world.stores = usize::from(kind % 3) + 1;
                world.run(Some(cut));
                if cut % 2 == 0 {
                    change(&mut world.mailbox);
                    world.run(Some(cut / 2));
                }
                world.settle();
            }
        }
    }

    #[test]
    fn a_further_run_that_is_cut_anywhere_goes_on() {
        for kind in KINDS {
            let mut settled = world(kind);
            settled.settle();
            change(&mut settled.mailbox);
            let fresh = || {
                let mut other = World::new(settled.can);
                other.mailbox = settled.mailbox.clone();
                other.stored = settled.stored.clone();
                other
            };
            let whole = fresh().run(None);
            assert!(whole.is_whole && whole.told >= 5, "{kind}: {whole:?}");
            for cut in 0..whole.bytes {
                let mut world = fresh();
                world.run(Some(cut));
                if cut % 2 == 0 {
                    change(&mut world.mailbox);
                }
                world.settle();
            }
        }
    }

    #[test]
    fn whatever_happens_the_copy_is_the_mailbox_in_the_end() {
        for seed in 0..300 {
            let mut random = fastrand::Rng::with_seed(seed);
            let length = random.usize(..80);
            let script: Vec<u8> = (0..length).map(|_| random.u8(..)).collect();
            sync(&script);
        }
    }
}
