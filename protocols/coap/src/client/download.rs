//! Downloads: responses whose body may be larger than a message.

use std::sync::Arc;

use bytes::Bytes;

use super::exchanges::Exchanges;
use super::upload;
use crate::codec::{BlockSize, Code, Message, OptionNumber};
use crate::core::blockwise::{self, DownloadStep};
use crate::core::{Request, Response};
use crate::error::{Refusal, RequestError};

/// The options of a request that its further blocks are asked for without. All others are a part of
/// what it asks, by which the server finds the answer again (RFC 7959, section 2.7).
const ONLY_AT_FIRST: [OptionNumber; 4] = [
    OptionNumber::BLOCK1,
    OptionNumber::SIZE1,
    OptionNumber::SIZE2,
    OptionNumber::OBSERVE,
];

/// Makes a request, and collects its response. That is one exchange, unless the body of one of
/// them goes in blocks.
pub(super) async fn request(
    exchanges: &Arc<Exchanges>,
    mut request: Request,
) -> Result<Message, RequestError> {
    let limit = exchanges.settings.max_body;
    // Early negotiation (RFC 7959, section 2.4).
    blocks_of(exchanges, &request).prepare(&mut request.message)?;
    let response = upload::send(exchanges, &mut request).await?;
    if is_whole(&response, limit) {
        return Ok(response);
    }
    let mut download = Download::after(Arc::clone(exchanges), request, response)?;
    download.collect(limit).await
}

/// Collects the rest of a response to a request whose body is not there any more.
pub(super) async fn after_upload(
    exchanges: &Arc<Exchanges>,
    request: Request,
    response: Message,
) -> Result<Message, RequestError> {
    let limit = exchanges.settings.max_body;
    if is_whole(&response, limit) {
        return Ok(response);
    }
    let mut download = Download::new(Arc::clone(exchanges), request);
    download.blocks = download.blocks.without_restart();
    download.take(response)?;
    download.collect(limit).await
}

/// Whether a response has nothing to do with blocks, and its body is not too large.
pub(super) fn is_whole(response: &Message, limit: u64) -> bool {
    let options = response.options();
    response.code() != Code::CONTINUE
        && !options.contains(OptionNumber::BLOCK1)
        && !options.contains(OptionNumber::BLOCK2)
        && response.payload.len() as u64 <= limit
}

/// The blocks of a response, of which none has come.
fn blocks_of(exchanges: &Exchanges, request: &Request) -> blockwise::Download {
    let size = exchanges.settings.block_size;
    let size = (size < BlockSize::B1024).then_some(size);
    blockwise::Download::new(request.message.code(), size, u64::MAX)
}

/// A response's body, in parts, as they come; see [`Client::download`](super::Client::download).
#[derive(Debug)]
pub struct Download {
    exchanges: Arc<Exchanges>,
    /// The request, with Request-Tag where its own body went in blocks.
    request: Request,
    blocks: blockwise::Download,
    /// The first response, without its payload.
    head: Message,
    /// The part that has come with the last response, and was not taken.
    part: Option<Vec<u8>>,
    /// What was collected, where it is: here, so that who stops waiting loses nothing.
    collected: Vec<u8>,
    ended: bool,
    restarted: bool,
    /// Whether the parts go to the user as they come, so that none can be taken back.
    passed_on: bool,
}

impl Download {
    /// Makes a request, and waits for the first part of its response.
    pub(super) async fn begin(
        exchanges: Arc<Exchanges>,
        request: Request,
    ) -> Result<Self, RequestError> {
        let mut download = Self::new(exchanges, request);
        download.ask().await?;
        Ok(download)
    }

    /// Goes on with a response to this request.
    pub(super) fn after(
        exchanges: Arc<Exchanges>,
        request: Request,
        response: Message,
    ) -> Result<Self, RequestError> {
        let mut download = Self::new(exchanges, request);
        download.take(response)?;
        Ok(download)
    }

    fn new(exchanges: Arc<Exchanges>, request: Request) -> Self {
        Self {
            blocks: blocks_of(&exchanges, &request),
            exchanges,
            request,
            head: Message::new(Code::EMPTY),
            part: None,
            collected: Vec::new(),
            ended: false,
            restarted: false,
            passed_on: false,
        }
    }

    /// For a user who gets the parts as they come: there is no beginning anew.
    pub(super) fn passed_on(mut self) -> Result<Self, RequestError> {
        if !self.head.code().is_success() {
            let mut refused = self.head;
            refused.payload = self.part.take().unwrap_or_default().into();
            return Err(refusal(refused));
        }
        self.blocks = self.blocks.without_restart();
        self.passed_on = true;
        Ok(self)
    }

    /// The next part; `None` after the last.
    ///
    /// # Errors
    /// As the [client](super::Client) says, [`RequestError::Refused`] for a refusal in the middle included,
    /// and [`RequestError::Blocks`] where the resource changed meanwhile. Afterwards, the same part
    /// can be asked for again.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing: the part is asked for again.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, RequestError> {
        if self.part.is_none() && !self.ended {
            self.fetch().await?;
        }
        Ok(self.part.take())
    }

    /// How many bytes have come.
    pub fn received(&self) -> u64 {
        self.blocks.received()
    }

    /// How many bytes there are in all, where the server says so.
    pub fn total(&self) -> Option<u64> {
        self.blocks.total()
    }

    /// The response, without its body.
    pub fn response(&self) -> Response {
        Response::new(self.head.clone())
    }

    /// All of it, in one message.
    pub(super) async fn collect(&mut self, limit: u64) -> Result<Message, RequestError> {
        self.blocks.set_limit(limit)?;
        while let Some(part) = self.next().await? {
            if std::mem::take(&mut self.restarted) {
                self.collected.clear();
            }
            if self.collected.is_empty() {
                self.collected = part;
            } else {
                self.collected.extend_from_slice(&part);
            }
        }
        let mut whole = self.head.clone();
        whole.payload = std::mem::take(&mut self.collected).into();
        Ok(whole)
    }

    async fn fetch(&mut self) -> Result<(), RequestError> {
        while self.part.is_none() && !self.ended {
            if self.blocks.received() == 0 {
                self.ask().await?;
                continue;
            }
            let mut message = self.request.message.clone();
            for number in ONLY_AT_FIRST {
                message.options_mut().remove(number);
            }
            // FETCH says again what it asks (RFC 8132, section 2.3.2), unless that went in blocks.
            let room = self.exchanges.settings.block_size.min(BlockSize::B1024);
            if message.code() != Code::FETCH || message.payload.len() > room.bytes() {
                message.payload = Bytes::new();
            }
            self.blocks.prepare(&mut message)?;
            let response = self
                .exchanges
                .exchange_again(&self.request, message)
                .await?;
            self.take(response)?;
        }
        Ok(())
    }

    /// Makes the request, with its body.
    async fn ask(&mut self) -> Result<(), RequestError> {
        // Early negotiation (RFC 7959, section 2.4).
        self.blocks.prepare(&mut self.request.message)?;
        let response = upload::send(&self.exchanges, &mut self.request).await?;
        self.take(response)
    }

    fn take(&mut self, mut response: Message) -> Result<(), RequestError> {
        // Of FETCH, the body is a part of what is asked; any other is not needed any more.
        if self.request.message.code() != Code::FETCH {
            self.request.message.payload = Bytes::new();
        }
        let begun = self.blocks.received() > 0;
        if begun && self.passed_on && !response.code().is_success() {
            return Err(refusal(response));
        }
        match self.blocks.answered(&response)? {
            DownloadStep::Restart => {
                self.restarted = true;
                // What was held is not what is there. Some servers (libcoap) take it, on a further
                // block, for the body that is wanted, and begin another one each time.
                self.request
                    .message
                    .options_mut()
                    .remove(OptionNumber::ETAG);
                return Ok(());
            }
            DownloadStep::More => {}
            DownloadStep::Last => self.ended = true,
        }
        self.part = Some(std::mem::take(&mut response.payload).into());
        if !begun || !response.code().is_success() {
            response.options_mut().remove(OptionNumber::BLOCK1);
            response.options_mut().remove(OptionNumber::BLOCK2);
            self.restarted |= begun;
            self.head = response;
        }
        Ok(())
    }
}

fn refusal(response: Message) -> RequestError {
    RequestError::Refused(Refusal::new(Response::new(response)))
}
