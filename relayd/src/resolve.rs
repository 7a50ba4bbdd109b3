//! The resolver: looks names up, and says why that failed.

use std::fmt::Debug;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;

use jackfield_socket::HostName;

/// The addresses of a name, or why there are none.
pub type Resolving = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// Looks names up. Each connection asks once, and only what came of it is checked and dialled.
pub trait Resolve: Debug + Send + Sync + 'static {
    /// The addresses of this name, the preferred first.
    fn resolve(&self, name: &HostName) -> Resolving;
}

/// The system's own resolver.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve(&self, name: &HostName) -> Resolving {
        let name = name.clone();
        Box::pin(async move {
            // The port is of no use to the look-up, but asked for.
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}
