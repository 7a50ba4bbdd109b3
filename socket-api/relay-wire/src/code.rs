//! Codes of `REFUSED`, `RESET` and `GOAWAY`, and of the WebSocket's close: why something was refused, cut
//! or ended.

use std::error::Error as StdError;
use std::fmt;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use jackfield_socket::{Error, ErrorKind, Place};

use crate::codec::DecodeError;

/// The longest text of a [`Reason`], in bytes.
pub const MAX_TEXT: usize = 255;

/// The close code that stands for code 0: the first that is free for private use (RFC 6455, section 7.4.2).
const FIRST_CLOSE: u16 = 4000;

/// A reason's code. Those of SOCKS5 (RFC 1928, section 6) keep their numbers.
///
/// A code that is unknown is kept as it came, and means [`FAILED`](Self::FAILED).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Code(pub u8);

impl Code {
    /// Nothing went wrong: it was closed.
    pub const CLOSED: Self = Self(0);
    /// It failed, and no other code fits.
    pub const FAILED: Self = Self(1);
    /// The relay's rules don't allow it.
    pub const DENIED: Self = Self(2);
    /// No way leads to the network.
    pub const NETWORK_UNREACHABLE: Self = Self(3);
    /// No way leads to the host.
    pub const HOST_UNREACHABLE: Self = Self(4);
    /// The host answered that nothing listens there.
    pub const REFUSED: Self = Self(5);
    /// It took longer than it may.
    pub const TIMED_OUT: Self = Self(6);
    /// The relay can't do that, or can't honour that option.
    pub const UNSUPPORTED: Self = Self(7);
    /// The address is of a kind that the relay doesn't have.
    pub const ADDRESS_UNSUPPORTED: Self = Self(8);
    /// The host's name has no address.
    pub const HOST_NOT_FOUND: Self = Self(16);
    /// The local address is taken.
    pub const ADDRESS_IN_USE: Self = Self(17);
    /// The local address doesn't belong to the relay.
    pub const ADDRESS_NOT_AVAILABLE: Self = Self(18);
    /// A limit was passed; the text names it.
    pub const LIMIT_EXCEEDED: Self = Self(19);
    /// The request can't be right.
    pub const INVALID: Self = Self(20);
    /// The connection beyond the relay was cut.
    pub const RESET: Self = Self(32);
    /// Whoever opened it doesn't want it any more.
    pub const CANCELLED: Self = Self(33);
    /// The peer broke the rules of the wire.
    pub const PROTOCOL_ERROR: Self = Self(48);
    /// The peer sent more than it had credit for.
    pub const FLOW_CONTROL_ERROR: Self = Self(49);
    /// The peer has been silent for too long.
    pub const SILENT: Self = Self(50);
    /// The relay is being shut down, and takes nothing new.
    pub const GOING_AWAY: Self = Self(51);
    /// The carrier, the WebSocket, is gone.
    pub const CARRIER_LOST: Self = Self(52);
    /// The page's `Origin` may not use the relay, or a program came without one.
    pub const ORIGIN_REFUSED: Self = Self(64);
    /// The relay doesn't go by the name under which it was asked for (`Host`).
    pub const HOST_UNKNOWN: Self = Self(65);
    /// There is no relay at this path of the address.
    pub const PATH_UNKNOWN: Self = Self(66);
    /// The relay asks for a token, and none came.
    pub const TOKEN_MISSING: Self = Self(67);
    /// The relay doesn't know the token.
    pub const TOKEN_UNKNOWN: Self = Self(68);
    /// The token was good, and its time is over.
    pub const TOKEN_EXPIRED: Self = Self(69);
    /// The relay serves as many clients as it may.
    pub const RELAY_FULL: Self = Self(70);
    /// As many clients have come with the token as may.
    pub const TOKEN_FULL: Self = Self(71);

    /// The socket API's kind of error for this code.
    pub fn kind(self) -> ErrorKind {
        match self {
            Self::CLOSED | Self::CANCELLED => ErrorKind::Closed,
            Self::DENIED
            | Self::ORIGIN_REFUSED
            | Self::HOST_UNKNOWN
            | Self::PATH_UNKNOWN
            | Self::TOKEN_MISSING
            | Self::TOKEN_UNKNOWN
            | Self::TOKEN_EXPIRED => ErrorKind::Denied,
            Self::NETWORK_UNREACHABLE | Self::HOST_UNREACHABLE => ErrorKind::Unreachable,
            Self::REFUSED => ErrorKind::Refused,
            Self::TIMED_OUT => ErrorKind::TimedOut,
            Self::UNSUPPORTED | Self::ADDRESS_UNSUPPORTED => ErrorKind::Unsupported,
            Self::HOST_NOT_FOUND => ErrorKind::HostNotFound,
            Self::ADDRESS_IN_USE => ErrorKind::AddressInUse,
            Self::ADDRESS_NOT_AVAILABLE => ErrorKind::AddressNotAvailable,
            Self::LIMIT_EXCEEDED | Self::RELAY_FULL | Self::TOKEN_FULL => ErrorKind::LimitExceeded,
            Self::INVALID => ErrorKind::InvalidInput,
            Self::RESET | Self::SILENT | Self::GOING_AWAY | Self::CARRIER_LOST => ErrorKind::Reset,
            Self::PROTOCOL_ERROR | Self::FLOW_CONTROL_ERROR => ErrorKind::Protocol,
            _ => ErrorKind::Other,
        }
    }

    /// The WebSocket's close code for it: 4000 and the code, but 1000 for [`CLOSED`](Self::CLOSED).
    ///
    /// ```
    /// use jackfield_relay_wire::Code;
    ///
    /// assert_eq!(Code::TOKEN_EXPIRED.close_code(), 4069);
    /// assert_eq!(Code::from_close_code(4069), Some(Code::TOKEN_EXPIRED));
    /// assert_eq!(Code::from_close_code(1006), None);
    /// ```
    pub fn close_code(self) -> u16 {
        match self {
            Self::CLOSED => 1000,
            Self(code) => FIRST_CLOSE + u16::from(code),
        }
    }

    /// The code for which this close code stands; `None` where it stands for none.
    pub fn from_close_code(close: u16) -> Option<Self> {
        match close {
            1000 => Some(Self::CLOSED),
            close => u8::try_from(close.checked_sub(FIRST_CLOSE)?).ok().map(Self),
        }
    }

    /// At whose place that is, as a client sees it: what the network beyond the relay did is the
    /// server's, the rest the relay's.
    pub fn place(self) -> Place {
        match self {
            Self::INVALID => Place::Here,
            Self::NETWORK_UNREACHABLE
            | Self::HOST_UNREACHABLE
            | Self::REFUSED
            | Self::TIMED_OUT
            | Self::HOST_NOT_FOUND
            | Self::RESET => Place::Server,
            _ => Place::Relay,
        }
    }
}

impl From<ErrorKind> for Code {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::InvalidInput => Self::INVALID,
            ErrorKind::Unsupported => Self::UNSUPPORTED,
            ErrorKind::HostNotFound => Self::HOST_NOT_FOUND,
            ErrorKind::Refused => Self::REFUSED,
            ErrorKind::Unreachable => Self::HOST_UNREACHABLE,
            ErrorKind::Denied => Self::DENIED,
            ErrorKind::TimedOut => Self::TIMED_OUT,
            ErrorKind::Reset | ErrorKind::UnexpectedEof | ErrorKind::Closed => Self::RESET,
            ErrorKind::AddressInUse => Self::ADDRESS_IN_USE,
            ErrorKind::AddressNotAvailable => Self::ADDRESS_NOT_AVAILABLE,
            ErrorKind::LimitExceeded => Self::LIMIT_EXCEEDED,
            ErrorKind::Protocol => Self::PROTOCOL_ERROR,
            _ => Self::FAILED,
        }
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match *self {
            Self::CLOSED => "closed",
            Self::FAILED => "failed",
            Self::DENIED => "denied",
            Self::NETWORK_UNREACHABLE => "network unreachable",
            Self::HOST_UNREACHABLE => "host unreachable",
            Self::REFUSED => "refused",
            Self::TIMED_OUT => "timed out",
            Self::UNSUPPORTED => "unsupported",
            Self::ADDRESS_UNSUPPORTED => "address type unsupported",
            Self::HOST_NOT_FOUND => "host not found",
            Self::ADDRESS_IN_USE => "address in use",
            Self::ADDRESS_NOT_AVAILABLE => "address not available",
            Self::LIMIT_EXCEEDED => "limit exceeded",
            Self::INVALID => "invalid request",
            Self::RESET => "connection reset",
            Self::CANCELLED => "cancelled",
            Self::PROTOCOL_ERROR => "protocol error",
            Self::FLOW_CONTROL_ERROR => "flow control error",
            Self::SILENT => "peer silent",
            Self::GOING_AWAY => "going away",
            Self::CARRIER_LOST => "carrier lost",
            Self::ORIGIN_REFUSED => "origin refused",
            Self::HOST_UNKNOWN => "host unknown",
            Self::PATH_UNKNOWN => "path unknown",
            Self::TOKEN_MISSING => "token missing",
            Self::TOKEN_UNKNOWN => "token unknown",
            Self::TOKEN_EXPIRED => "token expired",
            Self::RELAY_FULL => "relay full",
            Self::TOKEN_FULL => "token full",
            Self(code) => return write!(f, "code {code}"),
        };
        f.write_str(name)
    }
}

/// Why something was refused, cut or ended: a code, and a short text for a person.
///
/// Neither side puts a payload, a token or a password in the text.
#[derive(Clone, PartialEq, Eq)]
pub struct Reason {
    code: Code,
    text: Box<str>,
}

impl Reason {
    /// A reason. Of a text beyond [`MAX_TEXT`], the beginning is kept.
    pub fn new(code: Code, text: &str) -> Self {
        Self {
            code,
            text: text[..text.floor_char_boundary(MAX_TEXT)].into(),
        }
    }

    /// The reason behind an error: it stands among its causes where a relay has refused or ended something.
    ///
    /// ```
    /// use jackfield_relay_wire::{Code, Reason};
    ///
    /// let error = jackfield_socket::Error::from(Reason::new(Code::TOKEN_EXPIRED, "the token has expired"));
    /// let reason = Reason::find(&error).expect("the relay's word");
    /// assert_eq!(reason.code(), Code::TOKEN_EXPIRED);
    /// ```
    pub fn find<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(reason) = error.downcast_ref() {
                return Some(reason);
            }
            next = error.source();
        }
        None
    }

    /// The code.
    pub fn code(&self) -> Code {
        self.code
    }

    /// The text; it may be empty, and whatever the peer wrote.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The socket API's kind of error for it.
    pub fn kind(&self) -> ErrorKind {
        self.code.kind()
    }

    pub(crate) fn encode(&self, out: &mut BytesMut) {
        out.put_u8(self.code.0);
        out.put_slice(self.text.as_bytes());
    }

    pub(crate) fn decode(body: &mut Bytes) -> Result<Self, DecodeError> {
        let code = Code(body.try_get_u8().map_err(|_| DecodeError::SHORT)?);
        let text = body.split_off(0);
        if text.len() > MAX_TEXT {
            return Err(DecodeError::new("its text is longer than 255 bytes"));
        }
        let text =
            std::str::from_utf8(&text).map_err(|_| DecodeError::new("its text is not UTF-8"))?;
        Ok(Self::new(code, text))
    }
}

impl fmt::Debug for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reason({}: {:?})", self.code, self.text)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.text.is_empty() {
            self.code.fmt(f)
        } else {
            // The peer wrote the text: its control characters stay out of logs and terminals.
            self.text
                .chars()
                .flat_map(|c| {
                    let plain = (!c.is_control()).then_some(c);
                    let escaped = c.is_control().then(|| c.escape_default());
                    plain.into_iter().chain(escaped.into_iter().flatten())
                })
                .try_for_each(|c| fmt::Write::write_char(f, c))
        }
    }
}

impl StdError for Reason {}

/// As a client sees it; the reason itself is the [`source`](StdError::source).
impl From<Reason> for Error {
    fn from(reason: Reason) -> Self {
        Self::new(reason.kind(), reason.to_string())
            .at(reason.code().place())
            .with_source(reason)
    }
}

impl From<&Error> for Reason {
    fn from(error: &Error) -> Self {
        Self::new(error.kind().into(), &error.to_string())
    }
}
