//! Turns: what hangs on a session, from when its client asks for it until it is over.

use std::task::Context as TaskContext;

use jackfield_relay_wire::{Code, Event, Id, Reason, UdpTarget};
use tokio::time::Instant;
use tracing::debug;

use super::item::{Entry, Item, Shared, Turn};
use super::open::{Opened, Opening, Refused};
use super::{Session, reached_by};
use crate::identity::Grant;
use crate::policy::Transport;
use crate::record::{Action, Case};

/// How many turns there are in one round: what comes meanwhile waits so long.
const TURNS_A_ROUND: usize = 4;
/// What each turn costs, in bytes, beside those that it carries.
const TURN: u64 = 1024;

impl Session<'_> {
    pub(super) fn wake(&self, id: Id) {
        if self.items.contains_key(&id) {
            self.ready.wake(id);
        }
    }

    /// Begins to open what the client asks for, or refuses it.
    pub(super) fn open(&mut self, asked: Event) {
        let Some((id, case)) = self.case(&asked) else {
            return;
        };
        let (grant, context, who) = (&self.grant, self.context, &self.clerk.who);
        let opening = match asked {
            Event::Connect { to, options, .. } => {
                Opening::connect(grant, context, who, to, options)
            }
            Event::Listen { at, options, .. } => Opening::listen(grant, context, who, at, &options),
            Event::Udp {
                target, options, ..
            } => Opening::udp(grant, context, who, target, options),
            _ => return,
        };
        match opening {
            Ok(opening) => self.insert(id, Item::Opening(opening), case),
            Err(refused) => self.refuse(id, case, refused),
        }
    }

    /// The client was told at once that it can't be.
    pub(super) fn declined(&mut self, asked: &Event, reason: &Reason) {
        if let Some((id, case)) = self.case(asked) {
            let refused = Refused::declined(&case, reason);
            if reason.code() == Code::GOING_AWAY {
                // It is no fault of the client's, which will hear of it.
                self.counters.refused += 1;
                refused.tell(id, case);
            } else {
                self.refuse(id, case, refused);
            }
        }
    }

    /// The case of what the client asks for, if it is that.
    fn case(&self, asked: &Event) -> Option<(Id, Case)> {
        let (id, action, transport, what) = match asked {
            Event::Connect { id, to, .. } => (*id, Action::Connect, Transport::Tcp, to.to_string()),
            Event::Listen { id, at, .. } => (*id, Action::Listen, Transport::Tcp, at.to_string()),
            Event::Udp { id, target, .. } => {
                let (action, what) = match target {
                    UdpTarget::Connected(to) => (Action::Connect, to.to_string()),
                    UdpTarget::Bound(at) => (Action::Bind, at.to_string()),
                };
                (*id, action, Transport::Udp, what)
            }
            _ => return None,
        };
        Some((id, self.clerk.case(id, action, transport, what)))
    }

    /// Tells the client that it can't be.
    fn refuse(&mut self, id: Id, case: Case, refused: Refused) {
        self.counters.refused += 1;
        self.mux.refuse(id, refused.tell(id, case));
        self.count_refusal();
    }

    /// Too many refusals end the session: each costs the relay more than asking for it costs the client.
    pub(super) fn count_refusal(&mut self) {
        let Grant { token, usage, .. } = &*self.grant;
        if let Err(reached) = usage.refuse(&token.limits, Instant::now()) {
            self.shut_down(reached);
        }
    }

    fn insert(&mut self, id: Id, item: Item, case: Case) {
        let counted = self.context.metrics().hangs(item.kind());
        let entry = Entry {
            item,
            waker: self.ready.waker(id),
            case,
            mark: 0,
            _counted: counted,
        };
        self.items.insert(id, entry);
        self.ready.wake(id);
        self.idle_since = None;
    }

    pub(super) fn remove(&mut self, id: Id) {
        self.items.remove(&id);
        self.ready.remove(id);
        if self.items.is_empty() {
            self.idle_since = Some(Instant::now());
        }
    }

    /// The client has cut, closed or cancelled it.
    pub(super) fn reset(&mut self, id: Id, reason: &Reason) {
        let entry = self.items.get_mut(&id).map(|entry| {
            entry.case.ending(reason);
            &mut entry.item
        });
        match entry {
            // What it sent before it ended its own direction still goes out.
            Some(Item::Stream(_)) => self.wake(id),
            Some(Item::Opening(_) | Item::Listener(_) | Item::Udp(_)) => {
                debug!(%id, %reason, "closed by the client");
                self.mux.close(id);
                self.remove(id);
            }
            None => {}
        }
    }

    /// Whether anything was done, or is left to be.
    pub(super) fn take_turns(&mut self) -> bool {
        let mut worked = false;
        let over = self.mux.closed().is_some();
        for _ in 0..TURNS_A_ROUND {
            // A turn has ended the session, and with it those of the others.
            if !over && self.mux.closed().is_some() {
                return true;
            }
            let Some(id) = self.ready.next() else {
                return worked;
            };
            let Some(entry) = self.items.get_mut(&id) else {
                self.ready.remove(id);
                continue;
            };
            let mut cx = TaskContext::from_waker(&entry.waker);
            let before = (self.counters.bytes_up, self.counters.bytes_down);
            let mut shared = Shared {
                case: &mut entry.case,
                mux: &mut self.mux,
                scratch: &mut self.scratch,
                counters: &mut self.counters,
                grant: &self.grant,
                context: self.context,
                expires: self.expires,
            };
            let turn = match &mut entry.item {
                Item::Opening(opening) => opening.turn(&mut cx),
                Item::Stream(stream) => stream.turn(&mut cx, id, &mut shared),
                Item::Listener(listener) => listener.turn(&mut cx, id, &mut shared),
                Item::Udp(socket) => socket.turn(&mut cx, id, &mut shared),
            };
            let counters = &self.counters;
            let up = counters.bytes_up - before.0;
            let down = counters.bytes_down - before.1;
            entry.case.carried(up, down);
            worked |= !matches!(turn, Turn::Waiting);
            match turn {
                Turn::Waiting => {}
                // At most a chunk each way, which fits.
                Turn::Worked => self.ready.again(id, (TURN + up + down) as u32),
                Turn::Opened(opened) => self.opened(id, *opened),
                Turn::Accepted(stream, pump, remote) => {
                    self.ready.again(id, TURN as u32);
                    self.counters.opened += 1;
                    let basis = entry.case.basis().clone();
                    let (accept, tcp) = (Action::Accept, Transport::Tcp);
                    let mut case = self.clerk.case(stream, accept, tcp, remote.to_string());
                    case.open(Some(remote), basis);
                    self.insert(stream, Item::Stream(*pump), case);
                }
                Turn::Over => {
                    self.mux.close(id);
                    self.remove(id);
                }
            }
        }
        worked || !self.ready.is_empty()
    }

    /// Tells the client what has become of an opening.
    fn opened(&mut self, id: Id, opened: Opened) {
        self.ready.remove(id);
        let Some(Entry { mut case, .. }) = self.items.remove(&id) else {
            return;
        };
        match opened {
            Ok(open) => {
                debug!(%id, local = ?open.local, remote = ?open.remote, "opened");
                // The client may have cancelled it in this very moment; then it is dropped.
                let local = open.local.map(|local| reached_by(local, open.advertised));
                if self.mux.accept(id, local, open.remote).is_ok() {
                    self.counters.opened += 1;
                    case.open(open.remote.or(open.local), open.basis);
                    self.insert(id, open.item, case);
                }
            }
            Err(refused) => self.refuse(id, case, refused),
        }
        if self.items.is_empty() {
            self.idle_since = Some(Instant::now());
        }
    }
}
