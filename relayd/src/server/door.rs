//! Whose handshake may begin, as all listeners ask it.

use std::mem;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tracing::info;

use crate::admission::{Admission, Fault, Pass, Turned};
use crate::proxy::ToldBy;

/// Where all listeners ask whose handshake may begin.
#[derive(Debug)]
pub(super) struct Door(pub(super) Mutex<Admission>);

impl Door {
    pub(super) fn enter(
        self: &Arc<Self>,
        peer: SocketAddr,
        untold: Option<ToldBy>,
    ) -> Result<Handshaking, Turned> {
        let mut admission = self.lock();
        let pass = match untold {
            Some(_) => admission.enter_untold(),
            None => admission.enter(peer.ip(), Instant::now()),
        }?;
        Ok(Handshaking {
            door: Arc::clone(self),
            pass,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Admission> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place among those who are in the middle of a handshake.
pub(super) struct Handshaking {
    door: Arc<Door>,
    pass: Pass,
}

impl Handshaking {
    /// Counts where it comes from instead of where it came in.
    pub(super) fn comes_from(&mut self, address: IpAddr) -> Result<(), Turned> {
        let mut admission = self.door.lock();
        let pass = admission.enter(address, Instant::now())?;
        admission.leave(&mem::replace(&mut self.pass, pass));
        Ok(())
    }

    /// Ends it, with a penalty for its source.
    pub(super) fn penalise(self, fault: Fault, peer: SocketAddr) {
        let now = Instant::now();
        if self.door.lock().penalise(&self.pass, fault, now) {
            info!(%peer, ?fault, "refuses its source for some time");
        }
    }
}

impl Drop for Handshaking {
    fn drop(&mut self) {
        self.door.lock().leave(&self.pass);
    }
}
