//! Sending: which frames go to the peer.

use std::collections::VecDeque;
use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};

use super::channel::{Channel, Queued, Sending, Stream, Udp};
use super::{Chunk, Event, Mux, Role};
use crate::{Code, Frame, Id, MAX_DATA, MAX_DATAGRAM, Reason, datagram_cost};

/// Shorter chunks are gathered, so that many small ones don't each hold a large buffer.
const GATHER_BELOW: usize = 16 * 1024;
/// A buffer for writes shorter than this begins small; others have room for a whole frame at once.
const SMALL_WRITE: usize = 4 * 1024;
/// What each turn costs, in bytes, beside those of its message.
const TURN: u32 = 256;

pub(super) fn transmit(mux: &mut Mux) -> Option<BytesMut> {
    if let Some(frame) = mux.control.pop_front() {
        return Some(frame.encode());
    }
    if let Some(token) = mux.token.take() {
        mux.token_asked = true;
        return Some(Frame::Token(token).encode());
    }
    while let Some(id) = mux.credits.pop_front() {
        let grant = match mux.channels.get_mut(&id) {
            // Whoever has ended its direction needs no credit.
            Some(Channel::Stream(stream)) if stream.ended || stream.reset.is_some() => continue,
            Some(Channel::Stream(stream)) => &mut stream.grant,
            Some(Channel::Udp(udp)) if udp.reset.is_none() => &mut udp.grant,
            Some(Channel::Listener(listener)) if listener.reset.is_none() => &mut listener.inbound,
            _ => continue,
        };
        let more = grant.give_back();
        if more > 0 {
            return Some(Frame::Credit { id, more }.encode());
        }
    }
    while let Some(id) = mux.turns.next() {
        let message = match mux.channels.get_mut(&id) {
            Some(Channel::Stream(stream)) => stream_turn(stream, id, &mut mux.events),
            Some(Channel::Udp(udp)) => udp_turn(udp, id, mux.role, &mut mux.events),
            _ => None,
        };
        let Some(message) = message else {
            continue;
        };
        mux.turns.charge(id, TURN + message.len() as u32);
        if mux
            .channels
            .get(&id)
            .is_some_and(|it| it.has_work(mux.role))
        {
            mux.turns.wake(id);
        }
        bury(mux, id);
        return Some(message);
    }
    None
}

/// The next frame of a stream.
fn stream_turn(stream: &mut Stream, id: Id, events: &mut VecDeque<Event>) -> Option<BytesMut> {
    let message = match stream.send_queue.pop_front() {
        Some(chunk) => {
            stream.queued -= chunk.len();
            chunk.into_message(id)
        }
        None if stream.has_work() => {
            stream.sending = Sending::Finished;
            Frame::Fin { id }.encode()
        }
        None => return None,
    };
    let room = stream.queued == 0 || stream.allowance.available() > 0;
    if room && std::mem::take(&mut stream.allowance.asked) {
        events.push_back(Event::Writable(id));
    }
    Some(message)
}

/// The next frame of a UDP socket.
fn udp_turn(udp: &mut Udp, id: Id, role: Role, events: &mut VecDeque<Event>) -> Option<BytesMut> {
    if role == Role::Relay
        && let Some(reason) = udp.unreachable.take()
    {
        return Some(Frame::Unreachable { id, reason }.encode());
    }
    if std::mem::take(&mut udp.dropped_untold) {
        let total = udp.dropped;
        return Some(Frame::Dropped { id, total }.encode());
    }
    let Queued { message, cost } = udp.send_queue.pop_front()?;
    udp.queued -= cost;
    if udp.allowance.available() > 0 && std::mem::take(&mut udp.allowance.asked) {
        events.push_back(Event::Writable(id));
    }
    Some(message)
}

/// Forgets what nobody uses and has said its last.
fn bury(mux: &mut Mux, id: Id) {
    let last_word = match mux.channels.get(&id) {
        Some(Channel::Stream(stream)) if stream.orphan && stream.sending == Sending::Finished => {
            // Where the peer has not ended its own direction, it learns that nobody reads.
            (!stream.ended).then(|| Reason::new(Code::CLOSED, ""))
        }
        Some(Channel::Udp(udp)) if !udp.has_work(mux.role) => match &udp.orphan {
            Some(reason) => Some(reason.clone()),
            None => return,
        },
        _ => return,
    };
    mux.forget(id);
    if let Some(reason) = last_word {
        mux.control.push_back(Frame::Reset { id, reason });
    }
}

/// The stream, as far as it can be sent to.
fn stream(mux: &mut Mux, id: Id) -> Result<&mut Stream, Reason> {
    // Twice, because of what the borrow checker can't see yet.
    if !matches!(mux.channels.get(&id), Some(Channel::Stream(stream)) if !stream.orphan) {
        return Err(mux.gone(id));
    }
    match mux.channels.get_mut(&id) {
        Some(Channel::Stream(stream)) => Ok(stream),
        _ => Err(Reason::new(Code::CLOSED, "it is closed")),
    }
}

fn open_stream(mux: &mut Mux, id: Id) -> Result<&mut Stream, Reason> {
    let stream = stream(mux, id)?;
    match (&stream.reset, stream.sending) {
        (Some(reason), _) => Err(reason.clone()),
        (None, Sending::Open) => Ok(stream),
        (None, _) => Err(Reason::new(
            Code::CLOSED,
            "this side's direction of the stream has ended",
        )),
    }
}

pub(super) fn capacity(mux: &mut Mux, id: Id) -> Result<usize, Reason> {
    Ok(room(open_stream(mux, id)?))
}

fn room(stream: &mut Stream) -> usize {
    let room = stream.max_queued().saturating_sub(stream.queued);
    let room = room.min(MAX_DATA);
    let capacity = room.min(stream.allowance.available() as usize);
    stream.allowance.asked |= capacity == 0;
    capacity
}

pub(super) fn send(mux: &mut Mux, id: Id, chunk: Chunk) -> Result<(), Reason> {
    if chunk.len() < GATHER_BELOW {
        let taken = write(mux, id, chunk.bytes())?;
        assert_eq!(taken, chunk.len(), "a chunk longer than the capacity");
        return Ok(());
    }
    let stream = open_stream(mux, id)?;
    let fits = chunk.len() <= room(stream) && stream.allowance.take(chunk.len() as u32);
    assert!(fits, "a chunk longer than the capacity");
    stream.queued += chunk.len();
    stream.send_queue.push_back(chunk);
    mux.turns.wake(id);
    Ok(())
}

pub(super) fn write(mux: &mut Mux, id: Id, data: &[u8]) -> Result<usize, Reason> {
    let stream = open_stream(mux, id)?;
    let count = if data.is_empty() {
        0
    } else {
        room(stream).min(data.len())
    };
    if count == 0 {
        return Ok(0);
    }
    let mut data = &data[..count];
    // At most MAX_DATA, which fits.
    let paid = stream.allowance.take(count as u32);
    debug_assert!(paid, "room() looks at the allowance");
    stream.queued += count;
    if let Some(last) = stream.send_queue.back_mut() {
        let fits = data.len().min(MAX_DATA - last.len());
        last.buffer().extend_from_slice(&data[..fits]);
        data = &data[fits..];
    }
    if !data.is_empty() {
        let room = if data.len() < SMALL_WRITE {
            SMALL_WRITE
        } else {
            MAX_DATA
        };
        let mut chunk = Chunk::with_capacity(room);
        chunk.buffer().extend_from_slice(data);
        stream.send_queue.push_back(chunk);
    }
    mux.turns.wake(id);
    Ok(count)
}

pub(super) fn finish(mux: &mut Mux, id: Id) -> Result<(), Reason> {
    let stream = stream(mux, id)?;
    match (stream.sending, &stream.reset) {
        (Sending::Open, Some(reason)) => Err(reason.clone()),
        (Sending::Open, None) => {
            stream.sending = Sending::Finishing;
            mux.turns.wake(id);
            Ok(())
        }
        _ => Ok(()),
    }
}

pub(super) fn flushed(mux: &mut Mux, id: Id) -> Result<bool, Reason> {
    let stream = stream(mux, id)?;
    if stream.sending == Sending::Finished {
        return Ok(true);
    }
    if let Some(reason) = &stream.reset {
        return Err(reason.clone());
    }
    let flushed = !stream.has_work();
    stream.allowance.asked |= !flushed;
    Ok(flushed)
}

pub(super) fn close(mux: &mut Mux, id: Id, reason: &Reason) {
    let over = mux.closed.is_some();
    let goodbye = match mux.channels.get_mut(&id) {
        None => return,
        Some(Channel::Opening(_)) if mux.role == Role::Relay => Some(Frame::Refused {
            id,
            reason: reason.clone(),
        }),
        Some(Channel::Stream(stream)) if stream.reset.is_none() => {
            match (stream.sending, stream.ended) {
                (Sending::Finished, true) => None,
                (Sending::Finishing, _) if !over => {
                    stream.orphan = true;
                    if !stream.ended {
                        stream.received.clear();
                    }
                    return;
                }
                _ => Some(Frame::Reset {
                    id,
                    reason: reason.clone(),
                }),
            }
        }
        Some(Channel::Udp(udp)) if udp.reset.is_none() && udp.has_work(mux.role) && !over => {
            udp.orphan = Some(reason.clone());
            udp.received.clear();
            return;
        }
        Some(channel) if channel.reset().is_some() => None,
        Some(_) => Some(Frame::Reset {
            id,
            reason: reason.clone(),
        }),
    };
    mux.forget(id);
    if let Some(frame) = goodbye.filter(|_| !over) {
        mux.control.push_back(frame);
    }
}

fn udp(mux: &mut Mux, id: Id) -> Result<&mut Udp, Reason> {
    if !matches!(
        mux.channels.get(&id),
        Some(Channel::Udp(udp)) if udp.orphan.is_none() && udp.reset.is_none()
    ) {
        return Err(mux.gone(id));
    }
    match mux.channels.get_mut(&id) {
        Some(Channel::Udp(udp)) => Ok(udp),
        _ => Err(Reason::new(Code::CLOSED, "it is closed")),
    }
}

pub(super) fn datagram_capacity(mux: &mut Mux, id: Id, len: usize) -> Result<bool, Reason> {
    let udp = udp(mux, id)?;
    let largest = udp.allowance.initial();
    let cost = datagram_cost(len.min(MAX_DATAGRAM));
    if len > MAX_DATAGRAM || cost > largest {
        return Err(Reason::new(
            Code::INVALID,
            &format!("a datagram of {len} bytes is too large for the relay"),
        ));
    }
    let fits = udp.has_room(cost);
    udp.allowance.asked |= !fits;
    Ok(fits)
}

pub(super) fn datagram(
    mux: &mut Mux,
    id: Id,
    peer: Option<SocketAddr>,
    data: &[u8],
    truncated: bool,
) -> Result<bool, Reason> {
    let fits = datagram_capacity(mux, id, data.len())?;
    let role = mux.role;
    let udp = udp(mux, id)?;
    if fits {
        let cost = datagram_cost(data.len());
        let paid = udp.allowance.take(cost);
        debug_assert!(paid, "datagram_capacity() looks at the allowance");
        let frame = Frame::Datagram {
            id,
            peer,
            truncated,
            data: Bytes::copy_from_slice(data),
        };
        let message = frame.encode();
        udp.queued += cost;
        udp.send_queue.push_back(Queued { message, cost });
    } else if role == Role::Relay {
        udp.count_dropped(1);
    }
    if udp.has_work(role) {
        mux.turns.wake(id);
    }
    Ok(fits)
}
