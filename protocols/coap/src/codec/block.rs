//! The value of Block1, Block2 and their kin (RFC 7959, section 2.2).

use std::fmt;

/// Which block of a body a message holds, or asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Block {
    number: u32,
    more: bool,
    size: BlockSize,
}

/// A block's size: a power of two from 16 to 1024 bytes, or several of 1024 in one message, which
/// reliable carriers allow (BERT, RFC 8323, section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BlockSize {
    /// 16 bytes.
    B16,
    /// 32 bytes.
    B32,
    /// 64 bytes.
    B64,
    /// 128 bytes.
    B128,
    /// 256 bytes.
    B256,
    /// 512 bytes.
    B512,
    /// 1024 bytes.
    B1024,
    /// Any multiple of 1024 bytes; numbers count units of 1024.
    Bert,
}

impl Block {
    /// The largest number: 20 bits.
    pub(crate) const MAX_NUMBER: u32 = (1 << 20) - 1;

    /// A block; `None` where the number has more than 20 bits.
    pub(crate) fn new(number: u32, more: bool, size: BlockSize) -> Option<Self> {
        (number <= Self::MAX_NUMBER).then_some(Self { number, more, size })
    }

    /// Of the option's value; `None` where it has more than 24 bits.
    pub(crate) fn from_uint(value: u32) -> Option<Self> {
        Self::new(
            value >> 4,
            value & 8 != 0,
            BlockSize::from_exponent(value as u8 & 7),
        )
    }

    /// The option's value.
    pub(crate) fn to_uint(self) -> u32 {
        self.number << 4 | u32::from(self.more) << 3 | u32::from(self.size.exponent())
    }

    /// Its number, in units of its size.
    pub(crate) fn number(self) -> u32 {
        self.number
    }

    /// Whether more blocks follow.
    pub(crate) fn more(self) -> bool {
        self.more
    }

    /// Its size.
    pub(crate) fn size(self) -> BlockSize {
        self.size
    }

    /// Whether it holds several blocks of 1024 bytes (BERT).
    pub(crate) fn is_bert(self) -> bool {
        self.size == BlockSize::Bert
    }

    /// Where in the body it begins, in bytes.
    pub(crate) fn offset(self) -> u64 {
        u64::from(self.number) * self.size.bytes() as u64
    }
}

/// As RFC 7959 writes it in its examples: number, more, size.
impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/", self.number, u8::from(self.more))?;
        match self.size {
            BlockSize::Bert => f.write_str("BERT"),
            size => write!(f, "{}", size.bytes()),
        }
    }
}

impl BlockSize {
    /// All but BERT, from the smallest.
    pub const ALL: [Self; 7] = [
        Self::B16,
        Self::B32,
        Self::B64,
        Self::B128,
        Self::B256,
        Self::B512,
        Self::B1024,
    ];

    /// Of SZX, the three bits in the option.
    fn from_exponent(exponent: u8) -> Self {
        Self::ALL
            .get(usize::from(exponent))
            .copied()
            .unwrap_or(Self::Bert)
    }

    /// SZX, the three bits in the option.
    pub(crate) fn exponent(self) -> u8 {
        self as u8
    }

    /// The unit in which blocks are counted, in bytes.
    pub fn bytes(self) -> usize {
        match self {
            Self::Bert => 1024,
            size => 16 << size.exponent(),
        }
    }

    /// The largest that is no larger than this many bytes, and 16 where there is no such size.
    pub fn at_most(bytes: usize) -> Self {
        Self::ALL
            .into_iter()
            .rev()
            .find(|size| size.bytes() <= bytes)
            .unwrap_or(Self::B16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_one_number() {
        let block = Block::new(3, true, BlockSize::B1024).expect("a small number");
        assert_eq!(block.to_uint(), 0x3e);
        assert_eq!(Block::from_uint(0x3e), Some(block));
        assert_eq!(block.offset(), 3 * 1024);
        assert_eq!(block.to_string(), "3/1/1024");
    }
}
