//! Messages on streams and in WebSocket messages (RFC 8323, sections 3.2 and 4.2).

use super::{Code, DecodeError, DecodeErrorKind, Message};

/// From these on, a length takes one, two and four bytes more.
const EXTENDED: [u64; 3] = [13, 269, 65805];

/// What stands in front of a message on a stream: how long it is.
///
/// ```
/// use jackfield_coap::codec::{Code, FrameHeader, Message};
///
/// let mut message = Message::new(Code::CONTENT);
/// message.set_token("t".parse()?);
/// message.payload = "22.3 degrees Celsius".into();
/// let mut frame = Vec::new();
/// message.write_frame(&mut frame);
/// assert_eq!(frame, b"\xd1\x08\x45t\xff22.3 degrees Celsius");
///
/// assert_eq!(FrameHeader::decode(&frame[..1]), None, "it says too little");
/// let header = FrameHeader::decode(&frame).expect("it is all there");
/// assert_eq!(header.frame_len(), 25);
/// assert_eq!(Message::from_frame(&frame)?, message);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// The bytes up to the code.
    code_at: usize,
    token_length: u8,
    /// Of options, marker and payload.
    length: u64,
}

impl FrameHeader {
    /// The header with which these bytes begin, as soon as it is complete.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (&first, rest) = bytes.split_first()?;
        let token_length = first & 0xf;
        let (extension, base) = match first >> 4 {
            nibble @ 0..=12 => (&[][..], u64::from(nibble)),
            13 => (rest.get(..1)?, EXTENDED[0]),
            14 => (rest.get(..2)?, EXTENDED[1]),
            _ => (rest.get(..4)?, EXTENDED[2]),
        };
        let more = extension
            .iter()
            .fold(0, |length, byte| length << 8 | u64::from(*byte));
        Some(Self {
            code_at: 1 + extension.len(),
            token_length,
            length: base + more,
        })
    }

    /// How many bytes the whole message takes, this header included.
    pub fn frame_len(&self) -> u64 {
        self.code_at as u64 + 1 + u64::from(self.token_length) + self.length
    }
}

impl Message {
    /// Takes a whole message apart, as it came on a stream. A message of another length than it
    /// says is cut short.
    ///
    /// # Errors
    /// Where it is not a message; as [`Datagram::decode`](super::Datagram::decode), but that the codes of
    /// class 7 are signals here.
    pub fn from_frame(bytes: &[u8]) -> Result<Self, DecodeError> {
        match FrameHeader::decode(bytes) {
            Some(header) if header.frame_len() == bytes.len() as u64 => {
                decode(bytes, header.token_length, header.code_at)
            }
            _ => Err(DecodeError::new(DecodeErrorKind::Truncated, bytes.len())),
        }
    }

    /// Takes a message apart, as it came in a WebSocket message.
    ///
    /// # Errors
    /// As [`from_frame`](Self::from_frame), and where it says a length, which the WebSocket does
    /// for it.
    #[cfg(any(test, feature = "oracle"))]
    pub(crate) fn from_websocket(bytes: &[u8]) -> Result<Self, DecodeError> {
        match bytes.first() {
            None => Err(DecodeError::new(DecodeErrorKind::Truncated, 0)),
            Some(first) if first >> 4 != 0 => Err(DecodeError::new(DecodeErrorKind::Length, 0)),
            Some(first) => decode(bytes, first & 0xf, 1),
        }
    }

    /// How many bytes it takes on a stream.
    pub(crate) fn frame_len(&self) -> usize {
        let length = (self.body_len() - self.token().len()) as u64;
        let extension = match EXTENDED.iter().filter(|base| **base <= length).count() {
            3 => 4,
            count => count,
        };
        2 + extension + self.body_len()
    }

    /// Appends it as it goes on a stream.
    pub fn write_frame(&self, out: &mut Vec<u8>) {
        out.reserve(self.frame_len());
        let length = self.body_len() - self.token().len();
        push_header(length as u64, self.token().len() as u8, out);
        out.push(self.code().to_byte());
        self.push_body(out);
    }

    /// Appends it as it goes in a WebSocket message.
    #[cfg(any(test, feature = "oracle"))]
    pub(crate) fn write_websocket(&self, out: &mut Vec<u8>) {
        out.reserve(2 + self.body_len());
        out.push(self.token().len() as u8);
        out.push(self.code().to_byte());
        self.push_body(out);
    }
}

/// Appends what came in a WebSocket message as it would have come on a stream, so that one layer
/// serves both.
///
/// # Errors
/// Where it is shorter than it says, or says a length. What is in it is not looked at.
#[cfg(any(test, feature = "oracle", feature = "websocket"))]
pub(crate) fn websocket_to_frame(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
    let error = |kind| Err(DecodeError::new(kind, 0));
    let Some((&first, rest)) = bytes.split_first() else {
        return error(DecodeErrorKind::Truncated);
    };
    if first >> 4 != 0 {
        return error(DecodeErrorKind::Length);
    }
    let Some(length) = rest.len().checked_sub(1 + usize::from(first)) else {
        return error(DecodeErrorKind::Truncated);
    };
    push_header(length as u64, first, out);
    out.extend_from_slice(rest);
    Ok(())
}

/// Appends a whole message that was to go on a stream as it goes in a WebSocket message.
///
/// # Errors
/// Where it has another length than it says.
#[cfg(any(test, feature = "oracle", feature = "websocket"))]
pub(crate) fn frame_to_websocket(frame: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
    let header = FrameHeader::decode(frame);
    match header.and_then(|header| Some((header, frame.get(header.code_at..)?))) {
        Some((header, rest)) if header.frame_len() == frame.len() as u64 => {
            out.push(header.token_length);
            out.extend_from_slice(rest);
            Ok(())
        }
        _ => Err(DecodeError::new(DecodeErrorKind::Truncated, frame.len())),
    }
}

fn decode(bytes: &[u8], token_length: u8, code_at: usize) -> Result<Message, DecodeError> {
    let Some(code) = bytes.get(code_at) else {
        return Err(DecodeError::new(DecodeErrorKind::Truncated, bytes.len()));
    };
    let code = Code::from_byte(*code);
    if matches!(code.class(), 1 | 6) {
        let kind = DecodeErrorKind::ReservedCode(code);
        return Err(DecodeError::new(kind, code_at));
    }
    Message::decode_body(code, token_length, bytes, code_at + 1)
}

fn push_header(length: u64, token_length: u8, out: &mut Vec<u8>) {
    let [one, two, four] = EXTENDED;
    if length < one {
        out.push((length as u8) << 4 | token_length);
    } else if length < two {
        out.extend_from_slice(&[0xd0 | token_length, (length - one) as u8]);
    } else if length < four {
        out.push(0xe0 | token_length);
        out.extend_from_slice(&((length - two) as u16).to_be_bytes());
    } else {
        out.push(0xf0 | token_length);
        out.extend_from_slice(&((length - four) as u32).to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_extended_where_they_must_be() {
        for payload in [
            0, 1, 11, 12, 13, 267, 268, 269, 65803, 65804, 65805, 100_000,
        ] {
            let mut message = Message::new(Code::CONTENT);
            message.set_token("ab".parse().expect("a token"));
            message.payload = vec![b'x'; payload].into();
            let mut frame = Vec::new();
            message.write_frame(&mut frame);
            assert_eq!(frame.len(), message.frame_len());
            let header = FrameHeader::decode(&frame).expect("it is complete");
            assert_eq!(header.frame_len(), frame.len() as u64);
            assert_eq!(Message::from_frame(&frame).as_ref(), Ok(&message));
            let cut = &frame[..frame.len() - 1];
            assert!(Message::from_frame(cut).is_err());

            let mut websocket = Vec::new();
            frame_to_websocket(&frame, &mut websocket).expect("a frame");
            let mut written = Vec::new();
            message.write_websocket(&mut written);
            assert_eq!(websocket, written);
            assert_eq!(Message::from_websocket(&websocket), Ok(message));
            let mut back = Vec::new();
            websocket_to_frame(&websocket, &mut back).expect("a message");
            assert_eq!(back, frame);
        }
    }

    #[test]
    fn a_websocket_message_says_no_length() {
        let error = Message::from_websocket(b"\x11\x45a\xff").expect_err("a length");
        assert_eq!(error.kind(), DecodeErrorKind::Length);
        for bytes in [&b""[..], b"\x00", b"\x02\x45a"] {
            let error = Message::from_websocket(bytes).expect_err("too short");
            assert_eq!(error.kind(), DecodeErrorKind::Truncated, "{bytes:?}");
            websocket_to_frame(bytes, &mut Vec::new()).expect_err("too short");
        }
    }
}
