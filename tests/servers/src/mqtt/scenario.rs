//! The scenario of an MQTT client's life, the same with every broker.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::time::Duration;

use bytes::Bytes;
use jackfield_mqtt::RequestError;
use jackfield_mqtt::client::Acknowledge;
use jackfield_mqtt::codec::{
    PublishReason, QoS, SubscribeOptions, SubscriptionId, TopicFilter, Version, Will,
};
use jackfield_mqtt::core::{CleanStart, Message, SubscribeRequest, UnsubscribeRequest};
use jackfield_socket::TcpConnect;
use jackfield_testing::proxy::Proxy;
use tokio::time::timeout;

use super::second::{self, PublishProperties, Second};
use super::{Device, at, config};
use crate::LONG;

const ALL: [(QoS, second::QoS); 3] = [
    (QoS::AtMostOnce, second::QoS::AtMostOnce),
    (QoS::AtLeastOnce, second::QoS::AtLeastOnce),
    (QoS::ExactlyOnce, second::QoS::ExactlyOnce),
];

/// Those after which it is known that the broker has the message.
const ACKNOWLEDGED: [(QoS, second::QoS); 2] = [ALL[1], ALL[2]];

/// A broker, and how to reach it.
#[derive(Debug)]
pub struct Place<N> {
    /// The network over which our client speaks.
    pub network: N,
    /// Where it connects.
    pub server: SocketAddr,
    /// Where the second client connects, over TCP.
    pub second: SocketAddr,
    /// The version that both speak.
    pub version: Version,
}

/// Plays what both versions have.
pub async fn play<N: TcpConnect + Clone>(place: &Place<N>) {
    let mut second = place.second("second").await;
    messages(place, &mut second).await;
    retained(place, &mut second).await;
    sessions(place, &mut second).await;
    wills(place, &mut second).await;
}

/// Plays what only MQTT 5 has.
pub async fn play_v5<N: TcpConnect + Clone>(place: &Place<N>) {
    let mut second = place.second("second").await;
    properties(place, &mut second).await;
    subscription_ids(place, &mut second).await;
    shared(place, &mut second).await;
    aliases(place, &mut second).await;
    receive_maximum(place, &mut second).await;
    requests(place).await;
    delayed_will(place, &mut second).await;
}

impl<N: TcpConnect + Clone> Place<N> {
    /// The second client.
    pub async fn second(&self, id: &str) -> Second {
        match self.version {
            Version::V5 => Second::v5(self.second, id).await,
            Version::V311 => Second::v3(self.second, id).await,
        }
    }

    /// Our client, connected to there.
    async fn device(&self, id: &str) -> Device {
        let config = config(id, self.version);
        let mut device = Device::start(self.network.clone(), &at(self.server), config);
        device.connected().await;
        device
    }
}

fn message(topic: &str, payload: impl Into<Bytes>) -> Message {
    Message::new(topic.parse().expect("a topic"), payload)
}

fn filter(filter: &str) -> TopicFilter {
    filter.parse().expect("a filter")
}

/// Every quality of service, both ways, in order; and the end of a subscription.
async fn messages<N: TcpConnect + Clone>(place: &Place<N>, second: &mut Second) {
    let mut device = place.device("messages").await;
    let subscribe = SubscribeRequest::new(filter("to/+/device"), SubscribeOptions::default());
    let subscribed = device.client.subscribe(subscribe).await;
    let reasons = subscribed.expect("subscribed").reasons;
    assert_eq!(reasons.len(), 1);
    assert!(!reasons[0].is_error(), "{reasons:?}");
    second
        .subscribe("from/device", second::QoS::ExactlyOnce)
        .await;

    for (ours, theirs) in ALL {
        for payload in ["", "grüße", "x".repeat(50_000).as_str()] {
            let payload = Bytes::copy_from_slice(payload.as_bytes());
            second
                .publish("to/the/device", theirs, false, payload.clone())
                .await;
            let came = device.message().await;
            assert_eq!(came.message.topic.as_str(), "to/the/device");
            assert_eq!(came.message.payload, payload);
            assert_eq!(came.message.qos, ours);
            assert_eq!(came.serial.is_some(), ours != QoS::AtMostOnce);
            assert!(!came.dup && !came.message.retain);

            let publish = message("from/device", payload.clone()).qos(ours);
            let taken = device.client.publish(publish).await.expect("taken");
            assert_eq!(taken.reason, PublishReason::Success);
            let came = second.message().await;
            assert_eq!((came.topic.as_str(), came.qos), ("from/device", theirs));
            assert_eq!(came.payload, payload);
        }
    }

    let unsubscribe = UnsubscribeRequest::new(filter("to/+/device"));
    let unsubscribed = device.client.unsubscribe(unsubscribe).await;
    assert_eq!(unsubscribed.expect("unsubscribed").reasons.len(), 1);
    device.quit().await;
}

/// What is kept for those who come later, and forgotten again.
async fn retained<N: TcpConnect + Clone>(place: &Place<N>, second: &mut Second) {
    let mut config = config("retained", place.version);
    // With a session that is kept, aedes never finishes what was retained with QoS 2.
    config.connect.session_expiry = Some(0);
    let mut device = Device::start(place.network.clone(), &at(place.server), config);
    device.connected().await;
    let options = SubscribeOptions::default();
    for (ours, theirs) in ACKNOWLEDGED {
        let publish = message("kept/ours", "21 °C").qos(ours).retained();
        device.client.publish(publish).await.expect("taken");
        second.publish("kept/theirs", theirs, true, "22 °C").await;
        second
            .subscribe("kept/ours", second::QoS::ExactlyOnce)
            .await;
        let came = second.message().await;
        assert!(came.retain);
        assert_eq!(came.payload, "21 °C");

        let mut kept = device
            .client
            .messages(filter("kept/#"), options)
            .await
            .expect("subscribed");
        let mut came = Vec::new();
        for _ in 0..2 {
            let delivery = timeout(LONG, kept.next()).await;
            let delivery = delivery.unwrap_or_else(|_| panic!("{ours:?}: only {came:?}"));
            let delivery = delivery.expect("a message");
            assert!(delivery.message.retain);
            came.push(delivery.message.payload);
        }
        came.sort();
        assert_eq!(came, ["21 °C", "22 °C"]);
        kept.unsubscribe().await.expect("unsubscribed");

        let forget = message("kept/ours", "").qos(QoS::AtLeastOnce).retained();
        device.client.publish(forget).await.expect("taken");
        assert_eq!(second.message().await.payload, "");
        second.unsubscribe("kept/ours").await;
        second
            .publish("kept/theirs", second::QoS::AtLeastOnce, true, "")
            .await;
    }
    device.quit().await;
}

/// A connection that is lost, and messages meanwhile, both ways.
async fn sessions<N: TcpConnect + Clone>(place: &Place<N>, second: &mut Second) {
    let proxy = Proxy::start(place.server).await.expect("a proxy");
    let to = at(proxy.address());
    let config = config("sessions", place.version);
    let mut device = Device::start(place.network.clone(), &to, config);
    assert!(!device.connected().await.session_present);
    let options = SubscribeOptions::default();
    let mut orders = device
        .client
        .messages(filter("orders"), options)
        .await
        .expect("subscribed");
    second.subscribe("news", second::QoS::ExactlyOnce).await;

    // QoS 2 first: what comes once more after the last cut would confuse the next round.
    for (ours, theirs) in ACKNOWLEDGED.into_iter().rev() {
        proxy.refuse(true);
        proxy.cut();
        device.disconnected().await;
        let mut publications = Vec::new();
        for number in 0..10 {
            let text = format!("{ours:?} {number}");
            second.publish("orders", theirs, false, text.clone()).await;
            let queued = device.client.enqueue(message("news", text).qos(ours)).await;
            publications.push(queued.expect("queued"));
        }
        proxy.refuse(false);
        assert!(device.connected().await.session_present);
        for publication in publications {
            let taken = timeout(LONG, publication).await.expect("in time");
            assert_eq!(taken.expect("taken").reason, PublishReason::Success);
        }
        for number in 0..10 {
            let text = format!("{ours:?} {number}");
            assert_eq!(second.message().await.payload, text);
            let order = timeout(LONG, orders.next()).await;
            let order = order.expect("in time").expect("a message");
            assert_eq!(order.message.payload, text);
        }
    }

    // What one leaves that takes its leave, the next one of its name finds, unless it is not wanted.
    device.quit().await;
    for (clean_start, found) in [(CleanStart::Never, true), (CleanStart::Always, false)] {
        let mut config = super::config("sessions", place.version);
        config.connect.clean_start = clean_start;
        let mut device = Device::start(place.network.clone(), &to, config);
        assert_eq!(device.connected().await.session_present, found);
        device.quit().await;
    }
}

/// The last words of a client that vanishes, and of one that takes its leave.
async fn wills<N: TcpConnect + Clone>(place: &Place<N>, second: &mut Second) {
    second.subscribe("last/#", second::QoS::ExactlyOnce).await;
    for (ours, theirs) in ALL {
        let mut config = config("wills", place.version);
        let mut will = Will::new("last/words".parse().expect("a topic"), "gone");
        will.qos = ours;
        config.connect.will = Some(will);
        config.connect.session_expiry = Some(0);
        let mut device = Device::start(place.network.clone(), &at(place.server), config);
        device.connected().await;
        device.vanish();
        let came = second.message().await;
        assert_eq!((came.topic.as_str(), came.qos), ("last/words", theirs));
        assert_eq!(came.payload, "gone");
    }
}

/// Everything that a message can have said about it, both ways.
async fn properties<N: TcpConnect + Clone>(place: &Place<N>, second: &mut Second) {
    let mut device = place.device("properties").await;
    let options = SubscribeOptions {
        no_local: true,
        ..SubscribeOptions::default()
    };
    device
        .client
        .subscribe(SubscribeRequest::new(filter("talk"), options))
        .await
        .expect("subscribed");
    second.subscribe("talk", second::QoS::ExactlyOnce).await;

    let mut publish = message("talk", "to them").qos(QoS::ExactlyOnce);
    publish.properties.payload_is_text = Some(true);
    publish.properties.message_expiry = Some(600);
    publish.properties.content_type = Some("text/plain".parse().expect("a text"));
    publish.properties.response_topic = Some("answers".parse().expect("a topic"));
    publish.properties.correlation_data = Some(Bytes::from_static(&[0, 1, 255]));
    let pair = ("unit", "°C");
    let user = |(name, value): (&str, &str)| {
        (
            name.parse().expect("a text"),
            value.parse().expect("a text"),
        )
    };
    publish.properties.user_properties = vec![user(pair), user(pair)];
    let sent = publish.properties.clone();
    device.client.publish(publish).await.expect("taken");
    let came = second.message().await.properties;
    assert_eq!(came.payload_format_indicator, Some(1));
    assert!(came.message_expiry_interval.is_some_and(|left| left <= 600));
    assert_eq!(came.content_type.as_deref(), Some("text/plain"));
    assert_eq!(came.response_topic.as_deref(), Some("answers"));
    assert_eq!(came.correlation_data, sent.correlation_data);
    let pair = (pair.0.to_owned(), pair.1.to_owned());
    // The broker may add some of its own.
    assert!(
        came.user_properties
            .starts_with(&[pair.clone(), pair.clone()])
    );

    let back = PublishProperties {
        payload_format_indicator: Some(1),
        message_expiry_interval: Some(600),
        content_type: Some("text/plain".into()),
        response_topic: Some("answers".into()),
        correlation_data: sent.correlation_data.clone(),
        user_properties: vec![pair.clone(), pair],
        ..PublishProperties::default()
    };
    second
        .publish_with("talk", second::QoS::ExactlyOnce, "to us", back)
        .await;
    let came = device.message().await.message;
    assert_eq!(came.payload, "to us", "its own message stays away");
    let mut properties = came.properties;
    let expiry = properties.message_expiry.take();
    assert!(expiry.is_some_and(|left| left <= 600));
    properties.message_expiry = sent.message_expiry;
    properties.user_properties.truncate(2);
    assert_eq!(properties, sent);
    device.quit().await;
    second.message().await;
}

/// Each subscription's number comes with its messages.
async fn subscription_ids<N: TcpConnect + Clone>(place: &Place<N>, second: &mut Second) {
    let mut device = place.device("numbers").await;
    for (name, number) in [("numbers/one", 1), ("numbers/two", 268_435_455)] {
        let mut subscribe = SubscribeRequest::new(filter(name), SubscribeOptions::default());
        subscribe.subscription_id = Some(SubscriptionId::new(number).expect("a number"));
        device
            .client
            .subscribe(subscribe)
            .await
            .expect("subscribed");
        second
            .publish(name, second::QoS::AtLeastOnce, false, "")
            .await;
        let came = device.message().await.subscription_ids;
        let numbers: Vec<_> = came.iter().map(|id| id.get()).collect();
        assert_eq!(numbers, [number]);
    }
    device.quit().await;
}

/// Two clients share the work: each message comes to one of them.
async fn shared<N: TcpConnect + Clone>(place: &Place<N>, second: &mut Second) {
    const COUNT: usize = 20;
    let workers = [
        place.device("worker-1").await,
        place.device("worker-2").await,
    ];
    let mut work = Vec::new();
    for worker in &workers {
        let options = SubscribeOptions::default();
        let share = worker.client.messages(filter("$share/crew/work"), options);
        work.push(share.await.expect("subscribed"));
    }
    for number in 0..COUNT {
        second
            .publish("work", second::QoS::ExactlyOnce, false, number.to_string())
            .await;
    }
    let mut done = Vec::new();
    let (first, second) = work.split_at_mut(1);
    while done.len() < COUNT {
        let delivery = async {
            tokio::select! {
                delivery = first[0].next() => delivery,
                delivery = second[0].next() => delivery,
            }
        };
        let delivery = timeout(LONG, delivery).await.expect("in time");
        done.push(delivery.expect("a message").message.payload);
    }
    done.sort_by_key(|payload| String::from_utf8_lossy(payload).parse::<usize>().ok());
    let expected: Vec<_> = (0..COUNT).map(|number| number.to_string()).collect();
    assert_eq!(done, expected);
    drop(work);
    for worker in workers {
        worker.quit().await;
    }
}

/// A topic that is sent once, and then a number for it, where the broker takes that.
async fn aliases<N: TcpConnect + Clone>(place: &Place<N>, second: &mut Second) {
    const COUNT: usize = 5;
    const TOPIC: &str = "a/rather/long/topic/that/is/worth/a/number";
    second.subscribe(TOPIC, second::QoS::ExactlyOnce).await;
    let proxy = Proxy::start(place.server).await.expect("a proxy");
    let to = at(proxy.address());
    let config = config("aliases", place.version);
    let mut device = Device::start(place.network.clone(), &to, config);
    let allowed = device.connected().await.topic_alias_maximum;
    for (ours, _) in ALL {
        for number in 0..COUNT {
            let publish = message(TOPIC, number.to_string()).qos(ours);
            device.client.publish(publish).await.expect("taken");
            let came = second.message().await;
            assert_eq!(came.topic, TOPIC);
            assert_eq!(came.payload, number.to_string());
        }
    }
    device.quit().await;
    if allowed > 0 && place.server == place.second {
        let sent = &proxy.recordings()[0].to_server.bytes;
        let times = sent
            .windows(TOPIC.len())
            .filter(|bytes| *bytes == TOPIC.as_bytes());
        assert_eq!(times.count(), 1, "the topic goes over the wire once");
    }
    second.unsubscribe(TOPIC).await;
}

/// No more messages come than are wanted at a time, and an acknowledgement makes room.
async fn receive_maximum<N: TcpConnect + Clone>(place: &Place<N>, second: &mut Second) {
    let mut config = config("slow", place.version);
    config.session.receive_maximum = NonZeroU16::new(2).expect("two");
    config.acknowledge = Acknowledge::ByHand;
    let mut device = Device::start(place.network.clone(), &at(place.server), config);
    device.connected().await;
    let subscribe = SubscribeRequest::new(filter("flood"), SubscribeOptions::default());
    device
        .client
        .subscribe(subscribe)
        .await
        .expect("subscribed");
    for number in 0..10 {
        second
            .publish("flood", second::QoS::ExactlyOnce, false, number.to_string())
            .await;
    }
    let mut waiting = VecDeque::new();
    for number in 0..10 {
        let came = device.message().await;
        assert_eq!(came.message.payload, number.to_string());
        waiting.push_back(came.serial.expect("a serial"));
        // The next one comes only when one of these is done.
        if waiting.len() == 2 {
            let serial = waiting.pop_front().expect("two");
            let taken = device.client.acknowledge(serial, PublishReason::Success);
            taken.await.expect("acknowledged");
        }
    }
    device.quit().await;
}

/// Questions and answers between two of our clients.
async fn requests<N: TcpConnect + Clone>(place: &Place<N>) {
    let asking = place.device("asking").await;
    let answering = place.device("answering").await;
    let options = SubscribeOptions::default();
    let mut questions = answering
        .client
        .messages(filter("questions"), options)
        .await
        .expect("subscribed");
    let client = answering.client.clone();
    let answers = tokio::spawn(async move {
        while let Some(question) = questions.next().await {
            let doubled = [&question.message.payload[..], &question.message.payload].concat();
            let answer = question.message.response(doubled).expect("it asks for one");
            client.publish(answer).await.expect("taken");
        }
    });
    let requester = asking
        .client
        .requester("answers/asking".parse().expect("a topic"), LONG)
        .await
        .expect("subscribed");
    let calls = (0..10).map(|number| {
        let requester = requester.clone();
        tokio::spawn(async move {
            let question = message("questions", number.to_string()).qos(QoS::AtLeastOnce);
            let answer = requester.call(question, LONG).await.expect("an answer");
            assert_eq!(answer.payload, format!("{number}{number}"));
        })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.expect("answered");
    }
    let unanswered = requester
        .call(message("nobody", "?"), Duration::from_millis(100))
        .await;
    assert_eq!(unanswered, Err(RequestError::TimedOut), "nobody is there");
    answering.quit().await;
    answers.abort();
    asking.quit().await;
}

/// A will that waits: it isn't published when the client is back in time.
async fn delayed_will<N: TcpConnect + Clone>(place: &Place<N>, second: &mut Second) {
    second.subscribe("late/#", second::QoS::ExactlyOnce).await;
    let started = |delay: u32| {
        let mut config = config("late", place.version);
        let mut will = Will::new("late/words".parse().expect("a topic"), delay.to_string());
        will.delay = delay;
        config.connect.will = Some(will);
        config.connect.clean_start = CleanStart::Never;
        Device::start(place.network.clone(), &at(place.server), config)
    };
    // Back in time, and with a new will that waits less.
    let mut device = started(30);
    device.connected().await;
    device.vanish();
    let mut device = started(1);
    assert!(device.connected().await.session_present);
    device.vanish();
    assert_eq!(second.message().await.payload, "1");

    let mut device = started(0);
    device.connected().await;
    device.quit().await;
    // The leave was taken in order: nothing is published before this.
    second
        .publish("late/marker", second::QoS::AtLeastOnce, false, "marker")
        .await;
    assert_eq!(second.message().await.payload, "marker");
}
