//! Told: which denials of a socket or listener have a record of their own, and how many have none.
//!
//! Whoever may bind a socket may send to a million addresses that he may not reach, and whoever finds a listener
//! that is full may knock for ever: each is a decision, and costs its author nothing. So in a minute
//! [`MAX_TOLD`] peers have a record each, with the first that was denied, and everything else is counted for the
//! record that comes next.

use std::time::Duration;

use tokio::time::Instant;

/// How many peers have a record of their own in a minute. Beyond it, they are counted only.
const MAX_TOLD: usize = 16;
/// After how long a peer has another one.
const MINUTE: Duration = Duration::from_mins(1);

/// Of one socket or listener.
#[derive(Debug)]
pub(super) struct Told<Peer> {
    /// Those of the minute that is running.
    peers: Vec<Peer>,
    began: Option<Instant>,
}

impl<Peer> Default for Told<Peer> {
    fn default() -> Self {
        Self {
            peers: Vec::new(),
            began: None,
        }
    }
}

impl<Peer: PartialEq> Told<Peer> {
    /// Whether a denial of this peer has a record of its own.
    pub(super) fn is_new(&mut self, peer: Peer, now: Instant) -> bool {
        if self.began.is_none_or(|began| now >= began + MINUTE) {
            (self.peers, self.began) = (Vec::new(), Some(now));
        }
        let is_new = self.peers.len() < MAX_TOLD && !self.peers.contains(&peer);
        if is_new {
            self.peers.push(peer);
        }
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_million_peers_a_few_are_kept_and_more_in_the_next_minute() {
        let (mut told, start) = (Told::default(), Instant::now());
        for round in 0..3 {
            let now = start + round * MINUTE;
            let new = (0..1_000_000_u32).filter(|&peer| told.is_new(peer, now));
            assert_eq!(new.count(), MAX_TOLD);
            assert!(!told.is_new(0, now + MINUTE / 2), "it is told already");
            assert!(told.peers.capacity() <= MAX_TOLD);
        }
    }
}
