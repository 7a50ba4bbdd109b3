//! Encoding: frames to bytes.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::time::Duration;

use bytes::{BufMut, BytesMut};
use jackfield_socket::{AddressFamily, Endpoint, Host, UdpOptions};

use super::{
    ADDRESS_NAME, ADDRESS_NONE, ADDRESS_V4, ADDRESS_V6, ADDRESS_V6_SCOPED, COME_BACK, CONNECT,
    CONNECT_NO_DELAY, CREDIT, DATA, DATAGRAM, DATAGRAM_TRUNCATED, DROPPED, FIN, GOAWAY, HELLO,
    INBOUND, LISTEN, OPENED, PING, PONG, REFUSED, RESET, SETTING_CAPABILITIES, SETTING_MAX_OPEN,
    SETTING_TOKEN_LEFT, TOKEN, TOKEN_LEFT, TOKEN_REFUSED, UDP, UDP_BOUND, UDP_LOOPBACK,
    UDP_MULTICAST, UDP_SHARE_ADDRESS, UNREACHABLE,
};
use crate::frame::{Frame, UdpTarget};
use crate::{HEADER, Id, MAX_DATA, MAX_DATAGRAM, VERSION};

pub(crate) fn encode(frame: &Frame) -> BytesMut {
    let mut out = BytesMut::with_capacity(match frame {
        Frame::Data { data, .. } => HEADER + data.len(),
        Frame::Datagram { data, .. } => HEADER + 24 + data.len(),
        Frame::Extension { body, .. } => HEADER + body.len(),
        Frame::Token(token) => HEADER + token.as_str().len(),
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
            if let Some(left) = settings.token_left {
                out.put_u8(SETTING_TOKEN_LEFT);
                put_milliseconds(&mut out, left);
            }
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
        Frame::Unreachable { id, reason } => {
            put_header(&mut out, UNREACHABLE, Some(*id));
            reason.encode(&mut out);
        }
        Frame::ComeBack { after } => {
            put_header(&mut out, COME_BACK, None);
            put_milliseconds(&mut out, *after);
        }
        Frame::Token(token) => {
            put_header(&mut out, TOKEN, None);
            out.put_slice(token.as_str().as_bytes());
        }
        Frame::TokenLeft(left) => {
            put_header(&mut out, TOKEN_LEFT, None);
            put_milliseconds(&mut out, *left);
        }
        Frame::TokenRefused(reason) => {
            put_header(&mut out, TOKEN_REFUSED, None);
            reason.encode(&mut out);
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

/// What is longer than 32 bits can count is as long as they can.
fn put_milliseconds(out: &mut BytesMut, time: Duration) {
    out.put_u32(time.as_millis().try_into().unwrap_or(u32::MAX));
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
