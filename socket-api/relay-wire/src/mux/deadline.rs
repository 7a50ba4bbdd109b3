//! Keep-alive: when to ask whether the peer still lives, and when to give it up.

use std::time::Duration;

use jackfield_socket::time::Instant;

/// After this silence the peer is asked. Proxies in between cut at 60 s (nginx's default), and the
/// timers of a page in the background run once a minute: the relay's question keeps both awake.
const ASK_AFTER: Duration = Duration::from_secs(25);
/// Silent for so long after it was asked, the peer is gone.
const DEAD_AFTER: Duration = Duration::from_secs(50);
/// When a deadline is noticed so late, the program or the machine was asleep. Or it is a page in the
/// background, whose timers run once a minute: it is always late, so that this excuses once.
const LATE: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct KeepAlive {
    heard: Instant,
    asked: Option<Instant>,
    /// It was asked anew after a sleep, and has said nothing since.
    is_anew: bool,
    questions: u64,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Wait,
    Ask([u8; 8]),
    Dead,
}

impl KeepAlive {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            heard: now,
            asked: None,
            is_anew: false,
            questions: 0,
        }
    }

    /// Any message shows that the peer lives.
    pub(super) fn heard(&mut self, now: Instant) {
        self.heard = now;
        self.asked = None;
        self.is_anew = false;
    }

    pub(super) fn deadline(&self) -> Instant {
        match self.asked {
            None => self.heard + ASK_AFTER,
            Some(asked) => asked + DEAD_AFTER,
        }
    }

    pub(super) fn handle(&mut self, now: Instant) -> Verdict {
        let deadline = self.deadline();
        if now < deadline {
            return Verdict::Wait;
        }
        let is_asked = self.asked.is_some();
        // Where nobody looked for a while, the answer may have come, and just not been read.
        if is_asked && (self.is_anew || now - deadline <= LATE) {
            return Verdict::Dead;
        }
        self.is_anew = is_asked;
        self.asked = Some(now);
        self.questions += 1;
        Verdict::Ask(self.questions.to_be_bytes())
    }
}
