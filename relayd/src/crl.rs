//! Lists of revoked certificates (CRL; RFC 5280, section 5): until when each is current, and saying so once it isn't.
//!
//! An authority says in each list when the next one is due. One that is older may lack what was revoked since, and
//! whoever was meant to put a new one there may not know.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use httpdate::HttpDate;
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::warn;

use crate::certificate::{INTEGER, SEQUENCE, element, expect, time};
use crate::handshake::Gate;

/// How long it is waited at most until the clock is looked at again, which may have been set.
const LOOK: Duration = Duration::from_hours(1);

/// When the next list is due, of one in DER (`nextUpdate`); `None` where that can't be read.
pub(crate) fn next_update(der: &[u8]) -> Option<SystemTime> {
    let (list, _) = expect(SEQUENCE, der)?;
    let (mut rest, _) = expect(SEQUENCE, list)?;
    if let Some((_version, behind)) = expect(INTEGER, rest) {
        rest = behind;
    }
    // The algorithm, and the issuer; then when it was made.
    let (_, rest) = expect(SEQUENCE, rest)?;
    let (_, rest) = expect(SEQUENCE, rest)?;
    let (tag, made, rest) = element(rest)?;
    time(tag, made)?;
    let (tag, due, _) = element(rest)?;
    time(tag, due)
}

/// What is to be said of a list that isn't current any more.
pub(crate) fn complaint(token: &str, due: SystemTime) -> String {
    format!(
        "client_crl_file: the token {token:?} has a list whose next one was due at {}: what was revoked \
         since is not known",
        HttpDate::from(due)
    )
}

/// Says of each list in use, once, when the next one is due and isn't there; then calls `outdated`, since what it
/// lets in may be other now. Of those that are outdated already, whoever starts the relay is told. It has no end.
pub(crate) async fn watch(mut rules: watch::Receiver<Arc<Gate>>, outdated: impl Fn()) {
    let lists = |rules: &mut watch::Receiver<Arc<Gate>>| -> Vec<(String, SystemTime)> {
        let gate = rules.borrow_and_update();
        let lists = gate.identity().lists();
        lists.map(|(name, due)| (name.to_owned(), due)).collect()
    };
    let mut told = Told::default();
    let _ = told.look(&lists(&mut rules), SystemTime::now());
    loop {
        let (news, wait) = told.look(&lists(&mut rules), SystemTime::now());
        for (token, due) in &news {
            warn!("{}", complaint(token, *due));
        }
        if !news.is_empty() {
            outdated();
        }
        tokio::select! {
            changed = rules.changed() => if changed.is_err() {
                return std::future::pending().await;
            },
            () = sleep(wait) => {}
        }
    }
}

/// The lists of which it was said.
#[derive(Default)]
struct Told(Vec<(String, SystemTime)>);

impl Told {
    /// Which lists are outdated that weren't when it was looked last, and when to look again.
    fn look(
        &mut self,
        lists: &[(String, SystemTime)],
        now: SystemTime,
    ) -> (Vec<(String, SystemTime)>, Duration) {
        let (old, current): (Vec<_>, Vec<_>) = lists.iter().partition(|(_, due)| *due <= now);
        let news = old.iter().filter(|list| !self.0.contains(**list));
        let news = news.copied().cloned().collect();
        self.0 = old.into_iter().cloned().collect();
        let left = current.iter().map(|(_, due)| due.duration_since(now));
        let wait = left.flatten().min().unwrap_or(LOOK).min(LOOK);
        (news, wait)
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use jackfield_testing::certs::Authority;
    use rustls_pki_types::CertificateRevocationListDer;
    use rustls_pki_types::pem::PemObject as _;

    use super::*;

    #[test]
    fn when_the_next_is_due_is_read_and_what_is_cut_off_is_not() {
        const DAY: u64 = 86_400;
        for days in [-1, 1, 40 * 365] {
            let list = Authority::new().revoked_until(&[7], days);
            let der = CertificateRevocationListDer::from_pem_slice(list.as_bytes());
            let der = der.expect("PEM");
            let due = next_update(&der).expect("it says so");
            let in_days = |days: u64| SystemTime::now() + Duration::from_secs(days * DAY);
            match u64::try_from(days) {
                Ok(days) => assert!(due > in_days(days - 1) && due < in_days(days)),
                Err(_) => assert!(due < in_days(0)),
            }
            for end in 0..der.len() {
                assert_eq!(next_update(&der[..end]), None, "{end}");
            }
        }
    }

    #[test]
    fn each_list_is_told_of_once_and_the_next_one_again() {
        let at = |seconds: u64| UNIX_EPOCH + Duration::from_secs(seconds);
        let list = |name: &str, due: u64| (name.to_owned(), at(due));
        let mut told = Told::default();
        let lists = [list("a", 100), list("b", 5000)];
        assert_eq!(told.look(&lists, at(40)), (vec![], Duration::from_mins(1)));
        assert_eq!(told.look(&lists, at(100)), (vec![list("a", 100)], LOOK));
        assert_eq!(
            told.look(&lists, at(4990)),
            (vec![], Duration::from_secs(10))
        );
        let renewed = [list("a", 9000), list("b", 5000)];
        assert_eq!(told.look(&renewed, at(5001)), (vec![list("b", 5000)], LOOK));
        // The clock was set back, and the list is due once more.
        assert_eq!(
            told.look(&renewed, at(4999)),
            (vec![], Duration::from_secs(1))
        );
        assert_eq!(told.look(&renewed, at(5000)), (vec![list("b", 5000)], LOOK));
        assert_eq!(told.look(&[], at(5000)), (vec![], LOOK));
    }
}
