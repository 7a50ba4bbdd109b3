//! Addresses of brokers, each in one string: scheme, host, port and path.

use std::fmt;
use std::str::FromStr;

#[cfg(all(feature = "websocket", not(wasm_browser)))]
use jackfield_socket::{AnyNetwork, TcpConnect};
use jackfield_socket::{Endpoint, Error, ErrorKind, Result, Url};

#[cfg(all(feature = "websocket", not(wasm_browser)))]
use super::MqttWebSockets;

/// Where a WebSocket leads to MQTT where its address names no path; a convention that most brokers
/// keep.
const WEBSOCKET_PATH: &str = "/mqtt";

/// How a broker is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scheme {
    /// `mqtt`: over TCP.
    Mqtt,
    /// `mqtts`: over TCP with TLS.
    Mqtts,
    /// `ws`: over a WebSocket.
    Ws,
    /// `wss`: over a WebSocket with TLS.
    Wss,
}

impl Scheme {
    const ALL: [Self; 4] = [Self::Mqtt, Self::Mqtts, Self::Ws, Self::Wss];

    /// Its name, as it stands in an address.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mqtt => "mqtt",
            Self::Mqtts => "mqtts",
            Self::Ws => "ws",
            Self::Wss => "wss",
        }
    }

    /// The port where an address names none: that of MQTT (MQTT 5, section 4.2), or of WebSockets
    /// (RFC 6455, section 3).
    pub fn default_port(self) -> u16 {
        match self {
            Self::Mqtt => 1883,
            Self::Mqtts => 8883,
            Self::Ws => 80,
            Self::Wss => 443,
        }
    }

    /// Whether what is sent is encrypted on its way.
    pub fn is_secure(self) -> bool {
        matches!(self, Self::Mqtts | Self::Wss)
    }

    /// Whether MQTT is carried in a WebSocket (MQTT 5, section 6).
    pub fn is_websocket(self) -> bool {
        matches!(self, Self::Ws | Self::Wss)
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The address of a broker: `mqtt://`, `mqtts://`, `ws://` or `wss://`, a host, and perhaps a port;
/// for WebSockets perhaps a path and a query, which are `/mqtt` where none is named.
///
/// ```
/// use jackfield_mqtt::client::{Address, Scheme};
///
/// let address: Address = "mqtts://broker.example.org".parse()?;
/// assert_eq!(address.scheme(), Scheme::Mqtts);
/// assert_eq!(address.endpoint(), &"broker.example.org:8883".parse()?);
///
/// let address: Address = "ws://broker.example.org:8080".parse()?;
/// assert_eq!(address.path(), "/mqtt");
/// # Ok::<(), jackfield_socket::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    scheme: Scheme,
    endpoint: Endpoint,
    path: Box<str>,
}

impl Address {
    /// The address of a broker at this endpoint; over WebSockets, with the path `/mqtt`.
    pub fn new(scheme: Scheme, endpoint: Endpoint) -> Self {
        let path = if scheme.is_websocket() {
            WEBSOCKET_PATH
        } else {
            ""
        };
        Self {
            scheme,
            endpoint,
            path: path.into(),
        }
    }

    /// The same with this path of a WebSocket, which may hold a query.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) where the scheme has no path, or this can't be one.
    pub fn with_path(self, path: &str) -> Result<Self> {
        if !self.scheme.is_websocket() {
            let scheme = self.scheme;
            return Err(invalid(format!(
                "an address that begins with {scheme}:// has no path: topics are named elsewhere"
            )));
        }
        if !path.bytes().all(|byte| byte.is_ascii_graphic()) || path.contains('#') {
            return Err(invalid(
                "only visible ASCII, and no '#', may stand in a WebSocket's path".to_owned(),
            ));
        }
        let slash = if path.starts_with('/') { "" } else { "/" };
        let path = format!("{slash}{path}").into();
        Ok(Self { path, ..self })
    }

    /// How the broker is reached.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host and the port.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The path of the WebSocket, and the query where there is one; empty for other schemes.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The network to [connect](super::connect) with: this one, or WebSockets over it. For
    /// [secure](Scheme::is_secure) schemes it must bring TLS, as `jackfield_tls::Tls` does.
    ///
    /// ```no_run
    /// use jackfield_mqtt::client::{self, Address};
    /// use jackfield_mqtt::core::ConnectOptions;
    /// use jackfield_socket::{AnyNetwork, TcpConnect};
    ///
    /// fn connect(plain: impl TcpConnect, tls: impl TcpConnect) -> jackfield_socket::Result<()> {
    ///     let address: Address = "wss://broker.example.org".parse()?;
    ///     let network = if address.scheme().is_secure() {
    ///         address.over(tls)
    ///     } else {
    ///         address.over(plain)
    ///     };
    ///     let lamp = ConnectOptions::new("lamp-17".parse().expect("a name"));
    ///     let (client, events, connection) =
    ///         client::connect(network, address.endpoint().clone(), lamp);
    ///     # let _ = (client, events, connection);
    ///     Ok(())
    /// }
    /// ```
    #[cfg(all(feature = "websocket", not(wasm_browser)))]
    pub fn over(&self, network: impl TcpConnect) -> AnyNetwork {
        let any = AnyNetwork::default();
        if self.scheme.is_websocket() {
            any.with_tcp(MqttWebSockets::over(network, &*self.path))
        } else {
            any.with_tcp(network)
        }
    }
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let url: Url = text.parse()?;
        let found = Scheme::ALL
            .into_iter()
            .find(|scheme| scheme.as_str() == url.scheme());
        let scheme = found.ok_or_else(|| {
            let scheme = url.scheme();
            invalid(format!(
                "{scheme}:// is no address of a broker: mqtts, mqtt, wss or ws are"
            ))
        })?;
        let address = Self::new(scheme, url.endpoint(scheme.default_port()));
        match url.path() {
            "" => Ok(address),
            "/" if !scheme.is_websocket() => Ok(address),
            path => address.with_path(path),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let authority = self.endpoint.to_authority(self.scheme.default_port());
        write!(f, "{}://{authority}", self.scheme)?;
        f.write_str(&self.path)
    }
}

fn invalid(what: String) -> Error {
    Error::new(ErrorKind::InvalidInput, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart_and_print_alike() {
        for (text, scheme, endpoint, path, printed) in [
            ("mqtt://localhost", Scheme::Mqtt, "localhost:1883", "", ""),
            ("mqtts://a.example", Scheme::Mqtts, "a.example:8883", "", ""),
            (
                "mqtt://a.example:8883/",
                Scheme::Mqtt,
                "a.example:8883",
                "",
                "mqtt://a.example:8883",
            ),
            (
                "WSS://[::1]",
                Scheme::Wss,
                "[::1]:443",
                "/mqtt",
                "wss://[::1]/mqtt",
            ),
            ("ws://a.example/", Scheme::Ws, "a.example:80", "/", ""),
            (
                "ws://a.example:80?key=1",
                Scheme::Ws,
                "a.example:80",
                "/?key=1",
                "ws://a.example/?key=1",
            ),
            (
                "wss://a.example:9/x/y?z",
                Scheme::Wss,
                "a.example:9",
                "/x/y?z",
                "",
            ),
        ] {
            let address: Address = text.parse().expect(text);
            assert_eq!(address.scheme(), scheme, "{text}");
            assert_eq!(address.endpoint().to_string(), endpoint, "{text}");
            assert_eq!(address.path(), path, "{text}");
            let printed = if printed.is_empty() { text } else { printed };
            assert_eq!(address.to_string(), printed);
            assert_eq!(printed.parse::<Address>().expect(printed), address);
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "a.example",
            "http://a.example",
            "mqtt+ws://a.example",
            "mqtt://a.example/lamp/17",
            "mqtt://a.example?retain",
            "mqtts://ada:secret@a.example",
            "wss://a.example/#",
        ] {
            let error = text.parse::<Address>().expect_err(text);
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{text}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }
}
