//! Receiving: what a session does with a packet from the server.

use std::time::Duration;

use jackfield_socket::time::Instant;

use super::aliases::OutgoingAliases;
use super::incoming::{Arrival, Released};
use super::outgoing::FlightState;
use super::sending::{acknowledgement, released};
use super::session::{Phase, Session};
use super::subscriptions::Answered;
use super::{Acknowledged, Challenge, Delivery, Event, Message, Reply, Server};
use crate::codec::{
    Auth, AuthReason, ConnAck, ConnectReason, DecodeError, Disconnect, MAX_PACKET, Packet, PubAck,
    Publish, PublishReason, QoS, ReasonCode, Release, ReleaseReason, Version,
};
use crate::error::{Refusal, RequestError, SessionError};

/// Answers that wait to be sent: a server that asks for more and reads none is refused.
const MAX_ANSWERS: usize = 2 * 65_535;

const fn protocol_error(text: &'static str) -> DecodeError {
    DecodeError::new(ReasonCode::ProtocolError, text)
}

const WRONG_KIND: DecodeError =
    protocol_error("an acknowledgement of another kind than the message's");

const OTHER_METHOD: DecodeError =
    protocol_error("an authentication with another method, or without one");

impl Session {
    pub(super) fn take(&mut self, now: Instant, packet: Packet) -> Result<(), SessionError> {
        let taken = match self.phase {
            Phase::Connected => self.take_connected(packet),
            Phase::Connecting { .. } => self.take_connecting(now, packet),
            Phase::ToConnect(_) => Err(protocol_error("a server speaks first").into()),
            Phase::Offline | Phase::Done => Ok(()),
        };
        match taken {
            Ok(()) => Ok(()),
            Err(Failure::Session(error)) => Err(self.end(error)),
            Err(Failure::Packet(error)) => Err(self.fail(&error)),
        }
    }

    fn take_connecting(&mut self, now: Instant, packet: Packet) -> Result<(), Failure> {
        match packet {
            Packet::ConnAck(ack) => self.connected(now, *ack),
            Packet::Auth(auth) if auth.reason == AuthReason::ContinueAuthentication => {
                self.phase = Phase::Connecting {
                    until: now + self.config.connect_timeout.max(Duration::from_millis(1)),
                };
                self.challenge(*auth)
            }
            Packet::Disconnect(disconnect) => Err(self.disconnected_by_server(disconnect)),
            _ => Err(protocol_error("a packet comes before CONNACK").into()),
        }
    }

    /// The error for a server that answers CONNECT of MQTT 5 as one does that knows 3.1.1 only;
    /// `None` where this is no such answer.
    pub(super) fn older_server(&mut self) -> Option<SessionError> {
        let waits = matches!(self.phase, Phase::Connecting { .. });
        if waits && self.config.version == Version::V5 && is_older(&self.connection.input) {
            return Some(self.fall_back());
        }
        None
    }

    fn fall_back(&mut self) -> SessionError {
        let falls_back = self.config.fall_back_to_v311;
        if falls_back {
            self.config.version = Version::V311;
        }
        SessionError::OlderServer { falls_back }
    }

    fn connected(&mut self, now: Instant, ack: ConnAck) -> Result<(), Failure> {
        let asked = self.connection.asked.clone();
        let asked = asked.ok_or(protocol_error("a CONNACK nobody waits for"))?;
        if ack.reason == ConnectReason::UnsupportedProtocolVersion
            && self.config.version == Version::V5
            && self.config.fall_back_to_v311
        {
            return Err(self.fall_back().into());
        }
        if ack.reason != ConnectReason::Success {
            return Err(SessionError::Refused(Box::new(Refusal {
                text: ack.reason_string,
                server_reference: ack.server_reference,
                user_properties: ack.user_properties,
                ..Refusal::new(ack.reason)
            }))
            .into());
        }
        if asked.clean_start && ack.session_present {
            return Err(protocol_error("a session is present where none was wanted").into());
        }
        // Nor may it be left out (MQTT-4.12.0-5): such a server has not authenticated anybody.
        let theirs = ack.authentication.as_ref().map(|theirs| &theirs.method);
        if theirs != self.connection.method() {
            return Err(OTHER_METHOD.into());
        }
        let keep_alive = ack.server_keep_alive.unwrap_or(asked.keep_alive);
        let keep_alive = (keep_alive > 0).then(|| Duration::from_secs(u64::from(keep_alive)));
        let assigned = ack.assigned_client_id;
        if let Some(assigned) = &assigned {
            self.assigned_client_id = Some(assigned.clone());
        }
        let receive_maximum = ack.receive_maximum.map_or(u16::MAX, std::num::NonZero::get);
        let server = Server {
            session_present: ack.session_present,
            client_id: assigned.unwrap_or(asked.client_id),
            keep_alive,
            session_expiry: ack.session_expiry.or(asked.session_expiry).unwrap_or(0),
            receive_maximum,
            maximum_qos: ack.maximum_qos,
            retain_available: ack.retain_available,
            maximum_packet_size: ack.maximum_packet_size.map(std::num::NonZero::get),
            topic_alias_maximum: ack.topic_alias_maximum,
            wildcard_subscriptions: ack.wildcard_subscriptions,
            // MQTT 3.1.1 has none.
            subscription_ids: ack.subscription_ids && self.config.version == Version::V5,
            shared_subscriptions: ack.shared_subscriptions,
            response_information: ack.response_information,
            text: ack.reason_string,
            user_properties: ack.user_properties,
            authentication: ack.authentication,
        };
        let limit = server.maximum_packet_size.unwrap_or(MAX_PACKET);
        self.connection.encoder = self.connection.encoder.with_limit(limit);
        let aliases = server
            .topic_alias_maximum
            .min(self.config.outgoing_topic_aliases);
        self.connection.outgoing_aliases = OutgoingAliases::new(aliases);
        self.connection.keep_alive = keep_alive;
        self.connection.last_sent = Some(now);
        self.connection.challenged = false;
        self.phase = Phase::Connected;
        let server = Box::new(server);
        self.connection.server = Some(server.clone());
        self.emit(Event::Connected(server.clone()));

        self.resumable = true;
        self.store_meta();
        self.connection.known = self.durable.after();
        let mut lost = Vec::new();
        if !server.session_present {
            lost = self.outgoing.session_lost(&mut self.ids, &mut self.durable);
            self.incoming.session_lost(&mut self.durable);
            self.subscriptions
                .lost(self.config.resubscribe, &mut self.durable);
        }
        for request in lost {
            self.complete(request, Err(RequestError::SessionLost));
        }
        self.outgoing
            .connected(receive_maximum.min(self.config.in_flight.get()));
        let version = self.config.version;
        let (again, failed) = self
            .subscriptions
            .unconfirmed(&server, version, &mut self.durable);
        for (filter, reason) in failed {
            self.emit(Event::ResubscribeFailed { filter, reason });
        }
        let again = again
            .into_iter()
            .map(|subscribe| (self.new_request(), subscribe))
            .collect();
        self.subscriptions.ask_first(again);
        Ok(())
    }

    fn take_connected(&mut self, packet: Packet) -> Result<(), Failure> {
        match packet {
            Packet::Publish(publish) => self.message(publish)?,
            Packet::PubAck(ack) => self.acknowledged(ack, QoS::AtLeastOnce)?,
            Packet::PubRec(ack) => self.acknowledged(ack, QoS::ExactlyOnce)?,
            Packet::PubRel(release) => {
                let reason = match self
                    .incoming
                    .release(release.packet_id, &mut self.durable)?
                {
                    Released::Known => ReleaseReason::Success,
                    Released::Unknown => self.unknown_id(),
                };
                self.answer(Packet::PubComp(released(release.packet_id, reason)));
            }
            Packet::PubComp(release) => self.released(release)?,
            Packet::SubAck(ack) => {
                let answered = self
                    .subscriptions
                    .sub_ack(ack, &mut self.ids, &mut self.durable)?;
                self.answered(answered);
            }
            Packet::UnsubAck(ack) => {
                let version = self.config.version;
                let answered =
                    self.subscriptions
                        .unsub_ack(ack, version, &mut self.ids, &mut self.durable)?;
                self.answered(answered);
            }
            Packet::PingResp => self.connection.ping = None,
            Packet::Disconnect(disconnect) => return Err(self.disconnected_by_server(disconnect)),
            Packet::Auth(auth) => self.authentication(*auth)?,
            Packet::ConnAck(_) => return Err(protocol_error("a second CONNACK").into()),
            Packet::Connect(_)
            | Packet::Subscribe(_)
            | Packet::Unsubscribe(_)
            | Packet::PingReq => {
                return Err(protocol_error("a packet that only clients send").into());
            }
        }
        if self.connection.answers.len() > MAX_ANSWERS {
            let error = DecodeError::new(
                ReasonCode::QuotaExceeded,
                "the server asks for answers and does not read them",
            );
            return Err(error.into());
        }
        Ok(())
    }

    fn message(&mut self, publish: Publish) -> Result<(), DecodeError> {
        let topic = match (publish.topic_alias, publish.topic) {
            (Some(alias), topic) => self.connection.incoming_aliases.resolve(alias, topic)?,
            (None, Some(topic)) => topic,
            (None, None) => return Err(protocol_error("a message has no topic")),
        };
        let serial = match publish.packet_id {
            None => None,
            Some(packet_id) => {
                let arrival =
                    self.incoming
                        .arrive(packet_id, publish.qos, publish.dup, &mut self.durable)?;
                if self.incoming.serials_to_store().is_some() {
                    self.store_meta();
                }
                match arrival {
                    Arrival::Deliver(serial) => Some(serial),
                    Arrival::Duplicate => {
                        // It may have been acknowledged while there was no connection.
                        self.answer_acknowledged();
                        return Ok(());
                    }
                    Arrival::Recorded => {
                        self.answer(Packet::PubRec(acknowledgement(
                            packet_id,
                            PublishReason::Success,
                        )));
                        return Ok(());
                    }
                }
            }
        };
        self.emit(Event::Message(Delivery {
            serial,
            dup: publish.dup,
            subscription_ids: publish.subscription_ids,
            message: Message {
                topic,
                payload: publish.payload,
                qos: publish.qos,
                retain: publish.retain,
                properties: publish.properties.map(|of| *of).unwrap_or_default(),
            },
        }));
        Ok(())
    }

    /// PUBACK or PUBREC.
    fn acknowledged(&mut self, ack: PubAck, qos: QoS) -> Result<(), DecodeError> {
        let packet_id = ack.packet_id;
        let Some(flight) = self.outgoing.flight(packet_id) else {
            if qos == QoS::ExactlyOnce && !ack.reason.is_error() {
                // The server holds what this side has forgotten: let it forget, too.
                let reason = self.unknown_id();
                self.answer(Packet::PubRel(released(packet_id, reason)));
            }
            return Ok(());
        };
        match &flight.state {
            FlightState::Published(message) if message.qos == qos => {}
            FlightState::Released(..) if qos == QoS::ExactlyOnce => {
                self.answer(Packet::PubRel(released(packet_id, ReleaseReason::Success)));
                return Ok(());
            }
            _ => return Err(WRONG_KIND),
        }
        if qos == QoS::ExactlyOnce && !ack.reason.is_error() {
            self.outgoing
                .release(packet_id, ack.reason, &mut self.durable);
            self.answer(Packet::PubRel(released(packet_id, ReleaseReason::Success)));
            return Ok(());
        }
        let request = self
            .outgoing
            .complete(packet_id, &mut self.ids, &mut self.durable);
        let outcome = if ack.reason.is_error() {
            Err(RequestError::Refused(Box::new(Refusal {
                text: ack.reason_string,
                user_properties: ack.user_properties,
                ..Refusal::new(ack.reason)
            })))
        } else {
            Ok(Reply::Published(Acknowledged {
                reason: ack.reason,
                text: ack.reason_string,
                user_properties: ack.user_properties,
            }))
        };
        if let Some(request) = request {
            self.complete(request, outcome);
        }
        Ok(())
    }

    /// PUBCOMP.
    fn released(&mut self, release: Release) -> Result<(), DecodeError> {
        let packet_id = release.packet_id;
        let reason = match self.outgoing.flight(packet_id).map(|flight| &flight.state) {
            None => return Ok(()),
            Some(FlightState::Published(_)) => return Err(WRONG_KIND),
            Some(FlightState::Released(_, reason)) => *reason,
        };
        let request = self
            .outgoing
            .complete(packet_id, &mut self.ids, &mut self.durable);
        if let Some(request) = request {
            let done = Acknowledged {
                reason,
                text: release.reason_string,
                user_properties: release.user_properties,
            };
            self.complete(request, Ok(Reply::Published(done)));
        }
        Ok(())
    }

    fn unknown_id(&self) -> ReleaseReason {
        match self.config.version {
            Version::V5 => ReleaseReason::PacketIdentifierNotFound,
            Version::V311 => ReleaseReason::Success,
        }
    }

    fn answered(&mut self, answered: Answered) {
        if let Some(reply) = answered.reply {
            self.complete(answered.request, Ok(reply));
        }
        for (filter, reason) in answered.failed {
            self.emit(Event::ResubscribeFailed { filter, reason });
        }
    }

    fn disconnected_by_server(&mut self, disconnect: Disconnect) -> Failure {
        if self.config.version == Version::V311 {
            return protocol_error("a packet that only clients send").into();
        }
        if disconnect.session_expiry.is_some() {
            return protocol_error("a server can't change the session's expiry").into();
        }
        SessionError::DisconnectedByServer(Box::new(Refusal {
            text: disconnect.reason_string,
            server_reference: disconnect.server_reference,
            user_properties: disconnect.user_properties,
            ..Refusal::new(disconnect.reason)
        }))
        .into()
    }

    fn authentication(&mut self, auth: Auth) -> Result<(), DecodeError> {
        let Some(request) = self.connection.reauthenticating else {
            return Err(protocol_error("an AUTH that nobody waits for"));
        };
        match auth.reason {
            AuthReason::ContinueAuthentication => {
                self.challenge(auth).map_err(|failure| match failure {
                    Failure::Packet(error) => error,
                    Failure::Session(_) => WRONG_KIND,
                })
            }
            AuthReason::Success => {
                self.check_method(&auth)?;
                self.connection.reauthenticating = None;
                self.connection.challenged = false;
                let data = auth.authentication.and_then(|theirs| theirs.data);
                self.complete(request, Ok(Reply::Reauthenticated(data)));
                Ok(())
            }
            AuthReason::ReAuthenticate => Err(protocol_error("a server begins an authentication")),
        }
    }

    fn challenge(&mut self, auth: Auth) -> Result<(), Failure> {
        self.check_method(&auth)?;
        if self.connection.challenged {
            return Err(protocol_error("a challenge comes before the last was answered").into());
        }
        let Some(authentication) = auth.authentication else {
            return Err(protocol_error("an AUTH has no method").into());
        };
        self.connection.challenged = true;
        self.emit(Event::Challenge(Challenge {
            authentication,
            text: auth.reason_string,
            user_properties: auth.user_properties,
        }));
        Ok(())
    }

    fn check_method(&self, auth: &Auth) -> Result<(), DecodeError> {
        let theirs = auth.authentication.as_ref().map(|theirs| &theirs.method);
        if theirs.is_none() || theirs != self.connection.method() {
            return Err(OTHER_METHOD);
        }
        Ok(())
    }
}

/// Whether these bytes begin with a CONNACK of MQTT 3.1.1 (section 3.2): two bytes, the second a
/// return code. That of MQTT 5 has three at the least.
fn is_older(bytes: &[u8]) -> bool {
    matches!(bytes, [0x20, 2, 0 | 1, 0..=5, ..])
}

/// How a packet ends the connection.
enum Failure {
    /// The server says that it is over.
    Session(SessionError),
    /// The packet must not be.
    Packet(DecodeError),
}

impl From<SessionError> for Failure {
    fn from(error: SessionError) -> Self {
        Self::Session(error)
    }
}

impl From<DecodeError> for Failure {
    fn from(error: DecodeError) -> Self {
        Self::Packet(error)
    }
}
