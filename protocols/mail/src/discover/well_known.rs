//! Services that are known: those that have most of the world's mailboxes, and some to send by.

use jackfield_socket::{Endpoint, Host};

use super::{Auth, Found, How, OAuth, Security, Server, Trust, Who};

/// The table; it says itself how it is written.
const TABLE: &str = include_str!("services.txt");

/// Where services give out tokens: their names, the issuer, the scopes, and the two endpoints. Those are
/// here who publish them for everybody's apps.
const OAUTH: [(&[&str], &str, &str, &str, &str); 2] = [
    (
        &["gmail"],
        "accounts.google.com",
        "https://mail.google.com/",
        "https://accounts.google.com/o/oauth2/v2/auth",
        "https://oauth2.googleapis.com/token",
    ),
    (
        &["outlook", "office365"],
        "login.microsoftonline.com",
        "https://outlook.office.com/IMAP.AccessAsUser.All https://outlook.office.com/SMTP.Send offline_access",
        "https://login.microsoftonline.com/common/oauth2/v2.0/authorize",
        "https://login.microsoftonline.com/common/oauth2/v2.0/token",
    ),
];

/// A service: a row of the table.
#[derive(Clone, Copy)]
struct Service {
    name: &'static str,
    domains: &'static str,
    mx: &'static str,
    imap: &'static str,
    submission: &'static str,
    login: &'static str,
}

fn services() -> impl Iterator<Item = Service> {
    let lines = TABLE
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty());
    let mut cells = lines.flat_map(|line| line.split('|').map(str::trim));
    std::iter::from_fn(move || {
        Some(Service {
            name: cells.next()?,
            domains: cells.next()?,
            mx: cells.next()?,
            imap: cells.next()?,
            submission: cells.next()?,
            login: cells.next()?,
        })
    })
}

/// The names of the services that are known.
pub fn names() -> impl Iterator<Item = &'static str> {
    services().map(|service| service.name)
}

/// A service by its [name](names), in any case: `gmail`, `office365`, `proton-bridge`. What to log in as
/// is not said.
pub fn by_name(name: &str) -> Option<Found> {
    let service = services().find(|service| service.name.eq_ignore_ascii_case(name))?;
    Some(service.found(None))
}

/// The service whose addresses have this domain; `None` where that is nobody who is known.
///
/// ```
/// use jackfield_mail::discover::by_domain;
///
/// let found = by_domain("gmail.com").expect("it is known");
/// assert_eq!(found.imap[0].endpoint.to_string(), "imap.gmail.com:993");
/// assert!(by_domain("example.org").is_none());
/// ```
pub fn by_domain(domain: &str) -> Option<Found> {
    services()
        .find(|service| service.has(domain))
        .map(|service| service.found(None))
}

pub(super) fn of(who: &Who) -> Option<Found> {
    let service = services().find(|service| service.has(&who.domain))?;
    Some(service.found(Some(who)))
}

/// The service that takes mail at this host, for other domains than its own.
pub(super) fn by_mx(who: &Who, host: &str) -> Option<Found> {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let is = |suffix: &&str| {
        let rest = host.strip_suffix(*suffix).filter(|_| !suffix.is_empty());
        rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    // The longest suffix says most: personal mailboxes of Microsoft's have hosts below those of firms.
    let longest = |service: Service| {
        let len = service.mx.split(' ').filter(is).map(str::len).max()?;
        Some((len, service))
    };
    let found = services().filter_map(longest).max_by_key(|(len, _)| *len);
    let (_, service) = found?;
    let mut found = service.found(Some(who));
    found.how = How::Mx {
        host,
        name: service.name,
    };
    Some(found)
}

impl Service {
    fn has(&self, domain: &str) -> bool {
        let mut domains = self.domains.split(' ');
        domains.any(|known| !known.is_empty() && known.eq_ignore_ascii_case(domain))
    }

    fn is(&self, word: &str) -> bool {
        self.login.split(' ').any(|known| known == word)
    }

    fn oauth(&self) -> Option<OAuth> {
        let known = OAUTH.iter().find(|(names, ..)| names.contains(&self.name));
        known.map(
            |(_, issuer, scopes, authorization_endpoint, token_endpoint)| OAuth {
                issuer: (*issuer).to_owned(),
                scopes: scopes.split(' ').map(str::to_owned).collect(),
                authorization_endpoint: (*authorization_endpoint).to_owned(),
                token_endpoint: (*token_endpoint).to_owned(),
            },
        )
    }

    fn found(&self, who: Option<&Who>) -> Found {
        let user = |local: &[&str]| {
            let who = who.filter(|_| !self.is("own"))?;
            let is_local = local.iter().any(|word| self.is(word));
            Some(if is_local { &who.local } else { &who.address })
        };
        let ways = [("oauth", Auth::OAuth), ("password", Auth::Password)];
        let auth: Vec<Auth> = ways
            .into_iter()
            .filter(|(word, _)| self.is(word))
            .map(|(_, way)| way)
            .collect();
        let servers = |at: &str, port: u16, user: Option<&String>| {
            let (host, port, security) = match at.split_once(':') {
                Some((host, port)) => (host, port.parse().ok(), Security::StartTls),
                None => (at, Some(port), Security::Tls),
            };
            // The table's are right, by a test; where there is none, it is empty.
            let server = host
                .parse::<Host>()
                .ok()
                .zip(port)
                .map(|(host, port)| Server {
                    endpoint: Endpoint::new(host, port),
                    security,
                    user: user.cloned(),
                    auth: auth.clone(),
                });
            server.into_iter().collect()
        };
        Found {
            how: How::WellKnown { name: self.name },
            trust: Trust::Domain,
            name: None,
            imap: servers(self.imap, 993, user(&["local", "local-imap"])),
            submission: servers(self.submission, 465, user(&["local"])),
            oauth: self.oauth(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discover::InvalidAddress;

    #[test]
    fn the_table_is_in_order() {
        let mut domains = Vec::new();
        for service in services() {
            let found = by_name(service.name).expect("it is found by its name");
            assert_eq!(found.how, How::WellKnown { name: service.name });
            assert_eq!(found.submission.len(), 1, "{}", service.name);
            assert_eq!(found.imap.len(), usize::from(!service.imap.is_empty()));
            assert!(!found.submission[0].auth.is_empty(), "{}", service.name);
            domains.extend(service.domains.split_whitespace());
            for host in service
                .domains
                .split_whitespace()
                .chain(service.mx.split_whitespace())
            {
                let host: Host = host.parse().expect("a host");
                assert_eq!(host.to_string(), host.to_string().to_lowercase());
            }
        }
        let count = domains.len();
        domains.sort_unstable();
        domains.dedup();
        assert_eq!(domains.len(), count, "a domain is one service's");
        assert!(names().count() >= 30);
        for (names, ..) in OAUTH {
            for name in names {
                let found = by_name(name).expect("it is in the table");
                assert!(found.imap[0].auth.contains(&Auth::OAuth), "{name}");
                assert!(found.oauth.is_some(), "{name}");
            }
        }
    }

    #[test]
    fn what_to_log_in_as() -> Result<(), InvalidAddress> {
        for (address, user) in [
            ("Ada@GMail.com", Some("Ada@gmail.com")),
            ("ada@riseup.net", Some("ada")),
            ("ada@me.com", Some("ada")),
            ("ada@proton.me", None),
        ] {
            let found = of(&Who::parse(address)?).expect(address);
            assert_eq!(found.imap[0].user.as_deref(), user);
        }
        let found = of(&Who::parse("ada@me.com")?).expect("it is known");
        assert_eq!(found.submission[0].user.as_deref(), Some("ada@me.com"));
        Ok(())
    }

    #[test]
    fn who_carries_the_mail_of_others() -> Result<(), InvalidAddress> {
        let who = Who::parse("ada@example.org")?;
        for (host, name) in [
            ("aspmx.l.google.com", "gmail"),
            ("ASPMX2.googlemail.com.", "gmail"),
            ("example-org.mail.protection.outlook.com", "office365"),
            ("example-org.olc.protection.outlook.com", "outlook"),
            ("in1-smtp.messagingengine.com", "fastmail"),
        ] {
            let found = by_mx(&who, host).expect(host);
            assert!(
                matches!(found.how, How::Mx { name: is, .. } if is == name),
                "{host}"
            );
        }
        assert!(by_mx(&who, "evilgoogle.com").is_none());
        assert!(by_mx(&who, "google.com.evil.example").is_none());
        Ok(())
    }
}
