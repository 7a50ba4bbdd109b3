//! Claims of a JWT: who has it, and what it takes away from what the configuration allows.

use std::num::{NonZeroU32, NonZeroU64};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};

use super::TokenError;
use crate::bearer::is_name;
use crate::config::Origin;
use crate::limits::Quota;
use crate::policy::Rule;

/// How far the clock of whoever makes tokens may be ahead of the relay's: so much earlier than its `nbf` and
/// `iat` a token is good. Its `exp` is looked at without it: a session ends in that second.
pub const LEEWAY: Duration = Duration::from_mins(1);
/// The last second of the year 9999.
const LAST: u64 = 253_402_300_799;

/// What a JWT says (RFC 7519, section 4.1, and three claims of the relay's own). What isn't there takes
/// nothing away; and no claim gives what the configuration doesn't.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Claims {
    /// `sub`: who the bearer is, to whoever made the token: it has limits of its own, and stands in the log.
    /// 1 to 256 bytes, without control characters or those that turn the direction of text.
    pub subject: Option<String>,
    /// `jti`: what this token is known by, to revoke it. As that.
    pub id: Option<String>,
    /// `exp`: when it ends, and its sessions with it. In whole seconds, up to the year 9999.
    pub expires: SystemTime,
    /// `nbf`: when it begins, with [`LEEWAY`].
    pub not_before: Option<SystemTime>,
    /// `iat`: when it was made.
    pub issued_at: Option<SystemTime>,
    /// `aud`: for which relays it is, by their `audience` in the configuration. Empty: for any that
    /// has none.
    pub audience: Vec<String>,
    /// `origins`: for pages of which origins it is, of those that the relay allows. With it, a client
    /// without an origin isn't let in.
    pub origins: Option<Vec<Origin>>,
    /// `allow`: what may be reached, of what the relay's rules allow.
    pub allow: Option<Vec<Rule>>,
    /// `limits`: what the bearer may have, where that is less than the configuration has.
    pub limits: Quota,
}

impl Claims {
    /// A token that ends then, and takes nothing else away.
    pub fn new(expires: SystemTime) -> Self {
        Self {
            subject: None,
            id: None,
            expires,
            not_before: None,
            issued_at: None,
            audience: Vec::new(),
            origins: None,
            allow: None,
            limits: Quota::default(),
        }
    }

    /// Whether they hold at this time, for this relay, and for a client of this origin.
    pub(crate) fn check(
        &self,
        now: SystemTime,
        audience: Option<&str>,
        origin: Option<&str>,
    ) -> Result<(), TokenError> {
        if self.expires <= now {
            return Err(TokenError::Expired(self.expires));
        }
        let begins = self.not_before.max(self.issued_at);
        if let Some(begins) = begins.filter(|begins| *begins > now + LEEWAY) {
            return Err(TokenError::NotYet(begins));
        }
        // Whoever isn't named among those that it is for must refuse it (RFC 7519, section 4.1.3).
        let meant = match audience {
            Some(name) => self.audience.iter().any(|meant| meant == name),
            None => self.audience.is_empty(),
        };
        if !meant {
            return Err(TokenError::Audience);
        }
        let from = |origins: &Vec<Origin>| origins.iter().any(|it| Some(it.as_str()) == origin);
        if !self.origins.as_ref().is_none_or(from) {
            return Err(TokenError::Origin);
        }
        Ok(())
    }
}

/// The claims as they stand in a token. One that stands there twice is an error.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct Payload {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sub: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) jti: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) exp: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) nbf: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) iat: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) aud: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) origins: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) allow: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) limits: Option<PayloadLimits>,
}

/// A limit that the relay doesn't know can't be kept, and is an error.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct PayloadLimits {
    #[serde(skip_serializing_if = "Option::is_none")]
    sessions: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    streams: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    listeners: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dials_per_second: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    draining_streams: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    look_ups: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_per_second: Option<NonZeroU64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    packets_per_second: Option<NonZeroU32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_per_day: Option<u64>,
}

/// A string, or several.
#[derive(Deserialize)]
#[serde(untagged)]
enum Strings {
    One(String),
    Many(Vec<String>),
}

impl TryFrom<Payload> for Claims {
    type Error = TokenError;

    fn try_from(payload: Payload) -> Result<Self, TokenError> {
        let audience = match read::<Strings>("aud", payload.aud)? {
            None => Vec::new(),
            Some(Strings::One(one)) => vec![one],
            // It is for nobody.
            Some(Strings::Many(many)) if many.is_empty() => {
                return Err(TokenError::Claim("aud"));
            }
            Some(Strings::Many(many)) => many,
        };
        let limits = payload.limits.unwrap_or_default();
        Ok(Self {
            subject: name("sub", payload.sub)?,
            id: name("jti", payload.jti)?,
            expires: date("exp", payload.exp)?.ok_or(TokenError::Claim("exp"))?,
            not_before: date("nbf", payload.nbf)?,
            issued_at: date("iat", payload.iat)?,
            audience,
            origins: list("origins", payload.origins)?,
            allow: list("allow", payload.allow)?,
            limits: Quota {
                sessions: limits.sessions,
                streams: limits.streams,
                listeners: limits.listeners,
                dials_per_second: limits.dials_per_second,
                draining_streams: limits.draining_streams,
                look_ups: limits.look_ups,
                bytes_per_second: limits.bytes_per_second,
                packets_per_second: limits.packets_per_second,
                bytes_per_day: limits.bytes_per_day,
            },
        })
    }
}

impl From<&Claims> for Payload {
    fn from(claims: &Claims) -> Self {
        let text = |text: &Option<String>| text.clone().map(Value::from);
        let seconds = |time: SystemTime| {
            let seconds = time.duration_since(UNIX_EPOCH).unwrap_or_default();
            Value::from(seconds.as_secs())
        };
        let texts = |texts: Vec<String>| Value::from(texts);
        let limits = claims.limits;
        Self {
            sub: text(&claims.subject),
            jti: text(&claims.id),
            exp: Some(seconds(claims.expires)),
            nbf: claims.not_before.map(seconds),
            iat: claims.issued_at.map(seconds),
            aud: (!claims.audience.is_empty()).then(|| texts(claims.audience.clone())),
            origins: (claims.origins.as_ref())
                .map(|all| texts(all.iter().map(|one| one.as_str().to_owned()).collect())),
            allow: (claims.allow.as_ref())
                .map(|all| texts(all.iter().map(ToString::to_string).collect())),
            limits: (limits != Quota::default()).then_some(PayloadLimits {
                sessions: limits.sessions,
                streams: limits.streams,
                listeners: limits.listeners,
                dials_per_second: limits.dials_per_second,
                draining_streams: limits.draining_streams,
                look_ups: limits.look_ups,
                bytes_per_second: limits.bytes_per_second,
                packets_per_second: limits.packets_per_second,
                bytes_per_day: limits.bytes_per_day,
            }),
        }
    }
}

fn read<T: DeserializeOwned>(
    claim: &'static str,
    value: Option<Value>,
) -> Result<Option<T>, TokenError> {
    let read = |value| serde_json::from_value(value).map_err(|_| TokenError::Claim(claim));
    value.map(read).transpose()
}

fn name(claim: &'static str, value: Option<Value>) -> Result<Option<String>, TokenError> {
    let name = read::<String>(claim, value)?;
    match &name {
        Some(name) if !is_name(name) => Err(TokenError::Claim(claim)),
        _ => Ok(name),
    }
}

/// A number of seconds, perhaps with a fraction, which is cut (RFC 7519, section 2).
fn date(claim: &'static str, value: Option<Value>) -> Result<Option<SystemTime>, TokenError> {
    let Some(number) = read::<Number>(claim, value)? else {
        return Ok(None);
    };
    let fraction = |number: f64| Duration::try_from_secs_f64(number).ok();
    let whole = || {
        number
            .as_f64()
            .and_then(fraction)
            .map(|time| time.as_secs())
    };
    let seconds = number.as_u64().or_else(whole);
    let seconds = seconds.filter(|seconds| *seconds <= LAST);
    let seconds = seconds.ok_or(TokenError::Claim(claim))?;
    Ok(Some(UNIX_EPOCH + Duration::from_secs(seconds)))
}

fn list<T: std::str::FromStr>(
    claim: &'static str,
    value: Option<Value>,
) -> Result<Option<Vec<T>>, TokenError> {
    let parse = |text: String| text.parse().map_err(|_| TokenError::Claim(claim));
    let Some(texts) = read::<Vec<String>>(claim, value)? else {
        return Ok(None);
    };
    texts
        .into_iter()
        .map(parse)
        .collect::<Result<_, _>>()
        .map(Some)
}
