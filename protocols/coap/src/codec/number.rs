//! Options by number: what each one is called, holds, and means for who doesn't know it.

use std::fmt;
use std::ops::RangeInclusive;

/// An option's number (RFC 7252, section 5.4.6): what it is, and how those who don't know it treat
/// it.
///
/// ```
/// use jackfield_coap::codec::OptionNumber;
///
/// assert!(OptionNumber::URI_PATH.is_critical());
/// assert!(!OptionNumber::ETAG.is_critical());
/// assert_eq!(OptionNumber::URI_PATH.to_string(), "Uri-Path");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OptionNumber(pub u16);

/// What an option's value holds (RFC 7252, section 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OptionFormat {
    /// Nothing.
    Empty,
    /// Bytes.
    Opaque,
    /// An unsigned integer in network byte order; nothing is 0.
    Uint,
    /// UTF-8.
    String,
}

/// How an option is defined.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OptionDefinition {
    /// Its name.
    pub name: &'static str,
    /// What its value holds.
    pub format: OptionFormat,
    /// How many bytes its value may have.
    pub length: RangeInclusive<u16>,
    /// Whether a message may have several.
    pub is_repeatable: bool,
}

macro_rules! define {
    ($($constant:ident $number:literal $name:literal $format:ident $min:literal $max:literal $repeatable:literal $source:literal)*) => {
        impl OptionNumber {
            $(
                #[doc = concat!($name, ", ", stringify!($number), " (", $source, ").")]
                pub const $constant: Self = Self($number);
            )*

            /// How it is defined; `None` where it is unknown here.
            pub fn definition(self) -> Option<&'static OptionDefinition> {
                match self {
                    $(Self::$constant => {
                        const DEFINITION: &OptionDefinition = &OptionDefinition {
                            name: $name,
                            format: OptionFormat::$format,
                            length: $min..=$max,
                            is_repeatable: $repeatable,
                        };
                        Some(DEFINITION)
                    })*
                    _ => None,
                }
            }
        }
    };
}

define! {
    IF_MATCH 1 "If-Match" Opaque 0 8 true "RFC 7252"
    URI_HOST 3 "Uri-Host" String 1 255 false "RFC 7252"
    ETAG 4 "ETag" Opaque 1 8 true "RFC 7252"
    IF_NONE_MATCH 5 "If-None-Match" Empty 0 0 false "RFC 7252"
    OBSERVE 6 "Observe" Uint 0 3 false "RFC 7641"
    URI_PORT 7 "Uri-Port" Uint 0 2 false "RFC 7252"
    LOCATION_PATH 8 "Location-Path" String 0 255 true "RFC 7252"
    OSCORE 9 "OSCORE" Opaque 0 255 false "RFC 8613"
    URI_PATH 11 "Uri-Path" String 0 255 true "RFC 7252"
    CONTENT_FORMAT 12 "Content-Format" Uint 0 2 false "RFC 7252"
    MAX_AGE 14 "Max-Age" Uint 0 4 false "RFC 7252"
    URI_QUERY 15 "Uri-Query" String 0 255 true "RFC 7252"
    HOP_LIMIT 16 "Hop-Limit" Uint 1 1 false "RFC 8768"
    ACCEPT 17 "Accept" Uint 0 2 false "RFC 7252"
    Q_BLOCK1 19 "Q-Block1" Uint 0 3 false "RFC 9177"
    LOCATION_QUERY 20 "Location-Query" String 0 255 true "RFC 7252"
    EDHOC 21 "EDHOC" Empty 0 0 false "RFC 9668"
    BLOCK2 23 "Block2" Uint 0 3 false "RFC 7959"
    BLOCK1 27 "Block1" Uint 0 3 false "RFC 7959"
    SIZE2 28 "Size2" Uint 0 4 false "RFC 7959"
    Q_BLOCK2 31 "Q-Block2" Uint 0 3 true "RFC 9177"
    PROXY_URI 35 "Proxy-Uri" String 1 1034 false "RFC 7252"
    PROXY_SCHEME 39 "Proxy-Scheme" String 1 255 false "RFC 7252"
    SIZE1 60 "Size1" Uint 0 4 false "RFC 7252"
    ECHO 252 "Echo" Opaque 1 40 false "RFC 9175"
    NO_RESPONSE 258 "No-Response" Uint 0 1 false "RFC 7967"
    REQUEST_TAG 292 "Request-Tag" Opaque 0 8 true "RFC 9175"
}

impl OptionNumber {
    /// Whether a message can't be understood without it, so that who doesn't know it must refuse
    /// the message. Otherwise it is elective, and ignored by who doesn't know it.
    pub const fn is_critical(self) -> bool {
        self.0 & 1 != 0
    }

    /// Whether it is no part of a cache's key.
    pub(crate) const fn is_no_cache_key(self) -> bool {
        self.0 & 0x1e == 0x1c
    }

    /// Whether a value fits the definition; of what has none, each does.
    pub(super) fn accepts(self, value: &[u8]) -> bool {
        let Some(definition) = self.definition() else {
            return true;
        };
        u16::try_from(value.len()).is_ok_and(|length| definition.length.contains(&length))
            && (definition.format != OptionFormat::String || std::str::from_utf8(value).is_ok())
    }
}

/// The name, or the number.
impl fmt::Display for OptionNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.definition() {
            Some(definition) => f.write_str(definition.name),
            None => write!(f, "option {}", self.0),
        }
    }
}

impl fmt::Debug for OptionNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
