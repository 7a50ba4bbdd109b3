//! JWKS: fetches the keys that an identity provider publishes, and keeps them up to date.
//!
//! One request for each time. The provider is trusted with who comes in, but not with the relay's memory or
//! time.

use std::io;
use std::time::Duration;

use hyper::header::{ACCEPT, CACHE_CONTROL};
use hyper::{HeaderMap, Request, StatusCode};
use jackfield_native::Native;
use jackfield_socket::{TcpConnect as _, TcpOptions};
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{info, warn};

use crate::config::Config;
use crate::token::{Credential, PublicKeys, RemoteKeys};

/// How long fetching may take, all in all.
const DEADLINE: Duration = Duration::from_secs(10);
/// The most bytes of a set of keys.
const MAX_BYTES: usize = 256 * 1024;
/// How often keys are fetched, at most, at least, and where the server doesn't say.
const AGES: (Duration, Duration) = (Duration::from_mins(5), Duration::from_hours(24));
const AGE: Duration = Duration::from_hours(1);
/// How soon it is tried again: after a failure, and for another key that isn't there.
const AGAIN: Duration = Duration::from_mins(1);

/// The keys of a configuration that are at a URL.
pub(crate) fn of(config: &Config) -> impl Iterator<Item = &RemoteKeys> {
    config
        .tokens
        .iter()
        .filter_map(|token| match &token.credential {
            Credential::RemoteKeys(keys) => Some(keys),
            _ => None,
        })
}

/// Fetches keys for the first time; how long they are good for.
///
/// # Errors
/// Where they can't be had, with their URL.
pub(crate) async fn first(keys: &RemoteKeys) -> io::Result<Duration> {
    match refresh(keys).await {
        Ok((_, good_for)) => Ok(good_for),
        Err(error) => Err(io::Error::other(format!("{}: {error}", keys.url()))),
    }
}

/// Keeps keys up to date that are good for so long, and says when they have become others. It has no end.
pub(crate) async fn keep(keys: RemoteKeys, good_for: Duration, changed: impl Fn()) {
    let mut next = Instant::now() + good_for;
    let mut asked = None;
    loop {
        let wanted = async {
            keys.wanted().await;
            if let Some(asked) = asked {
                sleep_until(asked + AGAIN).await;
            }
        };
        tokio::select! {
            () = sleep_until(next) => {}
            () = wanted => asked = Some(Instant::now()),
        }
        let good_for = match refresh(&keys).await {
            Ok((differs, good_for)) => {
                if differs {
                    info!(url = keys.url(), "the keys have changed");
                    changed();
                }
                good_for
            }
            Err(error) => {
                warn!(
                    url = keys.url(),
                    error, "can't fetch keys: those in use go on"
                );
                AGAIN
            }
        };
        next = Instant::now() + good_for;
    }
}

/// Whether they have changed, and how long they are good for.
async fn refresh(keys: &RemoteKeys) -> Result<(bool, Duration), String> {
    let fetched = timeout(DEADLINE, fetch(keys)).await;
    let late = |_| format!("it takes longer than {} s", DEADLINE.as_secs());
    let (text, good_for) = fetched.map_err(late)??;
    let new = PublicKeys::from_jwks(&text)?;
    Ok((keys.set(new), good_for))
}

/// A set of keys as text, and how long it is good for.
async fn fetch(keys: &RemoteKeys) -> Result<(String, Duration), String> {
    let place = keys.place();
    let stream = Native.connect(place.server(), &TcpOptions::default()).await;
    let stream = stream.map_err(|error| error.to_string())?;
    let accepted = "application/jwk-set+json, application/json";
    let request = Request::builder().header(ACCEPT, accepted);
    let answer = place.exchange(stream, request, String::new()).await?;
    if answer.status() != StatusCode::OK {
        return Err(format!("it answers {}", answer.status()));
    }
    let good_for = good_for(answer.headers());
    let (text, true) = answer.read(MAX_BYTES).await? else {
        return Err(format!("it has more than {MAX_BYTES} bytes"));
    };
    let text = String::from_utf8(text).map_err(|_| "it is not UTF-8")?;
    Ok((text, good_for))
}

/// How long an answer is good for (RFC 9111, section 5.2.2.1), within [`AGES`].
fn good_for(headers: &HeaderMap) -> Duration {
    let values = headers.get_all(CACHE_CONTROL).iter();
    let texts = values.filter_map(|value| value.to_str().ok());
    let age = texts
        .flat_map(|text| text.split(','))
        .filter_map(|directive| {
            let (name, value) = directive.split_once('=')?;
            let seconds = value.trim().trim_matches('"').parse().ok()?;
            let is_age = name.trim().eq_ignore_ascii_case("max-age");
            is_age.then_some(Duration::from_secs(seconds))
        })
        .min();
    age.unwrap_or(AGE).clamp(AGES.0, AGES.1)
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    #[test]
    fn keys_are_good_for_as_long_as_the_server_says_within_bounds() {
        for (values, expected) in [
            (&[][..], AGE),
            (&["public, max-age=7200"], Duration::from_hours(2)),
            (&["Max-Age = \"600\""], Duration::from_mins(10)),
            (&["max-age=0"], AGES.0),
            (&["no-store"], AGE),
            (&["max-age=600", "max-age=900"], Duration::from_mins(10)),
            (&["max-age=99999999999999999"], AGES.1),
            (&["max-age=99999999999999999999999"], AGE),
            (&["max-age=-1", "s-maxage=7"], AGE),
        ] {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(CACHE_CONTROL, HeaderValue::from_static(value));
            }
            assert_eq!(good_for(&headers), expected, "{values:?}");
        }
    }
}
