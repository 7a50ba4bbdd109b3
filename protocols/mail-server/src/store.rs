//! The store: users, their mailboxes and messages, which all sessions share.

mod mailbox;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;

use bytes::Bytes;
use jackfield_imap::codec::{DateTime, Flag, FlagChange, MailboxName};
use jackfield_smtp::codec::{Framing, Mailbox as Address};
use jackfield_socket::time::{self, Instant};

use crate::config::{Config, Limits};
pub(crate) use mailbox::{Mailbox, Message, changed, merged};

/// Users, their mailboxes and their messages, in memory. Clones are the same store.
///
/// Each user has an INBOX, and mailboxes for drafts, what was sent, the archive, junk and trash.
/// Passwords are kept as they are.
///
/// ```
/// use jackfield_mail_server::{Config, Store};
///
/// let store = Store::new(Config::default());
/// store.add_user("ada", "lovelace")?;
/// let message = "From: Grace <grace@example.org>\nSubject: hello\n\nGood morning.\n";
/// let uid = store.add_message("ada", "INBOX", message, &[])?;
/// assert_eq!(uid, 1);
/// # Ok::<(), jackfield_mail_server::StoreError>(())
/// ```
#[derive(Clone)]
pub struct Store(Arc<Mutex<State>>);

/// Why something can't be put into a [`Store`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreError {
    /// A user's name is what stands before the `@` of an address, without quotes.
    InvalidUser,
    /// There is a user or a mailbox of this name.
    AlreadyExists,
    /// There is no such user.
    NoSuchUser,
    /// There is no such mailbox.
    NoSuchMailbox,
    /// A mailbox can't have this name, or can't be changed so.
    InvalidName,
    /// The mailbox has others below it.
    HasChildren,
    /// The message holds NUL, is empty, or has flags that it can't have.
    InvalidMessage,
    /// The message is larger than [`Limits::max_message`].
    TooLarge,
    /// One of the other [`Limits`] is reached.
    Full,
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InvalidUser => "a user's name is what stands before the @ of an address",
            Self::AlreadyExists => "there is one of this name already",
            Self::NoSuchUser => "there is no such user",
            Self::NoSuchMailbox => "there is no such mailbox",
            Self::InvalidName => "the name can't be a mailbox's",
            Self::HasChildren => "the mailbox has others below it",
            Self::InvalidMessage => "the message or its flags are not valid",
            Self::TooLarge => "the message is too large",
            Self::Full => "the store is full",
        })
    }
}

impl std::error::Error for StoreError {}

/// The mailboxes that a user begins with, besides INBOX.
const MAILBOXES: [(&str, &str); 5] = [
    ("Archive", "\\Archive"),
    ("Drafts", "\\Drafts"),
    ("Junk", "\\Junk"),
    ("Sent", "\\Sent"),
    ("Trash", "\\Trash"),
];

impl Store {
    /// An empty store.
    pub fn new(config: Config) -> Self {
        let since = web_time::SystemTime::now().duration_since(web_time::UNIX_EPOCH);
        let seconds = since.map_or(0, |since| since.as_secs());
        Self::at(config, time::now(), seconds)
    }

    /// The same at this time, of which the clock on the wall shows so many seconds since 1970.
    pub(crate) fn at(config: Config, now: Instant, wall: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            config,
            users: Vec::new(),
            messages: 0,
            bytes: 0,
            // A store that is made later has others.
            next_validity: u32::try_from(wall).unwrap_or(1).max(1),
            began: (now, i64::try_from(wall).unwrap_or_default()),
            is_changed: false,
            wakers: Vec::new(),
            next_session: 0,
        })))
    }

    /// Adds a user, whose address is the name, an `@`, and [`Config::domain`]; either is good to log in
    /// with.
    ///
    /// # Errors
    /// [`StoreError::InvalidUser`], [`StoreError::AlreadyExists`] or [`StoreError::Full`].
    pub fn add_user(&self, name: &str, password: &str) -> Result<(), StoreError> {
        self.with(|state| state.add_user(name, password))
    }

    /// Puts a message into a mailbox, which is made if need be; those who have it open are told. Line
    /// ends become CR LF. Gives the message's UID.
    ///
    /// # Errors
    /// Any [`StoreError`] but those of users that exist.
    pub fn add_message(
        &self,
        user: &str,
        mailbox: &str,
        message: impl AsRef<[u8]>,
        flags: &[Flag],
    ) -> Result<u32, StoreError> {
        let name: MailboxName = mailbox.parse().map_err(|_| StoreError::InvalidName)?;
        let mut bytes = Vec::with_capacity(message.as_ref().len());
        let mut content = jackfield_smtp::codec::Content::new(Framing::Chunks);
        content.write(message.as_ref(), &mut bytes);
        content.end(&mut bytes);
        self.with(|state| {
            let user = state.user(user).ok_or(StoreError::NoSuchUser)?;
            if state.mailbox(user, &name).is_none() {
                state.create(user, &name)?;
            }
            let arrived = state.date(time::now());
            state
                .append(user, &name, flags, arrived, bytes.into())
                .map(|(_, uid)| uid)
        })
    }

    /// What a server is called, and how much it bears.
    pub fn config(&self) -> Config {
        self.with(|state| state.config.clone())
    }

    /// Acts on what is shared, and wakes those who wait for changes where there was one.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let (result, wakers) = {
            let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let result = act(&mut state);
            let wakers = if std::mem::take(&mut state.is_changed) {
                std::mem::take(&mut state.wakers)
            } else {
                Vec::new()
            };
            (result, wakers)
        };
        for (_, waker) in wakers {
            waker.wake();
        }
        result
    }
}

/// How much is in it.
impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with(|state| {
            f.debug_struct("Store")
                .field("users", &state.users.len())
                .field("messages", &state.messages)
                .field("bytes", &state.bytes)
                .finish()
        })
    }
}

pub(crate) struct User {
    name: String,
    password: String,
    /// By name.
    pub(crate) mailboxes: Vec<Mailbox>,
    /// Subscriptions to what does not exist any more.
    pub(crate) subscribed: Vec<MailboxName>,
}

/// Which user.
pub(crate) type UserId = usize;

pub(crate) struct State {
    pub(crate) config: Config,
    users: Vec<User>,
    /// How many there are in all mailboxes, and how many bytes they have.
    pub(crate) messages: usize,
    pub(crate) bytes: usize,
    next_validity: u32,
    began: (Instant, i64),
    is_changed: bool,
    /// Of the sessions that wait, by their numbers.
    wakers: Vec<(u64, Waker)>,
    next_session: u64,
}

impl State {
    pub(crate) fn limits(&self) -> Limits {
        self.config.limits
    }

    /// A number for a session, to be woken by.
    pub(crate) fn session(&mut self) -> u64 {
        self.next_session += 1;
        self.next_session
    }

    pub(crate) fn wake(&mut self, session: u64, waker: &Waker) {
        match self.wakers.iter_mut().find(|(id, _)| *id == session) {
            Some((_, known)) => known.clone_from(waker),
            None => self.wakers.push((session, waker.clone())),
        }
    }

    pub(crate) fn forget(&mut self, session: u64) {
        self.wakers.retain(|(id, _)| *id != session);
    }

    /// The time on the wall.
    pub(crate) fn date(&self, now: Instant) -> DateTime {
        let (then, wall) = self.began;
        let since = now.saturating_duration_since(then).as_secs();
        let seconds = wall.saturating_add_unsigned(since);
        DateTime::from_unix_seconds(seconds)
            .or_else(|_| DateTime::from_unix_seconds(0))
            .unwrap_or_else(|_| unreachable!("the beginning of 1970 is a date"))
    }

    fn add_user(&mut self, name: &str, password: &str) -> Result<(), StoreError> {
        let address = Address::new(name, &self.config.domain);
        if address.is_err() || name.contains(['@', '"', ' ']) {
            return Err(StoreError::InvalidUser);
        }
        if self.user(name).is_some() {
            return Err(StoreError::AlreadyExists);
        }
        if self.users.len() >= self.limits().max_users {
            return Err(StoreError::Full);
        }
        let mut mailboxes = Vec::new();
        let names = MAILBOXES.iter().map(|(name, special)| {
            let name = name.parse().unwrap_or_else(|_| unreachable!("a name"));
            (name, Some(*special))
        });
        for (name, special_use) in names.chain([(MailboxName::inbox(), None)]) {
            mailboxes.push(Mailbox {
                special_use,
                is_subscribed: true,
                ..Mailbox::new(name, self.validity())
            });
        }
        mailboxes.sort_by(|one, other| one.name.cmp(&other.name));
        self.users.push(User {
            name: name.to_owned(),
            password: password.to_owned(),
            mailboxes,
            subscribed: Vec::new(),
        });
        Ok(())
    }

    /// The user of this name or address.
    pub(crate) fn user(&self, name: &str) -> Option<UserId> {
        let domain = self.config.domain.as_str();
        let local = match name.rsplit_once('@') {
            Some((local, of)) if of.eq_ignore_ascii_case(domain) => local,
            Some(_) => return None,
            None => name,
        };
        let is_it = |user: &User| user.name.eq_ignore_ascii_case(local);
        self.users.iter().position(is_it)
    }

    /// The user, where name and password are right.
    pub(crate) fn log_in(&self, name: &str, password: &str) -> Option<UserId> {
        let user = self.user(name)?;
        (self.users[user].password == password).then_some(user)
    }

    pub(crate) fn of(&self, user: UserId) -> &User {
        &self.users[user]
    }

    pub(crate) fn of_mut(&mut self, user: UserId) -> &mut User {
        &mut self.users[user]
    }

    pub(crate) fn mailbox(&self, user: UserId, name: &MailboxName) -> Option<&Mailbox> {
        self.users[user]
            .mailboxes
            .iter()
            .find(|it| it.name == *name)
    }

    /// The one that is open, by its UIDVALIDITY: it may have another name by now.
    pub(crate) fn opened(&self, user: UserId, validity: u32) -> Option<&Mailbox> {
        let mut all = self.users[user].mailboxes.iter();
        all.find(|it| it.uid_validity == validity)
    }

    fn opened_mut(&mut self, user: UserId, validity: u32) -> Option<&mut Mailbox> {
        let mut all = self.users[user].mailboxes.iter_mut();
        all.find(|it| it.uid_validity == validity)
    }

    fn validity(&mut self) -> u32 {
        let validity = self.next_validity;
        self.next_validity = validity.checked_add(1).unwrap_or(1);
        validity
    }

    /// Makes a mailbox, and those above it.
    pub(crate) fn create(&mut self, user: UserId, name: &MailboxName) -> Result<(), StoreError> {
        let text = name.to_string();
        let text = text.strip_suffix('/').unwrap_or(&text);
        let is_name = text.split('/').all(|level| !level.is_empty())
            && !text.contains(|c: char| matches!(c, '%' | '*') || c.is_control())
            && text.len() <= self.limits().max_name;
        if !is_name {
            return Err(StoreError::InvalidName);
        }
        let name = |text: &str| {
            text.parse::<MailboxName>()
                .map_err(|_| StoreError::InvalidName)
        };
        if self.mailbox(user, &name(text)?).is_some() {
            return Err(StoreError::AlreadyExists);
        }
        let ends = text.match_indices('/').map(|(at, _)| at);
        for end in ends.chain([text.len()]) {
            let name = name(&text[..end])?;
            if self.mailbox(user, &name).is_some() {
                continue;
            }
            self.has_room_for_name(user)?;
            let mailbox = Mailbox::new(name, self.validity());
            let all = &mut self.users[user].mailboxes;
            let at = all.partition_point(|it| it.name < mailbox.name);
            all.insert(at, mailbox);
        }
        Ok(())
    }

    /// Whether a user may have one more mailbox or subscription.
    pub(crate) fn has_room_for_name(&self, user: UserId) -> Result<(), StoreError> {
        let user = &self.users[user];
        if user.mailboxes.len() + user.subscribed.len() >= self.limits().max_mailboxes {
            return Err(StoreError::Full);
        }
        Ok(())
    }

    pub(crate) fn has_children(&self, user: UserId, name: &MailboxName) -> bool {
        let mut all = self.users[user].mailboxes.iter();
        let name = name.to_string();
        all.any(|it| is_below(&it.name.to_string(), &name))
    }

    pub(crate) fn delete(&mut self, user: UserId, name: &MailboxName) -> Result<(), StoreError> {
        if *name == MailboxName::inbox() {
            return Err(StoreError::InvalidName);
        }
        if self.has_children(user, name) {
            return Err(StoreError::HasChildren);
        }
        let all = &mut self.users[user].mailboxes;
        let at = all.iter().position(|it| it.name == *name);
        let gone = all.remove(at.ok_or(StoreError::NoSuchMailbox)?);
        if gone.is_subscribed {
            self.users[user].subscribed.push(gone.name.clone());
        }
        self.let_go(&gone.messages);
        Ok(())
    }

    /// Gives another name to a mailbox and those below it. INBOX stays, and gives away its messages (RFC
    /// 9051, section 6.3.6).
    pub(crate) fn rename(
        &mut self,
        user: UserId,
        from: &MailboxName,
        to: &MailboxName,
    ) -> Result<(), StoreError> {
        if self.mailbox(user, from).is_none() {
            return Err(StoreError::NoSuchMailbox);
        }
        let (old, new) = (from.to_string(), to.to_string());
        if is_below(&new, &old) {
            return Err(StoreError::InvalidName);
        }
        self.create(user, to)?;
        let max_name = self.limits().max_name;
        let all = &mut self.users[user].mailboxes;
        let position =
            |all: &[Mailbox], name: &MailboxName| all.iter().position(|it| it.name == *name);
        let made = position(all, to).ok_or(StoreError::NoSuchMailbox)?;
        if *from == MailboxName::inbox() {
            let inbox = position(all, from).ok_or(StoreError::NoSuchMailbox)?;
            let messages = all[inbox].remove(|_| true);
            all[made].uid_next = all[inbox].uid_next;
            all[made].modseq = all[inbox].modseq;
            all[made].messages = messages;
            self.is_changed = true;
            return Ok(());
        }
        // What was made has shown that the name is good, and has made what stands above it.
        let empty = all.remove(made);
        let mut names = Vec::new();
        for mailbox in all.iter() {
            let name = mailbox.name.to_string();
            let Some(rest) = name.strip_prefix(&old) else {
                continue;
            };
            if !rest.is_empty() && !rest.starts_with('/') {
                continue;
            }
            let name = format!("{new}{rest}");
            let is_taken = all.iter().any(|it| it.name.to_string() == name);
            let parsed = name.parse::<MailboxName>();
            match parsed {
                Ok(parsed) if !is_taken && name.len() <= max_name => {
                    names.push((mailbox.uid_validity, parsed));
                }
                _ => {
                    all.insert(made, empty);
                    return Err(StoreError::InvalidName);
                }
            }
        }
        for mailbox in all.iter_mut() {
            let renamed = names.iter().find(|(of, _)| *of == mailbox.uid_validity);
            if let Some((_, name)) = renamed {
                mailbox.name = name.clone();
            }
        }
        all.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(())
    }

    /// Puts a message into a mailbox: its UIDVALIDITY, and the message's UID.
    pub(crate) fn append(
        &mut self,
        user: UserId,
        name: &MailboxName,
        flags: &[Flag],
        arrived: DateTime,
        bytes: Bytes,
    ) -> Result<(u32, u32), StoreError> {
        if bytes.len() > self.limits().max_message {
            return Err(StoreError::TooLarge);
        }
        self.put(user, name, flags, arrived, bytes)
    }

    /// The same of a message whose size was looked at before headers were added.
    pub(crate) fn put(
        &mut self,
        user: UserId,
        name: &MailboxName,
        flags: &[Flag],
        arrived: DateTime,
        bytes: Bytes,
    ) -> Result<(u32, u32), StoreError> {
        let limits = self.limits();
        let mailbox = self.mailbox(user, name).ok_or(StoreError::NoSuchMailbox)?;
        let validity = mailbox.uid_validity;
        let is_text = !bytes.is_empty() && memchr::memchr(0, &bytes).is_none();
        let flags = changed(&[], &FlagChange::Add(flags.to_vec()), limits.max_flags);
        let (true, Some(flags)) = (is_text, flags) else {
            return Err(StoreError::InvalidMessage);
        };
        self.take_room(1, bytes.len())?;
        let mailbox = self.opened_mut(user, validity);
        let uid = mailbox.and_then(|it| it.add(flags, arrived, bytes));
        self.is_changed = true;
        Ok((validity, uid.ok_or(StoreError::Full)?))
    }

    /// Copies messages: the UIDVALIDITY of where they went, and their UIDs before and after. All are
    /// copied, or none.
    pub(crate) fn copy(
        &mut self,
        user: UserId,
        from: u32,
        uids: &[u32],
        to: &MailboxName,
    ) -> Result<(u32, Vec<(u32, u32)>), StoreError> {
        let source = self.opened(user, from).ok_or(StoreError::NoSuchMailbox)?;
        let copied: Vec<Message> = uids
            .iter()
            .filter_map(|uid| source.message(*uid).cloned())
            .collect();
        let target = self.mailbox(user, to).ok_or(StoreError::NoSuchMailbox)?;
        let validity = target.uid_validity;
        if u32::try_from(copied.len())
            .ok()
            .and_then(|count| target.uid_next.checked_add(count))
            .is_none()
        {
            return Err(StoreError::Full);
        }
        let bytes = copied.iter().map(|it| it.bytes.len()).sum();
        self.take_room(copied.len(), bytes)?;
        let mut pairs = Vec::with_capacity(copied.len());
        if let Some(target) = self.opened_mut(user, validity) {
            for message in copied {
                let uid = target.add(message.flags, message.arrived, message.bytes);
                pairs.extend(uid.map(|uid| (message.uid, uid)));
            }
        }
        self.is_changed = true;
        Ok((validity, pairs))
    }

    /// Removes messages from the mailbox that is open.
    pub(crate) fn expunge(
        &mut self,
        user: UserId,
        validity: u32,
        is_gone: impl Fn(&Message) -> bool,
    ) {
        let Some(mailbox) = self.opened_mut(user, validity) else {
            return;
        };
        let gone = mailbox.remove(is_gone);
        self.is_changed |= !gone.is_empty();
        self.let_go(&gone);
    }

    /// Changes flags of messages as one change, which has this number afterwards: those whose flags are
    /// told by the function. `None` where there is no such mailbox.
    pub(crate) fn store(
        &mut self,
        user: UserId,
        validity: u32,
        uids: &[u32],
        change: impl Fn(&Message) -> Option<Vec<Flag>>,
    ) -> Option<u64> {
        let mailbox = self.opened_mut(user, validity)?;
        let modseq = mailbox.modseq + 1;
        let mut is_changed = false;
        for uid in uids {
            let Some(message) = mailbox.message_mut(*uid) else {
                continue;
            };
            if let Some(flags) = change(message)
                && flags != message.flags
            {
                message.flags = flags;
                message.modseq = modseq;
                mailbox.modseq = modseq;
                is_changed = true;
            }
        }
        self.is_changed |= is_changed;
        Some(modseq)
    }

    fn take_room(&mut self, messages: usize, bytes: usize) -> Result<(), StoreError> {
        let limits = self.limits();
        let (messages, bytes) = (self.messages + messages, self.bytes + bytes);
        if messages > limits.max_messages || bytes > limits.max_bytes {
            return Err(StoreError::Full);
        }
        (self.messages, self.bytes) = (messages, bytes);
        Ok(())
    }

    fn let_go(&mut self, messages: &[Message]) {
        self.messages -= messages.len();
        self.bytes -= messages.iter().map(|it| it.bytes.len()).sum::<usize>();
        self.is_changed = true;
    }

    /// What is counted is what there is.
    #[cfg(any(test, feature = "oracle"))]
    pub(crate) fn check(&self) {
        let limits = self.limits();
        let mut validities = Vec::new();
        let (mut messages, mut bytes) = (0, 0);
        for user in &self.users {
            assert!(user.mailboxes.len() + user.subscribed.len() <= limits.max_mailboxes);
            assert!(
                user.mailboxes
                    .is_sorted_by(|one, other| one.name < other.name)
            );
            for mailbox in &user.mailboxes {
                validities.push(mailbox.uid_validity);
                messages += mailbox.messages.len();
                bytes += mailbox.size();
                assert!(
                    mailbox
                        .messages
                        .is_sorted_by(|one, other| one.uid < other.uid)
                );
                for message in &mailbox.messages {
                    assert!(message.uid < mailbox.uid_next && message.modseq <= mailbox.modseq);
                    assert!(message.flags.len() <= limits.max_flags);
                    assert!(message.bytes.len() <= limits.max_message + 2048);
                }
            }
        }
        assert_eq!((messages, bytes), (self.messages, self.bytes));
        assert!(messages <= limits.max_messages && bytes <= limits.max_bytes);
        let count = validities.len();
        validities.sort_unstable();
        validities.dedup();
        assert_eq!(
            validities.len(),
            count,
            "no two mailboxes have one UIDVALIDITY"
        );
    }
}

/// Whether one name stands below another.
fn is_below(name: &str, above: &str) -> bool {
    let rest = name.strip_prefix(above);
    rest.is_some_and(|rest| rest.starts_with('/'))
}
