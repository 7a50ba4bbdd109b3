//! The socket API on the operating system's own sockets, by tokio.
//!
//! [`Native`] is the whole of it: it holds nothing, and everything is done inside a tokio runtime
//! with I/O and time enabled. A stream is tokio's own, with its addresses beside it; reading and
//! writing go straight through.
//!
//! - **Connecting** resolves a name with the system's resolver and tries all its addresses by
//!   Happy Eyeballs (RFC 8305): IPv6 and IPv4 in turn, a new one every 250 ms or as soon as one has
//!   failed, the first that answers is taken and the others are closed. When none answers, the
//!   error names each address with its reason, and its kind is the most telling one.
//! - **Listening** sets `TCP_NODELAY` on the streams it takes, as connecting does by default.
//! - **Dropping** a stream that was not shut down cuts it, and so does the death of the process: the
//!   peer sees a reset. One that was shut down delivers what it was given, then its end.
//! - **Datagrams** larger than the caller's buffer are reported as truncated.
//! - Addresses of IPv4 peers are IPv4 addresses, also on a socket bound to an IPv6 one.
//! - Buffer sizes are a request: the system rounds them, and has a limit of its own
//!   (`net.core.wmem_max` on Linux).
//!
//! ```
//! use jackfield_native::Native;
//! use jackfield_socket::{ListenOptions, TcpConnect, TcpListen, TcpListener, TcpOptions};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> jackfield_socket::Result<()> {
//! let at = "127.0.0.1:0".parse().expect("an address");
//! let mut listener = Native.listen(at, &ListenOptions::default()).await?;
//! let to = listener.local_addr().expect("it listens somewhere").into();
//!
//! let mut ours = Native.connect(&to, &TcpOptions::default()).await?;
//! let mut theirs = listener.accept().await?;
//! ours.write_all(b"hello").await?;
//! ours.shutdown().await?;
//!
//! let mut text = String::new();
//! theirs.read_to_string(&mut text).await?;
//! assert_eq!(text, "hello");
//! # Ok(())
//! # }
//! ```

mod connect;
mod leave;
mod multicast;
mod resolve;
mod tcp;
mod udp;

use std::net::SocketAddr;

use jackfield_socket::{
    Endpoint, ListenOptions, Result, TcpConnect, TcpListen, TcpOptions, UdpOpen, UdpOptions,
};

pub use connect::out_of_room;
pub use tcp::{NativeListener, NativeStream};
pub use udp::NativeDatagramSocket;

/// The operating system's sockets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Native;

impl Native {
    /// Connects to a host whose name the caller has looked up: to one of these addresses, by Happy
    /// Eyeballs, as [`connect`](TcpConnect::connect) does with those that it finds itself. A relay
    /// does so, which may reach only what it has checked.
    ///
    /// # Errors
    /// As [`connect`](TcpConnect::connect); the text names the host and each address.
    ///
    /// # Cancel safety
    /// Dropping the future closes what it was opening.
    pub async fn connect_resolved(
        &self,
        to: &Endpoint,
        addresses: Vec<SocketAddr>,
        options: &TcpOptions,
    ) -> Result<NativeStream> {
        tcp::connect_resolved(to, addresses, options).await
    }
}

impl TcpConnect for Native {
    type Stream = NativeStream;

    async fn connect(&self, to: &Endpoint, options: &TcpOptions) -> Result<NativeStream> {
        tcp::connect(to, options).await
    }
}

impl TcpListen for Native {
    type Listener = NativeListener;

    async fn listen(&self, at: SocketAddr, options: &ListenOptions) -> Result<NativeListener> {
        tcp::listen(at, options)
    }
}

impl UdpOpen for Native {
    type Socket = NativeDatagramSocket;

    async fn open_connected(
        &self,
        to: &Endpoint,
        options: &UdpOptions,
    ) -> Result<NativeDatagramSocket> {
        udp::open_connected(to, options).await
    }

    async fn open_bound(
        &self,
        at: SocketAddr,
        options: &UdpOptions,
    ) -> Result<NativeDatagramSocket> {
        udp::open_bound(at, options)
    }
}
