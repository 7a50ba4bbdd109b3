//! Requests that wait for a response, as a program makes them (MQTT 5, section 4.10).

use std::sync::Arc;
use std::time::Duration;

use jackfield_socket::time;
use tokio::sync::oneshot;

use super::Client;
use super::action::{Action, Route, answered};
use crate::codec::TopicName;
use crate::core::Message;
use crate::error::RequestError;

/// Sends requests and awaits their responses; made by
/// [`Client::requester`](super::Client::requester). Clones share the response topic.
///
/// Each request carries correlation data that can't be guessed, so that a response reaches the
/// request that it is for, and nobody who can't read the request can answer it. What comes to the
/// response topic and belongs to no request that is waited for is discarded. When the last clone is
/// dropped, the topic is unsubscribed from.
#[derive(Clone, Debug)]
pub struct Requester {
    client: Client,
    response_topic: TopicName,
    _route: Arc<Route>,
}

impl Requester {
    pub(super) fn new(client: Client, response_topic: TopicName, route: Route) -> Self {
        Self {
            client,
            response_topic,
            _route: Arc::new(route),
        }
    }

    /// Publishes a request, and waits for the first response for this long. The response topic and
    /// the correlation data are added to the message.
    ///
    /// See [`Client::requester`](super::Client::requester) for an example, and
    /// [`Message::response`] for the other side.
    ///
    /// # Errors
    /// [`RequestError::TimedOut`]; [`RequestError::QueueFull`] where as many wait as
    /// [`call_capacity`](super::ClientConfig::call_capacity) allows; [`RequestError::Refused`] where
    /// the server refused the request; [`RequestError::Unsupported`] on MQTT 3.1.1.
    ///
    /// # Cancel safety
    /// Dropping the future discards the response.
    pub async fn call(
        &self,
        message: Message,
        patience: Duration,
    ) -> Result<Message, RequestError> {
        let (response, outcome) = oneshot::channel();
        let message = message.request(self.response_topic.clone(), None);
        let call = async {
            let message = Box::new(message);
            self.client.act(Action::Call { message, response }).await?;
            answered(outcome).await
        };
        let called = time::timeout(patience, call).await;
        called.unwrap_or(Err(RequestError::TimedOut))
    }
}
