//! Looking names up as the system's own programs do, with whatever its administrator has set up there.

use std::io;
use std::net::ToSocketAddrs as _;

use jackfield_socket::HostName;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use super::{Resolve, Resolving};

/// How many look-ups may be under way in the process: each takes a thread until the system has an answer,
/// though nobody waits for it any more. Beyond it they fail, as [`io::ErrorKind::QuotaExceeded`].
pub const MAX_THREADS: usize = 128;

static THREADS: Semaphore = Semaphore::const_new(MAX_THREADS);

/// The system's own resolver (`getaddrinfo`): its search list, its multicast DNS, its directory services.
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
            let thread = THREADS.try_acquire().map_err(|_| {
                let text = "the system's resolver is busy with as many names as it may";
                io::Error::new(io::ErrorKind::QuotaExceeded, text)
            })?;
            let looking_up = spawn_blocking(move || {
                // It goes with the thread, not with whoever waits.
                let _thread = thread;
                // The port is of no use to the look-up, but asked for.
                (name.as_str(), 0).to_socket_addrs()
            });
            match looking_up.await.map_err(io::Error::other)? {
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
