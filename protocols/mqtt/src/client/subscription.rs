//! A subscription with a reader of its own: the messages of one filter, or of several.

use std::task::{Context, Poll};

use tokio::sync::{mpsc, oneshot};

use super::action::{Route, answered};
use super::event::Routed;
use crate::codec::{QoS, TopicFilter};
use crate::core::{Delivery, Unsubscribed};
use crate::error::RequestError;

/// The messages that match a filter, in order; made by [`Client::messages`](super::Client::messages), and
/// for several filters by [`Client::messages_of`](super::Client::messages_of).
///
/// A message that matches several subscriptions comes to each of them. Where the server numbers
/// them (MQTT 5), each has its own copy; elsewhere a server may send a message once for each filter
/// that it matches, and then it comes as often.
///
/// Messages wait here until they are read, up to
/// [`subscription_capacity`](super::ClientConfig::subscription_capacity). Then the client reads
/// nothing more from the server, for any subscription: none is lost, and the server is the one who
/// waits. It is the same client, so that whoever can't keep up should read on and drop.
///
/// What the server sends before it has agreed to the subscription waits here, too: beyond that bound, of
/// QoS 0 it is lost, and of QoS 1 and 2 it is bounded by the Receive Maximum.
///
/// Dropping this unsubscribes from those filters that no other one has, and acknowledges what waits
/// unread.
#[derive(Debug)]
pub struct Subscription {
    filters: Vec<TopicFilter>,
    received: mpsc::Receiver<Routed>,
    /// What [`try_next_at_most_once`](Self::try_next_at_most_once) found and may not take.
    found: Option<Routed>,
    route: Route,
}

impl Subscription {
    pub(super) fn new(
        filters: Vec<TopicFilter>,
        received: mpsc::Receiver<Routed>,
        route: Route,
    ) -> Self {
        Self {
            filters,
            received,
            found: None,
            route,
        }
    }

    /// What it subscribes to.
    pub fn filters(&self) -> &[TopicFilter] {
        &self.filters
    }

    /// The next message; `None` when the client has ended.
    ///
    /// ```no_run
    /// # async fn example(mut subscription: jackfield_mqtt::client::Subscription) {
    /// while let Some(delivery) = subscription.next().await {
    ///     println!("{}: {:?}", delivery.message.topic, delivery.message.payload);
    /// }
    /// # }
    /// ```
    ///
    /// # Cancel safety
    /// Dropping the future loses no message.
    pub async fn next(&mut self) -> Option<Delivery> {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }

    /// [`next`](Self::next), polled.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        if let Some(found) = self.found.take() {
            return Poll::Ready(Some(found.delivery));
        }
        let received = self.received.poll_recv(cx);
        received.map(|routed| routed.map(|routed| routed.delivery))
    }

    /// The next message, where it waits already and is of QoS 0: for whoever takes several at once. One of
    /// another QoS is left for [`next`](Self::next), since to take it is to acknowledge it.
    ///
    /// ```no_run
    /// # async fn example(mut subscription: jackfield_mqtt::client::Subscription) {
    /// while let Some(first) = subscription.next().await {
    ///     let mut batch = vec![first];
    ///     batch.extend(std::iter::from_fn(|| subscription.try_next_at_most_once()).take(63));
    ///     println!("{} messages", batch.len());
    /// }
    /// # }
    /// ```
    pub fn try_next_at_most_once(&mut self) -> Option<Delivery> {
        self.found = self.found.take().or_else(|| self.received.try_recv().ok());
        let found = (self.found).take_if(|routed| routed.delivery.message.qos == QoS::AtMostOnce);
        found.map(|routed| routed.delivery)
    }

    /// Unsubscribes, acknowledges what waits unread, and waits for the server's answer, which has a reason for each filter that no other
    /// subscription has; `None` where there is none such.
    ///
    /// ```no_run
    /// # async fn example(
    /// #     subscription: jackfield_mqtt::client::Subscription,
    /// # ) -> Result<(), Box<dyn std::error::Error>> {
    /// subscription.unsubscribe().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Client`](super::Client) says.
    ///
    /// # Cancel safety
    /// Dropping the future discards the answer.
    pub async fn unsubscribe(self) -> Result<Option<Unsubscribed>, RequestError> {
        let Self {
            received,
            found,
            mut route,
            ..
        } = self;
        let (done, outcome) = oneshot::channel();
        route.end(Some(done));
        // Nobody reads them any more, and the answer stands behind what they hold back.
        drop((received, found));
        answered(outcome).await
    }
}
