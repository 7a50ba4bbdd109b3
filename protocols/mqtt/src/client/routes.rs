//! Routes: which message goes to which subscription's reader.

use jackfield_socket::sorted::{SortedMap, SortedSet};
use tokio::sync::mpsc;

use super::event::Routed;
use crate::codec::{QoS, SubscriptionId, TopicFilter};
use crate::core::{Delivery, Router};
use crate::error::RequestError;

/// Where a route leads.
#[derive(Clone, Debug)]
pub(super) enum Sink {
    /// To a subscription.
    Messages(mpsc::Sender<Routed>),
    /// To the requests that wait for responses.
    Responses,
}

/// The routes of a client: from filters to sinks.
#[derive(Debug)]
pub(super) struct Routes {
    entries: SortedMap<u64, Entry>,
    last_route: u64,
    by_topic: Router<u64>,
    /// The numbers that this client has given to filters, to those of one route together. Each filter
    /// has one, as it has one subscription (MQTT 5, section 3.8.4).
    numbers: SortedMap<SubscriptionId, Vec<TopicFilter>>,
    last_number: u32,
}

#[derive(Debug)]
struct Entry {
    filters: Vec<TopicFilter>,
    sink: Sink,
    /// What came before the server has agreed; `None` afterwards.
    early: Option<Early>,
}

/// Messages for a route that nobody can read yet.
#[derive(Debug, Default)]
struct Early {
    messages: Vec<Routed>,
    /// So many of them are of QoS 0.
    at_most_once: usize,
}

impl Routes {
    /// Room for so many routes.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            entries: SortedMap::new(),
            last_route: 0,
            by_topic: Router::new(limit),
            numbers: SortedMap::new(),
            last_number: 0,
        }
    }

    /// Adds a route, and returns its name.
    pub(super) fn add(
        &mut self,
        filters: Vec<TopicFilter>,
        sink: Sink,
    ) -> Result<u64, RequestError> {
        let id = self.last_route + 1;
        for filter in &filters {
            if self.by_topic.insert(filter, id).is_err() {
                self.leave(&filters, id);
                return Err(RequestError::QueueFull);
            }
        }
        self.last_route = id;
        let entry = Entry {
            filters,
            sink,
            early: Some(Early::default()),
        };
        self.entries.insert(id, entry);
        Ok(id)
    }

    fn leave(&mut self, filters: &[TopicFilter], id: u64) {
        for filter in filters {
            self.by_topic.remove(filter, &id);
        }
    }

    /// The server has agreed to a route. Gives what came for it before, and where it goes.
    pub(super) fn granted(&mut self, id: u64) -> Option<(mpsc::Sender<Routed>, Vec<Routed>)> {
        let entry = self.entries.get_mut(&id)?;
        let early = entry.early.take()?;
        match &entry.sink {
            Sink::Messages(to) => Some((to.clone(), early.messages)),
            Sink::Responses => None,
        }
    }

    /// Keeps a message for a route that the server has not agreed to; gives it back where it has.
    ///
    /// Nobody can read such messages yet, and to wait for it would be to wait for ever: the server's
    /// answer stands behind them. Those of QoS 1 and 2 are bounded by the Receive Maximum; of QoS 0,
    /// those beyond what a subscription holds are lost.
    pub(super) fn keep_early(
        &mut self,
        id: u64,
        message: Routed,
        capacity: usize,
    ) -> Option<Routed> {
        let early = self
            .entries
            .get_mut(&id)
            .and_then(|entry| entry.early.as_mut());
        let Some(early) = early else {
            return Some(message);
        };
        if message.delivery.message.qos == QoS::AtMostOnce {
            if early.at_most_once == capacity {
                return None;
            }
            early.at_most_once += 1;
        }
        early.messages.push(message);
        None
    }

    /// The number for filters that have a route, so that the server says which messages come for
    /// them; `None` when all are taken.
    pub(super) fn number(&mut self, filters: &[TopicFilter]) -> Option<SubscriptionId> {
        let known = self.numbers.iter().find(|(_, known)| *known == filters);
        if let Some((number, _)) = known {
            return Some(*number);
        }
        let number = SubscriptionId::new(self.last_number + 1).ok()?;
        self.last_number += 1;
        // Those that have one get another. What still comes with the old one goes by its topic.
        for filter in filters {
            self.forget_number(filter);
        }
        self.numbers.insert(number, filters.to_vec());
        Some(number)
    }

    fn forget_number(&mut self, filter: &TopicFilter) {
        self.numbers.retain(|_, known| {
            known.retain(|known| known != filter);
            !known.is_empty()
        });
    }

    /// Removes a route. Those of its filters that no other has.
    pub(super) fn remove(&mut self, id: u64) -> Vec<TopicFilter> {
        let Some(Entry { mut filters, .. }) = self.entries.remove(&id) else {
            return Vec::new();
        };
        self.leave(&filters, id);
        let entries = &self.entries;
        let is_used =
            |filter: &TopicFilter| entries.values().any(|route| route.filters.contains(filter));
        filters.retain(|filter| !is_used(filter));
        for filter in &filters {
            self.forget_number(filter);
        }
        filters
    }

    /// Where a message goes.
    ///
    /// The subscriptions' numbers say it, where the server has given any that this client knows.
    /// Elsewhere, its topic does; and also where a number is one that an earlier process, or the
    /// application, has given to another filter.
    pub(super) fn sinks(&self, delivery: &Delivery) -> Vec<(u64, Sink)> {
        if self.entries.is_empty() {
            return Vec::new();
        }
        let numbers = &delivery.subscription_ids;
        let named: Vec<&TopicFilter> = numbers
            .iter()
            .filter_map(|number| self.numbers.get(number))
            .flatten()
            .filter(|filter| filter.matches(&delivery.message.topic))
            .collect();
        if named.is_empty() {
            let found = self.by_topic.matches(&delivery.message.topic);
            let found: SortedSet<u64> = found.into_iter().collect();
            let routes = found.iter().filter_map(|id| self.entries.get_key_value(id));
            return routes
                .map(|(id, route)| (*id, route.sink.clone()))
                .collect();
        }
        let routes = self.entries.iter();
        routes
            .filter(|(_, route)| named.iter().any(|filter| route.filters.contains(filter)))
            .map(|(id, route)| (*id, route.sink.clone()))
            .collect()
    }
}
