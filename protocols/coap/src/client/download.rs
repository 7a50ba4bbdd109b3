//! Taking a response whose body may be larger than a message.

use super::handle::{Client, accept};
use super::upload::{Source, upload};
use crate::codec::{BlockSize, Code, Message, OptionNumber};
use crate::core::blockwise::{self, DownloadStep};
use crate::core::{Request, Response};
use crate::error::RequestError;

/// The options of a request that its further blocks are asked for without.
const ONLY_AT_FIRST: [OptionNumber; 7] = [
    OptionNumber::BLOCK1,
    OptionNumber::SIZE1,
    OptionNumber::SIZE2,
    OptionNumber::OBSERVE,
    OptionNumber::IF_MATCH,
    OptionNumber::IF_NONE_MATCH,
    OptionNumber::ETAG,
];

/// A response's body, in parts, as they come; see [`Client::download`].
#[derive(Debug)]
pub struct Download {
    client: Client,
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
}

impl Download {
    /// Makes a request, and waits for the first part of its response.
    pub(super) async fn begin(client: Client, request: Request) -> Result<Self, RequestError> {
        let mut first = request.clone();
        let body = first.message.take_payload();
        let size = client.inner.config.block_size;
        if size < BlockSize::B1024 {
            // Early negotiation (RFC 7959, section 2.4).
            blockwise::Download::new(Some(size), 0).prepare(&mut first.message)?;
        }
        let total = Some(body.len() as u64);
        let mut source = Source::Bytes(&body);
        let response = upload(&client, &first, &mut source, total, |_| {}).await?;
        Self::after(client, request, response)
    }

    /// Goes on with a response to this request.
    pub(super) fn after(
        client: Client,
        request: Request,
        response: Message,
    ) -> Result<Self, RequestError> {
        let size = client.inner.config.block_size;
        let size = (size < BlockSize::B1024).then_some(size);
        let mut download = Self {
            client,
            request,
            blocks: blockwise::Download::new(size, u64::MAX),
            head: Message::new(response.code()),
            part: None,
            collected: Vec::new(),
            ended: false,
            restarted: false,
        };
        download.take(response)?;
        Ok(download)
    }

    /// For a user who gets the parts as they come: there is no beginning anew.
    pub(super) fn passed_on(mut self) -> Result<Self, RequestError> {
        if !self.head.code().is_success() {
            let mut refused = self.head;
            refused.set_payload(self.part.take().unwrap_or_default());
            return accept(refused).map(|_| unreachable!("it is no success"));
        }
        self.blocks = self.blocks.passed_on();
        Ok(self)
    }

    pub(super) fn request(&self) -> &Request {
        &self.request
    }

    /// The next part; none after the last.
    ///
    /// # Errors
    /// As the [client](Client) says, and [`RequestError::Blocks`] where the resource changed
    /// meanwhile. Afterwards, the same part can be asked for again.
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
            let mut message = self.request.message.clone();
            for number in ONLY_AT_FIRST {
                message.options_mut().remove(number);
            }
            // The server knows by the token's kin what it was asked; FETCH says it again, as the
            // payload is a part of what is asked (RFC 8132, section 2.3.2).
            let room = self.client.inner.config.block_size.min(BlockSize::B1024);
            if message.code() != Code::FETCH || message.payload().len() > room.bytes() {
                message.take_payload();
                message.options_mut().remove(OptionNumber::CONTENT_FORMAT);
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

    fn take(&mut self, mut response: Message) -> Result<(), RequestError> {
        let begun = self.blocks.received() > 0;
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
