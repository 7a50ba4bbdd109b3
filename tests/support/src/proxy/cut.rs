//! Cuts: where the proxy ends a connection.

/// A direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From the client to the server.
    ToServer,
    /// From the server to the client.
    ToClient,
}

/// How much passes before a cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// This many bytes.
    Bytes(u64),
    /// This many whole packets of MQTT.
    Packets(u64),
}

/// A connection is cut once this much has passed in this direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The direction.
    pub way: Way,
    /// How much passes first.
    pub after: After,
}

/// Measures what passes in one direction, up to a cut.
#[derive(Debug)]
pub(super) struct Gauge {
    way: Way,
    left: Option<After>,
    packet: Packet,
}

/// Where in an MQTT packet a stream stands: its fixed header is a byte, then the rest's length, in
/// one to four bytes of seven bits each, the lowest first.
#[derive(Clone, Copy, Debug)]
enum Packet {
    Start,
    Length { value: u64, shift: u32 },
    Rest(u64),
}

impl Gauge {
    pub(super) fn new(cut: Option<&Cut>, way: Way) -> Self {
        Self {
            way,
            left: cut.filter(|cut| cut.way == way).map(|cut| cut.after),
            packet: Packet::Start,
        }
    }

    pub(super) fn way(&self) -> Way {
        self.way
    }

    /// Whether as much has passed as may.
    pub(super) fn is_full(&self) -> bool {
        matches!(self.left, Some(After::Bytes(0) | After::Packets(0)))
    }

    /// How many of these bytes may pass; they are counted.
    pub(super) fn pass(&mut self, bytes: &[u8]) -> usize {
        match &mut self.left {
            None => bytes.len(),
            Some(After::Bytes(left)) => {
                let passed = (bytes.len() as u64).min(*left);
                *left -= passed;
                passed as usize
            }
            Some(After::Packets(left)) => {
                let mut passed = 0;
                while *left > 0 && passed < bytes.len() {
                    let (used, ended) = self.packet.advance(&bytes[passed..]);
                    passed += used;
                    *left -= u64::from(ended);
                }
                passed
            }
        }
    }
}

impl Packet {
    /// Moves on by at least one byte, at the most to the packet's end, and tells whether it is there.
    fn advance(&mut self, bytes: &[u8]) -> (usize, bool) {
        let used;
        (*self, used) = match *self {
            Self::Start => (Self::Length { value: 0, shift: 0 }, 1),
            Self::Length { value, shift } => {
                let value = value | u64::from(bytes[0] & 0x7f) << shift;
                if bytes[0] & 0x80 == 0 || shift == 21 {
                    (Self::Rest(value), 1)
                } else {
                    let shift = shift + 7;
                    (Self::Length { value, shift }, 1)
                }
            }
            Self::Rest(left) => {
                let used = left.min(bytes.len() as u64);
                (Self::Rest(left - used), used as usize)
            }
        };
        if matches!(self, Self::Rest(0)) {
            *self = Self::Start;
            return (used, true);
        }
        (used, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gauge(after: After) -> Gauge {
        let way = Way::ToServer;
        Gauge::new(Some(&Cut { way, after }), way)
    }

    #[test]
    fn packets_end_where_their_headers_say() {
        // PINGREQ, a PUBLISH of 200 bytes, PINGREQ.
        let mut stream = vec![0xc0, 0, 0x30, 200, 1];
        stream.extend([7; 200]);
        stream.extend([0xc0, 0]);
        for (packets, end) in [(0, 0), (1, 2), (2, 205), (3, 207)] {
            let mut whole = gauge(After::Packets(packets));
            assert_eq!(whole.pass(&stream), end);
            assert!(whole.is_full());

            let mut single = gauge(After::Packets(packets));
            let passed: usize = stream.iter().map(|byte| single.pass(&[*byte])).sum();
            assert_eq!(passed, end);
        }
    }

    #[test]
    fn the_other_direction_is_not_measured() {
        let cut = Cut {
            way: Way::ToClient,
            after: After::Bytes(1),
        };
        let mut gauge = Gauge::new(Some(&cut), Way::ToServer);
        assert_eq!(gauge.pass(&[0; 9]), 9);
        assert!(!gauge.is_full());
    }
}
