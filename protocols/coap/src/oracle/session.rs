//! The oracle of the request layer and of transfers in blocks: what they promise, whatever servers
//! answer.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jackfield_socket::driver::Peer;
use jackfield_socket::time::Instant;

use crate::RequestError;
use crate::codec::{Block, BlockSize, Code, Datagram, Links, Message, OptionNumber, Target, Token};
use crate::core::blockwise::{Assembly, Download, DownloadStep, Upload, UploadStep, cut};
use crate::core::{
    Cache, Cached, Config, ExchangeEvent, ExchangeId, Exchanges, Kind, Limits, NewExchange,
    Outgoing, Verdict,
};

/// How many requests may be under way here.
const MAX_EXCHANGES: usize = 8;
/// How large a body may be here.
const LIMIT: u64 = 4096;

/// Plays a script to the request layer, and checks after each step that its promises hold: a
/// response is accepted only from the server that was asked, with the token that it was sent; each
/// request ends once, and after that nothing is told of it; what is kept is bounded; deadlines move
/// on. What servers answer goes to the transfers and the cache too.
///
/// # Panics
/// When one of these promises is broken.
pub fn session(script: &[u8]) {
    // What a caller, or a server, gives as text.
    if let Ok(text) = str::from_utf8(script)
        && let Ok(target) = text.parse::<Target>()
    {
        assert_eq!(target.to_string().parse(), Ok(target.clone()), "{target}");
    }
    if let Ok(links) = Links::parse(script) {
        assert_eq!(links.to_string().parse(), Ok(links));
    }
    let mut bytes = script.iter().copied();
    let mut play = Play::new(bytes.next().unwrap_or(0));
    while let Some(step) = bytes.next() {
        let mut byte = || bytes.next().unwrap_or(0);
        match step % 16 {
            0..=2 => play.begin(byte(), byte()),
            3..=6 => {
                let (to, from, shape) = (byte(), byte(), [byte(), byte(), byte(), byte()]);
                play.answer(to, from, synthetic(shape));
            }
            7 => {
                let (to, from) = (byte(), byte());
                let length = usize::from(byte() % 64);
                let datagram: Vec<u8> = bytes.by_ref().take(length).collect();
                if let Ok(datagram) = Datagram::decode(&datagram) {
                    play.answer(to, from, datagram.message);
                }
            }
            8 => play.delivered(byte()),
            9 => play.undelivered(byte()),
            10 => play.cancel(byte()),
            11 => play.pass(),
            12 => play.release(),
            13 => play.connect(),
            14 => play.disconnect(),
            _ => play.now += Duration::from_millis(u64::from(byte()) * 500),
        }
        play.check();
    }
    play.end();
}

struct Play {
    now: Instant,
    exchanges: Exchanges,
    connected: bool,
    cache: Cache,
    /// Whom each one was asked of, and whether it is a group.
    open: BTreeMap<ExchangeId, (Peer, bool)>,
    cancelled: BTreeSet<ExchangeId>,
    /// The tokens that were sent on this connection, and for what.
    tokens: BTreeMap<Token, ExchangeId>,
    ids: Vec<ExchangeId>,
    upload: Upload,
    download: Download,
    received: u64,
    assembly: Assembly,
}

impl Play {
    fn new(choice: u8) -> Self {
        let now = Instant::now();
        let config = Config {
            limits: Limits {
                max_exchanges: MAX_EXCHANGES,
                max_answers: 3,
                ..Limits::default()
            },
            seed: Some(choice.into()),
            ..Config::default()
        };
        let mut exchanges = Exchanges::new(config, choice.is_multiple_of(2));
        let connected = choice < 200;
        if connected {
            exchanges.connected(now);
        }
        let size = BlockSize::ALL[usize::from(choice % 7)];
        Self {
            now,
            exchanges,
            connected,
            cache: Cache::new(2000),
            open: BTreeMap::new(),
            cancelled: BTreeSet::new(),
            tokens: BTreeMap::new(),
            ids: Vec::new(),
            upload: Upload::new(size, 3000, Some(LIMIT)),
            download: Download::new(Code::GET, (choice > 100).then_some(size), LIMIT),
            received: 0,
            assembly: Assembly::default(),
        }
    }

    fn begin(&mut self, what: u8, to: u8) {
        let kind = match what % 5 {
            0 | 1 => Kind::Single,
            2 => Kind::Told,
            3 => Kind::Observe,
            _ => Kind::Group(Duration::from_secs(5)),
        };
        let to = peer(to);
        let mut exchange = NewExchange::new(Message::new(Code::GET));
        (exchange.to, exchange.kind) = (to, kind);
        let begun = self.exchanges.begin(self.now, exchange);
        match begun {
            Ok(id) => {
                let is_group = matches!(kind, Kind::Group(_));
                assert!(self.open.insert(id, (to, is_group)).is_none());
                self.ids.push(id);
            }
            Err(RequestError::TooManyPending) => {
                assert_eq!(self.exchanges.len(), MAX_EXCHANGES);
            }
            Err(error) => panic!("{error}"),
        }
    }

    fn answer(&mut self, to: u8, from: u8, mut response: Message) {
        self.transfer(&response);
        let from = peer(from);
        if let Some(token) = self.tokens.keys().nth(usize::from(to)).copied() {
            response.set_token(token);
        }
        let token = response.token();
        let piggybacked = to % 2 == 1;
        let verdict = self
            .exchanges
            .received(self.now, from, response, piggybacked);
        if verdict == Verdict::Accept {
            let id = self
                .tokens
                .get(&token)
                .expect("a token that was never sent");
            if let Some((asked, is_group)) = self.open.get(id) {
                assert!(*asked == from || *is_group, "another one has answered");
            } else {
                assert!(self.cancelled.contains(id), "an answer to what is over");
            }
        }
    }

    /// What a server answers is also an answer to blocks, and may be what a client sends.
    fn transfer(&mut self, response: &Message) {
        let mut request = Message::new(Code::GET);
        if self.download.prepare(&mut request).is_ok() {
            match self.download.answered(response) {
                Ok(DownloadStep::Restart) => self.received = 0,
                Ok(_) => self.received += response.payload.len() as u64,
                Err(_) => {}
            }
            assert!(self.download.received() <= LIMIT);
        }
        let rest = usize::try_from(LIMIT.saturating_sub(self.upload.offset())).unwrap_or(0);
        let block = rest.min(self.upload.room());
        let mut request = Message::new(Code::PUT);
        request.payload = vec![0; block].into();
        if self.upload.prepare(&mut request, block < rest).is_ok() {
            let (before, room) = (self.upload.offset(), self.upload.room());
            match self.upload.answered(response) {
                Ok(UploadStep::Next) => {
                    assert_eq!(self.upload.offset(), before + block as u64);
                }
                Ok(UploadStep::Again) => {
                    assert_eq!(self.upload.offset(), before);
                    assert!(self.upload.room() < room);
                }
                Ok(UploadStep::Restart) => assert_eq!(self.upload.offset(), 0),
                Ok(UploadStep::Done) | Err(_) => {}
            }
        }
        if let Some(block) = response.block1() {
            let (payload, size) = (&response.payload, BlockSize::B64);
            let _ = self.assembly.take(block, payload, size, LIMIT as usize);
            assert!(self.assembly.len() as u64 <= LIMIT);
        }
        let mut part = Message::new(Code::CONTENT);
        let body = [7; 3000];
        if cut(&mut part, &body, response.block2(), BlockSize::B256, 2000).is_ok() {
            let from = part.block2().map_or(0, Block::offset) as usize;
            assert!(
                body.get(from..)
                    .is_some_and(|rest| rest.starts_with(&part.payload))
            );
        }
        let request = Message::new(Code::GET);
        self.cache.take(&request, response, self.now);
        match self.cache.look(&request, self.now) {
            Cached::Fresh(fresh) => assert_eq!(fresh.code(), Code::CONTENT),
            Cached::Stale(etag) => assert!(!etag.is_empty()),
            Cached::Nothing => {}
        }
        let _ = self.cache.revalidate(&request, response, self.now);
    }

    fn delivered(&mut self, which: u8) {
        if let Some(id) = self.ids.get(usize::from(which)) {
            self.exchanges.delivered(*id);
        }
    }

    fn undelivered(&mut self, which: u8) {
        if let Some(id) = self.ids.get(usize::from(which)) {
            let error = RequestError::Rejected;
            self.exchanges.undelivered(self.now, *id, error);
        }
    }

    fn cancel(&mut self, which: u8) {
        if let Some(id) = self.ids.get(usize::from(which)).copied() {
            self.check();
            self.exchanges.cancel(self.now, id);
            if self.open.remove(&id).is_some() {
                self.cancelled.insert(id);
            }
        }
    }

    fn pass(&mut self) {
        if let Some(deadline) = self.exchanges.deadline() {
            self.now = self.now.max(deadline);
            self.exchanges.handle_deadline(self.now);
            let next = self.exchanges.deadline();
            assert!(
                next.is_none_or(|next| next > self.now),
                "a deadline that stays"
            );
        }
    }

    fn connect(&mut self) {
        self.connected = true;
        self.exchanges.connected(self.now);
    }

    fn release(&mut self) {
        self.check();
        self.connected = false;
        self.exchanges.released();
    }

    fn disconnect(&mut self) {
        self.check();
        self.connected = false;
        self.exchanges.disconnected();
        self.tokens.clear();
        assert!(self.exchanges.poll_outgoing().is_none());
    }

    fn check(&mut self) {
        assert!(self.exchanges.len() <= MAX_EXCHANGES);
        while let Some(outgoing) = self.exchanges.poll_outgoing() {
            if let Outgoing::Send { id, message, .. } = outgoing {
                assert!(self.connected, "sent where nothing can be sent");
                let token = message.token();
                assert_eq!(token.len(), 8);
                let before = self.tokens.insert(token, id);
                assert!(before.is_none_or(|before| before == id), "a token twice");
            }
        }
        while let Some(event) = self.exchanges.poll_event() {
            let (id, last) = match event {
                ExchangeEvent::Response { id, from, last, .. } => {
                    let (asked, is_group) = self.open.get(&id).expect("a response to nothing");
                    assert!(*asked == from || *is_group);
                    (id, last)
                }
                ExchangeEvent::Failed { id, last, .. } => (id, last),
                ExchangeEvent::Done(id) => (id, true),
            };
            assert!(self.open.contains_key(&id), "told of what is over");
            if last {
                self.open.remove(&id);
            }
        }
    }

    fn end(&mut self) {
        self.exchanges.end(&RequestError::Closed);
        self.check();
        assert!(
            self.open.is_empty(),
            "requests without an end: {:?}",
            self.open
        );
        assert!(self.exchanges.is_empty());
    }
}

fn peer(number: u8) -> Peer {
    match number % 3 {
        0 => Peer::Connected,
        last => Peer::Address(([192, 0, 2, last], 5683).into()),
    }
}

/// A response that is almost right.
fn synthetic([code, options, value, length]: [u8; 4]) -> Message {
    let codes = [
        Code::CONTENT,
        Code::CONTINUE,
        Code::CHANGED,
        Code::VALID,
        Code::UNAUTHORIZED,
        Code::NOT_FOUND,
        Code::REQUEST_ENTITY_INCOMPLETE,
        Code::REQUEST_ENTITY_TOO_LARGE,
    ];
    let mut response = Message::new(codes[usize::from(code % 8)]);
    let block = Block::from_uint(u32::from(value));
    let list = response.options_mut();
    for bit in 0..8 {
        if options & 1 << bit == 0 {
            continue;
        }
        let value = u32::from(value);
        let _ = match bit {
            0 => list.set_uint(OptionNumber::OBSERVE, value << 16),
            1 => list.set_uint(OptionNumber::BLOCK1, block.map_or(0, Block::to_uint)),
            2 => list.set_uint(OptionNumber::BLOCK2, block.map_or(0, Block::to_uint)),
            3 => list.set(OptionNumber::ETAG, &[value as u8]),
            4 => list.set(OptionNumber::ECHO, &[value as u8]),
            5 => list.set_uint(OptionNumber::MAX_AGE, value << 24),
            6 => list.set_uint(OptionNumber::SIZE2, value << 4),
            _ => list.add(OptionNumber(u16::from(value as u8) * 8 + 1), b""),
        };
    }
    let length = match (length, block) {
        (0..=127, Some(block)) => block.size().bytes(),
        _ => usize::from(length),
    };
    response.payload = vec![length as u8; length].into();
    response
}
