//! Content formats: what a payload is.

use std::fmt;

/// A content format: a media type with its parameters and content coding, as a number (RFC 7252,
/// section 12.3, and IANA's registry of CoAP Content-Formats).
///
/// ```
/// use jackfield_coap::codec::ContentFormat;
///
/// assert_eq!(ContentFormat::JSON.media_type(), Some("application/json"));
/// assert_eq!(ContentFormat::from_media_type("application/cbor"), Some(ContentFormat::CBOR));
/// assert_eq!(ContentFormat(65000).to_string(), "65000");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentFormat(pub u16);

macro_rules! define {
    ($($constant:ident $number:literal $media_type:literal)*) => {
        impl ContentFormat {
            $(
                #[doc = concat!("`", $media_type, "`, ", stringify!($number), ".")]
                pub const $constant: Self = Self($number);
            )*

            /// Its media type, with parameters, where it is one that has a name here.
            pub fn media_type(self) -> Option<&'static str> {
                match self {
                    $(Self::$constant => Some($media_type),)*
                    _ => None,
                }
            }

            /// The format of a media type, written as [`media_type`](Self::media_type) does.
            pub fn from_media_type(text: &str) -> Option<Self> {
                match text {
                    $($media_type => Some(Self::$constant),)*
                    _ => None,
                }
            }
        }
    };
}

define! {
    TEXT_PLAIN 0 "text/plain;charset=utf-8"
    COSE_ENCRYPT0 16 "application/cose;cose-type=\"cose-encrypt0\""
    COSE_MAC0 17 "application/cose;cose-type=\"cose-mac0\""
    COSE_SIGN1 18 "application/cose;cose-type=\"cose-sign1\""
    GIF 21 "image/gif"
    JPEG 22 "image/jpeg"
    PNG 23 "image/png"
    LINK_FORMAT 40 "application/link-format"
    XML 41 "application/xml"
    OCTET_STREAM 42 "application/octet-stream"
    EXI 47 "application/exi"
    JSON 50 "application/json"
    JSON_PATCH 51 "application/json-patch+json"
    MERGE_PATCH 52 "application/merge-patch+json"
    CBOR 60 "application/cbor"
    CWT 61 "application/cwt"
    MULTIPART_CORE 62 "application/multipart-core"
    CBOR_SEQUENCE 63 "application/cbor-seq"
    SENML_JSON 110 "application/senml+json"
    SENSML_JSON 111 "application/sensml+json"
    SENML_CBOR 112 "application/senml+cbor"
    SENSML_CBOR 113 "application/sensml+cbor"
    COAP_GROUP_JSON 256 "application/coap-group+json"
    CONCISE_PROBLEM_DETAILS 257 "application/concise-problem-details+cbor"
    MISSING_BLOCKS 272 "application/missing-blocks+cbor-seq"
    SENML_XML 310 "application/senml+xml"
    SENML_ETCH_JSON 320 "application/senml-etch+json"
    SENML_ETCH_CBOR 322 "application/senml-etch+cbor"
    TD_JSON 432 "application/td+json"
    OCF_CBOR 10000 "application/vnd.ocf+cbor"
    OSCORE 10001 "application/oscore"
    JAVASCRIPT 10002 "application/javascript"
    LWM2M_TLV 11542 "application/vnd.oma.lwm2m+tlv"
    LWM2M_JSON 11543 "application/vnd.oma.lwm2m+json"
    LWM2M_CBOR 11544 "application/vnd.oma.lwm2m+cbor"
    CSS 20000 "text/css"
    SVG 30000 "image/svg+xml"
}

/// The media type, or the number.
impl fmt::Display for ContentFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.media_type() {
            Some(text) => f.write_str(text),
            None => write!(f, "{}", self.0),
        }
    }
}
