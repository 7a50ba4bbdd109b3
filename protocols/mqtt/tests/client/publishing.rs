//! Publishing: a message's outcome, the queue, and the store.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use jackfield_mqtt::client::{ConnectionError, Publication};
use jackfield_mqtt::codec::{Packet, PubAck, PublishReason, QoS, ReasonCode};
use jackfield_mqtt::core::QueuePolicy;
use jackfield_mqtt::{RequestError, SessionError};
use jackfield_socket::time;
use jackfield_store::{Batch, Records, Store};

use crate::broker::{World, config, publish, release};
use crate::message;

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
    refusing.session.limits.queue_capacity = 2;
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
    preferring.session.limits.queue_capacity = 2;
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
    world.client.close().await;
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

#[tokio::test(start_paused = true)]
async fn a_server_that_fell_silent_is_noticed_while_publishing() {
    let mut config = config();
    config.connect.keep_alive = 10;
    let mut world = World::new(config).await;
    let mut server = world.connected(false).await;
    let client = world.client.clone();
    let publish = async {
        loop {
            // More often than the keep-alive, so that the server never waits for this side.
            time::sleep(Duration::from_secs(5)).await;
            let reading = message("20.5").qos(QoS::AtMostOnce);
            let _sent = client.enqueue(reading).await.expect("it is queued");
        }
    };
    // It reads all, and says nothing.
    let silent = server.swallow();
    let begun = time::now();
    let (error, _) = tokio::select! {
        disconnected = world.disconnected() => disconnected,
        () = publish => unreachable!(),
        () = silent => unreachable!(),
    };
    let ConnectionError::Session(SessionError::PingTimedOut) = error else {
        panic!("{error}");
    };
    // The keep-alive, and the patience for PINGRESP.
    assert!(time::now() - begun < Duration::from_secs(31));
}
