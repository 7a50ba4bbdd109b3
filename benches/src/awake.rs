//! Cores that are kept awake, so that what waits for a wake-up shows the code and not how deep the machine
//! sleeps.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};

use crate::child::Running;

/// Its process does nothing, without end.
pub(crate) const ROLE: &str = "role-awake";

/// Cores that stay awake while this lives.
pub(crate) struct Awake(#[expect(dead_code, reason = "they end with it")] Vec<Running>);

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

/// Spins.
pub(crate) fn play() -> ! {
    loop {
        std::hint::spin_loop();
    }
}
