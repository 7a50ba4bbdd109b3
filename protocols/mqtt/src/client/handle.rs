//! The handle of a client: what a program publishes, subscribes and asks with.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use jackfield_client::Actions;
use jackfield_socket::{Place, time};
use tokio::sync::{mpsc, oneshot};

use super::action::{Action, Done, Route, answered};
use super::event::{Status, Statuses};
use super::requester::Requester;
use super::routes::Sink;
use super::subscription::Subscription;
use crate::codec::{
    Disconnect, DisconnectReason, PublishReason, QoS, SubscribeOptions, TopicFilter, TopicName,
};
use crate::core::{
    Acknowledged, Message, Reply, Server, SubscribeRequest, Subscribed, UnsubscribeRequest,
    Unsubscribed,
};
use crate::error::{RequestError, SessionError};

/// Acts on a connection; see [`connect`](super::connect). Clones act on the same one.
///
/// Requests are taken at any time: without a connection, they wait for the next one, within the
/// session's [limits](crate::core::Limits).
///
/// When the last clone is dropped, the client disconnects.
///
/// # Cancel safety
/// Dropping the future of a request before the connection took it withdraws it. Afterwards it is
/// done all the same, and its outcome is discarded.
///
/// # Errors
/// Every request may fail with any [`RequestError`]; the methods name only what is particular.
#[derive(Clone, Debug)]
pub struct Client {
    pub(super) actions: Actions<Action, Box<Server>, SessionError>,
    pub(super) subscription_capacity: usize,
}

impl Client {
    /// Where the connection stands now, whether or not the events are read.
    pub fn status(&self) -> Status {
        self.actions.status()
    }

    /// Where it stands now, and whenever that changes.
    pub fn statuses(&self) -> Statuses {
        self.actions.statuses()
    }

    /// Ends the wait for the next attempt to connect, as when the network is known to be back. Where
    /// the client is connected, connecting or closed, nothing happens.
    pub fn reconnect_now(&self) {
        self.actions.reconnect_now();
    }

    /// At whose place the last connection was lost, for a request that failed by it: the server's, or
    /// that of a relay on the way. `None` while there is a connection, and before the first.
    pub fn lost_at(&self) -> Option<Place> {
        self.actions.lost_at()
    }

    /// Publishes a message; done when it was sent (QoS 0), or when the server has taken it.
    ///
    /// ```no_run
    /// # use jackfield_mqtt::client::Client;
    /// # use jackfield_mqtt::codec::QoS;
    /// # use jackfield_mqtt::core::Message;
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let message = Message::new("lamp/17/state".parse()?, "on").qos(QoS::AtLeastOnce);
    /// let taken = client.publish(message).await?;
    /// println!("{:?}", taken.reason);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`RequestError::Refused`] with the server's reason; [`RequestError::QueueFull`];
    /// [`RequestError::SessionLost`] where the server forgot the session while the message was in
    /// flight.
    ///
    /// # Cancel safety
    /// As the [type](Self) says.
    pub async fn publish(&self, message: Message) -> Result<Acknowledged, RequestError> {
        let (done, outcome) = oneshot::channel();
        let queued = None;
        self.act(Action::Publish {
            message,
            queued,
            done,
        })
        .await?;
        Publication(outcome).await
    }

    /// Publishes a message; done when it is queued, and durable where the client has a store. What
    /// comes of it then, the [`Publication`] tells.
    ///
    /// ```no_run
    /// # use jackfield_mqtt::client::Client;
    /// # use jackfield_mqtt::codec::QoS;
    /// # use jackfield_mqtt::core::Message;
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut publications = Vec::new();
    /// for reading in ["20.5", "20.6", "20.8"] {
    ///     let message = Message::new("room/temperature".parse()?, reading).qos(QoS::AtLeastOnce);
    ///     publications.push(client.enqueue(message).await?);
    /// }
    /// for publication in publications {
    ///     publication.await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`RequestError::QueueFull`], and what shows that the message can't be sent at all.
    ///
    /// # Cancel safety
    /// As the [type](Self) says.
    pub async fn enqueue(&self, message: Message) -> Result<Publication, RequestError> {
        let (queued, is_queued) = oneshot::channel();
        let (done, outcome) = oneshot::channel();
        let queued = Some(queued);
        self.act(Action::Publish {
            message,
            queued,
            done,
        })
        .await?;
        answered(is_queued).await?;
        Ok(Publication(outcome))
    }

    /// How many messages of QoS 1 and 2 the session has ever taken to send, those of earlier
    /// processes with the same store included.
    ///
    /// The count is stored together with the message. So an application that numbers its messages
    /// knows, after a crash, which was the last that the session has: it goes on with the next, and
    /// sends none twice and leaves none out.
    ///
    /// ```no_run
    /// # use jackfield_mqtt::client::Client;
    /// # use jackfield_mqtt::codec::QoS;
    /// # use jackfield_mqtt::core::Message;
    /// # async fn example(client: Client, readings: &[&str]) -> Result<(), Box<dyn std::error::Error>> {
    /// let before = usize::try_from(client.published().await?)?;
    /// for reading in readings.iter().skip(before) {
    ///     let message = Message::new("meter/reading".parse()?, (*reading).to_owned());
    ///     let _publication = client.enqueue(message.qos(QoS::ExactlyOnce)).await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As the [type](Self) says.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn published(&self) -> Result<u64, RequestError> {
        self.ask(Action::Published).await
    }

    /// Subscribes; done when the server has answered. The messages come as
    /// [events](super::ClientEvent).
    ///
    /// ```no_run
    /// # use jackfield_mqtt::client::Client;
    /// # use jackfield_mqtt::codec::{QoS, SubscribeOptions};
    /// # use jackfield_mqtt::core::SubscribeRequest;
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let options = SubscribeOptions::qos(QoS::AtLeastOnce);
    /// let subscribed = client.subscribe(SubscribeRequest::new("room/#".parse()?, options)).await?;
    /// println!("{:?}", subscribed.reasons);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As the [type](Self) says. A filter that the server refuses is no error: it is among
    /// [`Subscribed::reasons`].
    ///
    /// # Cancel safety
    /// As the [type](Self) says.
    pub async fn subscribe(&self, subscribe: SubscribeRequest) -> Result<Subscribed, RequestError> {
        match self.ask(|done| Action::Subscribe(subscribe, done)).await? {
            Reply::Subscribed(subscribed) => Ok(subscribed),
            _ => Err(RequestError::Closed),
        }
    }

    /// Unsubscribes; done when the server has answered.
    ///
    /// ```no_run
    /// # use jackfield_mqtt::client::Client;
    /// # use jackfield_mqtt::core::UnsubscribeRequest;
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// client.unsubscribe(UnsubscribeRequest::new("room/#".parse()?)).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As the [type](Self) says.
    ///
    /// # Cancel safety
    /// As the [type](Self) says.
    pub async fn unsubscribe(
        &self,
        unsubscribe: UnsubscribeRequest,
    ) -> Result<Unsubscribed, RequestError> {
        let asked = self.ask(|done| Action::Unsubscribe(unsubscribe, done));
        match asked.await? {
            Reply::Unsubscribed(unsubscribed) => Ok(unsubscribed),
            _ => Err(RequestError::Closed),
        }
    }

    /// Subscribes to a filter, and gives the messages that match it a place of their own; done when
    /// the server has agreed. See [`Subscription`].
    ///
    /// ```no_run
    /// # use jackfield_mqtt::client::Client;
    /// # use jackfield_mqtt::codec::{QoS, SubscribeOptions};
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let options = SubscribeOptions::qos(QoS::AtMostOnce);
    /// let mut temperatures = client.messages("+/temperature".parse()?, options).await?;
    /// while let Some(delivery) = temperatures.next().await {
    ///     println!("{}: {:?}", delivery.message.topic, delivery.message.payload);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`RequestError::Refused`] with the server's reason.
    ///
    /// # Cancel safety
    /// Dropping the future unsubscribes, if it has come to that.
    pub async fn messages(
        &self,
        filter: TopicFilter,
        options: SubscribeOptions,
    ) -> Result<Subscription, RequestError> {
        let subscribe = SubscribeRequest::new(filter, options);
        self.messages_of(subscribe).await
    }

    /// The same with several filters, whose messages come to one place in the order in which the server sends
    /// them, and with user properties. The server may send a message once for each of the filters that it
    /// matches. The [`subscription_id`](SubscribeRequest::subscription_id) is this client's to choose.
    ///
    /// ```no_run
    /// # use jackfield_mqtt::client::Client;
    /// # use jackfield_mqtt::codec::{QoS, SubscribeOptions};
    /// # use jackfield_mqtt::core::SubscribeRequest;
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let options = SubscribeOptions::qos(QoS::AtMostOnce);
    /// let filters = vec![("kitchen/#".parse()?, options), ("cellar/+/alarm".parse()?, options)];
    /// let mut messages = client.messages_of(SubscribeRequest::all(filters)).await?;
    /// while let Some(delivery) = messages.next().await {
    ///     println!("{}: {:?}", delivery.message.topic, delivery.message.payload);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`RequestError::Refused`] where the server refuses one of the filters, with its reason: then there is a
    /// subscription to none of them.
    ///
    /// # Cancel safety
    /// As [`messages`](Self::messages).
    pub async fn messages_of(
        &self,
        subscribe: SubscribeRequest,
    ) -> Result<Subscription, RequestError> {
        let filters = subscribe.filters.iter();
        let filters = filters.map(|(filter, _)| filter.clone()).collect();
        let (messages, received) = mpsc::channel(self.subscription_capacity.max(1));
        let (done, outcome) = oneshot::channel();
        self.act(Action::Route {
            subscribe,
            sink: Sink::Messages(messages),
            done,
        })
        .await?;
        let route = Route::new(answered(outcome).await?, self.actions.poster());
        Ok(Subscription::new(filters, received, route))
    }

    /// Prepares for requests whose responses come to this topic: it should be one that nobody else
    /// uses, such as one with this client's name, or below
    /// [`Server::response_information`](crate::core::Server::response_information). Done when the
    /// server has agreed to the subscription, for which it is waited this long. See [`Requester`].
    ///
    /// ```no_run
    /// # use jackfield_mqtt::client::Client;
    /// # use jackfield_mqtt::core::Message;
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let patience = std::time::Duration::from_secs(5);
    /// let requester = client.requester("replies/lamp-17".parse()?, patience).await?;
    /// let request = Message::new("lamp/17/ask".parse()?, "brightness");
    /// let response = requester.call(request, patience).await?;
    /// println!("{:?}", response.payload);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`RequestError::Refused`] with the server's reason; [`RequestError::TimedOut`].
    ///
    /// # Cancel safety
    /// As [`messages`](Self::messages).
    pub async fn requester(
        &self,
        response_topic: TopicName,
        patience: Duration,
    ) -> Result<Requester, RequestError> {
        let filter = TopicFilter::from_text(response_topic.as_text().clone())?;
        let route = self.ask(|done| Action::Route {
            subscribe: SubscribeRequest::new(filter, SubscribeOptions::qos(QoS::ExactlyOnce)),
            sink: Sink::Responses,
            done,
        });
        let route = time::timeout(patience, route).await;
        let route = route.unwrap_or(Err(RequestError::TimedOut))?;
        let route = Route::new(route, self.actions.poster());
        Ok(Requester::new(self.clone(), response_topic, route))
    }

    /// Acknowledges a message, with [`Acknowledge::ByHand`](super::Acknowledge::ByHand): from now on
    /// it is the application's. `serial` is its [`Delivery::serial`](crate::core::Delivery::serial);
    /// a reason that is a failure tells the server that it was not taken (MQTT 5). Done when the
    /// acknowledgement is queued; where the process ends before it is durable, the message comes
    /// again, with the same serial.
    ///
    /// ```no_run
    /// # use jackfield_mqtt::client::Client;
    /// # use jackfield_mqtt::codec::PublishReason;
    /// # use jackfield_mqtt::core::Delivery;
    /// # async fn example(client: Client, delivery: Delivery) -> Result<(), Box<dyn std::error::Error>> {
    /// if let Some(serial) = delivery.serial {
    ///     client.acknowledge(serial, PublishReason::Success).await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`RequestError::UnknownSerial`] where no such message waits for it.
    ///
    /// # Cancel safety
    /// As the [type](Self) says.
    pub async fn acknowledge(
        &self,
        serial: u64,
        reason: PublishReason,
    ) -> Result<(), RequestError> {
        self.ask(|done| Action::Acknowledge {
            serial,
            reason,
            done: Some(done),
        })
        .await
    }

    /// Answers an [`Event::Challenge`](crate::core::Event::Challenge) with the method's data; done
    /// when it is queued.
    ///
    /// ```no_run
    /// # use jackfield_mqtt::client::Client;
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// client.authenticate(Some("proof".into())).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`RequestError::Invalid`] where no challenge waits.
    ///
    /// # Cancel safety
    /// As the [type](Self) says.
    pub async fn authenticate(&self, data: Option<Bytes>) -> Result<(), RequestError> {
        self.ask(|done| Action::Authenticate(data, done)).await
    }

    /// Authenticates again on this connection, with the method that it began with (MQTT 5, section
    /// 4.12.1); done when the server has accepted.
    ///
    /// ```no_run
    /// # use jackfield_mqtt::client::Client;
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// client.reauthenticate(Some("a fresh token".into())).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`RequestError::NotConnected`]; [`RequestError::Invalid`] where the connection was begun
    /// without a method, or an authentication is going on; [`RequestError::ConnectionLost`] where
    /// the server ends the connection instead.
    ///
    /// # Cancel safety
    /// As the [type](Self) says.
    pub async fn reauthenticate(&self, data: Option<Bytes>) -> Result<(), RequestError> {
        self.ask(|done| Action::Reauthenticate(data, done))
            .await
            .map(|_| ())
    }

    /// Ends the client in order: the server is told so, publishes no will, and the connection
    /// future ends. What is queued is not waited for; with a store it is sent by the next client.
    /// Events that nobody reads by then may be lost. Done at once where it has ended already.
    ///
    /// ```no_run
    /// # use jackfield_mqtt::client::Client;
    /// # async fn example(client: Client) {
    /// client.close().await;
    /// # }
    /// ```
    ///
    /// # Cancel safety
    /// Dropping the future may leave the client running, or not.
    pub async fn close(&self) {
        let normally = Disconnect::new(DisconnectReason::Success);
        let _ = self.close_with(normally).await;
    }

    /// [`close`](Self::close) with a reason of one's own, such as one for which the will is published.
    ///
    /// ```no_run
    /// # use jackfield_mqtt::client::Client;
    /// # use jackfield_mqtt::codec::{Disconnect, DisconnectReason};
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// client.close_with(Disconnect::new(DisconnectReason::DisconnectWithWill)).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Where a client can't give this reason; the client goes on.
    ///
    /// # Cancel safety
    /// As [`close`](Self::close).
    pub async fn close_with(&self, disconnect: Disconnect) -> Result<(), RequestError> {
        let asked = self.ask(|done| Action::Close(disconnect, done));
        match asked.await {
            Ok(()) | Err(RequestError::Closed) => {}
            Err(error) => return Err(error),
        }
        self.actions.closed().await;
        Ok(())
    }

    pub(super) async fn act(&self, action: Action) -> Result<(), RequestError> {
        let sent = self.actions.send(action).await;
        sent.map_err(|_| RequestError::Closed)
    }

    async fn ask<T>(&self, action: impl FnOnce(Done<T>) -> Action) -> Result<T, RequestError> {
        let (done, outcome) = oneshot::channel();
        self.act(action(done)).await?;
        answered(outcome).await
    }
}

/// What comes of a message that was [queued](Client::enqueue): a future, done when it was sent
/// (QoS 0), or when the server has taken it.
///
/// # Errors
/// As [`Client::publish`].
///
/// # Cancel safety
/// Dropping it changes nothing.
#[derive(Debug)]
#[must_use = "whether the message arrives is known when this is awaited"]
pub struct Publication(oneshot::Receiver<Result<Reply, RequestError>>);

impl Future for Publication {
    type Output = Result<Acknowledged, RequestError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map(|outcome| match outcome {
            Ok(Ok(Reply::Published(acknowledged))) => Ok(acknowledged),
            Ok(Err(error)) => Err(error),
            Ok(Ok(_)) | Err(_) => Err(RequestError::Closed),
        })
    }
}
