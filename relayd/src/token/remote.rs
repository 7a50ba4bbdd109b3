//! Keys at a URL: a set of JWKs that an identity provider publishes, as far as the relay has it.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use jackfield_socket::{Endpoint, Error};
use jackfield_tls::{Certificates, TlsConfig, TlsConnector};
use tokio::sync::Notify;

use super::keys::PublicKeys;
use super::{Claims, TokenError};

/// The port of `https`.
const HTTPS: u16 = 443;

/// A set of JWKs at an `https` URL, any of which tokens may be signed with ([`PublicKeys`]).
///
/// The relay fetches it when it starts, which fails where that does, and again as often as the answer's
/// `max-age` says, but between every 5 minutes and once a day, and every hour where it says nothing; and when
/// a token names a key that isn't there, at most once a minute. That token is not accepted yet. While the set
/// can't be had, the keys that were there go on, and it is asked for again after a minute. Sessions end whose
/// key is there no longer.
///
/// Clones are the same: what one learns, all know.
#[derive(Clone)]
pub struct RemoteKeys(Arc<Remote>);

struct Remote {
    url: String,
    server: Endpoint,
    /// What is asked for there.
    path: String,
    roots: Option<String>,
    tls: TlsConfig,
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
        let rest = url
            .strip_prefix("https://")
            .ok_or("it begins with https://")?;
        let at = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(at);
        let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'#';
        if authority.contains('@') || !url.bytes().all(plain) {
            return Err("it has no user, no fragment, and ASCII characters only".into());
        }
        let server = authority
            .parse::<Endpoint>()
            .or_else(|_| format!("{authority}:{HTTPS}").parse())
            .map_err(|_| format!("{authority:?} is not a host"))?;
        let mut config = TlsConfig::new().with_alpn(["http/1.1"]);
        if let Some(roots) = roots {
            let roots = Certificates::from_pem(roots.as_bytes()).map_err(|e| e.to_string())?;
            config = config.with_roots(roots);
            TlsConnector::new(config.clone()).map_err(|error| error.to_string())?;
        }
        Ok(Self(Arc::new(Remote {
            url: url.to_owned(),
            server,
            path: match path {
                "" => "/".to_owned(),
                query if query.starts_with('?') => format!("/{query}"),
                path => path.to_owned(),
            },
            roots: roots.map(str::to_owned),
            tls: config,
            current: RwLock::default(),
            wanted: Notify::new(),
        })))
    }

    /// Where they are.
    pub fn url(&self) -> &str {
        &self.0.url
    }

    pub(crate) fn server(&self) -> &Endpoint {
        &self.0.server
    }

    pub(crate) fn path(&self) -> &str {
        &self.0.path
    }

    /// What verifies the server; the system's roots are read anew.
    pub(crate) fn tls(&self) -> Result<TlsConnector, Error> {
        TlsConnector::new(self.0.tls.clone())
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
        (self.url(), &self.0.roots) == (other.url(), &other.0.roots)
    }
}

impl Eq for RemoteKeys {}

impl fmt::Debug for RemoteKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RemoteKeys").field(&self.0.url).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_where_to_ask_and_for_what() {
        for (url, server, path) in [
            ("https://id.example", "id.example:443", "/"),
            ("https://id.example/keys", "id.example:443", "/keys"),
            (
                "https://id.example:8443/a/b?c=d",
                "id.example:8443",
                "/a/b?c=d",
            ),
            ("https://id.example?c", "id.example:443", "/?c"),
            ("https://127.0.0.1:1/", "127.0.0.1:1", "/"),
            ("https://[::1]/", "[::1]:443", "/"),
        ] {
            let keys = RemoteKeys::new(url, Some(&root())).expect(url);
            assert_eq!((&*keys.server().to_string(), keys.path()), (server, path));
        }
        for wrong in [
            "http://id.example/",
            "id.example",
            "https://",
            "https:///keys",
            "https://a@id.example/",
            "https://id.example/#a",
            "https://id.example/a b",
            "https://id.example/\r\nHost: x",
            "https://id.example:70000/",
        ] {
            assert!(RemoteKeys::new(wrong, Some(&root())).is_err(), "{wrong}");
        }
        assert!(RemoteKeys::new("https://id.example/", Some("no PEM")).is_err());
    }

    fn root() -> String {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("made");
        made.cert.pem()
    }
}
