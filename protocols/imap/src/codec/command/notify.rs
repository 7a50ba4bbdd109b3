//! NOTIFY: what a server tells of without being asked, of which mailboxes (RFC 5465).

use super::Item;
use crate::codec::encode::Encoder;
use crate::codec::mailbox::MailboxName;

/// What a server is to tell of without being asked: of some mailboxes these events, of others those.
/// What is not named is not told.
///
/// ```
/// use jackfield_imap::codec::{Notify, NotifyEvent, NotifyMailboxes};
///
/// let messages = [
///     NotifyEvent::MessageNew(Vec::new()),
///     NotifyEvent::MessageExpunge,
///     NotifyEvent::FlagChange,
/// ];
/// let notify = Notify::new()
///     .watch(NotifyMailboxes::SelectedDelayed, messages.clone())
///     .watch(NotifyMailboxes::Personal, messages)
///     .with_status();
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notify {
    has_status: bool,
    groups: Vec<(NotifyMailboxes, Vec<NotifyEvent>)>,
}

/// Of which mailboxes (RFC 5465, section 6).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotifyMailboxes {
    /// The one that is open; its messages may then lose their numbers at any moment, so that they are best
    /// named by their UIDs.
    Selected,
    /// The one that is open, whose messages keep their numbers as they do without NOTIFY.
    SelectedDelayed,
    /// Those that mail is delivered to.
    Inboxes,
    /// The user's own.
    Personal,
    /// Those that are subscribed to.
    Subscribed,
    /// These, and all below them; one at the least.
    Subtree(Vec<MailboxName>),
    /// These; one at the least.
    Mailboxes(Vec<MailboxName>),
}

/// What happens (RFC 5465, section 5). Servers tell of [`MessageNew`](Self::MessageNew) only together
/// with [`MessageExpunge`](Self::MessageExpunge), and of [`FlagChange`](Self::FlagChange) only together
/// with both.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotifyEvent {
    /// A message comes: what is told of it, which may be something only where the mailbox is open.
    MessageNew(Vec<Item>),
    /// A message goes.
    MessageExpunge,
    /// Flags change.
    FlagChange,
    /// A mailbox is made, gets another name, or goes.
    MailboxName,
    /// A mailbox is subscribed to, or no longer.
    SubscriptionChange,
    /// What is kept about a mailbox changes (RFC 5464).
    MailboxMetadataChange,
    /// What is kept about the server changes.
    ServerMetadataChange,
}

impl Notify {
    /// Of nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Of these events in these mailboxes. Where several name one mailbox, the first counts.
    #[must_use]
    pub fn watch(
        mut self,
        mailboxes: NotifyMailboxes,
        events: impl IntoIterator<Item = NotifyEvent>,
    ) -> Self {
        self.groups.push((mailboxes, events.into_iter().collect()));
        self
    }

    /// The state of each of these mailboxes is told at once, too.
    #[must_use]
    pub fn with_status(mut self) -> Self {
        self.has_status = true;
        self
    }

    /// Whether nothing is watched.
    pub fn is_none(&self) -> bool {
        self.groups.is_empty()
    }

    pub(super) fn write(&self, out: &mut Encoder<'_>) {
        if self.is_none() {
            return out.raw(b"NOTIFY NONE");
        }
        out.raw(b"NOTIFY SET");
        out.raw(if self.has_status { b" STATUS" } else { b"" });
        for (mailboxes, events) in &self.groups {
            out.raw(b" (");
            mailboxes.write(out);
            if events.is_empty() {
                out.raw(b" NONE");
            } else {
                out.raw(b" ");
                out.list(events, |out, event| event.write(out));
            }
            out.raw(b")");
        }
    }
}

impl NotifyMailboxes {
    fn write(&self, out: &mut Encoder<'_>) {
        let (name, mailboxes): (&[u8], &[MailboxName]) = match self {
            Self::Selected => (b"SELECTED", &[]),
            Self::SelectedDelayed => (b"SELECTED-DELAYED", &[]),
            Self::Inboxes => (b"INBOXES", &[]),
            Self::Personal => (b"PERSONAL", &[]),
            Self::Subscribed => (b"SUBSCRIBED", &[]),
            Self::Subtree(mailboxes) => (b"SUBTREE ", mailboxes),
            Self::Mailboxes(mailboxes) => (b"MAILBOXES ", mailboxes),
        };
        out.raw(name);
        if name.ends_with(b" ") {
            out.list(mailboxes, Encoder::mailbox);
        }
    }
}

impl NotifyEvent {
    fn write(&self, out: &mut Encoder<'_>) {
        out.raw(match self {
            Self::MessageNew(_) => b"MessageNew",
            Self::MessageExpunge => b"MessageExpunge",
            Self::FlagChange => b"FlagChange",
            Self::MailboxName => b"MailboxName",
            Self::SubscriptionChange => b"SubscriptionChange",
            Self::MailboxMetadataChange => b"MailboxMetadataChange",
            Self::ServerMetadataChange => b"ServerMetadataChange",
        });
        if let Self::MessageNew(items) = self
            && !items.is_empty()
        {
            out.raw(b" ");
            out.list(items, |out, item| item.encode(out));
        }
    }
}
