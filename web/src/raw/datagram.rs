//! One UDP socket, or one that is being opened.

use std::cell::RefCell;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use jackfield_direct::{Direct, Groups};
use jackfield_socket::{
    AddressFamily, AnyNetwork, DatagramSocket, Endpoint, Error, ErrorKind, Host, MulticastGroup,
    MulticastOptions, Result, UdpOpen as _, UdpOptions, time,
};
use js_sys::{Object, Uint8Array};
use tokio::io::ReadBuf;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use super::phase::{Outcome, Shared};
use super::stream::buffer_size;
use crate::Network;
use crate::convert::{Options, invalid, object, set, socket_error};

/// No datagram is larger.
const LARGEST: usize = 65_536;
/// How long the address of a name is remembered to which datagrams are sent.
const REMEMBERED: Duration = Duration::from_secs(30);

thread_local! {
    /// Where a datagram lies on its way to the page. One for all: nothing waits in it.
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; LARGEST]);
}

/// A UDP socket of a page's own. Dropping it closes it.
#[derive(Debug)]
#[wasm_bindgen]
pub struct RawDatagrams {
    shared: Rc<Shared<Socket>>,
    /// Finds the addresses of names.
    network: AnyNetwork,
    last: RefCell<Option<Found>>,
}

#[derive(Debug)]
struct Socket {
    socket: Box<dyn DatagramSocket>,
    /// The groups of a bound socket, where they can still be joined.
    groups: Option<Groups>,
}

/// The address of a name.
#[derive(Debug)]
struct Found {
    name: Endpoint,
    family: AddressFamily,
    address: SocketAddr,
    until: time::Instant,
}

#[wasm_bindgen]
impl Network {
    /// Opens a UDP socket that speaks with one peer.
    ///
    /// # Errors
    /// A `JackfieldError`, for an address or an option that can't be right, and where there is no network.
    #[wasm_bindgen(js_name = openDatagrams)]
    pub fn open_datagrams(
        &self,
        host: &str,
        port: u16,
        options: &JsValue,
    ) -> Outcome<RawDatagrams> {
        let start = || {
            let options = Options(options);
            let to = Endpoint::new(host.parse::<Host>()?, port);
            let mut udp = udp_options(&options)?;
            udp.family = family(options.text("family")?.as_deref())?;
            Ok((self.sockets()?, to, udp))
        };
        let (network, to, options) = start().map_err(|error: Error| socket_error(&error))?;
        let opening = network.clone();
        Ok(RawDatagrams::new(network, async move {
            let socket = opening.open_connected(&to, &options).await?;
            Ok(Socket {
                socket: Box::new(socket),
                groups: None,
            })
        }))
    }

    /// Opens a UDP socket at an address, which speaks with anyone.
    ///
    /// # Errors
    /// As [`open_datagrams`](Self::open_datagrams).
    #[wasm_bindgen(js_name = bindDatagrams)]
    pub fn bind_datagrams(
        &self,
        host: &str,
        port: u16,
        options: &JsValue,
    ) -> Outcome<RawDatagrams> {
        let start = || {
            let options = Options(options);
            let at = SocketAddr::new(ip_address(host)?, port);
            let mut udp = udp_options(&options)?;
            udp.v6_only = options.flag("ipv6Only")?;
            udp.multicast = multicast(&options)?;
            Ok((self.sockets()?, at, udp))
        };
        let (network, at, options) = start().map_err(|error: Error| socket_error(&error))?;
        // Whoever could join groups later could leave the rules.
        let has_groups = self.kind().as_deref() == Some("direct") && !self.is_held();
        let opening = network.clone();
        Ok(RawDatagrams::new(network, async move {
            if has_groups {
                let socket = Direct.open_bound(at, &options).await?;
                let groups = socket.groups();
                let socket = Box::new(socket);
                return Ok(Socket { socket, groups });
            }
            let socket = opening.open_bound(at, &options).await?;
            Ok(Socket {
                socket: Box::new(socket),
                groups: None,
            })
        }))
    }
}

#[wasm_bindgen(wasm_bindgen_futures = crate::promise)]
impl RawDatagrams {
    /// Waits until it is open; tells its addresses.
    ///
    /// # Errors
    /// A `JackfieldError`: why it can't be opened.
    pub async fn opened(&self) -> Outcome<Object> {
        let describe = |socket: &mut Socket, _: &mut Context<'_>| {
            let info = Object::new();
            tell(
                &info,
                ["localAddress", "localPort"],
                socket.socket.local_addr(),
            );
            tell(
                &info,
                ["remoteAddress", "remotePort"],
                socket.socket.peer_addr(),
            );
            Poll::Ready(Ok::<_, Error>(info))
        };
        self.shared.polled(describe).await
    }

    /// The next datagram, with who has sent it.
    ///
    /// # Errors
    /// A `JackfieldError`, where the socket can't be opened, or is over.
    pub async fn receive(&self) -> Outcome<Object> {
        self.shared.polled(Socket::poll_receive).await
    }

    /// Sends a datagram: of a bound socket to this host and port, of a connected one to its peer. Settles when
    /// it is on its way.
    ///
    /// # Errors
    /// A `JackfieldError`, where it can't be sent.
    pub async fn send(
        &self,
        data: Uint8Array,
        host: Option<String>,
        port: Option<u16>,
        family: Option<String>,
    ) -> Outcome<()> {
        let data = data.to_vec();
        let to = match (host, port) {
            (Some(host), Some(port)) => {
                let found = self.find(&host, port, family.as_deref()).await;
                Some(found.map_err(|error| socket_error(&error))?)
            }
            _ => None,
        };
        self.shared
            .polled(|socket, cx| socket.socket.poll_send(cx, &data, to))
            .await
    }

    /// Joins a group.
    ///
    /// # Errors
    /// A `JackfieldError` of kind `unsupported` where the network can't once a socket is open, and where the
    /// group can't be joined.
    pub async fn join(&self, group: String) -> Outcome<()> {
        let (groups, group) = self.group(&group).await?;
        let joined = groups.join(&group).await;
        joined.map_err(|error| socket_error(&error))
    }

    /// Leaves a group.
    ///
    /// # Errors
    /// As [`join`](Self::join).
    pub async fn leave(&self, group: String) -> Outcome<()> {
        let (groups, group) = self.group(&group).await?;
        let left = groups.leave(&group).await;
        left.map_err(|error| socket_error(&error))
    }

    /// Closes it. What was sent is on its way; whoever receives fails.
    pub fn close(&self) {
        let reason = Error::new(ErrorKind::Closed, "the socket is closed");
        self.shared.end(socket_error(&reason));
    }
}

impl RawDatagrams {
    fn new(network: AnyNetwork, opening: impl Future<Output = Result<Socket>> + 'static) -> Self {
        Self {
            shared: Shared::opening(async { opening.await.map_err(|error| socket_error(&error)) }),
            network,
            last: RefCell::default(),
        }
    }

    /// The address of a host. A bound socket speaks in addresses; a socket that is connected to a name knows
    /// which one that has.
    async fn find(&self, host: &str, port: u16, of: Option<&str>) -> Result<SocketAddr> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(SocketAddr::new(address, port));
        }
        let unknown = |what: String| Error::new(ErrorKind::HostNotFound, what);
        let host = host.parse::<Host>();
        let name = Endpoint::new(host.map_err(|error| unknown(error.to_string()))?, port);
        let family = family(of)?;
        if let Some(last) = &*self.last.borrow()
            && last.name == name
            && last.family == family
            && last.until > time::now()
        {
            return Ok(last.address);
        }
        let mut options = UdpOptions::default();
        options.family = family;
        let socket = self.network.open_connected(&name, &options).await?;
        let Some(address) = socket.peer_addr() else {
            return Err(unknown(format!("{name} has no address")));
        };
        self.last.replace(Some(Found {
            name,
            family,
            address,
            until: time::now() + REMEMBERED,
        }));
        Ok(address)
    }

    /// The groups of this socket, and the one that is meant.
    async fn group(&self, group: &str) -> Outcome<(Groups, MulticastGroup)> {
        let group = ip_address(group).map_err(|error| socket_error(&error))?;
        let groups = |socket: &mut Socket, _: &mut Context<'_>| {
            let groups = socket.groups.clone().ok_or_else(|| {
                let what = "a socket joins and leaves no groups here once it is open";
                Error::new(ErrorKind::Unsupported, what)
            });
            Poll::Ready(groups)
        };
        let groups = self.shared.polled(groups).await?;
        Ok((groups, MulticastGroup::new(group)))
    }
}

impl Socket {
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Object>> {
        SCRATCH.with_borrow_mut(|scratch| {
            loop {
                let mut buffer = ReadBuf::new(scratch);
                let datagram = match ready!(self.socket.poll_recv(cx, &mut buffer)) {
                    Ok(datagram) => datagram,
                    // That a datagram found nobody: a browser's socket doesn't tell, and goes on.
                    Err(error) if is_report(&error) => continue,
                    Err(error) => return Poll::Ready(Err(error)),
                };
                let message = object([("data", Uint8Array::from(buffer.filled()).into())]);
                tell(&message, ["remoteAddress", "remotePort"], datagram.from);
                return Poll::Ready(Ok(message));
            }
        })
    }
}

/// What a connected socket tells of its peer, and lives on.
fn is_report(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
    )
}

/// Sets an address and a port, where they are known.
pub(super) fn tell(object: &Object, [address, port]: [&str; 2], at: Option<SocketAddr>) {
    if let Some(at) = at {
        set(object, address, at.ip().to_string());
        set(object, port, at.port());
    }
}

pub(super) fn ip_address(text: &str) -> Result<IpAddr> {
    text.parse().map_err(|_| {
        let what = format!("{text:?} is no IP address");
        Error::new(ErrorKind::InvalidInput, what)
    })
}

fn udp_options(options: &Options<'_>) -> Result<UdpOptions> {
    let mut udp = UdpOptions::default();
    udp.send_buffer = buffer_size(options, "sendBufferSize")?;
    udp.receive_buffer = buffer_size(options, "receiveBufferSize")?;
    Ok(udp)
}

/// Multicast, where one of its options is given.
#[expect(clippy::cast_sign_loss, reason = "it has been looked at")]
fn multicast(options: &Options<'_>) -> Result<Option<MulticastOptions>> {
    let share = options.flag("multicastAllowAddressSharing")?;
    let loopback = options.flag("multicastLoopback")?;
    let time_to_live = options.number("multicastTimeToLive")?;
    if share.is_none() && loopback.is_none() && time_to_live.is_none() {
        return Ok(None);
    }
    let mut multicast = MulticastOptions::default();
    multicast.share_address = share.unwrap_or_default();
    multicast.loopback = loopback.unwrap_or(true);
    match time_to_live {
        None => {}
        Some(hops) if (0.0..=255.0).contains(&hops) => multicast.time_to_live = hops as u8,
        Some(_) => return Err(invalid("multicastTimeToLive", "is no number from 0 to 255")),
    }
    Ok(Some(multicast))
}

fn family(name: Option<&str>) -> Result<AddressFamily> {
    match name {
        None => Ok(AddressFamily::Any),
        Some("ipv4") => Ok(AddressFamily::V4),
        Some("ipv6") => Ok(AddressFamily::V6),
        Some(_) => Err(invalid("family", "is neither ipv4 nor ipv6")),
    }
}
