//! The server's side: collecting what comes by Block1, and giving what is asked for by Block2.

use super::BlockError;
use crate::codec::{Block, BlockSize, Message, OptionNumber};

/// Collects a request's body (RFC 7959, section 2.5).
///
/// It takes blocks in order only, as RFC 7959 allows: who sends another one begins again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Assembly {
    body: Vec<u8>,
}

/// What became of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It was taken, and more follow: 2.31 Continue, with this Block1.
    More(Block),
    /// It was the last; the response carries this Block1.
    Complete(Block),
}

impl Assembly {
    /// Takes a request's block, of at most `size`: what a larger one holds is taken too, and the
    /// client is told to go on with smaller ones. The body may have `limit` bytes.
    ///
    /// # Errors
    /// [`BlockError::Incomplete`] where the one before is missing (4.08), [`BlockError::TooLarge`]
    /// (4.13), and [`BlockError::WrongLength`] (4.00).
    pub(crate) fn take(
        &mut self,
        block: Block,
        payload: &[u8],
        size: BlockSize,
        limit: usize,
    ) -> Result<Taken, BlockError> {
        if block.number() == 0 {
            self.body.clear();
        }
        let told = Block::new(block.number(), block.more(), block.size().min(size));
        let told = told.unwrap_or(block);
        if block.offset() != self.body.len() as u64 {
            // Who did not hear that it was taken sends the last one again.
            let from = usize::try_from(block.offset()).unwrap_or(usize::MAX);
            let is_repeated = block.more() && !payload.is_empty();
            if is_repeated && self.body.get(from..) == Some(payload) {
                return Ok(Taken::More(told));
            }
            return Err(BlockError::Incomplete);
        }
        let unit = block.size().bytes();
        let fits = match (block.size(), block.more()) {
            (BlockSize::Bert, true) => !payload.is_empty() && payload.len().is_multiple_of(unit),
            (BlockSize::Bert, false) => true,
            (_, true) => payload.len() == unit,
            (_, false) => payload.len() <= unit,
        };
        if !fits {
            return Err(BlockError::WrongLength);
        }
        if payload.len() > limit.saturating_sub(self.body.len()) {
            self.body = Vec::new();
            let limit = limit as u64;
            return Err(BlockError::TooLarge { limit });
        }
        self.body.extend_from_slice(payload);
        Ok(if block.more() {
            Taken::More(told)
        } else {
            Taken::Complete(told)
        })
    }

    /// How many bytes are there.
    pub(crate) fn len(&self) -> usize {
        self.body.len()
    }

    /// The body.
    pub(crate) fn into_body(self) -> Vec<u8> {
        self.body
    }
}

/// Puts into a response the part of its body that a request asks for (RFC 7959, section 2.4). A
/// body that fits into one block of `size` and was not asked for in blocks goes as it is. With BERT
/// (RFC 8323, section 6), `size` is [`BlockSize::Bert`] and a message carries `most` bytes.
///
/// # Errors
/// [`BlockError::TooMuchAsked`] where the block lies behind the end (4.02), and
/// [`BlockError::TooManyBlocks`].
pub(crate) fn cut(
    response: &mut Message,
    body: &[u8],
    asked: Option<Block>,
    size: BlockSize,
    most: usize,
) -> Result<(), BlockError> {
    let room = |size: BlockSize| match size {
        BlockSize::Bert => (most - most % size.bytes()).max(size.bytes()),
        size => size.bytes(),
    };
    let (from, size) = match asked {
        None if body.len() <= room(size) => {
            response.payload = body.to_vec().into();
            return Ok(());
        }
        None => (0, size),
        Some(asked) => (asked.offset(), asked.size().min(size)),
    };
    let from = usize::try_from(from).map_err(|_| BlockError::TooMuchAsked)?;
    let rest = body
        .get(from..)
        .filter(|rest| !rest.is_empty() || from == 0)
        .ok_or(BlockError::TooMuchAsked)?;
    let length = rest.len().min(room(size));
    let (part, behind) = rest.split_at(length);
    let block = u32::try_from(from / size.bytes())
        .ok()
        .and_then(|number| Block::new(number, !behind.is_empty(), size))
        .ok_or(BlockError::TooManyBlocks)?;
    response.set_block2(block);
    if from == 0
        && !behind.is_empty()
        && let Ok(total) = u32::try_from(body.len())
    {
        let _ = response.options_mut().set_uint(OptionNumber::SIZE2, total);
    }
    response.payload = part.to_vec().into();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Code;
    use crate::core::blockwise::{Download, DownloadStep};

    fn block(number: u32, more: bool, size: BlockSize) -> Block {
        Block::new(number, more, size).expect("a small number")
    }

    #[test]
    fn blocks_are_taken_in_order() {
        let mut assembly = Assembly::default();
        let mut take = |number, more, length: usize| {
            let block = block(number, more, BlockSize::B16);
            assembly.take(block, &vec![0; length], BlockSize::B16, 64)
        };
        assert_eq!(take(1, true, 16), Err(BlockError::Incomplete));
        assert!(matches!(take(0, true, 16), Ok(Taken::More(_))));
        assert_eq!(take(2, true, 16), Err(BlockError::Incomplete));
        for _ in 0..2 {
            assert!(matches!(take(1, true, 16), Ok(Taken::More(_))));
        }
        assert_eq!(take(2, true, 15), Err(BlockError::WrongLength));
        // Somebody begins again.
        assert!(matches!(take(0, true, 16), Ok(Taken::More(_))));
        assert!(matches!(take(1, false, 3), Ok(Taken::Complete(_))));
        assert_eq!(assembly.into_body().len(), 19);
    }

    #[test]
    fn a_body_beyond_the_limit_is_let_go() {
        let mut assembly = Assembly::default();
        let first = block(0, true, BlockSize::B16);
        assert!(assembly.take(first, &[0; 16], BlockSize::B16, 20).is_ok());
        let second = block(1, false, BlockSize::B16);
        let taken = assembly.take(second, &[0; 5], BlockSize::B16, 20);
        assert_eq!(taken, Err(BlockError::TooLarge { limit: 20 }));
        assert!(assembly.len() == 0);
    }

    #[test]
    fn a_download_gets_what_was_cut() {
        let body: Vec<u8> = (0..=255).cycle().take(5000).collect();
        for (wanted, size, most) in [
            (None, BlockSize::B1024, 1024),
            (Some(BlockSize::B64), BlockSize::B1024, 1024),
            (Some(BlockSize::Bert), BlockSize::B256, 256),
            (Some(BlockSize::Bert), BlockSize::Bert, 3000),
            (None, BlockSize::Bert, 2048),
        ] {
            let mut download = Download::new(Code::GET, wanted, 5000);
            let mut got = Vec::new();
            loop {
                let mut request = Message::new(Code::GET);
                download.prepare(&mut request).expect("a block");
                let mut response = Message::new(Code::CONTENT);
                cut(&mut response, &body, request.block2(), size, most).expect("it is there");
                got.extend_from_slice(&response.payload);
                if download.answered(&response) == Ok(DownloadStep::Last) {
                    break;
                }
            }
            assert_eq!(got, body);
            assert_eq!(download.total(), Some(5000));
        }
    }

    #[test]
    fn behind_the_end_there_is_nothing() {
        let mut response = Message::new(Code::CONTENT);
        let asked = Some(block(1, false, BlockSize::B16));
        let cut_there =
            |response: &mut Message, body: &[u8]| cut(response, body, asked, BlockSize::B16, 16);
        assert_eq!(
            cut_there(&mut response, &[0; 16]),
            Err(BlockError::TooMuchAsked)
        );
        assert_eq!(cut_there(&mut response, &[0; 17]), Ok(()));
        assert_eq!(response.payload.len(), 1);
    }
}
