//! Renewal: another token of the same bearer, within a session that goes on by it.

use std::time::{Duration, SystemTime};

use jackfield_relay_wire::auth::Token;
use jackfield_relay_wire::{Code, Reason};
use tokio::time::Instant;
use tracing::info;

use super::Session;
use crate::handshake::{Admitted, Gate};

/// How many tokens a session takes or refuses in a minute; one more ends it. Each is a signature to verify and a
/// record, and costs its author nothing.
const MAX_TOKENS: u32 = 16;
const MINUTE: Duration = Duration::from_mins(1);

/// How many tokens have come in the minute that is running.
#[derive(Debug, Default)]
pub(super) struct Renewals {
    count: u32,
    began: Option<Instant>,
}

impl Renewals {
    /// Counts one; false where it is one too many.
    fn count(&mut self, now: Instant) -> bool {
        if self.began.is_none_or(|began| now >= began + MINUTE) {
            (self.count, self.began) = (0, Some(now));
        }
        self.count += 1;
        self.count <= MAX_TOKENS
    }
}

impl Session<'_> {
    /// Goes on by this token, or says why not, and goes on as it was.
    pub(super) fn take_token(&mut self, token: &Token, gate: &Gate, admitted: &mut Admitted) {
        if !self.renewals.count(Instant::now()) {
            let text = format!("more than {MAX_TOKENS} tokens came in a minute");
            self.mux
                .shut_down(&Reason::new(Code::LIMIT_EXCEEDED, &text));
            return;
        }
        let now = SystemTime::now();
        let judged = gate.renew(admitted, &self.grant, token.as_str(), now);
        let judged = judged.and_then(|(grant, presented)| {
            let fleet = self.context.fleet();
            match fleet.and_then(|fleet| fleet.refuses(&grant)) {
                None => Ok((grant, presented)),
                Some(reason) => Err(reason),
            }
        });
        let told = judged.as_ref().map(|(grant, _)| grant.id.as_deref());
        self.clerk.renewed(told);
        match judged {
            Ok((grant, presented)) => {
                admitted.presented = presented;
                if !grant.covers(&self.grant) {
                    // As where the configuration allows less from now on.
                    let text = "the new token allows less than the one before";
                    self.mux.shut_down(&Reason::new(Code::GOING_AWAY, text));
                    return;
                }
                self.mux
                    .take_token(grant.left(now).unwrap_or(Duration::MAX));
                info!("a token is renewed");
                self.renew(grant);
            }
            Err(reason) => {
                info!(%reason, "refused a token");
                self.mux.refuse_token(reason);
                self.count_refusal();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_counted_by_the_minute() {
        let (mut renewals, start) = (Renewals::default(), Instant::now());
        for round in 0..3 {
            let now = start + round * MINUTE;
            let taken = (0..100).filter(|_| renewals.count(now + MINUTE / 2));
            assert_eq!(taken.count(), MAX_TOKENS as usize);
        }
    }
}
