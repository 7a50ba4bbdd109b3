//! Randomness: tokens that can't be guessed, and jitter.

use std::fmt;
use std::time::Duration;

use crate::codec::Token;

/// How many random bytes are taken from the system at once.
const POOL: usize = 256;

/// The system's randomness or, in tests, what follows from a seed.
pub(crate) struct Random {
    seeded: Option<fastrand::Rng>,
    pool: [u8; POOL],
    left: usize,
}

impl Random {
    /// With a seed, always the same: for tests only, since tokens can be guessed then.
    pub(crate) fn new(seed: Option<u64>) -> Self {
        Self {
            seeded: seed.map(fastrand::Rng::with_seed),
            pool: [0; POOL],
            left: 0,
        }
    }

    /// A token of 8 bytes, which somebody who is not on the path would have to guess.
    pub(crate) fn token(&mut self) -> Token {
        Token::from(self.bytes())
    }

    pub(crate) fn bytes(&mut self) -> [u8; 8] {
        if let Some(seeded) = &mut self.seeded {
            return seeded.u64(..).to_be_bytes();
        }
        if self.left == 0 {
            // It fails where a system has none, and there nothing could be secure.
            if let Err(error) = getrandom::fill(&mut self.pool) {
                panic!("the system has no randomness: {error}");
            }
            self.left = POOL / 8;
        }
        self.left -= 1;
        let chunk = self.pool.as_chunks().0.get(self.left);
        chunk.copied().unwrap_or_default()
    }

    /// A time between 0 and this one.
    pub(crate) fn below(&mut self, most: Duration) -> Duration {
        let nanos = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(u64::from_be_bytes(self.bytes()) % nanos.saturating_add(1))
    }
}

/// Without what it will give.
impl fmt::Debug for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Random").finish_non_exhaustive()
    }
}
