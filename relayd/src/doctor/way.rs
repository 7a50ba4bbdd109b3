//! The way to the relay: its name, its addresses, its certificate.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use httpdate::HttpDate;
use jackfield_socket::Host;
use tokio::time::timeout;

use super::{DEADLINE, Diagnosis, Doctor, Ended};
use crate::address::special_purpose;
use crate::certificate::Certificate;

/// How long before its end a certificate should have been renewed: what renews by itself does so earlier.
const RENEWED_BEFORE: Duration = Duration::from_hours(14 * 24);

impl Doctor {
    /// The name's addresses, and whether each is reached; TLS.
    pub(super) async fn way(&self, found: &mut Diagnosis) -> Result<(), Ended> {
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
        self.tls(&addresses, found).await
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
        match self.step(self.suite.certificate()).await {
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
            Err(why) => {
                found.wrong(why);
                Err(Ended)
            }
        }
    }
}
