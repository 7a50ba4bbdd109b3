//! Carriers of a transcript: how a core's bytes reach it and leave it.

use jackfield_socket::driver::{Core, DatagramCore, Peer, StreamCore};
use jackfield_socket::time::Instant;

/// How a core is given bytes, and how it gives them.
///
/// `who` is the peer's name in the transcript (`C ada: …`); it is empty where there is only one.
pub trait Carrier<C: Core> {
    /// Whether bytes arrive in pieces of any length.
    const IS_STREAM: bool;

    /// Gives bytes to the core.
    ///
    /// # Errors
    /// The core's.
    fn receive(core: &mut C, now: Instant, who: &str, bytes: &[u8]) -> Result<(), C::Error>;

    /// Tells the core that the peer has ended its direction in order.
    ///
    /// # Errors
    /// The core's.
    fn receive_end(core: &mut C, now: Instant, who: &str) -> Result<(), C::Error>;

    /// Takes what the core sends now, with the names of those who get it.
    fn transmit(core: &mut C, now: Instant) -> Vec<(String, Vec<u8>)>;
}

/// One byte stream, as [`Driver`](jackfield_socket::driver::Driver) has it.
#[derive(Debug)]
pub struct Stream(());

impl<C: StreamCore> Carrier<C> for Stream {
    const IS_STREAM: bool = true;

    fn receive(core: &mut C, now: Instant, who: &str, bytes: &[u8]) -> Result<(), C::Error> {
        assert_eq!(who, "", "a stream has one peer");
        core.receive(now, bytes)
    }

    fn receive_end(core: &mut C, now: Instant, who: &str) -> Result<(), C::Error> {
        assert_eq!(who, "", "a stream has one peer");
        core.receive_end(now)
    }

    fn transmit(core: &mut C, now: Instant) -> Vec<(String, Vec<u8>)> {
        let mut bytes = Vec::new();
        core.transmit(now, &mut bytes);
        vec![(String::new(), bytes)]
    }
}

/// Datagrams, as [`DatagramDriver`](jackfield_socket::driver::DatagramDriver) has them: a name is
/// the peer's address and port, and no name is the one peer of a connected socket.
#[derive(Debug)]
pub struct Datagrams(());

impl<C: DatagramCore> Carrier<C> for Datagrams {
    const IS_STREAM: bool = false;

    fn receive(core: &mut C, now: Instant, who: &str, bytes: &[u8]) -> Result<(), C::Error> {
        let peer = match who {
            "" => Peer::Connected,
            address => Peer::Address(address.parse().expect("an address and a port")),
        };
        core.receive(now, peer, bytes)
    }

    fn receive_end(_core: &mut C, _now: Instant, _who: &str) -> Result<(), C::Error> {
        panic!("datagrams have no end");
    }

    fn transmit(core: &mut C, now: Instant) -> Vec<(String, Vec<u8>)> {
        let mut all = Vec::new();
        let mut bytes = Vec::new();
        while let Some(peer) = core.transmit(now, &mut bytes) {
            let who = peer.address().map_or(String::new(), |it| it.to_string());
            all.push((who, std::mem::take(&mut bytes)));
        }
        all
    }
}
