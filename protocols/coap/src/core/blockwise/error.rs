//! Errors of a transfer in blocks: how one fails.

use std::fmt;

/// Why a transfer in blocks can't go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BlockError {
    /// The server answered a block with another one's number.
    WrongBlock {
        /// Where in the body it should have begun, in bytes.
        expected: u64,
        /// Where it began.
        got: u64,
    },
    /// A block is not as long as it says.
    WrongLength,
    /// The server answered a block of the request without saying which, and without an error.
    NoBlock,
    /// The server asked for more, and had everything.
    TooMuchAsked,
    /// The body changed while it was transferred: too often, or after parts of it were passed on, or
    /// in the answer to a request that is not made again by itself, as only GET and FETCH are.
    Changed,
    /// The server lost what it had been sent, again or where it can't be sent again.
    Incomplete,
    /// A block's size is the one that is reserved for streams (RFC 7959, section 2.2; RFC 8323,
    /// section 6), and it came in a datagram.
    ReservedSize,
    /// The body has more blocks than can be counted, which is 2^20.
    TooManyBlocks,
    /// The body is larger than is allowed.
    TooLarge {
        /// How many bytes it may have.
        limit: u64,
    },
}

impl fmt::Display for BlockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WrongBlock { expected, got } => {
                write!(
                    f,
                    "the block at byte {expected} was due, and that at {got} came"
                )
            }
            Self::WrongLength => f.write_str("a block is not as long as it says"),
            Self::NoBlock => f.write_str("a block of the request was answered as if it were all"),
            Self::TooMuchAsked => f.write_str("more was asked for than there is"),
            Self::Changed => f.write_str("the body changed while it was transferred"),
            Self::Incomplete => f.write_str("the server lost a part of the body"),
            Self::ReservedSize => f.write_str("a block's size is reserved for streams"),
            Self::TooManyBlocks => f.write_str("the body has more blocks than can be counted"),
            Self::TooLarge { limit } => write!(f, "the body is larger than {limit} bytes"),
        }
    }
}

impl std::error::Error for BlockError {}
