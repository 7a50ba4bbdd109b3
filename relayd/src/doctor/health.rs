//! What a load balancer, and whoever watches the relay, asks it.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use futures_util::future::join_all;
use httpdate::{HttpDate, parse_http_date};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{DEADLINE, Diagnosis, Doctor};
use crate::address::special_purpose;
use crate::config::{HEALTH_PATH, READY_PATH};
use crate::conformance::client::{Answer, Carrier};

/// How far the clocks may be apart: what tokens are given, and an answer that is on its way.
const CLOCKS_APART: Duration = Duration::from_mins(1);
/// How much is read of why a relay takes nobody, in bytes.
const MAX_BODY: u64 = 256;
/// How much is read of what may be metrics, in bytes: they begin with a line of ours.
const MAX_METRICS: u64 = 8192;
/// How long nobody has to answer for nothing to be there.
const WITHOUT_ANSWER: Duration = Duration::from_secs(3);

impl Doctor {
    /// What a balancer asks. A proxy may keep it for itself.
    pub(super) async fn health(&self, found: &mut Diagnosis) {
        for path in [HEALTH_PATH, READY_PATH] {
            let mut request = self
                .suite
                .request()
                .without("Upgrade")
                .set("Connection", "close");
            request.path = path.into();
            match self.step(self.suite.ask(&request)).await {
                Ok((_, answer)) if answer.status == 200 => {
                    found.well(format!("{path} answers 200"));
                    if path == HEALTH_PATH {
                        clock(&answer, found);
                    }
                }
                Ok((mut stream, answer)) if answer.status == 503 && path == READY_PATH => {
                    let why = self.body(&mut stream).await;
                    found.wrong(format!(
                        "{path} answers 503, {why:?}: no load balancer sends clients here. That is right for a \
                         relay that ends; otherwise its log says more"
                    ));
                }
                Ok((_, answer)) => found.doubtful(format!(
                    "{path} answers {}: a proxy before the relay keeps it for itself, or this is no jackfield-relayd",
                    answer.status
                )),
                Err(why) => found.doubtful(format!("{path}: {why}")),
            }
        }
    }

    /// The first line of what comes behind an answer's head.
    async fn body(&self, stream: &mut Carrier) -> String {
        let mut body = Vec::new();
        let mut stream = stream.take(MAX_BODY);
        let reading = stream.read_to_end(&mut body);
        // What was said by then is all there is.
        let _ = timeout(DEADLINE, reading).await;
        let text = String::from_utf8_lossy(&body);
        text.lines().next().unwrap_or_default().to_owned()
    }

    /// Whether one is told here what only who watches the relay should be.
    pub(super) async fn metrics(&self, addresses: &[SocketAddr], found: &mut Diagnosis) {
        if self.metrics_port == 0 {
            return;
        }
        let asked = addresses.iter().map(async |address| {
            let at = SocketAddr::new(address.ip(), self.metrics_port);
            let told = timeout(WITHOUT_ANSWER, tells_metrics(at)).await;
            told.is_ok_and(|told| told.unwrap_or(false)).then_some(at)
        });
        for at in join_all(asked).await.into_iter().flatten() {
            let text = format!(
                "{at} tells its metrics to whoever asks: how many there are, when, and by which token. Let `metrics` \
                 be an address that only your Prometheus reaches"
            );
            // Who asks from the same network may well be he.
            match special_purpose(at.ip()) {
                None => found.wrong(text),
                Some(_) => found.doubtful(text),
            }
        }
    }
}

/// Whether somebody answers there with a relay's metrics.
async fn tells_metrics(at: SocketAddr) -> io::Result<bool> {
    let mut stream = TcpStream::connect(at).await?;
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").await?;
    let mut answer = Vec::new();
    stream.take(MAX_METRICS).read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).contains("\njackfield_"))
}

/// Whether the time there is the time here, which tokens and certificates depend on.
fn clock(answer: &Answer, found: &mut Diagnosis) {
    let there = answer
        .header("Date")
        .and_then(|date| parse_http_date(date).ok());
    let Some(there) = there else {
        return;
    };
    let here = SystemTime::now();
    let apart = there
        .duration_since(here)
        .or_else(|_| here.duration_since(there))
        .unwrap_or_default();
    if apart > CLOCKS_APART {
        found.wrong(format!(
            "it is {} there, and {} here: one of both clocks is wrong, by which tokens and certificates seem to \
             have ended, or not to have begun",
            HttpDate::from(there),
            HttpDate::from(here)
        ));
    }
}
