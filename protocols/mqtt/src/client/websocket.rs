//! MQTT over WebSockets (MQTT 5, section 6).

use jackfield_socket::{Endpoint, Result, TcpConnect, TcpOptions};
use jackfield_websocket::{WebSocketNetwork, WebSocketOptions, WebSocketStream};

/// The subprotocol that both must agree on (MQTT-6.0.0-3); a broker that is not asked for it may
/// refuse.
const SUBPROTOCOL: &str = "mqtt";

/// A network whose streams are WebSockets that carry MQTT, to be given to [`connect`](super::connect).
/// In a page they are the page's own, which needs no relay.
#[derive(Clone, Debug)]
pub struct MqttWebSockets(WebSocketNetwork);

impl MqttWebSockets {
    /// WebSockets at this path, which begins with `/` and may hold a query, over this network:
    /// `ws://`, or `wss://` over one that brings TLS, such as `jackfield_tls`'s.
    ///
    /// ```
    /// # use jackfield_socket::TcpConnect;
    /// use jackfield_mqtt::client::{self, MqttWebSockets};
    /// use jackfield_mqtt::core::ConnectOptions;
    ///
    /// # fn example(network: impl TcpConnect) -> Result<(), Box<dyn std::error::Error>> {
    /// let network = MqttWebSockets::over(network, "/mqtt");
    /// let lamp = ConnectOptions::new("lamp-17".parse()?);
    /// let (client, events, connection) =
    ///     client::connect(network, "broker.example.org:80".parse()?, lamp);
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(not(wasm_browser))]
    pub fn over(network: impl TcpConnect, path: impl Into<String>) -> Self {
        Self(WebSocketNetwork::over(network, options(path)))
    }

    /// `ws://`: the page's own WebSockets, without TLS. A page that was itself loaded over HTTPS
    /// may open them to its own machine alone.
    #[cfg(wasm_browser)]
    pub fn ws(path: impl Into<String>) -> Self {
        Self(WebSocketNetwork::ws(options(path)))
    }

    /// `wss://`: the page's own WebSockets, with TLS.
    #[cfg(wasm_browser)]
    pub fn wss(path: impl Into<String>) -> Self {
        Self(WebSocketNetwork::wss(options(path)))
    }
}

fn options(path: impl Into<String>) -> WebSocketOptions {
    WebSocketOptions::new()
        .with_path(path)
        .with_subprotocol(SUBPROTOCOL)
}

impl TcpConnect for MqttWebSockets {
    type Stream = WebSocketStream;

    async fn connect(&self, to: &Endpoint, options: &TcpOptions) -> Result<WebSocketStream> {
        self.0.connect(to, options).await
    }
}
