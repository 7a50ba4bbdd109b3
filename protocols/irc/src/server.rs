//! A small IRC server in memory, for demos and tests. **Not for production**: it has no operators,
//! no bans, no links, forgets everything when it ends, and keeps passwords as they are.
//!
//! It speaks registration, SASL PLAIN, channels with topics and a few modes, messages, WHO and
//! WHOIS, and of IRCv3: capabilities 302, message-tags, server-time, echo-message, multi-prefix,
//! batch and labeled-response. It runs over any [`TcpListener`], with TLS where that brings it,
//! and spawns nothing: [`serve`] does everything while it is polled.
//!
//! Whatever clients send, it stays within its limits: see [`ServerConfig`] and the constants in
//! `RPL_ISUPPORT`. A client that passes one gets an error, or is disconnected with a reason.
//!
//! ```
//! use jackfield_irc::server::{ServerConfig, serve};
//! use jackfield_socket::{ListenOptions, Result, TcpListen};
//!
//! /// Serves until the listener fails, or the future is dropped.
//! async fn run(network: &impl TcpListen) -> Result<()> {
//!     let at = "127.0.0.1:6667".parse().expect("an address");
//!     let listener = network.listen(at, &ListenOptions::default()).await?;
//!     let mut config = ServerConfig::new();
//!     config.add_account("ada", "lovelace");
//!     Err(serve(listener, config).await)
//! }
//! # fn main() {}
//! ```

mod channels;
mod connection;
mod messages;
#[doc(hidden)]
pub mod oracle;
mod registration;
mod reply;
mod state;
#[cfg(test)]
mod tests;
mod users;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jackfield_socket::{Error, TcpListener, time};

use crate::codec::{Text, Timestamp, Word};

use connection::attend;
use state::State;

/// What a server is called, whom it knows, and how much it bears.
#[derive(Clone)]
#[non_exhaustive]
pub struct ServerConfig {
    /// The name it gives itself. Default: `irc.jackfield.example`.
    pub name: Word,
    /// The network's name. Default: `Jackfield`.
    pub network: Word,
    /// The message of the day, by lines. Default: empty.
    pub motd: Vec<Text>,
    /// How many clients there may be at once; further ones wait to be accepted. Default: 100.
    pub max_clients: usize,
    /// How many bytes may wait for a client that doesn't read, before it is disconnected.
    /// Default: 256 KiB.
    pub send_queue: usize,
    /// How many lines a second a client may send; it may send as many as ten seconds allow at
    /// once. One that sends more is disconnected. Default: 20.
    pub lines_per_second: u32,
    /// How long a client may take to register, and how long it may be silent before it is asked
    /// for a sign of life, and then to give it. Default: 60 s.
    pub patience: Duration,
    accounts: BTreeMap<String, String>,
}

impl ServerConfig {
    /// The defaults, and no accounts.
    pub fn new() -> Self {
        let word = |text| Word::new(text).unwrap_or_else(|_| unreachable!("a word"));
        Self {
            name: word("irc.jackfield.example"),
            network: word("Jackfield"),
            motd: Vec::new(),
            max_clients: 100,
            send_queue: 256 * 1024,
            lines_per_second: 20,
            patience: Duration::from_mins(1),
            accounts: BTreeMap::new(),
        }
    }

    /// Adds an account, to log in to by SASL PLAIN.
    pub fn add_account(&mut self, name: impl Into<String>, password: impl Into<String>) {
        self.accounts.insert(name.into(), password.into());
    }

    fn has_account(&self, name: &str, password: &str) -> bool {
        self.accounts.get(name).is_some_and(|it| it == password)
    }
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self::new()
    }
}

/// Without passwords.
impl fmt::Debug for ServerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerConfig")
            .field("name", &self.name)
            .field("network", &self.network)
            .field("accounts", &self.accounts.keys())
            .finish_non_exhaustive()
    }
}

/// Serves clients until the listener fails and those who are there have left, and returns why it
/// failed.
///
/// # Cancel safety
/// Dropping the future closes the listener and every connection.
pub async fn serve<L: TcpListener>(listener: L, config: ServerConfig) -> Error {
    let max_clients = config.max_clients;
    let state = Arc::new(Mutex::new(State::new(config, time::now(), wall_clock())));
    let attend = move |stream| attend(stream, Arc::clone(&state));
    jackfield_socket::serve(listener, max_clients, attend)
        .await
        .expect_err("nothing but an error ends it")
}

fn wall_clock() -> Timestamp {
    let since = web_time::SystemTime::now().duration_since(web_time::UNIX_EPOCH);
    Timestamp::from_unix_millis(since.map_or(0, |since| since.as_millis() as u64))
}
