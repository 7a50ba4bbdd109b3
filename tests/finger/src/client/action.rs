//! Actions: what a client's handle passes to its connection.

use tokio::sync::oneshot;

use crate::codec::Query;
use crate::error::RequestError;

pub(super) type Done = oneshot::Sender<Result<(), RequestError>>;

#[derive(Debug)]
pub(super) enum Action {
    Request(Query, Done),
    Close,
}
