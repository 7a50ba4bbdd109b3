//! Writing of a command: its name, and what belongs to it.

use super::{Command, FlagChange};
use crate::codec::acl;
use crate::codec::encode::{Dialect, Encoded, Encoder};
use crate::codec::error::InvalidValue;
use crate::codec::mailbox::MailboxName;
use crate::codec::metadata;
use crate::codec::set::Messages;

impl Command {
    /// Writes it, with this tag, for a server that takes this dialect.
    ///
    /// # Errors
    /// [`InvalidValue::Text`], where a text holds NUL; [`InvalidValue::Tag`] and
    /// [`InvalidValue::Mechanism`].
    pub fn encode(&self, tag: &str, dialect: Dialect) -> Result<Encoded, InvalidValue> {
        let mut bytes = Vec::with_capacity(64);
        let mut out = Encoder::new(&mut bytes, dialect);
        out.word(tag.as_bytes(), b"-_.", InvalidValue::Tag);
        out.raw(b" ");
        self.write(&mut out);
        out.raw(b"\r\n");
        let (waits, messages) = out.finish()?;
        Ok(Encoded {
            bytes,
            waits,
            messages,
        })
    }

    fn write(&self, out: &mut Encoder<'_>) {
        match self {
            Self::Capability => out.raw(b"CAPABILITY"),
            Self::Noop => out.raw(b"NOOP"),
            #[cfg(feature = "compress")]
            Self::Compress => out.raw(b"COMPRESS DEFLATE"),
            Self::Logout => out.raw(b"LOGOUT"),
            Self::Namespace => out.raw(b"NAMESPACE"),
            Self::Notify(notify) => notify.write(out),
            Self::Idle => out.raw(b"IDLE"),
            Self::Close => out.raw(b"CLOSE"),
            Self::Unselect => out.raw(b"UNSELECT"),
            Self::Expunge => out.raw(b"EXPUNGE"),
            Self::Id(fields) if fields.is_empty() => out.raw(b"ID NIL"),
            Self::Id(fields) => {
                out.raw(b"ID ");
                out.list(fields, |out, (name, value)| {
                    out.string(name.as_bytes());
                    out.raw(b" ");
                    out.string(value.as_bytes());
                });
            }
            Self::Enable(extensions) => {
                out.raw(b"ENABLE");
                for extension in extensions {
                    out.raw(b" ");
                    out.raw(extension.name().as_bytes());
                }
            }
            Self::Login { user, password } => {
                out.raw(b"LOGIN ");
                out.astring(user.as_bytes());
                out.raw(b" ");
                // An atom would do, but a password such as `{5}` is better seen as a string.
                out.string(password.as_bytes());
            }
            Self::Authenticate { mechanism, initial } => {
                out.raw(b"AUTHENTICATE ");
                out.word(mechanism.as_bytes(), b"-_", InvalidValue::Mechanism);
                if let Some(initial) = initial {
                    out.raw(b" ");
                    let initial = match initial.as_bytes() {
                        b"" => b"=",
                        initial => initial,
                    };
                    out.word(initial, b"+/=", InvalidValue::Mechanism);
                }
            }
            Self::Select {
                mailbox,
                read_only,
                condstore,
                qresync,
            } => {
                named(
                    out,
                    if *read_only { b"EXAMINE " } else { b"SELECT " },
                    mailbox,
                );
                match qresync {
                    Some(qresync) => qresync.write(out),
                    None if *condstore => out.raw(b" (CONDSTORE)"),
                    None => {}
                }
            }
            Self::Create(mailbox) => named(out, b"CREATE ", mailbox),
            Self::Delete(mailbox) => named(out, b"DELETE ", mailbox),
            Self::Rename(from, to) => {
                named(out, b"RENAME ", from);
                named(out, b" ", to);
            }
            Self::Subscribe(mailbox) => named(out, b"SUBSCRIBE ", mailbox),
            Self::Unsubscribe(mailbox) => named(out, b"UNSUBSCRIBE ", mailbox),
            Self::List(query) => query.write(out),
            Self::Status(mailbox, items) => {
                named(out, b"STATUS ", mailbox);
                out.raw(b" ");
                out.list(items, |out, item| out.raw(item.name()));
            }
            Self::GetQuota(root) => {
                out.raw(b"GETQUOTA ");
                out.astring(root.as_bytes());
            }
            Self::GetQuotaRoot(mailbox) => named(out, b"GETQUOTAROOT ", mailbox),
            Self::SetQuota(root, limits) => crate::codec::quota::set(out, root, limits),
            Self::GetAcl(mailbox) => named(out, b"GETACL ", mailbox),
            Self::SetAcl(mailbox, identifier, change) => {
                acl::set(out, mailbox, identifier, *change);
            }
            Self::DeleteAcl(mailbox, identifier) => {
                acl::about(out, b"DELETEACL ", mailbox, identifier);
            }
            Self::ListRights(mailbox, identifier) => {
                acl::about(out, b"LISTRIGHTS ", mailbox, identifier);
            }
            Self::MyRights(mailbox) => named(out, b"MYRIGHTS ", mailbox),
            Self::GetMetadata {
                mailbox,
                entries,
                depth,
                max_size,
            } => metadata::get(out, mailbox.as_ref(), entries, *depth, *max_size),
            Self::SetMetadata { mailbox, entries } => {
                metadata::set(out, mailbox.as_ref(), entries);
            }
            Self::Append {
                mailbox,
                flags,
                date,
                size,
            } => {
                named(out, b"APPEND ", mailbox);
                super::append::head(out, flags, *date);
                out.message(*size);
            }
            Self::AppendAll { mailbox, messages } => {
                named(out, b"APPEND ", mailbox);
                for message in messages {
                    message.write(out);
                }
            }
            Self::Replace {
                uid,
                mailbox,
                message,
            } => {
                out.raw(b"UID REPLACE ");
                out.number((*uid).into());
                named(out, b" ", mailbox);
                message.write(out);
            }
            Self::ExpungeUids(uids) => {
                out.raw(b"UID EXPUNGE ");
                out.with(|bytes| uids.encode(bytes));
            }
            Self::Search {
                query,
                uids,
                returns,
            } => super::search::search(out, query, *uids, returns),
            Self::Sort {
                by,
                query,
                uids,
                returns,
            } => super::search::sort(out, by, query, *uids, returns),
            Self::Thread { by, query, uids } => super::search::thread(out, *by, query, *uids),
            Self::Fetch {
                messages,
                items,
                changed_since,
            } => {
                which(out, b"FETCH ", messages);
                out.raw(b" ");
                out.list(items, |out, item| item.encode(out));
                if let Some(since) = changed_since {
                    since.write(out);
                }
            }
            Self::Store {
                messages,
                change,
                unchanged_since,
            } => {
                which(out, b"STORE ", messages);
                if let Some(modseq) = unchanged_since {
                    out.raw(b" (UNCHANGEDSINCE ");
                    out.number(*modseq);
                    out.raw(b")");
                }
                let (name, flags): (&[u8], _) = match change {
                    FlagChange::Add(flags) => (b" +FLAGS ", flags),
                    FlagChange::Remove(flags) => (b" -FLAGS ", flags),
                    FlagChange::Replace(flags) => (b" FLAGS ", flags),
                };
                out.raw(name);
                out.list(flags, |out, flag| out.raw(flag.name()));
            }
            Self::Copy(messages, to) => {
                which(out, b"COPY ", messages);
                named(out, b" ", to);
            }
            Self::Move(messages, to) => {
                which(out, b"MOVE ", messages);
                named(out, b" ", to);
            }
        }
    }
}

fn named(out: &mut Encoder<'_>, name: &[u8], mailbox: &MailboxName) {
    out.raw(name);
    out.mailbox(mailbox);
}

fn which(out: &mut Encoder<'_>, name: &[u8], messages: &Messages) {
    if !matches!(messages, Messages::Numbers(_)) {
        out.raw(b"UID ");
    }
    out.raw(name);
    match messages.set() {
        Some(set) => out.with(|bytes| set.encode(bytes)),
        None => out.raw(b"$"),
    }
}
