//! Raw sockets: what a page reads and writes itself. `web/js/lib/socket.js` makes streams of them;
//! `Socket` in socket.d.ts is what the page's author sees.

mod stream;

pub use stream::{RawStream, RawTls};
