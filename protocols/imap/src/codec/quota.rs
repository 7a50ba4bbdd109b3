//! Quotas: how much a user may keep (RFC 9208).

use nom::Parser;

use super::data::Names;
use super::encode::Encoder;
use super::input::{Input, Parsed};
use super::mailbox::MailboxName;
use super::text::Text;
use super::token::{astring, list, number64, spaces};

/// What is limited.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Resource {
    /// How large all messages are together, in units of 1024 bytes.
    Storage,
    /// How many messages there are.
    Message,
    /// How many mailboxes there are.
    Mailbox,
    /// How large all annotations are together, in units of 1024 bytes.
    AnnotationStorage,
    /// One that this crate doesn't know, by its name.
    Other(Text),
}

impl Resource {
    fn of(name: Text) -> Self {
        match () {
            () if name.is("STORAGE") => Self::Storage,
            () if name.is("MESSAGE") => Self::Message,
            () if name.is("MAILBOX") => Self::Mailbox,
            () if name.is("ANNOTATION-STORAGE") => Self::AnnotationStorage,
            () => Self::Other(name),
        }
    }

    pub(super) fn name(&self) -> &[u8] {
        match self {
            Self::Storage => b"STORAGE",
            Self::Message => b"MESSAGE",
            Self::Mailbox => b"MAILBOX",
            Self::AnnotationStorage => b"ANNOTATION-STORAGE",
            Self::Other(name) => name.as_bytes(),
        }
    }
}

/// What QUOTA tells of a quota root, which several mailboxes may share (RFC 9208, section 5.1).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Quota {
    /// The root's name, often an empty one.
    pub root: Text,
    /// What is limited. Where nothing is, there is none.
    pub resources: Vec<Usage>,
}

impl Quota {
    /// How much of something is used, where it is limited.
    pub fn of(&self, resource: &Resource) -> Option<&Usage> {
        self.resources.iter().find(|it| it.resource == *resource)
    }
}

/// How much of something is used, and how much of it may be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// Of what.
    pub resource: Resource,
    /// How much is used, in the resource's unit.
    pub used: u64,
    /// How much may be used.
    pub limit: u64,
}

/// What QUOTAROOT tells of a mailbox: the roots that limit it (RFC 9208, section 5.2).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct QuotaRoot {
    /// Which mailbox.
    pub mailbox: MailboxName,
    /// The names of its roots.
    pub roots: Vec<Text>,
}

/// Behind `QUOTA`. Courier leaves out the list where it is empty.
pub(super) fn quota(i: Input<'_>) -> Parsed<'_, Quota> {
    let (i, (root, ())) = (astring, spaces).parse(i)?;
    if i.is_empty() {
        let resources = Vec::new();
        return Ok((i, Quota { root, resources }));
    }
    let (i, resources) = list(i, |i| {
        let (i, (name, (), used, (), limit)) =
            (astring, spaces, number64, spaces, number64).parse(i)?;
        let usage = Usage {
            resource: Resource::of(name),
            used,
            limit,
        };
        Ok((i, usage))
    })?;
    Ok((i, Quota { root, resources }))
}

/// Behind `QUOTAROOT`.
pub(super) fn quota_root(names: Names, i: Input<'_>) -> Parsed<'_, QuotaRoot> {
    let (mut i, mailbox) = names.mailbox(i)?;
    let mut roots = Vec::new();
    loop {
        (i, ()) = spaces(i)?;
        if i.is_empty() {
            return Ok((i, QuotaRoot { mailbox, roots }));
        }
        i.count()?;
        let (rest, root) = astring(i)?;
        roots.push(root);
        i = rest;
    }
}

pub(super) fn set(out: &mut Encoder<'_>, root: &str, limits: &[(Resource, u64)]) {
    out.raw(b"SETQUOTA ");
    out.astring(root.as_bytes());
    out.raw(b" ");
    out.list(limits, |out, (resource, limit)| {
        out.astring(resource.name());
        out.raw(b" ");
        out.number(*limit);
    });
}
