//! Ending: how a relay stops taking clients, tells those that it has, and cuts the rest.
//!
//! It goes through four phases, and never back. Readiness fails first, while clients still come in,
//! so that a load balancer has the time to notice; then sessions are told, each at a moment of its
//! own, so that their clients don't all come to another relay at once; then what is left is cut. A
//! session whose token ends before that ends then.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// How a relay ends, once it was told to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DrainConfig {
    /// For how long it still takes clients, while `/readyz` answers with 503. Default: none.
    pub delay: Duration,
    /// Over how long the sessions are told, from then on: each at a random moment. Default: none, so
    /// all at once.
    pub spread: Duration,
    /// When what is left is cut, from the beginning. Default: 5 s.
    pub cut: Duration,
    /// How long after it was told a client is to come back. Default: none, so at once, since another
    /// relay is there. Clients don't wait for longer than 60 s.
    pub come_back: Duration,
}

impl Default for DrainConfig {
    fn default() -> Self {
        Self {
            delay: Duration::ZERO,
            spread: Duration::ZERO,
            cut: Duration::from_secs(5),
            come_back: Duration::ZERO,
        }
    }
}

/// What ends a running relay.
///
/// ```
/// # use jackfield_relayd::{Config, Relayd};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let relay = Relayd::bind(Config::default()).await?;
/// let stopper = relay.stopper();
/// let running = tokio::spawn(relay.run(std::future::pending()));
/// stopper.drain();
/// // It had no clients.
/// running.await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Stopper(watch::Sender<End>);

/// How far the end has come, and how it goes on.
#[derive(Clone, Copy, Debug)]
struct End {
    phase: Phase,
    config: DrainConfig,
}

impl Stopper {
    /// For a relay that is to end like this.
    pub(crate) fn new(config: DrainConfig) -> Self {
        let phase = Phase::Serving;
        Self(watch::Sender::new(End { phase, config }))
    }

    /// Has the relay end like this, when it is told to. Where it is ending already, it goes on as it began.
    pub(crate) fn configure(&self, config: DrainConfig) {
        self.0.send_if_modified(|end| {
            if end.phase == Phase::Serving {
                end.config = config;
            }
            // Nobody waits for it.
            false
        });
    }

    /// How the relay ends.
    pub(crate) fn config(&self) -> DrainConfig {
        self.0.borrow().config
    }

    /// How long the end takes at the most, from when it is told to: [`DrainConfig::cut`], as the relay's
    /// configuration has it now. Whoever is cut then has 2 s more to hear of it.
    pub fn ends_within(&self) -> Duration {
        self.config().cut
    }

    /// Has the relay end in order, as its configuration's [`DrainConfig`] says. Where it is ending
    /// already, nothing changes.
    pub fn drain(&self) {
        self.reach(Phase::Draining);
    }

    /// Cuts what is open, now. Clients are told why, and have 2 s to hear of it.
    pub fn cut(&self) {
        self.reach(Phase::Cut);
    }

    /// Whether the relay is ending.
    #[cfg(unix)]
    pub(crate) fn is_draining(&self) -> bool {
        self.0.borrow().phase >= Phase::Draining
    }

    /// Ready when the relay is ending, whoever has asked for it.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn stopping(&self) {
        self.reached(Phase::Draining).await;
    }

    /// Goes on to this phase, unless it is there already.
    pub(crate) fn reach(&self, phase: Phase) {
        self.0.send_if_modified(|end| {
            let later = end.phase < phase;
            end.phase = phase.max(end.phase);
            later
        });
    }

    /// Ready when this phase is reached, or a later one.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub(crate) async fn reached(&self, phase: Phase) {
        // There is a sender: this.
        let mut end = self.0.subscribe();
        let _ = end.wait_for(|end| end.phase >= phase).await;
    }

    /// For a part of the relay that is to hear of it.
    pub(crate) fn ending(&self) -> Ending {
        Ending {
            end: self.0.subscribe(),
            told: Told::Nothing,
        }
    }
}

/// How far the end has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// It is not in sight.
    Serving,
    /// Clients still come in, and the relay says that no more should.
    Draining,
    /// Nobody comes in any more.
    Leaving,
    /// Nothing goes on.
    Cut,
}

/// What one part of the relay hears of the end.
#[derive(Clone, Debug)]
pub(crate) struct Ending {
    end: watch::Receiver<End>,
    told: Told,
}

/// How much of it was told.
#[derive(Clone, Copy, Debug)]
enum Told {
    Nothing,
    /// Nothing yet: that comes then.
    Leaving(Instant),
    Leave,
}

/// What a session is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// To take nothing new.
    Leave,
    /// To end.
    Cut,
}

impl Ending {
    /// Whether no more clients should come.
    pub(crate) fn is_draining(&self) -> bool {
        self.end.borrow().phase >= Phase::Draining
    }

    /// Whether no more clients may come.
    pub(crate) fn is_leaving(&self) -> bool {
        self.end.borrow().phase >= Phase::Leaving
    }

    /// How long after it was told a client is to come back.
    pub(crate) fn come_back(&self) -> Duration {
        self.end.borrow().config.come_back
    }

    /// Ready when no more clients may come.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub(crate) async fn leaving(&mut self) {
        self.reached(Phase::Leaving).await;
    }

    /// Ready when nothing may go on.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub(crate) async fn cut(&mut self) {
        self.reached(Phase::Cut).await;
    }

    /// What this session is told next: to leave, at its own moment, and to end; or only the latter,
    /// where that comes before.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub(crate) async fn next(&mut self) -> Notice {
        if let Told::Nothing = self.told {
            self.reached(Phase::Leaving).await;
            let spread = self.end.borrow().config.spread;
            let part = spread.mul_f64(fastrand::f64());
            let now = Instant::now();
            self.told = Told::Leaving(now.checked_add(part).unwrap_or(now));
        }
        if let Told::Leaving(at) = self.told {
            tokio::select! {
                biased;
                () = self.cut() => return Notice::Cut,
                () = sleep_until(at) => {}
            }
            self.told = Told::Leave;
            return Notice::Leave;
        }
        self.cut().await;
        Notice::Cut
    }

    async fn reached(&mut self, phase: Phase) {
        let reached = self.end.wait_for(|end| end.phase >= phase).await.is_ok();
        if !reached {
            // Where nobody is left to say so, the relay was dropped, and this with it.
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn spread_over(spread: u64) -> DrainConfig {
        DrainConfig {
            spread: seconds(spread),
            ..DrainConfig::default()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn sessions_are_told_one_after_the_other_and_then_cut() {
        let stopper = Stopper::new(spread_over(7));
        stopper.configure(spread_over(100));
        let begin = Instant::now();
        let sessions: Vec<_> = (0..100)
            .map(|_| {
                let mut ending = stopper.ending();
                tokio::spawn(async move {
                    assert_eq!(ending.next().await, Notice::Leave);
                    let told = begin.elapsed();
                    assert_eq!(ending.next().await, Notice::Cut);
                    (told, begin.elapsed())
                })
            })
            .collect();
        stopper.drain();
        // It goes on as it began.
        stopper.configure(spread_over(0));
        tokio::time::sleep(seconds(10)).await;
        stopper.reach(Phase::Leaving);
        tokio::time::sleep(seconds(101)).await;
        stopper.cut();
        // Nothing is taken back.
        stopper.drain();
        let mut early = 0;
        for session in sessions {
            let (told, cut) = session.await.expect("it ends");
            assert!(told >= seconds(10) && told <= seconds(111), "{told:?}");
            early += u32::from(told < seconds(60));
            assert_eq!(cut.as_secs(), 111);
        }
        // Of a hundred, a half; all but never so few.
        assert!((20..=80).contains(&early), "{early}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_cut_waits_for_nobodys_moment() {
        let stopper = Stopper::new(spread_over(1_000_000));
        let begin = Instant::now();
        let mut ending = stopper.ending();
        stopper.reach(Phase::Leaving);
        // Asked again and again, as a session does that has other things to do, it waits no longer.
        for _ in 0..3 {
            let notice = tokio::time::timeout(seconds(1), ending.next()).await;
            assert!(notice.is_err() && ending.is_leaving());
        }
        stopper.cut();
        assert_eq!(ending.next().await, Notice::Cut);
        assert_eq!(begin.elapsed().as_secs(), 3);
        stopper.reached(Phase::Leaving).await;
    }
}
