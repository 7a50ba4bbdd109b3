//! Configuration of a session: what it is given when it is made.

use std::time::Duration;

use jackfield_sasl::Credentials;

use crate::codec::{Extension, Limits};

/// How to log in, and what to keep to.
///
/// ```
/// use jackfield_imap::core::{Config, Credentials};
///
/// let mut config = Config::new(Credentials::password("ada", "correct horse")?);
/// config.idle_renewal = std::time::Duration::from_secs(5 * 60);
/// # Ok::<(), jackfield_sasl::Error>(())
/// ```
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a setting of its own"
)]
#[non_exhaustive]
pub struct Config {
    /// Who the user is, and what proves it. It is proven by the strongest mechanism that the server
    /// offers, with the command LOGIN as the last resort.
    pub credentials: Credentials,
    /// What guards the connection.
    pub security: Security,
    /// Whether a password or token may be sent as it is over a connection that nothing guards
    /// ([`Security::Plaintext`]), where everyone on the way can read it. Default: no.
    pub password_in_the_clear: bool,
    /// What the client says of itself once it is logged in (ID, RFC 2971), by names; nothing is
    /// said where it is empty. Some servers open no mailbox without. Default: this crate's name and
    /// version.
    pub id: Vec<(String, String)>,
    /// Extensions to use where the server has them. Default: none. IMAP4rev2 is among those that
    /// are used only when asked for: some servers that announce it get it wrong.
    pub extensions: Vec<Extension>,
    /// Whether mailboxes' names are in modified UTF-7 even after `ENABLE UTF8=ACCEPT`. RFC 6855 wants
    /// UTF-8 then, and Dovecot 2.4.1 refuses it. Default: no.
    pub names_in_utf7: bool,
    /// Whether what goes over the connection is compressed where the server can (COMPRESS=DEFLATE,
    /// RFC 4978), once the user is logged in. Over a slow line it is worth much: text and envelopes
    /// are a third to a fifth of their size. It takes some 400 KiB a connection, and time on both
    /// sides. Default: no, since it has a price that only the caller can weigh: whoever can send the
    /// user mail and sees how long the encrypted answers are may learn something of what else is in
    /// them, as with any compression below encryption (RFC 4978, section 5; CRIME).
    #[cfg(feature = "compress")]
    pub compress: bool,
    /// Whether [`Extension::QResync`] is used at iCloud too: it takes the command without saying that
    /// it was enabled, and mail was lost to clients that relied on it. Its CONDSTORE is used in any
    /// case. Default: no.
    pub icloud_qresync: bool,
    /// Whether a FETCH is done only when a NOOP behind it is: Apache James tells of messages after it has
    /// said that all is told. It costs a round trip a command. Default: no.
    pub late_answers: bool,
    /// How long greeting and log-in may take, together. Default: 60 s.
    pub login_timeout: Duration,
    /// How long the server may be silent while it has a command to answer, and how long a request
    /// may wait for a connection. Default: 2 min.
    pub answer_timeout: Duration,
    /// How long an IDLE may take until it is asked for again, which also shows whether the server
    /// is still there. The RFC's limit is 29 min, and many routers forget sooner. Default: 9 min.
    pub idle_renewal: Duration,
    /// How often the server is asked for news where it has no IDLE. Default: 1 min.
    pub poll_interval: Duration,
    /// How many requests may wait to be sent, and to be answered; one more is refused with
    /// [`RequestError::TooManyPending`](crate::RequestError::TooManyPending). Default: 100.
    pub request_capacity: usize,
    /// How many commands may be in flight at once. Default: 16.
    pub max_in_flight: usize,
    /// How many parts an answer may have that is given as a whole, such as the mailboxes of LIST;
    /// one with more fails with [`RequestError::TooLarge`](crate::RequestError::TooLarge).
    /// Default: 10,000.
    pub max_answers: usize,
    /// How many bytes of responses may be an answer that is given as a whole; one with more fails in
    /// the same way. Default: 16 MiB.
    pub max_answer_bytes: usize,
    /// How much the server may make this side keep of one response.
    pub limits: Limits,
}

impl Config {
    /// The defaults, for this user.
    pub fn new(credentials: Credentials) -> Self {
        let about = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        Self {
            credentials,
            security: Security::Tls,
            password_in_the_clear: false,
            id: vec![
                about("name", "jackfield"),
                about("version", env!("CARGO_PKG_VERSION")),
            ],
            extensions: Vec::new(),
            names_in_utf7: false,
            #[cfg(feature = "compress")]
            compress: false,
            icloud_qresync: false,
            late_answers: false,
            login_timeout: Duration::from_mins(1),
            answer_timeout: Duration::from_mins(2),
            idle_renewal: Duration::from_mins(9),
            poll_interval: Duration::from_mins(1),
            request_capacity: 100,
            max_in_flight: 16,
            max_answers: 10_000,
            max_answer_bytes: 16 << 20,
            limits: Limits::default(),
        }
    }
}

/// What guards a connection. One that is to be guarded, and isn't, ends with
/// [`SessionError::NotEncrypted`](crate::SessionError::NotEncrypted) before anything is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there are no other ways")]
pub enum Security {
    /// TLS from the start, as on port 993.
    #[default]
    Tls,
    /// TLS after STARTTLS, as on port 143: the network has spoken
    /// [`starttls::opening`](crate::starttls::opening), so that no greeting comes any more.
    StartTls,
    /// None: whoever is on the way can read everything, and change it. For servers on this machine.
    Plaintext,
}
