//! Subscriptions with a reader of their own: how they begin and end, and which message goes where.

use std::sync::Arc;

use jackfield_client::OutboxOf;

use super::{Asked, Mqtt};
use crate::client::action::{Done, Receipt};
use crate::client::event::{Routed, Told};
use crate::client::routes::Sink;
use crate::codec::{SubscribeReason, TopicFilter, Version};
use crate::core::{
    Delivery, Event, Reply, Session, SubscribeRequest, Subscribed, UnsubscribeRequest, Unsubscribed,
};
use crate::error::{Refusal, RequestError};

impl Mqtt {
    pub(super) fn route(
        &mut self,
        core: &mut Session,
        mut subscribe: SubscribeRequest,
        sink: Sink,
        done: Done<u64>,
    ) {
        let mut filters: Vec<TopicFilter> = Vec::with_capacity(subscribe.filters.len());
        for (filter, _) in &subscribe.filters {
            if !filters.contains(filter) {
                filters.push(filter.clone());
            }
        }
        let route = match self.routes.add(filters.clone(), sink) {
            Ok(route) => route,
            Err(error) => {
                let _ = done.send(Err(error));
                return;
            }
        };
        subscribe.subscription_id = match self.session.version {
            Version::V5 => self.routes.number(&filters),
            Version::V311 => None,
        };
        match core.subscribe_numbered(subscribe) {
            Ok(id) => {
                self.asked.insert(id, Asked::Route(route, done));
            }
            Err(error) => {
                self.routes.remove(route);
                let _ = done.send(Err(error));
            }
        }
    }

    pub(super) fn routed(
        &mut self,
        core: &mut Session,
        route: u64,
        outcome: Result<Reply, RequestError>,
        done: Done<u64>,
    ) {
        let mut in_part = false;
        let outcome = match outcome {
            Ok(Reply::Subscribed(subscribed)) => {
                in_part = subscribed.reasons.iter().copied().any(is_granted);
                granted(subscribed)
            }
            Ok(_) => Err(RequestError::Closed),
            Err(error) => Err(error),
        };
        match outcome {
            Ok(()) => {
                if let Some((to, early)) = self.routes.granted(route) {
                    let early = early.into_iter().map(|routed| (to.clone(), routed));
                    self.undelivered.extend(early);
                }
                if done.send(Ok(route)).is_err() {
                    self.unroute(core, route, None);
                }
            }
            Err(error) => {
                if in_part {
                    // Those that the server has agreed to go too.
                    self.unroute(core, route, None);
                } else {
                    self.routes.remove(route);
                }
                let _ = done.send(Err(error));
            }
        }
    }

    pub(super) fn unroute(
        &mut self,
        core: &mut Session,
        route: u64,
        done: Option<Done<Option<Unsubscribed>>>,
    ) {
        let filters = self.routes.remove(route);
        if filters.is_empty() {
            if let Some(done) = done {
                let _ = done.send(Ok(None));
            }
            return;
        }
        match (
            core.unsubscribe(UnsubscribeRequest::all(filters.clone())),
            done,
        ) {
            (Ok(id), done) => {
                self.asked.insert(id, Asked::Unroute(done));
            }
            (Err(error), Some(done)) => {
                let _ = done.send(Err(error));
            }
            (Err(_), None) => self.to_unsubscribe.extend(filters),
        }
    }

    pub(super) fn deliver_to(&mut self, delivery: Delivery, outbox: &mut OutboxOf<Self>) {
        let sinks = self.routes.sinks(&delivery);
        let responses = sinks
            .iter()
            .any(|(_, sink)| matches!(sink, Sink::Responses));
        // Nobody else can acknowledge a response.
        let serial = delivery.serial.filter(|_| responses || !self.by_hand);
        let poster = self.poster.clone();
        let receipt = serial.zip(poster).map(|(serial, poster)| {
            let receipt = Receipt { serial, poster };
            Arc::new(receipt)
        });
        if sinks.is_empty() {
            outbox.push(Told {
                event: Event::Message(delivery),
                _receipt: receipt,
            });
            return;
        }
        if responses
            && let Some(correlation) = &delivery.message.properties.correlation_data
            && let Some(response) = self.calls.remove(correlation)
        {
            let _ = response.send(Ok(delivery.message.clone()));
        }
        for (route, sink) in sinks {
            if let Sink::Messages(to) = sink {
                let routed = Routed {
                    delivery: delivery.clone(),
                    _receipt: receipt.clone(),
                };
                let capacity = to.max_capacity();
                if let Some(routed) = self.routes.keep_early(route, routed, capacity) {
                    self.undelivered.push_back((to, routed));
                }
            }
        }
    }
}

/// Whether each filter of a subscription was granted; the first that was not says why.
fn granted(subscribed: Subscribed) -> Result<(), RequestError> {
    let Some(refused) = subscribed.reasons.iter().find(|it| !is_granted(**it)) else {
        return Ok(());
    };
    let mut refusal = Refusal::new(*refused);
    refusal.text = subscribed.text;
    refusal.user_properties = subscribed.user_properties;
    Err(RequestError::Refused(Box::new(refusal)))
}

fn is_granted(reason: SubscribeReason) -> bool {
    reason.granted().is_some()
}
