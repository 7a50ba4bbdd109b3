//! Servers that a domain names in DNS (RFC 6186, RFC 8314).

use std::future::Future;
use std::io;

use jackfield_socket::{Endpoint, Host};

use super::{Found, How, MAX_SERVERS, Security, Server, Trust, Who, well_known};

/// What DNS says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Answer<T> {
    /// The records; none where there are none.
    pub records: Vec<T>,
    /// Whether the resolver has verified them by DNSSEC, and nobody between it and here can have changed
    /// them.
    pub is_dnssec: bool,
}

impl<T> Answer<T> {
    /// Records that nobody verified.
    pub fn new(records: Vec<T>) -> Self {
        Self {
            records,
            is_dnssec: false,
        }
    }

    /// Records that were verified by DNSSEC.
    pub fn verified(records: Vec<T>) -> Self {
        Self {
            records,
            is_dnssec: true,
        }
    }
}

/// Nothing, by nobody's word.
impl<T> Default for Answer<T> {
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

/// A service (RFC 2782).
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "the record has these and no others"
)]
pub struct Srv {
    /// The lowest is asked first.
    pub priority: u16,
    /// Of one priority, the highest is asked most.
    pub weight: u16,
    /// Its port.
    pub port: u16,
    /// Its host; `.` where the domain hasn't this service.
    pub target: String,
}

/// Where a domain's mail goes (RFC 1035).
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "the record has these and no others"
)]
pub struct Mx {
    /// The lowest is asked first.
    pub preference: u16,
    /// The host that takes it.
    pub exchange: String,
}

/// Asks DNS: the system's resolver, or DNS over HTTPS.
pub trait Resolve: Send + Sync {
    /// The services of a name, such as `_imaps._tcp.example.org`.
    fn srv(&self, name: &str) -> impl Future<Output = io::Result<Answer<Srv>>> + Send;

    /// Where a domain's mail goes.
    fn mx(&self, domain: &str) -> impl Future<Output = io::Result<Answer<Mx>>> + Send;
}

/// Knows nothing.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "it is nothing")]
pub struct NoResolver;

impl Resolve for NoResolver {
    async fn srv(&self, _: &str) -> io::Result<Answer<Srv>> {
        Ok(Answer::new(Vec::new()))
    }

    async fn mx(&self, _: &str) -> io::Result<Answer<Mx>> {
        Ok(Answer::new(Vec::new()))
    }
}

pub(super) async fn find(
    resolve: &impl Resolve,
    who: &Who,
    failures: &mut Vec<(String, io::Error)>,
) -> Option<Found> {
    let domain = &who.domain;
    let name = |service: &str| format!("{service}._tcp.{domain}");
    let names = [
        name("_imaps"),
        name("_imap"),
        name("_submissions"),
        name("_submission"),
    ];
    let answers = tokio::join!(
        resolve.srv(&names[0]),
        resolve.srv(&names[1]),
        resolve.srv(&names[2]),
        resolve.srv(&names[3]),
    );
    let mut is_dnssec = true;
    let mut servers = [Vec::new(), Vec::new(), Vec::new(), Vec::new()];
    let kinds = [
        Security::Tls,
        Security::StartTls,
        Security::Tls,
        Security::StartTls,
    ];
    let answers = [answers.0, answers.1, answers.2, answers.3];
    for (index, (name, answer)) in names.into_iter().zip(answers).enumerate() {
        match answer {
            Ok(answer) => {
                is_dnssec &= answer.is_dnssec || answer.records.is_empty();
                servers[index] = of(answer.records, kinds[index]);
            }
            Err(error) => failures.push((format!("the service {name}"), error)),
        }
    }
    // TLS from the start comes first (RFC 8314, section 3).
    let [imaps, imap, submissions, submission] = servers;
    let imap = [imaps, imap].concat();
    let submission = [submissions, submission].concat();
    if !imap.is_empty() && !submission.is_empty() {
        let all = [&imap[..], &submission[..]].concat();
        return Some(Found {
            how: How::Srv {
                domain: domain.clone(),
            },
            trust: Trust::of(domain, is_dnssec, &all),
            name: None,
            imap,
            submission,
            oauth: None,
        });
    }
    by_mx(resolve, who, failures).await
}

/// The servers of a service's records, in the order in which they are to be asked.
fn of(mut records: Vec<Srv>, security: Security) -> Vec<Server> {
    records.sort_by_key(|record| (record.priority, u16::MAX - record.weight));
    let servers = records.into_iter().filter_map(|record| {
        let host: Host = record.target.parse().ok()?;
        (record.port > 0).then(|| Server {
            endpoint: Endpoint::new(host, record.port),
            security,
            user: None,
            auth: Vec::new(),
        })
    });
    servers.take(MAX_SERVERS).collect()
}

async fn by_mx(
    resolve: &impl Resolve,
    who: &Who,
    failures: &mut Vec<(String, io::Error)>,
) -> Option<Found> {
    let answer = match resolve.mx(&who.domain).await {
        Ok(answer) => answer,
        Err(error) => {
            failures.push((format!("where mail of {} goes", who.domain), error));
            return None;
        }
    };
    let mut records = answer.records;
    records.sort_by_key(|record| record.preference);
    let mut found = well_known::by_mx(who, &records.first()?.exchange)?;
    let all = [&found.imap[..], &found.submission[..]].concat();
    found.trust = Trust::of(&who.domain, answer.is_dnssec, &all);
    Some(found)
}
