//! The client against a server in the test's hand, under a clock that stands still.

mod broker;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use broker::{Server, World, accept, config, listen, publish, release};
use bytes::Bytes;
use jackfield_mqtt::client::{Acknowledge, ConnectionError, Publication};
use jackfield_mqtt::codec::{
    Auth, AuthReason, Authentication, ConnAck, ConnectReason, Disconnect, DisconnectReason, Packet,
    Password, PubAck, PublishReason, QoS, ReasonCode, SubscribeOptions, SubscribeReason, UnsubAck,
    UnsubscribeReason,
};
use jackfield_mqtt::core::{Event, Message, QueuePolicy, Subscribe};
use jackfield_mqtt::{RequestError, SessionError};
use jackfield_socket::time;
use jackfield_store::{Batch, Records, Store};

fn message(payload: &str) -> Message {
    Message::new("a/b".parse().expect("a topic"), payload.to_owned()).qos(QoS::AtLeastOnce)
}

fn twice() -> SubscribeOptions {
    SubscribeOptions::qos(QoS::ExactlyOnce)
}

/// A store that outlives the client that was given it.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Records>>);

impl Store for Shared {
    async fn load(&mut self) -> jackfield_store::Result<Records> {
        Ok(self.0.lock().expect("no panic").clone())
    }

    async fn commit(&mut self, batch: Batch) -> jackfield_store::Result<()> {
        // As slow as a disk.
        time::sleep(Duration::from_millis(5)).await;
        let mut records = self.0.lock().expect("no panic");
        for (key, value) in batch.iter() {
            match value {
                Some(value) => records.insert(key.to_vec(), value.to_vec()),
                None => records.remove(key),
            };
        }
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_publication_has_its_reason() {
    let mut world = World::new(config()).await;
    let mut server = world.connected(false).await;
    let (taken, ()) = tokio::join!(world.client.publish(message("one")), async {
        let publish = server.publish().await;
        server
            .acknowledge(&publish, PublishReason::NoMatchingSubscribers)
            .await;
    });
    let reason = taken.expect("it was taken").reason;
    assert_eq!(reason, PublishReason::NoMatchingSubscribers);

    let (refused, ()) = tokio::join!(world.client.publish(message("two")), async {
        let publish = server.publish().await;
        server
            .acknowledge(&publish, PublishReason::NotAuthorized)
            .await;
    });
    let Err(RequestError::Refused(refusal)) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(refusal.reason, ReasonCode::NotAuthorized);
}

#[tokio::test(start_paused = true)]
async fn what_was_in_flight_is_sent_again() {
    let mut world = World::new(config()).await;
    let mut server = world.connected(false).await;
    let first = world.client.enqueue(message("one")).await.expect("room");
    let sent = server.publish().await;
    assert!(!sent.dup);
    drop(server);
    let (error, retry_in) = world.disconnected().await;
    assert!(!error.is_permanent() && retry_in.is_some(), "{error}");
    // And what comes in between follows.
    let second = world.client.enqueue(message("two")).await.expect("room");

    let mut server = world.connected(true).await;
    let again = server.publish().await;
    assert!(again.dup, "{again:?}");
    assert_eq!(again.packet_id, sent.packet_id);
    assert_eq!(again.payload, "one");
    let next = server.publish().await;
    assert!(!next.dup);
    assert_eq!(next.payload, "two");
    for publish in [again, next] {
        server.acknowledge(&publish, PublishReason::Success).await;
    }
    first.await.expect("taken at last");
    second.await.expect("taken");
}

#[tokio::test(start_paused = true)]
async fn exactly_once_survives_a_cut_in_the_middle() {
    let mut world = World::new(config()).await;
    let mut server = world.connected(false).await;
    let once = message("once").qos(QoS::ExactlyOnce);
    let publication = world.client.enqueue(once).await.expect("room");
    let sent = server.publish().await;
    let packet_id = sent.packet_id.expect("QoS 2 has one");
    server
        .send(&Packet::PubRec(PubAck {
            packet_id,
            reason: PublishReason::Success,
            reason_string: None,
            user_properties: Vec::new(),
        }))
        .await;
    assert_eq!(server.packet().await, Packet::PubRel(release(packet_id)));
    drop(server);
    world.disconnected().await;

    let mut server = world.connected(true).await;
    assert_eq!(server.packet().await, Packet::PubRel(release(packet_id)));
    server.send(&Packet::PubComp(release(packet_id))).await;
    publication.await.expect("once");
}

#[tokio::test(start_paused = true)]
async fn the_queue_without_a_connection_has_a_bound() {
    let mut refusing = config();
    refusing.session.limits.queued_messages = 2;
    let mut world = World::new(refusing).await;
    let server = world.server().await;
    let mut publications = Vec::new();
    for payload in ["one", "two"] {
        publications.push(world.client.enqueue(message(payload)).await.expect("room"));
    }
    let full = world.client.enqueue(message("three")).await;
    assert!(matches!(full, Err(RequestError::QueueFull)), "{full:?}");
    drop((server, world));
    for publication in publications {
        assert_eq!(publication.await, Err(RequestError::Closed));
    }

    let mut preferring = config();
    preferring.session.limits.queued_messages = 2;
    preferring.session.when_full = QueuePolicy::DropOldest;
    let mut world = World::new(preferring).await;
    let mut server = world.server().await;
    let mut publications: Vec<Publication> = Vec::new();
    for payload in ["one", "two", "three"] {
        publications.push(world.client.enqueue(message(payload)).await.expect("room"));
    }
    assert_eq!(publications.remove(0).await, Err(RequestError::Dropped));
    server.connect().await;
    server.let_in(false).await;
    for payload in ["two", "three"] {
        let publish = server.publish().await;
        assert_eq!(publish.payload, payload);
        server.acknowledge(&publish, PublishReason::Success).await;
    }
    for publication in publications {
        publication.await.expect("taken");
    }
}

#[tokio::test(start_paused = true)]
async fn a_process_that_was_killed_is_finished_by_the_next() {
    let store = Shared::default();
    let mut world = World::new(config().with_store(store.clone())).await;
    let mut server = world.connected(false).await;
    let unsent = world.client.enqueue(message("one")).await.expect("room");
    let sent = server.publish().await;
    // Came, but was not taken.
    server.deliver("c/d", "hello", Some(7)).await;
    server.is_silent().await;
    drop(unsent);

    let mut world = world.restarted(config().with_store(store.clone())).await;
    drop(server);
    let mut server = world.connected(true).await;
    let again = server.publish().await;
    assert!(again.dup, "{again:?}");
    assert_eq!(again.packet_id, sent.packet_id);
    assert_eq!(again.payload, "one");
    server.acknowledge(&again, PublishReason::Success).await;
    let mut repeated = publish("c/d", "hello", Some(7));
    repeated.dup = true;
    server.send(&Packet::Publish(repeated)).await;
    let delivery = world.message().await;
    assert_eq!(delivery.message.payload, "hello");
    assert_eq!(server.puback().await.packet_id.get(), 7);
    world.client.quit().await;
    assert!(matches!(server.packet().await, Packet::Disconnect(_)));

    let mut world = world.restarted(config().with_store(store)).await;
    let mut server = world.connected(true).await;
    server.is_silent().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_queued_is_durable() {
    let store = Shared::default();
    let mut world = World::new(config().with_store(store.clone())).await;
    // Nobody has let the client in yet.
    let server = world.server().await;
    for payload in ["one", "two"] {
        let queued = world.client.enqueue(message(payload)).await;
        let publication = queued.expect("room");
        drop(publication);
    }
    assert_eq!(world.client.published().await, Ok(2));
    let mut world = world.restarted(config().with_store(store)).await;
    drop(server);
    assert_eq!(world.client.published().await, Ok(2));
    let mut server = world.connected(false).await;
    assert_eq!(server.publish().await.payload, "one");
    assert_eq!(server.publish().await.payload, "two");
}

#[tokio::test(start_paused = true)]
async fn messages_are_acknowledged_when_they_were_taken() {
    let mut world = World::new(config()).await;
    let mut server = world.connected(false).await;
    server.deliver("a/b", "one", Some(1)).await;
    server.deliver("a/b", "two", Some(2)).await;
    server.is_silent().await;
    assert_eq!(world.message().await.message.payload, "one");
    assert_eq!(server.puback().await.packet_id.get(), 1);
    assert_eq!(world.message().await.message.payload, "two");
    assert_eq!(server.puback().await.packet_id.get(), 2);
}

#[tokio::test(start_paused = true)]
async fn messages_are_acknowledged_by_hand() {
    let mut by_hand = config();
    by_hand.acknowledge = Acknowledge::ByHand;
    let mut world = World::new(by_hand).await;
    let mut server = world.connected(false).await;
    server.deliver("a/b", "one", Some(1)).await;
    server.deliver("a/b", "two", Some(2)).await;
    let serials = [world.message().await.serial, world.message().await.serial];
    let [Some(first), Some(second)] = serials else {
        panic!("{serials:?}");
    };
    assert!(first < second);
    server.is_silent().await;
    let refused = PublishReason::QuotaExceeded;
    world
        .client
        .acknowledge(first, refused)
        .await
        .expect("it waits");
    world
        .client
        .acknowledge(second, PublishReason::Success)
        .await
        .expect("it waits");
    assert_eq!(server.puback().await.reason, refused);
    assert_eq!(server.puback().await.packet_id.get(), 2);
    let unknown = world.client.acknowledge(first, refused).await;
    assert_eq!(unknown, Err(RequestError::UnknownSerial));
}

#[tokio::test(start_paused = true)]
async fn more_than_the_receive_maximum_is_put_up_with() {
    let mut few = config();
    few.session.receive_maximum = std::num::NonZeroU16::MIN;
    let mut world = World::new(few).await;
    let mut server = world.server().await;
    let connect = server.connect().await;
    assert_eq!(connect.receive_maximum, Some(std::num::NonZeroU16::MIN));
    server.let_in(false).await;
    for packet_id in 1..=100 {
        server.deliver("a/b", "one of many", Some(packet_id)).await;
    }
    for packet_id in 1..=100 {
        world.message().await;
        assert_eq!(server.puback().await.packet_id.get(), packet_id);
    }
}

#[tokio::test(start_paused = true)]
async fn each_subscription_has_its_messages() {
    let mut world = World::new(config()).await;
    let mut server = world.connected(false).await;
    let filter = || "a/+".parse().expect("a filter");
    let (one, number) = tokio::join!(world.client.messages(filter(), twice()), async {
        let subscribe = server.subscribe().await;
        // What is retained may come before the answer.
        let mut retained = publish("a/b", "retained", None);
        retained.subscription_ids.extend(subscribe.subscription_id);
        server.send(&Packet::Publish(retained)).await;
        server.grant(subscribe.packet_id).await;
        subscribe.subscription_id
    });
    let mut one = one.expect("granted");
    assert_eq!(
        one.next().await.expect("a message").message.payload,
        "retained"
    );

    let all = "#".parse().expect("a filter");
    let (two, ()) = tokio::join!(world.client.messages(all, twice()), async {
        let subscribe = server.subscribe().await;
        server.grant(subscribe.packet_id).await;
    });
    let mut two = two.expect("granted");

    // Numbered, it is for one of them; without numbers, for both; the rest is an event.
    let mut numbered = publish("a/b", "numbered", None);
    numbered.subscription_ids.extend(number);
    server.send(&Packet::Publish(numbered)).await;
    server.deliver("a/c", "for both", Some(5)).await;
    assert_eq!(
        one.next().await.expect("a message").message.payload,
        "numbered"
    );
    assert_eq!(
        one.next().await.expect("a message").message.payload,
        "for both"
    );
    server.is_silent().await;
    assert_eq!(
        two.next().await.expect("a message").message.payload,
        "for both"
    );
    assert_eq!(server.puback().await.packet_id.get(), 5, "both have it");

    drop(two);
    let Packet::Unsubscribe(unsubscribe) = server.packet().await else {
        panic!("it was dropped");
    };
    assert_eq!(unsubscribe.filters[0].as_str(), "#");
    server.deliver("x", "left over", None).await;
    assert_eq!(world.message().await.message.payload, "left over");

    let (unsubscribed, ()) = tokio::join!(one.unsubscribe(), async {
        let Packet::Unsubscribe(unsubscribe) = server.packet().await else {
            panic!("it was asked for");
        };
        server
            .send(&Packet::UnsubAck(UnsubAck {
                packet_id: unsubscribe.packet_id,
                reasons: vec![UnsubscribeReason::NoSubscriptionExisted],
                reason_string: None,
                user_properties: Vec::new(),
            }))
            .await;
    });
    let unsubscribed = unsubscribed.expect("an answer").expect("the only one");
    assert_eq!(
        unsubscribed.reasons,
        [UnsubscribeReason::NoSubscriptionExisted]
    );
}

#[tokio::test(start_paused = true)]
async fn a_number_of_another_subscription_misleads_nobody() {
    let mut world = World::new(config()).await;
    let mut server = world.connected(false).await;
    let filter = "a/+".parse().expect("a filter");
    let (mine, number) = tokio::join!(world.client.messages(filter, twice()), async {
        let subscribe = server.subscribe().await;
        server.grant(subscribe.packet_id).await;
        subscribe.subscription_id
    });
    let mut mine = mine.expect("granted");
    // An earlier process, or the application, has given the same number to another filter.
    let mut other = publish("other/topic", "not mine", None);
    other.subscription_ids.extend(number);
    server.send(&Packet::Publish(other)).await;
    assert_eq!(world.message().await.message.payload, "not mine");
    // Or it had another for this one.
    let mut same = publish("a/b", "mine", None);
    let unknown = jackfield_mqtt::codec::SubscriptionId::new(77).expect("a number");
    same.subscription_ids.push(unknown);
    server.send(&Packet::Publish(same)).await;
    assert_eq!(
        mine.next().await.expect("a message").message.payload,
        "mine"
    );
}

#[tokio::test(start_paused = true)]
async fn a_server_without_subscription_identifiers_is_asked_without() {
    let mut world = World::new(config()).await;
    let mut server = world.server().await;
    // Asked for before anybody knows what the server takes.
    let filter = "a/+".parse().expect("a filter");
    let (subscription, ()) = tokio::join!(world.client.messages(filter, twice()), async {
        server.connect().await;
        let mut ack = ConnAck::new(false, ConnectReason::Success);
        ack.subscription_ids = false;
        server.send(&Packet::ConnAck(Box::new(ack))).await;
        let subscribe = server.subscribe().await;
        assert_eq!(subscribe.subscription_id, None);
        server.grant(subscribe.packet_id).await;
    });
    let mut subscription = subscription.expect("granted");
    server.deliver("a/b", "hi", None).await;
    assert_eq!(
        subscription
            .next()
            .await
            .expect("a message")
            .message
            .payload,
        "hi"
    );
}

#[tokio::test(start_paused = true)]
async fn a_malformed_packet_ends_the_connection_with_its_reason() {
    let mut world = World::new(config()).await;
    let mut server = world.connected(false).await;
    // A wildcard in a topic.
    server.send_bytes(b"\x30\x04\x00\x01#\x00").await;
    let Packet::Disconnect(disconnect) = server.packet().await else {
        panic!("it says why");
    };
    assert_eq!(disconnect.reason, DisconnectReason::TopicNameInvalid);
    assert!(server.next().await.is_none(), "and closes the stream");
    let (error, retry_in) = world.disconnected().await;
    let ConnectionError::Session(SessionError::Protocol { reason, .. }) = error else {
        panic!("{error}");
    };
    assert_eq!(reason, ReasonCode::TopicNameInvalid);
    assert!(retry_in.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_subscription_may_be_refused() {
    let mut world = World::new(config()).await;
    let mut server = world.connected(false).await;
    let filter = "secret/#".parse().expect("a filter");
    let (refused, ()) = tokio::join!(world.client.messages(filter, twice()), async {
        let subscribe = server.subscribe().await;
        server
            .answer(subscribe.packet_id, SubscribeReason::NotAuthorized)
            .await;
    });
    let Err(RequestError::Refused(refusal)) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(refusal.reason, ReasonCode::NotAuthorized);
    // Several at once tell it one by one.
    let filter = "secret/#".parse().expect("a filter");
    let subscribe = Subscribe::new(filter, twice());
    let (answered, ()) = tokio::join!(world.client.subscribe(subscribe), async {
        let subscribe = server.subscribe().await;
        server
            .answer(subscribe.packet_id, SubscribeReason::NotAuthorized)
            .await;
    });
    let reasons = answered.expect("an answer").reasons;
    assert_eq!(reasons, [SubscribeReason::NotAuthorized]);
}

#[tokio::test(start_paused = true)]
async fn messages_that_nobody_reads_stall_the_server() {
    let mut small = config();
    small.subscription_capacity = 4;
    let mut world = World::new(small).await;
    let mut server = world.connected(false).await;
    let filter = "flood".parse().expect("a filter");
    let (flooded, ()) = tokio::join!(world.client.messages(filter, twice()), async {
        let subscribe = server.subscribe().await;
        server.grant(subscribe.packet_id).await;
    });
    let mut flooded = flooded.expect("granted");
    let mut sent = 0_u32;
    let flood = async {
        loop {
            server.deliver("flood", &format!("{sent:0100}"), None).await;
            sent += 1;
        }
    };
    let stalled = time::timeout(Duration::from_secs(30), flood).await;
    assert!(stalled.is_err(), "the server could send for ever");
    // Sending goes on meanwhile.
    let publication = world.client.enqueue(message("up")).await.expect("room");
    assert_eq!(server.publish().await.payload, "up");
    drop(publication);
    for number in 0..sent {
        let delivery = flooded.next().await.expect("a message");
        assert_eq!(delivery.message.payload, format!("{number:0100}"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_redirection_is_followed_and_bounded() {
    async fn send_away(server: &mut Server, reason: ConnectReason, to: &str) {
        server.connect().await;
        let mut ack = ConnAck::new(false, reason);
        ack.server_reference = Some(to.parse().expect("a text"));
        server.send(&Packet::ConnAck(Box::new(ack))).await;
    }
    let mut world = World::new(config()).await;
    let mut other = listen(&world.there, "192.0.2.2:1884").await;
    let mut server = world.server().await;
    send_away(
        &mut server,
        ConnectReason::UseAnotherServer,
        "there.example:1884",
    )
    .await;
    let mut elsewhere = accept(&mut other).await;
    let (_, retry_in) = world.disconnected().await;
    assert_eq!(retry_in, Some(Duration::ZERO));
    elsewhere.connect().await;
    elsewhere.let_in(false).await;
    world
        .event(|event| {
            matches!(
                event,
                jackfield_mqtt::client::ClientEvent::Mqtt(Event::Connected(_))
            )
        })
        .await;

    // It was for now: the next connection is where the first was.
    drop(elsewhere);
    world.disconnected().await;
    let mut server = world.server().await;
    // Round and round: three times at once, and then after a while, where it began.
    let away = ConnectReason::UseAnotherServer;
    send_away(&mut server, away, "there.example:1884").await;
    assert_eq!(world.disconnected().await.1, Some(Duration::ZERO));
    for expected in [true, true, false] {
        let mut elsewhere = accept(&mut other).await;
        send_away(&mut elsewhere, away, "there.example").await;
        let at_once = world.disconnected().await.1 == Some(Duration::ZERO);
        assert_eq!(at_once, expected);
    }
    world.connected(false).await;
}

#[tokio::test(start_paused = true)]
async fn credentials_are_renewed() {
    let renewing = config().renew_with(|attempt, mut connect| async move {
        if attempt == 2 {
            return Err("no token today".into());
        }
        connect.password = Some(Password::new(format!("token {attempt}"))?);
        Ok(connect)
    });
    let mut world = World::new(renewing).await;
    let mut server = world.server().await;
    let password = server.connect().await.password.expect("a password");
    assert_eq!(password.as_bytes(), b"token 1");
    drop(server);
    world.disconnected().await;
    let (error, retry_in) = world.disconnected().await;
    let ConnectionError::Session(SessionError::NotRenewed(text)) = error else {
        panic!("{error}");
    };
    assert_eq!(text, "no token today");
    assert!(retry_in.is_some());
    let mut server = world.server().await;
    let password = server.connect().await.password.expect("a password");
    assert_eq!(password.as_bytes(), b"token 3");
}

#[tokio::test(start_paused = true)]
async fn requests_have_their_responses() {
    let mut two_at_once = config();
    two_at_once.pending_calls = 2;
    let mut world = World::new(two_at_once).await;
    let mut server = world.connected(false).await;
    let topic = || "replies/ada".parse().expect("a topic");
    let (requester, ()) = tokio::join!(world.client.requester(topic()), async {
        let subscribe = server.subscribe().await;
        assert_eq!(subscribe.filters[0].0.as_str(), "replies/ada");
        server.grant(subscribe.packet_id).await;
    });
    let requester = requester.expect("granted");
    let ask = |payload: &str| Message::new("lamp".parse().expect("a topic"), payload.to_owned());
    let patience = Duration::from_secs(5);

    // Answered in the other order, one to each.
    let calls = async {
        tokio::join!(
            requester.call(ask("one"), patience),
            requester.call(ask("two"), patience)
        )
    };
    let ((one, two), ()) = tokio::join!(calls, async {
        let requests = [server.publish().await, server.publish().await];
        for request in requests.iter().rev() {
            let asked = request.properties.as_ref().expect("properties");
            assert_eq!(asked.response_topic, Some(topic()));
            let payload = format!("{} done", String::from_utf8_lossy(&request.payload));
            let mut response = publish("replies/ada", &payload, None);
            response
                .properties
                .get_or_insert_default()
                .correlation_data
                .clone_from(&asked.correlation_data);
            server.send(&Packet::Publish(response)).await;
        }
    });
    assert_eq!(one.expect("a response").payload, "one done");
    assert_eq!(two.expect("a response").payload, "two done");

    // What answers nothing is for nobody, and none is waited for for ever.
    let (late, ()) = tokio::join!(requester.call(ask("three"), patience), async {
        let request = server.publish().await;
        let mut wrong = publish("replies/ada", "wrong", None);
        wrong.properties.get_or_insert_default().correlation_data =
            Some(Bytes::from_static(b"guessed"));
        server.send(&Packet::Publish(wrong)).await;
        let asked = request.properties.expect("properties");
        assert!(asked.correlation_data.is_some());
    });
    assert_eq!(late, Err(RequestError::TimedOut));

    // No more wait than may.
    {
        let mut waiting = std::pin::pin!(requester.call(ask("four"), patience));
        tokio::select! {
            biased;
            outcome = &mut waiting => panic!("{outcome:?}"),
            request = server.publish() => assert_eq!(request.payload, "four"),
        }
        let mut other = std::pin::pin!(requester.call(ask("five"), patience));
        tokio::select! {
            biased;
            outcome = &mut other => panic!("{outcome:?}"),
            request = server.publish() => assert_eq!(request.payload, "five"),
        }
        let full = requester.call(ask("six"), patience).await;
        assert_eq!(full, Err(RequestError::QueueFull));
        assert_eq!(waiting.await, Err(RequestError::TimedOut));
    }

    drop(requester);
    assert!(matches!(server.packet().await, Packet::Unsubscribe(_)));
}

#[tokio::test(start_paused = true)]
async fn a_challenge_is_answered_and_an_authentication_renewed() {
    fn auth(reason: AuthReason, data: &'static str) -> Packet {
        Packet::Auth(Box::new(Auth {
            reason,
            authentication: Some(Authentication {
                method: "RIDDLE".parse().expect("a text"),
                data: Some(data.into()),
            }),
            reason_string: None,
            user_properties: Vec::new(),
        }))
    }
    let mut config = config();
    config.connect.authentication = Some(Authentication {
        method: "RIDDLE".parse().expect("a text"),
        data: Some("ready".into()),
    });
    let mut world = World::new(config).await;
    let mut server = world.server().await;
    server.connect().await;
    let question = auth(
        AuthReason::ContinueAuthentication,
        "what walks on four legs?",
    );
    server.send(&question).await;
    world
        .event(|event| {
            matches!(
                event,
                jackfield_mqtt::client::ClientEvent::Mqtt(Event::Challenge(_))
            )
        })
        .await;
    world
        .client
        .authenticate(Some("man".into()))
        .await
        .expect("it was asked");
    let answer = auth(AuthReason::ContinueAuthentication, "man");
    assert_eq!(server.packet().await, answer);
    let mut ack = ConnAck::new(false, ConnectReason::Success);
    ack.authentication = Some(Authentication {
        method: "RIDDLE".parse().expect("a text"),
        data: None,
    });
    server.send(&Packet::ConnAck(Box::new(ack))).await;
    world
        .event(|event| {
            matches!(
                event,
                jackfield_mqtt::client::ClientEvent::Mqtt(Event::Connected(_))
            )
        })
        .await;

    let again = world.client.reauthenticate(Some("still me".into()));
    let (again, ()) = tokio::join!(again, async {
        let packet = server.packet().await;
        assert_eq!(packet, auth(AuthReason::ReAuthenticate, "still me"));
        server.send(&auth(AuthReason::Success, "welcome")).await;
    });
    again.expect("accepted");
}

#[tokio::test(start_paused = true)]
async fn quitting_takes_leave_with_a_reason() {
    let mut world = World::new(config()).await;
    let mut server = world.connected(false).await;
    let unfit = Disconnect::new(DisconnectReason::ServerBusy);
    world
        .client
        .disconnect(unfit)
        .await
        .expect_err("only a server is");
    let with_will = Disconnect::new(DisconnectReason::DisconnectWithWill);
    let (left, ()) = tokio::join!(world.client.disconnect(with_will), async {
        let Packet::Disconnect(disconnect) = server.packet().await else {
            panic!("it takes leave");
        };
        assert_eq!(disconnect.reason, DisconnectReason::DisconnectWithWill);
        assert!(server.next().await.is_none());
        drop(server);
    });
    left.expect("an end");
    world
        .connection
        .await
        .expect("no panic")
        .expect("an orderly end");
    let closed = world.client.publish(message("late")).await;
    assert_eq!(closed, Err(RequestError::Closed));

    // Without a connection, at once; by dropping the last handle, too.
    let world = World::new(config()).await;
    world.client.quit().await;
    world
        .connection
        .await
        .expect("no panic")
        .expect("an orderly end");
    let mut world = World::new(config()).await;
    let mut server = world.connected(false).await;
    drop(world.client);
    assert!(matches!(server.packet().await, Packet::Disconnect(_)));
}

#[tokio::test(start_paused = true)]
async fn what_the_server_lost_is_subscribed_again() {
    let mut world = World::new(config()).await;
    let mut server = world.connected(false).await;
    let filter = "a/#".parse().expect("a filter");
    let (subscription, ()) = tokio::join!(world.client.messages(filter, twice()), async {
        let subscribe = server.subscribe().await;
        server.grant(subscribe.packet_id).await;
    });
    let mut subscription = subscription.expect("granted");
    drop(server);
    world.disconnected().await;
    let mut server = world.connected(false).await;
    let again = server.subscribe().await;
    assert_eq!(again.filters[0].0.as_str(), "a/#");
    let mut numbered = publish("a/b", "back", None);
    numbered.subscription_ids.extend(again.subscription_id);
    server.send(&Packet::Publish(numbered)).await;
    assert_eq!(
        subscription
            .next()
            .await
            .expect("a message")
            .message
            .payload,
        "back"
    );
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_ends_the_client() {
    struct Broken;
    impl Store for Broken {
        async fn load(&mut self) -> jackfield_store::Result<Records> {
            Ok(Records::new())
        }
        async fn commit(&mut self, _batch: Batch) -> jackfield_store::Result<()> {
            let kind = jackfield_store::ErrorKind::Full;
            Err(jackfield_store::Error::new(kind, "the disk is full"))
        }
    }
    let mut world = World::new(config().with_store(Broken)).await;
    // Its very existence is to be noted, or its first message.
    let _ = world.client.enqueue(message("one")).await;
    let (error, retry_in) = world.disconnected().await;
    assert_eq!(
        error.to_string(),
        "the session can't be kept: the disk is full"
    );
    assert_eq!(retry_in, None);
    world
        .connection
        .await
        .expect("no panic")
        .expect_err("the same error");
}
