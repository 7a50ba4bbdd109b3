//! Two ends joined by a pipe, under any schedule.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use jackfield_socket::time::{self, Instant};
use jackfield_socket::{Endpoint, ListenOptions, TcpOptions, UdpOptions};

use super::Program;
use crate::auth::Token;
use crate::{
    Chunk, Code, Config, Event, Id, Mux, Read, Reason, Role, Settings, UdpTarget, datagram_cost,
};

/// How many messages the pipe holds each way.
const PIPE: usize = 4;
/// How many bytes a stream carries after the program, at the most.
const MAX_GOAL: u64 = 250_000;
/// How long a message is on its way: so long that windows grow.
const ON_THE_WAY: Duration = Duration::from_millis(20);

/// Runs a program of openings, reads, writes and moves between a client and a relay, then lets
/// everything run to its end.
///
/// # Panics
/// Where a byte is lost, repeated or changed, a stream doesn't end where its sender ended it, a
/// datagram comes that was not sent, or the two fall silent before everything is there.
pub fn honest(data: &[u8]) {
    let mut program = Program(data);
    let window = [1, 1000, 70_000, 1_000_000][program.pick(4)];
    let mut client = End::new(Role::Client, window);
    let mut relay = End::new(Role::Relay, window.saturating_mul(3) / 2);
    while !program.is_over() {
        let side = program.pick(2);
        let (here, there) = match side {
            0 => (&mut client, &mut relay),
            _ => (&mut relay, &mut client),
        };
        match program.pick(8) {
            0 => here.open(&mut program),
            1 => here.write(&mut program),
            2 => here.read(&mut program),
            3 => here.datagram(&mut program),
            4 => here.finish(&mut program),
            5 => drop(here.transmit()),
            6 => drop(here.deliver_to(there)),
            _ => {
                here.renew();
                here.deliver_to(there);
            }
        }
        client.events();
        relay.events();
        client.mux.check();
        relay.mux.check();
    }
    let mut idle = 0;
    while idle < 3 {
        let mut moved = false;
        moved |= client.run() | relay.run();
        moved |= client.transmit() | relay.transmit();
        moved |= client.deliver_to(&mut relay) | relay.deliver_to(&mut client);
        client.events();
        relay.events();
        idle = if moved { 0 } else { idle + 1 };
    }
    client.done(&relay);
    relay.done(&client);
}

struct End {
    role: Role,
    window: u32,
    mux: Mux,
    now: Instant,
    pipe: VecDeque<Bytes>,
    streams: BTreeMap<Id, Transfer>,
    listeners: Vec<Id>,
    sockets: BTreeMap<Id, Datagrams>,
    /// How many tokens were sent, or came; and how many of them were answered.
    tokens: [u32; 2],
}

/// What one side of a stream has done.
#[derive(Default)]
struct Transfer {
    written: u64,
    read: u64,
    finished: bool,
    ended: bool,
}

#[derive(Default)]
struct Datagrams {
    sent: VecDeque<u8>,
    received: VecDeque<u8>,
    counter: u8,
}

impl End {
    fn new(role: Role, window: u32) -> Self {
        let settings = Settings {
            max_open: 12,
            token_left: Some(Duration::ZERO),
            ..Settings::default()
        };
        let config = Config {
            settings,
            window,
            accept_window: 2,
            // Not enough for all streams, where windows are large.
            budget: 4_000_000,
            ..Config::default()
        };
        let now = time::now();
        Self {
            role,
            window,
            mux: Mux::new(role, config, now),
            now,
            pipe: VecDeque::new(),
            streams: BTreeMap::new(),
            listeners: Vec::new(),
            sockets: BTreeMap::new(),
            tokens: [0; 2],
        }
    }

    /// Sends another token, where that may be.
    fn renew(&mut self) {
        if self.role == Role::Client && self.mux.can_renew() {
            self.mux.renew(Token::new("a token").expect("short"));
            self.tokens[0] += 1;
        }
    }

    fn open(&mut self, program: &mut Program<'_>) {
        let to = Endpoint::new(std::net::Ipv4Addr::LOCALHOST, 7);
        let at = "192.0.2.1:7".parse().expect("an address");
        if self.role == Role::Relay {
            for listener in self.listeners.clone() {
                if self.mux.inbound_capacity(listener) > 0
                    && let Ok(id) = self.mux.inbound(listener, at, at)
                {
                    self.streams.insert(id, Transfer::default());
                }
            }
            return;
        }
        let _ = match program.pick(4) {
            0 => self.mux.listen(at, ListenOptions::default()),
            1 => self
                .mux
                .open_udp(UdpTarget::Bound(at), UdpOptions::default()),
            _ => self.mux.connect(to, TcpOptions::default()),
        };
    }

    fn stream(&self, program: &mut Program<'_>) -> Option<Id> {
        let count = self.streams.len().max(1);
        self.streams.keys().nth(program.pick(count)).copied()
    }

    fn write(&mut self, program: &mut Program<'_>) {
        let Some(id) = self.stream(program) else {
            return;
        };
        let transfer = self.streams.get_mut(&id).expect("it is there");
        if transfer.finished {
            return;
        }
        let capacity = self.mux.capacity(id).expect("an honest stream lives");
        let length = program.length(capacity);
        let bytes = pattern(self.role, id, transfer.written, length);
        if program.pick(2) == 0 {
            let sent = self.mux.send(id, Chunk::from(&*bytes));
            sent.expect("an honest stream lives");
        } else {
            let count = self.mux.write(id, &bytes).expect("an honest stream lives");
            assert_eq!(count, length, "there was capacity");
        }
        transfer.written += length as u64;
    }

    fn finish(&mut self, program: &mut Program<'_>) {
        // Seldom, so that streams carry something first.
        if program.pick(4) == 0
            && let Some(id) = self.stream(program)
        {
            self.mux.finish(id).expect("an honest stream lives");
            self.streams.get_mut(&id).expect("it is there").finished = true;
        }
    }

    fn read(&mut self, program: &mut Program<'_>) {
        if let Some(id) = self.stream(program) {
            let limit = program.length(100_000);
            self.read_some(id, limit);
        }
    }

    fn read_some(&mut self, id: Id, limit: usize) -> bool {
        let transfer = self.streams.get_mut(&id).expect("it is there");
        match self.mux.read(id).expect("an honest stream lives") {
            Read::Data(data) => {
                assert!(!transfer.ended, "{id}: data after the end");
                let count = data.len().min(limit);
                let expected = pattern(self.role.other(), id, transfer.read, count);
                assert!(data[..count] == expected, "{id}: bytes were changed");
                self.mux.consume(id, count);
                transfer.read += count as u64;
                count > 0
            }
            Read::Pending => false,
            Read::End => !std::mem::replace(&mut transfer.ended, true),
        }
    }

    fn datagram(&mut self, program: &mut Program<'_>) {
        let count = self.sockets.len().max(1);
        let Some(id) = self.sockets.keys().nth(program.pick(count)).copied() else {
            return;
        };
        let socket = self.sockets.get_mut(&id).expect("it is there");
        let length = program.length(crate::MAX_DATAGRAM).max(1);
        socket.counter = socket.counter.wrapping_add(1);
        let datagram = vec![socket.counter; length];
        // All of its sockets are bound.
        let peer = Some(SocketAddr::from(([127, 0, 0, 1], 9)));
        let sent = self.mux.send_datagram(id, peer, &datagram, false);
        if sent.expect("an honest socket lives") {
            socket.sent.push_back(socket.counter);
        }
        assert!(datagram_cost(length) > 64);
        self.receive_datagrams(id);
    }

    fn receive_datagrams(&mut self, id: Id) -> bool {
        let socket = self.sockets.get_mut(&id).expect("it is there");
        let mut moved = false;
        while let Some(datagram) = self.mux.receive_datagram(id).expect("it lives") {
            let first = *datagram.data.first().expect("none is empty");
            assert!(datagram.data.iter().all(|byte| *byte == first));
            socket.received.push_back(first);
            moved = true;
        }
        moved
    }

    fn transmit(&mut self) -> bool {
        if self.pipe.len() >= PIPE {
            return false;
        }
        let Some(message) = self.mux.transmit() else {
            return false;
        };
        self.pipe.push_back(message.freeze());
        true
    }

    fn deliver_to(&mut self, there: &mut Self) -> bool {
        let Some(message) = self.pipe.pop_front() else {
            return false;
        };
        there.now += ON_THE_WAY;
        there.mux.receive(there.now, message);
        assert_eq!(there.mux.closed(), None, "an honest peer was given up");
        true
    }

    fn events(&mut self) {
        let at = "192.0.2.1:7".parse().ok();
        while let Some(event) = self.mux.poll_event() {
            match event {
                Event::Connect { id, .. } => {
                    self.mux.accept(id, at, at).expect("it was asked for");
                    self.streams.insert(id, Transfer::default());
                }
                Event::Listen { id, .. } => {
                    self.mux.accept(id, at, None).expect("it was asked for");
                    self.listeners.push(id);
                }
                Event::Udp { id, .. } => {
                    self.mux.accept(id, at, None).expect("it was asked for");
                    self.sockets.insert(id, Datagrams::default());
                }
                Event::Opened { id, .. } => match self.mux.read(id) {
                    Ok(_) => drop(self.streams.insert(id, Transfer::default())),
                    Err(_) if self.mux.listening(id).is_ok() => self.listeners.push(id),
                    Err(_) => drop(self.sockets.insert(id, Datagrams::default())),
                },
                Event::Inbound { id, listener, .. } => {
                    self.mux.accepted(listener);
                    self.streams.insert(id, Transfer::default());
                }
                Event::Token(_) => {
                    self.tokens[0] += 1;
                    if self.tokens[0].is_multiple_of(2) {
                        let reason = Reason::new(Code::TOKEN_UNKNOWN, "");
                        self.mux.refuse_token(reason);
                    } else {
                        self.mux.take_token(Duration::ZERO);
                    }
                    self.tokens[1] += 1;
                }
                Event::TokenLeft(_) | Event::TokenRefused(_) => {
                    self.tokens[1] += 1;
                    let refused = matches!(event, Event::TokenRefused(_));
                    assert_eq!(refused, self.tokens[1].is_multiple_of(2), "another answer");
                }
                Event::Reset { id, reason } => {
                    // The client had its limit of streams.
                    assert!(self.role == Role::Relay, "{id}: {reason}");
                    self.streams.remove(&id);
                    self.mux.close(id);
                }
                _ => {}
            }
        }
    }

    /// Brings every stream past its window and to its end, and reads whatever is there.
    fn run(&mut self) -> bool {
        let goal = u64::from(self.window) * 3;
        let mut moved = false;
        for id in self.streams.keys().copied().collect::<Vec<_>>() {
            let transfer = self.streams.get_mut(&id).expect("it is there");
            if !transfer.finished && transfer.written < goal.min(MAX_GOAL) {
                let capacity = self.mux.capacity(id).expect("an honest stream lives");
                let bytes = pattern(self.role, id, transfer.written, capacity);
                self.mux.write(id, &bytes).expect("an honest stream lives");
                transfer.written += capacity as u64;
                moved |= capacity > 0;
            } else if !std::mem::replace(&mut transfer.finished, true) {
                self.mux.finish(id).expect("an honest stream lives");
                moved = true;
            }
            moved |= self.read_some(id, usize::MAX);
        }
        for id in self.sockets.keys().copied().collect::<Vec<_>>() {
            moved |= self.receive_datagrams(id);
        }
        moved
    }

    fn done(&self, there: &Self) {
        assert_eq!(self.streams.len(), there.streams.len());
        assert_eq!(self.tokens, there.tokens, "tokens are missing");
        for (id, transfer) in &self.streams {
            let sent = &there.streams[id];
            assert!(transfer.ended, "{id}: no end came");
            assert_eq!(transfer.read, sent.written, "{id}: bytes are missing");
        }
        for (id, socket) in &self.sockets {
            assert_eq!(socket.received, there.sockets[id].sent, "{id}: datagrams");
        }
    }
}

/// What a side writes on a stream: bytes that depend on the place.
fn pattern(writer: Role, id: Id, from: u64, length: usize) -> Vec<u8> {
    let seed = u64::from(id.get()) * 7 + u64::from(writer == Role::Relay);
    (from..from + length as u64)
        .map(|place| (place.wrapping_mul(31) ^ (place >> 8) ^ seed) as u8)
        .collect()
}

impl Role {
    fn other(self) -> Self {
        match self {
            Self::Client => Self::Relay,
            Self::Relay => Self::Client,
        }
    }
}
