//! Uploads: requests whose body may be larger than a message.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::ready;

use tokio::io::{AsyncRead, ReadBuf};

use super::handle::Client;
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
pub(super) enum Source<'a> {
    Bytes(&'a [u8]),
    Read {
        from: Box<dyn AsyncRead + Send + Unpin + 'a>,
        /// What was read and not taken: from `begin` on.
        ahead: Vec<u8>,
        begin: u64,
        ended: bool,
    },
}

impl<'a> Source<'a> {
    pub(super) fn read(from: impl AsyncRead + Send + Unpin + 'a) -> Self {
        Self::Read {
            from: Box::new(from),
            ahead: Vec::new(),
            begin: 0,
            ended: false,
        }
    }

    /// The bytes from an offset on, at most so many, and whether more follow them. What lies before
    /// the offset is let go.
    async fn at(&mut self, offset: u64, most: usize) -> Result<(&[u8], bool), RequestError> {
        match self {
            Self::Bytes(bytes) => {
                let from = usize::try_from(offset).unwrap_or(usize::MAX);
                let rest = bytes.get(from..).unwrap_or_default();
                let (block, behind) = rest.split_at(rest.len().min(most));
                Ok((block, !behind.is_empty()))
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
                Ok((block, !behind.is_empty()))
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

/// Sends a request with this body, whole or in blocks, and returns its response, or the first block
/// of it. What goes in blocks has a Request-Tag, which the request has afterwards: the requests for
/// the response's further blocks need it.
pub(super) async fn upload(
    client: &Client,
    request: &mut Request,
    source: &mut Source<'_>,
    total: Option<u64>,
    mut progress: impl FnMut(Progress) + Send,
) -> Result<Message, RequestError> {
    let (max_message, bert) = client.carrier().await?;
    let options: usize = request
        .message
        .options()
        .iter()
        .map(|(_, it)| it.len() + 5)
        .sum();
    let room = max_message.saturating_sub(options + OVERHEAD);
    let block_size = client.inner.config.block_size;
    let whole = match block_size {
        _ if bert => room,
        BlockSize::Bert => room.min(BlockSize::B1024.bytes()),
        size => room.min(size.bytes()),
    };
    let (body, more) = source.at(0, whole).await?;
    let mut size = if bert && room >= BlockSize::Bert.bytes() {
        BlockSize::Bert
    } else {
        BlockSize::at_most(whole)
    };
    if !more {
        let mut message = request.message.clone();
        message.set_payload(body);
        let length = body.len();
        let may_repeat = false;
        let response = client.exchange_again(request, &message, may_repeat).await?;
        let hint = hinted(&response).filter(|hint| hint.bytes() < length);
        let Some(hint) = hint else {
            if response.code().is_success() && length > 0 {
                let sent = length as u64;
                progress(Progress { sent, total });
            }
            return Ok(response);
        };
        size = size.min(hint);
    }

    let mut upload = Upload::new(size, room, total);
    // What tells this body's blocks from another's (RFC 9175, section 3).
    let tag = getrandom::u64().unwrap_or_default().to_be_bytes();
    let options = request.message.options_mut();
    options.set(OptionNumber::REQUEST_TAG, &tag)?;
    loop {
        let (block, more) = source.at(upload.offset(), upload.room()).await?;
        let mut message = request.message.clone();
        message.set_payload(block);
        upload.prepare(&mut message, more)?;
        // The last block makes the server act; the others it has, or has not.
        let may_repeat = more || matches!(message.code(), Code::PUT | Code::FETCH | Code::IPATCH);
        let response = client.exchange_again(request, &message, may_repeat).await?;
        let sent = upload.offset() + message.payload().len() as u64;
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

/// The size in which a server wants what it found too large (RFC 7959, section 2.9.3).
fn hinted(response: &Message) -> Option<BlockSize> {
    if response.code() != Code::REQUEST_ENTITY_TOO_LARGE {
        return None;
    }
    response.block1().map(Block::size)
}
