//! The trait [`Core`]: what every sans-IO core has, whatever carries it.

use crate::time::Instant;

/// A protocol's state machine, without clock and socket: what those over streams
/// ([`StreamCore`](super::StreamCore)) and those over datagrams
/// ([`DatagramCore`](super::DatagramCore)) have in common.
///
/// What it keeps must be bounded by its own limits. A driver gives it more to read only when
/// [`poll_event`](Self::poll_event) has nothing left, so that events are bounded by what one read,
/// or one datagram, can cause.
pub trait Core {
    /// What it tells its user.
    type Event;
    /// How it fails. An error ends the connection: the core is not called again, but to take what
    /// it still has to send and to tell, so that a last word to the peer and the last events are
    /// not lost.
    type Error;

    /// The next event.
    fn poll_event(&mut self) -> Option<Self::Event>;

    /// When [`handle_deadline`](Self::handle_deadline) wants to be called next.
    fn deadline(&self) -> Option<Instant> {
        None
    }

    /// Acts on a deadline that has come. Afterwards [`deadline`](Self::deadline) must lie after
    /// `now`, or be `None`: otherwise the driver would call this again at once, and for ever. With
    /// debug assertions it panics instead.
    ///
    /// It must not leave that to `transmit`, which is not called while the peer stalls. Where the
    /// deadline means that something may be sent now, such as the next line after a pause, move it
    /// here to what `transmit` will take, so that the deadline moves with it.
    ///
    /// # Errors
    /// Where the deadline ends the connection.
    fn handle_deadline(&mut self, now: Instant) -> Result<(), Self::Error> {
        let _ = now;
        Ok(())
    }

    /// Learns that from now on nothing is read from the peer, since its user takes no more events,
    /// or that reading goes on. At first it does.
    ///
    /// While nothing is read, a peer's silence means nothing: whoever keeps a deadline for a sign
    /// of life lets it rest.
    fn set_reading(&mut self, now: Instant, reading: bool) {
        let _ = (now, reading);
    }

    /// Whether this side has said all it will. Over a stream, once everything is written, the
    /// driver ends this side's direction; over datagrams, once all is sent, events end.
    fn is_finished(&self) -> bool {
        false
    }
}
