//! What every stream client has in common: it connects, drives a core, and begins again when the
//! connection is lost.
//!
//! A protocol brings a [`StreamCore`](jackfield_socket::driver::StreamCore) and says, as a
//! [`Protocol`], what is particular about its client. [`connect`] makes three things of them, the
//! ones that every client of Jackfield consists of: [`Actions`] for the handle to pass on what it
//! is asked for, [`Events`] to read, and a [`Connection`], a future that does the work.
//!
//! | what the loop sees to | how |
//! |---|---|
//! | attempts | one after the other, with a delay that doubles and jitters: [`Reconnect`] |
//! | where they go | [`Protocol::prepare`] says it anew each time, and may take its time |
//! | actions | taken at any time, with a connection or without: [`Protocol::act`] |
//! | events | while nobody reads them, nothing is read from the peer |
//! | quitting | by an action, or by dropping the last handle; at any time, in bounded time |
//!
//! While nobody reads the events, what the handle asks for is still done and sent; but an answer
//! that stands behind what was not read yet comes when that is read.
//!
//! # Example
//! A client that sends lines and tells those that it receives. Lines that are given to it while it
//! is not connected wait in its core, which outlives connections.
//!
//! ```
//! use std::convert::Infallible;
//! use std::fmt;
//! use std::future::{Future, ready};
//! use std::time::Duration;
//!
//! use jackfield_client::{ConnectionError, Ended, Failure, Flow, Link, Options, Outbox};
//! use jackfield_client::{Poster, Progress, Protocol, connect};
//! use jackfield_socket::Endpoint;
//! use jackfield_socket::driver::{Core, StreamCore};
//! use jackfield_socket::time::Instant;
//!
//! #[derive(Default)]
//! struct Lines {
//!     out: String,
//!     partial: Vec<u8>,
//!     lines: Vec<String>,
//!     quit: bool,
//! }
//!
//! impl Core for Lines {
//!     type Event = String;
//!     type Error = Infallible;
//!     fn poll_event(&mut self) -> Option<String> {
//!         (!self.lines.is_empty()).then(|| self.lines.remove(0))
//!     }
//!     fn is_finished(&self) -> bool {
//!         self.quit
//!     }
//! }
//!
//! impl StreamCore for Lines {
//!     fn receive(&mut self, _now: Instant, bytes: &[u8]) -> Result<(), Infallible> {
//!         self.partial.extend_from_slice(bytes);
//!         while let Some(end) = self.partial.iter().position(|byte| *byte == b'\n') {
//!             let line: Vec<u8> = self.partial.drain(..=end).collect();
//!             self.lines.push(String::from_utf8_lossy(&line[..end]).into_owned());
//!         }
//!         Ok(())
//!     }
//!     fn receive_end(&mut self, _now: Instant) -> Result<(), Infallible> {
//!         Ok(())
//!     }
//!     fn transmit(&mut self, _now: Instant, out: &mut Vec<u8>) {
//!         out.extend_from_slice(std::mem::take(&mut self.out).as_bytes());
//!     }
//! }
//!
//! /// The server ended the stream.
//! #[derive(Clone, Debug)]
//! struct Gone;
//! # impl fmt::Display for Gone {
//! #     fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str("gone") }
//! # }
//! # impl std::error::Error for Gone {}
//! # impl From<Infallible> for Gone {
//! #     fn from(never: Infallible) -> Self { match never {} }
//! # }
//!
//! impl Failure for Gone {
//!     fn ended() -> Self {
//!         Gone
//!     }
//!     fn is_permanent(&self) -> bool {
//!         false
//!     }
//! }
//!
//! #[derive(Debug)]
//! enum Told {
//!     Line(String),
//!     Progress(Progress<Gone>),
//! }
//!
//! impl From<Progress<Gone>> for Told {
//!     fn from(progress: Progress<Gone>) -> Self {
//!         Told::Progress(progress)
//!     }
//! }
//!
//! struct Client {
//!     server: Endpoint,
//! }
//!
//! impl Protocol for Client {
//!     type Core = Lines;
//!     type Action = String;
//!     type Event = Told;
//!     type Error = Gone;
//!     type Prepared = ();
//!
//!     async fn begin(&mut self, _: Poster<String>) -> Result<Lines, ConnectionError<Gone>> {
//!         Ok(Lines::default())
//!     }
//!     fn prepare(
//!         &mut self,
//!         _attempt: u32,
//!     ) -> impl Future<Output = Result<(Endpoint, ()), ConnectionError<Gone>>> + Send + 'static {
//!         ready(Ok((self.server.clone(), ())))
//!     }
//!     fn opened(&mut self, core: &mut Lines, (): ()) -> Result<(), ConnectionError<Gone>> {
//!         core.partial.clear();
//!         Ok(())
//!     }
//!     fn act(&mut self, core: &mut Lines, line: String, _link: Link) -> Flow {
//!         core.out.push_str(&line);
//!         core.out.push('\n');
//!         Flow::Continue
//!     }
//!     fn abandoned(&mut self, core: &mut Lines, _link: Link) {
//!         core.quit = true;
//!     }
//!     async fn take(
//!         &mut self,
//!         _core: &mut Lines,
//!         line: String,
//!         outbox: &mut Outbox<Told>,
//!     ) -> Result<Flow, ConnectionError<Gone>> {
//!         outbox.push(Told::Line(line));
//!         Ok(Flow::Continue)
//!     }
//!     fn ended(&mut self, _core: &mut Lines, error: Option<&ConnectionError<Gone>>) -> Ended {
//!         Ended::after(Duration::ZERO, error)
//!     }
//! }
//!
//! # use jackfield_socket::{ListenOptions, TcpListen, TcpListener};
//! # use tokio::io::{AsyncReadExt, AsyncWriteExt};
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() {
//! # let network = jackfield_sim::Network::new(7);
//! # let here = network.host("here.example", ["192.0.2.1".parse().unwrap()]);
//! # let there = network.host("there.example", ["192.0.2.2".parse().unwrap()]);
//! # let at = "192.0.2.2:7".parse().unwrap();
//! # let mut listener = there.listen(at, &ListenOptions::default()).await.unwrap();
//! # tokio::spawn(async move {
//! #     let mut stream = listener.accept().await.unwrap();
//! #     let mut buffer = [0; 64];
//! #     while let Ok(count @ 1..) = stream.read(&mut buffer).await {
//! #         stream.write_all(&buffer[..count]).await.unwrap();
//! #     }
//! # });
//! let client = Client { server: "there.example:7".parse().expect("an endpoint") };
//! let (actions, mut events, connection) = connect(here, client, Options::default());
//! tokio::spawn(connection);
//!
//! actions.send("good morning".to_owned()).await.expect("it runs");
//! loop {
//!     match events.next().await.expect("it goes on") {
//!         Told::Line(line) => break assert_eq!(line, "good morning"),
//!         Told::Progress(progress) => println!("{progress:?}"),
//!     }
//! }
//! # }
//! ```

mod backoff;
mod channel;
mod connection;
mod error;
mod protocol;

pub use backoff::{Backoff, Reconnect};
pub use channel::{Actions, Events, Inbox, Outbox, Poster, actions, events};
pub use connection::{Connection, Options, connect};
pub use error::{ConnectionError, Failure};
pub use protocol::{Again, Ended, Flow, Link, Progress, Protocol};
