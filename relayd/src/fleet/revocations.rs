//! Revocations of the fleet: told to all relays at once, and kept until they don't matter any more.
//!
//! A sorted set holds them, each with the second until which it matters, so that a relay which wasn't there
//! learns what it has missed; a message tells those that are. What is known stays known while Redis is gone.

use std::collections::HashMap;
use std::sync::RwLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use redis::Script;
use redis::aio::MultiplexedConnection;
use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use super::{Fleet, read, write};
use crate::token::{Credential, MAX_REVOCATIONS, Proven, Revocation, Revoked};

/// Keeps one, unless there are too many; drops those that don't matter any more; and tells everybody.
///
/// The set, and what is revoked, for how many seconds it matters, how many there may be, the channel.
const REVOKE: &str = "\
    local now = tonumber(redis.call('TIME')[1])
    redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
    if not redis.call('ZSCORE', KEYS[1], ARGV[1])
        and redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[3]) then
        return 0
    end
    local till = now + tonumber(ARGV[2])
    redis.call('ZADD', KEYS[1], 'GT', till, ARGV[1])
    local last = redis.call('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2]
    redis.call('EXPIREAT', KEYS[1], last)
    redis.call('PUBLISH', ARGV[4], till .. ' ' .. ARGV[1])
    return 1";

/// What is revoked, as far as this relay has heard.
#[derive(Debug, Default)]
pub(super) struct Revocations(RwLock<Known>);

#[derive(Debug, Default)]
struct Known {
    /// As it was written, and until when it matters, in seconds since 1970.
    till: HashMap<Vec<u8>, u64>,
    revoked: Revoked,
}

/// One, as it is written.
#[derive(Serialize, Deserialize)]
struct Written {
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<String>,
    /// In seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    issued_before: Option<u64>,
}

impl Fleet {
    /// Whether the token of that name that says this was revoked.
    pub(crate) fn has_revoked(
        &self,
        token: &str,
        credential: &Credential,
        proven: &Proven,
    ) -> bool {
        read(&self.0.revocations.0)
            .revoked
            .has(token, credential, proven)
    }

    /// Revokes it at all relays, those among them that aren't there for so long; why it couldn't be. Then
    /// nothing is revoked anywhere.
    pub(crate) async fn revoke(&self, one: &Revocation, matters: Duration) -> Result<(), String> {
        let done = self.try_revoke(one, matters).await;
        self.0.metrics.count("revoke", &done);
        done
    }

    async fn try_revoke(&self, one: &Revocation, matters: Duration) -> Result<(), String> {
        let mut connection = self
            .connection()
            .ok_or("Redis is gone: nothing is revoked")?;
        let one = serde_json::to_vec(&Written::from(one)).map_err(|error| error.to_string())?;
        let kept: Result<bool, _> = Script::new(REVOKE)
            .key(self.key("revoked"))
            .arg(one)
            .arg(matters.as_secs())
            .arg(MAX_REVOCATIONS)
            .arg(self.key("revoked"))
            .invoke_async(&mut connection)
            .await;
        match kept {
            Ok(true) => Ok(()),
            Ok(false) => Err(format!(
                "{MAX_REVOCATIONS} revocations matter already: nothing is revoked"
            )),
            Err(error) => Err(format!("Redis doesn't say whether it was revoked: {error}")),
        }
    }

    /// Learns all that is revoked.
    pub(super) async fn learn(&self, connection: &mut MultiplexedConnection) -> Result<(), String> {
        let all: Result<Vec<(Vec<u8>, f64)>, _> = redis::cmd("ZRANGEBYSCORE")
            .arg(self.key("revoked"))
            .arg(now())
            .arg("+inf")
            .arg("WITHSCORES")
            .arg("LIMIT")
            .arg(0)
            .arg(MAX_REVOCATIONS)
            .query_async(connection)
            .await;
        self.0.metrics.count("learn", &all);
        let all = all.map_err(|error| error.to_string())?;
        let mut new = Known::default();
        for (one, till) in all {
            // One that is kept for ever has no second.
            let last = if till > 0.0 { u64::MAX } else { 0 };
            let till = Duration::try_from_secs_f64(till).map_or(last, |till| till.as_secs());
            new.add(one, till);
        }
        *write(&self.0.revocations.0) = new;
        Ok(())
    }

    /// Takes what somebody has published.
    pub(super) fn hear(&self, messages: &[Vec<u8>]) {
        let mut known = write(&self.0.revocations.0);
        for message in messages {
            let space = message.iter().position(|byte| *byte == b' ');
            let (till, one) = message.split_at(space.unwrap_or(0));
            match str::from_utf8(till).ok().and_then(|text| text.parse().ok()) {
                Some(till) if known.till.len() < MAX_REVOCATIONS => {
                    known.add(one[1..].to_vec(), till);
                }
                Some(_) => warn!("more revocations are published than are kept"),
                None => warn!("what is published as a revocation is none"),
            }
        }
        info!(known = known.till.len(), "heard of revocations");
    }

    /// Forgets what doesn't matter any more.
    pub(super) fn forget(&self) {
        let now = now();
        let mut known = write(&self.0.revocations.0);
        if known.till.values().all(|till| *till > now) {
            return;
        }
        let mut new = Known::default();
        for (one, till) in known.till.drain().filter(|(_, till)| *till > now) {
            new.add(one, till);
        }
        *known = new;
    }
}

impl Known {
    fn add(&mut self, one: Vec<u8>, till: u64) {
        let Ok(written) = serde_json::from_slice::<Written>(&one) else {
            return warn!("what is kept as a revocation is none");
        };
        // It may have been revoked for longer.
        match self.till.entry(one) {
            std::collections::hash_map::Entry::Occupied(mut known) => {
                let till = till.max(*known.get());
                known.insert(till);
            }
            std::collections::hash_map::Entry::Vacant(new) => {
                new.insert(till);
                self.revoked.add(&written.into());
            }
        }
    }
}

impl From<&Revocation> for Written {
    fn from(one: &Revocation) -> Self {
        let seconds = |time: SystemTime| {
            let since = time.duration_since(UNIX_EPOCH);
            since.unwrap_or_default().as_secs()
        };
        Self {
            token: one.token.clone(),
            jti: one.id.clone(),
            sub: one.subject.clone(),
            issued_before: one.issued_before.map(seconds),
        }
    }
}

impl From<Written> for Revocation {
    fn from(written: Written) -> Self {
        let time = |seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
        Self {
            token: written.token,
            id: written.jti,
            subject: written.sub,
            issued_before: written.issued_before.and_then(time),
        }
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_as_it_was() {
        let one = Revocation {
            token: Some("app".into()),
            id: Some("7 \"\u{fc}\n".into()),
            subject: None,
            issued_before: Some(UNIX_EPOCH + Duration::from_secs(7)),
        };
        let text = serde_json::to_vec(&Written::from(&one)).expect("JSON");
        let back: Written = serde_json::from_slice(&text).expect("the same");
        assert_eq!(Revocation::from(back), one);
    }

    #[test]
    fn what_is_no_revocation_is_left_out_and_the_longer_time_counts() {
        let mut known = Known::default();
        known.add(b"{\"jti\":\"7\"}".to_vec(), 10);
        known.add(b"{\"jti\":\"7\"}".to_vec(), 20);
        known.add(b"{\"jti\":\"7\"}".to_vec(), 15);
        known.add(b"{\"jti\":".to_vec(), 20);
        known.add(b"\xff".to_vec(), 20);
        let till: Vec<_> = known.till.values().copied().collect();
        assert_eq!(till, [20]);
    }
}
