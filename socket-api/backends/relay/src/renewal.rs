//! Renewal: the token that follows within a WebSocket, so that what is open outlives the one with which it began.
//!
//! Some time before the token ends, where the relay says when that is and takes another, the next one is asked for
//! and sent. Where that fails, it is tried again until the end; what is open is lost then, as where nobody renews.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use jackfield_relay_wire::auth::Token;
use jackfield_relay_wire::{Code, Reason};
use jackfield_socket::time::{self, Instant};
use jackfield_socket::{Error, ErrorKind, Result};

use crate::RelayConfig;
use crate::carrier::BoxFuture;
use crate::session::Session;

/// So long before its end a token is followed by the next, or when half of it is over, whichever is later. The timers
/// of a page in the background run once a minute, and there is to be time for some attempts.
const AHEAD: Duration = Duration::from_mins(2);
/// From one attempt to the next it is so long at least, whatever a relay says.
const PAUSE: Duration = Duration::from_secs(5);

/// What the relay has said of a token: of the first one in its greeting, of the next ones as they are sent.
#[derive(Clone, Debug)]
pub(crate) enum Told {
    /// It is so long good.
    Left(Duration),
    /// It isn't taken.
    Refused(Reason),
}

/// Asks for tokens, as one WebSocket needs them.
pub(crate) struct Renewal {
    config: RelayConfig,
    /// When the last one ends.
    end: Option<Instant>,
    /// When the next one is asked for. None where no other is to follow, or the relay has not answered.
    due: Option<Instant>,
    timer: time::Sleep,
    asked: Option<Instant>,
    asking: Option<BoxFuture<Result<Option<String>>>>,
}

impl Renewal {
    pub(crate) fn new(config: RelayConfig) -> Self {
        Self {
            config,
            end: None,
            due: None,
            timer: time::sleep_until(time::now()),
            asked: None,
            asking: None,
        }
    }

    /// Asks for the next token, and sends it, when it is time. Nothing is asked for while nothing is open: what is
    /// opened when the token is over has a WebSocket and a token of its own.
    pub(crate) fn poll(&mut self, session: &Session, cx: &mut Context<'_>) {
        let (told, is_needed) = session.look(|state| {
            let is_needed = state.mux.can_renew() && state.mux.open_count() > 0;
            (state.told.take(), is_needed)
        });
        match told {
            Some(Told::Left(left)) => {
                self.end = Some(time::now() + left);
                self.wait(left.saturating_sub(AHEAD).max(left / 2));
            }
            // Another one would be of the same bearer, who isn't the one that the relay knows here.
            Some(Told::Refused(reason)) if reason.code() == Code::DENIED => self.due = None,
            Some(Told::Refused(_)) => self.wait(PAUSE),
            None => {}
        }
        while self.asking.is_some() || (is_needed && self.is_due(cx)) {
            let asking = self.asking.get_or_insert_with(|| {
                self.asked = Some(time::now());
                Box::pin(ask(self.config.clone()))
            });
            let Poll::Ready(token) = asking.as_mut().poll(cx) else {
                return;
            };
            (self.asking, self.due) = (None, None);
            match token.map(|token| token.as_deref().and_then(Token::new)) {
                Ok(Some(token)) => session.act(|state| state.mux.renew(token)),
                // Who shall have no token any more has what is open for as long as the last one is good.
                Err(error) if error.kind() == ErrorKind::Denied => {}
                Ok(None) | Err(_) => self.wait(PAUSE),
            }
        }
    }

    /// The next one is asked for after this time, if the last one is good then.
    fn wait(&mut self, time: Duration) {
        let due = time::now() + time;
        let due = self.asked.map_or(due, |asked| due.max(asked + PAUSE));
        self.due = self.end.filter(|end| due <= *end).map(|_| due);
    }

    fn is_due(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(due) = self.due else {
            return false;
        };
        self.timer.reset(due);
        Pin::new(&mut self.timer).poll(cx).is_ready()
    }
}

/// The next token, in no longer than an opening may wait for one.
async fn ask(config: RelayConfig) -> Result<Option<String>> {
    let asked = time::timeout(config.handshake_timeout, config.token()).await;
    asked.unwrap_or_else(|elapsed| Err(Error::new(ErrorKind::TimedOut, elapsed.to_string())))
}
