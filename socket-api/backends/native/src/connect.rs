//! Happy Eyeballs: which of a host's addresses to take (RFC 8305).

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use jackfield_socket::{Endpoint, Error, ErrorKind, Host, time};

/// How long one attempt runs alone before the next one starts (RFC 8305, section 5).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);
/// How many addresses an error lists.
const LISTED: usize = 8;

/// What went wrong with each address that was tried, in the order of failing.
pub(crate) type Failures = Vec<(SocketAddr, io::Error)>;

/// Orders addresses so that the families take turns, beginning with the first one's
/// (RFC 8305, section 4).
pub(crate) fn interleave(addresses: Vec<SocketAddr>) -> VecDeque<SocketAddr> {
    let first_is_v4 = addresses.first().is_some_and(SocketAddr::is_ipv4);
    let (mut first, mut second): (VecDeque<_>, VecDeque<_>) = addresses
        .into_iter()
        .partition(|address| address.is_ipv4() == first_is_v4);
    let mut ordered = VecDeque::with_capacity(first.len() + second.len());
    while !first.is_empty() || !second.is_empty() {
        ordered.extend(first.pop_front());
        ordered.extend(second.pop_front());
    }
    ordered
}

/// Dials the addresses until one answers: a new one every 250 ms, or as soon as one has failed.
/// Whatever else was under way is dropped.
pub(crate) async fn race<T, F>(
    mut waiting: VecDeque<SocketAddr>,
    dial: impl Fn(SocketAddr) -> F,
) -> Result<T, Failures>
where
    F: Future<Output = io::Result<T>>,
{
    let mut attempts: Vec<(SocketAddr, Pin<Box<F>>)> = Vec::new();
    let mut failures = Failures::new();
    let mut timer = None;
    let mut start = true;
    poll_fn(|cx| {
        loop {
            if std::mem::take(&mut start)
                && let Some(address) = waiting.pop_front()
            {
                attempts.push((address, Box::pin(dial(address))));
                timer = (!waiting.is_empty()).then(|| time::sleep(ATTEMPT_DELAY));
            }
            let mut index = 0;
            while let Some((address, attempt)) = attempts.get_mut(index) {
                match attempt.as_mut().poll(cx) {
                    Poll::Pending => index += 1,
                    Poll::Ready(Ok(answer)) => return Poll::Ready(Ok(answer)),
                    Poll::Ready(Err(error)) => {
                        failures.push((*address, error));
                        drop(attempts.swap_remove(index));
                        start = true;
                    }
                }
            }
            if let Some(timer) = &mut timer {
                start |= Pin::new(timer).poll(cx).is_ready();
            }
            if waiting.is_empty() {
                if attempts.is_empty() {
                    return Poll::Ready(Err(std::mem::take(&mut failures)));
                }
                return Poll::Pending;
            }
            if !start {
                return Poll::Pending;
            }
        }
    })
    .await
}

/// One error for all addresses that failed: it names each, and has the most telling kind.
pub(crate) fn all_failed(step: &str, to: &Endpoint, mut failures: Failures) -> Error {
    // The first of the best: later ones are told by the text alone.
    let best = failures
        .iter()
        .enumerate()
        .min_by_key(|(index, (_, error))| (telling(error), *index))
        .map_or(0, |(index, _)| index);
    let kind = failures
        .get(best)
        .map_or(ErrorKind::Other, |(_, error)| kind(error));
    let mut text = format!("{step} {to}");
    for (index, (address, error)) in failures.iter().take(LISTED).enumerate() {
        if index > 0 {
            text.push(';');
        }
        // A literal address stands there already.
        if matches!(to.host(), Host::Name(_)) {
            let _ = write!(text, " ({})", address.ip());
        }
        let _ = write!(text, ": {}", reason(error));
    }
    if failures.len() > LISTED {
        let _ = write!(text, "; and {} more addresses", failures.len() - LISTED);
    }
    let error = Error::new(kind, text);
    if failures.is_empty() {
        return error;
    }
    error.with_source(failures.swap_remove(best).1)
}

/// An error's kind. That the system has no room for another socket says nothing of the network.
pub(crate) fn kind(error: &io::Error) -> ErrorKind {
    if out_of_room(error) {
        ErrorKind::LimitExceeded
    } else {
        error.kind().into()
    }
}

/// Whether the system can't open one more socket now, for want of descriptors or memory: that says nothing of the
/// network.
#[cfg(unix)]
pub fn out_of_room(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM)
    )
}

/// Whether the system can't open one more socket now, for want of memory: that says nothing of the network.
#[cfg(not(unix))]
pub fn out_of_room(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::OutOfMemory
}

/// An error's reason in the words of its kind, or the system's own where the kind has none.
pub(crate) fn reason(error: &io::Error) -> String {
    match ErrorKind::from(error.kind()) {
        ErrorKind::Other => error.to_string(),
        _ => error.kind().to_string(),
    }
}

/// How much an error says about the host, the most first: that it refused means that it is there.
fn telling(error: &io::Error) -> u8 {
    match kind(error) {
        ErrorKind::Refused => 0,
        ErrorKind::Reset => 1,
        ErrorKind::Denied => 2,
        ErrorKind::InvalidInput | ErrorKind::Unsupported | ErrorKind::LimitExceeded => 3,
        ErrorKind::TimedOut => 4,
        ErrorKind::Unreachable => 5,
        // This host lacks the family: says nothing of the other one.
        ErrorKind::AddressNotAvailable => 7,
        _ => 6,
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use jackfield_socket::time::Instant;

    use super::*;

    fn addresses(list: &[&str]) -> Vec<SocketAddr> {
        list.iter()
            .map(|ip| SocketAddr::new(ip.parse().expect("an address"), 6697))
            .collect()
    }

    /// That this process has too many sockets open is no fault of the network's.
    #[cfg(unix)]
    #[test]
    fn a_lack_of_descriptors_is_a_limit() {
        for number in [libc::EMFILE, libc::ENFILE] {
            let failures = vec![
                (addresses(&["192.0.2.1"])[0], io::ErrorKind::TimedOut.into()),
                (
                    addresses(&["192.0.2.2"])[0],
                    io::Error::from_raw_os_error(number),
                ),
            ];
            let to = "irc.example.org:6697".parse().expect("an endpoint");
            let error = all_failed("can't connect to", &to, failures);
            assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{error}");
        }
    }

    #[test]
    fn the_families_take_turns() {
        let ordered = interleave(addresses(&["2001:db8::1", "2001:db8::2", "192.0.2.1"]));
        assert_eq!(
            Vec::from(ordered),
            addresses(&["2001:db8::1", "192.0.2.1", "2001:db8::2"])
        );
        let ordered = interleave(addresses(&["192.0.2.1", "192.0.2.2", "2001:db8::1"]));
        assert_eq!(
            Vec::from(ordered),
            addresses(&["192.0.2.1", "2001:db8::1", "192.0.2.2"])
        );
    }

    /// Counts the attempts that live.
    struct Alive<'a>(&'a RefCell<i32>);
    impl Drop for Alive<'_> {
        fn drop(&mut self) {
            *self.0.borrow_mut() -= 1;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_address_delays_the_next_by_250_ms_and_is_dropped() {
        let begin = time::now();
        let started: RefCell<Vec<(SocketAddr, Instant)>> = RefCell::default();
        let alive = RefCell::new(0);
        let list = addresses(&["2001:db8::1", "192.0.2.1", "192.0.2.2", "192.0.2.3"]);
        let answer = race(list.clone().into(), |address| {
            started.borrow_mut().push((address, time::now()));
            *alive.borrow_mut() += 1;
            let alive = Alive(&alive);
            async move {
                let _alive = alive;
                if address.ip().to_string() == "192.0.2.2" {
                    time::sleep(Duration::from_millis(100)).await;
                    Ok(address)
                } else {
                    std::future::pending().await
                }
            }
        })
        .await
        .expect("the third answers");
        assert_eq!(answer, list[2]);
        assert_eq!(*alive.borrow(), 0, "the others were dropped");
        let waits: Vec<u128> = started
            .borrow()
            .iter()
            .map(|(_, at)| (*at - begin).as_millis())
            .collect();
        assert_eq!(waits, [0, 250, 500]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_starts_the_next_at_once_and_the_error_names_all() {
        let begin = time::now();
        let list = addresses(&["2001:db8::1", "192.0.2.1", "192.0.2.2"]);
        let failures = race::<(), _>(list.into(), |address| async move {
            Err(match address.ip().to_string().as_str() {
                "192.0.2.1" => io::ErrorKind::ConnectionRefused.into(),
                _ => io::ErrorKind::NetworkUnreachable.into(),
            })
        })
        .await
        .expect_err("none answers");
        assert_eq!(time::now(), begin);
        let to = "a.example:6697".parse().expect("an endpoint");
        let error = all_failed("can't connect to", &to, failures);
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert_eq!(
            error.to_string(),
            "can't connect to a.example:6697 (2001:db8::1): network unreachable; \
             (192.0.2.1): connection refused; (192.0.2.2): network unreachable"
        );
    }
}
