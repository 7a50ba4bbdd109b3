//! Reading of what packets are made of: numbers, strings, bytes (MQTT 5, section 1.5).

use std::num::NonZeroU16;

use bytes::Bytes;

use super::{DecodeError, PacketId, ReasonCode, Text, Version};

pub(super) const fn malformed(text: &'static str) -> DecodeError {
    DecodeError::new(ReasonCode::MalformedPacket, text)
}

pub(super) const fn protocol_error(text: &'static str) -> DecodeError {
    DecodeError::new(ReasonCode::ProtocolError, text)
}

pub(super) const NOT_TEXT: DecodeError = malformed("a string is not UTF-8, or holds U+0000");
const SHORT: DecodeError = malformed("a packet is shorter than what it holds");

/// A variable byte integer at the start of these bytes: its value, and how many bytes it takes.
/// None while there are too few.
///
/// MQTT 5 asks for as few bytes as possible (MQTT-1.5.5-1), MQTT 3.1.1 doesn't.
pub(super) fn variable_byte_integer(
    bytes: &[u8],
    version: Version,
) -> Result<Option<(u32, usize)>, DecodeError> {
    // Most packets are short.
    if let Some(&first) = bytes.first()
        && first < 0x80
    {
        return Ok(Some((u32::from(first), 1)));
    }
    let mut value = 0;
    for (at, &byte) in bytes.iter().take(4).enumerate() {
        value |= u32::from(byte & 0x7F) << (7 * at);
        if byte < 0x80 {
            if byte == 0 && version == Version::V5 {
                return Err(malformed(
                    "a length is written with more bytes than it needs",
                ));
            }
            return Ok(Some((value, at + 1)));
        }
    }
    if bytes.len() >= 4 {
        return Err(malformed("a length is longer than four bytes"));
    }
    Ok(None)
}

/// Reads a packet's fields in order.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    packet: &'a Bytes,
    at: usize,
    end: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(packet: &'a Bytes, at: usize) -> Self {
        Self {
            packet,
            at,
            end: packet.len(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.at >= self.end
    }

    /// How many bytes are left.
    pub(super) fn left(&self) -> usize {
        self.end.saturating_sub(self.at)
    }

    pub(super) fn position(&self) -> usize {
        self.at
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let end = self.at.saturating_add(count);
        if end > self.end {
            return Err(SHORT);
        }
        let taken = self.packet.get(self.at..end).ok_or(SHORT)?;
        self.at = end;
        Ok(taken)
    }

    pub(super) fn u8(&mut self) -> Result<u8, DecodeError> {
        self.take(1)?.first().copied().ok_or(SHORT)
    }

    pub(super) fn u16(&mut self) -> Result<u16, DecodeError> {
        let bytes = self.take(2)?.try_into().map_err(|_| SHORT)?;
        Ok(u16::from_be_bytes(bytes))
    }

    pub(super) fn u32(&mut self) -> Result<u32, DecodeError> {
        let bytes = self.take(4)?.try_into().map_err(|_| SHORT)?;
        Ok(u32::from_be_bytes(bytes))
    }

    /// As in MQTT 5: nothing else has one within a packet.
    pub(super) fn variable(&mut self) -> Result<u32, DecodeError> {
        let rest = self.packet.get(self.at..self.end).ok_or(SHORT)?;
        let (value, length) = variable_byte_integer(rest, Version::V5)?.ok_or(SHORT)?;
        self.at += length;
        Ok(value)
    }

    /// Skips the next byte if it is 0: no properties.
    #[inline]
    pub(super) fn skip_zero(&mut self) -> bool {
        let is_zero = self.at < self.end && self.packet.get(self.at) == Some(&0);
        self.at += usize::from(is_zero);
        is_zero
    }

    pub(super) fn packet_id(&mut self) -> Result<PacketId, DecodeError> {
        NonZeroU16::new(self.u16()?).ok_or(protocol_error("a packet identifier is 0"))
    }

    /// What a length of two bytes counts, and the packet that it is a part of.
    #[inline]
    pub(super) fn part(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = usize::from(self.u16()?);
        self.take(length)
    }

    pub(super) fn packet(&self) -> &'a Bytes {
        self.packet
    }

    /// Binary data: shares the packet's memory.
    pub(super) fn binary(&mut self) -> Result<Bytes, DecodeError> {
        let length = usize::from(self.u16()?);
        let start = self.at;
        self.take(length)?;
        Ok(self.packet.slice(start..self.at))
    }

    pub(super) fn text(&mut self) -> Result<Text, DecodeError> {
        let part = self.part()?;
        Text::from_wire(self.packet, part).ok_or(NOT_TEXT)
    }

    /// What a length in front counts, as a reader of its own.
    pub(super) fn section(&mut self) -> Result<Self, DecodeError> {
        let length = self.variable()? as usize;
        let start = self.at;
        self.take(length)?;
        Ok(Self {
            packet: self.packet,
            at: start,
            end: self.at,
        })
    }

    /// Nothing may be left.
    pub(super) fn finish(&self) -> Result<(), DecodeError> {
        if self.is_empty() {
            Ok(())
        } else {
            Err(malformed("a packet is longer than what it holds"))
        }
    }
}
