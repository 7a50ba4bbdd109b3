//! Cores that are kept awake, and who runs on which, so that what waits for a wake-up shows the code: not
//! how deep the machine sleeps, nor whether the scheduler put client and server on one core, which changes a
//! round trip threefold.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};
use rustix::thread::{CpuSet, sched_setaffinity};

use crate::child::Running;

/// Its process does nothing, without end.
pub(crate) const ROLE: &str = "role-awake";

/// The core on which a server runs, and that of its client.
pub(crate) const SERVER: usize = 1;
pub(crate) const CLIENT: usize = 0;

/// Cores that stay awake while this lives. When it ends, this thread may run on all again.
pub(crate) struct Awake(Vec<Running>);

/// Keeps every core awake: a process each spins where nothing else wants to run (`SCHED_IDLE`).
pub(crate) fn keep() -> Result<Awake> {
    let cores = std::thread::available_parallelism()?.get();
    let start = |_| {
        let child = Command::new("chrt")
            .args(["--idle", "0"])
            .arg(std::env::current_exe()?)
            .arg(ROLE)
            .stdin(Stdio::null())
            .spawn()
            .context("running chrt, of util-linux")?;
        anyhow::Ok(Running::new(child))
    };
    Ok(Awake((0..cores).map(start).collect::<Result<_>>()?))
}

impl Awake {
    /// Lets this thread, and the processes that it starts from now on, run on this core alone.
    pub(crate) fn run_on(&self, core: usize) -> Result<()> {
        let mut set = CpuSet::new();
        set.set(core % self.0.len());
        Ok(sched_setaffinity(None, &set)?)
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        let mut all = CpuSet::new();
        (0..self.0.len()).for_each(|core| all.set(core));
        // What is measured next would be slower, and not wrong.
        let _ = sched_setaffinity(None, &all);
    }
}

/// Spins.
pub(crate) fn play() -> ! {
    loop {
        std::hint::spin_loop();
    }
}
