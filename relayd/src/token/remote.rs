//! Keys at a URL: a set of JWKs that an identity provider publishes, as far as the relay has it.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::Notify;

use super::keys::PublicKeys;
use super::{Claims, TokenError};
use crate::http_client::Resource;

/// A set of JWKs at an `https` URL, any of which tokens may be signed with ([`PublicKeys`]).
///
/// The relay fetches it before it starts, or is reloaded, which fails where that does, and again as often as the answer's
/// `max-age` says, but between every 5 minutes and once a day, and every hour where it says nothing; and when
/// a token names a key that isn't there, at most once a minute. That token is not accepted yet. While the set
/// can't be had, the keys that were there go on, and it is asked for again after a minute. Sessions end whose
/// key is there no longer.
///
/// Clones are the same: what one learns, all know.
#[derive(Clone)]
pub struct RemoteKeys(Arc<Remote>);

struct Remote {
    resource: Resource,
    /// None before they were fetched for the first time.
    current: RwLock<Option<PublicKeys>>,
    /// A token has named a key that isn't there.
    wanted: Notify,
}

impl RemoteKeys {
    /// Keys that aren't fetched yet; whose server is verified against these roots in PEM, or against those
    /// that the system trusts.
    ///
    /// # Errors
    /// Where that is no `https` URL, or names a user or a fragment, or the roots can't be used.
    pub fn new(url: &str, roots: Option<&str>) -> Result<Self, String> {
        Ok(Self(Arc::new(Remote {
            resource: Resource::secure(url, roots)?,
            current: RwLock::default(),
            wanted: Notify::new(),
        })))
    }

    /// Where they are.
    pub fn url(&self) -> &str {
        self.0.resource.url()
    }

    /// Whether these are those, and not others that are fetched from the same place.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    pub(crate) fn resource(&self) -> &Resource {
        &self.0.resource
    }

    /// Takes these from now on; whether they are others than before.
    pub(crate) fn set(&self, keys: PublicKeys) -> bool {
        let mut current = self
            .0
            .current
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let new = Some(keys);
        let differs = *current != new;
        *current = new;
        differs
    }

    /// Waits until a token names a key that isn't there.
    ///
    /// # Cancel safety
    /// Dropping the future forgets nothing.
    pub(crate) async fn wanted(&self) {
        self.0.wanted.notified().await;
    }

    /// What a token says that one of these signed.
    pub(super) fn verify(&self, name: &str, presented: &str) -> Result<Claims, TokenError> {
        let current = self
            .0
            .current
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let Some(keys) = &*current else {
            return Err(TokenError::Unknown);
        };
        keys.verify(name, presented)
    }

    /// Nobody knows this token: if that is for the key that it names, the key may be a new one.
    pub(super) fn missed(&self, name: &str, presented: &str) {
        let current = self
            .0
            .current
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        if (current.as_ref()).is_none_or(|keys| keys.lack(name, presented)) {
            self.0.wanted.notify_one();
        }
    }
}

impl PartialEq for RemoteKeys {
    /// Whether the same is asked of the same server.
    fn eq(&self, other: &Self) -> bool {
        self.0.resource == other.0.resource
    }
}

impl Eq for RemoteKeys {}

impl fmt::Debug for RemoteKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RemoteKeys").field(&self.0.resource).finish()
    }
}
