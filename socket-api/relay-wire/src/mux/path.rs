//! The path to the peer: how long a round trip takes, and how large a window that asks for.
//!
//! Of a window, only what the path holds makes a stream faster. All beyond it waits somewhere on the
//! way, and whatever else the connection carries, a keystroke, waits behind it. So a stream begins
//! with a small window; the first one that is busy has the path measured, once, by a PING; and all
//! that are busy then have as much as the path asks for.

use std::time::Duration;

use jackfield_socket::time::Instant;

use super::channel::Channel;
use super::{Config, Mux, Role};
use crate::{Frame, Id};

/// What a busy stream should have beyond [`Config::START_WINDOW`], for each second of a round trip:
/// it carries 128 Mbit/s.
const RATE: u64 = 16 * 1024 * 1024;

/// What is known of it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Path {
    #[default]
    Unknown,
    /// The PING left then.
    Asked(Instant),
    /// It asks for windows of so many bytes.
    Known(u64),
}

impl Path {
    /// What tells this PING from those that ask whether the peer lives, which count from 1.
    const MARK: [u8; 8] = [0; 8];

    /// A PONG came. One that is late, since the peer was busy, makes windows larger than they need
    /// to be, up to [`Config::window`]; none can make them smaller than they began.
    pub(super) fn answered(&mut self, bytes: [u8; 8], now: Instant) {
        if let Self::Asked(at) = *self
            && bytes == Self::MARK
        {
            *self = Self::Known(u64::from(Config::START_WINDOW) + filled(now - at));
        }
    }
}

/// How many bytes a path holds at [`RATE`].
fn filled(round_trip: Duration) -> u64 {
    let micros = u64::try_from(round_trip.as_micros()).unwrap_or(u64::MAX);
    micros.saturating_mul(RATE) / 1_000_000
}

/// Gives a stream that may have more the window that the path asks for, or has the path measured.
pub(super) fn widen(mux: &mut Mux, id: Id, now: Instant) {
    let window = match mux.path {
        Path::Known(window) => window,
        Path::Asked(_) => return,
        Path::Unknown => {
            mux.path = Path::Asked(now);
            mux.control.push_back(Frame::Ping(Path::MARK));
            return;
        }
    };
    let share = match mux.role {
        Role::Client => u32::MAX,
        Role::Relay => mux.share(),
    };
    let most = u64::from(mux.config.window);
    if let Some(Channel::Stream(stream)) = mux.channels.get_mut(&id) {
        // At most the configured one, which fits.
        if stream.grant.widen(window.min(most) as u32, share) {
            mux.credits.push_back(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a path of this round trip asks for.
    fn window(round_trip: Duration) -> u64 {
        let begin = jackfield_socket::time::now();
        let mut path = Path::Asked(begin);
        path.answered([1; 8], begin);
        assert!(matches!(path, Path::Asked(_)), "that asks something else");
        path.answered(Path::MARK, begin + round_trip);
        match path {
            Path::Known(window) => window,
            Path::Unknown | Path::Asked(_) => panic!("{path:?}"),
        }
    }

    #[test]
    fn a_longer_path_has_a_larger_window() {
        let start = u64::from(Config::START_WINDOW);
        assert_eq!(window(Duration::ZERO), start);
        assert_eq!(window(Duration::from_micros(100)), start + 1677);
        // 128 Mbit/s and more over 80 ms.
        assert_eq!(window(Duration::from_millis(80)), start + 1_342_177);
    }

    #[test]
    fn no_round_trip_is_too_long_to_count() {
        assert!(window(Duration::from_hours(1_000_000)) > u64::from(u32::MAX));
        assert_eq!(filled(Duration::MAX), u64::MAX / 1_000_000);
    }

    #[test]
    fn who_was_not_asked_tells_nothing() {
        let mut path = Path::Unknown;
        path.answered(Path::MARK, jackfield_socket::time::now());
        assert!(matches!(path, Path::Unknown));
    }
}
