//! URLs of servers: `scheme://host:port/path`.

use std::str::FromStr;

use crate::endpoint::host_and_port;
use crate::{Endpoint, Error, ErrorKind, Host, Result};

/// The URL of a server, taken apart (RFC 3986, section 3): `scheme://host:port/path?query`. What its
/// scheme means, and which port stands for none, is for its protocol to say.
///
/// A user or a password in it is refused: they are given by other means. So is a fragment, and
/// whatever is not visible ASCII, so that nothing in it can end a line of a protocol.
///
/// ```
/// use jackfield_socket::Url;
///
/// let url: Url = "wss://broker.example.org/mqtt?site=7".parse()?;
/// assert_eq!(url.scheme(), "wss");
/// assert_eq!(url.endpoint(443), "broker.example.org:443".parse()?);
/// assert_eq!(url.path(), "/mqtt?site=7");
/// # Ok::<(), jackfield_socket::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Url {
    scheme: Box<str>,
    host: Host,
    port: Option<u16>,
    path: Box<str>,
}

impl Url {
    /// The scheme, in lower case.
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// The host.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The port; `None` where none is named.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// The host at its port, or at this one where the URL names no port.
    pub fn endpoint(&self, default_port: u16) -> Endpoint {
        Endpoint::new(self.host.clone(), self.port.unwrap_or(default_port))
    }

    /// The path, and the query where there is one: all from the first `/` or `?` on. May be empty.
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl FromStr for Url {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (scheme, rest) = text
            .split_once("://")
            .ok_or_else(|| invalid("an address begins with a scheme, such as wss://"))?;
        let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
        if !is_scheme {
            return Err(invalid("what stands before :// is not a scheme"));
        }
        if !rest.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(invalid("only visible ASCII may stand in an address"));
        }
        if rest.contains('#') {
            return Err(invalid("an address holds no fragment: no '#'"));
        }
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if authority.contains('@') {
            // Not quoted: what stands there may be a password.
            return Err(invalid(
                "an address holds no user or password: they are given by other means",
            ));
        }
        let (host, port) = host_and_port(authority)?;
        Ok(Self {
            scheme: scheme.to_ascii_lowercase().into(),
            host,
            port,
            path: path.into(),
        })
    }
}

fn invalid(what: &'static str) -> Error {
    Error::new(ErrorKind::InvalidInput, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        for (text, scheme, endpoint, path) in [
            ("mqtt://localhost", "mqtt", "localhost:9", ""),
            ("MQTTS://Broker.Example:1", "mqtts", "broker.example:1", ""),
            ("coap+tcp://[::1]/a?b=c", "coap+tcp", "[::1]:9", "/a?b=c"),
            ("ws://[::1]:80?q", "ws", "[::1]:80", "?q"),
            ("ircs://127.0.0.1/", "ircs", "127.0.0.1:9", "/"),
        ] {
            let url: Url = text.parse().expect(text);
            assert_eq!(url.scheme(), scheme, "{text}");
            assert_eq!(url.endpoint(9).to_string(), endpoint, "{text}");
            assert_eq!(url.path(), path, "{text}");
        }
    }

    #[test]
    fn what_is_no_url_is_refused() {
        for text in [
            "",
            "broker.example",
            "//broker.example",
            "://broker.example",
            "1s://broker.example",
            "m qtt://broker.example",
            "mqtt://",
            "mqtt:///path",
            "mqtt://:1883",
            "mqtt://broker.example:",
            "mqtt://broker.example:65536",
            "mqtt://broker.example:+1",
            "mqtt://::1",
            "mqtt://[::1",
            "mqtt://broker.example/#part",
            "mqtt://broker.example/a b",
            "mqtt://broker.example/\r\nX: y",
            "mqtt://brøker.example",
        ] {
            let error = text.parse::<Url>().expect_err(text);
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{text}");
        }
        let secret = "mqtt://ada:secret@broker.example".parse::<Url>();
        let error = secret.expect_err("a password").to_string();
        assert!(!error.contains("secret"), "{error}");
    }
}
