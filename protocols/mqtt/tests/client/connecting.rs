//! Connecting: how connections begin and end.

use std::time::Duration;

use jackfield_mqtt::client::{ClientEvent, ConnectionError, Status};
use jackfield_mqtt::codec::{
    Auth, AuthReason, Authentication, ConnAck, ConnectReason, Disconnect, DisconnectReason, Packet,
    Password, ReasonCode,
};
use jackfield_mqtt::core::Event;
use jackfield_mqtt::{RequestError, SessionError};
use jackfield_socket::time;

use crate::broker::{Server, World, accept, config, listen};
use crate::{message, twice};

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
async fn attempts_come_further_and_further_apart() {
    let mut world = World::new(config()).await;
    let mut longest = Duration::from_secs(2);
    for _ in 0..5 {
        // The stream opens, but the server lets nobody in.
        drop(world.server().await);
        let (error, retry_in) = world.disconnected().await;
        assert!(!error.is_permanent(), "{error}");
        let retry_in = retry_in.expect("another attempt");
        assert!(
            retry_in >= longest / 2 && retry_in <= longest,
            "{retry_in:?} of {longest:?}"
        );
        longest *= 2;
    }
    // A server that is busy is tried again, too.
    let mut server = world.server().await;
    server.connect().await;
    let busy = ConnAck::new(false, ConnectReason::ServerBusy);
    server.send(&Packet::ConnAck(Box::new(busy))).await;
    assert!(world.disconnected().await.1.is_some());
    // After a connection that stood for a while all begins anew.
    let mut server = world.connected(false).await;
    server.is_silent().await;
    server.is_silent().await;
    server.is_silent().await;
    drop(server);
    let (_, retry_in) = world.disconnected().await;
    assert!(retry_in.expect("another attempt") <= Duration::from_secs(2));

    // One that refuses the client for good ends it.
    let mut server = world.server().await;
    server.connect().await;
    let banned = ConnAck::new(false, ConnectReason::Banned);
    server.send(&Packet::ConnAck(Box::new(banned))).await;
    assert_eq!(world.disconnected().await.1, None);
    let ended = world.connection.await.expect("no panic");
    let Err(ConnectionError::Session(SessionError::Refused(refusal))) = ended else {
        panic!("{ended:?}");
    };
    assert_eq!(refusal.reason, ReasonCode::Banned);
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
    elsewhere.connect().await;
    elsewhere.let_in(false).await;
    world
        .event(|event| matches!(event, ClientEvent::Status(Status::Ready(_))))
        .await;

    // It was for now: the next connection is where the first was.
    drop(elsewhere);
    world.disconnected().await;
    let mut server = world.server().await;
    // Round and round: three times at once, and then after a while, where it began.
    let away = ConnectReason::UseAnotherServer;
    send_away(&mut server, away, "there.example:1884").await;
    let begin = time::now();
    for _ in 0..3 {
        let mut elsewhere = accept(&mut other).await;
        assert!(time::now() - begin < Duration::from_secs(1), "not at once");
        send_away(&mut elsewhere, away, "there.example").await;
    }
    world.connected(false).await;
    assert!(time::now() - begin >= Duration::from_secs(1), "no delay");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_has_moved_is_followed_for_good() {
    let mut world = World::new(config()).await;
    let mut other = listen(&world.there, "192.0.2.2:1884").await;
    let mut server = world.connected(false).await;
    let mut moved = Disconnect::new(DisconnectReason::ServerMoved);
    // Several may be named, the best first (section 4.11).
    let reference = "there.example:1884 there.example:1885".parse();
    moved.server_reference = Some(reference.expect("a text"));
    server.send(&Packet::Disconnect(moved)).await;
    for _ in 0..2 {
        // The next connections, too.
        let mut elsewhere = accept(&mut other).await;
        elsewhere.connect().await;
        elsewhere.let_in(true).await;
        let connected =
            |event: &ClientEvent| matches!(event, ClientEvent::Status(Status::Ready(_)));
        world.event(connected).await;
        drop(elsewhere);
        world.disconnected().await;
    }
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
        .event(|event| matches!(event, ClientEvent::Event(Event::Challenge(_))))
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
        .event(|event| matches!(event, ClientEvent::Status(Status::Ready(_))))
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
async fn a_server_of_3_1_1_is_given_up_unless_falling_back_is_allowed() {
    let mut world = World::new(config()).await;
    let mut server = world.server().await;
    server.connect().await;
    server.send_bytes(b"\x20\x02\x00\x01").await;
    assert!(server.next().await.is_none());
    let (error, retry_in) = world.disconnected().await;
    let ConnectionError::Session(SessionError::OlderServer { falls_back: false }) = error else {
        panic!("{error}");
    };
    assert_eq!(retry_in, None);
    world.connection.await.expect("no panic").expect_err("over");

    let mut config = config();
    config.session.fall_back_to_v311 = true;
    let mut world = World::new(config).await;
    // What is asked for before it is known.
    let client = world.client.clone();
    let messages = tokio::spawn(async move {
        client
            .messages("a/b".parse().expect("a filter"), twice())
            .await
    });
    let mut server = world.server().await;
    server.connect().await;
    server.send_bytes(b"\x20\x02\x00\x01").await;
    // At once: well before any delay has passed.
    let refused = time::now();
    let mut server = world.connected(false).await;
    assert!(refused.elapsed() < Duration::from_millis(500));
    let subscribe = server.subscribe().await;
    server.grant(subscribe.packet_id).await;
    let mut messages = messages.await.expect("no panic").expect("subscribed");
    server.deliver("a/b", "hi", None).await;
    let delivery = messages.next().await.expect("the client goes on");
    assert_eq!(delivery.message.payload, "hi");
}

#[tokio::test(start_paused = true)]
async fn closing_takes_leave_with_a_reason() {
    let mut world = World::new(config()).await;
    let mut server = world.connected(false).await;
    let unfit = Disconnect::new(DisconnectReason::ServerBusy);
    world
        .client
        .close_with(unfit)
        .await
        .expect_err("only a server is");
    let with_will = Disconnect::new(DisconnectReason::DisconnectWithWill);
    let (left, ()) = tokio::join!(world.client.close_with(with_will), async {
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
    world.client.close().await;
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
