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

/// What could be found out of a name.
#[derive(Debug)]
#[non_exhaustive]
pub struct Found {
    /// Its addresses; none, where it has none.
    pub addresses: Vec<IpAddr>,
    /// Why there may be more.
    pub missing: Option<io::Error>,
}

/// All that can be found out of a name.
pub type ResolvingAll = Pin<Box<dyn Future<Output = Found> + Send>>;

/// Looks names up. Each connection asks once, and only what came of it is checked and dialled. Whoever
/// drops the future has no use for the answer any more.
pub trait Resolve: Debug + Send + Sync + 'static {
    /// The addresses of this name, the preferred first.
    fn resolve(&self, name: &HostName) -> Resolving;

    /// The same, for whoever must know whether these are all: one who connects is served with those of
    /// one family, where the other's can't be found out; one who denies a name isn't.
    fn resolve_all(&self, name: &HostName) -> ResolvingAll {
        let resolving = self.resolve(name);
        Box::pin(async move { Found::from(resolving.await) })
    }
}

impl Found {
    /// These addresses, and why there may be more.
    pub fn new(addresses: Vec<IpAddr>, missing: Option<io::Error>) -> Self {
        Self { addresses, missing }
    }
}

impl From<io::Result<Vec<IpAddr>>> for Found {
    fn from(found: io::Result<Vec<IpAddr>>) -> Self {
        match found {
            Ok(addresses) => Self::new(addresses, None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::new(Vec::new(), None),
            Err(error) => Self::new(Vec::new(), Some(error)),
        }
    }
}
