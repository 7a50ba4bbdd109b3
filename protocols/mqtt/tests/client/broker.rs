//! A server in the test's hand, on the simulation: it does what the test says, packet by packet.

use std::time::Duration;

use bytes::BytesMut;
use jackfield_mqtt::client::{self, Client, ClientConfig, ClientEvent, Events, Status};
use jackfield_mqtt::codec::{
    ConnAck, Connect, ConnectReason, Decoder, Encoder, Packet, PacketId, PubAck, Publish,
    PublishReason, QoS, Release, ReleaseReason, SubAck, Subscribe, SubscribeReason, UnsubAck,
    UnsubscribeReason, Version,
};
use jackfield_mqtt::core::{self, Delivery, Event};
use jackfield_sim::{Network, SimHost, SimListener, SimStream};
use jackfield_socket::{ListenOptions, TcpListen, TcpListener, time};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;

/// Nothing here takes so long on a clock that stands still, unless it never comes.
const PATIENCE: Duration = Duration::from_hours(1);

pub(crate) struct World {
    pub(crate) there: SimHost,
    pub(crate) here: SimHost,
    listener: SimListener,
    pub(crate) client: Client,
    pub(crate) events: Events,
    pub(crate) connection: JoinHandle<Result<(), client::ConnectionError>>,
}

pub(crate) struct Server {
    stream: SimStream,
    version: Version,
    buffer: BytesMut,
}

pub(crate) fn config() -> ClientConfig {
    let mut config = ClientConfig::new(core::ConnectOptions::new("ada".parse().expect("a name")));
    config.connect.session_expiry = Some(3600);
    config.connection.seed = Some(1);
    config
}

pub(crate) async fn listen(host: &SimHost, at: &str) -> SimListener {
    let at = at.parse().expect("an address");
    host.listen(at, &ListenOptions::default())
        .await
        .expect("a listener")
}

impl World {
    pub(crate) async fn new(config: ClientConfig) -> Self {
        let network = Network::new(7);
        let here = network.host("here.example", ["192.0.2.1".parse().expect("an address")]);
        let there = network.host("there.example", ["192.0.2.2".parse().expect("an address")]);
        let listener = listen(&there, "192.0.2.2:1883").await;
        let server = "there.example:1883".parse().expect("an endpoint");
        let (client, events, connection) = client::connect(here.clone(), server, config);
        Self {
            there,
            here,
            listener,
            client,
            events,
            connection: tokio::spawn(connection),
        }
    }

    /// The same world with another process in it: the last one is gone without a word.
    pub(crate) async fn restarted(mut self, config: ClientConfig) -> Self {
        self.connection.abort();
        let _ = (&mut self.connection).await;
        let server = "there.example:1883".parse().expect("an endpoint");
        let (client, events, connection) = client::connect(self.here.clone(), server, config);
        Self {
            client,
            events,
            connection: tokio::spawn(connection),
            ..self
        }
    }

    /// The next connection, not answered yet.
    pub(crate) async fn server(&mut self) -> Server {
        accept(&mut self.listener).await
    }

    /// The next connection, let in.
    pub(crate) async fn connected(&mut self, session_present: bool) -> Server {
        let mut server = self.server().await;
        server.connect().await;
        server.let_in(session_present).await;
        self.event(|event| matches!(event, ClientEvent::Status(Status::Ready(_))))
            .await;
        server
    }

    /// Reads up to an event that fits.
    pub(crate) async fn event(&mut self, fits: impl Fn(&ClientEvent) -> bool) -> ClientEvent {
        let wait = async {
            loop {
                let event = self.events.next().await.expect("the client goes on");
                if fits(&event) {
                    return event;
                }
            }
        };
        time::timeout(PATIENCE, wait).await.expect("an event")
    }

    pub(crate) async fn message(&mut self) -> Delivery {
        let fits = |event: &ClientEvent| matches!(event, ClientEvent::Event(Event::Message(_)));
        match self.event(fits).await {
            ClientEvent::Event(Event::Message(delivery)) => delivery,
            other => unreachable!("{other:?}"),
        }
    }

    pub(crate) async fn disconnected(&mut self) -> (client::ConnectionError, Option<Duration>) {
        let fits =
            |event: &ClientEvent| matches!(event, ClientEvent::Status(Status::Disconnected { .. }));
        match self.event(fits).await {
            ClientEvent::Status(Status::Disconnected { error, retry_in }) => (error, retry_in),
            other => unreachable!("{other:?}"),
        }
    }
}

pub(crate) async fn accept(listener: &mut SimListener) -> Server {
    let accepted = time::timeout(PATIENCE, listener.accept()).await;
    Server {
        stream: accepted.expect("a connection").expect("a connection"),
        version: Version::V5,
        buffer: BytesMut::new(),
    }
}

impl Server {
    /// The next packet, but for pings, which are answered; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<Packet> {
        loop {
            let decoder = Decoder::new(self.version);
            match decoder.decode(&mut self.buffer).expect("a packet") {
                Some(Packet::PingReq) => self.send(&Packet::PingResp).await,
                Some(packet) => return Some(packet),
                None => {
                    let mut bytes = [0; 4096];
                    let read = self.stream.read(&mut bytes);
                    let read = time::timeout(PATIENCE, read).await.expect("a packet");
                    match read.expect("no reset") {
                        0 => return None,
                        count => self.buffer.extend_from_slice(&bytes[..count]),
                    }
                }
            }
        }
    }

    pub(crate) async fn packet(&mut self) -> Packet {
        self.next().await.expect("the client goes on")
    }

    pub(crate) async fn connect(&mut self) -> Connect {
        match self.packet().await {
            Packet::Connect(connect) => {
                self.version = connect.version;
                *connect
            }
            other => panic!("instead of CONNECT: {other:?}"),
        }
    }

    pub(crate) async fn publish(&mut self) -> Publish {
        match self.packet().await {
            Packet::Publish(publish) => publish,
            other => panic!("instead of PUBLISH: {other:?}"),
        }
    }

    pub(crate) async fn subscribe(&mut self) -> Subscribe {
        match self.packet().await {
            Packet::Subscribe(subscribe) => subscribe,
            other => panic!("instead of SUBSCRIBE: {other:?}"),
        }
    }

    pub(crate) async fn puback(&mut self) -> PubAck {
        match self.packet().await {
            Packet::PubAck(ack) => ack,
            other => panic!("instead of PUBACK: {other:?}"),
        }
    }

    pub(crate) async fn send(&mut self, packet: &Packet) {
        let mut bytes = Vec::new();
        Encoder::new(self.version)
            .encode(packet, &mut bytes)
            .expect("a packet that can be sent");
        self.send_bytes(&bytes).await;
    }

    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("it reads");
    }

    pub(crate) async fn let_in(&mut self, session_present: bool) {
        let ack = ConnAck::new(session_present, ConnectReason::Success);
        self.send(&Packet::ConnAck(Box::new(ack))).await;
    }

    pub(crate) async fn grant(&mut self, packet_id: PacketId) {
        self.answer(packet_id, SubscribeReason::GrantedQoS2).await;
    }

    pub(crate) async fn answer(&mut self, packet_id: PacketId, reason: SubscribeReason) {
        self.answers(packet_id, &[reason]).await;
    }

    pub(crate) async fn answers(&mut self, packet_id: PacketId, reasons: &[SubscribeReason]) {
        self.send(&Packet::SubAck(SubAck {
            packet_id,
            reasons: reasons.to_vec(),
            reason_string: None,
            user_properties: Vec::new(),
        }))
        .await;
    }

    /// Is asked to unsubscribe, and answers so.
    pub(crate) async fn answer_unsubscribe(&mut self, reason: UnsubscribeReason) {
        let Packet::Unsubscribe(unsubscribe) = self.packet().await else {
            panic!("it was asked for");
        };
        self.send(&Packet::UnsubAck(UnsubAck {
            packet_id: unsubscribe.packet_id,
            reasons: vec![reason],
            reason_string: None,
            user_properties: Vec::new(),
        }))
        .await;
    }

    pub(crate) async fn acknowledge(&mut self, publish: &Publish, reason: PublishReason) {
        self.send(&Packet::PubAck(PubAck {
            packet_id: publish.packet_id.expect("QoS 1 has one"),
            reason,
            reason_string: None,
            user_properties: Vec::new(),
        }))
        .await;
    }

    /// A message of QoS 1, or 0 without a packet identifier.
    pub(crate) async fn deliver(&mut self, topic: &str, payload: &str, packet_id: Option<u16>) {
        self.send(&Packet::Publish(publish(topic, payload, packet_id)))
            .await;
    }

    /// Reads whatever comes for as long as it is polled, and answers nothing.
    pub(crate) async fn swallow(&mut self) {
        let mut bytes = [0; 4096];
        while self.stream.read(&mut bytes).await.expect("no reset") > 0 {}
        std::future::pending::<()>().await;
    }

    /// Nothing comes for half a minute.
    pub(crate) async fn is_silent(&mut self) {
        let quiet = time::timeout(Duration::from_secs(30), self.next()).await;
        assert!(quiet.is_err(), "{quiet:?}");
    }
}

pub(crate) fn publish(topic: &str, payload: &str, packet_id: Option<u16>) -> Publish {
    Publish {
        dup: false,
        qos: if packet_id.is_some() {
            QoS::AtLeastOnce
        } else {
            QoS::AtMostOnce
        },
        retain: false,
        topic: Some(topic.parse().expect("a topic")),
        packet_id: packet_id.and_then(PacketId::new),
        topic_alias: None,
        subscription_ids: Vec::new(),
        properties: None,
        payload: payload.to_owned().into(),
    }
}

pub(crate) fn release(packet_id: PacketId) -> Release {
    Release {
        packet_id,
        reason: ReleaseReason::Success,
        reason_string: None,
        user_properties: Vec::new(),
    }
}
