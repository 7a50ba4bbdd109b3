//! Uploads: requests whose body may be larger than a message.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::ready;

use bytes::Bytes;
use tokio::io::{AsyncRead, ReadBuf};

use super::exchanges::Exchanges;
use crate::codec::{Block, BlockSize, Code, Message, OptionNumber};
use crate::core::Request;
use crate::core::blockwise::{BlockError, Upload, UploadStep};
use crate::error::RequestError;

/// What a message has besides its options and payload, at the most: a header, a token, and the
/// options that are added here.
const OVERHEAD: usize = 64;

/// How far an upload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// How many bytes the server has taken.
    pub sent: u64,
    /// How many there are, where that is known.
    pub total: Option<u64>,
}

/// Where a body comes from.
enum Source<'a> {
    Bytes(Bytes),
    Read {
        from: Box<dyn AsyncRead + Send + Unpin + 'a>,
        /// What was read and not taken: from `begin` on.
        ahead: Vec<u8>,
        begin: u64,
        ended: bool,
    },
}

impl<'a> Source<'a> {
    fn read(from: impl AsyncRead + Send + Unpin + 'a) -> Self {
        Self::Read {
            from: Box::new(from),
            ahead: Vec::new(),
            begin: 0,
            ended: false,
        }
    }

    /// The bytes from an offset on, at most so many, and whether more follow them. What lies before
    /// the offset is let go.
    async fn at(&mut self, offset: u64, most: usize) -> Result<(Bytes, bool), RequestError> {
        match self {
            Self::Bytes(bytes) => {
                let offset = usize::try_from(offset).unwrap_or(usize::MAX);
                let from = offset.min(bytes.len());
                let to = from.saturating_add(most).min(bytes.len());
                Ok((bytes.slice(from..to), to < bytes.len()))
            }
            Self::Read {
                from,
                ahead,
                begin,
                ended,
            } => {
                let gone = offset
                    .checked_sub(*begin)
                    .and_then(|gone| usize::try_from(gone).ok())
                    .filter(|gone| *gone <= ahead.len())
                    .ok_or(BlockError::Incomplete)?;
                ahead.drain(..gone);
                *begin = offset;
                // One byte beyond says whether more follow.
                while !*ended && ahead.len() <= most {
                    let more = read_some(from, ahead).await;
                    *ended = !more.map_err(|error| RequestError::Body(Arc::new(error)))?;
                }
                let (block, behind) = ahead.split_at(ahead.len().min(most));
                Ok((Bytes::copy_from_slice(block), !behind.is_empty()))
            }
        }
    }
}

/// Reads what is there; whether there was anything.
async fn read_some(
    from: &mut Box<dyn AsyncRead + Send + Unpin + '_>,
    into: &mut Vec<u8>,
) -> io::Result<bool> {
    let mut buffer = [0; 2048];
    let count = poll_fn(|cx| {
        let mut buffer = ReadBuf::new(&mut buffer);
        ready!(Pin::new(&mut *from).poll_read(cx, &mut buffer))?;
        std::task::Poll::Ready(io::Result::Ok(buffer.filled().len()))
    })
    .await?;
    into.extend_from_slice(buffer.get(..count).unwrap_or_default());
    Ok(count > 0)
}

/// Sends a request, whole or in blocks, and returns its response, or the first block of it. What
/// goes in blocks has a Request-Tag, which the request has afterwards: the requests for the
/// response's further blocks need it.
pub(super) async fn send(
    exchanges: &Exchanges,
    request: &mut Request,
) -> Result<Message, RequestError> {
    let body = request.message.payload.clone();
    if body.is_empty() {
        // There is nothing to cut, whatever the carrier can take.
        return exchanges.exchange(request, request.message.clone()).await;
    }
    let mut room = Room::of(exchanges, request).await?;
    if body.len() <= room.whole {
        let response = exchanges.exchange(request, request.message.clone()).await?;
        match hinted(&response, body.len()) {
            None => return Ok(response),
            Some(hint) => room.size = room.size.min(hint),
        }
    }
    let total = Some(body.len() as u64);
    let source = &mut Source::Bytes(body);
    send_in_blocks(exchanges, request, source, room, total, |_| {}).await
}

/// [`send`], with a body that is read as it is needed.
pub(super) async fn read(
    exchanges: &Exchanges,
    request: &mut Request,
    body: impl AsyncRead + Send + Unpin,
    total: Option<u64>,
    mut progress: impl FnMut(Progress) + Send,
) -> Result<Message, RequestError> {
    let mut room = Room::of(exchanges, request).await?;
    let source = &mut Source::read(body);
    let (body, more) = source.at(0, room.whole).await?;
    if !more {
        let length = body.len();
        let mut message = request.message.clone();
        message.payload = body;
        let response = exchanges.exchange(request, message).await?;
        match hinted(&response, length) {
            None => {
                if response.code().is_success() && length > 0 {
                    let sent = length as u64;
                    progress(Progress { sent, total });
                }
                return Ok(response);
            }
            Some(hint) => room.size = room.size.min(hint),
        }
    }
    send_in_blocks(exchanges, request, source, room, total, progress).await
}

/// How much of a body goes into one message.
#[derive(Clone, Copy, Debug)]
struct Room {
    /// How many bytes fit.
    bytes: usize,
    /// How many bytes a body may have that goes whole.
    whole: usize,
    /// The size of blocks, where there are any.
    size: BlockSize,
}

impl Room {
    /// As soon as there is a connection.
    async fn of(exchanges: &Exchanges, request: &Request) -> Result<Self, RequestError> {
        let carrier = exchanges.carrier().await?;
        let options = request.message.options();
        let options: usize = options.iter().map(|(_, it)| it.len() + 5).sum();
        let bytes = carrier.max_message.saturating_sub(options + OVERHEAD);
        let whole = match exchanges.settings.block_size {
            _ if carrier.bert => bytes,
            BlockSize::Bert => bytes.min(BlockSize::B1024.bytes()),
            size => bytes.min(size.bytes()),
        };
        let size = if carrier.bert && bytes >= BlockSize::Bert.bytes() {
            BlockSize::Bert
        } else {
            BlockSize::at_most(whole)
        };
        Ok(Self { bytes, whole, size })
    }
}

async fn send_in_blocks(
    exchanges: &Exchanges,
    request: &mut Request,
    source: &mut Source<'_>,
    room: Room,
    total: Option<u64>,
    mut progress: impl FnMut(Progress) + Send,
) -> Result<Message, RequestError> {
    let mut upload = Upload::new(room.size, room.bytes, total);
    // What tells this body's blocks from another's (RFC 9175, section 3).
    let tag = getrandom::u64().unwrap_or_default().to_be_bytes();
    let options = request.message.options_mut();
    options.set(OptionNumber::REQUEST_TAG, &tag)?;
    loop {
        let (block, more) = source.at(upload.offset(), upload.room()).await?;
        let sent = upload.offset() + block.len() as u64;
        let mut message = request.message.clone();
        message.payload = block;
        upload.prepare(&mut message, more)?;
        // The last block makes the server act; the others it has, or has not.
        let response = match message.code() {
            Code::PUT | Code::FETCH | Code::IPATCH => {
                exchanges.exchange_again(request, message).await?
            }
            _ if more => exchanges.exchange_again(request, message).await?,
            _ => exchanges.exchange(request, message).await?,
        };
        match upload.answered(&response)? {
            UploadStep::Next => progress(Progress { sent, total }),
            UploadStep::Again | UploadStep::Restart => {}
            UploadStep::Done => {
                if response.code().is_success() {
                    progress(Progress { sent, total });
                }
                return Ok(response);
            }
        }
    }
}

/// The size in which a server wants a body of this length, which it found too large (RFC 7959,
/// section 2.9.3).
fn hinted(response: &Message, length: usize) -> Option<BlockSize> {
    if response.code() != Code::REQUEST_ENTITY_TOO_LARGE {
        return None;
    }
    let size = response.block1().map(Block::size);
    size.filter(|size| size.bytes() < length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn blocks_are_slices_of_the_one_body() {
        let body = vec![7; 5000];
        let begin = body.as_ptr().addr();
        let mut request = Request::put("/").expect("a target");
        request.message.payload = body.into();
        let source = &mut Source::Bytes(request.message.payload.clone());
        for (offset, length, more) in [(0, 2048, true), (2048, 2048, true), (4096, 904, false)] {
            let (block, follows) = source.at(offset, 2048).await.expect("a block");
            assert_eq!((block.len(), follows), (length, more));
            let mut message = request.message.clone();
            message.payload = block;
            let at = message.clone().payload.as_ptr().addr();
            assert_eq!(at - begin, usize::try_from(offset).expect("it is small"));
        }
        let (behind, more) = source.at(5001, 2048).await.expect("no block");
        assert!(behind.is_empty() && !more);
        // Whole, it is neither copied when it is sent nor when it comes back.
        let mut whole = request.message.clone();
        drop(request);
        *source = Source::Bytes(Bytes::new());
        assert_eq!(whole.payload.as_ptr().addr(), begin);
        let taken = Vec::from(std::mem::take(&mut whole.payload));
        assert_eq!(taken.as_ptr().addr(), begin);
    }
}
