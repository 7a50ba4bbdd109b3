//! Serving the connections that a listener takes.

use std::future::poll_fn;

use jackfield_socket::driver::Driver;
use jackfield_socket::{ByteStream, Error, TcpListener, time};

use crate::imap::SessionEvent;
use crate::store::Store;
use crate::{imap, smtp};

/// Serves mailboxes over IMAP until the listener fails and those who are there have left, and returns why
/// it failed. With TLS from the start where the listener brings it; there is no STARTTLS.
///
/// # Cancel safety
/// Dropping the future closes the listener and every connection.
pub async fn serve_imap<L: TcpListener>(listener: L, store: Store) -> Error {
    let limit = store.config().limits.max_sessions;
    jackfield_socket::serve(listener, limit, move |stream| {
        attend_imap(stream, store.clone())
    })
    .await
    .expect_err("nothing but an error ends it")
}

async fn attend_imap<S: ByteStream>(stream: S, store: Store) {
    let mut driver = Driver::new(stream, imap::Session::new(store, time::now()));
    loop {
        let next = poll_fn(|cx| {
            driver.core().wake_with(cx.waker());
            driver.poll_next(cx)
        });
        match next.await {
            Ok(Some(SessionEvent::Reading(reading))) => driver.set_reading(reading),
            // How it ended makes no difference.
            Ok(None) | Err(_) => return,
        }
    }
}

/// Serves submission the same way: mail for the store's users arrives, mail for others is refused.
///
/// # Cancel safety
/// As [`serve_imap`].
pub async fn serve_submission<L: TcpListener>(listener: L, store: Store) -> Error {
    let limit = store.config().limits.max_sessions;
    jackfield_socket::serve(listener, limit, move |stream| {
        attend_submission(stream, store.clone())
    })
    .await
    .expect_err("nothing but an error ends it")
}

async fn attend_submission<S: ByteStream>(stream: S, store: Store) {
    let mut driver = Driver::new(stream, smtp::Session::new(store, time::now()));
    // It tells nothing, and how it ended makes no difference.
    let _ = driver.next().await;
}
