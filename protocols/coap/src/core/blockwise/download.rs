//! Downloads in blocks: the client's side of Block2.

use super::BlockError;
use crate::codec::{Block, BlockSize, Code, Message, OptionNumber};

/// How often a body that changes while it is fetched is fetched from its beginning.
const MAX_RESTARTS: u32 = 4;

/// Takes a response's body, block by block (RFC 7959, section 2.4; RFC 8323, section 6).
#[derive(Clone, Debug)]
pub(crate) struct Download {
    size: Option<BlockSize>,
    limit: u64,
    offset: u64,
    total: Option<u64>,
    etag: Option<Vec<u8>>,
    /// How often the body may still be fetched from its beginning.
    restarts_left: u32,
}

/// What is to be done with a response's payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DownloadStep {
    /// It is the next part of the body, and more follow.
    More,
    /// It is the last part of the body, or all of it.
    Last,
    /// It is no part of it: the body has changed, and is to be fetched from its beginning. What has
    /// come of it is to be thrown away.
    Restart,
}

impl Download {
    /// The body of a response to this method, of which at most `limit` bytes are taken, in blocks of
    /// this size where the server can choose freely.
    ///
    /// Where the body changes while it is fetched, GET and FETCH begin anew, up to four times. With
    /// any other method that is an error: to ask again would be to do it again.
    pub(crate) fn new(method: Code, size: Option<BlockSize>, limit: u64) -> Self {
        Self {
            size,
            limit,
            offset: 0,
            total: None,
            etag: None,
            restarts_left: match method {
                Code::GET | Code::FETCH => MAX_RESTARTS,
                _ => 0,
            },
        }
    }

    /// The same without a new beginning: for a body whose parts are passed on as they come, or a
    /// request that can't be made again.
    #[must_use]
    pub(crate) fn without_restart(mut self) -> Self {
        self.restarts_left = 0;
        self
    }

    /// Takes at most this many bytes from now on.
    ///
    /// # Errors
    /// [`BlockError::TooLarge`] where more have come already, or are announced.
    pub(crate) fn set_limit(&mut self, limit: u64) -> Result<(), BlockError> {
        self.limit = limit;
        if self.offset.max(self.total.unwrap_or(0)) > limit {
            return Err(BlockError::TooLarge { limit });
        }
        Ok(())
    }

    /// How many bytes have come.
    pub(crate) fn received(&self) -> u64 {
        self.offset
    }

    /// How many bytes there are in all, where the server has said so (Size2).
    pub(crate) fn total(&self) -> Option<u64> {
        self.total
    }

    /// Makes a request ask for the next block.
    ///
    /// # Errors
    /// [`BlockError::TooManyBlocks`].
    pub(crate) fn prepare(&self, request: &mut Message) -> Result<(), BlockError> {
        let Some(size) = self.size else {
            return Ok(());
        };
        let number = self.offset / size.bytes() as u64;
        let block = u32::try_from(number)
            .ok()
            .and_then(|number| Block::new(number, false, size))
            .ok_or(BlockError::TooManyBlocks)?;
        request.set_block2(block);
        Ok(())
    }

    /// Judges a response; says what its payload is. A response that is no success is always the
    /// last, and has the whole body.
    ///
    /// # Errors
    /// Where it is not the block that was asked for, or the body is too large or changes too often.
    pub(crate) fn answered(&mut self, response: &Message) -> Result<DownloadStep, BlockError> {
        // The request's body is complete, or there was none.
        if response.code() == Code::CONTINUE {
            return Err(BlockError::TooMuchAsked);
        }
        let length = response.payload.len();
        let begun = self.offset > 0;
        let Some(block) = response.block2() else {
            if begun && response.code().is_success() {
                // The whole body, which is small now.
                return self.restart();
            }
            self.grow(length)?;
            return Ok(DownloadStep::Last);
        };
        if !response.code().is_success() {
            self.grow(length)?;
            return Ok(DownloadStep::Last);
        }
        let etag = response.etags().next();
        if begun && self.etag.as_deref() != etag {
            return self.restart();
        }
        if block.offset() != self.offset {
            return Err(BlockError::WrongBlock {
                expected: self.offset,
                got: block.offset(),
            });
        }
        let unit = block.size().bytes();
        let fits = match (block.size(), block.more()) {
            (BlockSize::Bert, true) => length > 0 && length.is_multiple_of(unit),
            (BlockSize::Bert, false) => true,
            (_, true) => length == unit,
            (_, false) => length <= unit,
        };
        if !fits {
            return Err(BlockError::WrongLength);
        }
        if !begun {
            self.etag = etag.map(<[u8]>::to_vec);
        }
        if let Some(total) = response.options().uint(OptionNumber::SIZE2) {
            self.total = Some(total.into());
        }
        // What is announced may be wrong, but what is too large by its own word need not be fetched.
        if self.total.is_some_and(|total| total > self.limit) {
            return Err(BlockError::TooLarge { limit: self.limit });
        }
        self.grow(length)?;
        // The server may have chosen a smaller size, and then it stays with that.
        self.size = Some(match self.size {
            Some(size) => size.min(block.size()),
            None => block.size(),
        });
        Ok(if block.more() {
            DownloadStep::More
        } else {
            DownloadStep::Last
        })
    }

    fn grow(&mut self, by: usize) -> Result<(), BlockError> {
        let limit = self.limit;
        match self.offset.checked_add(by as u64) {
            Some(offset) if offset <= limit => {
                self.offset = offset;
                Ok(())
            }
            _ => Err(BlockError::TooLarge { limit }),
        }
    }

    fn restart(&mut self) -> Result<DownloadStep, BlockError> {
        if self.restarts_left == 0 {
            return Err(BlockError::Changed);
        }
        self.restarts_left -= 1;
        self.offset = 0;
        self.total = None;
        self.etag = None;
        Ok(DownloadStep::Restart)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(number: u32, more: bool, size: BlockSize, length: usize, etag: &[u8]) -> Message {
        let mut response = Message::new(Code::CONTENT);
        response.set_block2(Block::new(number, more, size).expect("a small number"));
        response.payload = vec![0; length].into();
        if !etag.is_empty() {
            let options = response.options_mut();
            options
                .add(OptionNumber::ETAG, etag)
                .expect("an entity-tag");
        }
        response
    }

    #[test]
    fn a_body_is_taken_block_by_block() {
        let mut download = Download::new(Code::GET, None, 1 << 20);
        for (number, more) in [(0, true), (1, false)] {
            let mut request = Message::new(Code::GET);
            download.prepare(&mut request).expect("a block");
            let response = block(number, more, BlockSize::B16, 16, b"");
            let step = download.answered(&response).expect("it is due");
            assert_eq!(step == DownloadStep::Last, !more);
        }
        assert_eq!(download.received(), 32);
    }

    #[test]
    fn a_body_that_changes_is_fetched_anew_but_not_for_ever() {
        let mut download = Download::new(Code::GET, None, 1000);
        for restart in 0..5 {
            let first = block(0, true, BlockSize::B16, 16, &[restart]);
            assert_eq!(download.answered(&first), Ok(DownloadStep::More));
            let changed = block(1, true, BlockSize::B16, 16, &[restart + 1]);
            let expected = if restart < 4 {
                Ok(DownloadStep::Restart)
            } else {
                Err(BlockError::Changed)
            };
            assert_eq!(download.answered(&changed), expected);
        }
    }

    #[test]
    fn what_is_done_once_or_was_passed_on_is_not_begun_anew() {
        let once = [
            Code::POST,
            Code::PUT,
            Code::DELETE,
            Code::PATCH,
            Code::IPATCH,
        ];
        let once = once.map(|method| Download::new(method, None, 1000));
        let passed_on = Download::new(Code::GET, None, 1000).without_restart();
        for fresh in once.into_iter().chain([passed_on]) {
            let mut small = Message::new(Code::CONTENT);
            small.payload = "all of it".into();
            let other = block(1, true, BlockSize::B16, 16, b"b");
            for changed in [small, other] {
                let mut download = fresh.clone();
                let first = block(0, true, BlockSize::B16, 16, b"a");
                assert_eq!(download.answered(&first), Ok(DownloadStep::More));
                assert_eq!(download.answered(&changed), Err(BlockError::Changed));
            }
        }
    }

    #[test]
    fn blocks_must_be_those_that_are_due() {
        for (response, what) in [
            (block(1, true, BlockSize::B16, 16, b""), "the second"),
            (block(0, true, BlockSize::B16, 15, b""), "too short"),
            (block(0, true, BlockSize::B16, 0, b""), "empty"),
            (block(0, false, BlockSize::B16, 17, b""), "too long"),
            (block(0, true, BlockSize::Bert, 1025, b""), "no whole units"),
            (block(0, true, BlockSize::Bert, 0, b""), "no unit at all"),
        ] {
            Download::new(Code::GET, None, 5000)
                .answered(&response)
                .expect_err(what);
        }
    }

    #[test]
    fn a_smaller_size_is_kept_to() {
        let mut download = Download::new(Code::GET, Some(BlockSize::B1024), 5000);
        let first = block(0, true, BlockSize::B64, 64, b"");
        assert_eq!(download.answered(&first), Ok(DownloadStep::More));
        let mut request = Message::new(Code::GET);
        download.prepare(&mut request).expect("a block");
        let asked = request.block2().map(|block| block.to_string());
        assert_eq!(asked.as_deref(), Some("1/0/64"));
    }

    #[test]
    fn nothing_beyond_the_limit_is_taken() {
        let mut download = Download::new(Code::GET, None, 31);
        let first = block(0, true, BlockSize::B16, 16, b"");
        assert_eq!(download.answered(&first), Ok(DownloadStep::More));
        let second = block(1, false, BlockSize::B16, 16, b"");
        let too_large = Err(BlockError::TooLarge { limit: 31 });
        assert_eq!(download.answered(&second), too_large);
        let mut announced = block(0, true, BlockSize::B16, 16, b"");
        let size = announced.options_mut().set_uint(OptionNumber::SIZE2, 32);
        size.expect("a size");
        let mut download = Download::new(Code::GET, None, 31);
        assert_eq!(download.answered(&announced), too_large);
    }
}
