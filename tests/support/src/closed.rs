//! Ports at which nobody listens, and nobody else can begin to while these values are held.
//!
//! A port that was free a moment ago is no such thing: another test may have it by now, and a connection
//! to a free port of this machine may even be given that port for its own end, and so reach itself.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

use socket2::{Domain, Socket, Type};

/// A port at which connections, or datagrams, are refused.
#[derive(Debug)]
pub struct Closed {
    address: SocketAddr,
    /// Bound, and deaf.
    _socket: Socket,
}

impl Closed {
    /// One of TCP: its socket never listens.
    ///
    /// # Panics
    /// Where there is no free port.
    pub fn tcp() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        socket.bind(&any.into()).expect("a free port");
        Self::of(socket)
    }

    /// One of UDP: its socket is connected to somebody else, so that it takes nothing of others.
    ///
    /// # Panics
    /// Where there is no free port.
    pub fn udp() -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let own = socket.local_addr().expect("bound");
        // To itself: nobody else can be there.
        socket.connect(own).expect("an address of this machine");
        Self::of(socket.into())
    }

    fn of(socket: Socket) -> Self {
        let address = socket.local_addr().ok().and_then(|it| it.as_socket());
        Self {
            address: address.expect("bound"),
            _socket: socket,
        }
    }

    /// Where nobody listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn it_refuses() {
        let closed = Closed::tcp();
        let error = TcpStream::connect(closed.address()).expect_err("nobody is there");
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        let closed = Closed::udp();
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        socket.connect(closed.address()).expect("any address");
        socket.send(b"hello").expect("on its way");
        let error = socket.recv(&mut [0]).expect_err("nobody is there");
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    }
}
