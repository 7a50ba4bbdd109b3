//! The peer's behaviour with datagrams.

use std::io;

use jackfield_socket::DatagramSocket;

use crate::pattern::Pattern;

/// No datagram is larger.
const LARGEST: usize = 64 * 1024;

/// What a datagram asks for, by its first byte; one without a byte is echoed.
pub(crate) mod request {
    /// The whole datagram back.
    pub(crate) const ECHO: u8 = b'e';
    /// The sender's address as the peer sees it, as text.
    pub(crate) const WHO: u8 = b'w';
    /// A datagram of so many bytes of the pattern with seed 0; four bytes, big-endian, follow.
    pub(crate) const SEND: u8 = b's';
    /// An echo from another socket, then one from this one.
    pub(crate) const STRANGER: u8 = b'x';
}

pub(super) async fn serve(
    mut socket: impl DatagramSocket,
    mut stranger: impl DatagramSocket,
) -> io::Result<()> {
    let mut buffer = vec![0; LARGEST];
    loop {
        let datagram = socket.recv(&mut buffer).await?;
        let from = datagram.from;
        let data = &buffer[..datagram.len];
        let answer = match *data {
            [request::WHO, ..] => from.map_or_else(Vec::new, |from| from.to_string().into()),
            [request::SEND, a, b, c, d] => {
                let len = u32::from_be_bytes([a, b, c, d]) as usize;
                Pattern::new(0).bytes(0, len.min(LARGEST))
            }
            [request::STRANGER, ..] => {
                stranger.send(data, from).await?;
                data.to_vec()
            }
            _ => data.to_vec(),
        };
        // UDP promises nothing: an answer that can't be sent is one that was lost.
        let _ = socket.send(&answer, from).await;
    }
}
