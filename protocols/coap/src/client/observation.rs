//! Observations: a resource is watched, and its server tells each change (RFC 7641).

use std::sync::Arc;

use super::action::{Guard, Notice};
use super::download::{Download, is_whole};
use super::exchanges::{Exchanges, accept};
use super::latest::Receiver;
use crate::core::{Request, Response};
use crate::error::RequestError;

/// A resource that is observed (RFC 7641); see [`Client::observe`](super::Client::observe). Dropping it ends the
/// observation, and tells the server so.
///
/// It goes on when the server is silent or the connection is lost: after a notification's Max-Age,
/// the server is asked again, and again after each reconnection. Notifications are given in their
/// order; one that was overtaken by a newer one is not given. When more than
/// [`notification_capacity`](super::ClientConfig::notification_capacity) wait to be read, the oldest
/// is dropped: what is read in the end is what the resource is.
#[derive(Debug)]
pub struct Observation {
    exchanges: Arc<Exchanges>,
    request: Request,
    notices: Receiver<Notice>,
    guard: Guard,
    /// A notification whose body has more blocks.
    partial: Option<(Download, bool)>,
    ended: bool,
}

impl Observation {
    pub(super) fn new(
        exchanges: Arc<Exchanges>,
        request: Request,
        notices: Receiver<Notice>,
        guard: Guard,
    ) -> Self {
        Self {
            exchanges,
            request,
            notices,
            guard,
            partial: None,
            ended: false,
        }
    }

    /// What the resource has become. An error is told and, unless it is the last, the observation
    /// goes on: what was told last may be stale then. `None` when it has ended: the resource can't be
    /// observed (after its only response), or is gone; the server refused; or the client is closed.
    ///
    /// # Errors
    /// As the [client](super::Client) says.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Result<Response, RequestError>> {
        loop {
            if let Some((download, last)) = &mut self.partial {
                let last = *last;
                let collected = download.collect(self.exchanges.settings.max_body).await;
                self.partial = None;
                self.end_if(last);
                return Some(collected.and_then(accept));
            }
            if self.ended {
                return None;
            }
            match self.notices.next().await {
                None => {
                    self.end_if(true);
                    return None;
                }
                Some(Ok((message, last)))
                    if is_whole(&message, self.exchanges.settings.max_body) =>
                {
                    self.end_if(last);
                    return Some(accept(message));
                }
                Some(Ok((message, last))) => {
                    let exchanges = Arc::clone(&self.exchanges);
                    match Download::after(exchanges, self.request.clone(), message) {
                        Ok(download) => self.partial = Some((download, last)),
                        Err(error) => {
                            self.end_if(last);
                            return Some(Err(error));
                        }
                    }
                }
                Some(Err((error, last))) => {
                    self.end_if(last);
                    return Some(Err(error));
                }
            }
        }
    }

    fn end_if(&mut self, last: bool) {
        if last {
            self.ended = true;
            self.guard.disarm();
        }
    }
}
