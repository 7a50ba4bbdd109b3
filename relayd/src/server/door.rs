//! Whose handshake may begin, as all listeners ask it.

use std::collections::HashMap;
use std::mem;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;
use tracing::info;

use crate::admission::{Admission, Fault, Pass, Turned};
use crate::proxy::ToldBy;

/// Where all listeners ask whose handshake may begin.
#[derive(Debug)]
pub(super) struct Door(Mutex<Inside>);

#[derive(Debug)]
struct Inside {
    admission: Admission,
    /// What tells those who are in the middle of a handshake to give way, by the numbers of these. There
    /// are as many as have a pass.
    bells: HashMap<u64, Arc<Notify>>,
}

impl Inside {
    /// Whoever has this pass hears this bell, and whoever had to give way to it its own.
    fn let_in(&mut self, pass: &Pass, bell: &Arc<Notify>) {
        self.bells.insert(pass.number, Arc::clone(bell));
        let given_way = self.admission.given_way();
        if let Some(bell) = given_way.and_then(|number| self.bells.remove(&number)) {
            bell.notify_one();
        }
    }

    /// Whether it had not to give way before.
    fn leave(&mut self, pass: &Pass) -> bool {
        self.bells.remove(&pass.number);
        self.admission.leave(pass)
    }
}

impl Door {
    pub(super) fn new(admission: Admission) -> Self {
        Self(Mutex::new(Inside {
            admission,
            bells: HashMap::new(),
        }))
    }

    pub(super) fn enter(
        self: &Arc<Self>,
        peer: SocketAddr,
        untold: Option<ToldBy>,
    ) -> Result<Handshaking, Turned> {
        let mut inside = self.lock();
        let pass = match untold {
            Some(_) => inside.admission.enter_untold(),
            None => inside.admission.enter(peer.ip(), Instant::now()),
        }?;
        let bell = Arc::default();
        inside.let_in(&pass, &bell);
        Ok(Handshaking {
            door: Arc::clone(self),
            pass,
            bell,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place among those who are in the middle of a handshake.
pub(super) struct Handshaking {
    door: Arc<Door>,
    pass: Pass,
    bell: Arc<Notify>,
}

impl Handshaking {
    /// Counts where it comes from instead of where it came in.
    pub(super) fn comes_from(&mut self, address: IpAddr) -> Result<(), Turned> {
        let mut inside = self.door.lock();
        let pass = inside.admission.enter(address, Instant::now())?;
        inside.let_in(&pass, &self.bell);
        inside.leave(&mem::replace(&mut self.pass, pass));
        Ok(())
    }

    /// What rings when it has to give way to another. It never does once the handshake is over.
    pub(super) fn bell(&self) -> Arc<Notify> {
        Arc::clone(&self.bell)
    }

    /// The handshake is over. Whether it had not to give way in this very moment.
    pub(super) fn finish(self) -> bool {
        self.door.lock().leave(&self.pass)
    }

    /// Ends it, with a penalty for its source.
    pub(super) fn penalise(self, fault: Fault, peer: SocketAddr) {
        let now = Instant::now();
        if (self.door.lock().admission).penalise(&self.pass, fault, now) {
            info!(%peer, ?fault, "refuses its source for some time");
        }
    }
}

impl Drop for Handshaking {
    fn drop(&mut self) {
        self.door.lock().leave(&self.pass);
    }
}
