//! The network of Direct Sockets: it opens streams, listeners and UDP sockets.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use jackfield_socket::{
    AddressFamily, Endpoint, Error, ErrorKind, Host, ListenOptions, Result, TcpConnect, TcpListen,
    TcpOptions, UdpOpen, UdpOptions,
};
use js_sys::{Array, Reflect};
use send_wrapper::SendWrapper;
use wasm_bindgen::{JsCast as _, JsValue};
use wasm_bindgen_futures::{JsFuture, spawn_local};

use crate::bindings::{self, Opened, Options, Socket};
use crate::error::{Doing, opening};
use crate::promise::ignore;
use crate::{DirectDatagramSocket, DirectListener, DirectStream};

/// Chrome's Direct Sockets.
///
/// ```no_run
/// use jackfield_direct::Direct;
/// use jackfield_socket::AnyNetwork;
///
/// fn network(elsewhere: AnyNetwork) -> AnyNetwork {
///     if Direct::is_available() {
///         AnyNetwork::new(Direct)
///     } else {
///         elsewhere
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Direct;

impl Direct {
    /// Whether this window or worker has them: whether it belongs to an Isolated Web App.
    ///
    /// Opening a socket may still be [`Denied`](ErrorKind::Denied), where the app's manifest doesn't
    /// ask for it, or the user or an administrator forbids it.
    pub fn is_available() -> bool {
        // With some of its switches Chromium shows the classes in shared and service workers of ordinary pages,
        // too, and ends the page that uses them there.
        let isolated = Reflect::get(&js_sys::global(), &"crossOriginIsolated".into());
        isolated.is_ok_and(|isolated| isolated.is_truthy())
            && bindings::native("TCPSocket").is_some()
    }
}

impl TcpConnect for Direct {
    type Stream = DirectStream;

    fn connect(
        &self,
        to: &Endpoint,
        options: &TcpOptions,
    ) -> impl Future<Output = Result<DirectStream>> + Send {
        let (to, options) = (to.clone(), options.clone());
        SendWrapper::new(async move {
            options.validate()?;
            let given = Options::default()
                .set("noDelay", Some(options.no_delay))
                .set("keepAliveDelay", options.keep_alive.map(millis))
                .set("sendBufferSize", options.send_buffer.map(u32::from))
                .set("receiveBufferSize", options.receive_buffer.map(u32::from))
                .set("dnsQueryType", dns_query_type(options.family));
            let what = format!("connecting to {to}");
            let arguments = Array::of3(&host(&to).into(), &to.port().into(), &given.0);
            let socket = bindings::construct("TCPSocket", &arguments)
                .map_err(|thrown| opening(Doing::Connecting, &what, &thrown))?;
            let opened = open(socket, Doing::Connecting, &what).await?;
            Ok(DirectStream::new(&opened.1, None))
        })
    }
}

impl TcpListen for Direct {
    type Listener = DirectListener;

    fn listen(
        &self,
        at: SocketAddr,
        options: &ListenOptions,
    ) -> impl Future<Output = Result<DirectListener>> + Send {
        let options = options.clone();
        SendWrapper::new(async move {
            options.validate(at)?;
            let given = Options::default()
                .set("localPort", chosen(at.port()))
                .set("backlog", options.backlog.map(u32::from))
                .set("ipv6Only", options.v6_only);
            let what = format!("listening at {at}");
            let arguments = Array::of2(&at.ip().to_string().into(), &given.0);
            let socket = bindings::construct("TCPServerSocket", &arguments)
                .map_err(|thrown| opening(Doing::Binding, &what, &thrown))?;
            let (socket, opened) = open(socket, Doing::Binding, &what).await?;
            Ok(DirectListener::new(socket, &opened))
        })
    }
}

impl UdpOpen for Direct {
    type Socket = DirectDatagramSocket;

    fn open_connected(
        &self,
        to: &Endpoint,
        options: &UdpOptions,
    ) -> impl Future<Output = Result<DirectDatagramSocket>> + Send {
        let (to, options) = (to.clone(), options.clone());
        SendWrapper::new(async move {
            options.validate_connected()?;
            let given = udp_options(&options)
                .set("remoteAddress", Some(host(&to)))
                .set("remotePort", Some(to.port()))
                .set("dnsQueryType", dns_query_type(options.family));
            let what = format!("opening a UDP socket to {to}");
            let socket = bindings::construct("UDPSocket", &Array::of1(&given.0))
                .map_err(|thrown| opening(Doing::Connecting, &what, &thrown))?;
            let (socket, opened) = open(socket, Doing::Connecting, &what).await?;
            Ok(DirectDatagramSocket::new(socket, &opened))
        })
    }

    fn open_bound(
        &self,
        at: SocketAddr,
        options: &UdpOptions,
    ) -> impl Future<Output = Result<DirectDatagramSocket>> + Send {
        let options = options.clone();
        SendWrapper::new(async move {
            options.validate_bound(at)?;
            let mut given = udp_options(&options)
                .set("localAddress", Some(at.ip().to_string()))
                .set("localPort", chosen(at.port()))
                .set("ipv6Only", options.v6_only);
            if let Some(multicast) = &options.multicast {
                if multicast.interface.is_some() {
                    return Err(Error::new(
                        ErrorKind::Unsupported,
                        "Direct Sockets can't choose an interface for multicast",
                    ));
                }
                given = given
                    .set(
                        "multicastAllowAddressSharing",
                        Some(multicast.share_address),
                    )
                    .set("multicastTimeToLive", Some(multicast.time_to_live))
                    .set("multicastLoopback", Some(multicast.loopback));
            }
            let what = format!("binding a UDP socket to {at}");
            let socket = bindings::construct("UDPSocket", &Array::of1(&given.0))
                .map_err(|thrown| opening(Doing::Binding, &what, &thrown))?;
            let (socket, opened) = open(socket, Doing::Binding, &what).await?;
            let bound = DirectDatagramSocket::new(socket, &opened);
            if let Some(multicast) = &options.multicast {
                let groups = bound.groups().ok_or_else(|| {
                    let what = "the app's manifest gives no permission for multicast: it needs the \
                                policy direct-sockets-multicast";
                    Error::new(ErrorKind::Denied, what)
                })?;
                for group in &multicast.groups {
                    groups.join(group).await?;
                }
            }
            Ok(bound)
        })
    }
}

/// A socket that hasn't opened. Dropping it closes it, which Chrome allows only once it is open.
struct Opening(Option<Socket>);

impl Drop for Opening {
    fn drop(&mut self) {
        if let Some(socket) = self.0.take() {
            spawn_local(async move {
                if JsFuture::from(socket.opened()).await.is_ok() {
                    let _ = JsFuture::from(socket.close()).await;
                }
            });
        }
    }
}

async fn open(socket: Socket, doing: Doing, what: &str) -> Result<(Socket, Opened)> {
    ignore_closed(&socket);
    let mut guard = Opening(Some(socket.clone()));
    let opened = JsFuture::from(socket.opened()).await;
    guard.0 = None;
    match opened {
        Ok(opened) => Ok((socket, opened.unchecked_into())),
        Err(thrown) => Err(opening(doing, what, &thrown)),
    }
}

/// `closed` fails where the connection does. Its streams tell that too, so nobody looks.
pub(crate) fn ignore_closed(socket: &Socket) {
    ignore(socket.closed());
}

fn udp_options(options: &UdpOptions) -> Options {
    Options::default()
        .set("sendBufferSize", options.send_buffer.map(u32::from))
        .set("receiveBufferSize", options.receive_buffer.map(u32::from))
}

fn host(endpoint: &Endpoint) -> String {
    match endpoint.host() {
        Host::Ip(ip) => ip.to_string(),
        Host::Name(name) => name.as_str().to_owned(),
    }
}

/// Leaving a port out lets the system choose; 0 is refused.
fn chosen(port: u16) -> Option<u16> {
    (port != 0).then_some(port)
}

fn dns_query_type(family: AddressFamily) -> Option<&'static str> {
    match family {
        AddressFamily::V4 => Some("ipv4"),
        AddressFamily::V6 => Some("ipv6"),
        _ => None,
    }
}

fn millis(duration: Duration) -> JsValue {
    // Rounded down, it would be under the second that Chrome asks for only where it was so before.
    u32::try_from(duration.as_millis())
        .unwrap_or(u32::MAX)
        .into()
}
