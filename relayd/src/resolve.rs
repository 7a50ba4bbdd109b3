//! The resolver: looks names up, and says why that failed.

pub(crate) mod denied;
mod dns;
mod system;

use std::fmt::Debug;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;

use jackfield_socket::HostName;

pub use self::dns::DnsResolver;
pub use self::system::{MAX_THREADS, SystemResolver};

/// The addresses of a name, or why there are none: [`io::ErrorKind::NotFound`] says that the name has
/// none, [`io::ErrorKind::QuotaExceeded`] that too many are being looked up, and any other error that it
/// couldn't be found out.
pub type Resolving = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// Looks names up. Each connection asks once, and only what came of it is checked and dialled. Whoever
/// drops the future has no use for the answer any more.
pub trait Resolve: Debug + Send + Sync + 'static {
    /// The addresses of this name, the preferred first.
    fn resolve(&self, name: &HostName) -> Resolving;
}
