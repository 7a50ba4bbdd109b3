//! Tokens that follow the first one: sent, taken and answered, one at a time.

use std::time::Duration;

use super::{Mux, Role};
use crate::auth::Token;
use crate::{Frame, Reason, Settings};

impl Mux {
    // The client's side.

    /// Whether [`renew`](Self::renew) can send a token: the relay takes them, and none waits for its answer.
    pub fn can_renew(&self) -> bool {
        let takes = |peer: &Settings| peer.token_left.is_some();
        self.closed.is_none()
            && self.token.is_none()
            && !self.token_asked
            && self.peer_settings.as_ref().is_some_and(takes)
    }

    /// Sends the token to go on with. [`Event::TokenLeft`](super::Event::TokenLeft) or
    /// [`Event::TokenRefused`](super::Event::TokenRefused) answers; where it [can't be sent](Self::can_renew), nothing
    /// is done.
    pub fn renew(&mut self, token: Token) {
        if self.role == Role::Client && self.can_renew() {
            self.token = Some(token);
        }
    }

    // The relay's side.

    /// Answers a token: it is taken, and so long good; however long, where it has no end.
    pub fn take_token(&mut self, left: Duration) {
        self.answer_token(Frame::TokenLeft(left));
    }

    /// Answers a token: it is not taken, and nothing has changed.
    pub fn refuse_token(&mut self, reason: Reason) {
        self.answer_token(Frame::TokenRefused(reason));
    }

    fn answer_token(&mut self, answer: Frame) {
        if self.role == Role::Relay && std::mem::take(&mut self.token_asked) {
            self.control.push_back(answer);
        }
    }
}
