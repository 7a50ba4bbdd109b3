//! Where the demo listens: at the same ports each time, so that a page which remembers its servers finds
//! them again; elsewhere where something else is there.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};

/// Any port that is free.
pub(crate) const FREE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// The ports that follow the pages' own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ports {
    pages: u16,
}

impl Ports {
    pub(crate) const fn new(pages: u16) -> Self {
        Self { pages }
    }

    pub(crate) fn relay(self) -> SocketAddr {
        self.usual(1)
    }

    pub(crate) fn irc(self) -> SocketAddr {
        self.usual(2)
    }

    pub(crate) fn mqtt(self) -> SocketAddr {
        self.usual(3)
    }

    pub(crate) fn mqtt_over_web_socket(self) -> SocketAddr {
        self.usual(4)
    }

    /// For datagrams and connections.
    pub(crate) fn coap(self) -> SocketAddr {
        self.usual(5)
    }

    /// For the back end of the page with a log-in.
    pub(crate) fn log_in(self) -> SocketAddr {
        self.usual(6)
    }

    /// For the relay beside it.
    pub(crate) fn log_in_relay(self) -> SocketAddr {
        self.usual(7)
    }

    /// The port that is so far from the pages', if it is free, else any.
    fn usual(self, far: u16) -> SocketAddr {
        let Some(port) = self.pages.checked_add(far) else {
            return FREE;
        };
        let at = SocketAddr::new(FREE.ip(), port);
        let free = TcpListener::bind(at).is_ok() && UdpSocket::bind(at).is_ok();
        if free { at } else { FREE }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::{FREE, Ports};

    #[test]
    fn what_something_else_has_is_left_alone() {
        let taken = TcpListener::bind(FREE).unwrap();
        let port = taken.local_addr().unwrap().port();
        let ports = Ports::new(port - 1);
        assert_eq!(ports.relay(), FREE);
        drop(taken);
        assert_eq!(ports.relay().port(), port);
        assert_eq!(Ports::new(u16::MAX).coap(), FREE);
    }
}
