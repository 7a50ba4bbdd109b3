//! One end against a peer that sends anything, while its own application does anything.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use jackfield_socket::time::{self, Instant};
use jackfield_socket::{Endpoint, ListenOptions, TcpOptions, UdpOptions};

use super::Program;
use crate::auth::Token;
use crate::{
    Chunk, Code, Config, Event, Frame, Id, Mux, Read, Reason, Role, Settings, UdpTarget,
    datagram_cost,
};

/// Small windows, so that a short program passes them.
const WINDOW: u32 = 100_000;
const MAX_OPEN: u32 = 8;
const TOKEN_LEFT: Duration = Duration::from_mins(5);

/// Runs a program of frames from a hostile peer and local actions against one end.
///
/// # Panics
/// Where the end's promises are broken: it sends what the peer gave no credit for, or after its own
/// end; hands on bytes after an end; keeps more than its bounds; or lives on after a breach.
pub fn hostile(data: &[u8]) {
    let mut program = Program(data);
    let role = [Role::Client, Role::Relay][program.pick(2)];
    let settings = Settings {
        max_open: MAX_OPEN,
        token_left: Some(TOKEN_LEFT),
        ..Settings::default()
    };
    let config = Config {
        settings,
        window: WINDOW,
        datagram_window: 150_000,
        accept_window: 3,
        budget: 10 * WINDOW,
    };
    let start = time::now();
    let mut world = World {
        role,
        mux: Mux::new(role, config, start),
        now: start,
        sent: BTreeMap::new(),
        read: BTreeMap::new(),
        received: BTreeMap::new(),
        tokens: 0,
        said_goodbye: false,
        next_peer_id: if role == Role::Relay { 1 } else { 2 },
    };
    if program.pick(8) != 0 {
        world.receive(&Frame::Hello(settings));
    }
    while !program.is_over() {
        if program.pick(2) == 0 {
            world.hostile_step(&mut program);
        } else {
            world.local_step(&mut program);
        }
        world.events();
        world.mux.check();
        if world.mux.closed().is_some() && program.byte() < 16 {
            break;
        }
    }
    while world.transmit() {}
    world.mux.check();
}

struct World {
    role: Role,
    mux: Mux,
    now: Instant,
    /// What the end has said of each identifier.
    sent: BTreeMap<Id, Sent>,
    /// What its application has read.
    read: BTreeMap<Id, Reading>,
    /// How many bytes of data came.
    received: BTreeMap<Id, u64>,
    /// How many tokens wait for their answer.
    tokens: u32,
    said_goodbye: bool,
    next_peer_id: u32,
}

#[derive(Default)]
struct Sent {
    credit: u64,
    used: u64,
    finished: bool,
    over: bool,
}

#[derive(Default)]
struct Reading {
    bytes: u64,
    over: bool,
}

impl World {
    fn receive(&mut self, frame: &Frame) {
        let message = frame.encode().freeze();
        if self.mux.closed().is_none() {
            match frame {
                Frame::Connect { id, credit, .. }
                | Frame::Udp { id, credit, .. }
                | Frame::Opened { id, credit, .. }
                | Frame::Inbound { id, credit, .. } => {
                    self.sent.entry(*id).or_default().credit += u64::from(*credit);
                }
                Frame::Credit { id, more } => {
                    self.sent.entry(*id).or_default().credit += u64::from(*more);
                }
                Frame::Data { id, data } => {
                    *self.received.entry(*id).or_default() += data.len() as u64;
                }
                Frame::Token(_) => self.tokens += 1,
                Frame::TokenLeft(_) | Frame::TokenRefused(_) => {
                    self.tokens = self.tokens.saturating_sub(1);
                }
                _ => {}
            }
        }
        self.mux.receive(self.now, message);
    }

    /// An identifier: mostly one that is in use, so that the end lives long enough to be tried.
    fn id(&self, program: &mut Program<'_>) -> Id {
        let choice = program.byte();
        let open = self.mux.open_count();
        let in_use = self.mux.ids().nth(usize::from(choice) % open.max(1));
        match in_use {
            Some(id) if choice < 240 => id,
            _ => Id::new(u32::from(choice % 18) + 1).expect("not 0"),
        }
    }

    /// An identifier for something new: mostly a good one.
    fn new_id(&mut self, program: &mut Program<'_>) -> Id {
        if program.byte() < 250 {
            self.next_peer_id += 2;
        }
        Id::new(self.next_peer_id).expect("not 0")
    }

    fn hostile_step(&mut self, program: &mut Program<'_>) {
        let id = self.id(program);
        let credit = [0, 1, 1000, 200_000, 3_000_000_000][program.pick(5)];
        let to = || Endpoint::new(std::net::Ipv4Addr::LOCALHOST, 7);
        let at = "192.0.2.1:7".parse().expect("an address");
        let reason = || Reason::new(Code(program_code(credit)), "because");
        let relay = self.role == Role::Relay;
        let frame = match program.pick(64) {
            0 => Frame::Hello(Settings::default()),
            1 => Frame::GoAway(Reason::new(
                [Code::GOING_AWAY, Code::FAILED][program.pick(2)],
                "",
            )),
            2 => {
                let length = program.pick(40);
                let message = Bytes::copy_from_slice(program.slice(length));
                // The others are counted in `receive`; these can only be refused or harmless.
                if message
                    .first()
                    .is_some_and(|kind| matches!(*kind, 0..0x10 | 0x80..=0x81 | 0x85..))
                {
                    self.mux.receive(self.now, message);
                }
                return;
            }
            3..=4 => Frame::Ping([1; 8]),
            5 if relay => Frame::Token(token()),
            5 if credit < 1000 => Frame::TokenRefused(reason()),
            5 => Frame::TokenLeft(TOKEN_LEFT),
            6..=12 if relay => Frame::Connect {
                id: self.new_id(program),
                credit,
                to: to(),
                options: TcpOptions::default(),
            },
            13..=15 if relay => Frame::Listen {
                id: self.new_id(program),
                credit,
                stream_credit: 1000,
                at,
                options: ListenOptions::default(),
            },
            16..=18 if relay => Frame::Udp {
                id: self.new_id(program),
                credit,
                target: UdpTarget::Connected(to()),
                options: UdpOptions::default(),
            },
            6..=18 => Frame::Opened {
                id,
                credit,
                local: Some(at),
                remote: None,
            },
            19 => Frame::Refused {
                id,
                reason: reason(),
            },
            20..=23 => Frame::Inbound {
                id: self.new_id(program),
                listener: id,
                credit,
                local: at,
                remote: at,
            },
            24..=39 => Frame::Data {
                id,
                data: vec![7; program.length(30_000).max(1)].into(),
            },
            40..=45 => Frame::Credit {
                id,
                more: credit.max(1),
            },
            46..=50 => Frame::Fin { id },
            51..=55 => Frame::Reset {
                id,
                reason: reason(),
            },
            56..=61 => Frame::Datagram {
                id,
                peer: None,
                truncated: false,
                data: vec![9; program.length(30_000)].into(),
            },
            62 => Frame::Unreachable {
                id,
                reason: reason(),
            },
            _ => Frame::Dropped { id, total: 3 },
        };
        // What can't be for this identifier ends the connection; let that be rare.
        let fits = self.mux.takes(&frame);
        if !fits && program.byte() < 250 {
            return;
        }
        self.receive(&frame);
    }

    fn local_step(&mut self, program: &mut Program<'_>) {
        let id = self.id(program);
        let at = "192.0.2.1:7".parse().expect("an address");
        match program.pick(16) {
            0 if self.role == Role::Client => {
                let to = Endpoint::new(std::net::Ipv4Addr::LOCALHOST, 7);
                let _ = match program.pick(3) {
                    0 => self.mux.connect(to, TcpOptions::default()),
                    1 => self.mux.listen(at, ListenOptions::default()),
                    _ => self
                        .mux
                        .open_udp(UdpTarget::Connected(to), UdpOptions::default()),
                };
            }
            0 => {
                if let Ok(stream) = self.mux.inbound(id, at, at) {
                    // A listener's streams begin with what LISTEN said.
                    self.sent.entry(stream).or_default().credit += 1000;
                }
            }
            1 if self.role == Role::Relay => {
                drop(self.mux.accept(id, Some(at), None));
                self.mux.take_token(TOKEN_LEFT);
            }
            1 => {
                self.mux.accepted(id);
                self.mux.renew(token());
            }
            2 => {
                self.mux.refuse(id, Reason::new(Code::REFUSED, ""));
                self.mux.refuse_token(Reason::new(Code::TOKEN_UNKNOWN, ""));
            }
            3..=4 => {
                if let Ok(capacity) = self.mux.capacity(id) {
                    let length = program.length(capacity);
                    let chunk = Chunk::from(&*vec![5; length]);
                    self.mux.send(id, chunk).expect("there was capacity");
                }
            }
            5 => drop(self.mux.write(id, &vec![6; program.length(70_000)])),
            6 => drop(self.mux.finish(id)),
            7..=9 => self.read(id, program),
            10 => self.mux.close(id),
            11 => self.mux.reset(id, &Reason::new(Code::RESET, "")),
            12 => {
                let datagram = vec![8; program.length(70_000)];
                let _ = self.mux.send_datagram(id, None, &datagram, false);
                let _ = self.mux.receive_datagram(id);
            }
            13 if program.pick(16) == 0 => self.mux.go_away("", Duration::from_secs(3)),
            14 if program.pick(4) == 0 => {
                self.now += Duration::from_secs(program.byte().into());
                self.mux.handle_deadline(self.now);
            }
            _ => {
                self.transmit();
            }
        }
    }

    fn read(&mut self, id: Id, program: &mut Program<'_>) {
        let reading = self.read.entry(id).or_default();
        match self.mux.read(id) {
            Ok(Read::Data(data)) => {
                assert!(!reading.over, "{id}: data after the end");
                assert!(!data.is_empty());
                let count = program.length(data.len());
                reading.bytes += count as u64;
                let received = self.received.get(&id).copied().unwrap_or(0);
                assert!(reading.bytes <= received, "{id}: more than came");
                self.mux.consume(id, count);
            }
            Ok(Read::Pending) => assert!(!reading.over, "{id}: alive after the end"),
            Ok(Read::End) => reading.over = true,
            Err(_) => {}
        }
    }

    /// Sends one message and looks at it as the peer would.
    fn transmit(&mut self) -> bool {
        let Some(message) = self.mux.transmit() else {
            return false;
        };
        assert!(!self.said_goodbye, "something follows the last word");
        let frame = Frame::decode(message.freeze()).expect("it sends frames");
        match frame {
            Frame::Data { id, data } => self.spend(id, data.len() as u64),
            Frame::Datagram { id, data, .. } => {
                self.spend(id, datagram_cost(data.len()).into());
            }
            Frame::Fin { id } => {
                self.spend(id, 0);
                self.sent.entry(id).or_default().finished = true;
            }
            Frame::Reset { id, .. } | Frame::Refused { id, .. } => {
                let sent = self.sent.entry(id).or_default();
                assert!(!sent.over, "{id}: cut twice");
                sent.over = true;
            }
            Frame::Token(_) => {
                assert_eq!((self.role, self.tokens), (Role::Client, 0), "a token");
                self.tokens += 1;
            }
            Frame::TokenLeft(_) | Frame::TokenRefused(_) => {
                let left = self
                    .tokens
                    .checked_sub(1)
                    .filter(|_| self.role == Role::Relay);
                self.tokens = left.expect("a token was answered that did not come");
            }
            Frame::GoAway(reason) => self.said_goodbye = reason.code() != Code::GOING_AWAY,
            Frame::Credit { id, .. } => {
                assert!(
                    !self.sent.entry(id).or_default().over,
                    "{id}: credit after its end"
                );
            }
            _ => {}
        }
        true
    }

    fn spend(&mut self, id: Id, amount: u64) {
        let sent = self.sent.entry(id).or_default();
        assert!(!sent.over && !sent.finished, "{id}: data after its end");
        sent.used += amount;
        assert!(
            sent.used <= sent.credit,
            "{id}: more than there was credit for"
        );
    }

    fn events(&mut self) {
        let mut count = 0;
        while let Some(event) = self.mux.poll_event() {
            count += 1;
            assert!(count < 100, "events without end");
            if let Event::Refused { id, .. } = event {
                assert_eq!(self.role, Role::Client, "{id}");
            }
        }
    }
}

fn token() -> Token {
    Token::new("a token").expect("short")
}

fn program_code(seed: u32) -> u8 {
    (seed % 60) as u8
}
