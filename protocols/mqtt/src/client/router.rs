//! Which message goes where.

use std::collections::BTreeMap;

use tokio::sync::mpsc;

use super::event::Routed;
use crate::codec::{SubscriptionId, TopicFilter};
use crate::core::Delivery;

/// Where a route leads.
#[derive(Clone, Debug)]
pub(super) enum Sink {
    /// To a subscription.
    Messages(mpsc::Sender<Routed>),
    /// To the requests that wait for responses.
    Responses,
}

/// The routes of a client: from filters to sinks.
#[derive(Debug, Default)]
pub(super) struct Router {
    routes: Vec<Entry>,
    last_route: u64,
    /// The numbers that this client has given to filters; one each, as a filter has one
    /// subscription (MQTT 5, section 3.8.4).
    numbers: BTreeMap<SubscriptionId, TopicFilter>,
    last_number: u32,
}

#[derive(Debug)]
struct Entry {
    id: u64,
    filter: TopicFilter,
    sink: Sink,
}

impl Router {
    /// Adds a route, and returns its name.
    pub(super) fn add(&mut self, filter: TopicFilter, sink: Sink) -> u64 {
        self.last_route += 1;
        let id = self.last_route;
        self.routes.push(Entry { id, filter, sink });
        id
    }

    /// The number for a filter, so that the server says which messages come for it; none when all
    /// are taken.
    pub(super) fn number(&mut self, filter: &TopicFilter) -> Option<SubscriptionId> {
        let known = self.numbers.iter().find(|(_, known)| *known == filter);
        if let Some((number, _)) = known {
            return Some(*number);
        }
        let number = SubscriptionId::new(self.last_number + 1).ok()?;
        self.last_number += 1;
        self.numbers.insert(number, filter.clone());
        Some(number)
    }

    /// Removes a route. Its filter, if it was the last with it.
    pub(super) fn remove(&mut self, id: u64) -> Option<TopicFilter> {
        let at = self.routes.iter().position(|route| route.id == id)?;
        let filter = self.routes.remove(at).filter;
        if self.routes.iter().any(|route| route.filter == filter) {
            return None;
        }
        self.numbers.retain(|_, known| *known != filter);
        Some(filter)
    }

    /// Where a message goes.
    ///
    /// The subscriptions' numbers say it, where the server has given any that this client knows.
    /// Elsewhere, or with numbers that an earlier process had chosen, its topic does.
    pub(super) fn sinks(&self, delivery: &Delivery) -> Vec<Sink> {
        let named: Vec<&TopicFilter> = delivery
            .subscription_ids
            .iter()
            .filter_map(|number| self.numbers.get(number))
            .collect();
        self.routes
            .iter()
            .filter(|route| {
                if named.is_empty() {
                    route.filter.matches(&delivery.message.topic)
                } else {
                    named.contains(&&route.filter)
                }
            })
            .map(|route| route.sink.clone())
            .collect()
    }
}
