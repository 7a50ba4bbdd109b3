//! ACME: the relay has a certificate authority issue its certificate, and renew it (RFC 8555).
//!
//! The authority sees that the domains are the relay's by a TLS connection to port 443 that only a challenge's
//! certificate answers (RFC 8737): no other port, no web server, and nothing to do with what clients say. The
//! relay listens at once. Until there is a certificate, the TLS of clients fails, and `/readyz` says so.
//!
//! The authority is trusted with the certificate, but not with the relay's memory or time.

pub(crate) mod challenge;
mod folder;
mod http;
mod order;

use std::path::PathBuf;
use std::time::{Duration, SystemTime};
use std::{fmt, io};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hyper::Uri;
use instant_acme::ExternalAccountKey;
use jackfield_socket::HostName;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use self::folder::Folder;
use crate::http_client::Resource;
use crate::tls::{Certificates, Current};

/// The most names of one certificate; Let's Encrypt takes no more.
const MAX_DOMAINS: usize = 100;
/// How long an order may take, from the directory to the certificate.
const ORDER_DEADLINE: Duration = Duration::from_mins(5);
/// How soon it is tried again after a failure; after each further one, three times as late. Authorities
/// count failures: Let's Encrypt allows five an hour.
const AGAIN: Duration = Duration::from_mins(1);
/// And how late at most.
const AGAIN_AT_MOST: Duration = Duration::from_hours(6);
/// How long is slept at a time, since the clock may be set meanwhile, and the machine suspended.
const NAP: Duration = Duration::from_hours(1);

/// Where the relay gets its certificate from by itself.
///
/// ```
/// use jackfield_relayd::AcmeConfig;
///
/// let domains = ["relay.example.org"];
/// let acme = AcmeConfig::new(AcmeConfig::LETS_ENCRYPT, None, &domains, "/var/lib/jackfield/acme")?;
/// # let mut config = jackfield_relayd::Config::default();
/// config.tls = Some(acme.into());
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcmeConfig {
    directory: String,
    roots: Option<String>,
    domains: Vec<String>,
    folder: PathBuf,
    email: Option<String>,
    external: Option<External>,
}

/// An account elsewhere, to which the authority binds the relay's (RFC 8555, section 7.3.4).
#[derive(Clone, PartialEq, Eq)]
struct External {
    id: String,
    key: Vec<u8>,
}

impl fmt::Debug for External {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The key is a secret.
        f.debug_tuple("External").field(&self.id).finish()
    }
}

impl External {
    fn key(&self) -> ExternalAccountKey {
        ExternalAccountKey::new(self.id.clone(), &self.key)
    }
}

impl AcmeConfig {
    /// The directory of Let's Encrypt.
    pub const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";

    /// A certificate for these domains, of an authority whose directory is at this `https` URL. Its own server
    /// is verified against these roots in PEM, or against those that the system trusts. What has to outlive the
    /// process stands in the folder: the account's key, the certificate, and its key.
    ///
    /// Whoever says so agrees to the authority's terms of service.
    ///
    /// # Errors
    /// Where that is no such URL, or the roots can't be used, or there are no domains, more than 100, or what
    /// is no name.
    pub fn new(
        directory: &str,
        roots: Option<&str>,
        domains: &[&str],
        folder: impl Into<PathBuf>,
    ) -> Result<Self, String> {
        check_directory(directory, roots)?;
        if domains.is_empty() || domains.len() > MAX_DOMAINS {
            return Err(format!("a certificate has 1 to {MAX_DOMAINS} domains"));
        }
        let domains = domains.iter().map(|domain| name(domain));
        Ok(Self {
            directory: directory.to_owned(),
            roots: roots.map(str::to_owned),
            domains: domains.collect::<Result<_, _>>()?,
            folder: folder.into(),
            email: None,
            external: None,
        })
    }

    /// Where the authority writes about the account, if it writes. Default: nowhere.
    ///
    /// # Errors
    /// Where that is no address.
    pub fn with_email(mut self, email: &str) -> Result<Self, String> {
        // It becomes a URL, in which others of these bytes would end it.
        let good = |byte: u8| byte.is_ascii_alphanumeric() || b".-_+@".contains(&byte);
        if email.matches('@').count() != 1
            || email.starts_with('@')
            || email.ends_with('@')
            || !email.bytes().all(good)
        {
            return Err(format!("{email:?} is not an address"));
        }
        self.email = Some(email.to_owned());
        Ok(self)
    }

    /// The account elsewhere that the authority binds the relay's to, by its identifier and its key in base64url, as
    /// the authority gives both out. It counts when the relay's account is made. Default: none.
    ///
    /// # Errors
    /// Where that is no key, or no identifier; without the key.
    pub fn with_external_account(mut self, id: &str, key: &str) -> Result<Self, String> {
        if id.is_empty() {
            return Err("an account's identifier is not empty".into());
        }
        let key = BASE64_URL_SAFE_NO_PAD.decode(key.trim_end_matches('='));
        let key = key.ok().filter(|key| !key.is_empty());
        self.external = Some(External {
            id: id.to_owned(),
            key: key.ok_or("the account's key is not base64url")?,
        });
        Ok(self)
    }
}

/// Whether that is a directory's URL, and the roots are some.
pub(crate) fn check_directory(url: &str, roots: Option<&str>) -> Result<(), String> {
    Resource::secure(url, roots)?;
    // What the library takes for granted.
    url.parse::<Uri>().map_err(|error| error.to_string())?;
    Ok(())
}

/// A domain as certificates have it.
pub(crate) fn name(domain: &str) -> Result<String, String> {
    let wrong = |what: &str| Err(format!("{domain:?} {what}"));
    match domain.parse::<HostName>() {
        Ok(_) if domain.starts_with("*.") => {
            wrong("is shown to be the relay's by no TLS connection: list the names themselves")
        }
        Ok(name) => Ok(name.as_str().to_owned()),
        Err(_) => wrong("is not a name"),
    }
}

/// The certificate that was kept, where it is good yet; the folder is made if it isn't there.
///
/// # Errors
/// Where the folder can't be written to.
pub(crate) fn kept(config: &AcmeConfig) -> io::Result<Option<Current>> {
    let folder = Folder::make(config)?;
    let found = folder.certificate().and_then(|found| {
        let Some((chain, key)) = found else {
            return Ok(None);
        };
        let found = Current::issued(&chain, &key, &config.domains)?;
        if found.has_ended() {
            return Err("it has ended".into());
        }
        Ok(Some(found))
    });
    Ok(found.unwrap_or_else(|error| {
        warn!(folder = %config.folder.display(), error, "can't use the certificate that was kept");
        None
    }))
}

/// Has certificates issued, whenever one is due. It has no end.
pub(crate) async fn keep(config: &AcmeConfig, certificates: &Certificates) {
    let directory = &config.directory;
    let mut failures = 0;
    loop {
        match certificates.due() {
            None => info!(directory, "there is no certificate yet: asking for one"),
            Some(due) => {
                sleep_until(due).await;
                info!(
                    directory,
                    "the certificate ends soon: asking for another one"
                );
            }
        }
        let order = order::issue(config, certificates.challenges());
        let issued = match timeout(ORDER_DEADLINE, order).await {
            Ok(issued) => issued.map_err(|error| error.to_string()),
            Err(_) => Err(format!("it takes longer than {ORDER_DEADLINE:?}")),
        };
        let issued = issued.and_then(|issued| {
            let due = issued.due();
            certificates.issued(issued).map(|()| due)
        });
        match issued {
            Ok(due) => {
                info!(directory, domains = ?config.domains, "there is a new certificate");
                if due > Some(SystemTime::now()) {
                    failures = 0;
                    continue;
                }
                warn!(
                    directory,
                    "the new certificate is due already: is the clock right?"
                );
            }
            Err(error) => {
                certificates.not_issued();
                warn!(
                    directory,
                    error, "can't get a certificate: what there is goes on"
                );
            }
        }
        let wait = again(failures);
        info!(directory, ?wait, "asks again for a certificate");
        sleep(wait).await;
        failures = failures.saturating_add(1);
    }
}

/// How long after so many failures before it is tried again.
fn again(failures: u32) -> Duration {
    let factor = 3_u32.checked_pow(failures).unwrap_or(u32::MAX);
    AGAIN.saturating_mul(factor).min(AGAIN_AT_MOST)
}

/// Sleeps until the clock says so.
async fn sleep_until(time: SystemTime) {
    while let Ok(left) = time.duration_since(SystemTime::now())
        && !left.is_zero()
    {
        sleep(left.min(NAP)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(domains: &[&str]) -> Result<AcmeConfig, String> {
        AcmeConfig::new(AcmeConfig::LETS_ENCRYPT, None, domains, "acme")
    }

    #[test]
    fn domains_are_names() {
        let good = with(&["Relay.example.org", "localhost"]).expect("names");
        assert_eq!(good.domains, ["relay.example.org", "localhost"]);
        for wrong in [
            &[][..],
            &[""],
            &["127.0.0.1"],
            &["*.example.org"],
            &["a b"],
            &["::1"],
        ] {
            assert!(with(wrong).is_err(), "{wrong:?}");
        }
        assert!(with(&["a.example"; MAX_DOMAINS + 1]).is_err());
    }

    #[test]
    fn a_directory_is_at_a_url_and_mail_at_an_address() {
        for wrong in [
            "http://ca.example/",
            "https://ca.example/<a>",
            "ca.example",
            "",
        ] {
            assert!(
                AcmeConfig::new(wrong, None, &["relay.example"], "acme").is_err(),
                "{wrong}"
            );
        }
        let config = || with(&["relay.example"]).expect("a name");
        assert!(config().with_email("ada+relay@example.org").is_ok());
        for wrong in [
            "ada", "@a", "a@", "a@b@c", "a b@c", "a@b,c@d", "a@b?c=d", "ä@b",
        ] {
            assert!(config().with_email(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_key_of_an_account_elsewhere_is_shown_nowhere() {
        let config = || with(&["relay.example"]).expect("a name");
        let key = "aGlkZGVuLWhpZGRlbg";
        for written in [key.to_owned(), format!("{key}==")] {
            let config = config().with_external_account("kid-1", &written);
            let config = config.expect("a key");
            assert_eq!(
                config.external.as_ref().map(|it| &*it.key),
                Some(&b"hidden-hidden"[..])
            );
            let shown = format!("{config:?}");
            assert!(shown.contains("kid-1") && !shown.contains("104"), "{shown}");
        }
        for (id, wrong) in [
            ("", key),
            ("kid-1", ""),
            ("kid-1", "hidden hidden"),
            ("kid-1", "a+/a"),
        ] {
            let error = config().with_external_account(id, wrong).expect_err(wrong);
            assert!(!error.contains("hidden"), "{error}");
        }
    }

    #[test]
    fn it_is_tried_again_later_and_later() {
        let minutes: Vec<_> = (0..7)
            .map(|failures| again(failures).as_secs() / 60)
            .collect();
        assert_eq!(minutes, [1, 3, 9, 27, 81, 243, 360]);
        assert_eq!(again(u32::MAX), AGAIN_AT_MOST);
    }
}
