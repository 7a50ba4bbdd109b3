//! The MQTT client against real brokers, over TCP, TLS and WebSocket.

use jackfield_mqtt::client::{
    Address, ClientConfig, ClientEvent, ConnectionError, MqttWebSockets, Status,
};
use jackfield_mqtt::codec::{Authentication, Password, QoS, ReasonCode, SubscribeOptions, Version};
use jackfield_mqtt::core::{CleanStart, Event, Message, SubscribeRequest};
use jackfield_mqtt::{RequestError, SessionError};
use jackfield_native::Native;
use jackfield_sasl::{Channel, Credentials, Exchange, Limits, Mechanism};
use jackfield_server_tests::mqtt::scenario::{Place, play, play_v5};
use jackfield_server_tests::mqtt::{Device, at, config, second};
use jackfield_server_tests::{NAMES, trusting};
use jackfield_socket::TcpConnect;
use jackfield_testing::aedes::Aedes;
use jackfield_testing::certs::Authority;
use jackfield_testing::mosquitto::{Mosquitto, Settings, User};
use jackfield_testing::mqtt_broker::{Broker, PATH};

const PASSWORD: &str = "Ein-Passwort,mit:Zeichen";

async fn mosquitto(authority: &Authority) -> Mosquitto {
    let certificate = authority.server(&NAMES);
    let settings = Settings::default();
    let server = Mosquitto::start(&certificate, &settings).await;
    server.expect("the broker")
}

fn websocket() -> MqttWebSockets {
    MqttWebSockets::over(Native, PATH)
}

async fn play_over<N: TcpConnect + Clone>(place: Place<N>) {
    play(&place).await;
    if place.version == Version::V5 {
        play_v5(&place).await;
    }
}

#[tokio::test]
async fn a_life_with_mosquitto() {
    for version in [Version::V311, Version::V5] {
        let server = mosquitto(&Authority::new()).await;
        play_over(Place {
            network: Native,
            server: server.plain(),
            second: server.plain(),
            version,
        })
        .await;
    }
}

#[tokio::test]
async fn a_life_with_mosquitto_over_tls() {
    let authority = Authority::new();
    let server = mosquitto(&authority).await;
    play_over(Place {
        network: trusting(&authority),
        server: server.tls(),
        second: server.plain(),
        version: Version::V5,
    })
    .await;
}

#[tokio::test]
async fn a_life_with_aedes() {
    let server = Aedes::start().await.expect("the broker");
    play_over(Place {
        network: Native,
        server: server.tcp(),
        second: server.tcp(),
        version: Version::V311,
    })
    .await;
}

#[tokio::test]
async fn a_life_with_aedes_over_websocket() {
    let server = Aedes::start().await.expect("the broker");
    play_over(Place {
        network: websocket(),
        server: server.websocket(),
        second: server.tcp(),
        version: Version::V311,
    })
    .await;
}

#[tokio::test]
async fn a_life_with_the_embedded_broker() {
    for version in [Version::V311, Version::V5] {
        let server = Broker::start().await.expect("the broker");
        play_over(Place {
            network: Native,
            server: server.tcp(),
            second: server.tcp(),
            version,
        })
        .await;
    }
}

#[tokio::test]
async fn a_life_with_the_embedded_broker_over_websocket() {
    let server = Broker::start().await.expect("the broker");
    play_over(Place {
        network: websocket(),
        server: server.websocket(),
        second: server.tcp(),
        version: Version::V5,
    })
    .await;
}

#[tokio::test]
async fn a_broker_of_3_1_1_is_known_as_one() {
    let server = Aedes::start().await.expect("the broker");
    let to = at(server.tcp());
    let mut device = Device::start(Native, &to, config("device", Version::V5));
    let retry_in = device
        .wait("for the end", |event| match event {
            ClientEvent::Status(Status::Disconnected { retry_in, .. }) => Some(*retry_in),
            _ => None,
        })
        .await;
    assert_eq!(retry_in, None, "it is not tried again");
    let error = device.ended().await.expect_err("it was not let in");
    let text = "the server speaks MQTT 3.1.1 only";
    assert!(error.to_string().contains(text), "{error}");

    let mut config = config("device", Version::V5);
    config.session.fall_back_to_v311 = true;
    let mut device = Device::start(Native, &to, config);
    device.connected().await;
    let filter = "lamp/+".parse().expect("a filter");
    let options = SubscribeOptions::qos(QoS::AtLeastOnce);
    let messages = device.client.messages(filter, options).await;
    let mut messages = messages.expect("subscribed");
    let on = Message::new("lamp/state".parse().expect("a topic"), "on").qos(QoS::ExactlyOnce);
    device.client.publish(on).await.expect("taken");
    let delivery = messages.next().await.expect("the client goes on");
    assert_eq!(delivery.message.payload, "on");
    device.quit().await;
}

#[tokio::test]
async fn one_string_says_where_a_broker_is() {
    let server = Aedes::start().await.expect("the broker");
    let (tcp, websocket) = (server.tcp(), server.websocket());
    for text in [format!("mqtt://{tcp}"), format!("ws://{websocket}")] {
        let address: Address = text.parse().expect("an address");
        let config = config("device", Version::V311);
        let mut device = Device::start(address.over(Native), address.endpoint(), config);
        device.connected().await;
        device.quit().await;
    }
}

#[tokio::test]
async fn a_session_outlives_the_brokers_restart() {
    for version in [Version::V311, Version::V5] {
        let mut server = mosquitto(&Authority::new()).await;
        let to = at(server.plain());
        let mut config = config("device", version);
        // Mosquitto saves no session that began anew with the connection that stands.
        config.connect.clean_start = CleanStart::Never;
        let mut device = Device::start(Native, &to, config);
        assert!(!device.connected().await.session_present);
        let subscribe = SubscribeRequest::new(
            "orders".parse().expect("a filter"),
            SubscribeOptions::default(),
        );
        device
            .client
            .subscribe(subscribe)
            .await
            .expect("subscribed");

        server.restart().await.expect("it starts again");
        let kept = device.connected().await.session_present;
        assert!(kept, "with MQTT {version}");
        let mut other = second::Second::v3(server.plain(), "second").await;
        other
            .publish("orders", second::QoS::ExactlyOnce, false, "still there")
            .await;
        assert_eq!(device.message().await.message.payload, "still there");
        device.quit().await;
    }
}

#[tokio::test]
async fn mosquitto_keeps_a_session_only_if_it_is_told_to() {
    let server = mosquitto(&Authority::new()).await;
    let to = at(server.plain());
    // 300 s, and of 3.1.1, which knows no such span, none.
    for (version, default) in [(Version::V5, true), (Version::V311, false)] {
        for (expiry, kept) in [(None, default), (Some(0), false), (Some(60), true)] {
            let id = format!("device-{version:?}-{expiry:?}");
            let mut first = config(&id, version);
            first.connect.session_expiry = expiry;
            let mut device = Device::start(Native, &to, first);
            device.connected().await;
            device.quit().await;

            let mut next = config(&id, version);
            next.connect.session_expiry = Some(60);
            next.connect.clean_start = CleanStart::Never;
            let mut device = Device::start(Native, &to, next);
            let present = device.connected().await.session_present;
            assert_eq!(present, kept, "MQTT {version:?} with {expiry:?}");
            device.quit().await;
        }
    }
}

#[tokio::test]
async fn what_mosquitto_refuses_is_told_by_its_reason() {
    let users = vec![User {
        name: "alice".into(),
        password: PASSWORD.into(),
        access: vec!["readwrite own/#".into(), "deny own/secret".into()],
    }];
    let settings = Settings {
        users,
        ..Settings::default()
    };
    let certificate = Authority::new().server(&NAMES);
    let server = Mosquitto::start(&certificate, &settings).await;
    let server = server.expect("the broker");
    let to = at(server.plain());
    let login = |version, password: &str| {
        let mut config = config("alice", version);
        config.connect.username = Some("alice".parse().expect("a name"));
        let password = Password::new(password.to_owned()).expect("a password");
        config.connect.password = Some(password);
        config
    };

    for version in [Version::V311, Version::V5] {
        let refused = end(Device::start(Native, &to, login(version, "another"))).await;
        assert_eq!(refused, ReasonCode::NotAuthorized);
        let anonymous = end(Device::start(Native, &to, config("bob", version))).await;
        assert_eq!(anonymous, ReasonCode::NotAuthorized);
    }

    let mut device = Device::start(Native, &to, login(Version::V5, PASSWORD));
    device.connected().await;
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let publish = |topic: &str| {
            let message = Message::new(topic.parse().expect("a topic"), "").qos(qos);
            device.client.publish(message)
        };
        publish("own/lamp").await.expect("it may");
        for topic in ["own/secret", "others/lamp"] {
            let error = publish(topic).await.expect_err("it may not");
            let RequestError::Refused(refusal) = &error else {
                panic!("{error:?}");
            };
            assert_eq!(refusal.reason, ReasonCode::NotAuthorized);
        }
    }
    // A refusal takes no room for good.
    let message = Message::new("own/lamp".parse().expect("a topic"), "").qos(QoS::ExactlyOnce);
    device.client.publish(message).await.expect("it may");
    device.quit().await;
}

#[tokio::test]
async fn mosquitto_knows_no_method_of_authentication() {
    let server = mosquitto(&Authority::new()).await;
    let mut config = config("device", Version::V5);
    config.connect.authentication = Some(Authentication {
        method: "SCRAM-SHA-256".parse().expect("a name"),
        data: Some("n,,n=alice,r=nonce".into()),
    });
    let refused = end(Device::start(Native, &at(server.plain()), config)).await;
    assert_eq!(refused, ReasonCode::BadAuthenticationMethod);
}

/// The reason for which a client is not let in; that is for good, so it doesn't try again.
async fn end(mut device: Device) -> ReasonCode {
    let retry = device
        .wait("for the end", |event| match event {
            ClientEvent::Status(Status::Disconnected { retry_in, .. }) => Some(*retry_in),
            _ => None,
        })
        .await;
    assert_eq!(retry, None, "it is not tried again");
    match device.ended().await {
        Err(ConnectionError::Session(SessionError::Refused(refusal))) => {
            assert!(!refusal.to_string().contains(PASSWORD));
            refusal.reason
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn authentication_in_steps_and_again() {
    let server = Broker::start_with_scram("alice", PASSWORD).await;
    let server = server.expect("the broker");
    let to = at(server.tcp());
    let with = |login: &mut Exchange| -> ClientConfig {
        let mut config = config("alice", Version::V5);
        config.connect.username = Some("alice".parse().expect("a name"));
        config.connect.authentication = Some(Authentication {
            method: login.mechanism().name().parse().expect("a name"),
            data: login.initial_response().map(Into::into),
        });
        config
    };

    let mut login = scram(PASSWORD);
    let mut device = Device::start(Native, &to, with(&mut login));
    let proof = login.step(&challenge(&mut device).await).expect("a proof");
    let answered = device.client.authenticate(Some(proof.into())).await;
    answered.expect("sent");
    let server_last = device.connected().await.authentication;
    let server_last = server_last.and_then(|authentication| authentication.data);
    login
        .finish(server_last.as_deref())
        .expect("the server's proof");

    let mut login = scram(PASSWORD);
    let client = device.client.clone();
    let first = login.initial_response().map(Into::into);
    let again = tokio::spawn(async move { client.reauthenticate(first).await });
    let proof = login.step(&challenge(&mut device).await).expect("a proof");
    let answered = device.client.authenticate(Some(proof.into())).await;
    answered.expect("sent");
    again.await.expect("it ran").expect("authenticated again");
    let message = Message::new("a".parse().expect("a topic"), "").qos(QoS::AtLeastOnce);
    device.client.publish(message).await.expect("still let in");
    device.quit().await;

    let mut login = scram("another");
    let mut device = Device::start(Native, &to, with(&mut login));
    let proof = login.step(&challenge(&mut device).await).expect("a proof");
    let answered = device.client.authenticate(Some(proof.into())).await;
    answered.expect("sent");
    let refused = end(device).await;
    assert!(
        [ReasonCode::NotAuthorized, ReasonCode::BadUserNameOrPassword].contains(&refused),
        "{refused:?}"
    );
}

/// A login by SCRAM, which tells nobody its password.
fn scram(password: &str) -> Exchange {
    let alice = Credentials::password("alice", password).expect("a password");
    let channel = Channel::plaintext();
    let begun = Exchange::start(Mechanism::ScramSha256, &alice, &channel, Limits::default());
    begun.expect("it begins")
}

async fn challenge(device: &mut Device) -> Vec<u8> {
    device
        .wait("for a challenge", |event| match event {
            ClientEvent::Event(Event::Challenge(challenge)) => {
                challenge.authentication.data.as_ref().map(|it| it.to_vec())
            }
            _ => None,
        })
        .await
}
