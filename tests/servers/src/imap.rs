//! What every IMAP server is asked to do: the same for all, and where one can't, the denial.

mod denials;
mod extensions;
mod kind;
mod play;

use std::net::SocketAddr;

use jackfield_imap::client::{Client, ClientConfig, ClientEvent, Events, Status, connect};
use jackfield_imap::codec::{MailboxName, Messages, SequenceSet};
use jackfield_imap::core::{Credentials, Event};
use jackfield_imap::starttls;
use jackfield_native::Native;
use jackfield_socket::opening::Lines;
use jackfield_socket::{TcpConnect, time};
use jackfield_testing::certs::Authority;
use jackfield_tls::{StartTls, TlsConfig};

use crate::{LONG, connector};

pub use denials::are_denied;
pub use kind::Kind;
pub use play::play;

/// The password of every user of every server.
pub const PASSWORD: &str = "correct-horse";

/// A message with two parts, one of them encoded, and a subject that is not ASCII.
pub const MESSAGE: &str = "From: Ada <ada@example.org>\r\nTo: grace@example.org\r\n\
    Subject: =?UTF-8?Q?gr=C3=BC=C3=9Fe?= to all\r\nMessage-ID: <1@example.org>\r\n\
    MIME-Version: 1.0\r\nDate: Sun, 29 Nov 2026 00:00:00 +0000\r\n\
    Content-Type: multipart/mixed; boundary=q\r\n\r\n\
    --q\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nhello\r\n\
    --q\r\nContent-Type: application/octet-stream; name=a.bin\r\n\
    Content-Transfer-Encoding: base64\r\n\r\naGVsbG8=\r\n--q--\r\n";

/// A client of ada, with this password.
pub fn config(password: &str) -> ClientConfig {
    ClientConfig::new(Credentials::password("ada", password).expect("credentials"))
}

/// The native network with TLS after STARTTLS, which trusts this authority alone.
pub fn starttls(authority: &Authority) -> StartTls<Native, Lines<starttls::StartTls>> {
    let tls = connector(TlsConfig::new(), authority);
    StartTls::new(Native, tls, starttls::opening())
}

/// A client that is logged in, and what it tells.
#[derive(Debug)]
pub struct Mail {
    /// The handle.
    pub client: Client,
    /// What happens.
    pub events: Events,
}

impl Mail {
    /// Connects, and waits until the user is logged in.
    pub async fn open(
        network: impl TcpConnect,
        server: SocketAddr,
        config: impl Into<ClientConfig>,
    ) -> Self {
        let (client, mut events, connection) = connect(network, server.into(), config);
        tokio::spawn(connection);
        let ready = async {
            loop {
                match events.next().await.expect("it goes on") {
                    ClientEvent::Status(Status::Ready(_)) => break,
                    ClientEvent::Status(Status::Disconnected {
                        error,
                        retry_in: None,
                    }) => panic!("{error}"),
                    _ => {}
                }
            }
        };
        let in_time = time::timeout(LONG, ready).await;
        in_time.expect("it is ready in time");
        Self { client, events }
    }

    /// Waits for an event.
    pub async fn waits_for(&mut self, what: &str, is_it: impl Fn(&Event) -> bool) -> Event {
        let search = async {
            loop {
                match self.events.next().await.expect("it goes on") {
                    ClientEvent::Event(event) if is_it(&event) => return event,
                    _ => {}
                }
            }
        };
        let in_time = time::timeout(LONG, search).await;
        in_time.unwrap_or_else(|_| panic!("{what}: it comes in time"))
    }

    /// Takes leave in order.
    pub async fn close(mut self) {
        let closing = async {
            self.client.close().await;
            while self.events.next().await.is_some() {}
        };
        time::timeout(LONG, closing).await.expect("in time");
    }
}

/// A mailbox's name.
pub fn name(text: &str) -> MailboxName {
    text.parse().expect("a name")
}

/// One message.
pub fn one(uid: u32) -> Messages {
    Messages::Uids(SequenceSet::of([uid]).expect("a set"))
}

/// All messages.
pub fn all() -> Messages {
    Messages::Uids(SequenceSet::everything())
}
