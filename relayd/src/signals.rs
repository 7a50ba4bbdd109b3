//! Signals: what the system's administrator, or its service manager, wants of the program.

use std::io;
use std::path::PathBuf;

use jackfield_relayd::{Relayd, Stopper};

/// Does what signals ask for: SIGTERM and SIGINT end the relay in order, a second one at once; SIGHUP
/// has it read its configuration again; those that mean something to other programs only do nothing. Never ready.
///
/// # Errors
/// Where the system doesn't tell of signals.
#[cfg(unix)]
pub(crate) fn obey(relay: &Relayd, path: PathBuf) -> io::Result<impl Future<Output = ()> + use<>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    // By themselves they would end it at once, with all that is open: what `logrotate` sends to another server
    // (USR1), a timer, or a limit of file sizes, which shows as a full disk where records are written.
    let file_size = SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw());
    for nothing in [
        SignalKind::user_defined1(),
        SignalKind::user_defined2(),
        SignalKind::alarm(),
        SignalKind::io(),
        file_size,
    ] {
        // It stays taken when nobody listens any more.
        drop(signal(nothing)?);
    }
    let reloader = relay.reloader();
    let mut end = End::new(relay);
    let ending = async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => end.asked_for(),
                _ = interrupt.recv() => end.asked_for(),
            }
        }
    };
    // Beside it, since it may have to wait for others.
    let reloading = async move {
        while hang_up.recv().await.is_some() {
            reloader.reload_from(&path).await;
        }
    };
    Ok(async {
        tokio::join!(ending, reloading);
    })
}

#[cfg(not(unix))]
pub(crate) fn obey(relay: &Relayd, _: PathBuf) -> io::Result<impl Future<Output = ()> + use<>> {
    let mut end = End::new(relay);
    Ok(async move {
        // Without a signal to wait for, the process is ended from outside.
        while tokio::signal::ctrl_c().await.is_ok() {
            end.asked_for();
        }
        std::future::pending().await
    })
}

/// How often the end was asked for.
struct End {
    stopper: Stopper,
    before: bool,
}

impl End {
    fn new(relay: &Relayd) -> Self {
        Self {
            stopper: relay.stopper(),
            before: false,
        }
    }

    fn asked_for(&mut self) {
        if self.before {
            self.stopper.cut();
        } else {
            self.stopper.drain();
        }
        self.before = true;
    }
}
