//! Frames to bytes and back; `docs/relay-protocol.md` is the specification.

mod decode;
mod encode;

use std::fmt;

use crate::Id;

pub(crate) use self::decode::decode;
pub(crate) use self::encode::encode;

const HELLO: u8 = 0x01;
const GOAWAY: u8 = 0x02;
const PING: u8 = 0x03;
const PONG: u8 = 0x04;
const CONNECT: u8 = 0x10;
const LISTEN: u8 = 0x11;
const UDP: u8 = 0x12;
const OPENED: u8 = 0x13;
const REFUSED: u8 = 0x14;
const INBOUND: u8 = 0x15;
const DATA: u8 = 0x20;
const CREDIT: u8 = 0x21;
const FIN: u8 = 0x22;
const RESET: u8 = 0x23;
const DATAGRAM: u8 = 0x24;
const DROPPED: u8 = 0x25;
/// From here on, frames that are unknown are ignored.
const EXTENSIONS: u8 = 0x80;
const UNREACHABLE: u8 = 0x80;
const COME_BACK: u8 = 0x81;
const TOKEN: u8 = 0x82;
const TOKEN_LEFT: u8 = 0x83;
const TOKEN_REFUSED: u8 = 0x84;

const SETTING_MAX_OPEN: u8 = 1;
const SETTING_CAPABILITIES: u8 = 2;
const SETTING_TOKEN_LEFT: u8 = 3;

// Address types; the first three are SOCKS5's (RFC 1928, section 5).
const ADDRESS_NONE: u8 = 0;
const ADDRESS_V4: u8 = 1;
const ADDRESS_NAME: u8 = 3;
const ADDRESS_V6: u8 = 4;
const ADDRESS_V6_SCOPED: u8 = 6;

const CONNECT_NO_DELAY: u8 = 1;

const UDP_BOUND: u8 = 1;
const UDP_MULTICAST: u8 = 2;
const UDP_LOOPBACK: u8 = 4;
const UDP_SHARE_ADDRESS: u8 = 8;

const DATAGRAM_TRUNCATED: u8 = 1;

/// A message that is no frame.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct DecodeError {
    kind: Option<u8>,
    what: &'static str,
}

impl DecodeError {
    pub(crate) const SHORT: Self = Self::new("it ends too early");

    pub(crate) const fn new(what: &'static str) -> Self {
        Self { kind: None, what }
    }
}

impl fmt::Debug for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DecodeError({self})")
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Some(kind) => write!(f, "a bad frame of type {kind:#04x}: {}", self.what),
            None => write!(f, "a bad frame: {}", self.what),
        }
    }
}

impl std::error::Error for DecodeError {}

type Result<T> = std::result::Result<T, DecodeError>;

/// Writes the header of a `DATA` frame into the room that was left for it.
pub(crate) fn put_data_header(room: &mut [u8], id: Id) {
    if let Some((kind, rest)) = room.split_first_mut() {
        *kind = DATA;
        rest.copy_from_slice(&id.0.get().to_be_bytes());
    }
}
