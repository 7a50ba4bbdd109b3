//! Decoding: bytes to frames.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::num::NonZeroU32;
use std::time::Duration;

use bytes::{Buf, Bytes};
use jackfield_socket::{
    AddressFamily, Endpoint, Host, HostName, ListenOptions, MulticastGroup, MulticastOptions,
    TcpOptions, UdpOptions,
};

use super::{
    ADDRESS_NAME, ADDRESS_NONE, ADDRESS_V4, ADDRESS_V6, ADDRESS_V6_SCOPED, COME_BACK, CONNECT,
    CONNECT_NO_DELAY, CREDIT, DATA, DATAGRAM, DATAGRAM_TRUNCATED, DROPPED, DecodeError, EXTENSIONS,
    FIN, GOAWAY, HELLO, INBOUND, LISTEN, OPENED, PING, PONG, REFUSED, RESET, Result,
    SETTING_CAPABILITIES, SETTING_MAX_OPEN, SETTING_TOKEN_LEFT, TOKEN, TOKEN_LEFT, TOKEN_REFUSED,
    UDP, UDP_BOUND, UDP_LOOPBACK, UDP_MULTICAST, UDP_SHARE_ADDRESS, UNREACHABLE,
};
use crate::auth::Token;
use crate::frame::{Capabilities, Frame, Settings, UdpTarget};
use crate::{Id, MAX_DATA, MAX_DATAGRAM, MAX_MESSAGE, Reason, VERSION};

const OF_THE_CONNECTION: &str = "it belongs to the connection, but has an identifier";

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
    if kind == UNREACHABLE {
        let id = Id::new(id).ok_or(DecodeError::new("its identifier is 0"))?;
        let reason = Reason::decode(body)?;
        return Ok(Frame::Unreachable { id, reason });
    }
    if (COME_BACK..=TOKEN_REFUSED).contains(&kind) {
        if id != 0 {
            return Err(DecodeError::new(OF_THE_CONNECTION));
        }
        return match kind {
            COME_BACK => Ok(Frame::ComeBack {
                after: get_milliseconds(body)?,
            }),
            TOKEN => decode_token(body),
            TOKEN_LEFT => Ok(Frame::TokenLeft(get_milliseconds(body)?)),
            _ => Ok(Frame::TokenRefused(Reason::decode(body)?)),
        };
    }
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
            return Err(DecodeError::new(OF_THE_CONNECTION));
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
            SETTING_TOKEN_LEFT => settings.token_left = Some(Duration::from_millis(value.into())),
            // A later version's: ignored, as whoever sends it expects.
            _ => {}
        }
    }
    Ok(Frame::Hello(settings))
}

fn decode_token(body: &mut Bytes) -> Result<Frame> {
    let text = body.split_off(0);
    let text = std::str::from_utf8(&text).map_err(|_| DecodeError::new("it is not UTF-8"))?;
    let token = Token::new(text).ok_or(DecodeError::new("a token has 1 to 4096 bytes"))?;
    Ok(Frame::Token(token))
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

fn get_milliseconds(body: &mut Bytes) -> Result<Duration> {
    Ok(Duration::from_millis(get_u32(body)?.into()))
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
                    "the host's name is not valid, or not in lower case",
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
