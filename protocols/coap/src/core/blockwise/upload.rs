//! Uploads in blocks: the client's side of Block1.

use super::BlockError;
use crate::codec::{Block, BlockSize, Code, Message, OptionNumber};

/// Sends a request's body, block by block (RFC 7959, sections 2.5 and 3.2; RFC 8323, section 6).
#[derive(Clone, Debug)]
pub(crate) struct Upload {
    size: BlockSize,
    /// How many bytes a BERT block may have.
    most: usize,
    offset: u64,
    total: Option<u64>,
    /// The block that is on its way.
    sent: Option<(Block, usize)>,
    /// Whether the server has lost it once already.
    lost: bool,
}

/// What is to be done after a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UploadStep {
    /// The block at the new [`offset`](Upload::offset) is next.
    Next,
    /// The server wants smaller blocks: what was sent last goes again in these, from the same
    /// [`offset`](Upload::offset) on.
    Again,
    /// The server has lost the body: all begins again from byte 0.
    Restart,
    /// The response is the request's own; nothing more is to be sent.
    Done,
}

impl Upload {
    /// A body in blocks of this size, or smaller where the server wants that. `most` is what one
    /// message can carry, in bytes, which counts for [`BlockSize::Bert`] only; `total` is told to
    /// the server (Size1), where it is known.
    pub(crate) fn new(size: BlockSize, most: usize, total: Option<u64>) -> Self {
        Self {
            size,
            most: most.max(size.bytes()),
            offset: 0,
            total,
            sent: None,
            lost: false,
        }
    }

    /// Where in the body the next block begins, in bytes.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// How many bytes the next block has; the last one may have less.
    pub(crate) fn room(&self) -> usize {
        match self.size {
            BlockSize::Bert => self.most - self.most % BlockSize::Bert.bytes(),
            size => size.bytes(),
        }
    }

    /// Makes a request with a block as its payload say which one it is, and whether `more` follow.
    ///
    /// # Errors
    /// [`BlockError::TooManyBlocks`]; [`BlockError::WrongLength`] where more follow, and the payload
    /// is no whole block.
    pub(crate) fn prepare(&mut self, request: &mut Message, more: bool) -> Result<(), BlockError> {
        let length = request.payload.len();
        let unit = self.size.bytes();
        if length > self.room() || more && (length == 0 || !length.is_multiple_of(unit)) {
            return Err(BlockError::WrongLength);
        }
        let number = self.offset / unit as u64;
        let block = u32::try_from(number)
            .ok()
            .and_then(|number| Block::new(number, more, self.size))
            .ok_or(BlockError::TooManyBlocks)?;
        request.set_block1(block);
        if self.offset == 0
            && let Some(total) = self.total.and_then(|total| u32::try_from(total).ok())
        {
            let _ = request.options_mut().set_uint(OptionNumber::SIZE1, total);
        }
        self.sent = Some((block, length));
        Ok(())
    }

    /// Judges the response to the block that was prepared last.
    ///
    /// # Errors
    /// Where it doesn't fit the block, and where the server has lost the body for a second time.
    pub(crate) fn answered(&mut self, response: &Message) -> Result<UploadStep, BlockError> {
        let Some((sent, length)) = self.sent.take() else {
            return Err(BlockError::NoBlock);
        };
        let told = response.block1();
        match response.code() {
            // Too large a block, and not too large a body: the option says which size will do, at
            // any time (RFC 7959, section 2.9.3). A smaller unit divides a larger one, so that the
            // offset stays on a boundary.
            Code::REQUEST_ENTITY_TOO_LARGE => {
                let smaller = told.map(Block::size).filter(|size| *size < self.size);
                return Ok(match smaller {
                    Some(size) => {
                        self.size = size;
                        UploadStep::Again
                    }
                    None => UploadStep::Done,
                });
            }
            // The server has no such transfer (section 2.9.2), perhaps no longer.
            Code::REQUEST_ENTITY_INCOMPLETE if sent.number() > 0 => {
                if std::mem::replace(&mut self.lost, true) {
                    return Err(BlockError::Incomplete);
                }
                self.offset = 0;
                return Ok(UploadStep::Restart);
            }
            code if !code.is_success() => return Ok(UploadStep::Done),
            _ => {}
        }
        let is_continue = response.code() == Code::CONTINUE;
        if !sent.more() {
            return if is_continue {
                Err(BlockError::TooMuchAsked)
            } else {
                Ok(UploadStep::Done)
            };
        }
        // 2.31, or the response to a block that was acted on by itself (section 3.2, figure 8).
        let told = told.ok_or(BlockError::NoBlock)?;
        // A size that shrinks is told with the number of the block as it was sent (figure 9).
        if told.number() != sent.number() {
            return Err(BlockError::WrongBlock {
                expected: sent.offset(),
                got: u64::from(told.number()) * sent.size().bytes() as u64,
            });
        }
        self.offset += length as u64;
        self.size = self.size.min(told.size());
        Ok(UploadStep::Next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(code: Code, block: Option<(u32, bool, BlockSize)>) -> Message {
        let mut response = Message::new(code);
        if let Some((number, more, size)) = block {
            response.set_block1(Block::new(number, more, size).expect("a small number"));
        }
        response
    }

    fn send(upload: &mut Upload, length: usize, more: bool) -> Result<String, BlockError> {
        let mut request = Message::new(Code::PUT);
        request.payload = vec![0; length].into();
        upload.prepare(&mut request, more)?;
        Ok(request.block1().expect("set").to_string())
    }

    #[test]
    fn a_body_is_sent_in_the_blocks_that_the_server_wants() {
        let mut upload = Upload::new(BlockSize::B128, 1024, Some(300));
        let mut sent = 0;
        loop {
            let rest = 300 - usize::try_from(upload.offset()).expect("a small number");
            let length = rest.min(upload.room());
            let mut request = Message::new(Code::PUT);
            request.payload = vec![0; length].into();
            let prepared = upload.prepare(&mut request, length < rest);
            prepared.expect("a block");
            sent += 1;
            let asked = request.block1().expect("in blocks");
            let code = if asked.more() {
                Code::CONTINUE
            } else {
                Code::CHANGED
            };
            let size = asked.size().min(BlockSize::B64);
            let answer = response(code, Some((asked.number(), asked.more(), size)));
            if upload.answered(&answer).expect("it fits") == UploadStep::Done {
                break;
            }
        }
        // 128 bytes, and then three times up to 64.
        assert_eq!(sent, 4);
    }

    #[test]
    fn a_smaller_block_hinted_at_by_4_13_is_sent_again() {
        let mut upload = Upload::new(BlockSize::B1024, 1024, None);
        assert_eq!(send(&mut upload, 1024, true).as_deref(), Ok("0/1/1024"));
        let hint = response(
            Code::REQUEST_ENTITY_TOO_LARGE,
            Some((0, false, BlockSize::B64)),
        );
        assert_eq!(upload.answered(&hint), Ok(UploadStep::Again));
        assert_eq!(send(&mut upload, 64, true).as_deref(), Ok("0/1/64"));
        // The same hint again is no hint.
        assert_eq!(upload.answered(&hint), Ok(UploadStep::Done));
    }

    #[test]
    fn what_is_lost_is_sent_again_once() {
        let mut upload = Upload::new(BlockSize::B16, 16, None);
        for expected in [Ok(UploadStep::Restart), Err(BlockError::Incomplete)] {
            send(&mut upload, 16, true).expect("a block");
            let more = response(Code::CONTINUE, Some((0, true, BlockSize::B16)));
            assert_eq!(upload.answered(&more), Ok(UploadStep::Next));
            send(&mut upload, 16, true).expect("a block");
            let lost = response(Code::REQUEST_ENTITY_INCOMPLETE, None);
            assert_eq!(upload.answered(&lost), expected);
        }
    }

    #[test]
    fn a_response_that_does_not_fit_is_an_error() {
        let fresh = || {
            let mut upload = Upload::new(BlockSize::B16, 16, None);
            send(&mut upload, 16, true).expect("a block");
            upload
        };
        let other = response(Code::CONTINUE, Some((1, true, BlockSize::B16)));
        fresh().answered(&other).expect_err("another block's");
        let all = response(Code::CHANGED, None);
        assert_eq!(fresh().answered(&all), Err(BlockError::NoBlock));
        let refusal = response(Code::FORBIDDEN, None);
        assert_eq!(fresh().answered(&refusal), Ok(UploadStep::Done));
        let mut last = Upload::new(BlockSize::B16, 16, None);
        send(&mut last, 3, false).expect("a block");
        let more = response(Code::CONTINUE, Some((0, true, BlockSize::B16)));
        assert_eq!(last.answered(&more), Err(BlockError::TooMuchAsked));
    }

    #[test]
    fn blocks_of_bert_count_in_units_of_1024() {
        let mut upload = Upload::new(BlockSize::Bert, 8192 + 100, Some(20_000));
        assert_eq!(upload.room(), 8192);
        assert_eq!(send(&mut upload, 8192, true).as_deref(), Ok("0/1/BERT"));
        let more = response(Code::CONTINUE, Some((0, true, BlockSize::Bert)));
        assert_eq!(upload.answered(&more), Ok(UploadStep::Next));
        assert_eq!(send(&mut upload, 4096, true).as_deref(), Ok("8/1/BERT"));
        let more = response(Code::CONTINUE, Some((8, true, BlockSize::Bert)));
        assert_eq!(upload.answered(&more), Ok(UploadStep::Next));
        assert_eq!(send(&mut upload, 100, false).as_deref(), Ok("12/0/BERT"));
    }

    #[test]
    fn what_has_too_many_blocks_is_refused() {
        let mut upload = Upload::new(BlockSize::B16, 16, None);
        upload.offset = 16 << 20;
        assert_eq!(send(&mut upload, 16, true), Err(BlockError::TooManyBlocks));
        assert_eq!(send(&mut upload, 17, true), Err(BlockError::WrongLength));
        assert_eq!(send(&mut upload, 3, true), Err(BlockError::WrongLength));
    }
}
