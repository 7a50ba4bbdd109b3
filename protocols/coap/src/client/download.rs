//! Downloads: responses whose body may be larger than a message.

use super::handle::Client;
use super::upload::{Source, upload};
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

/// A response's body, in parts, as they come; see [`Client::download`].
#[derive(Debug)]
pub struct Download {
    client: Client,
    /// The request, with Request-Tag where its own body went in blocks, and without that body.
    request: Request,
    /// The request's body, where it may be sent again: of FETCH, it is a part of what is asked.
    asked: Vec<u8>,
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
    pub(super) async fn begin(client: Client, request: Request) -> Result<Self, RequestError> {
        let mut download = Self::new(client, request);
        download.ask().await?;
        Ok(download)
    }

    /// Goes on with a response to this request.
    pub(super) fn after(
        client: Client,
        request: Request,
        response: Message,
    ) -> Result<Self, RequestError> {
        let mut download = Self::new(client, request);
        download.take(response)?;
        Ok(download)
    }

    /// Goes on with a response to this request, whose body is not there any more.
    pub(super) fn after_upload(
        client: Client,
        request: Request,
        response: Message,
    ) -> Result<Self, RequestError> {
        let mut download = Self::new(client, request);
        download.blocks = download.blocks.without_restart();
        download.take(response)?;
        Ok(download)
    }

    fn new(client: Client, mut request: Request) -> Self {
        let size = client.inner.config.block_size;
        let size = (size < BlockSize::B1024).then_some(size);
        let method = request.message.code();
        Self {
            client,
            asked: request.message.take_payload(),
            request,
            blocks: blockwise::Download::new(method, size, u64::MAX),
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
            refused.set_payload(self.part.take().unwrap_or_default());
            return Err(refusal(refused));
        }
        self.blocks = self.blocks.without_restart();
        self.passed_on = true;
        Ok(self)
    }

    pub(super) fn request(&self) -> &Request {
        &self.request
    }

    /// The next part; `None` after the last.
    ///
    /// # Errors
    /// As the [client](Client) says, [`RequestError::Refused`] for a refusal in the middle included,
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
        whole.set_payload(std::mem::take(&mut self.collected));
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
            let room = self.client.inner.config.block_size.min(BlockSize::B1024);
            if message.code() == Code::FETCH && self.asked.len() <= room.bytes() {
                message.set_payload(&*self.asked);
            }
            self.blocks.prepare(&mut message)?;
            let may_repeat = true;
            let response = self
                .client
                .exchange_again(&self.request, &message, may_repeat)
                .await?;
            self.take(response)?;
        }
        Ok(())
    }

    /// Makes the request, with its body.
    async fn ask(&mut self) -> Result<(), RequestError> {
        // Early negotiation (RFC 7959, section 2.4).
        self.blocks.prepare(&mut self.request.message)?;
        let total = Some(self.asked.len() as u64);
        let response = {
            let mut body = Source::Bytes(&self.asked);
            upload(&self.client, &mut self.request, &mut body, total, |_| {}).await?
        };
        if self.request.message.code() != Code::FETCH {
            self.asked = Vec::new();
        }
        self.take(response)
    }

    fn take(&mut self, mut response: Message) -> Result<(), RequestError> {
        let begun = self.blocks.received() > 0;
        if begun && self.passed_on && !response.code().is_success() {
            return Err(refusal(response));
        }
        match self.blocks.answered(&response)? {
            DownloadStep::Restart => {
                self.restarted = true;
                return Ok(());
            }
            DownloadStep::More => {}
            DownloadStep::Last => self.ended = true,
        }
        self.part = Some(response.take_payload());
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
