//! Revocations: tokens that are good no longer, though their time isn't over.

use std::collections::HashMap;
use std::time::SystemTime;

use super::{Claims, Credential, Proven};

/// The most revocations that are kept.
pub const MAX_REVOCATIONS: usize = 100_000;

/// Tokens that are good no longer: those to which all applies that is given. One in which nothing is given
/// revokes nothing. A shared secret can't be revoked, but for taking it out of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Revocation {
    /// The token's name in the configuration; `None` for all of them.
    pub token: Option<String>,
    /// The `jti`.
    pub id: Option<String>,
    /// The `sub`.
    pub subject: Option<String>,
    /// What was made before then (`iat`), or doesn't say when it was made.
    pub issued_before: Option<SystemTime>,
}

/// All revocations, so that few are looked at for one token.
#[derive(Debug, Default)]
pub(crate) struct Revoked {
    ids: HashMap<String, Vec<Revocation>>,
    subjects: HashMap<String, Vec<Revocation>>,
    /// Of those that name neither, the latest time for each token, and for all.
    times: HashMap<Option<String>, SystemTime>,
}

impl Revoked {
    pub(crate) fn new(revocations: &[Revocation]) -> Self {
        let mut all = Self::default();
        for one in revocations {
            all.add(one);
        }
        all
    }

    /// Revokes this, too.
    pub(crate) fn add(&mut self, one: &Revocation) {
        match (&one.id, &one.subject, one.issued_before) {
            (Some(id), _, _) => {
                self.ids.entry(id.clone()).or_default().push(one.clone());
            }
            (None, Some(subject), _) => {
                let known = self.subjects.entry(subject.clone());
                known.or_default().push(one.clone());
            }
            (None, None, Some(before)) => {
                let latest = self.times.entry(one.token.clone()).or_insert(before);
                *latest = before.max(*latest);
            }
            (None, None, None) => {}
        }
    }

    /// Whether the token of that name that says this is good no longer.
    pub(crate) fn has(&self, token: &str, credential: &Credential, proven: &Proven) -> bool {
        if matches!(credential, Credential::Secret(_)) {
            return false;
        }
        let claims = proven.claims.as_ref();
        let issued_at = claims.and_then(|claims| claims.issued_at);
        let is_before = |before: SystemTime| issued_at.is_none_or(|issued| issued < before);
        let fits = |one: &Revocation| {
            let is = |wanted: &Option<String>, of: fn(&Claims) -> &Option<String>| {
                wanted.is_none() || claims.is_some_and(|claims| of(claims) == wanted)
            };
            one.token.as_ref().is_none_or(|name| name == token)
                && is(&one.id, |claims| &claims.id)
                && is(&one.subject, |claims| &claims.subject)
                && one.issued_before.is_none_or(is_before)
        };
        let among = |all: &HashMap<String, Vec<Revocation>>, name: Option<&String>| {
            name.and_then(|name| all.get(name))
                .is_some_and(|some| some.iter().any(fits))
        };
        among(&self.ids, claims.and_then(|claims| claims.id.as_ref()))
            || among(
                &self.subjects,
                claims.and_then(|claims| claims.subject.as_ref()),
            )
            || [Some(token.to_owned()), None]
                .iter()
                .any(|name| self.times.get(name).copied().is_some_and(is_before))
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::token::Secret;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn proven(subject: Option<&str>, id: Option<&str>, issued: Option<u64>) -> Proven {
        let mut claims = Claims::new(at(9000));
        claims.subject = subject.map(str::to_owned);
        claims.id = id.map(str::to_owned);
        claims.issued_at = issued.map(at);
        Proven {
            claims: Some(claims),
            ..Proven::default()
        }
    }

    #[test]
    fn a_revocation_is_of_the_tokens_to_which_all_of_it_applies() {
        let secret = Secret::new("a-signing-key-that-has-32-letters").expect("long enough");
        let key = Credential::Key(secret.clone());
        let one =
            |token: Option<&str>, id: Option<&str>, subject: Option<&str>, before| Revocation {
                token: token.map(str::to_owned),
                id: id.map(str::to_owned),
                subject: subject.map(str::to_owned),
                issued_before: before,
            };
        let ada = proven(Some("ada"), Some("7"), Some(1000));
        let undated = proven(Some("ada"), None, None);
        // The older form says nothing.
        let plain = Proven::default();
        for (revocation, of_ada, of_undated, of_plain) in [
            (one(None, Some("7"), None, None), true, false, false),
            (one(None, Some("8"), None, None), false, false, false),
            (one(Some("a"), Some("7"), None, None), true, false, false),
            (one(Some("b"), Some("7"), None, None), false, false, false),
            (one(None, None, Some("ada"), None), true, true, false),
            (one(None, None, Some("Ada"), None), false, false, false),
            (one(None, Some("7"), Some("eve"), None), false, false, false),
            (
                one(None, None, Some("ada"), Some(at(1000))),
                false,
                true,
                false,
            ),
            (
                one(None, None, Some("ada"), Some(at(1001))),
                true,
                true,
                false,
            ),
            (one(Some("a"), None, None, Some(at(1001))), true, true, true),
            (
                one(Some("a"), None, None, Some(at(1000))),
                false,
                true,
                true,
            ),
            (
                one(Some("b"), None, None, Some(at(1001))),
                false,
                false,
                false,
            ),
            (one(None, None, None, Some(at(1001))), true, true, true),
            (one(Some("a"), None, None, None), false, false, false),
        ] {
            let revoked = Revoked::new(std::slice::from_ref(&revocation));
            let has = |proven| revoked.has("a", &key, proven);
            assert_eq!(has(&ada), of_ada, "{revocation:?}");
            assert_eq!(has(&undated), of_undated, "{revocation:?}");
            assert_eq!(has(&plain), of_plain, "{revocation:?}");
            assert!(!revoked.has("a", &Credential::Secret(secret.clone()), &plain));
        }
        let times = [500, 2000, 700].map(|time| one(None, None, None, Some(at(time))));
        assert!(
            Revoked::new(&times).has("a", &key, &ada),
            "the latest counts"
        );
        assert!(!Revoked::new(&[]).has("a", &key, &plain));
    }
}
