//! Subscriptions with a reader of their own: how they begin and end, and which message goes where.

use std::sync::Arc;

use jackfield_client::OutboxOf;

use super::{Asked, Mqtt};
use crate::client::action::{Done, Receipt};
use crate::client::event::{Routed, Told};
use crate::client::routes::Sink;
use crate::codec::{SubscribeOptions, TopicFilter, Version};
use crate::core::{
    Delivery, Event, Reply, Session, SubscribeRequest, Subscribed, UnsubscribeRequest, Unsubscribed,
};
use crate::error::{Refusal, RequestError};

impl Mqtt {
    pub(super) fn route(
        &mut self,
        core: &mut Session,
        filter: &TopicFilter,
        options: SubscribeOptions,
        sink: Sink,
        done: Done<u64>,
    ) {
        let mut subscribe = SubscribeRequest::new(filter.clone(), options);
        let route = match self.routes.add(filter.clone(), sink) {
            Ok(route) => route,
            Err(error) => {
                let _ = done.send(Err(error));
                return;
            }
        };
        if self.session.version == Version::V5 {
            subscribe.subscription_id = self.routes.number(filter);
        }
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
        let outcome = match outcome {
            Ok(Reply::Subscribed(subscribed)) => granted(subscribed),
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
                self.routes.remove(route);
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
        let Some(filter) = self.routes.remove(route) else {
            if let Some(done) = done {
                let _ = done.send(Ok(None));
            }
            return;
        };
        match (
            core.unsubscribe(UnsubscribeRequest::new(filter.clone())),
            done,
        ) {
            (Ok(id), done) => {
                self.asked.insert(id, Asked::Unroute(done));
            }
            (Err(error), Some(done)) => {
                let _ = done.send(Err(error));
            }
            (Err(_), None) => self.to_unsubscribe.push_back(filter),
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

/// Whether the only filter of a subscription was granted.
fn granted(subscribed: Subscribed) -> Result<(), RequestError> {
    match subscribed.reasons.first() {
        Some(reason) if reason.granted().is_some() => Ok(()),
        Some(reason) => {
            let mut refusal = Refusal::new(*reason);
            refusal.text = subscribed.text;
            refusal.user_properties = subscribed.user_properties;
            Err(RequestError::Refused(Box::new(refusal)))
        }
        None => Err(RequestError::Closed),
    }
}
