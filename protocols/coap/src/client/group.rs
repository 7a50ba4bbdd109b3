//! Group requests: many servers are asked at once, by multicast (RFC 7252, section 8).

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jackfield_client::Actions;
use jackfield_socket::Place;

use super::action::{Action, Answered, Ask, Guard};
use super::event::{Status, Statuses};
use super::handle::IntoRequest;
use super::latest::{self, Receiver};
use crate::codec::{IntoTarget, Message};
use crate::core::Response;
use crate::error::{RequestError, SessionError};

/// All CoAP servers of this network, over IPv4, at the default port (RFC 7252, section 12.8).
pub const ALL_COAP_NODES_V4: SocketAddr = SocketAddr::new(
    std::net::IpAddr::V4(std::net::Ipv4Addr::new(224, 0, 1, 187)),
    5683,
);
/// All CoAP servers on this link, over IPv6, at the default port (RFC 7252, section 12.8). A
/// program with several interfaces names one in the address's scope.
pub const ALL_COAP_NODES_V6: SocketAddr = SocketAddr::new(
    std::net::IpAddr::V6(std::net::Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfd)),
    5683,
);

/// Asks groups; see [`multicast`](super::multicast). Clones ask by the same socket. When the last
/// one is dropped, it ends.
#[derive(Clone, Debug)]
pub struct Multicast {
    pub(super) actions: Actions<Action, (), SessionError>,
    pub(super) last_key: Arc<AtomicU64>,
    pub(super) answer_capacity: usize,
}

impl Multicast {
    /// Asks everyone in a group, and takes their answers for as long as `window`. The request goes
    /// out once, as a non-confirmable message; members answer after a while of their own choosing,
    /// so that 5 s and more are wise (RFC 7252, section 8.2).
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use jackfield_coap::client::{ALL_COAP_NODES_V4, Multicast};
    /// # async fn example(network: Multicast) -> Result<(), Box<dyn std::error::Error>> {
    /// let window = Duration::from_secs(10);
    /// let mut answers = network.ask(ALL_COAP_NODES_V4, "/.well-known/core", window).await?;
    /// while let Some(answer) = answers.next().await {
    ///     let (from, response) = answer?;
    ///     println!("{from}: {}", response.text().unwrap_or("?"));
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As the [`Client`](super::Client) says.
    ///
    /// # Cancel safety
    /// Dropping the future gives the request up.
    pub async fn ask(
        &self,
        group: SocketAddr,
        what: impl IntoRequest,
        window: Duration,
    ) -> Result<Answers, RequestError> {
        let request = what.into_request()?.non_confirmable();
        let key = self.last_key.fetch_add(1, Ordering::Relaxed);
        let guard = Guard::new(key, self.actions.poster());
        let (answers, received) = latest::channel(self.answer_capacity);
        let ask = Ask::new(key, &request, request.message.clone());
        let action = Action::Group {
            ask,
            to: group,
            window,
            answers,
        };
        let passed = self.actions.send(action).await;
        passed.map_err(|_| RequestError::Closed)?;
        Ok(Answers {
            received,
            _guard: guard,
        })
    }

    /// [`ask`](Self::ask) for the resources that each member has.
    ///
    /// # Errors
    /// As there.
    ///
    /// # Cancel safety
    /// As there.
    pub async fn discover(
        &self,
        group: SocketAddr,
        window: Duration,
    ) -> Result<Answers, RequestError> {
        let target = "/.well-known/core".into_target()?;
        self.ask(group, target, window).await
    }

    /// Where its socket stands now, whether or not the events are read.
    pub fn status(&self) -> Status {
        self.actions.status()
    }

    /// Where it stands now, and whenever that changes.
    pub fn statuses(&self) -> Statuses {
        self.actions.statuses()
    }

    /// Ends the wait for the next attempt to open a socket, as when the network is known to be back.
    /// Where there is a socket, or the client is opening one or closed, nothing happens.
    pub fn reconnect_now(&self) {
        self.actions.reconnect_now();
    }

    /// At whose place the last socket was lost, for a question that failed by it. `None` while there is
    /// one, and before the first.
    pub fn lost_at(&self) -> Option<Place> {
        self.actions.lost_at()
    }

    /// Ends it in order: answers are taken no longer, and the connection future ends. Done at once
    /// where it has ended already.
    ///
    /// ```no_run
    /// # use jackfield_coap::client::Multicast;
    /// # async fn example(network: Multicast) {
    /// network.close().await;
    /// # }
    /// ```
    ///
    /// # Cancel safety
    /// Dropping the future may leave it running, or not.
    pub async fn close(&self) {
        if self.actions.send(Action::Close).await.is_ok() {
            self.actions.closed().await;
        }
    }
}

/// The answers to a request that went to a group. Dropping it ends the taking of answers.
#[derive(Debug)]
pub struct Answers {
    received: Receiver<Answered>,
    _guard: Guard,
}

impl Answers {
    /// The next answer, and whose it is: a response of any code, the first block of it where it has
    /// several. `None` when the time is over. Of each member, the first answer counts.
    ///
    /// # Errors
    /// Where the request could not be sent.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Result<(SocketAddr, Response), RequestError>> {
        let answer = self.received.next().await?;
        Some(answer.map(|(from, message): (SocketAddr, Message)| (from, Response::new(message))))
    }
}
