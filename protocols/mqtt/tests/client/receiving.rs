//! Receiving: acknowledgements, subscriptions, and responses.

use std::time::Duration;

use bytes::Bytes;
use jackfield_mqtt::RequestError;
use jackfield_mqtt::client::{Acknowledge, Status, Subscription};
use jackfield_mqtt::codec::{
    ConnAck, ConnectReason, Packet, PublishReason, ReasonCode, SubscribeReason, TopicFilter,
    UnsubscribeReason,
};
use jackfield_mqtt::core::{CleanStart, Message, SubscribeRequest};
use jackfield_socket::time;

use crate::broker::{World, config, publish};
use crate::{message, twice};

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
async fn what_is_taken_along_is_of_qos_0_and_in_order() {
    let mut world = World::new(config()).await;
    let mut server = world.connected(false).await;
    let filter = "a/+".parse().expect("a filter");
    let (subscription, ()) = tokio::join!(world.client.messages(filter, twice()), async {
        let subscribe = server.subscribe().await;
        server.grant(subscribe.packet_id).await;
    });
    let mut subscription = subscription.expect("granted");
    assert_eq!(subscription.try_next_at_most_once(), None);
    for (payload, packet_id) in [("1", None), ("2", None), ("3", Some(3)), ("4", None)] {
        server.deliver("a/b", payload, packet_id).await;
    }
    server.is_silent().await;
    let first = subscription.next().await.expect("a message");
    assert_eq!(first.message.payload, "1");
    let along = |subscription: &mut Subscription| {
        let delivery = subscription.try_next_at_most_once();
        delivery.map(|delivery| delivery.message.payload)
    };
    assert_eq!(along(&mut subscription).as_deref(), Some(&b"2"[..]));
    // It is not taken, whoever asks how often, and so it is not acknowledged.
    assert_eq!(along(&mut subscription), None);
    assert_eq!(along(&mut subscription), None);
    server.is_silent().await;
    let third = subscription.next().await.expect("a message");
    assert_eq!(third.message.payload, "3");
    assert_eq!(server.puback().await.packet_id.get(), 3);
    assert_eq!(along(&mut subscription).as_deref(), Some(&b"4"[..]));
    assert_eq!(along(&mut subscription), None);
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

    let (unsubscribed, ()) = tokio::join!(
        one.unsubscribe(),
        server.answer_unsubscribe(UnsubscribeReason::NoSubscriptionExisted)
    );
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
    let subscribe = SubscribeRequest::new(filter, twice());
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
async fn several_filters_have_one_reader() {
    let mut world = World::new(config()).await;
    let mut server = world.connected(false).await;
    let filter = |text: &str| text.parse::<TopicFilter>().expect("a filter");
    let (alone, first) = tokio::join!(world.client.messages(filter("a/+"), twice()), async {
        let subscribe = server.subscribe().await;
        server.grant(subscribe.packet_id).await;
        subscribe.subscription_id
    });
    let mut alone = alone.expect("granted");

    let filters = [filter("a/+"), filter("b"), filter("a/+")];
    let mut subscribe = SubscribeRequest::all(filters.map(|it| (it, twice())).to_vec());
    let told = (
        "who".parse().expect("a text"),
        "ada".parse().expect("a text"),
    );
    subscribe.user_properties.push(told.clone());
    let (both, number) = tokio::join!(world.client.messages_of(subscribe), async {
        let subscribe = server.subscribe().await;
        assert_eq!(subscribe.filters.len(), 3);
        assert_eq!(subscribe.user_properties, [told]);
        let granted = SubscribeReason::GrantedQoS1;
        server.answers(subscribe.packet_id, &[granted; 3]).await;
        subscribe.subscription_id
    });
    let mut both = both.expect("granted");
    assert_eq!(both.filters().len(), 3);
    assert_ne!(number, first);

    // The filter that both have has the newer number with the server; one that is old may still come.
    for (topic, number) in [
        ("a/b", number),
        ("b", number),
        ("a/c", first),
        ("a/d", None),
    ] {
        let mut message = publish(topic, topic, None);
        message.subscription_ids.extend(number);
        server.send(&Packet::Publish(message)).await;
    }
    for topic in ["a/b", "b", "a/c", "a/d"] {
        let delivery = both.next().await.expect("a message");
        assert_eq!(delivery.message.topic.as_str(), topic);
    }
    for topic in ["a/b", "a/c", "a/d"] {
        let delivery = alone.next().await.expect("a message");
        assert_eq!(delivery.message.topic.as_str(), topic);
    }

    // One goes on, and the other's own filter is all that it unsubscribes from.
    drop(both);
    let Packet::Unsubscribe(unsubscribe) = server.packet().await else {
        panic!("it was dropped");
    };
    assert_eq!(unsubscribe.filters, [filter("b")]);
    server.deliver("a/e", "on", None).await;
    assert_eq!(alone.next().await.expect("a message").message.payload, "on");
}

#[tokio::test(start_paused = true)]
async fn where_one_of_several_filters_is_refused_there_is_none() {
    let mut world = World::new(config()).await;
    let mut server = world.connected(false).await;
    let filters = ["open", "secret"].map(|it| (it.parse().expect("a filter"), twice()));
    let subscribe = SubscribeRequest::all(filters.to_vec());
    let (refused, ()) = tokio::join!(world.client.messages_of(subscribe), async {
        let subscribe = server.subscribe().await;
        let reasons = [SubscribeReason::GrantedQoS1, SubscribeReason::NotAuthorized];
        server.answers(subscribe.packet_id, &reasons).await;
    });
    let Err(RequestError::Refused(refusal)) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(refusal.reason, ReasonCode::NotAuthorized);
    let Packet::Unsubscribe(unsubscribe) = server.packet().await else {
        panic!("one was granted");
    };
    assert_eq!(unsubscribe.filters.len(), 2);
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

/// The answer stands behind messages that nobody will read.
#[tokio::test(start_paused = true)]
async fn unsubscribing_waits_for_no_reader() {
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
    // More than is read at once, and less than its buffers on the way hold.
    for number in 0..100 {
        server
            .deliver("flood", &format!("{number:0100}"), None)
            .await;
    }
    server.is_silent().await;
    assert!(flooded.next().await.is_some());
    let (unsubscribed, ()) = tokio::join!(
        flooded.unsubscribe(),
        server.answer_unsubscribe(UnsubscribeReason::Success)
    );
    let answer = unsubscribed.expect("an answer").expect("the only one");
    assert_eq!(answer.reasons, [UnsubscribeReason::Success]);
}

/// A server may send messages before it answers the subscription (MQTT 5, section 3.8.4), above all
/// those that it has kept for the session.
#[tokio::test(start_paused = true)]
async fn what_comes_before_the_answer_does_not_hold_it_back() {
    // More than is read at once.
    const MANY: u16 = 500;
    let padded = |number: u16| format!("{number:0200}");
    let mut small = config();
    small.connect.clean_start = CleanStart::Never;
    small.subscription_capacity = 4;
    let mut world = World::new(small).await;
    let mut server = world.connected(true).await;
    let filter = "kept/#".parse().expect("a filter");
    let (subscription, ()) = tokio::join!(world.client.messages(filter, twice()), async {
        let subscribe = server.subscribe().await;
        for number in 1..=MANY {
            server.deliver("kept/state", &padded(number), None).await;
            server
                .deliver("kept/order", &padded(number), Some(number))
                .await;
        }
        server.grant(subscribe.packet_id).await;
    });
    let mut subscription = subscription.expect("granted");
    let (mut states, mut orders) = (0, 0);
    while orders < MANY {
        let message = subscription.next().await.expect("a message").message;
        let count = match message.topic.as_str() {
            "kept/order" => &mut orders,
            _ => &mut states,
        };
        *count += 1;
        assert_eq!(message.payload, padded(*count));
    }
    for number in 1..=MANY {
        assert_eq!(server.puback().await.packet_id.get(), number);
    }
    // Of QoS 0, as many as a subscription holds.
    assert_eq!(states, 4);
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
async fn requests_have_their_responses() {
    let mut two_at_once = config();
    two_at_once.call_capacity = 2;
    let mut world = World::new(two_at_once).await;
    let mut server = world.connected(false).await;
    let topic = || "replies/ada".parse().expect("a topic");
    let patience = Duration::from_secs(5);
    let (requester, ()) = tokio::join!(world.client.requester(topic(), patience), async {
        let subscribe = server.subscribe().await;
        assert_eq!(subscribe.filters[0].0.as_str(), "replies/ada");
        server.grant(subscribe.packet_id).await;
    });
    let requester = requester.expect("granted");
    let ask = |payload: &str| Message::new("lamp".parse().expect("a topic"), payload.to_owned());

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
async fn who_asks_waits_no_longer_for_an_agreement_than_for_an_answer() {
    let mut world = World::new(config()).await;
    let mut server = world.connected(false).await;
    let topic = "replies/ada".parse().expect("a topic");
    let patience = Duration::from_secs(5);
    let (requester, subscribe) =
        tokio::join!(world.client.requester(topic, patience), server.subscribe());
    assert_eq!(subscribe.filters[0].0.as_str(), "replies/ada");
    assert_eq!(requester.err(), Some(RequestError::TimedOut));
}

#[tokio::test(start_paused = true)]
async fn a_client_whose_events_nobody_reads_keeps_its_connection_and_its_requests_end() {
    let mut config = config();
    config.connect.keep_alive = 10;
    config.connection.event_capacity = 2;
    let mut world = World::new(config).await;
    let mut server = world.connected(false).await;
    for _ in 0..20 {
        server.deliver("news", "told", None).await;
    }
    let begun = time::now();
    let outcome = world.client.publish(message("one")).await;
    assert!(
        matches!(outcome, Err(RequestError::TimedOut)),
        "{outcome:?}"
    );
    // The connection is the same, hours later.
    let patience = Duration::from_hours(3);
    let ended = time::timeout(patience, server.swallow()).await;
    assert!(ended.is_err(), "the client has gone");
    assert!(time::now() - begun >= patience);
    assert!(matches!(world.client.status(), Status::Ready(_)));
}
