//! Reason codes (MQTT 5, section 2.4): all of them, and for each packet those that it may carry.

use std::fmt;

macro_rules! reason_codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $text:literal;)*) => {
        /// Any reason code of MQTT 5 (section 2.4). Those from 0x80 on are failures.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        #[non_exhaustive]
        pub enum ReasonCode {
            $($(#[$doc])* $name = $code,)*
        }

        impl ReasonCode {
            /// The reason with this code.
            pub const fn from_u8(code: u8) -> Option<Self> {
                match code {
                    $($code => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// The code.
            pub const fn code(self) -> u8 {
                self as u8
            }

            /// Whether it is a failure.
            pub const fn is_error(self) -> bool {
                self.code() >= 0x80
            }

            const fn text(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }

        impl fmt::Display for ReasonCode {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{} (0x{:02X})", self.text(), self.code())
            }
        }
    };
}

reason_codes! {
    /// Success; in DISCONNECT: normal disconnection.
    Success = 0x00, "success";
    /// The subscription was granted with QoS 1.
    GrantedQoS1 = 0x01, "granted with QoS 1";
    /// The subscription was granted with QoS 2.
    GrantedQoS2 = 0x02, "granted with QoS 2";
    /// The client disconnects, and wants its will to be published.
    DisconnectWithWill = 0x04, "disconnect with will message";
    /// Nobody is subscribed to the topic.
    NoMatchingSubscribers = 0x10, "no matching subscribers";
    /// There was no such subscription.
    NoSubscriptionExisted = 0x11, "no subscription existed";
    /// The authentication goes on with another step.
    ContinueAuthentication = 0x18, "continue authentication";
    /// A new authentication begins.
    ReAuthenticate = 0x19, "re-authenticate";
    /// The peer doesn't say why.
    UnspecifiedError = 0x80, "unspecified error";
    /// The bytes can't be read.
    MalformedPacket = 0x81, "malformed packet";
    /// The packet must not come now, or not like this.
    ProtocolError = 0x82, "protocol error";
    /// The receiver doesn't accept it, and says nothing more precise.
    ImplementationSpecificError = 0x83, "implementation specific error";
    /// The server doesn't speak this version.
    UnsupportedProtocolVersion = 0x84, "unsupported protocol version";
    /// The server doesn't allow this client identifier.
    ClientIdentifierNotValid = 0x85, "client identifier not valid";
    /// The user name or the password is wrong.
    BadUserNameOrPassword = 0x86, "bad user name or password";
    /// It is not allowed.
    NotAuthorized = 0x87, "not authorized";
    /// The server is not available.
    ServerUnavailable = 0x88, "server unavailable";
    /// The server is busy.
    ServerBusy = 0x89, "server busy";
    /// An administrator has forbidden it.
    Banned = 0x8A, "banned";
    /// The server shuts down.
    ServerShuttingDown = 0x8B, "server shutting down";
    /// The authentication method is unknown, or not the current one.
    BadAuthenticationMethod = 0x8C, "bad authentication method";
    /// Nothing came for one and a half times the keep-alive.
    KeepAliveTimeout = 0x8D, "keep alive timeout";
    /// Another connection has taken this client identifier over.
    SessionTakenOver = 0x8E, "session taken over";
    /// The topic filter is well formed, but not accepted.
    TopicFilterInvalid = 0x8F, "topic filter invalid";
    /// The topic name is well formed, but not accepted.
    TopicNameInvalid = 0x90, "topic name invalid";
    /// The packet identifier is in use already.
    PacketIdentifierInUse = 0x91, "packet identifier in use";
    /// The packet identifier is not known.
    PacketIdentifierNotFound = 0x92, "packet identifier not found";
    /// More messages are unacknowledged than the receiver allows.
    ReceiveMaximumExceeded = 0x93, "receive maximum exceeded";
    /// The topic alias is 0, too large, or not known.
    TopicAliasInvalid = 0x94, "topic alias invalid";
    /// The packet is larger than the receiver allows.
    PacketTooLarge = 0x95, "packet too large";
    /// Messages come too fast.
    MessageRateTooHigh = 0x96, "message rate too high";
    /// A quota is used up.
    QuotaExceeded = 0x97, "quota exceeded";
    /// An administrator ended the connection.
    AdministrativeAction = 0x98, "administrative action";
    /// The payload is not what its payload format indicator says.
    PayloadFormatInvalid = 0x99, "payload format invalid";
    /// The server has no retained messages.
    RetainNotSupported = 0x9A, "retain not supported";
    /// The server doesn't have this quality of service.
    QoSNotSupported = 0x9B, "QoS not supported";
    /// Use another server, for now.
    UseAnotherServer = 0x9C, "use another server";
    /// Use another server, from now on.
    ServerMoved = 0x9D, "server moved";
    /// The server has no shared subscriptions.
    SharedSubscriptionsNotSupported = 0x9E, "shared subscriptions not supported";
    /// Connections come too fast.
    ConnectionRateExceeded = 0x9F, "connection rate exceeded";
    /// The connection has lasted as long as it may.
    MaximumConnectTime = 0xA0, "maximum connect time";
    /// The server has no subscription identifiers.
    SubscriptionIdentifiersNotSupported = 0xA1, "subscription identifiers not supported";
    /// The server has no wildcard subscriptions.
    WildcardSubscriptionsNotSupported = 0xA2, "wildcard subscriptions not supported";
}

macro_rules! packet_reasons {
    ($($(#[$doc:meta])* $name:ident { $($code:ident,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        #[non_exhaustive]
        #[expect(missing_docs, reason = "ReasonCode explains each")]
        pub enum $name {
            $($code = ReasonCode::$code as u8,)*
        }

        impl $name {
            /// The reason with this code; `None` where this packet can't carry it.
            pub const fn from_u8(code: u8) -> Option<Self> {
                $(if code == Self::$code as u8 {
                    return Some(Self::$code);
                })*
                None
            }

            /// The code.
            pub const fn code(self) -> u8 {
                self as u8
            }

            /// Whether it is a failure.
            pub const fn is_error(self) -> bool {
                self.code() >= 0x80
            }
        }

        impl From<$name> for ReasonCode {
            fn from(reason: $name) -> Self {
                match reason {
                    $($name::$code => Self::$code,)*
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                ReasonCode::from(*self).fmt(f)
            }
        }
    )*};
}

packet_reasons! {
    /// What CONNACK may say (MQTT 5, table 3-1). The return codes of MQTT 3.1.1 are the same reasons
    /// under other numbers.
    ConnectReason {
        Success,
        UnspecifiedError,
        MalformedPacket,
        ProtocolError,
        ImplementationSpecificError,
        UnsupportedProtocolVersion,
        ClientIdentifierNotValid,
        BadUserNameOrPassword,
        NotAuthorized,
        ServerUnavailable,
        ServerBusy,
        Banned,
        BadAuthenticationMethod,
        TopicNameInvalid,
        PacketTooLarge,
        QuotaExceeded,
        PayloadFormatInvalid,
        RetainNotSupported,
        QoSNotSupported,
        UseAnotherServer,
        ServerMoved,
        ConnectionRateExceeded,
    }
    /// What PUBACK and PUBREC may say (MQTT 5, tables 3-4 and 3-5).
    PublishReason {
        Success,
        NoMatchingSubscribers,
        UnspecifiedError,
        ImplementationSpecificError,
        NotAuthorized,
        TopicNameInvalid,
        PacketIdentifierInUse,
        QuotaExceeded,
        PayloadFormatInvalid,
    }
    /// What PUBREL and PUBCOMP may say (MQTT 5, tables 3-6 and 3-7).
    ReleaseReason {
        Success,
        PacketIdentifierNotFound,
    }
    /// What SUBACK may say of each filter (MQTT 5, table 3-8). `Success` is: granted with QoS 0.
    /// MQTT 3.1.1 knows one failure, [`UnspecifiedError`](Self::UnspecifiedError).
    SubscribeReason {
        Success,
        GrantedQoS1,
        GrantedQoS2,
        UnspecifiedError,
        ImplementationSpecificError,
        NotAuthorized,
        TopicFilterInvalid,
        PacketIdentifierInUse,
        QuotaExceeded,
        SharedSubscriptionsNotSupported,
        SubscriptionIdentifiersNotSupported,
        WildcardSubscriptionsNotSupported,
    }
    /// What UNSUBACK may say of each filter (MQTT 5, table 3-9).
    UnsubscribeReason {
        Success,
        NoSubscriptionExisted,
        UnspecifiedError,
        ImplementationSpecificError,
        NotAuthorized,
        TopicFilterInvalid,
        PacketIdentifierInUse,
    }
    /// What DISCONNECT may say (MQTT 5, table 3-10). `Success` is: normal disconnection.
    DisconnectReason {
        Success,
        DisconnectWithWill,
        UnspecifiedError,
        MalformedPacket,
        ProtocolError,
        ImplementationSpecificError,
        NotAuthorized,
        ServerBusy,
        ServerShuttingDown,
        KeepAliveTimeout,
        SessionTakenOver,
        TopicFilterInvalid,
        TopicNameInvalid,
        ReceiveMaximumExceeded,
        TopicAliasInvalid,
        PacketTooLarge,
        MessageRateTooHigh,
        QuotaExceeded,
        AdministrativeAction,
        PayloadFormatInvalid,
        RetainNotSupported,
        QoSNotSupported,
        UseAnotherServer,
        ServerMoved,
        SharedSubscriptionsNotSupported,
        ConnectionRateExceeded,
        MaximumConnectTime,
        SubscriptionIdentifiersNotSupported,
        WildcardSubscriptionsNotSupported,
    }
    /// What AUTH may say (MQTT 5, table 3-11).
    AuthReason {
        Success,
        ContinueAuthentication,
        ReAuthenticate,
    }
}

impl SubscribeReason {
    /// The quality of service that was granted; `None` where the subscription failed.
    pub const fn granted(self) -> Option<super::QoS> {
        super::QoS::from_u8(self.code())
    }
}

impl DisconnectReason {
    /// Whether a client may send it (MQTT 5, table 3-10).
    pub const fn from_client(self) -> bool {
        matches!(
            self,
            Self::Success
                | Self::DisconnectWithWill
                | Self::UnspecifiedError
                | Self::MalformedPacket
                | Self::ProtocolError
                | Self::ImplementationSpecificError
                | Self::TopicNameInvalid
                | Self::ReceiveMaximumExceeded
                | Self::TopicAliasInvalid
                | Self::PacketTooLarge
                | Self::MessageRateTooHigh
                | Self::QuotaExceeded
                | Self::AdministrativeAction
                | Self::PayloadFormatInvalid
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_comes_back() {
        let mut known = 0;
        for code in 0..=u8::MAX {
            if let Some(reason) = ReasonCode::from_u8(code) {
                assert_eq!(reason.code(), code);
                known += 1;
            }
            if let Some(reason) = DisconnectReason::from_u8(code) {
                assert_eq!(ReasonCode::from(reason).code(), code);
            }
        }
        assert_eq!(known, 43);
    }
}
