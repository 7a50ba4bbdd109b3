//! Leave-taking: a signal lets a command say good-bye to its peer before it ends.
//!
//! A command does its work [`unless_asked`](Leave::unless_asked) to end, and then says its
//! [`farewell`], whatever became of the work.

use std::pin::pin;
use std::time::Duration;

use jackfield_socket::time;
use tokio::sync::watch;

use crate::failure::Failure;

/// How long the farewells of a command may take, all together.
const FAREWELL: Duration = Duration::from_secs(3);

/// A signal that asks a program to end; its number is the system's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    #[cfg(unix)]
    HangUp = 1,
    Interrupt = 2,
    #[cfg(unix)]
    Terminate = 15,
}

/// Whether a command is to end.
#[derive(Clone, Debug)]
pub(crate) struct Leave(watch::Receiver<Option<Signal>>);

impl Leave {
    /// Does this work, or drops it when a signal comes.
    pub(crate) async fn unless_asked<T>(
        &self,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        tokio::select! {
            biased;
            signal = self.asked() => Err(Failure::Signal(signal)),
            result = work => result,
        }
    }

    async fn asked(&self) -> Signal {
        let mut asked = self.0.clone();
        match asked.wait_for(Option::is_some).await.map(|signal| *signal) {
            Ok(Some(signal)) => signal,
            _ => std::future::pending().await,
        }
    }
}

/// Runs a command until it has ended, and after a signal only as long as a farewell may take. A
/// second signal ends it at once.
pub(crate) async fn run(
    command: impl AsyncFnOnce(Leave) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut signals = Signals::new()?;
    let (tell, asked) = watch::channel(None);
    let mut command = pin!(command(Leave(asked)));
    let first = tokio::select! {
        biased;
        result = &mut command => return result,
        signal = signals.next() => signal,
    };
    tell.send_replace(Some(first));
    tokio::select! {
        biased;
        result = command => result,
        second = signals.next() => Err(Failure::Signal(second)),
        () = time::sleep(FAREWELL) => Err(Failure::Signal(first)),
    }
}

/// Says good-bye, and waits no longer than that may take.
pub(crate) async fn farewell<T>(words: impl Future<Output = T>) -> Option<T> {
    time::timeout(FAREWELL, words).await.ok()
}

/// The signals that are answered.
#[cfg(unix)]
struct Signals {
    hang_up: Option<tokio::signal::unix::Signal>,
    interrupt: Option<tokio::signal::unix::Signal>,
    terminate: Option<tokio::signal::unix::Signal>,
}

#[cfg(unix)]
impl Signals {
    fn new() -> Result<Self, Failure> {
        use tokio::signal::unix::SignalKind;

        use crate::failure::Step;

        let ignored = ignored();
        let listen = |signal: Signal| {
            let number = signal as i32;
            if ignored.is_some_and(|ignored| ignored >> (number - 1) & 1 == 1) {
                return Ok(None);
            }
            let listening = tokio::signal::unix::signal(SignalKind::from_raw(number));
            listening.map(Some).step("waiting for signals")
        };
        Ok(Self {
            // `nohup` is asked for by ignoring it: where that can't be known, it is not touched.
            hang_up: match ignored {
                Some(_) => listen(Signal::HangUp)?,
                None => None,
            },
            interrupt: listen(Signal::Interrupt)?,
            terminate: listen(Signal::Terminate)?,
        })
    }

    async fn next(&mut self) -> Signal {
        async fn came(signal: &mut Option<tokio::signal::unix::Signal>) {
            if let Some(signal) = signal
                && signal.recv().await.is_some()
            {
                return;
            }
            std::future::pending::<()>().await;
        }
        tokio::select! {
            () = came(&mut self.hang_up) => Signal::HangUp,
            () = came(&mut self.interrupt) => Signal::Interrupt,
            () = came(&mut self.terminate) => Signal::Terminate,
        }
    }
}

/// Which signals whoever started this program wants it to ignore, a bit each; `None` where the
/// system does not say.
#[cfg(unix)]
fn ignored() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let mask = status.lines().find_map(|it| it.strip_prefix("SigIgn:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}

/// The signals that are answered.
#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    #[expect(clippy::unnecessary_wraps, reason = "it can fail elsewhere")]
    fn new() -> Result<Self, Failure> {
        Ok(Self)
    }

    async fn next(&mut self) -> Signal {
        match tokio::signal::ctrl_c().await {
            Ok(()) => Signal::Interrupt,
            Err(_) => std::future::pending().await,
        }
    }
}
