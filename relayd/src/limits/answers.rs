//! Answers: what may come of asking what all relays have left.

/// What has come of asking for more slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    not(feature = "redis"),
    expect(dead_code, reason = "there is nobody to ask")
)]
pub(crate) enum Asked {
    /// There may be room now.
    Leased,
    /// Redis isn't there, and it is said to go on without leases.
    Forgotten,
}

/// Why there is no slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    not(feature = "redis"),
    expect(dead_code, reason = "there is nobody to ask")
)]
pub(crate) enum Full {
    /// As many are taken over all relays as may.
    Taken,
    /// Redis isn't there, which would know.
    Unknown,
}

/// What is left of a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    not(feature = "redis"),
    expect(dead_code, reason = "there is nobody to ask")
)]
pub(crate) enum Left {
    /// So many bytes, of which this relay may carry all.
    Bytes(u64),
    /// It was asked for more, and will know.
    Asked,
    /// What this relay's own count says: Redis is gone, and it is said to go on.
    Own,
    /// Nothing, at any relay.
    Nothing,
    /// Redis is gone, which would know.
    Unknown,
}
