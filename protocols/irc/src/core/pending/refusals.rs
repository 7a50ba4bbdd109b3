//! Refusals: which requests one can be for, where no label says it.
//!
//! Most refusals name the channel or the nickname that the request was made about, and many can
//! come of certain commands only. Some name something else: a mode's letter, another channel, a
//! nickname that the server has cut; and some name nothing at all. Those are for the first request
//! that they can come of, since a server answers in the order it was asked. The table below says
//! which (RFC 2812, section 5.2; <https://modern.ircdocs.horse/#numerics>; what ngIRCd 26, InspIRCd 3
//! and `UnrealIRCd` 6 send).

use super::Kind;
use crate::codec::{CaseMapping, Numeric};

/// What a refusal says about the request that it is for.
#[derive(Clone, Copy, Debug)]
pub(in crate::core) struct About<'a> {
    pub(in crate::core) by: By<'a>,
    /// The parameters that name something.
    pub(in crate::core) subjects: &'a [&'a str],
}

/// How the server refused.
#[derive(Clone, Copy, Debug)]
pub(in crate::core) enum By<'a> {
    Numeric(Numeric),
    /// `FAIL`, and the command that it names; `*` for none.
    Fail(&'a str),
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asks {
    Join,
    Part,
    Message,
    SetTopic,
    Topic,
    Names,
    Who,
    Whois,
    List,
    SetMode,
    Modes,
    Kick,
    Invite,
    Away,
    Nick,
    SetRealName,
    Raw,
}

impl From<&Kind> for Asks {
    fn from(kind: &Kind) -> Self {
        match kind {
            Kind::Join(_) => Self::Join,
            Kind::Part(_) => Self::Part,
            Kind::Message { .. } => Self::Message,
            Kind::SetTopic(_) => Self::SetTopic,
            Kind::Topic(_) => Self::Topic,
            Kind::Names(..) => Self::Names,
            Kind::Who(..) => Self::Who,
            Kind::Whois(..) => Self::Whois,
            Kind::List(..) => Self::List,
            Kind::SetMode { .. } => Self::SetMode,
            Kind::Modes(_) => Self::Modes,
            Kind::Kick(..) => Self::Kick,
            Kind::Invite(..) => Self::Invite,
            Kind::Away => Self::Away,
            Kind::Nick(_) => Self::Nick,
            Kind::SetRealName => Self::SetRealName,
            Kind::Raw => Self::Raw,
        }
    }
}

/// Whether a refusal names the request's channel or nickname.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Naming {
    /// It does: without the name, it is not for the request.
    Always,
    /// It names something else, or nothing.
    NotAlways,
}

/// A number that is not listed is for the first request that it names.
const REFUSALS: &[(u16, &[Asks], Naming)] = {
    use Asks::{
        Invite, Join, Kick, List, Message, Modes, Names, Nick, Part, SetMode, SetTopic, Topic, Who,
        Whois,
    };
    use Naming::{Always, NotAlways};
    &[
        // No such nickname: for MODE, one of the parameters.
        (401, &[Message, Whois, SetMode, Kick, Invite], Always),
        // No such server.
        (402, &[Message, Names, Who, Whois], Always),
        // No such channel.
        (
            403,
            &[
                Join, Part, Message, SetTopic, Topic, Names, SetMode, Modes, Kick, Invite,
            ],
            Always,
        ),
        (404, &[Message], Always),
        // Too many channels; too many targets.
        (405, &[Join], Always),
        (407, &[Join, Message, Invite], Always),
        // Too many matches.
        (416, &[Names, Who, List], NotAlways),
        // The nickname is not allowed, or taken: it may be cut to what the server takes.
        (432, &[Nick], NotAlways),
        (433, &[Nick], NotAlways),
        // Banned in a channel, which may be all that is named.
        (435, &[Nick], NotAlways),
        (436, &[Nick], NotAlways),
        // Not available for a while: the channel; or the nickname, or what forbids it.
        (437, &[Join], Always),
        (437, &[Nick], NotAlways),
        // Too fast.
        (438, &[Nick], NotAlways),
        // The user is not in the channel; this client is not; the user is.
        (441, &[SetMode, Kick], Always),
        (
            442,
            &[Part, SetTopic, Topic, Names, SetMode, Modes, Kick, Invite],
            Always,
        ),
        (443, &[Invite], Always),
        // No change of nickname while in a channel.
        (447, &[Nick], NotAlways),
        // The key is set already.
        (467, &[SetMode], NotAlways),
        // Forwarded, full, for the invited, banned, the key, the mask.
        (470, &[Join], Always),
        (471, &[Join], Always),
        (472, &[SetMode], NotAlways),
        (473, &[Join], Always),
        (474, &[Join], Always),
        (475, &[Join], Always),
        (476, &[Join, Kick], Always),
        // A channel for registered nicknames, or one without modes.
        (
            477,
            &[Join, Message, SetTopic, Topic, SetMode, Modes],
            Always,
        ),
        // The list is full.
        (478, &[SetMode], NotAlways),
        (479, &[Join], Always),
        (480, &[Join], Always),
        // No privileges.
        (481, &[SetMode, SetTopic, Kick, Invite], NotAlways),
        (
            482,
            &[Message, SetTopic, Topic, SetMode, Modes, Kick, Invite],
            Always,
        ),
        // A restricted connection.
        (484, &[Nick, SetMode, Kick], NotAlways),
        // Not the channel's founder; in others' words, banned with a reason.
        (485, &[SetMode, Kick], NotAlways),
        (485, &[Join], Always),
        (489, &[Join], Always),
        // An unknown mode of a user; another user's modes.
        (501, &[SetMode], NotAlways),
        (502, &[SetMode], NotAlways),
        // The channel takes no invitations.
        (518, &[Invite], NotAlways),
        // A syntax that LIST doesn't have; the same for WHO, or more than it tells.
        (521, &[List], NotAlways),
        (522, &[Who], NotAlways),
        (523, &[Who], NotAlways),
        // The key is not well-formed.
        (525, &[Join, SetMode], Always),
        // The parameter doesn't fit the mode; the mode is locked; the mask; the mode can't be changed.
        (696, &[SetMode], NotAlways),
        (742, &[SetMode], NotAlways),
        (743, &[SetMode], NotAlways),
        (974, &[SetMode], NotAlways),
    ]
};

impl About<'_> {
    /// Whether it can be for such a request, and names it.
    pub(super) fn names(self, mapping: CaseMapping, kind: &Kind) -> bool {
        let named = |subject: &&str| kind.is_about(mapping, subject);
        match self.by {
            By::Fail(command) => {
                is_command(kind, command)
                    && (self.subjects.is_empty() || self.subjects.iter().any(named))
                    || command == "*" && self.subjects.iter().any(named)
            }
            By::Numeric(numeric) => {
                let mut rows = rows(numeric).peekable();
                let listed = rows.peek().is_some();
                let possible = !listed || rows.any(|(asks, _)| asks.contains(&kind.into()));
                // A number that can come of anything names the command (421, 461).
                let command = |subject: &&str| is_command(kind, subject);
                possible && self.subjects.iter().any(|it| named(it) || command(it))
            }
        }
    }

    /// Whether it can be for such a request, though it doesn't name it.
    pub(super) fn implies(self, kind: &Kind) -> bool {
        match self.by {
            By::Fail(command) => is_command(kind, command),
            By::Numeric(numeric) => rows(numeric)
                .any(|(asks, naming)| naming == Naming::NotAlways && asks.contains(&kind.into())),
        }
    }
}

fn rows(numeric: Numeric) -> impl Iterator<Item = (&'static [Asks], Naming)> {
    REFUSALS
        .iter()
        .filter(move |(number, ..)| *number == numeric.number())
        .map(|(_, asks, naming)| (*asks, *naming))
}

fn is_command(kind: &Kind, word: &str) -> bool {
    kind.command()
        .is_some_and(|command| command.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_lists_refusals_only() {
        assert!(REFUSALS.is_sorted_by_key(|(number, ..)| *number));
        for (number, asks, _) in REFUSALS {
            let numeric = Numeric::new(*number).expect("three digits");
            assert!(numeric.is_error(), "{numeric}");
            assert!(!asks.is_empty(), "{numeric}");
        }
    }
}
