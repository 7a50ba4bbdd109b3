//! Envelopes: whom a message comes from, whom it goes to, and what is asked for with it.

use std::str::FromStr;

use crate::codec::{InvalidValue, MailParameters, Mailbox, RecipientParameters, ReversePath};

/// Whom a message comes from and goes to (RFC 5321, section 2.3.1). What its headers say, servers
/// don't read: who is only in the envelope gets it too, as with Bcc.
///
/// ```
/// use jackfield_smtp::codec::Notify;
/// use jackfield_smtp::core::{Envelope, Recipient};
///
/// let mut grace = Recipient::new("grace@example.com".parse()?);
/// grace.parameters.notify = Some(Notify::NEVER);
/// let mut envelope = Envelope::new("ada@example.org".parse()?, [grace]);
/// envelope.parameters.require_tls = true;
/// # Ok::<(), jackfield_smtp::codec::InvalidValue>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Envelope {
    /// Whom it comes from.
    pub from: ReversePath,
    /// Whom it goes to.
    pub recipients: Vec<Recipient>,
    /// What is asked for. The size is filled in where it is known and the server takes it, and
    /// `BODY=8BITMIME` where it is needed or may be; where an address holds Unicode, so is
    /// `SMTPUTF8`. Anything else that the server does not offer fails the request: nothing is left out
    /// silently.
    pub parameters: MailParameters,
    /// Whether the headers Bcc and Resent-Bcc stay in the message. Default: they are taken out on the
    /// way, since most servers send them on. What is binary is not changed in any case.
    pub keep_bcc: bool,
}

impl Envelope {
    /// An envelope that asks for nothing in particular.
    pub fn new(from: ReversePath, recipients: impl IntoIterator<Item = Recipient>) -> Self {
        Self {
            from,
            recipients: recipients.into_iter().collect(),
            parameters: MailParameters::default(),
            keep_bcc: false,
        }
    }
}

/// Whom a message goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recipient {
    /// The mailbox.
    pub mailbox: Mailbox,
    /// What is asked for.
    pub parameters: RecipientParameters,
}

impl Recipient {
    /// A recipient for whom nothing in particular is asked.
    pub fn new(mailbox: Mailbox) -> Self {
        Self {
            mailbox,
            parameters: RecipientParameters::default(),
        }
    }
}

impl From<Mailbox> for Recipient {
    fn from(mailbox: Mailbox) -> Self {
        Self::new(mailbox)
    }
}

impl FromStr for Recipient {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        text.parse().map(Self::new)
    }
}
