//! Subscriptions: those that are asked for, and those that are remembered to be made again.

use std::collections::VecDeque;

use jackfield_socket::sorted::SortedMap;

use super::durable::Durable;
use super::packet_ids::PacketIds;
use super::{
    Reply, RequestId, Server, SubscribeRequest, Subscribed, UnsubscribeRequest, Unsubscribed,
    records,
};
use crate::codec::{
    self, DecodeError, PacketId, ReasonCode, SubAck, SubscribeOptions, SubscribeReason,
    SubscriptionId, TopicFilter, UnsubAck, UnsubscribeReason, Version,
};

/// How many filters one SUBSCRIBE carries when subscriptions are made again, and how many bytes of
/// them.
const FILTERS_AT_ONCE: usize = 64;
const BYTES_AT_ONCE: usize = 16 * 1024;
/// What a SUBSCRIBE has beside its filters, and each filter beside its text, in bytes, at the most.
const SUBSCRIBE_LENGTH: usize = 1 + 4 + 2 + 1 + 5;
const FILTER_LENGTH: usize = 2 + 1;

/// One that the server has, or had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Subscription {
    /// Names its record.
    pub(super) number: u32,
    pub(super) options: SubscribeOptions,
    pub(super) id: Option<SubscriptionId>,
    /// Whether the server has it, as far as is known.
    pub(super) confirmed: bool,
}

#[derive(Clone, Debug)]
pub(super) enum Asked {
    Subscribe(SubscribeRequest),
    /// The same; where the server takes no subscription identifiers, it does without.
    Numbered(SubscribeRequest),
    /// By the session itself, since the server had lost it.
    Resubscribe(SubscribeRequest),
    Unsubscribe(UnsubscribeRequest),
}

#[derive(Debug)]
pub(super) struct Subscriptions {
    known: SortedMap<TopicFilter, Subscription>,
    next_number: u32,
    pending: SortedMap<RequestId, Asked>,
    /// Those that have been sent on this connection.
    sent: SortedMap<PacketId, RequestId>,
    /// Those that have not, in order.
    unsent: VecDeque<RequestId>,
    limit: usize,
}

/// What came of an answer.
pub(super) struct Answered {
    pub(super) request: RequestId,
    /// `None` where the session itself had asked.
    pub(super) reply: Option<Reply>,
    /// What could not be made again.
    pub(super) failed: Vec<(TopicFilter, SubscribeReason)>,
}

impl Subscriptions {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            known: SortedMap::new(),
            next_number: 0,
            pending: SortedMap::new(),
            sent: SortedMap::new(),
            unsent: VecDeque::new(),
            limit,
        }
    }

    pub(super) fn restore(&mut self, known: SortedMap<u32, (TopicFilter, Subscription)>) {
        for (number, (filter, subscription)) in known {
            self.next_number = self.next_number.max(number.wrapping_add(1));
            self.known.insert(filter, subscription);
        }
    }

    /// Requests that wait for an answer.
    pub(super) fn waiting(&self) -> usize {
        self.pending.len()
    }

    /// Whether so many more subscriptions could be remembered.
    pub(super) fn has_room(&self, more: usize) -> bool {
        let asked: usize = self
            .pending
            .values()
            .map(|asked| match asked {
                Asked::Subscribe(subscribe) | Asked::Numbered(subscribe) => subscribe.filters.len(),
                Asked::Resubscribe(_) | Asked::Unsubscribe(_) => 0,
            })
            .sum();
        self.known.len() + asked + more <= self.limit
    }

    pub(super) fn ask(&mut self, request: RequestId, asked: Asked) {
        self.pending.insert(request, asked);
        self.unsent.push_back(request);
    }

    /// The next request to be sent, with an identifier of its own. `None` where none waits, or no
    /// identifier is free. `numbers` says whether the server takes subscription identifiers.
    pub(super) fn next(
        &mut self,
        ids: &mut PacketIds,
        numbers: bool,
    ) -> Option<(RequestId, codec::Packet)> {
        let request = *self.unsent.front()?;
        let asked = self.pending.get(&request)?;
        let packet_id = ids.allocate()?;
        self.unsent.pop_front();
        self.sent.insert(packet_id, request);
        let packet = match asked {
            Asked::Subscribe(subscribe)
            | Asked::Numbered(subscribe)
            | Asked::Resubscribe(subscribe) => {
                let numbered = numbers || matches!(asked, Asked::Subscribe(_));
                codec::Packet::Subscribe(codec::Subscribe {
                    packet_id,
                    filters: subscribe.filters.clone(),
                    subscription_id: subscribe.subscription_id.filter(|_| numbered),
                    user_properties: subscribe.user_properties.clone(),
                })
            }
            Asked::Unsubscribe(asked) => codec::Packet::Unsubscribe(codec::Unsubscribe {
                packet_id,
                filters: asked.filters.clone(),
                user_properties: asked.user_properties.clone(),
            }),
        };
        Some((request, packet))
    }

    pub(super) fn asked(&self, request: RequestId) -> Option<&Asked> {
        self.pending.get(&request)
    }

    /// The request was answered, or could not be sent: gives it back.
    pub(super) fn give_up(&mut self, request: RequestId, ids: &mut PacketIds) -> Option<Asked> {
        self.sent.retain(|packet_id, sent| {
            if *sent == request {
                ids.free(*packet_id);
            }
            *sent != request
        });
        self.unsent.retain(|unsent| *unsent != request);
        self.pending.remove(&request)
    }

    /// The connection is gone: what was not answered is asked again on the next.
    pub(super) fn disconnected(&mut self, ids: &mut PacketIds) {
        for packet_id in self.sent.keys() {
            ids.free(*packet_id);
        }
        self.sent.clear();
        self.pending
            .retain(|_, asked| !matches!(asked, Asked::Resubscribe(_)));
        self.unsent = self.pending.keys().copied().collect();
    }

    /// The server has lost the session: it has no subscription of this client.
    pub(super) fn lost(&mut self, keep: bool, durable: &mut Durable) {
        if !keep {
            for (_, subscription) in std::mem::take(&mut self.known) {
                durable.delete(records::subscription_key(subscription.number));
            }
            return;
        }
        for (filter, subscription) in self.known.iter_mut() {
            subscription.confirmed = false;
            store(filter, subscription, durable);
        }
    }

    /// What is to be asked for again of this server; and what it does not take, which is forgotten.
    pub(super) fn unconfirmed(
        &mut self,
        server: &Server,
        version: Version,
        durable: &mut Durable,
    ) -> (Vec<SubscribeRequest>, Vec<(TopicFilter, SubscribeReason)>) {
        let size = server.maximum_packet_size.unwrap_or(codec::MAX_PACKET) as usize;
        let room = size.saturating_sub(SUBSCRIBE_LENGTH).min(BYTES_AT_ONCE);
        let lost = self.known.iter();
        let lost = lost.filter(|(_, subscription)| !subscription.confirmed);
        let failed: Vec<_> = lost
            .filter_map(|(filter, subscription)| {
                let reason = untaken(filter, server, room).or_else(|| {
                    let plain = SubscribeOptions::qos(subscription.options.qos);
                    let fits = version == Version::V5 || subscription.options == plain;
                    (!fits).then_some(SubscribeReason::ImplementationSpecificError)
                })?;
                Some((filter.clone(), reason))
            })
            .collect();
        for (filter, _) in &failed {
            self.forget(filter, durable);
        }
        (self.batches(room), failed)
    }

    fn batches(&self, room: usize) -> Vec<SubscribeRequest> {
        let lost = self.known.iter();
        let lost = lost.filter(|(_, subscription)| !subscription.confirmed);
        // Those of one identifier together, the oldest first.
        let lost: SortedMap<_, _> = lost
            .map(|(filter, it)| {
                (
                    (it.id.map_or(0, SubscriptionId::get), it.number),
                    (filter, it),
                )
            })
            .collect();
        let mut all: Vec<SubscribeRequest> = Vec::new();
        let mut bytes = 0;
        for (filter, subscription) in lost.values() {
            bytes += FILTER_LENGTH + filter.len();
            let same = all.last_mut().filter(|subscribe| {
                subscribe.subscription_id == subscription.id
                    && subscribe.filters.len() < FILTERS_AT_ONCE
                    && bytes <= room
            });
            let entry = (TopicFilter::clone(filter), subscription.options);
            if let Some(subscribe) = same {
                subscribe.filters.push(entry);
            } else {
                let mut subscribe = SubscribeRequest::all(vec![entry]);
                subscribe.subscription_id = subscription.id;
                bytes = FILTER_LENGTH + filter.len();
                all.push(subscribe);
            }
        }
        all
    }

    /// Those go before what else waits.
    pub(super) fn ask_first(&mut self, asked: Vec<(RequestId, SubscribeRequest)>) {
        for (request, subscribe) in asked.into_iter().rev() {
            self.pending.insert(request, Asked::Resubscribe(subscribe));
            self.unsent.push_front(request);
        }
    }

    pub(super) fn sub_ack(
        &mut self,
        ack: SubAck,
        ids: &mut PacketIds,
        durable: &mut Durable,
    ) -> Result<Answered, DecodeError> {
        // What is not answered as it should be stays: it is asked again.
        let (request, own, subscribe) = match self.asked_as(ack.packet_id)? {
            (request, Asked::Subscribe(it) | Asked::Numbered(it)) => (request, false, it),
            (request, Asked::Resubscribe(it)) => (request, true, it),
            (_, Asked::Unsubscribe(_)) => return Err(WRONG_ANSWER),
        };
        if subscribe.filters.len() != ack.reasons.len() {
            return Err(DecodeError::new(
                ReasonCode::ProtocolError,
                "a SUBACK has another number of reasons than there were filters",
            ));
        }
        let subscribe = subscribe.clone();
        self.give_up(request, ids);
        let mut failed = Vec::new();
        for ((filter, options), reason) in subscribe.filters.into_iter().zip(&ack.reasons) {
            if reason.granted().is_some() {
                self.remember(filter, options, subscribe.subscription_id, durable);
            } else if own {
                self.forget(&filter, durable);
                failed.push((filter, *reason));
            }
        }
        let reply = (!own).then(|| {
            Reply::Subscribed(Subscribed {
                reasons: ack.reasons,
                text: ack.reason_string,
                user_properties: ack.user_properties,
            })
        });
        Ok(Answered {
            request,
            reply,
            failed,
        })
    }

    pub(super) fn unsub_ack(
        &mut self,
        ack: UnsubAck,
        version: Version,
        ids: &mut PacketIds,
        durable: &mut Durable,
    ) -> Result<Answered, DecodeError> {
        let (request, Asked::Unsubscribe(unsubscribe)) = self.asked_as(ack.packet_id)? else {
            return Err(WRONG_ANSWER);
        };
        let reasons = match version {
            Version::V311 => vec![UnsubscribeReason::Success; unsubscribe.filters.len()],
            Version::V5 => ack.reasons,
        };
        if unsubscribe.filters.len() != reasons.len() {
            return Err(DecodeError::new(
                ReasonCode::ProtocolError,
                "an UNSUBACK has another number of reasons than there were filters",
            ));
        }
        let unsubscribe = unsubscribe.clone();
        self.give_up(request, ids);
        for (filter, reason) in unsubscribe.filters.iter().zip(&reasons) {
            if !reason.is_error() {
                self.forget(filter, durable);
            }
        }
        Ok(Answered {
            request,
            reply: Some(Reply::Unsubscribed(Unsubscribed {
                reasons,
                text: ack.reason_string,
                user_properties: ack.user_properties,
            })),
            failed: Vec::new(),
        })
    }

    /// What was asked for under this identifier.
    fn asked_as(&self, packet_id: PacketId) -> Result<(RequestId, &Asked), DecodeError> {
        let request = *self.sent.get(&packet_id).ok_or(WRONG_ANSWER)?;
        let asked = self.pending.get(&request).ok_or(WRONG_ANSWER)?;
        Ok((request, asked))
    }

    fn remember(
        &mut self,
        filter: TopicFilter,
        options: SubscribeOptions,
        id: Option<SubscriptionId>,
        durable: &mut Durable,
    ) {
        let number = self.known.get(&filter).map(|known| known.number);
        let number = number.unwrap_or_else(|| {
            let number = self.next_number;
            self.next_number = self.next_number.wrapping_add(1);
            number
        });
        let subscription = Subscription {
            number,
            options,
            id,
            confirmed: true,
        };
        store(&filter, &subscription, durable);
        self.known.insert(filter, subscription);
    }

    fn forget(&mut self, filter: &TopicFilter, durable: &mut Durable) {
        if let Some(subscription) = self.known.remove(filter) {
            durable.delete(records::subscription_key(subscription.number));
        }
    }
}

const WRONG_ANSWER: DecodeError = DecodeError::new(
    ReasonCode::ProtocolError,
    "an answer to a request that does not wait for it",
);

/// Why this server would not take a filter, if it is known.
fn untaken(filter: &TopicFilter, server: &Server, room: usize) -> Option<SubscribeReason> {
    if filter.has_wildcard() && !server.wildcard_subscriptions {
        Some(SubscribeReason::WildcardSubscriptionsNotSupported)
    } else if filter.share_name().is_some() && !server.shared_subscriptions {
        Some(SubscribeReason::SharedSubscriptionsNotSupported)
    } else if FILTER_LENGTH + filter.len() > room {
        Some(SubscribeReason::ImplementationSpecificError)
    } else {
        None
    }
}

fn store(filter: &TopicFilter, subscription: &Subscription, durable: &mut Durable) {
    durable.put(records::subscription_key(subscription.number), || {
        records::subscription(filter, subscription)
    });
}
