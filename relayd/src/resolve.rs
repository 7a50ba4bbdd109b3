//! The resolver: looks names up, and says why that failed.

pub(crate) mod denied;

use std::fmt::Debug;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;

use jackfield_socket::HostName;

/// The addresses of a name, or why there are none: [`io::ErrorKind::NotFound`] says that the name has
/// none, any other error that this couldn't be found out.
pub type Resolving = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// Looks names up. Each connection asks once, and only what came of it is checked and dialled.
pub trait Resolve: Debug + Send + Sync + 'static {
    /// The addresses of this name, the preferred first.
    fn resolve(&self, name: &HostName) -> Resolving;
}

/// The system's own resolver.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

/// What C libraries say of a name without an address, as the standard library passes it on: it has no
/// kind of its own.
const NO_SUCH_NAME: [&str; 5] = [
    "Name or service not known",
    "No address associated with hostname",
    "Name does not resolve",
    "Name has no usable address",
    "nodename nor servname provided, or not known",
];

impl Resolve for SystemResolver {
    fn resolve(&self, name: &HostName) -> Resolving {
        let name = name.clone();
        Box::pin(async move {
            // The port is of no use to the look-up, but asked for.
            match tokio::net::lookup_host((name.as_str(), 0)).await {
                Ok(found) => Ok(found.map(|address| address.ip()).collect()),
                Err(error) => Err(classified(error)),
            }
        })
    }
}

fn classified(error: io::Error) -> io::Error {
    let text = error.to_string();
    if NO_SUCH_NAME.iter().any(|known| text.ends_with(known)) {
        io::Error::new(io::ErrorKind::NotFound, error)
    } else {
        error
    }
}
