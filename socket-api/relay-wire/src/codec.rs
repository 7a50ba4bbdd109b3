//! Frames to bytes and back; `docs/relay-protocol.md` is the specification.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::num::NonZeroU32;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use jackfield_socket::{
    AddressFamily, Endpoint, Host, HostName, ListenOptions, MulticastGroup, MulticastOptions,
    TcpOptions, UdpOptions,
};

use crate::frame::{Capabilities, Frame, Settings, UdpTarget};
use crate::{HEADER, Id, MAX_DATA, MAX_DATAGRAM, MAX_MESSAGE, Reason, VERSION};

const HELLO: u8 = 0x01;
const GOAWAY: u8 = 0x02;
const PING: u8 = 0x03;
const PONG: u8 = 0x04;
const CONNECT: u8 = 0x10;
const LISTEN: u8 = 0x11;
const UDP: u8 = 0x12;
const OPENED: u8 = 0x13;
const REFUSED: u8 = 0x14;
const INBOUND: u8 = 0x15;
const DATA: u8 = 0x20;
const CREDIT: u8 = 0x21;
const FIN: u8 = 0x22;
const RESET: u8 = 0x23;
const DATAGRAM: u8 = 0x24;
const DROPPED: u8 = 0x25;
/// From here on, frames that are unknown are ignored.
const EXTENSIONS: u8 = 0x80;

const SETTING_MAX_OPEN: u8 = 1;
const SETTING_CAPABILITIES: u8 = 2;

// Address types; the first three are SOCKS5's (RFC 1928, section 5).
const ADDRESS_NONE: u8 = 0;
const ADDRESS_V4: u8 = 1;
const ADDRESS_NAME: u8 = 3;
const ADDRESS_V6: u8 = 4;
const ADDRESS_V6_SCOPED: u8 = 6;

const CONNECT_NO_DELAY: u8 = 1;

const UDP_BOUND: u8 = 1;
const UDP_MULTICAST: u8 = 2;
const UDP_LOOPBACK: u8 = 4;
const UDP_SHARE_ADDRESS: u8 = 8;

const DATAGRAM_TRUNCATED: u8 = 1;

/// A message that is no frame.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct DecodeError {
    kind: Option<u8>,
    what: &'static str,
}

impl DecodeError {
    pub(crate) const SHORT: Self = Self::new("it ends too early");

    pub(crate) const fn new(what: &'static str) -> Self {
        Self { kind: None, what }
    }
}

impl fmt::Debug for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DecodeError({self})")
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Some(kind) => write!(f, "a bad frame of type {kind:#04x}: {}", self.what),
            None => write!(f, "a bad frame: {}", self.what),
        }
    }
}

impl std::error::Error for DecodeError {}

type Result<T> = std::result::Result<T, DecodeError>;

/// Writes the header of a `DATA` frame into the room that was left for it.
pub(crate) fn put_data_header(room: &mut [u8], id: Id) {
    if let Some((kind, rest)) = room.split_first_mut() {
        *kind = DATA;
        rest.copy_from_slice(&id.0.get().to_be_bytes());
    }
}

pub(crate) fn decode(mut message: Bytes) -> Result<Frame> {
    if message.len() > MAX_MESSAGE {
        return Err(DecodeError::new("it is longer than a message may be"));
    }
    let kind = get_u8(&mut message)?;
    let in_kind = |error: DecodeError| DecodeError {
        kind: Some(kind),
        ..error
    };
    let id = get_u32(&mut message).map_err(in_kind)?;
    let frame = decode_body(kind, id, &mut message).map_err(in_kind)?;
    if message.is_empty() {
        Ok(frame)
    } else {
        Err(in_kind(DecodeError::new("something follows its end")))
    }
}

fn decode_body(kind: u8, id: u32, body: &mut Bytes) -> Result<Frame> {
    if kind >= EXTENSIONS {
        let body = body.split_off(0);
        return Ok(Frame::Extension { kind, id, body });
    }
    if !(HELLO..=PONG).contains(&kind)
        && !(CONNECT..=INBOUND).contains(&kind)
        && !(DATA..=DROPPED).contains(&kind)
    {
        return Err(DecodeError::new("the type is unknown"));
    }
    if kind < CONNECT {
        if id != 0 {
            return Err(DecodeError::new(
                "it belongs to the connection, but has an identifier",
            ));
        }
        return match kind {
            HELLO => decode_hello(body),
            GOAWAY => Ok(Frame::GoAway(Reason::decode(body)?)),
            PING => Ok(Frame::Ping(get_array(body)?)),
            _ => Ok(Frame::Pong(get_array(body)?)),
        };
    }
    let id = Id::new(id).ok_or(DecodeError::new("its identifier is 0"))?;
    Ok(match kind {
        CONNECT => decode_connect(id, body)?,
        LISTEN => decode_listen(id, body)?,
        UDP => decode_udp(id, body)?,
        OPENED => Frame::Opened {
            id,
            credit: get_u32(body)?,
            local: get_optional_socket(body)?,
            remote: get_optional_socket(body)?,
        },
        REFUSED => Frame::Refused {
            id,
            reason: Reason::decode(body)?,
        },
        INBOUND => Frame::Inbound {
            id,
            listener: Id::new(get_u32(body)?)
                .ok_or(DecodeError::new("its listener's identifier is 0"))?,
            credit: get_u32(body)?,
            local: get_socket(body)?,
            remote: get_socket(body)?,
        },
        DATA => {
            let data = body.split_off(0);
            if data.is_empty() {
                return Err(DecodeError::new("it holds no data"));
            }
            if data.len() > MAX_DATA {
                return Err(DecodeError::new("it holds more than 65536 bytes"));
            }
            Frame::Data { id, data }
        }
        CREDIT => match get_u32(body)? {
            0 => return Err(DecodeError::new("it gives no credit")),
            more => Frame::Credit { id, more },
        },
        FIN => Frame::Fin { id },
        RESET => Frame::Reset {
            id,
            reason: Reason::decode(body)?,
        },
        DATAGRAM => {
            let flags = get_flags(body, DATAGRAM_TRUNCATED)?;
            let peer = get_optional_socket(body)?;
            let data = body.split_off(0);
            if data.len() > MAX_DATAGRAM {
                return Err(DecodeError::new("it holds more than 65507 bytes"));
            }
            Frame::Datagram {
                id,
                peer,
                truncated: flags & DATAGRAM_TRUNCATED != 0,
                data,
            }
        }
        _ => Frame::Dropped {
            id,
            total: u64::from_be_bytes(get_array(body)?),
        },
    })
}

fn decode_hello(body: &mut Bytes) -> Result<Frame> {
    if get_u8(body)? != VERSION {
        return Err(DecodeError::new("the version is unknown"));
    }
    let mut settings = Settings::default();
    while body.has_remaining() {
        let (key, value) = (get_u8(body)?, get_u32(body)?);
        match key {
            SETTING_MAX_OPEN => settings.max_open = value,
            SETTING_CAPABILITIES => settings.capabilities = Capabilities(value),
            // A later version's: ignored, as whoever sends it expects.
            _ => {}
        }
    }
    Ok(Frame::Hello(settings))
}

fn decode_connect(id: Id, body: &mut Bytes) -> Result<Frame> {
    let flags = get_flags(body, CONNECT_NO_DELAY)?;
    let mut options = TcpOptions::default();
    options.no_delay = flags & CONNECT_NO_DELAY != 0;
    options.family = get_family(body)?;
    options.keep_alive = match get_u32(body)? {
        0 => None,
        milliseconds => Some(Duration::from_millis(milliseconds.into())),
    };
    options.send_buffer = NonZeroU32::new(get_u32(body)?);
    options.receive_buffer = NonZeroU32::new(get_u32(body)?);
    Ok(Frame::Connect {
        id,
        credit: get_u32(body)?,
        to: get_endpoint(body)?,
        options,
    })
}

fn decode_listen(id: Id, body: &mut Bytes) -> Result<Frame> {
    let mut options = ListenOptions::default();
    options.v6_only = get_v6_only(body)?;
    options.backlog = NonZeroU32::new(get_u32(body)?);
    Ok(Frame::Listen {
        id,
        credit: get_u32(body)?,
        stream_credit: get_u32(body)?,
        at: get_socket(body)?,
        options,
    })
}

fn decode_udp(id: Id, body: &mut Bytes) -> Result<Frame> {
    let flags = get_flags(
        body,
        UDP_BOUND | UDP_MULTICAST | UDP_LOOPBACK | UDP_SHARE_ADDRESS,
    )?;
    let mut options = UdpOptions::default();
    options.family = get_family(body)?;
    options.v6_only = get_v6_only(body)?;
    options.send_buffer = NonZeroU32::new(get_u32(body)?);
    options.receive_buffer = NonZeroU32::new(get_u32(body)?);
    let credit = get_u32(body)?;
    let target = if flags & UDP_BOUND != 0 {
        UdpTarget::Bound(get_socket(body)?)
    } else {
        UdpTarget::Connected(get_endpoint(body)?)
    };
    if flags & UDP_MULTICAST != 0 {
        let mut multicast = MulticastOptions::default();
        multicast.loopback = flags & UDP_LOOPBACK != 0;
        multicast.share_address = flags & UDP_SHARE_ADDRESS != 0;
        multicast.time_to_live = get_u8(body)?;
        multicast.interface = get_ip(body)?;
        for _ in 0..get_u8(body)? {
            let address = get_ip(body)?.ok_or(DecodeError::new("a group has no address"))?;
            let mut group = MulticastGroup::new(address);
            group.source = get_ip(body)?;
            multicast.groups.push(group);
        }
        options.multicast = Some(multicast);
    } else if flags & (UDP_LOOPBACK | UDP_SHARE_ADDRESS) != 0 {
        return Err(DecodeError::new(
            "it has flags of multicast, but not that one",
        ));
    }
    Ok(Frame::Udp {
        id,
        credit,
        target,
        options,
    })
}

fn get_u8(body: &mut Bytes) -> Result<u8> {
    body.try_get_u8().map_err(|_| DecodeError::SHORT)
}

fn get_u16(body: &mut Bytes) -> Result<u16> {
    body.try_get_u16().map_err(|_| DecodeError::SHORT)
}

fn get_u32(body: &mut Bytes) -> Result<u32> {
    body.try_get_u32().map_err(|_| DecodeError::SHORT)
}

fn get_array<const N: usize>(body: &mut Bytes) -> Result<[u8; N]> {
    let mut array = [0; N];
    body.try_copy_to_slice(&mut array)
        .map_err(|_| DecodeError::SHORT)?;
    Ok(array)
}

fn get_flags(body: &mut Bytes, known: u8) -> Result<u8> {
    let flags = get_u8(body)?;
    if flags & !known == 0 {
        Ok(flags)
    } else {
        Err(DecodeError::new("a flag is unknown"))
    }
}

fn get_family(body: &mut Bytes) -> Result<AddressFamily> {
    match get_u8(body)? {
        0 => Ok(AddressFamily::Any),
        4 => Ok(AddressFamily::V4),
        6 => Ok(AddressFamily::V6),
        _ => Err(DecodeError::new("the address family is unknown")),
    }
}

fn get_v6_only(body: &mut Bytes) -> Result<Option<bool>> {
    match get_u8(body)? {
        0 => Ok(None),
        1 => Ok(Some(false)),
        2 => Ok(Some(true)),
        _ => Err(DecodeError::new("its \"IPv6 only\" is none of 0, 1 and 2")),
    }
}

fn get_ip(body: &mut Bytes) -> Result<Option<IpAddr>> {
    match get_u8(body)? {
        ADDRESS_NONE => Ok(None),
        ADDRESS_V4 => Ok(Some(Ipv4Addr::from(get_array::<4>(body)?).into())),
        ADDRESS_V6 => Ok(Some(Ipv6Addr::from(get_array::<16>(body)?).into())),
        _ => Err(DecodeError::new("an address has an unknown type")),
    }
}

fn get_optional_socket(body: &mut Bytes) -> Result<Option<SocketAddr>> {
    if body.first() == Some(&ADDRESS_V6_SCOPED) {
        body.advance(1);
        let ip = Ipv6Addr::from(get_array::<16>(body)?);
        let scope = get_u32(body)?;
        if scope == 0 {
            return Err(DecodeError::new("an address has scope 0"));
        }
        let port = get_u16(body)?;
        return Ok(Some(SocketAddrV6::new(ip, port, 0, scope).into()));
    }
    match get_ip(body)? {
        None => Ok(None),
        Some(ip) => Ok(Some(SocketAddr::new(ip, get_u16(body)?))),
    }
}

fn get_socket(body: &mut Bytes) -> Result<SocketAddr> {
    get_optional_socket(body)?.ok_or(DecodeError::new("an address is missing"))
}

fn get_endpoint(body: &mut Bytes) -> Result<Endpoint> {
    let host = if body.first() == Some(&ADDRESS_NAME) {
        body.advance(1);
        let len = get_u8(body)?;
        let bytes = body
            .split_to_checked(len.into())
            .ok_or(DecodeError::SHORT)?;
        let text = std::str::from_utf8(&bytes).unwrap_or_default();
        match text.parse::<HostName>() {
            Ok(name) if name.as_str() == text => Host::Name(name),
            _ => {
                return Err(DecodeError::new(
                    "the host's name is none, or not in lower case",
                ));
            }
        }
    } else {
        match get_ip(body)? {
            Some(ip) => ip.into(),
            None => return Err(DecodeError::new("an address is missing")),
        }
    };
    Ok(Endpoint::new(host, get_u16(body)?))
}

/// [`Bytes::split_to`] that doesn't panic.
trait SplitTo: Sized {
    fn split_to_checked(&mut self, at: usize) -> Option<Self>;
}

impl SplitTo for Bytes {
    fn split_to_checked(&mut self, at: usize) -> Option<Self> {
        (at <= self.len()).then(|| self.split_to(at))
    }
}

pub(crate) fn encode(frame: &Frame) -> BytesMut {
    let mut out = BytesMut::with_capacity(match frame {
        Frame::Data { data, .. } => HEADER + data.len(),
        Frame::Datagram { data, .. } => HEADER + 24 + data.len(),
        Frame::Extension { body, .. } => HEADER + body.len(),
        _ => 64,
    });
    match frame {
        Frame::Hello(settings) => {
            put_header(&mut out, HELLO, None);
            out.put_u8(VERSION);
            out.put_u8(SETTING_MAX_OPEN);
            out.put_u32(settings.max_open);
            out.put_u8(SETTING_CAPABILITIES);
            out.put_u32(settings.capabilities.0);
        }
        Frame::GoAway(reason) => {
            put_header(&mut out, GOAWAY, None);
            reason.encode(&mut out);
        }
        Frame::Ping(bytes) => {
            put_header(&mut out, PING, None);
            out.put_slice(bytes);
        }
        Frame::Pong(bytes) => {
            put_header(&mut out, PONG, None);
            out.put_slice(bytes);
        }
        Frame::Connect {
            id,
            credit,
            to,
            options,
        } => {
            put_header(&mut out, CONNECT, Some(*id));
            out.put_u8(if options.no_delay {
                CONNECT_NO_DELAY
            } else {
                0
            });
            put_family(&mut out, options.family);
            let keep_alive = options.keep_alive.map_or(0, |idle| {
                u32::try_from(idle.as_millis()).unwrap_or(u32::MAX).max(1)
            });
            out.put_u32(keep_alive);
            put_size(&mut out, options.send_buffer);
            put_size(&mut out, options.receive_buffer);
            out.put_u32(*credit);
            put_endpoint(&mut out, to);
        }
        Frame::Listen {
            id,
            credit,
            stream_credit,
            at,
            options,
        } => {
            put_header(&mut out, LISTEN, Some(*id));
            put_v6_only(&mut out, options.v6_only);
            put_size(&mut out, options.backlog);
            out.put_u32(*credit);
            out.put_u32(*stream_credit);
            put_socket(&mut out, *at);
        }
        Frame::Udp {
            id,
            credit,
            target,
            options,
        } => encode_udp(&mut out, *id, *credit, target, options),
        Frame::Opened {
            id,
            credit,
            local,
            remote,
        } => {
            put_header(&mut out, OPENED, Some(*id));
            out.put_u32(*credit);
            put_optional_socket(&mut out, *local);
            put_optional_socket(&mut out, *remote);
        }
        Frame::Refused { id, reason } => {
            put_header(&mut out, REFUSED, Some(*id));
            reason.encode(&mut out);
        }
        Frame::Inbound {
            id,
            listener,
            credit,
            local,
            remote,
        } => {
            put_header(&mut out, INBOUND, Some(*id));
            out.put_u32(listener.0.get());
            out.put_u32(*credit);
            put_socket(&mut out, *local);
            put_socket(&mut out, *remote);
        }
        Frame::Data { id, data } => {
            assert!(data.len() <= MAX_DATA, "data beyond the limit of a frame");
            put_header(&mut out, DATA, Some(*id));
            out.put_slice(data);
        }
        Frame::Credit { id, more } => {
            put_header(&mut out, CREDIT, Some(*id));
            out.put_u32(*more);
        }
        Frame::Fin { id } => put_header(&mut out, FIN, Some(*id)),
        Frame::Reset { id, reason } => {
            put_header(&mut out, RESET, Some(*id));
            reason.encode(&mut out);
        }
        Frame::Datagram {
            id,
            peer,
            truncated,
            data,
        } => {
            assert!(data.len() <= MAX_DATAGRAM, "a datagram beyond the limit");
            put_header(&mut out, DATAGRAM, Some(*id));
            out.put_u8(if *truncated { DATAGRAM_TRUNCATED } else { 0 });
            put_optional_socket(&mut out, *peer);
            out.put_slice(data);
        }
        Frame::Dropped { id, total } => {
            put_header(&mut out, DROPPED, Some(*id));
            out.put_u64(*total);
        }
        Frame::Extension { kind, id, body } => {
            out.put_u8(*kind);
            out.put_u32(*id);
            out.put_slice(body);
        }
    }
    out
}

fn encode_udp(out: &mut BytesMut, id: Id, credit: u32, target: &UdpTarget, options: &UdpOptions) {
    put_header(out, UDP, Some(id));
    let mut flags = match target {
        UdpTarget::Bound(_) => UDP_BOUND,
        UdpTarget::Connected(_) => 0,
    };
    if let Some(multicast) = &options.multicast {
        flags |= UDP_MULTICAST;
        if multicast.loopback {
            flags |= UDP_LOOPBACK;
        }
        if multicast.share_address {
            flags |= UDP_SHARE_ADDRESS;
        }
    }
    out.put_u8(flags);
    put_family(out, options.family);
    put_v6_only(out, options.v6_only);
    put_size(out, options.send_buffer);
    put_size(out, options.receive_buffer);
    out.put_u32(credit);
    match target {
        UdpTarget::Bound(at) => put_socket(out, *at),
        UdpTarget::Connected(to) => put_endpoint(out, to),
    }
    if let Some(multicast) = &options.multicast {
        out.put_u8(multicast.time_to_live);
        put_optional_ip(out, multicast.interface);
        let count = u8::try_from(multicast.groups.len());
        out.put_u8(count.expect("no more than 255 multicast groups"));
        for group in &multicast.groups {
            put_ip(out, group.address);
            put_optional_ip(out, group.source);
        }
    }
}

fn put_header(out: &mut BytesMut, kind: u8, id: Option<Id>) {
    out.put_u8(kind);
    out.put_u32(id.map_or(0, |id| id.0.get()));
}

fn put_size(out: &mut BytesMut, size: Option<NonZeroU32>) {
    out.put_u32(size.map_or(0, NonZeroU32::get));
}

fn put_family(out: &mut BytesMut, family: AddressFamily) {
    out.put_u8(match family {
        AddressFamily::V4 => 4,
        AddressFamily::V6 => 6,
        _ => 0,
    });
}

fn put_v6_only(out: &mut BytesMut, v6_only: Option<bool>) {
    out.put_u8(match v6_only {
        None => 0,
        Some(false) => 1,
        Some(true) => 2,
    });
}

fn put_ip(out: &mut BytesMut, ip: IpAddr) {
    match ip {
        IpAddr::V4(ip) => {
            out.put_u8(ADDRESS_V4);
            out.put_slice(&ip.octets());
        }
        IpAddr::V6(ip) => {
            out.put_u8(ADDRESS_V6);
            out.put_slice(&ip.octets());
        }
    }
}

fn put_optional_ip(out: &mut BytesMut, ip: Option<IpAddr>) {
    match ip {
        Some(ip) => put_ip(out, ip),
        None => out.put_u8(ADDRESS_NONE),
    }
}

fn put_socket(out: &mut BytesMut, address: SocketAddr) {
    match address {
        SocketAddr::V6(address) if address.scope_id() != 0 => {
            out.put_u8(ADDRESS_V6_SCOPED);
            out.put_slice(&address.ip().octets());
            out.put_u32(address.scope_id());
        }
        _ => put_ip(out, address.ip()),
    }
    out.put_u16(address.port());
}

fn put_optional_socket(out: &mut BytesMut, address: Option<SocketAddr>) {
    match address {
        Some(address) => put_socket(out, address),
        None => out.put_u8(ADDRESS_NONE),
    }
}

fn put_endpoint(out: &mut BytesMut, endpoint: &Endpoint) {
    match endpoint.host() {
        Host::Ip(ip) => put_ip(out, *ip),
        Host::Name(name) => {
            out.put_u8(ADDRESS_NAME);
            // A host name has at most 253 bytes.
            out.put_u8(name.as_str().len() as u8);
            out.put_slice(name.as_str().as_bytes());
        }
    }
    out.put_u16(endpoint.port());
}
