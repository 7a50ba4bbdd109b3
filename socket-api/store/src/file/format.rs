//! The log's format: how a store's file is written.
//!
//! ```text
//! file   = header *record
//! header = "jackfield store\n"  version: u32  salt: u64  crc32(all before): u32
//! record = length: u32  crc32(salt, offset, length): u32  crc32(salt, offset, body): u32  body
//! body   = *( key length: u16  key  0                           ; deleted
//!           / key length: u16  key  1  value length: u32  value ) ; stored
//! ```
//!
//! Numbers are big-endian. The offset is the record's own in the file (u64), the salt is random:
//! so bytes that a peer had us store, or that were left over from something else, are never taken
//! for a record.

use crc32fast::Hasher;

use crate::{Batch, MAX_BATCH, MAX_KEY, MAX_VALUE};

const MAGIC: &[u8; 16] = b"jackfield store\n";
const VERSION: u32 = 1;

/// The bytes of a file's header.
pub(super) const FILE_HEADER: usize = 16 + 4 + 8 + 4;
/// The bytes of a record's header.
pub(super) const RECORD_HEADER: usize = 12;
/// Begins a file.
pub(super) fn file_header(salt: u64) -> Vec<u8> {
    let mut header = Vec::with_capacity(FILE_HEADER);
    header.extend_from_slice(MAGIC);
    header.extend_from_slice(&VERSION.to_be_bytes());
    header.extend_from_slice(&salt.to_be_bytes());
    let checksum = crc32fast::hash(&header);
    header.extend_from_slice(&checksum.to_be_bytes());
    header
}

/// What a file begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileHeader {
    Salt(u64),
    LaterVersion(u32),
    /// It is damaged, or of something else.
    Foreign,
}

/// Reads the beginning of a file.
pub(super) fn read_file_header(header: &[u8; FILE_HEADER]) -> FileHeader {
    let Some(rest) = header.strip_prefix(MAGIC) else {
        return FileHeader::Foreign;
    };
    let mut rest = Reader(rest);
    match (rest.u32(), rest.u64(), rest.u32()) {
        (Some(VERSION), Some(salt), Some(_)) if header[..] == file_header(salt) => {
            FileHeader::Salt(salt)
        }
        (Some(version), ..) if version > VERSION => FileHeader::LaterVersion(version),
        _ => FileHeader::Foreign,
    }
}

/// A record of these changes, to stand at this offset.
pub(super) fn record(salt: u64, offset: u64, batch: &Batch) -> Vec<u8> {
    let mut record = vec![0; RECORD_HEADER];
    for (key, value) in batch.iter() {
        record.extend_from_slice(&(key.len() as u16).to_be_bytes());
        record.extend_from_slice(key);
        match value {
            None => record.push(0),
            Some(value) => {
                record.push(1);
                record.extend_from_slice(&(value.len() as u32).to_be_bytes());
                record.extend_from_slice(value);
            }
        }
    }
    let (header, body) = record.split_at_mut(RECORD_HEADER);
    let length = (body.len() as u32).to_be_bytes();
    header[..4].copy_from_slice(&length);
    header[4..8].copy_from_slice(&checksum(salt, offset, &length).to_be_bytes());
    header[8..].copy_from_slice(&checksum(salt, offset, body).to_be_bytes());
    record
}

/// The length of the body that follows, and its checksum; `None` if this isn't a record's header.
pub(super) fn read_record_header(
    salt: u64,
    offset: u64,
    header: &[u8; RECORD_HEADER],
) -> Option<(usize, u32)> {
    let mut reader = Reader(header);
    let length = usize::try_from(reader.u32()?).ok()?;
    let found = reader.u32()?;
    let body = reader.u32()?;
    // A batch counts more for each change than its lengths take here. The cheap question comes first:
    // a search asks at every byte.
    let plausible = (1..=MAX_BATCH).contains(&length);
    (plausible && found == checksum(salt, offset, &header[..4])).then_some((length, body))
}

pub(super) fn checksum(salt: u64, offset: u64, bytes: &[u8]) -> u32 {
    let mut hasher = Hasher::new();
    hasher.update(&salt.to_be_bytes());
    hasher.update(&offset.to_be_bytes());
    hasher.update(bytes);
    hasher.finalize()
}

/// A change in a body.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Change<'a> {
    pub(super) key: &'a [u8],
    /// Where in the body the value stands, and its length; `None` where it is deleted.
    pub(super) value: Option<(usize, usize)>,
}

/// The changes in a body; `None` where it isn't one.
pub(super) fn read_body(body: &[u8]) -> Option<Vec<Change<'_>>> {
    let mut changes = Vec::new();
    let mut rest = Reader(body);
    while !rest.0.is_empty() {
        let key_len = rest.u16()?.into();
        let key = rest.take(key_len)?;
        let value = match rest.take(1)? {
            [0] => None,
            [1] => {
                let length = usize::try_from(rest.u32()?).ok()?;
                let at = body.len() - rest.0.len();
                rest.take(length)?;
                Some((at, length))
            }
            _ => return None,
        };
        if key.len() > MAX_KEY || value.is_some_and(|(_, length)| length > MAX_VALUE) {
            return None;
        }
        changes.push(Change { key, value });
    }
    Some(changes)
}

/// Takes bytes from the front.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn u16(&mut self) -> Option<u16> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u16::from_be_bytes(*taken))
    }

    fn u32(&mut self) -> Option<u32> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*taken))
    }

    fn u64(&mut self) -> Option<u64> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_be_bytes(*taken))
    }
}
