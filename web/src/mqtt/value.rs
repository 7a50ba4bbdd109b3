//! Answers as plain objects, and why a session has ended.

use std::fmt::Display;

use jackfield_mqtt::SessionError;
use jackfield_mqtt::codec::{ReasonCode, Text};
use js_sys::Object;

use crate::convert::object;

/// `MqttReply`.
pub(super) fn reply(code: u8, name: &impl Display, text: Option<&Text>) -> Object {
    let reason = match text {
        Some(text) => format!("{name}: {text}"),
        None => name.to_string(),
    };
    object([("code", code.into()), ("reason", reason.into())])
}

/// Why a session has ended, as `ErrorKind` has it.
pub(super) fn session_kind(error: &SessionError) -> &'static str {
    match error {
        SessionError::Refused(refusal) | SessionError::DisconnectedByServer(refusal) => {
            match refusal.reason {
                ReasonCode::BadUserNameOrPassword
                | ReasonCode::NotAuthorized
                | ReasonCode::BadAuthenticationMethod => "authentication",
                ReasonCode::SessionTakenOver => "closed",
                _ => "other",
            }
        }
        SessionError::OlderServer { .. } => "unsupported",
        SessionError::Protocol { .. } => "protocol",
        SessionError::ConnectTimedOut | SessionError::PingTimedOut => "timed-out",
        SessionError::Ended | SessionError::Truncated => "unexpected-eof",
        SessionError::Store(_) => "storage",
        SessionError::NotRenewed(_) => "authentication",
        SessionError::Options(_) => "invalid-input",
        _ => "other",
    }
}
