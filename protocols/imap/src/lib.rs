//! An IMAP client (RFC 3501, RFC 9051): codec, sans-IO core, and an async client over Jackfield's
//! socket API.
//!
//! | module | what it is |
//! |---|---|
//! | [`client`] | the client: connects, logs in, opens the mailbox again when it was cut |
//! | [`core`] | a session as a state machine that outlives connections: bytes and time in, bytes and events out |
//! | [`codec`] | responses and commands, and what they are made of |
//! | [`starttls`] | the dialogue before TLS, on ports that begin in plaintext |
//!
//! # Example
//! On a simulated network; on a real one, only the network is another, one that speaks TLS.
//!
//! ```
//! # use jackfield_socket::{ListenOptions, TcpListen, TcpListener};
//! # use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
//! use jackfield_imap::client::{self, ClientConfig};
//! use jackfield_imap::codec::{Item, MailboxName, Messages, Query, Section, SequenceSet};
//! use jackfield_imap::core::Credentials;
//! use tokio::io::AsyncReadExt;
//!
//! # async fn serve(mut listener: jackfield_sim::SimListener) {
//! #     let mut stream = BufReader::new(listener.accept().await.unwrap());
//! #     stream.write_all(b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] hi\r\n").await.unwrap();
//! #     let mut line = String::new();
//! #     while stream.read_line(&mut line).await.is_ok_and(|count| count > 0) {
//! #         let (tag, command) = line.trim_end().split_once(' ').unwrap();
//! #         let data = if command.starts_with("UID SEARCH") {
//! #             "* SEARCH 17\r\n"
//! #         } else if command.contains("ENVELOPE") {
//! #             "* 3 FETCH (UID 17 ENVELOPE (NIL \"Lunch?\" NIL NIL NIL NIL NIL NIL NIL NIL))\r\n"
//! #         } else if command.contains("BODY") {
//! #             "* 3 FETCH (UID 17 BODY[] {27}\r\nSubject: Lunch?\r\n\r\nAt one.\n)\r\n"
//! #         } else {
//! #             ""
//! #         };
//! #         let answer = format!("{data}{tag} OK [CAPABILITY IMAP4rev1] done\r\n");
//! #         stream.write_all(answer.as_bytes()).await.unwrap();
//! #         line.clear();
//! #     }
//! # }
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let simulated = jackfield_sim::Network::new(7);
//! # let network = simulated.host("here.example", ["192.0.2.1".parse()?]);
//! # let there = simulated.host("imap.example", ["192.0.2.2".parse()?]);
//! # let listener = there.listen("192.0.2.2:993".parse()?, &ListenOptions::default()).await?;
//! # tokio::spawn(serve(listener));
//! let config = ClientConfig::new(Credentials::password("ada", "correct horse")?);
//! # let mut config = config;
//! # config.session.security = jackfield_imap::core::Security::Plaintext;
//! # config.session.password_in_the_clear = true;
//! let (client, _, connection) = client::connect(network, "imap.example:993".parse()?, config);
//! tokio::spawn(connection);
//!
//! client.select(MailboxName::inbox()).await?;
//! let found = client.search(Query::new().unseen()).await?;
//! let new = Messages::Uids(SequenceSet::of(found).expect("there is new mail"));
//! let mut messages = client.fetch(new, [Item::Envelope]).await?;
//! while let Some(message) = messages.next().await? {
//!     let envelope = message.envelope.expect("it was asked for");
//!     assert_eq!(envelope.subject.expect("it has one"), "Lunch?");
//! }
//! let mut text = String::new();
//! client.read(17, Section::all()).await?.read_to_string(&mut text).await?;
//! assert!(text.ends_with("At one.\n"));
//! client.close().await;
//! # Ok(())
//! # }
//! ```

pub mod client;
pub mod codec;
pub mod core;
mod error;
#[cfg(any(test, feature = "oracle"))]
pub mod oracle;
pub mod starttls;

pub use error::{EndedBy, Refusal, RequestError, SessionError};
