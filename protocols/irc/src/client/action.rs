//! Actions: what a client's handle passes to its connection.

use tokio::sync::oneshot;

use crate::codec::Text;
use crate::core::{Reply, Request};
use crate::error::RequestError;

/// Where an outcome goes.
pub(super) type Done<T> = oneshot::Sender<Result<T, RequestError>>;

#[derive(Debug)]
pub(super) enum Action {
    Request {
        request: Request,
        /// Learns that the request is queued.
        queued: Option<Done<()>>,
        done: Done<Reply>,
    },
    Close(Option<Text>),
}
