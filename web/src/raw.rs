//! Raw sockets: what a page reads and writes itself. `web/js/lib/socket.js` makes streams of them;
//! `Socket` in socket.d.ts is what the page's author sees.

mod datagram;
mod listener;
mod phase;
mod stream;

pub use datagram::RawDatagrams;
pub use listener::RawListener;
pub use stream::{RawStream, RawTls};
