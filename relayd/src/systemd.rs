//! The service manager (systemd): which sockets it has passed, and what it is told of the relay.
//!
//! Where no service manager has started the program, nothing is passed and nobody is told.

use std::io;
use std::net::TcpListener;
use std::os::fd::{FromRawFd as _, OwnedFd};
use std::time::Duration;

use jackfield_relayd::{Relayd, Reloading};
use sd_notify::NotifyState;
use socket2::SockRef;
use tokio::time::{MissedTickBehavior, interval};
use tracing::warn;

/// How much longer than the relay's own end the service manager is to wait.
const GRACE: Duration = Duration::from_secs(10);

/// The sockets that were passed to this process. To be called once, before others open descriptors.
///
/// # Errors
/// Where something else was passed than TCP sockets that listen.
pub(crate) fn sockets() -> io::Result<Vec<TcpListener>> {
    let mut sockets = Vec::new();
    for number in sd_notify::listen_fds()? {
        #[expect(unsafe_code, reason = "a descriptor that comes as a number")]
        // SAFETY: the service manager has opened it for this process, which has asked for it here alone.
        let socket = unsafe { OwnedFd::from_raw_fd(number) };
        if !SockRef::from(&socket).is_listener().unwrap_or(false) {
            let text = format!(
                "descriptor {number}, which the service manager has passed, is no socket that listens"
            );
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        sockets.push(TcpListener::from(socket));
    }
    Ok(sockets)
}

/// Says that the relay is there, that it lives, and when it ends, and how long that takes at the most. Never
/// ready.
pub(crate) fn tell(relay: &Relayd) -> impl Future<Output = ()> + use<> {
    let addresses: Vec<_> = relay
        .local_addrs()
        .iter()
        .map(ToString::to_string)
        .collect();
    let status = format!("listening at {}", addresses.join(", "));
    say(&[NotifyState::Ready, NotifyState::Status(&status)]);
    let stopper = relay.stopper();
    let stopping = async move {
        stopper.stopping().await;
        let end = stopper.ends_within();
        let status = format!("ends within {} s", end.as_secs());
        // So that its own time-out needn't fit the configuration.
        let time = format!("EXTEND_TIMEOUT_USEC={}", (end + GRACE).as_micros());
        say(&[
            NotifyState::Stopping,
            NotifyState::Status(&status),
            NotifyState::Custom(&time),
        ]);
    };
    async move {
        tokio::join!(stopping, ping());
    }
}

/// Has it hear of each reload, whoever asks for it.
pub(crate) fn tell_of_reloads(relay: Relayd) -> Relayd {
    relay.on_reload(|reloading| match reloading {
        Reloading::Begins => {
            if let Ok(now) = NotifyState::monotonic_usec_now() {
                say(&[NotifyState::Reloading, now]);
            }
        }
        Reloading::Over => say(&[NotifyState::Ready]),
        _ => {}
    })
}

/// Says that the relay lives, as often as it is asked to (`WatchdogSec`). Never ready.
async fn ping() {
    let Some(limit) = sd_notify::watchdog_enabled().filter(|limit| !limit.is_zero()) else {
        return std::future::pending().await;
    };
    let mut ticks = interval(limit / 2);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        // By way of the threads that accept and carry: where they hang, nobody says so.
        if tokio::spawn(async {}).await.is_ok() {
            say(&[NotifyState::Watchdog]);
        }
    }
}

fn say(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        warn!(%error, "can't tell the service manager");
    }
}
