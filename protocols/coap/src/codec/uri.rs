//! URIs (RFC 7252, section 6; RFC 8323, section 8), and what of them goes into options.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use jackfield_socket::{Endpoint, Host, HostName};

/// The longest path segment or query argument, in bytes, once decoded (RFC 7252, section 5.10).
const MAX_PART: usize = 255;
/// How many path segments and query arguments there may be together.
const MAX_PARTS: usize = 128;
/// The longest URI that is read, in bytes.
const MAX_URI: usize = 8 * 1024;
/// Where a server takes CoAP over WebSockets (RFC 8323, section 8.3).
const WEBSOCKET_PATH: &str = "/.well-known/coap";

/// How a resource is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scheme {
    /// `coap`: over UDP.
    Coap,
    /// `coaps`: over UDP with DTLS.
    Coaps,
    /// `coap+tcp`: over TCP.
    CoapTcp,
    /// `coaps+tcp`: over TCP with TLS.
    CoapsTcp,
    /// `coap+ws`: over a WebSocket.
    CoapWs,
    /// `coaps+ws`: over a WebSocket with TLS.
    CoapsWs,
}

impl Scheme {
    const ALL: [Self; 6] = [
        Self::Coap,
        Self::Coaps,
        Self::CoapTcp,
        Self::CoapsTcp,
        Self::CoapWs,
        Self::CoapsWs,
    ];

    /// Its name, as it stands in a URI.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Coap => "coap",
            Self::Coaps => "coaps",
            Self::CoapTcp => "coap+tcp",
            Self::CoapsTcp => "coaps+tcp",
            Self::CoapWs => "coap+ws",
            Self::CoapsWs => "coaps+ws",
        }
    }

    /// The port where a URI names none.
    pub fn default_port(self) -> u16 {
        match self {
            Self::Coap | Self::CoapTcp => 5683,
            Self::Coaps | Self::CoapsTcp => 5684,
            Self::CoapWs => 80,
            Self::CoapsWs => 443,
        }
    }

    /// Whether what is sent is encrypted on its way.
    pub fn is_secure(self) -> bool {
        matches!(self, Self::Coaps | Self::CoapsTcp | Self::CoapsWs)
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Scheme {
    type Err = InvalidUri;

    fn from_str(text: &str) -> Result<Self, InvalidUri> {
        let found = Self::ALL
            .into_iter()
            .find(|scheme| scheme.as_str().eq_ignore_ascii_case(text));
        found.ok_or(InvalidUri("the scheme is none of CoAP's"))
    }
}

/// A CoAP URI: a scheme, a server, and a resource on it.
///
/// ```
/// use jackfield_coap::codec::{Scheme, Uri};
///
/// let uri: Uri = "coap+tcp://Sensors.example.org/rooms/k%C3%BCche?unit=C".parse()?;
/// assert_eq!(uri.scheme(), Scheme::CoapTcp);
/// assert_eq!(uri.endpoint().to_string(), "sensors.example.org:5683");
/// assert_eq!(uri.target().path(), ["rooms", "küche"]);
/// assert_eq!(uri.target().query(), ["unit=C"]);
/// assert_eq!(uri.to_string(), "coap+tcp://sensors.example.org/rooms/k%C3%BCche?unit=C");
/// # Ok::<(), jackfield_coap::codec::InvalidUri>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Uri {
    scheme: Scheme,
    endpoint: Endpoint,
    target: Target,
}

impl Uri {
    /// A resource on a server.
    pub fn new(scheme: Scheme, endpoint: Endpoint, target: Target) -> Self {
        Self {
            scheme,
            endpoint,
            target,
        }
    }

    /// The scheme.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The server.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The resource.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// The value of `Uri-Host`: the server's name; none where it is an address, which the server
    /// knows by itself (RFC 7252, section 6.4, step 5).
    pub fn uri_host(&self) -> Option<&str> {
        match self.endpoint.host() {
            Host::Name(name) => Some(name.as_str()),
            Host::Ip(_) => None,
        }
    }

    /// Where to open a WebSocket (RFC 8323, section 8.3); none for other schemes.
    ///
    /// ```
    /// # use jackfield_coap::codec::Uri;
    /// let uri: Uri = "coaps+ws://example.org/light".parse()?;
    /// let url = uri.websocket_url();
    /// assert_eq!(url.as_deref(), Some("wss://example.org:443/.well-known/coap"));
    /// # Ok::<(), jackfield_coap::codec::InvalidUri>(())
    /// ```
    pub fn websocket_url(&self) -> Option<String> {
        let scheme = match self.scheme {
            Scheme::CoapWs => "ws",
            Scheme::CoapsWs => "wss",
            _ => return None,
        };
        Some(format!("{scheme}://{}{WEBSOCKET_PATH}", self.endpoint))
    }

    /// Resolves a reference against this URI (RFC 3986, section 5.2): what a link's target means
    /// in a list that came from here.
    ///
    /// ```
    /// # use jackfield_coap::codec::Uri;
    /// let base: Uri = "coap://a.example/rooms/1".parse()?;
    /// assert_eq!(base.join("/lamp")?.to_string(), "coap://a.example/lamp");
    /// assert_eq!(base.join("2")?.to_string(), "coap://a.example/rooms/2");
    /// assert_eq!(base.join("coap://b.example/x")?.to_string(), "coap://b.example/x");
    /// # Ok::<(), jackfield_coap::codec::InvalidUri>(())
    /// ```
    ///
    /// # Errors
    /// Where the result is no CoAP URI.
    pub fn join(&self, reference: &str) -> Result<Self, InvalidUri> {
        if has_scheme(reference) {
            return reference.parse();
        }
        if reference.starts_with("//") {
            return format!("{}:{reference}", self.scheme).parse();
        }
        let target = if reference.is_empty() {
            self.target.clone()
        } else if reference.starts_with('/') {
            reference.parse()?
        } else if reference.starts_with('?') {
            let mut target: Target = format!("/{reference}").parse()?;
            target.path.clone_from(&self.target.path);
            target
        } else {
            let (parent, _) = self.target.path.split_at(self.target.path.len().max(1) - 1);
            let mut merged = String::new();
            for segment in parent {
                merged.push('/');
                encode(&mut merged, segment, is_segment_byte);
            }
            merged.push('/');
            merged.push_str(reference);
            merged.parse()?
        };
        Ok(Self {
            scheme: self.scheme,
            endpoint: self.endpoint.clone(),
            target,
        })
    }
}

/// A resource on a server: a path and a query, decoded. The empty path and `/` are the same.
///
/// What it holds can be sent: each part fits into an option, and none is `.` or `..`.
///
/// ```
/// use jackfield_coap::codec::Target;
///
/// let target: Target = "/rooms/a%2Fb?unit=C".parse()?;
/// assert_eq!(target.path(), ["rooms", "a/b"]);
///
/// // Values of a program's own need no escapes.
/// let same = Target::default().with_segment("rooms")?.with_segment("a/b")?.with_query("unit=C")?;
/// assert_eq!(target, same);
/// # Ok::<(), jackfield_coap::codec::InvalidUri>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Target {
    path: Vec<String>,
    query: Vec<String>,
}

impl Target {
    /// The segments of the path: the values of `Uri-Path`.
    pub fn path(&self) -> &[String] {
        &self.path
    }

    /// The arguments of the query: the values of `Uri-Query`.
    pub fn query(&self) -> &[String] {
        &self.query
    }

    /// The same, with one more segment of the path; it may hold any character.
    ///
    /// # Errors
    /// For `.` and `..`, and where it or the whole is too long.
    pub fn with_segment(mut self, segment: impl Into<String>) -> Result<Self, InvalidUri> {
        let segment = segment.into();
        if matches!(segment.as_str(), "." | "..") {
            return Err(InvalidUri("a segment of the path is a dot segment"));
        }
        self.check_room(&segment)?;
        self.path.push(segment);
        Ok(self)
    }

    /// The same, with one more argument of the query, such as `unit=C`; it may hold any character.
    ///
    /// # Errors
    /// Where it or the whole is too long.
    pub fn with_query(mut self, argument: impl Into<String>) -> Result<Self, InvalidUri> {
        let argument = argument.into();
        self.check_room(&argument)?;
        self.query.push(argument);
        Ok(self)
    }

    fn check_room(&self, part: &str) -> Result<(), InvalidUri> {
        if part.len() > MAX_PART {
            return Err(InvalidUri(
                "a part of the path or query is longer than 255 bytes",
            ));
        }
        if self.path.len() + self.query.len() == MAX_PARTS {
            return Err(InvalidUri("the path and query have more than 128 parts"));
        }
        Ok(())
    }

    fn parse(path: &str, query: Option<&str>) -> Result<Self, InvalidUri> {
        let mut target = Self::default();
        let mut segments: Vec<&str> = Vec::new();
        let mut given = path.split('/');
        // What stands before the first slash is empty.
        given.next();
        let mut given = given.peekable();
        while let Some(segment) = given.next() {
            let last = given.peek().is_none();
            match segment {
                "." if last => segments.push(""),
                "." => {}
                ".." => {
                    segments.pop();
                    if last {
                        segments.push("");
                    }
                }
                _ => segments.push(segment),
            }
        }
        // A path of a single slash has no segments (RFC 7252, section 6.4, step 8).
        if segments != [""] {
            for segment in segments {
                target = target.with_segment(decode(segment, is_segment_byte)?)?;
            }
        }
        if let Some(query) = query {
            for argument in query.split('&') {
                target = target.with_query(decode(argument, is_query_byte)?)?;
            }
        }
        Ok(target)
    }
}

/// As it stands in a URI: `/rooms/1?unit=C`.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        for segment in &self.path {
            text.push('/');
            encode(&mut text, segment, is_segment_byte);
        }
        if self.path.is_empty() {
            text.push('/');
        }
        for (index, argument) in self.query.iter().enumerate() {
            text.push(if index == 0 { '?' } else { '&' });
            encode(&mut text, argument, is_argument_byte);
        }
        f.write_str(&text)
    }
}

impl FromStr for Target {
    type Err = InvalidUri;

    fn from_str(text: &str) -> Result<Self, InvalidUri> {
        check_length(text)?;
        if !text.starts_with('/') && !text.is_empty() {
            return Err(InvalidUri("the path doesn't begin with a slash"));
        }
        let (path, query) = split_query(text)?;
        Self::parse(path, query)
    }
}

impl FromStr for Uri {
    type Err = InvalidUri;

    fn from_str(text: &str) -> Result<Self, InvalidUri> {
        check_length(text)?;
        let (scheme, rest) = text
            .split_once(':')
            .ok_or(InvalidUri("there is no scheme, such as coap://"))?;
        let scheme: Scheme = scheme.parse()?;
        let rest = rest
            .strip_prefix("//")
            .ok_or(InvalidUri("no // follows the scheme"))?;
        let (rest, query) = split_query(rest)?;
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        Ok(Self {
            scheme,
            endpoint: parse_authority(authority, scheme)?,
            target: Target::parse(path, query)?,
        })
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://", self.scheme)?;
        if self.endpoint.port() == self.scheme.default_port() {
            match self.endpoint.host() {
                Host::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]")?,
                host => write!(f, "{host}")?,
            }
        } else {
            write!(f, "{}", self.endpoint)?;
        }
        if self.target == Target::default() {
            return Ok(());
        }
        self.target.fmt(f)
    }
}

/// What is given where a [`Target`] is asked for: one, or text such as `/rooms/1?unit=C`.
pub trait IntoTarget {
    /// The target.
    ///
    /// # Errors
    /// Where the text is none.
    fn into_target(self) -> Result<Target, InvalidUri>;
}

impl IntoTarget for Target {
    fn into_target(self) -> Result<Target, InvalidUri> {
        Ok(self)
    }
}

impl IntoTarget for &Target {
    fn into_target(self) -> Result<Target, InvalidUri> {
        Ok(self.clone())
    }
}

impl IntoTarget for &str {
    fn into_target(self) -> Result<Target, InvalidUri> {
        self.parse()
    }
}

impl IntoTarget for &String {
    fn into_target(self) -> Result<Target, InvalidUri> {
        self.parse()
    }
}

/// What is wrong with a URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidUri(pub(super) &'static str);

impl fmt::Display for InvalidUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a CoAP URI: ")?;
        f.write_str(self.0)
    }
}

impl std::error::Error for InvalidUri {}

fn check_length(text: &str) -> Result<(), InvalidUri> {
    if text.len() > MAX_URI {
        return Err(InvalidUri("it is longer than 8 KiB"));
    }
    Ok(())
}

fn split_query(text: &str) -> Result<(&str, Option<&str>), InvalidUri> {
    if text.contains('#') {
        // RFC 7252, section 6.4, step 4.
        return Err(InvalidUri("it has a fragment"));
    }
    Ok(match text.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (text, None),
    })
}

/// Whether a reference begins with a scheme, which is what a colon before any slash means.
fn has_scheme(reference: &str) -> bool {
    let end = reference.find([':', '/', '?']);
    end.is_some_and(|end| reference[end..].starts_with(':'))
}

fn parse_authority(authority: &str, scheme: Scheme) -> Result<Endpoint, InvalidUri> {
    if authority.contains('@') {
        return Err(InvalidUri("there is a user's name in it"));
    }
    // Colons of an IPv6 address stand within brackets.
    let after_host = authority.rfind(']').map_or(0, |end| end + 1);
    let (host, port) = match authority[after_host..].find(':') {
        Some(colon) => {
            let colon = after_host + colon;
            (&authority[..colon], &authority[colon + 1..])
        }
        None => (authority, ""),
    };
    let port = match port {
        "" => scheme.default_port(),
        _ if !port.bytes().all(|byte| byte.is_ascii_digit()) => {
            return Err(InvalidUri("the port is not a number"));
        }
        _ => match port.parse() {
            Ok(0) | Err(_) => return Err(InvalidUri("the port is not between 1 and 65535")),
            Ok(port) => port,
        },
    };
    if let Some(literal) = host.strip_prefix('[') {
        let ip = literal
            .strip_suffix(']')
            .and_then(|literal| literal.parse::<Ipv6Addr>().ok());
        let ip = ip.ok_or(InvalidUri("no IPv6 address is between the brackets"))?;
        return Ok(Endpoint::new(IpAddr::V6(ip), port));
    }
    if host.is_empty() {
        return Err(InvalidUri("there is no host"));
    }
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(Endpoint::new(ip, port));
    }
    let host = decode(host, is_name_byte)?;
    let name: HostName = host
        .parse()
        .map_err(|_| InvalidUri("the host is neither a name nor an address"))?;
    Ok(Endpoint::new(name, port))
}

/// Replaces percent-encoded bytes. Other than ASCII may stand for itself, as in an IRI (RFC 3987),
/// which means the same.
fn decode(text: &str, is_allowed: fn(u8) -> bool) -> Result<Cow<'_, str>, InvalidUri> {
    let bytes = text.as_bytes();
    if bytes.iter().all(|byte| is_allowed(*byte)) {
        return Ok(Cow::Borrowed(text));
    }
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut rest = bytes.iter().copied();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let mut digit = || {
                let digit = rest.next().map(char::from).and_then(|it| it.to_digit(16));
                digit.ok_or(InvalidUri(
                    "two hexadecimal digits don't follow a percent sign",
                ))
            };
            let value = digit()? << 4 | digit()?;
            decoded.push(value as u8);
        } else if byte.is_ascii() && !is_allowed(byte) {
            return Err(InvalidUri(
                "it has a character that must be percent-encoded",
            ));
        } else {
            decoded.push(byte);
        }
    }
    match String::from_utf8(decoded) {
        Ok(decoded) => Ok(Cow::Owned(decoded)),
        Err(_) => Err(InvalidUri("what is percent-encoded is not UTF-8")),
    }
}

fn encode(out: &mut String, text: &str, is_allowed: fn(u8) -> bool) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        if is_allowed(byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            for nibble in [byte >> 4, byte & 0xf] {
                out.push(
                    DIGITS
                        .get(usize::from(nibble))
                        .copied()
                        .map_or('0', char::from),
                );
            }
        }
    }
}

/// RFC 3986's unreserved and sub-delims.
fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&byte)
}

/// RFC 3986's pchar.
fn is_segment_byte(byte: u8) -> bool {
    is_name_byte(byte) || byte == b':' || byte == b'@'
}

fn is_query_byte(byte: u8) -> bool {
    is_segment_byte(byte) || byte == b'/' || byte == b'?'
}

/// In a query, `&` parts the arguments (RFC 7252, section 6.5, step 8).
fn is_argument_byte(byte: u8) -> bool {
    is_query_byte(byte) && byte != b'&'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> Uri {
        text.parse()
            .unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn rfc_7252_section_6_3_examples_are_the_same() {
        let all = [
            "coap://example.com:5683/~sensors/temp.xml",
            "coap://EXAMPLE.com/%7Esensors/temp.xml",
            "coap://EXAMPLE.com:/%7esensors/temp.xml",
        ];
        for text in all {
            assert_eq!(uri(text), uri(all[0]));
            assert_eq!(
                uri(text).to_string(),
                "coap://example.com/~sensors/temp.xml"
            );
        }
    }

    #[test]
    fn decomposing_and_composing() {
        // RFC 7252, appendix B, and section 6.4.
        for (text, path, query, back) in [
            (
                "coap://[2001:db8::2:1]/",
                &[][..],
                &[][..],
                "coap://[2001:db8::2:1]",
            ),
            ("coap://example.net", &[], &[], "coap://example.net"),
            ("coap://example.net/", &[], &[], "coap://example.net"),
            (
                "coap://example.net/.well-known/core",
                &[".well-known", "core"],
                &[],
                "coap://example.net/.well-known/core",
            ),
            (
                "coap://xn--18j4d.example/%E3%81%93%E3%82%93%E3%81%AB%E3%81%A1%E3%81%AF",
                &["こんにちは"],
                &[],
                "coap://xn--18j4d.example/%E3%81%93%E3%82%93%E3%81%AB%E3%81%A1%E3%81%AF",
            ),
            (
                "coap://198.51.100.1:61616//%2F//?%2F%2F&?%26",
                &["", "/", "", ""],
                &["//", "?&"],
                "coap://198.51.100.1:61616//%2F//?//&?%26",
            ),
            ("coap://h?a", &[], &["a"], "coap://h/?a"),
            ("coap://h/a/./b/../c", &["a", "c"], &[], "coap://h/a/c"),
            ("coap://h/a/..", &[], &[], "coap://h"),
            ("coap://h/../../a/.", &["a", ""], &[], "coap://h/a/"),
            (
                "coaps+ws://h:1/a:b@c",
                &["a:b@c"],
                &[],
                "coaps+ws://h:1/a:b@c",
            ),
            ("coap://h/é", &["é"], &[], "coap://h/%C3%A9"),
        ] {
            let parsed = uri(text);
            assert_eq!(parsed.target().path(), path, "{text}");
            assert_eq!(parsed.target().query(), query, "{text}");
            assert_eq!(parsed.to_string(), back);
            assert_eq!(uri(back), parsed);
        }
    }

    #[test]
    fn ports_and_names() {
        for (text, endpoint, host) in [
            ("coap://a.example", "a.example:5683", Some("a.example")),
            ("coaps://a.example", "a.example:5684", Some("a.example")),
            ("coap+tcp://10.0.0.1", "10.0.0.1:5683", None),
            ("coaps+tcp://[::1]", "[::1]:5684", None),
            ("coap+ws://[::1]:81", "[::1]:81", None),
            ("coaps+ws://a", "a:443", Some("a")),
        ] {
            assert_eq!(uri(text).endpoint().to_string(), endpoint);
            assert_eq!(uri(text).uri_host(), host);
        }
    }

    #[test]
    fn what_is_no_coap_uri() {
        for text in [
            "",
            "/a",
            "a.example/x",
            "http://a.example/",
            "coap:/a",
            "coap://",
            "coap:///a",
            "coap://u@a.example/",
            "coap://a.example/#f",
            "coap://a.example:0/",
            "coap://a.example:65536/",
            "coap://a.example:+1/",
            "coap://[::1/",
            "coap://[fe80::1%25eth0]/",
            "coap://::1/",
            "coap://a b/",
            "coap://a.example/a b",
            "coap://a.example/%",
            "coap://a.example/%4",
            "coap://a.example/%zz",
            "coap://a.example/%ff",
            "coap://a.example/%2e%2E/x",
            "coap://a.example/\"",
            "coap://127.1/",
        ] {
            text.parse::<Uri>().expect_err(text);
        }
        let long = "x".repeat(256);
        format!("coap://a/{long}")
            .parse::<Uri>()
            .expect_err("a long segment");
        format!("coap://a/?{long}")
            .parse::<Uri>()
            .expect_err("a long argument");
        let many = "/x".repeat(129);
        many.parse::<Target>().expect_err("too many segments");
    }

    #[test]
    fn references_are_resolved() {
        let base = uri("coap://a.example:1234/b/c/d?q");
        for (reference, resolved) in [
            ("", "coap://a.example:1234/b/c/d?q"),
            ("g", "coap://a.example:1234/b/c/g"),
            ("./g", "coap://a.example:1234/b/c/g"),
            ("../g", "coap://a.example:1234/b/g"),
            ("../../../g", "coap://a.example:1234/g"),
            ("/g?y", "coap://a.example:1234/g?y"),
            ("?y", "coap://a.example:1234/b/c/d?y"),
            ("//g/h", "coap://g/h"),
            ("coaps://g/h", "coaps://g/h"),
        ] {
            let joined = base.join(reference).expect(reference);
            assert_eq!(joined.to_string(), resolved, "{reference}");
        }
        base.join("http://a.example/")
            .expect_err("another protocol");
    }
}
