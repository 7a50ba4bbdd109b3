//! Certificates that an authority issues to the relay itself ([`acme`](crate::acme)): when the next one is due,
//! and what the authority is shown before.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use rustls::client::verify_server_name;
use rustls::server::{Acceptor, ParsedCertificate};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use super::{Certificates, Current, InUse};
use crate::acme;
use crate::acme::challenge::{self, Challenges};
use crate::config::Tls;

/// What goes on between the relay and its authority.
#[derive(Debug, Default)]
pub(super) struct Issued {
    challenges: Challenges,
    /// How many certificates were issued, and how many were asked for in vain.
    certificates: AtomicU64,
    failures: AtomicU64,
}

impl Certificates {
    /// Has certificates issued whenever one is due, where the relay gets them itself; else it is ready at once.
    pub(crate) async fn keep(self: Arc<Self>) {
        if let Tls::Acme(config) = &self.from {
            acme::keep(config, &self).await;
        }
    }

    /// When the next certificate is due; `None` where that is now, since there is none.
    pub(crate) fn due(&self) -> Option<SystemTime> {
        self.in_use().current.as_ref()?.due()
    }

    /// What the authority is shown.
    pub(crate) fn challenges(&self) -> &Challenges {
        &self.issued.challenges
    }

    /// A certificate was issued, which is in use from now on.
    ///
    /// # Errors
    /// Where it can't be shown; then what was in use goes on.
    pub(crate) fn issued(&self, new: Current) -> Result<(), String> {
        let mut in_use = self.change();
        let clients = in_use.clients.clone();
        *in_use = InUse::new(Some(new), clients).map_err(|error| error.to_string())?;
        self.issued.certificates.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// It was asked for in vain.
    pub(crate) fn not_issued(&self) {
        self.issued.failures.fetch_add(1, Ordering::Relaxed);
    }

    /// How many certificates were issued since the relay has started, and how many were asked for in vain;
    /// `None` where the relay asks for none.
    pub(crate) fn orders(&self) -> Option<(u64, u64)> {
        let Tls::Acme(_) = &self.from else {
            return None;
        };
        let [issued, failed] = [&self.issued.certificates, &self.issued.failures];
        Some((
            issued.load(Ordering::Relaxed),
            failed.load(Ordering::Relaxed),
        ))
    }

    /// As [`accept`](Self::accept): who speaks is known only by its first message.
    pub(super) async fn accept_issued(
        &self,
        stream: TcpStream,
    ) -> io::Result<Option<Box<TlsStream<TcpStream>>>> {
        let begun = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
        let hello = begun.client_hello();
        if challenge::asks(&hello) {
            let answer = self.issued.challenges.answer(hello.server_name());
            let answer = answer.ok_or_else(|| {
                io::Error::other("a challenge is asked for where there is no order for that name")
            })?;
            let mut stream = begun.into_stream(answer).await?;
            stream.shutdown().await?;
            return Ok(None);
        }
        let stream = begun.into_stream(self.config()?).await?;
        Ok(Some(Box::new(stream)))
    }
}

impl Current {
    /// A chain and its key, both in PEM, that an authority has issued for these domains.
    ///
    /// # Errors
    /// Where they don't belong together, or to these domains, or don't say how long they are good.
    pub(crate) fn issued(chain: &str, key: &str, domains: &[String]) -> Result<Self, String> {
        let chain = CertificateDer::pem_slice_iter(chain.as_bytes()).collect::<Result<Vec<_>, _>>();
        let chain = chain.map_err(|error| error.to_string())?;
        let first = chain.first().ok_or("there is no certificate in it")?;
        let parsed = ParsedCertificate::try_from(first).map_err(|error| error.to_string())?;
        for domain in domains {
            let name = ServerName::try_from(&**domain).map_err(|error| error.to_string())?;
            verify_server_name(&parsed, &name)
                .map_err(|_| format!("the certificate is not for {domain}"))?;
        }
        // The complaint might show the key.
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes())
            .map_err(|_| "there is no private key in it")?;
        let new = Self::new(chain, key).map_err(|error| error.to_string())?;
        if new.validity.is_none() {
            return Err("the certificate doesn't say how long it is good".into());
        }
        Ok(new)
    }

    /// When another one is to be had: when a third of its time is left, so that there are many days to find out
    /// why that fails.
    pub(crate) fn due(&self) -> Option<SystemTime> {
        let (from, to) = self.validity?;
        let time = to.duration_since(from).unwrap_or_default();
        to.checked_sub(time / 3)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    fn made(domains: &[&str]) -> (String, String) {
        let domains: Vec<_> = domains.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(domains).expect("names");
        params.not_before = date_time_ymd(2026, 1, 1);
        params.not_after = date_time_ymd(2026, 3, 31);
        let key = KeyPair::generate().expect("a key");
        let made = params.self_signed(&key).expect("signed");
        (made.pem(), key.serialize_pem())
    }

    #[test]
    fn another_one_is_due_when_a_third_of_its_time_is_left() {
        let domains = ["a.example".to_owned(), "b.example".to_owned()];
        let (chain, key) = made(&["a.example", "b.example"]);
        let current = Current::issued(&chain, &key, &domains).expect("good");
        // 2026 begins 20454 days after 1970. Of these 89 days, two thirds are 59 days and 8 hours.
        let hours = (20454 + 59) * 24 + 8;
        assert_eq!(
            current.due(),
            Some(UNIX_EPOCH + Duration::from_hours(hours))
        );
        // The day of which this is a test is later.
        assert!(current.has_ended());
    }

    #[test]
    fn what_is_not_for_these_domains_is_not_taken() {
        let domains = ["a.example".to_owned(), "b.example".to_owned()];
        let (chain, key) = made(&["a.example"]);
        let (both, other_key) = made(&["a.example", "b.example"]);
        for (chain, key) in [
            (&*chain, &*key),
            (&both, &key),
            (&both, "no key"),
            ("no chain", &other_key),
        ] {
            assert!(Current::issued(chain, key, &domains).is_err());
        }
        assert!(Current::issued(&both, &other_key, &domains).is_ok());
    }
}
