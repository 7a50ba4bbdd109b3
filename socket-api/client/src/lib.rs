//! The loop of every client: it connects, drives a core, and begins again when the connection is
//! lost.
//!
//! A protocol brings a [`Core`](jackfield_socket::driver::Core), over streams or over datagrams,
//! and says, as a [`Protocol`], what is particular about its client. [`connect`] or
//! [`connect_datagrams`] makes three things of them, the ones that every client of Jackfield
//! consists of: [`Actions`] for the handle to pass on what it is asked for, [`Events`] to read, and
//! a [`Connection`], a future that does the work.
//!
//! | what the loop sees to | how |
//! |---|---|
//! | attempts | one after the other, with a delay that doubles and jitters: [`Reconnect`] |
//! | where they go | [`Protocol::prepare`] says it anew each time, and may take its time |
//! | actions | taken at any time, with a connection or without: [`Protocol::act`] |
//! | the [`Status`] | a cell beside the events: the newest replaces one that nobody has read |
//! | events | while nobody reads them, nothing is read from the peer |
//! | closing | by an action, or by dropping the last handle; at any time, in bounded time |
//!
//! An unread queue holds back reading from the peer and nothing else: what the handle asks for is
//! done and sent, deadlines are kept, and a connection that is lost is made again. An answer that
//! stands behind what was not read yet comes when that is read; whoever waits for it, and should be
//! reading, learns so by its time-out, which is the core's.
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
//! use jackfield_client::{Again, ClientEvent, ConnectionError, Failure, Flow, Link, Options};
//! use jackfield_client::{OutboxOf, Poster, Protocol, connect};
//! use jackfield_socket::Endpoint;
//! use jackfield_socket::driver::{Core, StreamCore};
//! use jackfield_socket::time::Instant;
//!
//! #[derive(Default)]
//! struct Lines {
//!     out: String,
//!     partial: Vec<u8>,
//!     lines: Vec<String>,
//!     closed: bool,
//! }
//!
//! impl Core for Lines {
//!     type Event = String;
//!     type Error = Infallible;
//!     fn poll_event(&mut self) -> Option<String> {
//!         (!self.lines.is_empty()).then(|| self.lines.remove(0))
//!     }
//!     fn is_finished(&self) -> bool {
//!         self.closed
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
//! struct Client {
//!     server: Endpoint,
//! }
//!
//! impl Protocol for Client {
//!     type Core = Lines;
//!     type Target = Endpoint;
//!     type Action = String;
//!     type Event = String;
//!     type Ready = ();
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
//!     fn opened(
//!         &mut self,
//!         core: &mut Lines,
//!         (): (),
//!         outbox: &mut OutboxOf<Self>,
//!     ) -> Result<(), ConnectionError<Gone>> {
//!         core.partial.clear();
//!         outbox.ready(());
//!         Ok(())
//!     }
//!     fn act(&mut self, core: &mut Lines, line: String, _link: Link) -> Flow {
//!         core.out.push_str(&line);
//!         core.out.push('\n');
//!         Flow::Continue
//!     }
//!     fn abandoned(&mut self, core: &mut Lines, _link: Link) {
//!         core.closed = true;
//!     }
//!     async fn take(
//!         &mut self,
//!         _core: &mut Lines,
//!         line: String,
//!         outbox: &mut OutboxOf<Self>,
//!     ) -> Result<Flow, ConnectionError<Gone>> {
//!         outbox.push(line);
//!         Ok(Flow::Continue)
//!     }
//!     fn ended(&mut self, _core: &mut Lines, error: Option<&ConnectionError<Gone>>) -> Again {
//!         Again::unless_permanent(error)
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
//!         ClientEvent::Event(line) => break assert_eq!(line, "good morning"),
//!         ClientEvent::Status(status) => println!("{status:?}"),
//!     }
//! }
//! # }
//! ```

mod actions;
mod backoff;
mod carrier;
mod connection;
mod error;
mod events;
mod options;
mod protocol;
mod status;

pub use actions::{Actions, Poster};
pub use backoff::Reconnect;
pub use carrier::UdpTarget;
pub use connection::{Connection, Parts, connect, connect_datagrams};
pub use error::{ConnectionError, Failure};
pub use events::{Events, Outbox};
pub use options::Options;
pub use protocol::{Again, Flow, Link, OutboxOf, Protocol};
pub use status::{ClientEvent, Status, Statuses};
