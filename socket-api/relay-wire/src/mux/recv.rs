//! Receiving: what is done with the peer's frames.

use bytes::Bytes;

use jackfield_socket::time::Instant;

use super::channel::{AfterCut, Channel, Opening, Stream};
use super::{Event, Mux, Read, ReceivedDatagram, Role, path};
use crate::{Code, Frame, Id, Reason, UdpTarget, datagram_cost};

type Result<T> = std::result::Result<T, Reason>;

/// Acts on a frame. An error is the peer's breach, and ends the connection.
pub(super) fn handle(mux: &mut Mux, frame: Frame, now: Instant) -> Result<()> {
    match (&frame, mux.peer_settings) {
        (Frame::Hello(settings), None) => {
            mux.peer_settings = Some(*settings);
            mux.events.push_back(Event::Hello);
            return Ok(());
        }
        (Frame::Hello(_), Some(_)) => return violation("HELLO came twice"),
        // The peer doesn't even let this end in, and says why. Nothing is open that could live on.
        (Frame::GoAway(reason), None) => {
            mux.events.push_back(Event::GoAway(reason.clone()));
            mux.end(reason);
            return Ok(());
        }
        (_, None) => return violation("the first frame is not HELLO"),
        (_, Some(_)) => {}
    }
    match frame {
        Frame::Hello(_) | Frame::Extension { .. } => Ok(()),
        Frame::Pong(bytes) => {
            mux.path.answered(bytes, now);
            Ok(())
        }
        Frame::GoAway(reason) => {
            mux.events.push_back(Event::GoAway(reason.clone()));
            if reason.code() == Code::GOING_AWAY {
                mux.going_away = Some(reason);
            } else {
                mux.end(&reason);
            }
            Ok(())
        }
        Frame::ComeBack { after } => {
            from_relay(mux)?;
            mux.come_back = Some(now + after.min(Mux::MAX_COME_BACK));
            Ok(())
        }
        Frame::Token(token) => {
            let is_offered = mux.config.settings.token_left.is_some();
            if mux.role != Role::Relay || !is_offered {
                return violation("a token came where none is taken");
            }
            // The answer needs a place among the frames that wait.
            room_for_answer(mux)?;
            if std::mem::replace(&mut mux.token_asked, true) {
                return violation("a token came before the last one was answered");
            }
            mux.events.push_back(Event::Token(token));
            Ok(())
        }
        Frame::TokenLeft(left) => {
            token_answered(mux)?;
            mux.events.push_back(Event::TokenLeft(left));
            Ok(())
        }
        Frame::TokenRefused(reason) => {
            token_answered(mux)?;
            mux.events.push_back(Event::TokenRefused(reason));
            Ok(())
        }
        Frame::Ping(bytes) => answer(mux, Frame::Pong(bytes)),
        Frame::Connect {
            id,
            credit,
            to,
            options,
        } => request(mux, id, Opening::Connect { credit }, || Event::Connect {
            id,
            to,
            options,
        }),
        Frame::Listen {
            id,
            credit,
            stream_credit,
            at,
            options,
        } => {
            let opening = Opening::Listen {
                credit,
                stream_credit,
            };
            request(mux, id, opening, || Event::Listen { id, at, options })
        }
        Frame::Udp {
            id,
            credit,
            target,
            options,
        } => {
            let bound = matches!(target, UdpTarget::Bound(_));
            request(mux, id, Opening::Udp { credit, bound }, || Event::Udp {
                id,
                target,
                options,
            })
        }
        Frame::Opened {
            id,
            credit,
            local,
            remote,
        } => {
            from_relay(mux)?;
            match find(mux, id)? {
                None => return Ok(()),
                Some(Channel::Opening(_)) => {}
                Some(_) => return violation("OPENED came for what is open"),
            }
            if let Some(Channel::Opening(opening)) = mux.channels.get(&id) {
                let channel = opening.open_at_client(&mux.config, credit);
                mux.channels.insert(id, channel);
            }
            mux.events.push_back(Event::Opened { id, local, remote });
            Ok(())
        }
        Frame::Refused { id, reason } => {
            from_relay(mux)?;
            match find(mux, id)? {
                None => return Ok(()),
                Some(Channel::Opening(_)) => {}
                Some(_) => return violation("REFUSED came for what is open"),
            }
            mux.forget(id);
            mux.events.push_back(Event::Refused { id, reason });
            Ok(())
        }
        Frame::Inbound {
            id,
            listener,
            credit,
            local,
            remote,
        } => {
            let event = Event::Inbound {
                id,
                listener,
                local,
                remote,
            };
            inbound(mux, id, listener, credit, event)
        }
        Frame::Data { id, data } => match find(mux, id)? {
            None => Ok(()),
            Some(Channel::Stream(stream)) => {
                let has_reader = take_data(stream, data)?;
                let may_widen = stream.may_widen();
                if has_reader {
                    mux.events.push_back(Event::Readable(id));
                }
                if may_widen {
                    path::widen(mux, id, now);
                }
                Ok(())
            }
            Some(_) => violation("DATA came for what is no open stream"),
        },
        Frame::Credit { id, more } => {
            let role = mux.role;
            let allowance = match find(mux, id)? {
                None => return Ok(()),
                Some(Channel::Stream(stream)) => &mut stream.allowance,
                Some(Channel::Udp(udp)) => &mut udp.allowance,
                Some(Channel::Listener(listener)) if role == Role::Relay => &mut listener.announce,
                Some(_) => return violation("CREDIT came for what takes none"),
            };
            if !allowance.give(more) {
                return Err(Reason::new(
                    Code::FLOW_CONTROL_ERROR,
                    "more credit was given than 32 bits can count",
                ));
            }
            if std::mem::take(&mut allowance.asked) {
                mux.events.push_back(Event::Writable(id));
            }
            Ok(())
        }
        Frame::Fin { id } => match find(mux, id)? {
            None => Ok(()),
            Some(Channel::Stream(stream)) if stream.ended => violation("FIN came twice"),
            Some(Channel::Stream(stream)) => {
                stream.ended = true;
                if std::mem::take(&mut stream.read_asked) {
                    mux.events.push_back(Event::Readable(id));
                }
                Ok(())
            }
            Some(_) => violation("FIN came for what is no open stream"),
        },
        Frame::Reset { id, reason } => {
            let role = mux.role;
            let after = match find(mux, id)? {
                None => return Ok(()),
                Some(Channel::Opening(_)) if role == Role::Client => {
                    return violation("RESET came for what was not answered");
                }
                Some(channel) => channel.cut(&reason),
            };
            if matches!(after, AfterCut::Forget | AfterCut::TellAndForget) {
                mux.forget(id);
            }
            if matches!(after, AfterCut::Tell | AfterCut::TellAndForget) {
                mux.events.push_back(Event::Reset { id, reason });
            }
            Ok(())
        }
        Frame::Datagram {
            id,
            peer,
            truncated,
            data,
        } => {
            let role = mux.role;
            if truncated && role == Role::Relay {
                return violation("DATAGRAM came from a client as one that was cut short");
            }
            match find(mux, id)? {
                None => Ok(()),
                Some(Channel::Udp(udp)) => {
                    if !udp.names(role, peer.is_some()) {
                        return violation(
                            "DATAGRAM has an address where there is none, or lacks one",
                        );
                    }
                    if !udp.grant.spend(datagram_cost(data.len())) {
                        return overdrawn();
                    }
                    if udp.orphan.is_some() || udp.reset.is_some() {
                        return Ok(());
                    }
                    udp.received.push_back(ReceivedDatagram {
                        peer,
                        truncated,
                        // A copy, so that a small one doesn't hold a large message in memory.
                        data: Bytes::copy_from_slice(&data),
                    });
                    if std::mem::take(&mut udp.read_asked) {
                        mux.events.push_back(Event::Readable(id));
                    }
                    Ok(())
                }
                Some(_) => violation("DATAGRAM came for what is no open UDP socket"),
            }
        }
        Frame::Dropped { id, total } => {
            from_relay(mux)?;
            match find(mux, id)? {
                None => Ok(()),
                Some(Channel::Udp(udp)) => {
                    udp.dropped = total;
                    Ok(())
                }
                Some(_) => violation("DROPPED came for what is no open UDP socket"),
            }
        }
        Frame::Unreachable { id, reason } => {
            from_relay(mux)?;
            match find(mux, id)? {
                None => Ok(()),
                Some(Channel::Udp(udp)) if udp.orphan.is_some() || udp.reset.is_some() => Ok(()),
                Some(Channel::Udp(udp)) => {
                    udp.unreachable = Some(reason);
                    if std::mem::take(&mut udp.read_asked) {
                        mux.events.push_back(Event::Readable(id));
                    }
                    Ok(())
                }
                Some(_) => violation("UNREACHABLE came for what is no open UDP socket"),
            }
        }
    }
}

/// The client asks for something.
fn request(mux: &mut Mux, id: Id, opening: Opening, event: impl FnOnce() -> Event) -> Result<()> {
    if mux.role != Role::Relay {
        return violation("a relay asked a client to open something");
    }
    new_peer_id(mux, id)?;
    let refusal = if let Some(reason) = &mux.going_away {
        reason.clone()
    } else if mux.channels.len() >= mux.config.settings.max_open as usize {
        let limit = mux.config.settings.max_open;
        Reason::new(
            Code::LIMIT_EXCEEDED,
            &format!("{limit} streams, listeners and sockets are open, which is the limit"),
        )
    } else {
        // Whatever it is answered with needs a place among the frames that wait.
        room_for_answer(mux)?;
        mux.channels.insert(id, Channel::Opening(opening));
        mux.events.push_back(event());
        return Ok(());
    };
    let reason = refusal.clone();
    answer(mux, Frame::Refused { id, reason })?;
    mux.events.push_back(Event::Declined {
        asked: Box::new(event()),
        reason: refusal,
    });
    Ok(())
}

fn inbound(mux: &mut Mux, id: Id, listener: Id, credit: u32, event: Event) -> Result<()> {
    from_relay(mux)?;
    if !listener.is_clients() {
        return violation("INBOUND came from what is no listener");
    }
    new_peer_id(mux, id)?;
    let limit = mux.config.settings.max_open as usize;
    let full = mux.channels.len() >= limit;
    let refusal = match find(mux, listener)? {
        None => Reason::new(Code::CLOSED, "the listener is closed"),
        Some(Channel::Listener(state)) => {
            if !state.inbound.spend(1) {
                return overdrawn();
            }
            if !full {
                let stream = Stream::new(credit, mux.config.start_window());
                mux.channels.insert(id, Channel::Stream(stream));
                mux.events.push_back(event);
                return Ok(());
            }
            if state.inbound.release(1) {
                mux.credits.push_back(listener);
            }
            Reason::new(
                Code::LIMIT_EXCEEDED,
                &format!("{limit} streams, listeners and sockets are open, which is the limit"),
            )
        }
        Some(_) => return violation("INBOUND came from what is no listener"),
    };
    answer(
        mux,
        Frame::Reset {
            id,
            reason: refusal,
        },
    )
}

/// Takes data into a stream; whether its reader is to be told.
fn take_data(stream: &mut Stream, data: Bytes) -> Result<bool> {
    if stream.ended {
        return violation("DATA came after FIN");
    }
    if !stream.grant.spend(data.len() as u32) {
        return overdrawn();
    }
    if stream.orphan || stream.reset.is_some() {
        return Ok(false);
    }
    stream.received.push(data);
    Ok(std::mem::take(&mut stream.read_asked))
}

/// What an identifier of a frame stands for. What it once stood for is `None`: the frame and the end
/// have crossed, and it is ignored.
fn find(mux: &mut Mux, id: Id) -> Result<Option<&mut Channel>> {
    if !mux.channels.contains_key(&id) && !mux.was_used(id) {
        return violation("a frame came for an identifier that was never used");
    }
    Ok(mux.channels.get_mut(&id))
}

fn new_peer_id(mux: &mut Mux, id: Id) -> Result<()> {
    let clients = mux.role == Role::Relay;
    if id.is_clients() != clients {
        return violation("a new identifier is from the other side's half");
    }
    if id.get() <= mux.last_peer {
        return violation("a new identifier is not above the last");
    }
    mux.last_peer = id.get();
    Ok(())
}

fn from_relay(mux: &Mux) -> Result<()> {
    if mux.role == Role::Client {
        Ok(())
    } else {
        violation("a client sent what only a relay may")
    }
}

fn token_answered(mux: &mut Mux) -> Result<()> {
    from_relay(mux)?;
    if std::mem::take(&mut mux.token_asked) {
        return Ok(());
    }
    violation("a token was answered that was not sent")
}

/// Queues an answer that the peer has caused.
fn answer(mux: &mut Mux, frame: Frame) -> Result<()> {
    room_for_answer(mux)?;
    mux.control.push_back(frame);
    Ok(())
}

fn room_for_answer(mux: &Mux) -> Result<()> {
    if mux.control.len() < mux.max_control() {
        return Ok(());
    }
    Err(Reason::new(
        Code::LIMIT_EXCEEDED,
        "the peer asks and does not read the answers",
    ))
}

fn violation<T>(what: &str) -> Result<T> {
    Err(Reason::new(Code::PROTOCOL_ERROR, what))
}

fn overdrawn<T>() -> Result<T> {
    Err(Reason::new(
        Code::FLOW_CONTROL_ERROR,
        "the peer sent more than it had credit for",
    ))
}

pub(super) fn read(mux: &mut Mux, id: Id) -> Result<Read> {
    let Some(Channel::Stream(stream)) = mux.channels.get_mut(&id) else {
        return Err(mux.gone(id));
    };
    // `cut` has discarded what a reset discards; what remains was ended by FIN.
    if let Some(data) = stream.received.front() {
        Ok(Read::Data(data))
    } else if stream.ended {
        Ok(Read::End)
    } else if let Some(reason) = &stream.reset {
        Err(reason.clone())
    } else {
        stream.read_asked = true;
        Ok(Read::Pending)
    }
}

pub(super) fn consume(mux: &mut Mux, id: Id, count: usize) {
    if let Some(Channel::Stream(stream)) = mux.channels.get_mut(&id) {
        let count = stream.received.consume(count);
        // What was in the queue was within the window.
        if stream.grant.release(count as u32) && !stream.ended {
            mux.credits.push_back(id);
        }
    }
}

pub(super) fn datagram(mux: &mut Mux, id: Id) -> Result<Option<ReceivedDatagram>> {
    let Some(Channel::Udp(udp)) = mux.channels.get_mut(&id) else {
        return Err(mux.gone(id));
    };
    if let Some(datagram) = udp.received.pop_front() {
        if udp.grant.release(datagram_cost(datagram.data.len())) {
            mux.credits.push_back(id);
        }
        Ok(Some(datagram))
    } else if let Some(reason) = &udp.reset {
        Err(reason.clone())
    } else {
        udp.read_asked = true;
        Ok(None)
    }
}
