//! Actions: what a client's handle passes to its connection.

use tokio::sync::oneshot;

use crate::codec::Text;
use crate::core::{Reply, Request};
use crate::error::RequestError;

#[derive(Debug)]
pub(super) enum Action {
    Request(Request, oneshot::Sender<Result<Reply, RequestError>>),
    Close(Option<Text>),
}
