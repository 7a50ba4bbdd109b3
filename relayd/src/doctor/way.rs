//! The way to the relay: its name, its addresses, its certificate.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use httpdate::HttpDate;
use jackfield_socket::{Error, ErrorKind, Host};
use jackfield_tls::{CertificateError, CertificateProblem};
use tokio::time::timeout;

use super::{DEADLINE, Diagnosis, Doctor, Ended};
use crate::address::special_purpose;
use crate::certificate::Certificate;

/// How long before its end a certificate should have been renewed: what renews by itself does so earlier.
const RENEWED_BEFORE: Duration = Duration::from_hours(14 * 24);

impl Doctor {
    /// The name's addresses, and whether each is reached; TLS.
    pub(super) async fn way(&self, found: &mut Diagnosis) -> Result<Vec<SocketAddr>, Ended> {
        let to = self.suite.relay.endpoint();
        let addresses = match to.host() {
            Host::Ip(ip) => vec![SocketAddr::new(*ip, to.port())],
            Host::Name(name) => {
                let asked = tokio::net::lookup_host((name.as_str(), to.port()));
                match timeout(DEADLINE, asked).await {
                    Ok(Ok(addresses)) => addresses.collect(),
                    Ok(Err(error)) => {
                        found.wrong(format!("{name} has no address: {error}"));
                        return Err(Ended);
                    }
                    Err(_) => {
                        found.wrong(format!("nobody says which addresses {name} has"));
                        return Err(Ended);
                    }
                }
            }
        };
        let mut reached = 0;
        for address in &addresses {
            match timeout(DEADLINE, tokio::net::TcpStream::connect(address)).await {
                Ok(Ok(_)) => {
                    reached += 1;
                    found.well(format!("{address} takes connections"));
                }
                Ok(Err(error)) => found.wrong(format!(
                    "{address} is an address of the relay, and can't be reached: {error}"
                )),
                Err(_) => found.wrong(format!(
                    "{address} is an address of the relay, and doesn't answer: is a firewall before it?"
                )),
            }
        }
        if reached == 0 {
            return Err(Ended);
        }
        self.tls(&addresses, found).await?;
        Ok(addresses)
    }

    async fn tls(&self, addresses: &[SocketAddr], found: &mut Diagnosis) -> Result<(), Ended> {
        if !self.suite.relay.is_secure() {
            let public = |address: &&SocketAddr| special_purpose(address.ip()).is_none();
            match addresses.iter().find(public) {
                Some(address) => found.wrong(format!(
                    "{address} is public and the relay's address is ws://: whoever is between reads the \
                     token; pages that came by https can't use it at all. Give the relay [tls], or a proxy \
                     that speaks it"
                )),
                None => found.doubtful("ws:// without TLS: good within this machine or network, and no further"),
            }
            return Ok(());
        }
        let shown = timeout(DEADLINE, self.suite.certificate()).await;
        let late = |_| Err(Error::new(ErrorKind::TimedOut, "nobody answers"));
        match shown.unwrap_or_else(late) {
            Ok(certificate) => {
                let host = self.suite.relay.endpoint().host();
                let good = format!("TLS: the certificate is good for {host}");
                match Certificate::read(&certificate) {
                    None => found.well(good),
                    Some(Certificate { not_after: end, .. }) => {
                        let left = end.duration_since(SystemTime::now()).unwrap_or_default();
                        let good = format!("{good}, until {}", HttpDate::from(end));
                        if left < RENEWED_BEFORE {
                            let days = left.as_secs() / (24 * 60 * 60);
                            found.doubtful(format!(
                                "{good}, which is in {days} days: renew it, and have the relay read it \
                                 again (SIGHUP, or `jackfield-relayd ctl reload`)"
                            ));
                        } else {
                            found.well(good);
                        }
                    }
                }
                Ok(())
            }
            Err(error) => {
                found.wrong(format!(
                    "TLS with the relay: {error}. {}",
                    what_helps(&error)
                ));
                Err(Ended)
            }
        }
    }
}

/// What to do about TLS that fails.
fn what_helps(error: &Error) -> &'static str {
    let Some(refused) = CertificateError::find(error) else {
        return "Does something else listen there, or a proxy that has no certificate for this name?";
    };
    match refused.reason() {
        CertificateProblem::UnknownIssuer if refused.chain().len() == 1 => {
            "Nothing but the relay's own certificate is shown: where an authority between has issued it, put \
             that one's behind it in certificate_file. Browsers may find it elsewhere, and programs don't. An \
             authority of your own is given by --root"
        }
        CertificateProblem::UnknownIssuer => {
            "Is one missing in certificate_file, between the relay's own and the root? An authority of your \
             own is given by --root"
        }
        CertificateProblem::WrongName => {
            "Use one of these names, or have a certificate for this one"
        }
        CertificateProblem::Expired => {
            "Renew it, and have the relay read it again (SIGHUP, or `jackfield-relayd ctl reload`); with \
             [tls.acme] the relay's log says why that failed"
        }
        CertificateProblem::NotYetValid => "Compare the clocks",
        CertificateProblem::Unusable => {
            "certificate_file begins with the relay's own certificate, and those of authorities follow"
        }
        _ => "Have another one issued",
    }
}
