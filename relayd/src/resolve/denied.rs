//! The addresses of names that rules deny, so that such a name isn't reached by its address.
//!
//! They are looked up before a decision that they matter to, at most every few seconds, and once for
//! all who wait. An address stays denied for a while after the name has lost it: names with many
//! addresses show some of them at a time, in turn.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jackfield_socket::HostName;
use tokio::time::{Instant, timeout};
use tracing::warn;

use super::{Found, Resolve};
use crate::address::unmask;

/// For how long an answer, or that there is none, is good.
const FRESH: Duration = Duration::from_secs(5);
/// How long a look-up may take.
const DEADLINE: Duration = Duration::from_secs(5);
/// For how long an address is still denied that the name had once.
const REMEMBERED: Duration = Duration::from_mins(10);
/// How many addresses of one name are remembered; beyond it, those that came up last are.
const MAX_ADDRESSES: usize = 256;

/// What is known of denied names. There are as many as the configuration denies.
#[derive(Debug, Default)]
pub(crate) struct DeniedNames(Mutex<HashMap<HostName, Arc<Name>>>);

#[derive(Debug, Default)]
struct Name {
    known: Mutex<Known>,
    /// Whoever looks it up; the others wait for the answer.
    looking_up: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Debug, Default)]
struct Known {
    /// When it was last asked for.
    asked: Option<Instant>,
    /// Whether there ever was an answer.
    answered: bool,
    /// The addresses, and when each was last seen.
    addresses: HashMap<IpAddr, Instant>,
}

impl DeniedNames {
    /// Finds out what this name is, unless that is known.
    ///
    /// # Cancel safety
    /// Dropping the future ends the look-up; another who waits for it begins it anew.
    pub(crate) async fn learn(&self, name: &HostName, resolver: &dyn Resolve) {
        let entry = self.entry(name);
        if entry.is_fresh() {
            return;
        }
        let _turn = entry.looking_up.lock().await;
        if entry.is_fresh() {
            return;
        }
        entry.look_up(name, resolver).await;
    }

    /// The same beside what is going on, unless somebody is at it already.
    pub(crate) fn learn_meanwhile(&self, name: &HostName, resolver: &Arc<dyn Resolve>) {
        let entry = self.entry(name);
        if entry.is_fresh() {
            return;
        }
        if let Ok(turn) = Arc::clone(&entry.looking_up).try_lock_owned() {
            let (name, resolver) = (name.clone(), Arc::clone(resolver));
            tokio::spawn(async move {
                entry.look_up(&name, &*resolver).await;
                drop(turn);
            });
        }
    }

    /// Whether the name has this address, which is without disguise. `None` where it was never
    /// learnt.
    pub(crate) fn has_address(&self, name: &HostName, address: IpAddr) -> Option<bool> {
        let entry = self.entry(name);
        let known = entry.known.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .answered
            .then(|| known.addresses.contains_key(&address))
    }

    fn entry(&self, name: &HostName) -> Arc<Name> {
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = names.get(name) {
            return Arc::clone(entry);
        }
        Arc::clone(names.entry(name.clone()).or_default())
    }
}

impl Name {
    fn is_fresh(&self) -> bool {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.asked.is_some_and(|asked| asked.elapsed() < FRESH)
    }

    async fn look_up(&self, name: &HostName, resolver: &dyn Resolve) {
        let found = timeout(DEADLINE, resolver.resolve_all(name)).await;
        let found =
            found.unwrap_or_else(|_| Found::new(Vec::new(), Some(io::ErrorKind::TimedOut.into())));
        if let Some(error) = &found.missing {
            warn!(%name, %error, "can't look up a name that a rule denies");
        }
        self.note(found);
    }

    fn note(&self, found: Found) {
        let now = Instant::now();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.asked = Some(now);
        // That it has none is an answer, too; a part of them is none.
        let is_whole = found.missing.is_none();
        known.answered |= is_whole;
        for address in found.addresses {
            // What hides its real address is never reached anyway.
            if let Ok(address) = unmask(address) {
                known.addresses.insert(address, now);
            }
        }
        if is_whole {
            (known.addresses).retain(|_, seen| now.duration_since(*seen) < REMEMBERED);
        }
        while known.addresses.len() > MAX_ADDRESSES {
            let oldest = (known.addresses.iter()).min_by_key(|(_, seen)| **seen);
            let Some(oldest) = oldest.map(|(address, _)| *address) else {
                break;
            };
            known.addresses.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Resolving, ResolvingAll};
    use super::*;

    /// Answers what the test sets.
    #[derive(Debug, Default)]
    struct Fake {
        answer: Mutex<Option<Vec<IpAddr>>>,
        /// Whether one family can't be looked up.
        half: Mutex<bool>,
        asked: Mutex<u32>,
    }

    impl Resolve for Fake {
        fn resolve(&self, _: &HostName) -> Resolving {
            *self.asked.lock().expect("no panic") += 1;
            let answer = self.answer.lock().expect("no panic").clone();
            Box::pin(async move { answer.ok_or_else(|| io::ErrorKind::TimedOut.into()) })
        }

        fn resolve_all(&self, name: &HostName) -> ResolvingAll {
            let half = *self.half.lock().expect("no panic");
            let resolving = self.resolve(name);
            Box::pin(async move {
                let mut found = Found::from(resolving.await);
                if half {
                    found.missing = Some(io::ErrorKind::Other.into());
                }
                found
            })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn half_an_answer_is_none() {
        let name: HostName = "secret.example".parse().expect("a name");
        let (v4, v6) = ([9, 9, 9, 1].into(), "2a00::1".parse().expect("an address"));
        let (fake, denied) = (Fake::default(), DeniedNames::default());
        *fake.answer.lock().expect("no panic") = Some(vec![v6]);
        *fake.half.lock().expect("no panic") = true;
        denied.learn(&name, &fake).await;
        assert_eq!(denied.has_address(&name, v4), None, "nobody knows");

        tokio::time::advance(FRESH).await;
        *fake.answer.lock().expect("no panic") = Some(vec![v4]);
        *fake.half.lock().expect("no panic") = false;
        denied.learn(&name, &fake).await;
        tokio::time::advance(REMEMBERED).await;
        *fake.answer.lock().expect("no panic") = Some(vec![v6]);
        *fake.half.lock().expect("no panic") = true;
        denied.learn(&name, &fake).await;
        for address in [v4, v6] {
            assert_eq!(denied.has_address(&name, address), Some(true));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_name_was_is_kept_while_it_changes_or_cant_be_looked_up() {
        let name: HostName = "secret.example".parse().expect("a name");
        let (one, two) = (IpAddr::from([9, 9, 9, 1]), IpAddr::from([9, 9, 9, 2]));
        let (fake, denied) = (Fake::default(), DeniedNames::default());
        let asked = || *fake.asked.lock().expect("no panic");

        denied.learn(&name, &fake).await;
        assert_eq!(denied.has_address(&name, one), None, "nobody knows");
        denied.learn(&name, &fake).await;
        assert_eq!(asked(), 1, "not asked again at once");

        tokio::time::advance(FRESH).await;
        *fake.answer.lock().expect("no panic") = Some(vec![one]);
        denied.learn(&name, &fake).await;
        assert_eq!(denied.has_address(&name, one), Some(true));
        assert_eq!(denied.has_address(&name, two), Some(false));

        tokio::time::advance(FRESH).await;
        *fake.answer.lock().expect("no panic") = Some(vec![two]);
        denied.learn(&name, &fake).await;
        tokio::time::advance(FRESH).await;
        *fake.answer.lock().expect("no panic") = None;
        denied.learn(&name, &fake).await;
        for address in [one, two] {
            assert_eq!(denied.has_address(&name, address), Some(true));
        }
        assert_eq!(asked(), 4);

        tokio::time::advance(REMEMBERED).await;
        *fake.answer.lock().expect("no panic") = Some(vec![two]);
        denied.learn(&name, &fake).await;
        assert_eq!(denied.has_address(&name, one), Some(false));
    }
}
