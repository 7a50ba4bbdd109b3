//! Order and age of notifications: which one is newer, and when they have gone stale (RFC 7641).

use std::time::Duration;

use jackfield_socket::time::Instant;

use crate::codec::Message;

/// After this time, any notification is newer (RFC 7641, section 3.4).
const REORDERING: Duration = Duration::from_secs(128);
/// Half of what the 24 bits of a sequence number can count.
const HALF: u32 = 1 << 23;
/// How long a response without Max-Age is fresh (RFC 7252, section 5.10.5).
const DEFAULT_MAX_AGE: u32 = 60;

/// How long a response is fresh.
pub(crate) fn max_age(response: &Message) -> Duration {
    Duration::from_secs(response.max_age().unwrap_or(DEFAULT_MAX_AGE).into())
}

/// The order of one resource's notifications.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct NotificationOrder {
    newest: Option<(u32, Instant)>,
}

impl NotificationOrder {
    /// Whether a notification with this value of Observe is newer than those before it; then it is
    /// the newest (RFC 7641, section 3.4).
    pub(crate) fn accepts(&mut self, value: u32, now: Instant) -> bool {
        let is_newer = self.newest.is_none_or(|(newest, at)| {
            (newest < value && value - newest < HALF)
                || (newest > value && newest - value > HALF)
                || now > at + REORDERING
        });
        if is_newer {
            self.newest = Some((value, now));
        }
        is_newer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_wrap_round() {
        let now = Instant::now();
        for (first, second, is_newer) in [
            (0, 1, true),
            (1, 0, false),
            (7, 7, false),
            (0, HALF - 1, true),
            (0, HALF, false),
            (0, HALF + 1, false),
            (HALF + 1, 0, true),
            (HALF, 0, false),
            (0x00ff_ffff, 0, true),
            (0, 0x00ff_ffff, false),
        ] {
            let mut order = NotificationOrder::default();
            assert!(order.accepts(first, now));
            assert_eq!(order.accepts(second, now), is_newer, "{first} {second}");
        }
    }

    #[test]
    fn after_128_s_whatever_comes_is_newer() {
        let now = Instant::now();
        let mut order = NotificationOrder::default();
        assert!(order.accepts(9, now));
        assert!(!order.accepts(8, now + REORDERING));
        assert!(order.accepts(8, now + REORDERING + Duration::from_nanos(1)));
    }
}
