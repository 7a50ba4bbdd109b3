//! Finding the servers of an address.
//!
//! A [`Finder`] asks in this order, and takes the first that knows IMAP and submission servers:
//!
//! 1. the table of well-known services, which is built in;
//! 2. the domain itself, over HTTPS (autoconfig);
//! 3. a database of providers, over HTTPS (the ISPDB);
//! 4. the domain's DNS: services (SRV, RFC 6186 and RFC 8314), and then where its mail goes (MX), by which a
//!    well-known service is recognised that carries the mail of many domains;
//! 5. [guesses](guess), which are to be tried: [`probe`].
//!
//! Neither HTTP nor DNS is spoken here: whoever asks gives a [`Fetch`] and a [`Resolve`], such as the page's
//! own `fetch`, and DNS over it. Each result says [how](Found::how) it was found, and [how far](Found::trust)
//! that can be believed.

mod autoconfig;
mod dns;
mod guess;
mod well_known;
mod xml;

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io;

use jackfield_socket::{Endpoint, HostName};

pub use autoconfig::{DATABASE, parse_autoconfig};
pub use dns::{Answer, Mx, NoResolver, Resolve, Srv};
pub use guess::{guess, probe};
pub use well_known::{by_domain, by_name, names};

/// How large an answer of [`Fetch`] may be, in bytes. Those of the ISPDB have some three thousand.
pub const MAX_AUTOCONFIG: usize = 256 * 1024;

/// How many servers of a kind are told.
const MAX_SERVERS: usize = 20;

/// A server for mail.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Server {
    /// Where it is.
    pub endpoint: Endpoint,
    /// How it is secured.
    pub security: Security,
    /// What to log in as; `None` where it is not known, and then it mostly is the address.
    pub user: Option<String>,
    /// How to log in, what it prefers first. Empty where it is not known.
    pub auth: Vec<Auth>,
}

/// How a server is secured. Those that are not are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Security {
    /// TLS from the start.
    Tls,
    /// STARTTLS.
    StartTls,
}

/// How to log in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Auth {
    /// With a password, over TLS. Of services that have [`OAuth`](Self::OAuth) too, mostly one that was made
    /// for the app.
    Password,
    /// With a password that is not sent (CRAM-MD5, SCRAM).
    EncryptedPassword,
    /// With a token (XOAUTH2, OAUTHBEARER).
    OAuth,
    /// In another way, by its name in autoconfig: `GSSAPI`, `TLS-client-cert`.
    Unknown(String),
}

/// The servers of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Found {
    /// How they were found.
    pub how: How,
    /// How far they can be believed.
    pub trust: Trust,
    /// What the provider is called.
    pub name: Option<String>,
    /// Where mail is read, what is preferred first.
    pub imap: Vec<Server>,
    /// Where mail is sent, what is preferred first.
    pub submission: Vec<Server>,
    /// Where the tokens for [`Auth::OAuth`] come from, where that was told.
    pub oauth: Option<OAuth>,
}

/// Where a provider gives out tokens (`oAuth2` in autoconfig; RFC 6749). An app has to be registered there
/// under the issuer's name. As the servers are, so is this to be [believed](Trust).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OAuth {
    /// Whose tokens these are: `accounts.google.com`.
    pub issuer: String,
    /// What to ask for, each by its name.
    pub scopes: Vec<String>,
    /// Where the user is asked (RFC 6749, section 3.1). It begins with `https://`.
    pub authorization_endpoint: String,
    /// Where the tokens are got (RFC 6749, section 3.2). It begins with `https://`.
    pub token_endpoint: String,
}

/// How servers were found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum How {
    /// By the table that is built in.
    WellKnown {
        /// The service's name there.
        name: &'static str,
    },
    /// By a configuration for mail apps.
    Autoconfig {
        /// Where it stands.
        url: String,
    },
    /// By the services of the domain in DNS.
    Srv {
        /// The domain.
        domain: String,
    },
    /// By the table that is built in, after DNS said where the domain's mail goes.
    Mx {
        /// Where it goes.
        host: String,
        /// The service's name in the table.
        name: &'static str,
    },
    /// They are guesses, to be tried.
    Guess,
}

/// How far a result can be believed. Whoever sends a password to a server believes that it is the
/// provider's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trust {
    /// It is the domain's own word, over HTTPS, or by DNS with DNSSEC; or it is built in.
    Domain,
    /// It is the word of somebody else over HTTPS: the database's.
    ThirdParty,
    /// Anybody between here and there may have said it, but all servers are in the address's domain, so
    /// that only their owner has certificates for them.
    SameDomain,
    /// Anybody between here and there may have said it, and the servers are of another domain. RFC 6186,
    /// section 6, wants a person to be shown them and asked.
    Unconfirmed,
}

impl Trust {
    /// Whether a person must agree before a password goes there.
    pub fn must_be_confirmed(self) -> bool {
        self == Self::Unconfirmed
    }

    /// Of what came by a way that is not safe.
    fn of(domain: &str, is_dnssec: bool, servers: &[Server]) -> Self {
        let is_inside = |server: &Server| {
            let host = server.endpoint.host().to_string();
            host == domain
                || host
                    .strip_suffix(domain)
                    .is_some_and(|host| host.ends_with('.'))
        };
        if is_dnssec {
            Self::Domain
        } else if servers.iter().all(is_inside) {
            Self::SameDomain
        } else {
            Self::Unconfirmed
        }
    }
}

/// Fetches what stands at an `https:` address: the page's `fetch`, or an HTTP client.
///
/// It follows redirections to other `https:` addresses only, and never an invalid certificate.
pub trait Fetch: Send + Sync {
    /// What stands there; `None` where nothing does (404 and the like). It reads no more than `max` bytes:
    /// what is longer may be cut there.
    fn get(
        &self,
        url: &str,
        max: usize,
    ) -> impl Future<Output = io::Result<Option<Vec<u8>>>> + Send;
}

/// Fetches nothing.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "it is nothing")]
pub struct NoFetch;

impl Fetch for NoFetch {
    async fn get(&self, _: &str, _: usize) -> io::Result<Option<Vec<u8>>> {
        Ok(None)
    }
}

/// Finds servers.
///
/// ```
/// use jackfield_mail::discover::{Fetch, Finder, How, NoResolver};
///
/// /// In a page, this asks the page's `fetch`.
/// struct Web;
///
/// impl Fetch for Web {
///     async fn get(&self, url: &str, _max: usize) -> std::io::Result<Option<Vec<u8>>> {
///         Ok((url == "https://autoconfig.example.org/mail/config-v1.1.xml?emailaddress=ada%40example.org")
///             .then(|| b"<clientConfig><emailProvider>\
///                 <incomingServer type='imap'><hostname>imap.example.org</hostname>\
///                 <port>993</port><socketType>SSL</socketType></incomingServer>\
///                 <outgoingServer type='smtp'><hostname>smtp.example.org</hostname>\
///                 <port>465</port><socketType>SSL</socketType></outgoingServer>\
///                 </emailProvider></clientConfig>".to_vec()))
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), jackfield_mail::discover::InvalidAddress> {
/// let search = Finder::new(Web, NoResolver).find("ada@example.org").await?;
/// assert!(matches!(search.found.how, How::Autoconfig { .. }));
/// assert_eq!(search.found.imap[0].endpoint.to_string(), "imap.example.org:993");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Finder<F, R> {
    fetch: F,
    resolve: R,
    /// Where the database stands that is asked, without its last slash; `None` asks none. Default:
    /// [`DATABASE`]. It is told domains, never addresses.
    pub database: Option<String>,
}

/// What came of a search.
#[derive(Debug)]
#[non_exhaustive]
pub struct Search {
    /// The servers.
    pub found: Found,
    /// What could not be asked on the way, and why: a step's name and its error.
    pub failures: Vec<(String, io::Error)>,
}

/// It is no address whose servers can be looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "there is nothing more to say")]
pub struct InvalidAddress;

impl fmt::Display for InvalidAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an address is a name, an @ and a domain in ASCII (xn-- and so on)")
    }
}

impl Error for InvalidAddress {}

impl<F: Fetch, R: Resolve> Finder<F, R> {
    /// A finder that asks these.
    pub fn new(fetch: F, resolve: R) -> Self {
        Self {
            fetch,
            resolve,
            database: Some(DATABASE.to_owned()),
        }
    }

    /// The servers of an address. There is always a result: the last of them is a guess.
    ///
    /// It takes as long as those take who are asked; who wants it within a time drops it.
    ///
    /// # Errors
    /// Where it is no address, or its domain is not in ASCII: a page's `URL` makes it so.
    ///
    /// # Cancel safety
    /// Dropping the future drops what is asked.
    pub async fn find(&self, address: &str) -> Result<Search, InvalidAddress> {
        let who = Who::parse(address)?;
        let mut failures = Vec::new();
        if let Some(found) = well_known::of(&who) {
            return Ok(Search { found, failures });
        }
        if let Some(found) = self.autoconfig(&who, &mut failures).await {
            return Ok(Search { found, failures });
        }
        if let Some(found) = dns::find(&self.resolve, &who, &mut failures).await {
            return Ok(Search { found, failures });
        }
        let found = guess::of(&who);
        Ok(Search { found, failures })
    }

    async fn autoconfig(
        &self,
        who: &Who,
        failures: &mut Vec<(String, io::Error)>,
    ) -> Option<Found> {
        let [first, second] = autoconfig::own(who);
        // Both at once, and the first counts more.
        let answers = tokio::join!(
            self.fetch.get(&first, MAX_AUTOCONFIG),
            self.fetch.get(&second, MAX_AUTOCONFIG)
        );
        let answers = [(first, answers.0), (second, answers.1)];
        for (url, answer) in answers {
            if let Some(found) = read(who, url, answer, Trust::Domain, failures) {
                return Some(found);
            }
        }
        let url = format!("{}/{}", self.database.as_deref()?, who.domain);
        let answer = self.fetch.get(&url, MAX_AUTOCONFIG).await;
        read(who, url, answer, Trust::ThirdParty, failures)
    }
}

fn read(
    who: &Who,
    url: String,
    answer: io::Result<Option<Vec<u8>>>,
    trust: Trust,
    failures: &mut Vec<(String, io::Error)>,
) -> Option<Found> {
    let xml = match answer {
        Ok(answer) => answer?,
        Err(error) => {
            failures.push((url, error));
            return None;
        }
    };
    let mut found = autoconfig::parse(&xml, who, url, trust)?;
    let is_complete = !found.imap.is_empty() && !found.submission.is_empty();
    found.imap.truncate(MAX_SERVERS);
    found.submission.truncate(MAX_SERVERS);
    is_complete.then_some(found)
}

/// Whose servers are looked for.
struct Who {
    address: String,
    local: String,
    domain: String,
}

impl Who {
    fn parse(address: &str) -> Result<Self, InvalidAddress> {
        let address = address.trim();
        let (local, domain) = address.rsplit_once('@').ok_or(InvalidAddress)?;
        let domain: HostName = domain.parse().map_err(|_| InvalidAddress)?;
        let is_local = !local.is_empty() && local.len() <= 256 && !local.contains(char::is_control);
        if !is_local {
            return Err(InvalidAddress);
        }
        let domain = domain.to_string();
        Ok(Self {
            address: format!("{local}@{domain}"),
            local: local.to_owned(),
            domain,
        })
    }
}
