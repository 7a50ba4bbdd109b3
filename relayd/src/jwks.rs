//! JWKS: fetches the keys that an identity provider publishes, and keeps them up to date.
//!
//! One request for each time. The provider is trusted with who comes in, but not with the relay's memory or
//! time.

use std::time::Duration;

use futures_util::future::try_join_all;
use hyper::header::{ACCEPT, CACHE_CONTROL};
use hyper::{HeaderMap, Request, StatusCode};
use jackfield_native::Native;
use jackfield_socket::{TcpConnect as _, TcpOptions};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
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

/// Keys that were fetched, and until when they are good.
#[derive(Clone, Debug)]
pub(crate) struct Fetched {
    keys: RemoteKeys,
    good_until: Instant,
}

/// Which token has no keys, and why.
#[derive(Debug)]
pub(crate) struct NoKeys {
    /// Its place among the configuration's tokens.
    pub(crate) token: usize,
    pub(crate) why: String,
}

/// Fetches the keys that a configuration has at URLs. What is in `known` isn't fetched again: the configuration gets
/// those keys in the place of its own. Returns all keys that the configuration has then, each URL's once.
///
/// # Errors
/// Where some can't be had; the text has their URL.
///
/// # Cancel safety
/// Dropping the future gives up what is being fetched.
pub(crate) async fn fetch_all(
    config: &mut Config,
    known: &[Fetched],
) -> Result<Vec<Fetched>, NoKeys> {
    let mut all: Vec<Fetched> = Vec::new();
    let mut new: Vec<(usize, RemoteKeys)> = Vec::new();
    for (index, token) in config.tokens.iter_mut().enumerate() {
        let Credential::RemoteKeys(keys) = &mut token.credential else {
            continue;
        };
        let of_others = all.iter().map(|fetched| &fetched.keys);
        let mut of_others = of_others.chain(new.iter().map(|(_, keys)| keys));
        if let Some(same) = of_others.find(|other| *other == keys) {
            *keys = same.clone();
        } else if let Some(fetched) = known.iter().find(|known| known.keys == *keys) {
            *keys = fetched.keys.clone();
            all.push(fetched.clone());
        } else {
            new.push((index, keys.clone()));
        }
    }
    let fetching = new.into_iter().map(async |(token, keys)| {
        let fetched = refresh(&keys).await;
        let (_, good_for) = fetched.map_err(|error| NoKeys {
            token,
            why: format!("{}: {error}", keys.url()),
        })?;
        Ok(Fetched {
            good_until: Instant::now() + good_for,
            keys,
        })
    });
    all.extend(try_join_all(fetching).await?);
    Ok(all)
}

/// Keeps those keys up to date that are in use at a time, and says when some have become others. It has no
/// end; dropped, it asks for nothing any more.
pub(crate) async fn keep_all(
    mut in_use: watch::Receiver<Vec<Fetched>>,
    changed: impl Fn() + Clone + Send + 'static,
) {
    let mut tasks = JoinSet::new();
    let mut keeping: Vec<(RemoteKeys, AbortHandle)> = Vec::new();
    loop {
        let now = in_use.borrow_and_update().clone();
        keeping.retain(|(keys, task)| {
            let stays = now.iter().any(|fetched| fetched.keys.is(keys));
            if !stays {
                task.abort();
            }
            stays
        });
        for Fetched { keys, good_until } in now {
            if !keeping.iter().any(|(kept, _)| kept.is(&keys)) {
                let task = tasks.spawn(keep(keys.clone(), good_until, changed.clone()));
                keeping.push((keys, task));
            }
        }
        while tasks.try_join_next().is_some() {}
        if in_use.changed().await.is_err() {
            // Nobody is left who could reload; what is in use stays in use.
            return std::future::pending().await;
        }
    }
}

/// Keeps keys up to date that are good until then.
async fn keep(keys: RemoteKeys, good_until: Instant, changed: impl Fn()) {
    let mut next = good_until;
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
    let differs = keys.set(new.clone());
    if let Some(what) = new.passed_over().filter(|_| differs) {
        info!(url = keys.url(), "of the keys there, {what}");
    }
    Ok((differs, good_for))
}

/// A set of keys as text, and how long it is good for.
async fn fetch(keys: &RemoteKeys) -> Result<(String, Duration), String> {
    let resource = keys.resource();
    let stream = Native
        .connect(resource.server(), &TcpOptions::default())
        .await;
    let stream = stream.map_err(|error| error.to_string())?;
    let accepted = "application/jwk-set+json, application/json";
    let request = Request::builder().header(ACCEPT, accepted);
    let answer = resource.exchange(stream, request, String::new()).await?;
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
