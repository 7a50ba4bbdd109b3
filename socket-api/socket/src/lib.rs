//! The socket API that every backend of Jackfield implements and every client uses.
//!
//! A client asks for the least it needs: an IRC client takes any [`TcpConnect`], a CoAP client
//! any [`UdpOpen`]. A backend implements what its platform can do, and nothing that it would have
//! to pretend. Which backend runs is chosen where the program starts; where that can be known only
//! at run time, [`AnyNetwork`] carries the choice.
//!
//! - **I/O is polled, opening is async.** [`ByteStream`] is tokio's [`AsyncRead`] and
//!   [`AsyncWrite`] with a little information on top. A read that is dropped half-way loses no
//!   byte, on any backend.
//! - **Everything is `Send` and `Sync` on every target**, so that libraries which ask for it can be
//!   used.
//! - **Names stay names.** The backend resolves them: a page has no look-up of its own.
//! - **Options are fixed when a socket is opened.** What a backend can't honour is refused with
//!   [`ErrorKind::Unsupported`], never ignored.
//! - **[Time](time) comes from here**, because `std::time::Instant` panics in a browser.
//!
//! ```
//! use jackfield_socket::{Endpoint, Result, TcpConnect, TcpOptions};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! /// Asks a whois server; runs on every backend.
//! async fn whois(network: &impl TcpConnect, domain: &str) -> Result<String> {
//!     let server: Endpoint = "whois.iana.org:43".parse()?;
//!     let mut stream = network.connect(&server, &TcpOptions::default()).await?;
//!     stream.write_all(format!("{domain}\r\n").as_bytes()).await?;
//!     let mut answer = String::new();
//!     stream.take(64 * 1024).read_to_string(&mut answer).await?;
//!     Ok(answer)
//! }
//! # fn main() {}
//! ```
//!
//! [`AsyncRead`]: tokio::io::AsyncRead
//! [`AsyncWrite`]: tokio::io::AsyncWrite

mod any;
mod datagram;
pub mod driver;
mod endpoint;
mod error;
mod io;
pub mod opening;
#[cfg(any(test, feature = "oracle"))]
pub mod oracle;
mod prefixed;
mod serve;
pub mod sorted;
mod stream;
mod through;
pub mod time;
mod url;
pub mod waking;

pub use any::{AnyDatagramSocket, AnyListener, AnyNetwork, AnyStream};
pub use datagram::{
    Datagram, DatagramSocket, MulticastGroup, MulticastOptions, UdpOpen, UdpOptions,
};
pub use endpoint::{Endpoint, Host, HostName};
pub use error::{Error, ErrorKind, Place, Result};
pub use io::Io;
pub use opening::Opening;
pub use prefixed::Prefixed;
pub use serve::{Serve, serve};
pub use stream::{
    AddressFamily, ByteStream, ListenOptions, StreamInfo, TcpConnect, TcpListen, TcpListener,
    TcpOptions,
};
pub use url::Url;
