//! What a server supports, as it says itself (`RPL_ISUPPORT`): limits, modes, prefixes.

use crate::codec::{CaseMapping, MAX_MESSAGE, ModeTypes};

/// The longest line that a server's `LINELEN` is believed, in bytes.
const MAX_LINELEN: usize = 16 * 1024;
/// The longest `CHANMODES`, `PREFIX`, `NETWORK` and so on that is kept, in bytes.
const MAX_VALUE: usize = 512;

/// What the server supports: its `RPL_ISUPPORT` tokens, with RFC 1459's values where it says
/// nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ISupport {
    /// Which names are the same (`CASEMAPPING`).
    pub case_mapping: CaseMapping,
    /// The channels' modes (`CHANMODES`, `PREFIX`).
    pub modes: ModeTypes,
    /// What a channel's name may start with (`CHANTYPES`).
    pub channel_types: String,
    /// Which ranks' symbols may stand in front of a channel as a target (`STATUSMSG`).
    pub status_message: String,
    /// The network's name (`NETWORK`).
    pub network: Option<String>,
    /// The longest line without tags, in bytes, CR LF counted (`LINELEN`).
    pub line_length: usize,
    /// The longest nickname, in bytes (`NICKLEN`).
    pub nick_length: Option<usize>,
    /// The longest user name, in bytes (`USERLEN`).
    pub user_length: Option<usize>,
    /// The longest host, in bytes (`HOSTLEN`).
    pub host_length: Option<usize>,
    /// The longest topic, in bytes (`TOPICLEN`).
    pub topic_length: Option<usize>,
    /// Whether the server tells when nicknames come and go (`MONITOR`).
    pub monitor: bool,
    /// Whether `WHO` takes a list of fields (`WHOX`).
    pub whox: bool,
    /// Whether all text must be UTF-8 (`UTF8ONLY`).
    pub utf8_only: bool,
    /// What `LIST` can be narrowed by (`ELIST`): letters, such as `M` for masks and `U` for how many
    /// members a channel has.
    pub list_filters: String,
}

impl Default for ISupport {
    fn default() -> Self {
        Self {
            case_mapping: CaseMapping::default(),
            modes: ModeTypes::default(),
            channel_types: "#&+!".to_owned(),
            status_message: String::new(),
            network: None,
            line_length: MAX_MESSAGE,
            nick_length: None,
            user_length: None,
            host_length: None,
            topic_length: None,
            monitor: false,
            whox: false,
            utf8_only: false,
            list_filters: String::new(),
        }
    }
}

impl ISupport {
    /// Takes one token: `NAME`, `NAME=value` or `-NAME`. Unknown ones change nothing.
    ///
    /// ```
    /// use jackfield_irc::core::ISupport;
    ///
    /// let mut isupport = ISupport::default();
    /// isupport.set("NETWORK=Libera.Chat");
    /// assert_eq!(isupport.network.as_deref(), Some("Libera.Chat"));
    /// isupport.set("-NETWORK");
    /// assert_eq!(isupport.network, None);
    /// ```
    pub fn set(&mut self, token: &str) {
        let (name, value) = token.split_once('=').unwrap_or((token, ""));
        if value.len() > MAX_VALUE {
            return;
        }
        let value = unescape(value);
        let value = value.as_str();
        let length = || value.parse::<usize>().ok().filter(|length| *length > 0);
        let default = Self::default;
        match name {
            // A mapping that is not known would be guessed wrong either way: ASCII is in all.
            "CASEMAPPING" => {
                self.case_mapping = CaseMapping::from_name(value).unwrap_or(CaseMapping::Ascii);
            }
            "CHANMODES" => self.modes.set_chanmodes(value),
            "PREFIX" => self.modes.set_prefix(value),
            "CHANTYPES" => value.clone_into(&mut self.channel_types),
            "STATUSMSG" => value.clone_into(&mut self.status_message),
            "NETWORK" => self.network = (!value.is_empty()).then(|| value.to_owned()),
            "LINELEN" => {
                let length = length().unwrap_or(MAX_MESSAGE);
                self.line_length = length.clamp(MAX_MESSAGE, MAX_LINELEN);
            }
            "NICKLEN" => self.nick_length = length(),
            "USERLEN" => self.user_length = length(),
            "HOSTLEN" => self.host_length = length(),
            "TOPICLEN" => self.topic_length = length(),
            "MONITOR" => self.monitor = true,
            "WHOX" => self.whox = true,
            "UTF8ONLY" => self.utf8_only = true,
            "ELIST" => self.list_filters = value.to_ascii_uppercase(),
            "-CASEMAPPING" => self.case_mapping = default().case_mapping,
            "-CHANMODES" | "-PREFIX" => self.modes = default().modes,
            "-CHANTYPES" => self.channel_types = default().channel_types,
            "-STATUSMSG" => self.status_message.clear(),
            "-NETWORK" => self.network = None,
            "-LINELEN" => self.line_length = MAX_MESSAGE,
            "-NICKLEN" => self.nick_length = None,
            "-USERLEN" => self.user_length = None,
            "-HOSTLEN" => self.host_length = None,
            "-TOPICLEN" => self.topic_length = None,
            "-MONITOR" => self.monitor = false,
            "-WHOX" => self.whox = false,
            "-UTF8ONLY" => self.utf8_only = false,
            "-ELIST" => self.list_filters.clear(),
            _ => {}
        }
    }

    /// Whether this is a channel's name here.
    pub fn is_channel(&self, name: &str) -> bool {
        name.starts_with(|first| self.channel_types.contains(first))
    }
}

/// `\x20` is a space, and so on: the value's own escapes.
fn unescape(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let mut rest = value;
    while let Some((before, after)) = rest.split_once("\\x") {
        out.push_str(before);
        let code = after
            .split_at_checked(2)
            .and_then(|(hex, tail)| Some((u8::from_str_radix(hex, 16).ok()?, tail)))
            .filter(|(byte, _)| (0x20..0x7f).contains(byte));
        if let Some((byte, tail)) = code {
            out.push(byte.into());
            rest = tail;
        } else {
            out.push_str("\\x");
            rest = after;
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_unescaped_and_clamped() {
        let mut isupport = ISupport::default();
        isupport.set("NETWORK=My\\x20Net\\x3D1\\xzz\\x");
        assert_eq!(isupport.network.as_deref(), Some("My Net=1\\xzz\\x"));
        isupport.set("LINELEN=99999999999999999999");
        assert_eq!(isupport.line_length, MAX_MESSAGE);
        isupport.set("LINELEN=1000000");
        assert_eq!(isupport.line_length, MAX_LINELEN);
        isupport.set("LINELEN=1");
        assert_eq!(isupport.line_length, MAX_MESSAGE);
        isupport.set(&format!("NETWORK={}", "x".repeat(MAX_VALUE + 1)));
        assert_eq!(isupport.network.as_deref(), Some("My Net=1\\xzz\\x"));
    }
}
