//! A message, whatever carries it.

use std::fmt;

use bytes::Bytes;

use super::options::PAYLOAD_MARKER;
use super::{
    Block, Code, ContentFormat, DecodeError, DecodeErrorKind, OptionNumber, Options, Token,
};

/// A message: a request, a response or a signal, without what only its carrier needs.
///
/// It can hold any options; [`Options`] says how they are checked.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Message {
    code: Code,
    token: Token,
    options: Options,
    /// Its payload; none and an empty one are the same. What repeats, cuts or keeps a message shares
    /// it, and copies no body.
    pub payload: Bytes,
}

impl Message {
    /// A message with an empty token, without options and payload.
    pub fn new(code: Code) -> Self {
        Self {
            code,
            token: Token::EMPTY,
            options: Options::default(),
            payload: Bytes::new(),
        }
    }

    /// What it is.
    pub fn code(&self) -> Code {
        self.code
    }

    /// Makes it something else.
    pub fn set_code(&mut self, code: Code) {
        self.code = code;
    }

    /// What a response has in common with its request.
    pub fn token(&self) -> Token {
        self.token
    }

    /// Gives it another token.
    pub fn set_token(&mut self, token: Token) {
        self.token = token;
    }

    /// Its options.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Its options, to change.
    pub fn options_mut(&mut self) -> &mut Options {
        &mut self.options
    }

    /// What the payload is.
    pub fn content_format(&self) -> Option<ContentFormat> {
        self.uint16(OptionNumber::CONTENT_FORMAT).map(ContentFormat)
    }

    /// Says what the payload is.
    pub fn set_content_format(&mut self, format: ContentFormat) {
        self.set_uint(OptionNumber::CONTENT_FORMAT, format.0.into());
    }

    /// What the client wants the payload to be.
    pub fn accept(&self) -> Option<ContentFormat> {
        self.uint16(OptionNumber::ACCEPT).map(ContentFormat)
    }

    /// Says what the payload of the response must be.
    pub fn set_accept(&mut self, format: ContentFormat) {
        self.set_uint(OptionNumber::ACCEPT, format.0.into());
    }

    /// For how long the response is fresh, in seconds; `None` means 60 (RFC 7252, section 5.10.5).
    pub fn max_age(&self) -> Option<u32> {
        self.options.uint(OptionNumber::MAX_AGE)
    }

    /// Says for how long the response is fresh, in seconds.
    pub fn set_max_age(&mut self, seconds: u32) {
        self.set_uint(OptionNumber::MAX_AGE, seconds);
    }

    /// A request's wish to observe (0) or to end that (1), or a notification's place in their order
    /// (RFC 7641, section 2).
    pub(crate) fn observe(&self) -> Option<u32> {
        self.options.uint(OptionNumber::OBSERVE)
    }

    /// Sets Observe, of which the lower 24 bits count.
    pub(crate) fn set_observe(&mut self, value: u32) {
        self.set_uint(OptionNumber::OBSERVE, value & 0x00ff_ffff);
    }

    /// Which block of the request's body this is.
    pub(crate) fn block1(&self) -> Option<Block> {
        Block::from_uint(self.options.uint(OptionNumber::BLOCK1)?)
    }

    /// Says which block of the request's body this is.
    pub(crate) fn set_block1(&mut self, block: Block) {
        self.set_uint(OptionNumber::BLOCK1, block.to_uint());
    }

    /// Which block of the response's body this is, or is wanted.
    pub(crate) fn block2(&self) -> Option<Block> {
        Block::from_uint(self.options.uint(OptionNumber::BLOCK2)?)
    }

    /// Says which block of the response's body this is, or is wanted.
    pub(crate) fn set_block2(&mut self, block: Block) {
        self.set_uint(OptionNumber::BLOCK2, block.to_uint());
    }

    /// Whether it has a block of the size that only reliable carriers have a meaning for (RFC 7959,
    /// section 2.2; RFC 8323, section 6).
    pub(crate) fn has_reserved_block(&self) -> bool {
        let is_reserved = |block: Option<Block>| block.is_some_and(Block::is_bert);
        is_reserved(self.block1()) || is_reserved(self.block2())
    }

    /// The segments of the path.
    pub fn uri_path(&self) -> impl Iterator<Item = &str> {
        self.options.texts(OptionNumber::URI_PATH)
    }

    /// The arguments of the query.
    pub fn uri_query(&self) -> impl Iterator<Item = &str> {
        self.options.texts(OptionNumber::URI_QUERY)
    }

    /// The entity-tags.
    pub(crate) fn etags(&self) -> impl Iterator<Item = &[u8]> {
        self.options.get_all(OptionNumber::ETAG)
    }

    fn uint16(&self, number: OptionNumber) -> Option<u16> {
        u16::try_from(self.options.uint(number)?).ok()
    }

    /// For values that fit whatever they are; a full list of options is left as it is.
    fn set_uint(&mut self, number: OptionNumber, value: u32) {
        let done = self.options.set_uint(number, value);
        debug_assert!(done.is_ok(), "{done:?}");
    }

    /// How many bytes token, options, marker and payload take.
    pub(crate) fn body_len(&self) -> usize {
        let marker = usize::from(!self.payload.is_empty());
        self.token.len() + self.options.as_bytes().len() + marker + self.payload.len()
    }

    /// Appends token, options, marker and payload.
    pub(crate) fn push_body(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.token.as_bytes());
        out.extend_from_slice(self.options.as_bytes());
        if !self.payload.is_empty() {
            out.push(PAYLOAD_MARKER);
            out.extend_from_slice(&self.payload);
        }
    }

    /// Takes token, options, marker and payload, which are all of `bytes` from `at` on.
    pub(crate) fn decode_body(
        code: Code,
        token_length: u8,
        bytes: &[u8],
        at: usize,
    ) -> Result<Self, DecodeError> {
        let error = |kind, at| Err(DecodeError::new(kind, at));
        if usize::from(token_length) > Token::MAX {
            return error(DecodeErrorKind::TokenLength(token_length), 0);
        }
        let body = bytes.get(at..).unwrap_or_default();
        if code.is_empty() && (token_length > 0 || !body.is_empty()) {
            return error(DecodeErrorKind::NotEmpty, at);
        }
        let Some((token, rest)) = body.split_at_checked(token_length.into()) else {
            return error(DecodeErrorKind::Truncated, bytes.len());
        };
        let token = Token::new(token)
            .map_err(|_| DecodeError::new(DecodeErrorKind::TokenLength(token_length), 0))?;
        let at = bytes.len() - rest.len();
        let (options, used) =
            Options::decode(rest).map_err(|(kind, offset)| DecodeError::new(kind, at + offset))?;
        let payload = match rest.get(used..) {
            None | Some([]) => Bytes::new(),
            Some([_marker]) => return error(DecodeErrorKind::NoPayload, at + used),
            Some([_marker, payload @ ..]) => Bytes::copy_from_slice(payload),
        };
        Ok(Self {
            code,
            token,
            options,
            payload,
        })
    }
}

/// Without the payload, of which it says the length.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("code", &self.code)
            .field("token", &self.token)
            .field("options", &self.options)
            .field("payload", &format_args!("{} bytes", self.payload.len()))
            .finish()
    }
}
