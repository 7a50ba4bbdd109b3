//! CTCP: messages within messages (draft-oakley-irc-ctcp).

use super::Text;

/// The byte around a CTCP message.
const MARK: char = '\u{1}';

/// A CTCP message: a query in a PRIVMSG, a reply in a NOTICE.
///
/// ```
/// use jackfield_irc::codec::{Ctcp, Text};
///
/// let ctcp = Ctcp::parse("\u{1}ACTION waves\u{1}").expect("a CTCP message");
/// assert_eq!((ctcp.command, ctcp.params), ("ACTION", "waves"));
/// assert!(Ctcp::parse("waves").is_none());
///
/// let text = Text::new("waves")?;
/// assert_eq!(Ctcp::action(&text), "\u{1}ACTION waves\u{1}");
/// # Ok::<(), jackfield_irc::codec::InvalidValue>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ctcp<'a> {
    /// What is asked or done: `ACTION`, `VERSION`, `PING`, …, as received.
    pub command: &'a str,
    /// What follows the command's space; may be empty.
    pub params: &'a str,
}

impl<'a> Ctcp<'a> {
    /// Finds a CTCP message in a text; the second mark may be missing, as some clients and every
    /// cut line do.
    pub fn parse(text: &'a str) -> Option<Self> {
        let inner = text.strip_prefix(MARK)?;
        let inner = inner.strip_suffix(MARK).unwrap_or(inner);
        let (command, params) = inner.split_once(' ').unwrap_or((inner, ""));
        (!command.is_empty()).then_some(Self { command, params })
    }

    /// Whether it is this command, in upper or lower case.
    pub fn is(&self, command: &str) -> bool {
        self.command.eq_ignore_ascii_case(command)
    }

    /// The text that says what the sender does (`/me`).
    pub fn action(text: &Text) -> Text {
        Text::from_checked(&format!("{MARK}ACTION {text}{MARK}"))
    }
}
