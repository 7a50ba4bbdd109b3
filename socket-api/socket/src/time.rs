//! Time, on every target: tokio's natively, the page's in a browser.
//!
//! `std::time::Instant::now` panics in a browser, and tokio's timers with it. Protocol cores take
//! `now` as an argument; whoever drives them asks this module. Natively it follows tokio's clock,
//! paused or not, and a timer needs a tokio runtime with time enabled.
//!
//! ```
//! use std::time::Duration;
//! use jackfield_socket::time;
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() {
//! let before = time::now();
//! time::sleep(Duration::from_secs(5)).await;
//! assert!(time::now() >= before + Duration::from_secs(5));
//! # }
//! ```

#[cfg(wasm_browser)]
#[path = "time/browser.rs"]
mod platform;
#[cfg(not(wasm_browser))]
#[path = "time/native.rs"]
mod platform;

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

/// A point in time: the standard library's type natively, one with the same interface in a browser.
pub use web_time::Instant;

/// This moment.
pub fn now() -> Instant {
    platform::now()
}

/// A duration in words: in seconds, to the millisecond.
///
/// ```
/// use std::time::Duration;
/// use jackfield_socket::time;
///
/// assert_eq!(time::seconds(Duration::from_secs(10)).to_string(), "10 s");
/// assert_eq!(time::seconds(Duration::from_millis(250)).to_string(), "0.25 s");
/// ```
pub fn seconds(duration: Duration) -> impl fmt::Display {
    // Without a float: their printing is long in a page.
    fmt::from_fn(move |f| {
        let (mut rest, mut digits) = (duration.subsec_millis(), 3);
        if rest == 0 {
            return write!(f, "{} s", duration.as_secs());
        }
        while rest % 10 == 0 {
            rest /= 10;
            digits -= 1;
        }
        write!(f, "{}.{rest:0digits$} s", duration.as_secs())
    })
}

/// Waits.
///
/// # Cancel safety
/// Dropping it cancels the timer.
pub fn sleep(duration: Duration) -> Sleep {
    sleep_until(now() + duration)
}

/// Waits until a point in time.
///
/// # Cancel safety
/// Dropping it cancels the timer.
pub fn sleep_until(deadline: Instant) -> Sleep {
    Sleep {
        deadline,
        timer: platform::Timer::new(deadline),
    }
}

/// Lets a future run for this long, then drops it.
///
/// # Errors
/// [`Elapsed`], when the time is over first.
///
/// # Cancel safety
/// As the future's own.
pub async fn timeout<F: Future>(duration: Duration, future: F) -> Result<F::Output, Elapsed> {
    let mut future = pin!(future);
    let mut sleep = sleep(duration);
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Ok(output)),
        Poll::Pending => Pin::new(&mut sleep).poll(cx).map(|()| Err(Elapsed(()))),
    })
    .await
}

/// A timer: a future that is ready at its deadline.
#[derive(Debug)]
pub struct Sleep {
    deadline: Instant,
    timer: platform::Timer,
}

impl Sleep {
    /// When it will be ready.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Moves the deadline.
    pub fn reset(&mut self, deadline: Instant) {
        if deadline != self.deadline {
            self.deadline = deadline;
            self.timer.reset(deadline);
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.timer.poll(cx)
    }
}

/// The time was over first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed(());

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the deadline has passed")
    }
}

impl std::error::Error for Elapsed {}
