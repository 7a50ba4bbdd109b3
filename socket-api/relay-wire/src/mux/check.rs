//! The multiplexer's invariants: what must hold inside at any time; the oracle asks.

use super::channel::{Channel, Sending};
use super::{Config, Mux, Role};
use crate::{Frame, Id};

impl Mux {
    /// What is open or being opened.
    pub(crate) fn ids(&self) -> impl Iterator<Item = Id> {
        self.channels.keys().copied()
    }

    /// Whether this frame is of a sort that its identifier takes.
    pub(crate) fn takes(&self, frame: &Frame) -> bool {
        let channel = |id: &Id| self.channels.get(id);
        let client = self.role == Role::Client;
        match frame {
            Frame::Hello(_) => self.peer_settings.is_none(),
            Frame::Opened { id, .. } | Frame::Refused { id, .. } => {
                client && matches!(channel(id), Some(Channel::Opening(_)))
            }
            Frame::Inbound { listener, .. } => {
                client && matches!(channel(listener), Some(Channel::Listener(_)))
            }
            Frame::Data { id, .. } | Frame::Fin { id } => {
                matches!(channel(id), Some(Channel::Stream(stream)) if !stream.ended)
            }
            Frame::Credit { id, .. } => match channel(id) {
                Some(Channel::Stream(_) | Channel::Udp(_)) => true,
                Some(Channel::Listener(_)) => !client,
                _ => false,
            },
            Frame::Reset { id, .. } => match channel(id) {
                Some(Channel::Opening(_)) => !client,
                Some(_) => true,
                None => false,
            },
            Frame::Datagram {
                id,
                peer,
                truncated,
                ..
            } => {
                let named = peer.is_some();
                (client || !truncated)
                    && matches!(channel(id), Some(Channel::Udp(udp)) if udp.names(self.role, named))
            }
            Frame::Dropped { id, .. } | Frame::Unreachable { id, .. } => {
                client && matches!(channel(id), Some(Channel::Udp(_)))
            }
            Frame::ComeBack { .. } => client,
            Frame::Token(_) => {
                !client && self.config.settings.token_left.is_some() && !self.token_asked
            }
            Frame::TokenLeft(_) | Frame::TokenRefused(_) => client && self.token_asked,
            _ => true,
        }
    }

    /// Panics where the state contradicts itself or a bound is passed.
    pub(crate) fn check(&self) {
        let limit = self.config.settings.max_open as usize;
        assert!(self.channels.len() <= limit, "more is open than may be");
        assert!(self.control.len() <= self.max_control() + 2 * limit + 1);
        let open = self.channels.len();
        assert!(self.credits.len() <= open, "who has gone returns no credit");
        assert!(self.turns.len() <= open, "who has gone has no turn");
        let mut windows = 0;
        for (id, channel) in &self.channels {
            match channel {
                Channel::Opening(_) => {}
                Channel::Stream(stream) => {
                    let queued: usize = stream.send_queue.iter().map(super::Chunk::len).sum();
                    assert_eq!(queued, stream.queued, "{id}");
                    assert!(queued <= stream.max_queued(), "{id}");
                    windows += u64::from(stream.grant.window().saturating_sub(Config::MIN_WINDOW));
                    let held: usize = stream.send_queue.iter().map(super::Chunk::capacity).sum();
                    assert!(held <= 8 * Self::SEND_QUEUE, "{id}: {held} bytes held");
                    let waiting = stream.received.len();
                    let window = stream.grant.window();
                    assert!(waiting <= window as usize, "{id}");
                    assert!(window <= self.config.window, "{id}");
                    if !stream.orphan && stream.reset.is_none() {
                        assert_eq!(stream.grant.total(waiting), window, "{id}");
                    }
                    assert!(stream.orphan || stream.sending != Sending::Finished || queued == 0);
                }
                Channel::Listener(listener) => {
                    assert!(
                        listener.inbound.total(0) <= self.config.accept_window,
                        "{id}"
                    );
                }
                Channel::Udp(udp) => {
                    let costs = udp
                        .received
                        .iter()
                        .map(|datagram| crate::datagram_cost(datagram.data.len()) as usize);
                    let waiting = costs.sum();
                    let window = udp.grant.window();
                    windows += u64::from(window.saturating_sub(Config::MIN_DATAGRAM_WINDOW));
                    if udp.orphan.is_none() && udp.reset.is_none() {
                        assert_eq!(udp.grant.total(waiting), window, "{id}");
                    }
                    let costs = udp.send_queue.iter().map(|queued| queued.cost);
                    assert_eq!(costs.sum::<u32>(), udp.queued, "{id}");
                    let bytes = udp.send_queue.iter().map(|queued| queued.message.len());
                    assert!(bytes.sum::<usize>() <= udp.queued as usize, "{id}");
                    assert!(udp.queued <= window || udp.send_queue.len() == 1, "{id}");
                }
            }
        }
        if self.role == Role::Relay {
            assert!(windows <= u64::from(self.config.budget), "{windows}");
        }
    }
}
