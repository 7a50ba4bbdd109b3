//! Jobs: what a test asks of the page, and what it gets.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// Something to do in the browser.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Job {
    /// The backend.
    pub over: Over,
    /// Where TLS is on top: the root to trust, as PEM. Servers are known by their address.
    pub tls_root: Option<String>,
    /// What to do.
    pub task: Task,
}

/// A backend that works in a browser.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Over {
    /// Direct Sockets.
    Direct,
    /// A relay, of this address and with this token.
    Relay(String, String),
    /// The page's own WebSockets, each of which carries one byte stream, with this subprotocol.
    WebSocket(String),
}

/// What to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Task {
    /// Runs a case of the conformance suite.
    Case {
        /// Its name.
        name: String,
        /// Where the suite's peer is, for byte streams.
        tcp: SocketAddr,
        /// Where it is for datagrams.
        udp: SocketAddr,
    },
    /// Connects, reads nothing for so long, and then no more.
    Stall {
        /// Who sends.
        from: SocketAddr,
        /// In milliseconds.
        stall: u64,
    },
    /// Sends so much of the pattern in writes of this size, then shuts down.
    Send {
        /// Who takes it.
        to: SocketAddr,
        /// In all.
        bytes: u64,
        /// In a write.
        chunk: usize,
        /// How long to wait after each write, in milliseconds. Each is flushed.
        pause: u64,
    },
    /// Reads the pattern to its end.
    Receive {
        /// Who sends it.
        from: SocketAddr,
        /// How long to wait before the first read, in milliseconds.
        late: u64,
    },
    /// Sends to an echo, and reads it back meanwhile.
    Echo {
        /// Who sends it back.
        with: SocketAddr,
        /// In all.
        bytes: u64,
        /// In a write.
        chunk: usize,
    },
    /// Connects many times, and each time reads the pattern to its end.
    Replies {
        /// Who sends them.
        from: SocketAddr,
        /// How many.
        count: u32,
        /// How many at the same time.
        at_once: u32,
        /// How long each one is.
        bytes: u64,
    },
    /// Reads so much of anything from one who sends without end.
    Drain {
        /// Who sends.
        from: SocketAddr,
        /// How much.
        bytes: u64,
    },
    /// Sends so much of anything to one who answers each mebibyte with a byte, and waits for the
    /// last answer.
    Push {
        /// Who answers.
        to: SocketAddr,
        /// How much, in mebibytes.
        mebibytes: u32,
        /// In a write, in bytes.
        chunk: usize,
    },
    /// Sends datagrams from a connected UDP socket to a port where nobody listens. Then asks for
    /// somebody, with a connection that says a byte when there is one, and sends once more.
    Unheard {
        /// The port.
        to: SocketAddr,
        /// Who sees to it that there is somebody.
        by: SocketAddr,
    },
    /// Plays the [scenario of a mail app](crate::mail), over TLS.
    Mail {
        /// Where IMAP is.
        imap: SocketAddr,
        /// Where submission is.
        submission: SocketAddr,
    },
    /// Sends one line after the other, each of which must come back before the next.
    PingPong {
        /// Who sends them back.
        with: SocketAddr,
        /// How many.
        count: u32,
        /// How long each one is.
        bytes: usize,
    },
}

/// What became of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Outcome {
    /// Bytes that were written, and flushed.
    pub sent: u64,
    /// Bytes that were read.
    pub received: u64,
    /// The first place where what was read was not the pattern.
    pub wrong: Option<u64>,
    /// Why it ended early.
    pub error: Option<String>,
    /// How long it took.
    pub milliseconds: f64,
    /// Of many replies: how many came whole, with their end.
    pub whole: u32,
    /// Of many replies: how many ended without an error, but too early.
    pub cut: u32,
    /// Of many replies: how many ended with an error.
    pub failed: u32,
    /// What came of each datagram that was sent: an answer, an error or nothing.
    pub told: Vec<String>,
    /// Of many answers: the time that half of them took at the most, in milliseconds.
    pub median: f64,
}

/// Something to do with a store, in the window.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum StoreJob {
    /// Opens the store of this name, and keeps it open until it is closed or the page is left.
    Open(String),
    /// Commits these changes to it as one batch: new values, or `None` where one is deleted.
    Commit(BTreeMap<String, Option<String>>),
    /// Begins to commit batch after batch, and goes on until the page is left: in each, these keys
    /// all have its number as their value.
    CommitForEver(Vec<String>),
    /// Closes it.
    Close,
}

/// What the store held afterwards, where it is open; or why it failed, as an error's kind and text.
pub type StoreOutcome = Result<BTreeMap<String, String>, (String, String)>;

impl Outcome {
    /// How fast so many bytes went, in millions of bytes a second.
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    pub fn rate(&self, bytes: u64) -> f64 {
        bytes as f64 / 1000.0 / self.milliseconds
    }
}
