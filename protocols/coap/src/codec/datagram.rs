//! Messages in datagrams (RFC 7252, section 3).

use std::fmt;

use super::{Code, DecodeError, DecodeErrorKind, Message};

/// The bytes in front of the token.
const HEADER: usize = 4;
/// The only version.
const VERSION: u8 = 1;

/// How a datagram's message is delivered (RFC 7252, section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MessageType {
    /// CON: is repeated until it is acknowledged.
    Confirmable,
    /// NON: is sent once.
    NonConfirmable,
    /// ACK: acknowledges a confirmable message, and may carry its response.
    Acknowledgement,
    /// RST: says that a message could not be used.
    Reset,
}

/// What an acknowledgement or reset names, and duplicates are known by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(pub u16);

/// A message as UDP and DTLS carry it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Datagram {
    /// How it is delivered.
    pub message_type: MessageType,
    /// Its id.
    pub id: MessageId,
    /// What it says.
    pub message: Message,
}

impl Datagram {
    /// A message, and how it is delivered.
    pub fn new(message_type: MessageType, id: MessageId, message: Message) -> Self {
        Self {
            message_type,
            id,
            message,
        }
    }

    /// An Empty message: an acknowledgement, a reset, or, confirmable, a ping.
    pub(crate) fn empty(message_type: MessageType, id: MessageId) -> Self {
        Self::new(message_type, id, Message::new(Code::EMPTY))
    }

    /// Takes a datagram apart.
    ///
    /// # Errors
    /// Where it has one of the errors that RFC 7252 names in sections 3, 4.1 and 12.1, or more than
    /// [`MAX_OPTIONS`](super::MAX_OPTIONS) options. What a layer does then depends on the
    /// type (sections 4.2 and 4.3).
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let error = |kind, at| Err(DecodeError::new(kind, at));
        let Some(&[first, code, ..]) = bytes.first_chunk::<HEADER>() else {
            return error(DecodeErrorKind::Truncated, bytes.len());
        };
        let Some((message_type, id)) = header(bytes) else {
            return error(DecodeErrorKind::Version(first >> 6), 0);
        };
        let code = Code::from_byte(code);
        let message = if matches!(code.class(), 1 | 6 | 7) {
            Err(DecodeError::new(DecodeErrorKind::ReservedCode(code), 1))
        } else {
            Message::decode_body(code, first & 0xf, bytes, HEADER)
        };
        match message {
            Ok(message) => Ok(Self::new(message_type, id, message)),
            Err(mut error) => {
                error.header = Some((message_type, id));
                Err(error)
            }
        }
    }

    /// How many bytes it takes.
    #[cfg(any(test, feature = "oracle"))]
    pub(crate) fn encoded_len(&self) -> usize {
        HEADER + self.message.body_len()
    }

    /// Appends it as it is sent.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        encode(self.message_type, self.id, &self.message, out);
    }

    /// As it is sent.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.encode(&mut bytes);
        bytes
    }
}

/// The type and id of what begins like a message, whatever follows.
pub(crate) fn header(bytes: &[u8]) -> Option<(MessageType, MessageId)> {
    let &[first, _, high, low] = bytes.first_chunk::<HEADER>()?;
    let id = MessageId(u16::from_be_bytes([high, low]));
    (first >> 6 == VERSION).then(|| (MessageType::from_bits(first >> 4), id))
}

/// Appends a message, as it is sent in a datagram.
pub(crate) fn encode(
    message_type: MessageType,
    id: MessageId,
    message: &Message,
    out: &mut Vec<u8>,
) {
    out.reserve(HEADER + message.body_len());
    let first = VERSION << 6 | message_type.to_bits() << 4 | message.token().len() as u8;
    let [high, low] = id.0.to_be_bytes();
    out.extend_from_slice(&[first, message.code().to_byte(), high, low]);
    message.push_body(out);
}

impl MessageType {
    fn from_bits(bits: u8) -> Self {
        match bits & 3 {
            0 => Self::Confirmable,
            1 => Self::NonConfirmable,
            2 => Self::Acknowledgement,
            _ => Self::Reset,
        }
    }

    fn to_bits(self) -> u8 {
        match self {
            Self::Confirmable => 0,
            Self::NonConfirmable => 1,
            Self::Acknowledgement => 2,
            Self::Reset => 3,
        }
    }
}

/// As the RFCs abbreviate it.
impl fmt::Display for MessageType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Confirmable => "CON",
            Self::NonConfirmable => "NON",
            Self::Acknowledgement => "ACK",
            Self::Reset => "RST",
        })
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#06x}", self.0)
    }
}
