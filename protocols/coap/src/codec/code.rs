//! Codes: a message is a request with a method, a response, a signal, or empty.

use std::fmt;

/// A code: a class of three bits and a detail of five (RFC 7252, section 3), written `c.dd`.
///
/// ```
/// use jackfield_coap::codec::Code;
///
/// assert_eq!(Code::CONTENT.to_string(), "2.05");
/// assert_eq!(Code::CONTENT.name(), Some("Content"));
/// assert_eq!(Code::new(4, 29), Some(Code::TOO_MANY_REQUESTS));
/// assert!(Code::GET.is_request() && Code::NOT_FOUND.is_client_error());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(u8);

macro_rules! define {
    ($($constant:ident $class:literal $detail:literal $name:literal $source:literal)*) => {
        impl Code {
            $(
                #[doc = concat!($name, ", ", stringify!($class), ".", stringify!($detail), " (", $source, ").")]
                pub const $constant: Self = Self($class << 5 | $detail);
            )*

            /// Its name in the registry.
            pub fn name(self) -> Option<&'static str> {
                match self {
                    $(Self::$constant => Some($name),)*
                    _ => None,
                }
            }
        }
    };
}

define! {
    EMPTY 0 0 "Empty" "RFC 7252"
    GET 0 1 "GET" "RFC 7252"
    POST 0 2 "POST" "RFC 7252"
    PUT 0 3 "PUT" "RFC 7252"
    DELETE 0 4 "DELETE" "RFC 7252"
    FETCH 0 5 "FETCH" "RFC 8132"
    PATCH 0 6 "PATCH" "RFC 8132"
    IPATCH 0 7 "iPATCH" "RFC 8132"
    CREATED 2 1 "Created" "RFC 7252"
    DELETED 2 2 "Deleted" "RFC 7252"
    VALID 2 3 "Valid" "RFC 7252"
    CHANGED 2 4 "Changed" "RFC 7252"
    CONTENT 2 5 "Content" "RFC 7252"
    CONTINUE 2 31 "Continue" "RFC 7959"
    BAD_REQUEST 4 0 "Bad Request" "RFC 7252"
    UNAUTHORIZED 4 1 "Unauthorized" "RFC 7252"
    BAD_OPTION 4 2 "Bad Option" "RFC 7252"
    FORBIDDEN 4 3 "Forbidden" "RFC 7252"
    NOT_FOUND 4 4 "Not Found" "RFC 7252"
    METHOD_NOT_ALLOWED 4 5 "Method Not Allowed" "RFC 7252"
    NOT_ACCEPTABLE 4 6 "Not Acceptable" "RFC 7252"
    REQUEST_ENTITY_INCOMPLETE 4 8 "Request Entity Incomplete" "RFC 7959"
    CONFLICT 4 9 "Conflict" "RFC 8132"
    PRECONDITION_FAILED 4 12 "Precondition Failed" "RFC 7252"
    REQUEST_ENTITY_TOO_LARGE 4 13 "Request Entity Too Large" "RFC 7252"
    UNSUPPORTED_CONTENT_FORMAT 4 15 "Unsupported Content-Format" "RFC 7252"
    UNPROCESSABLE_ENTITY 4 22 "Unprocessable Entity" "RFC 8132"
    TOO_MANY_REQUESTS 4 29 "Too Many Requests" "RFC 8516"
    INTERNAL_SERVER_ERROR 5 0 "Internal Server Error" "RFC 7252"
    NOT_IMPLEMENTED 5 1 "Not Implemented" "RFC 7252"
    BAD_GATEWAY 5 2 "Bad Gateway" "RFC 7252"
    SERVICE_UNAVAILABLE 5 3 "Service Unavailable" "RFC 7252"
    GATEWAY_TIMEOUT 5 4 "Gateway Timeout" "RFC 7252"
    PROXYING_NOT_SUPPORTED 5 5 "Proxying Not Supported" "RFC 7252"
    HOP_LIMIT_REACHED 5 8 "Hop Limit Reached" "RFC 8768"
    CSM 7 1 "CSM" "RFC 8323"
    PING 7 2 "Ping" "RFC 8323"
    PONG 7 3 "Pong" "RFC 8323"
    RELEASE 7 4 "Release" "RFC 8323"
    ABORT 7 5 "Abort" "RFC 8323"
}

impl Code {
    /// The code of a class (0 to 7) and a detail (0 to 31).
    pub fn new(class: u8, detail: u8) -> Option<Self> {
        (class < 8 && detail < 32).then_some(Self(class << 5 | detail))
    }

    /// The code that stands in this byte.
    pub const fn from_byte(byte: u8) -> Self {
        Self(byte)
    }

    /// The byte in which it stands.
    pub const fn to_byte(self) -> u8 {
        self.0
    }

    /// Its class: 0 for requests, 2 to 5 for responses, 7 for signals.
    pub const fn class(self) -> u8 {
        self.0 >> 5
    }

    /// What stands behind the point.
    pub const fn detail(self) -> u8 {
        self.0 & 0x1f
    }

    /// Whether it is 0.00.
    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether it is a request's.
    pub const fn is_request(self) -> bool {
        self.class() == 0 && self.0 != 0
    }

    /// Whether it is a response's (2.xx to 5.xx).
    pub const fn is_response(self) -> bool {
        matches!(self.class(), 2..=5)
    }

    /// Whether it is a signal's (7.xx, RFC 8323).
    pub const fn is_signal(self) -> bool {
        self.class() == 7
    }

    /// Whether its class is a success (2.xx).
    pub const fn is_success(self) -> bool {
        self.class() == 2
    }

    /// Whether its class is the client's fault (4.xx).
    pub const fn is_client_error(self) -> bool {
        self.class() == 4
    }

    /// Whether its class is the server's fault (5.xx).
    pub const fn is_server_error(self) -> bool {
        self.class() == 5
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}", self.class(), self.detail())
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{self} {name}"),
            None => fmt::Display::fmt(self, f),
        }
    }
}
