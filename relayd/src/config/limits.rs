//! Limits in the configuration file, each of which stands in for one that is said further up.
//!
//! A limit of 0 is taken where something is left without it: a token without listeners or look-ups, say. Where it
//! would let nobody in, or have nothing be opened or carried, it is refused.

use std::num::{NonZeroU32, NonZeroU64};

use serde::Deserialize;

use super::file::seconds;
use crate::limits::{Limits, Quota};

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct FileQuota {
    sessions: Option<NonZeroU32>,
    streams: Option<NonZeroU32>,
    listeners: Option<u32>,
    dials_per_second: Option<NonZeroU32>,
    draining_streams: Option<u32>,
    look_ups: Option<u32>,
    bytes_per_second: Option<NonZeroU64>,
    packets_per_second: Option<NonZeroU32>,
    bytes_per_day: Option<NonZeroU64>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct FileLimits {
    sessions: Option<NonZeroU32>,
    streams: Option<NonZeroU32>,
    listeners: Option<u32>,
    dials_per_second: Option<NonZeroU32>,
    look_ups: Option<u32>,
    refusals_per_minute: Option<u32>,
    dial_seconds: Option<NonZeroU32>,
    idle_seconds: Option<NonZeroU32>,
    buffer_bytes: Option<u32>,
    session_bytes: Option<NonZeroU64>,
    draining_streams: Option<u32>,
    drain_seconds: Option<u32>,
    drain_bytes_per_second: Option<u32>,
    bytes_per_second: Option<NonZeroU64>,
    packets_per_second: Option<NonZeroU32>,
    bytes_per_day: Option<NonZeroU64>,
}

impl FileQuota {
    pub(super) fn over(&self, defaults: Quota) -> Quota {
        Quota {
            sessions: self.sessions.map(NonZeroU32::get).or(defaults.sessions),
            streams: self.streams.map(NonZeroU32::get).or(defaults.streams),
            listeners: self.listeners.or(defaults.listeners),
            dials_per_second: self
                .dials_per_second
                .map(NonZeroU32::get)
                .or(defaults.dials_per_second),
            draining_streams: self.draining_streams.or(defaults.draining_streams),
            look_ups: self.look_ups.or(defaults.look_ups),
            bytes_per_second: self.bytes_per_second.or(defaults.bytes_per_second),
            packets_per_second: self.packets_per_second.or(defaults.packets_per_second),
            bytes_per_day: self
                .bytes_per_day
                .map(NonZeroU64::get)
                .or(defaults.bytes_per_day),
        }
    }
}

impl FileLimits {
    pub(super) fn over(&self, defaults: Limits) -> Limits {
        Limits {
            sessions: self.sessions.map_or(defaults.sessions, NonZeroU32::get),
            streams: self.streams.map_or(defaults.streams, NonZeroU32::get),
            listeners: self.listeners.unwrap_or(defaults.listeners),
            dials_per_second: self
                .dials_per_second
                .map_or(defaults.dials_per_second, NonZeroU32::get),
            look_ups: self.look_ups.unwrap_or(defaults.look_ups),
            refusals_per_minute: (self.refusals_per_minute).unwrap_or(defaults.refusals_per_minute),
            dial_deadline: seconds(
                self.dial_seconds.map(NonZeroU32::get),
                defaults.dial_deadline,
            ),
            idle_deadline: seconds(
                self.idle_seconds.map(NonZeroU32::get),
                defaults.idle_deadline,
            ),
            buffer_bytes: self.buffer_bytes.unwrap_or(defaults.buffer_bytes),
            session_bytes: self
                .session_bytes
                .map(NonZeroU64::get)
                .or(defaults.session_bytes),
            draining_streams: self.draining_streams.unwrap_or(defaults.draining_streams),
            drain_deadline: seconds(self.drain_seconds, defaults.drain_deadline),
            drain_bytes_per_second: (self.drain_bytes_per_second)
                .unwrap_or(defaults.drain_bytes_per_second),
            bytes_per_second: self.bytes_per_second.or(defaults.bytes_per_second),
            packets_per_second: self.packets_per_second.or(defaults.packets_per_second),
            bytes_per_day: self
                .bytes_per_day
                .map(NonZeroU64::get)
                .or(defaults.bytes_per_day),
        }
    }
}
