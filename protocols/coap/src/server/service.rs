//! A service: what a server keeps of those who ask it by one socket or connection, bodies in
//! transfer and who observes what.

use std::collections::BTreeMap;
use std::time::Duration;

use jackfield_socket::driver::Peer;
use jackfield_socket::time::Instant;

use super::site::{Site, path_of};
use crate::codec::{Block, BlockSize, Code, Message, OptionNumber, Token};
use crate::core::blockwise::{Assembly, BlockError, Taken, cut};
use crate::core::{
    MessageLayer, NoResponse, Received, Reception, Reliability, Session, SessionEvent,
    TransmissionId,
};

/// What a message has besides its body, at the most: room for it is kept in each message.
const OVERHEAD: usize = 256;
/// How many responses that take their time are kept; further ones are given at once.
const MAX_DELAYED: usize = 64;

#[derive(Debug)]
pub(super) struct Service {
    site: Site,
    /// Requests whose bodies are coming.
    arriving: BTreeMap<TransferKey, Transfer<Assembly>>,
    /// Responses whose bodies are going.
    leaving: BTreeMap<TransferKey, Transfer<Message>>,
    observers: BTreeMap<(Peer, Token), Observer>,
    /// Notifications that wait for their acknowledgement.
    notifying: BTreeMap<TransmissionId, (Peer, Token)>,
    delayed: Vec<(Instant, Reception, Message)>,
    /// What was given as Observe last.
    sequence: u32,
}

/// Who transfers what: the request, without what differs between its blocks.
type TransferKey = (Peer, Vec<u8>);

#[derive(Debug)]
struct Transfer<T> {
    what: T,
    bytes: usize,
    last_used: Instant,
}

#[derive(Debug)]
struct Observer {
    /// The request, as if it came again.
    request: Message,
    path: Vec<String>,
    /// The version that was told last.
    version: u64,
    outstanding: Option<TransmissionId>,
}

impl Service {
    pub(super) fn new(site: Site) -> Self {
        let millis = web_time::SystemTime::now().duration_since(web_time::UNIX_EPOCH);
        let millis = millis.map_or(0, |since| since.as_millis());
        Self {
            site,
            arriving: BTreeMap::new(),
            leaving: BTreeMap::new(),
            observers: BTreeMap::new(),
            notifying: BTreeMap::new(),
            delayed: Vec::new(),
            // A server that starts again goes on behind the numbers that it gave before, unless
            // those were more than 125 a second (RFC 7641, section 4.4, has the idea).
            sequence: (millis / 8) as u32 & 0x00ff_ffff,
        }
    }

    pub(super) fn take<L: MessageLayer>(
        &mut self,
        session: &mut Session<L>,
        event: SessionEvent,
        now: Instant,
    ) {
        match event {
            SessionEvent::Request(Received {
                reception, message, ..
            }) => self.answer(session, &reception, message, now),
            SessionEvent::Delivered(id) => {
                if let Some(observer) = self.notifying.remove(&id)
                    && let Some(state) = self.observers.get_mut(&observer)
                {
                    state.outstanding = None;
                    self.notify(session, observer, now);
                }
            }
            SessionEvent::Undelivered(id, _) => {
                // Gone, or it has said that it wants no more (RFC 7641, section 4.5).
                if let Some(observer) = self.notifying.remove(&id) {
                    self.observers.remove(&observer);
                }
            }
            SessionEvent::Exchange(_) | SessionEvent::Ready | SessionEvent::Store(..) => {}
        }
    }

    /// Tells of what has changed.
    pub(super) fn changed<L: MessageLayer>(&mut self, session: &mut Session<L>, now: Instant) {
        let observers: Vec<(Peer, Token)> = self.observers.keys().copied().collect();
        for observer in observers {
            self.notify(session, observer, now);
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let timeout = self.site.config.transfer_timeout;
        let arriving = self.arriving.values().map(|it| it.last_used + timeout);
        let leaving = self.leaving.values().map(|it| it.last_used + timeout);
        let delayed = self.delayed.iter().map(|(at, _, _)| *at);
        arriving.chain(leaving).chain(delayed).min()
    }

    pub(super) fn handle_deadline<L: MessageLayer>(
        &mut self,
        session: &mut Session<L>,
        now: Instant,
    ) {
        let timeout = self.site.config.transfer_timeout;
        self.arriving.retain(|_, it| it.last_used + timeout > now);
        self.leaving.retain(|_, it| it.last_used + timeout > now);
        let delayed = std::mem::take(&mut self.delayed);
        for (at, reception, response) in delayed {
            if at <= now {
                let _ = session.respond(now, &reception, response);
            } else {
                self.delayed.push((at, reception, response));
            }
        }
    }

    fn answer<L: MessageLayer>(
        &mut self,
        session: &mut Session<L>,
        reception: &Reception,
        mut request: Message,
        now: Instant,
    ) {
        let peer = reception.from();
        let (size, most) = limits(&self.site, session.layer(), peer);
        let unwanted = request.options().uint(OptionNumber::NO_RESPONSE);
        let unwanted = NoResponse::from_bits(unwanted.unwrap_or_default() as u8);
        let (response, delay) = self.respond(&mut request, peer, size, most, now);
        if unwanted.covers(response.code()) {
            session.acknowledge(now, reception);
            return;
        }
        match delay {
            Some(delay) if self.delayed.len() < MAX_DELAYED => {
                self.delayed.push((now + delay, *reception, response));
            }
            _ => {
                // Where it can't be sent, the client asks again, or gives up.
                let _ = session.respond(now, reception, response);
            }
        }
    }

    fn respond(
        &mut self,
        request: &mut Message,
        peer: Peer,
        size: BlockSize,
        most: usize,
        now: Instant,
    ) -> (Message, Option<Duration>) {
        let block1 = match self.collect(request, peer, size, now) {
            Ok(block1) => block1,
            Err(response) => return (response, None),
        };
        // A body that came in blocks does not come again with the requests for the response's.
        let key = (peer, response_key(request, block1.is_none()));
        let asked = request.block2();
        let going = asked.filter(|asked| asked.number() > 0);
        let kept = going.and_then(|_| self.leaving.get_mut(&key));
        let (mut response, delay) = if let Some(kept) = kept {
            // A part of what was replied before.
            kept.last_used = now;
            (kept.what.clone(), None)
        } else if going.is_some() && !matches!(request.code(), Code::GET | Code::FETCH) {
            // What it did is not to be done again.
            (refusal(BlockError::Incomplete), None)
        } else {
            let reply = self.site.reply(request);
            let mut response = reply.message;
            if going.is_none() {
                self.observe(request, peer, &mut response);
            }
            (response, reply.delay)
        };
        self.put_in_blocks(&mut response, key, asked, size, most, now);
        if let Some(block1) = block1 {
            response.set_block1(block1);
        }
        (response, delay)
    }

    /// Takes a block of a request's body. Returns what Block1 is in the response, once the request
    /// has all of its body; until then, the response to the block.
    fn collect(
        &mut self,
        request: &mut Message,
        peer: Peer,
        size: BlockSize,
        now: Instant,
    ) -> Result<Option<Block>, Message> {
        let Some(block) = request.block1() else {
            return Ok(None);
        };
        let key = (peer, transfer_key(request, true));
        let config = &self.site.config;
        let others = self.bytes() - self.arriving.get(&key).map_or(0, |it| it.bytes);
        let limit = usize::try_from(config.limits.max_body)
            .unwrap_or(usize::MAX)
            .min(config.max_transfer_bytes.saturating_sub(others));
        let announced = request.options().uint(OptionNumber::SIZE1);
        let is_too_large = announced.is_some_and(|size| size as usize > limit);
        let mut transfer = self.arriving.remove(&key).unwrap_or_else(|| Transfer {
            what: Assembly::default(),
            bytes: 0,
            last_used: now,
        });
        let taken = if is_too_large {
            Err(BlockError::TooLarge {
                limit: limit as u64,
            })
        } else {
            let payload = &request.payload;
            transfer.what.take(block, payload, size, limit)
        };
        match taken {
            Ok(Taken::Complete(block)) => {
                request.payload = transfer.what.into_body().into();
                Ok(Some(block))
            }
            Ok(Taken::More(block)) => {
                transfer.bytes = transfer.what.len();
                transfer.last_used = now;
                self.make_room();
                self.arriving.insert(key, transfer);
                let mut response = Message::new(Code::CONTINUE);
                response.set_block1(block);
                Err(response)
            }
            Err(error) => Err(refusal(error)),
        }
    }

    /// Gives a response the part of its body that was asked for, and keeps all of it where more
    /// will be asked for.
    fn put_in_blocks(
        &mut self,
        response: &mut Message,
        key: TransferKey,
        asked: Option<Block>,
        size: BlockSize,
        most: usize,
        now: Instant,
    ) {
        if !response.code().is_success() {
            return;
        }
        let whole = response.clone();
        let body = std::mem::take(&mut response.payload);
        if let Err(error) = cut(response, &body, asked, size, most) {
            *response = refusal(error);
            return;
        }
        if !response.block2().is_some_and(Block::more) {
            return;
        }
        // The blocks of one representation are told from another's by the entity-tag.
        let mut whole = whole;
        if response.etags().next().is_none() {
            let etag = fingerprint(&body);
            for message in [&mut *response, &mut whole] {
                let _ = message.options_mut().add(OptionNumber::ETAG, &etag);
            }
        }
        whole.options_mut().remove(OptionNumber::OBSERVE);
        let bytes = body.len();
        if bytes > self.site.config.max_transfer_bytes {
            return;
        }
        self.leaving.remove(&key);
        self.make_room();
        while self.bytes() + bytes > self.site.config.max_transfer_bytes
            && drop_oldest(&mut self.leaving)
        {}
        let last_used = now;
        let what = whole;
        let transfer = Transfer {
            what,
            bytes,
            last_used,
        };
        self.leaving.insert(key, transfer);
    }

    /// Makes room for one more transfer.
    fn make_room(&mut self) {
        while self.arriving.len() >= self.site.config.max_transfers {
            drop_oldest(&mut self.arriving);
        }
        while self.leaving.len() >= self.site.config.max_transfers {
            drop_oldest(&mut self.leaving);
        }
    }

    fn bytes(&self) -> usize {
        let arriving: usize = self.arriving.values().map(|it| it.bytes).sum();
        let leaving: usize = self.leaving.values().map(|it| it.bytes).sum();
        arriving + leaving
    }

    /// Begins or ends an observation, where a request asks for that (RFC 7641, section 4.1).
    fn observe(&mut self, request: &Message, peer: Peer, response: &mut Message) {
        let observer = (peer, request.token());
        let Some(wish) = request.observe() else {
            return;
        };
        let path = path_of(request);
        let wanted = wish == 0
            && matches!(request.code(), Code::GET | Code::FETCH)
            && response.code().is_success()
            && self.site.is_observable(&path);
        let room = self.observers.len() < self.site.config.max_observers
            || self.observers.contains_key(&observer);
        if !wanted || !room {
            self.observers.remove(&observer);
            return;
        }
        let version = self.site.version(&path);
        let outstanding = self.observers.remove(&observer);
        let state = Observer {
            request: request.clone(),
            path,
            version,
            outstanding: outstanding.and_then(|it| it.outstanding),
        };
        self.observers.insert(observer, state);
        response.set_observe(self.next_sequence());
    }

    /// Tells an observer what the resource has become, if it has not been told, and has taken what
    /// it was told before.
    fn notify<L: MessageLayer>(
        &mut self,
        session: &mut Session<L>,
        observer: (Peer, Token),
        now: Instant,
    ) {
        let Some(state) = self.observers.get(&observer) else {
            return;
        };
        let version = self.site.version(&state.path);
        if state.outstanding.is_some() || state.version == version {
            return;
        }
        let request = state.request.clone();
        let (peer, token) = observer;
        let mut notification = self.site.reply(&request).message;
        notification.set_token(token);
        let goes_on = notification.code().is_success();
        if goes_on {
            let sequence = self.next_sequence();
            notification.set_observe(sequence);
        }
        let (size, most) = limits(&self.site, session.layer(), peer);
        let key = (peer, response_key(&request, true));
        let asked = request.block2();
        self.put_in_blocks(&mut notification, key, asked, size, most, now);
        let sent = session.notify(now, peer, notification, Reliability::Confirmable);
        let Some(state) = self.observers.get_mut(&observer) else {
            return;
        };
        match sent {
            Ok(id) if goes_on => {
                state.version = version;
                if !L::IS_RELIABLE {
                    state.outstanding = Some(id);
                    self.notifying.insert(id, observer);
                }
            }
            _ => {
                self.observers.remove(&observer);
            }
        }
    }

    fn next_sequence(&mut self) -> u32 {
        self.sequence = (self.sequence + 1) & 0x00ff_ffff;
        self.sequence
    }
}

/// The blocks that a peer gets, and what a message for it can carry of a body.
fn limits(site: &Site, layer: &impl MessageLayer, peer: Peer) -> (BlockSize, usize) {
    let most = layer.max_message_size(peer).saturating_sub(OVERHEAD);
    if layer.allows_bert(peer) && most >= BlockSize::Bert.bytes() {
        return (BlockSize::Bert, most);
    }
    let size = site.config.block_size.min(BlockSize::B1024);
    (size, most)
}

fn refusal(error: BlockError) -> Message {
    let code = match error {
        BlockError::Incomplete => Code::REQUEST_ENTITY_INCOMPLETE,
        BlockError::TooLarge { .. } => Code::REQUEST_ENTITY_TOO_LARGE,
        BlockError::TooMuchAsked => Code::BAD_OPTION,
        _ => Code::BAD_REQUEST,
    };
    let mut response = Message::new(code);
    if let BlockError::TooLarge { limit } = error
        && let Ok(limit) = u32::try_from(limit)
    {
        let _ = response.options_mut().set_uint(OptionNumber::SIZE1, limit);
    }
    response.payload = error.to_string().into();
    response
}

/// What the blocks of one body have in common (RFC 7959, section 2.5): for a request's, also the tag
/// (RFC 9175, section 3.3).
fn transfer_key(request: &Message, tagged: bool) -> Vec<u8> {
    let mut key = vec![request.code().to_byte()];
    for (number, value) in request.options() {
        let differs = matches!(
            number,
            OptionNumber::BLOCK1
                | OptionNumber::BLOCK2
                | OptionNumber::SIZE1
                | OptionNumber::SIZE2
                | OptionNumber::OBSERVE
                | OptionNumber::ETAG
                | OptionNumber::IF_MATCH
                | OptionNumber::IF_NONE_MATCH
                | OptionNumber::CONTENT_FORMAT
                | OptionNumber::ECHO
                | OptionNumber::NO_RESPONSE
        );
        if !differs && (tagged || number != OptionNumber::REQUEST_TAG) {
            key.extend_from_slice(&number.0.to_be_bytes());
            key.extend_from_slice(&(value.len() as u32).to_be_bytes());
            key.extend_from_slice(value);
        }
    }
    key
}

/// What the requests for the blocks of one response have in common. What FETCH asks for is also in its
/// body (RFC 8132, section 2), where that comes with each of them.
fn response_key(request: &Message, with_body: bool) -> Vec<u8> {
    let mut key = transfer_key(request, false);
    if with_body && request.code() == Code::FETCH {
        key.extend_from_slice(&request.payload);
    }
    key
}

/// FNV-1a: whether two representations are the same, and nothing that is secret.
fn fingerprint(body: &[u8]) -> [u8; 8] {
    let hash = body.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash.to_be_bytes()
}

fn drop_oldest<T>(transfers: &mut BTreeMap<TransferKey, Transfer<T>>) -> bool {
    let oldest = transfers.iter().min_by_key(|(_, it)| it.last_used);
    let oldest = oldest.map(|(key, _)| key.clone());
    oldest.is_some_and(|key| transfers.remove(&key).is_some())
}
