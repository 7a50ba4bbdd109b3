//! Configuration of a server: what it is called, and how much it bears.

use std::time::Duration;

use jackfield_smtp::codec::Domain;

/// What a server is called, and how much it bears.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// The name that it gives itself. Default: `mail.jackfield.example`.
    pub name: Domain,
    /// The domain whose users it has: user `ada` is `ada@` this. Default: `jackfield.example`.
    pub domain: Domain,
    /// How long a client may take to log in. Default: 60 s.
    pub login_timeout: Duration,
    /// How long a client may be silent once it is logged in; RFC 9051, section 5.4, wants 30 min at
    /// least. Default: 30 min.
    pub idle_timeout: Duration,
    /// How much clients may make it keep.
    pub limits: Limits,
}

impl Default for Config {
    fn default() -> Self {
        let domain = |name: &str| name.parse().unwrap_or_else(|_| unreachable!("a domain"));
        Self {
            name: domain("mail.jackfield.example"),
            domain: domain("jackfield.example"),
            login_timeout: Duration::from_mins(1),
            idle_timeout: Duration::from_mins(30),
            limits: Limits::default(),
        }
    }
}

/// How much clients may make a server keep. What goes beyond is refused, with a reply that says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// How many connections each listener has at once; further ones wait to be accepted.
    /// Default: 100.
    pub max_sessions: usize,
    /// How many users there may be. Default: 1,000.
    pub max_users: usize,
    /// How many mailboxes a user may have, subscriptions to what does not exist among them.
    /// Default: 200.
    pub max_mailboxes: usize,
    /// The longest name of a mailbox, in bytes. Default: 400.
    pub max_name: usize,
    /// How many messages all mailboxes may hold together. Default: 100,000.
    pub max_messages: usize,
    /// How many bytes these may have together. Default: 256 MiB.
    pub max_bytes: usize,
    /// The largest message in bytes, which is told as APPENDLIMIT and SIZE. Default: 16 MiB.
    pub max_message: usize,
    /// How many flags one message may have. Default: 32.
    pub max_flags: usize,
    /// The longest line in bytes: of IMAP a request without its literals, of SMTP a command. A longer one
    /// ends the connection. Default: 64 KiB.
    pub max_line: usize,
    /// The largest literal that is no message, in bytes. Default: 4 KiB.
    pub max_literal: usize,
    /// How many literals' bytes a request may have together, besides a message. Default: 64 KiB.
    pub max_literals: usize,
    /// How deep a search may be nested. Default: 20.
    pub max_depth: u8,
    /// How many recipients a message may have. Default: 100.
    pub max_recipients: usize,
    /// How many bytes of replies to SMTP commands may wait for a client that doesn't read, before it is
    /// disconnected. (Over IMAP no more is read from it.) Default: 256 KiB.
    pub max_replies: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_sessions: 100,
            max_users: 1000,
            max_mailboxes: 200,
            max_name: 400,
            max_messages: 100_000,
            max_bytes: 256 << 20,
            max_message: 16 << 20,
            max_flags: 32,
            max_line: 64 << 10,
            max_literal: 4 << 10,
            max_literals: 64 << 10,
            max_depth: 20,
            max_recipients: 100,
            max_replies: 256 << 10,
        }
    }
}
